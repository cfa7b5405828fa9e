"""The journey of one sign-in: the only module that knows the order of the steps."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from idbroker.client import Client
from idbroker.clinic import Clinic
from idbroker.endings import acts_for
from idbroker.errors import Gone, NotFound, OAuthError, ProviderError, StoreError, WrongBrowser
from idbroker.identity import Identity
from idbroker.keeping import Kept, Shelf
from idbroker.moves import Moves, StaleProof, new_handle
from idbroker.oidc import authorize
from idbroker.providers import App, Challenge, Form, Post, Provider, Redirect, Wait
from idbroker.request import SigninRequest
from idbroker.session import Session
from idbroker.session import new_secret as new_session_secret
from idbroker.signon import Signon
from idbroker.steps import Answered, GoTo, Opened, Show, Step
from idbroker.transaction import Notice, PendingForm, Stage, Transaction
from idbroker.turns import KEPT, ends_at, with_typed
from idbroker.visitor import Device, Kind, Visitor
from idbroker.waits import Waits

_WISHES = ("", "self", "child")


@dataclass(frozen=True, kw_only=True)
class Broker:
    """Moves transactions from step to step. Every step reads the stored stage and decides what is next."""

    moves: Moves
    waits: Waits

    @property
    def signon(self) -> Signon:
        """Return who makes and uses sign-ons."""
        return self.moves.signon

    @property
    def providers(self) -> Mapping[str, Provider]:
        """Return the eIDs there are."""
        return self.moves.providers

    @property
    def transactions(self) -> Shelf[Transaction]:
        """Return where transactions lie."""
        return self.moves.transactions

    def ways(self, transaction: Transaction) -> tuple[str, ...]:
        """Return the providers this transaction may use."""
        return self.moves.ways(transaction)

    def parties(self, request: SigninRequest) -> tuple[Client, Clinic]:
        """Return the client that asks and the clinic under whose rules. Gone if either was removed since."""
        return self.moves.parties(request)

    def where_now(self, transaction: Transaction) -> Step:
        """Return the step a transaction is at: what a repeated, late or reordered post leads to."""
        return self.moves.where_now(transaction)

    # ---- in: a request ---------------------------------------------------------------------------

    def accept(
        self, request: SigninRequest, session_secret: str | None, language: str, accepted: str | None = None
    ) -> Opened | Answered:
        """Answer from the sign-on here if it suffices, else open a transaction.

        `accepted` is the version of the clinic's terms that this browser has accepted before. Raises
        authorize.Refused for prompt=none that cannot be answered without a page (Core 3.1.2.6).
        """
        secret = new_session_secret()
        transaction = Transaction(
            id=secrets.token_urlsafe(16),
            binding=_hash(secret),
            request=request,
            language=language,
            opened_at=self.moves.clock.now(),
        )
        session = self.signon.session(session_secret)
        answered = self._answer_from(session, transaction, secret) if session else None
        if answered is not None:
            return answered
        if "none" in request.prompt:
            raise self.moves.refusal(request, OAuthError("login_required", "The person has to sign in"))
        transaction = self._with_terms(transaction, accepted)
        if request.essential_acr and not self.ways(transaction):
            error = OAuthError("unmet_authentication_requirements", "No way to sign in here reaches the level")
            raise self.moves.refusal(request, error)
        return Opened(kept=self.transactions.put(transaction.id, transaction, KEPT), secret=secret)

    def _answer_from(self, kept: Kept[Session], transaction: Transaction, secret: str) -> Opened | Answered | None:
        request = transaction.request
        client, clinic = self.parties(request)
        if not self.signon.suffices(kept.value, request, client, clinic):
            return None
        if kept.value.identity.number is None and self.moves.asking.knows_people(client, clinic, transaction.wish):
            return None  # the sign-on was made where nobody asked for it
        try:
            begun, asks = self.moves.first_question(transaction, kept.value)
        except StaleProof:
            return None
        if asks:
            if "none" in request.prompt:
                raise self.moves.refusal(request, OAuthError("interaction_required", "The person has to be asked"))
            begun = replace(begun, known_at=begun.opened_at)
            return Opened(kept=self.transactions.put(begun.id, begun, KEPT), secret=secret)
        code = self.signon.again(kept, request, client, clinic, acts_for(begun))
        if code is None:
            return None
        response = authorize.code_response(request, code, self.moves.issuer)
        return Answered(response=response, language=transaction.language)

    def _with_terms(self, transaction: Transaction, accepted: str | None) -> Transaction:
        """Return it with the clinic's terms to be accepted first, where nothing may begin without.

        What this browser has accepted before spares the page, and nothing more: who it was is not known, and a
        cookie says what its browser likes. Whoever proves who they are is asked unless they are known to have.
        """
        _, clinic = self.parties(transaction.request)
        terms = clinic.terms
        if terms is None or not terms.before or accepted == terms.version:
            return transaction
        values = {"clinic": clinic.name, "version": terms.version, "text": terms.text(transaction.language)}
        return replace(transaction, form=PendingForm(page="terms", values=values))

    # ---- the transaction -------------------------------------------------------------------------

    def load(self, name: str, secret: str | None) -> Kept[Transaction]:
        """Return a transaction, only to the browser that began it.

        Raises NotFound, Gone or WrongBrowser: a link to somebody else's transaction, followed in
        another browser, would otherwise sign that person in to the wrong place (ASVS 7.2.4; E1).
        """
        kept = self._begun_by(name, secret)
        if self._is_late(kept.value):
            raise Gone("its time is up")
        return kept

    def _begun_by(self, name: str, secret: str | None) -> Kept[Transaction]:
        kept = self.transactions.get(name) if len(name) == 22 else None
        if kept is None:
            raise Gone("no such transaction, or its time is up")
        if not secret or not hmac.compare_digest(_hash(secret), kept.value.binding):
            raise WrongBrowser("the cookie is another browser's or is missing", client_id=kept.value.request.client_id)
        return kept

    def _is_late(self, transaction: Transaction) -> bool:
        return transaction.outcome is None and self.moves.clock.now() >= ends_at(transaction)

    def late(self, name: str, secret: str | None) -> Kept[Transaction]:
        """Return a transaction whose time was up a moment ago, for a form that comes late. Raises what `load` does."""
        kept = self._begun_by(name, secret)
        if not self._is_late(kept.value):
            raise Gone("it has ended meanwhile")
        return kept

    def came_late(self, kept: Kept[Transaction], page: str, typed: Mapping[str, str]) -> Transaction:
        """Return it open again after a form that came late: nothing of that was done, what was typed is kept."""
        self.waits.drop(kept.value)
        return self.moves.came_late(kept, page, typed)

    def say_in(self, kept: Kept[Transaction], language: str, typed: Mapping[str, str] | None = None) -> Transaction:
        """Return the transaction in another language of its clinic, with what was typed on its form so far."""

        def spoken(newest: Transaction) -> Transaction:
            return with_typed(replace(newest, language=language), kept.value, typed or {})

        return self.moves.amended(kept, spoken)

    def choose(
        self, kept: Kept[Transaction], provider: str, nonce: str, visitor: Visitor, device: Device | None = None
    ) -> Step:
        """Begin with a provider. The same nonce again leads to the same place (double click).

        `device` is where an app is; unless the person has said so, a telephone is taken to have it.
        """
        transaction = kept.value
        if transaction.stage in (Stage.GRANTED, Stage.STOPPED) or _at_terms(transaction):
            return self.where_now(transaction)
        if nonce in transaction.answers:
            return self.moves.led_to(transaction, nonce)
        if provider not in self.ways(transaction):
            raise NotFound("no such way to sign in for this service")
        handle = new_handle(transaction)
        device = device or (Device.THIS if visitor.kind is Kind.PHONE else Device.OTHER)
        asked = self.moves.asked(transaction, provider, handle, visitor, device)
        try:
            if isinstance(self.providers[provider], App):
                self.waits.pace_orders(visitor)
            challenge = self.providers[provider].begin(asked)
        except ProviderError as error:
            self.waits.drop(transaction)
            return self.moves.failed(kept, provider, error)
        if isinstance(challenge, Wait):
            return self.waits.began(kept, asked, provider, challenge, nonce)
        return self._challenged(kept, provider, handle, challenge, nonce)

    def again(self, kept: Kept[Transaction], device: Device, nonce: str, visitor: Visitor) -> Step:
        """Begin anew with the app that is waited for: a new order, on this device or another."""
        if kept.value.wait is None or kept.value.provider is None:
            return self.where_now(kept.value)
        return self.choose(kept, kept.value.provider, nonce, visitor, device)

    def resume(
        self,
        kept: Kept[Transaction],
        provider: str,
        reply: Mapping[str, str],
        handle: str | None,
        session_secret: str | None = None,
        *,
        nonce: str | None = None,
        visitor: Visitor | None = None,
    ) -> Step:
        """Go on with what came back from a provider, or from a form (then with its nonce) that it asked for.

        `session_secret` is the sign-on the browser has so far: a new proof replaces it.
        """
        transaction = kept.value
        if transaction.stage is not Stage.PROVING or transaction.handle != handle or transaction.provider != provider:
            # Back button, a second tab, or an old answer sent again: nothing is believed, nothing lost.
            return self.where_now(transaction)
        if transaction.wait is not None:
            return self.waits.returned(kept, session_secret)
        mark = f"reply:{nonce or handle}"
        claimed = self.moves.claimed(kept, mark)
        if claimed is None:
            return self.moves.settled(transaction.id, mark)
        try:
            return self._taken(claimed, provider, reply, mark, session_secret, visitor)
        except Exception:
            # What the eID sent is spent: a reload leads to the choice, instead of waiting for nobody.
            with contextlib.suppress(StoreError):
                reopened = claimed.value.reopened(Notice(key="e.failed", provider=provider))
                self.transactions.swap(reopened.id, claimed.raw, reopened, KEPT)
            raise

    def _taken(
        self,
        kept: Kept[Transaction],
        provider: str,
        reply: Mapping[str, str],
        mark: str,
        session_secret: str | None,
        visitor: Visitor | None,
    ) -> Step:
        handle = kept.value.handle or ""
        asked = self.moves.asked(kept.value, provider, handle, visitor)
        try:
            result = self.providers[provider].resume(asked, kept.value.provider_state, reply)
        except ProviderError as error:
            return self.moves.failed(kept, provider, error)
        if isinstance(result, Identity):
            return self.moves.proved(kept, result, session_secret)
        return self._challenged(kept, provider, handle, result, None, mark)

    def answer(
        self,
        kept: Kept[Transaction],
        reply: Mapping[str, str],
        nonce: str,
        visitor: Visitor,
        session_secret: str | None = None,
    ) -> Step:
        """Go on with the answer to what is asked after the proof."""
        if kept.value.stage is not Stage.PROVED:
            return self.where_now(kept.value)
        mark = f"reply:{nonce}"
        claimed = self.moves.claimed(kept, mark)
        if claimed is None:
            return self.moves.settled(kept.value.id, mark)
        try:
            return self.moves.answered(claimed, reply, mark, session_secret, visitor)
        except Exception:
            # Nothing of it counts: the same page is there for another press.
            with contextlib.suppress(StoreError):
                self.transactions.swap(kept.value.id, claimed.raw, kept.value, KEPT)
            raise

    def returned(
        self,
        kept: Kept[Transaction],
        register: str,
        reply: Mapping[str, str],
        visitor: Visitor,
        session_secret: str | None,
    ) -> Step:
        """Go on with what was chosen at a register's own page; what comes late, or twice, leads to where it is now."""
        if kept.value.stage is not Stage.PROVED or kept.value.away != register or kept.value.handle is None:
            return self.where_now(kept.value)
        return self.answer(kept, {**reply, "do": "returned"}, kept.value.handle, visitor, session_secret)

    def about_another(self, kept: Kept[Transaction], nonce: str, session_secret: str | None) -> Step:
        """Ask once more who it is about, at the person's wish, without a new sign-in."""
        transaction, proof = kept.value, kept.value.proof
        if transaction.stage is not Stage.PROVED or proof is None or transaction.about is None:
            return self.where_now(transaction)
        return self.moves.asked_again(kept, proof, f"reply:{nonce}", session_secret)

    def agree(self, kept: Kept[Transaction], *, yes: bool) -> Step:
        """Go on with the clinic's terms accepted, or stop."""
        transaction = kept.value
        if not _at_terms(transaction) or transaction.form is None:
            return self.where_now(transaction)
        if not yes:
            return self.moves.stopped(kept, OAuthError("access_denied", "The terms were declined"), "terms.declined")
        moved = transaction.agreed(transaction.form.values["version"])
        return self.moves.moved(kept, moved, Show(transaction=moved))

    def came_for(self, kept: Kept[Transaction], wish: str) -> Step:
        """Go on to register, oneself (`self`) or a child (`child`), or to sign in after all ("")."""
        _, clinic = self.parties(kept.value.request)
        if kept.value.stage is not Stage.OPEN or _at_terms(kept.value) or wish not in _WISHES:
            return self.where_now(kept.value)
        if wish and not clinic.takes_registrations:
            raise NotFound("nobody registers here")
        moved = kept.value.came_for(wish)
        return self.moves.moved(kept, moved, Show(transaction=moved))

    def back(self, kept: Kept[Transaction]) -> Step:
        """Return to the choice at the person's wish; an order in an app is cancelled."""
        if kept.value.stage not in (Stage.PROVING, Stage.PROVED):
            return self.where_now(kept.value)
        self.waits.drop(kept.value)
        reopened = kept.value.reopened(None)
        return self.moves.moved(kept, reopened, Show(transaction=reopened))

    def cancel(self, kept: Kept[Transaction]) -> Step:
        """Stop at the person's wish: the client is told access_denied (RFC 6749, 4.1.2.1)."""
        if kept.value.stage in (Stage.GRANTED, Stage.STOPPED):
            return self.where_now(kept.value)
        self.waits.drop(kept.value)
        return self.moves.stopped(kept, OAuthError("access_denied", "The person cancelled"), "signin.cancelled")

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
        self.waits.drop(kept.value)
        match challenge:
            case Redirect(url=url, state=state):
                moved = kept.value.proving(provider, handle, state)
                moved = moved.answered(nonce, url) if nonce else moved
                return self.moves.moved(kept, moved, GoTo(transaction=moved, url=url), nonce)
            case Form(page=page, state=state, values=values, errors=errors):
                form = PendingForm(page=page, values=values, errors=errors)
                moved = kept.value.proving(provider, handle, state, form).answered(mark, "")
                return self.moves.moved(kept, moved, Show(transaction=moved), nonce)
            case Post(action=action, fields=fields, state=state):
                form = PendingForm(page="go", action=action, values=fields)
                moved = kept.value.proving(provider, handle, state, form).answered(mark, "")
                return self.moves.moved(kept, moved, Show(transaction=moved), nonce)
            case Wait():
                raise ProviderError("an app is waited for from the beginning or not at all")
            case _:
                assert_never(challenge)


def _at_terms(transaction: Transaction) -> bool:
    """Tell whether terms are to be accepted before anything begins."""
    return transaction.stage is Stage.OPEN and transaction.form is not None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
