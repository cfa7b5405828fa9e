"""A simulated broker of the Finnish Trust Network, in one of four brokers' words, as strict as a real one.

Only signed requests are taken, in the address or pushed; what is given out is signed and encrypted to the client's
key. Endpoints are those of Telia's public documentation. It lies on request: see `ftn_lies`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from flask import Flask, Response, redirect, render_template, request
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey
from joserfc.util import urlsafe_b64decode
from werkzeug.wrappers import Response as AnyResponse

from idbroker.clock import Clock
from idbroker.identity import LoA
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.ftn_lies import CLAIMS, FTN_LIES, encrypted, signed_by_stranger
from idbroker.sandbox.op import PUSHED_LIFE, Kept, OpenIdProvider, PageError, Paths, Wanted
from idbroker.sandbox.op_client import OpError, SimClient, authenticate
from idbroker.sandbox.op_lies import make_token
from idbroker.sandbox.op_logout import Sessions, add_logout_routes
from idbroker.sandbox.op_web import add_op_routes
from idbroker.sandbox.people import SimPerson

OUTCOMES = ("approve", "cancel", "no_number", "lower_level")
PATHS = Paths(
    authorize="/oauth2/authorization",
    token="/oauth2/token",
    userinfo="/oauth2/userinfo",
    pushed="/oauth2/par",
    end_session="/oauth2/logout",
    jwks="/oauth2/metadata.jwks",
)
SIGNED_JWKS = "/openid_provider/signed_jwks.jwt"
_FTN = "http://ftn.ficora.fi/2017/"
_LONGEST_LIFE = 3600
_OUTSIDE = frozenset({"client_id", "scope", "response_type", "request", "request_uri", "simulate"})
_PUSHED = frozenset({"client_id", "request", "client_assertion", "client_assertion_type"})
_NAMES: Mapping[str, Mapping[str, str]] = {
    "telia": {
        "number": "urn:oid:1.2.246.21",
        "born": "urn:oid:1.3.6.1.5.5.7.9.1",
        "name": "urn:oid:2.16.840.1.113730.3.1.241",
        "given": "urn:oid:1.2.246.575.1.14",
        "family": "urn:oid:2.5.4.4",
        "session": "session_index",
        "service": "ftn_spname",
    },
    "op": {"number": "personal_identity_code", "session": "sid", "service": "ftn_spname"},
    "signicat": {"number": "ftn_hetu", "session": "sid", "service": "ftn_sp_name"},
    "idura": {"number": "hetu", "session": "sessionindex", "service": "ftn_spname"},
}
_USUAL = {"born": "birthdate", "name": "name", "given": "given_name", "family": "family_name"}
_WORDS: Mapping[str, Mapping[str, str]] = {
    "fi": {"title": "Simuloitu tunnistus - ei oikea", "who": "Kuka olet?", "what": "Mitä tapahtuu?", "go": "Jatka"},
    "sv": {"title": "Simulerad identifiering - inte den riktiga", "who": "Vem är du?", "what": "Vad händer?"},
    "en": {"title": "Simulated identification - not the real one", "who": "Who are you?", "what": "What happens?"},
}
_SHARED = {
    "banner": "SANDBOX",
    "for": "→",
    "go": "OK",
    "approve": "OK",
    "cancel": "Cancel",
    "no_number": "OK, no HETU",
    "lower_level": "OK, low",
    "sorry": "Sorry",
}


class TrustNetworkBroker(OpenIdProvider):
    """One broker: an OpenID provider that takes signed requests only and encrypts what it says."""

    def __init__(self, *, dialect: str, **options: Any) -> None:
        super().__init__(paths=PATHS, **options)
        self.dialect, self.names = dialect, {**_USUAL, **_NAMES[dialect]}
        if dialect in ("telia", "op"):
            self.assertion_audience = self.issuer + self.paths.token
        self.entity_key = RSAKey.generate_key(2048, {"kid": "entity", "use": "sig"})
        self._used: set[str] = set()
        self.rotate(algs=("RS256",))

    def read(self, parameters: Mapping[str, str]) -> Wanted:
        """Check a request: signed, or the name of a pushed one; nothing else beside it counts."""
        if parameters.keys() - _OUTSIDE:
            raise PageError("invalid_request")
        if "request_uri" in parameters:
            return super().read(parameters)
        return self._check(self._signed(parameters))

    def push(self, form: Mapping[str, str], authorization: str | None) -> dict[str, Any]:
        """Keep a pushed signed request (RFC 9126, 3)."""
        client = authenticate(self, form, authorization)
        if form.keys() - _PUSHED:
            raise OpError("invalid_request")
        try:
            said = self._signed(form)
            self._check(said)
        except PageError as error:
            raise OpError(error.code) from None
        name = self._pushed.add({**said, "client_id": client.id})
        life = int(PUSHED_LIFE.total_seconds())
        return {"request_uri": f"urn:ietf:params:oauth:request_uri:{name}", "expires_in": life}

    def _signed(self, parameters: Mapping[str, str]) -> Mapping[str, str]:
        """Return what a signed request says (RFC 9101, 6). PageError when anything is not as it must be."""
        client = self.clients.get(parameters.get("client_id", ""))
        if client is None or client.jwks is None:
            raise PageError("unauthorized_client")
        try:
            claims = _verified(parameters["request"], client.jwks())
            self._check_request(claims, client)
        except (JoseError, KeyError, ValueError, TypeError):
            raise PageError("invalid_request_object") from None
        self._used.add(claims["jti"])
        return {name: str(value) for name, value in claims.items() if name not in ("iss", "aud", "sub")}

    def _check_request(self, claims: Mapping[str, Any], client: SimClient) -> None:
        now = self.clock.now().timestamp()
        good = (
            claims["iss"] == claims["client_id"] == client.id
            and claims["aud"] == self.issuer
            and claims["nbf"] <= now < claims["exp"] <= now + _LONGEST_LIFE
            and claims["jti"] not in self._used
            and not claims.keys() & {"request", "request_uri", "sub"}
            and len(claims[self.names["service"]]) <= 40
        )
        if not good:
            raise ValueError("request object")

    def sealed(self, token: str, client: SimClient) -> str:
        """Return the token encrypted to the client's key."""
        lies = self.lies()
        token = signed_by_stranger(token) if "other_signer" in lies else token
        return encrypted(token, _encryption_key(client), lies)

    def userinfo(self, authorization: str | None) -> dict[str, Any] | str:
        """Return the claims of the person, signed and encrypted."""
        login, lies = self.login(authorization), self.lies()
        claims = {**login.userinfo, "sub": login.subject, "iss": self.issuer, "aud": login.wanted.client.id}
        if "plain_userinfo" in lies:
            return claims
        alg, key = self.signing(login.wanted.client)
        token = make_token({"alg": alg, "kid": key.kid, "typ": "JWT"}, claims, key, alg)
        return token if "unencrypted_userinfo" in lies else self.sealed(token, login.wanted.client)

    def signed_jwks(self) -> str:
        """Return the key set, signed with the entity's key (OpenID Federation 1.0, 5.2.1.1)."""
        claims = {**self.jwks(), "iss": self.issuer, "sub": self.issuer, "iat": int(self.clock.now().timestamp())}
        header = {"alg": "RS256", "kid": "entity", "typ": "jwk-set+jwt"}
        return make_token(header, claims, self.entity_key, "RS256")


def _verified(token: str, jwks: Mapping[str, Any]) -> dict[str, Any]:
    keys = KeySet.import_key_set({"keys": [key for key in jwks["keys"] if key.get("use") == "sig"]})
    header = json.loads(urlsafe_b64decode(token.partition(".")[0].encode()))
    if header["typ"] != "oauth-authz-req+jwt" or header["kid"] not in {key.kid for key in keys.keys}:
        raise ValueError("header")
    return dict(json.loads(jws.deserialize_compact(token, keys, algorithms=["RS256"]).payload))


def _encryption_key(client: SimClient) -> RSAKey:
    listed = client.jwks()["keys"] if client.jwks is not None else []
    return next(RSAKey.import_key(dict(key)) for key in listed if key.get("use") == "enc")


@dataclass(slots=True)
class _Pages:
    """What the person's browser sees."""

    op: TrustNetworkBroker
    sessions: Sessions
    people: Mapping[str, SimPerson]
    test: bool
    asked: Kept[Wanted]

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        app.register_error_handler(PageError, _sorry)
        app.add_url_rule(self.op.paths.authorize, "authorize", self.authorize, methods=["GET", "POST"])
        app.add_url_rule("/choose/<name>", "choose", self.choose, methods=["GET", "POST"])
        app.add_url_rule(SIGNED_JWKS, "signed_jwks", self.signed_jwks)

    def signed_jwks(self) -> AnyResponse:
        """Answer with the signed key set."""
        return Response(self.op.signed_jwks(), mimetype="application/jwk-set+jwt")

    def authorize(self) -> AnyResponse:
        """Take a request, once, and lead to the page; or go on at once with what was chosen."""
        wanted = self.op.read(request.args)
        if request.method == "POST":
            return self._decided(wanted, request.form.get("person", ""), request.form.get("outcome", "approve"))
        if "simulate" in request.args:
            outcome, _, person = request.args["simulate"].partition(":")
            return self._decided(wanted, person, outcome)
        return redirect(f"{self.op.issuer}/choose/{self.asked.add(wanted)}", 303)

    def choose(self, name: str) -> AnyResponse:
        """Show the page, or go on with what was chosen there."""
        wanted = self.asked.get(name)
        if wanted is None:
            raise PageError("session_expired")
        if request.method == "POST":
            return self._decided(wanted, request.form.get("person", ""), request.form.get("outcome", "approve"))
        language = wanted.parameters.get("ui_locales", "en")
        language = language if language in _WORDS else "en"
        page = render_template(
            "mitid.html",
            words={**_SHARED, **_WORDS[language]},
            language=language,
            client=wanted.parameters[self.op.names["service"]],
            people=self.people.values(),
            outcomes=OUTCOMES,
        )
        return _html(page, 200)

    def _decided(self, wanted: Wanted, name: str, outcome: str) -> AnyResponse:
        person = self.people.get(name)
        if person is None or outcome not in OUTCOMES:
            raise PageError("unknown_person")
        if outcome == "cancel" or person.habit == "cancel":
            error = "cancel" if self.op.dialect == "op" else "access_denied"
            return redirect(self.op.refuse(wanted, error, "cancelled"), 303)
        if outcome == "no_number":
            person = replace(person, number=None)
        return redirect(self._approved(wanted, person, low=outcome == "lower_level"), 303)

    def _approved(self, wanted: Wanted, person: SimPerson, *, low: bool) -> str:
        # Telia's and OP's `sub` is another at every sign-in.
        lasting = self.op.dialect not in ("telia", "op")
        subject = person.uuid if lasting else secrets.token_hex(16)
        claims, lies = self._claims(person, low=low), self.op.lies()
        claims[self.op.names["session"]] = self.sessions.begin(person.id, subject, wanted.client)
        for lie in sorted(lies & CLAIMS.keys()):
            claims = CLAIMS[lie](claims)
        return self.op.approve(wanted, subject, claims, claims)

    def _claims(self, person: SimPerson, *, low: bool) -> dict[str, Any]:
        names = self.op.names
        told = {
            names["born"]: person.born.isoformat(),
            names["name"]: person.name,
            names["given"]: person.given_name,
            names["family"]: person.family_name,
            **({names["number"]: person.number} if person.number else {}),
        }
        return {**told, **_OWN[self.op.dialect](self._acr(person, low=low))}

    def _acr(self, person: SimPerson, *, low: bool) -> str:
        if low:
            return "http://eidas.europa.eu/LoA/low"
        level = "loa3" if person.loa is LoA.HIGH else "loa2"
        return _FTN + ("loatest2" if self.test else level)


# What each broker says besides who the person is; two of them tell no level.
_OWN: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "telia": lambda acr: {"acr": acr, "amr": ["https://tunnistus.test/uas/saml2/names/ac/oidc.bank.1"]},
    "op": lambda acr: {"acr": acr},
    "signicat": lambda _: {"acr": "idp:ftn", "ftn_idp": "fi-op", "ftn_satu": "100000001N"},
    "idura": lambda _: {"identityscheme": "fitupas", "country": "FI", "satu": "", "authenticationtype": "bank"},
}


def make_ftn(
    people: Iterable[SimPerson],
    clock: Clock,
    faults: Faults,
    issuer: str,
    clients: Mapping[str, SimClient],
    *,
    dialect: str = "telia",
    test: bool = False,
    provider: str = "ftn",
) -> Flask:
    """Return the simulator; mount it at the path of `issuer`. With `test` it is a test environment."""
    op = TrustNetworkBroker(
        dialect=dialect,
        issuer=issuer,
        clock=clock,
        clients=clients,
        lies=lambda: faults.of(provider).lies,
        extra_metadata=_METADATA,
    )
    app = Flask(__name__)
    sessions = Sessions(op)
    app.extensions["op"], app.extensions["sessions"] = op, sessions
    add_op_routes(app, op, faults, provider)
    add_logout_routes(app, op, sessions, op.names["session"])
    finns = {person.id: person for person in people if person.country == "FI" and {"ftn", "suomifi"} & {*person.eids}}
    _Pages(op, sessions, finns, test, Kept(clock, timedelta(minutes=10))).add_to(app)
    return app


_METADATA = {
    "id_token_signing_alg_values_supported": ["RS256"],
    "id_token_encryption_alg_values_supported": ["RSA-OAEP"],
    "id_token_encryption_enc_values_supported": ["A128CBC-HS256", "A128GCM"],
    "request_parameter_supported": True,
    "require_signed_request_object": True,
    "request_object_signing_alg_values_supported": ["RS256"],
    "token_endpoint_auth_methods_supported": ["private_key_jwt"],
    "token_endpoint_auth_signing_alg_values_supported": ["RS256"],
}


def _sorry(error: PageError) -> Response:
    words = {**_SHARED, **_WORDS["en"]}
    return _html(render_template("mitid_error.html", words=words, language="en", code=error.code), 400)


def _html(body: str, status: int) -> Response:
    response = Response(body, status, mimetype="text/html")
    # No form-action: see the MitID simulator.
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


__all__ = ["FTN_LIES", "OUTCOMES", "TrustNetworkBroker", "make_ftn"]
