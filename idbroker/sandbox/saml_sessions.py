"""Who is signed on at a simulated identity provider, and which services were told so."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from idbroker.clock import Clock
from idbroker.sandbox.people import SimPerson
from idbroker.sandbox.saml_says import Name


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a person did: who it was, how it came out, by which method, when."""

    person: SimPerson
    outcome: str
    method: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """A service that was told of a session: by which name, under which index."""

    entity_id: str
    name: Name
    index: str


@dataclass(slots=True)
class Session:
    """One person signed on in one browser."""

    id: str
    proof: Proof
    ends: datetime
    participants: dict[str, Participant] = field(default_factory=dict)


class Sessions:
    """All sessions of one identity provider, each for a fixed time."""

    def __init__(self, clock: Clock, life: timedelta) -> None:
        self._clock, self._life = clock, life
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def begin(self, proof: Proof) -> Session:
        """Return a new session."""
        now = self._clock.now()
        session = Session(id=secrets.token_urlsafe(24), proof=proof, ends=now + self._life)
        with self._lock:
            self._sessions = {name: one for name, one in self._sessions.items() if one.ends > now}
            self._sessions[session.id] = session
        return session

    def of(self, cookie: str | None) -> Session | None:
        """Return the session of a browser, if it is not over."""
        session = self._sessions.get(cookie or "")
        return session if session is not None and self._clock.now() < session.ends else None

    def named(self, entity_id: str, name: Name, indexes: Collection[str]) -> Session | None:
        """Return the session that a service means: by the very name it was given, and one of the indexes."""
        with self._lock:
            found = [one for one in self._sessions.values() if _is_meant(one, entity_id, name, indexes)]
        return next((one for one in found if self._clock.now() < one.ends), None)

    def end(self, session: Session) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(session.id, None)


def _is_meant(session: Session, entity_id: str, name: Name, indexes: Collection[str]) -> bool:
    told = session.participants.get(entity_id)
    return told is not None and told.name == name and (not indexes or told.index in indexes)
