"""The simulated Freja eID: its authentication service's wire format, with people of ours.

Source: Freja eID Relying Party API, Authentication Service. Bodies are `name=<base64 of JSON>`, raw or
form-encoded; services are known by their client certificates. It lies on request: see `LIES`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import json
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from werkzeug.wrappers import Request, Response

from idbroker.clock import Clock, SystemClock
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.freja_answers import INSTEAD, STARTS, refused
from idbroker.sandbox.freja_asked import FrejaError, read_wish
from idbroker.sandbox.freja_lies import RESULT_LIES, lie_about_result
from idbroker.sandbox.freja_orders import OUTCOMES, Transaction, Transactions
from idbroker.sandbox.freja_phone import FrejaPhone
from idbroker.sandbox.freja_signing import MOVES, SigningKeys
from idbroker.sandbox.people import SimPerson
from idbroker.sandbox.pki import Authority, named, new_authority, write_certificates, write_pair

BODY_LIMIT = 64 * 1024
_PATH = "/authentication/1.0/"
_TYPES = ("application/json", "application/x-www-form-urlencoded")
_TLS_DAYS = 3650

Json = dict[str, Any]


# Beside the answers and results that are lies, `lost_response` does what was asked and then hangs up.
LIES: frozenset[str] = RESULT_LIES | INSTEAD.keys() | STARTS.keys() | {"lost_response"}

__all__ = ["LIES", "OUTCOMES", "SimFreja", "make_freja"]


@dataclass(frozen=True, kw_only=True)
class SimFreja:
    """The simulator: its application, the app, and the files that either side of its TLS needs (PEM).

    `server_certificate` (with its issuer) and `server_key` are for its server, with `client_authority` for
    the clients it lets in; `server_root`, `client_certificate` and `client_key` are for a service.
    """

    app: WSGIApplication
    phone: FrejaPhone
    keys: SigningKeys
    folder: Path
    server_certificate: Path
    server_key: Path
    server_root: Path
    client_authority: Path
    client_certificate: Path
    client_key: Path
    clients: Authority = field(repr=False)

    @property
    def jws_certificates(self) -> list[Path]:
        """Return the certificates that results are signed with: the current one and the next."""
        return self.keys.paths

    @property
    def expired_certificate(self) -> Path:
        """Return one that has expired: the lie `expired_certificate` signs with it."""
        return self.keys.expired.path

    @property
    def unknown_certificate(self) -> Path:
        """Return one that nobody is told of: the lie `unknown_x5t` signs with it."""
        return self.keys.unknown.path

    def rotate(self) -> None:
        """Sign with the next certificate from now on; a second time, with the first again."""
        self.keys.rotate()

    def other_client(self, name: str = "other") -> tuple[Path, Path]:
        """Make another service's certificate and key; return their paths."""
        return _client(self.clients, self.folder, name)


def make_freja(people: Iterable[SimPerson], clock: Clock, faults: Faults, *, app_link: str, folder: Path) -> SimFreja:
    """Return the simulator; its new certificates and keys lie in `folder`.

    `app_link` is the address of the app without its parameters (it may have `action` among them); the
    real ones open the app too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Issued long before now: the sandbox's clock may be moved back, and results must still verify.
    root = new_authority("Simulated Freja eID Root CA", now=clock.now() - MOVES, days=2 * MOVES.days)
    issuing = new_authority("Simulated Freja eID Issuing CA", now=clock.now() - MOVES, issuer=root, days=2 * MOVES.days)
    clients = new_authority("Simulated Freja eID RP CA", now=_machine_time(), days=_TLS_DAYS)
    keys = SigningKeys(folder, issuing, clock)
    transactions = Transactions(people, clock, keys.sign)
    server_certificate, server_key = _server(issuing, folder)
    client_certificate, client_key = _client(clients, folder, "client")
    return SimFreja(
        app=_Service(transactions, keys, faults),
        phone=FrejaPhone(transactions, clock, app_link),
        keys=keys,
        folder=folder,
        server_certificate=server_certificate,
        server_key=server_key,
        server_root=write_certificates(folder / "freja-root.crt", root.certificate),
        client_authority=write_certificates(folder / "freja-clients.crt", clients.certificate),
        client_certificate=client_certificate,
        client_key=client_key,
        clients=clients,
    )


class _Service:
    """The endpoints."""

    def __init__(self, transactions: Transactions, keys: SigningKeys, faults: Faults) -> None:
        self._transactions, self._keys, self._faults = transactions, keys, faults
        self._calls: Mapping[str, tuple[str, Callable[[str, Json], Json]]] = {
            f"{_PATH}initAuthentication": ("initAuthRequest", self._start),
            f"{_PATH}getOneResult": ("getOneAuthResultRequest", self._one),
            f"{_PATH}getResults": ("getAuthResultsRequest", self._all),
            f"{_PATH}cancel": ("cancelAuthRequest", self._cancel),
        }

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer one request (WSGI)."""
        return self._answer(Request(environ))(environ, start)

    def _answer(self, request: Request) -> Response:
        fault = self._faults.suffer("freja")
        if fault.answer is not None:
            return Response("simulated fault\n", fault.answer, {"Retry-After": "1"}, mimetype="text/plain")
        if request.path not in self._calls:
            return Response(status=404)
        if request.method != "POST":
            return Response(status=405, headers={"Allow": "POST"})
        if request.mimetype not in _TYPES:
            return Response(status=415)
        response = self._called(request)
        if "lost_response" in fault.lies:
            _hang_up(request)
        told = fault.lies & INSTEAD.keys()
        return INSTEAD[min(told)]() if told else response

    def _called(self, request: Request) -> Response:
        name, call = self._calls[request.path]
        try:
            return _json(call(_party(request), _sent(request, name)))
        except FrejaError as error:
            return refused(error)

    def _start(self, party: str, sent: Json) -> Json:
        began = self._transactions.start(party, read_wish(sent))
        answer: Json = {"authRef": began.auth_ref}
        if began.secret is not None:
            answer["qrCodeSecret"] = began.secret
        for lie in sorted(self._lies & STARTS.keys()):
            answer = STARTS[lie](answer)
        return answer

    def _one(self, party: str, sent: Json) -> Json:
        return self._result(self._transactions.read(party, _reference(sent)))

    def _all(self, party: str, sent: Json) -> Json:
        if sent.get("includePrevious") != "ALL":
            raise FrejaError(1200)
        return {"authenticationResults": [self._result(one) for one in self._transactions.recent(party)]}

    def _cancel(self, party: str, sent: Json) -> Json:
        self._transactions.cancel(party, _reference(sent))
        return {}

    def _result(self, one: Transaction) -> Json:
        answer: Json = {"authRef": one.auth_ref, "status": one.status}
        if one.payload is not None:
            answer["details"] = one.details
            if "requestedAttributes" in one.payload:
                answer["requestedAttributes"] = one.payload["requestedAttributes"]
            if one.cookie is not None:
                answer["frejaCookie"] = one.cookie
        lies = self._lies
        if not lies:
            return answer
        return lie_about_result(answer, one.payload, self._transactions.earlier(one), self._keys, lies)

    @property
    def _lies(self) -> frozenset[str]:
        return self._faults.of("freja").lies


def _sent(request: Request, name: str) -> Json:
    """Return the JSON of the body's one parameter; others (relyingPartyId) are passed over. Raises FrejaError."""
    body = request.stream.read(BODY_LIMIT + 1)
    pairs = dict(pair.partition(b"=")[::2] for pair in body.split(b"&"))
    if len(body) > BODY_LIMIT or name.encode() not in pairs:
        raise FrejaError(1000)
    try:
        # A "+" that is not percent-encoded is a "+" of the base64, never a space: the official clients send it so.
        text = base64.b64decode(unquote_to_bytes(pairs[name.encode()]), validate=True)
    except binascii.Error:
        raise FrejaError(1000) from None
    try:
        sent = json.loads(text)
    except (ValueError, RecursionError):
        raise FrejaError(1010) from None
    if not isinstance(sent, dict):
        raise FrejaError(1010)
    return sent


def _reference(sent: Json) -> str:
    auth_ref = sent.get("authRef")
    if not isinstance(auth_ref, str):
        raise FrejaError(1100)
    return auth_ref


def _party(request: Request) -> str:
    """Return which service this is, by its certificate; all that come without one (no TLS) are one."""
    pem = request.environ.get("SSL_CLIENT_CERT", "")
    return hashlib.sha256(re.sub(r"\s", "", pem).encode()).hexdigest() if pem else "nobody"


def _json(answer: Json) -> Response:
    return Response(json.dumps(answer), mimetype="application/json")


def _hang_up(request: Request) -> None:
    """End the connection without a word: what was asked for is done, and nobody hears of it."""
    connection = request.environ.get("werkzeug.socket")
    if connection is not None:
        connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError("the response is lost on purpose")


def _server(issuing: Authority, folder: Path) -> tuple[Path, Path]:
    names = [
        x509.DNSName("localhost"),
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")),
    ]
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = issuing.issue(
        named("localhost"),
        key.public_key(),
        now=_machine_time(),
        days=_TLS_DAYS,
        extensions=[
            (x509.SubjectAlternativeName(names), False),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        ],
    )
    certificate_file, key_file = write_pair(folder, "freja-server", certificate, key)
    # A client trusts the root: the server sends what is between (RFC 8446, 4.4.2).
    return write_certificates(certificate_file, certificate, issuing.certificate), key_file


def _client(clients: Authority, folder: Path, name: str) -> tuple[Path, Path]:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "SE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "idbroker sandbox"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    key = ec.generate_private_key(ec.SECP256R1())
    purpose: list[tuple[x509.ExtensionType, bool]] = [(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)]
    now = _machine_time()
    certificate = clients.issue(subject, key.public_key(), now=now, days=_TLS_DAYS, extensions=purpose)
    return write_pair(folder, f"freja-{name}", certificate, key)


def _machine_time() -> datetime:
    # TLS knows no clock but the machine's.
    return SystemClock().now()
