"""Which sign-ons rest on an eID's session: so that they end when the eID says that it is over."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from idbroker.errors import StoreError
from idbroker.keeping import Shelf
from idbroker.session import Session

MOST = 32  # sign-ons under one name: somebody's browsers; the oldest is forgotten
_TRIES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Resting:
    """The sign-ons that rest on one session of an eID, by key, the oldest first."""

    keys: tuple[str, ...] = ()


class SessionIndex:
    """Finds sign-ons by the eID's names for its own session (`Identity.upstream_names`).

    A message about them comes without our cookie: from a server, or in a frame (SAML profiles, 4.4;
    Back-Channel Logout, 2.5). Names are kept hashed: some are a person's.
    """

    def __init__(self, shelf: Shelf[Resting], life: timedelta) -> None:
        self._shelf, self._life = shelf, life

    def note(self, session: Session) -> None:
        """Remember a sign-on under each of its names."""
        for name in session.identity.upstream_names:
            self._add(_hashed(session.identity.provider, name), session.key)

    def find(self, provider: str, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the keys of the sign-ons that have one of these names; some may have ended already."""
        kept = [self._shelf.get(_hashed(provider, name)) for name in names]
        return tuple(dict.fromkeys(key for one in kept if one is not None for key in one.value.keys))

    def _add(self, name: str, key: str) -> None:
        for _ in range(_TRIES):
            kept = self._shelf.get(name)
            before = kept.value.keys if kept is not None else ()
            if key in before:
                return
            resting = Resting(keys=(*before[-(MOST - 1) :], key))
            if self._shelf.swap(name, kept.raw if kept is not None else None, resting, self._life):
                return
        # A sign-on that the eID could not end must not come to be.
        raise StoreError("too many changes at once")


def _hashed(provider: str, name: str) -> str:
    return hashlib.sha256(f"{provider}\n{name}".encode()).hexdigest()
