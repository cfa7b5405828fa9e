"""What an administrator's joining leaves behind, and what comes in between, on both stores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from idbroker.clock import StoppedClock
from idbroker.events import Event
from idbroker.patients.merging import Change, MergeRow, PersonRows
from idbroker.patients.patient import Conflict, NotDone
from idbroker.store import open_durable
from idbroker.store.merges import StoredMerges
from tests.patients.merge_house import CECILIA, OPERATOR, MergeHouse
from tests.patients.test_merging import NEW, OLD, by_number, done, handles


@pytest.fixture
def house(list_url: str, clock: StoppedClock) -> Iterator[MergeHouse]:
    """Give a house over each store."""
    durable = open_durable(list_url, clock)
    durable.migrate()
    yield MergeHouse(durable=durable, clock=clock)
    durable.close()


@pytest.mark.parametrize("last", [OLD, NEW])
@pytest.mark.parametrize("typed", [True, False])
def test_the_number_leads_to_the_record(house: MergeHouse, last: str, typed: bool) -> None:
    """Whichever record was made last, the number in the one that is left leads to its person, and not to the other."""
    people = {OLD: house.person(OLD), NEW: house.person(NEW)}
    for number in sorted(people, key=lambda one: one == last):
        house.clock.move(timedelta(minutes=1))
        house.enrolled(people[number], number if typed else OLD)
    mine, theirs = handles(house, people[OLD], people[NEW])

    merged = done(house.merging.join_patients(CECILIA, mine, theirs, house.now))

    left = house.records.enrolments.by_handle("clinea", merged.handle)
    assert left is not None
    assert left.entry is not None
    assert left.entry.number is not None
    assert left.entry.number.value == NEW.replace("-", "")
    assert left.person == merged.survivor == by_number(house, NEW) != by_number(house, OLD)


@pytest.mark.parametrize("by", [CECILIA, OPERATOR], ids=["administrator", "operator"])
def test_entered_anew_since(house: MergeHouse, by: object) -> None:
    """Joined, and the other entered again by the next list: nobody is told that it is done, for both are there."""
    older, newer = house.person(OLD), house.person(NEW)
    house.enrolled(older, OLD)
    house.enrolled(newer, NEW)
    first, second = handles(house, older, newer)
    done(house.merging.join_patients(CECILIA, first, second, house.now))
    house.enrolled(newer, OLD)
    before = house.opened()

    mine, theirs = handles(house, older, newer)
    if by is CECILIA:
        refused = house.merging.join_patients(CECILIA, mine, theirs, house.now)
    else:
        refused = house.merging.join(OPERATOR, older, newer, house.now)

    assert refused == NotDone(why=Conflict.ELSEWHERE)
    assert house.opened() == before


@dataclass(frozen=True)
class _SignsIn:
    """The store, and somebody who signs in at another clinic in the moment before it is written."""

    rows: StoredMerges
    house: MergeHouse

    def person(self, person: str) -> PersonRows | None:
        return self.rows.person(person)

    def elsewhere(self, person: str, clinic: str) -> bool:
        return self.rows.elsewhere(person, clinic)

    def find(self, merge: str) -> MergeRow | None:
        return self.rows.find(merge)

    def between(self, one: str, other: str) -> MergeRow | None:
        return self.rows.between(one, other)

    def write(self, change: Change) -> bool:
        who = change.before[0].person
        self.house.durable.events.record(
            Event(at=self.house.now, kind="signin.granted", clinic="clineb", client="portal", person=who)
        )
        return self.rows.write(change)


def test_signs_in_elsewhere_meanwhile(house: MergeHouse) -> None:
    """The attack: to join somebody in the moment in which they come to another clinic. It is asked again in writing."""
    older, newer = house.person(OLD), house.person(NEW)
    house.enrolled(older, OLD)
    house.enrolled(newer, NEW)
    before = house.opened()
    merging = replace(house.merging, rows=_SignsIn(house.durable.merges, house))

    mine, theirs = handles(house, older, newer)
    refused = merging.join_patients(CECILIA, mine, theirs, house.now)

    assert refused == NotDone(why=Conflict.ELSEWHERE)
    assert house.opened() == before
