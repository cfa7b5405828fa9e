"""What every store of clinics' notes of guardians promises (guardianship.records.Guardianships)."""

from __future__ import annotations

import dataclasses
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from idbroker.clock import StoppedClock
from idbroker.guardianship.records import Guardianship, new_id
from idbroker.store import Durable, open_durable
from tests.store.crowd import at_once, scans

DAY = timedelta(days=1)
CROWD = 24


def row(clock: StoppedClock, **changed: Any) -> Guardianship:
    """Return one."""
    usual: dict[str, Any] = {
        "id": new_id(),
        "clinic": "clinea",
        "guardian": "anna",
        "ward": "emil",
        "recorded_at": clock.now(),
        "by": "staff-1",
        "limit_on": date(2027, 5, 14),
    }
    return Guardianship(**{**usual, **changed})


def kept(durable: Durable, clock: StoppedClock, **changed: Any) -> Guardianship:
    """Keep one."""
    made = row(clock, **changed)
    assert durable.guardianships.add(made)
    return made


def test_as_it_was_kept(durable: Durable, clock: StoppedClock) -> None:
    """All of it comes back, by guardian and by ward: every day, power and moment."""
    whole = kept(durable, clock, relation="mandate", basis="x", powers=("a:b", "c"), until=date(2027, 1, 1), told=14)
    bare = kept(durable, clock, ward="ida", limit_on=None)

    assert set(durable.guardianships.of_guardian("anna")) == {whole, bare}
    assert durable.guardianships.of_ward("emil") == (whole,)
    assert durable.guardianships.of_ward("anna") == durable.guardianships.of_guardian("emil") == ()


def test_in_order(durable: Durable, clock: StoppedClock) -> None:
    """A guardian's are by clinic, and then by the birthday: the eldest child first."""
    later = kept(durable, clock, ward="b", limit_on=date(2030, 1, 1))
    other = kept(durable, clock, ward="c", clinic="another", limit_on=date(2031, 1, 1))
    sooner = kept(durable, clock, ward="d", limit_on=date(2029, 1, 1))

    assert durable.guardianships.of_guardian("anna") == (other, sooner, later)


def test_noted_once(durable: Durable, clock: StoppedClock) -> None:
    """One that holds for a clinic, a ward and a guardian; another of any of the three is another."""
    kept(durable, clock)

    assert not durable.guardianships.add(row(clock, relation="mandate"))
    for changed in ({"clinic": "another"}, {"ward": "ida"}, {"guardian": "lars"}):
        assert durable.guardianships.add(row(clock, **changed))


def test_noted_by_many_at_once(durable: Durable, clock: StoppedClock) -> None:
    """Of many who note the same at the same moment exactly one is told that it did, and nobody meets a fault."""
    answers = at_once(lambda _: durable.guardianships.add(row(clock)), CROWD)

    assert sorted(answers) == [False] * (CROWD - 1) + [True]
    assert len(durable.guardianships.of_ward("emil")) == 1


def test_ended(durable: Durable, clock: StoppedClock) -> None:
    """Of one guardian, or of all at a clinic; what has ended is nobody's, and may be noted again."""
    mine, other = kept(durable, clock), kept(durable, clock, guardian="lars")
    elsewhere = kept(durable, clock, clinic="another")
    ending = durable.guardianships

    assert ending.end("clinea", "emil", clock.now(), "custody", "anna") == 1
    assert ending.end("clinea", "emil", clock.now(), "custody", "anna") == 0
    assert ending.of_ward("emil") == (elsewhere, other)
    assert ending.add(dataclasses.replace(mine, id=new_id()))
    assert ending.end("clinea", "emil", clock.now(), "deceased") == 2
    assert ending.of_ward("emil") == (elsewhere,)


def test_what_a_clinics_no_has_ended_is_remembered(durable: Durable, clock: StoppedClock) -> None:
    """Of a guardian's, behind those that hold: ended for custody, or withdrawn; other ends are forgotten."""
    ending = durable.guardianships
    for why in ("custody", "withdrawn", "mistake", "deceased"):
        kept(durable, clock, ward=why)
        ending.end("clinea", why, clock.now(), why)
    written = kept(durable, clock, ward="z", ended_at=clock.now(), ended_why="custody")
    held = kept(durable, clock, ward="custody")

    found = ending.of_guardian_ever("anna")
    assert found[0] == held
    assert sorted(row.ward for row in found[1:]) == ["custody", "withdrawn", "z"]
    assert written in found
    assert ending.of_guardian("anna") == (held,)
    assert ending.of_guardian_ever("emil") == ()


def test_ended_by_many_at_once(durable: Durable, clock: StoppedClock) -> None:
    """Each is ended once, however many end it: one event is written for it, not many."""
    kept(durable, clock)
    answers = at_once(lambda _: durable.guardianships.end("clinea", "emil", clock.now(), "custody"), CROWD)

    assert sum(answers) == 1


@pytest.mark.parametrize("first", ["end", "add"])
def test_ended_and_noted_at_once(durable: Durable, clock: StoppedClock, first: str) -> None:
    """One ends what another notes anew: afterwards one holds or none, never two."""
    kept(durable, clock)
    turn = 0 if first == "end" else 1

    def act(number: int) -> int:
        if number % 2 == turn:
            return durable.guardianships.end("clinea", "emil", clock.now(), "custody")
        return int(durable.guardianships.add(row(clock)))

    at_once(act, CROWD)
    assert len(durable.guardianships.of_ward("emil")) <= 1


def test_nearing(durable: Durable, clock: StoppedClock) -> None:
    """Those whose birthday is near and of which nothing so near was told yet, the nearest first; mandates have none."""
    soon, later = kept(durable, clock, limit_on=date(2026, 12, 1)), kept(durable, clock, ward="ida")
    kept(durable, clock, ward="a", limit_on=None)
    kept(durable, clock, ward="b", limit_on=date(2026, 12, 2), told=14)
    ended = kept(durable, clock, ward="c", limit_on=date(2026, 12, 3))
    durable.guardianships.end("clinea", ended.ward, clock.now(), "custody")

    near = durable.guardianships.nearing
    assert near(date(2026, 12, 6), 14, 10) == (soon,)
    assert [one.ward for one in near(date(2027, 5, 14), 1, 10)] == ["emil", "b", "ida"]
    assert near(date(2027, 5, 14), 1, 1) == (soon,)
    assert near(date(2026, 11, 30), 60, 10) == ()
    assert later in near(date(2027, 5, 14), 60, 10)


def test_told_once(durable: Durable, clock: StoppedClock) -> None:
    """Of many who would tell the same thing exactly one does; what is nearer is told anew, what is farther never."""
    one = kept(durable, clock)
    for days in (60, 14, 1):
        answers = at_once(lambda _, days=days: durable.guardianships.tell(one.id, days), CROWD)  # type: ignore[misc]
        assert sum(answers) == 1
    assert not durable.guardianships.tell(one.id, 14)
    assert durable.guardianships.of_ward("emil")[0].told == 1
    assert not durable.guardianships.tell("nobody", 1)


def test_found_by_an_index(tmp_path: Path, clock: StoppedClock) -> None:
    """No question reads the table from end to end: it grows with every child that a clinic ever had."""
    durable = open_durable(f"sqlite:///{tmp_path}/broker.db", clock)
    durable.migrate()
    kept(durable, clock)
    asked = durable.guardianships
    for call in (
        lambda: asked.of_guardian("anna"),
        lambda: asked.of_guardian_ever("anna"),
        lambda: asked.of_ward("emil"),
        lambda: asked.end("clinea", "emil", clock.now(), "x"),
        lambda: asked.nearing(date(2027, 1, 1), 14, 10),
        lambda: asked.tell("x", 1),
        lambda: asked.due(clock.now(), ("clinea", "another"), DAY, 10),
        lambda: asked.check("x", clock.now()),
    ):
        assert scans(durable, "guardianship", call) == []
    durable.close()


def test_asked_about_again(durable: Durable, clock: StoppedClock) -> None:
    """What is new is due at once, at the clinics that ask; taken it comes back after its lease, or when it is said."""
    one, two = kept(durable, clock), kept(durable, clock, ward="ida", recorded_at=clock.now() + DAY)
    kept(durable, clock, clinic="another")
    ended = kept(durable, clock, ward="c")
    durable.guardianships.end("clinea", ended.ward, clock.now(), "custody")
    kept(durable, clock, ward="d", ended_at=clock.now(), ended_why="custody")
    due = durable.guardianships.due

    assert due(clock.now(), (), DAY, 10) == ()
    assert due(clock.now(), ("clinea",), DAY, 10) == (one,)
    assert due(clock.now(), ("clinea",), DAY, 10) == ()
    durable.guardianships.check(one.id, clock.now() + 3 * DAY)
    durable.guardianships.check(ended.id, clock.now())
    clock.move(DAY)
    assert due(clock.now(), ("clinea", "another"), DAY, 1)[0].clinic == "another"
    assert due(clock.now(), ("clinea", "another"), DAY, 10) == (two,)
    clock.move(2 * DAY)
    assert set(due(clock.now(), ("clinea",), DAY, 10)) == {one, two}


def test_asked_about_by_one_of_many(durable: Durable, clock: StoppedClock) -> None:
    """Of many workers that look at the same moment one takes each: a register is not asked twice."""
    rows = {kept(durable, clock, ward=str(number)).id for number in range(10)}
    taken = at_once(lambda _: durable.guardianships.due(clock.now(), ("clinea",), DAY, 3), CROWD)

    assert sorted(row.id for some in taken for row in some) == sorted(rows)


def test_no_more_than_there_is_room_for(durable: Durable, clock: StoppedClock) -> None:
    """However many note another guardian of one ward at the same moment, no more hold than there may; elsewhere do."""
    for number in range(18):
        kept(durable, clock, guardian=f"g{number}")

    answers = at_once(lambda n: durable.guardianships.add(row(clock, guardian=f"new{n}"), 20), CROWD)

    assert sorted(answers) == [False] * (CROWD - 2) + [True] * 2
    assert len(durable.guardianships.of_ward("emil")) == 20
    assert durable.guardianships.add(row(clock, clinic="another"), 20)
    assert durable.guardianships.end("clinea", "emil", clock.now(), "custody", "g1") == 1
    assert durable.guardianships.add(row(clock), 20)
