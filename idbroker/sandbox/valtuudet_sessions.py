"""What the simulated e-Authorizations remembers: sessions, codes that count once, tokens."""

from __future__ import annotations

import secrets
import threading
import uuid
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from idbroker.clock import Clock
from idbroker.sandbox.op import Kept

TOKEN_LIFE = timedelta(seconds=599)
SESSION_LIFE = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class HypaSession:
    """One visit: `guardian` is a national number, `chosen` are those that they have chosen to act for."""

    id: str
    user: str
    guardian: str = field(repr=False)
    ends: datetime
    chosen: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What a code stands for."""

    session: str
    redirect_uri: str


class HypaSessions:
    """All of them; several threads may ask."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._codes: Kept[Code] = Kept(clock, TOKEN_LIFE)
        self._tokens: Kept[str] = Kept(clock, TOKEN_LIFE)
        self._sessions: dict[str, HypaSession] = {}

    def begin(self, guardian: str) -> HypaSession:
        """Begin a visit."""
        now = self._clock.now()
        made = HypaSession(id=str(uuid.uuid4()), user=secrets.token_hex(16), guardian=guardian, ends=now + SESSION_LIFE)
        with self._lock:
            self._sessions = {name: one for name, one in self._sessions.items() if one.ends > now}
            self._sessions[made.id] = made
        return made

    def get(self, session: str) -> HypaSession | None:
        """Return a visit that has not ended."""
        found = self._sessions.get(session)
        return found if found is not None and self._clock.now() < found.ends else None

    def of_user(self, user: str) -> HypaSession | None:
        """Return the visit of whom the browser names."""
        return next((one for one in [*self._sessions.values()] if one.user == user and self.get(one.id)), None)

    def choose(self, session: HypaSession, ward: str, redirect_uri: str) -> str:
        """Note who was chosen; return a code."""
        with self._lock:
            self._sessions[session.id] = replace(session, chosen=(ward,))
        return self._codes.add(Code(session=session.id, redirect_uri=redirect_uri))

    def redeem(self, code: str, redirect_uri: str) -> str | None:
        """Return a token for a code, once, and for the address that it was sent to."""
        found = self._codes.take(code)
        return self._tokens.add(found.session) if found is not None and found.redirect_uri == redirect_uri else None

    def session_of(self, token: str) -> str | None:
        """Return which session a token is for."""
        return self._tokens.get(token)

    def end(self, session: str) -> bool:
        """End a visit; tell whether there was one."""
        with self._lock:
            return self._sessions.pop(session, None) is not None

    @property
    def open(self) -> int:
        """Return how many visits have not been ended."""
        return len(self._sessions)
