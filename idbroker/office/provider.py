"""The organisation's own OpenID provider, as configured, and who is away there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from idbroker.keeping import Shelf
from idbroker.providers import Leaving, Means, Message, Post, Redirect
from idbroker.providers._oidc import EndsSessions, OpenIdClient, Upstream, read_secret
from idbroker.staff.entrance import There
from idbroker.staff.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """Somebody is at the organisation's provider: for which browser, what only the client reads, and where to go on."""

    bound: str
    state: bytes = field(repr=False)
    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """A browser is to end the session there: an address to go to, or a form to post; `state` comes back from it."""

    state: str
    action: str = field(default="", repr=False)
    fields: Mapping[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Organisation:
    """The organisation's provider, who is away there, and who is leaving it."""

    client: OpenIdClient
    away: Shelf[Away]
    errands: Shelf[Errand]
    settings: Settings

    def knows(self, there: There | None) -> bool:
        """Tell whether a sign-in is at this very provider, and its session there is to end with ours here.

        An ID token goes to nobody but who issued it: the settings may name another one since.
        """
        return there is not None and there.issuer == self.settings.issuer and self.settings.end_session != "off"

    def leave(self, there: There, state: str, return_url: str, now: datetime) -> Errand | None:
        """Return what ends the session there (RP-Initiated Logout 1.0, 2); None when that is not offered.

        Unreachable when nobody answers there, in two seconds at most.
        """
        leaving = self._leaving(there.id_token, state, return_url, now)
        match self._ends.leave(leaving):
            case Redirect(url=url):
                return Errand(state=state, action=url)
            case Post(action=action, fields=fields):
                return Errand(state=state, action=action, fields=fields)
            case None:
                return None

    def left(self, errand: Errand, query: bytes, now: datetime) -> bool:
        """Read the way back: whether the session there is over. Untrusted for another one's."""
        return self._ends.left(self._leaving("", errand.state, "", now), b"", Message(now=now, url="", query=query))

    @property
    def _ends(self) -> EndsSessions:
        return EndsSessions(self.client, self.settings.end_session, hint_in_address=True)

    def _leaving(self, token: str, state: str, return_url: str, now: datetime) -> Leaving:
        return Leaving(logout=token, handle=state, return_url=return_url, language="en", now=now)


def make_organisation(
    settings: Settings, means: Means, away: Shelf[Away], errands: Shelf[Errand]
) -> Organisation | None:
    """Return it, where one is configured. OSError for a secret's file that does not read."""
    if settings.issuer is None or settings.client_id is None or settings.client_secret_file is None:
        return None
    upstream = Upstream(
        issuer=settings.issuer,
        client_id=settings.client_id,
        client_secret=read_secret(None, Path(settings.client_secret_file)),
        pushed=None,
    )
    return Organisation(client=OpenIdClient(upstream, means), away=away, errands=errands, settings=settings)
