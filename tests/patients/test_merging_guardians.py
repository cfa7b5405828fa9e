"""Who may act for whom when two persons become one, and two again, on both stores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from idbroker.clock import StoppedClock
from idbroker.guardianship.records import USED, Guardianship, new_id
from idbroker.patients.merging import Merged
from idbroker.patients.patient import Conflict, NotDone
from idbroker.store import open_durable
from tests.patients.merge_house import CECILIA, OPERATOR, MergeHouse

OLD, NEW, CHILD = "610190-0001", "610190-0002", "640520-4001"


@pytest.fixture
def house(list_url: str, clock: StoppedClock) -> Iterator[MergeHouse]:
    """Give a house over each store."""
    durable = open_durable(list_url, clock, pool_size=16)
    durable.migrate()
    yield MergeHouse(durable=durable, clock=clock)
    durable.close()


def three(house: MergeHouse) -> tuple[str, str, str]:
    """Return one patient who is at the clinic twice, the older first, and a child."""
    older, newer, child = house.person(OLD), house.person(NEW), house.person(CHILD)
    house.enrolled(older, OLD)
    house.enrolled(newer, NEW)
    return older, newer, child


def noted(house: MergeHouse, guardian: str, ward: str, clinic: str = "clinea") -> Guardianship:
    """Note a guardian."""
    row = Guardianship(id=new_id(), clinic=clinic, guardian=guardian, ward=ward, recorded_at=house.now, by="x")
    assert house.durable.guardianships.add(row)
    return row


def test_go_over_and_back(house: MergeHouse) -> None:
    """As guardian and as ward, the absorbed person's are the survivor's; parted again they are as they were."""
    older, newer, child = three(house)
    as_guardian, as_ward = noted(house, newer, child), noted(house, child, newer)
    own = noted(house, older, child, "clineb")
    ties = house.durable.guardianships

    merged = house.merging.join(OPERATOR, older, newer, house.now)
    assert isinstance(merged, Merged)
    assert ties.of_guardian(newer) == ties.of_ward(newer) == ()
    assert set(ties.of_guardian(older)) == {replace(as_guardian, guardian=older), own}
    assert ties.of_ward(older) == (replace(as_ward, ward=older),)

    house.clock.move(timedelta(minutes=1))
    assert isinstance(house.merging.split(OPERATOR, merged.id, house.now), Merged)
    assert ties.of_guardian(newer) == (as_guardian,)
    assert ties.of_ward(newer) == (as_ward,)
    assert ties.of_guardian(older) == (own,)


def test_what_both_had_holds_once(house: MergeHouse) -> None:
    """One guardian of one ward at one clinic holds once; nobody is their own guardian."""
    older, newer, child = three(house)
    stays = noted(house, older, child)
    noted(house, newer, child)
    noted(house, older, newer)

    assert isinstance(house.merging.join(OPERATOR, older, newer, house.now), Merged)
    assert house.durable.guardianships.of_guardian(older) == (stays,)
    assert house.durable.guardianships.of_ward(older) == ()


def test_the_clinics_no_to_what_was_used_goes_along(house: MergeHouse) -> None:
    """The attack: custody is lost, two records are joined, and the register that has not heard lets the parent in."""
    older, newer, child = three(house)
    used = Guardianship(
        id=new_id(), clinic="clinea", guardian=newer, ward=child, basis=USED, recorded_at=house.now, by="register"
    )
    ties = house.durable.guardianships
    assert ties.add(used)
    ties.end("clinea", child, house.now, "custody", newer)
    assert ties.add(replace(used, id=new_id(), ward="f" * 32))

    assert not ties.forget_used("clinea", newer, (child,))
    assert isinstance(house.merging.join(OPERATOR, older, newer, house.now), Merged)

    kept = ties.of_guardian_ever(older)
    assert [(row.ward, row.ended_why) for row in kept] == [(child, "custody")]


@pytest.mark.parametrize("side", ["guardian", "ward"])
def test_no_guardian_of_another_clinic_is_taken_over(house: MergeHouse, side: str) -> None:
    """The attack: an administrator joins their own number with a guardian's, and acts for children elsewhere."""
    older, newer, child = three(house)
    tie = (older, child) if side == "guardian" else (child, older)
    row = noted(house, *tie, clinic="clineb")
    found = [house.records.enrolments.find(one, "clinea") for one in (older, newer)]
    mine, theirs = (one.handle for one in found if one is not None)

    refused = house.merging.join_patients(CECILIA, mine, theirs, house.now)
    assert isinstance(refused, NotDone)
    assert refused.why is Conflict.ELSEWHERE
    assert house.durable.guardianships.of_ward(row.ward) == (row,)


def test_what_runs_for_either_ends(house: MergeHouse) -> None:
    """What acts for one of the two rests on a name that services know them by no more."""
    older, newer, _ = three(house)
    ended: list[str] = []

    def end(ward: str, _why: str) -> int:
        ended.append(ward)
        return 0

    merging = replace(house.merging, end_acting=end)

    assert isinstance(merging.join(OPERATOR, older, newer, house.now), Merged)
    assert set(ended) == {older, newer}


def test_noted_meanwhile(house: MergeHouse) -> None:
    """Who is noted between the look and the write is not left behind: the join begins anew, with them."""
    older, newer, child = three(house)
    write, late = house.durable.merges.write, list[Guardianship]()

    class Rows:
        def __getattr__(self, name: str) -> object:
            return getattr(house.durable.merges, name)

        def write(self, change: object) -> bool:
            if not late:
                late.append(noted(house, newer, child))
            return write(change)  # type: ignore[arg-type]

    merging = replace(house.merging, rows=Rows())  # type: ignore[arg-type]
    assert isinstance(merging.join(OPERATOR, older, newer, house.now), Merged)
    assert [row.guardian for row in house.durable.guardianships.of_ward(child)] == [older]
