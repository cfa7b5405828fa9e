"""Our cookies: what one of them says another must not wipe out."""

from __future__ import annotations

from flask import Request
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Response

from idbroker.web.browser import Cookies


def test_a_trip_to_a_register_keeps_the_accepted_terms() -> None:
    """Two had one letter: whoever was sent to a register's own page was asked for the clinic's terms anew."""
    cookies, response = Cookies(secure=True), Response()
    cookies.keep_accepted(Request(EnvironBuilder().get_environ()), response, "clinea", "2026-1")
    cookies.keep_away(response, "t" * 22)

    kept = "; ".join(value.partition(";")[0] for value in response.headers.getlist("Set-Cookie"))
    request = Request(EnvironBuilder(headers=[("Cookie", kept)]).get_environ())

    assert cookies.accepted(request) == {"clinea": "2026-1"}
    assert cookies.away(request) == "t" * 22
