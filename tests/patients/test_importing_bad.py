"""Lists with something wrong in them: all of it is said, by line, nothing that stands there is, and nothing is done."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idbroker.accounts.account import Enrolment, Entry, Standing
from idbroker.clock import StoppedClock
from idbroker.patients.importing import AT_ONCE, MOST_TOLD, Imported
from idbroker.patients.listing import LONGEST_LINE, Listed, NotAList, PatientList, Wrong
from idbroker.store import open_durable
from tests.conftest import NOW
from tests.patients.list_house import CLINIC, HEAD, ListHouse, line_of, make_list, number_of


@pytest.fixture
def house(tmp_path: Path, clock: StoppedClock) -> Iterator[ListHouse]:
    """Give one over a file: what is wrong in a list is not the store's business."""
    durable = open_durable(f"sqlite:///{tmp_path}/broker.db", clock)
    durable.migrate()
    yield ListHouse(durable=durable, now=clock.now())
    durable.close()


def refused(house: ListHouse, octets: bytes) -> tuple[Wrong, ...]:
    """Return what is wrong with a list; nothing of it was taken in."""
    came_to = house.take(octets)
    assert not came_to.is_good
    assert house.counts() == dict.fromkeys(("person", "person_key", "enrolment", "finding", "event"), 0)
    return came_to.wrong


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("number=123", "number is no national number of DK (shape)"),
        ("number=310290-1234", "number is no national number of DK (date)"),
        ("number=", "number is missing"),
        ("given_name==cmd|' /C calc'!A0", "given_name is no name"),
        ("given_name=+1-1", "given_name is no name"),
        ("family_name=@SUM(A1)", "family_name is no name"),
        ("family_name=12", "family_name is no name"),
        ("family_name=\uff1dcmd", "family_name is no name"),
        ("family_name=\u202e=cmd", "family_name is no name"),
        ("family_name=A\ufffe", "family_name has signs that nobody sees"),
        ("birthdate=1950-05-05", "birthdate is another than the number's"),
        ("email==1@example.org", "email takes no e-mail (formula)"),
        ("email=+1+1@example.org", "email takes no e-mail (formula)"),
        (f"family_name={'a' * 81}", "family_name is longer than 80 signs"),
        ("birthdate=31.12.1980", "birthdate is no date: YYYY-MM-DD"),
        ("birthdate=2026-11-23", "birthdate is nobody's birth date"),
        ("birthdate=1066-10-14", "birthdate is nobody's birth date"),
        ("email=nobody", "email takes no e-mail (shape)"),
        ("email=a@b.dk\tBcc: all@b.dk", "email takes no e-mail (shape)"),
        ("phone=33 12", "phone takes no text messages (shape)"),
        ("phone=+46 8 123 45 00", "phone takes no text messages (landline)"),
        ("language=tlh", "language is none of da, sv, fi, en, nb"),
        ("exempt=lazy", "exempt is none of age, illness, no_number, abroad, other"),
        ("takes_part=maybe", "takes_part is neither yes nor no"),
        ("protected=maybe", "protected is neither yes nor no"),
        ("checked=guessed", "checked is none of passport, card, licence, eid, known, relative, list"),
    ],
)
def test_a_bad_field(house: ListHouse, field: str, wrong: str) -> None:
    """Each kind of bad field is told by its line and column, and what stands there is not."""
    name, _, text = field.partition("=")
    told = {"number": number_of(0), "family_name": "Person0", name: text}

    (found,) = refused(house, f"{','.join(told)}\n{','.join(told.values())}\n".encode())

    assert (found.line, f"{found.column} {found.why}") == (2, wrong)


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        (b"a,b", "has 2 fields where the first line has 5"),
        (b'0,"x,b,c,d', "has a quotation mark that is not closed, or stands inside a field"),
        (b'0,"x"y,b,c,d', "has a quotation mark that is not closed, or stands inside a field"),
        (b"0,\xe6\xf8\xe5,b,c,d", "is not UTF-8"),
        (b"0,a\0b,b,c,d", "has control characters"),
        (b"0,a\x1b[2Jb,b,c,d", "has control characters"),
        (b"0," + b"x" * LONGEST_LINE + b",b,c,d", f"is longer than {LONGEST_LINE} octets"),
        (b"0," + b"x" * 40 * LONGEST_LINE + b",b,c,d", f"is longer than {LONGEST_LINE} octets"),
    ],
)
def test_a_bad_line(house: ListHouse, line: bytes, wrong: str) -> None:
    """A line that does not read spoils itself alone: those around it are read."""
    good, bad = line_of(0).encode(), b"0,x,y,z"

    found = refused(house, b"\n".join([HEAD.encode(), good, line, bad, line_of(1).encode(), b""]))

    assert found == (Wrong(line=3, why=wrong), Wrong(line=4, why="has 4 fields where the first line has 5"))


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"", "does not name the columns"),
        (b"\n", "does not name the columns"),
        (b"x" * 2 * LONGEST_LINE, "does not name the columns"),
        (b"\xff\xfen\0u\0m\0", "UTF-16"),
        (b"number,\xe6\n", "not UTF-8"),
        (b"number,cpr\n", "1 unknown column names"),
        (b"number;family_name,email\n", "1 unknown column names"),
        (b"number,email,Email\n", "a column twice"),
        (b"family_name,email\n", "no column number"),
        (f"{number_of(0)},Person0\n".encode(), "2 unknown column names"),
    ],
)
def test_not_a_list(house: ListHouse, octets: bytes, why: str) -> None:
    """A file whose first line does not name our columns is refused whole; nothing that stands in it is repeated."""
    with pytest.raises(NotAList, match=why) as raised:
        house.take(octets)

    assert number_of(0) not in str(raised.value)


def test_all_that_is_wrong_is_told(house: ListHouse) -> None:
    """Of several wrong fields and lines each is told, in the order of the lines."""
    found = refused(house, make_list(0, f"1,=x,Y,no,{number_of(3)}", line_of(1), "2,A,B,,"))

    assert [(one.line, one.column) for one in found] == [
        (2, "number"),
        (2, "given_name"),
        (2, "email"),
        (2, "phone"),
        (4, "number"),
    ]


def test_so_many_are_told(house: ListHouse) -> None:
    """A list that is wrong all over is told by its first lines, and counted to its end."""
    came_to = house.take(make_list(0, *(["1,A,B,,"] * (AT_ONCE + 200))))

    assert (came_to.bad, len(came_to.wrong)) == (AT_ONCE + 200, MOST_TOLD)


@pytest.mark.parametrize("between", [0, 3, AT_ONCE + 1])
def test_twice_in_one_list(house: ListHouse, between: int) -> None:
    """Somebody who stands in it twice, however spelled and however far apart, is told with both lines."""
    again = f"{number_of(0)[:6]} - {number_of(0)[6:]},Prøve0,Person0,,"
    lines = [line_of(0), *map(line_of, range(1, between + 1)), again]

    found = refused(house, make_list(0, *lines))

    assert found == (Wrong(line=between + 3, column="number", why="the same person as on line 2"),)


def test_one_person_by_two_numbers(house: ListHouse) -> None:
    """A person who had another number before is one person: the two lines are told."""
    keys = [house.records.accounts.key(house.number(index)) for index in range(2)]
    house.durable.persons.meet(keys, house.now)

    came_to = house.take(make_list(3))

    assert came_to.wrong == (Wrong(line=3, column="number", why="the same person as on line 2"),)
    assert house.counts()["enrolment"] == 0


def test_under_another_name(house: ListHouse) -> None:
    """A number that the clinic has under another name is told: one of the two is somebody else's."""
    house.take(make_list(2))
    before = house.counts()

    came_to = house.take(
        make_list(2, f"{number_of(2)},A,B,,").replace(b"0,Person0,", "0,Å,".encode()).replace(b"Pr\xc3\xb8ve0", b"B")
    )

    assert came_to == Imported(
        bad=1,
        new=1,
        unchanged=1,
        wrong=(Wrong(line=2, column="number", why="is in the list under another name"),),
    )
    assert house.counts() == before


def test_another_name_than_the_account(house: ListHouse) -> None:
    """Where the clinic has written nothing down, its own patients' names are those they have shown."""
    account = house.account(0, given_name="Somebody", family_name="Else")
    here = Enrolment(person=account.person, clinic="clinea", standing=Standing.APPROVED, asked_at=house.now)
    house.records.enrolments.change(account.person, "clinea", lambda _: here)

    assert [one.column for one in house.take(make_list(1)).wrong] == ["number"]


def test_what_patients_told_is_no_name_to_compare(house: ListHouse) -> None:
    """What somebody typed who asked stands in no clinic's way: the list is what the clinic knows."""
    typed = Entry(given_name="Somebody", family_name="Else", entered_at=house.now, by="patient")
    asked = Enrolment(person=house.person(0), clinic="clinea", standing=Standing.ASKED, asked_at=house.now, entry=typed)
    house.records.enrolments.change(asked.person, "clinea", lambda _: asked)

    assert house.take(make_list(1)) == Imported(changed=1)

    one = house.enrolment(0)
    assert one is not None
    assert one.entry is not None
    assert (one.entry.name, one.entry.by) == ("Prøve0 Person0", "operator")


def test_somebody_who_has_died(house: ListHouse) -> None:
    """A list that has somebody as living whose death the clinic has noted is wrong there."""
    dead = Entry(deceased_on=house.now.date(), entered_at=house.now, by="operator")
    here = Enrolment(
        person=house.person(0), clinic="clinea", standing=Standing.APPROVED, asked_at=house.now, entry=dead
    )
    house.records.enrolments.change(here.person, "clinea", lambda _: here)

    assert house.take(make_list(1)).wrong == (Wrong(line=2, why="is of somebody who has died"),)


def test_nobody_without_a_name(house: ListHouse) -> None:
    """Whom the list does not know yet needs a name; who is there may be brought up to date without."""
    house.take(make_list(1))

    found = house.take(f"number,email\n{number_of(0)},new@example.org\n{number_of(1)},x@example.org\n".encode())

    assert found.wrong == (Wrong(line=3, why="has no name, and nobody of that number is in the list"),)


def test_words_of_a_database(house: ListHouse) -> None:
    """What would be a statement elsewhere is a name here (CWE-89), kept as it was written."""
    name = "Robert'); DROP TABLE enrolment;-- :now %s"

    assert house.take(make_list(0, f"{number_of(0)},,{name},,")) == Imported(new=1)

    one = house.enrolment(0)
    assert one is not None
    assert one.entry is not None
    assert one.entry.family_name == name


@given(octets=st.binary(max_size=300), headed=st.booleans())
def test_whatever_stands_there(octets: bytes, headed: bool) -> None:
    """No octets whatever do more than be wrong: each line is a patient, or wrong with a line that there is."""
    whole = (HEAD.encode() + b"\n" if headed else b"") + octets
    listed = PatientList(io.BytesIO(whole), CLINIC, NOW.date())
    try:
        found = list(listed.patients())
    except NotAList:
        return

    assert listed.octets == len(whole)
    lines = whole.count(b"\n") + 1
    assert all(1 < one.line <= lines for each in found for one in ([each] if isinstance(each, Listed) else each))


def test_names_hold_nothing_unseen(house: ListHouse) -> None:
    """Signs that turn text around, or are not seen, are no part of a name, as in the office's forms (bidi; L4)."""
    octets = make_list(0, f"{number_of(1)},\u202eAn\u200bna\u2066,Bé\u2028 Ce,,")
    (listed,) = PatientList(io.BytesIO(octets), CLINIC, NOW.date()).patients()
    assert isinstance(listed, Listed)
    assert (listed.sheet.given_name, listed.sheet.family_name) == ("An na", "Bé Ce")
