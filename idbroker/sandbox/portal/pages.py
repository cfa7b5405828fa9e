"""The pages of a demo portal."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from flask import Blueprint, Flask, redirect, request
from werkzeug.wrappers import Response

from idbroker.sandbox.explain import claims, level, parameters
from idbroker.sandbox.guard import foreign_page, wrong_host
from idbroker.sandbox.portal.relying import Login, NotBelieved, Pending, RelyingParty
from idbroker.sandbox.portal.services import Door, Service
from idbroker.sandbox.portal.trail import Step, Trail
from idbroker.sandbox.portal.visits import Answered, Visit, Visits
from idbroker.sandbox.skin import page, skin

_COPENHAGEN = ZoneInfo("Europe/Copenhagen")
_STRONGER = {"id_token": {"acr": {"essential": True, "values": ["high"]}}}
# What a person may do again on the developer's panel, and what it adds to the request.
_AGAIN: Mapping[str, Mapping[str, str]] = {
    "again": {"prompt": "login"},
    "step-up": {"claims": json.dumps(_STRONGER)},
}


def make_portals(portals: Mapping[str, tuple[Service, RelyingParty]], issuer: str) -> Flask:
    """Return the application that serves all demo portals, each below its own id."""
    app = Flask("idbroker.sandbox.portals", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = 64 * 1024
    app.register_blueprint(skin())
    for service, party in portals.values():
        app.register_blueprint(_routes(_Portal(service, party, issuer)), url_prefix=f"/{service.id}")
    app.add_url_rule("/", "front", lambda: page("portal/all.html", services=[s for s, _ in portals.values()], issuer=issuer))
    app.before_request(_guard)
    app.register_error_handler(404, lambda _error: page("portal/none.html", issuer=issuer, status=404))
    return app


def _guard() -> Response | None:
    why = wrong_host(request) or (foreign_page(request) if request.method == "POST" else None)
    return Response(f"{why}\n", 403, content_type="text/plain; charset=utf-8") if why else None


def _routes(portal: _Portal) -> Blueprint:
    routes = Blueprint(portal.service.id, __name__)
    routes.add_url_rule("/", "front", portal.front)
    routes.add_url_rule("/login", "login", portal.login)
    routes.add_url_rule("/callback", "callback", portal.callback)
    routes.add_url_rule("/goodbye", "goodbye", portal.goodbye)
    routes.add_url_rule("/failed", "failed", portal.failed)
    routes.add_url_rule("/happened", "happened", portal.happened)
    routes.add_url_rule(f"/{portal.service.help_path}", "help", portal.help)
    routes.add_url_rule("/logout", "logout", portal.logout, methods=["POST"])
    routes.add_url_rule("/refresh", "refresh", portal.refresh, methods=["POST"])
    routes.add_url_rule("/userinfo", "userinfo", portal.userinfo, methods=["POST"])
    routes.add_url_rule("/<any('again', 'step-up'):what>", "once_more", portal.once_more, methods=["POST"])
    routes.add_url_rule("/<path:path>", "door", portal.door)
    routes.register_error_handler(NotBelieved, portal.broken)
    return routes
