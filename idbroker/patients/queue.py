"""Who asked to be taken: how they compare with what the clinic knows, and its answer, the first of which counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from idbroker.accounts.account import Account
from idbroker.accounts.approving import Approving
from idbroker.accounts.records import Records
from idbroker.patients.patient import NotDone, Patient
from idbroker.staff.member import Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that differs: `what` is `name`, `birthdate`, `email` or `phone`; both as a page may show them."""

    what: str
    theirs: str
    ours: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Somebody who waits: `differences` from the clinic's own record, None where it has none to compare with.

    `guardian` is the account of who asked for a child.
    """

    patient: Patient
    guardian: Account | None
    differences: tuple[Difference, ...] | None

    @property
    def alike(self) -> bool:
        """Tell whether the clinic knows them and nothing differs: only such are approved many at once."""
        return self.differences == () and self.guardian is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """How it stands now; `first` when it was this answer, else `by` whom (a name for colleagues) and when."""

    patient: Patient
    first: bool
    by: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Queue:
    """Every method may raise StoreError; NotFound for a handle that is not there."""

    records: Records
    approving: Approving

    def waiting(self, actor: Actor) -> tuple[Asking, ...]:
        """Return who waits, oldest first."""
        raise NotImplementedError

    def approve(self, actor: Actor, handle: str, now: datetime) -> Answered | NotDone:
        """Take somebody, and tell them."""
        raise NotImplementedError

    def decline(self, actor: Actor, handle: str, reason: str, now: datetime) -> Answered | NotDone:
        """Take them not, and tell them whom to ask; the reason stays here."""
        raise NotImplementedError

    def approve_alike(self, actor: Actor, handles: Sequence[str], now: datetime) -> tuple[Answered | NotDone, ...]:
        """Take many at once: those who are alike; the others are left (NOT_ALIKE)."""
        raise NotImplementedError
