"""One-time codes to an address: sent there, and checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from idbroker.messages.message import Channel, Delivery
from idbroker.visit import Visit


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """What a code is good for, and for nothing else (ASVS 6.6.2): one transaction, purpose, person and address."""

    transaction: str
    purpose: str
    person: str
    channel: Channel
    to: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A code is on its way. `shown` is the address as a page may show it, `message` what `delivery` knows it by."""

    channel: Channel
    shown: str = field(repr=False)
    at: datetime
    until: datetime
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limited:
    """Nothing was sent: too many went to this person, this address, from this browser or today, or none would count.

    With `recover` it is the ceiling's lock (`Locked`): no page should promise a time.
    """

    until: datetime
    recover: bool = False


@dataclass(frozen=True, slots=True)
class Right:
    """The code was right, and is used up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """It was not; `left` tries are left."""

    left: int


@dataclass(frozen=True, slots=True)
class Old:
    """It was right once, not long ago."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """Too many tries: none counts until then, whatever is typed.

    With `recover` it is a ceiling's: of signing in it does not end by itself, the person must prove anew who they
    are; of showing an address to be theirs it ends after weeks. No page should promise a time.
    """

    until: datetime
    recover: bool = False


Verdict = Right | Wrong | Old | Locked


class OneTimeCodes(Protocol):
    """Sends and checks one-time codes. Both may raise StoreError: who cannot count lets nobody guess."""

    def send(self, spot: Spot, visit: Visit) -> Sent | Limited:
        """Send a new code; the two newest of a spot are good."""
        ...

    def check(self, spot: Spot, typed: str, visit: Visit) -> Verdict:
        """Count a try, then compare: of two hundred at once no more than the limit are."""
        ...

    def delivery(self, message: str) -> Delivery | None:
        """Return what has become of the message with a code."""
        ...

    def takes(self, channel: Channel, to: str) -> bool:
        """Tell whether codes go to such an address at all: text messages go to some countries only."""
        ...

    def revoke(self, person: str) -> None:
        """Let no code sent to a person until now be good: the password or an address was changed."""
        ...

    def recovered(self, person: str) -> None:
        """Lift the ceiling of failures: the person has proved anew who they are."""
        ...

    def works(self, channel: Channel) -> bool:
        """Tell whether a channel is configured and has not failed just now."""
        ...
