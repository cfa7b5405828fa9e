"""Ending a sign-on: the session, and every grant that rests on it."""

from __future__ import annotations

from dataclasses import dataclass

from idbroker.clock import Clock
from idbroker.events import Event, Events
from idbroker.keeping import Shelf
from idbroker.oidc.logout import LogoutRequest
from idbroker.session import Session, key_of
from idbroker.tokens import Tokens


@dataclass(frozen=True, kw_only=True)
class Signout:
    """Signs people out."""

    clock: Clock
    sessions: Shelf[Session]
    tokens: Tokens
    events: Events

    def must_confirm(self, request: LogoutRequest, session: Session) -> bool:
        """Tell whether the person has to be asked first (RP-Initiated Logout 2; ASVS 10.6.2).

        A hint for the sign-on that is here shows that its client asks. Without one, or with one for
        another sign-on, any page on the web could have sent the browser.
        """
        hint = request.hint
        return hint is None or hint.sid not in {reached.sid for reached in session.reached}

    def end(self, session_secret: str) -> Session | None:
        """End the sign-on of a cookie and all that rests on it; return what was ended."""
        session = self.sessions.take(key_of(session_secret))
        if session is None:
            return None
        self.end_all(session)
        return session

    def end_all(self, session: Session) -> None:
        """End all that rests on a sign-on that is no longer kept."""
        for reached in session.reached:
            self.tokens.end_family(reached.grant)
        self.tokens.end_session(session.key)
        self.events.record(Event(at=self.clock.now(), kind="session.ended", person=session.person))
