"""From a proof to a sign-on here, and from a sign-on to a grant for one client."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from idbroker import policy
from idbroker.acting import Acting
from idbroker.client import Client
from idbroker.clinic import Clinic
from idbroker.clock import Clock
from idbroker.errors import StoreError
from idbroker.events import Event, Events
from idbroker.evidence import SealedEvidence, proof_of
from idbroker.farewell import LIFE, Afterwards
from idbroker.grant import Grant, Spelled, make_grant
from idbroker.guardianship.delegation import Delegations, delegation_of
from idbroker.guardianship.rules import own_end
from idbroker.identity import Assisted, Identity, LoA
from idbroker.keeping import Kept, Shelf
from idbroker.oidc import levels
from idbroker.oidc.secret import new_family, new_secret, read_secret
from idbroker.oidc.token import CODE_LIFE
from idbroker.person import PersonKey, Persons, pairwise_subject, person_keys
from idbroker.request import SigninRequest
from idbroker.sealing import Sealer
from idbroker.session import Reached, Session, Settings, carried, goes_on, key_of, noted, rests_of
from idbroker.session_index import SessionIndex
from idbroker.transaction import Transaction

# Longer than a code lives: one that comes late, or again, must still find its family to end it.
GRANT_LIFE = CODE_LIFE + timedelta(minutes=5)
_TRIES = 50


class Records(Protocol):
    """The durable side of a finished sign-in."""

    def signed_in(
        self,
        keys: Sequence[PersonKey],
        make_event: Callable[[str], Event],
        now: datetime,
        make_evidence: Callable[[str], SealedEvidence] | None = None,
    ) -> str:
        """Meet the person, record the event and keep the evidence, all or nothing; return the person's id."""
        ...


@dataclass(frozen=True, kw_only=True)
class Signon:
    """Makes and uses sign-ons.

    `end` ends all that rests on one; `schedule` has every client that one has reached told of an end that comes by
    itself. `delegations` finds what acts for a ward, when the right to it has ended.
    `stands` tells whether one that staff made still holds: they, or the patient, may have left the clinic since.
    """

    clock: Clock
    sessions: Shelf[Session]
    index: SessionIndex
    afterwards: Shelf[Afterwards]
    grants: Shelf[Grant]
    persons: Persons
    records: Records
    events: Events
    sealer: Sealer
    subject_secret: Callable[[], bytes]
    settings: Settings
    end: Callable[[Session], None]
    keep_evidence: timedelta
    delegations: Delegations
    test_people: bool = False
    schedule: Callable[[Session], None] = lambda _session: None
    stands: Callable[[Assisted, str], bool] = lambda _assisted, _person: True

    # ---- a sign-on that is there -----------------------------------------------------------------

    def session(self, secret: str | None) -> Kept[Session] | None:
        """Return the living sign-on of a cookie, or None."""
        kept = self.sessions.get(key_of(secret)) if secret else None
        if kept is None or not kept.value.alive(self.clock.now(), self.settings):
            return None
        return kept if self.holds(kept.value.identity, kept.value.person) else None

    def holds(self, identity: Identity, person: str) -> bool:
        """Tell whether what staff proved still counts, where it was staff (`stands`); any other proof does."""
        return identity.assisted is None or self.stands(identity.assisted, person)

    def suffices(self, session: Session, request: SigninRequest, client: Client, clinic: Clinic) -> bool:
        """Tell whether the sign-on answers the request without a new proof.

        Whether it is about the one whom a hint names is seen later, where a guardian may mean a ward.
        """
        case = self.case(request, client, clinic, session.identity)
        suffices = policy.session_suffices(case, session, self.settings)
        return suffices and (client.acting != "never" or self.is_the_one(request, client, session.person))

    def again(
        self,
        kept: Kept[Session],
        request: SigninRequest,
        client: Client,
        clinic: Clinic,
        acting: Acting | None = None,
    ) -> str | None:
        """Make a grant on the strength of a sign-on; return its code.

        None if the person signed out meanwhile, or it is about another person than the request is for.
        """
        session = kept.value
        if not self.is_the_one(request, client, session.person if acting is None else acting.ward):
            return None
        grant, code = self.new_grant(request, client, clinic, session, acting)
        # First, or whoever signs out just now ends all but this one: nothing would ever find it again.
        if not self._reach(kept, _reached(grant, acting)):
            self.take_back(grant)
            return None
        self.events.record(
            Event(
                at=self.clock.now(),
                kind="signin.session",
                client=client.id,
                clinic=clinic.id,
                provider=session.identity.provider,
                person=session.person,
                detail={"loa": session.identity.loa.word, **_door(request), **_ward(acting)},
            )
        )
        return code

    def _reach(self, kept: Kept[Session], reached: Reached) -> bool:
        """Note the client on the session, and tell whether it is there.

        Of two tabs at once neither is lost, or logout would miss it.
        """
        newest: Kept[Session] | None = kept
        for _ in range(_TRIES):
            if newest is None:
                return False  # signed out meanwhile
            moved = noted(newest.value.seen(self.clock.now()), reached)
            self._told_in_time(moved)
            if self.sessions.swap(moved.key, newest.raw, moved, self.settings.absolute):
                self._end_forgotten(newest.value, moved)
                return True
            newest = self.sessions.get(moved.key)
        raise StoreError("too many changes at once")

    def _end_forgotten(self, before: Session, after: Session) -> None:
        """End the grants that a sign-on remembers no more, for they are too many: no logout would end them later."""
        for grant in {reached.grant for reached in before.reached} - {reached.grant for reached in after.reached}:
            self.grants.take(grant)
            self.delegations.done(grant)

    def _told_in_time(self, session: Session) -> None:
        """See that services will hear of an end that comes by itself; before the code is theirs, or a crash forgets."""
        if any(reached.until is not None for reached in session.reached):
            self.schedule(session)

    def spent(self, code: str) -> bool:
        """Tell whether a code has been redeemed: a client that gets it again would lose what came of it."""
        secret = read_secret(code)
        kept = self.grants.get(secret.family) if secret else None
        return kept is not None and kept.value.code_spent

    # ---- a new proof -----------------------------------------------------------------------------

    def known(self, identity: Identity) -> str | None:
        """Return the id of the person, if they are known here; nothing is written."""
        return self.persons.known(person_keys(identity, self.sealer))

    def recognise(self, identity: Identity) -> str:
        """Return the id of the person, without a word in the trail: somebody is asked something before the grant."""
        return self.persons.meet(person_keys(identity, self.sealer), self.clock.now())

    def meet(
        self,
        transaction: Transaction,
        client: Client,
        clinic: Clinic,
        identity: Identity,
        acting: Acting | None = None,
    ) -> str | None:
        """Return the person's id, None if the request wants another person; the event says which it was."""
        now, request = self.clock.now(), transaction.request

        def meant(person: str) -> bool:
            return self.is_the_one(request, client, person if acting is None else acting.ward)

        proof, evidence_id = self._proof(identity, now)

        def event(person: str) -> Event:
            return Event(
                at=now,
                kind="signin.granted" if meant(person) else "signin.other_person",
                transaction=transaction.id,
                client=client.id,
                clinic=clinic.id,
                provider=identity.provider,
                person=person,
                detail={"loa": identity.loa.word, **_door(request), **_ward(acting), **evidence_id},
            )

        person = self.records.signed_in(person_keys(identity, self.sealer), event, now, proof)
        return person if meant(person) else None

    def _proof(
        self, identity: Identity, now: datetime
    ) -> tuple[Callable[[str], SealedEvidence] | None, Mapping[str, str]]:
        """Return what seals the evidence of a person, if any is to be kept, and what the event says of it."""
        return proof_of(identity.evidence, identity.provider, now, keep=self.keep_evidence, sealer=self.sealer)

    def new_session(
        self, secret: str, person: str, identity: Identity, language: str, ends: datetime | None = None
    ) -> Session:
        """Return a new sign-on: a new id at every proof, so that none can be fixed beforehand (ASVS 7.2.4).

        What the eID signed stays behind: it is kept elsewhere, for the auditor, or not at all. `ends` is when it is
        over for a reason of ours, as an eID's own limit is.
        """
        now = self.clock.now()
        limits = [end for end in (identity.upstream_until, ends) if end is not None]
        identity = replace(identity, upstream_until=min(limits, default=None))
        return Session(
            key=key_of(secret),
            person=person,
            identity=replace(identity, upstream_names=(), upstream_logout=None, app_ip=None, evidence={}),
            language=language,
            started_at=now,
            seen_at=now,
            rests=rests_of(identity),
        )

    def is_over(self, identity: Identity) -> bool:
        """Tell whether the eID has ended the session that a proof came from: its answer came after its logout."""
        return any(self.index.is_over(rests) for rests in rests_of(identity))

    def has_ended(self, person: str, since: datetime) -> bool:
        """Tell whether all of a person's sign-ons were ended after a moment: they signed out, or had to."""
        return self.index.has_ended(person, since)

    def take_back(self, grant: Grant) -> None:
        """Forget a grant whose sign-on could not be kept."""
        self.grants.take(grant.id)
        if grant.ward is not None:
            self.delegations.done(grant.id)

    def new_grant(
        self,
        request: SigninRequest,
        client: Client,
        clinic: Clinic,
        session: Session,
        acting: Acting | None = None,
    ) -> tuple[Grant, str]:
        """Return a grant, which is kept from now on, and its code."""
        code = new_secret(new_family())
        grant = make_grant(
            request,
            client,
            clinic,
            session,
            spelled=Spelled(
                subject=self.subject(client, session.person if acting is None else acting.ward),
                actor=self.subject(client, session.person),
                acting=acting,
                acr=levels.spell(session.identity.loa, request.acr_values, essential=request.essential_acr),
                until=self._until(client, clinic, session, acting),
            ),
            code=(code.family, code.digest),
            code_expires_at=self.clock.now() + CODE_LIFE,
        )
        self.grants.put(grant.id, grant, GRANT_LIFE)
        if acting is not None:
            # After the grant, and before it is anybody's: who ends the right from now on finds both, and what was
            # ended in between has a row that the watch looks at. The other way round a grant could outlive its row.
            self.delegations.add(delegation_of(grant, acting, self.clock.now()))
            self._record_acting(grant, acting)
        return grant, code.text

    def own_end(self, client: Client, clinic: Clinic, identity: Identity) -> datetime | None:
        """Return when a child's own sign-in by password is over here, if it is one: the whole of it, My page too."""
        # As of the proof: a page left open across midnight must not make a grown person's sign-on of a child's.
        return own_end(identity, clinic.limits.but(client.ages), identity.proved_at, clinic.zone)

    def _until(self, client: Client, clinic: Clinic, session: Session, acting: Acting | None) -> datetime | None:
        """Return when all that a client is given ends, if that is known: no token lives past it."""
        identity = session.identity
        if acting is not None:
            ends = (acting.until, session.started_at + self.settings.absolute, identity.upstream_until)
            return min(end for end in ends if end is not None)
        if identity.assisted is not None:
            return identity.upstream_until
        return self.own_end(client, clinic, identity)

    def _record_acting(self, grant: Grant, acting: Acting) -> None:
        """Write into the ward's own trail who acts for them, where, and on whose word."""
        self.events.record(
            Event(
                at=self.clock.now(),
                kind="acting.granted",
                client=grant.client_id,
                clinic=grant.clinic,
                person=acting.ward,
                detail={"guardian": grant.person, "relation": acting.relation, "register": acting.register},
            )
        )

    def keep(self, grant: Grant, session: Session, earlier_secret: str | None, acting: Acting | None = None) -> None:
        """Keep a new sign-on that has reached a grant; the browser's earlier one ends.

        What the earlier one reached goes on into the new if it is the same person's; another person's
        is ended: on a shared computer nothing of who was here before may live on.
        """
        earlier = self.sessions.take(key_of(earlier_secret)) if earlier_secret else None
        same = earlier is not None and goes_on(earlier, session)
        if earlier is not None and not same:
            self.end(earlier)
        if earlier is not None and same:
            session = replace(session, reached=earlier.reached, rests=carried(session.rests, earlier.rests))
        whole = noted(session, _reached(grant, acting))
        self._told_in_time(whole)
        # Before it is there, and looked at again after: whenever the eID says that its session is over, it is heard.
        for forgotten in self.index.note(whole):
            too_many = self.sessions.take(forgotten)
            if too_many is not None:
                self.end(too_many)
        self.sessions.put(whole.key, whole, self.settings.absolute)
        self._end_forgotten(session, whole)
        if earlier is not None and same:
            self.afterwards.put(earlier.key, Afterwards(successor=whole.key), LIFE)
        if self._is_ended(whole) and self.sessions.take(whole.key) is not None:
            self.end(whole)

    def admit(self, secret: str, person: str, identity: Identity, language: str, earlier_secret: str | None) -> Session:
        """Keep a sign-on that no service has asked for yet: staff have begun it (`identity.assisted`).

        Whatever this browser was signed on to before ends, whosever it was: on a screen that is handed from patient
        to patient nothing of the one before may live on.
        """
        earlier = self.sessions.take(key_of(earlier_secret)) if earlier_secret else None
        if earlier is not None:
            self.end(earlier)
        session = self.new_session(secret, person, identity, language)
        for forgotten in self.index.note(session):
            too_many = self.sessions.take(forgotten)
            if too_many is not None:
                self.end(too_many)
        self.sessions.put(session.key, session, self.settings.absolute)
        if self._is_ended(session) and self.sessions.take(session.key) is not None:
            self.end(session)
        return session

    def _is_ended(self, session: Session) -> bool:
        """Tell whether a sign-on ended before it began: at its eID, its password changed, its staff dismissed."""
        # An eID at low says when it told us, and may speak of an earlier moment: its own session's.
        by_password = session.identity.loa is LoA.LOW and session.identity.upstream_issued is None
        changed = by_password and self.index.has_ended(session.person, session.identity.proved_at)
        if changed or any(self.index.is_over(rests) for rests in session.rests):
            return True
        return not self.holds(session.identity, session.person)

    # ---- small words -----------------------------------------------------------------------------

    def case(self, request: SigninRequest, client: Client, clinic: Clinic, identity: Identity) -> policy.Case:
        """Return all that a rule may see."""
        return policy.Case(
            request=request,
            client=client,
            clinic=clinic,
            identity=identity,
            now=self.clock.now(),
            test_people=self.test_people,
        )

    def subject(self, client: Client, person: str) -> str:
        """Return the name that a client knows a person by."""
        return pairwise_subject(self.subject_secret(), client.subject_sector, person)

    def is_the_one(self, request: SigninRequest, client: Client, person: str) -> bool:
        """Tell whether this is the person that the request is for (Core 3.1.2.1, id_token_hint)."""
        return request.required_subject in (None, self.subject(client, person))


def _door(request: SigninRequest) -> dict[str, str]:
    """Return what the trail says of the way in that was taken."""
    return {} if request.door is None else {"door": request.door}


def _reached(grant: Grant, acting: Acting | None) -> Reached:
    return Reached(client_id=grant.client_id, grant=grant.id, sid=grant.sid or "", acting=acting, until=grant.until)


def _ward(acting: Acting | None) -> dict[str, str]:
    """Return what the guardian's trail says of whom they act for."""
    return {} if acting is None else {"ward": acting.ward}
