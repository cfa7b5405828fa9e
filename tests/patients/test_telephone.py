"""Who is on the telephone: begun by staff, approved in the patient's own app, and nothing issued (L12)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from idbroker.errors import NotFound
from idbroker.otp.one_time import Limited
from idbroker.patients.call import LEASE, Outcome
from idbroker.patients.telephone import BY_STAFF, LIFE
from tests.patients.telephone_house import Line, open_line, why


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


@pytest.mark.parametrize("eid", ["bankid", "freja"])
def test_confirms_the_patient(line: Line, eid: str) -> None:
    """L12: the patient approves in their own app, and staff are told that it is this patient."""
    call = line.begin(line.enter(), eid)
    assert line.look(call).outcome is Outcome.WAITING
    line.act("approve", eid=eid)

    seen = line.look(call)

    assert (seen.outcome, seen.reason, seen.ended_at) == (Outcome.CONFIRMED, "", line.clock.now())


@pytest.mark.parametrize("eid", ["bankid", "freja"])
def test_the_trail_says_who_asked_and_what_came_of_it(line: Line, eid: str) -> None:
    """Asking and its end are the patient's own events: by whom, in which role, by which eID, with what was signed."""
    handle = line.enter()
    call = line.begin(handle, eid, "bo", by_clinic=True)
    line.act("approve", eid=eid)
    line.look(call, "bo")

    asked, answered = line.trail()
    assert (asked.kind, answered.kind) == ("patient.calling", "patient.called")
    for event in (asked, answered):
        assert (event.person, event.clinic, event.provider) == (call.person, "neuroreg", eid)
        assert (event.detail["by"], event.detail["role"]) == (line.office.member("bo").id, "approver")
        assert event.detail["caller"] == "clinic"
    assert answered.detail["outcome"] == "confirmed"
    assert line.evidence(answered).keys() >= ({"signature", "ocsp"} if eid == "bankid" else {"details"})


def test_nothing_else_is_issued(line: Line) -> None:
    """A confirmed call signs nobody in: no event of a sign-in, no sign-on of the person's, and no account."""
    call = line.begin(line.enter())
    line.act("approve")
    line.look(call)

    house = line.office.house
    assert {event.kind for event in line.trail("")} == {"patient.calling", "patient.called"}
    assert house.rooms.counter.records.accounts.of(call.person) is None
    assert house.signout.of_person(call.person) == ()


def test_somebody_elses_eid_is_somebody_else(line: Line) -> None:
    """Only the patient's own number is the patient: another's is told as such, and nothing of them is kept."""
    call = line.begin(line.enter())
    line.faults.set("bankid", {"lies": ["foreign_leaf", "wrong_person"]})
    line.act("approve")

    seen = line.look(call)

    assert seen.outcome is Outcome.OTHER
    assert "evidence" not in line.trail("patient.called")[0].detail


def test_what_does_not_verify_is_not_believed(line: Line) -> None:
    """A signature that is not of our question fails the call, in a word that staff can act on."""
    call = line.begin(line.enter())
    line.faults.set("bankid", {"lies": ["wrong_visible"]})
    line.act("approve")

    seen = line.look(call)

    assert (seen.outcome, seen.reason) == (Outcome.FAILED, "untrusted")
    assert line.outcomes() == ["failed"]


@pytest.mark.parametrize(
    ("eid", "outcome", "ends", "reason"),
    [
        ("bankid", "cancel", Outcome.CANCELLED, "declined"),
        ("bankid", "userDeclinedCall", Outcome.CANCELLED, "declined"),
        ("bankid", "certificateErr", Outcome.FAILED, "refused"),
        ("bankid", "cancelled", Outcome.FAILED, "busy"),
        ("bankid", "expiredTransaction", Outcome.EXPIRED, ""),
        ("freja", "cancel", Outcome.CANCELLED, "declined"),
        ("freja", "REJECTED", Outcome.FAILED, "refused"),
        ("freja", "EXPIRED", Outcome.EXPIRED, ""),
    ],
)
def test_every_end_has_its_word(line: Line, eid: str, outcome: str, ends: Outcome, reason: str) -> None:
    """What the patient, or the eID, did is told in a word of its own; and stands in the trail."""
    call = line.begin(line.enter(), eid)
    line.act(outcome, eid=eid)

    seen = line.look(call, later=3)

    assert (seen.outcome, seen.reason) == (ends, reason)
    assert line.outcomes() == [ends.value]


def test_a_lower_freja_is_not_enough(line: Line) -> None:
    """A Freja that was made from a picture of a document proves no number: Freja itself refuses what we ask."""
    call = line.begin(line.enter("elin"), "freja")
    line.act("approve", "elin", "freja")

    seen = line.look(call)

    assert (seen.outcome, seen.reason) == (Outcome.FAILED, "refused")


def test_nobody_answers(line: Line) -> None:
    """After three minutes the question is over, at the eID too; what would be approved then is of no use."""
    call = line.begin(line.enter())

    seen = line.look(call, later=LIFE.total_seconds())

    assert seen.outcome is Outcome.EXPIRED
    assert line.ringing() == ()
    assert line.outcomes() == ["expired"]


def test_staff_hang_up(line: Line) -> None:
    """Staff may end a question: the order is taken back from the app, and the trail says so, once."""
    call = line.begin(line.enter())

    ended, again = line.end(call), line.end(call)

    assert (ended.outcome, ended.reason) == (again.outcome, again.reason) == (Outcome.CANCELLED, "ended")
    assert line.ringing() == ()
    assert line.outcomes() == ["cancelled"]


def test_a_result_stays_as_it_is(line: Line) -> None:
    """Whoever looks again, or ends a call that is over, finds what was found; nobody is asked again."""
    call = line.begin(line.enter())
    line.act("approve")
    found = line.look(call)
    line.faults.set("bankid", {"down": True})

    assert line.look(call, later=60) == line.end(call) == line.look(call, "bo") == found
    assert line.outcomes() == ["confirmed"]


# ---- who may be asked, by what, and how often ----------------------------------------------------


def test_only_eids_of_the_clinic_that_dial(line: Line) -> None:
    """Offered are the clinic's eIDs that ask by telephone, whoever the patient is: what they have is not told."""
    marta, bjorn = line.enter("marta"), line.enter("bjorn")
    anna = line.office.actor("anna")

    assert (
        line.calls.ways(anna, bjorn) == line.calls.ways(anna, marta) == {"bankid": "BankID", "freja": "Freja eID Plus"}
    )
    assert why(line.tried(bjorn, "fallback")) == "not_here"
    assert why(line.tried(bjorn, "mitid")) == "not_here"


def test_who_has_no_bankid_is_not_told_apart(line: Line) -> None:
    """A patient without the eID is waited for and expires like one who does not answer: nobody's bank is asked out."""
    ends = []
    for person in ("marta", "samir"):
        call = line.begin(line.enter(person))
        waits = line.look(call)
        over = line.look(call, later=LIFE.total_seconds())
        ends.append((waits.outcome, waits.away, over.outcome, over.reason))

    assert ends[0] == ends[1]


@pytest.mark.parametrize(
    ("entry", "word"),
    [({"number": None}, "no_number"), ({"deceased_on": date(2026, 1, 2)}, "deceased")],
)
def test_who_cannot_be_asked_is_not(line: Line, entry: dict[str, Any], word: str) -> None:
    """Without a number there is nobody to ask, and nobody rings the dead: nothing is begun, no event is made."""
    handle = line.enter("samir", **entry)

    assert why(line.tried(handle)) == word
    assert (line.ringing(), line.trail()) == ((), [])


def test_another_countrys_number_is_asked_nowhere(line: Line) -> None:
    """A Danish patient of a Swedish clinic has no eID that can be dialled."""
    handle = line.enter("anna")

    assert line.calls.ways(line.office.actor("anna"), handle) == {}
    assert why(line.tried(handle)) == "not_here"


def test_another_clinics_patient_is_not_there(line: Line) -> None:
    """Neither a patient nor a call of another clinic is there, whatever the handle: they are not even refused."""
    handle = line.enter()
    call = line.begin(handle)
    stranger = line.office.actor("anna", "clinea")
    now = line.clock.now()

    for attempt in (
        lambda: line.calls.ways(stranger, handle),
        lambda: line.calls.begin(stranger, handle, "bankid", by_clinic=False, now=now),
        lambda: line.calls.look(stranger, call.id, now),
        lambda: line.calls.end(stranger, call.id, now),
        lambda: line.calls.look(stranger, "0" * 32, now),
    ):
        with pytest.raises(NotFound):
            attempt()
    assert line.look(call).outcome is Outcome.WAITING


def test_one_question_at_a_time(line: Line) -> None:
    """A colleague who asks the same patient sees the call that is going: the patient's app rings once."""
    handle = line.enter()
    first = line.begin(handle)
    calls = len(line.trail())

    joined = line.begin(handle, "freja", "bo")

    assert joined.id == first.id
    assert (len(line.ringing()), line.ringing("freja"), len(line.trail())) == (1, (), calls)


def test_three_questions_in_ten_minutes(line: Line) -> None:
    """Who is asked again and again approves at last: the fourth question in ten minutes is not put."""
    handle = line.enter()
    for _ in range(3):
        line.end(line.begin(handle))

    refused = line.tried(handle)

    assert isinstance(refused, Limited)
    assert line.ringing() == ()
    line.clock.move(refused.until - line.clock.now())
    assert line.begin(handle).outcome is Outcome.WAITING


def test_the_limit_is_the_patients_not_the_colleagues(line: Line) -> None:
    """Another colleague does not begin anew; another patient is asked all the same."""
    handle = line.enter()
    for name in ("anna", "bo", "cecilia"):
        line.end(line.begin(handle, by=name), name)

    assert isinstance(line.tried(handle, by="bo"), Limited)
    assert line.begin(line.enter("samir")).outcome is Outcome.WAITING


def test_the_limit_is_the_persons_not_the_clinics(line: Line) -> None:
    """Two clinics together ask no oftener than one: who is known to both is one person, rung up by anybody."""
    here, there = line.enter(), line.enter(clinic="clinea")
    for _ in range(3):
        line.end(line.begin(here))

    assert isinstance(line.tried(there, clinic="clinea"), Limited)


def test_sixty_an_hour_for_a_colleague(line: Line) -> None:
    """Whoever rings through the whole list is stopped, whoever they ring; a colleague is not."""
    line.office.hire("busy")
    handle, busy = line.enter(), line.office.actor("busy")
    limits = [
        line.calls.throttle.spend(f"calls by {busy.id}", BY_STAFF, pause=timedelta(hours=1), now=line.clock.now())
        for _ in range(60)
    ]

    assert limits[-1] == 0
    assert isinstance(line.tried(handle, by="busy"), Limited)
    assert line.begin(handle, by="bo").outcome is Outcome.WAITING


# ---- when something goes wrong -------------------------------------------------------------------


@pytest.mark.parametrize("eid", ["bankid", "freja"])
def test_an_eid_that_is_away_at_the_start(line: Line, eid: str) -> None:
    """An eID that does not answer when asked ends the call at once, with its reason; the next may be begun."""
    handle = line.enter()
    line.faults.set(eid, {"down": True})

    seen = line.begin(handle, eid)

    assert (seen.outcome, seen.reason) == (Outcome.FAILED, "unreachable")
    line.faults.clear()
    assert line.begin(handle, eid).outcome is Outcome.WAITING


def test_an_eid_that_is_away_for_a_while(line: Line) -> None:
    """An eID that does not answer meanwhile ends nothing: the page says so, and the patient's approval counts."""
    call = line.begin(line.enter())
    line.faults.set("bankid", {"down": True})
    away = line.look(call)
    line.faults.clear()
    line.act("approve")

    assert (away.outcome, away.away) == (Outcome.WAITING, True)
    assert line.look(call).outcome is Outcome.CONFIRMED


def test_two_orders_at_the_eid(line: Line) -> None:
    """A7: where the patient is at another clinic's question, ours is refused in words, and theirs goes on."""
    line.begin(line.enter(clinic="clinea"), clinic="clinea")

    seen = line.begin(line.enter())

    assert (seen.outcome, seen.reason) == (Outcome.FAILED, "busy")
    assert len(line.ringing()) == 1


def test_an_answer_that_was_lost_is_no_answer(line: Line) -> None:
    """A6: BankID tells an end once. If that is lost nobody is confirmed; the question is put again."""
    handle = line.enter()
    call = line.begin(handle)
    line.act("approve")
    line.faults.set("bankid", {"lies": ["lost_response"]})
    away = line.look(call)
    line.faults.clear()

    seen = line.look(call)

    assert (away.away, seen.outcome, seen.reason) == (True, Outcome.FAILED, "lost")


def test_a_worker_killed_while_it_dialled(line: Line) -> None:
    """A call whose order nobody knows is not waited for: when the moment is over another may be begun."""
    handle = line.enter()
    call = line.begin(handle)
    kept = line.calls.calls.get(call.id)
    assert kept is not None
    dead = replace(kept.value, state=b"", asks_at=line.clock.now() + LEASE)
    line.calls.calls.put(call.id, dead, timedelta(hours=1))

    before, after = line.look(call, later=5), line.look(call, later=LEASE.total_seconds())

    assert before.outcome is Outcome.WAITING
    assert (after.outcome, after.reason) == (Outcome.FAILED, "lost")


def test_a_worker_killed_while_it_asked(line: Line) -> None:
    """Whoever has the call and does not come back holds it half a minute; then another worker asks."""
    call = line.begin(line.enter())
    kept = line.calls.calls.get(call.id)
    assert kept is not None
    line.calls.calls.put(call.id, replace(kept.value, asks_at=line.clock.now() + LEASE), timedelta(hours=1))
    line.act("approve")

    assert line.look(call, later=2).outcome is Outcome.WAITING
    assert line.look(call, later=LEASE.total_seconds()).outcome is Outcome.CONFIRMED


def test_an_eid_that_was_taken_away(line: Line) -> None:
    """A call by an eID that the operator has switched off meanwhile ends, and is not believed."""
    call = line.begin(line.enter())
    without = replace(line.calls, eids={})
    line.clock.move(timedelta(seconds=2))

    seen = without.look(line.office.actor("anna"), call.id, line.clock.now())

    assert (seen.outcome, seen.reason, without.title("bankid")) == (Outcome.FAILED, "gone", "bankid")
