"""The security headers: strict, and closed to injection."""

from __future__ import annotations

import pytest

from idbroker.web.headers import origin_of, page_headers, static_headers


def _policy(headers: dict[str, str]) -> dict[str, str]:
    return dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))


def test_a_page_may_load_nothing_foreign() -> None:
    """Style, script, images and connections come from our origin; everything else is off."""
    policy = _policy(page_headers())

    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert {policy[name] for name in ("style-src", "script-src", "img-src", "connect-src", "form-action")} == {"'self'"}


def test_a_form_may_end_where_the_sign_in_goes() -> None:
    """`form-action` names the redirect and the eIDs of this transaction, each once (Chromium follows redirects)."""
    headers = page_headers(
        ["https://portal.example"], eid_origins=["https://eid.example:8443", "https://portal.example"]
    )

    assert _policy(headers)["form-action"] == "'self' https://portal.example https://eid.example:8443"


@pytest.mark.parametrize(
    "origin",
    [
        "https://a.example; script-src *",
        "https://a.example 'unsafe-inline'",
        "https://a.example\r\nSet-Cookie: x=1",
        "https://a.example\n",
        "https://*.example",
        "*",
        "'none'",
        "https:",
        "javascript:",
        "data:",
        "https://a.example/path",
        "https://user@a.example",
        "https://bücher.example",
        "https://a.example:port",
        "//a.example",
        "",
    ],
)
def test_what_is_not_an_origin_is_refused(origin: str) -> None:
    """Nothing that could add a source, a directive or a header gets into the policy (header injection)."""
    with pytest.raises(ValueError, match="not an origin"):
        page_headers([origin])


@pytest.mark.parametrize(
    ("uri", "origin"),
    [
        ("https://Portal.Example/cb?x=1", "https://portal.example"),
        ("http://127.0.0.1:8080/cb", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/cb", "http://[::1]:8080"),
        ("com.example.app:/cb", "com.example.app:"),
    ],
)
def test_a_redirect_uri_has_an_origin(uri: str, origin: str) -> None:
    """A web address gives its origin, an app's own scheme itself (RFC 8252, 7.1 and 7.3)."""
    assert origin_of(uri) == origin
    assert origin in page_headers([origin])["Content-Security-Policy"]


@pytest.mark.parametrize("uri", ["javascript:alert(1)", "data:text/html,x", "cb", "https://a b/"])
def test_a_uri_without_an_origin_is_refused(uri: str) -> None:
    """A scheme that runs script, or none at all, has no origin a policy may name."""
    with pytest.raises(ValueError, match="not an origin"):
        origin_of(uri)


def test_a_page_is_neither_kept_nor_framed_nor_told_on() -> None:
    """Pages are not stored, not framed (clickjacking), and send no referrer (RFC 9700, 4.2 and 4.16)."""
    headers = page_headers()

    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_only_https_is_made_to_stay() -> None:
    """Strict-Transport-Security is sent over https alone (RFC 6797, 7.2)."""
    assert "Strict-Transport-Security" in page_headers(https=True)
    assert "Strict-Transport-Security" not in page_headers(https=False)


def test_a_file_is_kept_only_under_its_content() -> None:
    """A static file is kept for a year only where its address changes with it."""
    assert "immutable" in static_headers(versioned=True)["Cache-Control"]
    assert static_headers(versioned=False)["Cache-Control"] == "no-cache"
