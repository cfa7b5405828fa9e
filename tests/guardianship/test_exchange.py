"""Token exchange (RFC 8693): a portal changes the person within a sign-on, and everything is judged again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from idbroker.clock import StoppedClock
from idbroker.session import MOST_GRANTS, key_of
from tests.conftest import NOW
from tests.door import SECRET, Browser, answer_of, at_once, claims_of, session_cookie
from tests.guardianship.acting_house import ALONE, ActingHouse, open_acting_house

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
WIDE = "openid profile national_number offline_access acting_for"
CLIENTS: dict[str, dict[str, Any]] = {
    "jwt": {"access_token": "jwt", "audience": "https://api.test"},
    "never": dict(ALONE),
    "required": {"acting": "required"},
    "consents": {"consent": "ask"},
    "hurried": {"default_max_age": "5min"},
    "public": {
        "auth_method": "none",
        "secret_digests": [],
        "national_number": False,
        "scopes": ["openid", "profile"],
        "refresh": "never",
    },
}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ActingHouse]:
    """Serve a house once for all."""
    with open_acting_house(tmp_path_factory.mktemp("exchange"), StoppedClock(NOW), clients=CLIENTS) as house:
        yield house


@pytest.fixture
def house(opened: ActingHouse) -> ActingHouse:
    """Give it as if nobody had been here."""
    return opened.fresh()


def swapped(response: requests.Response) -> dict[str, Any]:
    """Return the tokens of an exchange that was done."""
    assert response.status_code == 200, response.text
    assert response.headers["Cache-Control"] == "no-store"
    return dict(response.json())


def error_of(response: requests.Response) -> tuple[str, str]:
    """Return the error of one that was refused, and its words."""
    assert response.status_code == 400, response.text
    said = response.json()
    return said["error"], said["error_description"]


REFUSED = ("invalid_grant", "The token cannot be exchanged")


# ---- what comes of it ------------------------------------------------------------------------------


def test_from_oneself_to_a_ward_to_another_and_back(house: ActingHouse) -> None:
    """Each exchange is about whom it names; who acts is always who signed in, and acts are never nested (4.1)."""
    first, second = house.ward(401), house.ward(402, 8)
    own, token = house.sub(house.guardian()), house.acts(who="self")["access_token"]
    for name in (house.sub(first.person), house.sub(second.person), house.sub(first.person), own, "self"):
        tokens = swapped(house.exchange(token, acting_for=name))
        token = tokens["access_token"]
        acts = name not in (own, "self")
        for said in (claims_of(tokens["id_token"]), house.userinfo(token).json(), house.introspect(token)):
            assert said["sub"] == (name if acts else own)
            assert said.get("act") == ({"sub": own} if acts else None)
            assert ("guardianship" in said) == acts


def test_the_answer(house: ActingHouse) -> None:
    """It has an access token, its type, and an ID token that is signed to it; no refresh token, no nonce (2.2.1)."""
    ward = house.ward(403)
    tokens = house.acts(who="self", client_id="jwt", scope=WIDE)
    answer = swapped(house.exchange(tokens["access_token"], "jwt", acting_for=house.sub(ward.person, "jwt")))
    assert set(answer) == {"access_token", "token_type", "expires_in", "scope", "id_token", "issued_token_type"}
    assert (answer["issued_token_type"], answer["token_type"]) == (ACCESS_TOKEN, "Bearer")
    before, after = claims_of(tokens["id_token"]), claims_of(answer["id_token"])
    assert "nonce" not in after
    assert [after[name] for name in ("acr", "amr", "auth_time")] == [before[n] for n in ("acr", "amr", "auth_time")]
    assert after["sid"] != before["sid"]
    inside = claims_of(answer["access_token"])
    assert [inside[name] for name in ("sub", "act", "aud")] == [after["sub"], after["act"], "https://api.test"]
    assert house.lives(tokens)


def test_what_is_released_is_the_wards(house: ActingHouse) -> None:
    """Claims by scope, and those that were asked for one by one, are the ward's now, in the same places."""
    ward = house.ward(404)
    asked = '{"id_token":{"birthdate":null},"userinfo":{"national_number":null}}'
    tokens = house.acts(who="self", scope="openid profile", claims=asked)
    answer = swapped(house.exchange(tokens["access_token"], acting_for=house.sub(ward.person)))
    assert claims_of(answer["id_token"])["birthdate"] == ward.born.isoformat()
    assert house.userinfo(answer["access_token"]).json()["national_number"] == ward.number.value


def test_never_wider(house: ActingHouse) -> None:
    """Scopes may be fewer, never more than the presented token has; what it gave up stays given up (2.1)."""
    name = house.sub(house.ward(405).person)
    wide = house.acts(who="self", scope=WIDE, claims='{"id_token":{"birthdate":null}}')
    narrow = house.refresh(wide["refresh_token"], scope="openid national_number").json()["access_token"]
    answer = swapped(house.exchange(narrow, acting_for=name))
    assert answer["scope"] == "openid national_number"
    assert not {"name", "birthdate"} & (set(claims_of(answer["id_token"])) | set(house.userinfo(narrow).json()))
    assert error_of(house.exchange(narrow, acting_for=name, scope="openid profile"))[0] == "invalid_scope"
    assert error_of(house.exchange(narrow, acting_for=name, scope="national_number"))[0] == "invalid_scope"
    fewer = swapped(house.exchange(wide["access_token"], acting_for=name, scope="openid offline_access"))
    assert (fewer["scope"], "refresh_token" in fewer) == ("openid", False)
    assert set(house.userinfo(fewer["access_token"]).json()) == {"sub", "act", "guardianship"}


def test_a_ward_of_this_sign_on_that_no_register_lists(house: ActingHouse) -> None:
    """Whom the guardian has reached before in this sign-on may be named, and is asked about again."""
    ward, other = house.child(406), house.ward(407, 8)
    house.folk.ties[house.guardian()] = (ward.tie(),)
    browser = house.browser()
    house.tokens(browser.press(house.proved(browser), do="number", number=ward.number.value))
    token = house.tokens(house.straight(browser, acting_for=house.sub(other.person)))["access_token"]
    house.folk.listed = False
    assert swapped(house.exchange(token, acting_for=house.sub(ward.person)))
    house.folk.ties[house.guardian()] = (ward.tie(barred="care_order"),)
    assert error_of(house.exchange(token, acting_for=house.sub(ward.person))) == REFUSED


# ---- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"subject_token": ""}, "invalid_request"),
        ({"subject_token_type": ""}, "invalid_request"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:id_token"}, "invalid_request"),
        ({"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"),
        ({"acting_for": ""}, "invalid_request"),
        ({"acting_for": "ask"}, "invalid_request"),
        ({"acting_for": "a b"}, "invalid_request"),
        ({"acting_for": "x" * 256}, "invalid_request"),
        ({"actor_token": "x", "actor_token_type": ACCESS_TOKEN}, "invalid_request"),
        ({"resource": "https://api.test"}, "invalid_target"),
        ({"audience": "api"}, "invalid_target"),
    ],
)
def test_what_is_not_understood_is_refused(house: ActingHouse, changed: dict[str, str], error: str) -> None:
    """A parameter that is missing, malformed or means what we do not do is refused, never left out (2.1, 2.2.2)."""
    token = house.acts(who="self")["access_token"]
    assert error_of(house.exchange(token, **{"acting_for": "self", **changed}))[0] == error


def test_only_clients_that_prove_who_they_are_and_take_guardians(house: ActingHouse) -> None:
    """A public client's token could be exchanged by whoever is shown it; one without `acting` has no use for it (5)."""
    house.ward(410)
    public = house.straight(house.browser(), client_id="public")
    token = house.redeem(answer_of(public)["code"], None, client_id="public").json()["access_token"]
    fields = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": token}
    fields |= {"subject_token_type": ACCESS_TOKEN, "acting_for": "self", "client_id": "public"}
    assert error_of(house.post("/token", fields, auth=None))[0] == "unauthorized_client"
    never = house.tokens(house.straight(house.browser(), client_id="never"), "never")["access_token"]
    assert error_of(house.exchange(never, "never", acting_for="self"))[0] == "unauthorized_client"
    required = house.acts(client_id="required")["access_token"]
    assert error_of(house.exchange(required, "required", acting_for="self"))[0] == "invalid_request"


End = Callable[[ActingHouse, Browser, Mapping[str, Any]], object]
ENDS: dict[str, End] = {
    "signed out": lambda house, browser, _: house.house.signout.end_here(session_cookie(browser)),
    "idle": lambda house, _browser, _tokens: house.clock.move(timedelta(minutes=31)),
    "revoked": lambda house, _, tokens: house.post("/revoke", {"token": tokens["access_token"]}),
    "the right has ended": lambda house, _b, _t: [
        house.house.durable.guardianships.end("clinea", row.ward, house.clock.now(), "withdrawn")
        for row in house.house.durable.guardianships.of_guardian(house.guardian())
    ],
    "a register is down": lambda house, _b, _t: setattr(house.folk, "down", True),
}


@pytest.mark.parametrize("end", ENDS)
def test_what_has_ended_is_exchanged_no_more(house: ActingHouse, end: str) -> None:
    """Sign-on, token, right, register: whatever has ended or does not answer, one error says so, and not which."""
    life = {"client_id": "portal", "scope": "openid"}
    name = house.sub(house.ward(411).person)
    browser = house.browser()
    tokens = house.acts(browser, who="self", **life)
    assert swapped(house.exchange(tokens["access_token"], acting_for=name))
    ENDS[end](house, browser, tokens)
    assert error_of(house.exchange(tokens["access_token"], acting_for=name)) == REFUSED


def test_another_clients_token_and_none_at_all(house: ActingHouse) -> None:
    """A token of another client's, an ID token, a refresh token and anything else are one error, too."""
    name = house.sub(house.ward(412).person)
    tokens = house.acts(who="self", scope=WIDE)
    other = house.acts(who="self", client_id="jwt")
    for token in (other["access_token"], tokens["id_token"], tokens["refresh_token"], "x", "x.y.z", "é"):
        assert error_of(house.exchange(token, acting_for=name)) == REFUSED


def test_no_refusal_says_why_but_the_trail_does(house: ActingHouse) -> None:
    """A stranger's name, a child's that is barred, nobody's: one error; the reason is in the guardian's trail (D11)."""
    barred = house.ward(413)
    house.folk.ties[house.guardian()] = (barred.tie(barred="no_custody"),)
    token = house.acts(who="self")["access_token"]
    for name in (house.sub(house.child(414).person), house.sub(barred.person), "x" * 43):
        assert error_of(house.exchange(token, acting_for=name)) == REFUSED
        assert house.events("acting.refused", house.guardian())[-1].detail["reason"] == "no_relation"


def test_what_a_page_would_ask_is_refused(house: ActingHouse) -> None:
    """Where the ward's consent is still to be given, the exchange is refused until it was, by the browser."""
    ward = house.ward(415)
    name = house.sub(ward.person, "consents")
    browser = house.browser()
    consent = browser.press(house.proved(browser, client_id="consents"), who="self")
    token = house.tokens(browser.press(consent), "consents")["access_token"]
    assert error_of(house.exchange(token, "consents", acting_for=name)) == REFUSED
    assert house.events("acting.refused")[-1].detail == {"reason": "asks_consent"}
    house.tokens(browser.press(browser.authorize(client_id="consents", acting_for=name)), "consents")
    assert swapped(house.exchange(token, "consents", acting_for=name))


def test_a_proof_that_is_too_old(house: ActingHouse) -> None:
    """Where the registration wants a fresh proof, an exchange does not make an old one do."""
    name = house.sub(house.ward(416).person, "hurried")
    token = house.acts(who="self", client_id="hurried")["access_token"]
    house.clock.move(timedelta(minutes=4))
    assert swapped(house.exchange(token, "hurried", acting_for=name))
    house.clock.move(timedelta(minutes=1))
    assert error_of(house.exchange(token, "hurried", acting_for=name)) == REFUSED


# ---- how it ends -----------------------------------------------------------------------------------


def test_logging_out_ends_all_of_them(house: ActingHouse) -> None:
    """What came of exchanges is reached by the sign-on: its end ends each, whatever it came of."""
    name = house.sub(house.ward(417).person)
    browser = house.browser()
    chain = [house.acts(browser, who="self")]
    for to in (name, "self", name):
        chain.append(swapped(house.exchange(chain[-1]["access_token"], acting_for=to)))
    assert all(map(house.lives, chain))
    house.house.signout.end_here(session_cookie(browser))
    assert not any(map(house.lives, chain))


def test_the_end_of_the_right_ends_what_acts(house: ActingHouse) -> None:
    """What acts for a ward ends with the right, exchanged or not; the guardian's own goes on."""
    ward = house.ward(418)
    own = house.acts(who="self")
    acting = swapped(house.exchange(own["access_token"], acting_for=house.sub(ward.person)))
    assert house.house.signout.end_acting(ward.person, "custody") == 1
    assert (house.lives(own), house.lives(acting)) == (True, False)


def test_the_new_token_ends_by_itself(house: ActingHouse) -> None:
    """It ends at local midnight of the limit, as what came of a sign-in does."""
    house.clock.move(house.clock.now().replace(hour=22, minute=50) - house.clock.now())  # 23:50 in Copenhagen
    house.note(ward := house.child(419, 13, days=-1))
    own = house.acts(who="self")["access_token"]
    acting = swapped(house.exchange(own, acting_for=house.sub(ward.person)))
    assert acting["expires_in"] == 600
    house.clock.move(timedelta(minutes=10))
    assert not house.lives(acting)
    assert error_of(house.exchange(own, acting_for=house.sub(ward.person))) == REFUSED


def test_the_idle_time_runs_on(house: ActingHouse) -> None:
    """A portal that exchanges by itself does not keep somebody signed on who has long left."""
    house.ward(420)
    browser = house.browser()
    token = house.acts(browser, who="self", client_id="portal")["access_token"]
    house.clock.move(timedelta(minutes=14))
    token = swapped(house.exchange(token, acting_for="self"))["access_token"]
    house.clock.move(timedelta(minutes=14))
    token = swapped(house.exchange(token, acting_for="self"))["access_token"]
    house.clock.move(timedelta(minutes=3))
    assert error_of(house.exchange(token, acting_for="self")) == REFUSED


def test_a_new_proof_carries_it_on(house: ActingHouse) -> None:
    """After a step-up in the same browser the earlier token is exchanged by the new sign-on, and ends with it."""
    name = house.sub(house.ward(421).person)
    browser = house.browser()
    token = house.acts(browser, who="self")["access_token"]
    house.straight(browser, prompt="login")
    acting = swapped(house.exchange(token, acting_for=name))
    house.house.signout.end_here(session_cookie(browser))
    assert not house.lives(acting)


def test_many_at_once_are_bounded_and_all_end(house: ActingHouse) -> None:
    """However many at once, a sign-on holds so many and knows each: the oldest gave way, and logout ends the rest."""
    name = house.sub(house.ward(422).person)
    browser = house.browser()
    origin = house.acts(browser, who="self")
    cookie = session_cookie(browser) or ""

    def exchange() -> list[requests.Response]:
        return [house.exchange(origin["access_token"], acting_for=name) for _ in range(10)]

    answers = [answer for some in at_once(6, exchange) for answer in some]
    acting = [answer.json() for answer in answers if answer.status_code == 200]
    assert {answer.status_code for answer in answers} <= {200, 503}
    kept = house.house.sessions.get(key_of(cookie))
    assert kept is not None
    living = [tokens for tokens in acting if house.lives(tokens)]
    assert len(living) <= MOST_GRANTS - 1
    assert len(kept.value.reached) <= MOST_GRANTS
    assert house.lives(origin)
    house.house.signout.end_here(cookie)
    assert not any(map(house.lives, [origin, *acting]))


def test_a_logout_in_the_midst_leaves_none(house: ActingHouse) -> None:
    """Whatever is being exchanged while somebody logs out: no token that was given lives afterwards."""
    name = house.sub(house.ward(424).person)
    browser = house.browser()
    origin = house.acts(browser, who="self")
    turns = iter(range(8))

    def act() -> list[dict[str, Any]]:
        if next(turns) == 5:
            house.house.signout.end_here(session_cookie(browser))
            return []
        answers = [house.exchange(origin["access_token"], acting_for=name) for _ in range(4)]
        return [answer.json() for answer in answers if answer.status_code == 200]

    given = [tokens for some in at_once(8, act) for tokens in some]
    assert not any(map(house.lives, [origin, *given]))


def test_discovery_tells(house: ActingHouse) -> None:
    """The metadata name the grant type, the scope, the claims and our parameter (RFC 8414, 2; Discovery 3)."""
    told = requests.get(f"{house.issuer}/.well-known/openid-configuration", timeout=10).json()
    assert "urn:ietf:params:oauth:grant-type:token-exchange" in told["grant_types_supported"]
    assert {"act", "guardianship"} <= set(told["claims_supported"])
    assert "acting_for" in told["scopes_supported"]
    assert told["acting_for_parameter_supported"] is True


def test_the_documents_example_works(house: ActingHouse) -> None:
    """What docs/integrating.md shows a portal changes the person, and returns None where that is refused."""
    name = house.sub(house.ward(423).person)
    text = (Path(__file__).parents[2] / "docs/integrating.md").read_text(encoding="utf-8")
    shown = next(block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "def about(" in block)
    example: dict[str, Any] = {}
    exec(compile(shown, "integrating.md", "exec"), example)  # noqa: S102 - our own document
    token = house.acts(who="self")["access_token"]
    asked = (f"{house.issuer}/token", ("portal", SECRET), token)
    assert claims_of(example["about"](*asked, name)["id_token"])["sub"] == name
    assert example["about"](*asked, "x" * 43) is None


def test_the_secret_is_needed(house: ActingHouse) -> None:
    """Another client's secret exchanges nothing: the token is worth nothing to whoever merely holds it."""
    token = house.acts(who="self")["access_token"]
    answer = house.exchange(token, "jwt", acting_for="self")
    assert error_of(answer) == REFUSED
    fields = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": token}
    wrong = house.post("/token", fields, auth=("portal", SECRET + "x"))
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
