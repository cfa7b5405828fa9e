"""Who may act for whom, as a clinic has noted it: by staff, by a program, with an approval; and the end of it."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Protocol

from idbroker.accounts.account import Enrolment, Standing
from idbroker.accounts.entries import has_died, is_own, is_protected
from idbroker.accounts.letters import Letters
from idbroker.accounts.own import SignOns
from idbroker.accounts.records import Records
from idbroker.ages import MAJORITY, Ages, comes_of_age, day_of, is_of_age
from idbroker.client import Clients
from idbroker.clinic import Clinic, Clinics
from idbroker.errors import NotAllowed, NotFound
from idbroker.events import Events
from idbroker.guardianship.delegation import Delegations
from idbroker.guardianship.entering import limits_over
from idbroker.guardianship.records import ENDED_BY_CLINIC, Guardianship, Guardianships, new_id
from idbroker.guardianship.tie import CUSTODY, MANDATE
from idbroker.identity import LoA
from idbroker.numbers import NationalNumber, birthdate_of
from idbroker.patients.opening import opening
from idbroker.patients.trail import record
from idbroker.staff.member import Actor, Role

MOST = 20  # guardians of one ward at one clinic: more is a mistake, or somebody's script
MOST_POWERS = 20
RELATIONS = (CUSTODY, "guardian", "foster", "relative", MANDATE)
ENDINGS = (CUSTODY, "mistake", "wish", "other")  # why staff end one
DECEASED, DECLINED, WITHDRAWN, PROTECTED = "deceased", "declined", "withdrawn", "protected"
_CLAIMED = frozenset({Standing.ASKED, Standing.APPROVED})  # how a child stands whose guardian waits, or was taken
_RELATION = re.compile(r"[a-z][a-z0-9_]{0,39}")
_POWER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,99}")


class EndActing(Protocol):
    """Ends what acts for a ward now (signout.py)."""

    def __call__(self, ward: str, why: str, *, clinic: str | None = None, guardian: str | None = None) -> int:
        """End it at one clinic or at all, by one guardian or by any; return how much that was."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is noted of a guardian: as in `Guardianship`."""

    relation: str = CUSTODY
    powers: tuple[str, ...] = ()
    until: date | None = None

    @property
    def is_plain(self) -> bool:
        """Tell whether it is of plain words: it goes into tokens, and to services as it stands."""
        each_once = len(set(self.powers)) == len(self.powers) <= MOST_POWERS
        return bool(_RELATION.fullmatch(self.relation)) and each_once and all(map(_POWER.fullmatch, self.powers))


class WhyNot(enum.StrEnum):
    """Why somebody was not noted; each has words on the page and in the API."""

    SELF = "guardian_self"
    MINOR = "guardian_age"  # under 18, or nobody knows when they were born
    DECEASED = "deceased"
    GROWN = "ward_age"  # of age for what any guardian may do here, or nobody knows when they were born
    FULL = "guardians_full"
    OTHERWISE = "guardian_noted"  # the same guardian is noted, otherwise
    PAST = "until_past"
    MANDATE = "mandate_not_taken"  # a power of attorney that this clinic does not take
    NO_POWERS = "mandate_no_powers"  # a power of attorney for nothing
    NOTHING = "guardian_opens_nothing"  # nobody could do anything by it, at any service of the clinic
    NOT_PLAIN = "not_plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """It is noted; `first` when that was this very call."""

    row: Guardianship
    first: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One that holds, to be shown: the guardian's name and number as far as this clinic may know them."""

    row: Guardianship
    name: str | None = field(repr=False)
    number: NationalNumber | None = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Noting:
    """Notes and ends it; `end_acting` ends what runs, `number_of` is the number that a person is recognised by.

    May raise StoreError; NotFound for a handle that is not there; NotAllowed below approver.
    """

    records: Records
    rows: Guardianships
    delegations: Delegations
    clinics: Clinics
    clients: Clients
    sign_ons: SignOns
    events: Events
    end_acting: EndActing
    number_of: Callable[[str, datetime], NationalNumber | None]
    letters: Letters

    # ---- seen ------------------------------------------------------------------------------------

    def of(self, actor: Actor, handle: str, now: datetime) -> tuple[Held, ...]:
        """Return who may act for a patient of the actor's clinic, by its own notes, the oldest first."""
        ward = self._ward(actor, handle)
        rows = sorted(self._rows(ward), key=lambda row: (row.recorded_at, row.id))
        return tuple(self._held(ward, row, now) for row in rows)

    def applies(self, actor: Actor, handle: str, now: datetime) -> bool:
        """Tell whether somebody may be noted for a patient, or is: a child, or where powers of attorney are taken."""
        ward, clinic = self._ward(actor, handle), self._clinic(actor.clinic)
        born = self._born(ward.person, clinic.id)
        young = born is not None and not is_of_age(born, self._limits(clinic).grown_up, day_of(now, clinic.zone))
        return young or bool(clinic.mandates) or bool(self._rows(ward))

    def _rows(self, ward: Enrolment) -> list[Guardianship]:
        return [row for row in self.rows.of_ward(ward.person) if row.clinic == ward.clinic and row.is_note]

    def _held(self, ward: Enrolment, row: Guardianship, now: datetime) -> Held:
        name = self.records.called_at(row.guardian, ward.clinic, ward)
        return Held(row=row, name=name, number=self._number(row, now))

    def _number(self, row: Guardianship, now: datetime) -> NationalNumber | None:
        own = self.records.enrolments.find(row.guardian, row.clinic)
        entered = own.entry.number if own is not None and own.entry is not None else None
        return entered or self.number_of(row.guardian, now)

    # ---- noted -----------------------------------------------------------------------------------

    def note(
        self, actor: Actor, handle: str, guardian: NationalNumber | str, said: Said, now: datetime
    ) -> Noted | WhyNot:
        """Note that somebody, by number or by person id, may act for a patient; noted again it stays as it is."""
        ward, clinic = self._ward(actor, handle, Role.APPROVER), self._clinic(actor.clinic)
        why = self._ward_wrong(ward, said, clinic, now) or self._guardian_wrong(ward, guardian, clinic, now)
        if why is not None or not opening(clinic, self.clients.all()).by(said.relation):
            return why or WhyNot.NOTHING
        person = guardian if isinstance(guardian, str) else self.records.accounts.person(guardian, now)
        there = self._rows(ward)
        if len(there) >= MOST and person not in {row.guardian for row in there}:
            return WhyNot.FULL
        return self._kept(actor, self._row(ward, person, said, actor.id, clinic, now), now, MOST)

    def _ward_wrong(self, ward: Enrolment, said: Said, clinic: Clinic, now: datetime) -> WhyNot | None:
        day = day_of(now, clinic.zone)
        if not said.is_plain:
            return WhyNot.NOT_PLAIN
        if said.until is not None and said.until <= day:
            return WhyNot.PAST
        if has_died(ward) or is_protected(ward):
            return WhyNot.DECEASED if has_died(ward) else WhyNot.NOTHING
        if said.relation == MANDATE and (not clinic.mandates or not set(said.powers) <= set(clinic.mandates)):
            return WhyNot.MANDATE
        if said.relation == MANDATE and not said.powers:
            return WhyNot.NO_POWERS
        limit = None if said.relation == MANDATE else self._limit(ward, clinic)
        return WhyNot.GROWN if said.relation != MANDATE and (limit is None or limit <= day) else None

    def _guardian_wrong(
        self, ward: Enrolment, guardian: NationalNumber | str, clinic: Clinic, now: datetime
    ) -> WhyNot | None:
        person = guardian if isinstance(guardian, str) else self.records.accounts.known(guardian)
        if person == ward.person:
            return WhyNot.SELF
        if person is not None and has_died(self.records.enrolments.find(person, clinic.id)):
            return WhyNot.DECEASED
        number = self.number_of(guardian, now) if isinstance(guardian, str) else guardian
        born = birthdate_of(number, None if person is None else self._born(person, clinic.id))
        return None if born is not None and is_of_age(born, MAJORITY, day_of(now, clinic.zone)) else WhyNot.MINOR

    def _limit(self, ward: Enrolment, clinic: Clinic) -> date | None:
        """Return the birthday from which nobody acts for a ward because of its age; None where that cannot be seen."""
        born, age = self._born(ward.person, clinic.id), self._limits(clinic).first_end
        return None if born is None or not age else comes_of_age(born, age)

    def _limits(self, clinic: Clinic) -> Ages:
        return limits_over(clinic, self.clients.all())

    def _born(self, person: str, clinic: str) -> date | None:
        """Return when somebody was born: as a number of theirs says, else as the clinic or they themselves do.

        The attack: a program writes another birth date for a grown patient, and notes a guardian for the child.
        """
        enrolment, account = self.records.enrolments.find(person, clinic), self.records.accounts.of(person)
        told = [said for said in (enrolment.entry if enrolment is not None else None, account) if said is not None]
        by_number = (birthdate_of(said.number) for said in told)
        return birthdate_of(None, *by_number, *(said.birthdate for said in told))

    def _row(self, ward: Enrolment, guardian: str, said: Said, by: str, clinic: Clinic, now: datetime) -> Guardianship:
        return Guardianship(
            id=new_id(),
            clinic=clinic.id,
            guardian=guardian,
            ward=ward.person,
            relation=said.relation,
            powers=said.powers,
            until=said.until,
            recorded_at=now,
            by=by,
            limit_on=None if said.relation == MANDATE else self._limit(ward, clinic),
        )

    def _kept(self, actor: Actor, row: Guardianship, now: datetime, most: int | None = None) -> Noted | WhyNot:
        self._tell(row, now)
        if self.rows.add(row, most):
            told = {"guardian": row.guardian, "relation": row.relation}
            record(self.events, "guardianship.noted", actor, row.ward, now, **told)
            return Noted(row=row, first=True)
        found = next((one for one in self.rows.of_ward(row.ward) if self._same(one, row)), None)
        if found is None:
            return WhyNot.FULL  # somebody else was noted in the very moment, and was the last there is room for
        return Noted(row=found, first=False) if _said(found) == _said(row) else WhyNot.OTHERWISE

    def _tell(self, row: Guardianship, now: datetime) -> None:
        """Tell a grown patient first: whoever breaks in between has told of a note that was none.

        The attack: a colleague, or who has a program's secret, notes a friend for a patient, who learns nothing of it.
        """
        clinic, ward = self._clinic(row.clinic), self.records.enrolments.find(row.ward, row.clinic)
        born = self._born(row.ward, row.clinic)
        child = born is not None and not is_of_age(born, self._limits(clinic).grown_up, day_of(now, clinic.zone))
        if ward is None or child or any(self._same(one, row) for one in self.rows.of_ward(row.ward)):
            return
        self.letters.guarded(ward, self.records.accounts.of(row.ward), now)

    @staticmethod
    def _same(one: Guardianship, row: Guardianship) -> bool:
        return (one.clinic, one.guardian) == (row.clinic, row.guardian) and one.is_note

    # ---- with an approval ------------------------------------------------------------------------

    def answered(self, enrolment: Enrolment, role: str, now: datetime) -> None:
        """Note what a clinic's answer to a registration says of the child's guardian: they are, or they are not.

        That they are of age was seen with their eID, as they asked (child.py); that the child is a child, now.
        """
        actor = Actor(id=enrolment.by or "", clinic=enrolment.clinic, role=Role(role) if role else Role.APPROVER)
        if enrolment.standing is Standing.DECLINED:
            self._end(actor, enrolment.person, enrolment.guardian, DECLINED, now)
            self.end_acting(enrolment.person, DECLINED, clinic=enrolment.clinic)  # nobody's, at this clinic
            return
        clinic = self._clinic(enrolment.clinic)
        limit = self._limit(enrolment, clinic)
        if enrolment.guardian is not None and limit is not None and limit > day_of(now, clinic.zone):
            self._kept(actor, self._row(enrolment, enrolment.guardian, Said(), actor.id, clinic, now), now)

    # ---- ended -----------------------------------------------------------------------------------

    def end(self, actor: Actor, handle: str, note: str, why: str, now: datetime) -> None:
        """End one, by its id: what runs ends at once, and so does the clinic's approval of that guardian.

        NotFound for one that is not this patient's here, or has ended.
        """
        ward = self._ward(actor, handle, Role.APPROVER)
        row = next((one for one in self._rows(ward) if one.id == note), None)
        if row is None:
            raise NotFound("no such guardian")
        self.end_of(actor, ward, row.guardian, why, now)

    def end_of(self, actor: Actor, ward: Enrolment, guardian: str | None, why: str, now: datetime) -> bool:
        """End what one guardian may do for a ward at the actor's clinic, or any; tell whether there was anything."""
        whose = self._whose(actor, ward.person, guardian, why)
        unapproved = self._unapproved(actor, ward, guardian, why, now)
        ended = self._end(actor, ward.person, guardian, why, now)
        for one in sorted(whose):
            self._remember(actor, ward.person, one, why, now)
        return ended or unapproved

    def _whose(self, actor: Actor, ward: str, guardian: str | None, why: str) -> set[str]:
        """Return whose right is to be remembered as ended: the one named, else who waits, was taken or acts now."""
        if why not in ENDED_BY_CLINIC:
            return set()
        if guardian is not None:
            return {guardian} - {ward}
        found = self.records.enrolments.find(ward, actor.clinic)
        claims = {found.guardian} if found is not None and found.standing in _CLAIMED else set()
        running = {one.guardian for one in self.delegations.of_ward(ward) if one.clinic == actor.clinic}
        return {one for one in claims | running if one is not None} - {ward}

    def _remember(self, actor: Actor, ward: str, guardian: str, why: str, now: datetime) -> None:
        """Keep that the clinic has ended it where it had noted nothing itself: or there would be nothing to hold up.

        The attack: custody is lost, and the register that has not heard of it lets the parent in again (local.py).
        """
        known = self.rows.of_guardian_ever(guardian)
        if any((row.clinic, row.ward) == (actor.clinic, ward) and row.ended_at is not None for row in known):
            return
        self.rows.add(
            Guardianship(
                id=new_id(), clinic=actor.clinic, guardian=guardian, ward=ward, by=actor.id, recorded_at=now,
                ended_at=now, ended_why=why,
            )
        )  # fmt: skip

    def died(self, actor: Actor, person: str, now: datetime) -> None:
        """End, at the actor's clinic, what anybody may do for who has died, and what they could do for others."""
        self._end(actor, person, None, DECEASED, now)
        noted = {row.ward for row in self.rows.of_guardian(person) if row.clinic == actor.clinic}
        running = {one.ward for one in self.delegations.of_guardian(person) if one.clinic == actor.clinic}
        for ward in sorted(noted | running):
            self._end(actor, ward, person, DECEASED, now)

    def _end(self, actor: Actor, ward: str, guardian: str | None, why: str, now: datetime) -> bool:
        """End it; what runs before and after: before, for a crash in between; after, for what began meanwhile."""
        here = [row for row in self.rows.of_ward(ward) if row.clinic == actor.clinic]
        running = self.end_acting(ward, why, clinic=actor.clinic, guardian=guardian)
        noted = self.rows.end(actor.clinic, ward, now, why, guardian)
        if not noted:
            return running > 0
        for row in here:
            if guardian in (None, row.guardian) and row.is_note:
                record(self.events, "guardianship.ended", actor, ward, now, guardian=row.guardian, why=why)
        self.end_acting(ward, why, clinic=actor.clinic, guardian=guardian)
        return True

    def _unapproved(self, actor: Actor, ward: Enrolment, guardian: str | None, why: str, now: datetime) -> bool:
        """Take the clinic's approval of a guardian back, and answer one who waits for it.

        The attack: a parent who has lost custody reads a child's record with the password they once chose for it; or
        has asked already, and a colleague who knows nothing of the court's word approves.
        """
        ended = False

        def end(before: Enrolment | None) -> Enrolment | None:
            nonlocal ended
            theirs = before is not None and before.guardian is not None and guardian in (None, before.guardian)
            ended = theirs and before is not None and before.standing in _CLAIMED
            return _without_guardian(before, actor, why, now) if ended and before is not None else None

        self.records.enrolments.change(ward.person, actor.clinic, end)
        if ended:
            self._end_claims(ward.person, actor.clinic)
        return ended

    def hide(self, ward: Enrolment) -> None:
        """End what others have open for a ward whose name and address are protected. What they may is judged anew."""
        self.end_acting(ward.person, PROTECTED, clinic=ward.clinic)
        if ward.guardian is not None:
            self._end_claims(ward.person, ward.clinic)

    def _end_claims(self, person: str, clinic: str) -> None:
        """End what the guardian has open: sign-ons by the child's password, and what this clinic's services hold."""
        for session in self.sign_ons.of_person(person):
            if session.identity.loa is LoA.LOW:
                self.sign_ons.end_one(person, session.key)
        for client in self.clients.all():
            if client.clinic == clinic:
                self.sign_ons.end_client(person, client.id)

    # ---- how -------------------------------------------------------------------------------------

    def _ward(self, actor: Actor, handle: str, least: Role = Role.CARER) -> Enrolment:
        if not actor.may(least):
            raise NotAllowed(f"{actor.role} is less than {least}")
        found = self.records.enrolments.by_handle(actor.clinic, handle) if len(handle) == 22 else None
        if found is None:
            raise NotFound("no such patient at this clinic")
        return found

    def _clinic(self, clinic: str) -> Clinic:
        found = self.clinics.find(clinic)
        if found is None:
            raise NotFound("no such clinic")
        return found


def _said(row: Guardianship) -> Said:
    return Said(relation=row.relation, powers=row.powers, until=row.until)


def _without_guardian(before: Enrolment, actor: Actor, why: str, now: datetime) -> Enrolment:
    """Return an enrolment whose guardian is approved no more.

    A child that the clinic has in its own list stays there. One that it knows by the guardian's claim alone stands
    as declined to this guardian, so that another may ask (child.py).
    """
    if before.entry is not None and before.standing is Standing.APPROVED:
        return replace(before, guardian=None)
    if is_own(before.entry):
        return replace(before, guardian=None, standing=Standing.KNOWN)
    return replace(before, standing=Standing.DECLINED, decided_at=now, by=actor.id, reason=why)
