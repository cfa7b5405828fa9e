"""A letter with a code: number and code, a password, and where codes go; for who has nothing but paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from idbroker.clinic import LANGUAGES
from idbroker.clock import StoppedClock
from idbroker.patients.access import Letter
from tests.office.patients_there import mailed, patient_at
from tests.office_door import Office, StaffBrowser, nonces_of, open_office, text_of

NEW = "fire grønne cykler"
OWN = "ada@example.test"


@pytest.fixture
def office(tmp_path: Path, clock: StoppedClock) -> Iterator[Office]:
    """Give a whole broker."""
    with open_office(tmp_path, clock) as opened:
        yield opened


def letter(office: Office) -> tuple[str, str]:
    """Make a letter; return its code, and the number that goes with it."""
    patient = patient_at(office, "clinea", told={}, language="en")
    actor = office.actor("anna", "clinea")
    made = office.house.offices.access.letter(actor, patient.handle, None, office.clock.now())
    assert isinstance(made, Letter)
    return made.code, office.number("anna").value


def activate(browser: StaffBrowser, office: Office, number: str, code: str) -> TestResponse:
    """Type a number and a code; return the page they lead to."""
    typed = {"number": number, "country": "DK", "code": code}
    return office.go(browser, browser.post("/activate", data=typed))


def press(browser: StaffBrowser, office: Office, page: TestResponse, **fields: str) -> TestResponse:
    """Send the form of a page; return the page it leads to."""
    found = re.search(r'<form id="f" method="post" action="([^"]+)"', page.text)
    assert found, text_of(page.text)
    return office.go(
        browser, browser.post(found[1].replace("&amp;", "&"), data={"_n": nonces_of(page.text)[0], **fields})
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_in_every_language(office: Office, language: str) -> None:
    """The page is there in each language, for whoever was not told another."""
    shown = office.browser(language).get("/activate")

    assert shown.status_code == 200
    assert f'<html lang="{language}">' in shown.text


def test_from_paper_to_codes(office: Office) -> None:
    """With the letter alone: a password, then an address that a code shows to be theirs; without script."""
    code, number = letter(office)
    browser = office.browser()

    page = activate(browser, office, number, code.lower().replace("-", " "))
    assert "Choose a password" in text_of(page.text)
    page = press(browser, office, page, password=NEW)
    assert "Where should we send your codes?" in text_of(page.text)
    page = press(browser, office, page, email="nobody", phone="")
    assert "nobody" in page.text
    page = press(browser, office, page, email=OWN, phone="")
    (mail,) = [one for one in mailed(office, 2) if "is your code" in one]
    (sent,) = re.findall(r"\b[0-9]{6}\b", mail.splitlines()[0])
    page = press(browser, office, page, code="000000" if sent != "000000" else "111111")
    assert "not right" in text_of(page.text)
    page = press(browser, office, page, code=sent)

    assert "The password has been saved" in text_of(page.text)
    account = office.house.rooms.counter.records.accounts.find(office.number("anna"))
    assert account is not None
    assert [contact.address for contact in account.reachable] == [OWN]
    assert account.only_at == ("clinea",)


def test_with_no_address_at_all(office: Office) -> None:
    """Who has neither e-mail nor mobile is told whom to call, and may still give an address."""
    code, number = letter(office)
    browser = office.browser()
    page = press(browser, office, activate(browser, office, number, code), password=NEW)

    page = press(browser, office, page, do="none")

    assert "no way to get codes" in text_of(page.text)
    assert 'href="tel:+4570100000"' in page.text
    assert 'href="/activate/' in page.text


def test_one_answer_for_all_that_is_wrong(office: Office) -> None:
    """A wrong code, somebody else's number and a number that nobody has are told the same (O7)."""
    code, number = letter(office)
    wrong = ("A" if code[0] != "A" else "B") + code[1:]
    tries = [(number, wrong), (office.number("emil").value, code), ("0107729995", code)]

    said = {text_of(activate(office.browser(), office, *one).text).replace(one[0], "") for one in tries}

    assert len(said) == 1
    assert "do not belong together" in said.pop()


def test_counted_before_it_is_compared(office: Office) -> None:
    """After five tries of a number none is compared for a quarter of an hour, not even the right one."""
    code, number = letter(office)
    wrong = ("A" if code[0] != "A" else "B") + code[1:]
    for _ in range(5):
        activate(office.browser(), office, number, wrong)

    assert "Too many tries" in text_of(activate(office.browser(), office, number, code).text)
    assert "Enter the whole code" in text_of(activate(office.browser(), office, number, "ABCD").text)


def test_used_once(office: Office) -> None:
    """A code that has been used opens nothing, and neither does its page."""
    code, number = letter(office)
    browser = office.browser()
    page, other = (activate(browser, office, number, code) for _ in range(2))
    press(browser, office, page, password=NEW)

    again = press(browser, office, other, password="noget helt andet nu")

    assert "no longer works" in text_of(again.text)
    assert "do not belong together" in text_of(activate(browser, office, number, code).text)


def test_another_password_since(office: Office) -> None:
    """Who was on the way to give an address is not helped on once another password was chosen."""
    code, number = letter(office)
    browser = office.browser()
    page = press(browser, office, activate(browser, office, number, code), password=NEW)
    newer, _ = letter(office)
    other = office.browser()
    office.clock.move(timedelta(seconds=1))
    press(other, office, activate(other, office, number, newer), password="noget helt andet nu")

    assert press(browser, office, page, email=OWN, phone="").status_code == 404
