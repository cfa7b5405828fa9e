"""How often one person may try codes for one purpose, whatever way the codes come."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from idbroker.otp.one_time import Locked
from idbroker.otp.settings import Settings
from idbroker.otp.throttle import Limit, Throttle

LOGIN = "login"
# Tries are forgotten an hour after the first of them; spacing them out wins nothing, for the ceiling remembers.
REMEMBERED = timedelta(hours=1)
# SP 800-63B-4, 3.2.2: no more than 100 failures in a row, then the person proves anew who they are.
CEILING = Limit(most=100, per=timedelta(days=30))


class Tries:
    """Counts tries by person and purpose, over transactions, channels and resends (SP 800-63B-4, 3.1.3.2).

    Above that is a ceiling of 100 in a row for each person, which only a right code or a recovery lifts: a
    thief of a password with all the time in the world has guessed 100 of a million codes (AuthQuake, 2024).
    Both are spent by people whose password or eID was right; a stranger cannot lock them.

    Codes for anything but `LOGIN` go to an address that was just typed, and show whose it is. The attack: claim
    another's address, and between guesses at its code type right ones from an address of one's own. So those are
    counted by person and address (`to`), and have a ceiling of their own, which no right code lifts: a hundred
    codes, right or wrong, then none until thirty days are over.
    """

    def __init__(self, *, throttle: Throttle, settings: Settings) -> None:
        self._throttle = throttle
        self._limit = Limit(most=settings.tries, per=REMEMBERED)
        self._pause = settings.pause

    def spend(self, person: str, purpose: str, now: datetime, to: str = "") -> int | Locked:
        """Count a try, before anything is compared; return how many are left, or Locked. May raise StoreError."""
        left = self._throttle.spend(_name(person, purpose, to), self._limit, pause=self._pause, now=now)
        if isinstance(left, Locked):
            return self.locked(person, purpose, now, to) or left
        pause = None if purpose == LOGIN else CEILING.per
        in_all = self._throttle.spend(_ceiling(person, purpose), CEILING, pause=pause, now=now)
        return replace(in_all, recover=True) if isinstance(in_all, Locked) else min(left, in_all)

    def locked(self, person: str, purpose: str, now: datetime, to: str = "") -> Locked | None:
        """Return the lock that holds, the ceiling's before the other; None if there are tries. May raise StoreError."""
        ceiling = self._throttle.locked(_ceiling(person, purpose), now)
        if ceiling is not None:
            return replace(ceiling, recover=True)
        return self._throttle.locked(_name(person, purpose, to), now)

    def clear(self, person: str, purpose: str, to: str = "") -> None:
        """Forget them: a code was right. Only one that signs in ends the row of failures. May raise StoreError."""
        self._throttle.clear(_name(person, purpose, to), self._limit)
        if purpose == LOGIN:
            self.recovered(person)

    def recovered(self, person: str) -> None:
        """Lift the ceiling: the person has proved anew who they are. May raise StoreError."""
        self._throttle.clear(_ceiling(person, LOGIN), CEILING)


def _name(person: str, purpose: str, to: str) -> str:
    return f"tries|{purpose}|{person}" if purpose == LOGIN else f"tries|{purpose}|{person}|{to}"


def _ceiling(person: str, purpose: str) -> str:
    return f"failures|{person}" if purpose == LOGIN else f"failures|{purpose}|{person}"
