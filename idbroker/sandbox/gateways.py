"""SMS gateways that deliver into the inbox: GatewayAPI, 46elks, Twilio and a webhook, each in its own words."""

from __future__ import annotations

import hmac
import json
import re
import secrets
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from idbroker.sandbox.faults import Faults
from idbroker.sandbox.inbox import Inbox

LIES = (
    "drops",  # takes the message, delivers it, and hangs up without an answer
    "failed",  # answers as if all were well, and says inside that nothing was sent
    "nonsense",  # answers 200 with a page for people
)
GATEWAYAPI, ELKS, TWILIO, WEBHOOK = "/rest/mtsms", "/a1/sms", "/2010-04-01/Accounts", "/webhook"
ACCOUNT = "AC" + "0" * 32  # ours at Twilio; of 46elks any user is
SIGNATURE = "Idbroker-Signature"
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_SENDER = re.compile(r"[A-Za-z0-9 ._-]{1,11}|\+?[0-9]{3,15}")
_LONGEST = 1600


@dataclass(frozen=True, slots=True, kw_only=True)
class SimSms:
    """What the gateways are of one world: where they deliver, what is broken, and the secret of our account there."""

    inbox: Inbox
    faults: Faults
    secret: str = field(repr=False)


class _Refused(Exception):
    """The gateway says no: an HTTP status, and what it says is wrong."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status, self.words = status, words


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What is to be sent."""

    to: str = field(repr=False)
    text: str = field(repr=False)
    sender: str


def make_gateways(sim: SimSms) -> Flask:
    """Return the application of all four, to be mounted at the root of an address of its own."""
    app = Flask("idbroker.sandbox.gateways", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = 64 * 1024
    for path, gateway in (
        (GATEWAYAPI, _GatewayApi(sim)), (ELKS, _Elks(sim)), (f"{TWILIO}/<sid>/Messages.json", _Twilio(sim)),
        (WEBHOOK, _Webhook(sim)),
    ):  # fmt: skip
        app.add_url_rule(path, path, gateway.take, methods=["POST"])
    return app


class _Gateway(ABC):
    """What they have in common: each reads its own request, and answers in its own words."""

    def __init__(self, sim: SimSms) -> None:
        self._sim = sim

    def take(self, **place: str) -> Response:
        """Take one request."""
        fault = self._sim.faults.suffer("sms")
        if fault.answer is not None:
            return self._no(_Refused(fault.answer, "Something is broken on purpose"))
        try:
            wanted = self._checked(place)
        except _Refused as refused:
            return self._no(refused)
        if "nonsense" in fault.lies:
            return Response("<!doctype html><title>Maintenance</title>", content_type="text/html")
        if "failed" in fault.lies:
            return self._yes(wanted, sent=False)
        self._sim.inbox.add("sms", wanted.to, wanted.text)
        if "drops" in fault.lies:
            _hang_up()
        return self._yes(wanted, sent=True)

    def _checked(self, place: Mapping[str, str]) -> _Wanted:
        if not self._is_ours(place):
            raise _Refused(401, "Wrong credentials")
        wanted = self._read()
        if not _E164.fullmatch(wanted.to):
            raise _Refused(400, "The number is not in E.164")
        if not 0 < len(wanted.text) <= _LONGEST:
            raise _Refused(400, "The text is empty, or too long")
        if not _SENDER.fullmatch(wanted.sender):
            raise _Refused(400, "The sender is no number, and not 1 to 11 letters and digits")
        return wanted

    def _is_ours(self, place: Mapping[str, str]) -> bool:
        """Tell whether the request is from our account: by default the secret is Basic's password."""
        return self._is_secret(request.authorization.password if request.authorization else None)

    def _is_secret(self, said: str | None) -> bool:
        return hmac.compare_digest((said or "").encode(), self._sim.secret.encode())

    @abstractmethod
    def _read(self) -> _Wanted:
        """Read the request in this gateway's own words. Raises _Refused."""

    @abstractmethod
    def _yes(self, wanted: _Wanted, *, sent: bool) -> Response:
        """Answer that the message was taken."""

    @abstractmethod
    def _no(self, refused: _Refused) -> Response:
        """Answer that it was not."""


class _GatewayApi(_Gateway):
    """GatewayAPI: JSON, numbers without a plus, the token as Basic's user."""

    def _is_ours(self, place: Mapping[str, str]) -> bool:
        basic = request.authorization
        return basic is not None and basic.password == "" and self._is_secret(basic.username)

    def _read(self) -> _Wanted:
        body = _json()
        to = body.get("recipients")
        if not isinstance(to, list) or len(to) != 1 or not isinstance(to[0], dict):
            raise _Refused(422, "recipients: one object")
        number = to[0].get("msisdn")
        if not isinstance(number, int) or isinstance(number, bool):
            raise _Refused(422, "msisdn: a number, without a plus")
        return _Wanted(to=f"+{number}", text=_text(body, "message"), sender=_text(body, "sender"))

    def _yes(self, wanted: _Wanted, *, sent: bool) -> Response:
        usage = {"countries": {"DK": 1}, "currency": "DKK", "total_cost": 0.12}
        return _answer({"ids": [secrets.randbelow(10**9)], "usage": usage} if sent else {"ids": [], "usage": {}})

    def _no(self, refused: _Refused) -> Response:
        told = {"code": "0x0213", "incident_uuid": secrets.token_hex(16), "message": refused.words}
        return _answer(told, refused.status)


class _Elks(_Gateway):
    """46elks: a form, and errors in plain text."""

    def _read(self) -> _Wanted:
        return _Wanted(to=_field("to"), text=_field("message"), sender=_field("from"))

    def _yes(self, wanted: _Wanted, *, sent: bool) -> Response:
        return _answer(
            {
                "id": f"s{secrets.token_hex(16)}", "status": "created" if sent else "failed", "direction": "outgoing",
                "from": wanted.sender, "to": wanted.to, "message": wanted.text, "parts": 1, "cost": 3500,
            }
        )  # fmt: skip

    def _no(self, refused: _Refused) -> Response:
        return Response(f'"{refused.words}"', refused.status, content_type="text/plain; charset=utf-8")


class _Twilio(_Gateway):
    """Twilio: a form with capital letters, the account's id in the address, 201."""

    def _is_ours(self, place: Mapping[str, str]) -> bool:
        basic = request.authorization
        return basic is not None and basic.username == place["sid"] == ACCOUNT and super()._is_ours(place)

    def _read(self) -> _Wanted:
        sender = request.form.get("From") or "service" * bool(request.form.get("MessagingServiceSid"))
        return _Wanted(to=_field("To"), text=_field("Body"), sender=sender)

    def _yes(self, wanted: _Wanted, *, sent: bool) -> Response:
        told = {
            "sid": f"SM{secrets.token_hex(16)}", "account_sid": ACCOUNT, "from": wanted.sender, "to": wanted.to,
            "body": wanted.text, "status": "queued" if sent else "failed", "error_code": None if sent else 30008,
            "error_message": None if sent else "Unknown error",
        }  # fmt: skip
        return _answer(told, 201)

    def _no(self, refused: _Refused) -> Response:
        return _answer({"code": 20000 + refused.status, "message": refused.words, "status": refused.status},
                       refused.status)  # fmt: skip


class _Webhook(_Gateway):
    """The operator's own address: JSON, signed as a whole; what comes a second time is known by its id."""

    def __init__(self, sim: SimSms) -> None:
        super().__init__(sim)
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def _is_ours(self, place: Mapping[str, str]) -> bool:
        signature = hmac.new(self._sim.secret.encode(), request.get_data(), "sha256").hexdigest()
        return hmac.compare_digest(request.headers.get(SIGNATURE, ""), f"sha256={signature}")

    def _read(self) -> _Wanted:
        body = _json()
        with self._lock:
            if _text(body, "id") in self._seen:
                raise _Refused(409, "This message came before")
            self._seen.add(_text(body, "id"))
        return _Wanted(to=_text(body, "to"), text=_text(body, "text"), sender=_text(body, "from"))

    def _yes(self, wanted: _Wanted, *, sent: bool) -> Response:
        return Response(status=204 if sent else 422)

    def _no(self, refused: _Refused) -> Response:
        return Response(refused.words, refused.status, content_type="text/plain; charset=utf-8")


def _json() -> dict[str, Any]:
    try:
        body = request.get_json()
    except HTTPException as error:
        raise _Refused(error.code or 400, "The body is not JSON") from error
    if not isinstance(body, dict):
        raise _Refused(400, "The body is not an object")
    return body


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise _Refused(422, f"{name}: a text")
    return value


def _field(name: str) -> str:
    if name not in request.form:
        raise _Refused(400, f"Missing key {name}")
    return request.form[name]


def _answer(value: Mapping[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(value, ensure_ascii=False), status, content_type="application/json")


def _hang_up() -> None:
    """Cut the connection: the answer that follows goes nowhere."""
    connection = request.environ.get("werkzeug.socket")
    if isinstance(connection, socket.socket):
        connection.shutdown(socket.SHUT_RDWR)
