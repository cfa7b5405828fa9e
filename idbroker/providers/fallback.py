"""Signing in without an eID: national number, password, and a one-time code to an address that was verified.

For people who lack an eID, and for children. Level low, whatever was received: a password and a code can be given
away. Sources: SP 800-63B-4, 3.1.1 and 3.1.3; OWASP ASVS 5.0, 6.3, 6.6; RFC 8176.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never
from urllib.parse import urlsplit

from idbroker.accounts.account import Account
from idbroker.accounts.desk import APP, Answer, Desk, LockedOut, RightPassword, TooBusy, Way, WrongPassword
from idbroker.clinic import COUNTRIES
from idbroker.codec import Codec
from idbroker.errors import Cancelled, ConfigError, Refused, StoreError, Unreachable, Untrusted
from idbroker.identity import Identity, LoA
from idbroker.messages.message import Channel
from idbroker.numbers import NationalNumber, NotANumber, birthdate_of, parse
from idbroker.otp import codes
from idbroker.otp.one_time import Limited, Locked, Old, Right, Sent, Wrong
from idbroker.providers import Asked, Challenge, Form, Means
from idbroker.visit import Visit

_LONGEST_NUMBER = 64
_LONGEST_PAUSE = timedelta(days=1)  # what is locked for longer ends by recovery, and no moment is promised
# RFC 8176, 2. `mfa` where there really are two factors: SP 800-63B-4, 3.1.3.1, takes e-mail for none, as its mailbox
# opens by a password too. `sms` is a code to a registered number; `otp` of an app is what the RFC means by it.
_AMR = {
    Channel.SMS.value: ("pwd", "sms", "mfa"),
    Channel.EMAIL.value: ("pwd", "otp"),
    APP: ("pwd", "otp", "mfa"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`[providers.NAME]` of kind `fallback`: `title` is what it is called; the clinics decide the rest."""

    title: str = "Password"


def make(name: str, settings: Settings, means: Means) -> Fallback:
    """Return the provider. ConfigError when it has no name."""
    if not settings.title.strip():
        raise ConfigError([(f"providers.{name}", "title: is empty")])
    return Fallback(name, settings, means)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Where:
    """How far one sign-in is: at the password, or (with a person) at the code.

    All of it is good for one transaction: what is typed in another tab's old one never finishes this one (O11).
    `password_set_at` ends a wait for the code when the password was changed meanwhile (O4).
    """

    transaction: str
    person: str | None = None
    password_set_at: datetime | None = None
    channel: str = ""
    shown: str = ""
    until: datetime | None = None
    message: str = ""


_CODEC = Codec(_Where)


class Fallback:
    """Number and password, then a code."""

    loa = LoA.LOW
    origins: tuple[str, ...] = ()

    def __init__(self, name: str, settings: Settings, means: Means) -> None:
        self.title = settings.title
        self._name, self._desk = name, means.desk
        self._issuer, self._host = f"{means.issuer}/fallback", urlsplit(means.issuer).hostname or ""

    def begin(self, asked: Asked) -> Challenge:
        """Ask for number and password. Whoever comes acts now: `fresh` and `max_age` are met by themselves."""
        self._check(asked)
        return _password(asked, {})

    def resume(self, asked: Asked, state: bytes, reply: Mapping[str, str]) -> Challenge | Identity:
        """Go on with what was typed: the same page with what is wrong, the code's page, or who it is.

        Which of the two was asked is what our state says, never what was posted: there is no way to the second
        without the first (O11). Raises Refused: `no_contact` (no address that a code may go to), `confirm_first`
        (no eID has confirmed yet who this is); and StoreError.
        """
        where, desk = _unpacked(state, asked), self._check(asked)
        if reply.get("do") == "back":
            raise Cancelled("another way")
        step = _Step(asked, desk, self._visit(asked), self._name, self._issuer)
        return step.password(reply) if where.person is None else step.code(where, where.person, reply)

    def _check(self, asked: Asked) -> Desk:
        if self._desk is None or asked.clinic is None or asked.client is None:
            raise Unreachable("there is no desk here")
        return self._desk

    def _visit(self, asked: Asked) -> Visit:
        if asked.clinic is None or asked.client is None:
            raise Unreachable("there is no desk here")
        return Visit(
            transaction=asked.transaction,
            clinic=asked.clinic,
            client=asked.client,
            language=asked.language,
            now=asked.now,
            host=self._host,
            ip=asked.visitor.ip,
        )


@dataclass(frozen=True, slots=True)
class _Step:
    """One reply of one sign-in."""

    asked: Asked
    desk: Desk
    visit: Visit
    name: str
    issuer: str

    # ---- number and password ---------------------------------------------------------------------

    def password(self, reply: Mapping[str, str]) -> Form:
        """Take number and password."""
        if reply.get("do") == "country":
            return _password(self.asked, reply, values={"choose": "1"})
        number, typed = _number(self.asked, reply), reply.get("password", "")
        if number is not None and typed:
            return self._answered(self.desk.password(self.visit, number, typed), reply)
        errors = {"number": "p.e.id" if number is None else "", "password": "" if typed else "p.e.pw"}
        posted = "number" in reply or "password" in reply  # else somebody only looks at the page
        return _password(self.asked, reply, errors={k: v for k, v in errors.items() if v and posted})

    def _answered(self, answer: Answer, reply: Mapping[str, str]) -> Form:
        again = functools.partial(_password, self.asked, reply)
        match answer:
            case RightPassword(account=account):
                return self._proved(account)
            case WrongPassword(left=left):
                return again(errors={"number": "p.e.wrong"}, values={} if left is None else {"left": str(left)})
            case LockedOut(until=None):
                return again(errors={"number": "p.e.closed"})
            case LockedOut(until=until):
                return again(values={"locked": _moment(until)})
            case TooBusy():
                return again(values={"busy": "1"})
            case _:
                assert_never(answer)

    def _proved(self, account: Account) -> Form:
        if self.desk.needs_eid(account, self.visit.clinic):
            raise Refused("confirm_first", person=account.person)
        ways = self.desk.ways(account, self.visit.clinic)
        if not ways:
            raise Refused("no_contact")
        where = _Where(
            transaction=self.asked.transaction, person=account.person, password_set_at=account.password_set_at
        )
        return self._sent(where, account, ways[0].channel)

    # ---- the code --------------------------------------------------------------------------------

    def code(self, where: _Where, person: str, reply: Mapping[str, str]) -> Form | Identity:
        """Take a code, or send another."""
        account = self.desk.account(person)
        if account is None or account.disabled or account.password_set_at != where.password_set_at:
            return _password(self.asked, {})  # what was proved is no longer so: they begin anew
        wished = where.channel if reply.get("do") == "again" else reply.get("do", "")
        if wished in {way.channel for way in self.desk.ways(account, self.visit.clinic)}:
            return self._sent(where, account, wished, again=wished == where.channel)
        if "code" not in reply:
            return self._asking(where, account)
        return self._checked(where, account, reply["code"])

    def _checked(self, where: _Where, account: Account, typed: str) -> Form | Identity:
        if codes.typed(typed) is None:  # it cannot be a code: no try is spent on it
            return self._asking(where, account, error="o.e.wrong")
        verdict = self.desk.check(self.visit, account, where.channel, typed)
        match verdict:
            case Right():
                return self._identity(account, where.channel)
            case Wrong(left=left):
                return self._asking(where, account, error="o.e.wrong", values={"left": str(left)})
            case Old():
                return self._sent(where, account, where.channel, again=True, error="o.e.old")
            case Locked(recover=True):
                return self._asking(where, account, error="o.e.closed")
            case Locked(until=until):
                return self._asking(where, account, values={"locked": _moment(until)})
            case _:
                assert_never(verdict)

    def _sent(
        self, where: _Where, account: Account, channel: str, *, again: bool = False, error: str | None = None
    ) -> Form:
        """Send a code, if it is one that is sent, and ask for it."""
        if channel == APP:
            return self._asking(_at(where, APP, None), account)
        sent = self.desk.send(self.visit, account, Channel(channel))
        if isinstance(sent, Limited):
            # The last one that was sent is still good: it is asked for, with what is known of it.
            kept = where if where.channel == channel else _at(where, channel, None)
            if sent.until - self.asked.now > _LONGEST_PAUSE:
                return self._asking(kept, account, error="o.e.closed")
            return self._asking(kept, account, values={"limited": _moment(sent.until)})
        values = {"again": _moment(sent.at)} if again else {}
        return self._asking(_at(where, channel, sent), account, error=error, values=values)

    def _asking(
        self, where: _Where, account: Account, *, error: str | None = None, values: Mapping[str, str] | None = None
    ) -> Form:
        ways = self.desk.ways(account, self.visit.clinic)
        others = [way.channel for way in ways if way.channel != where.channel]
        return Form(
            page="code",
            state=_CODEC.pack(where),
            values={
                "channel": where.channel,
                "shown": where.shown,
                "until": "" if where.until is None else _moment(where.until),
                "message": where.message,
                "others": " ".join(others),
                "dead": "1" if self._dead(where, ways) else "",
                "purpose": "login",
                **dict.fromkeys(("again", "left", "locked", "limited"), ""),
                **(values or {}),
            },
            errors={} if error is None else {"code": error},
        )

    def _dead(self, where: _Where, ways: tuple[Way, ...]) -> bool:
        """Tell whether nobody need wait for the message."""
        open_ways = {way.channel for way in ways if not way.dead}
        return where.channel not in open_ways or self.desk.failed(where.message)

    def _identity(self, account: Account, channel: str) -> Identity:
        return Identity(
            provider=self.name,
            issuer=self.issuer,
            subject=account.person,
            loa=LoA.LOW,
            proved_at=self.asked.now,
            amr=_AMR[channel],
            number=account.number,
            name=account.name,
            given_name=account.given_name,
            family_name=account.family_name,
            birthdate=birthdate_of(account.number, account.birthdate),
        )


def _at(where: _Where, channel: str, sent: Sent | None) -> _Where:
    return _Where(
        transaction=where.transaction,
        person=where.person,
        password_set_at=where.password_set_at,
        channel=channel,
        shown="" if sent is None else sent.shown,
        until=None if sent is None else sent.until,
        message="" if sent is None else sent.message,
    )


def _password(
    asked: Asked,
    reply: Mapping[str, str],
    *,
    errors: Mapping[str, str] | None = None,
    values: Mapping[str, str] | None = None,
) -> Form:
    """Return the first page. The number stays as it was typed; the password never comes back."""
    return Form(
        page="password",
        state=_CODEC.pack(_Where(transaction=asked.transaction)),
        values={
            "number": reply.get("number", "")[:_LONGEST_NUMBER],
            "country": _country(asked, reply),
            "mask": "1" if reply.get("mask") else "",
            **dict.fromkeys(("left", "locked", "busy", "choose"), ""),
            **(values or {}),
        },
        errors=errors or {},
    )


def _number(asked: Asked, reply: Mapping[str, str]) -> NationalNumber | None:
    """Return the number as the chosen country reads it; ten digits may be Danish or Swedish, and nobody guesses."""
    clinic = asked.clinic
    if clinic is None:
        return None
    try:
        return parse(reply.get("number", ""), _country(asked, reply), now=asked.now.astimezone(clinic.zone).date())
    except NotANumber:
        return None


def _country(asked: Asked, reply: Mapping[str, str]) -> str:
    chosen, clinic = reply.get("country", ""), asked.clinic
    return chosen if chosen in COUNTRIES or clinic is None else clinic.country


def _moment(at: datetime | None) -> str:
    return "" if at is None else at.isoformat()


def _unpacked(state: bytes, asked: Asked) -> _Where:
    try:
        where = _CODEC.unpack(state)
    except StoreError as error:
        raise Untrusted("a state that does not read") from error
    if where.transaction != asked.transaction:
        raise Untrusted("a state of another transaction")
    return where
