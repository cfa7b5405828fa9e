"""One identification by telephone, as a value: who asked whom, by which eID, and what came of it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from idbroker.errors import Cancelled, ProviderError, Refused, Untrusted
from idbroker.identity import Identity
from idbroker.numbers import NationalNumber
from idbroker.staff.member import Actor

# Longer than any eID's answer may take: whoever holds the call so long and says nothing was killed.
LEASE = timedelta(seconds=30)


class Outcome(enum.StrEnum):
    """What came of a call."""

    WAITING = "waiting"
    CONFIRMED = "confirmed"  # it is this patient
    OTHER = "other"  # an eID answered, of somebody else
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One identification by telephone.

    `reason` says more of an outcome: `ended` by staff, or why it failed (`busy`, `lost`, `level`, `untrusted`,
    `unreachable`, `refused`, `gone`). `away` is True while the eID does not answer. `asks_at` is when the next may ask
    the eID, or see to an end that is not yet in the trail: `noted`, which no page shows before. `proof` is what the
    eID signed, until then.
    """

    id: str
    actor: Actor
    person: str
    handle: str
    provider: str
    number: NationalNumber = field(repr=False)
    by_clinic: bool = False
    shows: bool = False
    state: bytes = field(default=b"", repr=False)
    outcome: Outcome = Outcome.WAITING
    reason: str = ""
    away: bool = False
    begun_at: datetime
    ended_at: datetime | None = None
    asks_at: datetime
    proof: Mapping[str, str] = field(default_factory=dict, repr=False)
    noted: bool = False

    @property
    def waits(self) -> bool:
        """Tell whether nothing has come of it."""
        return self.outcome is Outcome.WAITING

    @property
    def shown(self) -> Call:
        """Return it as a page may show it: no result that the trail does not have."""
        if self.waits or self.noted:
            return self
        return replace(self, outcome=Outcome.WAITING, reason="", ended_at=None)

    def ended(self, outcome: Outcome, reason: str, now: datetime, proof: Mapping[str, str] | None = None) -> Call:
        """Return it as ended, to be noted by whoever ended it."""
        return replace(
            self, outcome=outcome, reason=reason, ended_at=now, asks_at=now + LEASE, state=b"", proof=proof or {}
        )


def judged(call: Call, identity: Identity) -> tuple[Outcome, str]:
    """Return whether who approved is who was asked for, and why not."""
    if identity.number is None:
        return Outcome.FAILED, "level"
    # The number alone: names are spelt in many ways, and somebody else may have the same.
    return (Outcome.CONFIRMED if identity.number.key == call.number.key else Outcome.OTHER), ""


_REASONS: Mapping[str, str] = {
    "bankid_busy": "busy",
    "bankid_superseded": "busy",
    "bankid_lost": "lost",
    "freja_lost": "lost",
    "level_too_low": "level",
    "bankid_mrtd": "level",
}


def came_to(error: ProviderError) -> tuple[Outcome, str]:
    """Return what an error of an eID's is for staff."""
    if isinstance(error, Cancelled):
        return Outcome.CANCELLED, "declined"
    if isinstance(error, Refused):
        if error.reason.endswith("_expired"):
            return Outcome.EXPIRED, ""
        return Outcome.FAILED, _REASONS.get(error.reason, "refused")
    return Outcome.FAILED, "untrusted" if isinstance(error, Untrusted) else "unreachable"
