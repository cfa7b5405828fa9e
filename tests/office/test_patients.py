"""The pages about a patient: found, entered, shown and changed; nothing half done, all of it the patient's to read."""

from __future__ import annotations

import re
from typing import Any

import pytest

from idbroker.accounts.account import Standing
from idbroker.clinic import LANGUAGES
from idbroker.events import Event
from idbroker.messages.addresses import display
from idbroker.messages.message import Channel
from idbroker.patients.register import LOOKS
from idbroker.staff.member import Role
from tests.office.patients_there import patient_at
from tests.office_door import Office, StaffBrowser
from tests.office_door import text_of as plain
from tests.patients.waiting import MAIL, MOBILE, account_of, records_of

HOME = "/staff/neuroreg"
NEW = f"{HOME}/patients/new"
SHEET = {
    "given": "Märta",
    "family": "Öberg",
    "checked": "passport",
    "email": "marta@example.test",
    "phone": "070-174 06 20",
    "exempt": "age",
    "declined": "1",
    "protected": "1",
    "language": "sv",
}


@pytest.fixture
def anna(office: Office) -> StaffBrowser:
    """Give a carer's browser."""
    return office.client("anna")


def text_of(page: str) -> str:
    """Return what a page says, with no space where an element ends before a comma."""
    return plain(page).replace(" ,", ",").replace(" .", ".")


def said(office: Office, client: StaffBrowser, path: str, **fields: str) -> tuple[str, str]:
    """Send a form; return where it led, and what is said there."""
    answer = office.go(client, office.post(client, path, **fields))
    assert answer.status_code == 200
    return answer.request.path, text_of(answer.text)


def drafted(office: Office, client: StaffBrowser, who: str = "marta", **changes: str) -> str:
    """Fill in a new patient as far as the check page; return where that is."""
    path, _ = said(office, client, NEW, number=office.number(who).display)
    path, text = said(office, client, path, **{**SHEET, **changes})
    assert path.endswith("/check"), text
    return path


def mark_of(page: str) -> str:
    """Return the mark of an edit form."""
    found = re.search('name="mark" value="(.*?)"', page)
    assert found
    return found[1]


# ---- finding -------------------------------------------------------------------------------------


def test_a_search_by_number(office: Office, anna: StaffBrowser) -> None:
    """The result shows name, birth year and ways to log in; the number is in no address, and Back shows it again."""
    patient_at(office, person="marta", entry=None)
    account_of(office, "marta", password="set")

    answer = office.post(anna, HOME, number=office.number("marta").display)

    assert answer.status_code == 303
    assert office.number("marta").value not in answer.headers["Location"].replace("-", "")
    for _ in range(2):
        text = text_of(anna.get(answer.headers["Location"]).text)
        assert f"Ada Prøvesen born {office.number('marta').birthdate:%Y}" in text
        assert "Has not logged in here lately" in text
        assert "has a password" in text


def test_entering_a_number_tells_nothing_of_what_it_has_elsewhere(office: Office, anna: StaffBrowser) -> None:
    """Of who has never come to this clinic no address, password or eID is shown (harvesting); nor in a search."""
    account = account_of(office, "marta", password="set")
    elsewhere = Event(at=office.clock.now(), kind="signin.granted", clinic="clinea", person=account.person)
    office.house.durable.events.record(elsewhere)
    handle = patient_at(office, person="marta", told={Channel.SMS: "+46701740699"}).handle
    page = text_of(anna.get(f"{HOME}/patients/{handle}").text)
    _, found = said(office, anna, HOME, number=office.number("marta").display)
    for text in (page, found):
        assert "•" not in text
        assert "password" not in text.lower()
    came = Event(at=office.clock.now(), kind="enrolment.asked", clinic="neuroreg", person=account.person)
    office.house.durable.events.record(came)
    page = text_of(anna.get(f"{HOME}/patients/{handle}").text)
    assert "The patient's own: ••• 21" in page
    assert "Password Yes" in page


def test_the_right_address_in_full(office: Office, anna: StaffBrowser) -> None:
    """Who has come to this clinic by an eID gives it their own address whole, with a sentence that it differs (L16)."""
    account = account_of(office, "marta")
    handle = patient_at(office, person="marta", told={Channel.SMS: "+46701740699"}).handle
    came = Event(
        at=office.clock.now(),
        kind="signin.granted",
        clinic="neuroreg",
        provider="mitid",
        person=account.person,
        detail={"loa": "substantial"},
    )
    office.house.durable.events.record(came)

    page = text_of(anna.get(f"{HOME}/patients/{handle}").text)

    assert f"The patient's own: {display(MOBILE)} Confirmed by the patient. It differs from what you have." in page
    assert f"The patient's own: {MAIL} confirmed by the patient" in page


def test_what_a_search_found_is_the_colleagues_own(office: Office, anna: StaffBrowser) -> None:
    """The address of a result shows nothing to another colleague."""
    patient_at(office, person="marta")
    answer = office.post(anna, HOME, number=office.number("marta").display)

    assert "Find a patient" in text_of(office.client("bo").get(answer.headers["Location"]).text)


def test_a_search_by_name(office: Office, anna: StaffBrowser) -> None:
    """Name and birth date together find; each alone is asked for in words."""
    said(office, anna, drafted(office, anna))
    born = office.number("marta").birthdate
    assert born is not None

    _, text = said(office, anna, HOME, name="oberg", birthdate=f"{born.day}.{born.month}.{born.year}")
    assert "Märta Öberg" in text
    assert "Enter the date of birth" in said(office, anna, HOME, name="oberg", birthdate="then")[1]
    assert "Enter at least one word" in said(office, anna, HOME, birthdate=f"{born}")[1]


def test_nobody_was_found(office: Office, anna: StaffBrowser) -> None:
    """Who is not found can be registered, with the number that was typed."""
    answer = office.go(anna, office.post(anna, HOME, number=office.number("marta").display))
    assert "Nobody was found" in text_of(answer.text)
    onward = re.search(r'href="(/staff/neuroreg/patients/new\?found=[^"]+)"', answer.text)
    assert onward

    assert f'value="{office.number("marta").display}"' in anna.get(onward[1]).text


@pytest.mark.parametrize("number", ["", "1", "19421021-0000", "<script>"])
def test_a_number_that_is_none(office: Office, anna: StaffBrowser, number: str) -> None:
    """What cannot be a number is said so, and stays in its field, harmless."""
    _, text = said(office, anna, HOME, number=number)

    assert "The number is not complete, or cannot exist." in text


def test_harvesting_in_words(office: Office, anna: StaffBrowser) -> None:
    """Who searches without end is told that it stops, and that it was noted."""
    for _ in range(LOOKS):
        office.house.offices.register.by_number(office.actor(), office.number("marta"), office.clock.now())

    assert "very many patients" in said(office, anna, HOME, number=office.number("marta").display)[1]
    assert "very many patients" in said(office, anna, NEW, number=office.number("marta").display)[1]


# ---- entering ------------------------------------------------------------------------------------


def test_entered_after_a_check(office: Office, anna: StaffBrowser) -> None:
    """Nothing is written before the check page, which shows it all; then the patient may log in (R29, R35)."""
    path = drafted(office, anna)
    text = text_of(anna.get(path).text)
    assert "+46 70 174 06 20" in text
    assert "Nothing is saved and nothing is sent" in text
    assert records_of(office).accounts.known(office.number("marta")) is None

    path, text = said(office, anna, path)

    assert "Märta Öberg is in the list now." in text
    assert "Has declined to take part in the register" in text
    assert "Name and address are protected Nobody may act for this patient here" in text
    kept = records_of(office).enrolments.by_handle("neuroreg", path.rpartition("/")[2])
    assert kept is not None
    assert (kept.standing, kept.told[Channel.SMS]) == (Standing.APPROVED, "+46701740620")


def test_pressed_twice_it_is_one(office: Office, anna: StaffBrowser) -> None:
    """A double press leads to the same patient, entered once."""
    path = drafted(office, anna)
    nonce = re.findall('name="_n" value="([^"]+)"', anna.get(path).text)[-1]

    first, second = (anna.post(path, data={"_n": nonce}) for _ in range(2))

    assert first.headers["Location"] == second.headers["Location"]
    assert len(office.events("patient.entered")) == 1


def test_what_is_wrong_loses_nothing(office: Office, anna: StaffBrowser) -> None:
    """Every mistake is named with a link to its field; what was right stays. A landline is refused (r.e.mob)."""
    path, _ = said(office, anna, NEW, number=office.number("marta").display)

    answer = office.go(
        anna, office.post(anna, path, **{**SHEET, "family": " ", "checked": "", "phone": "08 123 45 00"})
    )

    for field in ("family", "checked", "phone"):
        assert f'href="#{field}"' in answer.text
        assert f'id="{field}"' in answer.text
    assert "That looks like a landline" in text_of(answer.text)
    assert 'value="Märta"' in answer.text
    assert 'value="08 123 45 00"' in answer.text


def test_a_duplicate_shows_the_record(office: Office, anna: StaffBrowser) -> None:
    """A number that is in the list leads to its patient."""
    there = patient_at(office, person="marta")

    path, text = said(office, anna, NEW, number=office.number("marta").display)

    assert path == f"{HOME}/patients/{there.handle}"
    assert "is in the list already" in text


def test_entered_meanwhile_under_another_name(office: Office, anna: StaffBrowser) -> None:
    """Of two colleagues the second reads both names, and nothing of theirs is written."""
    path, bo = drafted(office, anna), office.client("bo")
    said(office, bo, drafted(office, bo, given="Karin", family="Berg"))

    again, text = said(office, anna, path)

    assert again == path
    assert "You wrote Märta Öberg. The list has Karin Berg." in text
    assert "Open Karin Berg" in text


def test_drafts_are_the_colleagues_own(office: Office, anna: StaffBrowser) -> None:
    """What somebody is typing is not to be had by its address, by colleagues or at another clinic."""
    path = drafted(office, anna)

    for client, address in ((office.client("bo"), path), (anna, path.replace("neuroreg", "clinea"))):
        answer = office.go(client, client.get(address))
        assert "Märta" not in answer.text
        assert "Begin again" in text_of(answer.text)


# ---- one patient ---------------------------------------------------------------------------------


def test_the_page_of_a_patient(office: Office, anna: StaffBrowser) -> None:
    """Contacts, how they log in, what can be done, and the trail with colleagues' names."""
    handle = patient_at(office, told={Channel.EMAIL: "ada@example.test", Channel.SMS: "+46701740699"}).handle
    account = account_of(office, "anna")
    came = Event(at=office.clock.now(), kind="signin.granted", clinic="neuroreg", person=account.person)
    office.house.durable.events.record(came)

    page = anna.get(f"{HOME}/patients/{handle}").text

    text = text_of(page)
    assert "ada@example.test confirmed by the patient" in text
    assert "+46 70 174 06 99 not confirmed by the patient The patient's own: ••• 21" in text
    assert "Details looked at Anna Testsen" in text
    assert "Everything you do with a patient is in a log that the patient can see." in text
    assert {f"{HOME}/patients/{handle}/{part}" for part in ("edit", "access", "letter")} <= set(
        re.findall('href="([^"]+)"', page)
    )
    assert f"{handle}/merge" not in page


def test_another_clinics_patient(office: Office, anna: StaffBrowser) -> None:
    """The handle of another clinic's patient is not here, in words; nor is a clinic where one does not work."""
    handle = patient_at(office).handle
    office.hire("dora", roles={"clinea": Role.ADMINISTRATOR})

    for client, path in (
        (anna, f"/staff/clinea/patients/{handle}"),
        (office.client("dora"), f"{HOME}/patients/{handle}"),
    ):
        answer = client.get(path)
        assert answer.status_code == 404
        assert "not at this clinic" in text_of(answer.text)


@pytest.mark.parametrize("part", ["", "/edit", "/death"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_in_every_language(office: Office, language: str, part: str) -> None:
    """Each page is had in all five languages."""
    handle = patient_at(office).handle

    assert office.client("cecilia").get(f"{HOME}/patients/{handle}{part}?lang={language}").status_code == 200


def test_the_language_stays(office: Office, anna: StaffBrowser) -> None:
    """A language that was chosen is spoken on the next page too, after a form as well."""
    anna.get(f"{HOME}?lang=sv")

    assert "Sök en patient" in said(office, anna, HOME, number="1")[1]


# ---- changing ------------------------------------------------------------------------------------


def test_changed(office: Office, anna: StaffBrowser) -> None:
    """A new address is kept, the old one is told, and the page says when codes go to the new one."""
    path = f"{HOME}/patients/{patient_at(office).handle}"
    mark = mark_of(anna.get(f"{path}/edit").text)

    went, text = said(office, anna, f"{path}/edit", **{**SHEET, "mark": mark})

    assert went == path
    assert "The old address is told of the change." in text
    assert "Details changed: Name, " in text


@pytest.mark.parametrize("mark", [{}, {"mark": "x"}])
def test_a_form_without_its_mark_is_stale(office: Office, anna: StaffBrowser, mark: dict[str, str]) -> None:
    """A form that does not say on which state it was filled in changes nothing."""
    path = f"{HOME}/patients/{patient_at(office).handle}"

    went, text = said(office, anna, f"{path}/edit", **{**SHEET, **mark})

    assert went == f"{path}/edit"
    assert "has changed since you opened it" in text
    assert not office.events("patient.changed")


def test_a_stale_form_keeps_what_was_typed(office: Office, anna: StaffBrowser) -> None:
    """The second of two editors reads who was first, what there is now, and finds their own text (S1)."""
    path, bo = f"{HOME}/patients/{patient_at(office).handle}", office.client("bo")
    mark = mark_of(anna.get(f"{path}/edit").text)
    said(office, bo, f"{path}/edit", **{**SHEET, "given": "Karin", "mark": mark})

    answer = office.go(anna, office.post(anna, f"{path}/edit", **{**SHEET, "mark": mark}))

    assert "Bo Testsen, 2026-11-22 at 10:00" in text_of(answer.text)
    assert "Now: Karin" in text_of(answer.text)
    assert 'value="Märta"' in answer.text
    said(office, anna, f"{path}/edit", **{**SHEET, "mark": mark_of(answer.text)})
    assert "Märta Öberg" in text_of(anna.get(path).text)


@pytest.mark.parametrize("fields", [{"given": ""}, {"email": "nowhere"}, {"phone": "08 123 45 00"}])
def test_a_mistake_changes_nothing(office: Office, anna: StaffBrowser, fields: dict[str, str]) -> None:
    """What cannot be a name or an address is named, and nothing is written."""
    path = f"{HOME}/patients/{patient_at(office).handle}"
    mark = mark_of(anna.get(f"{path}/edit").text)

    assert "Something needs fixing" in said(office, anna, f"{path}/edit", **{**SHEET, "mark": mark, **fields})[1]
    assert not office.events("patient.changed")


def test_a_form_of_elsewhere(office: Office, anna: StaffBrowser) -> None:
    """A form that was not given to this sign-in is refused (CSRF), and nothing is written."""
    path = f"{HOME}/patients/{patient_at(office).handle}/edit"

    assert anna.post(path, data=SHEET).status_code == 400
    assert not office.events("patient.changed")


# ---- deaths --------------------------------------------------------------------------------------


def test_a_death_and_back(office: Office, anna: StaffBrowser) -> None:
    """An administrator notes a death, which the page says, and takes it back; a carer may not."""
    path, cecilia = f"{HOME}/patients/{patient_at(office).handle}", office.client("cecilia")
    assert anna.get(f"{path}/death").status_code == 403
    assert "/death" not in anna.get(path).text

    assert "Enter the date of death" in said(office, cecilia, f"{path}/death", on="2027-01-01")[1]
    assert "Registered as deceased on 2026-11-01" in said(office, cecilia, f"{path}/death", on="1.11.2026")[1]
    assert f"{path}/edit" not in cecilia.get(path).text
    assert "has been undone" in said(office, cecilia, f"{path}/death", do="lives")[1]


def test_nobody_is_signed_in(office: Office) -> None:
    """Without a sign-in every page leads there, and back."""
    paths: list[Any] = [HOME, NEW, f"{HOME}/patients/{'x' * 22}", f"{HOME}/approvals"]

    for path in paths:
        answer = office.browser().get(path)
        assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (303, "/staff/sign-in")
