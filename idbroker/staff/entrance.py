"""How staff come in: two factors, a short sign-in, and how a first or a lost password is chosen."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from idbroker.keeping import Shelf
from idbroker.otp.one_time import Locked
from idbroker.staff.member import Actor, Member
from idbroker.staff.records import Members
from idbroker.staff.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffSession:
    """A colleague is signed in, in one browser. Kept under the hash of its cookie's secret.

    `how` is `app`, `passkey` or `organisation`.
    """

    key: str
    staff: str
    how: str
    started_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Halfway:
    """The password was right: the second factor is asked. Kept for five minutes, under the hash of a form's secret."""

    staff: str
    at: datetime
    challenge: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Not let in; why is for the trail: whoever typed it is told one sentence for all of it (ASVS 6.3.8)."""

    why: str


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """Lets staff in. Every method may raise StoreError. Tries are counted before anything is compared."""

    members: Members
    sessions: Shelf[StaffSession]
    settings: Settings

    def password(self, login: str, password: str, ip: str | None, now: datetime) -> Member | Refused | Locked:
        """Check a user name and a password: the first of two factors."""
        raise NotImplementedError

    def code(self, member: Member, typed: str, now: datetime) -> bool | Locked:
        """Check an authenticator app's code, each once."""
        raise NotImplementedError

    def admit(self, member: Member, how: str, now: datetime) -> tuple[StaffSession, str]:
        """Return a new sign-in and its cookie's secret."""
        raise NotImplementedError

    def session(self, secret: str | None, now: datetime) -> tuple[StaffSession, Member] | None:
        """Return a living sign-in and who it is; it is used now. None when over, disabled, or before their epoch."""
        raise NotImplementedError

    def leave(self, secret: str | None) -> None:
        """End a sign-in."""
        raise NotImplementedError

    def actor(self, member: Member, clinic: str) -> Actor | None:
        """Return them as who acts at a clinic; None where they do not work."""
        role = member.role(clinic)
        return None if role is None else Actor(id=member.id, clinic=clinic, role=role, name=member.name)
