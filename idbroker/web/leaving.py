"""Signing out at our address: the end-session endpoint and its question (RP-Initiated Logout 1.0)."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Blueprint, request
from werkzeug.wrappers import Response

from idbroker.errors import OAuthError
from idbroker.oidc import logout
from idbroker.oidc.logout import LogoutRequest
from idbroker.oidc.parameters import Parameters, parse_form, refuse_duplicates
from idbroker.session import key_of
from idbroker.web.farewells import begun
from idbroker.web.headers import see_other
from idbroker.web.screens import Screens
from idbroker.web.site import Site
from idbroker.web.steering import is_our_nonce, mint_nonce

_CARRIED = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales")


def leaving(site: Site) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("leaving", __name__)
    screens = Screens(site)

    @routes.get("/logout")
    def ask() -> Response:
        return _asked(site, screens, parse_form(request.query_string))

    @routes.post("/logout")
    def answer() -> Response:
        """Take a client's post (cross-site, without our cookies) or our own form's answer."""
        fields = parse_form(request.get_data(cache=False))
        refuse_duplicates(fields)
        if "_n" not in fields or "lang" in fields:
            query = {name: fields[name] for name in (*_CARRIED, "lang") if name in fields}
            return _by_get(query)
        return _answered(site, screens, fields)

    return routes


def _by_get(query: dict[str, str]) -> Response:
    return see_other(f"/logout?{urlencode(query)}")


def _asked(site: Site, screens: Screens, parameters: Parameters) -> Response:
    asked = logout.parse(parameters, site.clients, find_key=site.keys.verification_key, issuer=site.issuer)
    language = screens.language(asked.ui_locales)
    secret = site.cookies.session(request)
    # Idle for however long: a page anywhere must not end what a person may still want (A22).
    session = site.signout.session(secret)
    if secret and session and site.signout.must_confirm(asked, session):
        fields = {name: parameters[name] for name in _CARRIED if name in parameters}
        # Not as `lang`: a language button is a second field of that name, and the yes would switch.
        fields["ui_locales"] = language
        fields["_n"] = mint_nonce(key_of(secret))
        return screens.confirm_logout(asked.client, language, fields, asked.target)
    return _ended(site, screens, asked, language)


def _answered(site: Site, screens: Screens, fields: Parameters) -> Response:
    carried = Parameters({name: fields[name] for name in _CARRIED if name in fields}, fields.duplicates)
    asked = logout.parse(carried, site.clients, find_key=site.keys.verification_key, issuer=site.issuer)
    language = screens.language(asked.ui_locales)
    secret = site.cookies.session(request)
    if secret and not is_our_nonce(fields.get("_n", ""), key_of(secret)):
        raise OAuthError("invalid_request", "The form was not made for this browser")
    if fields.get("confirm") != "yes":
        return screens.stayed(asked.client, language)
    return _ended(site, screens, asked, language)


def _ended(site: Site, screens: Screens, asked: LogoutRequest, language: str) -> Response:
    secret = site.cookies.session(request)
    # Pressed again, the cookie may be gone: the same logout goes on all the same.
    ended = site.signout.end(secret, asked, language) if secret else None
    farewell = site.signout.again(ended.id if ended else site.cookies.farewell(request)) or ended
    if farewell is None:
        response = see_other(asked.target) if asked.target else screens.logged_out(asked.client, language)
    else:
        response = begun(site, screens, farewell)
        site.cookies.keep_farewell(response, farewell.id)
    site.cookies.drop_session(response)
    return response
