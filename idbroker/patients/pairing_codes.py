"""The six digits that pair a tablet with what staff have begun: drawn, taken once, and never to be guessed."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from idbroker.errors import StoreError
from idbroker.keeping import Shelf
from idbroker.otp import codes
from idbroker.otp.one_time import Locked
from idbroker.otp.throttle import Limit, Throttle
from idbroker.sealing import Sealer
from idbroker.visitor import Visitor

LIFE = timedelta(minutes=5)
TRIES = 5  # of one tablet; and of one code, whoever types it
OF_TABLET = Limit(most=TRIES, per=LIFE)
OF_CODE = Limit(most=TRIES, per=LIFE)
OF_NETWORK = Limit(most=20, per=timedelta(minutes=15))
OF_STRANGERS = Limit(most=20, per=timedelta(hours=1))
STRANGERS_PAUSE = timedelta(hours=4)
_FAMILIAR = timedelta(days=30)
_STRANGERS = "pairing strangers"
_DRAWS = 20


@dataclass(frozen=True, kw_only=True)
class PairingCodes:
    """Codes of six digits, each good for five minutes and one tablet; a colleague's newest ends their earlier one.

    Any open code would do for whoever guesses, so all of them are one target: of a million codes, as many are right
    as colleagues help somebody at that moment. So every try is counted before anything is compared, right ones too:

    - by tablet (its cookie) and by code, 5 in five minutes: for fingers. A cookie costs a guesser nothing.
    - by network, 20 in a quarter of an hour, then none for as long: at most 1,920 a day from within a clinic.
    - from networks where in thirty days no colleague began anything and no code was right, 20 in all, together, then
      none for four hours: at most 120 a day, from however many addresses.

    With one code open at every moment of the day and night (200 sign-ins a day leave one open for an hour or two, as
    each is typed within seconds), a botnet is right once in 1,000,000 / 120 days: 22 years. With ten always open it
    takes two years. Whoever sits in a clinic's own network is right once in 17 months of days in which no tablet
    there can be paired, which staff see in the first quarter of an hour. And whoever is right sees a name and a year,
    while the colleague who made the code sees that it is taken, and from where, and ends it.
    """

    codes: Shelf[str]
    throttle: Throttle
    sealer: Sealer
    draw: Callable[[], str] = lambda: f"{secrets.randbelow(10**6):06d}"

    def make(self, pairing: str, staff: str, ip: str | None) -> str:
        """Draw a code that is not open, for a pairing; `ip` is where the colleague is. Raises StoreError."""
        self._note(ip)
        self._end_earlier(staff)
        for _ in range(_DRAWS):
            code = self.draw()
            name = self._name("code", code)
            if self.codes.swap(name, None, pairing, LIFE) is not None:
                self.codes.put(self._name("staff", staff), name, LIFE)
                return code
        raise StoreError("no code is free")

    def take(self, typed: str, tablet: str, ip: str | None, now: datetime) -> str | None:
        """Return the pairing of a code, to one caller; None for one that is wrong, spent or may not be tried."""
        code = codes.typed(typed)
        if code is None or not self._may_try(code, tablet, ip, now):
            return None  # of what cannot be a code no try is spent
        pairing = self.codes.take(self._name("code", code))
        if pairing is not None:
            self._note(ip)
        return pairing

    def _may_try(self, code: str, tablet: str, ip: str | None, now: datetime) -> bool:
        network = Visitor(ip=ip).network or ""
        tries = [(f"pairing tablet|{tablet}", OF_TABLET, LIFE), (f"pairing code|{code}", OF_CODE, LIFE)]
        tries.append((f"pairing network|{network}", OF_NETWORK, OF_NETWORK.per))
        if self.codes.get(self._name("network", network)) is None:
            tries.append((_STRANGERS, OF_STRANGERS, STRANGERS_PAUSE))
        # The first that is spent ends it: a locked tablet must not use up what others still have.
        return not any(
            isinstance(self.throttle.spend(name, limit, pause=pause, now=now), Locked) for name, limit, pause in tries
        )

    def _note(self, ip: str | None) -> None:
        """Remember that a clinic is at work in this network."""
        network = Visitor(ip=ip).network
        if network is not None:
            self.codes.put(self._name("network", network), "known", _FAMILIAR)

    def _end_earlier(self, staff: str) -> None:
        earlier = self.codes.take(self._name("staff", staff))
        if earlier is not None:
            self.codes.take(earlier)

    def _name(self, kind: str, value: str) -> str:
        """Return what something lies under: whoever reads the store's keys must not read a code there."""
        return self.sealer.index(f"pairing {kind}", value).hex()
