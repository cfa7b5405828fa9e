"""A real outbox, seals and health, and couriers over them that send by real servers."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from idbroker.clock import Clock, StoppedClock
from idbroker.events import Event
from idbroker.keeping import SealedTransient, Shelf
from idbroker.messages.courier import Ailing, Messages
from idbroker.messages.mail import Mail, Settings
from idbroker.messages.message import Channel, Delivery, Message, Sender
from idbroker.sealing import Sealer, SealingKeys
from idbroker.store import Durable, open_durable, open_transient
from tests.conftest import NOW
from tests.messages.mail_servers import HOST

# Those of nobody: made anew for each run of the tests, handed to the workers it starts.
KEYS = SealingKeys(data={1: os.urandom(32)}, newest=1, index=os.urandom(32))
TO = "somebody@example.org"
TEXT = "the code is 123456"


def make_message(number: int = 1, **changes: Any) -> Message:
    """Return a letter to somebody, of use for five minutes."""
    usual: dict[str, Any] = {
        "id": f"m{number}",
        "channel": Channel.EMAIL,
        "to": TO,
        "subject": "123456",
        "text": f"{TEXT}, letter {number}",
        "kind": "code",
        "person": "0123456789abcdef",
        "clinic": "eyes",
        "ends_at": NOW + timedelta(minutes=5),
    }
    return Message(**{**usual, **changes})


def make_mail(port: int, **changes: Any) -> Mail:
    """Return a sender to a server on this machine."""
    usual: dict[str, Any] = {"host": HOST, "port": port, "security": "none", "sender": "noreply@broker.test"}
    return Mail(Settings(**{**usual, "timeout": 10.0, **changes}), clock=StoppedClock(NOW))


@dataclass
class Counting:
    """A channel of the tests' own: remembers what was sent by it, and how many at once."""

    sent: list[str] = field(default_factory=list)
    at_once: Counter[str] = field(default_factory=Counter)
    most: int = 0
    errors: list[Exception] = field(default_factory=list)
    go: threading.Event | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, message: Message) -> None:
        """Send one, or fail as told."""
        with self.lock:
            self.at_once["now"] += 1
            self.most = max(self.most, self.at_once["now"])
        try:
            if self.go is not None:
                assert self.go.wait(20)
            with self.lock:
                error = self.errors.pop(0) if self.errors else None
            if error is not None:
                raise error
            with self.lock:
                self.sent.append(message.id)
        finally:
            with self.lock:
                self.at_once["now"] -= 1


@dataclass(kw_only=True)
class House:
    """A store in a file, and couriers over it."""

    durable: Durable
    clock: Clock
    health: Shelf[Ailing]
    sealer: Sealer
    opened: list[Messages] = field(default_factory=list)

    def courier(self, senders: Mapping[Channel, Sender] | None = None, **changes: Any) -> Messages:
        """Return the courier of one more worker."""
        settings: dict[str, Any] = {
            "outbox": self.durable.messages,
            "sealer": self.sealer,
            "senders": senders or {},
            "tasks": {},
            "clock": self.clock,
            "events": self.durable.events,
            "health": self.health,
            "draw": timedelta,
        }
        self.opened.append(Messages(**{**settings, **changes}))
        return self.opened[-1]

    def post(self, *messages: Message) -> None:
        """Write messages as a worker does whose courier never comes to look."""
        writer = self.courier()
        writer.close()
        writer.send(*messages)

    def told(self) -> list[tuple[str, str]]:
        """Return the kinds of the events, each with the channel it is about."""
        return [(event.kind, event.detail["channel"]) for event in self.events()]

    def events(self) -> tuple[Event, ...]:
        """Return the events."""
        return self.durable.events.since(datetime(2000, 1, 1, tzinfo=NOW.tzinfo))

    def state(self, number: int = 1) -> Delivery | None:
        """Return what has become of a letter."""
        return self.durable.messages.state(f"m{number}")

    def close(self) -> None:
        """Close all."""
        for each in self.opened:
            each.close()
        self.durable.close()


def open_house(url: str, folder: Path, clock: Clock, keys: SealingKeys = KEYS) -> House:
    """Open a house over a store, and health in a file."""
    durable = open_durable(url, clock)
    durable.migrate()
    transient = SealedTransient(open_transient(f"sqlite:///{folder}/transient.db", clock), lambda: keys)
    return House(durable=durable, clock=clock, health=Shelf(transient, "h", Ailing), sealer=Sealer(lambda: keys))
