"""What acts for a ward now: one grant each, found again when the right to act has changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from idbroker.acting import Acting
from idbroker.grant import Grant

SETTLED = timedelta(seconds=20)  # by then what was granted is part of its sign-on, or was taken back


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """One grant that acts for a ward: whose, for whom, at which client, on which register's word.

    `check_at` is when that word is no longer good and must be asked for again; `until` when it ends by itself.
    """

    grant: str
    session: str
    client: str
    clinic: str
    sid: str
    guardian: str
    ward: str
    register: str
    check_at: datetime
    until: datetime


def delegation_of(grant: Grant, acting: Acting, now: datetime) -> Delegation:
    """Return the delegation of a grant that acts."""
    return Delegation(
        grant=grant.id,
        session=grant.session or "",
        client=grant.client_id,
        clinic=grant.clinic,
        sid=grant.sid or "",
        guardian=grant.person,
        ward=acting.ward,
        register=acting.register,
        check_at=max(acting.good_until, now + SETTLED),
        until=grant.until or acting.until,
    )


class Delegations(Protocol):
    """Where they are kept, across restarts. Every method may raise StoreError."""

    def add(self, delegation: Delegation) -> None:
        """Keep one."""
        ...

    def of_ward(self, ward: str, clinic: str | None = None) -> tuple[Delegation, ...]:
        """Return those that act for somebody, at one clinic or at all."""
        ...

    def of_guardian(self, guardian: str) -> tuple[Delegation, ...]:
        """Return those by which somebody acts for others."""
        ...

    def due(self, now: datetime, lease: timedelta, most: int) -> tuple[Delegation, ...]:
        """Take up to `most` whose word is no longer good, the oldest first; they come back after `lease`.

        Of many callers at once each goes to one. Those that ended by themselves are not among them.
        """
        ...

    def checked(self, grant: str, check_at: datetime) -> None:
        """Note that the register has said so again, and until when that is good."""
        ...

    def done(self, grant: str) -> bool:
        """Forget one; tell whether it was there."""
        ...

    def purge(self, now: datetime) -> int:
        """Forget those that have ended by themselves; return how many."""
        ...
