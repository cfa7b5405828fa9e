"""Telling the clients that a sign-on reached that it has ended (OpenID Connect Back-Channel Logout 1.0).

Whoever ends a sign-on puts a notice for each client into the outbox, and waits for nobody. A
courier in every worker takes what is due, each notice by one of them, and tries until the client
has heard it or a day has passed. What a courier took and did not end comes back by itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from idbroker.client import Client, Clients
from idbroker.clock import Clock
from idbroker.couriers import Courier, Rests
from idbroker.events import Event, Events
from idbroker.guardianship.delegation import Delegation
from idbroker.oidc.jose import Signer
from idbroker.oidc.logout_token import logout_token
from idbroker.person import pairwise_subject
from idbroker.session import Reached, Session

_log = structlog.get_logger("idbroker.backchannel")

TRIED_FOR = timedelta(hours=24)
BACK_OFF = tuple(timedelta(seconds=seconds) for seconds in (10, 60, 300, 1800, 7200))
LEASE = timedelta(minutes=1)  # longer than any one delivery: eleven seconds, look-up of the name included
THREADS = 8
EACH = 2  # for one client at once
REFUSALS = 2
_NOT_NOW = {408, 425, 429}


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
    """Return a notice for each client that a session reached and that wants to be told, due at a moment."""
    # A client may know it by two: what an earlier sign-on of the same person reached is carried on.
    known = {(reached.client_id, reached.sid): reached for reached in session.reached if not reached.ended}
    return tuple(
        _notice(reached, session.person, due_at)
        for reached in known.values()
        if _address(clients.find(reached.client_id)) is not None
    )


def timed_notices_for(session: Session, clients: Clients, now: datetime) -> tuple[LogoutNotice, ...]:
    """Return a notice for each client whose part of a session will end by itself, due then.

    At that moment nobody presses anything, and no worker looks: midnight of a birthday, half an hour of a tablet.
    """
    living = (reached for reached in session.reached if not reached.ended)
    ending = (reached for reached in living if reached.until is not None and reached.until > now)
    known = {(reached.client_id, reached.sid): reached for reached in ending}
    return tuple(
        _notice(reached, session.person, reached.until)
        for reached in known.values()
        if reached.until is not None and _address(clients.find(reached.client_id)) is not None
    )


def notices_of(delegation: Delegation, clients: Clients, due_at: datetime) -> tuple[LogoutNotice, ...]:
    """Return the notice that what acts for a ward has ended; none where the client does not want to be told."""
    notice = LogoutNotice(
        client_id=delegation.client,
        sid=delegation.sid,
        person=delegation.ward,
        due_at=due_at,
        ends_at=due_at + TRIED_FOR,
    )
    return (notice,) if _address(clients.find(delegation.client)) is not None else ()


def _notice(reached: Reached, person: str, due_at: datetime) -> LogoutNotice:
    """Return a notice; the `person` in it is whom the client knows: of what is about a ward, the ward."""
    return LogoutNotice(
        client_id=reached.client_id,
        sid=reached.sid,
        person=person if reached.acting is None else reached.acting.ward,
        due_at=due_at,
        ends_at=due_at + TRIED_FOR,
    )


def _address(client: Client | None) -> str | None:
    return None if client is None or client.disabled else client.backchannel_logout_uri


@dataclass(kw_only=True, eq=False)
class Backchannel(Courier[LogoutNotice]):
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
        self._rests = Rests()
        self._set_up("backchannel", self.threads)

    def _begin_anew(self) -> None:
        super()._begin_anew()
        self._rests = Rests()

    # ---- what ends -------------------------------------------------------------------------------

    def tell(self, session: Session) -> None:
        """Have every client that a session reached told of its end, now."""
        self.outbox.add(notices_for(session, self.clients, self.clock.now()))

    def tell_in_time(self, session: Session) -> None:
        """Have every client whose part of a session ends by itself told of that when it does."""
        self.outbox.add(timed_notices_for(session, self.clients, self.clock.now()))

    def tell_of(self, delegation: Delegation) -> None:
        """Have one client told that what acts for a ward has ended, now."""
        self.outbox.add(notices_of(delegation, self.clients, self.clock.now()))

    # ---- many notices ----------------------------------------------------------------------------

    def _take(self, now: datetime) -> Iterator[LogoutNotice]:
        """Take as many as there are threads. A client with some under way gets no more."""
        under_way = self._under_way()
        free = self.threads - under_way.total()
        if free > 0:
            yield from self.outbox.due(now, LEASE, free, each=EACH, without=self._rests.at(now) | set(under_way))

    def _lane(self, notice: LogoutNotice) -> str:
        return notice.client_id

    # ---- one notice ------------------------------------------------------------------------------

    def _carry(self, notice: LogoutNotice, now: datetime) -> bool:
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
            self._rests.failed(notice.client_id, now)
            self._try_later(notice, status, now)
            return False
        self._rests.answered(notice.client_id)
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
