"""Who enters by which way at which age, and that somebody always does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idbroker.ages import AGES, MAJORITY, Ages
from idbroker.clinic import COUNTRIES
from idbroker.guardianship.entering import Ways, gaps, open_at, overlaps, spans, ways_of
from idbroker.identity import LoA
from tests.oidc.making import make_client

ages = st.integers(0, MAJORITY)
limits_of = st.builds(Ages, eid_from=ages, guardian_until=ages, code_until=ages)
ways = st.builds(Ways, eid=st.booleans(), code=st.booleans(), guardian=st.booleans())
ALL = Ways(eid=True, code=True, guardian=True)


@pytest.mark.parametrize("country", COUNTRIES)
def test_no_country_leaves_anybody_out(country: str) -> None:
    """With every country's limits somebody can enter at every age, where eIDs, passwords and guardians are taken."""
    assert gaps(ALL, AGES[country]) == ()


@pytest.mark.parametrize("country", ["DK", "SE"])
def test_children_need_no_guardian_where_they_have_passwords(country: str) -> None:
    """In Denmark and Sweden eIDs and passwords are enough for every age, though no guardian acts."""
    assert gaps(Ways(eid=True, code=True), AGES[country]) == ()


@pytest.mark.parametrize(
    ("country", "words"), [("DK", "0 to 14"), ("SE", "0 to 12"), ("FI", "0 to 11"), ("NO", "0 to 15")]
)
def test_eids_alone_leave_children_out(country: str, words: str) -> None:
    """Where an eID is the only way, those below its age are a gap, and no others."""
    assert [gap.words for gap in gaps(Ways(eid=True), AGES[country])] == [words]


def test_the_year_between_guardian_and_eid() -> None:
    """A guardian until 12 and an eID from 13 leave those of 12 out."""
    limits = Ages(eid_from=13, guardian_until=12, code_until=0)

    assert [gap.words for gap in gaps(ALL, limits)] == ["12"]


def test_both_at_once() -> None:
    """A guardian until 13 and an eID from 10 are said to overlap."""
    limits = Ages(eid_from=10, guardian_until=13, code_until=0)

    assert [both.words for both in overlaps(ALL, limits)] == ["10 to 12"]


@given(open_=ways, limits=limits_of)
def test_spans_tell_every_age_once(open_: Ways, limits: Ages) -> None:
    """With any limits: the spans follow one another from 0 on, and say of each age what holds at that age."""
    found = spans(open_, limits)

    told = [age for span in found for age in range(span.first, (MAJORITY + 20 if span.last is None else span.last) + 1)]

    assert told == list(range(MAJORITY + 21))
    for span in found:
        assert open_at(open_, limits, span.first) == span.ways
        assert open_at(open_, limits, MAJORITY + 20 if span.last is None else span.last) == span.ways


@given(open_=ways, limits=limits_of)
def test_a_gap_is_an_age_at_which_nobody_enters(open_: Ways, limits: Ages) -> None:
    """With any limits: exactly those ages are gaps at which neither eID nor password nor guardian would be let in."""
    alone = open_.guardian and not open_.eid and not open_.code and limits.guardian_until > 0
    closed = {
        age
        for age in range(MAJORITY + 1)
        if not (open_.eid and age >= limits.eid_from)
        and not (open_.code and (age >= limits.eid_from or age < limits.code_until))
        and not (open_.guardian and age < limits.guardian_until)
    }

    told = {age for gap in gaps(open_, limits) for age in range(gap.first, (gap.last or MAJORITY) + 1)}

    assert told == (set() if alone else closed)


@pytest.mark.parametrize(
    ("changes", "levels", "there"),
    [
        ({}, [LoA.SUBSTANTIAL, LoA.LOW], Ways(eid=True)),
        ({"minimum": LoA.LOW}, [LoA.SUBSTANTIAL, LoA.LOW], Ways(eid=True, code=True)),
        ({"minimum": LoA.HIGH}, [LoA.SUBSTANTIAL, LoA.LOW], Ways()),
        ({"acting": "asked"}, [LoA.HIGH], Ways(eid=True, guardian=True)),
        ({"acting": "required", "minimum": LoA.LOW}, [LoA.HIGH, LoA.LOW], Ways(guardian=True)),
        ({"acting": "always", "minimum": LoA.LOW}, [LoA.LOW], Ways(code=True)),
    ],
)
def test_only_ways_that_are_really_there_count(changes: dict[str, object], levels: list[LoA], there: Ways) -> None:
    """A password counts where the level low is taken; a guardian needs an eID, and a service that takes guardians."""
    assert ways_of(make_client(**changes), levels) == there
