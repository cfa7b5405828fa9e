"""One access token exchanged for another of the same client, about somebody else (RFC 8693): no browser, no page."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from idbroker.acting import Acting
from idbroker.client import Client
from idbroker.clinic import Clinic
from idbroker.endings import acts_for
from idbroker.errors import OAuthError, StoreError
from idbroker.events import Event
from idbroker.grant import Grant
from idbroker.keeping import Kept
from idbroker.moves import Moves, StaleProof
from idbroker.oidc import bearer, levels
from idbroker.oidc.token import ACCESS_TOKEN, ExchangeRequest, exchangeable
from idbroker.request import SigninRequest
from idbroker.session import MOST_GRANTS, Reached, Session, noted
from idbroker.signon import Signon
from idbroker.tokens import Tokens
from idbroker.transaction import Transaction

MOST_SUCCESSORS = 8
_TRIES = 100  # each time somebody else was faster, that somebody is done
_REFUSED = "whono"  # the page of all refusals: its question has recorded the reason


@dataclass(frozen=True, kw_only=True)
class Exchanging:
    """Exchanges. It is a sign-in like any other: what a page would have to ask, or to refuse, is refused here.

    It rests on the sign-on that the presented token came of, never on the token's own grant: whoever acts is who
    signed in, so that a token about one ward leads to another only by their guardian, and `act` is never nested.
    """

    moves: Moves
    tokens: Tokens

    @property
    def signon(self) -> Signon:
        """Return who makes and uses sign-ons."""
        return self.moves.signon

    def exchange(self, client: Client, request: ExchangeRequest) -> Mapping[str, Any]:
        """Return the answer of the token endpoint (RFC 8693, 2.2.1).

        Raises OAuthError invalid_scope; for all else invalid_grant, whose description never tells why.
        """
        found = self.tokens.presented(client, request.subject_token)
        if found is None:
            raise _refusal("no living token of the client's")
        grant, live = found
        kept = self._session(grant)
        if kept is None:
            raise self._refused(grant, "signed_out")
        asked = self._asked(client, grant, request, exchangeable(request.scopes, live, client))
        acting = self._judged(kept.value, grant, asked, client)
        return self._granted(kept.value, grant, asked, client, acting)

    # ---- what it rests on ------------------------------------------------------------------------

    def _session(self, grant: Grant) -> Kept[Session] | None:
        """Return the living sign-on that has reached a grant: its own, or the one that has taken that one's place."""
        key = grant.session or ""
        for _ in range(MOST_SUCCESSORS):
            kept = self.signon.sessions.get(key)
            if kept is not None:
                return kept if self._holds(kept.value, grant) else None
            after = self.signon.afterwards.get(key)
            if after is None or after.value.successor is None:
                return None
            key = after.value.successor
        return None

    def _holds(self, session: Session, grant: Grant) -> bool:
        alive = session.alive(self.moves.clock.now(), self.signon.settings)
        same = session.person == grant.person and any(one.grant == grant.id for one in session.reached)
        return alive and same and session.identity.assisted is None

    def _asked(self, client: Client, grant: Grant, request: ExchangeRequest, scopes: tuple[str, ...]) -> SigninRequest:
        """Return it as the request that a portal would make by the browser: as much as such a token shows, no more."""
        return SigninRequest(
            client_id=client.id,
            redirect_uri=grant.redirect_uri,
            scopes=scopes,
            prompt=("none",),
            max_age=client.default_max_age,
            acr_values=(grant.acr,),
            # What demanded a level goes on demanding it, though the sign-on may rest on a weaker proof by now.
            minimum=max(client.minimum, levels.level_of(grant.acr) or client.minimum),
            claims_userinfo=tuple(bearer.shown(grant.claims, grant, scopes)),
            claims_id_token=tuple(bearer.shown(grant.id_token_claims, grant, scopes)),
            acting_for=request.acting_for,
            received_at=self.moves.clock.now(),
        )

    # ---- whether it may be -----------------------------------------------------------------------

    def _judged(self, session: Session, grant: Grant, asked: SigninRequest, client: Client) -> Acting | None:
        """Return whom it is about, None for who signed in; all is judged anew, by registers and clinic."""
        _, clinic = self._parties(asked)
        if not self.signon.suffices(session, asked, client, clinic) or self._lacks_number(session, client, clinic):
            raise self._refused(grant, "not_enough")
        try:
            begun, asks = self.moves.first_question(self._transaction(session, asked), session)
        except StaleProof:
            raise self._refused(grant, "too_old") from None
        if asks:
            page = begun.form.page if begun.form is not None else ""
            raise _refusal("refused") if page == _REFUSED else self._refused(grant, f"asks_{page}")
        acting = acts_for(begun)
        self._check_meant(session, grant, asked, client, acting)
        return acting

    def _check_meant(
        self, session: Session, grant: Grant, asked: SigninRequest, client: Client, acting: Acting | None
    ) -> None:
        """See that it is about whom the client named: never a guardian's grant where a ward's was asked for."""
        own = self.signon.subject(client, session.person)
        wished = own if asked.acting_for == "self" else asked.acting_for
        if wished != (own if acting is None else self.signon.subject(client, acting.ward)):
            raise self._refused(grant, "another")

    def _lacks_number(self, session: Session, client: Client, clinic: Clinic) -> bool:
        return session.identity.number is None and self.moves.asking.knows_people(client, clinic, "")

    def _transaction(self, session: Session, asked: SigninRequest) -> Transaction:
        """Return a sign-in that no browser has, for the questions; it is kept nowhere."""
        return Transaction(
            id=secrets.token_urlsafe(16),
            binding="",
            request=asked,
            language=session.language,
            opened_at=self.moves.clock.now(),
        )

    # ---- the grant -------------------------------------------------------------------------------

    def _granted(
        self, session: Session, origin: Grant, asked: SigninRequest, client: Client, acting: Acting | None
    ) -> Mapping[str, Any]:
        _, clinic = self._parties(asked)
        grant, _ = self.signon.new_grant(asked, client, clinic, session, acting)
        reached = Reached(client_id=client.id, grant=grant.id, sid=grant.sid or "", acting=acting, until=grant.until)
        try:
            # Before anybody holds a token of it: whoever logs out from now on ends it.
            body = self.tokens.issue(client, grant) if self._reach(origin, reached) else None
        except StoreError:
            self.signon.take_back(grant)
            raise
        if body is None:
            self.signon.take_back(grant)
            raise self._refused(origin, "signed_out")
        self._record("signin.session", origin, {"by": "exchange", **({"ward": acting.ward} if acting else {})})
        return {**body, "issued_token_type": ACCESS_TOKEN}

    def _reach(self, origin: Grant, reached: Reached) -> bool:
        """Note the grant on the sign-on; False if it has ended meanwhile, or the token's own grant was ended there.

        It is not the person who comes: the sign-on's idle time runs on.
        """
        for _ in range(_TRIES):
            kept = self._session(origin)
            if kept is None:
                return False
            moved = noted(self._with_room(kept.value, origin), reached)
            if reached.until is not None:
                self.signon.schedule(moved)
            if self.signon.sessions.swap(moved.key, kept.raw, moved, self.signon.settings.absolute):
                return True
        raise StoreError("too many changes at once")

    def _with_room(self, session: Session, origin: Grant) -> Session:
        """Return the sign-on with room for one more: the client's oldest ends here, but for the one presented.

        The attack: a script that exchanges a token for fifty others has the sign-on forget the first, which then
        survives the logout.
        """
        same = [one for one in session.reached if one.client_id == origin.client_id]
        spare = [one for one in same if one.grant != origin.id]
        stale = {one.grant for one in spare[: max(0, len(same) - MOST_GRANTS + 1)]}
        for family in stale:
            self.tokens.end_family(family)
            self.signon.delegations.done(family)
        return replace(session, reached=tuple(one for one in session.reached if one.grant not in stale))

    # ---- small words -----------------------------------------------------------------------------

    def _parties(self, asked: SigninRequest) -> tuple[Client, Clinic]:
        return self.moves.parties(asked)

    def _refused(self, grant: Grant, reason: str) -> OAuthError:
        self._record("acting.refused", grant, {"reason": reason})
        return _refusal(reason)

    def _record(self, kind: str, grant: Grant, detail: Mapping[str, str]) -> None:
        self.moves.events.record(
            Event(
                at=self.moves.clock.now(),
                kind=kind,
                client=grant.client_id,
                clinic=grant.clinic,
                provider=grant.provider,
                person=grant.person,
                detail=detail,
            )
        )


def _refusal(detail: str) -> OAuthError:
    """Return the one error of all causes: it tells neither who is whose child nor why somebody may not."""
    return OAuthError("invalid_grant", "The token cannot be exchanged", detail=detail)
