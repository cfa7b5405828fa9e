"""Who may call the sandbox: this machine, and pages of the sandbox itself."""

from __future__ import annotations

import re

from flask import Request

_HERE = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
_OWN_PAGES = {"same-origin", "none"}


def wrong_host(request: Request) -> str | None:
    """Return why the host asked for is not ours, or None.

    Stops DNS rebinding: a page on the web whose name is made to mean 127.0.0.1 sends its own name.
    """
    if _HERE.fullmatch(request.headers.get("Host", "")):
        return None
    return "Ask for localhost, 127.0.0.1 or [::1]: other names could be a page on the web that was led here."


def foreign_page(request: Request) -> str | None:
    """Return why a browser sends this for somebody else's page, or None (cross-site request forgery).

    Programs that are no browsers send neither header, and are let through.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    own = origin in (None, request.host_url.rstrip("/"))
    if own and (site is None or site in _OWN_PAGES):
        return None
    return "Pages of other sites may not do this. Send it from a program, or from the sandbox's own pages."
