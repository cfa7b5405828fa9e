"""One sign-in, from accepted request to grant, and the store it is kept in between steps."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from idbroker.identity import Identity
from idbroker.request import SigninRequest


class Transient(Protocol):
    """Short-lived state shared by all workers. Every method is one atomic step on the server.

    Keys are ASCII, at most 200 characters. A part in braces, as in `t:{4f..}`, is the hash tag
    that keeps the keys of one transaction on one Redis Cluster node. Values are at most 256 KiB.
    An entry whose time is up is as good as absent. Raises StoreError when the store is away.
    """

    def put(self, key: str, value: bytes, life: timedelta) -> None:
        """Keep a value, replacing what was there."""
        ...

    def get(self, key: str) -> bytes | None:
        """Return the value, or None."""
        ...

    def take(self, key: str) -> bytes | None:
        """Return the value and delete it: of many callers at once exactly one gets it."""
        ...

    def swap(self, key: str, old: bytes | None, new: bytes, life: timedelta) -> bool:
        """Replace `old` by `new` if `old` is still there; `old=None` means only if absent."""
        ...

    def count(self, key: str, life: timedelta) -> int:
        """Add one and return the sum. Life starts at the first count and is not prolonged."""
        ...


class Stage(enum.StrEnum):
    """Where a transaction is."""

    OPEN = "open"
    PROVING = "proving"
    PROVED = "proved"
    CHOOSING = "choosing"
    GRANTED = "granted"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One sign-in. A move returns a new value; the store keeps the newest.

    `binding` is the hash of the secret in the browser's cookie. `provider_state` is opaque bytes
    that only the provider named in `provider` reads. `outcome` is where the browser was sent at
    the end, so that a repeated last post gets the same answer.
    """

    id: str
    binding: str
    request: SigninRequest
    language: str
    opened_at: datetime
    stage: Stage = Stage.OPEN
    provider: str | None = None
    handle: str | None = None
    provider_state: bytes = field(default=b"", repr=False)
    identity: Identity | None = field(default=None, repr=False)
    person: str | None = None
    notice: str | None = None
    tried: tuple[str, ...] = ()
    answers: Mapping[str, str] = field(default_factory=dict)
    outcome: Mapping[str, str] | None = field(default=None, repr=False)

    def proving(self, provider: str, handle: str, state: bytes) -> Transaction:
        """Move on: the person is at the eID. A later handle makes an earlier one worthless."""
        return replace(
            self, stage=Stage.PROVING, provider=provider, handle=handle, provider_state=state, notice=None
        )

    def reopened(self, notice: str) -> Transaction:
        """Move back to the choice, with a notice saying why."""
        tried = (*self.tried, self.provider) if self.provider and self.provider not in self.tried else self.tried
        return replace(
            self, stage=Stage.OPEN, provider=None, handle=None, provider_state=b"", notice=notice, tried=tried
        )
