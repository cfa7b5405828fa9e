"""Calls when several do something at once, and when somebody is stopped in the middle of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from idbroker.errors import StoreError
from idbroker.events import Event
from idbroker.patients.call import LEASE, Call, Outcome
from idbroker.patients.telephone import Calls, Witness
from tests.patients.telephone_house import Line, Slow, at_once, open_line, shows_nothing


@pytest.fixture(scope="module")
def open_all_day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """Open a line for a module."""
    with open_line(tmp_path_factory.mktemp("line")) as line:
        yield line


@pytest.fixture
def line(open_all_day: Line) -> Line:
    """Return the line as new."""
    open_all_day.reset()
    return open_all_day


@dataclass
class Forgetful:
    """A trail that cannot be written so many times."""

    witness: Witness
    times: int

    def witnessed(self, event: Event, evidence: Any, now: datetime) -> None:
        """Keep it, or not."""
        if self.times > 0:
            self.times -= 1
            raise StoreError("away")
        self.witness.witnessed(event, evidence, now)


def slowly(line: Line, first: Any) -> Calls:
    """Return the engine of a worker in which something happens before it has BankID's answer."""
    return replace(line.calls, eids={**line.calls.eids, "bankid": Slow(line.calls.eids["bankid"], first)})


def test_two_colleagues_begin_at_once(line: Line) -> None:
    """Of eight who ask the same patient together all see one call, and the app rings once."""
    handle = line.enter()
    names = ["anna", "bo", "cecilia"]

    calls = at_once(8, lambda number: line.begin(handle, by=names[number % 3]))

    assert len({call.id for call in calls}) == 1
    assert len(line.ringing()) == 1
    assert [event.kind for event in line.trail()] == ["patient.calling"]


def test_many_pages_ask_the_eid_once(line: Line) -> None:
    """A6: however many pages look, BankID is asked once in two seconds; all of them see what came of it."""
    call = line.begin(line.enter())
    line.act("approve")
    asked: list[int] = []
    calls, now = slowly(line, lambda: asked.append(1)), line.clock.now() + timedelta(seconds=2)

    at_once(8, lambda _: calls.look(line.office.actor("anna"), call.id, now))

    assert len(asked) == 1
    assert line.look(call).outcome is Outcome.CONFIRMED
    assert line.outcomes() == ["confirmed"]


def test_nobody_asks_between(line: Line) -> None:
    """A second after a look nobody asks again, and two seconds after it somebody does."""
    call, asked = line.begin(line.enter()), list[int]()
    calls, anna, now = slowly(line, lambda: asked.append(1)), line.office.actor("anna"), line.clock.now()

    for second in (0, 1, 2, 3, 4):
        calls.look(anna, call.id, now + timedelta(seconds=second))

    assert len(asked) == 2


def test_an_answer_after_the_end(line: Line) -> None:
    """Staff end the call while the approval is on its way: the end stands, and the trail says that alone."""
    call = line.begin(line.enter())
    line.act("approve")
    calls, now = slowly(line, lambda: line.end(call, "bo")), line.clock.now() + timedelta(seconds=2)

    seen = calls.look(line.office.actor("anna"), call.id, now)

    assert (seen.outcome, seen.reason) == (Outcome.CANCELLED, "ended")
    assert line.look(call) == seen
    assert line.outcomes() == ["cancelled"]


def test_an_end_while_it_is_dialled(line: Line) -> None:
    """A colleague ends the call before the app has rung: the order that comes of it is taken back at once."""
    handle = line.enter()

    def hang_up() -> None:
        line.end(line.begin(handle, by="bo"), "bo")

    begun = slowly(line, hang_up).begin(
        line.office.actor("anna"), handle, "bankid", by_clinic=False, now=line.clock.now()
    )

    assert isinstance(begun, Call)
    assert begun.outcome is Outcome.CANCELLED
    assert line.ringing() == ()
    assert line.outcomes() == ["cancelled"]


def test_ended_by_many_at_once(line: Line) -> None:
    """Pressed by eight at once, a call is ended once."""
    call = line.begin(line.enter())

    at_once(8, lambda _: line.end(call))

    assert line.outcomes() == ["cancelled"]
    assert line.look(call).reason == "ended"


def test_no_result_without_its_event(line: Line) -> None:
    """What the trail cannot keep is not shown: the page fails, then waits, and shows it when it is written, once."""
    call = line.begin(line.enter())
    line.act("approve")
    calls = replace(line.calls, witness=Forgetful(line.calls.witness, 1))
    anna = line.office.actor("anna")
    line.clock.move(timedelta(seconds=2))

    with pytest.raises(StoreError):
        calls.look(anna, call.id, line.clock.now())
    meanwhile = line.look(call)
    seen = line.look(call, later=LEASE.total_seconds())

    assert shows_nothing(meanwhile)
    assert seen.outcome is Outcome.CONFIRMED
    assert line.outcomes() == ["confirmed"]
    assert line.evidence(line.trail("patient.called")[0]).keys() >= {"signature"}


def test_nobody_is_asked_without_an_event(line: Line) -> None:
    """Where the trail cannot be written no app rings; another may be begun as soon as it can."""
    handle = line.enter()
    calls = replace(line.calls, witness=Forgetful(line.calls.witness, 1))

    with pytest.raises(StoreError):
        calls.begin(line.office.actor("anna"), handle, "bankid", by_clinic=False, now=line.clock.now())

    assert line.ringing() == ()
    assert line.begin(handle).outcome is Outcome.WAITING


def test_what_was_signed_stays_on_no_shelf(line: Line) -> None:
    """Once the evidence is kept, the shelf has neither it nor the order's state any more."""
    call = line.begin(line.enter())
    line.act("approve")
    line.look(call)

    kept = line.calls.calls.get(call.id)

    assert kept is not None
    assert (kept.value.proof, kept.value.state) == ({}, b"")
