"""The pages on which staff ask who is on the telephone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from werkzeug.test import TestResponse

from idbroker.clinic import LANGUAGES
from idbroker.patients.telephone import LIFE
from tests.office_door import StaffBrowser, nonces_of, text_of
from tests.patients.telephone_house import Line, open_line


@pytest.fixture(scope="module")
def open_all_day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """Open a line for a module."""
    with open_line(tmp_path_factory.mktemp("line")) as line:
        yield line


@dataclass
class Screen:
    """Anna's, with Björn on the telephone."""

    line: Line
    browser: StaffBrowser
    at: str

    def begin(self, **fields: str) -> TestResponse:
        """Send the form off."""
        return self.line.office.post(
            self.browser, f"{self.at}/call", **{"eid": "bankid", "caller": "patient", **fields}
        )

    def waiting(self, **fields: str) -> str:
        """Begin, and return where the page is that waits."""
        begun = self.begin(**fields)
        assert begun.status_code == 303
        assert re.fullmatch(rf"{self.at}/call/[0-9a-f]{{32}}", begun.headers["Location"]), begun.headers["Location"]
        return begun.headers["Location"]

    def look(self, page: str, *, later: float = 3) -> TestResponse:
        """Load a page, some seconds later."""
        self.line.clock.move(timedelta(seconds=later))
        return self.browser.get(page)


@pytest.fixture
def screen(open_all_day: Line) -> Screen:
    """Return a screen, with nothing asked so far."""
    open_all_day.reset()
    handle = open_all_day.enter()
    return Screen(open_all_day, open_all_day.office.client("anna"), f"/staff/neuroreg/patients/{handle}")


def test_asks_and_shows_the_answer(screen: Screen) -> None:
    """S1, L12: from the form to a waiting page that loads itself anew, and to the answer with its time."""
    page = screen.waiting()
    waits = screen.look(page)
    screen.line.act("approve")
    answered = screen.look(page)

    assert (waits.status_code, waits.headers["Refresh"]) == (200, "3")
    assert "Approve only if it says Neuroregistret" in text_of(waits.text)
    assert "Refresh" not in answered.headers
    assert "<h1>Yes, this is" in answered.text
    assert "BankID confirmed the patient's own identity number at" in text_of(answered.text)
    assert "It does not prove whose voice you hear" in text_of(answered.text)
    assert 'role="status"' in answered.text


def test_no_cookie_and_no_session_come_of_it(screen: Screen) -> None:
    """Nothing is issued: no page of a call sets a cookie, the patient's browser has none, and no sign-on is there."""
    page = screen.waiting()
    screen.line.act("approve")

    answers = [screen.look(page), screen.begin()]

    assert all("Set-Cookie" not in answer.headers for answer in answers)
    assert {one.kind for one in screen.line.trail("") if not one.kind.startswith("staff.")} == {
        "patient.viewed",
        "patient.calling",
        "patient.called",
    }


def test_says_who_asks_in_the_app(screen: Screen) -> None:
    """What the patient reads in BankID names the clinic, in the patient's language; Freja has its own words."""
    screen.waiting(caller="clinic")

    shown = screen.line.ringing()[0].text

    assert shown.startswith("# Visa vem du är för Neuroregistret, i telefon")
    assert "Godkänn bara om du pratar med Neuroregistret nu." in shown


def test_another_script_for_freja(screen: Screen) -> None:
    """Freja shows no words of ours, so staff are not told that it will."""
    waits = screen.look(screen.waiting(eid="freja"))

    assert "Open your Freja eID Plus app" in text_of(waits.text)
    assert "Approve only if it says" not in text_of(waits.text)


@pytest.mark.parametrize(
    ("lies", "outcome", "heading", "words"),
    [
        ((), "cancel", "The patient said no", "ring the number in the clinic’s list"),
        ((), "certificateErr", "It did not work", "BankID ended the question"),
        ((), "expiredTransaction", "No answer came", "That does not say whether the patient has BankID"),
        (("foreign_leaf", "wrong_person"), "approve", "Stop: this is somebody else", "end the telephone call"),
        (("wrong_visible",), "approve", "It did not work", "cannot be verified"),
    ],
)
def test_every_end_in_words(screen: Screen, lies: tuple[str, ...], outcome: str, heading: str, words: str) -> None:
    """Each end has a heading and a next step of its own, and says that nothing is proved."""
    page = screen.waiting()
    screen.line.faults.set("bankid", {"lies": list(lies)})
    screen.line.act(outcome)

    seen = screen.look(page)

    assert f"<h1>{heading}</h1>" in seen.text
    assert words in text_of(seen.text)
    assert "Nothing has been proved." in text_of(seen.text)
    assert "Refresh" not in seen.headers


def test_staff_end_it(screen: Screen) -> None:
    """The button ends the question, in the app too; pressed twice it is ended once."""
    page = screen.waiting()
    nonce = nonces_of(screen.look(page).text)[-1]

    for _ in range(2):
        assert screen.browser.post(page, data={"_n": nonce}).status_code == 303

    assert "The question was ended" in screen.look(page).text
    assert (screen.line.ringing(), screen.line.outcomes()) == ((), ["cancelled"])


def test_nothing_is_chosen_for_them(screen: Screen) -> None:
    """Whoever leaves a question out is told which, and what was chosen is still there."""
    said = screen.line.office.go(screen.browser, screen.begin(caller="", eid="freja"))

    assert said.status_code == 200
    assert 'href="#caller">Choose who called.' in said.text
    assert re.search(r'value="freja" checked', said.text)
    assert screen.line.trail() == []


def test_what_is_not_offered_is_not_asked(screen: Screen) -> None:
    """A form that names another eID, or another caller, begins nothing, and is not echoed."""
    for fields in ({"eid": "fallback"}, {"eid": "<script>"}, {"caller": "nobody"}):
        said = screen.line.office.go(screen.browser, screen.begin(**fields))
        assert "<script>" not in said.text
        assert "Something needs fixing" in said.text

    assert screen.line.trail() == []


def test_too_many_questions(screen: Screen) -> None:
    """The fourth question in ten minutes is refused, with the time from which the next may be put."""
    for _ in range(3):
        page = screen.waiting()
        screen.line.office.post(screen.browser, page)

    said = screen.line.office.go(screen.browser, screen.begin())

    assert "Too many questions have been asked. You can ask again at" in text_of(said.text)


def test_who_cannot_be_asked(screen: Screen) -> None:
    """A patient without a Swedish number is offered nothing, and the page says what it would take."""
    handle = screen.line.enter("anna")

    seen = screen.browser.get(f"/staff/neuroreg/patients/{handle}/call")

    assert "None of the clinic’s apps can ask this patient" in text_of(seen.text)
    assert 'name="eid"' not in seen.text


def test_one_patients_answer_under_anothers_name(screen: Screen) -> None:
    """A call's address below another patient is not there: no answer ever stands under a wrong name."""
    page = screen.waiting()
    other = screen.line.enter("samir")
    wrong = f"/staff/neuroreg/patients/{other}/call/{page.rpartition('/')[2]}"

    assert screen.browser.get(wrong).status_code == 404
    nonce = nonces_of(screen.look(page).text)[-1]
    assert screen.browser.post(wrong, data={"_n": nonce}).status_code == 404
    assert screen.line.outcomes() == []


def test_other_clinics_and_strangers(screen: Screen) -> None:
    """Another clinic's colleague, and nobody at all, see neither the form nor a call."""
    page = screen.waiting()
    stranger = screen.line.office.browser()

    for path in (f"{screen.at}/call", page):
        assert screen.browser.get(path.replace("neuroreg", "clinea")).status_code == 404
        assert stranger.get(path).headers["Location"].startswith("/staff/sign-in?to=")


def test_a_form_of_another_sign_in(screen: Screen) -> None:
    """CSRF: a post without this sign-in's own nonce rings nobody up and ends nothing."""
    page = screen.waiting()
    before = len(screen.line.trail())

    for path in (f"{screen.at}/call", page):
        refused = screen.browser.post(path, data={"_n": "guessed", "eid": "bankid", "caller": "clinic"})
        assert refused.status_code == 400

    assert (len(screen.line.trail()), len(screen.line.ringing())) == (before, 1)


def test_who_has_no_bankid_is_not_told_apart(screen: Screen) -> None:
    """The pages of a patient without the eID are those of one who does not answer, to the letter but their names."""
    seen = []
    for person in ("marta", "samir"):
        at = f"/staff/neuroreg/patients/{screen.line.enter(person)}"
        page = Screen(screen.line, screen.browser, at).waiting()
        texts = [text_of(screen.look(page, later=later).text) for later in (3, LIFE.total_seconds())]
        seen.append([re.sub(r"\d\d:\d\d", "", text) for text in texts])

    assert seen[0] == seen[1]


def test_an_eid_that_is_down(screen: Screen) -> None:
    """An eID that does not answer is said to, on a page and not as an error of ours; afterwards it works again."""
    screen.line.faults.set("bankid", {"down": True})
    failed = screen.look(screen.waiting())
    screen.line.faults.clear()
    page = screen.waiting()
    screen.line.faults.set("bankid", {"down": True})
    away = screen.look(page)

    assert "BankID does not answer. Try again in a moment" in text_of(failed.text)
    assert "BankID does not answer just now. We keep asking until" in text_of(away.text)
    assert away.headers["Refresh"] == "3"


@pytest.mark.parametrize("language", LANGUAGES)
def test_in_every_language(screen: Screen, language: str) -> None:
    """Both pages are had in all five languages, the answer too."""
    asked = screen.look(f"{screen.at}/call?lang={language}")
    page = screen.waiting()
    waits = screen.look(f"{page}?lang={language}")
    screen.line.act("approve")
    answered = screen.look(f"{page}?lang={language}")

    for seen in (asked, waits, answered):
        assert seen.status_code == 200
        assert f'<html lang="{language}">' in seen.text


def test_hidden_fields_and_headers(screen: Screen) -> None:
    """The pages are kept nowhere, and hold neither the number nor the order's state."""
    seen = screen.look(screen.waiting())

    number = screen.line.number().value
    assert "no-store" in seen.headers["Cache-Control"]
    assert number[2:] not in seen.text
