"""The looks of the sandbox's own pages: styles, headers, and how its templates are found."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources

from flask import Blueprint, render_template
from werkzeug.wrappers import Response

from idbroker.errors import NotFound
from idbroker.web.headers import page_headers, static_headers

_FILES = {
    "app.css": ("idbroker.web", "text/css; charset=utf-8"),
    "sandbox.css": ("idbroker.sandbox", "text/css; charset=utf-8"),
    "copy.js": ("idbroker.sandbox", "text/javascript; charset=utf-8"),
    "phone.js": ("idbroker.sandbox", "text/javascript; charset=utf-8"),
}


def skin() -> Blueprint:
    """Return the routes of the static files; with them an application finds our templates."""
    routes = Blueprint("skin", __name__, template_folder="templates")

    @routes.get("/sandbox/static/<name>")
    def static(name: str) -> Response:
        if name not in _FILES:
            raise NotFound("no such static file")
        package, content_type = _FILES[name]
        content = (resources.files(package) / "static" / name).read_bytes()
        return Response(content, content_type=content_type, headers=static_headers(versioned=False, https=False))

    return routes


def page(template: str, *, origins: Sequence[str] = (), status: int = 200, **values: object) -> Response:
    """Return a page of ours. `origins` are where its forms may lead, besides here."""
    response = Response(render_template(template, **values), status=status, content_type="text/html; charset=utf-8")
    response.headers.update(page_headers(origins, https=False))
    # With no-referrer a form of our own would say "Origin: null", like a foreign one.
    response.headers["Referrer-Policy"] = "same-origin"
    return response
