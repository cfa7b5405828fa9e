"""Patients, as a clinic's own system enters, finds, reads and changes them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from idbroker.accounts.account import Account, Standing
from idbroker.events import Event
from tests.api.api_house import Api
from tests.patients.waiting import MAIL, MOBILE, account_of

NOTHING: dict[str, str | None] = {"email": None, "sms": None}


def told(api: Api, handle: str) -> dict[str, Any]:
    """Return a patient as read."""
    return dict(api.call("GET", f"/patients/{handle}").get_json())


def state(api: Api, handle: str) -> str:
    """Return the state of a patient's record, for If-Match."""
    return api.call("GET", f"/patients/{handle}").headers["ETag"]


def test_a_patient_is_entered(api: Api) -> None:
    """R29: a new patient is 201, with a handle, an address and a state, and may use the clinic from then on."""
    answer = api.call("POST", "/patients", api.who(checked="passport", contacts={"email": "a@example.org"}))
    handle = answer.get_json()["handle"]

    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/api/v1/patients/{handle}"
    assert answer.get_json() == {"handle": handle, "standing": "approved"}
    assert answer.headers["ETag"] == state(api, handle)
    assert told(api, handle)["contacts"] == {"email": "a@example.org", "sms": None, "confirmed": NOTHING}
    assert told(api, handle)["checked"] == "passport"


def test_whose_address_is_protected(api: Api) -> None:
    """L15: a clinic's system marks whose name and address are protected; what it does not say stays as it was."""
    handle = api.entered()
    assert told(api, handle)["protected"] is False
    for said, hidden in (({"protected": True}, True), ({"language": "sv"}, True), ({"protected": False}, False)):
        answer = api.call("PATCH", f"/patients/{handle}", said, headers={"If-Match": state(api, handle)})
        assert (answer.status_code, told(api, handle)["protected"]) == (200, hidden)
    again = api.entered(protected=True)
    assert (again, told(api, handle)["protected"]) == (handle, True)


@pytest.mark.parametrize("kind", ["signin.granted", "contact.settled"])
def test_what_the_patient_has_confirmed(api: Api, kind: str) -> None:
    """L16: beside the clinic's addresses stand the patient's own, once they have come there themselves; not before."""
    handle = api.entered(contacts={"email": "old@example.org"})
    account = account_of(api.office, "anna")
    assert told(api, handle)["contacts"] == {"email": "old@example.org", "sms": None, "confirmed": NOTHING}

    for clinic in ("clinea", "neuroreg"):
        assert told(api, handle)["contacts"]["confirmed"] == NOTHING
        event = Event(at=api.office.clock.now(), kind=kind, clinic=clinic, provider="mitid", person=account.person)
        event = replace(event, detail={"loa": "substantial"})
        api.office.house.durable.events.record(event)

    confirmed = {"email": MAIL, "sms": MOBILE}
    assert told(api, handle)["contacts"] == {"email": "old@example.org", "sms": None, "confirmed": confirmed}


def test_who_is_there_is_brought_up_to_date(api: Api) -> None:
    """The same number again is the same patient: 200, and what was left out stays as it was."""
    handle = api.entered(contacts={"email": "a@example.org"})
    api.office.clock.move(timedelta(seconds=1))
    again = api.call("POST", "/patients", api.who(takes_part=False))

    assert (again.status_code, again.get_json()["handle"]) == (200, handle)
    assert told(api, handle)["takes_part"] is False
    assert told(api, handle)["contacts"]["email"] == "a@example.org"


def test_a_number_under_another_name_is_refused(api: Api) -> None:
    """Issue 6: a number already known under another name is refused, and nothing is changed."""
    handle = api.entered()
    answer = api.call("POST", "/patients", api.who(given_name="Somebody", family_name="Else"))

    assert (answer.status_code, answer.get_json()["code"]) == (409, "other_name")
    assert told(api, handle)["family_name"] == api.office.people["anna"].family_name


@pytest.mark.parametrize(
    ("changed", "pointer", "code"),
    [
        ({"number": {"country": "DK", "value": "0000000000"}}, "/number/value", "number_date"),
        ({"number": {"country": "NO", "value": "0000000000"}}, "/number", "not_allowed"),
        ({"number": "0000000000"}, "/number", "not_allowed"),
        ({"birthdate": "2999-01-01"}, "/birthdate", "future"),
        ({"birthdate": "1999-02-30"}, "/birthdate", "not_a_day"),
        ({"birthdate": "2018-01-01"}, "/birthdate", "not_the_numbers"),
        ({"birthdate": "١٩٩٩-01-01"}, "/birthdate", "not_a_day"),
        ({"contacts": {"email": "a@b"}}, "/contacts/email", "not_an_address"),
        ({"contacts": {"sms": "20123456"}}, "/contacts/sms", "not_an_address"),
        ({"contacts": {"sms": "+4533123456789"}}, "/contacts/sms", "not_an_address"),
        ({"contacts": {"fax": "+4520123456"}}, "/contacts", "unknown_member"),
        ({"family_name": ""}, "/family_name", "too_short"),
        ({"family_name": "x" * 81}, "/family_name", "too_long"),
        ({"family_name": None}, "/family_name", "wrong_type"),
        ({"takes_part": "yes"}, "/takes_part", "wrong_type"),
        ({"takes_part": 1}, "/takes_part", "wrong_type"),
        ({"language": "xx"}, "/language", "not_allowed"),
        ({"exempt": "lazy"}, "/exempt", "not_allowed"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(shared: Api, changed: dict[str, Any], pointer: str, code: str) -> None:
    """RFC 9457, 3.2: each mistake by a JSON pointer and a stable code, and nothing of what was sent."""
    answer = shared.call("POST", "/patients", shared.who(**changed))
    document = answer.get_json()

    assert answer.status_code == document["status"] == 422
    assert answer.content_type == "application/problem+json"
    assert {"pointer": pointer, "code": code} in document["errors"]
    assert document["type"] == "https://broker.test/api/v1/openapi.json#/x-problems/invalid"


def test_a_patient_is_found_by_number(api: Api) -> None:
    """The number stands in the body: no address, and no log of addresses, holds one."""
    handle = api.entered()
    found = api.call("POST", "/patients/search", {"number": api.who()["number"]}).get_json()["patients"]

    assert [one["handle"] for one in found] == [handle]
    assert found[0]["number"] == {"kind": "cpr", **api.who()["number"]}


def test_a_patient_is_found_by_name_and_birth_date(api: Api) -> None:
    """Name and birth date together find; another day finds nobody."""
    handle, one = api.entered(), api.office.people["anna"]
    asked = {"name": one.family_name.upper(), "birthdate": one.born.isoformat()}
    found = api.call("POST", "/patients/search", asked).get_json()["patients"]
    none = api.call("POST", "/patients/search", {**asked, "birthdate": "1900-01-01"}).get_json()["patients"]

    assert [one["handle"] for one in found] == [handle]
    assert none == []


@pytest.mark.parametrize("asked", [{}, {"name": "Testsen"}, {"birthdate": "2001-01-01"}])
def test_nobody_browses(shared: Api, asked: dict[str, Any]) -> None:
    """A search by name alone, by birth date alone, or by nothing is refused."""
    assert shared.call("POST", "/patients/search", asked).status_code == 422


def test_another_clinics_patient_is_not_found(api: Api) -> None:
    """R29: who is another clinic's is nobody here, by number as by name."""
    api.entered()
    one = api.office.people["anna"]
    by_number = api.call("POST", "/patients/search", {"number": api.who()["number"]}, by="other")
    asked = {"name": one.family_name, "birthdate": one.born.isoformat()}
    by_name = api.call("POST", "/patients/search", asked, by="other")

    assert by_number.get_json() == by_name.get_json() == {"patients": []}


def test_a_patient_is_changed(api: Api) -> None:
    """RFC 7396: what is said is changed, null takes away, what is left out stays; the state is another then."""
    handle = api.entered(contacts={"email": "a@example.org", "sms": "+4520123456"}, exempt="age")
    before = state(api, handle)
    changed = {"language": "sv", "exempt": None, "contacts": {"sms": None}}
    answer = api.call("PATCH", f"/patients/{handle}", changed, headers={"If-Match": before})
    now = told(api, handle)

    assert answer.status_code == 200
    assert answer.headers["ETag"] == now["etag"] != before
    assert (now["language"], now["exempt"]) == ("sv", None)
    assert now["contacts"] == {"email": "a@example.org", "sms": None, "confirmed": NOTHING}


def test_a_stale_change_changes_nothing(api: Api) -> None:
    """RFC 9110, 13.1.1: who has read an earlier state is told 412, and what is there stays."""
    handle = api.entered()
    before = state(api, handle)
    api.call("PATCH", f"/patients/{handle}", {"language": "sv"}, headers={"If-Match": before})
    answer = api.call("PATCH", f"/patients/{handle}", {"language": "fi"}, headers={"If-Match": before})

    assert (answer.status_code, answer.get_json()["code"]) == (412, "stale")
    assert told(api, handle)["language"] == "sv"


@pytest.mark.parametrize(
    ("tag", "status"), [(None, 428), ("*", 428), ('W/"x"', 412), ('"x"', 412), ("x", 400), ('"a", "b"', 400)]
)
def test_a_change_names_what_was_read(shared: Api, tag: str | None, status: int) -> None:
    """RFC 6585, 3: without If-Match, or with any state, nobody's change is lost: it is not made."""
    handle = shared.entered()
    answer = shared.call("PATCH", f"/patients/{handle}", {"language": "sv"}, headers={"If-Match": tag})

    assert answer.status_code == status
    assert told(shared, handle)["language"] != "sv"


def test_many_are_entered_each_by_itself(api: Api) -> None:
    """Of many each has its own result, in order; what is wrong with one hinders no other."""
    sent = [api.who("anna"), {"family_name": "Nobody"}, "x", api.who("ake", family_name=""), api.who("bjorn")]
    answer = api.call("POST", "/patients/bulk", {"patients": sent})
    results = answer.get_json()["results"]

    assert answer.status_code == 200
    assert [one["index"] for one in results] == [0, 1, 2, 3, 4]
    assert [one["status"] for one in results] == [201, 422, 422, 422, 201]
    assert results[1]["errors"] == [{"pointer": "/number", "code": "required"}]
    assert told(api, results[4]["handle"])["family_name"] == api.office.people["bjorn"].family_name


@pytest.mark.parametrize("count", [0, 1001])
def test_a_list_has_one_to_a_thousand(shared: Api, count: int) -> None:
    """A list of none, or of more than a thousand, is refused as a whole."""
    assert shared.call("POST", "/patients/bulk", {"patients": [{}] * count}).status_code == 422


def test_access_is_sent(api: Api) -> None:
    """R31: a message goes to the address that the clinic has; the receipt shows where, and not the whole of it."""
    handle = api.entered(contacts={"email": "ada@example.org"})
    answer = api.call("POST", f"/patients/{handle}/access", {"channels": ["email"]})

    assert answer.status_code == 200
    assert answer.get_json()["email"]
    assert [one.detail["channels"] for one in api.office.events("patient.sent")] == ["email"]


def test_access_goes_nowhere_without_an_address(api: Api) -> None:
    """Who has no address for a channel is sent nothing, and the caller is told so."""
    handle = api.entered()
    answer = api.call("POST", f"/patients/{handle}/access", {"channels": ["email", "sms"]})

    assert (answer.status_code, answer.get_json()["code"]) == (409, "no_contact")


@pytest.mark.parametrize("service", ["portal", "journal", "nobody", "\u0661"])
def test_access_leads_to_no_service_of_another_clinic(shared: Api, service: str) -> None:
    """A link leads to a service of this clinic's that people sign in to, or nowhere."""
    handle = shared.entered(contacts={"email": "ada@example.org"})
    answer = shared.call("POST", f"/patients/{handle}/access", {"channels": ["email"], "service": service})

    assert (answer.status_code, answer.get_json()["code"]) == (409, "not_here")


def test_too_much_access_is_held_back(api: Api) -> None:
    """R31: a limit per hour; the caller is told until when."""
    handle = api.entered(contacts={"email": "ada@example.org"})
    answers = [api.call("POST", f"/patients/{handle}/access", {"channels": ["email"]}) for _ in range(4)]

    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert 0 < int(answers[3].headers["Retry-After"]) <= 3601


def test_a_death_is_noted_and_taken_back(api: Api) -> None:
    """L12: from a death on nothing is changed or sent; a mistake is taken back."""
    handle = api.entered(contacts={"email": "ada@example.org"})
    noted = api.call("POST", f"/patients/{handle}/death", {"on": "2026-11-20"})
    sent = api.call("POST", f"/patients/{handle}/access", {"channels": ["email"]})
    dead = told(api, handle)
    back = api.call("DELETE", f"/patients/{handle}/death")

    assert (noted.status_code, back.status_code) == (200, 200)
    assert dead["deceased_on"] == "2026-11-20"
    assert sent.get_json()["code"] == "deceased"
    assert told(api, handle)["deceased_on"] is None


@pytest.mark.parametrize("what", ["death", "custody"])
def test_nothing_is_noted_of_tomorrow(shared: Api, what: str) -> None:
    """What has not happened is not noted: the day is today at the clinic, at the latest."""
    handle = shared.entered()
    answer = shared.call("POST", f"/patients/{handle}/{what}", {"on": "2026-11-23"})

    assert answer.get_json()["errors"] == [{"pointer": "/on", "code": "future"}]


def test_every_act_is_in_the_patients_trail(api: Api) -> None:
    """R29: the patient can read what a program did: whose it is, in which role, and no name or number."""
    handle = api.entered()
    told(api, handle)
    api.call("POST", f"/patients/{handle}/custody", {"on": "2026-11-20"})
    trail: list[Event] = api.office.events("patient.")

    assert [one.kind for one in trail] == ["patient.entered", "patient.viewed", "patient.custody"]
    assert {one.detail["by"] for one in trail} == {"client:journal"}
    assert {one.clinic for one in trail} == {"neuroreg"}
    assert len({one.person for one in trail}) == 1


def test_what_staff_do_and_what_programs_do_is_one_record(api: Api) -> None:
    """One register: what a program entered is what staff find, approved."""
    handle = api.entered()
    found = api.office.house.offices.register.look(api.office.actor("bo"), handle, api.office.clock.now())

    assert found.enrolment.standing is Standing.APPROVED


def test_nothing_of_an_account_made_elsewhere(api: Api) -> None:
    """The attack: a clinic that knows a number alone enters it, and reads the name that its owner gave elsewhere."""
    office, number = api.office, api.office.number("anna")
    records, now = office.house.rooms.counter.records, office.clock.now()
    person = records.accounts.person(number, now)
    account = Account(person=person, number=number, given_name="Secret", family_name="Name", created_at=now)
    assert records.accounts.add(account)
    body = {"number": {"country": number.country, "value": number.value}, "family_name": "X"}

    handle = api.call("POST", "/patients", body, by="other").get_json()["handle"]
    read = api.call("GET", f"/patients/{handle}", by="other")
    etag = {"If-Match": read.headers["ETag"]}
    api.call("PATCH", f"/patients/{handle}", {"language": "sv"}, by="other", headers=etag)

    again = api.call("GET", f"/patients/{handle}", by="other")
    assert "Secret" not in read.text + again.text
    assert (again.get_json()["given_name"], again.get_json()["language"]) == (None, "sv")
