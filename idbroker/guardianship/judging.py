"""From what a register says to what may be done on its word: the ward's person, the rules, the trail of a refusal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from idbroker.accounts.account import Standing
from idbroker.accounts.entries import has_died, is_protected
from idbroker.accounts.records import Records
from idbroker.acting import Acting
from idbroker.client import Client
from idbroker.clinic import Clinic
from idbroker.guardianship.registers import Found, Registers
from idbroker.guardianship.rules import Claim, MayNot, judge
from idbroker.guardianship.tie import CUSTODY, NO_CUSTODY, Answer, Guardian, Tie
from idbroker.identity import LoA
from idbroker.numbers import NationalNumber

NO_RELATION = "no_relation"
DOWN = "register_down"
_TAKEN = frozenset({Standing.APPROVED, Standing.KNOWN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One tie, as one register's answer has it."""

    tie: Tie
    register: str
    asked_at: datetime
    good_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A guardian may not act for a ward: `ward` is the person, where it is one of ours, and `reason` for the trail."""

    reason: str
    ward: str | None = None


@dataclass(frozen=True, kw_only=True)
class Judging:
    """Judges ties by the rules of a clinic and a service. May raise StoreError."""

    registers: Registers
    records: Records

    def known(self, found: Found) -> tuple[Known, ...]:
        """Return every tie that the registers know."""
        return tuple(known for answer in found.answers for known in _ties(answer))

    def judged(
        self, known: Known, guardian: Guardian, client: Client, clinic: Clinic, now: datetime
    ) -> Acting | Refusal:
        """Return what may be done on one tie's word, by the rules as they are at this moment."""
        person = self._person(known.tie)
        # Of nobody we know, too: a read more or less would tell by its time who is a patient here, and hidden.
        enrolment = self.records.enrolments.find(person or "", clinic.id)
        verdict = judge(
            Claim(
                tie=known.tie,
                loa=guardian.identity.loa if guardian.identity.assisted is None else LoA.LOW,
                guardian_born=guardian.birthdate,
                limits=clinic.limits.but(client.ages),
                mandates=clinic.mandates,
                taken=clinic.registration == "unneeded" or (enrolment is not None and enrolment.standing in _TAKEN),
                now=now,
                zone=clinic.zone,
            )
        )
        if isinstance(verdict, MayNot):
            return Refusal(reason=verdict.reason, ward=person)
        if has_died(enrolment):
            return Refusal(reason="deceased", ward=person)
        if is_protected(enrolment):  # whatever register says yes: not every one of them hides anybody
            return Refusal(reason="protected", ward=person)
        ward = person or self._new_person(known.tie, now)
        if ward == guardian.person:
            return Refusal(reason="self", ward=ward)
        return Acting(
            ward=ward,
            number=known.tie.number,
            given_name=known.tie.given_name,
            family_name=known.tie.family_name,
            birthdate=known.tie.born,
            relation=known.tie.relation,
            basis=known.tie.basis,
            powers=known.tie.powers,
            register=known.register,
            checked_at=known.asked_at,
            good_until=known.good_until,
            until=verdict.until,
        )

    def each(
        self, found: Found, guardian: Guardian, client: Client, clinic: Clinic, now: datetime
    ) -> tuple[tuple[Known, Acting | Refusal], ...]:
        """Return every ward that the registers know, once, with what they all together come to."""
        by_ward: dict[str, list[Known]] = {}
        for known in self.known(found):
            by_ward.setdefault(_name_of(known.tie, self._person(known.tie)), []).append(known)
        judged = ((ties, self.best(ties, guardian, client, clinic, now)) for ties in by_ward.values())
        return tuple((_whose(ties, verdict), verdict) for ties, verdict in judged)

    def confirmed(
        self, verdict: Acting, found: Found, guardian: Guardian, client: Client, clinic: Clinic, now: datetime
    ) -> Acting | Refusal:
        """Return what it comes to when those are asked too that had not named this ward: before anybody acts."""
        if verdict.number is None:
            return verdict
        more = self.registers.unheard(found, guardian, verdict.number, clinic, now)
        ties = (*self.known(found), *self.known(more))
        same = [known for known in ties if self._person(known.tie) == verdict.ward]
        return _unless_down(more, self.best(same, guardian, client, clinic, now), verdict.ward)

    def of_number(
        self, number: NationalNumber, guardian: Guardian, client: Client, clinic: Clinic, now: datetime
    ) -> Acting | Refusal:
        """Return whether a guardian may act for somebody by number: every register is asked, whatever any says."""
        found = self.registers.about(guardian, number, clinic, now)
        verdict = self.best(self.known(found), guardian, client, clinic, now, number)
        return _unless_down(found, verdict, verdict.ward)

    def again(
        self, acting: Acting, guardian: Guardian, client: Client, clinic: Clinic, now: datetime
    ) -> Acting | Refusal:
        """Judge anew what was judged before: at the registers, where their word is no longer good."""
        verdict, found = self.heard(acting, guardian, client, clinic, now)
        return _unless_down(found, verdict, acting.ward)

    def heard(
        self, acting: Acting, guardian: Guardian, client: Client, clinic: Clinic, now: datetime
    ) -> tuple[Acting | Refusal, Found]:
        """Judge anew, and return what the registers said, too: one that is down might have said otherwise."""
        if acting.number is None:
            found = self.registers.wards(guardian, clinic, now)
        else:
            found = self.registers.about(guardian, acting.number, clinic, now)
        same = [known for known in self.known(found) if self._person(known.tie) == acting.ward]
        return _still_named(self.best(same, guardian, client, clinic, now), acting), found

    def best(
        self,
        ties: Iterable[Known],
        guardian: Guardian,
        client: Client,
        clinic: Clinic,
        now: datetime,
        number: NationalNumber | None = None,
    ) -> Acting | Refusal:
        """Return what allows for the shortest; else why the first does not.

        A register that bars outweighs any that allows: what a clinic noted last year is no answer to a court. But that
        somebody has no custody says nothing of a grandparent, whom another register knows as one.
        """
        verdicts = [(known, self.judged(known, guardian, client, clinic, now)) for known in ties]
        against = [(known.tie, v) for known, v in verdicts if known.tie.against and isinstance(v, Refusal)]
        allowing = (verdict for _, verdict in verdicts if isinstance(verdict, Acting))
        may = [acting for acting in allowing if not any(_bars(tie, acting) for tie, _ in against)]
        barred = next((refusal for _, refusal in against), None)
        allowed = min(may, key=lambda acting: acting.until, default=None)
        refused = next((verdict for _, verdict in verdicts if isinstance(verdict, Refusal)), None)
        stranger = self.records.accounts.known(number) if number is not None else None
        return allowed or barred or refused or Refusal(reason=NO_RELATION, ward=stranger)

    def _person(self, tie: Tie) -> str | None:
        if tie.person is not None or tie.number is None:
            return tie.person
        return self.records.accounts.known(tie.number)

    def _new_person(self, tie: Tie, now: datetime) -> str:
        if tie.number is None:
            raise ValueError("a tie without a number is of somebody we know")
        return self.records.accounts.person(tie.number, now)


def _bars(tie: Tie, acting: Acting) -> bool:
    """Tell whether one register's no is about the right that another's yes is about."""
    return tie.barred != NO_CUSTODY or tie.protected or tie.deceased or acting.relation == CUSTODY


def _still_named(verdict: Acting | Refusal, before: Acting) -> Acting | Refusal:
    """Keep the name that was told when the ward was chosen: asked again, some registers say yes or no and no more."""
    if isinstance(verdict, Refusal) or verdict.name is not None:
        return verdict
    return replace(verdict, given_name=before.given_name, family_name=before.family_name)


def _unless_down(found: Found, verdict: Acting | Refusal, ward: str | None) -> Acting | Refusal:
    """Refuse while any register does not answer: it might be the one that bars."""
    return Refusal(reason=DOWN, ward=ward) if found.down else verdict


def _name_of(tie: Tie, person: str | None) -> str:
    return person or (tie.number.key if tie.number is not None else "")


def _whose(ties: Sequence[Known], verdict: Acting | Refusal) -> Known:
    """Return the tie that a verdict rests on."""
    register = verdict.register if isinstance(verdict, Acting) else ties[0].register
    return next(known for known in ties if known.register == register)


def _ties(answer: Answer) -> tuple[Known, ...]:
    return tuple(
        Known(tie=tie, register=answer.register, asked_at=answer.asked_at, good_until=answer.good_until)
        for tie in answer.ties
    )
