"""From a proof to a sign-on here, and from a sign-on to a grant for one client."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from idbroker import policy
from idbroker.client import Client
from idbroker.clinic import Clinic
from idbroker.clock import Clock
from idbroker.errors import StoreError
from idbroker.events import Event, Events
from idbroker.evidence import SealedEvidence, proof_of
from idbroker.farewell import LIFE, Afterwards
from idbroker.grant import Grant, make_grant
from idbroker.identity import Identity, LoA
from idbroker.keeping import Kept, Shelf
from idbroker.oidc import levels
from idbroker.oidc.secret import new_family, new_secret, read_secret
from idbroker.oidc.token import CODE_LIFE
from idbroker.person import PersonKey, Persons, pairwise_subject, person_keys
from idbroker.request import SigninRequest
from idbroker.sealing import Sealer
from idbroker.session import Reached, Rests, Session, Settings, key_of, rests_of
from idbroker.session_index import SessionIndex
from idbroker.transaction import Transaction

# Longer than a code lives: one that comes late, or again, must still find its family to end it.
GRANT_LIFE = CODE_LIFE + timedelta(minutes=5)
MOST_GRANTS = 50  # of one client in one sign-on
MOST_NAMES = 16  # of one eID's session
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

    `end` ends all that rests on one; `schedule` has every client that one has reached told of its end at a moment.
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
    test_people: bool = False
    schedule: Callable[[Session, datetime], None] = lambda _session, _at: None
    stands: Callable[[Session], bool] = lambda _session: True

    # ---- a sign-on that is there -----------------------------------------------------------------

    def session(self, secret: str | None) -> Kept[Session] | None:
        """Return the living sign-on of a cookie, or None."""
        kept = self.sessions.get(key_of(secret)) if secret else None
        if kept is None or not kept.value.alive(self.clock.now(), self.settings):
            return None
        return kept if kept.value.identity.assisted is None or self.stands(kept.value) else None

    def suffices(self, session: Session, request: SigninRequest, client: Client, clinic: Clinic) -> bool:
        """Tell whether the sign-on answers the request without a new proof."""
        case = self.case(request, client, clinic, session.identity)
        return policy.session_suffices(case, session, self.settings) and self.is_the_one(
            request, client, session.person
        )

    def again(self, kept: Kept[Session], request: SigninRequest, client: Client, clinic: Clinic) -> str | None:
        """Make a grant on the strength of a sign-on; return its code, None if the person signed out meanwhile."""
        session = kept.value
        grant, code = self.new_grant(request, client, clinic, session)
        # First, or whoever signs out just now ends all but this one: nothing would ever find it again.
        if not self._reach(kept, _reached(session, grant)):
            self.grants.take(grant.id)
            return None
        self.events.record(
            Event(
                at=self.clock.now(),
                kind="signin.session",
                client=client.id,
                clinic=clinic.id,
                provider=session.identity.provider,
                person=session.person,
                detail=_door(request),
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
            moved = _noted(newest.value.seen(self.clock.now()), reached)
            self._told_in_time(moved)
            if self.sessions.swap(moved.key, newest.raw, moved, self.settings.absolute):
                return True
            newest = self.sessions.get(moved.key)
        raise StoreError("too many changes at once")

    def _told_in_time(self, session: Session) -> None:
        """See that services will hear of an end that comes by itself; before the code is theirs, or a crash forgets."""
        if session.known_end is not None:
            self.schedule(session, session.known_end)

    def spent(self, code: str) -> bool:
        """Tell whether a code has been redeemed: a client that gets it again would lose what came of it."""
        secret = read_secret(code)
        kept = self.grants.get(secret.family) if secret else None
        return kept is not None and kept.value.code_spent

    # ---- a new proof -----------------------------------------------------------------------------

    def recognise(self, identity: Identity) -> str:
        """Return the id of the person, without a word in the trail: somebody is asked something before the grant."""
        return self.persons.meet(person_keys(identity, self.sealer), self.clock.now())

    def meet(self, transaction: Transaction, client: Client, clinic: Clinic, identity: Identity) -> str | None:
        """Return the person's id, None if the request wants another person; the event says which it was."""
        now, request = self.clock.now(), transaction.request
        proof, evidence_id = self._proof(identity, now)

        def event(person: str) -> Event:
            return Event(
                at=now,
                kind="signin.granted" if self.is_the_one(request, client, person) else "signin.other_person",
                transaction=transaction.id,
                client=client.id,
                clinic=clinic.id,
                provider=identity.provider,
                person=person,
                detail={"loa": identity.loa.word, **_door(request), **evidence_id},
            )

        person = self.records.signed_in(person_keys(identity, self.sealer), event, now, proof)
        return person if self.is_the_one(request, client, person) else None

    def _proof(
        self, identity: Identity, now: datetime
    ) -> tuple[Callable[[str], SealedEvidence] | None, Mapping[str, str]]:
        """Return what seals the evidence of a person, if any is to be kept, and what the event says of it."""
        return proof_of(identity.evidence, identity.provider, now, keep=self.keep_evidence, sealer=self.sealer)

    def new_session(self, secret: str, person: str, identity: Identity, language: str) -> Session:
        """Return a new sign-on: a new id at every proof, so that none can be fixed beforehand (ASVS 7.2.4).

        What the eID signed stays behind: it is kept elsewhere, for the auditor, or not at all.
        """
        now = self.clock.now()
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

    def new_grant(self, request: SigninRequest, client: Client, clinic: Clinic, session: Session) -> tuple[Grant, str]:
        """Return a grant, which is kept from now on, and its code."""
        code = new_secret(new_family())
        grant = make_grant(
            request,
            client,
            clinic,
            session,
            subject=self._subject(client, session.person),
            acr=levels.spell(session.identity.loa, request.acr_values, essential=request.essential_acr),
            code=(code.family, code.digest),
            code_expires_at=self.clock.now() + CODE_LIFE,
        )
        self.grants.put(grant.id, grant, GRANT_LIFE)
        return grant, code.text

    def keep(self, grant: Grant, session: Session, earlier_secret: str | None) -> None:
        """Keep a new sign-on that has reached a grant; the browser's earlier one ends.

        What the earlier one reached goes on into the new if it is the same person's; another person's
        is ended: on a shared computer nothing of who was here before may live on.
        """
        earlier = self.sessions.take(key_of(earlier_secret)) if earlier_secret else None
        same = earlier is not None and _goes_on(earlier, session)
        if earlier is not None and not same:
            self.end(earlier)
        if earlier is not None and same:
            session = replace(session, reached=earlier.reached, rests=_carried(session.rests, earlier.rests))
        whole = _noted(session, _reached(session, grant))
        self._told_in_time(whole)
        # Before it is there, and looked at again after: whenever the eID says that its session is over, it is heard.
        for forgotten in self.index.note(whole):
            too_many = self.sessions.take(forgotten)
            if too_many is not None:
                self.end(too_many)
        self.sessions.put(whole.key, whole, self.settings.absolute)
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
        """Tell whether a sign-on ended before it began: at its eID, or because its password was changed meanwhile."""
        # An eID at low says when it told us, and may speak of an earlier moment: its own session's.
        by_password = session.identity.loa is LoA.LOW and session.identity.upstream_issued is None
        changed = by_password and self.index.has_ended(session.person, session.identity.proved_at)
        return changed or any(self.index.is_over(rests) for rests in session.rests)

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

    def _subject(self, client: Client, person: str) -> str:
        return pairwise_subject(self.subject_secret(), client.subject_sector, person)

    def is_the_one(self, request: SigninRequest, client: Client, person: str) -> bool:
        """Tell whether this is the person that the request is for (Core 3.1.2.1, id_token_hint)."""
        return request.required_subject in (None, self._subject(client, person))


def _door(request: SigninRequest) -> dict[str, str]:
    """Return what the trail says of the way in that was taken."""
    return {} if request.door is None else {"door": request.door}


def _goes_on(earlier: Session, session: Session) -> bool:
    """Tell whether a new sign-on takes an earlier one's place: the same person's, who proved both themselves.

    What staff began on a tablet ends with it: it must neither outlive its half hour in a stronger one, nor be the
    way in which what the patient had open before comes into the hands of whoever holds the tablet.
    """
    assisted = earlier.identity.assisted or session.identity.assisted
    return earlier.person == session.person and assisted is None


def _carried(new: tuple[Rests, ...], earlier: tuple[Rests, ...]) -> tuple[Rests, ...]:
    """Return what a sign-on rests on when it takes another's place: of each eID one session, under all its names."""
    found = {rests.provider: rests for rests in new}
    for rests in earlier:
        known = found.get(rests.provider)
        names = tuple(dict.fromkeys((*known.names, *rests.names)))[:MOST_NAMES] if known is not None else rests.names
        found[rests.provider] = replace(known or rests, names=names)
    return tuple(found.values())


def _noted(session: Session, reached: Reached) -> Session:
    """Return the sign-on with one more grant. Every grant counts, not only a client's newest: logout ends them all.

    Beyond the most, a client's oldest is forgotten: by then its access token has expired, and its
    refresh tokens are ended by the session they rest on.
    """
    same = [r.grant for r in session.reached if r.client_id == reached.client_id]
    stale = set(same[: max(0, len(same) - MOST_GRANTS + 1)])
    return replace(session, reached=(*(r for r in session.reached if r.grant not in stale), reached))


def _reached(session: Session, grant: Grant) -> Reached:
    return Reached(client_id=grant.client_id, grant=grant.id, sid=session.sid(grant.client_id))
