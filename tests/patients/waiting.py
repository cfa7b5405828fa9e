"""People who wait for a clinic's answer, as the queue and its page find them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from idbroker.accounts.account import Account, Contact, Enrolment, Entry, Standing
from idbroker.accounts.records import Records, new_handle
from idbroker.messages.message import Channel
from tests.office_door import Office

MAIL, MOBILE = "ada@example.test", "+4520654321"


def records_of(office: Office) -> Records:
    """Return the records of the house."""
    return office.house.rooms.counter.records


def account_of(office: Office, person: str, **changes: Any) -> Account:
    """Keep the account of one of the sandbox's people, with two addresses of their own."""
    number, now = office.number(person), office.clock.now()
    contacts = tuple(
        Contact(channel=channel, address=address, verified_at=now)
        for channel, address in ((Channel.EMAIL, MAIL), (Channel.SMS, MOBILE))
    )
    account = Account(
        person=records_of(office).accounts.person(number, now),
        number=number,
        given_name="Ada",
        family_name="Prøvesen",
        birthdate=number.birthdate,
        contacts=contacts,
        confirmed_at=now,
        created_at=now,
    )
    account = replace(account, **changes)
    assert records_of(office).accounts.add(account)
    return account


def entry_of(office: Office, person: str, **changes: Any) -> Entry:
    """Return what a clinic has written down: the same as the account says."""
    number = office.number(person)
    entry = Entry(
        number=number,
        given_name="Ada",
        family_name="Prøvesen",
        birthdate=number.birthdate,
        entered_at=office.clock.now(),
        by="staff-1",
    )
    return replace(entry, **changes)


def asked(office: Office, person: str, *, listed: bool = True, **changes: Any) -> Enrolment:
    """Let somebody ask Clinea to be taken, in whose list they are unless told otherwise."""
    account, now = account_of(office, person), office.clock.now()
    enrolment = Enrolment(
        person=account.person,
        clinic="clinea",
        standing=Standing.ASKED,
        asked_at=now,
        provider="fallback",
        handle=new_handle(),
        entry=entry_of(office, person) if listed else None,
        told={Channel.EMAIL: MAIL} if listed else {},
    )
    wanted = replace(enrolment, **changes)
    kept = records_of(office).enrolments.change(account.person, "clinea", lambda _: wanted)
    assert kept is not None
    return kept
