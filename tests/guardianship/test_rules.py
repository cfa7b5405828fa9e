"""Who may act for whom until when: every birth date, every country's limits, every moment around the birthday."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idbroker.ages import AGES, MAJORITY, Ages, comes_of_age, first_minute
from idbroker.clinic import COUNTRIES, Clinic
from idbroker.guardianship.rules import (
    LONGEST,
    Claim,
    May,
    MayNot,
    guardian_enters,
    judge,
    may_enter,
    own_end,
)
from idbroker.guardianship.tie import MANDATE, Tie
from idbroker.identity import Assisted, Identity, LoA
from tests.conftest import NOW

TODAY = NOW.date()
DAY, INSTANT = timedelta(days=1), timedelta(microseconds=1)
BIRTHS = [date(1900, 1, 1) + n * DAY for n in range((TODAY - date(1900, 1, 1)).days + 1)]
ZONES = {country: Clinic(id="c", name="C", country=country, providers=("x",)).zone for country in COUNTRIES}
# Denmark's default lets no guardian act; services that do set an age of their own.
LIMITS = {**AGES, "DK": replace(AGES["DK"], guardian_until=15)}
CLAIM = Claim(
    tie=Tie(person="ward", birthdate=date(2017, 8, 14)),
    loa=LoA.SUBSTANTIAL,
    guardian_born=date(1860, 3, 2),
    limits=LIMITS["DK"],
    mandates=(),
    taken=True,
    now=NOW,
    zone=ZONES["DK"],
)
ages = st.integers(0, MAJORITY)
limits_of = st.builds(Ages, eid_from=ages, guardian_until=ages, code_until=ages)


def claim(born: date | None, country: str = "DK", now: datetime = NOW, **changes: object) -> Claim:
    """Return a claim that only the ward's age decides."""
    here: dict[str, object] = {"limits": LIMITS[country], "zone": ZONES[country], "now": now}
    return replace(CLAIM, tie=Tie(person="ward", birthdate=born), **{**here, **changes})  # type: ignore[arg-type]


# ---- the ward's age ----------------------------------------------------------------------------------


@pytest.mark.parametrize("country", COUNTRIES)
def test_every_birth_date_has_an_answer_today(country: str) -> None:
    """Whoever was born when, today there is one answer: yes until a moment to come, or no because of the age."""
    limit = LIMITS[country].guardian_until
    answers = [judge(claim(born, country)) for born in BIRTHS]

    for born, answer in zip(BIRTHS, answers, strict=True):
        grown = TODAY.year - born.year - ((TODAY.month, TODAY.day) < (born.month, born.day)) >= limit
        assert isinstance(answer, MayNot if grown else May)
        assert answer == MayNot("age") if isinstance(answer, MayNot) else NOW < answer.until <= NOW + LONGEST


@pytest.mark.parametrize("country", COUNTRIES)
def test_the_right_ends_at_midnight_of_every_birthday(country: str) -> None:
    """Whoever was born when: a moment before midnight of the birthday a guardian may act, until then; and then not."""
    for born in BIRTHS:
        birthday = comes_of_age(born, LIMITS[country].guardian_until)
        midnight = first_minute(birthday, ZONES[country])

        assert judge(claim(born, country, midnight - INSTANT)) == May(midnight)
        assert judge(claim(born, country, midnight)) == MayNot("age")


@given(
    born=st.dates(date(1990, 1, 1), date(2040, 1, 1)),
    moments=st.lists(st.datetimes(datetime(2005, 1, 1), datetime(2065, 1, 1)), min_size=2, max_size=8),  # noqa: DTZ001 - made aware below
    limits=limits_of,
    country=st.sampled_from(COUNTRIES),
)
def test_who_is_grown_up_is_never_a_child_again(
    born: date, moments: list[datetime], limits: Ages, country: str
) -> None:
    """With any limits: once a guardian may act no more because of the age, they never may again."""
    answers = [judge(claim(born, country, each.replace(tzinfo=UTC), limits=limits)) for each in sorted(moments)]

    allowed = [isinstance(answer, May) for answer in answers]

    assert allowed == sorted(allowed, reverse=True)


@given(
    born=st.dates(date(2005, 1, 1), date(2026, 1, 1)),
    now=st.datetimes(datetime(2020, 1, 1), datetime(2045, 1, 1)),  # noqa: DTZ001 - made aware below
    until=st.none() | st.dates(date(2019, 1, 1), date(2046, 1, 1)),
    limits=limits_of,
    country=st.sampled_from(COUNTRIES),
)
def test_what_is_allowed_until_a_moment_is_refused_at_it(
    born: date, now: datetime, until: date | None, limits: Ages, country: str
) -> None:
    """With any limits and last day: it holds up to the moment that is told, and no longer, unless for a day at most."""
    asked = claim(born, country, now.replace(tzinfo=UTC), limits=limits)
    asked = replace(asked, tie=replace(asked.tie, until=until))

    answer = judge(asked)

    if isinstance(answer, May):
        assert asked.now < answer.until <= asked.now + LONGEST
        assert isinstance(judge(replace(asked, now=answer.until - INSTANT)), May)
        ends = judge(replace(asked, now=answer.until))
        assert isinstance(ends, MayNot) or answer.until == asked.now + LONGEST


def test_an_age_that_cannot_be_seen() -> None:
    """Of whom neither the register nor the number tells a birth date is nobody's child."""
    assert judge(claim(None)) == MayNot("age")


def test_where_no_guardian_acts() -> None:
    """In Denmark, unless a service has set an age, nobody acts for a child, and the trail says that it is for that."""
    assert judge(claim(date(2020, 1, 1), limits=AGES["DK"])) == MayNot("no_guardians")


# ---- everything else that decides ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "tie", "reason"),
    [
        ({"loa": LoA.LOW}, {}, "level"),
        ({"guardian_born": None}, {}, "guardian_age"),
        ({"guardian_born": date(2008, 11, 23)}, {}, "guardian_age"),
        ({}, {"barred": "care_order"}, "care_order"),
        ({}, {"deceased": True}, "deceased"),
        ({}, {"protected": True}, "protected"),
        ({}, {"until": TODAY}, "lapsed"),
        ({"taken": False}, {}, "not_a_patient"),
        ({}, {"relation": MANDATE, "powers": ("health",)}, "mandate"),
        ({"mandates": ("book",)}, {"relation": MANDATE, "powers": ("health",)}, "mandate"),
    ],
)
def test_each_reason_to_refuse(changes: dict[str, object], tie: dict[str, object], reason: str) -> None:
    """Each single cause refuses by itself, and the trail has its own word."""
    asked = replace(CLAIM, tie=replace(CLAIM.tie, **tie), **changes)  # type: ignore[arg-type]

    assert judge(asked) == MayNot(reason)


def test_a_guardian_who_is_eighteen_today() -> None:
    """From their eighteenth birthday on somebody may act for a child of theirs."""
    assert isinstance(judge(replace(CLAIM, guardian_born=date(2008, 11, 22))), May)


@pytest.mark.parametrize("born", [date(1941, 5, 1), date(2017, 8, 14), None])
def test_a_power_of_attorney_is_not_for_an_age(born: date | None) -> None:
    """Who has been given a power that the clinic accepts may act for somebody of any age, a day at a time."""
    tie = Tie(person="ward", birthdate=born, relation=MANDATE, powers=("health",))

    assert judge(replace(CLAIM, tie=tie, limits=AGES["DK"], mandates=("health",))) == May(NOW + LONGEST)


def test_the_registers_last_day_counts_at_local_midnight() -> None:
    """A right that a register ends on a day ends with the clinic's midnight before it."""
    tomorrow = TODAY + DAY

    answer = judge(replace(CLAIM, tie=replace(CLAIM.tie, until=tomorrow)))

    assert answer == May(datetime(2026, 11, 22, 23, 0, tzinfo=UTC))


# ---- signing in oneself --------------------------------------------------------------------------------


@given(limits=limits_of, age=st.integers(0, 120))
def test_age_only_opens_eids_and_only_closes_guardians(limits: Ages, age: int) -> None:
    """With any limits: a year older, an eID that was open still is, and a guardian who might not may not."""
    assert may_enter(limits, age, by_eid=True) <= may_enter(limits, age + 1, by_eid=True)
    assert guardian_enters(limits, age) >= guardian_enters(limits, age + 1)
    assert may_enter(limits, age, by_eid=True) <= may_enter(limits, age, by_eid=False)


def _by_password(born: date, **changes: object) -> Identity:
    """Return a sign-in of somebody by number, password and code."""
    proved: dict[str, object] = {"loa": LoA.LOW, "birthdate": born, "proved_at": NOW, **changes}
    return Identity(provider="fallback", issuer="https://us.example", subject="s", **proved)  # type: ignore[arg-type]


@pytest.mark.parametrize("country", COUNTRIES)
def test_a_childs_own_sign_in_ends_at_midnight_of_every_birthday(country: str) -> None:
    """Whoever was born when: a sign-in by password before the birthday ends at it; one after it has no such end."""
    limits, zone = AGES[country], ZONES[country]
    for born in BIRTHS[::3]:
        midnight = first_minute(comes_of_age(born, limits.code_until), zone)
        identity = _by_password(born)

        assert own_end(identity, limits, midnight - INSTANT, zone) == midnight
        assert own_end(identity, limits, midnight, zone) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"loa": LoA.SUBSTANTIAL},
        {"upstream_issued": NOW},  # an eID at the level low
        {"assisted": Assisted(staff="s", role="carer", clinic="c", client="p")},
        {"birthdate": None},
    ],
)
def test_only_passwords_end_by_age(changes: dict[str, object]) -> None:
    """An eID, and staff who vouch, end by limits of their own; so does a sign-in that tells no age."""
    assert own_end(_by_password(date(2015, 1, 1), **changes), AGES["DK"], NOW, ZONES["DK"]) is None
