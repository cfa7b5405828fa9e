"""The journey of a person: languages, failures at the eID, who comes in (pages 1.1, 1.12, G11, C2, C3)."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from idbroker.clock import StoppedClock
from tests.door import SECRET, Door, answer_of, authorize_url, claims_of, open_door, words_of
from tests.web.walking import approved, at_mitid, language_of, name_of

REF = re.compile(r"\b[A-HJ-NP-Z2-9]{6}\b")


# ---- languages -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("browser_says", "portal_says", "spoken"),
    [
        ("da", "", "da"), ("sv-SE,sv;q=0.9", "", "sv"), ("fi", "", "fi"), ("en-GB", "", "en"), ("nb-NO", "", "nb"),
        ("no", "", "nb"), ("nn", "", "nb"), ("se,fi;q=0.5", "", "fi"), ("da", "sv", "sv"), ("da", "xx fi", "fi"),
        ("da", "no", "nb"), ("", "", "da"), ("tlh", "", "da"), ("*;q=0", "", "da"), (";;q=x,\u0000"[:5], "", "da"),
    ],
)  # fmt: skip
def test_the_language_is_the_persons(door: Door, browser_says: str, portal_says: str, spoken: str) -> None:
    """G11: what the portal asks for, else what the browser speaks, else the clinic's own; "no" is Norwegian."""
    page = door.browser(browser_says).authorize(ui_locales=portal_says)

    assert language_of(page) in ((spoken, "en") if browser_says in ("", "tlh", "*;q=0", ";;q=x") else (spoken,))


def test_switching_the_language_keeps_everything(door: Door) -> None:
    """G11: two switches, the same transaction, the same step; the sign-in ends as it would have."""
    browser = door.browser("da")
    first = browser.authorize()
    second = browser.press(first, lang="fi")
    third = browser.press(second, lang="en")
    answer = answer_of(browser.press(browser.press(third, provider="mitid"), person="anna", outcome="approve"))

    assert [language_of(page) for page in (first, second, third)] == ["da", "fi", "en"]
    assert {name_of(page) for page in (first, second, third)} == {name_of(first)}
    assert (answer["state"], "code" in answer) == ("s-1", True)


def test_the_language_is_kept_for_the_next_time(door: Door) -> None:
    """G11: after a sign-in the device remembers the language that was used."""
    browser = door.browser("da")
    page = browser.press(browser.authorize(), lang="sv")
    browser.press(browser.press(page, provider="mitid"), person="anna", outcome="approve")

    assert language_of(browser.authorize(prompt="login")) == "sv"


def test_the_service_has_its_name_in_each_language(door: Door) -> None:
    """1.1: the service is called as it calls itself in the person's language."""
    browser = door.browser("da")
    page = browser.authorize(client_id="another")

    assert "Journalen" in words_of(page)
    assert "The record" in words_of(browser.press(page, lang="en"))


# ---- no, not now, not so -------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_cancel_goes_back_to_the_service(door: Door, mode: str) -> None:
    """1.1: the link "cancel" tells the service access_denied, with its state and our name; again the same."""
    browser = door.browser()
    page = browser.authorize(response_mode=mode)
    cancelled = browser.fetch(f"/t/{name_of(page)}/cancel")
    answer = answer_of(cancelled)

    assert (answer["error"], answer["state"], answer["iss"]) == ("access_denied", "s-1", door.issuer)
    assert "already" not in words_of(cancelled)


NOT_SIGNED_IN = {
    "cancel": ("You came back from MitID without logging in. Nothing was sent.", False),
    "timeout": ("Too much time passed at MitID.", True),
    "blocked": ("MitID says that your ID is blocked.", True),
    "lower_level": ("needs a stronger way to log in.", True),
}


@pytest.mark.parametrize(("outcome", "words", "ref"), [(o, *said) for o, said in NOT_SIGNED_IN.items()])
def test_what_went_wrong_is_said_and_another_try_works(door: Door, outcome: str, words: str, ref: bool) -> None:
    """1.12: back at the choice with words for what happened, in the person's language; the next try succeeds."""
    browser = door.browser("en")
    page = browser.press(at_mitid(browser, client_id="high"), person="anna", outcome=outcome)
    answer = answer_of(browser.press(browser.press(page, provider="mitid"), person="anna", outcome="approve"))

    assert words in words_of(page)
    assert ("Give the code" in words_of(page)) is ref
    assert (answer["state"], "code" in answer) == ("s-1", True)


def test_the_words_are_in_the_persons_language(door: Door) -> None:
    """1.12, G11: the notice follows a switch of language."""
    browser = door.browser("da")
    page = browser.press(at_mitid(browser), person="anna", outcome="cancel")
    swedish = browser.press(page, lang="sv")

    assert "Du kom tilbage fra MitID uden at logge ind." in words_of(page)
    assert "utan att logga in" in words_of(swedish)


def test_a_reload_shows_the_notice_again(door: Door) -> None:
    """G13: F5 after a failure shows the same page; nothing is sent again."""
    browser = door.browser("en")
    page = browser.press(at_mitid(browser), person="anna", outcome="cancel")
    again = browser.get(page.url)

    assert words_of(again) == words_of(page)


@pytest.mark.parametrize("fault", [{"down": True}, {"status": 500}, {"status": 404}, {"lies": ["not_json"]}], ids=str)
def test_mitid_out_of_order_when_it_answers(door: Door, fault: dict[str, Any]) -> None:
    """C2: MitID fails between approval and answer: words, a code to tell us, an event with it; later it works."""
    browser = door.browser("en")
    back = approved(browser, at_mitid(browser))
    door.faults.set("mitid", fault)
    page = browser.get(back)
    door.faults.clear()
    answer = answer_of(browser.press(browser.press(page, provider="mitid"), person="anna", outcome="approve"))

    assert page.status_code == 200
    assert urlsplit(page.url).path.endswith("/choose")
    assert "MitID is not answering right now" in words_of(page)
    events = door.house.durable.events.since(door.clock.now() - timedelta(seconds=1), kind="provider.failed")
    assert (events[-1].detail["code"], events[-1].provider) == ("unreachable", "mitid")
    assert REF.fullmatch(events[-1].ref or "")
    assert "code" in answer


def test_mitid_down_before_it_begins(tmp_path: Path, clock: StoppedClock) -> None:
    """C2: MitID was never reached: the choice says so, and works once MitID does."""
    with open_door(tmp_path, clock) as fresh:
        fresh.faults.set("mitid", {"down": True})
        browser = fresh.browser("en")
        page = browser.press(browser.authorize(), provider="mitid")
        hinted = browser.get(authorize_url(idp="mitid"))
        fresh.faults.clear()
        fresh.clock.move(timedelta(minutes=2))
        answer = answer_of(browser.press(browser.press(page, provider="mitid"), person="anna", outcome="approve"))

    assert "MitID is not answering right now" in words_of(page)
    assert "MitID is not answering right now" in words_of(hinted)
    assert "code" in answer


@pytest.mark.parametrize(
    "lie", ["bad_signature", "alg_none", "wrong_nonce", "wrong_aud", "wrong_response_iss", "expired"]
)
def test_an_answer_that_lies_is_not_believed(door: Door, lie: str) -> None:
    """B9, 1.12: a forged answer signs nobody in; the person may try again, and the code helps us find it."""
    browser = door.browser("en")
    page = at_mitid(browser)
    door.faults.set("mitid", {"lies": [lie]})
    page = browser.press(page, person="anna", outcome="approve")
    door.faults.clear()
    answer = answer_of(browser.press(browser.press(page, provider="mitid"), person="anna", outcome="approve"))

    assert "We could not use the answer from MitID." in words_of(page)
    shown = REF.search(words_of(page).partition("Give the code")[2])
    event = door.house.durable.events.since(door.clock.now() - timedelta(seconds=1), kind="provider.failed")[-1]
    assert shown is not None
    assert (event.ref, event.detail) == (shown[0], {"code": "untrusted"})
    assert "code" in answer


def test_a_script_in_an_error_is_not_shown(door: Door) -> None:
    """B11: what the eID says about its error is not repeated to the person."""
    browser = door.browser("en")
    page = at_mitid(browser)
    door.faults.set("mitid", {"lies": ["script_in_error"]})
    page = browser.press(page, person="anna", outcome="cancel")

    assert "<script>alert" not in page.text
    assert page.status_code == 200


# ---- who -----------------------------------------------------------------------------------------


def told(door: Door, person: str, outcome: str = "approve") -> dict[str, Any]:
    """Sign somebody in and return what the portal learns of them."""
    code = door.browser().sign_in(person, outcome, scope="openid profile national_number")["code"]
    claims: dict[str, Any] = door.userinfo(door.redeem(code).json()["access_token"]).json()
    return claims


def test_somebody_without_a_number(door: Door) -> None:
    """1.13: who has MitID but no CPR number signs in; the portal learns no number."""
    claims = told(door, "nora")

    assert claims["name"] == door.people["nora"].name
    assert not {"national_number", "national_number_country"} & claims.keys()


def test_somebody_with_a_protected_name(door: Door) -> None:
    """A protected name is told as any other to a public health service, and stands in no line of ours."""
    claims = told(door, "petra")

    assert claims["national_number"] == door.people["petra"].number


def test_the_same_person_is_the_same_with_and_without_a_number(door: Door) -> None:
    """B8: the number missing once does not make another person of somebody."""
    assert told(door, "anna")["sub"] == told(door, "anna", "no_number")["sub"]


def test_different_people_are_different(door: Door) -> None:
    """A26: two people never share a `sub`."""
    assert len({told(door, person)["sub"] for person in ("anna", "susan", "petra", "nora")}) == 4


def test_the_service_may_name_the_way(door: Door) -> None:
    """C3: `idp=mitid` skips the choice, and after a cancel the choice is there; another name is only a wish."""
    browser = door.browser("en")
    straight = browser.authorize(idp="mitid")
    back = browser.press(straight, person="anna", outcome="cancel")
    wished = browser.authorize(idp="bankid")

    assert 'name="person"' in straight.text
    assert "How do you want to log in?" in words_of(back)
    assert "How do you want to log in?" in words_of(wished)


def test_enter_means_the_first_way(door: Door) -> None:
    """G9: the form sent without a button goes to the first way offered."""
    browser = door.browser()

    assert 'name="person"' in browser.press(browser.authorize()).text


def test_a_service_removed_meanwhile(door: Door) -> None:
    """G17: a service that was removed while somebody signed in: the page is gone, not broken."""
    registered = door.house.clients.find("portal")
    assert registered is not None
    door.house.clients.save(type(registered)(**{**fields_of(registered), "id": "passing"}))
    browser = door.browser()
    choice = browser.authorize(client_id="passing")
    door.house.clients.remove("passing")

    for page in (browser.get(choice.url), browser.press(choice, provider="mitid")):
        assert page.status_code == 410


def fields_of(value: Any) -> dict[str, Any]:
    """Return a frozen value's fields."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def test_single_sign_on_shows_no_page(door: Door) -> None:
    """G16: who is signed on comes to a second service without a page, with that service's own `sub`-free code."""
    browser = door.browser()
    first = door.signed_in(browser)
    answer = answer_of(browser.fetch(authorize_url(client_id="another")))
    second = door.redeem(answer["code"], auth=("another", SECRET)).json()

    assert claims_of(second["id_token"])["auth_time"] == claims_of(first["id_token"])["auth_time"]
    assert claims_of(second["id_token"])["sid"] != claims_of(first["id_token"])["sid"]
