"""At local midnight of the birthday all that acts for a child is over: by every way, at that very moment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from idbroker.ages import comes_of_age, first_minute
from idbroker.clock import StoppedClock
from idbroker.numbers import parse
from idbroker.sandbox.sim_person import cpr
from tests.door import answer_of, claims_of, words_of
from tests.guardianship.acting_house import ActingHouse, Ward, open_acting_house

LIMIT = 13  # the house's clinic
BORN = date(2013, 11, 23)
MIDNIGHT = datetime(2026, 11, 22, 23, tzinfo=UTC)  # of the 23 November in Copenhagen
MINUTE, INSTANT = timedelta(minutes=1), timedelta(microseconds=1)
TOLD = "https://portal.test/backchannel"
CLIENT = {"refresh": "rotate", "backchannel_logout_uri": TOLD}
CLIENTS: dict[str, dict[str, Any]] = {
    "careful": {"consent": "ask", "purpose": {"en": "to show it"}},
    "family": {"acting": "always"},
}


@pytest.fixture
def clock() -> StoppedClock:
    """Give ten minutes to midnight."""
    return StoppedClock(MIDNIGHT - 10 * MINUTE)


@pytest.fixture
def house(tmp_path: Path, clock: StoppedClock) -> Iterator[ActingHouse]:
    """Give a clinic where anna acts for a child that turns thirteen tomorrow."""
    with open_acting_house(tmp_path, clock, client=CLIENT, clients=CLIENTS) as opened:
        ward_born(opened, BORN)
        vars(opened.house.backchannel)["start"] = lambda: None  # no thread carries: the test does, when it listens
        yield opened


def ward_born(house: ActingHouse, born: date) -> Ward:
    """Return a child of anna's that was born on a day."""
    number = parse(cpr(born, 7), "DK", now=house.today)
    person = house.records.accounts.person(number, house.clock.now())
    ward = Ward(person=person, number=number, born=born)
    house.enrol(ward)
    house.note(ward)
    return ward


def subject_of(tokens: dict[str, Any]) -> str:
    """Return whom an ID token is about."""
    return str(claims_of(tokens["id_token"])["sub"])


def refused(response: requests.Response) -> str:
    """Return the error of the token endpoint."""
    assert response.status_code == 400, response.text
    return str(response.json()["error"])


# ---- the tokens ----------------------------------------------------------------------------------


def test_nothing_of_it_lives_a_moment_longer(house: ActingHouse) -> None:
    """Access token, userinfo, introspection and refresh all hold until midnight, and at midnight none does."""
    tokens = house.acts(scope="openid offline_access")
    assert tokens["expires_in"] == 600
    assert claims_of(tokens["id_token"])["exp"] == MIDNIGHT.timestamp()

    house.clock.move(10 * MINUTE - INSTANT)
    assert house.lives(tokens)
    assert house.introspect(tokens["access_token"])["active"]

    house.clock.move(INSTANT)
    assert not house.lives(tokens)
    assert house.introspect(tokens["access_token"]) == {"active": False}
    assert refused(house.refresh(tokens["refresh_token"])) == "invalid_grant"


def test_rotated_tokens_end_with_the_first(house: ActingHouse) -> None:
    """What a refresh gives shortly before midnight ends then, too, however often it is refreshed."""
    tokens = house.acts(scope="openid offline_access")
    for left in (4, 1):
        house.clock.move(MIDNIGHT - left * MINUTE - house.clock.now())
        tokens = house.refresh(tokens["refresh_token"]).json()
        assert tokens["expires_in"] == left * 60

    house.clock.move(MINUTE)
    assert not house.lives(tokens)
    assert refused(house.refresh(tokens["refresh_token"])) == "invalid_grant"


def test_a_code_is_not_redeemed_on_the_other_side(house: ActingHouse) -> None:
    """A code given in the last seconds is worth nothing after midnight, though its own minute is not over."""
    house.clock.move(10 * MINUTE - timedelta(seconds=5))
    browser = house.browser()
    code = answer_of(browser.press(house.proved(browser), who="0"))["code"]

    house.clock.move(timedelta(seconds=5))
    assert refused(house.redeem(code)) == "invalid_grant"


def test_an_exchanged_token_ends_as_well(house: ActingHouse) -> None:
    """A token got in exchange (RFC 8693) for somebody's own is capped by the ward's birthday, too."""
    own = house.acts(who="self")
    response = house.exchange(own["access_token"], acting_for=subject_of(house.acts()))
    assert response.json()["expires_in"] == 600

    house.clock.move(10 * MINUTE)
    assert not house.lives(response.json())


# ---- the pages -----------------------------------------------------------------------------------


def test_the_page_that_asks_who_lies_open(house: ActingHouse) -> None:
    """The child on a page from before midnight cannot be chosen after it; the page of all refusals comes."""
    browser = house.browser("en")
    page = house.proved(browser)
    house.clock.move(10 * MINUTE)

    after = browser.press(page, who="0")
    assert after.status_code == 200
    assert "This cannot be done here" in words_of(after)
    assert [event.detail["reason"] for event in house.events("acting.refused")] == ["age", "age"]


def test_consent_given_after_midnight_grants_nothing(house: ActingHouse) -> None:
    """A question's page that lay open between choice and grant: the right is judged again before the grant."""
    browser = house.browser("en")
    page = browser.press(house.proved(browser, client_id="careful"), who="0")
    assert page.status_code == 200
    house.clock.move(10 * MINUTE)

    after = browser.press(page, do="yes")
    assert "This cannot be done here" in words_of(after)
    assert house.events("acting.granted") == []


def test_consent_given_in_time_grants(house: ActingHouse) -> None:
    """The same page a minute before midnight: the register is asked once more, and all goes on."""
    browser = house.browser("en")
    page = browser.press(house.proved(browser, client_id="careful"), who="0")
    house.clock.move(9 * MINUTE)

    assert house.tokens(browser.press(page, do="yes"), "careful")["expires_in"] == 60


@pytest.mark.parametrize("client", ["portal", "family"])
def test_nothing_is_renewed_in_silence(house: ActingHouse, client: str) -> None:
    """prompt=none gives the child until midnight; after it an error, and never the guardian in the child's place."""
    browser = house.browser()
    before = house.acts(browser, client_id=client, acting_for="ask" if client == "portal" else "")
    # A service that is asked says whom it means; one where everybody chooses goes on as before.
    silent = {"client_id": client, "prompt": "none", "acting_for": subject_of(before) if client == "portal" else ""}
    again = house.tokens(browser.authorize(**silent), client)
    assert subject_of(again) == subject_of(before)

    house.clock.move(10 * MINUTE)
    assert answer_of(browser.authorize(**silent))["error"] in ("login_required", "interaction_required")


def test_not_by_the_hint_either(house: ActingHouse) -> None:
    """Named by `id_token_hint`, the child is no longer whom this sign-on is about (Core 3.1.2.1)."""
    browser = house.browser()
    hint = house.acts(browser)["id_token"]
    house.clock.move(10 * MINUTE)

    answer = answer_of(browser.authorize(prompt="none", id_token_hint=hint))
    assert answer["error"] in ("login_required", "interaction_required")


def test_the_guardian_stays_signed_on(house: ActingHouse) -> None:
    """What ends is the right to act: the guardian's own sign-on goes on, and signs them in as themselves."""
    browser = house.browser()
    house.acts(browser)
    house.clock.move(10 * MINUTE)

    own = house.tokens(browser.authorize(acting_for="self"))
    assert subject_of(own) == house.sub(house.guardian())


# ---- who is told ---------------------------------------------------------------------------------


def heard(house: ActingHouse) -> list[dict[str, Any]]:
    """Deliver what is due; return what the portal was sent, as a portal of the test's takes it."""
    sent: list[dict[str, Any]] = []

    def post(address: str, form: dict[str, str]) -> int:
        assert address == TOLD
        sent.append(claims_of(form["logout_token"]))
        return 200

    vars(house.house.backchannel)["post"] = post
    house.house.backchannel.deliver(house.clock.now())
    return sent


def test_the_client_hears_at_that_very_moment(house: ActingHouse) -> None:
    """At midnight, and not before, the client is sent a logout token with the ward's `sub` and the grant's `sid`."""
    claims = claims_of(house.acts()["id_token"])
    house.clock.move(10 * MINUTE - INSTANT)
    assert heard(house) == []

    house.clock.move(INSTANT)
    (told,) = heard(house)
    assert (told["sub"], told["sid"]) == (claims["sub"], claims["sid"])
    assert heard(house) == []


def test_workers_that_were_down_over_midnight(house: ActingHouse) -> None:
    """It was over at midnight, with nobody awake; who comes back in the morning tidies, and the client still hears."""
    tokens = house.acts(scope="openid offline_access")
    house.clock.move(timedelta(hours=6))

    assert not house.lives(tokens)
    assert refused(house.refresh(tokens["refresh_token"])) == "invalid_grant"
    assert house.house.wards.watch.deliver(house.clock.now()) == 0
    assert house.house.durable.delegations.of_guardian(house.guardian()) == ()
    assert [one["sub"] for one in heard(house)] == [claims_of(tokens["id_token"])["sub"]]


def test_two_wards_have_two_ends(house: ActingHouse) -> None:
    """Of two children by one sign-on only the one whose birthday it is ends: by its own `sid`."""
    ward_born(house, BORN + timedelta(days=1))
    browser = house.browser()
    page = house.proved(browser)
    tokens = [house.tokens(browser.press(page, who="0"))]
    tokens.append(house.tokens(browser.press(browser.authorize(acting_for="ask"), who="1")))
    by_sub = {str(subject_of(one)): one for one in tokens}
    assert len(by_sub) == 2

    house.clock.move(10 * MINUTE)
    (told,) = heard(house)
    assert not house.lives(by_sub.pop(told["sub"]))
    (other,) = by_sub.values()
    assert claims_of(other["id_token"])["sid"] != told["sid"]
    assert house.lives(house.refresh(other["refresh_token"]).json() if "refresh_token" in other else other)


def test_a_notice_is_brought_forward(house: ActingHouse) -> None:
    """What a clinic ends before midnight is told at once, and once: at midnight nothing is left to tell."""
    claims = claims_of(house.acts()["id_token"])
    ward = house.events("acting.granted")[0].person or ""
    assert house.house.signout.end_acting(ward, "custody") == 1

    (told,) = heard(house)
    assert told["sid"] == claims["sid"]
    house.clock.move(10 * MINUTE)
    assert heard(house) == []


def test_signed_out_before_midnight(house: ActingHouse) -> None:
    """A guardian who logs out is told of at once; nothing is left to judge, and the ward's trail says so."""
    browser = house.browser()
    house.acts(browser)
    house.house.signout.end_here(browser.session.cookies.get("s"))

    assert len(heard(house)) == 1
    assert [event.detail["why"] for event in house.events("acting.ended")] == ["asked"]
    assert house.house.durable.delegations.of_guardian(house.guardian()) == ()
    house.clock.move(10 * MINUTE)
    assert heard(house) == []


def test_taken_from_one_service(house: ActingHouse) -> None:
    """What a guardian takes from one service on My page is forgotten there, and goes on at the others."""
    browser = house.browser()
    here, there = house.acts(browser), house.acts(browser, client_id="family", acting_for="")
    house.house.signout.end_client(house.guardian(), "portal")

    assert (house.lives(here), house.lives(there)) == (False, True)
    left = house.house.durable.delegations.of_guardian(house.guardian())
    assert [one.client for one in left] == ["family"]


# ---- which midnight ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("country", "born", "over"),
    [
        ("DK", date(2013, 10, 25), "2026-10-24T22:00:00+00:00"),  # the night in which summer time ends
        ("DK", date(2014, 3, 28), "2027-03-27T23:00:00+00:00"),  # and begins
        ("FI", date(2013, 10, 25), "2026-10-24T21:00:00+00:00"),
        ("FI", date(2014, 3, 28), "2027-03-27T22:00:00+00:00"),
        ("SE", date(2012, 2, 29), "2025-02-28T23:00:00+00:00"),  # who was born on the 29 February is older on 1 March
        ("NO", date(2014, 1, 1), "2026-12-31T23:00:00+00:00"),
    ],
)
def test_midnight_is_the_clinics(tmp_path: Path, country: str, born: date, over: str) -> None:
    """Midnight is where the clinic is: on the days of summer time, on leap days, at the turn of the year."""
    midnight = datetime.fromisoformat(over)
    clock = StoppedClock(midnight - 5 * MINUTE)
    with open_acting_house(tmp_path, clock, clinic={"country": country}, client=CLIENT) as house:
        ward_born(house, born)
        tokens = house.acts()
        assert claims_of(tokens["id_token"])["guardianship"]["until"] == midnight.timestamp()
        assert tokens["expires_in"] == 300
        clock.move(5 * MINUTE - INSTANT)
        assert (heard(house), house.lives(tokens)) == ([], True)
        clock.move(INSTANT)
        assert (len(heard(house)), house.lives(tokens)) == (1, False)
        zone = house.house.settings.clinics.by_id["clinea"].zone
        assert first_minute(comes_of_age(born, LIMIT), zone) == midnight
