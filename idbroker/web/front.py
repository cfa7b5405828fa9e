"""The web application: every route, and how every error becomes an answer."""

from __future__ import annotations

import structlog
from flask import Blueprint, Flask, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.wrappers import Response

from idbroker.errors import BadLink, BrokerError, Gone, NotFound, OAuthError, StoreError, WrongBrowser
from idbroker.providers import Described
from idbroker.steps import new_ref
from idbroker.web.activating import activating
from idbroker.web.address import BehindProxies
from idbroker.web.documents import Documents
from idbroker.web.endpoints import PATHS, allow_known_origin, endpoints, oauth_error_response
from idbroker.web.farewells import farewells
from idbroker.web.headers import static_headers
from idbroker.web.journey import journey
from idbroker.web.leaving import leaving
from idbroker.web.me import me
from idbroker.web.recovering import recovering
from idbroker.web.screens import Screens
from idbroker.web.site import Site
from idbroker.web.views import Problem
from idbroker.web.waiting import waiting

MOST_OCTETS = 64 * 1024
_log = structlog.get_logger("idbroker.web")


def make_web(site: Site) -> Flask:
    """Return the application."""
    app = Flask("idbroker.web", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MOST_OCTETS
    # A double slash is not found. Merging would redirect, by 308, to whatever Host the request names (A17, A25).
    app.url_map.merge_slashes = False
    programs, people = (
        endpoints(site),
        (
            journey(site),
            waiting(site),
            leaving(site),
            farewells(site),
            recovering(site),
            activating(site),
            me(site),
            _documents(site),
            _descriptions(site),
        ),
    )
    _answer_programs(programs, site)
    for routes in (programs, *people, _health(site), *(more(site) for more in site.more)):
        app.register_blueprint(routes)
    _answer_people(app, site)
    if site.proxies:
        # The host is never taken from a header: the issuer is configured (A25, header injection).
        app.wsgi_app = BehindProxies(app.wsgi_app, site.address_header, site.proxies)  # type: ignore[method-assign]
    return app


def _documents(site: Site) -> Blueprint:
    routes = Blueprint("documents", __name__)
    documents = Documents(site)

    @routes.get("/<any(help, privacy, accessibility):name>")
    def document(name: str) -> Response:
        return documents.show(name)

    @routes.get("/favicon.ico", defaults={"name": "favicon.svg"})
    @routes.get("/static/<name>")
    def static(name: str) -> Response:
        content, content_type, etag = site.pages.static_file(name)
        response = Response(content, content_type=content_type)
        response.headers.update(static_headers(versioned=request.args.get("v") == etag, https=site.https))
        response.set_etag(etag)
        return response.make_conditional(request)

    return routes


def _descriptions(site: Site) -> Blueprint:
    routes = Blueprint("descriptions", __name__)

    @routes.get("/metadata/<provider>")
    def metadata(provider: str) -> Response:
        """Publish what an eID must know of us."""
        known = site.broker.providers.get(provider)
        if not isinstance(known, Described):
            raise NotFound("no such description")
        response = Response(known.metadata(site.clock.now()), content_type="application/samlmetadata+xml")
        response.headers.update(static_headers(versioned=False, https=site.https))
        response.add_etag()
        return response.make_conditional(request)

    return routes


def _health(site: Site) -> Blueprint:
    routes = Blueprint("health", __name__)

    @routes.get("/healthz")
    def healthz() -> Response:
        """Answer that this process lives."""
        return Response("ok\n", content_type="text/plain", headers={"Cache-Control": "no-store"})

    @routes.get("/readyz")
    def readyz() -> Response:
        """Answer that the stores do; 503 takes this worker out of the balancer, and says nothing more."""
        try:
            site.ready()
        except StoreError as error:
            _log.warning("not_ready", detail=error.detail)
            return Response("not ready\n", 503, content_type="text/plain", headers={"Cache-Control": "no-store"})
        return Response("ready\n", content_type="text/plain", headers={"Cache-Control": "no-store"})

    return routes


def _answer_programs(routes: Blueprint, site: Site) -> None:
    @routes.errorhandler(OAuthError)
    def oauth(error: OAuthError) -> Response:
        _log.info("request_refused", endpoint=request.endpoint, code=error.code, detail=error.detail)
        return allow_known_origin(oauth_error_response(error), site)

    @routes.errorhandler(StoreError)
    def store(error: StoreError) -> Response:
        _log.error("store_away", endpoint=request.endpoint, detail=error.detail)
        return oauth_error_response(OAuthError("temporarily_unavailable", "Try again in a moment", status=503))

    @routes.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        status = error.code or 500
        return oauth_error_response(OAuthError("invalid_request", f"HTTP {status}", status=status))

    @routes.errorhandler(Exception)
    def fault(error: Exception) -> Response:
        _log.error("fault", endpoint=request.endpoint, kind=type(error).__name__, exc_info=error)
        return oauth_error_response(OAuthError("server_error", "Something is wrong on our side", status=500))


def _answer_people(app: Flask, site: Site) -> None:
    answers = _Answers(site)
    app.register_error_handler(Gone, answers.gone)
    app.register_error_handler(WrongBrowser, answers.wrong_browser)
    app.register_error_handler(BadLink, answers.bad_link)
    app.register_error_handler(OAuthError, answers.bad_link)
    app.register_error_handler(NotFound, answers.not_found)
    app.register_error_handler(StoreError, answers.store_away)
    app.register_error_handler(HTTPException, answers.http)
    app.register_error_handler(Exception, answers.fault)


class _Answers:
    """What a person is told when something goes wrong."""

    def __init__(self, site: Site) -> None:
        self._screens, self._clients = Screens(site), site.clients

    def gone(self, error: Gone) -> Response:
        try:
            return self._screens.gone(error.client_id, error.language)
        except StoreError as away:
            return self.store_away(away)

    def wrong_browser(self, error: WrongBrowser) -> Response:
        _log.info("wrong_browser", detail=error.detail)
        # Who comes back from an eID began in a browser that keeps cookies: this is another, and maybe new.
        began_elsewhere = request.path.startswith("/callback/") or bool(request.cookies)
        problem = Problem.BROWSER if began_elsewhere else Problem.COOKIE
        try:
            # Whoever was sent the address learns which service it is of, and nothing of who began, or how far
            # they are (0014): the words are the same at every step, and in this browser's own language.
            client = self._clients.find(error.client_id) if error.client_id else None
        except StoreError as away:
            return self.store_away(away)
        return self._screens.problem(problem, status=error.status, client=client)

    def bad_link(self, error: BadLink | OAuthError) -> Response:
        _log.info("request_refused", endpoint=request.endpoint, code=error.code, detail=error.detail)
        return self._screens.problem(Problem.LINK, status=error.status, explanation=error.detail)

    def not_found(self, error: NotFound) -> Response:
        return self._screens.problem(Problem.NOT_FOUND, status=404, explanation=error.detail)

    def http(self, error: HTTPException) -> Response:
        status = error.code or 500
        if request.path in PATHS:
            response = oauth_error_response(OAuthError("invalid_request", f"HTTP {status}", status=status))
        else:
            problem = Problem.NOT_FOUND if status in (404, 405) else Problem.LINK
            response = self._screens.problem(problem, status=status)
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
        return response

    def store_away(self, error: StoreError) -> Response:
        response = self._failed(error, error.detail, Problem.DOWN, 503)
        response.headers["Retry-After"] = "10"
        return response

    def fault(self, error: Exception) -> Response:
        return self._failed(error, error.detail if isinstance(error, BrokerError) else "", Problem.FAULT, 500)

    def _failed(self, error: Exception, detail: str, problem: Problem, status: int) -> Response:
        ref = new_ref()
        kind = type(error).__name__
        _log.error("fault", endpoint=request.endpoint, kind=kind, detail=detail, ref=ref, exc_info=error)
        return self._screens.problem(problem, status=status, ref=ref)
