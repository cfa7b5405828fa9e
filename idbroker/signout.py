"""Ending a sign-on: here, at every service it reached, and at the eID it came from; or because the eID ended it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from idbroker.client import Clients
from idbroker.clock import Clock
from idbroker.errors import NotFound, ProviderError, Unreachable, Untrusted
from idbroker.events import Event, Events
from idbroker.farewell import LIFE, Errand, Farewell
from idbroker.keeping import Shelf
from idbroker.oidc.logout import LogoutRequest
from idbroker.providers import Federated, Leaving, Message, Post, Provider, Redirect, Summons
from idbroker.session import Session, key_of
from idbroker.session_index import SessionIndex
from idbroker.tokens import Tokens


@dataclass(frozen=True, kw_only=True)
class Signout:
    """Signs people out.

    `notify` makes sure that every client a sign-on reached will be told of its end, however often it is
    called; `wake` has that begin now.
    """

    issuer: str
    clock: Clock
    sessions: Shelf[Session]
    index: SessionIndex
    farewells: Shelf[Farewell]
    tokens: Tokens
    clients: Clients
    providers: Mapping[str, Provider]
    notify: Callable[[Session], None]
    wake: Callable[[], None]
    once: Callable[[str, datetime], bool]
    events: Events

    def must_confirm(self, request: LogoutRequest, session: Session) -> bool:
        """Tell whether the person has to be asked first (RP-Initiated Logout 2; ASVS 10.6.2).

        A hint for the sign-on that is here shows that its client asks. Without one, or with one for
        another sign-on, any page on the web could have sent the browser.
        """
        hint = request.hint
        return hint is None or hint.sid not in {reached.sid for reached in session.reached}

    # ---- here ------------------------------------------------------------------------------------

    def end(self, session_secret: str) -> Session | None:
        """End the sign-on of a cookie and all that rests on it; return what was ended."""
        return self._end(key_of(session_secret), "asked")

    def end_all(self, session: Session) -> None:
        """End all that rests on a sign-on that is no longer kept: another has taken its place."""
        self._end_rest(session, "replaced")

    def _end(self, key: str, why: str) -> Session | None:
        kept = self.sessions.get(key)
        if kept is None:
            return None
        # Before the sign-on is gone, so that a crash in between leaves nobody untold.
        self.notify(kept.value)
        session = self.sessions.take(key)
        if session is not None:
            self._end_rest(session, why)
        return session

    def _end_rest(self, session: Session, why: str) -> None:
        self.notify(session)
        for family in dict.fromkeys(reached.grant for reached in session.reached):
            self.tokens.end_family(family)
        self.tokens.end_session(session.key)
        event = Event(
            at=self.clock.now(),
            kind="session.ended",
            person=session.person,
            provider=session.identity.provider,
            detail={"why": why},
        )
        self.events.record(event)
        self.wake()

    # ---- then elsewhere --------------------------------------------------------------------------

    def farewell(self, session: Session, request: LogoutRequest, language: str) -> Farewell:
        """Return what is still to be done for a sign-on that has just ended, kept from now on."""
        logout = session.identity.upstream_logout
        farewell = Farewell(
            id=secrets.token_urlsafe(16),
            language=language,
            client_id=request.client.id if request.client else None,
            target=request.target,
            services=tuple(dict.fromkeys(reached.client_id for reached in session.reached)),
            frames=self._frames(session),
            provider=session.identity.provider if logout else None,
            logout=logout,
        )
        self.farewells.put(farewell.id, farewell, LIFE)
        return farewell

    def found(self, name: str) -> Farewell:
        """Return a farewell by its id. NotFound when its time is up."""
        kept = self.farewells.get(name) if len(name) == 22 else None
        if kept is None:
            raise NotFound("no such farewell, or its time is up")
        return kept.value

    def leave(self, farewell: Farewell) -> Errand | None:
        """Return where the browser goes to end the eID's session; None when there is nothing more to do."""
        provider = self.providers.get(farewell.provider or "")
        if farewell.errand is not None:
            return farewell.errand
        if farewell.logout is None or not isinstance(provider, Federated):
            return None
        try:
            sent = provider.leave(self._leaving(farewell, farewell.logout))
        except Unreachable as error:
            self._record("logout.unfinished", farewell.provider, error)
            self._keep(farewell.back(left=False))
            return None
        if sent is None:
            return None
        errand = Errand(action=sent.action, fields=sent.fields) if isinstance(sent, Post) else Errand(action=sent.url)
        self._keep(farewell.sent(errand, sent.state))
        return errand

    def left(self, name: str, provider_name: str, message: Message) -> Farewell:
        """Take the eID's answer; return the farewell as it is now.

        An answer that does not verify says that nothing is known: our own session has ended whatever it says.
        """
        farewell, provider = self.found(name), self.providers.get(provider_name)
        if farewell.provider != provider_name or farewell.errand is None or not isinstance(provider, Federated):
            return farewell  # the same answer again, or another eID's: nothing is believed
        try:
            left = provider.left(self._leaving(farewell, farewell.logout or ""), farewell.state, message)
        except ProviderError as error:
            self._record("logout.untrusted", provider_name, error)
            left = False
        farewell = farewell.back(left=left)
        self._keep(farewell)
        return farewell

    # ---- because the eID says so -----------------------------------------------------------------

    def summoned(self, provider_name: str, message: Message) -> Redirect | Post | None:
        """End every sign-on that an eID says is over; return the answer that the browser carries, if it carries one.

        Raises Untrusted for what does not verify or came before, Unreachable, StoreError.
        """
        provider = self.providers.get(provider_name)
        if not isinstance(provider, Federated):
            raise NotFound("no such provider")
        summons = self._once(provider.summoned(message))
        ended = [self._end(key, "eid") for key in self.index.find(provider_name, summons.names)]
        # Whom a frame would have to tell is not told from within the eID's own frame (SAML core, 3.7.3.2).
        untold = any(self._frames(session) for session in ended if session is not None)
        return provider.dismissed(summons, self.clock.now(), complete=not untold)

    def _once(self, summons: Summons) -> Summons:
        # Kept and sent again it would end whatever sign-on there is now (S36; Back-Channel Logout, 2.6).
        if not self.once(summons.id, summons.until):
            raise Untrusted("logout: said before")
        return summons

    # ---- small words -----------------------------------------------------------------------------

    def _leaving(self, farewell: Farewell, logout: str) -> Leaving:
        return Leaving(
            logout=logout,
            handle=farewell.id,
            return_url=f"{self.issuer}/logout/{farewell.provider}",
            language=farewell.language,
            now=self.clock.now(),
        )

    def _frames(self, session: Session) -> tuple[str, ...]:
        """Return where services are told in a frame, once for each of their sessions (Front-Channel Logout, 3)."""
        found: dict[str, None] = {}
        for reached in session.reached:
            client = self.clients.find(reached.client_id)
            if client is not None and not client.disabled and client.frontchannel_logout_uri is not None:
                joint = "&" if "?" in client.frontchannel_logout_uri else "?"
                query = urlencode({"iss": self.issuer, "sid": reached.sid})
                found[f"{client.frontchannel_logout_uri}{joint}{query}"] = None
        return tuple(found)

    def _keep(self, farewell: Farewell) -> None:
        self.farewells.put(farewell.id, farewell, LIFE)

    def _record(self, kind: str, provider: str | None, error: ProviderError) -> None:
        self.events.record(
            Event(at=self.clock.now(), kind=kind, provider=provider, detail={"why": error.detail or error.code})
        )
