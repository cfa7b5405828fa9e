"""The life of a courier: a thread of each worker that takes what is due from an outbox, and a pool that carries it."""

from __future__ import annotations

import os
import threading
import traceback
import weakref
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import structlog

from idbroker.clock import Clock
from idbroker.errors import StoreError

_EVERY = 5.0
_LEAVING = 6.0  # seconds, for what is under way

_FIRST_REST, MOST_REST = timedelta(seconds=10), timedelta(minutes=1)

Parcel = TypeVar("Parcel")


class Courier(Generic[Parcel]):
    """The courier of one worker: `start` it, `wake` it when there is something new, `close` it.

    Whoever has one says what is due (`_take`, which may ask `_under_way`), in which lane each thing goes (`_lane`), and
    how it is carried (`_carry`). What a courier took and did not end comes back by itself, from the outbox.
    """

    clock: Clock

    def _set_up(self, name: str, threads: int) -> None:
        """Begin with no thread. `name` is that of the threads and of the log lines."""
        self._name, self._most, self._closed = name, threads, False
        self._log = structlog.get_logger(f"idbroker.{name}")
        self._begin_anew()
        begin = weakref.WeakMethod(self._begin_anew)
        os.register_at_fork(after_in_child=lambda: (again := begin()) and again())

    def _begin_anew(self) -> None:
        """Start with no thread: a child that was forked has none of its parent's."""
        self._pool = ThreadPoolExecutor(self._most, thread_name_prefix=self._name)
        self._taking = threading.Lock()
        self._change = threading.Condition()
        self._courier: threading.Thread | None = None
        self._woken = False
        self._lanes: Counter[str] = Counter()
        self._waiting: set[Future[bool]] = set()

    # ---- what each does its own way --------------------------------------------------------------

    @abstractmethod
    def _take(self, now: datetime) -> Iterator[Parcel]:
        """Take what is due and may be carried now; each is handed on before the next is asked for."""

    @abstractmethod
    def _lane(self, parcel: Parcel) -> str:
        """Return what is counted together."""

    @abstractmethod
    def _carry(self, parcel: Parcel, now: datetime) -> bool:
        """Carry one; tell whether it arrived. May raise anything: then it comes back."""

    def _patience(self) -> float:
        """Return the seconds until it is time to look anyway."""
        return _EVERY

    # ---- its life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to carry, what other workers left behind too."""
        with self._change:
            if self._courier is None and not self._closed:
                self._courier = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._courier.start()

    def wake(self) -> None:
        """Look at once: there is something new. Waits for nothing."""
        self.start()
        self._nudge()

    def close(self) -> None:
        """Stop: what is under way may end, the rest is left to the other workers."""
        with self._change:
            self._closed = True
            courier = self._courier
            self._change.notify_all()
        if courier is not None:
            courier.join(_LEAVING)
        wait(tuple(self._waiting), timeout=_LEAVING)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def deliver(self, now: datetime) -> int:
        """Carry all that is due, and wait until it was; return how many arrived. Raises StoreError."""
        arrived = 0
        waiting = self._hand_out(now)
        while waiting:
            ended, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            arrived += sum(future.result() for future in ended if not future.cancelled())
            waiting |= self._hand_out(now)
        return arrived

    def _under_way(self) -> Counter[str]:
        """Return how many are being carried in each lane that has any."""
        with self._change:
            return +self._lanes

    def _nudge(self) -> None:
        with self._change:
            self._woken = True
            self._change.notify_all()

    def _run(self) -> None:
        while not self._closed:
            handed: set[Future[bool]] = set()
            try:
                handed = self._hand_out(self.clock.now())
            except StoreError as error:
                self._log.warning(f"{self._name}_store", error=type(error).__name__)
            except Exception as error:  # noqa: BLE001 - a courier that ended would leave everything where it lies
                self._log.exception(f"{self._name}_failed", error=type(error).__name__)
            for future in handed:
                future.add_done_callback(lambda _: self._nudge())  # there is a thread for the next
            with self._change:
                self._change.wait_for(lambda: self._woken or self._closed, self._patience())
                self._woken = False

    def _hand_out(self, now: datetime) -> set[Future[bool]]:
        handed: set[Future[bool]] = set()
        with self._taking:
            if self._closed:
                return handed
            for parcel in self._take(now):
                future = self._handed(parcel, now)
                handed |= set() if future is None else {future}
            self._waiting = {future for future in self._waiting if not future.done()} | handed
        return handed

    def _handed(self, parcel: Parcel, now: datetime) -> Future[bool] | None:
        with self._change:
            self._lanes[self._lane(parcel)] += 1
        try:
            return self._pool.submit(self._carried, parcel, now)
        except RuntimeError as error:  # the process is going down, or may have no more threads: it comes back
            self._log.warning(f"{self._name}_full", error=type(error).__name__)
            self._put_down(parcel)
            return None

    def _put_down(self, parcel: Parcel) -> None:
        with self._change:
            self._lanes[self._lane(parcel)] -= 1
            self._lanes += Counter()  # forgets those at nought

    def _carried(self, parcel: Parcel, now: datetime) -> bool:
        """Carry one. Whatever fails here comes back after its lease."""
        try:
            return self._carry(parcel, now)
        except StoreError as error:
            self._log.warning(f"{self._name}_store", error=type(error).__name__, lane=self._lane(parcel))
        except Exception as error:  # noqa: BLE001 - nobody else would see it
            # Without its own words: they may hold what is carried.
            told: dict[str, Any] = {"error": type(error).__name__, "lane": self._lane(parcel), "detail": where(error)}
            self._log.error(f"{self._name}_failed", **told)
        finally:
            self._put_down(parcel)
        return False


@dataclass(frozen=True, slots=True)
class _Rest:
    failures: int
    until: datetime


class Rests:
    """Lanes that do not answer are left alone for a while: what goes there would take every thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rests: dict[str, _Rest] = {}

    def at(self, now: datetime) -> set[str]:
        """Return those that are left alone."""
        with self._lock:
            return {lane for lane, rest in self._rests.items() if rest.until > now}

    def failed(self, lane: str, now: datetime) -> None:
        """Leave one alone, the longer the more often it has failed; one failure of several at once counts."""
        with self._lock:
            before = self._rests.get(lane, _Rest(0, now))
            if before.until <= now:
                pause = min(_FIRST_REST * 2**before.failures, MOST_REST)
                self._rests[lane] = _Rest(min(before.failures + 1, 10), now + pause)

    def answered(self, lane: str) -> None:
        """Leave one alone no longer."""
        with self._lock:
            self._rests.pop(lane, None)


def where(error: Exception) -> str:
    """Return where something broke."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.name}, line {last.lineno}"
