"""What an eID signed at a sign-in, kept sealed for a time: for whoever must prove the sign-in later."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from idbroker.errors import StoreError
from idbroker.sealing import Sealer

LONGEST = timedelta(days=3660)  # ten years; longer belongs into an archive


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`[evidence]`: how long it is kept; nothing is kept for 0.

    Half a year: who did not sign in themselves learns of it from a letter, a bill or the next visit.
    Longer would be a pile of names and numbers that nobody asks for.
    """

    keep: timedelta = timedelta(days=180)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One sign-in's evidence, without what it says: `person` is our own id, `until` when it is deleted."""

    id: str
    at: datetime
    until: datetime
    person: str
    provider: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedEvidence:
    """The same, with what it says."""

    evidence: Evidence
    sealed: bytes = field(repr=False)


class EvidenceKept(Protocol):
    """Where evidence is kept. What is past its time is not found, deleted or not. Raises StoreError."""

    def find(self, evidence_id: str, now: datetime) -> SealedEvidence | None:
        """Return one, or None."""
        ...

    def since(self, at: datetime, now: datetime, *, person: str | None = None, limit: int) -> tuple[Evidence, ...]:
        """Return the newest `limit` from a moment on, oldest first; one person's if asked."""
        ...

    def expire(self, now: datetime) -> int:
        """Delete what is past its time; return how many."""
        ...

    def remove_before(self, at: datetime) -> int:
        """Delete what is from before a moment, past its time or not; return how many."""
        ...


def new_id() -> str:
    """Return a new piece of evidence's id."""
    return secrets.token_hex(16)


def evidence_row(evidence_id: str) -> bytes:
    """Return the row that sealed evidence is bound to."""
    return f"evidence|{evidence_id}".encode()


def seal(evidence: Evidence, parts: Mapping[str, str], sealer: Sealer) -> SealedEvidence:
    """Return evidence sealed, what it is evidence of along with the parts."""
    told = {"of": _of(evidence), "parts": dict(parts)}
    return SealedEvidence(evidence=evidence, sealed=sealer.seal(json.dumps(told).encode(), evidence_row(evidence.id)))


def proof_of(
    parts: Mapping[str, str], provider: str, at: datetime, *, keep: timedelta, sealer: Sealer
) -> tuple[Callable[[str], SealedEvidence] | None, Mapping[str, str]]:
    """Return what seals the parts as a person's evidence, if any is to be kept, and what the event says of it."""
    if not parts or not keep:
        return None, {}
    evidence_id = new_id()

    def sealed(person: str) -> SealedEvidence:
        kept = Evidence(id=evidence_id, at=at, until=at + keep, person=person, provider=provider)
        return seal(kept, parts, sealer)

    return sealed, {"evidence": evidence_id}


def unseal(kept: SealedEvidence, sealer: Sealer) -> Mapping[str, str]:
    """Return the parts, by the names the provider gave them. StoreError when it does not open.

    Nor does it open when the row says another person, eID or time than when it was kept: whoever can
    write to the database must not be able to turn one person's proof into another's.
    """
    told = json.loads(sealer.open(kept.sealed, evidence_row(kept.evidence.id)))
    if told["of"] != _of(kept.evidence):
        raise StoreError("evidence is not of whom its row says")
    parts: dict[str, str] = told["parts"]
    return parts


def _of(evidence: Evidence) -> dict[str, str]:
    return {"person": evidence.person, "provider": evidence.provider, "at": evidence.at.astimezone(UTC).isoformat()}
