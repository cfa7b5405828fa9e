"""Freja's REST service for the tests of its provider: mutual TLS, real signatures, and every answer settable."""

from __future__ import annotations

import base64
import hmac
import ipaddress
import json
import secrets
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl
from wsgiref.types import StartResponse, WSGIEnvironment

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from werkzeug.serving import WSGIRequestHandler, make_server

from idbroker.clock import StoppedClock, SystemClock
from idbroker.identity import Identity
from idbroker.providers import Asked, Means, Wait
from idbroker.providers._freja.details import x5t
from idbroker.providers._http import kept_session
from idbroker.providers.freja import FrejaApp, Settings, make
from idbroker.sandbox.pki import Authority, named, new_authority, server_context, write_certificates, write_pair
from tests.providers.upstream import asked

BJORN = "198706192393"
WHO = "3f" * 32
PERSON: Mapping[str, Any] = {
    "relyingPartyUserId": WHO,
    "registrationLevel": "PLUS",
    "basicUserInfo": {"name": "Björn", "surname": "Provsson"},
    "dateOfBirth": "1987-06-19",
    "ssn": {"country": "SE", "ssn": BJORN},
}
_HASHES = {"1": hashes.SHA1(), "256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}  # noqa: S303 - to be refused
_SAN = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
_PARAMETERS = {
    "initAuthentication": "initAuthRequest",
    "getOneResult": "getOneAuthResultRequest",
    "cancel": "cancelAuthRequest",
}


def b64(content: bytes) -> str:
    """Return base64url without padding (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return one key per name and run: making one takes a while."""
    return rsa.generate_private_key(65537, bits)


@cache
def tls_key(name: str) -> ec.EllipticCurvePrivateKey:
    """Return the key of a certificate for TLS: a small one is read in no time."""
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True)
class Stamp:
    """A certificate to sign answers with, and its key."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def name(self) -> str:
        """Return its x5t."""
        return x5t(self.certificate)


def new_stamp(name: str, now: datetime, *, days: int = 365, bits: int = 2048) -> Stamp:
    """Return a certificate for signing answers, until `days` from now, or ago."""
    key = rsa_key(name, bits)
    issuer = new_authority("Issuing CA", now=now)
    return Stamp(key, issuer.issue(named(name), key.public_key(), now=now, days=days))


def signature(alg: str, key: rsa.RSAPrivateKey, text: bytes) -> bytes:
    """Return what an algorithm makes of a text; HS* has the public key for its secret (RFC 8725, 2.1)."""
    kind, size = alg[:2], alg[2:]
    if kind == "RS":
        return key.sign(text, padding.PKCS1v15(), _HASHES[size])
    if kind == "PS":
        return key.sign(text, padding.PSS(padding.MGF1(_HASHES[size]), padding.PSS.DIGEST_LENGTH), _HASHES[size])
    if kind == "HS":
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return hmac.digest(pem, text, f"sha{size}")
    return b"unsigned"


def signed(header: Mapping[str, Any] | bytes, payload: Mapping[str, Any] | bytes, key: rsa.RSAPrivateKey) -> str:
    """Return a compact JWS of exactly these (RFC 7515, 7.1), by the algorithm its header names."""
    raw = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    text = ".".join(map(b64, raw))
    alg = header.get("alg", "RS256") if not isinstance(header, bytes) else "RS256"
    return f"{text}.{b64(signature(str(alg), key, text.encode()))}"


@dataclass
class Call:
    """One call as it arrived."""

    method: str
    fields: list[tuple[str, str]]
    message: dict[str, Any]
    content_type: str


@dataclass
class Service:
    """The service. `canned` answers replace its own, by method: a status and a body."""

    clock: StoppedClock
    stamp: Stamp
    calls: list[Call] = field(default_factory=list)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked_for: dict[str, dict[str, Any]] = field(default_factory=dict)
    canned: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    secret: str = "dGhlIHNlY3JldCBvZiB0aGUgdGVzdHM"

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        """Answer a call."""
        method = environ["PATH_INFO"].removeprefix("/authentication/1.0/")
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
        fields = parse_qsl(body, keep_blank_values=True)
        packed = dict(fields).get(_PARAMETERS.get(method, ""), "")
        message = json.loads(base64.b64decode(packed, validate=True) or b"{}")
        self.calls.append(Call(method, fields, message, environ.get("CONTENT_TYPE", "")))
        status, answer = self.canned.get(method) or self._answer(method, message)
        start_response(f"{status} So", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
        return [answer]

    def _answer(self, method: str, message: dict[str, Any]) -> tuple[int, bytes]:
        if method == "initAuthentication":
            reference = f"{secrets.token_urlsafe(40)}+/="
            self.orders[reference] = {"authRef": reference, "status": "STARTED"}
            self.asked_for[reference] = message
            secret = {"qrCodeSecret": self.secret} if message.get("useDynamicQrCode") else {}
            return 200, json.dumps({"authRef": reference, **secret, "more": {}}).encode()
        order = self.orders.get(message.get("authRef", ""))
        if order is None or (method == "cancel" and order["status"] not in ("STARTED", "DELIVERED_TO_MOBILE")):
            return 422, b'{"code": 1100, "message": "no such transaction"}'
        if method == "cancel":
            order["status"] = "RP_CANCELED"
            return 200, b"{}"
        return 200, json.dumps(order).encode()

    @property
    def newest(self) -> str:
        """Return the reference of the newest order."""
        return next(reversed(self.orders))

    def set(self, **members: Any) -> None:
        """Change the newest order."""
        self.orders[self.newest] |= members

    def payload(self, **attributes: Any) -> dict[str, Any]:
        """Return what is signed when the newest order is approved now; None takes an attribute out."""
        wanted = {**PERSON, **attributes}
        return {
            "authRef": self.newest,
            "status": "APPROVED",
            "userInfoType": "INFERRED",
            "userInfo": "N/A",
            "minRegistrationLevel": self.asked_for[self.newest].get("minRegistrationLevel", "BASIC"),
            "timestamp": int(self.clock.now().timestamp() * 1000),
            "requestedAttributes": {name: value for name, value in wanted.items() if value is not None},
        }

    def header(self, **members: Any) -> dict[str, Any]:
        """Return the header of a true answer; None takes a member out."""
        all_of_it = {"alg": "RS256", "x5t": self.stamp.name, **members}
        return {name: value for name, value in all_of_it.items() if value is not None}

    def answer(self, token: Any) -> None:
        """Have the newest order approved with these details."""
        self.set(status="APPROVED", details=token)

    def approve(self, **attributes: Any) -> None:
        """Have the newest order approved, truly."""
        self.answer(signed(self.header(), self.payload(**attributes), self.stamp.key))


class _Quiet(WSGIRequestHandler):
    """Keeps connections, as upstreams do, and says nothing."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Folder:
    """The certificate authorities of Freja and of somebody else, and files with certificates of theirs."""

    path: Path
    authority: Authority
    stranger: Authority

    @property
    def root(self) -> Path:
        """Return the file of Freja's root."""
        return write_certificates(self.path / "root.crt", self.authority.certificate)

    def pair(self, name: str, issuer: Authority, *, server: bool = False) -> tuple[Path, Path]:
        """Return the files of a certificate and its key, made if they are not there."""
        files = self.path / f"{name}.crt", self.path / f"{name}.key"
        if files[0].exists():
            return files
        key = tls_key(name)
        more = [(_SAN, False)] if server else []
        made = issuer.issue(named(name), key.public_key(), now=SystemClock().now(), days=2, extensions=more)
        return write_pair(self.path, name, made, key)

    def stamps(self, *stamps: Stamp) -> tuple[Path, ...]:
        """Return a file for each certificate that answers may be signed with."""
        return tuple(write_certificates(self.path / f"{one.name}.pem", one.certificate) for one in stamps)


def new_folder(path: Path) -> Folder:
    """Return two authorities with nothing issued yet."""
    now = SystemClock().now()
    return Folder(path, new_authority("Freja root", now=now), new_authority("Somebody's root", now=now))


@contextmanager
def served(service: Service, context: ssl.SSLContext) -> Iterator[str]:
    """Serve it over TLS, to those whose certificate it knows; give the address."""
    server = make_server("127.0.0.1", 0, service, threaded=True, request_handler=_Quiet, ssl_context=context)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def freja_context(folder: Folder) -> ssl.SSLContext:
    """Return the service's side of mutual TLS."""
    return server_context(*folder.pair("service", folder.authority, server=True), folder.root)


def means(clock: StoppedClock, *, sandbox: bool = True) -> Means:
    """Return what the provider works with, with little patience."""
    http = partial(kept_session, timeout=(2, 2), deadline=timedelta(seconds=2), sandbox=sandbox)
    return Means(clock=clock, http=http, sandbox=sandbox)


@dataclass(frozen=True)
class Desk:
    """A provider, and the service it speaks to."""

    provider: FrejaApp
    service: Service
    clock: StoppedClock

    def asked(self, **more: Any) -> Asked:
        """Return what the broker asks now."""
        return replace(asked(self.clock, language="sv"), **more)

    def begin(self, **more: Any) -> Wait:
        """Make an order."""
        return self.provider.begin(self.asked(**more))

    def look(self, begun: Wait, **more: Any) -> Wait | Identity:
        """Look at it once."""
        return self.provider.resume(self.asked(**more), begun.state, {})

    def waiting(self, begun: Wait, **members: Any) -> Wait:
        """Change the order at the service; return how it then is to us."""
        self.service.set(**members)
        found = self.look(begun)
        assert isinstance(found, Wait), found
        return found

    def proved(self, begun: Wait, **more: Any) -> Identity:
        """Return the identity that an approved order proves."""
        found = self.look(begun, **more)
        assert isinstance(found, Identity), found
        return found

    def go(self, attributes: Mapping[str, Any] | None = None, **more: Any) -> Identity:
        """Go all the way with a person who approves."""
        begun = self.begin(**more)
        self.service.approve(**(attributes or {}))
        return self.proved(begun, **more)

    def close(self) -> None:
        """Let the connections go."""
        self.provider._service.http.close()


def settings(folder: Folder, address: str, *stamps: Stamp, **more: Any) -> Settings:
    """Return the settings of a provider at this address, which trusts these stamps."""
    certificate, key = folder.pair("us", folder.authority)
    usual = Settings(
        environment="test",
        address=address,
        server_root_file=folder.root,
        certificate_file=certificate,
        key_file=key,
        jws_certificate_files=folder.stamps(*stamps),
    )
    return replace(usual, **more)


def new_desk(service: Service, chosen: Settings) -> Desk:
    """Return the provider with these settings, before the service."""
    provider = make("freja", chosen, means(service.clock))
    assert isinstance(provider, FrejaApp)
    return Desk(provider, service, service.clock)


class Opened(Protocol):
    """Opens a desk with some settings changed."""

    def __call__(self, **more: Any) -> AbstractContextManager[Desk]:
        """Open one."""
        ...


@contextmanager
def open_desk(path: Path, clock: StoppedClock, **more: Any) -> Iterator[Desk]:
    """Serve Freja and give a provider that speaks to it, with some settings changed."""
    folder, stamp = new_folder(path), new_stamp("signing 1", clock.now())
    service = Service(clock, stamp)
    with served(service, freja_context(folder)) as address:
        desk = new_desk(service, settings(folder, address, stamp, **more))
        yield desk
        desk.close()
