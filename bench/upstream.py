"""The MitID stand-in: the Nets eID Broker's wire format, as light as an honest one can be.

It keeps what it promised between the steps: a code works once, for its client, its redirect address and
its PKCE verifier; the ID token is really signed. It has no page: every person approves at once. `PUT
/bench` sets how many persons come, how slow the back channel is, and whether signatures are broken.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import random
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

import click
import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from bench.people import Synthetic, person

CLIENT_ID, CLIENT_SECRET = "idbroker", "upstream-secret"
DISCOVERY, JWKS = "/.well-known/openid-configuration", "/.well-known/openid-configuration/jwks"
AUTHORIZE, TOKEN, USERINFO, CONTROL = "/connect/authorize", "/connect/token", "/connect/userinfo", "/bench"
_NSIS = "https://data.gov.dk/concept/core/nsis/"
_AUTHORIZATION = "Basic " + base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
_REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}
_MOST_KEPT = 20_000  # sign-ins that were begun and never finished


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How the stand-in behaves now. `latency` is in seconds and holds for the back channel."""

    persons: int = 1000
    latency: float = 0.0
    corrupt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What one request asked, kept under its code and then under its access token."""

    redirect_uri: str
    challenge: str
    nonce: str
    scopes: frozenset[str]
    level: str
    person: Synthetic
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request: `headers` by lower-case name, `fields` from the query or the form."""

    method: str
    path: str
    headers: Mapping[str, str]
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One HTTP answer."""

    status: int = 200
    body: bytes = b""
    location: str | None = None
    delayed: bool = False

    def octets(self) -> bytes:
        """Return it as it goes over the wire."""
        head = f"HTTP/1.1 {self.status} {_REASONS[self.status]}\r\nContent-Length: {len(self.body)}\r\n"
        head += "Content-Type: application/json\r\nCache-Control: no-store\r\n"
        if self.location is not None:
            head += f"Location: {self.location}\r\n"
        return head.encode() + b"\r\n" + self.body


@dataclass(kw_only=True)
class StandIn:
    """One OpenID provider for one client."""

    issuer: str
    redirect_uri: str
    draw: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311 - who comes is no secret
    behaviour: Behaviour = field(default_factory=Behaviour)

    def __post_init__(self) -> None:
        """Make the key and what never changes."""
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._kid = secrets.token_hex(8)
        self._codes: dict[str, Asked] = {}
        self._tokens: dict[str, Asked] = {}
        self._routes: Mapping[tuple[str, str], Callable[[Request], Reply]] = {
            ("GET", DISCOVERY): lambda _: _json(self._metadata()),
            ("GET", JWKS): lambda _: _json(self._jwks()),
            ("GET", AUTHORIZE): self._authorize,
            ("POST", TOKEN): self._token,
            ("GET", USERINFO): self._userinfo,
            ("PUT", CONTROL): self._control,
        }

    def answer(self, request: Request) -> Reply:
        """Answer a request."""
        route = self._routes.get((request.method, request.path))
        return route(request) if route is not None else _error("not_found", 404)

    def _metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": self.issuer + AUTHORIZE,
            "token_endpoint": self.issuer + TOKEN,
            "userinfo_endpoint": self.issuer + USERINFO,
            "jwks_uri": self.issuer + JWKS,
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }

    def _jwks(self) -> dict[str, Any]:
        public = jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": self._kid, "alg": "ES256", "use": "sig"}]}

    def _authorize(self, request: Request) -> Reply:
        fields = request.fields
        wrong = (
            fields.get("client_id") != CLIENT_ID,
            fields.get("redirect_uri") != self.redirect_uri,
            fields.get("response_type") != "code",
            fields.get("code_challenge_method") != "S256",
            not fields.get("nonce"),
        )
        if any(wrong):
            return _error("invalid_request")
        code = secrets.token_urlsafe(24)
        _keep(self._codes, code, self._asked(fields))
        back = urlencode({"code": code, "state": fields.get("state", ""), "iss": self.issuer})
        return Reply(status=302, location=f"{self.redirect_uri}?{back}")

    def _asked(self, fields: Mapping[str, str]) -> Asked:
        wished = json.loads(fields.get("idp_params", "{}")).get("mitid", {})
        return Asked(
            redirect_uri=fields["redirect_uri"],
            challenge=fields.get("code_challenge", ""),
            nonce=fields["nonce"],
            scopes=frozenset(fields.get("scope", "").split()),
            level=str(wished.get("loa_value", "substantial")).capitalize(),
            person=person(self.draw.randrange(self.behaviour.persons)),
            at=int(time.time()),
        )

    def _token(self, request: Request) -> Reply:
        if not hmac.compare_digest(request.headers.get("authorization", ""), _AUTHORIZATION):
            return _error("invalid_client", 401)
        asked = self._codes.pop(request.fields.get("code", ""), None)
        digest = hashlib.sha256(request.fields.get("code_verifier", "").encode()).digest()
        wrong = (
            asked is None,
            asked is not None and request.fields.get("redirect_uri") != asked.redirect_uri,
            asked is not None and not hmac.compare_digest(_b64(digest), asked.challenge),
        )
        if asked is None or any(wrong):
            return _error("invalid_grant")
        access_token = secrets.token_urlsafe(24)
        _keep(self._tokens, access_token, asked)
        tokens = {"access_token": access_token, "token_type": "Bearer", "expires_in": 10800}
        return replace(_json({**tokens, "id_token": self._id_token(asked, access_token)}), delayed=True)

    def _id_token(self, asked: Asked, access_token: str) -> str:
        now, level = int(time.time()), _NSIS + asked.level
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "sub": asked.person.subject,
            "nonce": asked.nonce,
            "iat": now,
            "nbf": now,
            "exp": now + 300,
            "auth_time": asked.at,
            "at_hash": _b64(hashlib.sha256(access_token.encode()).digest()[:16]),
            "amr": ["code_app"],
            **dict.fromkeys(("acr", "loa", "ial", "aal"), level),
            "idp": "mitid",
            "identity_type": "private",
            "neb_sid": asked.person.subject,
        }
        token = jwt.encode(claims, self._key, "ES256", headers={"kid": self._kid})
        # The first letter: of the last one only some bits count.
        head, _, signature = token.rpartition(".")
        broken = ("B" if signature[0] == "A" else "A") + signature[1:]
        return f"{head}.{broken}" if self.behaviour.corrupt else token

    def _userinfo(self, request: Request) -> Reply:
        asked = self._tokens.pop(request.headers.get("authorization", "").removeprefix("Bearer "), None)
        if asked is None:
            return _error("invalid_token", 401)
        whom = asked.person
        claims = {
            "sub": whom.subject,
            "idp_identity_id": whom.subject,
            "mitid.uuid": whom.subject,
            "mitid.date_of_birth": whom.born.isoformat(),
            "mitid.identity_name": whom.name,
            "mitid.has_cpr": "true",
        }
        number = {"dk.cpr": whom.number} if "ssn" in asked.scopes else {}
        return replace(_json({**claims, **number}), delayed=True)

    def _control(self, request: Request) -> Reply:
        told = request.fields
        self.behaviour = Behaviour(
            persons=int(told["persons"]), latency=float(told["latency"]), corrupt=told["corrupt"] == "True"
        )
        return _json({})


class Server(asyncio.Protocol):
    """One kept connection: a request at a time, as HTTP clients send them."""

    def __init__(self, stand_in: StandIn) -> None:
        self._stand_in = stand_in
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Answer as soon as a whole request is there."""
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        method, target, _ = lines[0].split(" ", 2)
        path, _, query = target.partition("?")
        text = query if method == "GET" else rest[:length].decode()
        request = Request(method=method, path=path, headers=headers, fields=dict(parse_qsl(text)))
        self._reply(self._stand_in.answer(request))

    def _reply(self, reply: Reply) -> None:
        latency = self._stand_in.behaviour.latency
        if reply.delayed and latency:
            asyncio.get_running_loop().call_later(latency, self._transport.write, reply.octets())
        else:
            self._transport.write(reply.octets())


def _json(value: Mapping[str, Any]) -> Reply:
    return Reply(body=json.dumps(value).encode())


def _error(code: str, status: int = 400) -> Reply:
    return Reply(status=status, body=json.dumps({"error": code}).encode())


def _b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _keep(kept: dict[str, Asked], name: str, asked: Asked) -> None:
    kept[name] = asked
    if len(kept) > _MOST_KEPT:
        del kept[next(iter(kept))]


async def _serve(stand_in: StandIn, port: int) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Server(stand_in), "127.0.0.1", port, backlog=512)
    async with server:
        await server.serve_forever()


@click.command()
@click.option("--port", type=int, required=True)
@click.option("--redirect-uri", required=True)
def main(port: int, redirect_uri: str) -> None:
    """Serve the stand-in on loopback until it is ended."""
    asyncio.run(_serve(StandIn(issuer=f"http://127.0.0.1:{port}", redirect_uri=redirect_uri), port))


if __name__ == "__main__":
    main()
