"""How staff come in: two factors, a short sign-in, and how a first or a lost password is chosen."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime

from idbroker.events import Event, Events
from idbroker.keeping import Kept, Shelf
from idbroker.otp.one_time import Locked
from idbroker.staff.member import Actor, Member
from idbroker.staff.records import Members
from idbroker.staff.settings import Settings

FRESH = 30  # so many parts of its idle life a sign-in is as good as used now


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffSession:
    """A colleague is signed in, in one browser. Kept under the hash of its cookie's secret.

    `how` is `app`, `passkey` or `organisation`. `epoch` is the member's when it began: another one ends it.
    """

    key: str
    staff: str
    how: str
    epoch: datetime
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
    events: Events

    def password(self, login: str, password: str, ip: str | None, now: datetime) -> Member | Refused | Locked:
        """Check a user name and a password: the first of two factors."""
        raise NotImplementedError

    def code(self, member: Member, typed: str, now: datetime) -> bool | Locked:
        """Check an authenticator app's code, each once."""
        raise NotImplementedError

    def admit(self, member: Member, how: str, now: datetime) -> tuple[StaffSession, str]:
        """Return a new sign-in and its cookie's secret: never one that the browser brought (session fixation)."""
        secret = secrets.token_urlsafe(32)
        key = _key(secret)
        session = StaffSession(key=key, staff=member.id, how=how, epoch=member.epoch, started_at=now, seen_at=now)
        self.sessions.put(key, session, self.settings.idle)
        self.events.record(Event(at=now, kind="staff.signed_in", detail={"by": member.id, "how": how}))
        return session, secret

    def session(self, secret: str | None, now: datetime) -> tuple[StaffSession, Member] | None:
        """Return a living sign-in and who it is; it is used now. None when over, disabled, or before their epoch."""
        kept = self.sessions.get(_key(secret)) if secret else None
        if kept is None or self._is_over(kept.value, now):
            return None
        member = self.members.of(kept.value.staff)
        if member is None or member.disabled or member.epoch != kept.value.epoch:
            return None
        used = self._used(kept, now)
        return None if used is None else (used, member)

    def leave(self, secret: str | None, now: datetime) -> None:
        """End a sign-in."""
        session = self.sessions.take(_key(secret)) if secret else None
        if session is not None:
            self.events.record(Event(at=now, kind="staff.signed_out", detail={"by": session.staff}))

    def _is_over(self, session: StaffSession, now: datetime) -> bool:
        idle, whole = now - session.seen_at, now - session.started_at
        return idle >= self.settings.idle or whole >= self.settings.absolute

    def _used(self, kept: Kept[StaffSession], now: datetime) -> StaffSession | None:
        """Return it as used now; None if it was ended meanwhile. What was kept a moment ago is not kept again."""
        session = kept.value
        if now - session.seen_at < self.settings.idle / FRESH:
            return session
        used = replace(session, seen_at=now)
        life = min(self.settings.idle, session.started_at + self.settings.absolute - now)
        if self.sessions.swap(session.key, kept.raw, used, life) is not None:
            return used
        again = self.sessions.get(session.key)  # another request of this browser was faster, or ended it
        return None if again is None else again.value

    def actor(self, member: Member, clinic: str) -> Actor | None:
        """Return them as who acts at a clinic; None where they do not work."""
        role = member.role(clinic)
        return None if role is None else Actor(id=member.id, clinic=clinic, role=role, name=member.name)


def _key(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
