"""The children whose sign-in somebody has set up: seen, and kept working, by their guardian."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from idbroker.accounts.account import Account, Enrolment
from idbroker.accounts.choosing import Busy, Done, Spent, Weak
from idbroker.accounts.entries import has_died, is_protected
from idbroker.accounts.families import Ending, Families, NoFamilies, Word
from idbroker.accounts.records import Records
from idbroker.accounts.recovery import Recovery
from idbroker.accounts.vouching import approved_here, outgrown
from idbroker.ages import age_on, comes_of_age, day_of
from idbroker.events import Event, Events
from idbroker.identity import LoA
from idbroker.numbers import birthdate_of
from idbroker.session import Session
from idbroker.visit import Visit


@dataclass(frozen=True, slots=True, kw_only=True)
class Kid:
    """A child of somebody's, as My page names it: `until` is the last day on which the guardian may do anything."""

    handle: str
    account: Account = field(repr=False)
    age: int
    until: date

    @property
    def name(self) -> str:
        """Return the child's name, as its guardian gave it."""
        return self.account.name or self.account.number.masked


@dataclass(frozen=True, kw_only=True)
class Children:
    """Looks after them. Every method may raise StoreError.

    Each clinic's page knows the children for whom that very clinic has approved this guardian, as long as it does:
    who has lost custody, or whose child has come of age, finds nobody.
    """

    records: Records
    recovery: Recovery
    events: Events
    families: Families = field(default_factory=NoFamilies)
    ending: Ending | None = None

    def of(self, session: Session, visit: Visit) -> tuple[Kid, ...]:
        """Return the children of who signed in by an eID, the youngest last; nobody for a password."""
        if not proves(session):
            return ()
        found = self.records.enrolments.of_guardian(visit.clinic.id, session.person)
        kids = (self._kid(session, one, visit) for one in found)
        return tuple(sorted((kid for kid in kids if kid is not None), key=lambda kid: (kid.until, kid.name)))

    def find(self, session: Session, handle: str, visit: Visit) -> Kid | None:
        """Return one of them, by what the page names it: none that is not, at this moment, theirs to look after."""
        return next((kid for kid in self.of(session, visit) if kid.handle == handle), None)

    def is_barred(self, session: Session, kid: Kid, visit: Visit, *, looks: bool = False) -> bool:
        """Tell whether a register says that this is not, or no longer, their child; or is down, unless one `looks`.

        The attack: a court has taken custody away, nobody has told the clinic, and the parent chooses another
        password. Asked each time; where nothing is known the clinic's own approval counts. Once a register has said
        that custody is over, so is what the clinic had approved, and all that it opened.
        """
        kinship = self.families.about(session.person, session.identity, kid.account.number, visit)
        barred = kinship.word is Word.BARRED or (kinship.reason == "down" and not looks)
        if barred:
            self._refused(session, kid, visit, kinship.reason)
        enrolment = self.records.enrolments.find(kid.account.person, visit.clinic.id)
        if self.ending is not None and enrolment is not None and kinship.is_over:
            self.ending(enrolment, session.person, kinship.reason, visit.now)
        return barred

    def choose(self, session: Session, kid: Kid, new: str, visit: Visit) -> Done | Weak | Busy | Spent:
        """Choose a new password for a child; all that the old one has opened ends, and its addresses are told."""
        return self.recovery.choose_for(kid.account.person, new, visit, session.person)

    def as_child(self, session: Session, kid: Kid) -> Session:
        """Return the guardian's sign-on as one over the child's own addresses: it is kept nowhere, and opens nothing.

        What waits for a code waits under a name of its own, so that two children and oneself are never mixed up.
        """
        key = hashlib.sha256(f"{session.key}\n{kid.account.person}".encode()).hexdigest()[: len(session.key)]
        return replace(session, person=kid.account.person, key=key)

    def _kid(self, session: Session, enrolment: Enrolment, visit: Visit) -> Kid | None:
        account = self.records.accounts.of(enrolment.person)
        if account is None or account.guardian != session.person or account.disabled or has_died(enrolment):
            return None
        if is_protected(enrolment):  # the attack: a parent from whom a child is hidden reads where it is reached
            return None
        born = birthdate_of(account.number, account.birthdate)
        if born is None or outgrown(visit, account) or not approved_here(account, enrolment):
            return None
        return Kid(
            handle=_handle(session, account),
            account=account,
            age=age_on(born, day_of(visit.now, visit.clinic.zone)),
            until=comes_of_age(born, visit.clinic.grown_up) - timedelta(days=1),
        )

    def _refused(self, session: Session, kid: Kid, visit: Visit, reason: str) -> None:
        for person, other in ((kid.account.person, "guardian"), (session.person, "ward")):
            theirs = session.person if other == "guardian" else kid.account.person
            detail = {"reason": reason, other: theirs}
            event = Event(at=visit.now, kind="acting.refused", clinic=visit.clinic.id, person=person, detail=detail)
            self.events.record(event)


def proves(session: Session) -> bool:
    """Tell whether a sign-on shows, by an eID, who somebody is: a password opens nobody else's sign-in."""
    return session.identity.loa >= LoA.SUBSTANTIAL and session.identity.assisted is None


def _handle(session: Session, account: Account) -> str:
    """Return what a page names a child by: nothing that says who it is, and no other person's pages know it."""
    return hashlib.sha256(f"kid\n{session.person}\n{account.person}".encode()).hexdigest()[:24]
