"""How staff come in: two factors, a short sign-in.

What a stranger can do here, and cannot (ASVS 6.1.1, 6.3.1, 6.3.8; SP 800-63B-4, 3.2.2):

- Guess: each try is counted before it is compared. Five for a user name, then a quarter of an hour none; a hundred
  in a row, then none until an administrator sends a new link. The colleague is told by e-mail.
- Learn who works here: a name that nobody has is counted, locked, hashed and answered as any other; so is somebody
  who is disabled, or has no password.
- Keep somebody out: of the password only, and only of browsers in which they have not signed in before: those have
  counts of their own (`familiar`). A passkey and the organisation's own sign-in know nothing of any of these counts.
- Try many names a few times each: wrong ones also count by network address.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from idbroker.accounts.passwords import Busy, Hasher
from idbroker.accounts.passwords import Settings as Passwords
from idbroker.events import Event, Events
from idbroker.keeping import Kept, Shelf, Tallies
from idbroker.otp.app_codes import AppCodes
from idbroker.otp.one_time import Locked
from idbroker.otp.throttle import Limit, Throttle
from idbroker.otp.tries import LOGIN
from idbroker.staff.familiar import Familiar
from idbroker.staff.letters import Letters
from idbroker.staff.logins import LONGEST, login_of
from idbroker.staff.member import Actor, Member
from idbroker.staff.records import Members
from idbroker.staff.settings import Settings
from idbroker.visitor import Visitor

FRESH = 30  # so many parts of its idle life a sign-in is as good as used now
HALFWAY = timedelta(minutes=5)
AFTER = timedelta(hours=1)  # a sign-in that is over is still known, for the one who presses "log out" then
NOTED = 20  # refusals of one colleague in an hour that are kept: who presses on floods no trail
_HOUR = timedelta(hours=1)
CEILING = Limit(most=100, per=timedelta(days=30))


@dataclass(frozen=True, slots=True, kw_only=True)
class There:
    """The organisation's provider has a session of its own in this browser: whose provider it is, and what ends it."""

    issuer: str
    id_token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffSession:
    """A colleague is signed in, in one browser. Kept under the hash of its cookie's secret.

    `how` is `app`, `passkey` or `organisation`. `epoch` is the member's when it began: another one ends it. `there` is
    the session that the organisation's provider has in this browser: theirs, or of whoever was signed in before them.
    """

    key: str
    staff: str
    how: str
    epoch: datetime
    started_at: datetime
    seen_at: datetime
    there: There | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Halfway:
    """The password was right: the second factor is asked. Kept for five minutes, for the one browser it was typed in.

    `to` is the page that they wished to see.
    """

    staff: str
    epoch: datetime
    at: datetime
    to: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Not let in; why is for the trail: whoever typed it is told one sentence for all of it (ASVS 6.3.8).

    Only `busy` may be told: nothing was counted or compared, for many sign in just now.
    """

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts:
    """What a try counts by: a name, and where it comes from; `own` is the name in a known browser."""

    name: str
    place: str | None = None
    own: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spent:
    """A try was counted: how many are `left` of five, and in a row."""

    counts: _Counts
    left: int
    in_a_row: int


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """Lets staff in. Every method may raise StoreError. Tries are counted before anything is compared."""

    members: Members
    sessions: Shelf[StaffSession]
    halves: Shelf[Halfway]
    settings: Settings
    events: Events
    hasher: Hasher
    throttle: Throttle
    app_codes: AppCodes
    limits: Passwords
    tallies: Tallies
    familiar: Familiar
    letters: Letters

    # ---- the first factor ------------------------------------------------------------------------

    def password(
        self, login: str, password: str, ip: str | None, now: datetime, brought: Iterable[str] = ()
    ) -> Member | Refused | Locked:
        """Check a user name and a password: the first of two factors.

        `brought` are the tokens of colleagues who have signed in with this browser before.
        """
        if self.hasher.full:  # before it is counted: a crowd must not use up anybody's tries
            return Refused(why="busy")
        name = login_of(login)
        member = self.members.by_login(name) if name else None
        spent = self._spent(self._counts(name or login[: 4 * LONGEST], member, ip, brought, now), now)
        if isinstance(spent, Locked):
            return spent
        usable = member is not None and not member.disabled and self.settings.passwords
        try:
            right = self.hasher.verify(member.password if member is not None and usable else None, password)
        except Busy:
            return Refused(why="busy")
        if member is None or not right:
            return self._wrong(spent, member, now)
        self._clear(spent.counts.name)
        if spent.counts.own is not None:
            self._clear(spent.counts.own)
        self.throttle.clear(_failed(member.login), CEILING)  # those in a row are so no more, wherever they were
        return self._upgraded(member, password)

    def reopen(self, member: Member) -> None:
        """Give somebody all their tries of a password again: a new one is to be chosen, or was."""
        self._clear(member.login)

    def _clear(self, name: str) -> None:
        self.throttle.clear(_tried(name), self._limit(self.limits.tries))
        self.throttle.clear(_failed(name), CEILING)

    def _counts(
        self, name: str, member: Member | None, ip: str | None, brought: Iterable[str], now: datetime
    ) -> _Counts:
        """Return what a try counts by: this browser alone where they have signed in with it, else what all share.

        A hundred wrong ones in a row there, and it is as any other: whoever has taken it may not go on for 90 days.
        """
        browser = None if member is None else self.familiar.of(member, brought, now)
        if browser is None:
            return _Counts(name=name, place=_place(ip))
        own = f"{name}|{browser}"
        if self.throttle.locked(_failed(own), now) is not None:
            return _Counts(name=name, place=_place(ip), own=own)
        return _Counts(name=own)

    def _spent(self, counts: _Counts, now: datetime) -> _Spent | Locked:
        """Count a try, unless what it is typed at is locked."""
        locked = self.throttle.locked(counts.place, now) if counts.place else None
        if locked is not None:
            return locked
        for_good = self.throttle.locked(_failed(counts.name), now)
        if for_good is not None:
            return replace(for_good, recover=True)
        tries = self._limit(self.limits.tries)
        left = self.throttle.spend(_tried(counts.name), tries, pause=self.limits.window, now=now)
        if isinstance(left, Locked):
            return left
        in_a_row = self.throttle.spend(_failed(counts.name), CEILING, pause=None, now=now)
        if isinstance(in_a_row, Locked):
            return replace(in_a_row, recover=True)
        return _Spent(counts=counts, left=left, in_a_row=in_a_row)

    def _wrong(self, spent: _Spent, member: Member | None, now: datetime) -> Refused | Locked:
        why = "unknown" if member is None else "disabled" if member.disabled else "password"
        self.record("staff.refused", member, now, why=why)
        place, address = spent.counts.place, self._limit(self.limits.address)
        if place and self.throttle.spend(place, address, pause=self.limits.window, now=now) == 0:
            self.record("staff.locked", None, now, why="address")
        if spent.in_a_row == 0:
            self.record("staff.locked", member, now, why="ceiling")
            if member is not None and not member.disabled:
                self.letters.closed(member, now)
        if spent.left > 0:
            return Refused(why=why)
        self.record("staff.locked", member, now, why="password")
        return Locked(until=now + self.limits.window)

    def _upgraded(self, member: Member, password: str) -> Member:
        """Keep a password that was right by today's parameters; who is in a hurry upgrades the next time."""
        old = member.password
        if old is None or not self.hasher.needs_rehash(old):
            return member
        with contextlib.suppress(Busy):
            new = self.hasher.hash(password)
            return (
                self.members.change(member.id, lambda now: replace(now, password=new) if now.password == old else None)
                or member
            )
        return member

    def _limit(self, most: int) -> Limit:
        return Limit(most=most, per=self.limits.window)

    # ---- the second ------------------------------------------------------------------------------

    def wait(self, member: Member, secret: str, now: datetime, to: str = "") -> None:
        """Remember that a password was right in this browser, which has the secret in a cookie."""
        half = Halfway(staff=member.id, epoch=member.epoch, at=now, to=to)
        self.halves.put(_half(secret), half, HALFWAY)

    def waiting(self, secret: str, now: datetime) -> tuple[Halfway, Member] | None:
        """Return who is halfway in, in this browser; None when it was too long ago, or they were disabled since."""
        kept = self.halves.get(_half(secret)) if secret else None
        if kept is None or now - kept.value.at >= HALFWAY:
            return None
        member = self.members.of(kept.value.staff)
        if member is None or member.disabled or member.epoch != kept.value.epoch:
            return None
        return kept.value, member

    def forget(self, secret: str) -> None:
        """Forget that somebody is halfway in."""
        self.halves.take(_half(secret))

    def code(self, member: Member, typed: str, now: datetime) -> bool | Locked:
        """Check an authenticator app's code, each once."""
        if member.app_secret is None:
            return False
        found = self.app_codes.check(
            person=member.id,
            purpose=LOGIN,
            secret=member.app_secret,
            typed=typed[:LONGEST],
            after_step=member.app_step,
            now=now,
        )
        if isinstance(found, Locked):
            self.record("staff.locked", member, now, why="code")
            return found
        if isinstance(found, int) and self._used(member, found):
            return True
        self.record("staff.refused", member, now, why="code")
        return False

    def _used(self, member: Member, step: int) -> bool:
        """Keep an app's newest step; of many at once one is told that it did."""
        kept = False

        def use(now: Member) -> Member | None:
            nonlocal kept
            kept = now.app_secret == member.app_secret and now.app_step < step and not now.disabled
            return replace(now, app_step=step) if kept else None

        self.members.change(member.id, use)
        return kept

    # ---- in and out ------------------------------------------------------------------------------

    def admit(self, member: Member, how: str, now: datetime, there: There | None = None) -> tuple[StaffSession, str]:
        """Return a new sign-in and its cookie's secret: never one that the browser brought (session fixation)."""
        secret = secrets.token_urlsafe(32)
        session = StaffSession(
            key=_key(secret), staff=member.id, how=how, epoch=member.epoch, started_at=now, seen_at=now, there=there
        )
        self.sessions.put(session.key, session, self.settings.absolute + AFTER)
        self.record("staff.signed_in", member, now, how=how)
        return session, secret

    def session(self, secret: str | None, now: datetime) -> tuple[StaffSession, Member] | None:
        """Return a living sign-in and who it is; it is used now. None when over, disabled, or of another epoch."""
        kept = self.sessions.get(_key(secret)) if secret else None
        if kept is None or self._is_over(kept.value, now):
            return None
        member = self.members.of(kept.value.staff)
        if member is None or member.disabled or member.epoch != kept.value.epoch:
            return None
        used = self._in_use(kept, now)
        return None if used is None else (used, member)

    def leave(self, secret: str | None, now: datetime) -> StaffSession | None:
        """End a sign-in, and return it as it was; None when there is none (any more).

        One that was idle for too long opens nothing, but is returned: it still tells of the session at the
        organisation's provider, which lives longer, and would let the next one at the desk in.
        """
        session = self.sessions.take(_key(secret)) if secret else None
        if session is not None and not self._is_over(session, now):
            detail = {"by": session.staff, "how": session.how}
            self.events.record(Event(at=now, kind="staff.signed_out", detail=detail))
        return session

    def end_all(self, staff: str, now: datetime) -> Member | None:
        """End every sign-in of somebody, and every link that was sent to them."""
        return self.members.change(staff, lambda member: replace(member, epoch=next_epoch(member, now)))

    def actor(self, member: Member, clinic: str) -> Actor | None:
        """Return them as who acts at a clinic; None where they do not work."""
        role = member.role(clinic)
        if role is None:
            return None
        return Actor(id=member.id, clinic=clinic, role=role, name=member.name, epoch=member.epoch)

    def record(self, kind: str, member: Member | None, now: datetime, **detail: str) -> None:
        """Keep in the trail what a colleague did, or met. Never a user name: some type passwords there."""
        who = {} if member is None else {"by": member.id}
        self.events.record(Event(at=now, kind=kind, detail={**who, **detail}))

    def refused(self, member: Member, why: str, clinic: str | None, now: datetime) -> None:
        """Keep in the trail that a colleague asked for what they may not, or what cannot be done: `why` is a word."""
        if self.tallies.add(f"staff refused|{member.id}", _HOUR) <= NOTED:
            detail = {"by": member.id, "why": why}
            self.events.record(Event(at=now, kind="staff.refused", clinic=clinic, detail=detail))

    def _is_over(self, session: StaffSession, now: datetime) -> bool:
        idle, whole = now - session.seen_at, now - session.started_at
        return idle >= self.settings.idle or whole >= self.settings.absolute

    def _in_use(self, kept: Kept[StaffSession], now: datetime) -> StaffSession | None:
        """Return it as used now; None if it was ended meanwhile. What was kept a moment ago is not kept again."""
        session = kept.value
        if now - session.seen_at < self.settings.idle / FRESH:
            return session
        used = replace(session, seen_at=now)
        life = session.started_at + self.settings.absolute + AFTER - now
        if self.sessions.swap(session.key, kept.raw, used, life) is not None:
            return used
        again = self.sessions.get(session.key)  # another request of this browser was faster, or ended it
        return None if again is None else again.value


def next_epoch(member: Member, now: datetime) -> datetime:
    """Return an epoch that no sign-in of theirs can have begun in, whatever two machines' clocks say."""
    return max(now, member.epoch + timedelta(microseconds=1))


def _place(ip: str | None) -> str | None:
    """Return what wrong passwords count by besides the name: an address; of IPv6 what one customer has."""
    network = Visitor(ip=ip).network
    return None if network is None else f"staff|address|{network}"


def _key(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _half(secret: str) -> str:
    return f"half.{_key(secret)}"


def _tried(login: str) -> str:
    return f"staff|login|{login}"


def _failed(login: str) -> str:
    return f"staff|failures|{login}"
