"""samlify, the SAML library of many Node.js services, stands in for suomi.fi and for the Danish gateway."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
import requests
from lxml import etree

from idbroker.keyset import Use
from idbroker.providers._saml.source import PAUSE
from idbroker.saml import names
from idbroker.saml.names import ds, xenc
from tests.door import Browser, Door, answer_of, claims_of, form_of
from tests.peers.node import RunningClock
from tests.peers.portals import way_back
from tests.peers.saml_world import BYE, carried, framed, rotate, sent_to, sign_out, silently
from tests.peers.samlify import DANE, FINN, Samlify, left_there, samlify

pytestmark = pytest.mark.peers

ASKS = 'name="person"'
WHO = {FINN: "aino", DANE: "anna"}
BOTH = pytest.mark.parametrize("eid", [FINN, DANE])

World = tuple[Door, Samlify]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Serve both."""
    with samlify(tmp_path_factory.mktemp("broker")) as both:
        yield both


@pytest.fixture(autouse=True)
def _forgetful(world: World) -> None:
    """Begin with nothing heard, and messages of logout by Redirect."""
    world[1].peer.does("heard")
    world[1].peer.does("set", slo="redirect")


def shown(browser: Browser, page: requests.Response, eid: str) -> requests.Response:
    """Fill in the provider's form; return the page that carries its answer."""
    assert ASKS in page.text, page.text[-2000:]
    return browser.press(page, person=WHO[eid])


def signed_in(door: Door, browser: Browser, eid: str, **asked: str) -> dict[str, str]:
    """Go the whole way; return the tokens."""
    page = carried(browser, shown(browser, sent_to(browser, eid, **asked), eid))
    response = door.redeem(answer_of(page)["code"])
    assert response.status_code == 200, response.text
    tokens: dict[str, str] = response.json()
    return tokens


def response_in(page: requests.Response) -> etree._Element:
    """Read the answer that a page carries."""
    return etree.fromstring(base64.b64decode(form_of(page).hidden["SAMLResponse"]))


@BOTH
def test_a_person_signs_in_through_samlify(world: World, eid: str) -> None:
    """It verifies our Redirect with our metadata; we open AES-256-GCM and verify; the portal is told who it is."""
    door, idp = world
    person = door.people[WHO[eid]]

    tokens = signed_in(door, door.browser(), eid, scope="openid profile national_number")

    claims, told = claims_of(tokens["id_token"]), door.userinfo(tokens["access_token"]).json()
    assert (claims["acr"], claims["nonce"]) == ("substantial", "n-1")
    assert (told["name"], told["national_number"]) == (person.name, person.number)
    assert idp.peer.does("heard") == ["AuthnRequest redirect"]


@BOTH
def test_what_it_answers_is_what_each_profile_wants(world: World, eid: str) -> None:
    """The proof is about what it claims: GCM in both, and a signed response from suomi.fi only."""
    door, _ = world
    browser = door.browser()

    answer = response_in(shown(browser, sent_to(browser, eid), eid))

    methods = [one.get("Algorithm") for one in answer.iter(xenc("EncryptionMethod"))]
    assert [child.tag for child in answer].count(ds("Signature")) == (1 if eid == FINN else 0)
    assert (len(answer.findall(names.ENCRYPTED_ASSERTION)), methods) == (1, [names.AES256_GCM, names.RSA_OAEP_MGF1P])


@BOTH
def test_it_asks_again_where_the_portal_wants_that(world: World, eid: str) -> None:
    """Its session lets a person through, and prompt=login (ForceAuthn) does not (SAML core, 3.4.1)."""
    door, idp = world
    browser = door.browser()
    first = claims_of(signed_in(door, browser, eid)["id_token"])
    browser.session.cookies.clear("127.0.0.1", "/", "s")  # our session is forgotten, theirs is not

    let_through = sent_to(browser, eid)
    asked = sent_to(browser, eid, prompt="login")
    page = carried(browser, shown(browser, asked, eid))

    again = claims_of(door.redeem(answer_of(page)["code"]).json()["id_token"])
    heard = idp.peer.does("heard")
    assert (ASKS in let_through.text, ASKS in asked.text) == (False, True)
    assert (again["sub"], heard[-2:]) == (first["sub"], ["AuthnRequest redirect", "AuthnRequest redirect ForceAuthn"])


def test_a_person_who_cancels_there_comes_back(world: World) -> None:
    """Its AuthnFailed, signed, reads as the person's no: they choose again, or go back to the portal."""
    door, _ = world
    browser = door.browser()

    page = carried(browser, browser.press(sent_to(browser, FINN), person="aino", outcome="cancel"))

    assert answer_of(browser.get(way_back(page)))["error"] == "access_denied"


@BOTH
@pytest.mark.parametrize("changed", [False, True])
def test_an_answer_that_was_changed_is_refused(world: World, eid: str, changed: bool) -> None:
    """One character of what it encrypted: nobody is signed in, with a signature around it or without."""
    door, _ = world
    browser = door.browser()
    page = shown(browser, sent_to(browser, eid), eid)
    answer, form = response_in(page), form_of(page)
    last = list(answer.iter(xenc("CipherValue")))[-1]
    text = last.text or ""
    last.text = text[:40] + ("A" if text[40] != "A" else "B") + text[41:] if changed else text

    browser.post(form.action, {**form.hidden, "SAMLResponse": base64.b64encode(etree.tostring(answer)).decode()})

    assert ("code" in silently(browser)) != changed


@BOTH
@pytest.mark.parametrize("binding", ["redirect", "post"])
def test_leaving_the_portal_ends_its_session(world: World, eid: str, binding: str) -> None:
    """It verifies our LogoutRequest, finds its session by our words for it, and its answer leads to the portal."""
    door, idp = world
    browser = door.browser()
    tokens = signed_in(door, browser, eid)
    idp.peer.does("heard")
    idp.peer.does("set", slo=binding)

    back = sign_out(browser, tokens)

    assert (back.headers["Location"], idp.peer.does("heard")) == (f"{BYE}?state=out", ["LogoutRequest redirect"])
    assert ASKS in sent_to(browser, eid).text


@BOTH
@pytest.mark.parametrize("binding", ["redirect", "post"])
def test_leaving_there_ends_our_session(world: World, eid: str, binding: str) -> None:
    """Its LogoutRequest, without our cookie, ends that session and no other; it verifies our answer (S36)."""
    door, idp = world
    browser, elsewhere = door.browser(), door.browser()
    signed_in(door, browser, eid)
    signed_in(door, elsewhere, eid)
    idp.peer.does("heard")
    idp.peer.does("set", slo=binding)
    assert "code" in silently(browser)

    frame = framed(door, browser)

    page = carried(frame, left_there(idp, frame, eid))

    assert (page.status_code, page.text) == (200, "signed out")
    assert idp.peer.does("heard") == ["LogoutResponse redirect to ours"]
    assert silently(browser)["error"] == "login_required"
    assert "code" in silently(elsewhere)


@BOTH
def test_a_logout_that_was_changed_ends_nothing(world: World, eid: str) -> None:
    """Its LogoutRequest with another RelayState than it signed is refused; as it was, it ends our session."""
    door, idp = world
    browser = door.browser()
    signed_in(door, browser, eid)
    told = browser.fetch(f"{idp.address}/leave?party={eid}").headers["Location"]

    refused = browser.fetch(told.replace("RelayState=", "RelayState=x"))

    assert (refused.status_code, "code" in silently(browser)) == (400, True)
    assert browser.get(told).text == "signed out"
    assert silently(browser)["error"] == "login_required"


@BOTH
def test_its_next_key_is_known_before_it_signs(world: World, eid: str) -> None:
    """It names a second certificate in its metadata, we read that, and go on when it signs with it."""
    door, idp = world
    clock = door.clock
    assert isinstance(clock, RunningClock)
    idp.signs_with("first")
    idp.describe("second")
    clock.move(PAUSE)
    with_the_old = signed_in(door, door.browser(), eid)

    idp.signs_with("second")
    with_the_new = signed_in(door, door.browser(), eid)

    assert claims_of(with_the_old["id_token"])["sub"] == claims_of(with_the_new["id_token"])["sub"]


@BOTH
def test_our_keys_change_and_nobody_is_shut_out(world: World, eid: str) -> None:
    """It encrypts to the old key or the next, by our old metadata or the new: each opens, and it takes our requests."""
    door, idp = world
    for use in (Use.SAML_ENC, Use.SAML_SIGN):
        rotate(door, use)
    subjects = set()

    for described in (False, True):
        for chosen in (0, 1):
            idp.peer.does("set", encrypt_to=chosen)
            subjects.add(claims_of(signed_in(door, door.browser(), eid)["id_token"])["sub"])
        if not described:
            idp.knows(door)
    idp.peer.does("set", encrypt_to=0)

    assert len(subjects) == 1
