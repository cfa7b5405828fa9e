"""The journey of one sign-in: the only module that knows the order of the steps."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol, assert_never

from idbroker import policy
from idbroker.client import Client, Clients
from idbroker.clinic import Clinic, Clinics
from idbroker.clock import Clock
from idbroker.errors import (
    Cancelled,
    Gone,
    NotFound,
    OAuthError,
    ProviderError,
    Refused,
    Unreachable,
    WrongBrowser,
)
from idbroker.events import Event, Events
from idbroker.grant import Grant, released
from idbroker.identity import Identity
from idbroker.keeping import Kept, Shelf
from idbroker.oidc import authorize, levels
from idbroker.oidc.authorize import AuthorizationResponse
from idbroker.oidc.secret import Secret, new_family, new_secret
from idbroker.oidc.token import CODE_LIFE
from idbroker.person import PersonKey, pairwise_subject, person_keys
from idbroker.providers import Asked, Challenge, Form, Provider, Redirect, Wait
from idbroker.request import SigninRequest
from idbroker.sealing import Sealer
from idbroker.session import Reached, Session, Settings, key_of
from idbroker.session import new_secret as new_session_secret
from idbroker.transaction import Notice, Outcome, PendingForm, Stage, Transaction

TRANSACTION_LIFE = timedelta(minutes=30)
REPEAT_LIFE = timedelta(seconds=60)
GRANT_SLACK = timedelta(minutes=5)
_REF_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A new transaction; `secret` goes into the browser's cookie for it."""

    transaction: Transaction
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """The person sees a page of this transaction: the choice, or the form it is at."""

    transaction: Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class GoTo:
    """The person goes to an eID's own page."""

    transaction: Transaction
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The client is answered. `session_secret` is a new sign-on's cookie, None where nothing changes."""

    response: AuthorizationResponse = field(repr=False)
    language: str
    session_secret: str | None = field(default=None, repr=False)
    provider: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Already:
    """The sign-in was finished a while ago; the person is shown the way to the service."""

    transaction: Transaction


Step = Show | GoTo | Answered | Already


class Records(Protocol):
    """The durable side of a finished sign-in."""

    def signed_in(self, keys: Sequence[PersonKey], make_event: Callable[[str], Event], now: datetime) -> str:
        """Meet the person and record the event, both or neither; return the person's id."""
        ...


@dataclass(frozen=True, kw_only=True)
class Broker:
    """Moves transactions from step to step. Every step reads the stored stage and decides what is next."""

    issuer: str
    clock: Clock
    clients: Clients
    clinics: Clinics
    providers: Mapping[str, Provider]
    transactions: Shelf[Transaction]
    sessions: Shelf[Session]
    grants: Shelf[Grant]
    records: Records
    events: Events
    sealer: Sealer
    subject_secret: Callable[[], bytes]
    session_settings: Settings
    sandbox: bool = False

    # ---- in: a request ---------------------------------------------------------------------------

    def accept(self, request: SigninRequest, session_secret: str | None, language: str) -> Opened | Answered:
        """Answer from the sign-on here if it suffices, else open a transaction.

        Raises authorize.Refused for prompt=none that cannot be answered without a page (Core 3.1.2.6).
        """
        session = self.session(session_secret)
        if session is not None and self._suffices(request, session):
            return self._answer_from(session, request, language)
        if "none" in request.prompt:
            raise self._refusal(request, OAuthError("login_required", "The person has to sign in"))
        secret = new_session_secret()
        transaction = Transaction(
            id=secrets.token_urlsafe(16),
            binding=_hash(secret),
            request=request,
            language=language,
            opened_at=self.clock.now(),
        )
        self.transactions.put(transaction.id, transaction, TRANSACTION_LIFE)
        return Opened(transaction=transaction, secret=secret)

    def session(self, secret: str | None) -> Session | None:
        """Return the living sign-on of a cookie, or None."""
        kept = self.sessions.get(key_of(secret)) if secret else None
        if kept is None or not kept.value.alive(self.clock.now(), self.session_settings):
            return None
        return kept.value

    def _suffices(self, request: SigninRequest, session: Session) -> bool:
        client, clinic = self.parties(request)
        case = self._case(request, client, clinic, session.identity)
        if not policy.session_suffices(case, session, self.session_settings):
            return False
        return request.required_subject in (None, self._subject(client, session.person))

    def _answer_from(self, session: Session, request: SigninRequest, language: str) -> Answered:
        now = self.clock.now()
        client, clinic = self.parties(request)
        grant, code = self._make_grant(request, client, clinic, session.identity, session)
        self.events.record(self._event("signin.session", request, clinic, session.identity.provider, session.person))
        self._keep(grant)
        reached = Reached(client_id=client.id, grant=grant.id, sid=session.sid(client.id))
        self._keep_session(session.seen(now).with_client(reached))
        return Answered(response=authorize.code_response(request, code.text, self.issuer), language=language)

    # ---- the transaction -------------------------------------------------------------------------

    def load(self, name: str, secret: str | None) -> Kept[Transaction]:
        """Return a transaction, only to the browser that began it.

        Raises NotFound, Gone or WrongBrowser: a link to somebody else's transaction, followed in
        another browser, would otherwise sign that person in to the wrong place (ASVS 7.2.4; E1).
        """
        kept = self.transactions.get(name) if len(name) == 22 else None
        if kept is None:
            raise Gone("no such transaction, or its time is up")
        if secret is None or not hmac.compare_digest(_hash(secret), kept.value.binding):
            raise WrongBrowser("the cookie is another browser's or is missing")
        return kept

    def say_in(self, kept: Kept[Transaction], language: str) -> Transaction:
        """Return the transaction in another language of its clinic."""
        transaction = replace(kept.value, language=language)
        self.transactions.swap(transaction.id, kept.raw, transaction, TRANSACTION_LIFE)
        return transaction

    def choose(self, kept: Kept[Transaction], provider: str, nonce: str, ip: str | None = None) -> Step:
        """Begin with a provider. The same nonce again leads to the same place (double click)."""
        transaction = kept.value
        if transaction.stage in (Stage.GRANTED, Stage.STOPPED):
            return self.where_now(transaction)
        if nonce in transaction.answers:
            return GoTo(transaction=transaction, url=transaction.answers[nonce])
        if provider not in self.ways(transaction):
            raise NotFound("no such way to sign in for this service")
        handle = f"{transaction.id}.{secrets.token_urlsafe(16)}"
        asked = self._asked(transaction, provider, handle, ip)
        try:
            challenge = self.providers[provider].begin(asked)
        except ProviderError as error:
            return self._went_wrong(kept, provider, error)
        return self._challenged(kept, provider, handle, challenge, nonce)

    def resume(
        self,
        kept: Kept[Transaction],
        provider: str,
        reply: Mapping[str, str],
        handle: str | None,
        session_secret: str | None = None,
    ) -> Step:
        """Go on with what came back from a provider, or from a form that it asked for.

        `session_secret` is the sign-on the browser has so far: a new proof replaces it.
        """
        transaction = kept.value
        if transaction.stage is not Stage.PROVING or transaction.handle != handle or transaction.provider != provider:
            # Back button, a second tab, or an old answer sent again: nothing is believed, nothing lost.
            return self.where_now(transaction)
        asked = self._asked(transaction, provider, transaction.handle or "", None)
        try:
            result = self.providers[provider].resume(asked, transaction.provider_state, reply)
        except ProviderError as error:
            return self._went_wrong(kept, provider, error)
        if isinstance(result, Identity):
            return self._proved(kept, result, session_secret)
        return self._challenged(kept, provider, transaction.handle or "", result, None)

    def cancel(self, kept: Kept[Transaction]) -> Step:
        """Stop at the person's wish: the client is told access_denied (RFC 6749, 4.1.2.1)."""
        if kept.value.stage in (Stage.GRANTED, Stage.STOPPED):
            return self.where_now(kept.value)
        return self._stopped(kept, OAuthError("access_denied", "The person cancelled"), "signin.cancelled")

    def where_now(self, transaction: Transaction) -> Step:
        """Return the step a transaction is at: what a repeated, late or reordered post leads to."""
        outcome = transaction.outcome
        if outcome is None:
            return Show(transaction=transaction)
        if self.clock.now() - outcome.at > REPEAT_LIFE:
            return Already(transaction=transaction)
        response = AuthorizationResponse(
            redirect_uri=outcome.redirect_uri, mode=outcome.mode, parameters=outcome.parameters
        )
        return Answered(response=response, language=transaction.language)

    def ways(self, transaction: Transaction) -> tuple[str, ...]:
        """Return the providers this transaction may use: taken here, and able to reach the level."""
        client, clinic = self.parties(transaction.request)
        accepted = (name for name in policy.accepted_providers(client, clinic) if name in self.providers)
        able = [name for name in accepted if self.providers[name].loa >= transaction.request.minimum]
        return tuple(sorted(able, key=transaction.tried.count))

    def parties(self, request: SigninRequest) -> tuple[Client, Clinic]:
        """Return the client that asks and the clinic under whose rules. Gone if either was removed since."""
        client = self.clients.find(request.client_id)
        clinic = self.clinics.find(client.clinic) if client else None
        if client is None or client.disabled or clinic is None:
            raise Gone("the client or its clinic was removed meanwhile")
        return client, clinic

    # ---- what a provider said --------------------------------------------------------------------

    def _challenged(
        self, kept: Kept[Transaction], provider: str, handle: str, challenge: Challenge, nonce: str | None
    ) -> Step:
        match challenge:
            case Redirect(url=url, state=state):
                moved = kept.value.proving(provider, handle, state)
                moved = moved.answered(nonce, url) if nonce else moved
                return self._moved(kept, moved, GoTo(transaction=moved, url=url), nonce)
            case Form(page=page, state=state, values=values, errors=errors):
                form = PendingForm(page=page, values=values, errors=errors)
                moved = kept.value.proving(provider, handle, state, form)
                return self._moved(kept, moved, Show(transaction=moved), nonce)
            case Wait():
                raise ProviderError("no provider waits yet")
            case _:
                assert_never(challenge)

    def _moved(self, kept: Kept[Transaction], moved: Transaction, step: Step, nonce: str | None) -> Step:
        """Keep the move, unless another request of this browser was faster: then its step counts."""
        if self.transactions.swap(moved.id, kept.raw, moved, TRANSACTION_LIFE):
            return step
        now = self.transactions.get(moved.id)
        if now is None:
            raise Gone("the transaction ended meanwhile")
        if nonce and nonce in now.value.answers:
            return GoTo(transaction=now.value, url=now.value.answers[nonce])
        return self.where_now(now.value)

    def _went_wrong(self, kept: Kept[Transaction], provider: str, error: ProviderError) -> Step:
        """Record it and bring the person back to the choice with words for what happened."""
        transaction = kept.value
        ref = None if isinstance(error, Cancelled) else new_ref()
        _, clinic = self.parties(transaction.request)
        detail = {"code": error.code, **({"reason": error.reason} if isinstance(error, Refused) else {})}
        event = self._event("provider.failed", transaction.request, clinic, provider, None)
        self.events.record(replace(event, transaction=transaction.id, ref=ref, detail=detail))
        reopened = replace(transaction, provider=provider).reopened(
            Notice(key=_notice_of(error), provider=provider, ref=ref)
        )
        return self._moved(kept, reopened, Show(transaction=reopened), None)

    def _proved(self, kept: Kept[Transaction], identity: Identity, session_secret: str | None) -> Step:
        transaction = kept.value
        client, clinic = self.parties(transaction.request)
        decision = policy.decide(self._case(transaction.request, client, clinic, identity))
        match decision:
            case policy.Allow():
                return self._granted(kept, client, clinic, identity, session_secret)
            case policy.Refuse(reason=reason):
                return self._went_wrong(kept, identity.provider, Refused(reason))
            case policy.NeedStronger():
                return self._too_weak(kept, identity)
            case _:
                assert_never(decision)

    def _too_weak(self, kept: Kept[Transaction], identity: Identity) -> Step:
        """Offer what is stronger; where nothing is left, an essential acr is an error of its own (UAR 1.0)."""
        transaction = kept.value
        if transaction.request.essential_acr and set(self.ways(transaction)) <= {identity.provider}:
            error = OAuthError("unmet_authentication_requirements", "The requested level was not reached")
            return self._stopped(kept, error, "signin.refused")
        return self._went_wrong(kept, identity.provider, Refused("level_too_low"))

    def _stopped(self, kept: Kept[Transaction], error: OAuthError, kind: str) -> Step:
        request = kept.value.request
        _, clinic = self.parties(request)
        response = self._refusal(request, error).response
        event = self._event(kind, request, clinic, kept.value.provider, None)
        self.events.record(replace(event, transaction=kept.value.id, detail={"code": error.code}))
        ended = kept.value.ended(Stage.STOPPED, self._outcome(response))
        return self._moved(kept, ended, Answered(response=response, language=ended.language), None)

    # ---- out: a grant ----------------------------------------------------------------------------

    def _granted(
        self,
        kept: Kept[Transaction],
        client: Client,
        clinic: Clinic,
        identity: Identity,
        session_secret: str | None,
    ) -> Step:
        transaction, request, now = kept.value, kept.value.request, self.clock.now()
        person = self.records.signed_in(
            person_keys(identity, self.sealer),
            lambda person: replace(
                self._event("signin.granted", request, clinic, identity.provider, person), transaction=transaction.id
            ),
            now,
        )
        if request.required_subject not in (None, self._subject(client, person)):
            error = OAuthError("login_required", "Another person signed in than the hint names")
            return self._stopped(kept, error, "signin.refused")
        secret = new_session_secret()
        session = Session(
            key=key_of(secret),
            person=person,
            identity=replace(identity, upstream_id_token=None),
            language=transaction.language,
            started_at=now,
            seen_at=now,
            reached=self._carried_over(session_secret, person),
        )
        grant, code = self._make_grant(request, client, clinic, identity, session)
        response = authorize.code_response(request, code.text, self.issuer)
        ended = transaction.ended(Stage.GRANTED, self._outcome(response))
        if not self.transactions.swap(ended.id, kept.raw, ended, TRANSACTION_LIFE):
            # Two answers raced (a double return): the first has ended the transaction, its outcome counts.
            return self._moved(kept, ended, Show(transaction=ended), None)
        self._keep(grant)
        reached = Reached(client_id=client.id, grant=grant.id, sid=session.sid(client.id))
        self._keep_session(session.with_client(reached))
        return Answered(
            response=response, language=transaction.language, session_secret=secret, provider=identity.provider
        )

    def _carried_over(self, session_secret: str | None, person: str) -> tuple[Reached, ...]:
        """End the browser's earlier sign-on (no fixed session survives a proof, ASVS 7.2.4).

        The clients that it reached go on into the new one if it is the same person's.
        """
        earlier = self.sessions.take(key_of(session_secret)) if session_secret else None
        return earlier.reached if earlier is not None and earlier.person == person else ()

    def _make_grant(
        self, request: SigninRequest, client: Client, clinic: Clinic, identity: Identity, session: Session
    ) -> tuple[Grant, Secret]:
        code = new_secret(new_family())
        claims, id_token_claims = released(identity, client, request)
        grant = Grant(
            id=code.family,
            client_id=client.id,
            person=session.person,
            clinic=clinic.id,
            provider=identity.provider,
            subject=self._subject(client, session.person),
            scopes=request.scopes,
            claims=claims,
            id_token_claims=id_token_claims,
            auth_time=identity.proved_at,
            acr=levels.spell(identity.loa, request.acr_values),
            amr=identity.amr,
            nonce=request.nonce,
            redirect_uri=request.redirect_uri,
            code_challenge=request.code_challenge,
            code_digest=code.digest,
            code_expires_at=self.clock.now() + CODE_LIFE,
            session=session.key,
            sid=session.sid(client.id),
        )
        return grant, code

    def _keep(self, grant: Grant) -> None:
        # Longer than the code lives: a code that comes late, or again, must still find its family.
        self.grants.put(grant.id, grant, CODE_LIFE + GRANT_SLACK)

    def _keep_session(self, session: Session) -> None:
        self.sessions.put(session.key, session, self.session_settings.absolute)

    # ---- small words -----------------------------------------------------------------------------

    def _subject(self, client: Client, person: str) -> str:
        return pairwise_subject(self.subject_secret(), client.subject_sector, person)

    def _case(self, request: SigninRequest, client: Client, clinic: Clinic, identity: Identity) -> policy.Case:
        return policy.Case(
            request=request,
            client=client,
            clinic=clinic,
            identity=identity,
            now=self.clock.now(),
            sandbox=self.sandbox,
        )

    def _asked(self, transaction: Transaction, provider: str, handle: str, ip: str | None) -> Asked:
        request = transaction.request
        client, _ = self.parties(request)
        wished = levels.lowest(request.acr_values) or request.minimum
        return Asked(
            transaction=transaction.id,
            handle=handle,
            return_url=f"{self.issuer}/callback/{provider}",
            loa=min(max(request.minimum, wished), self.providers[provider].loa),
            language=transaction.language,
            service=client.called(transaction.language),
            now=self.clock.now(),
            fresh=bool({"login", "select_account"} & set(request.prompt)) or request.max_age == timedelta(),
            max_age=request.max_age,
            want_number=client.national_number,
            ip=ip,
        )

    def _refusal(self, request: SigninRequest, error: OAuthError) -> authorize.Refused:
        response = authorize.error_response(
            error,
            redirect_uri=request.redirect_uri,
            mode=request.response_mode,
            state=request.state,
            issuer=self.issuer,
        )
        return authorize.Refused(error, response)

    def _outcome(self, response: AuthorizationResponse) -> Outcome:
        return Outcome(
            at=self.clock.now(),
            redirect_uri=response.redirect_uri,
            mode=response.mode,
            parameters=response.parameters,
        )

    def _event(
        self, kind: str, request: SigninRequest, clinic: Clinic, provider: str | None, person: str | None
    ) -> Event:
        return Event(
            at=self.clock.now(),
            kind=kind,
            client=request.client_id,
            clinic=clinic.id,
            provider=provider,
            person=person,
        )


def new_ref() -> str:
    """Return a short code that a person can read out on the telephone: no I, O, 0 or 1."""
    return "".join(secrets.choice(_REF_LETTERS) for _ in range(6))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _notice_of(error: ProviderError) -> str:
    if isinstance(error, Unreachable):
        return "c.down"
    if isinstance(error, Refused) and error.reason == "level_too_low":
        return "e.loa"
    return "e.back"
