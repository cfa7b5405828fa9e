"""Time, as an argument: the only module that asks the machine what time it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Whoever tells the time."""

    def now(self) -> datetime:
        """Return the moment, aware, in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the moment, aware, in UTC."""
        return datetime.now(UTC)


class MovableClock:
    """A clock that can be moved: the sandbox's and the tests'."""

    def __init__(self, base: Clock | None = None) -> None:
        self._base = base or SystemClock()
        self._offset = timedelta()

    def now(self) -> datetime:
        """Return the base clock's moment, moved."""
        return self._base.now() + self._offset

    def move(self, by: timedelta) -> None:
        """Move by so much, forwards or backwards."""
        self._offset += by

    def set(self, to: datetime) -> None:
        """Move so that it is `to` now, and go on from there."""
        self._offset = to - self._base.now()


class StoppedClock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self, at: datetime) -> None:
        self._at = at

    def now(self) -> datetime:
        """Return the moment it stopped at."""
        return self._at

    def move(self, by: timedelta) -> None:
        """Move by so much."""
        self._at += by
