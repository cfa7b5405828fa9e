"""Text messages, handed over to a gateway over HTTPS: 46elks, GatewayAPI, Twilio, or any that takes our webhook."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import requests

from idbroker.messages import gsm
from idbroker.messages._gateways import GATEWAYS, Account, Ask, Call
from idbroker.messages.message import Message, NotSent, Sender, Unsure

Http = Callable[..., requests.Session]

_TIMEOUT = (3.05, 8.0)  # seconds to connect, and for each read
_WHOLE = timedelta(seconds=10)
_CAP = 64 * 1024
_SENDER_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ._-]{1,11}")
_SENDER_NUMBER = re.compile(r"\+?[1-9][0-9]{4,14}")
_TWILIO_SERVICE = re.compile(r"MG[0-9a-f]{32}")
_TWILIO_ACCOUNT = re.compile(r"AC[0-9a-f]{32}")
_SHORTEST_SECRET = 32
# Refused whatever the message is: our login, our bill, our address of it.
_OURS = (401, 402, 403, 404, 405, 407, 429)
_LATER = (408, 425)
# What breaks before the first octet of a request has gone.
_BEFORE = (ConnectionRefusedError, socket.gaierror, ssl.SSLCertVerificationError)
_PASSWORDS = ("46elks", "twilio")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`[sms]`: the gateway that takes our text messages, and whom they are from.

    `sender` is a name (at most 11 letters and digits) or a number; of Twilio a Messaging Service's id too. 46elks
    has `username` and `password`; GatewayAPI has `token`; Twilio has `username`, its account's id, and `password`,
    its token; `webhook` has `address` and `secret` (32 characters at least), which signs what is sent. Each secret
    is in the file or in what `…_file` names. `address` is for another of the gateway's platforms, or a simulator.
    """

    kind: Literal["46elks", "gatewayapi", "twilio", "webhook"]
    sender: str
    address: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    password_file: Path | None = None
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    secret: str | None = field(default=None, repr=False)
    secret_file: Path | None = None

    @property
    def key(self) -> str:
        """Return the one secret that this kind has, "" for none. Raises OSError and UnicodeDecodeError."""
        given, file = self.of_kind
        return file.read_text("utf-8").strip() if file else given or ""

    @property
    def of_kind(self) -> tuple[str | None, Path | None]:
        """Return the secret of this kind, or the file that holds it."""
        if self.kind in _PASSWORDS:
            return self.password, self.password_file
        return (self.token, self.token_file) if self.kind == "gatewayapi" else (self.secret, self.secret_file)


def mistakes(settings: Settings) -> list[str]:
    """Return everything that cannot work, in sentences for the operator."""
    if settings.kind not in GATEWAYS:
        return [f"kind: one of {', '.join(GATEWAYS)}"]
    return [*_sender(settings), *_place(settings), *_login(settings), *_others(settings)]


def _sender(settings: Settings) -> Iterator[str]:
    service = settings.kind == "twilio" and _TWILIO_SERVICE.fullmatch(settings.sender)
    if not (service or _SENDER_NAME.fullmatch(settings.sender) or _SENDER_NUMBER.fullmatch(settings.sender)):
        yield "sender: a name of at most 11 letters and digits, or a number like +46701234567"


def _place(settings: Settings) -> Iterator[str]:
    if settings.address is None:
        if settings.kind == "webhook":
            yield "address: is missing"
        return
    try:
        parts = urlsplit(settings.address)
        host = parts.hostname
    except ValueError:
        host, parts = None, urlsplit("")
    if not host or parts.username is not None or parts.fragment or not settings.address.isprintable():
        yield "address: an address like https://gateway.example.org/sms, without a user"
    # Codes and the login would be read by whoever is on the way.
    elif parts.scheme != "https" and not (parts.scheme == "http" and host in ("localhost", "127.0.0.1", "::1")):
        yield "address: must be https (http only on this machine)"


def _login(settings: Settings) -> Iterator[str]:
    name = "password" if settings.kind in _PASSWORDS else "token" if settings.kind == "gatewayapi" else "secret"
    given, file = settings.of_kind
    if (given is None) == (file is None):
        yield f"{name}: either {name} or {name}_file"
        return
    try:
        key = settings.key
    except (OSError, UnicodeDecodeError):
        yield f"{name}_file: does not read: {file}"
        return
    if not key or not key.isprintable():
        yield f"{name}: is empty, or more than one line"
    elif name == "secret" and len(key) < _SHORTEST_SECRET:
        yield f"secret: at least {_SHORTEST_SECRET} characters"
    if settings.kind == "twilio" and not _TWILIO_ACCOUNT.fullmatch(settings.username or ""):
        yield "username: the account's id, AC and 32 digits"
    if settings.kind == "46elks" and not settings.username:
        yield "username: is missing"


def _others(settings: Settings) -> Iterator[str]:
    """Find what another kind has: a secret that nobody reads is one that somebody believes in."""
    allowed = {"46elks": ("username", "password"), "twilio": ("username", "password"), "gatewayapi": ("token",)}
    mine = allowed.get(settings.kind, ("secret",))
    for name in ("username", "password", "token", "secret"):
        if name not in mine and (getattr(settings, name) or getattr(settings, f"{name}_file", None)):
            yield f"{name}: is not for {settings.kind}"


def make_sms(settings: Settings, http: Http) -> Sender:
    """Return the sender for settings without mistakes.

    `http` makes a session that is kept, from `timeout`, `deadline` and `cap`. Raises OSError for a file that does
    not read.
    """
    account = Account(
        sender=settings.sender, username=settings.username or "", key=settings.key, address=settings.address
    )
    session = http(timeout=_TIMEOUT, deadline=_WHOLE, cap=_CAP)
    return Sms(session, account, GATEWAYS[settings.kind])


class Sms:
    """`Sender` by a gateway."""

    def __init__(self, session: requests.Session, account: Account, ask: Ask) -> None:
        self._session = session
        self._account = account
        self._ask = ask

    def send(self, message: Message) -> None:
        """Hand a message over. Raises NotSent, or Unsure once the gateway may have it."""
        if not re.fullmatch(r"\+[1-9][0-9]{6,14}", message.to):
            raise NotSent("a number that is not in E.164", for_good=True)
        text = gsm.plain(message.text)
        _check(self._answered(self._ask(self._account, message, text)))

    def _answered(self, call: Call) -> int:
        # A connection of its own: one that was kept may be gone when the request is, and nobody would know how far.
        headers = {**call.headers, "Connection": "close"}
        try:
            return self._session.post(call.url, data=call.body, headers=headers, auth=call.auth).status_code
        except requests.TooManyRedirects as error:
            raise NotSent("a redirect, where none is followed", outage=True) from error
        except requests.RequestException as error:
            if _never_left(error):
                raise NotSent(f"not reached: {type(error).__name__}", outage=True) from error
            raise Unsure(f"no answer: {type(error).__name__}") from error


def _never_left(error: requests.RequestException) -> bool:
    """Tell whether the request cannot have reached the gateway."""
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.InvalidSchema):
        return True
    return isinstance(error.__cause__, _BEFORE)


def _check(status: int) -> None:
    """Return for a yes. A gateway's own words are left out: they quote numbers."""
    if 200 <= status < 300:
        return
    outage = status in _OURS or status >= 500
    raise NotSent(f"the gateway said {status}", for_good=not outage and status not in _LATER, outage=outage)
