"""The families of the sandbox: each story is one that the registers tell and the rules judge so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from idbroker.ages import AGES, MAJORITY, age_on, comes_of_age, is_of_age
from idbroker.guardianship.rules import Claim, May, MayNot, judge
from idbroker.guardianship.tie import Tie
from idbroker.identity import LoA
from idbroker.sandbox.people import cast
from tests.sandbox.register_house import CLINICS, NOW, TODAY, Folk, folk

DAYS = (TODAY, date(2027, 2, 28), date(2028, 2, 29), date(2028, 3, 1), date(2030, 12, 31))


@pytest.fixture(scope="module")
def village(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folk]:
    """Give the register of the cast; nobody changes it."""
    folder: Path = tmp_path_factory.mktemp("register")
    with folk(folder) as village:
        yield village


def _judged(village: Folk, guardian: str, tie: Tie, now: datetime = NOW) -> May | MayNot:
    person = village.people[guardian]
    clinic = CLINICS[person.country]
    return judge(
        Claim(
            tie=tie, loa=person.loa, guardian_born=village.guardian(guardian).birthdate, limits=AGES[person.country],
            mandates=(), taken=True, now=now, zone=clinic.zone,
        )
    )  # fmt: skip


STORIES = (
    ("bjorn", {"saga": "", "alma": "deceased"}),
    ("klara", {"saga": ""}),
    ("barbro", {"saga": ""}),
    ("lina", {"tuva": "", "ture": ""}),
    ("hampus", {"tuva": "no_custody", "ture": "no_custody"}),
    ("anders", {"stina": ""}),
    ("sara", {"wilma": ""}),
    ("rebecka", {"milo": "care_order"}),
    ("patrik", {"love": "protected"}),
    ("aino", {"onni": "", "veera": "age"}),
    ("jaana", {"onni": "no_custody"}),
    ("leena", {"taimi": "age", "eeli": "", "elsa": "", "aamu": "deceased"}),
    ("heikki", {"taimi": "age", "eeli": "", "elsa": "", "aamu": "deceased"}),
    ("kirsi", {"noel": "care_order"}),
    ("tarja", {"toivo": "protected"}),
    ("anna", {"emil": "no_guardians"}),
    ("karen", {"frida": "no_guardians"}),
    ("dorte", {"mie": "no_guardians"}),
    ("mads", {"mie": "no_guardians"}),
    ("jorn", {"emil": "no_custody"}),
    ("petra", {"pil": "protected"}),
)


@pytest.mark.parametrize(("guardian", "expected"), STORIES)
def test_stories(village: Folk, guardian: str, expected: dict[str, str]) -> None:
    """What the register says of a guardian's wards comes to what their story says, by the rules of their country."""
    verdicts = {ward: _judged(village, guardian, tie) for ward, tie in village.wards(guardian).items()}

    told = {ward: one.reason if isinstance(one, MayNot) else "" for ward, one in verdicts.items()}
    assert told == expected


def test_every_pair_has_a_story(village: Folk) -> None:
    """Nobody of the cast has a ward that these tests say nothing of."""
    told = {(guardian, ward) for guardian, wards in STORIES for ward in wards}

    assert {(one.guardian, one.ward) for one in village.custody.all()} == told


def test_a_grandparent_is_told_apart(village: Folk) -> None:
    """Barbro may act for Saga as her grandmother, and both her parents, each alone, as who has custody."""
    relations = {who: village.wards(who)["saga"].relation for who in ("bjorn", "klara", "barbro")}

    assert relations == {"bjorn": "custody", "klara": "custody", "barbro": "grandparent"}


def test_who_is_protected_has_no_name(village: Folk) -> None:
    """The register tells of a protected child that it is, and neither name nor anything else to find it by."""
    tie = village.wards("patrik")["love"]

    assert (tie.protected, tie.name) == (True, None)


def test_twins(village: Folk) -> None:
    """Twins are two wards of one birthday, in Sweden and in Finland."""
    for parent, first, second in (("lina", "tuva", "ture"), ("leena", "eeli", "elsa")):
        wards = village.wards(parent)
        assert wards[first].born == wards[second].born
        assert wards[first].number != wards[second].number


def test_born_on_a_leap_day(village: Folk) -> None:
    """Born on 29 February, Stina turns 13 on 1 March: Anders acts for her until that day begins, and not then."""
    tie = village.wards("anders")["stina"]
    midnight = datetime(2029, 2, 28, 23, 0, tzinfo=UTC)

    assert tie.born == date(2016, 2, 29)
    assert _judged(village, "anders", tie, midnight - timedelta(seconds=1)) == May(midnight)
    assert _judged(village, "anders", tie, midnight) == MayNot("age")


@pytest.mark.parametrize("today", DAYS)
def test_who_is_how_old(today: date) -> None:
    """On any day Mie turns 15 the next, Taimi is 12 since midnight, and the twins are five."""
    people = {one.id: one for one in cast(today)}

    assert comes_of_age(people["mie"].born, 15) == today + timedelta(days=1)
    assert age_on(people["mie"].born, today) == 14
    assert comes_of_age(people["taimi"].born, 12) == today
    assert {age_on(people[who].born, today) for who in ("eeli", "elsa")} == {5}


def test_no_birthday_can_be_tomorrow() -> None:
    """Nobody turns 15 on a 29 February: on the day before, Mie is who turns 15 the day after it."""
    people = {one.id: one for one in cast(date(2028, 2, 28))}

    assert comes_of_age(people["mie"].born, 15) == date(2028, 3, 1)


def test_finland_is_an_hour_ahead() -> None:
    """Where it is tomorrow already, who is 12 today is 12 by that day."""
    people = {one.id: one for one in cast(TODAY, TODAY + timedelta(days=1))}

    assert comes_of_age(people["taimi"].born, 12) == TODAY + timedelta(days=1)
    assert comes_of_age(people["mie"].born, 15) == TODAY + timedelta(days=1)


def test_guardians_can_come(village: Folk) -> None:
    """Every guardian is of age, has an eID of their country and proves enough by it; every ward is younger."""
    eids = {"DK": "mitid", "SE": "bankid", "FI": "suomifi"}
    for one in village.custody.all():
        guardian, ward = village.people[one.guardian], village.people[one.ward]
        assert eids[guardian.country] in guardian.eids, one
        assert guardian.loa >= LoA.SUBSTANTIAL, one
        assert is_of_age(guardian.born, MAJORITY, TODAY), one
        assert guardian.country == ward.country, one


def test_relations_are_mutual(village: Folk) -> None:
    """Whoever is somebody's child has them for a parent: a story is told from both sides."""
    other = {"child": "parent", "grandchild": "grandparent", "none": "none", "in_care": "in_care"}
    for one in village.custody.all():
        guardian, ward = village.people[one.guardian], village.people[one.ward]
        assert ward.relations.get(guardian.id) == other[guardian.relations[ward.id]], one
