"""The journey of one sign-in: the only module that knows the order of the steps."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import assert_never

import structlog

from idbroker import policy
from idbroker.client import Client, Clients
from idbroker.clinic import Clinic, Clinics
from idbroker.clock import Clock
from idbroker.errors import Cancelled, Gone, NotFound, OAuthError, ProviderError, Refused, StoreError, WrongBrowser
from idbroker.events import Event, Events
from idbroker.grant import wants_number
from idbroker.identity import Identity
from idbroker.keeping import Kept, Shelf
from idbroker.oidc import authorize, levels
from idbroker.oidc.authorize import AuthorizationResponse
from idbroker.providers import Asked, Challenge, Form, Provider, Redirect, Wait
from idbroker.request import SigninRequest
from idbroker.session import Session
from idbroker.session import new_secret as new_session_secret
from idbroker.signon import Signon
from idbroker.steps import TOO_LOW, Already, Answered, GoTo, Opened, Show, Step, new_ref, notice_of
from idbroker.transaction import Notice, Outcome, PendingForm, Stage, Transaction
from idbroker.visitor import Visitor

_log = structlog.get_logger("idbroker.broker")

TRANSACTION_LIFE = timedelta(minutes=30)
REPEAT_LIFE = timedelta(seconds=60)
_UNDER_WAY, _PAUSE, _PATIENCE = "under way", 0.05, 200  # ten seconds


@dataclass(frozen=True, kw_only=True)
class Broker:
    """Moves transactions from step to step. Every step reads the stored stage and decides what is next."""

    issuer: str
    clock: Clock
    clients: Clients
    clinics: Clinics
    providers: Mapping[str, Provider]
    transactions: Shelf[Transaction]
    signon: Signon
    events: Events
    pause: Callable[[float], None] = time.sleep  # noqa: TID251 - an argument, for whoever waits for another request

    # ---- in: a request ---------------------------------------------------------------------------

    def accept(self, request: SigninRequest, session_secret: str | None, language: str) -> Opened | Answered:
        """Answer from the sign-on here if it suffices, else open a transaction.

        Raises authorize.Refused for prompt=none that cannot be answered without a page (Core 3.1.2.6).
        """
        session = self.signon.session(session_secret)
        answered = self._answer_from(session, request, language) if session else None
        if answered is not None:
            return answered
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
        if request.essential_acr and not self.ways(transaction):
            error = OAuthError("unmet_authentication_requirements", "No way to sign in here reaches the level")
            raise self._refusal(request, error)
        return Opened(kept=self.transactions.put(transaction.id, transaction, TRANSACTION_LIFE), secret=secret)

    def _answer_from(self, kept: Kept[Session], request: SigninRequest, language: str) -> Answered | None:
        client, clinic = self.parties(request)
        if not self.signon.suffices(kept.value, request, client, clinic):
            return None
        code = self.signon.again(kept, request, client, clinic)
        return Answered(response=authorize.code_response(request, code, self.issuer), language=language)

    # ---- the transaction -------------------------------------------------------------------------

    def load(self, name: str, secret: str | None) -> Kept[Transaction]:
        """Return a transaction, only to the browser that began it.

        Raises NotFound, Gone or WrongBrowser: a link to somebody else's transaction, followed in
        another browser, would otherwise sign that person in to the wrong place (ASVS 7.2.4; E1).
        """
        kept = self.transactions.get(name) if len(name) == 22 else None
        if kept is None:
            raise Gone("no such transaction, or its time is up")
        if not secret or not hmac.compare_digest(_hash(secret), kept.value.binding):
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
        nonce: str | None = None,
    ) -> Step:
        """Go on with what came back from a provider, or from a form (then with its nonce) that it asked for.

        `session_secret` is the sign-on the browser has so far: a new proof replaces it.
        """
        transaction = kept.value
        if transaction.stage is not Stage.PROVING or transaction.handle != handle or transaction.provider != provider:
            # Back button, a second tab, or an old answer sent again: nothing is believed, nothing lost.
            return self.where_now(transaction)
        mark = f"reply:{nonce or handle}"
        claimed = self._claimed(kept, mark)
        if claimed is None:
            return self._settled(transaction.id, mark)
        try:
            return self._taken(claimed, provider, reply, mark, session_secret)
        except StoreError:
            # What the eID sent is spent: a reload leads to the choice, instead of waiting for nobody.
            with contextlib.suppress(StoreError):
                reopened = claimed.value.reopened(Notice(key="e.failed", provider=provider))
                self.transactions.swap(reopened.id, claimed.raw, reopened, TRANSACTION_LIFE)
            raise

    def _taken(
        self, kept: Kept[Transaction], provider: str, reply: Mapping[str, str], mark: str, session_secret: str | None
    ) -> Step:
        handle = kept.value.handle or ""
        asked = self._asked(kept.value, provider, handle, None)
        try:
            result = self.providers[provider].resume(asked, kept.value.provider_state, reply)
        except Refused as refused:
            return self._refused(kept, provider, refused)
        except ProviderError as error:
            return self._went_wrong(kept, provider, error)
        if isinstance(result, Identity):
            return self._proved(kept, result, session_secret)
        return self._challenged(kept, provider, handle, result, None, mark)

    def _claimed(self, kept: Kept[Transaction], mark: str) -> Kept[Transaction] | None:
        """Take a reply for this request alone. An eID's code is good once: a double return would lose the sign-in."""
        if mark in kept.value.answers:
            return None
        marked = kept.value.answered(mark, _UNDER_WAY)
        return self.transactions.swap(marked.id, kept.raw, marked, TRANSACTION_LIFE)

    def _settled(self, name: str, mark: str) -> Step:
        """Wait for the request that has taken the same reply; return what came of it."""
        for tries_left in reversed(range(_PATIENCE)):
            now = self.transactions.get(name)
            if now is None:
                raise Gone("the transaction ended meanwhile")
            under_way = now.value.stage is Stage.PROVING and now.value.answers.get(mark) == _UNDER_WAY
            if not (under_way and tries_left):
                return self.where_now(now.value)
            self.pause(_PAUSE)
        raise AssertionError("the last try returns")

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
        code = outcome.parameters.get("code")
        if self.clock.now() - outcome.at > REPEAT_LIFE or (code is not None and self.signon.spent(code)):
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
        self,
        kept: Kept[Transaction],
        provider: str,
        handle: str,
        challenge: Challenge,
        nonce: str | None,
        mark: str = "",
    ) -> Step:
        match challenge:
            case Redirect(url=url, state=state):
                moved = kept.value.proving(provider, handle, state)
                moved = moved.answered(nonce, url) if nonce else moved
                return self._moved(kept, moved, GoTo(transaction=moved, url=url), nonce)
            case Form(page=page, state=state, values=values, errors=errors):
                form = PendingForm(page=page, values=values, errors=errors)
                moved = kept.value.proving(provider, handle, state, form).answered(mark, "")
                return self._moved(kept, moved, Show(transaction=moved), nonce)
            case Wait():
                raise ProviderError("no provider waits yet")
            case _:
                assert_never(challenge)

    def _moved(self, kept: Kept[Transaction], moved: Transaction, step: Step, nonce: str | None) -> Step:
        """Keep the move, unless another request of this browser was faster: then its step counts."""
        if self.transactions.swap(moved.id, kept.raw, moved, TRANSACTION_LIFE):
            return step
        return self._overtaken(moved.id, nonce)

    def _overtaken(self, name: str, nonce: str | None) -> Step:
        now = self.transactions.get(name)
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
        _log.warning("provider_failed", provider=provider, code=error.code, detail=error.detail, ref=ref)
        self.events.record(self._event("provider.failed", transaction, clinic, detail, provider=provider, ref=ref))
        reopened = replace(transaction, provider=provider).reopened(
            Notice(key=notice_of(error), provider=provider, ref=ref)
        )
        return self._moved(kept, reopened, Show(transaction=reopened), None)

    def _proved(self, kept: Kept[Transaction], identity: Identity, session_secret: str | None) -> Step:
        transaction = kept.value
        client, clinic = self.parties(transaction.request)
        decision = policy.decide(self.signon.case(transaction.request, client, clinic, identity))
        match decision:
            case policy.Allow():
                return self._granted(kept, client, clinic, identity, session_secret)
            case policy.Refuse(reason=reason):
                return self._refused(kept, identity.provider, Refused(reason))
            case policy.NeedStronger():
                return self._refused(kept, identity.provider, Refused(TOO_LOW))
            case _:
                assert_never(decision)

    def _refused(self, kept: Kept[Transaction], provider: str, refused: Refused) -> Step:
        """Offer what else there is; where nothing is left, an essential acr is an error of its own (UAR 1.0)."""
        transaction = kept.value
        nothing_left = set(self.ways(transaction)) <= {provider}
        if refused.reason == TOO_LOW and transaction.request.essential_acr and nothing_left:
            error = OAuthError("unmet_authentication_requirements", "The requested level was not reached")
            return self._stopped(kept, error)
        return self._went_wrong(kept, provider, refused)

    def _stopped(self, kept: Kept[Transaction], error: OAuthError, kind: str = "signin.refused") -> Step:
        request = kept.value.request
        _, clinic = self.parties(request)
        response = self._refusal(request, error).response
        self.events.record(self._event(kind, kept.value, clinic, {"code": error.code}))
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
        transaction, request = kept.value, kept.value.request
        person = self.signon.meet(transaction, client, clinic, identity)
        if person is None:
            error = OAuthError("login_required", "Another person signed in than the hint names")
            return self._stopped(kept, error)
        secret = new_session_secret()
        session = self.signon.new_session(secret, person, identity, transaction.language)
        grant, code = self.signon.new_grant(request, client, clinic, session)
        response = authorize.code_response(request, code, self.issuer)
        ended = transaction.ended(Stage.GRANTED, self._outcome(response))
        if not self.transactions.swap(ended.id, kept.raw, ended, TRANSACTION_LIFE):
            # Two answers raced (a double return): the first has ended the transaction, its outcome counts.
            return self._overtaken(ended.id, None)
        self.signon.keep(grant, session, session_secret)
        return Answered(
            response=response, language=transaction.language, session_secret=secret, provider=identity.provider
        )

    # ---- small words -----------------------------------------------------------------------------

    def _asked(self, transaction: Transaction, provider: str, handle: str, ip: str | None) -> Asked:
        request = transaction.request
        client, _ = self.parties(request)
        wished = levels.lowest(request.acr_values) or request.minimum
        return Asked(
            transaction=transaction.id,
            handle=handle,
            return_url=f"{self.issuer}/callback/{provider}",
            loa=min(max(request.minimum, wished), self.providers[provider].loa),
            minimum=request.minimum,
            language=transaction.language,
            service=client.called(transaction.language),
            now=self.clock.now(),
            fresh=bool({"login", "select_account"} & set(request.prompt)) or request.max_age == timedelta(),
            max_age=request.max_age,
            want_number=wants_number(client, request),
            visitor=Visitor(ip=ip),
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
        self,
        kind: str,
        transaction: Transaction,
        clinic: Clinic,
        detail: Mapping[str, str],
        *,
        provider: str | None = None,
        ref: str | None = None,
    ) -> Event:
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


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
