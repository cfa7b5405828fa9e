"""The cast of the sandbox: nobody in it can be real, and each story has somebody."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime

import pytest

from idbroker.errors import OperatorError
from idbroker.identity import LoA
from idbroker.numbers import PERSONNUMMER, SAMORDNINGSNUMMER, parse
from idbroker.sandbox.people import SimPerson, cast
from idbroker.sandbox.world import check_cast

TODAY = datetime(2026, 11, 22, 9, 0, tzinfo=UTC).date()
PEOPLE = {person.id: person for person in cast(TODAY)}


@pytest.mark.parametrize("today", [TODAY, date(2028, 2, 29), date(2031, 1, 1)])
def test_nobody_can_be_real(today: date) -> None:
    """On any day all numbers are those kept for tests, tell the day of birth, and no two people share one."""
    people = cast(today)

    check_cast(people)
    numbers = [(p, parse(p.number, p.country, now=today)) for p in people if p.number is not None]
    assert [p.id for p, number in numbers if number.birthdate != p.born] == []
    assert len({number.key for _, number in numbers}) == len(numbers)
    assert len({p.id for p in people}) == len(people)


@pytest.mark.parametrize(
    ("person", "kind"), [("bjorn", PERSONNUMMER), ("elin", PERSONNUMMER), ("samir", SAMORDNINGSNUMMER)]
)
def test_swedes_have_a_number_of_their_kind(person: str, kind: str) -> None:
    """A coordination number has 60 added to its day, and the same check digit (SKV 704, SKV 707)."""
    assert parse(PEOPLE[person].number or "", "SE", now=TODAY).kind == kind


@pytest.mark.parametrize("number", ["198706199802", "194210228476"])
def test_a_swedish_number_off_the_list_is_refused(number: str) -> None:
    """A slip of the keyboard cannot make somebody's real number: no range of Swedish numbers is nobody's."""
    with pytest.raises(OperatorError, match="real person"):
        check_cast([dataclasses.replace(PEOPLE["bjorn"], number=number)])


def _told(person: SimPerson) -> tuple[str, str]:
    return person.freja_level, person.freja_loa


def test_freja_knows_people_in_every_way() -> None:
    """There is somebody of Freja Plus, of a level too low for it, from abroad, and without a Swedish number."""
    users = {name: person for name, person in PEOPLE.items() if "freja" in person.eids}

    assert {name for name, person in users.items() if _told(person) == ("PLUS", "LOA3")} == {"bjorn", "ake", "samir"}
    assert _told(users["elin"]) == _told(users["eero"]) == ("EXTENDED", "LOA2")
    assert _told(users["dagny"]) == ("EXTENDED", "LOA3_NR")
    assert (users["eero"].country, users["dagny"].country, users["dagny"].number) == ("FI", "DK", None)
    assert [p.id for p in users.values() if (p.freja_level == "PLUS") != (p.loa is LoA.SUBSTANTIAL)] == []
