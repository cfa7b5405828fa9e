"""The simulated Swedish BankID: the Relying Party API v6.0 on the wire, and an app in everybody's pocket.

What it does on request or by person: every failure and every step that a hintCode can name, and each lie of
`bankid_lies`. Its certificates are its own: nothing here is trusted by, or trusts, anything outside.
"""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.exceptions import ClientDisconnected
from werkzeug.wrappers import Request, Response

from idbroker.clock import Clock, SystemClock
from idbroker.sandbox.bankid_certificates import Parties, Unauthorized, make_files
from idbroker.sandbox.bankid_chain import MOBILE_POLICY, Chain
from idbroker.sandbox.bankid_lies import LIES
from idbroker.sandbox.bankid_orders import AlreadyInProgress, NoSuchOrder, Orders, Party, Placed, TooMany
from idbroker.sandbox.bankid_phone import OUTCOMES, BankIDPhone
from idbroker.sandbox.bankid_request import InvalidParameters, read_call, read_reference, read_wish
from idbroker.sandbox.bankid_signing import Signer
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.people import SimPerson
from idbroker.sandbox.pki import write_certificates

PREFIX = "/rp/v6.0"
LONGEST_BODY = 1_000_000  # bytes
_HUGE = 10_000_000
_RATE = {"RateLimit-Limit": "1000", "RateLimit-Remaining": "0", "RateLimit-Reset": "7"}
# What BankID calls a status when it answers with nothing else (RP API, errors).
_CODES = {
    400: "invalidParameters",
    401: "unauthorized",
    403: "unauthorized",
    404: "notFound",
    405: "methodNotAllowed",
    408: "requestTimeout",
    415: "unsupportedMediaType",
    500: "internalError",
    503: "maintenance",
}

__all__ = ["LIES", "OUTCOMES", "PREFIX", "SimBankID", "make_bankid"]

Lies = frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimBankID:
    """A BankID of one's own: `app` is to be served with mutual TLS, by `client_authority`.

    `app` reads the client's certificate from `SSL_CLIENT_CERT` of its environment (PEM, as werkzeug's
    server gives it). Paths are files in PEM. `other_client` is a second service, known as well; the
    expired and the unknown one are to be turned away. `policies` are what people's BankIDs are of.
    """

    app: WSGIApplication
    phone: BankIDPhone
    server_certificate: Path
    server_key: Path
    server_root: Path
    client_authority: Path
    client_certificate: Path
    client_key: Path
    other_client_certificate: Path
    other_client_key: Path
    expired_client_certificate: Path
    expired_client_key: Path
    unknown_client_certificate: Path
    unknown_client_key: Path
    signing_root: Path
    policies: tuple[str, ...] = (MOBILE_POLICY,)


def make_bankid(people: Iterable[SimPerson], clock: Clock, faults: Faults, *, app_link: str, folder: Path) -> SimBankID:
    """Return the simulator; its certificates lie in `folder`. `app_link` is the address that opens its app."""
    folder.mkdir(parents=True, exist_ok=True)
    chain = Chain(clock.now())
    files, services = make_files(folder, SystemClock().now())
    orders = Orders(clock)
    signer = Signer(chain, lambda: Chain(clock.now()))
    return SimBankID(
        app=_Wire(orders, Parties(services), faults),
        phone=BankIDPhone(people, clock, faults, orders, signer, app_link),
        server_certificate=files.server.certificate,
        server_key=files.server.key,
        server_root=files.server_root,
        client_authority=files.client_authority,
        client_certificate=files.client.certificate,
        client_key=files.client.key,
        other_client_certificate=files.other_client.certificate,
        other_client_key=files.other_client.key,
        expired_client_certificate=files.expired_client.certificate,
        expired_client_key=files.expired_client.key,
        unknown_client_certificate=files.unknown_client.certificate,
        unknown_client_key=files.unknown_client.key,
        signing_root=write_certificates(folder / "signing_root.crt", chain.root),
    )


class _Failure(Exception):
    """An answer with an errorCode."""

    def __init__(self, status: int, details: str, code: str | None = None) -> None:
        super().__init__(details)
        self.status, self.details, self.code = status, details, code


class _Wire:
    """The API as a WSGI application."""

    def __init__(self, orders: Orders, parties: Parties, faults: Faults) -> None:
        self._orders, self._parties, self._faults = orders, parties, faults
        self._calls: Mapping[str, Callable[[Party, Mapping[str, Any], Lies], Response]] = {
            f"{PREFIX}/auth": self._auth,
            f"{PREFIX}/phone/auth": self._phone,
            f"{PREFIX}/collect": self._collect,
            f"{PREFIX}/cancel": self._cancel,
        }

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        try:
            response = self._answer(Request(environ))
        except _Failure as failure:
            response = _failed(failure.status, failure.details, failure.code)
        except ConnectionAbortedError:
            _hang_up(environ)
            raise
        return response(environ, start)

    def _answer(self, request: Request) -> Response:
        fault = self._faults.suffer("bankid")
        if fault.down:
            return Response("<html><body>Service Unavailable</body></html>", 503, mimetype="text/html")
        if fault.status:
            return _failed(fault.status, "as asked for")
        for lie in sorted(fault.lies & _INSTEAD.keys()):
            return _INSTEAD[lie]()
        call = self._calls.get(request.path)
        if call is None:
            raise _Failure(404, "Not found")
        if request.method != "POST":
            raise _Failure(405, "Method not allowed")
        try:
            return call(self._party(request), _body(request), fault.lies)
        except InvalidParameters as error:
            raise _Failure(400, f"Invalid parameter: {error}") from None
        except NoSuchOrder:
            raise _Failure(400, "No such order") from None

    def _party(self, request: Request) -> Party:
        try:
            return self._parties.party(request.environ.get("SSL_CLIENT_CERT"))
        except Unauthorized as error:
            raise _Failure(401, str(error)) from None

    def _auth(self, party: Party, body: Mapping[str, Any], lies: Lies) -> Response:
        wish = read_wish(body)
        try:
            order = self._orders.place(party, wish)
        except TooMany:
            return _too_many()
        tokens: dict[str, Any] = {
            "orderRef": order.ref,
            "autoStartToken": order.auto_start_token,
            "qrStartToken": order.qr_start_token,
            "qrStartSecret": order.qr_start_secret,
        }
        return _json(dict.fromkeys(tokens, 7) if "bad_tokens" in lies else tokens)

    def _phone(self, party: Party, body: Mapping[str, Any], lies: Lies) -> Response:
        try:
            order = self._orders.place(party, read_call(body))
        except AlreadyInProgress:
            raise _Failure(400, "Order already in progress for pno", "alreadyInProgress") from None
        except TooMany:
            return _too_many()
        return _json({"orderRef": 7 if "bad_tokens" in lies else order.ref})

    def _collect(self, party: Party, body: Mapping[str, Any], lies: Lies) -> Response:
        order = self._orders.collect(read_reference(body), party)
        if order.ended is not None and "lost_response" in lies:
            raise ConnectionAbortedError("the answer is lost")
        return _json(_told(order, lies))

    def _cancel(self, party: Party, body: Mapping[str, Any], lies: Lies) -> Response:
        self._orders.cancel(read_reference(body), party)
        return _json({})


def _told(order: Placed, lies: Lies) -> dict[str, Any]:
    told: dict[str, Any] = {"orderRef": order.ref, "status": order.status}
    if order.completion is not None:
        told["completionData"] = order.completion
    else:
        told["hintCode"] = order.hint
    if "other_order" in lies:
        told["orderRef"] = str(uuid.uuid4())
    if "new_hint" in lies and "hintCode" in told:
        told["hintCode"] = "somethingPending" if order.status == "pending" else "somethingNew"
    if "new_status" in lies:
        told["status"] = "paused"
    return told


def _body(request: Request) -> Mapping[str, Any]:
    # Word for word: BankID takes no charset either.
    if request.headers.get("Content-Type") != "application/json":
        raise _Failure(415, "Unsupported media type")
    if request.content_length is None or request.content_length > LONGEST_BODY:
        raise _Failure(400, "Invalid request")
    try:
        body = json.loads(request.get_data(cache=False))
    except (ValueError, RecursionError, ClientDisconnected):
        raise _Failure(400, "Invalid request") from None
    if not isinstance(body, dict):
        raise _Failure(400, "Invalid request")
    return body


def _json(body: object, status: int = 200) -> Response:
    return Response(json.dumps(body, ensure_ascii=False), status, mimetype="application/json")


def _failed(status: int, details: str, code: str | None = None) -> Response:
    if status == 429:
        return _too_many()
    code = code or _CODES.get(status)
    if code is None:
        return Response(status=status)
    return _json({"errorCode": code, "details": details}, status)


def _too_many() -> Response:
    response = _json({"errorCode": "tooManyRequests", "details": "Too many requests"}, 429)
    response.headers.update(_RATE)
    return response


def _hang_up(environ: WSGIEnvironment) -> None:
    # The server would go on waiting for the next request, and the client for its answer.
    connection = environ.get("werkzeug.socket")
    if isinstance(connection, socket.socket):
        connection.shutdown(socket.SHUT_RDWR)


# Lies that are told whatever was asked.
_INSTEAD: Mapping[str, Callable[[], Response]] = {
    "garbage_json": lambda: Response('{"orderRef": "131daac9-16c6', mimetype="application/json"),
    "html_body": lambda: Response("<!doctype html><title>Welcome</title>", mimetype="text/html"),
    "huge_body": lambda: Response(b'{"padding": "' + b"x" * _HUGE + b'"}', mimetype="application/json"),
    "list_json": lambda: _json([]),
    "maintenance": lambda: _failed(503, "Maintenance"),
    "new_error": lambda: _failed(400, "Something new", "somethingNew"),
    "too_many": _too_many,
}
