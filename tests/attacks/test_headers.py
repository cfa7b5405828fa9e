"""What every answer carries, so that nothing leaks and nothing is framed (standards 2.5 A14, A16, A17, A19, A25)."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
import requests

from tests.door import SECRET, Browser, Door, authorize_url, words_of

EVIL = {
    "X-Forwarded-Host": "evil.test",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Prefix": "/evil",
    "X-Original-URL": "/evil",
    "X-Rewrite-URL": "/evil",
    "Forwarded": "host=evil.test;proto=https",
}


def pages(browser: Browser) -> list[requests.Response]:
    """Return one of every kind of page."""
    choice = browser.authorize()
    name = urlsplit(choice.url).path.split("/")[2]
    signed = browser.press(browser.press(choice, provider="mitid"), person="anna", outcome="approve")
    assert signed.status_code == 303
    return [
        choice,
        browser.fetch(f"/t/{name}/choose"),
        browser.fetch("/t/aaaaaaaaaaaaaaaaaaaaaa/choose"),
        browser.fetch("/authorize"),
        browser.fetch("/nowhere"),
        browser.fetch("/callback/mitid?state=x"),
        browser.fetch(authorize_url(response_mode="form_post")),
        browser.fetch("/help"),
        browser.fetch("/privacy"),
        browser.fetch("/accessibility"),
        browser.fetch("/logout"),
        browser.fetch("/logout?post_logout_redirect_uri=x"),
        Browser(issuer=browser.issuer).fetch("/logout"),
        Browser(issuer=browser.issuer).fetch(f"/t/{name}/choose"),
    ]


def test_every_page_is_closed(door: Door) -> None:
    """A14, A16, A19: not kept, not framed, no referrer, nothing from elsewhere, on every page there is."""
    for page in pages(door.browser()):
        head, policy = page.headers, page.headers["Content-Security-Policy"]
        assert head["Cache-Control"] == "no-store", page.url
        assert head["Referrer-Policy"] == "no-referrer"
        assert head["X-Frame-Options"] == "DENY"
        assert head["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "base-uri 'none'" in policy
        assert "unsafe" not in policy
        assert "*" not in policy
        assert "<script>" not in page.text
        assert " style=" not in page.text


def test_only_pages_that_lead_to_a_portal_name_one(door: Door) -> None:
    """A14: `form-action` names the client's origin for its own transaction, and no other's."""
    choice = door.browser().authorize()

    policy = choice.headers["Content-Security-Policy"]
    assert "form-action 'self' https://portal.test http://127.0.0.1:" in policy
    assert "other.test" not in policy


def test_every_redirect_is_a_303(door: Door) -> None:
    """A17: a 307 would send what was posted on to the next address (RFC 9700, 4.12)."""
    browser = door.browser()
    browser.sign_in()
    browser.sign_in(prompt="login")
    browser.fetch("/authorize", "POST", data="x=1", headers={"Content-Type": "application/x-www-form-urlencoded"})
    browser.authorize(prompt="none")
    statuses = {page.status_code for page in browser.trail if "Location" in page.headers}
    ours = [page for page in browser.trail if page.url.startswith(door.issuer) and "Location" in page.headers]

    assert statuses == {303}
    assert all(page.headers["Referrer-Policy"] == "no-referrer" for page in ours)
    assert all(page.headers["Cache-Control"] == "no-store" for page in ours)


@pytest.mark.parametrize("path", ["/token", "/revoke", "/introspect", "/userinfo"])
def test_no_answer_to_a_program_is_kept(door: Door, path: str) -> None:
    """A19: answers of these endpoints, good or bad, are not for any cache (RFC 6749, 5.1)."""
    token = door.signed_in()["access_token"]
    good = door.userinfo(token) if path == "/userinfo" else door.post(path, {"token": token})
    bad = requests.get(f"{door.issuer}{path}", timeout=5)
    worse = requests.post(f"{door.issuer}{path}", data=b"\xff\xfe", timeout=5)

    for answer in (good, bad, worse):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Type"] == "application/json"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


def test_a_token_answer_is_not_kept(door: Door) -> None:
    """A19: the answer with the tokens says no-store."""
    assert door.redeem(door.browser().sign_in()["code"]).headers["Cache-Control"] == "no-store"


def test_no_header_changes_who_we_are(door: Door) -> None:
    """A25: issuer, links and redirects are configured: no Host or X-Forwarded-Host gets into them."""
    plain = requests.get(f"{door.issuer}/.well-known/openid-configuration", timeout=5)
    forged = requests.get(
        f"{door.issuer}/.well-known/openid-configuration", headers={**EVIL, "Host": "evil.test"}, timeout=5
    )
    browser = door.browser()
    browser.session.headers.update(EVIL)
    answer = browser.sign_in()

    assert forged.content == plain.content
    assert answer["iss"] == door.issuer
    assert not [page for page in browser.trail if "evil" in str(page.headers) + page.text]
    assert door.redeem(answer["code"]).json()["id_token"]


def test_a_foreign_host_gets_no_foreign_links(door: Door) -> None:
    """A25: a request with another Host header is answered without that name in it."""
    browser = door.browser()
    for path in (authorize_url(), "/authorize", "/logout", "/nowhere", "/t/x/choose", "/help"):
        page = browser.fetch(path, headers={"Host": "evil.test"})
        assert "evil" not in str(page.headers) + page.text


def test_cookies_are_kept_from_scripts_and_other_sites(door: Door) -> None:
    """A15, O13: every cookie of ours is HttpOnly, SameSite=Lax, without a Domain, for the whole path."""
    browser = door.browser()
    browser.sign_in()
    cookies = [value for page in browser.trail for value in page.raw.headers.getlist("Set-Cookie")]

    assert {cookie.partition("=")[0].partition("-")[0] for cookie in cookies} == {"t", "s", "l"}
    for cookie in cookies:
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert "Path=/" in cookie
        assert "Domain" not in cookie


def test_error_pages_name_no_parts(door: Door) -> None:
    """A25: an answer tells neither the versions of what we run on nor where in the code it failed."""
    for path in ("/nowhere", "/authorize", "/t/x/choose", "/static/../../etc/passwd", "/static/%2e%2e%2fapp.py"):
        page = door.browser("en").fetch(path)
        assert page.status_code in (400, 404, 410)
        assert "Traceback" not in page.text
        assert "werkzeug" not in words_of(page).lower()


def test_introspection_needs_credentials_of_ones_own(door: Door) -> None:
    """A20: nobody looks into tokens without being a client that may."""
    token = door.signed_in()["access_token"]

    assert door.post("/introspect", {"token": token, "client_id": "public"}, auth=None).status_code == 401
    assert door.post("/introspect", {"token": token}, auth=("portal", SECRET)).json()["active"] is True
