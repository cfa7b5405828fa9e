"""What the simulated eIDs in apps have in common: orders that wait for somebody's phone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from idbroker.sandbox.people import SimPerson


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order as the app shows it.

    `id` is the simulator's own name for it, which no browser of the broker is ever shown. `text` is what the person
    reads before approving, `status` the order's word on the wire, `person` who has it open. `code` is
    what a camera would read off the login page now, None when no code can be shown.
    """

    id: str
    provider: str
    text: str
    status: str
    person: str | None = None
    code: str | None = field(default=None, repr=False)


class Unreadable(Exception):
    """A code or link that opens no order: forged, out of date, of an order that has ended. Says which."""


class Phone(Protocol):
    """The app's side of one simulated eID. Threads may share it."""

    provider: str
    outcomes: tuple[str, ...]  # `approve`, `cancel`, then every failure by its wire name

    def waiting(self) -> tuple[Order, ...]:
        """Return the orders that nobody has finished, the newest first."""
        ...

    def scan(self, content: str) -> Order:
        """Read a QR code's text as the camera would, with every check the eID makes. Raises Unreadable."""
        ...

    def follow(self, link: str) -> Order:
        """Open the app by its link on the same device. Raises Unreadable."""
        ...

    def act(self, order: str, person: SimPerson, outcome: str, *, ip: str = "127.0.0.1") -> str | None:
        """Do what a person does, opening the order first if nobody has; return where the app leads back to.

        `ip` is the app's address. A person's own habit wins over `approve`. Raises Unreadable for an
        order that is no more, ValueError for an outcome that is not known.
        """
        ...
