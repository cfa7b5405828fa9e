"""Signing in with the organisation's own OpenID provider, and every answer that is not one to our question."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import pytest
import requests
from werkzeug.test import TestResponse

from idbroker.clock import StoppedClock
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.mitid import LIES, SimClient, make_mitid, subject_of
from idbroker.sandbox.people import cast
from idbroker.staff.roster import OPERATOR
from tests.conftest import NOW
from tests.office.test_signing_in import is_in
from tests.office_door import ISSUER, Office, StaffBrowser, open_office, text_of
from tests.sandbox.loopback import serve

SUBSTANTIAL = "https://data.gov.dk/concept/core/nsis/Substantial"
HIGH = "https://data.gov.dk/concept/core/nsis/High"
BEGIN = "/staff/sign-in/organisation?to=/staff/clinea"


@dataclass(frozen=True, kw_only=True)
class There:
    """The office, and the provider that colleagues are sent to."""

    office: Office
    issuer: str
    faults: Faults

    def sent(self, browser: StaffBrowser) -> str:
        """Press the button; return where it leads."""
        browser.get("/staff/sign-in?to=/staff/clinea")
        return str(browser.get(BEGIN).headers["Location"])

    def answered(self, address: str, person: str = "anna") -> str:
        """Sign in there; return where it leads back to."""
        with requests.Session() as session:
            session.trust_env = False
            page = session.get(address, timeout=10)
            found = re.search(r'<form[^>]*action="([^"]*)"', page.text)
            action = urljoin(page.url, found[1].replace("&amp;", "&") if found else "")
            fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text))
            back = session.post(
                action, data={**fields, "person": person, "outcome": "approve"}, allow_redirects=False, timeout=10
            )
        return str(back.headers["Location"]).removeprefix(ISSUER)

    def whole(self, browser: StaffBrowser, person: str = "anna") -> TestResponse:
        """Go there and back."""
        return browser.get(self.answered(self.sent(browser), person))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[There]:
    """Give the provider and an office that is configured for it, one for all."""
    folder, clock = Path(tmp_path_factory.mktemp("organisation")), StoppedClock(NOW)
    faults, people = Faults({"mitid": LIES}), cast(NOW.date())
    us = SimClient(id="us", redirect_uris=(f"{ISSUER}/staff/callback",), secret="s3cret")
    with serve(lambda address: make_mitid(people, clock, faults, address, {"us": us})) as issuer:
        (folder / "secret").write_text("s3cret\n")
        table = {
            "issuer": issuer, "client_id": "us", "client_secret_file": str(folder / "secret"), "title": "Clinic SSO"
        }  # fmt: skip
        with open_office(folder, clock, more={"staff": table}, sandbox=True) as office:
            yield There(office=office, issuer=issuer, faults=faults)


@pytest.fixture
def there(shared: There) -> Iterator[There]:
    """Give it with Anna known by her subject, and nobody else; what a test breaks is mended afterwards."""
    subject = f"{shared.issuer}\n{subject_of(shared.office.people['anna'])}"
    anna = shared.office.member("anna")
    shared.office.house.offices.members.change(anna.id, lambda one: replace(one, subject=subject, disabled=False))
    yield shared
    shared.faults.set("mitid", {"lies": []})
    shared.office.clock.move(timedelta(hours=2))


def test_there_and_back(there: There) -> None:
    """The page that comes back goes on by itself, for a strict cookie does not come along from another site."""
    browser = there.office.browser()
    assert "Log in with Clinic SSO" in browser.get("/staff/sign-in").text
    page = there.whole(browser)
    assert (page.status_code, page.headers["Refresh"]) == (200, "0;url=/staff/clinea")
    assert 'href="/staff/clinea"' in page.text
    assert is_in(there.office, browser)
    assert there.office.events("staff.signed_in")[-1].detail["how"] == "organisation"


def test_the_request_is_one_that_nobody_can_use(there: There) -> None:
    """It has a state, a nonce and an S256 challenge, and asks for no more than who it is (RFC 9700, 2.1.1)."""
    asked = dict(parse_qsl(urlsplit(there.sent(there.office.browser())).query))
    if "request_uri" not in asked:
        assert (asked["code_challenge_method"], asked["scope"], asked["response_type"]) == ("S256", "openid", "code")
        assert len(asked["state"]) >= 43
        assert asked["nonce"]


def test_who_is_not_written_down_stays_out(there: There) -> None:
    """An account there is not a colleague here, whatever its e-mail address says (ASVS 6.8.1)."""
    browser = there.office.browser()
    page = text_of(there.office.go(browser, there.whole(browser, "karen")).text)
    assert "You could not be logged in that way" in page
    assert not is_in(there.office, browser)


def test_a_disabled_colleague_stays_out(there: There) -> None:
    """The provider's word does not undo ours."""
    anna = there.office.member("anna")
    there.office.house.offices.members.change(anna.id, lambda one: replace(one, disabled=True))
    browser = there.office.browser()
    there.whole(browser)
    assert not is_in(there.office, browser)


def test_an_answer_counts_once(there: There) -> None:
    """The same answer again finds nothing (replay)."""
    browser = there.office.browser()
    back = there.answered(there.sent(browser))
    assert browser.get(back).status_code == 200
    assert browser.get(back).status_code == 404


def test_an_answer_is_of_one_browser(there: There) -> None:
    """An attacker's answer in a colleague's browser signs nobody in (login CSRF; RFC 9700, 4.7)."""
    attacker, victim = there.office.browser(), there.office.browser()
    back = there.answered(there.sent(attacker))
    there.sent(victim)
    assert victim.get(back).status_code == 404
    assert not is_in(there.office, victim)


@pytest.mark.parametrize(
    "changed",
    [
        {"state": "made up"},
        {"state": ""},
        {"code": "another"},
        {"code": ""},
        {"iss": "https://evil.example"},
        {"code": "x" * 5000},
    ],
)
def test_a_changed_answer_is_refused(there: There, changed: dict[str, str]) -> None:
    """Another state, code or issuer: nobody comes in (mix-up, RFC 9207; code injection)."""
    browser = there.office.browser()
    back = urlsplit(there.answered(there.sent(browser)))
    fields = {**dict(parse_qsl(back.query)), **changed}
    answer = browser.get(f"{back.path}?{urlencode(fields)}")
    assert answer.status_code in (303, 404)
    assert not is_in(there.office, browser)


@pytest.mark.parametrize(
    "lie",
    ["wrong_nonce", "wrong_iss", "wrong_aud", "expired", "alg_none", "bad_signature", "empty_sub", "attacker_key"],
)
def test_a_forged_token_is_refused(there: There, lie: str) -> None:
    """Another's nonce, issuer or audience, an old token, no signature or a wrong one (Core, 3.1.3.7)."""
    there.faults.set("mitid", {"lies": [lie]})
    browser = there.office.browser()
    there.whole(browser)
    assert not is_in(there.office, browser)


def test_its_words_are_not_shown(there: There) -> None:
    """An error's description is an attacker's to write: it is not on our page (XSS), and the way back is."""
    browser = there.office.browser()
    back = urlsplit(there.answered(there.sent(browser)))
    state = dict(parse_qsl(back.query))["state"]
    fields = {"state": state, "error": "server_error", "error_description": "<b>hello</b>", "iss": there.issuer}
    page = there.office.go(browser, browser.get(f"{back.path}?{urlencode(fields)}"))
    assert "hello" not in page.text
    assert "does not answer just now" in page.text


@pytest.mark.parametrize(("trusted", "comes_in"), [([HIGH, "mfa"], False), ([SUBSTANTIAL], True)])
def test_two_factors_are_demanded(tmp_path: Path, there: There, trusted: list[str], comes_in: bool) -> None:
    """Where `trusted_acr` says what means two factors, anything else is refused, whoever it is."""
    (tmp_path / "secret").write_text("s3cret")
    table = {
        "issuer": there.issuer,
        "client_id": "us",
        "client_secret_file": str(tmp_path / "secret"),
        "trusted_acr": trusted,
    }
    with open_office(
        tmp_path, there.office.clock, more={"staff": {**table, "passwords": False}}, sandbox=True
    ) as office:
        subject = f"{there.issuer}\n{subject_of(office.people['anna'])}"
        office.house.offices.members.change(office.member("anna").id, lambda one: replace(one, subject=subject))
        strict, browser = replace(there, office=office), office.browser()
        page = browser.get("/staff/sign-in").text
        assert 'name="password"' not in page
        strict.whole(browser)
        assert is_in(office, browser) is comes_in


def test_an_administrator_writes_a_subject_down(there: There) -> None:
    """A colleague who is added with their name there gets no link, and comes in by that name."""
    office = there.office
    browser, path = office.client("cecilia"), "/staff/clinea/colleagues"
    subject = subject_of(office.people["karen"])
    fields = {"login": "karen", "name": "K", "email": "k@example.org", "role": "carer", "subject": subject}
    page = text_of(office.go(browser, office.post(browser, path, **fields)).text)
    assert "can now log in with the organisation" in page
    assert office.emails() == []
    hers = office.browser()
    there.whole(hers, "karen")
    assert is_in(office, hers)
    office.house.offices.roster.subject(office.member("karen").id, None, OPERATOR, office.clock.now())
    assert not is_in(office, hers), "a name that is forgotten ends what it opened"


def test_without_one_there_is_no_such_page(tmp_path: Path, clock: StoppedClock) -> None:
    """Where no provider is configured nothing answers in its name."""
    with open_office(tmp_path, clock) as office:
        browser = office.browser()
        assert office.go(browser, browser.get("/staff/callback?state=x")).request.path == "/staff/sign-in"
        assert browser.get("/staff/sign-in/organisation").status_code == 404
