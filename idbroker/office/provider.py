"""The organisation's own OpenID provider, as configured, and who is away there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from idbroker.keeping import Shelf
from idbroker.providers import Means
from idbroker.providers._oidc import OpenIdClient, Upstream, read_secret
from idbroker.staff.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """Somebody is at the organisation's provider: for which browser, what only the client reads, and where to go on."""

    bound: str
    state: bytes = field(repr=False)
    to: str


@dataclass(frozen=True, kw_only=True)
class Organisation:
    """The organisation's provider, and who is away there."""

    client: OpenIdClient
    away: Shelf[Away]
    settings: Settings


def make_organisation(settings: Settings, means: Means, away: Shelf[Away]) -> Organisation | None:
    """Return it, where one is configured. OSError for a secret's file that does not read."""
    if settings.issuer is None or settings.client_id is None or settings.client_secret_file is None:
        return None
    upstream = Upstream(
        issuer=settings.issuer,
        client_id=settings.client_id,
        client_secret=read_secret(None, Path(settings.client_secret_file)),
        pushed=None,
    )
    return Organisation(client=OpenIdClient(upstream, means), away=away, settings=settings)
