"""Which of a patient's own addresses a clinic may read whole: only what they have brought there themselves (L16)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from idbroker.accounts.account import Account, Contact, Enrolment, Standing
from idbroker.events import Event
from idbroker.messages.message import Channel
from idbroker.numbers import parse
from idbroker.patients.comparing import told_here

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
DAY = timedelta(days=1)
MAIL, MOBILE = "ada@example.test", "+4520654321"
BOTH = {Channel.EMAIL: MAIL, Channel.SMS: MOBILE}
ENROLMENT = Enrolment(person="ada", clinic="clinea", standing=Standing.APPROVED, asked_at=NOW)
ACCOUNT = Account(
    person="ada",
    number=parse("010180-0001", "DK", now=NOW.date()),
    password="set",
    password_set_at=NOW - 5 * DAY,
    contacts=(
        Contact(channel=Channel.EMAIL, address=MAIL, verified_at=NOW - 9 * DAY),
        Contact(channel=Channel.SMS, address=MOBILE, verified_at=NOW - DAY),
    ),
    created_at=NOW - 10 * DAY,
)
SENT = replace(ACCOUNT, only_at=("clinea",), only_since=NOW - 5 * DAY)


def came(provider: str | None = "mitid", at: datetime = NOW, **detail: str) -> Event:
    """Return a sign-in at the clinic."""
    said = {"loa": "low" if provider in ("fallback", "assisted") else "substantial", **detail}
    return Event(at=at, kind="signin.granted", clinic="clinea", provider=provider, person="ada", detail=said)


@pytest.mark.parametrize(
    ("theirs", "told"),
    [
        ((), {}),
        ((came(None),), {}),
        ((came("assisted"), came("assisted", loa="low")), {}),
        ((came("mitid"),), BOTH),
        ((came("mitid", ward="a child"),), {}),
        ((replace(came("mitid"), detail={}),), {}),
        ((came("another", loa="substantial"),), BOTH),
        ((came("another", loa="low"),), {}),
        ((came("fallback", loa="low"),), BOTH),
        ((came("fallback", NOW - 6 * DAY),), {}),
    ],
)
def test_who_has_come(theirs: tuple[Event, ...], told: dict[Channel, str]) -> None:
    """Whoever has not come by an eID, or by the password that they have now, gives this clinic no address."""
    assert told_here(ENROLMENT, ACCOUNT, theirs) == told


@pytest.mark.parametrize(
    ("account", "theirs", "told"),
    [
        (SENT, came("fallback"), {Channel.SMS: MOBILE}),
        (SENT, came("mitid"), BOTH),
        (replace(SENT, only_at=("neuroreg",)), came("fallback"), {}),
        (replace(SENT, only_at=("clinea", "neuroreg")), came("fallback"), {}),
    ],
)
def test_access_that_a_clinic_has_sent(account: Account, theirs: Event, told: dict[Channel, str]) -> None:
    """The attack: staff send access to a mailbox of their own, sign in, and read where the person is reached."""
    assert told_here(ENROLMENT, account, (theirs,)) == told


@pytest.mark.parametrize(
    ("account", "enrolment"),
    [
        ({"guardian": "parent"}, {}),
        ({"disabled": True}, {}),
        ({}, {"standing": Standing.ASKED}),
        ({}, {"standing": Standing.KNOWN}),
        ({}, {"standing": Standing.DECLINED}),
    ],
)
def test_whose_it_is_not(account: dict[str, Any], enrolment: dict[str, Any]) -> None:
    """A guardian's address, a closed account's, and whom the clinic has not taken: nothing is told."""
    assert told_here(replace(ENROLMENT, **enrolment), replace(ACCOUNT, **account), (came(),)) == {}


def test_only_what_was_shown_to_be_theirs() -> None:
    """An address that no code has confirmed is nobody's word."""
    unproved = replace(ACCOUNT, contacts=(Contact(channel=Channel.EMAIL, address=MAIL),))
    assert told_here(ENROLMENT, unproved, (came(),)) == {}
    assert told_here(ENROLMENT, None, (came(),)) == {}
