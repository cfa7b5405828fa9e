"""Choosing a password: forgotten, for the first time by a link that staff had sent, or from one's own page.

The link resets the password and nothing else: the next sign-in still asks for a code (ASVS 6.4.3).
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from idbroker.accounts.account import Account, Link, Purpose
from idbroker.accounts.choosing import (
    Begun,
    Busy,
    Done,
    Gift,
    Locks,
    NotCurrent,
    Opened,
    SignOns,
    Spent,
    Weak,
    chosen,
    given,
    lost,
    may_choose,
    own_words,
    silent,
    weak_of,
)
from idbroker.accounts.custody import Stands, unasked
from idbroker.accounts.letters import Letters
from idbroker.accounts.linking import Linking, Origin
from idbroker.accounts.passwords import Busy as TooBusy
from idbroker.accounts.passwords import Hasher, weakness
from idbroker.accounts.records import Accounts, Enrolments
from idbroker.clinic import Clinic, PasswordRules
from idbroker.events import Event, Events
from idbroker.keeping import Shelf
from idbroker.messages.message import Channel, Message, Post
from idbroker.numbers import NationalNumber
from idbroker.otp.one_time import Locked, OneTimeCodes
from idbroker.otp.throttle import Limit, Throttle
from idbroker.visit import Visit

TASK = "forgot"
LIFE = HOUR = timedelta(hours=1)
BEGUN = timedelta(minutes=10)
QUARTER = timedelta(minutes=15)
# F1: nobody's inbox is filled by strangers; a household and a ward get by.
BY_NUMBER = Limit(most=3, per=HOUR)
# Of IPv6 all that one customer may have, by the length of the prefix: others could come from each of its networks.
BY_ADDRESS = {bits: Limit(most=30 * times, per=HOUR) for bits, times in {64: 1, 56: 2, 48: 4}.items()}
BY_CLINIC = Limit(most=1000, per=HOUR)  # more are told of, and carried out
GUESSES = Limit(most=5, per=HOUR)
_LOOKS, _PAUSE = 8, 0.025  # a fifth of a second
_HOW = {
    Purpose.RESET: "reset",
    Purpose.ACTIVATE: "activation",
    Purpose.LETTER: "letter",
    Purpose.RENEW: "renewal",
}


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """Has links sent, and passwords chosen. Every method may raise StoreError."""

    accounts: Accounts
    enrolments: Enrolments
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
    by_clinic: Limit = BY_CLINIC
    stands: Stands = unasked
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
        """Send the link, if there is anybody to send it to: the courier's task `forgot`. Raises Later (custody.py).

        Done again after a StoreError it makes another link, and the first was sent to nobody: the letter is last.
        """
        number = NationalNumber(country=asked["country"], kind=asked["kind"], value=asked["value"])
        account = self.accounts.find(number)
        trace = Event(at=now, kind="recovery.sent", clinic=asked["clinic"], client=asked["client"])
        why = silent(account)
        enrolments = () if account is None else self.enrolments.of(account.person)
        if account is not None and not why and not self.stands(account, enrolments, asked["clinic"], now):
            why = "claimed"  # a stranger's mailbox is not the child's, nor a parent's who has lost custody
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
        channels = [contact.channel for contact in account.reachable]
        self.events.record(replace(trace, person=account.person, detail={"channels": " ".join(channels)}))
        texts = {channel: self.linking.for_channel(link, secret, channel) for channel in channels}
        self.letters.reset(link, texts, account.reachable)

    def _may_ask(self, visit: Visit, number: NationalNumber) -> bool:
        """Count it by network and number; that a clinic is flooded is told, and shuts nobody out.

        A stranger with many networks spends what a clinic may have: who is within their own goes on all the same.
        """
        names = [*_networks(visit.ip), (f"forgot|number|{number.key}", BY_NUMBER)]
        if any(isinstance(self._spent(name, limit, visit), Locked) for name, limit in names):
            return False
        if self._spent(f"forgot|clinic|{visit.clinic.id}", self.by_clinic, visit) == 0:
            self.events.record(Event(at=visit.now, kind="recovery.flood", clinic=visit.clinic.id))
        return True

    def _spent(self, name: str, limit: Limit, visit: Visit) -> int | Locked:
        return self.throttle.spend(name, limit, pause=limit.per, now=visit.now)

    # ---- the link --------------------------------------------------------------------------------

    def open(self, text: str, now: datetime) -> Opened | None:
        """Return the link that stood in an address, and whose it is. Looking uses nothing up."""
        found = self.linking.find(text, now)
        account = self.accounts.of(found.link.person) if found else None
        if found is None or account is None or not may_choose(account, found.link):
            return None
        return Opened(link=found.link, account=account, found=found)

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
            begun = Begun(found=opened.found, password=self.hasher.hash(password), at=now)
        except TooBusy:
            return Busy()
        if not self.linking.use(opened.link, now):
            return self._again(text, form)
        self.begun.put(_begun_name(text, form), begun, BEGUN)
        return self._finished(begun, _begun_name(text, form))

    def _again(self, text: str, form: str) -> Done | Spent:
        """Go on with a form that has used its link up; for a moment, as its other press may be just about to say so.

        Only while it may be: stops a link that was used long ago from holding a thread at each post.
        """
        for looks_left in reversed(range(_LOOKS if self.linking.is_just_used(text) else 1)):
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
        kept = self._set(link.person, lambda account: chosen(account, begun), event, _HOW[link.purpose])
        if not kept:
            return Spent()
        self.begun.put(name, replace(begun, done=True), BEGUN)
        return Done(link=link)

    # ---- by staff --------------------------------------------------------------------------------

    def give(self, gift: Gift) -> bool | Busy:
        """Set a password that was made for somebody, and send it to `gift.to`; False if there is nobody to give it to.

        Only a clinic that has set it does so (`Clinic.access`); where it does not go, they are told of the change.
        """
        try:
            kept = self.hasher.hash(gift.password)
        except TooBusy:
            return Busy()

        def tell(before: Account, after: Account) -> None:
            elsewhere = [one for one in before.contacts if gift.to.get(one.channel) != one.address]
            self.letters.changed(replace(after, contacts=()), elsewhere, gift.clinic, gift.client, gift.at)
            self.letters.lasting(after, gift)

        event = Event(at=gift.at, kind="password.changed", clinic=gift.clinic, client=gift.client)
        return self._set(gift.person, lambda account: given(account, gift, kept), event, "staff", tell=tell)

    # ---- from one's own page ---------------------------------------------------------------------

    def choose_first(
        self, person: str, new: str, visit: Visit, *, but: str | None = None
    ) -> Done | Weak | Busy | Spent:
        """Set a first password, for somebody who has just proved who they are with an eID. Spent: there is one."""
        account = self.accounts.of(person)
        if account is None or account.password is not None or account.disabled:
            return Spent()
        return self._from_page(account, new, visit, but)

    def change(
        self, person: str, current: str, new: str, visit: Visit, *, but: str | None = None
    ) -> Done | Weak | NotCurrent | Locked | Busy | Spent:
        """Set a new password with the current one (ASVS 6.2.3); tries at that are counted before they are compared.

        Every sign-on ends `but` one: that of the browser in front of us. Spent: there is no password to change.
        """
        account = self.accounts.of(person)
        if account is None or account.password is None or account.disabled:
            return Spent()
        weak = weak_of(account, new, visit)
        if weak is not None:
            return weak
        refused = self._refused(account, current, visit)
        return refused if refused is not None else self._from_page(account, new, visit, but)

    def choose_for(self, child: str, new: str, visit: Visit, guardian: str) -> Done | Weak | Busy | Spent:
        """Set a child's password, by the guardian who set its sign-in up. Spent: it is not theirs (any more)."""
        account = self.accounts.of(child)
        if account is None or account.guardian != guardian or account.disabled:
            return Spent()
        return self._from_page(account, new, visit, None, guardian)

    def _from_page(
        self, account: Account, new: str, visit: Visit, but: str | None, guardian: str | None = None
    ) -> Done | Weak | Busy | Spent:
        weak = weak_of(account, new, visit)
        if weak is not None:
            return weak
        try:
            password = self.hasher.hash(new)
        except TooBusy:
            return Busy()
        event = replace(_event(visit, "password.changed"), detail={"guardian": guardian} if guardian else {})
        known = account.password

        def set_now(now_is: Account) -> Account | None:
            # Another has been chosen meanwhile: what was shown to be known is not the password any more.
            same = now_is.password in (known, password) and not now_is.disabled and guardian in (None, now_is.guardian)
            fresh = now_is.again(visit.now)
            return replace(fresh, password=password, password_set_at=visit.now, reset_by=None) if same else None

        return Done() if self._set(account.person, set_now, event, "guardian" if guardian else "page", but) else Spent()

    def _refused(self, account: Account, current: str, visit: Visit) -> NotCurrent | Locked | Busy | None:
        """Count a try, then compare; None when it was right."""
        if self.hasher.full:  # before it is counted: a crowd must not use up anybody's tries
            return Busy()
        left = self.throttle.spend(_guessed(account.person), GUESSES, pause=QUARTER, now=visit.now)
        if isinstance(left, Locked):
            return left
        try:
            if not self.hasher.verify(account.password, current):
                self.events.record(replace(_event(visit, "password.wrong"), person=account.person))
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
        tell: Callable[[Account, Account], None] | None = None,
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
        if tell is not None:
            tell(account, wanted)
        else:
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
            self.events.record(replace(event, person=person, detail={**event.detail, "how": how}))
            for kind, detail in lost(account, kept):
                self.events.record(replace(event, person=person, kind=kind, detail=detail))
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
        return (*own_words(account), *names)


def rules_of(find: Callable[[str], Clinic | None]) -> Callable[[str], PasswordRules]:
    """Return what finds a clinic's rules for passwords; the usual ones for a clinic that is gone."""

    def rules(clinic_id: str) -> PasswordRules:
        clinic = find(clinic_id)
        return clinic.password if clinic else PasswordRules()

    return rules


def _networks(ip: str | None) -> list[tuple[str, Limit]]:
    """Return what asking counts by besides the number: the address, of IPv6 each network that may be one's own."""
    if ip is None or ":" not in ip:
        return [] if ip is None else [(f"forgot|address|{ip}", BY_ADDRESS[64])]
    nets = {ipaddress.IPv6Network((ip, bits), strict=False): limit for bits, limit in BY_ADDRESS.items()}
    return [(f"forgot|address|{net}", limit) for net, limit in nets.items()]


def _event(visit: Visit, kind: str) -> Event:
    return Event(at=visit.now, kind=kind, clinic=visit.clinic.id, client=visit.client.id)


def _begun_name(text: str, form: str) -> str:
    return hashlib.sha256(f"{text}\n{form}".encode()).hexdigest()


def _guessed(person: str) -> str:
    return f"change|{person}"
