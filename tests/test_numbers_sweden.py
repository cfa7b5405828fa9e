"""Personnummer and samordningsnummer over all dates and around every boundary (Skatteverket SKV 704, SKV 707).

What is made here is made of the birth numbers that Skatteverket's test numbers mostly have. None is written out but
those on its list.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn

from idbroker.numbers import PERSONNUMMER, SAMORDNINGSNUMMER, NationalNumber, NotANumber, parse

TODAY = date(2026, 11, 22)
DAY = timedelta(days=1)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DASHES = "-\N{HYPHEN}\N{NON-BREAKING HYPHEN}\N{FIGURE DASH}\N{EN DASH}\N{EM DASH}\N{MINUS SIGN}－"

births = st.dates(date(1900, 1, 1), TODAY)
serials = st.sampled_from(["238", "239", "980", "981"])


def made(year: int, month: int, day: int, serial: str = "238") -> str:
    """Return twelve digits, with their check digit."""
    short = f"{year % 100:02}{month:02}{day:02}{serial}"
    return f"{year // 100}{short}{luhn.calc_check_digit(short)}"


def read(text: str, now: date = TODAY) -> NationalNumber:
    """Read a Swedish number."""
    return parse(text, "SE", now=now)


def days(first: date, last: date) -> Iterator[date]:
    """Return every day of a time."""
    return (first + DAY * count for count in range((last - first).days + 1))


def test_every_day_of_thirteen_decades() -> None:
    """Of every day since 1900 both kinds read, in ten digits and in twelve, and tell the day."""
    for day in days(date(1900, 1, 1), TODAY):
        sign = "+" if TODAY.year - day.year >= 100 else "-"
        person, coordinated = made(day.year, day.month, day.day), made(day.year, day.month, day.day + 60)

        number, other = read(f"{person[2:8]}{sign}{person[8:]}"), read(coordinated)

        assert (number.value, number.kind, number.birthdate) == (person, PERSONNUMMER, day)
        assert (other.value, other.kind, other.birthdate) == (coordinated, SAMORDNINGSNUMMER, day)


def test_no_other_day_is_a_personnummers() -> None:
    """Days that no calendar has, 00 and 32 among them, are none, in any month; nor are months but 01 to 12."""
    real = {(day.month, day.day) for day in days(date(2023, 1, 1), date(2023, 12, 31))}
    for month in range(100):
        for day in range(60):
            if (month, day) not in real:
                with pytest.raises(NotANumber, match="date"):
                    read(made(2023, month, day))


def test_a_samordningsnummer_may_leave_the_date_open() -> None:
    """Month 00 and day 60 stand for what is not known: it reads in every year, and tells no birth date (SKV 707)."""
    for year in range(1900, TODAY.year + 1):
        for month, day in ((0, 60), (0, 75), (5, 60), (2, 90), (2, 91)):
            number = read(made(year, month, day))
            assert (number.kind, number.birthdate) == (SAMORDNINGSNUMMER, None)
            assert number.masked.startswith(str(year))


@pytest.mark.parametrize(("month", "day"), [(13, 61), (99, 60), (1, 92), (0, 99)])
def test_what_is_no_samordningsnummer(month: int, day: int) -> None:
    """There is no thirteenth month, and no day after the thirty-first."""
    with pytest.raises(NotANumber, match="date"):
        read(made(1990, month, day))


def test_one_on_skatteverkets_list() -> None:
    """A test number of the list that leaves the month open reads, in its other spellings too."""
    assert read("500069-2383").value == read("19500069+2383").value == "195000692383"


@given(births, st.integers(0, 150 * 365), st.sampled_from([0, 60]), serials)
def test_the_sign_and_today_tell_the_century(born: date, later: int, shift: int, serial: str) -> None:
    """Whenever ten digits are read, with the sign of that year they are the same twelve (SKV 704)."""
    now = min(born + DAY * later, date(2099, 12, 31))
    twelve = made(born.year, born.month, born.day + shift, serial)
    age = now.year - born.year
    ten = f"{twelve[2:8]}{'+' if age >= 100 else '-'}{twelve[8:]}"

    assert read(ten, now).value == twelve


@given(st.dates(date(1927, 1, 1), date(1999, 12, 31)).filter(lambda day: f"{day:%m%d}" != "0229"), serials)
def test_the_day_a_century_turns(born: date, serial: str) -> None:
    """Ten digits without a sign are the elder's until the day the child is born, and the child's from then on."""
    elder, child = made(born.year, born.month, born.day, serial), date(born.year + 100, born.month, born.day)
    ten = elder[2:]

    assert read(ten, child - DAY).value == elder
    assert read(ten, child).value == f"{child.year // 100}{ten}"


@given(births)
def test_nobody_is_read_before_birth(born: date) -> None:
    """The day before, twelve digits are refused, of both kinds; a year that is yet to come too, its day left open."""
    for shift in (0, 60):
        with pytest.raises(NotANumber, match="date"):
            read(made(born.year, born.month, born.day + shift), born - DAY)
    with pytest.raises(NotANumber, match="date"):
        read(made(born.year + 1, 0, 60), born)


@given(births, st.integers(0, 9), st.sampled_from(["", "-", "+"]), st.sampled_from([0, 60]))
def test_birth_number_000_is_nobodys(born: date, check: int, sign: str, shift: int) -> None:
    """Birth numbers are 001 to 999, whatever the check digit says."""
    with pytest.raises(NotANumber, match="shape"):
        read(f"{born:%Y%m}{born.day + shift:02}{sign}000{check}")


@given(births, st.integers(2, 11), st.sampled_from(LETTERS + LETTERS.lower() + "ÅÄÖåäö"), st.sampled_from(["", "-"]))
def test_interim_numbers_are_none(born: date, at: int, letter: str, sign: str) -> None:
    """A number with a letter is one that a hospital, school or insurer made up for the time being."""
    twelve = made(born.year, born.month, born.day)
    lettered = f"{twelve[:at]}{letter}{twelve[at + 1 :]}"

    for text in (lettered, lettered[2:]):
        with pytest.raises(NotANumber, match="shape"):
            read(f"{text[:-4]}{sign}{text[-4:]}")


@given(births, st.sampled_from(DASHES), st.booleans(), st.sampled_from([0, 60]))
def test_any_dash_and_width(born: date, dash: str, wide: bool, shift: int) -> None:
    """Every dash is the minus sign, full-width digits and plus are digits and plus, and spaces are nothing."""
    twelve = made(born.year, born.month, born.day + shift)
    sign = "+" if TODAY.year - born.year >= 100 else dash
    text = f" {twelve[2:6]} {twelve[6:8]}\N{NO-BREAK SPACE}{sign} {twelve[8:]}\N{ZERO WIDTH SPACE}"
    widened = "".join(chr(ord(one) + 0xFEE0) if one in "0123456789+" else one for one in text) if wide else text

    assert read(widened).value == twelve


@given(births, st.integers(0, 9), st.sampled_from([0, 60]))
def test_one_check_digit_of_ten(born: date, check: int, shift: int) -> None:
    """Luhn takes one of ten, over the ten digits without the century (SKV 704)."""
    twelve = made(born.year, born.month, born.day + shift)
    changed = twelve[:-1] + str(check)

    if changed == twelve:
        assert read(changed).value == twelve
    else:
        with pytest.raises(NotANumber, match="check"):
            read(changed)


@pytest.mark.parametrize(("now", "sign"), [(date(1850, 1, 1), "-"), (date(1950, 1, 1), "+"), (date(2199, 1, 1), "-")])
def test_other_centuries_than_three(now: date, sign: str) -> None:
    """A clock that is far off makes no number of another century than 18, 19 and 20: it would never read back."""
    with pytest.raises(NotANumber, match="date"):
        read(f"510101{sign}{made(1951, 1, 1)[8:]}", now)
