"""How a transaction ends: with a grant, or an error that the client is told."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

from idbroker.acting import Acting
from idbroker.client import Client, Clients
from idbroker.clinic import Clinic, Clinics
from idbroker.errors import Gone, OAuthError, StoreError
from idbroker.events import Event
from idbroker.identity import Identity
from idbroker.keeping import Kept
from idbroker.oidc import authorize
from idbroker.oidc.authorize import AuthorizationResponse
from idbroker.request import SigninRequest
from idbroker.session import new_secret as new_session_secret
from idbroker.steps import Answered, Show, Step
from idbroker.transaction import Outcome, Proof, Stage, Transaction
from idbroker.turns import Turns


class OverAtTheEid(Exception):
    """The eID ended the session that a proof came from, before it became a sign-on here."""


@dataclass(frozen=True, kw_only=True)
class Endings(Turns):
    """Ends transactions, and knows who asks."""

    issuer: str
    clients: Clients
    clinics: Clinics

    def parties(self, request: SigninRequest) -> tuple[Client, Clinic]:
        """Return the client that asks and the clinic under whose rules. Gone if either was removed since."""
        client = self.clients.find(request.client_id)
        clinic = self.clinics.find(client.clinic) if client else None
        if client is None or client.disabled or clinic is None:
            raise Gone("the client or its clinic was removed meanwhile")
        return client, clinic

    # ---- yes -------------------------------------------------------------------------------------

    def granted(
        self,
        kept: Kept[Transaction],
        client: Client,
        clinic: Clinic,
        identity: Identity,
        session_secret: str | None,
    ) -> Step:
        """Grant, by a new sign-on. Raises OverAtTheEid."""
        transaction, request = kept.value, kept.value.request
        if self.signon.is_over(identity):
            raise OverAtTheEid
        if not self.signon.holds(identity, identity.subject):
            # The attack: a colleague says yes on their own device, is dismissed, and only then presses the next page.
            return self.stopped(kept, OAuthError("access_denied", "The clinic's staff may not vouch any longer"))
        acting = acts_for(transaction)
        person = self.signon.meet(transaction, client, clinic, identity, acting)
        if person is None:
            error = OAuthError("login_required", "Another person signed in than the hint names")
            return self.stopped(kept, error)
        secret = new_session_secret()
        ends = self.signon.own_end(client, clinic, identity)
        session = self.signon.new_session(secret, person, identity, transaction.language, ends)
        grant, code = self.signon.new_grant(request, client, clinic, session, acting)
        response = authorize.code_response(request, code, self.issuer)
        ended = transaction.ended(Stage.GRANTED, self._outcome(response))
        if self.put(kept, ended) is None:
            # Two answers raced (a double return, Cancel in another tab): the first has ended the transaction.
            self.events.record(self.event("signin.undone", transaction, clinic, {}))
            return self.overtaken(ended.id)
        try:
            self.signon.keep(grant, session, session_secret, acting)
        except StoreError:
            # The same press again leads to the service with a code that is worth nothing, rather than with one
            # whose sign-on nobody can end.
            with contextlib.suppress(StoreError):
                self.signon.take_back(grant)
            raise
        used = identity.provider if identity.assisted is None else None  # no comfort of the person's: it was staff
        return Answered(response=response, language=transaction.language, session_secret=secret, provider=used)

    def granted_again(
        self, kept: Kept[Transaction], client: Client, clinic: Clinic, proof: Proof, session_secret: str | None
    ) -> Step:
        """Grant on the strength of the sign-on that the question was asked in; the choice, if it is over."""
        transaction = kept.value
        session = self.signon.session(session_secret)
        same = session is not None and session.value.key == proof.session
        acting = acts_for(transaction)
        code = self.signon.again(session, transaction.request, client, clinic, acting) if session and same else None
        if code is None:
            reopened = transaction.reopened(None)
            return self.moved(kept, reopened, Show(transaction=reopened))
        response = authorize.code_response(transaction.request, code, self.issuer)
        ended = transaction.ended(Stage.GRANTED, self._outcome(response))
        return self.moved(kept, ended, Answered(response=response, language=transaction.language))

    # ---- no --------------------------------------------------------------------------------------

    def stopped(self, kept: Kept[Transaction], error: OAuthError, kind: str = "signin.refused") -> Step:
        """End the transaction: the client is told."""
        request = kept.value.request
        _, clinic = self.parties(request)
        response = self.refusal(request, error).response
        event = self.event(kind, kept.value, clinic, {"code": error.code})
        ended = kept.value.ended(Stage.STOPPED, self._outcome(response))
        return self.moved(kept, ended, Answered(response=response, language=ended.language), event=event)

    def refusal(self, request: SigninRequest, error: OAuthError) -> authorize.Refused:
        """Return an error as the client is told it."""
        response = authorize.error_response(
            error,
            redirect_uri=request.redirect_uri,
            mode=request.response_mode,
            state=request.state,
            issuer=self.issuer,
        )
        return authorize.Refused(error, response)

    # ---- small words -----------------------------------------------------------------------------

    def _outcome(self, response: AuthorizationResponse) -> Outcome:
        return Outcome(
            at=self.clock.now(),
            redirect_uri=response.redirect_uri,
            mode=response.mode,
            parameters=response.parameters,
        )

    def event(
        self,
        kind: str,
        transaction: Transaction,
        clinic: Clinic,
        detail: Mapping[str, str],
        *,
        provider: str | None = None,
        ref: str | None = None,
    ) -> Event:
        """Return an entry for the trail."""
        return Event(
            at=self.clock.now(),
            kind=kind,
            transaction=transaction.id,
            client=transaction.request.client_id,
            clinic=clinic.id,
            provider=provider or transaction.provider,
            ref=ref,
            detail=detail,
        )


def acts_for(transaction: Transaction) -> Acting | None:
    """Return whom it is about, where that is not who signs in."""
    return transaction.about.acting if transaction.about is not None else None
