"""Sending what lies in the outbox: a courier in every worker takes what is due, each message by one, and once.

A message is marked UNSURE before it is handed over. Whoever breaks before that leaves it to the next courier;
whoever breaks after leaves it unsent or sent, and nobody sends it again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from idbroker.clock import Clock
from idbroker.codec import Codec
from idbroker.couriers import Courier, where
from idbroker.errors import StoreError
from idbroker.events import Event, Events
from idbroker.keeping import Shelf
from idbroker.messages.message import (
    Channel,
    Delivery,
    Later,
    Message,
    NotSent,
    Outbox,
    SealedMessage,
    Sender,
    Unsure,
)
from idbroker.sealing import Sealer

_log = structlog.get_logger("idbroker.messages")

Task = Callable[[Mapping[str, str], datetime], None]

BACK_OFF = tuple(timedelta(seconds=seconds) for seconds in (1, 3, 10, 30, 60))
LEASE = timedelta(minutes=1)  # from taking a message to marking it: an instant, unless the process dies between
THREADS = 4  # for each channel: one that hangs takes no thread of another's
AILING = timedelta(seconds=60)
_EVERY = 5.0
_TIDY = timedelta(minutes=1)
_SOONEST, _SPREAD = 2000, 10000  # milliseconds


def some_time() -> timedelta:
    """Return how long a task waits: 2 to 12 seconds, drawn anew for each, and nobody's to guess."""
    return timedelta(milliseconds=_SOONEST + secrets.randbelow(_SPREAD + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ailing:
    """A channel that failed just now; it is not offered until then, or until something went by it."""

    until: datetime


@dataclass(kw_only=True, eq=False)
class Messages(Courier[SealedMessage]):
    """`Post`, and the courier of one worker: `start` it, `close` it.

    `senders` are the channels that are configured. `tasks` do the work of TASK messages, by kind, with the
    message's text as strings by name and the moment; they may be added later. `health` is kept for all workers.

    A task waits for `draw` first, and nobody is woken for it: what the courier does next, and does only for whom
    there is an account, would slow the very next answers to whoever asked (O7).
    """

    outbox: Outbox
    sealer: Sealer
    senders: Mapping[Channel, Sender]
    tasks: Mapping[str, Task]
    clock: Clock
    events: Events
    health: Shelf[Ailing]
    back_off: tuple[timedelta, ...] = BACK_OFF
    threads: int = THREADS
    draw: Callable[[], timedelta] = some_time

    def __post_init__(self) -> None:
        self._message = Codec(Message)
        self._strings = Codec(dict[str, str])
        self._coming: list[datetime] = []
        self._tidied: datetime | None = None
        self._set_up("messages", self.threads * len(Channel))

    def _begin_anew(self) -> None:
        super()._begin_anew()
        self._coming, self._tidied = [], None

    # ---- Post ------------------------------------------------------------------------------------

    def send(self, *messages: Message) -> None:
        """Keep messages for sending, all or none, and let the courier look. Waits for nobody. Raises StoreError."""
        now = self.clock.now()
        sealed = [self._sealed(message, now) for message in messages]
        self.outbox.add(sealed)
        if any(one.due_at <= now for one in sealed):
            self.wake()
        else:
            self.start()

    def delivery(self, message_id: str) -> Delivery | None:
        """Return what has become of a message. Raises StoreError."""
        return self.outbox.state(message_id)

    def works(self, channel: Channel) -> bool:
        """Tell whether a channel is configured and has not failed just now. Raises StoreError."""
        if channel is Channel.TASK:
            return True
        kept = self.health.get(channel) if channel in self.senders else None
        return channel in self.senders and (kept is None or kept.value.until <= self.clock.now())

    def _sealed(self, message: Message, now: datetime) -> SealedMessage:
        return SealedMessage(
            id=message.id,
            channel=message.channel,
            kind=message.kind,
            sealed=self.sealer.seal(self._message.pack(message), message_row(message.id)),
            due_at=now + self.draw() if message.channel is Channel.TASK else now,
            ends_at=message.ends_at,
        )

    # ---- many messages ---------------------------------------------------------------------------

    def _patience(self) -> float:
        """Return the seconds until something of ours is due again, or until it is time to look anyway."""
        now = self.clock.now()
        self._coming = [moment for moment in self._coming if moment > now]
        return min([_EVERY, *((moment - now).total_seconds() for moment in self._coming)])

    def _tidy(self, now: datetime) -> None:
        """Forget what has come to its end, each by one worker; what was never sent, or left by a crash, is told."""
        if self._tidied is not None and self._tidied <= now < self._tidied + _TIDY:
            return
        self._tidied = now
        for message in self.outbox.purge(now):
            unsure = message.state is Delivery.UNSURE
            self._tell("message.unsure" if unsure else "message.expired", message, now)

    def _take(self, now: datetime) -> Iterator[SealedMessage]:
        """Take what is due and has a free thread: of each channel so many at once, whatever the others do."""
        self._tidy(now)
        while not self._closed:
            under_way = self._under_way()
            full = {channel for channel in Channel if under_way[channel] >= self.threads}
            free = [self.threads - under_way[channel] for channel in Channel if channel not in full]
            if not free:
                return
            messages = self.outbox.due(now, LEASE, min(free), without=full)
            yield from messages
            if len(messages) < min(free):
                return

    def _lane(self, message: SealedMessage) -> str:
        return message.channel

    # ---- one message -----------------------------------------------------------------------------

    def _carry(self, message: SealedMessage, now: datetime) -> bool:
        opened = self._message.unpack(self.sealer.open(message.sealed, message_row(message.id)))
        if now >= message.ends_at:
            self._end(message, Delivery.FAILED, "message.expired", now, opened)
            return False
        if not self.outbox.hand_over(message):
            return False
        return self._do(message, opened, now) if message.channel is Channel.TASK else self._send(message, opened, now)

    def _send(self, message: SealedMessage, opened: Message, now: datetime) -> bool:
        try:
            self.senders.get(message.channel, _NoWay()).send(opened)
        except NotSent as error:
            self._not_sent(message, opened, error, now)
            return False
        except Exception as error:  # noqa: BLE001 - a sender that breaks has not said whether it had sent
            detail = error.detail if isinstance(error, Unsure) else where(error)
            _log.warning("message_unsure", kind=message.kind, error=type(error).__name__, detail=detail)
            self._end(message, Delivery.UNSURE, "message.unsure", now, opened)
            self._ails(message.channel)
            return False
        self._end(message, Delivery.SENT, "message.sent", now, opened)
        self._is_well(message.channel)
        return True

    def _not_sent(self, message: SealedMessage, opened: Message, error: NotSent, now: datetime) -> None:
        _log.warning("message_not_sent", kind=message.kind, tries=message.tries, detail=error.detail)
        if error.for_good or not self._again(message, now):
            self._end(message, Delivery.FAILED, "message.failed", now, opened)
        if error.outage:
            self._ails(message.channel)

    def _again(self, message: SealedMessage, now: datetime) -> bool:
        """Let a message wait for its next try; False when its end comes first."""
        due_at = now + self.back_off[min(message.tries, len(self.back_off)) - 1]
        if due_at >= message.ends_at:
            return False
        self.outbox.later(message, due_at)
        with self._change:
            self._coming.append(due_at)
        return True

    def _do(self, message: SealedMessage, opened: Message, now: datetime) -> bool:
        """Do the work of a TASK. What it wrote before its store went away it writes again: it allows for that."""
        try:
            work = self._work(opened)
            work(now)
        except (StoreError, Later) as error:
            line = "task_later" if isinstance(error, Later) else "task_store"
            _log.warning(line, kind=message.kind, tries=message.tries, error=type(error).__name__)
            if not self._again(message, now):
                self._end(message, Delivery.FAILED, "message.failed", now, opened)
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is would come again
            _log.error("task_failed", kind=message.kind, error=type(error).__name__, detail=where(error))
            self._end(message, Delivery.FAILED, "message.failed", now, opened)
            return False
        self._end(message, Delivery.SENT, "message.sent", now, opened)
        return True

    def _work(self, opened: Message) -> Callable[[datetime], None]:
        task = self.tasks[opened.kind]
        try:
            values = self._strings.unpack(opened.text.encode())
        except StoreError:
            raise ValueError("a task's text that does not read") from None  # it will not read later either
        return lambda now: task(values, now)

    def _end(self, message: SealedMessage, state: Delivery, kind: str, now: datetime, opened: Message) -> None:
        self.outbox.end(message, state)
        self._tell(kind, message, now, opened)

    def _tell(self, kind: str, message: SealedMessage, now: datetime, opened: Message | None = None) -> None:
        person, clinic = (opened.person, opened.clinic) if opened else (None, None)
        detail = {"channel": message.channel.value, "kind": message.kind}
        self.events.record(Event(at=now, kind=kind, person=person, clinic=clinic, detail=detail))

    # ---- how the channels are --------------------------------------------------------------------

    def _ails(self, channel: Channel) -> None:
        self.health.put(channel, Ailing(until=self.clock.now() + AILING), AILING)

    def _is_well(self, channel: Channel) -> None:
        if self.health.get(channel) is not None:
            self.health.take(channel)


class _NoWay:
    """The sender of a channel that is not configured."""

    def send(self, message: Message) -> None:
        raise NotSent("the channel is not configured", for_good=True)


def message_row(message_id: str) -> bytes:
    """Return what a message's seal is bound to: one that is moved to another's row does not open."""
    return f"message|{message_id}".encode()
