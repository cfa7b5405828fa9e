"""Choosing a password: forgotten, for the first time by a link that staff had sent, or from one's own page.

The link resets the password and nothing else: the next sign-in still asks for a code (ASVS 6.4.3).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from idbroker.accounts.account import Account, Link, Purpose
from idbroker.accounts.letters import Letters
from idbroker.accounts.linking import Found, Linking, Origin
from idbroker.accounts.passwords import Busy as TooBusy
from idbroker.accounts.passwords import Hasher, weakness
from idbroker.accounts.records import Accounts
from idbroker.clinic import Clinic, PasswordRules
from idbroker.events import Event, Events
from idbroker.keeping import Shelf
from idbroker.messages.message import Channel, Message, Post
from idbroker.numbers import NationalNumber
from idbroker.otp.one_time import Locked, OneTimeCodes
from idbroker.otp.throttle import Limit, Throttle
from idbroker.visit import Visit
from idbroker.visitor import Visitor

TASK = "forgot"
LIFE = HOUR = timedelta(hours=1)
BEGUN = timedelta(minutes=10)
QUARTER = timedelta(minutes=15)
# F1: nobody's inbox is filled by strangers; a household, a ward and a clinic get by.
BY_NUMBER = Limit(most=3, per=HOUR)
BY_ADDRESS = Limit(most=30, per=HOUR)
BY_CLINIC = Limit(most=1000, per=HOUR)
GUESSES = Limit(most=5, per=HOUR)
_LOOKS, _PAUSE = 20, 0.025  # half a second
_HOW = {Purpose.RESET: "reset", Purpose.ACTIVATE: "activation"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A link that is good, and whose it is."""

    link: Link
    account: Account = field(repr=False)
    channel: Channel | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The password is the one that was chosen; `link` is what it was chosen with, None from one's own page."""

    link: Link | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Weak:
    """It may not be chosen; `key` says why. The link is as good as before."""

    key: str


@dataclass(frozen=True, slots=True)
class Spent:
    """The link has been used, or its time is over, or there is none."""


@dataclass(frozen=True, slots=True)
class Busy:
    """Too many passwords are being hashed just now. The link is as good as before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotCurrent:
    """What was typed is not the password; `left` tries are left."""

    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A link that one form has used up, and the hash it brought: what is left to do, until it is `done`."""

    found: Found
    password: str = field(repr=False)
    at: datetime
    done: bool = False


class SignOns(Protocol):
    """A person's sign-ons."""

    def end_person(self, person: str, why: str, *, but: str | None = None) -> int:
        """End all but one, and what rests on them."""
        ...


class Locks(Protocol):
    """Who counts wrong passwords."""

    def reopen(self, number: NationalNumber) -> None:
        """Give a number all its tries again."""
        ...


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """Has links sent, and passwords chosen. Every method may raise StoreError."""

    accounts: Accounts
    linking: Linking
    letters: Letters
    post: Post
    hasher: Hasher
    codes: OneTimeCodes
    throttle: Throttle
    begun: Shelf[Begun]
    events: Events
    rules: Callable[[str], PasswordRules]
    sign_ons: SignOns
    locks: Locks
    pause: Callable[[float], None] = time.sleep  # noqa: TID251 - an argument, for whoever waits for another request

    # ---- forgotten -------------------------------------------------------------------------------

    def ask(self, visit: Visit, number: NationalNumber, form: str) -> None:
        """Take note that somebody has forgotten the password of a number.

        The same answer, statements and time whoever it is (O7): whether there is an account is found out by the
        courier, later. `form` is the form's one-time value: the same form again asks once.
        """
        task = hashlib.sha256(f"{TASK}\n{visit.transaction}\n{form}".encode()).hexdigest()[:40]
        if self.post.delivery(task) is not None or not self._may_ask(visit, number):
            return
        asked = {
            "country": number.country,
            "kind": number.kind,
            "value": number.value,
            "clinic": visit.clinic.id,
            "client": visit.client.id,
            "transaction": visit.transaction,
            "language": visit.language,
        }
        message = Message(
            id=task,
            channel=Channel.TASK,
            to="",
            text=json.dumps(asked),
            kind=TASK,
            clinic=visit.clinic.id,
            ends_at=visit.now + LIFE,
        )
        self.post.send(message)

    def carry_out(self, asked: Mapping[str, str], now: datetime) -> None:
        """Send the link, if there is anybody to send it to: the courier's task `forgot`.

        Done again after a StoreError it makes another link, and the first was sent to nobody: the letter is last.
        """
        number = NationalNumber(country=asked["country"], kind=asked["kind"], value=asked["value"])
        account = self.accounts.find(number)
        trace = Event(at=now, kind="recovery.sent", clinic=asked["clinic"], client=asked["client"])
        why = _silent(account)
        if account is None or why:
            self.events.record(replace(trace, kind="recovery.unknown", detail={"why": why}))
            return
        origin = Origin(
            clinic=asked["clinic"],
            client=asked["client"],
            transaction=asked["transaction"],
            language=asked["language"],
        )
        link, secret = self.linking.make(origin, Purpose.RESET, account.person, LIFE, now)
        channels = " ".join(contact.channel for contact in account.reachable)
        self.events.record(replace(trace, person=account.person, detail={"channels": channels}))
        self.letters.reset(link, secret, account.reachable)

    def _may_ask(self, visit: Visit, number: NationalNumber) -> bool:
        network = Visitor(ip=visit.ip).network
        by_address = [(f"forgot|address|{network}", BY_ADDRESS)] if network is not None else []
        by_clinic, by_number = f"forgot|clinic|{visit.clinic.id}", f"forgot|number|{number.key}"
        names = [*by_address, (by_clinic, BY_CLINIC), (by_number, BY_NUMBER)]
        return not any(
            isinstance(self.throttle.spend(name, limit, pause=limit.per, now=visit.now), Locked)
            for name, limit in names
        )

    # ---- the link --------------------------------------------------------------------------------

    def open(self, text: str, now: datetime) -> Opened | None:
        """Return the link that stood in an address, and whose it is. Looking uses nothing up."""
        found = self.linking.find(text, now)
        account = self.accounts.of(found.link.person) if found else None
        if found is None or account is None or account.disabled:
            return None
        return Opened(link=found.link, account=account, channel=found.channel)

    def origin(self, text: str) -> Origin | None:
        """Return where a link came from that is used or over: for the way to a new one."""
        return self.linking.origin(text)

    def choose(self, text: str, password: str, form: str, now: datetime) -> Done | Weak | Spent | Busy:
        """Set a new password by a link, once.

        The link is used up before anything is changed: of many at once one goes on (O14), and who breaks after
        that leaves a link that opens nothing, never a changed password with a link that is still good. What is
        left then is kept by the one-time value of the `form`: the same form again (a double click, or a second
        press after a fault of ours) goes on where the first stopped, and is told the same.
        """
        opened = self.open(text, now)
        if opened is None:
            return self._again(text, form)
        account = opened.account
        weak = weakness(password, self.rules(opened.link.clinic), self._known_words(account, opened.link))
        if weak is not None:
            return Weak(key=weak)
        try:
            begun = Begun(
                found=Found(link=opened.link, channel=opened.channel), password=self.hasher.hash(password), at=now
            )
        except TooBusy:
            return Busy()
        if not self.linking.use(opened.link, now):
            return self._again(text, form)
        self.begun.put(_begun_name(text, form), begun, BEGUN)
        return self._finished(begun, _begun_name(text, form))

    def _again(self, text: str, form: str) -> Done | Spent:
        """Go on with a form that has used its link up; for a moment, as its other press may be just about to say so."""
        for looks_left in reversed(range(_LOOKS if self.linking.origin(text) else 1)):
            kept = self.begun.get(_begun_name(text, form))
            if kept is not None:
                return self._finished(kept.value, _begun_name(text, form))
            if looks_left:
                self.pause(_PAUSE)
        return Spent()

    def _finished(self, begun: Begun, name: str) -> Done | Spent:
        """Do what is left. Each part can be done twice; a password that was chosen later is left alone."""
        link = begun.found.link
        if begun.done:
            return Done(link=link)
        event = Event(at=begun.at, kind="password.changed", clinic=link.clinic, client=link.client)
        kept = self._set(link.person, lambda account: _chosen(account, begun), event, _HOW[link.purpose])
        if not kept:
            return Spent()
        self.begun.put(name, replace(begun, done=True), BEGUN)
        return Done(link=link)

    # ---- from one's own page ---------------------------------------------------------------------

    def change(
        self, person: str, current: str, new: str, visit: Visit, *, but: str | None = None
    ) -> Done | Weak | NotCurrent | Locked | Busy | Spent:
        """Set a new password with the current one (ASVS 6.2.3); tries at that are counted before they are compared.

        Every sign-on ends `but` one: that of the browser in front of us. Spent: there is no password to change.
        """
        account = self.accounts.of(person)
        if account is None or account.password is None or account.disabled:
            return Spent()
        words = (*_own_words(account), visit.clinic.name, visit.service)
        weak = weakness(new, visit.clinic.password, words)
        if weak is not None:
            return Weak(key=weak)
        refused = self._refused(account, current, visit)
        if refused is not None:
            return refused
        try:
            password = self.hasher.hash(new)
        except TooBusy:
            return Busy()
        event = Event(at=visit.now, kind="password.changed", clinic=visit.clinic.id, client=visit.client.id)
        known = account.password

        def set_now(now_is: Account) -> Account | None:
            # Another has been chosen meanwhile: what was shown to be known is not the password any more.
            same = now_is.password in (known, password) and not now_is.disabled
            return replace(now_is, password=password, password_set_at=visit.now) if same else None

        return Done() if self._set(person, set_now, event, "page", but) else Spent()

    def _refused(self, account: Account, current: str, visit: Visit) -> NotCurrent | Locked | Busy | None:
        """Count a try, then compare; None when it was right."""
        if self.hasher.full:  # before it is counted: a crowd must not use up anybody's tries
            return Busy()
        left = self.throttle.spend(_guessed(account.person), GUESSES, pause=QUARTER, now=visit.now)
        if isinstance(left, Locked):
            return left
        try:
            if not self.hasher.verify(account.password, current):
                return NotCurrent(left=left)
        except TooBusy:
            return Busy()
        self.throttle.clear(_guessed(account.person), GUESSES)
        return None

    # ---- what every way comes to -----------------------------------------------------------------

    def _set(
        self,
        person: str,
        change: Callable[[Account], Account | None],
        event: Event,
        how: str,
        but: str | None = None,
    ) -> bool:
        """Tell, set, and end what rested on the old password.

        Told first: whoever breaks in between has told of a change that was none, never kept one quiet. Sign-ons
        end before and after: before, so that none outlives a crash; after, for one that was made meanwhile (O13).
        """
        account = self.accounts.of(person)
        wanted = change(account) if account is not None else None
        if account is None or wanted is None:
            return False
        self.sign_ons.end_person(person, "password", but=but)
        self.letters.changed(wanted, account.contacts, event.clinic or "", event.client, event.at)
        altered = False

        def noticed(now_is: Account) -> Account | None:
            nonlocal altered
            after = change(now_is)
            altered = after not in (None, now_is)
            return after

        kept = self.accounts.change(person, noticed)
        if kept is None or kept.password != wanted.password:
            return False
        if altered:
            self.events.record(replace(event, person=person, detail={"how": how}))
        self.sign_ons.end_person(person, "password", but=but)
        self.linking.end_all(person)
        self.codes.revoke(person)
        self.codes.recovered(person)
        self.locks.reopen(kept.number)
        return True

    def _known_words(self, account: Account, link: Link) -> tuple[str, ...]:
        clinic = self.letters.clinics.find(link.clinic)
        client = self.letters.clients.find(link.client) if link.client else None
        names = (*([clinic.name] if clinic else []), *(client.name.values() if client else ()))
        return (*_own_words(account), *names)


def rules_of(find: Callable[[str], Clinic | None]) -> Callable[[str], PasswordRules]:
    """Return what finds a clinic's rules for passwords; the usual ones for a clinic that is gone."""

    def rules(clinic_id: str) -> PasswordRules:
        clinic = find(clinic_id)
        return clinic.password if clinic else PasswordRules()

    return rules


def _silent(account: Account | None) -> str:
    """Return why nobody is written to; an empty text when somebody is."""
    if account is None:
        return "unknown"
    if account.disabled:
        return "disabled"
    return "" if account.reachable else "unreachable"


def _chosen(account: Account, begun: Begun) -> Account | None:
    """Return an account with the password of a form; None if it is disabled, or another was chosen since.

    A first link shows whose the address is that it was read at.
    """
    mine, set_at = account.password == begun.password, account.password_set_at
    if account.disabled or (not mine and set_at is not None and set_at > begun.at):
        return None
    chosen = replace(account, password=begun.password, password_set_at=begun.at)
    contact = account.contact(begun.found.channel) if begun.found.channel else None
    if begun.found.link.purpose is not Purpose.ACTIVATE or contact is None or contact.verified_at is not None:
        return chosen
    return chosen.with_contact(replace(contact, verified_at=begun.at))


def _own_words(account: Account) -> Iterable[str]:
    """Return what others know of a person, and try first."""
    names = [part for part in (account.given_name, account.family_name) if part]
    addresses = [contact.address for contact in account.contacts]
    return (*names, account.number.value, account.number.display, *addresses)


def _begun_name(text: str, form: str) -> str:
    return hashlib.sha256(f"{text}\n{form}".encode()).hexdigest()


def _guessed(person: str) -> str:
    return f"change|{person}"
