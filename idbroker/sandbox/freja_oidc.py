"""The simulated Freja eID over OpenID Connect: its own scopes and claims, one page, with people of ours.

Sources: Freja's OpenID Connect documentation; the metadata and claims that eduID's tests record.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flask import Flask, Response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from idbroker.clock import Clock
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.freja_told import Approval, attributes_of
from idbroker.sandbox.op import OpenIdProvider, PageError, Paths, Wanted
from idbroker.sandbox.op_client import SimClient
from idbroker.sandbox.op_lies import LIES
from idbroker.sandbox.op_web import add_op_routes
from idbroker.sandbox.people import SimPerson

SCOPE = "https://frejaeid.com/oidc/scopes/"
CLAIM = "https://frejaeid.com/oidc/claims/"
OUTCOMES = ("approve", "cancel", "expired", "failed")

__all__ = ["LIES", "OUTCOMES", "make_freja_oidc"]

_WORDS = {
    "title": "Simulated Freja eID - not the real one",
    "banner": "SANDBOX: invented people, no real eID",
    "who": "Who are you?",
    "what": "What happens?",
    "for": "The service",
    "go": "Continue",
    "approve": "Approve",
    "cancel": "Cancel",
    "expired": "Wait too long",
    "failed": "Freja refuses",
    "sorry": "That cannot be done",
}
_ERRORS = {
    "cancel": ("access_denied", "canceled"),
    "expired": ("access_denied", "expired"),
    "failed": ("access_denied", "rejected"),
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}
_PATHS = Paths(authorize="/authorize", token="/token", userinfo="/userinfo", pushed="/par", jwks="/jwk")
_ENDPOINTS = {
    "authorization_endpoint": _PATHS.authorize,
    "token_endpoint": _PATHS.token,
    "userinfo_endpoint": _PATHS.userinfo,
    "jwks_uri": _PATHS.jwks,
}
# What each scope opens of Freja's own attributes, by the claim's name.
_OWN = {
    "age": ("AGE", "age"),
    "document": ("DOCUMENT", "document"),
    "allEmailAddresses": ("ALL_EMAIL_ADDRESSES", "allEmailAddresses"),
    "registrationLevel": ("REGISTRATION_LEVEL", "registrationLevel"),
    "relyingPartyUserId": ("RELYING_PARTY_USER_ID", "relyingPartyUserId"),
    "loaLevel": ("LOA_LEVEL", "loaLevel"),
}


def make_freja_oidc(
    people: Iterable[SimPerson],
    clock: Clock,
    faults: Faults,
    issuer: str,
    clients: Mapping[str, SimClient],
    *,
    provider: str = "freja_oidc",
) -> Flask:
    """Return the simulator; mount it at the path of `issuer`, which ends with a slash as Freja's does.

    `provider` is the name its faults go by. Clients should have `id_token_alg="RS256"`, Freja's only one.
    """
    base = issuer.rstrip("/")
    op = OpenIdProvider(
        issuer=issuer,
        clock=clock,
        clients=clients,
        # Its ID tokens do not say when the person acted.
        lies=lambda: faults.of(provider).lies | {"missing_auth_time"},
        paths=_PATHS,
        extra_metadata={
            **{name: base + path for name, path in _ENDPOINTS.items()},
            "scopes_supported": ["openid", "email", "profile", *(SCOPE + name for name in _SCOPES)],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "code_challenge_methods_supported": ["plain", "S256"],
            "subject_types_supported": ["public"],
            "claims_parameter_supported": False,
            "authorization_response_iss_parameter_supported": False,
            "pushed_authorization_request_endpoint": None,
            "end_session_endpoint": None,
        },
    )
    app = Flask(__name__)
    app.extensions["op"] = op
    add_op_routes(app, op, faults, provider)
    _Page(op, {person.id: person for person in people if "freja" in person.eids}).add_to(app)
    return app


class _Page:
    """What the person's browser sees."""

    def __init__(self, op: OpenIdProvider, people: Mapping[str, SimPerson]) -> None:
        self._op, self._people = op, people

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        app.register_error_handler(PageError, _sorry)
        app.add_url_rule(self._op.paths.authorize, "authorize", self.authorize, methods=["GET", "POST"])

    def authorize(self) -> AnyResponse:
        """Show the page, or go on with what was chosen there: `person` and `outcome`."""
        wanted = self._op.read(request.args)
        if request.method == "GET":
            people = self._people.values()
            return _html(
                render_template(
                    "mitid.html", words=_WORDS, language="en", client=wanted.client.id, people=people, outcomes=OUTCOMES
                ),
                200,
            )
        person = self._people.get(request.form.get("person", ""))
        if person is None:
            raise PageError("unknown_person")
        return self._decided(wanted, person, request.form.get("outcome", "approve"))

    def _decided(self, wanted: Wanted, person: SimPerson, outcome: str) -> AnyResponse:
        if outcome not in OUTCOMES:
            raise PageError("unknown_outcome")
        if outcome == "approve" and person.habit in OUTCOMES:
            outcome = person.habit
        if outcome in _ERRORS:
            return redirect(self._op.refuse(wanted, *_ERRORS[outcome]), 303)
        approval = Approval(
            person=person, party=wanted.client.id, ip=request.remote_addr or "", today=self._op.clock.now().date()
        )
        claims = _claims(approval, wanted.scopes)
        return redirect(self._op.approve(wanted, person.uuid, {"jti": secrets.token_hex(16)}, claims), 303)


def _claims(approval: Approval, scopes: Iterable[str]) -> dict[str, Any]:
    claims = {CLAIM + "transactionReference": secrets.token_urlsafe(48)}
    for scope in scopes:
        told = _SCOPES.get(scope.removeprefix(SCOPE)) if scope.startswith(SCOPE) else _STANDARD.get(scope)
        claims |= told(approval) if told else {}
    return claims


def _own(attribute: str, member: str) -> Callable[[Approval], dict[str, Any]]:
    return lambda approval: {CLAIM + member: attributes_of(approval, [attribute])[member]}


def _number(approval: Approval) -> dict[str, Any]:
    person = approval.person
    if person.number is None:
        return {}
    return {CLAIM + "personalIdentityNumber": person.number, CLAIM + "country": person.country}


def _profile(approval: Approval) -> dict[str, Any]:
    person = approval.person
    return {"name": person.name, "given_name": person.given_name, "family_name": person.family_name}


def _email(approval: Approval) -> dict[str, Any]:
    return {"email": attributes_of(approval, ["EMAIL_ADDRESS"])["emailAddress"], "email_verified": True}


_STANDARD: Mapping[str, Callable[[Approval], dict[str, Any]]] = {"profile": _profile, "email": _email}
_SCOPES: Mapping[str, Callable[[Approval], dict[str, Any]]] = {
    **{name: _own(*own) for name, own in _OWN.items()},
    "personalIdentityNumber": _number,
    "birthdate": lambda approval: {"birthdate": approval.person.born.isoformat()},
    "transactionReference": lambda _approval: {},  # is told in any case
}


def _sorry(error: PageError) -> Response:
    return _html(render_template("mitid_error.html", words=_WORDS, language="en", code=error.code), 400)


def _html(body: str, status: int) -> Response:
    return Response(body, status, _HEADERS, mimetype="text/html")
