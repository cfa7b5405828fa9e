"""Whose an account is that a guardian made: what a clinic's approval is worth, how long, and who is written to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from idbroker.accounts.account import Account, Contact, Enrolment, Standing
from idbroker.accounts.entries import is_protected
from idbroker.accounts.records import Accounts, Enrolments
from idbroker.ages import day_of, is_of_age
from idbroker.clinic import Clinic
from idbroker.numbers import birthdate_of
from idbroker.visit import Visit


def vouched(account: Account, enrolments: Iterable[Enrolment]) -> bool:
    """Tell whether an account is more than somebody's claim to be a child's guardian.

    The attack: a stranger registers a child with a password and addresses of the stranger's own, and signs in as
    the child wherever the child is known already, or whoever comes is taken. So a clinic must have approved this
    very guardian; that one has approved the child is not enough.
    """
    if account.guardian is None:
        return True
    return any(approved_here(account, enrolment) for enrolment in enrolments)


def approved_here(account: Account, enrolment: Enrolment | None) -> bool:
    """Tell whether this very clinic has approved the guardian who made an account.

    The attack: a stranger whom one clinic took for a guardian by mistake signs in as the child at every other,
    one that takes everybody among them. So each clinic's approval is its own; and where it has noted that a child's
    name and address are protected it has approved nobody from whom the child may be hidden.
    """
    if account.guardian is None:
        return True
    if enrolment is None or is_protected(enrolment):
        return False
    return enrolment.standing is Standing.APPROVED and enrolment.guardian == account.guardian


def here(account: Account | None, enrolment: Enrolment | None) -> Account | None:
    """Return an account, where its addresses count at a clinic as the person's own.

    The attack: a stranger registers a child somewhere else, or a parent loses custody here, and reads in a mailbox
    of theirs when the child is at this clinic. Of an enrolment that is not there nobody has approved anything.
    """
    return account if account is not None and approved_here(account, enrolment) else None


def outgrown(visit: Visit, account: Account) -> bool:
    """Tell whether a child whose account a guardian made is a child no more, here and now.

    The attack: a parent's password opens a grown person's record for ever. It ends at 00:00 of the birthday from
    which nobody may register them; an account whose age cannot be seen is no child's.
    """
    return _is_of_age(account, max(visit.limits.grown_up, visit.clinic.grown_up), visit.clinic, visit.now)


def is_grown(account: Account, clinic: Clinic, now: datetime) -> bool:
    """Tell the same of a clinic and a moment, for who is on no visit."""
    return _is_of_age(account, clinic.grown_up, clinic, now)


def _is_of_age(account: Account, age: int, clinic: Clinic, now: datetime) -> bool:
    if account.guardian is None:
        return False
    born = birthdate_of(account.number, account.birthdate)
    return born is None or is_of_age(born, age, day_of(now, clinic.zone))


def lapsed(account: Account, enrolments: Sequence[Enrolment], clinic: Clinic, now: datetime) -> bool:
    """Tell whether what a guardian put into an account counts nowhere any more, as far as a clinic may decide it.

    Nobody has approved that guardian; or the child has grown up by this clinic's ages, and no other has approved them.
    """
    elsewhere = [enrolment for enrolment in enrolments if enrolment.clinic != clinic.id]
    grown = is_grown(account, clinic, now) and not vouched(account, elsewhere)
    return grown or not vouched(account, enrolments)


def told_of_help(enrolment: Enrolment, account: Account | None, clinic: Clinic, now: datetime) -> tuple[Contact, ...]:
    """Return where a patient is told of help: at what was shown to be theirs, and at what the clinic has as theirs.

    At both: staff who have just entered an address of their own must not be the only ones who hear of it. What a
    guardian put in is not theirs before the clinic has approved that one, and once they have grown up.
    """
    own = here(account, enrolment)
    shown = own.reachable if own is not None and not is_grown(own, clinic, now) else ()
    told = tuple(Contact(channel=channel, address=address) for channel, address in enrolment.told.items())
    return (*shown, *told)


def known_by(accounts: Accounts, enrolments: Enrolments) -> Callable[[str, str], bool]:
    """Return what tells whether a person uses a clinic, or asked to. It may raise StoreError.

    Of an account that a guardian made, whether the clinic has approved that one: the attack is a stranger who
    registers a child elsewhere, and reads in their own mailbox of which clinics it is a patient.
    """

    def knows(person: str, clinic: str) -> bool:
        found, account = enrolments.find(person, clinic), accounts.of(person)
        asked = found is not None and found.standing is not Standing.DECLINED
        return asked and (account is None or approved_here(account, found))

    return knows
