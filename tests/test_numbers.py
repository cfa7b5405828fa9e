"""National numbers: every spelling reads, nothing else does, and no number is shown by accident.

Written-out numbers are from the ranges nobody real has: DVV's published fictitious HETU, Danish
replacement numbers (day + 60), Skatteverket's published test numbers.
"""

from __future__ import annotations

import pickle
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from stdnum import luhn
from stdnum.fi import hetu as stdnum_hetu
from stdnum.se import personnummer as stdnum_personnummer

from idbroker.codec import Codec
from idbroker.numbers import NationalNumber, NotANumber, birthdate_of, parse

TODAY = date(2026, 11, 22)
SIGNS = {18: "+", 19: "-YXWVU", 20: "ABCDEF"}
CHECKS = "0123456789ABCDEFHJKLMNPRSTUVWXY"

born = st.dates(date(1900, 1, 1), TODAY)
serial = st.integers(0, 9999)


@st.composite
def danish(draw: st.DrawFn) -> str:
    """Draw a Danish replacement number: day + 60, any last four that give a birth date till today."""
    day = draw(born)
    century = "56" if 2000 <= day.year <= 2036 else "03"
    seventh = draw(st.sampled_from(century))
    return f"{day.day + 60:02}{day:%m%y}{seventh}{draw(st.integers(0, 999)):03}"


@st.composite
def swedish(draw: st.DrawFn) -> str:
    """Draw a Swedish test number, of twelve digits; every other one a samordningsnummer."""
    day = draw(born)
    shift = draw(st.sampled_from([0, 60]))
    short = f"{day:%y%m}{day.day + shift:02}{draw(st.sampled_from(['980', '981', '238', '239']))}"
    return f"{day.year // 100}{short}{luhn.calc_check_digit(short)}"


@st.composite
def finnish(draw: st.DrawFn) -> str:
    """Draw a fictitious HETU: individual number 900-999, any sign of its century."""
    day = draw(born)
    individual = draw(st.integers(900, 999))
    check = CHECKS[int(f"{day:%d%m%y}{individual}") % 31]
    return f"{day:%d%m%y}{draw(st.sampled_from(SIGNS[day.year // 100]))}{individual}{check}"


known = st.one_of(
    st.tuples(st.just("DK"), danish()), st.tuples(st.just("SE"), swedish()), st.tuples(st.just("FI"), finnish())
)


@given(known)
def test_display_reads_back(case: tuple[str, str]) -> None:
    """The usual spelling of a number is read as the same number."""
    country, text = case

    number = parse(text, country, now=TODAY)

    assert number.value == text
    assert parse(number.display, country, now=TODAY) == number


@given(known, st.integers(0, 12))
def test_typing_does_not_matter(case: tuple[str, str], at: int) -> None:
    """Spaces, dots, no-break spaces, direction marks, full-width letters and lower case change nothing."""
    country, text = case
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in text.lower())
    spaced = f"\N{RIGHT-TO-LEFT MARK} {wide[:at]}\N{NO-BREAK SPACE}.{wide[at:]}\t\n"

    assert parse(spaced, country, now=TODAY).value == text


@given(st.text(), st.sampled_from(["DK", "SE", "FI", "NO", ""]), st.dates())
@example("0" * 10, "DK", TODAY)
@example("0" * 12, "SE", TODAY)
@example("000000-0000", "FI", TODAY)
@example("٠١٠١٩٠-١٢٣٤", "DK", TODAY)
@example("990230-2389", "SE", date(1, 1, 1))
def test_any_text_is_a_number_or_is_not(text: str, country: str, now: date) -> None:
    """No text whatever ends in anything but a number or NotANumber, which is a ValueError."""
    try:
        outcome = parse(text, country, now=now).country
    except NotANumber as error:
        outcome = error.reason

    assert issubclass(NotANumber, ValueError)
    assert outcome in {country, "shape", "date", "check", "country"}


@given(st.from_regex(r"[0-9]{6}([0-9]{2})?[-+]?[0-9]{4}|[0-9]{6}[-+A-Y][0-9]{3}[0-9A-Y]", fullmatch=True), st.dates())
def test_near_numbers_are_decided_too(text: str, now: date) -> None:
    """What is shaped like a number reads back as itself or is NotANumber, whatever day it is."""
    for country in ("DK", "SE", "FI"):
        try:
            number = parse(text, country, now=now)
        except NotANumber:
            continue
        assert parse(number.display, country, now=now) == number


@given(known, serial)
def test_masked_tells_nothing_of_the_last_four(case: tuple[str, str], last: int) -> None:
    """Numbers that differ in their last four only are masked alike: the mask holds nothing of them."""
    country, text = case
    number = parse(text, country, now=TODAY)
    other = NationalNumber(country=country, kind=number.kind, value=f"{text[:-4]}{last:04}")

    assert number.masked == other.masked
    assert number.masked.endswith("••••")


@given(known)
def test_a_number_is_not_printed(case: tuple[str, str]) -> None:
    """Neither repr nor str, which logs and tracebacks use, holds the number (ASVS 16.2.5)."""
    country, text = case
    number = parse(text, country, now=TODAY)

    assert text not in f"{number!r} {number}"
    assert text[-4:] not in f"{number!r} {number}"


@pytest.mark.parametrize(
    ("text", "country"),
    [("610190-12345", "DK"), ("19900101-9800", "SE"), ("010594Y9033", "FI"), ("310290-902X", "FI")],
)
def test_an_error_does_not_repeat_the_text(text: str, country: str) -> None:
    """An error text goes to logs, so what was typed is not in it, nor in its arguments."""
    with pytest.raises(NotANumber) as caught:
        parse(text, country, now=TODAY)

    assert text not in repr(caught.value)
    assert text[-4:] not in repr(caught.value.args)


@given(known)
def test_stores_keep_it_whole(case: tuple[str, str]) -> None:
    """A number survives our codec and pickling, as a frozen value must."""
    country, text = case
    number = parse(text, country, now=TODAY)
    codec = Codec(NationalNumber)

    assert codec.unpack(codec.pack(number)) == number
    assert pickle.loads(pickle.dumps(number)) == number  # noqa: S301  (our own bytes)


# Denmark


@pytest.mark.parametrize(
    ("text", "year"),
    [
        ("6101000000", 1900),
        ("6101993999", 1999),
        ("6101004000", 2000),
        ("6101264000", 2026),
        ("6101374000", 1937),
        ("6101999000", 1999),
        ("6101269000", 2026),
        ("6101379000", 1937),
        ("6101005000", 2000),
        ("6101268999", 2026),
    ],
)
def test_seventh_digit_tells_the_century(text: str, year: int) -> None:
    """The seventh digit and the year tell the century, as in the table of cpr.dk."""
    assert parse(text, "DK", now=TODAY).birthdate == date(year, 1, 1)


@pytest.mark.parametrize("text", ["6101585000", "6101998999", "6101905001"])
def test_danes_of_the_nineteenth_century_are_refused(text: str) -> None:
    """Seventh digit 5-8 with years 58-99 is a birth in the 1800s: a slip of the finger, not a patient."""
    with pytest.raises(NotANumber, match="date"):
        parse(text, "DK", now=TODAY)


@given(born, st.integers(0, 999), st.sampled_from([0, 60]))
def test_modulus_eleven_refuses_nobody(day: date, last: int, shift: int) -> None:
    """CPR numbers given since 2007 may fail modulus 11: every serial of a day that has been reads."""
    seventh = "5" if 2000 <= day.year <= 2036 else "0"

    number = parse(f"{day.day + shift:02}{day:%m%y}-{seventh}{last:03}", "DK", now=TODAY)

    assert number.birthdate == day
    assert number.is_test is (shift == 60)


@pytest.mark.parametrize("text", ["3202901234", "0013901234", "6002901234", "9201901234", "9102901234"])
def test_days_that_are_not_are_no_cpr(text: str) -> None:
    """A CPR, replacement numbers included, is of a real day."""
    with pytest.raises(NotANumber, match="date"):
        parse(text, "DK", now=TODAY)


@pytest.mark.parametrize(("country", "text"), [("DK", "831126-4000"), ("FI", "231126A902X"), ("SE", "20261123-2380")])
def test_the_unborn_have_no_number(country: str, text: str) -> None:
    """A birth date after today is refused: the day after `now` is one."""
    with pytest.raises(NotANumber):
        parse(text, country, now=TODAY)


def test_now_may_be_a_moment() -> None:
    """A datetime is a date to Python and is taken as one."""
    moment = datetime(2026, 11, 22, 9, tzinfo=UTC)

    assert parse("821126-4000", "DK", now=moment).birthdate == date(2026, 11, 22)


# Sweden


def test_tolvan_reads_in_all_his_spellings() -> None:
    """Twelve digits, ten with plus, and each with and without its sign: one canonical value."""
    spellings = ["191212121212", "19121212-1212", "121212+1212", "19121212+1212", "19 121212 1212"]

    assert {parse(text, "SE", now=TODAY).value for text in spellings} == {"191212121212"}


@given(swedish())
def test_ten_digits_find_their_century(twelve: str) -> None:
    """Ten digits with the sign that belongs to them are the same number as twelve (SKV 704)."""
    year = int(twelve[:4])
    sign = "+" if TODAY.year - year >= 100 else "-"

    assert parse(f"{twelve[2:8]}{sign}{twelve[8:]}", "SE", now=TODAY).value == twelve


@pytest.mark.parametrize(
    ("now", "year"), [(date(2026, 11, 22), "1926"), (date(2026, 12, 1), "2026"), (date(2026, 12, 2), "2026")]
)
def test_ten_digits_without_sign_are_the_latest_day_till_today(now: date, year: str) -> None:
    """Ten digits without a sign belong to the latest such day that is not after today."""
    short = "261201238"

    number = parse(short + luhn.calc_check_digit(short), "SE", now=now)

    assert number.value.startswith(year)


def test_plus_in_the_year_of_the_hundredth_birthday() -> None:
    """The plus comes with the year a person turns 100, before the birthday itself (SKV 704)."""
    short = "261201238"

    number = parse(f"261201+238{luhn.calc_check_digit(short)}", "SE", now=date(2026, 1, 1))

    assert number.birthdate == date(1926, 12, 1)


def test_unknown_dates_are_coordination_numbers() -> None:
    """A samordningsnummer may leave month and day open: it reads, and tells no birth date (SKV 707)."""
    number = parse("195000692383", "SE", now=TODAY)

    assert (number.kind, number.birthdate) == ("samordningsnummer", None)


@given(swedish())
def test_swedish_kinds_and_dates(twelve: str) -> None:
    """Day + 60 is a samordningsnummer, any other a personnummer; both tell the day."""
    number = parse(twelve, "SE", now=TODAY)
    day = int(twelve[6:8])

    assert number.kind == ("samordningsnummer" if day > 60 else "personnummer")
    assert number.birthdate == date(int(twelve[:4]), int(twelve[4:6]), day % 60)
    assert not number.is_test


@given(swedish(), st.integers(2, 11), st.integers(1, 9))
def test_one_wrong_digit_is_noticed_in_sweden(twelve: str, at: int, by: int) -> None:
    """Luhn finds every single wrong digit among the ten."""
    wrong = twelve[:at] + str((int(twelve[at]) + by) % 10) + twelve[at + 1 :]

    with pytest.raises(NotANumber):
        parse(wrong, "SE", now=TODAY)


@pytest.mark.parametrize("text", ["19900101-T801", "200101010000", "209901010001", "17900101-2384", "19901301-2384"])
def test_what_is_no_swedish_number(text: str) -> None:
    """Interim numbers with letters, birth number 000, other centuries and impossible days are refused."""
    with pytest.raises(NotANumber):
        parse(text, "SE", now=TODAY)


@given(swedish().filter(lambda twelve: int(twelve[6:8]) < 60))
def test_an_independent_library_agrees_on_sweden(twelve: str) -> None:
    """python-stdnum finds the same personnummer valid, with the same day."""
    display = f"{twelve[:8]}-{twelve[8:]}"

    assert stdnum_personnummer.is_valid(display)
    assert parse(twelve, "SE", now=TODAY).birthdate == date.fromisoformat(twelve[:8])


# Finland


@pytest.mark.parametrize(
    "text",
    [
        "010594Y9032", "010594Y9021", "020594X903P", "020594X902N", "030594W903B", "030694W9024", "040594V9030",
        "040594V902Y", "050594U903M", "050594U902L", "010516B903X", "010516B902W", "020516C903K", "020516C902J",
        "030516D9037", "030516D9026", "010501E9032", "020502E902X", "020503F9037", "020504A902E", "020504B904H",
    ],
)  # fmt: skip
def test_new_signs_read(text: str) -> None:
    """Every sign of decree 690/2022 reads, and stays: it alone may tell two people apart (DVV's codes)."""
    number = parse(text, "FI", now=TODAY)

    assert (number.value, number.display, number.is_test) == (text, text, True)
    assert number.birthdate is not None
    assert number.birthdate.year // 100 == (20 if text[6] in "ABCDEF" else 19)


def test_the_sign_is_part_of_the_number() -> None:
    """Two numbers that differ by the sign alone are two people: neither value nor key is shared."""
    old, new = (parse(f"010594{sign}9032", "FI", now=TODAY) for sign in "-Y")

    assert old.key != new.key
    assert old.birthdate == new.birthdate


@pytest.mark.parametrize("dash", ["-", "\N{EN DASH}", "\N{MINUS SIGN}", "\N{NON-BREAKING HYPHEN}", "－"])
def test_dashes_are_the_minus_sign(dash: str) -> None:
    """Any dash is the sign of the 1900s, and of nothing else."""
    assert parse(f"010594{dash}9032", "FI", now=TODAY).value == "010594-9032"


def test_plus_is_the_eighteen_hundreds() -> None:
    """The plus sign is a birth in the 1800s."""
    check = CHECKS[int("311299902") % 31]

    assert parse(f"311299+902{check}", "FI", now=TODAY).birthdate == date(1899, 12, 31)


@pytest.mark.parametrize("text", ["010594G9032", "010594-000Y", "010594-0010", "0105949032", "290201-902S"])
def test_what_is_no_hetu(text: str) -> None:
    """Signs nobody decreed, individual numbers 000 and 001, no sign, and days that are not."""
    with pytest.raises(NotANumber):
        parse(text, "FI", now=TODAY)


@given(finnish(), st.sampled_from(CHECKS))
def test_an_independent_library_agrees_on_finland(text: str, check: str) -> None:
    """python-stdnum and we find the same check characters right."""
    changed = text[:-1] + check
    try:
        parse(changed, "FI", now=TODAY)
        ours = True
    except NotANumber:
        ours = False

    assert ours is stdnum_hetu.is_valid(changed, allow_temporary=True)


@given(st.dates(TODAY + timedelta(1), date(2036, 12, 31)))
def test_tomorrows_children_wait(day: date) -> None:
    """No country's number is accepted before its day, and is on it."""
    text = f"{day.day + 60:02}{day:%m%y}4000"

    with pytest.raises(NotANumber, match="date"):
        parse(text, "DK", now=TODAY)
    assert parse(text, "DK", now=day).birthdate == day


def test_the_number_is_believed_before_what_is_said() -> None:
    """A birth date that somebody has typed counts where the number tells none, and in the order it is said."""
    other, third = date(2020, 5, 4), date(2021, 5, 4)

    assert birthdate_of(parse("821126-4000", "DK", now=date(2026, 11, 22)), other) == date(2026, 11, 22)
    assert birthdate_of(None, None, other, third) == other
    assert birthdate_of(None) is None
