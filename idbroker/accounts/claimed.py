"""What a guardian's claim to a child is kept as: an enrolment that asks, and two accounts."""

from __future__ import annotations

from idbroker.accounts.account import Account, Contact, Enrolment, Entry, Standing
from idbroker.accounts.question import Proved
from idbroker.accounts.records import new_handle
from idbroker.accounts.registering import Draft, Ward
from idbroker.numbers import NationalNumber
from idbroker.visit import Visit

CHECKED = "register"  # how it was seen who a child's guardian is, where a register has vouched


def child_enrolment(visit: Visit, proved: Proved, ward: Ward, person: str, *, vouched: bool) -> Enrolment:
    """Return the request to take a child, by who says to be its guardian; `vouched` by a register."""
    return Enrolment(
        person=person,
        clinic=visit.clinic.id,
        standing=Standing.ASKED,
        asked_at=visit.now,
        provider=proved.identity.provider,
        guardian=proved.person,
        client=visit.client.id,
        language=visit.language,
        handle=new_handle(),
        entry=Entry(
            number=ward.number,
            given_name=ward.given_name,
            family_name=ward.family_name,
            birthdate=ward.number.birthdate,
            checked=CHECKED if vouched else None,
            entered_at=visit.now,
            by="guardian",
        ),
    )


def guardian_account(visit: Visit, proved: Proved, number: NationalNumber, contacts: tuple[Contact, ...]) -> Account:
    """Return where a guardian is reached who had no account: no sign-in."""
    return Account(
        person=proved.person,
        number=number,
        given_name=proved.identity.given_name,
        family_name=proved.identity.family_name,
        birthdate=proved.identity.born,
        language=visit.language,
        contacts=contacts,
        confirmed_at=visit.now,
        created_at=visit.now,
    )


def child_account(visit: Visit, proved: Proved, draft: Draft, ward: Ward, person: str) -> Account:
    """Return the child's own sign-in, as the guardian sets it up: it opens nothing before that one is approved."""
    return Account(
        person=person,
        number=ward.number,
        given_name=ward.given_name,
        family_name=ward.family_name,
        birthdate=ward.number.birthdate,
        language=visit.language,
        password=draft.password,
        password_set_at=visit.now if draft.password else None,
        contacts=draft.reached.contacts,
        confirmed_at=visit.now,
        guardian=proved.person,
        created_at=visit.now,
    )
