"""Help that staff have begun: where it is, as values."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from idbroker.staff.member import Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """Help that was begun: for whom, by whom, at which service. `reason` is one of `assisting.REASONS`.

    `state` is `open` (its code waits), `given` (a tablet has it), `running`, `ended` or `refused` ("that is not me").
    `until` is when that ends by itself. `tablet` is the hash of the secret of the tablet that has it, `address` where
    that was, for the colleague who must see that it is not theirs. `session` is the sign-on's key.
    """

    id: str
    actor: Actor
    person: str
    handle: str
    client: str
    checked: str
    reason: str = field(repr=False)
    state: str = "open"
    session: str = ""
    begun_at: datetime
    until: datetime
    ended_at: datetime | None = None
    tablet: str = field(default="", repr=False)
    address: str = field(default="", repr=False)

    def at(self, now: datetime) -> Pairing:
        """Return it as it is at a moment: what nobody ended ends by itself."""
        over = self.state in ("open", "given", "running") and now >= self.until
        return self.over(self.until) if over else self

    def over(self, at: datetime, state: str = "ended") -> Pairing:
        """Return it ended."""
        return replace(self, state=state, ended_at=at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """Help begins: the code to type on the tablet, six digits, shown once."""

    pairing: Pairing
    code: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Whom the tablet asks whether it is them, in their language."""

    pairing: Pairing
    name: str = field(repr=False)
    year: int | None
    language: str


@dataclass(frozen=True, slots=True)
class NoSuchPatient:
    """There is none of that number at this clinic."""
