"""The security headers of our answers to a browser."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit
from wsgiref.types import WSGIEnvironment

import flask
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response

_WEB_ORIGIN = re.compile(r"https?://(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
# A native app's own scheme is a domain name backwards, so it has a dot (RFC 8252, 7.1); the schemes
# that could run script in our page (javascript:, data:, blob:) have none.
_APP_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+:", re.ASCII)

_UNUSED_FEATURES = ("accelerometer", "camera", "geolocation", "gyroscope", "microphone", "payment", "usb")
_YEAR = 31_536_000

_ALWAYS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in _UNUSED_FEATURES),
}


def page_headers(
    redirect_origins: Sequence[str] = (),
    *,
    eid_origins: Sequence[str] = (),
    https: bool = True,
    frames: bool = False,
    framed: bool = False,
    frame_origins: Sequence[str] = (),
    ancestors: Sequence[str] = (),
) -> dict[str, str]:
    """Return the headers of one page; `frames` lets it show a document of ours in a frame, `framed` is for that one.

    `frame_origins` are services told in a frame that a sign-on is over (Front-Channel Logout, 3);
    `ancestors` the eIDs whose own logout page loads this one in a frame.

    `redirect_origins` and `eid_origins` are where a form post on this page may end: Chromium checks
    `form-action` against every redirect that follows a post, so 'self' alone would stop a sign-in
    (CSP Level 3, 6.4.1). ValueError for anything that is not an origin: a space or a semicolon
    would add a source or a directive of an attacker's choosing.
    """
    targets = dict.fromkeys(_checked(origin) for origin in (*redirect_origins, *eid_origins))
    sources = [*(["'self'"] if frames else []), *dict.fromkeys(_checked(origin) for origin in frame_origins)]
    parents = [*(["'self'"] if framed else []), *dict.fromkeys(_checked(origin) for origin in ancestors)]
    headers = {"Content-Security-Policy": _policy(tuple(targets), sources, parents), **_ALWAYS}
    if ancestors:
        del headers["X-Frame-Options"]  # it can name no origin, and the policy goes before it
    elif framed:
        headers["X-Frame-Options"] = "SAMEORIGIN"
    if https:
        headers["Strict-Transport-Security"] = f"max-age={_YEAR}"
    return headers


def static_headers(*, versioned: bool, https: bool = True) -> dict[str, str]:
    """Return the headers of a static file: kept for a year if its address names its content."""
    headers = {
        "Cache-Control": f"public, max-age={_YEAR}, immutable" if versioned else "no-cache",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if https:
        headers["Strict-Transport-Security"] = f"max-age={_YEAR}"
    return headers


def see_other(location: str) -> Response:
    """Return a 303: never a 307, which would send a form's secrets along (RFC 9700, 4.12)."""
    headers = {"Location": location, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return _AsWritten(status=303, headers=headers)


class _AsWritten(flask.Response):
    """Leaves an address alone: of an app's own (`bankid:///?…`) werkzeug would take the slashes away."""

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        headers = super().get_wsgi_headers(environ)
        headers["Location"] = self.headers["Location"]
        return headers


def origin_of(uri: str) -> str:
    """Return what `form-action` must name for a redirect to this URI: its origin, or an app's scheme.

    ValueError for a URI that has neither.
    """
    parts = urlsplit(uri)
    if parts.scheme in ("http", "https"):
        return _checked(f"{parts.scheme}://{parts.netloc.lower()}")
    return _checked(f"{parts.scheme}:")


def _checked(origin: str) -> str:
    if not (_WEB_ORIGIN.fullmatch(origin) or _APP_SCHEME.fullmatch(origin)):
        raise ValueError("not an origin that a policy can name")
    return origin


def _policy(targets: Sequence[str], frames: Sequence[str], ancestors: Sequence[str]) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            "style-src 'self'",
            "script-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            " ".join(("form-action 'self'", *targets)),
            "base-uri 'none'",
            *([" ".join(("frame-src", *frames))] if frames else []),
            " ".join(("frame-ancestors", *(ancestors or ["'none'"]))),
        )
    )
