"""No address but a registered one is ever sent to (standards 2.5 A1 to A3)."""

from __future__ import annotations

import re

import pytest

from tests.attacks.conftest import OTHER_CALLBACK
from tests.door import CALLBACK, Door, authorize_url, words_of

VARIANTS = (
    "https://portal.test/other",
    "https://portal.test/x/../callback",
    "https://portal.test/./callback",
    "https://portal.test/%2e%2e/callback",
    "https://portal.test%2fcallback",
    "https://portal.test/callback/",
    "https://portal.test/callback/evil",
    "https://portal.test/CALLBACK",
    "https://PORTAL.test/callback",
    "HTTPS://portal.test/callback",
    "https://portal.test/callback?x=1",
    "https://portal.test/callback#x",
    "https://portal.test/callback#",
    "https://portal.test@evil.test/callback",
    "https://evil.test\\@portal.test/callback",
    "https://portal.test.evil.test/callback",
    "https://evil.test/portal.test/callback",
    "https://portal.test\\callback",
    "https://portal.test/call\tback",
    "https://portal.test/callback\r\nLocation: https://evil.test",
    " https://portal.test/callback",
    "https://portal.test/callback ",
    "https://pörtal.test/callback",
    "https://xn--prtal-jua.test/callback",
    "https://portal.test:443/callback",
    "https://portal.test:8443/callback",
    "http://portal.test/callback",
    "http://localhost:80@evil.test/callback",
    "//portal.test/callback",
    "/callback",
    "javascript:alert(1)",
    "data:text/html,x",
    OTHER_CALLBACK,
)
OTHER_FAULTS: tuple[dict[str, str], ...] = (
    {},
    {"scope": "profile"},
    {"response_type": "token"},
    {"prompt": "none"},
    {"response_mode": "fragment"},
    {"code_challenge": ""},
    {"request": "e30.e30."},
    {"max_age": "x"},
)


@pytest.mark.parametrize("uri", VARIANTS)
def test_an_address_that_is_not_registered_gets_nothing(door: Door, uri: str) -> None:
    """A1: nothing but the registered octets is redirected to: an error page says so (RFC 9700, 4.1; suite 1.5)."""
    before = door.stored()
    page = door.browser("en").fetch(authorize_url(redirect_uri=uri))

    assert (page.status_code, page.headers.get("Location")) == (400, None)
    assert "The link you came from does not work" in words_of(page)
    assert 'action="https' not in page.text
    assert door.stored() == before


@pytest.mark.parametrize("fault", OTHER_FAULTS, ids=lambda fault: next(iter(fault), "none"))
def test_no_other_error_opens_the_redirect(door: Door, fault: dict[str, str]) -> None:
    """A1, A3: another error in the request does not turn us into an open redirector (RFC 9700, 4.11.2)."""
    page = door.browser().fetch(authorize_url(redirect_uri="https://evil.test/callback", **fault))

    assert (page.status_code, page.headers.get("Location")) == (400, None)


@pytest.mark.parametrize(
    "twice", ["redirect_uri=https%3A%2F%2Fevil.test%2F", "redirect_uri=https%3A%2F%2Fportal.test%2Fcallback"]
)
def test_a_second_redirect_uri_stops_all(door: Door, twice: str) -> None:
    """A1, A9: of two redirect URIs neither is followed, before or behind the good one."""
    good = authorize_url()
    behind = door.browser().fetch(f"{good}&{twice}")
    before = door.browser().fetch(good.replace("?", f"?{twice}&"))

    assert [(page.status_code, page.headers.get("Location")) for page in (behind, before)] == [(400, None)] * 2


def test_a_missing_redirect_uri_is_an_error(door: Door) -> None:
    """A1: the redirect URI is required even where one only is registered (Core 3.1.2.1)."""
    page = door.browser().fetch(authorize_url(redirect_uri=""))

    assert (page.status_code, page.headers.get("Location")) == (400, None)


@pytest.mark.parametrize("client", ["nobody", "gone", "PORTAL", "portal ", "x" * 300, "🦆"])
def test_an_unknown_client_gets_a_page(door: Door, client: str) -> None:
    """A3: an unknown or disabled client is told nothing and sent nowhere (RFC 6749, 4.1.2.1)."""
    page = door.browser().fetch(authorize_url(client_id=client))

    assert (page.status_code, page.headers.get("Location")) == (400, None)


def test_the_error_page_links_nowhere_the_request_says(door: Door) -> None:
    """A3: what came in is on the error page only as a field to ask again in another language: no link, no script."""
    page = door.browser().fetch(authorize_url(redirect_uri='https://evil.test/"><script>alert(1)</script>'))

    assert "<script>alert" not in page.text
    assert not re.search(r'(href|src|action)="[^"]*evil', page.text)
    assert "evil.test" not in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize("uri", ["", "https://portal.test/callback?x=1", "https://portal.test/other", OTHER_CALLBACK])
def test_the_token_endpoint_wants_the_same_address_again(door: Door, uri: str) -> None:
    """A2: another redirect URI than the request's, or none, is invalid_grant and burns the code (RFC 6749, 4.1.3)."""
    code = door.browser().sign_in()["code"]

    refused, late = door.redeem(code, redirect_uri=uri), door.redeem(code)

    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert (late.status_code, late.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("name", ["next", "return_to", "RelayState", "target_link_uri", "continue", "url"])
def test_no_further_parameter_redirects(door: Door, name: str) -> None:
    """A3: no parameter of another protocol sends the browser away, at any page."""
    browser = door.browser()
    for path in ("/authorize", "/logout", "/help", "/callback/mitid"):
        page = browser.fetch(f"{path}?{name}=https%3A%2F%2Fevil.test%2F")
        assert "evil.test" not in page.headers.get("Location", "")


def test_errors_go_to_the_registered_address(door: Door) -> None:
    """A3: with a good address the client is told, so that it can go on (RFC 6749, 4.1.2.1)."""
    page = door.browser().fetch(authorize_url(scope="profile"))

    assert page.status_code == 303
    assert page.headers["Location"].startswith(f"{CALLBACK}?error=invalid_scope")
