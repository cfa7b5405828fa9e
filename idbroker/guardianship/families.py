"""Whose children somebody has, as the registers of a clinic tell it: for who registers a child, not for who acts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from idbroker.accounts.entries import has_died, is_protected
from idbroker.accounts.families import Kinship, KnownChild, Word
from idbroker.ages import comes_of_age
from idbroker.client import Clients
from idbroker.events import Event, Events
from idbroker.guardianship.entering import limits_over
from idbroker.guardianship.judging import NO_RELATION, Judging
from idbroker.guardianship.records import Guardianship, Guardianships, new_id
from idbroker.guardianship.rules import Claim, May, MayNot, judge
from idbroker.guardianship.tie import CUSTODY, REGISTER, Guardian, Tie
from idbroker.identity import Identity, LoA
from idbroker.numbers import NationalNumber
from idbroker.visit import Visit

MOST = 40


@dataclass(frozen=True, kw_only=True)
class RegisteredFamilies:
    """Implements `accounts.families.Families`. May raise StoreError.

    Where no guardian may act (Denmark) custody counts all the same: until a child may have nothing of a guardian's.
    """

    judging: Judging
    guardianships: Guardianships
    events: Events
    clients: Clients

    def children(self, person: str, identity: Identity, visit: Visit) -> tuple[KnownChild, ...]:
        """Return their children below the clinic's age; none where a register does not answer: it might bar any."""
        guardian = Guardian(person=person, identity=identity, language=visit.language)
        found = self.judging.registers.wards(guardian, visit.clinic, visit.now)
        if found.down:
            return ()
        by_number: dict[str, list[Tie]] = {}
        for known in self.judging.known(found):
            if known.tie.number is not None:
                by_number.setdefault(known.tie.number.key, []).append(known.tie)
        families = (ties for ties in by_number.values() if self._said(ties, guardian, visit).vouched)
        return tuple(child for ties in families if (child := _child(ties)) is not None)[:MOST]

    def about(self, person: str, identity: Identity, number: NationalNumber, visit: Visit) -> Kinship:
        """Return what is said of them and one child. A register that says no outweighs one that does not answer."""
        guardian = Guardian(person=person, identity=identity, language=visit.language)
        found = self.judging.registers.about(guardian, number, visit.clinic, visit.now)
        kinship = self._said([known.tie for known in self.judging.known(found)], guardian, visit)
        # Of who is barred, and of nobody we know, too: a read less would tell by its time who is hidden, or known here.
        ward = self.judging.records.accounts.known(number) or ""
        enrolment = self.judging.records.enrolments.find(ward, visit.clinic.id)
        if kinship.word is Word.BARRED:
            return kinship
        if has_died(enrolment):
            return Kinship(Word.BARRED, "deceased")
        if is_protected(enrolment):
            return Kinship(Word.BARRED, "protected")
        return Kinship(Word.UNSURE, "down") if found.down else kinship

    def note(self, person: str, ward: str, born: date, visit: Visit) -> None:
        """Note it, as the register's word, until the birthday."""
        row = Guardianship(
            id=new_id(),
            clinic=visit.clinic.id,
            guardian=person,
            ward=ward,
            basis=REGISTER,
            recorded_at=visit.now,
            by=REGISTER,
            limit_on=comes_of_age(born, limits_over(visit.clinic, self.clients.all()).first_end),
        )
        if self.guardianships.add(row):
            self.events.record(
                Event(
                    at=visit.now,
                    kind="guardianship.noted",
                    transaction=visit.transaction,
                    client=visit.client.id,
                    clinic=visit.clinic.id,
                    person=ward,
                    detail={"guardian": person, "basis": REGISTER, "by": REGISTER},
                )
            )

    def _said(self, ties: Sequence[Tie], guardian: Guardian, visit: Visit) -> Kinship:
        grown_up = limits_over(visit.clinic, self.clients.all()).grown_up
        verdicts = [(tie, judge(_claim(tie, guardian, visit, grown_up))) for tie in ties]
        refused = [(tie, verdict.reason) for tie, verdict in verdicts if isinstance(verdict, MayNot)]
        barred = next((reason for tie, reason in refused if tie.against), None)
        if barred is not None:
            return Kinship(Word.BARRED, barred)
        if any(isinstance(verdict, May) and tie.relation == CUSTODY for tie, verdict in verdicts):
            return Kinship(Word.VOUCHED)
        return Kinship(Word.UNSURE, next((reason for _, reason in refused), NO_RELATION))


def _claim(tie: Tie, guardian: Guardian, visit: Visit, grown_up: int) -> Claim:
    """Return the claim to be taken for a child's guardian: whether the clinic takes the child is what is asked."""
    clinic = visit.clinic
    return Claim(
        tie=tie,
        loa=guardian.identity.loa if guardian.identity.assisted is None else LoA.LOW,
        guardian_born=guardian.birthdate,
        limits=clinic.limits.but({"guardian_until": grown_up}),
        mandates=(),
        taken=True,
        now=visit.now,
        zone=clinic.zone,
    )


def _child(ties: Sequence[Tie]) -> KnownChild | None:
    """Return the child of these ties, as the first says that has a name; None where none has."""
    for tie in ties:
        if tie.number is not None and tie.born is not None and tie.name:
            return KnownChild(
                number=tie.number,
                given_name=tie.given_name or "",
                family_name=tie.family_name or "",
                birthdate=tie.born,
            )
    return None
