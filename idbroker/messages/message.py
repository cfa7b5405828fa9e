"""A message to one person, and where it lies until it is handed over."""

from __future__ import annotations

import enum
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from idbroker.errors import BrokerError


class Channel(enum.StrEnum):
    """How a message goes. A TASK goes to nobody: it is work that must not be seen in how long an answer takes."""

    EMAIL = "email"
    SMS = "sms"
    TASK = "task"


class Delivery(enum.StrEnum):
    """What has become of a message."""

    WAITING = "waiting"
    SENT = "sent"  # somebody else has it now: a mail server, a gateway
    FAILED = "failed"  # it was refused, or its time was up
    UNSURE = "unsure"  # it was being handed over when something broke: it is not sent again


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message. The same `id` again, within its life, is the same message: it is sent once.

    `to` is an e-mail address or a number in E.164; `kind` is a word for the events (code, reset, changed,
    activation, approved, ...). After `ends_at` it is of no use, and is not sent. Of a TASK `text` is JSON.
    """

    id: str
    channel: Channel
    to: str = field(repr=False)
    subject: str = field(default="", repr=False)
    text: str = field(repr=False)
    kind: str
    person: str | None = None
    clinic: str | None = None
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedMessage:
    """The same, as it lies in the outbox: what it says is sealed (row `message|ID`), and gone once it was sent.

    `tries` is how often it was taken. While a courier has it, `due_at` is when it comes back.
    """

    id: str
    channel: Channel
    kind: str
    sealed: bytes = field(repr=False)
    due_at: datetime
    ends_at: datetime
    tries: int = 0
    state: Delivery = Delivery.WAITING


class Outbox(Protocol):
    """Where messages lie, across restarts. Every method may raise StoreError."""

    def add(self, messages: Sequence[SealedMessage]) -> None:
        """Keep them, all or none; one whose id is there already stays as it is."""
        ...

    def due(
        self, now: datetime, lease: timedelta, most: int, *, without: Collection[Channel] = ()
    ) -> tuple[SealedMessage, ...]:
        """Take up to `most` that wait and are due, oldest first; they come back after `lease`.

        Of many callers at once each message goes to one. What has come to its end is not taken.
        """
        ...

    def hand_over(self, message: SealedMessage) -> bool:
        """Mark one UNSURE from now on, as it is being sent; False if another has it by now, or it has ended.

        Whoever breaks after this leaves it so: a code twice is worse than a code to be asked for again.
        """
        ...

    def later(self, message: SealedMessage, due_at: datetime) -> None:
        """Let one wait again, until a moment: it was not taken by whom it was handed to."""
        ...

    def end(self, message: SealedMessage, state: Delivery) -> None:
        """Keep what has become of it, and forget what it said."""
        ...

    def state(self, message_id: str) -> Delivery | None:
        """Return what has become of a message; None when nobody knows it."""
        ...

    def count(self) -> int:
        """Return how many wait."""
        ...

    def purge(self, now: datetime) -> tuple[SealedMessage, ...]:
        """Forget those whose end has come; return those of them that still waited, without what they said."""
        ...


class NotSent(BrokerError):
    """A message was not taken. `for_good` when trying again cannot help.

    `outage` when the fault is the channel's own, not the address's: nothing goes that way just now.
    """

    code = "not_sent"

    def __init__(self, detail: str, *, for_good: bool = False, outage: bool = False) -> None:
        super().__init__(detail)
        self.for_good = for_good
        self.outage = outage


class Unsure(BrokerError):
    """Nobody knows whether a message was taken: it must not be sent again."""

    code = "unsure"


class Later(BrokerError):
    """A task cannot be done just now: it waits, as a message does that was not taken. It must not have begun."""

    code = "later"


class Sender(Protocol):
    """One channel's way out."""

    def send(self, message: Message) -> None:
        """Hand a message over, within a few seconds. Raises NotSent, or Unsure."""
        ...


class Post(Protocol):
    """What whoever writes messages needs of this room."""

    def send(self, *messages: Message) -> None:
        """Keep messages for sending, all or none, and let the courier look. Waits for nobody. Raises StoreError."""
        ...

    def delivery(self, message_id: str) -> Delivery | None:
        """Return what has become of a message."""
        ...

    def works(self, channel: Channel) -> bool:
        """Tell whether a channel is configured and has not failed just now."""
        ...
