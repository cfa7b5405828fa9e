"""What is broken on purpose, by provider or channel: outages, slowness, and lies a hostile upstream would tell."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

LONGEST = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with one provider now: nothing, by default.

    `status` is answered with instead of anything else. `lies` are words of that provider's simulator.
    """

    down: bool = False
    slow: timedelta = timedelta()
    status: int | None = None
    lies: frozenset[str] = frozenset()

    @property
    def answer(self) -> int | None:
        """Return the HTTP status to answer with instead of the truth, or None."""
        return 503 if self.down else self.status


class Faults:
    """The faults of all providers; several threads may set and suffer them.

    `known` are the words each provider's simulator can lie with: with it a misspelt lie is refused,
    for a test of a lie that is never told would prove nothing.
    """

    def __init__(self, known: Mapping[str, Collection[str]] | None = None) -> None:
        self._known = known
        self._faults: Mapping[str, Fault] = {}
        self._lock = threading.Lock()
        self._healed = threading.Event()

    @property
    def known(self) -> tuple[str, ...]:
        """Return what can be broken, by name."""
        return tuple(sorted(self._known or ()))

    def of(self, provider: str) -> Fault:
        """Return what is wrong with one provider."""
        return self._faults.get(provider, Fault())

    def set(self, provider: str, wish: Mapping[str, Any]) -> Fault:
        """Break one provider as a JSON object says: `down`, `slow` (seconds), `status`, `lies`.

        What is not named is healed. Raises ValueError, in words for the caller, for anything else.
        """
        fault = parse_fault(wish)
        self._check_known(provider, fault)
        with self._lock:
            self._faults = {**self._faults, provider: fault}
        self._wake()
        return fault

    def clear(self) -> None:
        """Heal everything, at once: nobody goes on waiting for a slow answer."""
        with self._lock:
            self._faults = {}
        self._wake()

    def suffer(self, provider: str) -> Fault:
        """Wait as long as the provider is slow, then return what else is wrong with it."""
        fault = self.of(provider)
        if fault.slow:
            self._healed.wait(fault.slow.total_seconds())
        return fault

    def _wake(self) -> None:
        healed, self._healed = self._healed, threading.Event()
        healed.set()

    def _check_known(self, provider: str, fault: Fault) -> None:
        if self._known is None:
            return
        if provider not in self._known:
            raise ValueError(f"no such provider: one of {', '.join(sorted(self._known))}")
        unknown = fault.lies - frozenset(self._known[provider])
        if unknown:
            raise ValueError(f"{provider} cannot lie so: one of {', '.join(sorted(self._known[provider]))}")


def parse_fault(wish: Mapping[str, Any]) -> Fault:
    """Return the fault that a JSON object says. ValueError, in words, for anything else."""
    unknown = sorted(set(wish) - {"down", "slow", "status", "lies"})
    if unknown:
        raise ValueError(f"unknown fault {unknown[0]!r}: down, slow, status and lies are known")
    down, lies = wish.get("down", False), wish.get("lies", ())
    if not isinstance(down, bool):
        raise ValueError("down is true or false")
    if not isinstance(lies, list | tuple | frozenset) or not all(isinstance(lie, str) for lie in lies):
        raise ValueError("lies is a list of words")
    return Fault(down=down, slow=_slow(wish.get("slow", 0)), status=_status(wish.get("status")), lies=frozenset(lies))


def _slow(seconds: Any) -> timedelta:
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not number or not 0 <= seconds <= LONGEST.total_seconds():
        raise ValueError("slow is a number of seconds, 0 to 30")
    return timedelta(seconds=seconds)


def _status(status: Any) -> int | None:
    if status is not None and (not isinstance(status, int) or not 400 <= status <= 599):
        raise ValueError("status is an HTTP error status, 400 to 599")
    return status
