"""Whom each colleague helps just now: what they have begun is found by it, and ends with their work at the clinic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from idbroker.errors import StoreError
from idbroker.keeping import Shelf

_TRIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Helping:
    """Persons whom one colleague has signed in, each until the moment at which that ends by itself."""

    until: Mapping[str, datetime]


@dataclass(frozen=True, kw_only=True)
class Helped:
    """Remembers them, and forgets by itself. Every method may raise StoreError."""

    shelf: Shelf[Helping]

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


def _at(staff: str) -> str:
    return f"staff.{staff}"
