"""What a clinic's own record of a patient decides here: who need bring no eID, and who has died."""

from __future__ import annotations

from datetime import datetime

from idbroker.accounts.account import Account, Enrolment, Entry
from idbroker.identity import Identity

OWN = frozenset({"patient", "guardian"})  # `Entry.by` of what the clinic was told by those who asked, and no more


def exempt_at(account: Account, enrolment: Enrolment | None) -> str | None:
    """Return why a clinic's patient cannot use an eID, as that clinic has written it down; None: they can.

    The attack: one clinic's word, by mistake or bought, lets a password in everywhere that no eID has confirmed. So
    each clinic speaks for itself. `Account.exempt` is from before that was so: it counts at the clinics that had
    the patient then, whose enrolments have no entry, until they write one.
    """
    if enrolment is None:
        return None
    return account.exempt if enrolment.entry is None else enrolment.entry.exempt


def entry_of(enrolment: Enrolment | None, account: Account | None, by: str, now: datetime) -> Entry:
    """Return a clinic's record to write on: the one there is, else a blank one that keeps what counted before."""
    if enrolment is not None and enrolment.entry is not None:
        return enrolment.entry
    exempt = None if account is None else exempt_at(account, enrolment)
    return Entry(exempt=exempt, entered_at=now, by=by)


def asked_entry(found: Enrolment | None, by: str, identity: Identity, now: datetime) -> Entry:
    """Return the record of somebody who asks: the clinic's own where it has one, else what an eID or they say."""
    if found is not None and found.entry is not None and is_own(found.entry):
        return found.entry
    return Entry(
        number=identity.number,
        given_name=identity.given_name,
        family_name=identity.family_name,
        birthdate=identity.born,
        protected=identity.protected,
        entered_at=now,
        by=by,
    )


def is_own(entry: Entry | None) -> bool:
    """Tell whether a record is the clinic's own: what patients told themselves is nothing to compare with."""
    return entry is not None and entry.by not in OWN


def has_died(enrolment: Enrolment | None) -> bool:
    """Tell whether the clinic has noted a death: nobody signs in to its services as this person."""
    return enrolment is not None and enrolment.entry is not None and enrolment.entry.deceased_on is not None


def is_protected(enrolment: Enrolment | None) -> bool:
    """Tell whether the clinic has noted that name and address are protected: nobody acts for this person there."""
    return enrolment is not None and enrolment.entry is not None and enrolment.entry.protected
