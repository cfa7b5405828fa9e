"""Swedish BankID, by its own RP API v6.0: an app that is waited for.

Sources: BankID's developer documentation and sample code; RFC 8176 for the methods; Digg's rules for
the level (BankID is a Swedish e-legitimation of level 3, which is substantial).
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import requests
import structlog

from idbroker.clock import Clock
from idbroker.errors import ConfigError, Refused, Unreachable, Untrusted
from idbroker.identity import Identity, LoA
from idbroker.numbers import NationalNumber
from idbroker.providers import Asked, Means, Progress, Wait
from idbroker.providers._bankid import dialling
from idbroker.providers._bankid.api import Api
from idbroker.providers._bankid.hints import failed, lapsed, pending
from idbroker.providers._bankid.order import Order, milliseconds, tokens, unpack
from idbroker.providers._bankid.proof import Rules, identity_of
from idbroker.providers._bankid.request import new_order
from idbroker.providers._bankid.settings import (
    Settings,
    certificates_in,
    days_left,
    mistakes_in,
    requirement_mistakes,
)
from idbroker.visitor import Device, Kind, Visitor

__all__ = ["BankID", "Settings", "make", "requirement_mistakes"]

_log = structlog.get_logger("idbroker.providers.bankid")

_SOON = 30  # days; a bank may take weeks to issue the next certificate
_TIMEOUT = (5.0, 5.0)  # as BankID's own sample code has it
_DEADLINE = timedelta(seconds=10)
_CAP = 512 * 1024  # a signature with its certificates takes some twenty thousand octets


class BankID:
    """Signs people in with BankID."""

    loa = LoA.SUBSTANTIAL
    short = "BankID"
    pace = timedelta(seconds=2)  # BankID asks for no more
    origins: tuple[str, ...] = ()
    shows = True  # whoever is dialled reads our words in the app

    def __init__(self, settings: Settings, rules: Rules, api: Api, clock: Clock) -> None:
        self.title = settings.title
        self.binding, self.dials = settings.binding, settings.telephone
        self._settings, self._rules, self._api, self._clock = settings, rules, api, clock

    def begin(self, asked: Asked) -> Wait:
        """Make an order."""
        body = new_order(asked, self._settings.user_text, self._settings.certificate_policies)
        made = tokens(self._api.auth(body))
        order = Order(
            **asdict(made),
            # When the answer reached us: the codes of a slow answer would be ahead of BankID's clock.
            began=milliseconds(self._clock.now()),
            device=asked.device.value,
            returns="returnUrl" in body,
            visible=body["userVisibleData"],
            hidden=body["userNonVisibleData"],
        )
        return Wait(state=order.pack(), progress=Progress.WAITING, says=order.says)

    def resume(self, asked: Asked, state: bytes, reply: Mapping[str, str]) -> Wait | Identity:
        """Look at the order once. An unchanged order keeps the very state it had."""
        order = unpack(state)
        if order is None:
            raise Untrusted("a state that does not read")
        answer = self._collected(order.order)
        match answer.get("status"):
            case "pending":
                return _waiting(order, state, answer.get("hintCode"))
            case "failed":
                return _failed(order, answer.get("hintCode"))
            case "complete":
                return self._complete(asked, order, answer)
            case _:
                raise Unreachable("collect: an unknown status")

    def _complete(self, asked: Asked, order: Order, answer: Mapping[str, object]) -> Identity:
        identity = identity_of(answer, order, asked, self._rules)
        if identity.loa < asked.least:
            raise Refused("level_too_low", f"asked {asked.loa.word}, got {identity.loa.word}")
        return identity

    def code(self, state: bytes, now: datetime) -> str | None:
        """Return the text of the animated QR code at this moment; None while none may be shown."""
        order = unpack(state)
        return None if order is None else order.code(now)

    def link(self, state: bytes, visitor: Visitor) -> str:
        """Return the address that opens the app: the universal link on phones and tablets, else the program's.

        An order that waits for another device gives no token away: opened by a link that somebody was
        sent, it would sign the sender in (research of 2024 on BankID's session fixation).
        """
        start = self._settings.program_link if visitor.kind is Kind.COMPUTER else self._settings.app_link
        order = unpack(state)
        if order is None or order.device != Device.THIS.value:
            return start
        # The order's own way back goes before this one, which says: to whichever app was there before.
        leads = "" if order.returns and visitor.kind is not Kind.COMPUTER else "&redirect=null"
        return f"{start}?autostarttoken={order.autostart}{leads}"

    def drop(self, state: bytes) -> None:
        """Cancel an order; one that has ended already is left alone. Raises Unreachable.

        Left to itself it would keep the person's app from their next one.
        """
        order = unpack(state)
        if order is not None:
            self._cancel(order.order)

    # ---- by telephone: `patients.telephone.Dialled` ----------------------------------------------

    def dial(
        self,
        number: NationalNumber,
        said: str,
        *,
        by_clinic: bool,
        now: datetime,
        requirement: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Make an order for whoever has this number; they find it when they open their app."""
        policies = self._settings.certificate_policies
        body = dialling.new_call(number, said, requirement or {}, policies, by_clinic=by_clinic)
        return dialling.begun(self._api.call(body), body, now).pack()

    def heard(self, state: bytes, now: datetime) -> Identity | None:
        """Look once; return who approved, None while nobody has."""
        called = dialling.unpack(state)
        answer = self._collected(called.order)
        match answer.get("status"):
            case "pending":
                return None
            case "failed":
                raise dialling.ended(answer.get("hintCode"))
            case "complete":
                return dialling.heard(answer, called, self._rules, now)
            case _:
                raise Unreachable("collect: an unknown status")

    def hang_up(self, state: bytes) -> None:
        """Cancel such an order; one that has ended already is left alone. Raises Unreachable."""
        self._cancel(dialling.unpack(state).order)

    def _collected(self, order: str) -> Mapping[str, object]:
        answer = self._api.collect(order)
        if not isinstance(answer, dict) or answer.get("orderRef") != order:
            raise Unreachable("collect: an answer about no order or another")
        return answer

    def _cancel(self, order: str) -> None:
        try:
            self._api.cancel(order)
        except Refused as refused:
            raise Unreachable(refused.detail) from refused


def _waiting(order: Order, state: bytes, hint: object) -> Wait:
    progress, says = pending(hint)
    if not order.waiting:
        progress = Progress.OPENED  # what was opened once is never shown as a code again
    if (progress.value, says) == (order.progress, order.says):
        return Wait(state=state, progress=progress, says=says)
    return Wait(state=order.at(progress, says).pack(), progress=progress, says=says)


def _failed(order: Order, hint: object) -> Wait:
    if lapsed(hint, waiting=order.waiting):
        return Wait(state=order.at(Progress.LAPSED, "b.st.start").pack(), progress=Progress.LAPSED)
    raise failed(hint)


def make(name: str, settings: Settings, means: Means) -> BankID:
    """Return the provider. ConfigError, with every mistake, when the settings cannot work.

    A certificate that has expired is no mistake but a warning: nobody wrote it wrong, and a restart on
    the day after must not take the other eIDs down with this one, which says Unreachable by itself.
    """
    mistakes = mistakes_in(settings, sandbox=means.sandbox)
    if mistakes:
        raise ConfigError([(f"providers.{name}", what) for what in mistakes])
    left = days_left(settings, means.clock.now())
    if left < _SOON:
        _log.warning("bankid_certificate_ends", provider=name, days_left=left)
    address = (settings.address or settings.at.address).rstrip("/")
    api = Api(address, _connections(name, settings, means), means.clock)
    return BankID(settings, _rules(name, settings), api, means.clock)


def _connections(name: str, settings: Settings, means: Means) -> requests.Session:
    pair = (str(settings.certificate_file), str(settings.key_file))
    passphrase = settings.passphrase
    try:
        return means.http(
            timeout=_TIMEOUT,
            deadline=_DEADLINE,
            cap=_CAP,
            trust=str(settings.server_root_file),
            cert=pair if passphrase is None else (*pair, passphrase),
        )
    except (OSError, ssl.SSLError) as error:
        raise ConfigError([(f"providers.{name}", "certificate_file and key_file: OpenSSL takes neither")]) from error


def _rules(name: str, settings: Settings) -> Rules:
    return Rules(
        provider=name,
        issuer=settings.at.issuer,
        roots=tuple(root for path in settings.signing_root_files for root in certificates_in(path)),
        policies=settings.certificate_policies or settings.at.policies,
        relying_party=settings.relying_party,
        refuse_risk=settings.refuse_risk,
    )
