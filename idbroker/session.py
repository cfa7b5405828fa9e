"""The person's sign-on session here: its life, what it rests on, the clients it reached."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from idbroker.identity import Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`[session]`: how long a sign-on lasts (ASVS 7.3; NIST SP 800-63B-4, 5)."""

    idle: timedelta = timedelta(minutes=30)
    absolute: timedelta = timedelta(hours=8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """One client this session signed in to: the grant, and the `sid` the client knows it by."""

    client_id: str
    grant: str
    sid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rests:
    """A session at an eID that a sign-on here rests on: as in `Identity`, and when it was proved to us."""

    provider: str
    issued: datetime
    names: tuple[str, ...] = field(default=(), repr=False)
    logout: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The person is signed on here. Kept under the hash of the secret in the browser's cookie.

    `rests` are the sessions at eIDs behind it, the newest first: who stepped up by a second eID has two,
    and what the first one's reached is carried on.
    """

    key: str
    person: str
    identity: Identity = field(repr=False)
    language: str
    started_at: datetime
    seen_at: datetime
    rests: tuple[Rests, ...] = ()
    reached: tuple[Reached, ...] = ()

    def alive(self, now: datetime, settings: Settings) -> bool:
        """Tell whether no limit has passed: the idle one, the absolute one, the eID's own (SAML core, 2.7.2)."""
        until = self.identity.upstream_until
        if until is not None and now >= until:
            return False
        return now - self.seen_at <= settings.idle and now - self.started_at <= settings.absolute

    @property
    def known_end(self) -> datetime | None:
        """Return when it ends for certain, so that services can be told at that very moment; None if nobody knows.

        An eID's own limit is none of these: it ends our sign-on, not what services do.
        """
        return self.identity.upstream_until if self.identity.assisted is not None else None

    def seen(self, now: datetime) -> Session:
        """Return it as used now."""
        return replace(self, seen_at=now)

    def sid(self, client_id: str) -> str:
        """Return the `sid` one client knows this session by; two clients cannot compare theirs."""
        return hashlib.sha256(f"{self.key}\n{client_id}".encode()).hexdigest()[:32]


def rests_of(identity: Identity) -> tuple[Rests, ...]:
    """Return the session at an eID that a proof came from, if the eID has any that can end."""
    if not identity.upstream_names and identity.upstream_logout is None:
        return ()
    return (
        Rests(
            provider=identity.provider,
            issued=identity.upstream_issued or identity.proved_at,
            names=identity.upstream_names,
            logout=identity.upstream_logout,
        ),
    )


def new_secret() -> str:
    """Return 256 random bits for a cookie."""
    return secrets.token_urlsafe(32)


def key_of(secret: str) -> str:
    """Return the name a session is kept under: the store never holds what a cookie holds."""
    return hashlib.sha256(secret.encode()).hexdigest()
