"""Who a sign-in is about, through the door: what is offered, what is refused, and that no refusal says why."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest
import requests

from idbroker.accounts.account import Enrolment, Standing
from idbroker.clock import StoppedClock
from idbroker.guardianship.tie import Tie
from tests.conftest import NOW
from tests.door import Browser, answer_of, claims_of, form_of, session_cookie
from tests.guardianship.acting_house import ActingHouse, Ward, open_acting_house

# A clinic that takes only whom its staff have entered, and one in Denmark as it is by default: nobody acts there.
CLINICS: dict[str, dict[str, Any]] = {"closed": {"registration": "off"}, "usual": {"ages": {}}}
CLIENTS: dict[str, dict[str, Any]] = {
    "always": {"acting": "always"},
    "required": {"acting": "required"},
    "lenient": {"minimum": "low", "national_number": False, "scopes": ["openid", "profile"], "refresh": "never"},
    "consents": {"consent": "ask"},
    "closed": {"clinic": "closed"},
    "usual": {"clinic": "usual"},
}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ActingHouse]:
    """Serve a house once for all."""
    folder = tmp_path_factory.mktemp("who")
    with open_acting_house(folder, StoppedClock(NOW), clinics=CLINICS, clients=CLIENTS) as house:
        yield house


@pytest.fixture
def house(opened: ActingHouse) -> ActingHouse:
    """Give it as if nobody had been here."""
    return opened.fresh()


def offered(page: requests.Response) -> list[str]:
    """Return what the page offers to choose."""
    return re.findall(r'type="radio" name="who" value="([^"]+)"', page.text)


def sub_of(house: ActingHouse, answer: requests.Response, client: str = "portal") -> str:
    """Return whom the portal is told of."""
    return str(claims_of(house.tokens(answer, client)["id_token"])["sub"])


# ---- choosing --------------------------------------------------------------------------------------


def test_nothing_chosen_is_said_on_the_page(house: ActingHouse) -> None:
    """Who presses on without a choice stays on the page and is told; nothing is granted."""
    house.ward(301)
    browser = house.browser()
    page = browser.press(house.proved(browser), do="chosen")
    assert page.url.endswith("/who")
    assert 'aria-invalid="true"' in page.text
    assert session_cookie(browser) is None


def test_oneself_and_a_ward(house: ActingHouse) -> None:
    """Oneself comes as oneself, a ward as the ward; the choice alone decides."""
    ward = house.ward(302)
    assert claims_of(house.acts(who="self")["id_token"])["sub"] == house.sub(house.guardian())
    assert claims_of(house.acts(who="0")["id_token"])["sub"] == house.sub(ward.person)


def test_a_register_that_bars_outweighs_one_that_allows(house: ActingHouse) -> None:
    """What a clinic noted is no answer to a court: whom one register bars is not offered, whatever the other says."""
    barred, free = house.ward(303), house.ward(304, 8)
    house.folk.ties[house.guardian()] = (barred.tie(barred="care_order"), free.tie())
    browser = house.browser()
    page = house.proved(browser)
    assert offered(page) == ["self", "0"]
    assert sub_of(house, browser.press(page, who="0")) == house.sub(free.person)


def test_a_ward_of_two_registers_is_offered_once(house: ActingHouse) -> None:
    """Both know the child: it is one person, and one choice."""
    ward = house.ward(305)
    house.folk.ties[house.guardian()] = (ward.tie(),)
    assert offered(house.proved(house.browser())) == ["self", "0"]


@pytest.mark.parametrize("who", ["1", "40", "99", "-1", "+0", "0x0", "1e0", "٠", " 0", "", "0" * 9, "self0"])
def test_a_choice_that_was_not_offered(house: ActingHouse, who: str) -> None:
    """An index that no radio button has chooses nobody: the page is there again, and nothing is granted."""
    house.ward(306)
    browser = house.browser()
    assert browser.press(house.proved(browser), who=who).url.endswith("/who")
    assert session_cookie(browser) is None


def test_oneself_is_no_answer_where_a_guardian_is_required(house: ActingHouse) -> None:
    """At a service for guardians only oneself is neither offered nor taken, by no spelling."""
    house.ward(307)
    browser = house.browser()
    page = house.proved(browser, client_id="required", acting_for="")
    assert offered(page) == ["0"]
    assert browser.press(page, who="self").url.endswith("/who")
    assert offered(house.proved(house.browser(), person="susan", client_id="required", acting_for="")) == []


def test_whoever_has_nobody_is_not_asked(house: ActingHouse) -> None:
    """A service that always asks does not ask who has nobody, nor who has somebody whom they may not be shown."""
    for barred in ((), (house.child(308).tie(barred="no_custody"),)):
        house.folk.ties[house.guardian()] = barred
        answer = house.proved(house.browser(), client_id="always", acting_for="")
        assert sub_of(house, answer, "always") == house.sub(house.guardian(), "always")


@pytest.mark.parametrize(("person", "client"), [("ludvig", "lenient"), ("lars", "portal")], ids=["low", "minor"])
def test_a_weak_proof_or_a_minor_acts_for_nobody(house: ActingHouse, person: str, client: str) -> None:
    """A proof at low and a guardian who is no adult are offered nobody, and refused whom they type."""
    ward = house.ward(309, guardian=person)
    browser = house.browser()
    page = house.proved(browser, person=person, client_id=client)
    assert offered(page) == ["self"]
    assert browser.press(page, do="number", number=ward.number.value).url.endswith("/whono")


def test_no_guardians_where_the_country_has_none(house: ActingHouse) -> None:
    """In Denmark nobody acts for a child by default, whatever is noted (requirements L1)."""
    house.note(ward := house.child(310), clinic="usual")
    house.enrol(ward, "usual")
    assert offered(house.proved(house.browser(), client_id="usual")) == ["self"]


# ---- refusing --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Why a guardian may not act for a child, and the word of it in the trail."""

    reason: str
    tie: Callable[[Ward], Tie | None] = lambda ward: ward.tie()
    age: int = 9
    patient: bool = True
    entry: dict[str, Any] | None = None


CAUSES = {
    "age limit": Cause(reason="age", age=13),
    "custody barred": Cause(reason="no_custody", tie=lambda ward: ward.tie(barred="no_custody")),
    "care order": Cause(reason="care_order", tie=lambda ward: ward.tie(barred="care_order")),
    "withdrawn": Cause(reason="withdrawn", tie=lambda ward: ward.tie(barred="withdrawn")),
    "protected": Cause(reason="protected", tie=lambda ward: ward.tie(protected=True)),
    "dead in the register": Cause(reason="deceased", tie=lambda ward: ward.tie(deceased=True)),
    "dead at the clinic": Cause(reason="deceased", entry={"deceased_on": date(2026, 11, 1)}),
    "no relation": Cause(reason="no_relation", tie=lambda _ward: None),
    "not a patient": Cause(reason="not_a_patient", patient=False),
    "over": Cause(reason="lapsed", tie=lambda ward: ward.tie(until=date(2026, 11, 1))),
    "mandate": Cause(reason="mandate", tie=lambda ward: ward.tie(relation="mandate", powers=("something",))),
}


def bare(page: requests.Response) -> bytes:
    """Return a page and its headers without what is another at every sign-in: its name, its one-time values."""
    name = page.url.split("/")[4]
    headers = sorted(f"{key}: {value}" for key, value in page.headers.items() if key not in ("Date", "Set-Cookie"))
    whole = "\n".join((page.text, *headers)).replace(name, "NAME")
    whole = re.sub(r"nonce-[A-Za-z0-9_+/=-]+", "nonce", whole)
    return re.sub(r'(name="_n" value|nonce)="[^"]+"', "once", whole).encode()


def refused(house: ActingHouse, ward: Ward) -> tuple[bytes, list[str]]:
    """Type a child's number at the clinic that takes only its patients; return the page and what was asked."""
    browser = house.browser()
    page = house.proved(browser, client_id="closed")
    house.folk.asked.clear()
    page = browser.press(page, do="number", number=ward.number.value, country="DK")
    assert page.url.endswith("/whono")
    return bare(page), list(house.folk.asked)


def test_every_cause_is_one_page(house: ActingHouse) -> None:
    """Age, custody, care order, protection, death, no relation, no patient: one page, byte for byte, as many asked.

    The trail of the guardian, and of the ward, has the reason (pages.md D11; checks A1).
    """
    guardian = house.guardian()
    anna = Enrolment(person=guardian, clinic="closed", standing=Standing.APPROVED, asked_at=house.clock.now())
    house.records.enrolments.change(guardian, "closed", lambda _: anna)
    seen = {}
    for serial, (name, cause) in enumerate(CAUSES.items(), start=320):
        ward = house.child(serial, cause.age, clinic=None)
        if cause.patient:
            house.enrol(ward, "closed", **(cause.entry or {}))
        tie = cause.tie(ward)
        house.folk.ties[guardian] = () if tie is None else (tie,)
        seen[name] = refused(house, ward)
        newest = house.events("acting.refused", guardian)[-1]
        assert (newest.detail["reason"], newest.detail["ward"]) == (cause.reason, ward.person), name
        assert house.events("acting.refused", ward.person)[-1].detail == {"reason": cause.reason}, name
        house.clock.move(timedelta(hours=24))  # the tries count by the hour; each page says until when it is open
    pages = {page for page, _ in seen.values()}
    assert len(pages) == 1, "\n".join(one.decode() for one in pages)
    assert {tuple(asked) for _, asked in seen.values()} == {("about",)}


def test_a_strangers_number_is_the_same_page(house: ActingHouse) -> None:
    """A number that nobody here has, oneself's, and a listed child's that may not: none tells whether it is known."""
    pages = set()
    for number in ("6105159901", house.people["anna"].number or "", house.child(340).number.value):
        browser = house.browser()
        page = browser.press(house.proved(browser), do="number", number=number, country="DK")
        assert page.url.endswith("/whono")
        pages.add(bare(page))
    assert len(pages) == 1


def test_a_typed_number_that_may(house: ActingHouse) -> None:
    """A child whom no register lists unasked is found by its number, in any spelling; another page is not needed."""
    ward = house.ward(341)
    browser = house.browser()
    page = house.proved(browser)
    wrong = browser.press(page, do="number", number="12345")
    assert wrong.url.endswith("/who")
    assert 'value="12345"' in wrong.text
    assert sub_of(house, browser.press(wrong, do="number", number=ward.number.display)) == house.sub(ward.person)


def test_tries_are_counted(house: ActingHouse) -> None:
    """After ten numbers in an hour nobody is found any more, by the same page; the registers are not asked."""
    ward = house.ward(342)
    browser = house.browser()
    page = house.proved(browser)
    for _ in range(10):
        page = browser.press(browser.press(page, do="number", number="6105159902"), do="back")
    house.folk.asked.clear()
    assert browser.press(page, do="number", number=ward.number.value).url.endswith("/whono")
    assert house.events("acting.refused", house.guardian())[-1].detail == {"reason": "too_many"}
    assert house.folk.asked == []


def test_from_a_refusal_back_to_the_choice(house: ActingHouse) -> None:
    """From the page of refusals one comes back to the choice, also where nobody is left; nothing is granted."""
    house.ward(343)
    browser = house.browser()
    page = house.proved(browser, client_id="always", acting_for="")
    page = browser.press(page, do="number", number="6105159903")
    for row in house.house.durable.guardianships.of_guardian(house.guardian()):
        house.house.durable.guardianships.end("clinea", row.ward, house.clock.now(), "withdrawn")
    back = browser.press(page, do="back")
    assert (back.url.rsplit("/", 1)[1], offered(back)) == ("who", ["self"])


# ---- a register that is down -----------------------------------------------------------------------


def test_a_register_that_is_down_leaves_oneself(house: ActingHouse) -> None:
    """Nobody is offered or found while a register does not answer: it might be the one that bars (fail closed)."""
    ward = house.ward(350)
    browser = house.browser()
    before = house.proved(browser)
    house.folk.down = True
    assert browser.press(before, who="0").url.endswith("/whono")
    page = browser.press(browser.get(before.url), do="back")
    assert (offered(page), "+45 70 10 00 00" in page.text) == (["self"], True)
    page = browser.press(page, who="0")
    assert page.url.endswith("/who")
    refused_page = browser.press(page, do="number", number=ward.number.value)
    assert refused_page.url.endswith("/whono")
    assert house.events("acting.refused", house.guardian())[-1].detail["reason"] == "register_down"
    by_name = browser.authorize(acting_for=house.sub(ward.person))
    assert "code" not in by_name.headers.get("Location", "")
    own = browser.press(browser.press(refused_page, do="back"), who="self")
    assert sub_of(house, own) == house.sub(house.guardian())


def test_a_register_is_asked_once(house: ActingHouse) -> None:
    """One call for a sign-in, as long as the answer says that it is good; a later sign-in asks anew when it is not."""
    ward = house.child(351)
    house.folk.ties[house.guardian()] = (ward.tie(),)
    house.folk.life = timedelta(minutes=10)
    for _ in range(2):
        assert claims_of(house.acts()["id_token"])["sub"] == house.sub(ward.person)
    assert house.folk.asked == ["wards"]
    house.clock.move(timedelta(minutes=10))
    house.acts()
    assert house.folk.asked == ["wards", "wards"]


# ---- twice, late, and otherwise --------------------------------------------------------------------


def test_double_and_back(house: ActingHouse) -> None:
    """The same press again leads to the same answer; Back and another choice after the end change nothing."""
    house.ward(360)
    browser = house.browser()
    page = house.proved(browser)
    first = browser.press(page, who="0")
    again, other = browser.press(page, who="0"), browser.press(page, who="self")
    codes = {answer_of(one)["code"] for one in (first, again, other)}
    assert len(codes) == 1
    assert "act" in claims_of(house.tokens(first)["id_token"])


@pytest.mark.parametrize("meanwhile", ["ended", "barred", "dead", "midnight"])
def test_a_page_that_has_lain_open(house: ActingHouse, meanwhile: str) -> None:
    """A right that ended after the page was shown is judged at the press: the refusal, not the ward."""
    house.clock.move(house.clock.now().replace(hour=22, minute=50) - house.clock.now())  # 23:50 in Copenhagen
    house.note(ward := house.child(361, 13, days=-1))
    browser = house.browser()
    page = house.proved(browser)
    assert offered(page) == ["self", "0"]
    match meanwhile:
        case "ended":
            house.house.durable.guardianships.end("clinea", ward.person, house.clock.now(), "withdrawn")
        case "barred":
            house.folk.ties[house.guardian()] = (ward.tie(barred="care_order"),)
        case "dead":
            house.enrol(ward, deceased_on=house.today)
        case _:
            house.clock.move(timedelta(minutes=10))
    assert browser.press(page, who="0").url.endswith("/whono")
    assert session_cookie(browser) is None


def test_another_person_without_a_new_sign_in(house: ActingHouse) -> None:
    """From a later page one comes back to the choice by "change person", without a new proof (checks A2)."""
    first, second = house.ward(362, 8), house.ward(363, 9)
    browser = house.browser()
    page = house.proved(browser, client_id="consents")
    consent = browser.press(page, who="0")
    assert consent.url.endswith("/consent")
    changed = browser.press(consent, do="person")
    assert (changed.url.rsplit("/", 1)[1], offered(changed)) == ("who", ["self", "0", "1"])
    again = browser.press(changed, who="1")
    sub = sub_of(house, browser.press(again), "consents")
    subs = [house.sub(one.person, "consents") for one in (first, second)]
    assert sub in subs
    agreed = [event.person for event in house.events("consent.given")]
    assert [house.sub(one or "", "consents") for one in agreed] == [sub]


def test_a_choice_is_this_browsers_alone(house: ActingHouse) -> None:
    """Another browser that has the address of the choice gets nothing, and chooses nothing (E1)."""
    house.ward(364)
    page = house.proved(house.browser())
    stranger: Browser = house.browser()
    assert stranger.get(page.url).status_code == 400
    assert stranger.post(page.url, {**form_of(page).hidden, "who": "0"}).status_code == 400


def test_in_the_sign_on_the_choice_is_asked_without_a_proof(house: ActingHouse) -> None:
    """Who is signed on is asked who it is about, and not who they are; signing out meanwhile ends the choice."""
    house.ward(365)
    browser = house.browser()
    house.acts(browser, who="self")
    page = browser.authorize(acting_for="ask")
    assert offered(page) == ["self", "0"]
    house.house.signout.end_person(house.guardian(), "asked")
    assert browser.press(page, who="0").url.endswith("/choose")


def test_a_note_on_a_registers_word_is_no_word_of_the_clinics(house: ActingHouse) -> None:
    """Whom a register vouched for when a child was registered is offered on that register's word only, as it is now."""
    child = house.child(390)
    house.note(child, basis="register", by="register")
    assert offered(house.proved(house.browser(), acting_for="ask")) == ["self"]
    house.folk.ties[house.guardian()] = (child.tie(),)
    assert offered(house.proved(house.browser(), acting_for="ask")) == ["self", "0"]
