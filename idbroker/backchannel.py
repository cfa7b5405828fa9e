"""Telling the clients that a sign-on reached that it has ended (OpenID Connect Back-Channel Logout 1.0).

Whoever ends a sign-on puts a notice for each client into the outbox, and waits for nobody. A
courier in every worker takes what is due, each notice by one of them, and tries until the client
has heard it or a day has passed. What a courier took and did not end comes back by itself.
"""

from __future__ import annotations

import hashlib
import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from idbroker.client import Client, Clients
from idbroker.clock import Clock
from idbroker.errors import StoreError
from idbroker.events import Event, Events
from idbroker.oidc.jose import Signer
from idbroker.oidc.logout_token import logout_token
from idbroker.person import pairwise_subject
from idbroker.session import Session

_log = structlog.get_logger("idbroker.backchannel")

TRIED_FOR = timedelta(hours=24)
BACK_OFF = tuple(timedelta(seconds=seconds) for seconds in (10, 60, 300, 1800, 7200))
LEASE = timedelta(minutes=1)  # longer than any one delivery: eleven seconds, look-up of the name included
THREADS = 8
EACH = 2  # for one client at once
MOST_REST = timedelta(minutes=1)
REFUSALS = 2
_NOT_NOW = {408, 425, 429}
_EVERY = 5.0
_LEAVING = 6.0  # seconds, for the answers that are under way


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutNotice:
    """One client is to be told of one ended session; `client_id` and `sid` are its key.

    `tries` is how often it was taken, `ends_at` when nobody tries any more. While somebody has it,
    `due_at` is when it comes back.
    """

    client_id: str
    sid: str
    person: str
    due_at: datetime
    tries: int = 0
    ends_at: datetime


class Outbox(Protocol):
    """Where notices lie until they are delivered, across restarts. Every method may raise StoreError."""

    def add(self, notices: Sequence[LogoutNotice]) -> None:
        """Keep them, all or none. One that is there already only comes sooner, and only if nobody has tried it."""
        ...

    def due(
        self, now: datetime, lease: timedelta, most: int, *, each: int, without: Collection[str] = ()
    ) -> tuple[LogoutNotice, ...]:
        """Take up to `most` that are due, `each` for one client, oldest first; they come back after `lease`.

        Of many callers at once each notice goes to one. Those of the clients `without` stay. What has come
        to its end is taken whosever it is, and however many: nobody is told any more.
        """
        ...

    def later(self, notice: LogoutNotice, due_at: datetime) -> None:
        """Let one come back at a moment, unless it was taken by another since."""
        ...

    def done(self, notice: LogoutNotice) -> None:
        """Forget one."""
        ...

    def count(self) -> int:
        """Return how many lie here."""
        ...

    def purge(self, now: datetime) -> int:
        """Forget those that have come to their end; return how many. A courier does so by itself, with an event."""
        ...


def notices_for(session: Session, clients: Clients, due_at: datetime) -> tuple[LogoutNotice, ...]:
    """Return a notice for each client that a session reached and that wants to be told.

    They are due now, or when the session ends by itself: then nobody presses anything, and no worker looks.
    """
    # A client may know it by two: what an earlier sign-on of the same person reached is carried on.
    known = dict.fromkeys((reached.client_id, reached.sid) for reached in session.reached)
    return tuple(
        LogoutNotice(client_id=client_id, sid=sid, person=session.person, due_at=due_at, ends_at=due_at + TRIED_FOR)
        for client_id, sid in known
        if _address(clients.find(client_id)) is not None
    )


def _address(client: Client | None) -> str | None:
    return None if client is None or client.disabled else client.backchannel_logout_uri


@dataclass(frozen=True, slots=True)
class _Rest:
    """A client that does not answer is left alone for a while: its notices would take every thread."""

    failures: int
    until: datetime


@dataclass(kw_only=True, eq=False)
class Backchannel:
    """The courier of one worker: `start` it, `wake` it when a sign-on has ended, `close` it.

    `signing` gives our key for an algorithm, `subject_secret` that of pairwise subjects, and `post`
    sends a form and returns the status, or raises OSError, all within a few seconds.
    """

    issuer: str
    clock: Clock
    outbox: Outbox
    clients: Clients
    events: Events
    signing: Callable[[str], Signer]
    subject_secret: Callable[[], bytes]
    post: Callable[[str, Mapping[str, str]], int]
    threads: int = THREADS

    def __post_init__(self) -> None:
        self._closed = False
        self._begin_anew()
        begin = weakref.WeakMethod(self._begin_anew)
        os.register_at_fork(after_in_child=lambda: (again := begin()) and again())

    def _begin_anew(self) -> None:
        """Start with no thread: a child that was forked has none of its parent's."""
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="backchannel")
        self._taking = threading.Lock()
        self._change = threading.Condition()
        self._courier: threading.Thread | None = None
        self._woken = False
        self._under_way: Counter[str] = Counter()
        self._waiting: set[Future[bool]] = set()
        self._rests: dict[str, _Rest] = {}

    # ---- the courier's life ----------------------------------------------------------------------

    def start(self) -> None:
        """Begin to deliver, what other workers left behind too."""
        with self._change:
            if self._courier is None and not self._closed:
                self._courier = threading.Thread(target=self._run, name="backchannel", daemon=True)
                self._courier.start()

    def wake(self) -> None:
        """Look at once: a sign-on has just ended here. Waits for nothing."""
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
        """Send all that is due, and wait for the answers; return how many were heard. Raises StoreError."""
        told = 0
        waiting = self._hand_out(now)
        while waiting:
            ended, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            told += sum(future.result() for future in ended if not future.cancelled())
            waiting |= self._hand_out(now)
        return told

    def _nudge(self) -> None:
        with self._change:
            self._woken = True
            self._change.notify_all()

    def _run(self) -> None:
        while not self._closed:
            try:
                handed = self._hand_out(self.clock.now())
            except StoreError as error:
                _log.warning("backchannel_store", error=type(error).__name__)
                handed = set()
            except Exception as error:  # noqa: BLE001 - a courier that ended would leave every client untold
                _log.exception("backchannel_failed", error=type(error).__name__)
                handed = set()
            for future in handed:
                future.add_done_callback(lambda _: self._nudge())  # there is a thread for the next
            with self._change:
                self._change.wait_for(lambda: self._woken or self._closed, _EVERY)
                self._woken = False

    # ---- many notices ----------------------------------------------------------------------------

    def _hand_out(self, now: datetime) -> set[Future[bool]]:
        """Take as many as there are threads, and let them be sent. A client with some under way gets no more."""
        with self._taking:
            with self._change:
                free = 0 if self._closed else self.threads - self._under_way.total()
                resting = {client_id for client_id, rest in self._rests.items() if rest.until > now}
                without = resting | set(self._under_way)
            if free <= 0:
                return set()
            notices = self.outbox.due(now, LEASE, free, each=EACH, without=without)
            handed = {future for notice in notices if (future := self._handed(notice, now)) is not None}
            self._waiting = {future for future in self._waiting if not future.done()} | handed
            return handed

    def _handed(self, notice: LogoutNotice, now: datetime) -> Future[bool] | None:
        with self._change:
            self._under_way[notice.client_id] += 1
        try:
            return self._pool.submit(self._carry, notice, now)
        except RuntimeError as error:  # the process is going down, or may have no more threads: it comes back
            _log.warning("backchannel_full", error=type(error).__name__)
            self._put_down(notice)
            return None

    def _put_down(self, notice: LogoutNotice) -> None:
        with self._change:
            self._under_way[notice.client_id] -= 1
            self._under_way += Counter()  # forgets those at nought

    def _carry(self, notice: LogoutNotice, now: datetime) -> bool:
        """Try one notice; tell whether the client has heard it. Whatever fails here comes back after its lease."""
        try:
            return self._tell(notice, now)
        except StoreError as error:
            _log.warning("backchannel_store", error=type(error).__name__)
        except Exception as error:  # noqa: BLE001 - nobody else would see it
            _log.exception("backchannel_failed", error=type(error).__name__, client=notice.client_id)
        finally:
            self._put_down(notice)
        return False

    # ---- one notice ------------------------------------------------------------------------------

    def _tell(self, notice: LogoutNotice, now: datetime) -> bool:
        client = self.clients.find(notice.client_id)
        address = _address(client)
        if client is None or address is None:
            self._give_up(notice, "logout.dropped", now)
            return False
        if now >= notice.ends_at:
            self._give_up(notice, "logout.undelivered", now)
            return False
        return self._learn(notice, self._sent(notice, client, address, now), now)

    def _sent(self, notice: LogoutNotice, client: Client, address: str, now: datetime) -> int | None:
        """Send one, and return the status; None when nobody answered."""
        token = logout_token(
            issuer=self.issuer,
            client_id=client.id,
            subject=pairwise_subject(self.subject_secret(), client.subject_sector, notice.person),
            sid=notice.sid,
            now=now,
            signer=self.signing(client.id_token_alg),
        )
        try:
            return self.post(address, {"logout_token": token})
        except OSError as error:
            _log.warning("logout_unanswered", client=client.id, tries=notice.tries, detail=str(error))
            return None

    def _learn(self, notice: LogoutNotice, status: int | None, now: datetime) -> bool:
        """Do what an answer means (Back-Channel Logout 2.8)."""
        if status is None or status >= 500 or status in _NOT_NOW:
            self._rest(notice.client_id, now)
            self._try_later(notice, status, now)
            return False
        with self._change:
            self._rests.pop(notice.client_id, None)
        if status in (200, 204):
            self.outbox.done(notice)
            return True
        if notice.tries >= REFUSALS:
            self._give_up(notice, "logout.refused", now, status)
        else:
            self._try_later(notice, status, now)  # it may not have known our newest key yet
        return False

    def _try_later(self, notice: LogoutNotice, status: int | None, now: datetime) -> None:
        due_at = now + BACK_OFF[min(notice.tries, len(BACK_OFF)) - 1]
        if due_at >= notice.ends_at:
            self._give_up(notice, "logout.undelivered", now, status)
        else:
            self.outbox.later(notice, due_at)

    def _give_up(self, notice: LogoutNotice, kind: str, now: datetime, status: int | None = None) -> None:
        """Record why the client was not told, then forget the notice: the other way round nobody might know."""
        # A hash: with the sid itself, who reads events could end the person's sign-on at the client's front channel.
        detail = {"sid": hashlib.sha256(notice.sid.encode()).hexdigest()[:16], "tries": str(notice.tries)}
        if status is not None:
            detail["status"] = str(status)
        self.events.record(Event(at=now, kind=kind, client=notice.client_id, person=notice.person, detail=detail))
        self.outbox.done(notice)

    def _rest(self, client_id: str, now: datetime) -> None:
        """Leave a client alone, the longer the more often it has failed; one failure of several at once counts."""
        with self._change:
            before = self._rests.get(client_id, _Rest(0, now))
            if before.until <= now:
                pause = min(BACK_OFF[0] * 2**before.failures, MOST_REST)
                self._rests[client_id] = _Rest(min(before.failures + 1, 10), now + pause)
