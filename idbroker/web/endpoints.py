"""The endpoints that programs call: discovery, key set, token, userinfo, revocation, introspection."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Request, request
from werkzeug.wrappers import Response

from idbroker.client import Client
from idbroker.errors import OAuthError
from idbroker.exchanging import Exchanging
from idbroker.oidc import bearer, token
from idbroker.oidc.client_auth import InvalidClient
from idbroker.oidc.parameters import Parameters, parse_form, refuse_duplicates
from idbroker.web.site import Site

PATHS = ("/token", "/revoke", "/introspect", "/userinfo", "/jwks.json", "/.well-known/openid-configuration")
METADATA_SECONDS = 3600
_FORM = "application/x-www-form-urlencoded"
_API = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}


def endpoints(site: Site) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("endpoints", __name__)
    at = _Endpoints(site)
    for path, name, methods, view in (
        ("/.well-known/openid-configuration", "discovery", ["GET"], at.discovery),
        ("/.well-known/oauth-authorization-server", "metadata", ["GET"], at.discovery),
        ("/jwks.json", "jwks", ["GET"], at.jwks),
        ("/token", "token", ["POST"], at.token),
        ("/revoke", "revoke", ["POST"], at.revoke),
        ("/introspect", "introspect", ["POST"], at.introspect),
        ("/userinfo", "userinfo", ["GET", "POST"], at.userinfo),
    ):
        routes.add_url_rule(path, name, view, methods=methods, provide_automatic_options=False)
    for path in ("/token", "/userinfo", "/revoke"):
        routes.add_url_rule(path, "preflight", at.preflight, methods=["OPTIONS"])
    return routes


class _Endpoints:
    """What each endpoint does."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._metadata = json.dumps(site.metadata).encode()
        self._exchanging = Exchanging(moves=site.broker.moves, tokens=site.tokens)

    def discovery(self) -> Response:
        return _public(self._metadata, METADATA_SECONDS)

    def jwks(self) -> Response:
        published = self._site.keys.jwks()
        response = _public(published.body, int(published.max_age.total_seconds()))
        response.set_etag(published.etag)
        return response.make_conditional(request)

    def token(self) -> Response:
        return self._authenticated(self._redeemed)

    def _redeemed(self, client: Client, parameters: Parameters) -> Mapping[str, Any]:
        asked = token.parse(parameters, client)
        if isinstance(asked, token.CodeRequest):
            return self._site.tokens.redeem(client, asked)
        if isinstance(asked, token.ClientRequest):
            return self._site.credentials.issue(client, asked)
        if isinstance(asked, token.ExchangeRequest):
            return self._exchanging.exchange(client, asked)
        return self._site.tokens.refresh(client, asked)

    def revoke(self) -> Response:
        return self._authenticated(self._revoked)

    def _revoked(self, client: Client, parameters: Parameters) -> Mapping[str, Any]:
        refuse_duplicates(parameters)
        text = _token_parameter(parameters)
        if not self._site.credentials.revoke(client, text):
            self._site.tokens.revoke(client, text)
        return {}

    def introspect(self) -> Response:
        return self._authenticated(self._introspected)

    def _introspected(self, client: Client, parameters: Parameters) -> Mapping[str, Any]:
        refuse_duplicates(parameters)
        if client.auth_method == "none":
            raise InvalidClient("public clients may not introspect")
        text = _token_parameter(parameters)
        own = self._site.credentials.introspect(client, text)
        return self._site.tokens.introspect(client, text) if own is None else own

    def userinfo(self) -> Response:
        elsewhere = "access_token" in request.args or b"access_token=" in request.get_data(cache=False)
        text = bearer.from_header(_one_header(request, "Authorization"), elsewhere=elsewhere)
        response = _json(self._site.tokens.userinfo(text))
        if request.headers.get("Origin"):
            _allow_origin(response, self._site.clients.find(self._site.tokens.client_of(text) or ""))
        return response

    def preflight(self) -> Response:
        """Answer a browser that asks before a script's request (RFC 9700, 2.6: registered origins only)."""
        response = allow_known_origin(Response(status=204), self._site)
        if "Access-Control-Allow-Origin" in response.headers:
            response.headers["Access-Control-Allow-Methods"] = "GET, POST"
            response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
            response.headers["Access-Control-Max-Age"] = "600"
        return response

    def _authenticated(self, answer: Callable[[Client, Parameters], Mapping[str, Any]]) -> Response:
        """Answer a form post by an authenticated client.

        Parameters count only from the body: a second source would let two parsers disagree, and a
        secret in a URL ends in logs (RFC 6749, 2.3.1 and 3.2).
        """
        if request.query_string:
            raise OAuthError("invalid_request", "Parameters belong in the body")
        if request.mimetype != _FORM:
            raise OAuthError("invalid_request", "The body must be application/x-www-form-urlencoded")
        parameters = parse_form(request.get_data(cache=False))
        if {"client_id", "client_secret", "client_assertion"} & parameters.duplicates:
            raise OAuthError("invalid_request", "A parameter was sent more than once")
        authorization = _one_header(request, "Authorization")
        client = self._site.authenticator.authenticate(authorization, parameters, self._site.clock.now())
        response = _json(answer(client, parameters))
        if request.headers.get("Origin"):
            _allow_origin(response, client)
        return response


def oauth_error_response(error: OAuthError) -> Response:
    """Return an OAuth error as JSON, with the challenges the RFCs want (RFC 6749, 5.2; RFC 6750, 3)."""
    fields = {"error": error.code, "error_description": error.description}
    response = _json({k: v for k, v in fields.items() if v}, status=error.status)
    if isinstance(error, bearer.BearerError):
        response.headers["WWW-Authenticate"] = error.challenge
    elif isinstance(error, InvalidClient) and error.challenge:
        response.headers["WWW-Authenticate"] = 'Basic realm="idbroker", charset="UTF-8"'
    if error.status == 503:
        response.headers["Retry-After"] = "5"
    return response


def allow_known_origin(response: Response, site: Site) -> Response:
    """Let a page of any registered origin read this answer, where the client is not known (RFC 9700, 2.6)."""
    origin = request.headers.get("Origin")
    if origin:
        response.headers["Vary"] = "Origin"
        if any(origin in client.origins for client in site.clients.all()):
            response.headers["Access-Control-Allow-Origin"] = origin
    return response


def _one_header(incoming: Request, name: str) -> str | None:
    """Return a header's value; two of them would let two readers see two requests."""
    values = incoming.headers.getlist(name)
    if len(values) > 1:
        raise OAuthError("invalid_request", "A header was sent more than once")
    return values[0] if values else None


def _token_parameter(parameters: Parameters) -> str:
    text = parameters.get("token")
    if text is None:
        raise OAuthError("invalid_request", "The token parameter is missing")
    return text


def _json(body: Mapping[str, Any], status: int = 200) -> Response:
    response = Response(json.dumps(body, ensure_ascii=False), status=status, content_type="application/json")
    response.headers.update(_API)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Pragma"] = "no-cache"
    return response


def _public(body: bytes, seconds: int) -> Response:
    """Return a public document that anybody may read and keep for a while."""
    response = Response(body, content_type="application/json")
    response.headers.update(_API)
    response.headers["Cache-Control"] = f"public, max-age={seconds}"
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


def _allow_origin(response: Response, client: Client | None) -> None:
    """Let a page of the client's own registered origin read this answer; never with cookies (RFC 9700, 2.6)."""
    origin = request.headers.get("Origin")
    response.headers["Vary"] = "Origin"
    if client is not None and origin in client.origins:
        response.headers["Access-Control-Allow-Origin"] = origin
