"""SimpleSAMLphp, which half of Europe's universities sign in with, stands in for suomi.fi."""

from __future__ import annotations

import base64
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from lxml import etree

from idbroker.clock import SystemClock
from idbroker.keyset import Use
from idbroker.providers._saml.source import PAUSE
from idbroker.saml import names
from idbroker.saml.names import ds, xenc
from idbroker.sandbox.people import cast
from tests.door import Browser, Door, answer_of, claims_of, form_of
from tests.peers.node import RunningClock
from tests.peers.portals import way_back
from tests.peers.saml_world import (
    BYE,
    carried,
    framed,
    open_saml_door,
    our_metadata,
    rotate,
    sent_to,
    sign_out,
    silently,
)
from tests.peers.simplesaml import DESCRIBES, PASSWORD, SimpleSaml, finn, simplesaml
from tests.servers import missing, program

pytestmark = pytest.mark.peers

ASKS = 'name="password"'
CBC = {"cbc": True, "cipher": "AES-CBC"}
SKEW = 180  # seconds: the tests move our clock past what an old metadata file is believed for
TABLES = ("suomi", "posted", "strict", "fetched")

World = tuple[Door, SimpleSaml]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Serve both; each has read the other's metadata. The packaged version encrypts by AES-CBC only."""
    people = {one.id: finn(one) for one in cast(SystemClock().now().date()) if one.country == "FI"}
    with simplesaml(people) as idp:
        made = tables(idp)
        with open_saml_door(tmp_path_factory.mktemp("broker"), lambda _: made) as door:
            acquaint(door, idp)
            yield door, idp


def tables(idp: SimpleSaml) -> Mapping[str, Mapping[str, Any]]:
    """Return what we know of it, four times: by file or by address, by this binding or that, with CBC or without."""
    shared = {"kind": "suomifi", "environment": "test", "idp": idp.entity_id, "skew": SKEW}
    file = {**shared, "metadata_file": idp.metadata_file}
    signer = {"metadata_url": idp.metadata_url, "metadata_signer_file": idp.folder / f"{DESCRIBES}.crt"}
    return {
        "suomi": {**file, **CBC},
        "posted": {**file, **CBC, "binding": "post"},
        "strict": file,
        "fetched": {**shared, **CBC, **signer},
    }


def acquaint(door: Door, idp: SimpleSaml) -> None:
    """Give it our metadata as it is now."""
    idp.knows(**{name: our_metadata(door, name) for name in TABLES})


def shown(browser: Browser, page: requests.Response, who: str = "aino") -> requests.Response:
    """Fill in the provider's form; return the page that carries its answer."""
    assert ASKS in page.text, page.text[-2000:]
    return browser.press(page, username=who, password=PASSWORD)


def signed_in(door: Door, browser: Browser, eid: str = "suomi", who: str = "aino", **asked: str) -> dict[str, str]:
    """Go the whole way; return the tokens."""
    page = carried(browser, shown(browser, sent_to(browser, eid, **asked), who))
    response = door.redeem(answer_of(page)["code"])
    assert response.status_code == 200, response.text
    tokens: dict[str, str] = response.json()
    return tokens


def response_in(page: requests.Response) -> etree._Element:
    """Read the answer that a page carries."""
    return etree.fromstring(base64.b64decode(form_of(page).hidden["SAMLResponse"]))


@pytest.mark.parametrize("eid", ["suomi", "posted", "fetched"])
def test_a_person_signs_in_through_simplesamlphp(world: World, eid: str) -> None:
    """It verifies our request, by Redirect or POST; we verify its metadata and its answer; the portal is told who."""
    door, _ = world
    browser, aino = door.browser(), door.people["aino"]

    tokens = signed_in(door, browser, eid, scope="openid profile national_number")

    claims, told = claims_of(tokens["id_token"]), door.userinfo(tokens["access_token"]).json()
    assert (claims["acr"], claims["nonce"], claims["sub"]) == ("high", "n-1", told["sub"])
    assert (told["name"], told["national_number"]) == (aino.name, aino.number)


def test_what_it_answers_is_signed_and_encrypted(world: World) -> None:
    """The proof is about what it claims: a response signed as a whole, with nothing of the person to be read."""
    door, _ = world
    browser = door.browser()

    answer = response_in(shown(browser, sent_to(browser, "suomi")))

    methods = [one.get("Algorithm") for one in answer.iter(xenc("EncryptionMethod"))]
    assert [child.tag for child in answer].count(ds("Signature")) == 1
    assert (len(answer.findall(names.ENCRYPTED_ASSERTION)), methods) == (1, [names.AES128_CBC, names.RSA_OAEP_MGF1P])


def test_aes_cbc_is_refused_where_it_is_not_allowed(world: World) -> None:
    """XML Encryption's CBC is opened only for a provider whose table says so, however well its answer is signed."""
    door, _ = world
    browser = door.browser()

    page = carried(browser, shown(browser, sent_to(browser, "strict")))

    assert (page.status_code, silently(browser)["error"]) == (200, "login_required")
    assert 'name="provider"' in page.text


def test_a_request_that_is_not_ours_is_refused_by_it(world: World) -> None:
    """What our metadata says of our signatures is what it goes by: a request that was changed shows no form."""
    door, _ = world
    browser = door.browser()
    browser.press(browser.authorize(), provider="suomi")
    ours = next(one.url for one in browser.trail if "SAMLRequest=" in one.url)

    changed = browser.fetch(ours.replace("RelayState=", "RelayState=x"))

    assert "Unable to validate signature on query string." in changed.text
    assert ASKS not in changed.text


def test_a_person_who_cancels_there_comes_back(world: World) -> None:
    """Its AuthnFailed, signed, reads as the person's no: they choose again, or go back to the portal."""
    door, _ = world
    browser = door.browser()

    page = carried(browser, shown(browser, sent_to(browser, "suomi"), "kalle"))

    assert answer_of(browser.get(way_back(page)))["error"] == "access_denied"


def test_it_asks_again_where_the_portal_wants_that(world: World) -> None:
    """Its session lets a person through, and prompt=login (ForceAuthn) does not (SAML core, 3.4.1)."""
    door, _ = world
    browser = door.browser()
    first = claims_of(signed_in(door, browser)["id_token"])
    browser.session.cookies.clear("127.0.0.1", "/", "s")  # our session is forgotten, theirs is not

    let_through = sent_to(browser, "suomi")
    asked = sent_to(browser, "suomi", prompt="login")
    again = claims_of(door.redeem(answer_of(carried(browser, shown(browser, asked)))["code"]).json()["id_token"])

    assert (ASKS in let_through.text, ASKS in asked.text) == (False, True)
    assert (again["sub"], again["auth_time"] >= first["auth_time"]) == (first["sub"], True)


@pytest.mark.parametrize("tag", [None, xenc("CipherValue"), ds("DigestValue"), ds("SignatureValue")])
def test_an_answer_that_was_changed_is_refused(world: World, tag: str | None) -> None:
    """One character of what it encrypted, of a digest or a signature: nobody is signed in. Untouched, they are."""
    door, _ = world
    browser = door.browser()
    page = shown(browser, sent_to(browser, "suomi"))
    answer, form = response_in(page), form_of(page)
    for changed in [] if tag is None else [next(answer.iter(tag))]:
        text = changed.text or ""
        changed.text = text[:20] + ("A" if text[20] != "A" else "B") + text[21:]

    browser.post(form.action, {**form.hidden, "SAMLResponse": base64.b64encode(etree.tostring(answer)).decode()})

    assert ("code" in silently(browser)) == (tag is None)


def test_an_answer_is_good_for_one_request_in_one_browser(world: World) -> None:
    """In another browser, or as the answer to another request of ours, nobody is signed in (SAML profiles, 4.1.4.3)."""
    door, _ = world
    browser, other = door.browser(), door.browser()
    page = shown(browser, sent_to(browser, "suomi"))
    theirs = shown(other, sent_to(other, "suomi"), "tessa")
    form, own = form_of(page), form_of(theirs).hidden

    stolen = carried(other, page)
    other.post(form.action, {**own, "SAMLResponse": form.hidden["SAMLResponse"]})

    assert (stolen.status_code, silently(other)["error"]) == (400, "login_required")
    assert "code" in answer_of(carried(browser, page))


def test_leaving_the_portal_ends_its_session(world: World) -> None:
    """Logout at the portal ends ours and, by a signed LogoutRequest, theirs: the next sign-in asks for a password."""
    door, _ = world
    browser = door.browser()
    tokens = signed_in(door, browser)

    back = sign_out(browser, tokens)

    assert back.headers["Location"] == f"{BYE}?state=out"
    assert ASKS in sent_to(browser, "suomi").text


def test_leaving_there_ends_our_session(world: World) -> None:
    """Its LogoutRequest, without our cookie, finds our session; it takes our signed answer (SAML profiles, 4.4.3)."""
    door, idp = world
    browser = door.browser()
    signed_in(door, browser)
    assert "code" in silently(browser)
    frame = framed(door, browser)

    page = carried(frame, frame.get(f"{idp.address}/saml2/idp/initSLO.php?RelayState={idp.address}/logout.php"))

    assert (page.status_code, page.url) == (200, f"{idp.address}/logout.php")
    assert silently(browser)["error"] == "login_required"


def test_its_next_key_is_known_before_it_signs(world: World) -> None:
    """It names a second certificate in its metadata, and we go on when it signs with that one; not with a third."""
    door, idp = world
    clock = door.clock
    assert isinstance(clock, RunningClock)
    idp.next_pair = "second"
    idp.set_up()
    idp.describe()
    clock.move(PAUSE)
    with_the_old = signed_in(door, door.browser())

    idp.pair, idp.next_pair = "second", None
    idp.set_up()
    with_the_new = signed_in(door, door.browser())
    idp.pair = "unknown"
    idp.set_up()
    browser = door.browser()
    carried(browser, shown(browser, sent_to(browser, "suomi")))
    idp.pair = "second"
    idp.set_up()

    assert claims_of(with_the_old["id_token"])["sub"] == claims_of(with_the_new["id_token"])["sub"]
    assert silently(browser)["error"] == "login_required"


def test_our_keys_change_and_nobody_is_shut_out(world: World) -> None:
    """It has our metadata with both certificates: its answers open, and our requests are good, before and after."""
    door, idp = world
    before = our_metadata(door, "suomi")
    for use in (Use.SAML_ENC, Use.SAML_SIGN):
        rotate(door, use)

    with_old_metadata = signed_in(door, door.browser())
    acquaint(door, idp)
    with_new_metadata = signed_in(door, door.browser())

    assert our_metadata(door, "suomi") != before
    assert claims_of(with_old_metadata["id_token"])["sub"] == claims_of(with_new_metadata["id_token"])["sub"]


def test_xmlsec1_verifies_our_metadata(world: World, tmp_path: Path) -> None:
    """The signature of our metadata verifies with the certificate in it, by somebody else's program."""
    door, _ = world
    binary = program("xmlsec1", variable="TEST_XMLSEC1_BIN")
    if binary is None:
        missing("xmlsec1", "install xmlsec1, or name its program in TEST_XMLSEC1_BIN")
    file, certificate = tmp_path / "ours.xml", tmp_path / "ours.crt"
    file.write_bytes(our_metadata(door, "suomi"))
    text = "".join((next(etree.fromstring(file.read_bytes()).iter(ds("X509Certificate"))).text or "").split())
    certificate.write_text(ssl.DER_cert_to_PEM_cert(base64.b64decode(text)))
    entity = "urn:oasis:names:tc:SAML:2.0:metadata:EntityDescriptor"
    ran = subprocess.run(
        [binary, "--verify", "--id-attr:ID", entity, "--pubkey-cert-pem", certificate, file],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip

    assert ran.returncode == 0, ran.stderr
