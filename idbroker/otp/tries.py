"""How often one person may try codes for one purpose, whatever way the codes come."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from idbroker.otp.one_time import Locked
from idbroker.otp.settings import Settings
from idbroker.otp.throttle import Limit, Throttle

# Tries are forgotten an hour after the first of them; spacing them out wins nothing, for the ceiling remembers.
REMEMBERED = timedelta(hours=1)
# SP 800-63B-4, 3.2.2: no more than 100 failures in a row, then the person proves anew who they are.
CEILING = Limit(most=100, per=timedelta(days=30))


class Tries:
    """Counts tries by person and purpose, over transactions, channels and resends (SP 800-63B-4, 3.1.3.2).

    Above that is a ceiling of 100 in a row for each person, which only a right code or a recovery lifts: a
    thief of a password with all the time in the world has guessed 100 of a million codes (AuthQuake, 2024).
    Both are spent by people whose password or eID was right; a stranger cannot lock them.
    """

    def __init__(self, *, throttle: Throttle, settings: Settings) -> None:
        self._throttle = throttle
        self._limit = Limit(most=settings.tries, per=REMEMBERED)
        self._pause = settings.pause

    def spend(self, person: str, purpose: str, now: datetime) -> int | Locked:
        """Count a try, before anything is compared; return how many are left, or Locked. May raise StoreError."""
        left = self._throttle.spend(_name(person, purpose), self._limit, pause=self._pause, now=now)
        if isinstance(left, Locked):
            return self.locked(person, purpose, now) or left
        in_all = self._throttle.spend(_ceiling(person), CEILING, pause=None, now=now)
        return replace(in_all, recover=True) if isinstance(in_all, Locked) else min(left, in_all)

    def locked(self, person: str, purpose: str, now: datetime) -> Locked | None:
        """Return the lock that holds, the ceiling's before the other; None if there are tries. May raise StoreError."""
        for_good = self._throttle.locked(_ceiling(person), now)
        if for_good is not None:
            return replace(for_good, recover=True)
        return self._throttle.locked(_name(person, purpose), now)

    def clear(self, person: str, purpose: str) -> None:
        """Forget them: a code was right. May raise StoreError."""
        self._throttle.clear(_name(person, purpose), self._limit)
        self._throttle.clear(_ceiling(person), CEILING)

    def recovered(self, person: str) -> None:
        """Lift the ceiling: the person has proved anew who they are. May raise StoreError."""
        self._throttle.clear(_ceiling(person), CEILING)


def _name(person: str, purpose: str) -> str:
    return f"tries|{purpose}|{person}"


def _ceiling(person: str) -> str:
    return f"failures|{person}"
