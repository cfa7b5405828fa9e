"""The page on which a clinic notes who may act for a patient, and ends it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from functools import partial

import pytest

from idbroker.accounts.account import Account, Enrolment
from idbroker.events import Event
from idbroker.messages.message import Channel
from idbroker.patients.noting import MOST, Said
from idbroker.web.mine import Telling, is_told
from tests.office.guardians_there import LARS, child_at, noted, path_of
from tests.office_door import Office, text_of

NUMBER = "620180-0007"


def page(office: Office, path: str, who: str = "bo") -> str:
    """Return what the page says to a colleague."""
    return text_of(office.client(who).get(path).text)


def add(office: Office, handle: str, **fields: str) -> str:
    """Send the form in; return what the page after it says."""
    bo = office.client("bo")
    given = {"do": "add", "number": NUMBER, "relation": "custody", **fields}
    answer = office.post(bo, path_of(handle), **given)
    assert answer.status_code == 303
    return text_of(bo.get(answer.headers["Location"]).text)


def test_added_and_ended(office: Office) -> None:
    """By number and relation, shown until the birthday, with who noted it; ended for a reason: all of it in words."""
    handle = child_at(office).handle
    said = add(office, handle)

    assert "Added." in said
    assert "620180-••••" in said
    assert "Name not known here" in said
    assert "Has custody" in said
    assert "Bo Testsen" in said
    assert "the birthday" in said

    row = noted(office, handle)[0].row
    bo = office.client("bo")
    answer = office.post(bo, path_of(handle), do="end", note=row.id, why="custody")
    said = text_of(bo.get(answer.headers["Location"]).text)
    assert "Ended. What was open has ended too." in said
    assert "Nobody is noted here." in said
    kinds = {one.kind: one.detail for one in office.events("guardianship.")}
    assert (kinds["guardianship.ended"]["why"], kinds["guardianship.ended"]["role"]) == ("custody", "approver")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"number": "x"}, "The number is not complete"),
        ({"number": "{own}"}, "the patient's own number"),
        ({"number": "610110-4005"}, "18 or older"),
        ({"relation": ""}, "Choose the relation"),
        ({"relation": "mandate"}, "Choose the relation"),
        ({"relation": "x" * 500}, "Choose the relation"),
        ({"until": "soon"}, "Enter a day after today"),
        ({"until": "2026-11-22"}, "Enter a day after today"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(office: Office, typed: dict[str, str], said: str) -> None:
    """Each mistake in words, what was typed kept, and nothing noted."""
    child = child_at(office)
    own = child.entry.number.display if child.entry and child.entry.number else ""
    fields = {name: value.replace("{own}", own) for name, value in typed.items()}

    assert said in add(office, child.handle, **{"until": "2027-01-31", **fields})
    assert noted(office, child.handle) == ()


def test_a_double_post_notes_once(office: Office) -> None:
    """The same form twice: one note, one event, and it is said that it was there; otherwise than noted is refused."""
    handle = child_at(office).handle
    add(office, handle)

    assert "noted already. Nothing was changed" in add(office, handle)
    assert "in another way" in add(office, handle, until="2027-01-31")
    assert len(noted(office, handle)) == len(office.events("guardianship.noted")) == 1


def test_a_stale_form_ends_nothing_more(office: Office) -> None:
    """Ended by one colleague, the other's form says so; without a reason the page asks for it."""
    handle = child_at(office).handle
    add(office, handle)
    row, bo = noted(office, handle)[0].row, office.client("bo")

    asked = office.post(bo, path_of(handle), do="end", note=row.id, why="")
    assert "Choose why it ends" in text_of(bo.get(asked.headers["Location"]).text)
    for said in ("Ended. What was open", "That had ended already"):
        answer = office.post(bo, path_of(handle), do="end", note=row.id, why="mistake")
        assert said in text_of(bo.get(answer.headers["Location"]).text)
    assert len(office.events("guardianship.ended")) == 1


def test_who_may(office: Office) -> None:
    """A carer sees and changes nothing; another clinic's handle is not there; a form of another sign-in is refused."""
    handle = child_at(office).handle
    add(office, handle)
    row = noted(office, handle)[0].row

    shown = office.client("anna").get(path_of(handle))
    assert "620180-••••" in shown.text
    assert 'name="do"' not in shown.text
    for fields in ({"do": "end", "note": row.id, "why": "mistake"}, {"do": "add", "number": NUMBER}):
        assert office.client("anna").post(path_of(handle), data=fields).status_code == 403
        assert office.client("bo").post(path_of(handle), data=fields).status_code == 400
    assert office.client("bo").get(path_of(handle, "neuroreg")).status_code == 404
    assert len(noted(office, handle)) == 1


def test_linked_where_it_applies(office: Office) -> None:
    """The patient's page leads there for a child, and for who has notes; not for a grown person without any."""
    child, grown = child_at(office), child_at(office, age=15, serial=411)
    at = "/staff/clinea/patients/"

    assert "/guardians" in office.client("bo").get(f"{at}{child.handle}").text
    assert "/guardians" not in office.client("bo").get(f"{at}{grown.handle}").text
    add(office, child.handle)
    office.clock.move(timedelta(days=366 * 8))
    assert "/guardians" in office.client("bo").get(f"{at}{child.handle}").text


def test_a_name_given_elsewhere_is_not_shown(office: Office) -> None:
    """The attack: staff note a number as a guardian's, and read the name that its owner gave to another clinic."""
    child, records = child_at(office), office.house.rooms.counter.records
    person = records.accounts.person(LARS, office.clock.now())
    made = Account(person=person, number=LARS, given_name="Secret", family_name="Name", created_at=office.clock.now())
    assert records.accounts.add(made)

    assert "Secret" not in add(office, child.handle, number=LARS.display)
    child_at(office, number=LARS)
    assert "Lille Prøvesen" in page(office, path_of(child.handle)), "whom the clinic has in its own list, it knows"


def test_no_more_than_twenty(office: Office) -> None:
    """One patient has at most twenty guardians at a clinic."""
    handle, noting = child_at(office).handle, office.house.offices.noting
    for number in range(MOST):
        person = f"person-{number}"
        row = noting._row(noting._ward(office.actor("bo", "clinea"), handle), person, Said(), "x",
                          office.clinic("clinea"), office.clock.now())  # fmt: skip
        assert office.house.durable.guardianships.add(row)

    assert "20 people are noted already" in add(office, handle)


def test_a_power_of_attorney_where_the_clinic_takes_any(office: Office) -> None:
    """Of a grown patient too, for what the clinic accepts, and without a birthday on which it would end."""
    clinic = office.clinic("clinea")
    object.__setattr__(clinic, "mandates", ("VISIT",))
    object.__setattr__(office.house.offices.noting.clients.find("portal"), "acting", "asked")
    grown = child_at(office, age=44, serial=412)
    said = add(office, grown.handle, relation="mandate", until="2027-01-31")

    row = noted(office, grown.handle)[0].row
    assert "2027-01-31" in said
    assert (row.powers, row.until, row.limit_on) == (("VISIT",), date(2027, 1, 31), None)


def test_the_page_says_what_a_note_opens(office: Office) -> None:
    """Where no guardian acts (Denmark) only custody may be noted, for when the child is registered; it is said."""
    handle = child_at(office).handle
    said = page(office, path_of(handle))

    assert "No service of this clinic lets anybody log in for a child." in said
    assert "choose the child from a list when they register it" in said
    assert "Has custody" in said
    assert "Foster parent" not in said
    assert "With this relation nobody could do anything" in add(office, handle, relation="foster")
    assert noted(office, handle) == ()


def test_where_a_note_opens_nothing(office: Office) -> None:
    """No form is offered where nobody could do anything by any note, and one that is sent all the same is refused."""
    object.__setattr__(office.clinic("clinea"), "registration", "off")
    handle = child_at(office).handle

    assert "It would open nothing at any service" in page(office, path_of(handle))
    assert 'name="relation"' not in office.client("bo").get(path_of(handle)).text
    add(office, handle)
    assert noted(office, handle) == ()


def _instead(wanted: Enrolment, _before: Enrolment | None) -> Enrolment:
    return wanted


def test_a_grown_patient_is_told_of_a_power_of_attorney(office: Office) -> None:
    """The attack: a colleague gives a friend a power of attorney over a patient, who hears nothing. Told once."""
    clinic = office.clinic("clinea")
    object.__setattr__(clinic, "mandates", ("VISIT",))
    object.__setattr__(office.house.offices.noting.clients.find("portal"), "acting", "asked")
    grown, child = child_at(office, age=44, serial=413), child_at(office)
    for one in (grown, child):
        found = office.house.rooms.counter.records.enrolments.find(one.person, "clinea")
        assert found is not None
        told = replace(found, told={Channel.EMAIL: f"{one.handle}@example.org".lower()})
        office.house.rooms.counter.records.enrolments.change(one.person, "clinea", partial(_instead, told))
    add(office, child.handle)
    for _ in range(2):
        add(office, grown.handle, relation="mandate")
    letters = [one for one in office.emails() if "may act for you" in one]

    assert len(letters) == 1
    assert office.mail.taken[-1][1] == [f"{grown.handle}@example.org".lower()]


def test_why_somebody_was_refused_is_told_to_nobody(office: Office) -> None:
    """The attack: who reads a trail learns that a court has barred a parent. That it was tried is told, not why."""
    child, now = child_at(office), office.clock.now()
    kinds = ("acting.granted", "acting.refused", "acting.ended")
    for kind in kinds:
        detail = {"reason": "care_order", "guardian": "x"}
        event = Event(at=now, kind=kind, clinic="clinea", client="portal", person=child.person, detail=detail)
        office.house.durable.events.record(event)
    trail = page(office, f"/staff/clinea/patients/{child.handle}")
    telling = Telling(
        clients=office.site.clients,
        clinics=office.site.clinics,
        titles=str,
        language="en",
        acted=lambda event: event.detail["guardian"],
    )
    own = [telling._event(one) for one in office.events("acting.") if is_told(one)]

    assert "A login on another person's behalf was refused" in trail
    assert [one["kind"] for one in own] == list(kinds)
    assert "care_order" not in trail + repr(own)
