"""The stable someone behind many identities, and the pairwise names portals know them by."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from idbroker.identity import Identity
from idbroker.sealing import Sealer


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonKey:
    """One thing a person is recognised by: a digest, and the sealed value where we must read it again."""

    kind: str
    digest: bytes
    sealed: bytes | None = field(default=None, repr=False)


class Persons(Protocol):
    """Where persons are kept."""

    def known(self, keys: Sequence[PersonKey]) -> str | None:
        """Return the id of the person of the first key that is known; None for a stranger."""
        ...

    def meet(self, keys: Sequence[PersonKey], now: datetime) -> str:
        """Return the id of the person of the first key that is known, else of a new person.

        Keys that were unknown belong to that person afterwards; a key that belongs to another
        person is left where it is. Many calls at once with the same keys give the same person.
        Raises StoreError when the store is away.
        """
        ...


def person_keys(identity: Identity, sealer: Sealer) -> tuple[PersonKey, ...]:
    """Return what this identity's person is recognised by, strongest first.

    The national number joins all eIDs of one person; the upstream's own (issuer, subject) keeps
    the person when the number changes or is not given. Nothing else links: an e-mail address or a
    name from an upstream would let it claim somebody else's account (Keycloak CVE-2026-9087).
    """
    keys = []
    if identity.number is not None:
        text = identity.number.key
        digest = sealer.index("number", text)
        keys.append(PersonKey(kind="number", digest=digest, sealed=sealer.seal(text.encode(), number_row(digest))))
    upstream = sealer.index("upstream", f"{identity.issuer}\n{identity.subject}")
    keys.append(PersonKey(kind="upstream", digest=upstream))
    return tuple(keys)


def number_row(digest: bytes) -> bytes:
    """Return the row a sealed number is bound to."""
    return b"number|" + digest


def pairwise_subject(secret: bytes, sector: str, person: str) -> str:
    """Return the `sub` a sector knows this person by (OpenID Connect Core 8.1). Never the number."""
    mac = hmac.digest(secret, f"{sector}\n{person}".encode(), "sha256")
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
