"""Which sign-ons rest on an eID's session, so that they end when the eID says that it is over; which are a person's."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from idbroker.errors import StoreError
from idbroker.keeping import Shelf
from idbroker.session import Rests, Session

MOST = 100  # sign-ons under one name: somebody's browsers; the oldest is forgotten
FOR_GOOD = datetime.max.replace(tzinfo=UTC)
_PERSON = "\0person"  # no provider is called so
_TRIES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Resting:
    """The sign-ons that rest on one session of an eID, by key, the oldest first; and when the eID ended it."""

    keys: tuple[str, ...] = ()
    over_at: datetime | None = None


class SessionIndex:
    """Finds sign-ons by the eID's names for its own session (`Identity.upstream_names`).

    A message about them comes without our cookie: from a server, or in a frame (SAML profiles, 4.4;
    Back-Channel Logout, 2.5). Names are kept hashed: some are a person's. `lives` tells whether a
    sign-on is still there.
    """

    def __init__(self, shelf: Shelf[Resting], life: timedelta, lives: Callable[[str], bool]) -> None:
        self._shelf, self._life, self._lives = shelf, life, lives

    @property
    def life(self) -> timedelta:
        """Return how long a sign-on is kept at most."""
        return self._life

    def note(self, session: Session) -> tuple[str, ...]:
        """Remember a sign-on under each name of each session it rests on, and under its person.

        Return the keys of those of the person that are remembered no more, for they are too many: they must
        end, or nothing could end them later.
        """
        forgotten: tuple[str, ...] = ()

        def noted(resting: Resting) -> Resting:
            nonlocal forgotten
            after = self._with(resting, session.key)
            forgotten = tuple(key for key in resting.keys if key not in after.keys)
            return after

        self._change(_PERSON, session.person, noted)
        for rests in session.rests:
            for name in rests.names:
                self._change(rests.provider, name, lambda resting: self._with(resting, session.key))
        return forgotten

    def of_person(self, person: str) -> tuple[str, ...]:
        """Return the keys of a person's sign-ons, the oldest first; some may be over."""
        kept = self._shelf.get(_hashed(_PERSON, person))
        return kept.value.keys if kept is not None else ()

    def end_person(self, person: str, at: datetime) -> None:
        """Remember that all of a person's ended: what was proved before, and waits for an answer, counts no more."""
        self._change(_PERSON, person, lambda resting: _over(resting, at))

    def has_ended(self, person: str, since: datetime) -> bool:
        """Tell whether all of a person's has ended after a moment."""
        kept = self._shelf.get(_hashed(_PERSON, person))
        return kept is not None and kept.value.over_at is not None and since < kept.value.over_at

    def close(self, provider: str, names: tuple[str, ...], at: datetime) -> tuple[str, ...]:
        """Remember that the eID ended its session; return the keys of the sign-ons that rest on it.

        What is proved later than `at` rests on another session of that name; `FOR_GOOD` says that there is none.
        """
        closed = [self._change(provider, name, lambda resting: _over(resting, at)) for name in names]
        return tuple(dict.fromkeys(key for resting in closed for key in resting.keys))

    def is_over(self, rests: Rests) -> bool:
        """Tell whether the eID has ended this session since it told us of it (SAML core, 3.7.3.1).

        Its answer may come after its logout: held back, or by a browser's back button.
        """
        kept = [self._shelf.get(_hashed(rests.provider, name)) for name in rests.names]
        ends = [one.value.over_at for one in kept if one is not None and one.value.over_at is not None]
        return any(rests.issued <= end for end in ends)

    def _with(self, resting: Resting, key: str) -> Resting:
        if key in resting.keys:
            return resting
        others = resting.keys
        if len(others) >= MOST:
            others = tuple(one for one in others if self._lives(one))[-(MOST - 1) :]
        return replace(resting, keys=(*others, key))

    def _change(self, provider: str, name: str, change: Callable[[Resting], Resting]) -> Resting:
        where = _hashed(provider, name)
        for _ in range(_TRIES):
            kept = self._shelf.get(where)
            before = kept.value if kept is not None else Resting()
            after = change(before)
            if kept is not None and after == before:
                return after
            if self._shelf.swap(where, kept.raw if kept is not None else None, after, self._life):
                return after
        # A sign-on that the eID could not end must not come to be.
        raise StoreError("too many changes at once")


def _over(resting: Resting, at: datetime) -> Resting:
    return replace(resting, over_at=at if resting.over_at is None else max(at, resting.over_at))


def _hashed(provider: str, name: str) -> str:
    return hashlib.sha256(f"{provider}\n{name}".encode()).hexdigest()
