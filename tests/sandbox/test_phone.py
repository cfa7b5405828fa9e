"""The phone that stands in for the apps: pages a person, a script and an attacker can use."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from idbroker.clock import StoppedClock
from tests.sandbox.bankid_loopback import encoded
from tests.sandbox.pocket import Pocket, serve_phone
from tests.sandbox.running import PATIENCE, Browser


@pytest.fixture
def pocket(clock: StoppedClock, tmp_path: Path) -> Iterator[Pocket]:
    """Serve a phone."""
    with serve_phone(clock, tmp_path) as pocket:
        yield pocket


@pytest.fixture
def hand() -> Iterator[Browser]:
    """Give a browser without JavaScript, for the phone's screen."""
    browser = Browser()
    yield browser
    browser.http.close()


def test_scan_and_approve(pocket: Pocket, hand: Browser) -> None:
    """A person finds the waiting login, scans its code in one press, reads its text and approves."""
    order = pocket.service.auth(userVisibleData=encoded("Log in to Min Hälsa"))

    hand.open(pocket.of("bjorn")).press("Scan the code")
    assert "Log in to Min Hälsa" in hand.text
    assert pocket.service.hint(order) == "pending/started"

    hand.press("Approve", outcome="approve")
    assert "Done in BankID" in hand.text
    assert pocket.service.collect(order)["completionData"]["user"]["surname"] == "Provsson"


@pytest.mark.parametrize(
    ("person", "outcome", "hint"),
    [
        ("bjorn", "cancel", "failed/userCancel"), ("bjorn", "certificateErr", "failed/certificateErr"),
        ("bjorn", "userMrtd", "pending/userMrtd"), ("bjorn", "open", "pending/userSign"),
        ("ake", "approve", "failed/userCancel"), ("gunnel", "approve", "failed/certificateErr"),
    ],
)  # fmt: skip
def test_everything_else(pocket: Pocket, hand: Browser, person: str, outcome: str, hint: str) -> None:
    """Whatever else can happen in the app does so by its name on the wire, and by people's habits."""
    order = pocket.service.auth()

    hand.open(pocket.of(person)).press("Scan the code").press(outcome, outcome=outcome)

    assert pocket.service.hint(order) == hint


def test_typed_code(pocket: Pocket, hand: Browser) -> None:
    """The text of a code opens its order while it is fresh; a moment later it is refused in words, and kept."""
    pocket.service.auth(userVisibleData=encoded("Log in"))
    code = pocket.code()
    pocket.clock.move(timedelta(seconds=10))

    hand.open(pocket.of("bjorn")).press("Text of the code", code=code)
    assert hand.page.status_code == 409
    assert "This code is out of date." in hand.text
    assert f'value="{code}"' in hand.page.text

    assert "BankID asks" in hand.press("Text of the code", code=f" {pocket.code()}\n").text


@pytest.mark.parametrize("code", ["", "https://evil.test/", "bankid.a.0.b", "x" * 5000, "bankid.é.٣.\x00"])
def test_worthless_codes(pocket: Pocket, hand: Browser, code: str) -> None:
    """A code that is none, or forged, opens nothing and says so."""
    pocket.service.auth()

    hand.open(pocket.of("bjorn")).press("Text of the code", code=code)

    assert hand.page.status_code == 409
    assert 'role="alert"' in hand.page.text


def test_link_on_this_device(pocket: Pocket, hand: Browser) -> None:
    """The login page's link opens the order; after the approval the app leads back to the service by itself."""
    order = pocket.service.auth(returnUrl=f"{pocket.address}/back?state=s1")

    hand.open(pocket.link(order))
    assert "Whose phone is this?" in hand.text
    assert pocket.service.hint(order) == "pending/started"
    person = next(part for part in hand.page.text.split('"') if part.startswith("/of/bjorn/"))
    hand.open(pocket.address + person).press("Approve", outcome="approve")

    assert hand.page.url == f"{pocket.address}/back?state=s1"


def test_scanned_order_leads_nowhere(pocket: Pocket, hand: Browser) -> None:
    """After a scan the browser is on another device: the app leads nowhere, whatever the order says."""
    pocket.service.auth(returnUrl=f"{pocket.address}/back?state=s1")

    hand.open(pocket.of("bjorn")).press("Scan the code").press("Approve", outcome="approve")

    assert hand.page.url.startswith(pocket.of("bjorn"))


@pytest.mark.parametrize("url", ["https://evil.test/back", "googlechromes://"])
def test_leads_elsewhere_only_by_hand(pocket: Pocket, hand: Browser, url: str) -> None:
    """An address that is not the broker's is shown, and followed by nobody but the person."""
    order = pocket.service.auth(returnUrl=url)
    person = next(part for part in hand.open(pocket.link(order)).page.text.split('"') if part.startswith("/of/bjorn/"))

    hand.open(pocket.address + person).press("Approve", outcome="approve")

    assert url in hand.text
    assert hand.page.url.startswith(pocket.address)
    assert (f'href="{url}"' in hand.page.text) is url.startswith("https:")


def test_elsewhere(pocket: Pocket, hand: Browser) -> None:
    """A phone that is elsewhere says so to the eID, on every page until the end."""
    order = pocket.service.auth()

    hand.open(pocket.of("bjorn", "?ip=203.0.113.7")).press("Scan the code").press("Approve", outcome="approve")

    assert pocket.service.collect(order)["completionData"]["device"]["ipAddress"] == "203.0.113.7"
    assert parse_qs(urlsplit(hand.page.url).query)["ip"] == ["203.0.113.7"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/of/bjorn?ip=somewhere", 400), ("/of/nobody", 404), ("/of/anna", 404), ("/of/bjorn/freja/x", 404),
        ("/of/elin/bankid/x", 404), ("/of/bjorn/bankid/gone", 404), ("/opened/bankid/gone", 404), ("/nothing", 404),
        ("/bankid", 409), ("/bankid?autostarttoken=x", 409), ("/a/b/c", 404),
    ],
)  # fmt: skip
def test_what_is_not_there(pocket: Pocket, hand: Browser, path: str, status: int) -> None:
    """Nobody's phone, no app, an order that is gone, a link to nothing: each is said in words, with a way out."""
    hand.open(pocket.address + path)

    assert hand.page.status_code == status
    assert "The app can open nothing" in hand.text
    assert 'href="/"' in hand.page.text


def test_order_that_ended_meanwhile(pocket: Pocket, hand: Browser) -> None:
    """Approving an order that ended while it was read is refused in words."""
    order = pocket.service.auth()
    hand.open(pocket.of("bjorn")).press("Scan the code")
    pocket.service.post("cancel", {"orderRef": order["orderRef"]})

    hand.press("Approve", outcome="approve")

    assert hand.page.status_code == 409
    assert "There is no such order, or no longer." in hand.text


@pytest.mark.parametrize("outcome", ["", "Approve", "win"])
def test_unknown_outcome(pocket: Pocket, hand: Browser, outcome: str) -> None:
    """What no app can do is refused, with what it can, and the order goes on."""
    order = pocket.service.auth()

    hand.open(pocket.of("bjorn")).press("Scan the code").press("Approve", outcome=outcome)

    assert hand.page.status_code == 400
    assert "approve, cancel" in hand.text
    assert pocket.service.hint(order) == "pending/started"


def test_two_phones_at_once(pocket: Pocket, hand: Browser) -> None:
    """An order that one person has open is not another's to approve: two phones are two people's."""
    pocket.service.auth()
    hand.open(pocket.of("bjorn")).press("Scan the code").press("Let it happen", outcome="open")
    other = Browser().open(hand.page.url.replace("/of/bjorn/", "/of/samir/"))

    other.press("Approve", outcome="approve")

    assert "Somebody else has opened this order." in other.text
    other.http.close()


@pytest.mark.parametrize("headers", [{"Host": "evil.test"}, {"Origin": "https://evil.test"}, {"Origin": "null"}])
def test_strangers(pocket: Pocket, headers: dict[str, str]) -> None:
    """A page of another site cannot press the phone's buttons (forged requests, DNS rebinding)."""
    pocket.service.auth()

    told = requests.post(pocket.of("bjorn/bankid"), data={"code": pocket.code()}, headers=headers, timeout=PATIENCE)

    assert told.status_code == 403


def test_text_as_the_app_shows_it(pocket: Pocket, hand: Browser) -> None:
    """The person reads the service's text as the app formats it: a heading is one, markup is none."""
    pocket.service.auth(userVisibleData=encoded("# Min Hälsa\r\n\r\nLog in <b>now</b>?"))

    hand.open(pocket.of("bjorn"))

    assert "<b>Min Hälsa</b>" in hand.page.text
    assert "Log in <b>now</b>?" in hand.text


def test_says_what_it_is(pocket: Pocket, hand: Browser) -> None:
    """Every page says SANDBOX, keeps its policy, and shows no code and no reference of the service's."""
    order = pocket.service.auth(userVisibleData=encoded("<script>alert(1)</script>"))

    hand.open(pocket.of("bjorn"))

    assert "<title>SANDBOX" in hand.page.text
    assert hand.page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "<script>alert" not in hand.page.text
    assert not [secret for secret in (*order.values(), pocket.code()) if secret in hand.page.text]
