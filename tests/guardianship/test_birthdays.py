"""Before the birthday and on it, guardian and child are told that what a guardian may do ends: once each, in time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from idbroker.accounts.account import Account, Contact, Entry
from idbroker.clinic import LANGUAGES
from idbroker.clock import StoppedClock
from idbroker.guardianship.birthdays import DAYS, Birthdays
from idbroker.guardianship.records import Guardianship, new_id
from idbroker.messages import gsm
from idbroker.messages.message import Channel
from idbroker.words import read_texts
from tests.fallback_door import CLINIC, FallbackDoor, open_fallback_door

BIRTHDAY = date(2026, 12, 1)
NOON = timedelta(hours=11)  # UTC: noon in Copenhagen
MOTHER, OWN = "dorte@example.org", "mie@example.org"
LONGEST = {"service": "S" * 20, "clinic": "C" * 20, "phone": "+358 9 310 01 0023", "date": "22.11.2026", "age": "15"}


@pytest.fixture
def clock() -> StoppedClock:
    """Give noon, 61 days before the birthday."""
    return StoppedClock(datetime(2026, 10, 1, 10, tzinfo=UTC))


@pytest.fixture
def door(tmp_path: Path, clock: StoppedClock) -> Iterator[FallbackDoor]:
    """Give a clinic that knows Dorte as Mie's guardian; both have an account."""
    with open_fallback_door(tmp_path, clock) as opened:
        account_of(opened, "dorte", MOTHER)
        account_of(opened, "mie", OWN)
        noted(opened)
        yield opened


def account_of(door: FallbackDoor, who: str, address: str, **changed: Any) -> Account:
    """Give somebody an account with one address."""
    contact = Contact(channel=Channel.EMAIL, address=address, verified_at=door.clock.now())
    return door.account(who, **{"contacts": (contact,), **changed})


def noted(door: FallbackDoor, guardian: str = "dorte", **changed: Any) -> Guardianship:
    """Have the clinic note a guardian of Mie's."""
    accounts = door.rooms.counter.records.accounts
    row = Guardianship(
        **{
            "id": new_id(),
            "clinic": "clinea",
            "guardian": accounts.person(door.number(guardian), door.clock.now()),
            "ward": accounts.person(door.number("mie"), door.clock.now()),
            "recorded_at": door.clock.now(),
            "by": "staff",
            "limit_on": BIRTHDAY,
            **changed,
        }
    )
    assert door.house.durable.guardianships.add(row)
    return row


def on(door: FallbackDoor, days: int, at: timedelta = NOON) -> list[str]:
    """Go to so many days before the birthday, have a worker look, and return what was sent to whom since."""
    before = len(door.emails())
    moment = datetime(BIRTHDAY.year, BIRTHDAY.month, BIRTHDAY.day, tzinfo=UTC) - timedelta(days=days) + at
    door.clock.move(moment - door.clock.now())
    door.house.wards.birthdays.deliver(door.clock.now())
    door.deliver()
    return sorted(str(to[0]) for _, to, _ in door.mail.taken[before:])


def rows(door: FallbackDoor) -> tuple[Guardianship, ...]:
    """Return what the clinic has noted of Mie."""
    ward = door.rooms.counter.records.accounts.known(door.number("mie"))
    return door.house.durable.guardianships.of_ward(ward or "")


# ---- when ----------------------------------------------------------------------------------------


def test_each_message_once(door: FallbackDoor) -> None:
    """60, 14 and 1 days before, and on the day: each once, to the guardian and to the child; on no other day."""
    told = {days: on(door, days) for days in range(62, -5, -1)}

    assert [days for days, to in told.items() if to] == sorted(DAYS, reverse=True)
    assert {tuple(to) for to in told.values() if to} == {(MOTHER, OWN)}


def test_only_the_nearest(door: FallbackDoor) -> None:
    """After a long break, or a jump of the clock, one message goes: the nearest, not all that were missed."""
    assert on(door, 1) == [MOTHER, OWN]
    assert (on(door, 1), on(door, 2)) == ([], [])
    assert on(door, 0) == [MOTHER, OWN]


def test_too_late_is_no_news(door: FallbackDoor) -> None:
    """Days after the birthday nobody is told that something has ended which they have long noticed."""
    assert on(door, -4) == []
    assert [row.told for row in rows(door)] == [0]


def test_nobody_is_woken(door: FallbackDoor) -> None:
    """At midnight nothing is sent, but in the morning of the same day, where the clinic is."""
    midnight, eight = timedelta(hours=-1), timedelta(hours=7)
    assert on(door, 0, midnight + timedelta(minutes=1)) == []
    assert on(door, 0, eight - timedelta(minutes=61)) == []
    assert on(door, 0, eight) == [MOTHER, OWN]


def test_nobody_is_woken_further_east(tmp_path: Path, clock: StoppedClock) -> None:
    """While it is evening at one clinic and past midnight at another, the other's people sleep: told in the morning."""
    with open_fallback_door(tmp_path, clock, clinics={"easta": {**CLINIC, "country": "FI"}}) as door:
        account_of(door, "dorte", MOTHER)
        noted(door, clinic="easta")
        assert on(door, 1, timedelta(hours=22, minutes=30)) == []
        assert [row.told for row in rows(door)] == [None]
        assert on(door, 0, timedelta(hours=7)) == [MOTHER]


def test_nobody_looked_for_days(door: FallbackDoor) -> None:
    """Workers that were down on the birthday, and are up the day after: what has ended is told then, once."""
    assert on(door, 14) == [MOTHER, OWN]
    assert on(door, -1) == [MOTHER, OWN]
    assert on(door, -1, NOON + timedelta(hours=2)) == []


# ---- who -----------------------------------------------------------------------------------------


def test_two_guardians(door: FallbackDoor) -> None:
    """Each guardian is told, and the child once, however many guardians it has."""
    account_of(door, "mads", "mads@example.org")
    noted(door, "mads")

    assert on(door, 14) == [MOTHER, "mads@example.org", OWN]


def test_a_child_with_its_guardians_address(door: FallbackDoor) -> None:
    """A child registered with its mother's address is not told there again."""
    accounts = door.rooms.counter.records.accounts
    ward = rows(door)[0].ward
    same = Contact(channel=Channel.EMAIL, address=MOTHER, verified_at=door.clock.now())
    accounts.change(ward, lambda one: replace(one, contacts=(same,)))

    assert on(door, 14) == [MOTHER]


def test_who_has_no_account(door: FallbackDoor) -> None:
    """A guardian whom we cannot reach is no reason to try for ever, nor to leave the child untold."""
    noted(door, "mads")
    assert on(door, 60) == [MOTHER, OWN]
    assert {row.told for row in rows(door)} == {60}


def test_nobody_after_a_death(door: FallbackDoor) -> None:
    """Of a child that has died nobody is written to."""
    ward = rows(door)[0].ward
    entry = Entry(entered_at=door.clock.now(), by="staff", deceased_on=date(2026, 9, 1))
    door.enrol(ward, "clinea", entry=entry)

    assert [on(door, days) for days in DAYS[::-1]] == [[], [], [], []]


def test_nobody_once_it_has_ended(door: FallbackDoor) -> None:
    """A note that the clinic has ended is told of no more."""
    ward = rows(door)[0].ward
    door.house.durable.guardianships.end("clinea", ward, door.clock.now(), "custody")

    assert [on(door, days) for days in DAYS[::-1]] == [[], [], [], []]


# ---- once ----------------------------------------------------------------------------------------


def test_many_workers_tell_once(door: FallbackDoor) -> None:
    """Two workers that look at the same moment send one message to each."""
    mine = door.house.wards.birthdays
    found: list[Guardianship] = []
    other = replace(mine)
    moment = datetime(2026, 11, 17, 11, tzinfo=UTC)
    door.clock.move(moment - door.clock.now())
    try:
        found = list(rows(door))
        for row in found:  # both took it before either had told
            mine._write(row, BIRTHDAY, door.house.settings.clinics.by_id["clinea"], 14)
        other.deliver(moment)
        mine.deliver(moment)
    finally:
        other.close()

    assert len(door.emails()) == 2


def test_a_crash_between_letter_and_note(door: FallbackDoor) -> None:
    """Who breaks with the letter in the outbox leaves the row untold: it is taken again, and nothing goes twice."""
    clinic = door.house.settings.clinics.by_id["clinea"]
    moment = datetime(2026, 11, 17, 11, tzinfo=UTC)
    door.clock.move(moment - door.clock.now())
    door.house.wards.birthdays._write(rows(door)[0], BIRTHDAY, clinic, 14)
    door.deliver()
    assert [row.told for row in rows(door)] == [None]

    assert on(door, 14) == []
    assert [row.told for row in rows(door)] == [14]


def test_it_looks_once_an_hour(door: FallbackDoor) -> None:
    """A worker does not ask the store at every turn; a clock that is moved is noticed at once."""
    birthdays: Birthdays = door.house.wards.birthdays
    assert on(door, 61) == []
    later = noted(door, "mads", limit_on=BIRTHDAY)
    assert list(birthdays._take(door.clock.now() + timedelta(minutes=59))) == []
    assert [row.id for row in birthdays._take(door.clock.now() + timedelta(days=60))].count(later.id) == 1


# ---- what it says --------------------------------------------------------------------------------


def test_a_guardian_reads(door: FallbackDoor) -> None:
    """Before: what ends, and when. On the day: that it has, and where the child logs in; no name in either."""
    on(door, 60)
    text = next(mail for mail in door.emails() if "Din adgang på et barns vegne slutter 1.12.2026" in mail)
    assert "Fra 1.12.2026 er barnet gammelt nok til at logge ind selv" in text
    assert "Ring +45 70 10 00 00." in text

    on(door, 0)
    text = next(mail for mail in door.emails() if "Din adgang på et barns vegne er slut" in mail)
    assert "er fyldt 15 år" in text
    assert "https://portal.test/" in text.splitlines()
    assert "Mie" not in "".join(door.emails())


def test_a_child_reads(door: FallbackDoor) -> None:
    """The child is told of its own eID beforehand, and on the day where to log in with it."""
    on(door, 14)
    assert any("Fra 1.12.2026 logger du selv ind på Portalen" in mail for mail in door.emails())
    on(door, 0)
    assert any("Du er fyldt 15 år." in mail for mail in door.emails())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("key", ["m.age.sms", "m.age.day.sms", "m.age.own.sms", "m.age.own.day.sms"])
def test_it_fits_one_text_message(language: str, key: str) -> None:
    """In every language it is one segment of the 7-bit alphabet; on the day with the address of the service."""
    text = read_texts()[language][key].format(**LONGEST)
    whole = f"{text}\nhttps://{'h' * 28}/" if ".day" in key else text

    assert gsm.fits(whole), gsm.septets(whole)


def test_nobody_elses_mailbox(door: FallbackDoor) -> None:
    """The attack: a stranger who claims the child elsewhere, or has lost custody here, reads of its clinic and age."""
    accounts = door.rooms.counter.records.accounts
    ward, stranger = rows(door)[0].ward, accounts.person(door.number("karen"), door.clock.now())
    accounts.change(ward, lambda one: replace(one, guardian=stranger))
    door.enrol(ward, "clinea")

    assert on(door, 14) == [MOTHER]
    door.enrol(ward, "clinea", guardian=stranger)
    assert on(door, 1) == [MOTHER, OWN], "whom this clinic has approved set it up for the child"
    assert on(door, 0) == [MOTHER, OWN], "on the day, too, though it is outgrown"
