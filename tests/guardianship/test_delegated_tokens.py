"""What clients are told of a guardian and a ward: alike in every place, and only where they take such sign-ins."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from idbroker.clock import StoppedClock
from tests.conftest import NOW
from tests.door import CALLBACK, SECRET, answer_of, claims_of
from tests.guardianship.acting_house import ALONE, ActingHouse, open_acting_house

ESSENTIAL = '{"id_token":{"act":{"essential":true}}}'
WIDE = "openid profile national_number offline_access acting_for"
CLIENTS: dict[str, dict[str, Any]] = {
    "jwt": {"access_token": "jwt", "audience": "https://api.test", "refresh": "rotate"},
    "never": dict(ALONE),
    "always": {"acting": "always"},
    "required": {"acting": "required"},
    "elsewhere": {"sector": "elsewhere.test"},
    "numberless": {"scopes": ["openid", "profile", "acting_for"], "national_number": False, "refresh": "never"},
    "api": {**ALONE, "introspect": True, "sector": "api"},
}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ActingHouse]:
    """Serve a house once for all."""
    with open_acting_house(tmp_path_factory.mktemp("tokens"), StoppedClock(NOW), clients=CLIENTS) as house:
        yield house


@pytest.fixture
def house(opened: ActingHouse) -> ActingHouse:
    """Give it as if nobody had been here."""
    return opened.fresh()


def places(house: ActingHouse, tokens: dict[str, Any], client: str) -> list[dict[str, Any]]:
    """Return what is said in each of the four places: of whom, who acts, by which right."""
    access = tokens["access_token"]
    said = [
        claims_of(tokens["id_token"]),
        claims_of(access),
        house.userinfo(access).json(),
        house.introspect(access, client),
    ]
    return [{name: one.get(name) for name in ("sub", "act", "guardianship")} for one in said]


# ---- what is told ----------------------------------------------------------------------------------


def test_alike_in_all_four_places(house: ActingHouse) -> None:
    """ID token, access token, userinfo and introspection say the same: ward, guardian, right (RFC 8693, 4.1)."""
    ward = house.ward(201, powers=("read", "book"))
    tokens = house.acts(client_id="jwt", scope=WIDE)

    right = {"relation": "custody", "basis": "clinic", "powers": ["read", "book"]}
    until = int((house.clock.now() + timedelta(hours=8)).timestamp())
    wanted = {
        "sub": house.sub(ward.person, "jwt"),
        "act": {"sub": house.sub(house.guardian(), "jwt")},
        "guardianship": {**right, "until": until},
    }
    assert places(house, tokens, "jwt") == [wanted] * 4


def test_alike_after_a_refresh_and_when_narrowed(house: ActingHouse) -> None:
    """A refresh, also to fewer scopes, changes nothing of who it is about and who acts: neither can be given up."""
    house.ward(202)
    tokens = house.acts(client_id="jwt", scope=WIDE)
    before = places(house, tokens, "jwt")
    again = house.refresh(tokens["refresh_token"], ("jwt", SECRET)).json()
    assert places(house, again, "jwt") == before
    narrow = house.refresh(again["refresh_token"], ("jwt", SECRET), scope="openid").json()
    assert places(house, narrow, "jwt") == before


def test_what_is_released_is_the_wards(house: ActingHouse) -> None:
    """Names, birth date and number are the ward's, in userinfo and in the ID token; nothing of the guardian's is."""
    ward = house.ward(203)
    asked = '{"id_token":{"birthdate":null,"name":null}}'
    tokens = house.acts(scope=WIDE, claims=asked)
    told = house.userinfo(tokens["access_token"]).json()
    assert told["birthdate"] == claims_of(tokens["id_token"])["birthdate"] == ward.born.isoformat()
    assert told["national_number"] == ward.number.value
    anna = house.people["anna"]
    spoken = json.dumps([told, claims_of(tokens["id_token"])], ensure_ascii=False)
    assert [secret for secret in (anna.family_name, anna.number or "", anna.born.isoformat()) if secret in spoken] == []


def test_the_number_goes_by_the_same_rules(house: ActingHouse) -> None:
    """A ward's national number needs the scope and the registration, as everybody's does (requirements L)."""
    house.ward(204)
    assert "national_number" not in house.userinfo(house.acts(scope="openid profile")["access_token"]).json()
    tokens = house.acts(client_id="numberless", scope=WIDE, claims='{"userinfo":{"national_number":null}}')
    assert "national_number" not in house.userinfo(tokens["access_token"]).json()


def test_the_proof_is_the_guardians(house: ActingHouse) -> None:
    """Level, method and time are of the guardian's eID: whoever reads `acr` must know that it is not the ward's."""
    house.ward(205)
    browser = house.browser()
    own = claims_of(house.acts(browser, who="self")["id_token"])
    house.clock.move(timedelta(minutes=3))
    page = browser.authorize(acting_for="ask")
    acting = claims_of(house.tokens(browser.press(page, who="0"))["id_token"])
    assert [acting[name] for name in ("acr", "amr", "auth_time")] == [own[n] for n in ("acr", "amr", "auth_time")]
    assert acting["sid"] != own["sid"]


def test_another_sector_knows_neither(house: ActingHouse) -> None:
    """Ward and guardian both have another name at another sector (Core 8.1)."""
    house.ward(206)
    here, there = (claims_of(house.acts(client_id=one)["id_token"]) for one in ("portal", "elsewhere"))
    assert here["sub"] != there["sub"]
    assert here["act"]["sub"] != there["act"]["sub"]


def test_an_api_is_told_who_acts(house: ActingHouse) -> None:
    """A resource that introspects another's token is told that a guardian holds it: it takes it for no ward's own."""
    house.ward(207)
    said = house.introspect(house.acts()["access_token"], "api")
    assert (said["active"], said["act"]) == (True, {"sub": house.sub(house.guardian())})


def test_nothing_outlives_the_birthday(house: ActingHouse) -> None:
    """Access, ID and refresh tokens that act for a child end at local midnight of the limit, to the second."""
    house.clock.move(house.clock.now().replace(hour=22, minute=50) - house.clock.now())  # 23:50 in Copenhagen
    ward = house.child(208, 13, days=-1)
    house.note(ward)
    midnight = datetime.combine(house.today, datetime.min.time(), UTC) + timedelta(hours=23)
    tokens = house.acts(scope=WIDE)
    claims = claims_of(tokens["id_token"])
    assert claims["guardianship"]["until"] == claims["exp"] == int(midnight.timestamp())
    assert tokens["expires_in"] == 600
    house.clock.move(timedelta(minutes=10))
    assert not house.lives(tokens)
    assert house.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


# ---- who is told -----------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [{"acting_for": "ask"}, {"acting_for": "x" * 43}, {"claims": ESSENTIAL}])
def test_a_client_that_takes_no_guardians_cannot_ask(house: ActingHouse, asked: dict[str, str]) -> None:
    """Whoever did not register `acting` is refused at once, before anybody signs in."""
    answer = answer_of(house.browser().authorize(client_id="never", **asked))
    assert (answer["error"], answer["state"]) == ("invalid_request", "s-1")


def test_a_client_that_takes_no_guardians_gets_the_guardian(house: ActingHouse) -> None:
    """In a sign-on that acts elsewhere, such a client is told of who signed in: never of the ward, however it asks."""
    ward = house.ward(209)
    browser = house.browser()
    tokens = house.acts(browser)
    own = house.sub(house.guardian(), "never")
    for more in ({}, {"prompt": "none"}, {"scope": "openid acting_for"}, {"acting_for": "self"}):
        claims = claims_of(house.tokens(browser.authorize(client_id="never", **more), "never")["id_token"])
        assert (claims["sub"], "act" in claims) == (own, False)
    # The ward is known by one name to both, which are of one sector: named so, nobody signs in.
    named = json.dumps({"id_token": {"sub": {"value": house.sub(ward.person, "never")}}})
    assert answer_of(browser.authorize(client_id="never", prompt="none", claims=named))["error"] == "login_required"
    hint = answer_of(browser.authorize(client_id="never", prompt="none", id_token_hint=tokens["id_token"]))
    assert hint["error"] == "invalid_request"


@pytest.mark.parametrize("became", ["never", "required"])
def test_a_registration_that_changes_ends_what_it_excludes(house: ActingHouse, became: str) -> None:
    """A client that has come to exclude such sign-ins is given no token of one any more, by no way."""
    client = house.house.clients.find("portal")
    assert client is not None
    house.house.clients.save(replace(client, id="turning"))
    house.ward(210)
    who = "0" if became == "never" else "self"
    tokens = house.acts(who=who, client_id="turning", scope=WIDE)
    browser = house.browser()
    code = answer_of(browser.press(house.proved(browser, client_id="turning"), who=who))["code"]
    scopes = client.scopes if became == "required" else tuple(s for s in client.scopes if s != "acting_for")
    house.house.clients.save(replace(client, id="turning", acting=became, scopes=scopes))

    assert house.refresh(tokens["refresh_token"], ("turning", SECRET)).json()["error"] == "invalid_grant"
    assert house.redeem(code, ("turning", SECRET)).json()["error"] == "invalid_grant"
    assert not house.lives(tokens)
    assert house.introspect(tokens["access_token"], "api") == {"active": False}


# ---- asking ----------------------------------------------------------------------------------------


def test_an_essential_act_takes_nobody_for_themselves(house: ActingHouse) -> None:
    """`act` asked for as essential is asked about, and oneself is neither offered nor taken (Core 5.5.1)."""
    ward = house.ward(211)
    browser = house.browser()
    page = house.proved(browser, acting_for="", claims=ESSENTIAL)
    assert 'value="self"' not in page.text
    refused = browser.press(page, who="self")
    assert refused.url.endswith("/who")
    tokens = house.tokens(browser.press(refused, who="0"))
    assert claims_of(tokens["id_token"])["sub"] == house.sub(ward.person)


@pytest.mark.parametrize(
    "asked",
    [
        {"acting_for": "self", "claims": ESSENTIAL},
        {"acting_for": "self", "client_id": "required"},
        {"acting_for": "a b"},
        {"acting_for": "x" * 256},
        {"acting_for": "é"},
        {"claims": '{"id_token":{"act":7}}'},
    ],
)
def test_a_request_that_cannot_be_meant(house: ActingHouse, asked: dict[str, str]) -> None:
    """What contradicts itself or is malformed is invalid_request, to the client, with its state."""
    answer = answer_of(house.browser().authorize(**asked))
    assert (answer["error"], answer["state"]) == ("invalid_request", "s-1")


def test_oneself_without_a_page(house: ActingHouse) -> None:
    """`acting_for=self` asks nobody, also where everybody is asked; the token says nothing of acting."""
    house.ward(212)
    answer = house.browser().sign_in(client_id="always", acting_for="self")
    claims = claims_of(house.redeem(answer["code"], ("always", SECRET)).json()["id_token"])
    assert (claims["sub"], "act" in claims) == (house.sub(house.guardian(), "always"), False)


def test_a_ward_by_name_without_a_page(house: ActingHouse) -> None:
    """`acting_for` with the `sub` of a ward goes there without a page, in a new sign-in and in the sign-on."""
    ward, other = house.ward(213), house.ward(214, 8)
    browser = house.browser()
    for one in (ward, other):
        answer = browser.sign_in(acting_for=house.sub(one.person))
        assert claims_of(house.redeem(answer["code"]).json()["id_token"])["sub"] == house.sub(one.person)


def test_a_name_that_is_no_wards_is_one_page(house: ActingHouse) -> None:
    """An unknown `sub`, a stranger's and a former ward's all end on the page of refusals: never an error that tells."""
    former = house.ward(215)
    browser = house.browser()
    house.acts(browser)
    house.house.durable.guardianships.end("clinea", former.person, house.clock.now(), "withdrawn")
    for name in (
        "x" * 43,
        house.sub(house.child(216).person),
        house.sub(former.person),
        house.sub(former.person, "api"),
    ):
        assert browser.authorize(acting_for=name).url.endswith("/whono")
        silent = answer_of(browser.authorize(acting_for=name, prompt="none"))
        assert silent["error"] == "interaction_required"


# ---- renewing --------------------------------------------------------------------------------------


def test_a_hint_renews_for_the_ward(house: ActingHouse) -> None:
    """prompt=none with the ward's ID token gives the ward again, though another is the newest, and judges anew."""
    ward, other = house.ward(217), house.ward(218, 8)
    browser = house.browser()
    first = house.tokens(house.straight(browser, acting_for=house.sub(ward.person)))
    house.tokens(house.straight(browser, acting_for=house.sub(other.person)))
    again = browser.authorize(prompt="none", id_token_hint=first["id_token"], scope="openid acting_for")
    claims = claims_of(house.tokens(again)["id_token"])
    assert (claims["sub"], claims["act"]) == (house.sub(ward.person), {"sub": house.sub(house.guardian())})
    house.house.durable.guardianships.end("clinea", ward.person, house.clock.now(), "withdrawn")
    after = answer_of(browser.authorize(prompt="none", id_token_hint=first["id_token"]))
    assert after["error"] == "login_required"


def test_a_hint_of_ones_own_is_no_question(house: ActingHouse) -> None:
    """prompt=none with the guardian's own ID token gives the guardian, also where everybody is asked."""
    house.ward(219)
    browser = house.browser()
    tokens = house.acts(browser, who="self", client_id="always")
    again = browser.authorize(client_id="always", prompt="none", id_token_hint=tokens["id_token"])
    assert "act" not in claims_of(house.tokens(again, "always")["id_token"])


def test_what_a_page_would_ask_is_interaction_required(house: ActingHouse) -> None:
    """prompt=none with acting_for=ask is interaction_required, always (Core 3.1.2.6)."""
    house.ward(220)
    browser = house.browser()
    house.acts(browser)
    for asked in ({"acting_for": "ask"}, {"acting_for": "", "scope": "openid acting_for"}):
        assert answer_of(browser.authorize(prompt="none", **asked))["error"] == "interaction_required"


def test_another_persons_hint_is_login_required(house: ActingHouse) -> None:
    """A hint of somebody whom this sign-on was never about, ward of theirs or not, is login_required (Core 3.1.2.1)."""
    house.ward(221)
    acted = house.acts()
    other = house.browser()
    house.tokens(house.straight(other))
    for client in ("portal", "always"):
        tokens = house.acts(client_id=client)
        asked = {"client_id": client, "prompt": "none", "id_token_hint": tokens["id_token"]}
        assert answer_of(other.authorize(**asked))["error"] == "login_required"
    assert house.lives(acted)


def test_silence_never_changes_the_person(house: ActingHouse) -> None:
    """At a client that always asks, prompt=none without a hint renews the ward, and never turns to the guardian."""
    ward = house.ward(222)
    browser = house.browser()
    house.acts(browser, client_id="always", acting_for="")
    again = browser.authorize(client_id="always", prompt="none")
    assert claims_of(house.tokens(again, "always")["id_token"])["sub"] == house.sub(ward.person, "always")
    house.house.durable.guardianships.end("clinea", ward.person, house.clock.now(), "withdrawn")
    after = browser.authorize(client_id="always", prompt="none")
    assert after.headers["Location"].startswith(CALLBACK)
    assert answer_of(after)["error"] == "interaction_required"
