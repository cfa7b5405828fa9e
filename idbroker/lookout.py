"""Looks at the orders that people have in apps: each by one worker, at its pace, without a browser's help.

Browsers sleep while the person is in the app, and ask us whenever they like; the eID may be asked
only every so often and tells a result once. So threads of the worker that began an order ask, and
hold a lock on it in the shared store. When that worker ends, the lock runs out, and the browser's
next question brings the order to the worker that gets it.
"""

from __future__ import annotations

import heapq
import queue
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Protocol

import structlog

from idbroker.clock import Clock
from idbroker.errors import BrokerError, ProviderError, StoreError, Unreachable
from idbroker.identity import Identity
from idbroker.keeping import Kept, Shelf
from idbroker.providers import App, Asked, Provider, Wait
from idbroker.transaction import Progress, Stage, Transaction, Transient
from idbroker.visitor import Device

_log = structlog.get_logger("idbroker.lookout")

LOCK = timedelta(seconds=30)
CHECK = 10.0  # how often the lock is renewed and the transaction compared, in seconds
SEEN, SEEN_EVERY = timedelta(seconds=30), 5.0
THREADS = 32  # for each eID
_DROPPERS = 2
_TICK = 0.05
_SLOWEST = 8.0
_MOST_SEEN = 10_000
_LEAVING = 6.0  # seconds, for a last answer

_Lane = queue.SimpleQueue[Callable[[], None] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewed:
    """A new order in the place of one that lapsed, under a handle of its own."""

    handle: str
    order: Wait


Found = Wait | Renewed | Identity | ProviderError


@dataclass(kw_only=True)
class Order:
    """One order under watch. `failing` is for how long the eID has not answered, in seconds."""

    kept: Kept[Transaction] = field(repr=False)
    provider: str
    app: App = field(repr=False)
    pace: float
    lock: str
    checked_at: float
    asked: Asked | None = None
    found: Found | None = field(default=None, repr=False)
    failing_since: float | None = None
    failing: float = 0.0
    unseen: int = 0
    looking: bool = False


class Looks(Protocol):
    """What is done with an order: ask the eID, write down what it said, let an order go that nobody looks at."""

    def look(self, order: Order) -> Found:
        """Ask the eID once."""
        ...

    def learnt(self, order: Order, found: Found) -> Kept[Transaction] | None:
        """Write it down; return the transaction while the order is to be looked at again."""
        ...

    def asleep(self, order: Order) -> None:
        """Let an order go whose page was left."""
        ...


class Lookout:
    """Watches orders with a few threads, started when there is something to watch."""

    patience = 120.0  # an answer stays with BankID for three minutes
    says_so = 8.0

    def __init__(
        self,
        transactions: Shelf[Transaction],
        transient: Transient,
        providers: Mapping[str, Provider],
        clock: Clock,
        *,
        threads: int = THREADS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._looks: Looks | None = None
        self._transactions, self._transient, self._providers = transactions, transient, providers
        self._clock, self._threads, self._now = clock, threads, now
        self._me = secrets.token_bytes(16)
        self._orders: dict[str, Order] = {}
        self._line: list[tuple[float, int, Order]] = []
        self._number = 0
        self._lanes: dict[str, _Lane] = {}
        self._change = threading.Condition()
        self._running: list[threading.Thread] = []
        self._keeps_time = False
        self._closed = False
        self._noted: dict[str, float] = {}

    def serve(self, looks: Looks) -> None:
        """Take who knows what an order's answer means."""
        self._looks = looks

    # ---- from requests ---------------------------------------------------------------------------

    def watch(self, kept: Kept[Transaction]) -> None:
        """Watch an order, unless another worker does."""
        transaction = kept.value
        key = transaction.handle or ""
        app = self._providers.get(transaction.provider or "")
        if key in self._orders or self._closed or not isinstance(app, App):
            return
        if transaction.stage is not Stage.PROVING or transaction.wait is None or transaction.wait.proof is not None:
            return  # it has come to its end: an eID that is asked again only has errors to tell
        if not self._once_in(f"lock:{key}", SEEN_EVERY):
            return
        lock = f"look:{{{transaction.id}}}:{key.rpartition('.')[2]}"
        if not self._transient.swap(lock, None, self._me, LOCK):
            return
        now = self._now()
        order = Order(
            kept=kept,
            provider=transaction.provider or "",
            app=app,
            pace=app.pace.total_seconds(),
            lock=lock,
            checked_at=now,
        )
        with self._change:
            self._orders[key] = order
            # A lapsed one is renewed at once: somebody has come back to its page.
            lapsed = transaction.wait.progress is Progress.LAPSED
            self._put(order, now if lapsed else now + order.pace)
            # Threads may run already, that only cancel.
            self._start([] if self._keeps_time else [self._keep_time])
            self._keeps_time = True

    def drop(self, provider: str, state: bytes) -> None:
        """Cancel an order at the eID, without anybody waiting for that."""
        self._lane(f"{provider} drop", _DROPPERS).put(lambda: self._drop(provider, state))

    def seen(self, name: str, page: str = "") -> None:
        """Note that a page of a transaction is open."""
        if page or self._once_in(f"seen:{name}", SEEN_EVERY):
            self._noted[f"seen:{name}"] = self._clock.now().timestamp()
            self._transient.put(_seen_key(name), page.encode() or b"-", SEEN)

    def left(self, name: str, page: str = "") -> None:
        """Note that a page was left; a page that was opened after it counts more (a reload)."""
        there = self._transient.get(_seen_key(name))
        if there is not None and (not page or there in (page.encode(), b"-")):
            self._transient.take(_seen_key(name))

    def is_seen(self, name: str) -> bool:
        """Tell whether a page of a transaction is open somewhere."""
        return self._transient.get(_seen_key(name)) is not None

    def close(self) -> None:
        """Stop: what has been asked is written down, and the orders are left to the other workers at once."""
        with self._change:
            self._closed = True
            orders = list(self._orders.values())
            self._line.clear()
            self._change.notify_all()
            lanes = list(self._lanes.values())
        for lane in lanes:
            lane.put(None)
        ends = time.monotonic() + _LEAVING
        for thread in self._running:
            thread.join(max(0.0, ends - time.monotonic()))
        for order in orders:
            if not order.looking:  # of one that is asked about still, another worker would be told that it is no more
                self._forget(order)

    @property
    def watched(self) -> int:
        """Return how many orders this worker watches."""
        return len(self._orders)

    # ---- threads ---------------------------------------------------------------------------------

    def _start(self, targets: Sequence[Callable[[], None]]) -> None:
        """Start threads, with the first work there is; a process that only forks must have none."""
        for target in targets:
            thread = threading.Thread(target=target, name="lookout", daemon=True)
            self._running.append(thread)
            thread.start()

    def _lane(self, name: str, threads: int) -> _Lane:
        """Return a line of work with threads of its own: an eID that is slow holds up nobody else's people."""
        with self._change:
            lane = self._lanes.get(name)
            if lane is None:
                lane = self._lanes[name] = queue.SimpleQueue()
                self._start([] if self._closed else [partial(self._do_work, lane)] * threads)
            return lane

    def _keep_time(self) -> None:
        """Hand out the orders whose time has come."""
        while not self._closed:
            with self._change:
                if not self._line:
                    self._change.wait()
                    continue
                due = []
                while self._line and self._line[0][0] <= self._now():
                    due.append(heapq.heappop(self._line)[2])
            for order in due:
                self._lane(order.provider, self._threads).put(partial(self.tend, order))
            if not due:
                with self._change:
                    self._change.wait(_TICK)

    def _do_work(self, lane: _Lane) -> None:
        while (work := lane.get()) is not None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - a thread that ended would leave its people waiting
                _log.exception("lookout_failed", error=type(error).__name__)
        lane.put(None)  # for the next thread of the lane

    def _put(self, order: Order, at: float) -> None:
        self._number += 1
        heapq.heappush(self._line, (at, self._number, order))
        if len(self._line) == 1:
            self._change.notify_all()

    # ---- one order -------------------------------------------------------------------------------

    def tend(self, order: Order) -> None:
        """Look at one order if it is still ours and wanted, and put it back in line."""
        order.looking = True
        try:
            again = self._tended(order)
        except StoreError as error:
            _log.warning("lookout_store", error=type(error).__name__)
            again = True  # what was found is kept, and written down when the store is back
        except BrokerError as error:
            _log.warning("lookout_forgot", code=error.code, detail=error.detail)
            again = False
        except BaseException:
            self._forget(order)
            raise
        order.looking = False
        if not again:
            self._forget(order)
            return
        with self._change:
            if not self._closed:
                self._put(order, self._now() + self._delay(order))

    def _tended(self, order: Order) -> bool:
        looks = self._looks
        if looks is None or (order.found is None and not self._still_ours(order)):
            return False
        if order.unseen >= 2:
            looks.asleep(order)
            return False
        if order.found is None:
            order.found = looks.look(order)
            self._count_failures(order)
        kept = looks.learnt(order, order.found)
        order.found = None
        if kept is None:
            return False
        order.kept = kept
        return True

    def _count_failures(self, order: Order) -> None:
        if not isinstance(order.found, Unreachable):
            order.failing_since, order.failing = None, 0.0
            return
        order.failing_since = order.failing_since or self._now()
        order.failing = self._now() - order.failing_since

    def _delay(self, order: Order) -> float:
        """Return the pause until the next look: longer while the eID does not answer."""
        return min(max(order.pace, order.failing / 4), _SLOWEST)

    def _still_ours(self, order: Order) -> bool:
        """Renew the lock and see whether the order is still the one that is waited for, every ten seconds."""
        now = self._now()
        if now - order.checked_at < CHECK:
            return True
        if not self._locked(order):
            return False
        name, transaction = order.kept.value.id, order.kept.value
        if not self._transactions.holds(name, order.kept.raw):
            newest = self._transactions.get(name)
            if newest is None or newest.value.handle != transaction.handle or newest.value.stage is not Stage.PROVING:
                # Whoever left it may have cancelled the one before: this one was made in that very moment.
                self.drop(order.provider, transaction.provider_state)
                return False
            if newest.value.wait is None or newest.value.wait.proof is not None:
                return False
            order.kept = newest
        order.checked_at = now
        wait = order.kept.value.wait
        idle = wait is not None and wait.progress is Progress.WAITING and wait.device is Device.OTHER
        order.unseen = order.unseen + 1 if idle and not self.is_seen(name) else 0
        return True

    def _locked(self, order: Order) -> bool:
        if self._transient.swap(order.lock, self._me, self._me, LOCK):
            return True
        # It may have run out while the store was away or this process slept: then it is free, or another's.
        return self._transient.swap(order.lock, None, self._me, LOCK)

    def _forget(self, order: Order) -> None:
        with self._change:
            self._orders.pop(order.kept.value.handle or "", None)
        try:
            if self._transient.get(order.lock) == self._me:
                self._transient.take(order.lock)
        except StoreError:
            _log.warning("lookout_lock_left")

    def _drop(self, provider: str, state: bytes) -> None:
        app = self._providers.get(provider)
        if not isinstance(app, App):
            return
        try:
            app.drop(state)
        except ProviderError as error:
            _log.warning("order_not_cancelled", provider=provider, code=error.code, detail=error.detail)

    def _once_in(self, key: str, seconds: float) -> bool:
        """Tell whether something was not done for so long; browsers ask every second, the store need not know."""
        now = self._clock.now().timestamp()
        if abs(now - self._noted.get(key, -seconds)) < seconds:
            return False
        if len(self._noted) >= _MOST_SEEN:
            self._noted.clear()
        self._noted[key] = now
        return True


def _seen_key(name: str) -> str:
    return f"seen:{{{name}}}"
