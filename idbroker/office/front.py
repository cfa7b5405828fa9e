"""The routes of the office, put together, and how errors become pages there."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from flask import Blueprint, request
from werkzeug.wrappers import Response

from idbroker.errors import NotAllowed, NotFound, OAuthError, StoreError
from idbroker.office import (
    approvals,
    calling,
    choosing,
    colleagues,
    entering,
    guardians,
    helping,
    home,
    me,
    merging,
    organisation,
    patients,
    printing,
    sending,
    signing_in,
    signing_out,
    tablet,
)
from idbroker.office.desk import Desk
from idbroker.office.guard import Guard, NoSuchClinic, SignInFirst
from idbroker.patients.patient import TooManyLooks
from idbroker.steps import new_ref
from idbroker.web.site import Site

_log = structlog.get_logger("idbroker.office")
Adds = Callable[[Blueprint, Guard], None]  # each module of the office adds its routes: `routes(blueprint, guard)`
PARTS: tuple[Adds, ...] = (
    entering.routes,
    patients.routes,
    approvals.routes,
    sending.routes,
    printing.routes,
    signing_in.routes,
    signing_out.routes,
    organisation.routes,
    choosing.routes,
    home.routes,
    me.routes,
    colleagues.routes,
    helping.routes,
    tablet.routes,
    calling.routes,
    merging.routes,
    guardians.routes,
)


def office(desk: Desk) -> Callable[[Site], Blueprint]:
    """Return what makes the routes."""

    def make(site: Site) -> Blueprint:
        routes = Blueprint("office", __name__)
        guard = Guard(site, desk)
        for add in PARTS:
            add(routes, guard)
        _answer(routes, guard)
        return routes

    return make


def _answer(routes: Blueprint, guard: Guard) -> None:
    def trouble(key: str, status: int, ref: str = "") -> Response:
        # Where the store is away, nobody is looked up: that would raise the same again.
        language = guard.language(None, None) if ref else guard.spoken()
        return guard.bare("trouble", language, status=status, key=key, ref=ref)

    @routes.errorhandler(SignInFirst)
    def sign_in(_: SignInFirst) -> Response:
        return guard.sign_in_first()

    @routes.errorhandler(NotAllowed)
    def not_allowed(error: NotAllowed) -> Response:
        _log.warning("not_allowed", endpoint=request.endpoint, detail=error.detail)
        if not isinstance(error, TooManyLooks):  # which is in the trail already
            guard.refused("role")
        return trouble("s.e.role", 403)

    @routes.errorhandler(NotFound)
    def not_found(error: NotFound) -> Response:
        guard.refused("clinic" if isinstance(error, NoSuchClinic) else "handle")
        return trouble("s.e.none", 404)

    @routes.errorhandler(OAuthError)
    def bad_form(error: OAuthError) -> Response:
        _log.info("request_refused", endpoint=request.endpoint, code=error.code, detail=error.detail)
        guard.refused("stale")
        return trouble("s.e.form", error.status)

    @routes.errorhandler(StoreError)
    def store_away(error: StoreError) -> Response:
        ref = new_ref()
        _log.error("store_away", endpoint=request.endpoint, detail=error.detail, ref=ref)
        response = trouble("s.e.down", 503, ref)
        response.headers["Retry-After"] = "10"
        return response
