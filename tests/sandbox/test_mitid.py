"""The simulated MitID broker says what the real one says."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from idbroker.clock import StoppedClock
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.mitid import LIES, OUTCOMES, SimClient, make_mitid
from idbroker.sandbox.people import SimPerson, cast

ISSUER = "http://127.0.0.1:1/mitid"
BACK = "https://login.test/callback/mitid"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
CLIENTS = {
    "public": SimClient(id="public", redirect_uris=(BACK,), secret="s"),
    "private": SimClient(id="private", redirect_uris=(BACK,), secret="s", private=True),
    "other": SimClient(id="other", secret="o"),
}


@dataclass
class Browser:
    """A browser and a service in one."""

    http: FlaskClient
    people: dict[str, SimPerson]

    def address(self, client: str = "public", **more: str) -> str:
        """Return an address at the authorization endpoint."""
        asked = {
            "client_id": client,
            "redirect_uri": BACK,
            "response_type": "code",
            "scope": "openid mitid ssn",
            "state": "st",
            "nonce": "n",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return "/connect/authorize?" + urlencode({name: value for name, value in (asked | more).items() if value})

    def login(self, person: str, client: str = "public", outcome: str = "approve", **more: str) -> TestResponse:
        """Choose a person and an outcome on the page."""
        return self.http.post(self.address(client, **more), data={"person": person, "outcome": outcome})

    def token(self, code: str, client: str = "public", secret: str = "s", **more: str) -> TestResponse:
        """Redeem a code."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER}
        return self.http.post("/connect/token", data=form | more, auth=(client, secret))

    def tokens(self, person: str, client: str = "public", **more: str) -> dict[str, Any]:
        """Sign in and redeem the code."""
        tokens: dict[str, Any] = self.token(answer(self.login(person, client, **more))["code"], client).get_json()
        return tokens

    def userinfo(self, tokens: dict[str, Any]) -> dict[str, Any]:
        """Ask for the claims."""
        told = self.http.get("/connect/userinfo", headers=bearer(tokens)).get_json()
        assert isinstance(told, dict)
        return told


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    """Return the header that carries the access token."""
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def answer(response: TestResponse) -> dict[str, str]:
    """Return what the redirect back carries."""
    assert response.status_code == 303
    assert response.location.startswith(BACK + "?")
    return {name: values[0] for name, values in parse_qs(urlsplit(response.location).query).items()}


@pytest.fixture
def faults() -> Faults:
    """Return what is broken: nothing yet."""
    return Faults({"mitid": LIES})


@pytest.fixture
def browser(clock: StoppedClock, faults: Faults) -> Iterator[Browser]:
    """Give a browser before the simulator."""
    people = {person.id: person for person in cast(clock.now().date())}
    with make_mitid(people.values(), clock, faults, ISSUER, CLIENTS).test_client() as http:
        yield Browser(http, people)


def test_signs_in_through_the_page_without_javascript(browser: Browser) -> None:
    """The page is one form with `person` and `outcome`, and its answer is a 303 with code, state and issuer."""
    page = browser.http.get(browser.address())

    assert all(f'value="{outcome}"' in page.text for outcome in OUTCOMES)
    assert "<script" not in page.text
    assert "SANDBOX" in page.text
    assert page.headers["Content-Security-Policy"].endswith("frame-ancestors 'none'")
    back = answer(browser.login("anna"))
    assert set(back) == {"code", "state", "iss"}
    assert (back["state"], back["iss"]) == ("st", ISSUER)


def test_tells_who_the_person_is_in_the_brokers_own_words(browser: Browser) -> None:
    """Levels are NSIS addresses, ages and yes-or-no are strings, the ID token lives 300 seconds."""
    tokens = browser.tokens("anna")

    claims = jwt.decode(tokens["id_token"], options={"verify_signature": False})
    told = browser.userinfo(tokens)
    assert claims["loa"] == claims["acr"] == "https://data.gov.dk/concept/core/nsis/Substantial"
    assert claims["exp"] - claims["iat"] == 300
    assert claims["amr"] == ["code_app"]
    assert told["sub"] == claims["sub"]
    assert told["dk.cpr"] == browser.people["anna"].number
    assert (told["mitid.age"], told["mitid.has_cpr"]) == ("41", "true")


def test_publishes_keys_that_verify_the_token(browser: Browser) -> None:
    """The ID token is signed with a key of the key set, found by its `kid`."""
    token = browser.tokens("anna")["id_token"]

    keys = jwt.PyJWKSet.from_dict(browser.http.get("/.well-known/openid-configuration/jwks").get_json())
    signed = jwt.api_jws.PyJWS().decode_complete(token, keys[jwt.get_unverified_header(token)["kid"]].key, ["ES256"])
    assert signed["header"]["alg"] == "ES256"


@pytest.mark.parametrize(
    ("outcome", "description"),
    [("cancel", "mitid_user_aborted"), ("timeout", "mitid_timeout"), ("blocked", "mitid_user_blocked")],
)
def test_comes_back_with_the_brokers_errors(browser: Browser, outcome: str, description: str) -> None:
    """Who does not approve comes back with access_denied and the broker's own word for why."""
    back = answer(browser.login("anna", outcome=outcome))

    assert (back["error"], back["error_description"], back["state"]) == ("access_denied", description, "st")


def test_people_have_habits(browser: Browser) -> None:
    """Carl cancels whatever is pressed for him."""
    assert answer(browser.login("carl"))["error_description"] == "mitid_user_aborted"


@pytest.mark.parametrize(
    "wrong", [{"client_id": "nobody"}, {"redirect_uri": "https://evil.test/"}, {"response_type": "token"}]
)
def test_a_bad_request_is_answered_with_a_page(browser: Browser, wrong: dict[str, str]) -> None:
    """An unknown client, another redirect URI or response type is never redirected anywhere."""
    response = browser.http.get(browser.address(**wrong))

    assert response.status_code == 400
    assert response.location is None


def test_gives_no_more_than_the_person_can_prove(browser: Browser) -> None:
    """A person whose MitID proves low comes back as low, though substantial was asked for."""
    claims = jwt.decode(browser.tokens("ludvig")["id_token"], options={"verify_signature": False})

    assert claims["loa"].endswith("/Low")


def test_redeems_a_code_once(browser: Browser) -> None:
    """RFC 6749, 4.1.2: a code used twice is refused the second time."""
    code = answer(browser.login("anna"))["code"]
    assert browser.token(code).status_code == 200

    assert browser.token(code).get_json() == {"error": "invalid_grant"}


@pytest.mark.parametrize(
    "wrong", [{"client": "other", "secret": "o"}, {"code_verifier": "w" * 43}, {"redirect_uri": "https://other.test/"}]
)
def test_a_code_belongs_to_client_verifier_and_address(browser: Browser, wrong: dict[str, str]) -> None:
    """RFC 7636, 4.6 and RFC 6749, 4.1.3: another client, verifier or redirect URI gets nothing."""
    assert browser.token(answer(browser.login("anna"))["code"], **wrong).status_code == 400


def test_a_wrong_secret_is_no_client(browser: Browser) -> None:
    """RFC 6749, 5.2: a client that does not prove itself is told invalid_client with 401."""
    response = browser.token("c", secret="wrong")

    assert (response.status_code, response.get_json()) == (401, {"error": "invalid_client"})


def test_takes_pushed_requests(browser: Browser) -> None:
    """RFC 9126: the parameters are pushed, and the browser carries only their name."""
    form = {name: values[0] for name, values in parse_qs(urlsplit(browser.address()).query).items()}
    pushed = browser.http.post("/connect/par", data=form, auth=("public", "s"))

    assert (pushed.status_code, pushed.get_json()["expires_in"]) == (201, 600)
    named = {"client_id": "public", "request_uri": pushed.get_json()["request_uri"], "simulate": "approve:anna"}
    assert "code" in answer(browser.http.get("/connect/authorize?" + urlencode(named)))


def test_a_pushed_request_belongs_to_its_client(browser: Browser) -> None:
    """Another client's `request_uri` is answered with a page."""
    form = {name: values[0] for name, values in parse_qs(urlsplit(browser.address()).query).items()}
    uri = browser.http.post("/connect/par", data=form, auth=("public", "s")).get_json()["request_uri"]

    query = urlencode({"client_id": "other", "request_uri": uri})
    assert browser.http.get("/connect/authorize?" + query).status_code == 400


def test_scripts_skip_the_page(browser: Browser) -> None:
    """`simulate=approve:anna`, and the broker's own `simulation=no-ui`, need no page."""
    uuid = browser.people["anna"].uuid

    assert "code" in answer(browser.http.get(browser.address(simulate="approve:anna")))
    assert "code" in answer(browser.http.get(browser.address(simulation=f"no-ui uuid:{uuid}")))


def test_a_private_service_has_the_number_typed(browser: Browser) -> None:
    """With the scope `ssn` a private service's person types the CPR number on a page of the broker's."""
    asked = browser.login("anna", "private")
    path = urlsplit(asked.location).path.removeprefix("/mitid")
    assert 'name="cpr"' in browser.http.get(path).text

    done = browser.http.post(path, data={"cpr": browser.people["anna"].number})

    tokens = browser.token(answer(done)["code"], "private").get_json()
    assert browser.userinfo(tokens)["dk.cpr"] == browser.people["anna"].number


def test_three_wrong_numbers_end_it(browser: Browser) -> None:
    """The broker's page lets the person try three times."""
    path = urlsplit(browser.login("anna", "private").location).path.removeprefix("/mitid")
    tries = [browser.http.post(path, data={"cpr": "0101011234"}) for _ in range(3)]

    assert [response.status_code for response in tries] == [200, 200, 303]
    assert answer(tries[2])["error_description"] == "mitid_cpr_match_exceeded"


def test_matches_numbers_three_times_in_fifteen_minutes(browser: Browser, clock: StoppedClock) -> None:
    """`matchCpr` says true or false three times in one MitID session, and nothing afterwards."""
    tokens = browser.tokens("anna", "private", scope="openid mitid")

    def match(number: str) -> TestResponse:
        return browser.http.post("/api/v1/mitid/matchCpr", json={"cpr": number}, headers=bearer(tokens))

    told = [match(number).get_json() for number in ("0101011234", str(browser.people["anna"].number))]
    assert told == [{"cprNumberMatch": False}, {"cprNumberMatch": True}]
    assert [match("0101011234").status_code for _ in range(2)] == [200, 400]
    clock.move(timedelta(minutes=16))
    assert match("0101011234").status_code == 400


def test_hides_a_protected_name_from_private_services(browser: Browser) -> None:
    """A protected person's name is the broker's literal to a private service, and told to a public one."""
    private = browser.userinfo(browser.tokens("petra", "private", scope="openid mitid"))
    public = browser.userinfo(browser.tokens("petra"))

    assert private["mitid.identity_name"] == "NAVNE & ADRESSEBESKYTTET"
    assert public["mitid.identity_name"] == browser.people["petra"].name


def test_signs_out_with_a_hint_only(browser: Browser) -> None:
    """End of session needs `id_token_hint`; with it the browser goes where it was to go."""
    hint = browser.tokens("anna")["id_token"]
    query = urlencode({"id_token_hint": hint, "post_logout_redirect_uri": "https://login.test/out", "state": "x"})

    assert browser.http.get("/connect/endsession?" + query).location == "https://login.test/out?state=x"
    assert browser.http.get("/connect/endsession?post_logout_redirect_uri=https://login.test/out").status_code == 400


def test_breaks_on_request(browser: Browser, faults: Faults) -> None:
    """A fault is answered at every endpoint until it is healed."""
    faults.set("mitid", {"down": True})
    assert browser.http.get("/.well-known/openid-configuration").status_code == 503

    faults.set("mitid", {"status": 429})
    assert browser.http.get(browser.address()).status_code == 429
    faults.clear()
    assert browser.http.get(browser.address()).status_code == 200


@pytest.mark.parametrize(
    "wish",
    [
        {"lies": ["no_such_lie"]},
        {"lies": 7},
        {"slow": 31},
        {"slow": True},
        {"status": 200},
        {"down": 1},
        {"broken": 1},
    ],
)
def test_refuses_a_fault_it_does_not_know(faults: Faults, wish: dict[str, Any]) -> None:
    """A misspelt fault is refused: a test of it would prove nothing."""
    with pytest.raises(ValueError, match=r"."):
        faults.set("mitid", wish)


def test_shows_the_reference_text(browser: Browser) -> None:
    """The text asked for in `idp_params` is shown, escaped."""
    text = base64.b64encode(b"Log ind <b>her</b>").decode()
    page = browser.http.get(browser.address(idp_params=json.dumps({"mitid": {"reference_text": text}})))

    assert "Log ind &lt;b&gt;her&lt;/b&gt;" in page.text
