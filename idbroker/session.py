"""The person's sign-on session here: its life, what it rests on, the clients it reached."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from idbroker.acting import Acting
from idbroker.identity import Identity

MOST_GRANTS = 50  # of one client in one sign-on
MOST_NAMES = 16  # of one eID's session


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`[session]`: how long a sign-on lasts (ASVS 7.3; NIST SP 800-63B-4, 5)."""

    idle: timedelta = timedelta(minutes=30)
    absolute: timedelta = timedelta(hours=8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """One client this session signed in to: the grant, and the `sid` the client knows it by.

    With `acting` it is about a ward of the person's. `until` is when all of it ends, if that is known beforehand;
    `ended` that it has, though the sign-on lives: what it was about is still known, and its client has been told.
    """

    client_id: str
    grant: str
    sid: str
    acting: Acting | None = field(default=None, repr=False)
    until: datetime | None = None
    ended: bool = False


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

    def seen(self, now: datetime) -> Session:
        """Return it as used now."""
        return replace(self, seen_at=now)

    def sid(self, client_id: str, ward: str = "") -> str:
        """Return the `sid` one client knows this session by; two clients cannot compare theirs.

        What is about a ward has one of its own: it may end while what is about the person goes on.
        """
        return hashlib.sha256("\n".join((self.key, client_id, *((ward,) if ward else ()))).encode()).hexdigest()[:32]

    def newest(self, client_id: str) -> Reached | None:
        """Return what it reached last of a client."""
        return next((reached for reached in reversed(self.reached) if reached.client_id == client_id), None)


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


def goes_on(earlier: Session, session: Session) -> bool:
    """Tell whether a new sign-on takes an earlier one's place: the same person's, who proved both themselves.

    What staff began on a tablet ends with it: it must neither outlive its half hour in a stronger one, nor be the
    way in which what the patient had open before comes into the hands of whoever holds the tablet.
    """
    assisted = earlier.identity.assisted or session.identity.assisted
    return earlier.person == session.person and assisted is None


def carried(new: tuple[Rests, ...], earlier: tuple[Rests, ...]) -> tuple[Rests, ...]:
    """Return what a sign-on rests on when it takes another's place: of each eID one session, under all its names."""
    found = {rests.provider: rests for rests in new}
    for rests in earlier:
        known = found.get(rests.provider)
        names = tuple(dict.fromkeys((*known.names, *rests.names)))[:MOST_NAMES] if known is not None else rests.names
        found[rests.provider] = replace(known or rests, names=names)
    return tuple(found.values())


def noted(session: Session, reached: Reached) -> Session:
    """Return the sign-on with one more grant. Every grant counts, not only a client's newest: logout ends them all.

    Beyond the most, a client's oldest is forgotten: by then its access token has expired, and its
    refresh tokens are ended by the session they rest on.
    """
    same = [r.grant for r in session.reached if r.client_id == reached.client_id]
    stale = set(same[: max(0, len(same) - MOST_GRANTS + 1)])
    return replace(session, reached=(*(r for r in session.reached if r.grant not in stale), reached))


def new_secret() -> str:
    """Return 256 random bits for a cookie."""
    return secrets.token_urlsafe(32)


def key_of(secret: str) -> str:
    """Return the name a session is kept under: the store never holds what a cookie holds."""
    return hashlib.sha256(secret.encode()).hexdigest()
