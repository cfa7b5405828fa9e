"""What every store of enrolments promises (accounts.records.EnrolmentRows)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from idbroker.accounts.account import Enrolment, Standing
from idbroker.accounts.records import EnrolmentRow, Enrolments
from idbroker.clock import StoppedClock
from idbroker.errors import StoreError
from idbroker.person import PersonKey
from idbroker.store import Durable, open_durable
from tests.patients.list_house import sealer
from tests.store.crowd import at_once, scans, steps

MINUTE = timedelta(minutes=1)


def person(durable: Durable, clock: StoppedClock, number: int = 0) -> str:
    """Return one of the persons whom the store knows."""
    return durable.persons.meet([PersonKey(kind="number", digest=number.to_bytes(32, "big"))], clock.now())


def row(clock: StoppedClock, of: str, clinic: str = "clinic", **changes: Any) -> EnrolmentRow:
    """Return an enrolment's row."""
    one = EnrolmentRow(
        person=of,
        clinic=clinic,
        standing=Standing.ASKED,
        asked_at=clock.now(),
        handle=f"{of[:20]}-{clinic[:4]}",
        revision=1,
        sealed=b"\0\1sealed",
    )
    return dataclasses.replace(one, **changes)


def test_found_as_it_was_saved(durable: Durable, clock: StoppedClock) -> None:
    """An enrolment comes back with every field, to the microsecond, whatever its time zone was."""
    asked_at = (clock.now() - timedelta(microseconds=7)).astimezone(timezone(timedelta(hours=2)))
    one = row(clock, person(durable, clock), "kliniken på å", standing=Standing.DECLINED, asked_at=asked_at)

    assert durable.enrolment_rows.save(one)

    found = durable.enrolment_rows.find(one.person, one.clinic)
    assert found == one
    assert isinstance(found.standing, Standing)


def test_nothing_there(durable: Durable, clock: StoppedClock) -> None:
    """Who asked nowhere is nowhere."""
    me = person(durable, clock)

    assert durable.enrolment_rows.find(me, "clinic") is None
    assert durable.enrolment_rows.of(me) == ()
    assert durable.enrolment_rows.asked("clinic") == ()


def test_all_of_a_person_by_clinic(durable: Durable, clock: StoppedClock) -> None:
    """A person's enrolments come in the order of the clinics' names, and nobody else's with them."""
    me, other = person(durable, clock, 1), person(durable, clock, 2)
    for one in (row(clock, me, "b"), row(clock, me, "a", standing=Standing.APPROVED), row(clock, other, "c")):
        durable.enrolment_rows.save(one)

    assert durable.enrolment_rows.of(me) == (row(clock, me, "a", standing=Standing.APPROVED), row(clock, me, "b"))


def test_those_that_wait_oldest_first(durable: Durable, clock: StoppedClock) -> None:
    """A clinic sees who asked it and has no answer, in the order they asked, as many as it wants."""
    people = [person(durable, clock, number) for number in range(6)]
    minutes = (3, 1, 2, 5, 4)
    for one, ago in zip(people, minutes, strict=False):
        durable.enrolment_rows.save(row(clock, one, asked_at=clock.now() - ago * MINUTE))
    durable.enrolment_rows.save(row(clock, people[3], revision=2, standing=Standing.APPROVED))
    durable.enrolment_rows.save(row(clock, people[4], revision=2, standing=Standing.DECLINED))
    durable.enrolment_rows.save(row(clock, people[5], "another"))

    waiting = durable.enrolment_rows.asked("clinic")

    assert [one.person for one in waiting] == [people[0], people[2], people[1]]
    assert durable.enrolment_rows.asked("clinic", 2) == waiting[:2]


def test_added_once_for_each_clinic(durable: Durable, clock: StoppedClock) -> None:
    """A second first revision changes nothing; another clinic is another enrolment."""
    me = person(durable, clock)
    durable.enrolment_rows.save(row(clock, me))

    assert not durable.enrolment_rows.save(row(clock, me, standing=Standing.APPROVED))
    assert durable.enrolment_rows.save(row(clock, me, "another"))
    assert durable.enrolment_rows.find(me, "clinic") == row(clock, me)


def test_changed_from_the_revision_before(durable: Durable, clock: StoppedClock) -> None:
    """A revision replaces the one before it and no other, with all that it is searched by."""
    me = person(durable, clock)
    durable.enrolment_rows.save(row(clock, me))
    again = row(clock, me, asked_at=clock.now() + MINUTE, standing=Standing.DECLINED, revision=2, sealed=b"\0\2second")

    assert durable.enrolment_rows.save(again)
    assert not durable.enrolment_rows.save(dataclasses.replace(again, standing=Standing.APPROVED))
    assert not durable.enrolment_rows.save(dataclasses.replace(again, revision=4))
    assert not durable.enrolment_rows.save(row(clock, me, "another", revision=2))
    assert durable.enrolment_rows.of(me) == (again,)


def test_of_two_decisions_one_holds(durable: Durable, clock: StoppedClock) -> None:
    """200 who ask at once ask once; of 200 who decide at once one does, and the others must look again."""
    me = person(durable, clock)
    decisions = (Standing.APPROVED, Standing.DECLINED)

    assert at_once(lambda _: durable.enrolment_rows.save(row(clock, me))).count(True) == 1
    decided = at_once(
        lambda number: durable.enrolment_rows.save(row(clock, me, revision=2, standing=decisions[number % 2]))
    )

    assert decided.count(True) == 1
    found = durable.enrolment_rows.find(me, "clinic")
    assert found is not None
    assert found.standing is decisions[decided.index(True) % 2]


def test_nobody_asks_whom_nobody_knows(durable: Durable, clock: StoppedClock) -> None:
    """An enrolment is somebody's whom the store knows."""
    with pytest.raises(StoreError):
        durable.enrolment_rows.save(row(clock, "nobody"))


def test_nobody_there(durable_url: str, clock: StoppedClock) -> None:
    """Without its table every call is a StoreError."""
    store = open_durable(durable_url, clock)
    calls: tuple[Callable[[], object], ...] = (
        lambda: store.enrolment_rows.find("p", "c"),
        lambda: store.enrolment_rows.of("p"),
        lambda: store.enrolment_rows.asked("c"),
        lambda: store.enrolment_rows.save(row(clock, "p")),
        lambda: store.enrolment_rows.save(row(clock, "p", revision=2)),
    )
    for call in calls:
        with pytest.raises(StoreError):
            call()
    store.close()


def test_looked_up_by_index(tmp_path: Path, clock: StoppedClock) -> None:
    """No call reads the table from end to end, and 2,000 that were approved cost what twenty cost."""
    store = open_durable(f"sqlite:///{tmp_path}/broker.db", clock)
    store.migrate()
    waits = person(store, clock, 9999)
    store.enrolment_rows.save(row(clock, waits))

    def fill(first: int, to: int) -> None:
        for number in range(first, to):
            store.enrolment_rows.save(row(clock, person(store, clock, number), standing=Standing.APPROVED))

    def every_call() -> None:
        assert [one.person for one in store.enrolment_rows.asked("clinic")] == [waits]
        assert len(store.enrolment_rows.of(waits)) == 1
        store.enrolment_rows.find(waits, "clinic")
        store.enrolment_rows.save(row(clock, waits))
        store.enrolment_rows.save(row(clock, waits, revision=9))

    fill(0, 20)
    every_call()
    few = steps(store, every_call)
    fill(20, 2000)

    assert scans(store, "enrolment", every_call) == []
    assert steps(store, every_call) < 2 * few
    store.close()


def test_the_rows_handle_counts(durable: Durable, clock: StoppedClock) -> None:
    """A migration that gives handles anew opens nothing that is sealed: what the row says is what is told."""
    enrolments = Enrolments(durable.enrolment_rows, sealer())
    me = person(durable, clock)
    made = Enrolment(person=me, clinic="clinic", standing=Standing.APPROVED, asked_at=clock.now())
    kept = enrolments.change(me, "clinic", lambda _: made)
    with durable.database.writing() as connection:
        connection.exec_driver_sql("UPDATE enrolment SET handle = 'aaaaaaaaaaaaaaaaaaaaaa'")

    found = enrolments.find(me, "clinic")

    assert found is not None
    assert found.handle == "a" * 22 != (kept and kept.handle)
    assert enrolments.by_handle("clinic", found.handle) == found
