"""Codes that came in a letter: counted, then compared; and where somebody is reached who chose a password with one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from idbroker.accounts.account import Account, Purpose
from idbroker.accounts.choosing import Done
from idbroker.accounts.reaching import Page, Reached, Reaching, Typed
from idbroker.accounts.recovery import Recovery
from idbroker.codec import Codec
from idbroker.events import Event
from idbroker.keeping import Shelf
from idbroker.numbers import NationalNumber
from idbroker.otp.one_time import Locked
from idbroker.otp.throttle import Limit
from idbroker.visit import Visit
from idbroker.visitor import Visitor

QUARTER = timedelta(minutes=15)
# A code has 59 bits: what is counted keeps strangers from trying for years, and from filling the log.
BY_NUMBER = Limit(most=5, per=QUARTER)
BY_ADDRESS = Limit(most=30, per=QUARTER)
LIFE = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moving:
    """Somebody has chosen a password with a letter's code, in this browser, and says where codes go from now on.

    `set_at` is when: whoever has chosen another since then is not helped on from here.
    """

    person: str
    clinic: str
    client: str
    language: str
    set_at: datetime
    reached: Reached = field(default_factory=Reached)
    page: Page | None = None


_MOVING = Codec(Moving)


@dataclass(frozen=True, kw_only=True)
class Posted:
    """Every method may raise StoreError."""

    recovery: Recovery
    shelf: Shelf[dict[str, str]]

    # ---- the code --------------------------------------------------------------------------------

    def find(self, number: NationalNumber, code: str, ip: str | None, now: datetime) -> str | Locked | None:
        """Count a try, then compare; return what stands in the address of the page to choose a password.

        The same statements and the same answer whether a number has a letter, an account or neither.
        """
        network = Visitor(ip=ip).network
        names = [*([(f"letter|address|{network}", BY_ADDRESS)] if network else []), (_tried(number), BY_NUMBER)]
        for name, limit in names:
            left = self.recovery.throttle.spend(name, limit, pause=limit.per, now=now)
            if isinstance(left, Locked):
                return left
        account = self.recovery.accounts.find(number)
        person = "" if account is None else account.person
        text = self.recovery.linking.by_code(person, code, now)
        opened = None if text is None else self.recovery.open(text, now)
        if text is None or opened is None or opened.link.purpose is not Purpose.LETTER:
            self.recovery.events.record(Event(at=now, kind="letter.wrong", person=person or None))
            return None
        self.recovery.throttle.clear(_tried(number), BY_NUMBER)
        return text

    # ---- where codes go --------------------------------------------------------------------------

    def begin(self, name: str, done: Done, now: datetime) -> None:
        """Remember, for half an hour, that a password was chosen here with the code of a letter."""
        link = done.link
        account = None if link is None else self.recovery.accounts.of(link.person)
        if link is None or account is None or account.password_set_at is None or not link.client:
            return
        moving = Moving(
            person=link.person,
            clinic=link.clinic,
            client=link.client,
            language=link.language,
            set_at=account.password_set_at,
        )
        self._put(name, moving)

    def moving(self, name: str) -> Moving | None:
        """Return who is at this step; nobody once the half hour is over or another password was chosen."""
        kept = self.shelf.get(_kept_at(name))
        moving = None if kept is None else _MOVING.unpack(kept.value["moving"].encode())
        return moving if moving is not None and self._account(moving) is not None else None

    def is_reached(self, moving: Moving) -> bool:
        """Tell whether codes can reach this person already."""
        account = self._account(moving)
        return account is not None and bool(account.reachable)

    def _account(self, moving: Moving) -> Account | None:
        account = self.recovery.accounts.of(moving.person)
        return account if account is not None and account.password_set_at == moving.set_at else None

    def show(self, visit: Visit, moving: Moving) -> Page:
        """Return the page they are at."""
        return moving.page or self._reach(visit, moving)

    def take(self, name: str, visit: Visit, moving: Moving, reply: Mapping[str, str]) -> bool:
        """Go on with a page; tell whether it is done: the addresses are kept."""
        reaching = Reaching(codes=self.recovery.codes)
        if reply.get("do") == "back":
            self._put(name, replace(moving, page=None))
            return False
        if moving.page is None or moving.page.name == "reach":
            taken = reaching.take(visit, moving.reached, reply)
            if isinstance(taken, Typed):
                self._put(name, replace(moving, page=self._reach(visit, moving, taken)))
                return False
            return self._onward(name, visit, replace(moving, reached=taken))
        reached, page = reaching.check(visit, moving.person, moving.reached, reply)
        if page is None:
            return self._onward(name, visit, replace(moving, reached=reached))
        self._put(name, replace(moving, reached=reached, page=page))
        return False

    def _reach(self, visit: Visit, moving: Moving, typed: Typed | None = None) -> Page:
        page = Reaching(codes=self.recovery.codes).page(visit, moving.reached, "self", typed)
        return replace(page, name="reach")

    def _onward(self, name: str, visit: Visit, moving: Moving) -> bool:
        if moving.reached.complete:
            self._keep(visit, moving)
            self.shelf.take(_kept_at(name))
            return True
        reached, page = Reaching(codes=self.recovery.codes).send(visit, moving.person, moving.reached)
        self._put(name, replace(moving, reached=reached, page=page))
        return False

    def _put(self, name: str, moving: Moving) -> None:
        self.shelf.put(_kept_at(name), {"moving": _MOVING.pack(moving).decode()}, LIFE)

    def _keep(self, visit: Visit, moving: Moving) -> None:
        """Keep the addresses; whoever was reached before is told (ASVS 6.3.7)."""
        before = self._account(moving)
        if before is None:
            return

        def change(account: Account) -> Account | None:
            if account.password_set_at != moving.set_at or account.disabled:
                return None
            fresh = account
            for contact in moving.reached.contacts:
                fresh = fresh.with_contact(contact)
            return fresh

        after = change(before)
        if after is None:
            return
        if before.contacts:
            self.recovery.letters.contact_changed(before, after, visit)
        self.recovery.accounts.change(moving.person, change)
        event = Event(at=visit.now, kind="contact.changed", clinic=moving.clinic, client=moving.client)
        for contact in moving.reached.contacts:
            detail = {"channel": contact.channel.value}
            self.recovery.events.record(replace(event, person=moving.person, detail=detail))


def _tried(number: NationalNumber) -> str:
    return f"letter|number|{number.key}"


def _kept_at(name: str) -> str:
    return f"letter.{name}"
