"""What attackers try with SAML at the broker's own doors: login CSRF, replay, injection, forged logouts (S29-S37)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urljoin

import pytest
import requests

from idbroker.clock import StoppedClock
from tests.conftest import NOW
from tests.door import at_once, form_of, session_cookie, words_of
from tests.saml_door import SamlBrowser, SamlDoor, open_saml_door


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SamlDoor]:
    """Open the door once: making its eight RSA keys takes seconds."""
    with open_saml_door(tmp_path_factory.mktemp("saml"), StoppedClock(NOW)) as opened:
        yield opened


@pytest.fixture
def door(opened: SamlDoor) -> SamlDoor:
    """Give the door as new: nothing is broken, nothing was heard."""
    opened.faults.clear()
    opened.ear.heard.clear()
    return opened


def answered(browser: SamlBrowser, eid: str = "suomifi", person: str = "tessa") -> tuple[str, dict[str, str]]:
    """Let somebody act at the eID; return the form with its answer, which nobody has posted yet."""
    page = browser.press(browser.authorize(client_id="portal"), provider=eid)
    form = form_of(page)
    fields = {**form.hidden, "person": person, "outcome": "approve"}
    page = browser.fetch(urljoin(page.url, form.action), "POST", data=fields)
    answer = form_of(page)
    return answer.action, dict(answer.hidden)


def posted(browser: SamlBrowser, action: str, fields: dict[str, str]) -> requests.Response:
    """Post an answer as the browser would, and go where it leads."""
    return browser.post(action, fields)


def test_the_answer_in_another_browser(door: SamlDoor) -> None:
    """S29, login CSRF: an attacker's own good answer, posted from a victim's browser, signs nobody in there."""
    action, fields = answered(door.browser())
    victim = door.browser()
    page = posted(victim, action, fields)

    assert page.status_code == 400
    assert session_cookie(victim) is None
    assert "code=" not in page.text


def test_the_answer_of_another_transaction(door: SamlDoor) -> None:
    """S29: the answer to one's own request does not fit another's, whatever RelayState it is posted with."""
    attacker, victim = door.browser(), door.browser()
    _, theirs = answered(attacker, person="joni")
    action, fields = answered(victim)
    page = posted(victim, action, {**fields, "SAMLResponse": theirs["SAMLResponse"]})

    assert session_cookie(victim) is None
    assert "joni" not in page.text.lower()


def test_the_answer_twice_at_once(door: SamlDoor) -> None:
    """S30: of twenty posts of one answer at the same moment one signs in; the code is one and the same for all."""
    browser = door.browser()
    action, fields = answered(browser)
    landings = [posted_to(browser, action, fields) for _ in range(20)]
    codes = {code for code in at_once(20, Taker(browser, landings)) if code}

    assert len(codes) == 1
    assert (
        len(door.house.durable.events.find(kind="signin.granted")) == 1
        if hasattr(door.house.durable.events, "find")
        else True
    )


class Taker:
    """Takes one landing after the other, in many threads."""

    def __init__(self, browser: SamlBrowser, landings: list[str]) -> None:
        self._browser, self._landings = browser, iter(landings)

    def __call__(self) -> str:
        """Follow one; return the code it led to, or nothing."""
        response = requests.get(
            urljoin(self._browser.issuer, next(self._landings)),
            cookies=dict(self._browser.session.cookies.items()),
            allow_redirects=False,
            timeout=20,
        )
        found = re.search(r"[?&]code=([^&]+)", response.headers.get("Location", ""))
        return found[1] if found else ""


def posted_to(browser: SamlBrowser, action: str, fields: dict[str, str]) -> str:
    """Post an answer and return where its GET is."""
    return browser.fetch(action, "POST", data=fields).headers["Location"]


def test_the_answer_again_later(door: SamlDoor) -> None:
    """S30: the same answer again, after the sign-in, leads nowhere new; and in a new transaction it is nobody's."""
    browser = door.browser()
    action, fields = answered(browser)
    first = posted(browser, action, fields)
    again = posted(browser, action, fields)

    assert first.headers["Location"] == again.headers["Location"]
    other = door.browser()
    elsewhere, mine = answered(other)
    assert "code=" not in posted(other, elsewhere, {**mine, "SAMLResponse": fields["SAMLResponse"]}).headers.get(
        "Location", ""
    )


def test_one_eid_cannot_speak_at_anothers_address(door: SamlDoor) -> None:
    """S32, mix-up: the gateway's answer at suomi.fi's address, and the other way round, is nothing."""
    browser = door.browser()
    action, fields = answered(browser, "borgeradgang", "anna")
    page = posted(browser, action.replace("borgeradgang", "suomifi"), fields)

    assert session_cookie(browser) is None
    assert "code=" not in page.headers.get("Location", "")


@pytest.mark.parametrize("relay", ["", "https://evil.example", "//evil.example", "javascript:alert(1)", "x" * 90])
def test_a_relay_state_is_no_address(door: SamlDoor, relay: str) -> None:
    """S35: RelayState is a handle of ours or nothing: nobody is sent anywhere by it."""
    browser = door.browser()
    action, fields = answered(browser)
    page = posted(browser, action, {**fields, "RelayState": relay})

    assert page.status_code in (400, 404, 410)
    assert "Location" not in page.headers
    assert "evil" not in page.text
    assert session_cookie(browser) is None


def test_too_large(door: SamlDoor) -> None:
    """S24: an answer beyond any size is refused before it is looked at, and the transaction goes on."""
    browser = door.browser()
    action, fields = answered(browser)
    refused = browser.fetch(action, "POST", data={**fields, "SAMLResponse": "A" * 300_000})

    assert refused.status_code == 413
    assert "code=" in posted(browser, action, fields).headers["Location"]


def test_nothing_is_stored_for_strangers(door: SamlDoor) -> None:
    """An answer to no living transaction is not kept: nobody fills the store from outside."""
    refused = door.browser().fetch(
        f"{door.issuer}/callback/suomifi", "POST", data={"SAMLResponse": "QQ==", "RelayState": f"{'a' * 22}.b"}
    )

    assert refused.status_code == 410


@pytest.mark.parametrize(
    "lie",
    [
        "logout_unsigned_request",
        "logout_unknown_key",
        "logout_expired",
        "logout_wrong_destination",
        "logout_other_issuer",
        "logout_wrong_name",
        "logout_other_session",
    ],
)
def test_a_forged_logout_ends_nothing(door: SamlDoor, lie: str) -> None:
    """S36: a logout request that is not the eID's own, for us, now, and of this session, ends no session."""
    browser = door.browser()
    tokens = door.redeem(browser.sign_in_by("borgeradgang", "anna")["code"])
    door.faults.set("borgeradgang", {"lies": [lie]})
    door.log_out_at(browser, "borgeradgang")

    assert door.is_active(tokens)
    assert "code" in browser.silent()


def test_a_logout_request_again(door: SamlDoor) -> None:
    """S36, replay: the gateway's names last, so a logout request kept and sent again would end tomorrow's sign-on."""
    browser = door.browser()
    door.redeem(browser.sign_in_by("borgeradgang", "anna")["code"])
    request = next(r.url for r in door.log_out_at(browser, "borgeradgang") if "?SAMLRequest=" in r.url)
    again = door.browser()
    door.clock.move(timedelta(seconds=2))
    tokens = door.redeem(again.sign_in_by("borgeradgang", "anna")["code"])
    refused = door.browser().fetch(request)

    assert refused.status_code == 400
    assert door.is_active(tokens)


def caught(door: SamlDoor, browser: SamlBrowser) -> str:
    """Return a good logout request of the gateway's that has not reached us."""
    page = browser.get(door.gateway.logout_url)
    form = form_of(page)
    return browser.fetch(urljoin(page.url, form.action), "POST", data=form.hidden).headers["Location"]


def test_a_logout_request_changed_on_the_way(door: SamlDoor) -> None:
    """S37: the signature is over the very octets that came; another name, a second message is refused."""
    browser = door.browser()
    tokens = door.redeem(browser.sign_in_by("borgeradgang", "anna")["code"])
    held = caught(door, browser)
    base, _, query = held.partition("?")
    name, *rest = query.split("&")
    changed = [
        "&".join([*rest, name]).replace("SigAlg", "sigalg"),
        f"{query}&{name}",
        f"{query}&RelayState=another",
        query.replace("SAMLRequest=", "SAMLResponse="),
        re.sub(r"Signature=[^&]*", "Signature=AAAA", query),
        re.sub(r"&Sig.*", "", query),
    ]
    answers = [door.browser().fetch(f"{base}?{one}") for one in changed]

    assert door.is_active(tokens)
    assert {answer.status_code for answer in answers} <= {400, 200}
    assert door.browser().fetch(held).status_code == 303
    assert not door.is_active(tokens)


@pytest.mark.parametrize("path", ["/logout/suomifi", "/logout/borgeradgang", "/logout/nobody", "/metadata/nobody"])
@pytest.mark.parametrize("query", ["", "SAMLRequest=AAAA", "SAMLResponse=AAAA&RelayState=x", "logout_token=a.b.c"])
def test_rubbish_is_no_fault(door: SamlDoor, path: str, query: str) -> None:
    """Bad input gets an answer, never a crash, and nothing of it comes back on a page."""
    for answer in (
        door.browser().fetch(f"{door.issuer}{path}?{query}"),
        door.browser().fetch(
            f"{door.issuer}{path}", "POST", data=query, headers={"Content-Type": "application/x-www-form-urlencoded"}
        ),
    ):
        assert answer.status_code in (200, 400, 404, 405), (answer.status_code, answer.text)
        assert "AAAA" not in answer.text


def test_a_farewell_of_somebody_else(door: SamlDoor) -> None:
    """Nobody guesses the page of another's logout, and what it was told is not there for a stranger's number."""
    assert door.browser().fetch(f"{door.issuer}/goodbye/{'a' * 22}").status_code == 404
    assert door.browser().fetch(f"{door.issuer}/goodbye/{'a' * 22}/on").status_code == 404


def test_cancelled_comes_back_to_the_choice(door: SamlDoor) -> None:
    """Cancel at suomi.fi leads back to the choice, with words, and nothing is lost."""
    browser = door.browser()
    page = browser.prove("suomifi", "tessa", "cancel")

    assert page.status_code == 200
    assert 'value="suomifi"' in page.text
    assert "Location" not in page.headers
    assert words_of(page)
