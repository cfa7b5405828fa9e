"""The orders of the simulated BankID: placed, taken up by somebody's app, ended, told once, forgotten.

Lifetimes are those of the RP API v6.0: 30 s until a start has failed, 3 min with the app, and so long
that a result is kept. One by telephone has nothing to start: it waits 3 min for its person, which is a choice
of ours, and nobody is told whether there is such a person. An order is a value; every move puts a new one in its
place, under one lock.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from idbroker.clock import Clock
from idbroker.sandbox.bankid_request import Wish
from idbroker.sandbox.orders import Unreadable
from idbroker.sandbox.people import SimPerson

START = timedelta(seconds=30)
TAKEN = timedelta(minutes=3)  # not documented; taken to be what other limits are
KEPT_COMPLETE = timedelta(minutes=3)
KEPT_FAILED = timedelta(minutes=5)
KEPT_UNSTARTED = timedelta(minutes=3, seconds=10)  # after it was placed
MOST = 10_000

OUTSTANDING = "outstandingTransaction"
Completion = Mapping[str, Any]


class NoSuchOrder(Exception):
    """No order of this relying party has that reference: never had, told already, or too old."""


class AlreadyInProgress(Exception):
    """This person is at an order, and another was to be begun by their number. None was."""


class TooMany(Exception):
    """The simulator holds as many orders as it will."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A relying party, as its certificate says: `id` is the certificate's fingerprint, `name` its subject."""

    id: str
    name: str
    display_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """One order.

    `id` is the simulator's own name for it; the other four are what the relying party was given.
    `hint` is the hintCode. `taken` is when an app opened it, `scanned` whether by a QR code, `redirect`
    what its launch link said, `person` whose BankID is used.
    """

    id: str
    party: Party
    wish: Wish
    at: datetime
    ref: str = field(repr=False)
    auto_start_token: str = field(repr=False)
    qr_start_token: str = field(repr=False)
    qr_start_secret: str = field(repr=False)
    status: str = "pending"
    hint: str = OUTSTANDING
    taken: datetime | None = None
    scanned: bool = False
    redirect: str | None = field(default=None, repr=False)
    person: SimPerson | None = field(default=None, repr=False)
    completion: Completion | None = field(default=None, repr=False)
    ended: datetime | None = None

    @property
    def back(self) -> str | None:
        """Return where the app leads to when it is done: nowhere after a scan, for the browser is elsewhere."""
        return None if self.scanned else self.wish.return_url or self.redirect

    def fail(self, hint: str, at: datetime) -> Placed:
        """Return the order as failed."""
        return replace(self, status="failed", hint=hint, ended=at)

    def seen_at(self, now: datetime) -> Placed | None:
        """Return the order as time has left it, or None once it is forgotten."""
        order = self._lapsed(now) if self.status == "pending" else self
        return order if order.ended is None or now < order.ended + order._kept() else None

    def _lapsed(self, now: datetime) -> Placed:
        if self.taken is None and self.wish.caller is not None:
            return self.fail("expiredTransaction", self.at + TAKEN) if now >= self.at + TAKEN else self
        if self.taken is None:
            return self.fail("startFailed", self.at + START) if now >= self.at + START else self
        return self.fail("expiredTransaction", self.taken + TAKEN) if now >= self.taken + TAKEN else self

    def _kept(self) -> timedelta:
        if self.status == "complete":
            return KEPT_COMPLETE
        return KEPT_FAILED if self.taken else KEPT_UNSTARTED - START


class Orders:
    """All orders there are, by each of the names they go by. Any thread may come at any time."""

    def __init__(self, clock: Clock, most: int = MOST) -> None:
        self._clock, self._most = clock, most
        self._lock = threading.Lock()
        self._orders: dict[str, Placed] = {}  # by id, the oldest first
        self._names: dict[str, str] = {}  # reference or token: id
        self._busy: dict[str, str] = {}  # a person's id: the order their app is at

    def place(self, party: Party, wish: Wish) -> Placed:
        """Make an order. Raises TooMany, and AlreadyInProgress for one that is begun by a number."""
        names = [str(uuid.uuid4()) for _ in range(5)]
        order = Placed(
            id=names[0],
            party=party,
            wish=wish,
            at=self._clock.now(),
            ref=names[1],
            auto_start_token=names[2],
            qr_start_token=names[3],
            qr_start_secret=names[4],
        )
        with self._lock:
            if wish.caller is not None:
                self._check_free(str(wish.number))
            self._make_room()
            self._orders[order.id] = order
            self._names |= dict.fromkeys(names[:4], order.id)
        return order

    def collect(self, ref: str, party: Party) -> Placed:
        """Return an order as it is now; one that has ended is forgotten in the same moment. Raises NoSuchOrder."""
        with self._lock:
            order = self._of(ref, party)
            if order.ended is not None:
                self._forget(order)
            return order

    def cancel(self, ref: str, party: Party) -> None:
        """Forget an order that goes on. Raises NoSuchOrder, also for one that has ended."""
        with self._lock:
            order = self._of(ref, party)
            if order.ended is not None:
                raise NoSuchOrder
            self._forget(order)

    def going(self) -> tuple[Placed, ...]:
        """Return the orders that have not ended, the newest first."""
        with self._lock:
            seen = [self._seen(id_) for id_ in reversed(list(self._orders))]
        return tuple(order for order in seen if order is not None and order.ended is None)

    def find(self, name: str) -> Placed:
        """Return an order that goes on, by its id or a token. Raises Unreadable."""
        with self._lock:
            return self._going(name)

    def start(self, name: str, *, scanned: bool, redirect: str | None = None) -> Placed:
        """Open an order in an app that holds no BankID yet. Raises Unreadable if an app has it already."""

        def start(order: Placed, now: datetime) -> Placed:
            if order.taken is not None:
                raise Unreadable("an app has opened this order already")
            return replace(order, taken=now, scanned=scanned, redirect=redirect, hint="started")

        return self._move(name, start)

    def take(self, id_: str, person: SimPerson) -> Placed:
        """Let a person use their BankID for it: the order they were at before is cancelled. Raises Unreadable."""

        def take(order: Placed, now: datetime) -> Placed:
            if order.person is not None and order.person.id != person.id:
                raise Unreadable("somebody else has opened this order")
            self._cancel_former(person, order, now)
            return replace(order, taken=order.taken or now, person=person, hint="userSign")

        return self._move(id_, take)

    def hint(self, id_: str, hint: str) -> None:
        """Let it say another hint while it goes on. Raises Unreadable."""
        self._move(id_, lambda order, now: replace(order, hint=hint, taken=order.taken or now))

    def fail(self, id_: str, hint: str) -> None:
        """End it as failed. Raises Unreadable."""
        self._move(id_, lambda order, now: order.fail(hint, now))

    def complete(self, id_: str, completion: Completion) -> None:
        """End it as complete. Raises Unreadable when it ended otherwise meanwhile."""
        self._move(id_, lambda order, now: replace(order, status="complete", completion=completion, ended=now))

    def __len__(self) -> int:
        return len(self._orders)

    def _move(self, name: str, move: Callable[[Placed, datetime], Placed]) -> Placed:
        with self._lock:
            order = move(self._going(name), self._clock.now())
            self._orders[order.id] = order
            return order

    def _check_free(self, number: str) -> None:
        for id_ in list(self._orders):
            order = self._seen(id_)
            if order is None or order.ended is not None:
                continue
            called = order.wish.number if order.wish.caller else None
            if number in (called, order.person.number if order.person else None):
                raise AlreadyInProgress

    def _cancel_former(self, person: SimPerson, order: Placed, now: datetime) -> None:
        former = self._seen(self._busy.get(person.id, ""))
        if former is not None and former.id != order.id and former.ended is None:
            self._orders[former.id] = former.fail("cancelled", now)
        self._busy[person.id] = order.id

    def _of(self, ref: str, party: Party) -> Placed:
        order = self._seen(self._names.get(ref, ""))
        if order is None or order.ref != ref or order.party.id != party.id:
            raise NoSuchOrder
        return order

    def _going(self, name: str) -> Placed:
        order = self._seen(self._names.get(name, ""))
        if order is None:
            raise Unreadable("there is no such order, or no longer")
        if order.ended is not None:
            raise Unreadable(f"this order has ended: {order.hint if order.status == 'failed' else order.status}")
        return order

    def _seen(self, id_: str) -> Placed | None:
        order = self._orders.get(id_)
        seen = order.seen_at(self._clock.now()) if order else None
        if order is not None and seen is None:
            self._forget(order)
        elif seen is not None:
            self._orders[id_] = seen
        return seen

    def _forget(self, order: Placed) -> None:
        del self._orders[order.id]
        for name in (order.id, order.ref, order.auto_start_token, order.qr_start_token):
            del self._names[name]
        if order.person is not None and self._busy.get(order.person.id) == order.id:
            del self._busy[order.person.id]

    def _make_room(self) -> None:
        # Two are looked at for each that is made, so the dead never outnumber the living for long.
        for id_ in list(islice(self._orders, 2)):
            self._seen(id_)
        if len(self._orders) >= self._most:
            for id_ in list(self._orders):
                self._seen(id_)
        if len(self._orders) >= self._most:
            raise TooMany
