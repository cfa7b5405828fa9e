"""Entering and changing patients: nothing half done, nothing of the person's own overwritten, everybody told."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from idbroker.accounts.account import Standing
from idbroker.errors import NotAllowed, NotFound
from idbroker.messages.message import Channel
from idbroker.patients.patient import Conflict, NotDone, Patient, Sheet
from idbroker.patients.register import Register
from tests.office.patients_there import mailed
from tests.office_door import Office
from tests.patients.waiting import MAIL, account_of, asked, records_of
from tests.store.crowd import at_once

OLD, NEW = "old@example.test", "new@example.test"


@pytest.fixture
def register(office: Office) -> Register:
    """Give the list."""
    return office.house.offices.register


def sheet(office: Office, who: str = "marta", **changes: Any) -> Sheet:
    """Return what staff say of one of the sandbox's people."""
    told = Sheet(number=office.number(who), given_name="Märta", family_name="Öberg", contacts={Channel.EMAIL: OLD})
    return replace(told, **changes)


def entered(office: Office, clinic: str = "neuroreg", **changes: Any) -> Patient:
    """Enter somebody."""
    done = office.house.offices.register.enter(
        office.actor("anna", clinic), sheet(office, **changes), office.clock.now()
    )
    assert isinstance(done, Patient)
    return done


def refused(done: Patient | NotDone) -> Conflict:
    """Return why nothing was done."""
    assert isinstance(done, NotDone)
    return done.why


# ---- entering ------------------------------------------------------------------------------------


def test_a_number_under_another_name(office: Office, register: Register) -> None:
    """A number that is here under another name is refused, with the record that there is; nothing changes."""
    before = entered(office)

    done = register.enter(office.actor("bo"), sheet(office, given_name="Karin", family_name="Berg"), office.clock.now())

    assert isinstance(done, NotDone)
    assert (done.why, done.patient and done.patient.name) == (Conflict.OTHER_NAME, "Märta Öberg")
    assert done.patient is not None
    assert done.patient.enrolment == before.enrolment
    assert (done.by, done.at) == (office.member("anna").id, office.clock.now())


@pytest.mark.parametrize("name", ["MARTA", "Märta Kristina"])
def test_a_word_more_is_the_same_name(office: Office, register: Register, name: str) -> None:
    """An accent or a second first name less is nobody else: who is there is brought up to date."""
    before = entered(office)

    done = register.enter(office.actor(), sheet(office, given_name=name), office.clock.now())

    assert isinstance(done, Patient)
    assert done.handle == before.handle


def test_a_name_elsewhere_tells_nothing(office: Office, register: Register) -> None:
    """What another clinic calls a person is not compared: an answer would tell who is a patient there."""
    entered(office, "clinea")

    done = register.enter(office.actor(), sheet(office, given_name="Karin", family_name="Berg"), office.clock.now())

    assert isinstance(done, Patient)


def test_without_a_number_nobody_is_entered(office: Office, register: Register) -> None:
    """A patient is somebody with a number."""
    assert refused(register.enter(office.actor(), Sheet(given_name="X"), office.clock.now())) is Conflict.NO_NUMBER


def test_entered_by_many_at_once(office: Office, register: Register) -> None:
    """Two colleagues who enter the same patient at the same time have entered one, and one event says so."""
    done = at_once(
        lambda one: register.enter(office.actor(("anna", "bo", "cecilia")[one % 3]), sheet(office), office.clock.now()),
        6,
    )

    assert len({one.handle for one in done if isinstance(one, Patient)}) == 1
    assert [event.kind for event in office.events("patient.")] == ["patient.entered"]


def test_who_waits_is_not_answered_by_a_carer(office: Office, register: Register) -> None:
    """Entering somebody who has asked fills in the record; the answer is an approver's, in the queue."""
    enrolment = asked(office, "vilma", listed=False)

    told = sheet(office, "vilma", given_name="Ada", family_name="Prøvesen")
    done = register.enter(office.actor("anna", "clinea"), told, office.clock.now())

    assert isinstance(done, Patient)
    assert (done.handle, done.enrolment.standing) == (enrolment.handle, Standing.ASKED)
    assert done.enrolment.entry is not None
    assert done.enrolment.entry.by == office.member("anna").id


@pytest.mark.parametrize(("who", "standing"), [("anna", Standing.DECLINED), ("bo", Standing.APPROVED)])
def test_who_was_declined(office: Office, register: Register, who: str, standing: Standing) -> None:
    """What an approver has declined a carer does not turn over by entering the patient; an approver may."""
    asked(office, "vilma", standing=Standing.DECLINED, decided_at=office.clock.now(), by="staff-1", reason="no")

    done = register.enter(
        office.actor(who, "clinea"), sheet(office, "vilma", given_name="Ada", family_name=None), office.clock.now()
    )

    assert isinstance(done, Patient)
    assert done.enrolment.standing is standing


def test_only_listed(office: Office, register: Register) -> None:
    """A list may be taken in without letting anybody in: they ask, and are compared with it."""
    done = register.enter(office.actor("bo", "clinea"), sheet(office), office.clock.now(), listed=True)

    assert isinstance(done, Patient)
    assert (done.enrolment.standing, done.enrolment.by) == (Standing.KNOWN, None)
    again = register.enter(office.actor("bo", "clinea"), sheet(office), office.clock.now())
    assert isinstance(again, Patient)
    assert again.enrolment.standing is Standing.APPROVED


# ---- changing ------------------------------------------------------------------------------------


def test_the_old_address_is_told(office: Office, register: Register) -> None:
    """The address that is replaced hears of it, and so do those that codes go to; the new one is told nothing (R30)."""
    patient = entered(office)
    account_of(office, "marta")

    done = register.change(
        office.actor(), patient.handle, Sheet(contacts={Channel.EMAIL: NEW}), patient.mark, office.clock.now()
    )

    assert isinstance(done, Patient)
    mailed(office, 2)
    assert {to for _, (to,), _ in office.mail.taken} == {OLD, MAIL}
    account = records_of(office).accounts.of(patient.enrolment.person)
    assert account is not None
    assert NEW not in {contact.address for contact in account.contacts}, "codes go to what the person has confirmed"
    (event,) = office.events("patient.changed")
    assert event.detail["what"] == "email"


def test_a_new_address_is_asked_about_anew(office: Office, register: Register) -> None:
    """What the patient answered about one address is no answer about the next, nor about the first once it is back."""
    patient = entered(office)
    person = patient.enrolment.person
    records_of(office).enrolments.change(
        person, "neuroreg", lambda one: one and replace(one, settled={Channel.EMAIL: OLD})
    )

    for address in (NEW, OLD):
        told = Sheet(contacts={Channel.EMAIL: address})
        done = register.change(office.actor(), patient.handle, told, None, office.clock.now())
        assert isinstance(done, Patient)
        assert done.enrolment.settled == {}


def test_a_stale_form_changes_nothing(office: Office, register: Register) -> None:
    """Of two colleagues on the same state the second is refused, and told whose change was first (S1)."""
    patient = entered(office)
    register.change(office.actor("bo"), patient.handle, Sheet(given_name="Karin"), patient.mark, office.clock.now())

    done = register.change(
        office.actor(), patient.handle, Sheet(contacts={Channel.EMAIL: NEW}), patient.mark, office.clock.now()
    )

    assert isinstance(done, NotDone)
    assert (done.why, done.by) == (Conflict.STALE, office.member("bo").id)
    assert done.patient is not None
    assert done.patient.enrolment.told == {Channel.EMAIL: OLD}
    assert not office.mail.taken


def test_two_editors_race(office: Office, register: Register) -> None:
    """Of many at the same moment exactly one change is made; the others are told that theirs is stale."""
    patient = entered(office)

    done = at_once(
        lambda one: register.change(
            office.actor(), patient.handle, Sheet(given_name=f"Name{one}"), patient.mark, office.clock.now()
        ),
        6,
    )

    assert sum(isinstance(one, Patient) for one in done) == 1
    assert len(office.events("patient.changed")) == 1


def test_nothing_new_is_no_event(office: Office, register: Register) -> None:
    """A form sent off as it was shown changes nothing, and says nothing in the trail."""
    patient = entered(office)

    done = register.change(office.actor(), patient.handle, sheet(office, number=None), patient.mark, office.clock.now())

    assert isinstance(done, Patient)
    assert done.enrolment == patient.enrolment
    assert not office.events("patient.changed")


def test_taken_back(office: Office, register: Register) -> None:
    """An empty text takes an address or an exemption away; None says nothing."""
    patient = entered(office, exempt="age")

    kept = register.change(office.actor(), patient.handle, Sheet(given_name="Karin"), None, office.clock.now())
    gone = register.change(
        office.actor(), patient.handle, Sheet(exempt="", contacts={Channel.EMAIL: ""}), None, office.clock.now()
    )

    assert isinstance(kept, Patient)
    assert isinstance(gone, Patient)
    assert (kept.exempt, kept.enrolment.told) == ("age", {Channel.EMAIL: OLD})
    assert (gone.exempt, gone.enrolment.told) == (None, {})


def test_another_number_is_another_record(office: Office, register: Register) -> None:
    """A new number is another person until an administrator joins the two."""
    patient = entered(office)

    done = register.change(
        office.actor(), patient.handle, Sheet(number=office.number("viktor")), None, office.clock.now()
    )

    assert refused(done) is Conflict.ELSEWHERE


def test_another_clinics_patient_is_not_changed(office: Office, register: Register) -> None:
    """A handle of another clinic is not there to be changed, either."""
    patient = entered(office)

    with pytest.raises(NotFound):
        register.change(office.actor("anna", "clinea"), patient.handle, Sheet(), None, office.clock.now())


# ---- deaths --------------------------------------------------------------------------------------


def test_a_death_is_an_administrators_to_note(office: Office, register: Register) -> None:
    """Neither a carer nor an approver notes a death; noted, nothing is changed any more until it is taken back."""
    patient, on = entered(office), date(2026, 11, 1)
    for name in ("anna", "bo"):
        with pytest.raises(NotAllowed):
            register.died(office.actor(name), patient.handle, on, office.clock.now())

    dead = register.died(office.actor("cecilia"), patient.handle, on, office.clock.now())

    assert dead.has_died
    assert refused(register.change(office.actor(), patient.handle, Sheet(), None, office.clock.now())) is (
        Conflict.DECEASED
    )
    assert refused(register.enter(office.actor(), sheet(office), office.clock.now())) is Conflict.DECEASED
    assert not register.lives(office.actor("cecilia"), patient.handle, office.clock.now()).has_died
    assert [event.kind for event in office.events("patient.")][-2:] == ["patient.died", "patient.lives"]


def test_what_runs_ends(office: Office, register: Register) -> None:
    """A death ends what each of the clinic's services was given, and no other clinic's; noted again, once more."""
    ended: list[tuple[str, str]] = []

    class Ending:
        def __getattr__(self, name: str) -> object:
            return getattr(register.sign_ons, name)

        def end_client(self, person: str, client_id: str) -> None:
            ended.append((person, client_id))
            register.sign_ons.end_client(person, client_id)

    patient = entered(office, "clinea")
    watched = replace(register, sign_ons=Ending())  # type: ignore[arg-type]
    for _ in range(2):
        watched.died(office.actor("cecilia", "clinea"), patient.handle, date(2026, 11, 1), office.clock.now())

    own = [one.id for one in register.clients.all() if one.clinic == "clinea"]
    assert own
    assert ended == [(patient.enrolment.person, one) for one in own] * 2
    assert len(office.events("patient.died")) == 1
