"""What a transaction comes to: words for the person, an end for the client, a grant.

Each move is kept unless another request of the same browser was faster; then that one's step counts.
"""

from __future__ import annotations

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
from idbroker.errors import Cancelled, Gone, OAuthError, ProviderError, Refused, Untrusted
from idbroker.events import Event, Events
from idbroker.grant import wants_number
from idbroker.identity import Identity
from idbroker.keeping import Kept, Shelf
from idbroker.oidc import authorize, levels
from idbroker.oidc.authorize import AuthorizationResponse
from idbroker.providers import App, Asked, Provider
from idbroker.request import SigninRequest
from idbroker.session import new_secret as new_session_secret
from idbroker.signon import Signon
from idbroker.steps import TOO_LOW, Already, Answered, GoTo, Show, Step, new_ref, notice_of
from idbroker.transaction import Notice, Outcome, Stage, Transaction
from idbroker.visitor import Device, Visitor

_log = structlog.get_logger("idbroker.moves")

TRANSACTION_LIFE = timedelta(minutes=30)
REPEAT_LIFE = timedelta(seconds=60)
_TRIES = 3
_UNDER_WAY, _PAUSE, _PATIENCE = "under way", 0.05, 200  # ten seconds


@dataclass(frozen=True, kw_only=True)
class Moves:
    """Moves transactions on, and knows who asks and what they may use.

    `strict` is for the lookout: what it makes of an order counts for the order as it was looked at.
    """

    issuer: str
    clock: Clock
    clients: Clients
    clinics: Clinics
    providers: Mapping[str, Provider]
    transactions: Shelf[Transaction]
    signon: Signon
    events: Events
    strict: bool = False
    pause: Callable[[float], None] = time.sleep  # noqa: TID251 - an argument, for whoever waits for another request

    # ---- who asks, and where it is ---------------------------------------------------------------

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

    # ---- one request at a time --------------------------------------------------------------------

    def claimed(self, kept: Kept[Transaction], mark: str) -> Kept[Transaction] | None:
        """Take a reply for this request alone. An eID's code is good once: a double return would lose the sign-in."""
        if mark in kept.value.answers:
            return None
        marked = kept.value.answered(mark, _UNDER_WAY)
        return self.transactions.swap(marked.id, kept.raw, marked, TRANSACTION_LIFE)

    def settled(self, name: str, mark: str) -> Step:
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

    # ---- what a provider said --------------------------------------------------------------------

    def moved(
        self,
        kept: Kept[Transaction],
        moved: Transaction,
        step: Step,
        nonce: str | None = None,
        event: Event | None = None,
    ) -> Step:
        """Keep the move and record its event, unless another request of this browser was faster: its step counts."""
        if self.put(kept, moved) is None:
            return self.overtaken(moved.id, nonce)
        if event is not None:
            self.events.record(event)
        return step

    def put(self, kept: Kept[Transaction], moved: Transaction) -> Kept[Transaction] | None:
        """Keep a move away from what was read; None if somebody was faster.

        What the lookout wrote about the order meanwhile is nobody's press, and another language is no other
        step: the person's press counts all the same, whatever the order has come to.
        """
        raw = kept.raw
        for _ in range(1 if self.strict else _TRIES):
            swapped = self.transactions.swap(moved.id, raw, moved, TRANSACTION_LIFE)
            if swapped is not None:
                return swapped
            now = self.transactions.get(moved.id)
            if now is None or not _same_step(kept.value, now.value):
                return None
            raw = now.raw
        return None

    def overtaken(self, name: str, nonce: str | None = None) -> Step:
        """Return the step that a faster request of the same browser led to."""
        now = self.transactions.get(name)
        if now is None:
            raise Gone("the transaction ended meanwhile")
        return self.led_to(now.value, nonce)

    def led_to(self, transaction: Transaction, nonce: str | None) -> Step:
        """Return where a form's post led: to an eID's page, or to where the transaction is."""
        url = transaction.answers.get(nonce or "", "")
        return GoTo(transaction=transaction, url=url) if url else self.where_now(transaction)

    def went_wrong(self, kept: Kept[Transaction], provider: str, error: ProviderError) -> Step:
        """Record it and bring the person back to the choice with words for what happened."""
        transaction = kept.value
        ref = None if isinstance(error, Cancelled) else new_ref()
        _, clinic = self.parties(transaction.request)
        detail = {"code": error.code, **({"reason": error.reason} if isinstance(error, Refused) else {})}
        _log.warning("provider_failed", provider=provider, code=error.code, detail=error.detail, ref=ref)
        event = self._event("provider.failed", transaction, clinic, detail, provider=provider, ref=ref)
        reopened = replace(transaction, provider=provider).reopened(
            Notice(key=notice_of(error, in_app=transaction.wait is not None), provider=provider, ref=ref)
        )
        return self.moved(kept, reopened, Show(transaction=reopened), event=event)

    def proved(self, kept: Kept[Transaction], identity: Identity, session_secret: str | None) -> Step:
        """Go on with what an eID proved: as far as the rules allow."""
        transaction = kept.value
        client, clinic = self.parties(transaction.request)
        decision = policy.decide(self.signon.case(transaction.request, client, clinic, identity))
        match decision:
            case policy.Allow():
                return self._granted(kept, client, clinic, identity, session_secret)
            case policy.Refuse(reason=reason):
                return self.refused(kept, identity.provider, Refused(reason))
            case policy.NeedStronger():
                return self.refused(kept, identity.provider, Refused(TOO_LOW))
            case _:
                assert_never(decision)

    def refused(self, kept: Kept[Transaction], provider: str, refused: Refused) -> Step:
        """Offer what else there is; where nothing is left, an essential acr is an error of its own (UAR 1.0)."""
        transaction = kept.value
        nothing_left = set(self.ways(transaction)) <= {provider}
        if refused.reason == TOO_LOW and transaction.request.essential_acr and nothing_left:
            error = OAuthError("unmet_authentication_requirements", "The requested level was not reached")
            return self.stopped(kept, error)
        return self.went_wrong(kept, provider, refused)

    def failed(self, kept: Kept[Transaction], provider: str, error: ProviderError) -> Step:
        """Go on after an eID did not prove the person."""
        if isinstance(error, Refused):
            return self.refused(kept, provider, error)
        return self.went_wrong(kept, provider, error)

    def stopped(self, kept: Kept[Transaction], error: OAuthError, kind: str = "signin.refused") -> Step:
        """End the transaction: the client is told."""
        request = kept.value.request
        _, clinic = self.parties(request)
        response = self.refusal(request, error).response
        event = self._event(kind, kept.value, clinic, {"code": error.code})
        ended = kept.value.ended(Stage.STOPPED, self._outcome(response))
        return self.moved(kept, ended, Answered(response=response, language=ended.language), event=event)

    def _granted(
        self,
        kept: Kept[Transaction],
        client: Client,
        clinic: Clinic,
        identity: Identity,
        session_secret: str | None,
    ) -> Step:
        transaction, request = kept.value, kept.value.request
        if self.signon.is_over(identity):
            return self.failed(kept, identity.provider, Untrusted("the eID has ended this session since"))
        person = self.signon.meet(transaction, client, clinic, identity)
        if person is None:
            error = OAuthError("login_required", "Another person signed in than the hint names")
            return self.stopped(kept, error)
        secret = new_session_secret()
        session = self.signon.new_session(secret, person, identity, transaction.language)
        grant, code = self.signon.new_grant(request, client, clinic, session)
        response = authorize.code_response(request, code, self.issuer)
        ended = transaction.ended(Stage.GRANTED, self._outcome(response))
        if self.put(kept, ended) is None:
            # Two answers raced (a double return, Cancel in another tab): the first has ended the transaction.
            self.events.record(self._event("signin.undone", transaction, clinic, {}))
            return self.overtaken(ended.id)
        self.signon.keep(grant, session, session_secret)
        return Answered(
            response=response, language=transaction.language, session_secret=secret, provider=identity.provider
        )

    # ---- small words -----------------------------------------------------------------------------

    def asked(
        self,
        transaction: Transaction,
        provider: str,
        handle: str,
        visitor: Visitor | None = None,
        device: Device = Device.OTHER,
    ) -> Asked:
        """Return what a provider is asked for this transaction."""
        request = transaction.request
        client, clinic = self.parties(request)
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
            visitor=visitor or Visitor(),
            device=device,
            requirement=clinic.requirements.get(provider, {}),
        )

    def app(self, name: str) -> App:
        """Return a provider that is an app. Refused if the configuration made it something else meanwhile."""
        provider = self.providers.get(name)
        if not isinstance(provider, App):
            raise Refused("gone", f"{name} is no app any more")
        return provider

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


def _same_step(before: Transaction, now: Transaction) -> bool:
    """Tell whether nothing but the order in the app and the language has changed."""
    spoken = replace(now, language=before.language)
    if before.wait is None or now.wait is None:
        return spoken == before
    return replace(spoken, wait=before.wait, provider_state=before.provider_state, handle=before.handle) == before


def new_handle(transaction: Transaction) -> str:
    """Return what goes to an eID and comes back: it names the transaction, and nobody can guess it."""
    return f"{transaction.id}.{secrets.token_urlsafe(16)}"
