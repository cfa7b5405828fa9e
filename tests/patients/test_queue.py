"""Who waits for a clinic's answer, and how they compare with its list; the first answer counts (S1)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from idbroker.accounts.account import Standing
from idbroker.errors import NotAllowed, NotFound
from idbroker.messages.message import Channel
from idbroker.patients.patient import Conflict, NotDone
from idbroker.patients.queue import Answered, Asking, Queue
from tests.office.patients_there import mailed
from tests.office_door import Office
from tests.patients.waiting import MAIL, account_of, asked, entry_of, records_of
from tests.store.crowd import at_once


@pytest.fixture
def queue(office: Office) -> Queue:
    """Give the queue."""
    return office.house.offices.queue


def waiting(office: Office) -> Asking:
    """Return the one who waits."""
    (one,) = office.house.offices.queue.waiting(office.actor("bo", "clinea"))
    return one


def test_the_oldest_comes_first(office: Office, queue: Queue) -> None:
    """Who has waited longest is on top; another clinic's queue is its own."""
    later = office.clock.now() + timedelta(hours=1)
    second, first = asked(office, "vilma", asked_at=later), asked(office, "otto")

    assert [one.patient.handle for one in queue.waiting(office.actor("bo", "clinea"))] == [first.handle, second.handle]
    assert queue.waiting(office.actor("bo", "neuroreg")) == ()


def test_the_same_as_the_list(office: Office) -> None:
    """Name, birth date and address as the clinic has them, however they are spelled: nothing differs."""
    same = entry_of(office, "vilma", given_name="ADA", family_name="Prövesen")
    asked(office, "vilma", entry=replace(same, family_name="Prøvesen"), told={Channel.EMAIL: "Ada@Example.test"})

    one = waiting(office)

    assert (one.differences, one.alike) == ((), True)


@pytest.mark.parametrize(
    ("changes", "told", "what", "ours"),
    [
        ({"family_name": "Andersen"}, {}, "name", "Ada Andersen"),
        ({"birthdate": date(1950, 1, 2)}, {}, "birthdate", "1950-01-02"),
        ({}, {Channel.EMAIL: "other@example.test"}, "email", "other@example.test"),
        ({}, {Channel.SMS: "+4520654399"}, "phone", "+45 20 65 43 99"),
    ],
)
def test_what_differs(
    office: Office, changes: dict[str, object], told: dict[Channel, str], what: str, ours: str
) -> None:
    """Each difference is named; of the patient's own addresses a page shows no more than My page does."""
    asked(office, "vilma", entry=entry_of(office, "vilma", **changes), told=told)

    one = waiting(office)

    assert one.differences is not None
    (difference,) = one.differences
    assert (difference.what, difference.ours, one.alike) == (what, ours, False)
    assert MAIL not in difference.theirs


@pytest.mark.parametrize("by", ["patient", "guardian"])
def test_what_patients_say_is_nothing_to_compare_with(office: Office, by: str) -> None:
    """A record that was made of what somebody said of themselves is not the clinic's: nobody is alike by it."""
    asked(office, "vilma", entry=entry_of(office, "vilma", by=by))

    assert (waiting(office).differences, waiting(office).alike) == (None, False)


def test_a_guardian_is_named_and_never_alike(office: Office) -> None:
    """Who asked for a child is shown, also when they have no account; a child is looked at one by one."""
    guardian = account_of(office, "otto", given_name="Otto")
    asked(office, "vilma", guardian=guardian.person)
    first = waiting(office)
    records_of(office).accounts.remove(guardian.person)
    second = waiting(office)

    assert (first.guardian and first.guardian.given_name, first.alike) == ("Otto", False)
    assert (second.guardian, second.patient.enrolment.guardian, second.alike) == (None, guardian.person, False)


def test_approved_and_told(office: Office, queue: Queue) -> None:
    """The patient may use the clinic, hears of it, and reads in which role that was decided."""
    enrolment = asked(office, "vilma")

    done = queue.approve(office.actor("bo", "clinea"), enrolment.handle, office.clock.now())

    assert isinstance(done, Answered)
    assert (done.first, done.by, done.patient.enrolment.standing) == (True, "Bo Testsen", Standing.APPROVED)
    assert len(mailed(office)) == 1
    (event,) = office.events("enrolment.approved")
    assert event.detail == {"by": office.member("bo").id, "role": "approver"}


def test_two_approvers_race(office: Office, queue: Queue) -> None:
    """One approves, one declines, at the same moment: one answer, which both are told, and one message."""
    enrolment, bo, cecilia = asked(office, "vilma"), office.actor("bo", "clinea"), office.actor("cecilia", "clinea")

    done = at_once(
        lambda one: (
            queue.approve(bo, enrolment.handle, office.clock.now())
            if one % 2
            else queue.decline(cecilia, enrolment.handle, "nobody of ours", office.clock.now())
        ),
        6,
    )

    answers = [one for one in done if isinstance(one, Answered)]
    assert len(answers) == 6
    assert sum(one.first for one in answers) == 1
    assert len({(one.patient.enrolment.standing, one.by, one.at) for one in answers}) == 1
    assert len(office.events("enrolment.")) == 1


def test_the_reason_stays_at_the_clinic(office: Office, queue: Queue) -> None:
    """Who is declined is told whom to ask, never why; without a reason nobody is."""
    enrolment, bo = asked(office, "vilma"), office.actor("bo", "clinea")
    with pytest.raises(ValueError, match="reason"):
        queue.decline(bo, enrolment.handle, "  ", office.clock.now())

    done = queue.decline(bo, enrolment.handle, "moved to the north", office.clock.now())

    assert isinstance(done, Answered)
    assert (done.patient.enrolment.standing, done.patient.enrolment.reason) == (Standing.DECLINED, "moved to the north")
    assert not any("north" in one for one in mailed(office))
    assert not any("north" in str(one.detail) for one in office.events())


def test_many_at_once_only_if_alike(office: Office, queue: Queue) -> None:
    """Of those ticked, the ones that are the same as in the list are approved; the rest are left as they were."""
    same, other = asked(office, "vilma"), asked(office, "otto", told={Channel.EMAIL: "other@example.test"})

    one, two = queue.approve_alike(office.actor("bo", "clinea"), (same.handle, other.handle), office.clock.now())

    assert isinstance(one, Answered)
    assert isinstance(two, NotDone)
    assert two.why is Conflict.NOT_ALIKE
    assert [left.patient.handle for left in queue.waiting(office.actor("bo", "clinea"))] == [other.handle]


def test_nobody_has_asked(office: Office, queue: Queue) -> None:
    """Who is only in the list is not answered; who is dead is not approved; what is not there is not there."""
    bo, now = office.actor("bo", "clinea"), office.clock.now()
    listed = asked(office, "vilma", standing=Standing.KNOWN)
    dead = asked(office, "otto", entry=entry_of(office, "otto", deceased_on=date(2026, 11, 1)))

    first, second = queue.approve(bo, listed.handle, now), queue.approve(bo, dead.handle, now)

    assert isinstance(first, NotDone)
    assert isinstance(second, NotDone)
    assert (first.why, second.why) == (Conflict.NOT_ASKED, Conflict.DECEASED)
    with pytest.raises(NotFound):
        queue.approve(office.actor("bo", "neuroreg"), listed.handle, now)


def test_carers_answer_nobody(office: Office, queue: Queue) -> None:
    """Answers are approvers' and administrators'."""
    enrolment, anna, now = asked(office, "vilma"), office.actor("anna", "clinea"), office.clock.now()

    with pytest.raises(NotAllowed):
        queue.waiting(anna)
    with pytest.raises(NotAllowed):
        queue.approve(anna, enrolment.handle, now)
    with pytest.raises(NotAllowed):
        queue.decline(anna, enrolment.handle, "no", now)
