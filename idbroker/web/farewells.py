"""The way out, after our own session has ended: services told in frames, the eID, and what eIDs say of logout to us."""

from __future__ import annotations

import hmac
from dataclasses import replace

import structlog
from flask import Blueprint, request
from werkzeug.wrappers import Response

from idbroker.errors import NotFound, OAuthError, Unreachable, Untrusted
from idbroker.farewell import Farewell
from idbroker.oidc.parameters import Parameters, parse_form, refuse_duplicates
from idbroker.providers import Message, Post, Redirect
from idbroker.web.headers import see_other
from idbroker.web.screens import Screens
from idbroker.web.site import Site
from idbroker.web.steering import posted_fields

_log = structlog.get_logger("idbroker.web")
_SUMMONS = {"SAMLRequest", "logout_token"}


def farewells(site: Site) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("farewells", __name__)
    screens = Screens(site)

    @routes.get("/goodbye/<name>")
    def tell(name: str) -> Response:
        """Show the page that goes on by itself; its frames tell services that the sign-on is over."""
        return screens.telling(_own(site, name))

    @routes.get("/goodbye/<name>/next")
    def go_next(name: str) -> Response:
        """Show that page again between two eIDs: what was told in frames is told once."""
        return screens.telling(replace(_own(site, name), frames=()))

    @routes.get("/goodbye/<name>/on")
    def go_on(name: str) -> Response:
        return _onward(site, screens, _own(site, name))

    @routes.route("/logout/<provider>", methods=["GET", "POST"])
    def spoken(provider: str) -> Response:
        """Take an eID's logout message, by the browser or straight from its server."""
        if provider not in site.broker.providers:
            raise NotFound("no such provider")
        fields = posted_fields() if request.method == "POST" else Parameters({}, frozenset())
        refuse_duplicates(fields)
        url = f"{site.issuer}/logout/{provider}"
        message = Message(now=site.clock.now(), url=url, query=request.query_string, fields=dict(fields))
        return _spoken(site, screens, provider, message)

    return routes


def begun(site: Site, screens: Screens, farewell: Farewell) -> Response:
    """Go on with a logout: by a page of ours if anybody is to be told by the browser, else to where it ends.

    By a page, for a logout may begin with a service's form: browsers check that form's policy against
    every redirect after it, and no service can name in it where eIDs live (CSP Level 3, 6.4.1).
    """
    farewell = site.signout.leave(farewell.id)
    if farewell.frames or farewell.errand is not None:
        return see_other(f"/goodbye/{farewell.id}")
    return _done(screens, farewell)


def _own(site: Site, name: str) -> Farewell:
    """Return a farewell, only to the browser that leaves: its address lies in histories and is told to eIDs."""
    if not hmac.compare_digest(site.cookies.farewell(request).encode(), name.encode()):
        raise NotFound("a farewell of another browser")
    return site.signout.found(name).value


def _onward(site: Site, screens: Screens, farewell: Farewell) -> Response:
    """Send the browser to the eID whose turn it is, else to where a logout ends."""
    farewell = site.signout.leave(farewell.id)
    if farewell.errand is None:
        return _done(screens, farewell)
    if farewell.errand.fields is None:
        return see_other(farewell.errand.action)
    origins = site.origins(farewell.provider or "")
    return screens.post_to(
        farewell.errand.action, farewell.errand.fields, farewell.language, onward=origins, target=farewell.target
    )


def _done(screens: Screens, farewell: Farewell) -> Response:
    """Return to the service, which asked for it; or say what has ended, and what perhaps has not.

    From a sign-in that staff made nobody returns: the screen goes back to them, with nothing on it. By a redirect, so
    that the service's address, with what it says of the patient, is in no history.
    """
    if farewell.handed_back:
        return see_other("/tablet/done" if farewell.paired else "/tablet/done?screen=1")
    if farewell.target is not None and not farewell.unsure:
        return see_other(farewell.target)
    return screens.farewell(farewell)


def _spoken(site: Site, screens: Screens, provider: str, message: Message) -> Response:
    """Take what an eID's logout says: its answer to ours, or that its session is over."""
    told = {**parse_form(message.query), **message.fields}
    if _SUMMONS & set(told):
        return _summoned(site, screens, provider, message)
    handle = told.get("RelayState", told.get("state", ""))
    try:
        site.signout.left(handle, provider, message)
    except NotFound:
        if site.broker.signon.session(site.cookies.session(request)) is not None:
            raise
        return screens.logged_out(None, screens.language())
    # Our cookies do not come with an eID's post, and what follows may show a page: so it goes on by GET.
    return see_other(f"/goodbye/{handle}/{'next' if site.signout.unfinished(handle) else 'on'}")


def _summoned(site: Site, screens: Screens, provider: str, message: Message) -> Response:
    try:
        answer = site.signout.summoned(provider, message)
    except Untrusted as error:
        _log.warning("logout_refused", provider=provider, code=error.code, detail=error.detail)
        raise OAuthError("invalid_request", "The logout message cannot be believed", detail=error.code) from error
    except Unreachable as error:
        # Not 400, which would say that it is wrong: an eID's server may come again with it.
        _log.warning("logout_unread", provider=provider, detail=error.detail)
        raise OAuthError("temporarily_unavailable", "Try again", status=503, detail=error.code) from error
    match answer:
        case Redirect(url=url):
            return see_other(url)
        case Post(action=action, fields=fields):
            return screens.post_to(action, fields, screens.language(), framed=site.origins(provider))
        case None:
            return Response(status=200, headers={"Cache-Control": "no-store"})
