"""The page of who waits: in words what differs, answered once, nothing posted twice (S1; pages 1.20)."""

from __future__ import annotations

from datetime import date

import pytest

from idbroker.accounts.account import Standing
from idbroker.clinic import LANGUAGES
from idbroker.messages.message import Channel
from tests.office_door import Office
from tests.office_door import text_of as plain
from tests.patients.waiting import account_of, asked, entry_of, records_of

PAGE = "/staff/clinea/approvals"


def text_of(page: str) -> str:
    """Return what a page says, with no space where an element ends before a comma."""
    return plain(page).replace(" ,", ",").replace(" .", ".")


def answered(office: Office, who: str = "bo", **fields: str) -> str:
    """Send an answer; return what the page says afterwards."""
    client = office.client(who)
    return text_of(office.go(client, office.post(client, PAGE, **fields)).text)


def standing(office: Office, person: str) -> Standing:
    """Return how somebody stands at Clinea."""
    kept = records_of(office).enrolments.find(person, "clinea")
    assert kept is not None
    return kept.standing


def test_the_queue_in_words(office: Office) -> None:
    """Name, birth year, when, how, and what differs, in words; an address of the patient's own is not shown whole."""
    enrolment = asked(office, "vilma", told={Channel.SMS: "+4520654399"})

    said = text_of(office.client("bo").get(PAGE).text)

    assert f"Ada Prøvesen, born {office.number('vilma').birthdate:%Y}" in said
    assert "Asked 2026-11-22 at 10:00" in said
    assert "Differs: mobile number" in said
    assert "the patient gave ••• 21, the list has +45 20 65 43 99" in said
    assert "+4520654321" not in said
    assert enrolment.person not in said


def test_days_are_written_as_the_page_writes_them(office: Office) -> None:
    """Birth dates that differ stand there as people write days in the page's language, not as machines do."""
    asked(office, "vilma", entry=entry_of(office, "vilma", birthdate=date(1942, 5, 9)))
    page = office.client("bo").get(f"{PAGE}?lang=da").text
    assert "9.5.1942" in text_of(page)
    assert "1942-05-09" not in page


def test_who_is_shown_was_looked_at(office: Office) -> None:
    """Each patient on the page can read that they were looked at, once in a quarter of an hour (L9)."""
    people = {asked(office, one).person for one in ("vilma", "rosa")}
    for _ in range(2):
        office.client("bo").get(PAGE)
    seen = office.events("patient.viewed")
    assert {(one.person, one.detail["by"]) for one in seen} == {(one, office.member("bo").id) for one in people}
    assert len(seen) == 2


def test_a_guardian_is_named(office: Office) -> None:
    """The page says who asked for a child, or that whoever did has no account here."""
    guardian = account_of(office, "otto", given_name="Otto")
    asked(office, "vilma", guardian=guardian.person)
    asked(office, "rosa", guardian="0" * 32)

    said = text_of(office.client("bo").get(PAGE).text)

    assert "Asked for by Otto Prøvesen, who says they are the guardian" in said
    assert "who says they are the guardian, but has no account here" in said


def test_approved_on_the_page(office: Office) -> None:
    """One press approves, the next page says so, and a reload posts nothing."""
    enrolment, client = asked(office, "vilma"), office.client("bo")

    answer = office.post(client, PAGE, do="approve", handle=enrolment.handle)

    assert (answer.status_code, answer.headers["Location"]) == (303, PAGE)
    assert "Ada Prøvesen is approved, and is told." in text_of(client.get(PAGE).text)
    assert "is approved" not in text_of(client.get(PAGE).text)
    assert standing(office, enrolment.person) is Standing.APPROVED


def test_the_second_approver_is_told_whose_answer_counts(office: Office) -> None:
    """The other tab's answer is no error: it reads who was first, and when."""
    enrolment = asked(office, "vilma")
    answered(office, do="approve", handle=enrolment.handle)

    said = answered(office, "cecilia", do="decline", handle=enrolment.handle, reason="not ours")

    assert "Ada Prøvesen was already approved by Bo Testsen, 2026-11-22 at 10:00." in said
    assert standing(office, enrolment.person) is Standing.APPROVED


def test_a_decline_asks_why(office: Office) -> None:
    """Without a reason nothing is declined, and the field says so; with one it is."""
    enrolment = asked(office, "vilma")

    assert "Write why" in answered(office, do="decline", handle=enrolment.handle, reason=" ")
    assert standing(office, enrolment.person) is Standing.ASKED
    assert "is declined" in answered(office, do="decline", handle=enrolment.handle, reason="not ours")


def test_many_at_once(office: Office) -> None:
    """Those who are the same as in the list are ticked, and approved by one press; who differs is left, in words."""
    one, two = asked(office, "vilma"), asked(office, "rosa")
    other = asked(office, "otto", told={Channel.EMAIL: "other@example.test"})
    page = office.client("bo").get(PAGE).text
    assert f'name="one.{one.handle}"' in page
    assert f'name="one.{other.handle}"' not in page

    ticked = {f"one.{handle}": "1" for handle in (one.handle, two.handle, other.handle)}
    said = answered(office, do="many", **ticked)

    assert said.count("is approved, and is told") == 2
    assert "no longer the same as in the list" in said
    assert standing(office, other.person) is Standing.ASKED


def test_carers_do_not_see_it(office: Office) -> None:
    """A carer is told in words that the role does not reach so far, and has no link to the page."""
    client = office.client("anna")

    assert "Waiting for approval" not in text_of(client.get("/staff/clinea").text)
    answer = client.get(PAGE)
    assert answer.status_code == 403
    assert "You do not have access to this" in text_of(answer.text)


@pytest.mark.parametrize("handle", ["", "x" * 22])
def test_nobody_of_that_name(office: Office, handle: str) -> None:
    """A handle that is nobody's here is not there."""
    client = office.client("bo")

    assert office.post(client, PAGE, do="approve", handle=handle).status_code == 404


@pytest.mark.parametrize("language", LANGUAGES)
def test_in_every_language(office: Office, language: str) -> None:
    """The page is had in all five languages, with all that it can say."""
    asked(office, "vilma", guardian="0" * 32, told={Channel.EMAIL: "other@example.test"})
    asked(office, "otto", listed=False)

    assert office.client("bo").get(f"{PAGE}?lang={language}").status_code == 200
