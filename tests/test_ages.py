"""From which day somebody is old enough: every birth date, every age, every zone's midnight."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idbroker.ages import AGES, MAJORITY, Ages, age_on, comes_of_age, day_of, first_minute, is_of_age, mistakes_of
from idbroker.clinic import COUNTRIES, Clinic
from tests.conftest import NOW

TODAY = NOW.date()
DAY, INSTANT = timedelta(days=1), timedelta(microseconds=1)
BIRTHS = [date(1900, 1, 1) + n * DAY for n in range((TODAY - date(1900, 1, 1)).days + 1)]
ZONES = ("Europe/Copenhagen", "Europe/Stockholm", "Europe/Helsinki", "Europe/Oslo")
FIELDS = ("eid_from", "guardian_until", "code_until")


def counted(born: date, day: date) -> int:
    """Return how old somebody is, counted in another way than the code does."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def test_every_birthday_of_every_birth_date() -> None:
    """Whoever was born when: at every age up to 18 there is one birthday, and the age counts from that day on."""
    for born in BIRTHS:
        for age in range(MAJORITY + 1):
            birthday = comes_of_age(born, age)
            assert birthday.year == born.year + age
            assert counted(born, birthday) == age
            assert age == 0 or counted(born, birthday - DAY) == age - 1


def test_how_old_everybody_is_today() -> None:
    """Whoever was born when is of one age today, which agrees with every birthday of theirs."""
    for born in BIRTHS:
        age = age_on(born, TODAY)
        assert age == counted(born, TODAY)
        assert is_of_age(born, age, TODAY)
        assert not is_of_age(born, age + 1, TODAY)


def test_nobody_is_overtaken() -> None:
    """Of two people the older has each birthday no later than the younger."""
    for age in range(MAJORITY + 1):
        birthdays = [comes_of_age(born, age) for born in BIRTHS]
        assert birthdays == sorted(birthdays)


@pytest.mark.parametrize(
    ("age", "birthday"),
    [(1, date(2009, 3, 1)), (4, date(2012, 2, 29)), (12, date(2020, 2, 29)), (15, date(2023, 3, 1))],
)
def test_the_twenty_ninth_of_february(age: int, birthday: date) -> None:
    """Who was born on a leap day has the birthday of other years on the 1 March, not a day too early."""
    assert comes_of_age(date(2008, 2, 29), age) == birthday


def test_a_leap_day_of_a_year_that_has_none() -> None:
    """2100 is no leap year, though it can be divided by four."""
    assert comes_of_age(date(2088, 2, 29), 12) == date(2100, 3, 1)


def test_who_is_not_born_yet_is_of_no_age() -> None:
    """A birth date in the future is a mistake somewhere: its person counts as newly born, and as nobody of age."""
    assert age_on(TODAY + 400 * DAY, TODAY) == 0
    assert age_on(TODAY + DAY, TODAY) == 0
    assert not is_of_age(TODAY + DAY, 0, TODAY)


@pytest.mark.parametrize("zone", ZONES)
def test_a_day_begins_at_local_midnight(zone: str) -> None:
    """Every day of 1924 to 2050 begins at its first moment, whenever the clock of the zone was changed."""
    there = ZoneInfo(zone)
    for born in BIRTHS:
        day = born + 24 * 366 * DAY
        midnight = first_minute(day, there)
        assert day_of(midnight, there) == day
        assert day_of(midnight - INSTANT, there) == day - DAY


@pytest.mark.parametrize("changed", [date(2026, 3, 29), date(2026, 10, 25)])
@pytest.mark.parametrize("zone", ZONES)
def test_the_clock_changes_within_the_day(zone: str, changed: date) -> None:
    """The days on which the clock changes have 23 and 25 hours, and begin at midnight all the same."""
    there = ZoneInfo(zone)
    begins, ends = (first_minute(day, there) for day in (changed, changed + DAY))

    assert ends - begins == timedelta(hours=23 if changed.month == 3 else 25)


def test_midnight_is_the_clinics() -> None:
    """An hour before the day begins in Denmark it has begun in Finland."""
    moment = first_minute(date(2026, 11, 23), ZoneInfo("Europe/Helsinki"))

    assert day_of(moment, ZoneInfo("Europe/Helsinki")) == date(2026, 11, 23)
    assert day_of(moment, ZoneInfo("Europe/Copenhagen")) == date(2026, 11, 22)


# ---- the limits ------------------------------------------------------------------------------------


def test_every_country_has_its_limits() -> None:
    """Wherever a clinic may be there are limits, all of them childhood's."""
    assert set(AGES) == set(COUNTRIES)
    assert all(0 <= getattr(limits, name) <= MAJORITY for limits in AGES.values() for name in FIELDS)


@given(clinic=st.dictionaries(st.sampled_from(FIELDS), st.integers(0, MAJORITY)),
       client=st.dictionaries(st.sampled_from(FIELDS), st.integers(0, MAJORITY)),
       country=st.sampled_from(COUNTRIES))  # fmt: skip
def test_a_service_outweighs_its_clinic_and_that_its_country(
    clinic: dict[str, int], client: dict[str, int], country: str
) -> None:
    """Each limit is the service's, else the clinic's, else the country's; what is set is never lost."""
    here = Clinic(id="c", name="C", country=country, providers=("x",), ages=clinic)

    limits = here.limits.but(client)

    for name in FIELDS:
        assert getattr(limits, name) == client.get(name, clinic.get(name, getattr(AGES[country], name)))


@given(settings=st.dictionaries(st.sampled_from((*FIELDS, "child_age", "eid")), st.integers(-5, 30)))
def test_only_good_limits_pass(settings: dict[str, int]) -> None:
    """A name that is not known, and an age before birth or after majority, are mistakes, each told by its name."""
    wrong = {name for name, age in settings.items() if name not in FIELDS or not 0 <= age <= MAJORITY}

    assert {told.split()[0].removeprefix("ages.") for told in mistakes_of(settings)} == wrong


def test_nobody_is_a_child_after_both_limits() -> None:
    """What any guardian may do ends with the later of the two: the password's, and acting's."""
    assert Ages(eid_from=15, guardian_until=12, code_until=15).grown_up == 15
    assert Ages(eid_from=12, guardian_until=12, code_until=0).grown_up == 12
