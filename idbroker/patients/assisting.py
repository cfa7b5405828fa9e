"""Staff help a patient to sign in: by a code that pairs the clinic's tablet, or with their own credentials on it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from idbroker.accounts.account import Enrolment, Standing
from idbroker.accounts.letters import Letters
from idbroker.accounts.own import SignOns
from idbroker.accounts.records import Records
from idbroker.accounts.vouching import told_of_help
from idbroker.client import Client, Clients
from idbroker.clinic import Clinics
from idbroker.errors import NotFound, StoreError
from idbroker.events import Events
from idbroker.identity import Assisted, Identity, LoA
from idbroker.keeping import Kept, Shelf
from idbroker.numbers import NationalNumber
from idbroker.patients import pairing_codes
from idbroker.patients.helped import Helped
from idbroker.patients.pairing import Begun, Given, NoSuchPatient, Pairing
from idbroker.patients.pairing_codes import PairingCodes
from idbroker.patients.patient import CHECKED, Conflict, NotDone, Patient
from idbroker.patients.trail import record
from idbroker.session import Session
from idbroker.staff.member import Actor
from idbroker.staff.records import Members

CODE_LIFE = pairing_codes.LIFE
CODE_TRIES = pairing_codes.TRIES
LIFE = timedelta(minutes=30)
IDLE = timedelta(minutes=2)  # of the page that asks whether it is them; a service's pages are its own to watch
PROVIDER = "assisted"
AMR = ("staff-assisted",)
REASONS = ("no_eid", "forgotten", "no_device", "unwell", "other")
KIND = "patient.assisted"
_KEPT = timedelta(hours=8)  # a pairing, for the colleague's screen
_TRIES = 20


@dataclass(frozen=True, kw_only=True)
class Assisting:
    """Begins and ends it. Every method may raise StoreError; NotFound for what is not there.

    A sign-in that staff made is of level low, for one service, for thirty minutes; the patient is told of each.
    `sign_ons` ends what is under way; without it (in an eID's hands) nothing is ended, only begun.
    """

    records: Records
    clinics: Clinics
    clients: Clients
    members: Members
    letters: Letters
    events: Events
    issuer: str
    pairings: Shelf[Pairing]
    codes: PairingCodes
    helped: Helped
    sign_ons: SignOns | None = None

    # ---- by code ---------------------------------------------------------------------------------

    def may_be_told(self, patient: Patient) -> bool:
        """Tell whether the patient has an address to be told at, as far as this clinic may know.

        Of somebody who has never come there themselves it is the clinic's own record alone that says so.
        """
        clinic, account = self.clinics.find(patient.enrolment.clinic), patient.account if patient.came else None
        now = self.letters.clock.now()
        return clinic is not None and bool(told_of_help(patient.enrolment, account, clinic, now))

    def services(self, clinic: str) -> tuple[Client, ...]:
        """Return the services of a clinic that take such sign-ins."""
        return tuple(client for client in self.clients.all() if _takes(client, clinic))

    def begin(
        self,
        actor: Actor,
        handle: str,
        client_id: str,
        checked: str,
        reason: str,
        now: datetime,
        *,
        ip: str | None = None,
    ) -> Begun | NotDone:
        """Make a pairing code for a patient of this clinic, at a service that takes such sign-ins.

        `ip` is where the colleague is. ValueError for a way to check, or a reason, that there is none of.
        """
        if checked not in CHECKED or reason not in REASONS:
            raise ValueError("no such way to check, or no such reason")
        patient = self._patient(actor.clinic, handle)
        objection = self._objection(patient, client_id)
        if objection is not None:
            return NotDone(why=objection, patient=patient)
        pairing = Pairing(
            id=secrets.token_urlsafe(16),
            actor=actor,
            person=patient.enrolment.person,
            handle=handle,
            client=client_id,
            checked=checked,
            reason=reason,
            begun_at=now,
            until=now + CODE_LIFE,
        )
        self.helped.watch(pairing.id, pairing.until)
        self._record(pairing, "begun", now, checked=checked, reason=reason)
        self.pairings.put(pairing.id, pairing, _KEPT)
        return Begun(pairing=pairing, code=self.codes.make(pairing.id, actor.id, ip))

    def claim(self, typed: str, tablet: str, now: datetime, *, ip: str | None = None, to: str = "") -> Given | None:
        """Take a code's pairing for a tablet (its cookie's secret): once. None for a wrong or spent code, or too many.

        Codes are counted before they are compared, by tablet, by address and by code (`pairing_codes`). From then on
        the tablet is known by the secret `to`: one that we have just made for it, and nobody can have put there.
        """
        found = self.codes.take(typed, _hashed(tablet), ip, now)
        if found is None:
            return None
        given = self._moved(found, "open", now, lambda one: _given(one, to or tablet, ip, now))
        return None if given is None else self._asked(given)

    def held(self, pairing: str, tablet: str, now: datetime) -> Given | None:
        """Return whom a tablet asks whether it is them; None when it asks nobody (any more)."""
        kept = self._held(pairing, tablet)
        return self._asked(kept.value) if kept is not None and kept.value.at(now).state == "given" else None

    def accept(self, pairing: str, tablet: str, now: datetime, session: str = "") -> Identity:
        """Return who signs in there, now that the patient has said that it is them; once.

        `session` is the key of the sign-on to come: with the same key again it is the same press, made twice.
        NotFound, too, for a colleague who may no longer help, and a patient who may no longer be helped.
        """
        for _ in range(_TRIES):
            kept = self._held(pairing, tablet)
            one = None if kept is None else kept.value.at(now)
            if kept is None or one is None or one.state not in ("given", "running"):
                raise NotFound("nobody is asked here")
            patient, actor = self._patient(one.actor.clinic, one.handle), self._still(one.actor)
            if actor is None or self._objection(patient, one.client) is not None:
                raise NotFound("no help any more")
            if one.state == "running":
                return self._again(one, patient, session)
            running = replace(one, actor=actor, state="running", session=session, until=now + LIFE)
            self.helped.note(actor.id, one.person, now, running.until)
            self.helped.watch(one.id, running.until)
            # Told before it is: whoever breaks in between has told of what did not come to be, never kept one quiet.
            self._tell(patient, one.client, now, one.id)
            if self.pairings.swap(one.id, kept.raw, running, _KEPT) is not None:
                self._record(running, "accepted", now)
                return self._identity(patient, running.client, actor, running.until, pairing=running.id)
        raise StoreError("too many changes at once")

    def refuse(self, pairing: str, tablet: str, now: datetime) -> None:
        """End it: it is somebody else."""
        if self._held(pairing, tablet) is None:
            raise NotFound("nobody is asked here")
        self._closed(pairing, ("given",), now, "refused")

    def runs(self, pairing: str, now: datetime) -> bool:
        """Tell whether it runs: looked at once more when the sign-on is there, for staff may just have ended it."""
        kept = self.pairings.get(pairing)
        return kept is not None and kept.value.at(now).state == "running"

    def ended(self, session: Session, now: datetime) -> None:
        """Note that a sign-on has ended that staff began."""
        assisted = session.identity.assisted
        if assisted is not None and assisted.pairing:
            self._closed(assisted.pairing, ("running",), now)

    def lapse(self, now: datetime) -> None:
        """Note of what has come to its end by itself that it has: every worker may, and it is noted once."""
        for one in self.helped.lapsed(self.pairings, now):
            self._closed(one.id, (one.state,), now)

    # ---- the colleague's screen ------------------------------------------------------------------

    def look(self, actor: Actor, pairing: str, now: datetime) -> Pairing:
        """Return how it is, for the staff's screen."""
        kept = self.pairings.get(pairing)
        if kept is None or kept.value.actor.clinic != actor.clinic:
            raise NotFound("no such pairing at this clinic")
        if kept.value.at(now) == kept.value:
            return kept.value
        self._closed(pairing, (kept.value.state,), now)
        return kept.value.at(now)

    def end(self, actor: Actor, pairing: str, now: datetime) -> None:
        """End one from the staff's screen, however far it is."""
        one = self.look(actor, pairing, now)
        self._closed(pairing, ("open", "given", "running"), now)
        if self.sign_ons is not None:
            newest = self.pairings.get(pairing)
            self.sign_ons.end_one(one.person, newest.value.session if newest is not None else one.session)

    def leave(self, staff: str, clinic: str | None) -> None:
        """End every sign-on that a colleague has begun, at one clinic or at all: they work there no more.

        The attack: whoever is dismissed has signed a patient in on a device of their own, and goes on as the patient.
        """
        if self.sign_ons is None:
            return
        for person in self.helped.of(staff):
            for session in self.sign_ons.of_person(person):
                assisted = session.identity.assisted
                if assisted is not None and assisted.staff == staff and clinic in (None, assisted.clinic):
                    self.sign_ons.end_one(person, session.key)

    # ---- on the patient's screen -----------------------------------------------------------------

    def who(
        self, actor: Actor, number: NationalNumber, client_id: str, now: datetime
    ) -> Patient | NoSuchPatient | NotDone:
        """Return whom staff mean who have signed in on this very screen; that they looked is in the trail."""
        found = self._numbered(actor, number, client_id)
        if isinstance(found, Patient):
            self._noted(actor, found, client_id, now, "begun")
        return found

    def vouch(
        self, actor: Actor, number: NationalNumber, client_id: str, now: datetime
    ) -> Identity | NoSuchPatient | NotDone:
        """Return who signs in on this very screen, where staff have signed in themselves (the clinic has set it)."""
        found = self._numbered(actor, number, client_id)
        if not isinstance(found, Patient):
            return found
        self.helped.note(actor.id, found.enrolment.person, now, now + LIFE)
        self._tell(found, client_id, now, secrets.token_urlsafe(16))
        self._noted(actor, found, client_id, now, "accepted")
        return self._identity(found, client_id, actor, now + LIFE, screen=True)

    def decline(self, actor: Actor, number: NationalNumber, client_id: str, now: datetime) -> None:
        """Note that it was somebody else who sat there."""
        found = self._numbered(actor, number, client_id)
        if isinstance(found, Patient):
            self._noted(actor, found, client_id, now, "refused")

    def _numbered(self, actor: Actor, number: NationalNumber, client_id: str) -> Patient | NoSuchPatient | NotDone:
        person = self.records.accounts.known(number)
        enrolment = self.records.enrolments.find(person, actor.clinic) if person is not None else None
        if enrolment is None:
            return NoSuchPatient()
        patient = self._known(enrolment)
        objection = self._objection(patient, client_id)
        return patient if objection is None else NotDone(why=objection, patient=patient)

    def _noted(self, actor: Actor, patient: Patient, client_id: str, now: datetime, what: str) -> None:
        record(self.events, KIND, actor, patient.enrolment.person, now, client=client_id, what=what, where="screen")

    # ---- who -------------------------------------------------------------------------------------

    def _patient(self, clinic: str, handle: str) -> Patient:
        enrolment = self.records.enrolments.by_handle(clinic, handle)
        if enrolment is None:
            raise NotFound("no such patient at this clinic")
        return self._known(enrolment)

    def _known(self, enrolment: Enrolment) -> Patient:
        return Patient(enrolment=enrolment, account=self.records.accounts.of(enrolment.person))

    def _objection(self, patient: Patient, client_id: str) -> Conflict | None:
        """Return why nobody may be signed in as this patient there."""
        enrolment, clinic = patient.enrolment, self.clinics.find(patient.enrolment.clinic)
        if enrolment.entry is not None and enrolment.entry.deceased_on is not None:
            return Conflict.DECEASED
        if patient.number is None:
            return Conflict.NO_NUMBER
        if self.records.accounts.known(patient.number) != enrolment.person:
            # The clinic has written down another number than the patient's own: a service would see somebody else.
            return Conflict.ELSEWHERE
        taken = clinic is not None and (clinic.registration == "unneeded" or enrolment.standing is Standing.APPROVED)
        client = self.clients.find(client_id)
        closed = patient.account is not None and patient.account.disabled
        if not taken or closed or client is None or not _takes(client, enrolment.clinic):
            return Conflict.NOT_HERE
        return None

    def stands(self, assisted: Assisted, person: str) -> bool:
        """Tell whether a sign-on that staff made still holds: its colleague works there, its patient may be helped."""
        member = self.members.of(assisted.staff)
        if member is None or member.role(assisted.clinic) is None or assisted.epoch not in (None, member.epoch):
            return False
        enrolment = self.records.enrolments.find(person, assisted.clinic)
        return enrolment is not None and self._objection(self._known(enrolment), assisted.client) is None

    def _still(self, actor: Actor) -> Actor | None:
        """Return the colleague in the role that they have now; None for who is disabled, reset or without one since."""
        member = self.members.of(actor.id)
        role = None if member is None else member.role(actor.clinic)
        if member is None or role is None or actor.epoch not in (None, member.epoch):
            return None
        return replace(actor, role=role, epoch=member.epoch)

    def _identity(
        self, patient: Patient, client: str, actor: Actor, until: datetime, *, pairing: str = "", screen: bool = False
    ) -> Identity:
        entry, account = patient.enrolment.entry, patient.account
        return Identity(
            provider=PROVIDER,
            issuer=f"{self.issuer}/{PROVIDER}",
            subject=patient.enrolment.person,
            loa=LoA.LOW,
            proved_at=until - LIFE,
            amr=AMR,
            number=patient.number,
            name=patient.name,
            given_name=(entry.given_name if entry else None) or (account.given_name if account else None),
            family_name=(entry.family_name if entry else None) or (account.family_name if account else None),
            birthdate=patient.birthdate,
            upstream_until=until,
            assisted=Assisted(
                staff=actor.id,
                role=actor.role.value,
                clinic=actor.clinic,
                client=client,
                pairing=pairing,
                screen=screen,
                epoch=actor.epoch,
            ),
        )

    # ---- how -------------------------------------------------------------------------------------

    def _again(self, one: Pairing, patient: Patient, session: str) -> Identity:
        """Return the same again: the button was pressed twice, and only the second answer is shown."""
        if not session or not hmac.compare_digest(one.session, session):
            raise NotFound("it has begun")
        return self._identity(patient, one.client, one.actor, one.until, pairing=one.id)

    def _held(self, pairing: str, tablet: str) -> Kept[Pairing] | None:
        """Return a pairing, only to the tablet that has taken it."""
        kept = self.pairings.get(pairing)
        ours = kept is not None and hmac.compare_digest(kept.value.tablet, _hashed(tablet))
        return kept if ours else None

    def _asked(self, pairing: Pairing) -> Given:
        patient = self._patient(pairing.actor.clinic, pairing.handle)
        born, language = patient.birthdate, patient.enrolment.language
        return Given(
            pairing=pairing, name=patient.name or "", year=born.year if born is not None else None, language=language
        )

    def _moved(self, pairing: str, state: str, now: datetime, move: Callable[[Pairing], Pairing]) -> Pairing | None:
        """Move a pairing on from a state; None when it is not in it (any more)."""
        for _ in range(_TRIES):
            kept = self.pairings.get(pairing)
            if kept is None or kept.value.at(now).state != state:
                return None
            moved = self.pairings.swap(pairing, kept.raw, move(kept.value), _KEPT)
            if moved is not None:
                self.helped.watch(pairing, moved.value.until)
                return moved.value
        raise StoreError("too many changes at once")

    def _closed(self, pairing: str, states: tuple[str, ...], now: datetime, state: str = "ended") -> None:
        """End a pairing, once however many do; what came to its end by itself ended then."""
        for _ in range(_TRIES):
            kept = self.pairings.get(pairing)
            if kept is None or kept.value.state not in states:
                return
            lapsed = kept.value.at(now)
            over = lapsed if lapsed.ended_at is not None else kept.value.over(now, state)
            if self.pairings.swap(pairing, kept.raw, over, _KEPT) is not None:
                self._record(over, over.state, now)
                return
        raise StoreError("too many changes at once")

    def _record(self, pairing: Pairing, what: str, now: datetime, **detail: str) -> None:
        record(self.events, KIND, pairing.actor, pairing.person, now, client=pairing.client, what=what, **detail)

    def _tell(self, patient: Patient, client_id: str, now: datetime, about: str) -> None:
        """Tell the patient, where they can be told: at their own addresses and at those that the clinic has."""
        self.letters.assisted(patient.enrolment, patient.account, client_id, now, about)


def _takes(client: Client, clinic: str) -> bool:
    """Tell whether a service of this clinic takes sign-ins that staff made: they are of level low."""
    fits = client.clinic == clinic and client.minimum <= LoA.LOW
    return fits and not client.disabled and client.assisted != "never"


def _given(pairing: Pairing, tablet: str, ip: str | None, now: datetime) -> Pairing:
    return replace(pairing, state="given", tablet=_hashed(tablet), address=ip or "", until=now + IDLE)


def _hashed(secret: str) -> str:
    return hashlib.sha256(f"tablet\n{secret}".encode()).hexdigest()
