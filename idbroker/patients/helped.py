"""Help that is under way, to be found: whom each colleague helps just now, and what may come to its end by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from idbroker.errors import StoreError
from idbroker.keeping import Shelf
from idbroker.patients.pairing import Pairing

_TRIES = 20
_LAPSES = "lapses"
_KEPT = timedelta(hours=8)  # as long as a pairing itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Helping:
    """Persons whom one colleague has signed in, each until the moment at which that ends by itself."""

    until: Mapping[str, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lapses:
    """Pairings that are under way, each with the moment at which it may be over."""

    until: Mapping[str, datetime]


@dataclass(frozen=True, kw_only=True)
class Helped:
    """Remembers them, and forgets by itself. Every method may raise StoreError."""

    shelf: Shelf[Helping]
    lapses: Shelf[Lapses]

    def note(self, staff: str, person: str, now: datetime, until: datetime) -> None:
        """Note one, before anything comes of it: whoever disables the colleague in this very moment finds it."""
        for _ in range(_TRIES):
            kept = self.shelf.get(_at(staff))
            known = {} if kept is None else {one: at for one, at in kept.value.until.items() if at > now}
            noted = Helping(until={**known, person: until})
            longest = max(noted.until.values()) - now
            if self.shelf.swap(_at(staff), None if kept is None else kept.raw, noted, longest) is not None:
                return
        raise StoreError("too many changes at once")

    def of(self, staff: str) -> tuple[str, ...]:
        """Return whom a colleague has signed in of late."""
        kept = self.shelf.get(_at(staff))
        return () if kept is None else tuple(kept.value.until)

    # ---- what may end by itself ------------------------------------------------------------------

    def watch(self, pairing: str, until: datetime) -> None:
        """Note when a pairing may be over; the newest word of it counts."""
        self._moved(lambda known: {**known, pairing: until})

    def lapsed(self, pairings: Shelf[Pairing], now: datetime) -> Iterator[Pairing]:
        """Return those that nobody has ended and that are over: each again until whoever asks has ended it."""
        kept = self.lapses.get(_LAPSES)
        due = () if kept is None else tuple(one for one, until in kept.value.until.items() if until <= now)
        for pairing in due:
            found = pairings.get(pairing)
            one = None if found is None else found.value
            if one is not None and one.at(now) == one and one.ended_at is None:
                self.watch(pairing, one.until)  # whoever moved it on broke off there
                continue
            if one is not None and one.ended_at is None:
                yield one
            self._moved(partial(_without, pairing, now))

    def _moved(self, move: Callable[[Mapping[str, datetime]], dict[str, datetime]]) -> None:
        for _ in range(_TRIES):
            kept = self.lapses.get(_LAPSES)
            moved = Lapses(until=move({} if kept is None else kept.value.until))
            if self.lapses.swap(_LAPSES, None if kept is None else kept.raw, moved, _KEPT) is not None:
                return
        raise StoreError("too many changes at once")


def _without(pairing: str, now: datetime, known: Mapping[str, datetime]) -> dict[str, datetime]:
    """Return them without one that is over, unless it has been noted anew meanwhile."""
    return {one: until for one, until in known.items() if one != pairing or until > now}


def _at(staff: str) -> str:
    return f"staff.{staff}"
