"""The audit trail: what happened, to which transaction, never whose name or number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One audit entry: identifiers and words from our own lists; no personal data, no secrets."""

    at: datetime
    kind: str
    transaction: str | None = None
    client: str | None = None
    clinic: str | None = None
    provider: str | None = None
    person: str | None = None
    ref: str | None = None
    detail: Mapping[str, str] = field(default_factory=dict)


class History(Protocol):
    """What the trail knows of one person."""

    def of_person(
        self, person: str, limit: int, *, kinds: Sequence[str] = (), clinic: str | None = None
    ) -> tuple[Event, ...]:
        """Return the newest events of a person, the newest first; a kind that ends with a dot is all of a family."""
        ...


class Events(History, Protocol):
    """Where events are kept."""

    def record(self, event: Event) -> None:
        """Keep one event. Raises StoreError when the store is away."""
        ...

    def since(self, at: datetime, *, kind: str | None = None, limit: int = 1000) -> tuple[Event, ...]:
        """Return the newest `limit` events from a moment on, oldest first."""
        ...
