"""The simulated MitID broker ends sessions, and tells who asked to be told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlencode

import jwt
import pytest
from werkzeug.wrappers import Request, Response

from idbroker.clock import StoppedClock
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.mitid import LIES, make_mitid
from idbroker.sandbox.people import cast
from tests.sandbox.loopback import serve
from tests.sandbox.test_mitid import CLIENTS, ISSUER, Browser

OUT = "https://login.test/logout/mitid"


class Told:
    """A client's address for logout tokens."""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []

    def answer(self, request: Request) -> Response:
        """Take what is posted."""
        self.forms.append(dict(request.form))
        return Response()


@pytest.fixture
def told() -> Iterator[tuple[Told, str]]:
    """Serve a client's address."""
    there = Told()
    with serve(lambda _: Request.application(there.answer)) as address:
        yield there, f"{address}/logout/mitid"


@pytest.fixture
def browser(clock: StoppedClock, told: tuple[Told, str]) -> Iterator[Browser]:
    """Give a browser before a simulator whose clients are told."""
    people = {person.id: person for person in cast(clock.now().date())}
    clients = {
        name: replace(client, backchannel_logout_uri=told[1], post_logout_redirect_uris=(OUT,))
        for name, client in CLIENTS.items()
    }
    with make_mitid(people.values(), clock, Faults({"mitid": LIES}), ISSUER, clients).test_client() as http:
        yield Browser(http, people)


def test_a_session_ends_on_its_page(browser: Browser, told: tuple[Told, str]) -> None:
    """Who is signed in is shown, and signing out tells each of their clients (Back-Channel Logout, 2.5)."""
    tokens = browser.tokens("anna"), browser.tokens("anna", "private", scope="openid mitid")
    browser.tokens("petra")
    assert browser.people["anna"].name in browser.http.get("/connect/sessions").text

    page = browser.http.post("/connect/sessions", data={"person": "anna"})
    assert browser.people["anna"].name not in page.text
    assert browser.people["petra"].name in page.text
    said = [jwt.decode(form["logout_token"], options={"verify_signature": False}) for form in told[0].forms]
    ids = [jwt.decode(each["id_token"], options={"verify_signature": False}) for each in tokens]
    assert sorted(claims["sid"] for claims in said) == sorted(claims["neb_sid"] for claims in ids)
    assert sorted(claims["aud"] for claims in said) == ["private", "public"]
    assert browser.http.post("/connect/sessions", data={"person": "nobody"}).status_code == 400


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_client_ends_a_session_once(browser: Browser, told: tuple[Told, str], method: str) -> None:
    """RP-Initiated Logout, 2: by GET and POST, with the hint; what has ended is told once."""
    asked = {"id_token_hint": browser.tokens("anna")["id_token"], "post_logout_redirect_uri": OUT, "state": "x"}

    for _ in range(2):
        if method == "post":
            response = browser.http.post("/connect/endsession", data=asked)
        else:
            response = browser.http.get("/connect/endsession?" + urlencode(asked))
        assert response.location == f"{OUT}?state=x"
    assert [set(form) for form in told[0].forms] == [{"logout_token"}]
    elsewhere = {**asked, "post_logout_redirect_uri": "https://evil.test/"}
    assert browser.http.post("/connect/endsession", data=elsewhere).status_code == 400


def test_what_a_logout_token_says(browser: Browser, told: tuple[Told, str], clock: StoppedClock) -> None:
    """Back-Channel Logout, 2.4: its type, its event, an id, an end soon, and no nonce."""
    browser.tokens("anna")
    browser.http.post("/connect/sessions", data={"person": "anna"})
    token = told[0].forms[0]["logout_token"]

    claims = jwt.decode(token, options={"verify_signature": False})
    assert jwt.get_unverified_header(token)["typ"] == "logout+jwt"
    assert claims["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
    assert claims["exp"] - claims["iat"] == 120
    assert set(claims) == {"iss", "aud", "iat", "exp", "jti", "events", "sub", "sid"}


def test_a_client_that_is_not_there_stops_nobody(clock: StoppedClock) -> None:
    """Back-Channel Logout, 2.7: the person is signed out whether or not a client could be told."""
    away = replace(CLIENTS["public"], backchannel_logout_uri="http://127.0.0.1:9/logout/mitid")
    app = make_mitid(cast(clock.now().date()), clock, Faults({"mitid": LIES}), ISSUER, {"public": away})
    people = {person.id: person for person in cast(clock.now().date())}
    with app.test_client() as http:
        Browser(http, people).tokens("anna")
        assert http.post("/connect/sessions", data={"person": "anna"}).status_code == 200

    assert app.extensions["sessions"].people() == ()
    assert app.extensions["sessions"].told == [(away.backchannel_logout_uri, None)]
