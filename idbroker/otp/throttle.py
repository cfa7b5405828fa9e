"""How often something may be tried: counted for all workers at once, before anything is looked at."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from idbroker.keeping import Kept, Shelf, Tallies
from idbroker.otp.one_time import Locked
from idbroker.sealing import Sealer

# Each is somebody else's lock, or somebody's success, between our look and our count.
RACES = 5
# What ends only when it is cleared: longer than any account is left alone.
UNTIL_CLEARED = timedelta(days=3650)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most so many, counted together for so long from the first."""

    most: int
    per: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Tries that count together. A lock ends one round and begins the next, which opens at `until`."""

    id: str = ""
    until: datetime | None = None

    def locked(self, now: datetime) -> Locked | None:
        """Return the lock before this round, while it holds."""
        return Locked(until=self.until) if self.until is not None and now < self.until else None


FIRST = Round()


class Throttle:
    """Counts tries by name, and locks a name whose tries are spent.

    One atomic count gives each of many callers at once a number of its own, so never more than the limit go on
    (standards 2.6 O2: the single-packet race). Everything lies in the store: neither a restart nor a new
    session begins anew (O3). Names may hold anything, national numbers too: they are kept as keyed digests.

    A lock is set once, by the try that spends the last, and has a fixed end: tries during it are neither
    counted nor compared, so they neither end it nor prolong it, and afterwards all tries are there again. So
    a stranger can keep a name busy only by spending every new round too, and never makes a lock longer. Lock
    a way of signing in, never the person (O9; ASVS 6.1.1).

    Every method may raise StoreError: who cannot count lets nobody try.
    """

    def __init__(self, *, tallies: Tallies, rounds: Shelf[Round], sealer: Sealer) -> None:
        self._tallies = tallies
        self._rounds = rounds
        self._sealer = sealer

    def spend(self, name: str, limit: Limit, *, pause: timedelta | None, now: datetime) -> int | Locked:
        """Count a try; return how many are left after it, or that it must not go on.

        0 is the last: from then on the name is locked, unless `clear` says that it was right. A `pause` of
        None lasts until `clear`.
        """
        key, closed_for = self._key(name), pause or UNTIL_CLEARED
        until = now + closed_for
        for _ in range(RACES):
            kept = self._rounds.get(key)
            counted = FIRST if kept is None else kept.value
            locked = counted.locked(now)
            if locked is not None:
                return locked
            left = limit.most - self._tallies.add(_tally(key, counted), limit.per)
            if left > 0:
                return left
            ours = self._lock(key, kept, until, closed_for + limit.per)
            if left == 0:
                return 0
            if ours:
                return Locked(until=until)
        return Locked(until=until)

    def locked(self, name: str, now: datetime) -> Locked | None:
        """Return the lock of a name, if it holds. Counts nothing."""
        kept = self._rounds.get(self._key(name))
        return None if kept is None else kept.value.locked(now)

    def clear(self, name: str, limit: Limit) -> None:
        """Forget the tries and the lock of a name: it was right."""
        key = self._key(name)
        kept = self._rounds.get(key)
        if kept is not None:
            # A round of its own: a try counted before this cannot lock after it, nor an older count come back.
            self._rounds.put(key, _new_round(None), limit.per)
        self._tallies.clear(_tally(key, FIRST if kept is None else kept.value))

    def _lock(self, key: str, kept: Kept[Round] | None, until: datetime, life: timedelta) -> bool:
        """Begin the next round; False if another has. It outlives the count of the round that it ends."""
        return self._rounds.swap(key, None if kept is None else kept.raw, _new_round(until), life) is not None

    def _key(self, name: str) -> str:
        return self._sealer.index("throttle", name).hex()


def _new_round(until: datetime | None) -> Round:
    return Round(id=secrets.token_hex(8), until=until)


def _tally(key: str, counted: Round) -> str:
    return f"throttle {key} {counted.id}"
