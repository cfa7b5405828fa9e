"""Somebody on the way out: what has ended here, and what is still to be told elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

LIFE = timedelta(minutes=30)  # suomi.fi shows a page of its own and waits for the person


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """Where the browser goes to end the eID's session: an address, or a form that posts itself there."""

    action: str = field(repr=False)
    fields: Mapping[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Farewell:
    """One logout, from the moment that our own session has ended.

    `id` goes to the eID and comes back (SAML RelayState, OpenID Connect `state`). `services` are the
    clients that were reached, `frames` the addresses of those that are told in a frame. `logout` is the
    provider's own (`Identity.upstream_logout`), `state` what it remembers of its errand. `left` says whether
    the eID has ended its session: None until it is known.
    """

    id: str
    language: str
    client_id: str | None
    target: str | None = field(repr=False)
    services: tuple[str, ...] = ()
    frames: tuple[str, ...] = field(default=(), repr=False)
    provider: str | None = None
    logout: str | None = field(default=None, repr=False)
    errand: Errand | None = None
    state: bytes = field(default=b"", repr=False)
    left: bool | None = None

    def sent(self, errand: Errand, state: bytes) -> Farewell:
        """Return it with the person gone to the eID: the same errand again leads there again."""
        return replace(self, errand=errand, state=state)

    def back(self, *, left: bool) -> Farewell:
        """Return it with the eID's answer; what could end a session there is forgotten."""
        return replace(self, logout=None, errand=None, state=b"", left=left)
