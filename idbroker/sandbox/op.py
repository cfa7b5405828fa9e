"""An OpenID provider for simulators: parameters in, values out, honest unless told to lie.

It is what an upstream of ours is at the wire: codes that work once (RFC 6749, 4.1), PKCE (RFC 7636),
pushed requests (RFC 9126), the issuer in the answer (RFC 9207), three ways to authenticate a client.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from joserfc.jwk import ECKey, Key, RSAKey
from joserfc.util import urlsafe_b64encode

from idbroker.clock import Clock
from idbroker.sandbox.op_client import OpError, SimClient, authenticate
from idbroker.sandbox.op_lies import ATTACKER, lie_about_jwks, lie_about_token, lie_about_userinfo, make_token

CODE_LIFE = timedelta(minutes=1)
PUSHED_LIFE = timedelta(minutes=10)
ID_TOKEN_LIFE = timedelta(seconds=300)
ACCESS_TOKEN_LIFE = timedelta(hours=3)
_URN = "urn:ietf:params:oauth:request_uri:"

Value = TypeVar("Value")


class PageError(Exception):
    """The request is answered with a page and never redirected: who asked cannot be trusted."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Where this upstream has its endpoints, after its issuer."""

    authorize: str = "/connect/authorize"
    token: str = "/connect/token"
    userinfo: str = "/connect/userinfo"
    pushed: str = "/connect/par"
    end_session: str = "/connect/endsession"
    jwks: str = "/.well-known/openid-configuration/jwks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A request that passed its checks."""

    client: SimClient
    redirect_uri: str
    parameters: Mapping[str, str] = field(repr=False)

    @property
    def scopes(self) -> tuple[str, ...]:
        """Return the scopes asked for."""
        return tuple(self.parameters.get("scope", "").split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A person who signed in for one request: what the ID token and the userinfo answer will say."""

    id: str
    wanted: Wanted
    subject: str = field(repr=False)
    at: datetime
    id_claims: Mapping[str, Any] = field(repr=False)
    userinfo: Mapping[str, Any] = field(repr=False)


class Kept(Generic[Value]):
    """Values under random names, each for a while."""

    def __init__(self, clock: Clock, life: timedelta) -> None:
        self._clock, self._life = clock, life
        self._values: dict[str, tuple[datetime, Value]] = {}
        self._lock = threading.Lock()

    def add(self, value: Value) -> str:
        """Keep a value and return its name."""
        name, now = secrets.token_urlsafe(24), self._clock.now()
        with self._lock:
            self._values = {key: kept for key, kept in self._values.items() if kept[0] > now}
            self._values[name] = (now + self._life, value)
        return name

    def get(self, name: str) -> Value | None:
        """Return the value, or None."""
        ends, value = self._values.get(name, (None, None))
        return value if ends is not None and self._clock.now() < ends else None

    def take(self, name: str) -> Value | None:
        """Return the value once."""
        with self._lock:
            value = self.get(name)
            self._values.pop(name, None)
        return value


class OpenIdProvider:
    """One upstream. `lies` says at each step what it lies about now; see `op_lies.LIES`."""

    def __init__(
        self,
        *,
        issuer: str,
        clock: Clock,
        clients: Mapping[str, SimClient],
        lies: Callable[[], frozenset[str]] = frozenset,
        paths: Paths | None = None,
        extra_metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.issuer, self.clock, self.clients, self.lies = issuer, clock, clients, lies
        self.paths = paths or Paths()
        self.extra_metadata = extra_metadata or {}
        self.used_assertions: set[str] = set()
        self.assertion_audience = issuer
        self._codes: Kept[Login] = Kept(clock, CODE_LIFE)
        self._pushed: Kept[Mapping[str, str]] = Kept(clock, PUSHED_LIFE)
        self._tokens: Kept[Login] = Kept(clock, ACCESS_TOKEN_LIFE)
        self._keys: dict[str, Key] = _new_keys()

    def rotate(self, *, algs: tuple[str, ...] = ("ES256", "RS256")) -> None:
        """Sign with new keys from now on; the old ones are gone from the key set."""
        self._keys = {alg: key for alg, key in _new_keys().items() if alg in algs}

    def metadata(self) -> dict[str, Any]:
        """Return the discovery document (OpenID Connect Discovery 1.0, 3)."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": self.issuer + self.paths.authorize,
            "token_endpoint": self.issuer + self.paths.token,
            "userinfo_endpoint": self.issuer + self.paths.userinfo,
            "pushed_authorization_request_endpoint": self.issuer + self.paths.pushed,
            "end_session_endpoint": self.issuer + self.paths.end_session,
            "jwks_uri": self.issuer + self.paths.jwks,
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["ES256", "RS256"],
            "token_endpoint_auth_methods_supported": [
                "client_secret_basic",
                "client_secret_post",
                "private_key_jwt",
            ],
            "token_endpoint_auth_signing_alg_values_supported": ["RS256", "ES256", "PS256"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            **self.extra_metadata,
        }

    def jwks(self) -> dict[str, Any]:
        """Return the key set."""
        return lie_about_jwks({"keys": [_public(key, alg) for alg, key in self._keys.items()]}, self.lies())

    def read(self, parameters: Mapping[str, str]) -> Wanted:
        """Check a request at the authorization endpoint, pushed or not. PageError when it is wrong."""
        urn = parameters.get("request_uri")
        if urn is not None:
            pushed = self._pushed.get(urn.removeprefix(_URN))
            if pushed is None or pushed["client_id"] != parameters.get("client_id"):
                raise PageError("invalid_request_uri")
            parameters = pushed
        return self._check(parameters)

    def push(self, form: Mapping[str, str], authorization: str | None) -> dict[str, Any]:
        """Keep a pushed request (RFC 9126, 2). OpError when it is wrong."""
        client = authenticate(self, form, authorization)
        try:
            self._check({**form, "client_id": client.id})
        except PageError as error:
            raise OpError(error.code) from None
        name = self._pushed.add({**form, "client_id": client.id})
        return {"request_uri": _URN + name, "expires_in": int(PUSHED_LIFE.total_seconds())}

    def _check(self, parameters: Mapping[str, str]) -> Wanted:
        client = self.clients.get(parameters.get("client_id", ""))
        uri = parameters.get("redirect_uri", "")
        if client is None:
            raise PageError("unauthorized_client")
        if not uri or (client.redirect_uris and uri not in client.redirect_uris):
            raise PageError("invalid_request")
        if parameters.get("response_type") != "code":
            raise PageError("unsupported_response_type")
        if "openid" not in parameters.get("scope", "").split():
            raise PageError("invalid_scope")
        if parameters.get("code_challenge") and parameters.get("code_challenge_method") != "S256":
            raise PageError("invalid_request")
        return Wanted(client=client, redirect_uri=uri, parameters=parameters)

    def approve(self, wanted: Wanted, subject: str, id_claims: Mapping[str, Any], userinfo: Mapping[str, Any]) -> str:
        """Return where the browser goes now: back, with a code for this person."""
        login = Login(
            id=secrets.token_urlsafe(12),
            wanted=wanted,
            subject=subject,
            at=self.clock.now(),
            id_claims=id_claims,
            userinfo=userinfo,
        )
        return self._back(wanted, {"code": self._codes.add(login)})

    def refuse(self, wanted: Wanted, error: str, description: str) -> str:
        """Return where the browser goes now: back, with an error."""
        if "script_in_error" in self.lies():
            description = "<script>alert(1)</script>\r\nSet-Cookie: x=1"
        return self._back(wanted, {"error": error, "error_description": description})

    def _back(self, wanted: Wanted, answer: dict[str, str]) -> str:
        lies = self.lies()
        answer["state"] = "another" if "wrong_state" in lies else wanted.parameters.get("state", "")
        answer["iss"] = self.issuer + "/evil" if "wrong_response_iss" in lies else self.issuer
        hidden = {"state": "missing_state", "iss": "missing_response_iss", "code": "missing_code"}
        return (
            wanted.redirect_uri
            + "?"
            + urlencode({name: value for name, value in answer.items() if value and hidden.get(name) not in lies})
        )

    def token(self, form: Mapping[str, str], authorization: str | None) -> dict[str, Any]:
        """Redeem a code, once (RFC 6749, 4.1.3). OpError when it is wrong."""
        client = authenticate(self, form, authorization)
        if form.get("grant_type") != "authorization_code":
            raise OpError("unsupported_grant_type")
        login = self._codes.take(form.get("code", ""))
        if login is None or login.wanted.client.id != client.id:
            raise OpError("invalid_grant")
        if login.wanted.redirect_uri != form.get("redirect_uri"):
            raise OpError("invalid_grant")
        _check_verifier(login.wanted.parameters.get("code_challenge"), form.get("code_verifier", ""))
        access_token = self._tokens.add(login)
        return {
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": int(ACCESS_TOKEN_LIFE.total_seconds()),
            "id_token": self._id_token(login, access_token),
            "scope": " ".join(login.wanted.scopes),
        }

    def _id_token(self, login: Login, access_token: str) -> str:
        now, client = int(self.clock.now().timestamp()), login.wanted.client
        claims = {
            "iss": self.issuer,
            "aud": client.id,
            "sub": login.subject,
            "iat": now,
            "nbf": now,
            "exp": now + int(ID_TOKEN_LIFE.total_seconds()),
            "auth_time": int(login.at.timestamp()),
            "at_hash": half_hash(access_token),
            **login.id_claims,
        }
        if "nonce" in login.wanted.parameters:
            claims["nonce"] = login.wanted.parameters["nonce"]
        alg, key = self.signing(client)
        return self.sealed(lie_about_token(claims, key, alg, self.lies()), client)

    def signing(self, client: SimClient) -> tuple[str, Key]:
        """Return the algorithm and the key that sign for a client."""
        alg = client.id_token_alg if client.id_token_alg in self._keys else next(iter(self._keys))
        return alg, self._keys[alg]

    def sealed(self, token: str, client: SimClient) -> str:
        """Return what is sent of a signed token: itself."""
        return token

    def login(self, authorization: str | None) -> Login:
        """Return the sign-in an access token stands for. OpError when there is none."""
        scheme, _, token = (authorization or "").partition(" ")
        login = self._tokens.get(token) if scheme.lower() == "bearer" else None
        if login is None:
            raise OpError("invalid_token", status=401)
        return login

    def userinfo(self, authorization: str | None) -> dict[str, Any] | str:
        """Return the claims of the person (OpenID Connect Core, 5.3), or them signed."""
        login, lies = self.login(authorization), self.lies()
        claims = lie_about_userinfo({**login.userinfo, "sub": login.subject}, lies)
        if not lies & {"signed_userinfo", "forged_userinfo"}:
            return claims
        key = ATTACKER if "forged_userinfo" in lies else self._keys["ES256"]
        header = {"alg": "ES256", "kid": self._keys["ES256"].kid, "typ": "JWT"}
        return make_token(header, {**claims, "iss": self.issuer, "aud": login.wanted.client.id}, key)


def half_hash(value: str) -> str:
    """Return the left half of the SHA-256, as in `at_hash` (OpenID Connect Core, 3.1.3.6)."""
    return urlsafe_b64encode(hashlib.sha256(value.encode()).digest()[:16]).decode()


def _check_verifier(challenge: str | None, verifier: str) -> None:
    digest = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode()
    if challenge is not None and digest != challenge:
        raise OpError("invalid_grant")


def _new_keys() -> dict[str, Key]:
    return {
        "ES256": ECKey.generate_key("P-256", {"use": "sig", "kid": secrets.token_hex(8)}),
        "RS256": RSAKey.generate_key(2048, {"use": "sig", "kid": secrets.token_hex(8)}),
    }


def _public(key: Key, alg: str) -> dict[str, Any]:
    return {**key.as_dict(private=False), "alg": alg}
