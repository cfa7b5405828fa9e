"""What a transaction comes to: words for the person, a question, an end for the client, a grant."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import assert_never

import structlog

from idbroker import policy
from idbroker.accounts.question import Onward, Proved, Settled, Stopped
from idbroker.acting import Acting
from idbroker.asking import FRESH, Asking, form_of, pending
from idbroker.asking import Asked as Question
from idbroker.client import Client
from idbroker.clinic import Clinic
from idbroker.endings import Endings, OverAtTheEid
from idbroker.errors import Cancelled, OAuthError, ProviderError, Refused, Untrusted
from idbroker.grant import wants_number
from idbroker.identity import Identity, LoA
from idbroker.keeping import Kept
from idbroker.oidc import levels
from idbroker.patients.assisting import PROVIDER
from idbroker.providers import App, Asked, Provider
from idbroker.request import SigninRequest
from idbroker.session import Session
from idbroker.steps import TOO_LOW, GoTo, Show, Step, new_ref, notice_of
from idbroker.transaction import Notice, Proof, Transaction
from idbroker.visit import Visit
from idbroker.visitor import Device, Visitor

_log = structlog.get_logger("idbroker.moves")
_MOST_SETTLED = 8


class StaleProof(Exception):
    """A sign-on is there and would do, but for something that nobody may change by a proof so old."""


@dataclass(frozen=True, kw_only=True)
class Moves(Endings):
    """Moves transactions on, and knows who asks and what they may use."""

    providers: Mapping[str, Provider]
    asking: Asking

    # ---- who asks, and where it is ---------------------------------------------------------------

    def ways(self, transaction: Transaction) -> tuple[str, ...]:
        """Return the providers this transaction may use: taken here, and able to reach the level."""
        client, clinic = self.parties(transaction.request)
        accepted = (name for name in policy.accepted_providers(client, clinic) if name in self.providers)
        able = [name for name in accepted if self.providers[name].loa >= _least(transaction)]
        # Staff's own door is no patient's way: the last, and only at services that take such sign-ins.
        fits = [name for name in able if name != PROVIDER or client.assisted != "never"]
        return tuple(sorted(fits, key=lambda name: (name == PROVIDER, transaction.tried.count(name))))

    # ---- what a provider said --------------------------------------------------------------------

    def proved(self, kept: Kept[Transaction], identity: Identity, session_secret: str | None) -> Step:
        """Go on with what an eID proved: as far as the rules allow."""
        transaction = kept.value
        client, clinic = self.parties(transaction.request)
        decision = policy.decide(self.signon.case(transaction.request, client, clinic, identity))
        match decision:
            case policy.Allow():
                return self._known(kept, identity, session_secret)
            case policy.Refuse(reason=reason):
                return self.refused(kept, identity.provider, Refused(reason))
            case policy.NeedStronger():
                return self.refused(kept, identity.provider, Refused(TOO_LOW))
            case _:
                assert_never(decision)

    # ---- what is asked after the proof -----------------------------------------------------------

    def _known(self, kept: Kept[Transaction], identity: Identity, session_secret: str | None) -> Step:
        """Go on with somebody whom the rules let in: ask what there is to ask, or grant."""
        transaction = kept.value
        client, clinic = self.parties(transaction.request)
        asks = self.asking.concerns(client, clinic, transaction.wish)
        if not asks and not self.asking.bars(self.signon.known(identity), clinic):
            return self._grant(kept, client, clinic, identity, session_secret)
        person = self.signon.recognise(identity)
        if client.acting == "never" and not self.signon.is_the_one(transaction.request, client, person):
            return self._grant(kept, client, clinic, identity, session_secret)
        mark = self.asking.mark(person, identity)
        proof = Proof(person=person, identity=identity, question="", at=self.clock.now(), mark=mark)
        return self._asked_or_granted(kept, proof, session_secret)

    def first_question(self, transaction: Transaction, session: Session) -> tuple[Transaction, bool]:
        """Return a new transaction, and whether it asks something that a sign-on leaves open.

        Raises StaleProof when that needs a new proof first.
        """
        client, clinic = self.parties(transaction.request)
        asks = self.asking.concerns(client, clinic, transaction.wish)
        if not asks and not self.asking.bars(session.person, clinic):
            return transaction, False
        now, identity = self.clock.now(), session.identity
        mark = self.asking.mark(session.person, identity)
        proof = Proof(
            person=session.person,
            identity=identity,
            question="",
            at=now,
            session=session.key,
            mark=mark,
            before=self._before(session, client, transaction.request),
        )
        settled, asked = self._first(transaction, proof)
        if asked is not None and self.asking.needs_fresh(asked) and now - identity.proved_at > FRESH:
            raise StaleProof
        return (settled, False) if asked is None else (_asking(settled, proof, asked), True)

    def _before(self, session: Session, client: Client, request: SigninRequest) -> Acting | None:
        """Return whom it was about before at this client: the one whom the request names, else the newest."""
        named = request.acting_for or request.required_subject
        acted = [one.acting for one in session.reached if one.client_id == client.id and one.acting is not None]
        meant = (acting for acting in reversed(acted) if self.signon.subject(client, acting.ward) == named)
        newest = session.newest(client.id)
        return next(meant, newest.acting if newest is not None else None)

    def _first(self, transaction: Transaction, proof: Proof) -> tuple[Transaction, Question | None]:
        """Return what is to be asked first, and the transaction with what has its answer unasked."""
        for _ in range(_MOST_SETTLED):
            asked = self.asking.first(self.visit(transaction), _proved(transaction, proof))
            if not isinstance(asked, Settled):
                return transaction, asked
            transaction = _with_answer(transaction, asked)
        raise ValueError("a question that is never settled")

    def _still_holds(self, transaction: Transaction, proof: Proof, session_secret: str | None) -> bool:
        """Tell whether a proof that waits for an answer still counts.

        The attack: a page left open at a question. Its person has signed out since, or their eID has; another
        person signed in in the next tab; a password was chosen anew, because a thief had the old one.
        """
        client, clinic = self.parties(transaction.request)
        allowed = policy.decide(self.signon.case(transaction.request, client, clinic, proof.identity))
        if not isinstance(allowed, policy.Allow) or self.signon.is_over(proof.identity):
            return False
        if proof.mark != self.asking.mark(proof.person, proof.identity):
            return False
        ends = self.signon.own_end(client, clinic, proof.identity)
        if ends is not None and ends <= self.clock.now():
            return False  # a child's password, typed before the midnight from which it opens nothing
        if proof.session is None:
            return not self.signon.has_ended(proof.person, proof.at)
        session = self.signon.session(session_secret)
        return session is not None and session.value.key == proof.session

    def answered(
        self, kept: Kept[Transaction], reply: Mapping[str, str], mark: str, session_secret: str | None, visitor: Visitor
    ) -> Step:
        """Go on with the answer to a question."""
        transaction, proof = kept.value, kept.value.proof
        if proof is None:
            return self.where_now(transaction)
        if not self._still_holds(transaction, proof, session_secret):
            # Before anything is written: the answer would be another's, or come too late.
            reopened = transaction.reopened(Notice(key="e.failed", provider=proof.identity.provider))
            return self.moved(kept, reopened, Show(transaction=reopened))
        question = Question(question=proof.question, form=form_of(transaction))
        visit = self.visit(transaction, visitor)
        result = self.asking.resume(visit, _proved(transaction, proof), question, reply)
        match result:
            case Question():
                moved = _asking(transaction, proof, result).answered(mark, "")
                return self.moved(kept, moved, Show(transaction=moved))
            case Stopped(error=error, kind=kind):
                return self.stopped(kept, OAuthError(error, "The person declined"), kind)
            case Onward(url=url, register=register, state=state):
                away = transaction.gone_to(register, new_handle(transaction), state).answered(mark, url)
                return self.moved(kept, away, GoTo(transaction=away, url=url))
            case Settled():
                settled = _with_answer(transaction, result)
                return self._asked_or_granted(Kept(settled, kept.raw), proof, session_secret, mark)
            case _:
                assert_never(result)

    def _grant(
        self,
        kept: Kept[Transaction],
        client: Client,
        clinic: Clinic,
        identity: Identity,
        session_secret: str | None,
    ) -> Step:
        try:
            return self.granted(kept, client, clinic, identity, session_secret)
        except OverAtTheEid:
            return self.failed(kept, identity.provider, Untrusted("the eID has ended this session since"))

    def _asked_or_granted(
        self, kept: Kept[Transaction], proof: Proof, session_secret: str | None, mark: str = ""
    ) -> Step:
        transaction, asked = self._first(kept.value, proof)
        kept = Kept(transaction, kept.raw)
        if asked is not None:
            moved = _asking(transaction, proof, asked)
            moved = moved.answered(mark, "") if mark else moved
            return self.moved(kept, moved, Show(transaction=moved))
        client, clinic = self.parties(transaction.request)
        if proof.session is not None:
            return self.granted_again(kept, client, clinic, proof, session_secret)
        return self._grant(kept, client, clinic, proof.identity, session_secret)

    def asked_again(self, kept: Kept[Transaction], proof: Proof, mark: str, session_secret: str | None) -> Step:
        """Ask once more who it is about: what was said of it counts no more."""
        if not self._still_holds(kept.value, proof, session_secret):
            reopened = kept.value.reopened(Notice(key="e.failed", provider=proof.identity.provider))
            return self.moved(kept, reopened, Show(transaction=reopened))
        asked = replace(kept.value.request, acting_for="ask")
        fresh = replace(kept.value, about=None, request=asked)
        return self._asked_or_granted(Kept(fresh, kept.raw), proof, session_secret, mark)

    def visit(self, transaction: Transaction, visitor: Visitor | None = None) -> Visit:
        """Return what the rooms below are told of the browser in front of us."""
        client, clinic = self.parties(transaction.request)
        return Visit(
            transaction=transaction.id,
            clinic=clinic,
            client=client,
            language=transaction.language,
            now=self.clock.now(),
            host=self.asking.host,
            ip=visitor.ip if visitor else None,
            door=transaction.request.door,
        )

    # ---- no --------------------------------------------------------------------------------------

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

    def went_wrong(self, kept: Kept[Transaction], provider: str, error: ProviderError) -> Step:
        """Record it and bring the person back to the choice with words for what happened."""
        transaction = kept.value
        ref = None if isinstance(error, Cancelled) else new_ref()
        _, clinic = self.parties(transaction.request)
        detail = {"code": error.code, **({"reason": error.reason} if isinstance(error, Refused) else {})}
        _log.warning("provider_failed", provider=provider, code=error.code, detail=error.detail, ref=ref)
        event = self.event("provider.failed", transaction, clinic, detail, provider=provider, ref=ref)
        reopened = replace(transaction, provider=provider).reopened(
            Notice(key=notice_of(error, in_app=transaction.wait is not None), provider=provider, ref=ref)
        )
        if isinstance(error, Refused) and error.person is not None:
            reopened = replace(reopened, claimed=error.person)
        return self.moved(kept, reopened, Show(transaction=reopened), event=event)

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
        # A service that takes a password takes no weaker eID for it: those are asked for what they usually prove.
        wished = levels.lowest(request.acr_values) or LoA.SUBSTANTIAL
        return Asked(
            transaction=transaction.id,
            handle=handle,
            return_url=f"{self.issuer}/callback/{provider}",
            loa=min(max(_least(transaction), wished), self.providers[provider].loa),
            minimum=_least(transaction),
            language=transaction.language,
            service=client.called(transaction.language, request.door),
            now=self.clock.now(),
            fresh=bool({"login", "select_account"} & set(request.prompt)) or request.max_age == timedelta(),
            max_age=request.max_age,
            want_number=wants_number(client, request) or self.asking.knows_people(client, clinic, transaction.wish),
            visitor=visitor or Visitor(),
            device=device,
            requirement=clinic.requirements.get(provider, {}),
            clinic=clinic,
            client=client,
        )

    def app(self, name: str) -> App:
        """Return a provider that is an app. Refused if the configuration made it something else meanwhile."""
        provider = self.providers.get(name)
        if not isinstance(provider, App):
            raise Refused("gone", f"{name} is no app any more")
        return provider


def _least(transaction: Transaction) -> LoA:
    """Return the level that must be proved. Who registers shows first who they are, which no password does."""
    return max(transaction.request.minimum, LoA.SUBSTANTIAL if transaction.wish else LoA.LOW)


def _proved(transaction: Transaction, proof: Proof) -> Proved:
    return Proved(
        person=proof.person,
        identity=proof.identity,
        request=transaction.request,
        wish=transaction.wish,
        accepted=transaction.accepted,
        claimed=transaction.claimed,
        about=transaction.about,
        before=proof.before,
    )


def _with_answer(transaction: Transaction, settled: Settled) -> Transaction:
    """Return it with what a question has found out."""
    wish = "" if settled.wished else transaction.wish
    return replace(transaction, wish=wish, about=settled.about or transaction.about)


def _asking(transaction: Transaction, proof: Proof, asked: Question) -> Transaction:
    return transaction.asking(replace(proof, question=asked.question), asked.form.state, pending(asked.form))


def new_handle(transaction: Transaction) -> str:
    """Return what goes to an eID and comes back: it names the transaction, and nobody can guess it."""
    return f"{transaction.id}.{secrets.token_urlsafe(16)}"
