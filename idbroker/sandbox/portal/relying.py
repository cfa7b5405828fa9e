"""An OpenID Connect relying party in one file: what a portal has to do, and nothing of the broker's own code.

It checks our tokens with PyJWT, so that it is a second opinion on what our engine signs.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus, urlencode

import jwt
import requests

from idbroker.clock import Clock
from idbroker.sandbox.explain import claims, parameters
from idbroker.sandbox.portal.key import PortalKey
from idbroker.sandbox.portal.trail import Step, Trail, checks, curl_get, curl_post, decoded

PATIENCE = (3, 40)
SKEW = timedelta(seconds=10)
ID_TOKEN_LIFE = timedelta(hours=1)  # the longest that is believed
KEYS_AGAIN = timedelta(seconds=30)
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class NotBelieved(Exception):
    """The broker's answer failed a check, or was an error: `code` and `words` say which."""

    def __init__(self, code: str, words: str, trail: Trail = ()) -> None:
        super().__init__(code)
        self.code, self.words, self.trail = code, words, trail


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """How a portal is registered at the broker: with a secret, or with a key.

    `framed` portals are told by a frame that a sign-on is over, the others by a logout token.
    """

    issuer: str
    client_id: str
    redirect_uri: str
    goodbye_uri: str
    scope: str
    language: str
    proof: str | PortalKey = field(repr=False)
    framed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A login that was begun: what the answer must fit, and where the person wanted to go."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    door: str
    trail: Trail = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A person who is logged in at the portal."""

    claims: Mapping[str, Any] = field(repr=False)
    userinfo: Mapping[str, Any] = field(repr=False)
    id_token: str = field(repr=False)
    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)

    @property
    def name(self) -> str:
        """Return whom to greet; a protected person has no name here."""
        return str(self.userinfo.get("name") or "")


class RelyingParty:
    """One portal's side of the protocol."""

    def __init__(self, registration: Registration, clock: Clock) -> None:
        self.registration = registration
        self._clock = clock
        self._http = requests.Session()
        self._http.trust_env = False
        self._kept: dict[str, Any] = {}
        self._fetching = threading.Lock()

    @property
    def now(self) -> datetime:
        """Return the portal's time."""
        return self._clock.now()

    # ---- the request -----------------------------------------------------------------------------

    def begin(self, door: str, more: Mapping[str, str]) -> tuple[Pending, str]:
        """Begin a login that will end at a door; return what to remember and where to send the browser."""
        ours = self.registration
        pending = Pending(
            state=secrets.token_urlsafe(16),
            nonce=secrets.token_urlsafe(16),
            verifier=secrets.token_urlsafe(48),
            door=door,
        )
        asked = {
            "client_id": ours.client_id,
            "redirect_uri": ours.redirect_uri,
            "response_type": "code",
            "scope": ours.scope,
            "state": pending.state,
            "nonce": pending.nonce,
            "code_challenge": _half(pending.verifier, whole=True),
            "code_challenge_method": "S256",
            "ui_locales": ours.language,
            **more,
        }
        endpoint = self.metadata()["authorization_endpoint"]
        url = f"{endpoint}?{urlencode(asked)}"
        step = self._step(
            "Portal → browser → broker",
            "The portal sends the browser to the broker",
            "A redirect: everything the portal wants is in the address.",
            line=f"GET {endpoint}",
            tables=(parameters(asked),),
            curl=curl_get(url),
        )
        return replace(pending, trail=(step,)), url

    # ---- the answer ------------------------------------------------------------------------------

    def finish(self, pending: Pending, answer: Mapping[str, str]) -> tuple[Login, Trail]:
        """Turn the broker's answer into a login. NotBelieved, with the steps so far, for anything else."""
        trail = [*pending.trail, self._answered(answer)]
        try:
            self._check_answer(answer)
            tokens = self._redeem(pending, answer["code"], trail)
            verified = self._verified(tokens, pending.nonce, trail)
            userinfo = self._userinfo(str(tokens["access_token"]), verified["sub"], trail)
        except NotBelieved as error:
            raise NotBelieved(error.code, error.words, tuple(trail)) from error
        login = Login(
            claims=verified,
            userinfo=userinfo,
            id_token=tokens["id_token"],
            access_token=tokens["access_token"],
            refresh_token=tokens.get("refresh_token"),
        )
        return login, tuple(trail)

    def refresh(self, login: Login) -> tuple[Login, Trail]:
        """Get new tokens without the person. NotBelieved when there is no refresh token, or it is refused."""
        if login.refresh_token is None:
            raise NotBelieved("no_refresh_token", "This portal has no refresh token: it is not registered for one.")
        trail: list[Step] = []
        form = {"grant_type": "refresh_token", "refresh_token": login.refresh_token}
        try:
            tokens = self._ask_tokens(form, "The portal asks for new tokens", trail)
            verified = self._verified(tokens, None, trail)
        except NotBelieved as error:
            raise NotBelieved(error.code, error.words, tuple(trail)) from error
        if verified["sub"] != login.claims["sub"]:
            raise NotBelieved("sub", "The new ID token is about somebody else.", tuple(trail))
        renewed = replace(
            login,
            claims=verified,
            id_token=tokens["id_token"],
            access_token=tokens["access_token"],
            refresh_token=tokens.get("refresh_token", login.refresh_token),
        )
        return renewed, tuple(trail)

    def userinfo(self, login: Login) -> tuple[Login, Trail]:
        """Ask again who the person is."""
        trail: list[Step] = []
        try:
            told = self._userinfo(login.access_token, login.claims["sub"], trail)
        except NotBelieved as error:
            raise NotBelieved(error.code, error.words, tuple(trail)) from error
        return replace(login, userinfo=told), tuple(trail)

    def farewell(self, login: Login, state: str, language: str) -> tuple[str, Step]:
        """Return where to send the browser to log out everywhere (RP-Initiated Logout 2)."""
        endpoint = self.metadata()["end_session_endpoint"]
        asked = {
            "id_token_hint": login.id_token,
            "post_logout_redirect_uri": self.registration.goodbye_uri,
            "state": state,
            "ui_locales": language,
        }
        step = self._step(
            "Portal → browser → broker",
            "The portal logs the person out",
            "The ID token proves that it may: a link from anywhere else would be asked first.",
            line=f"GET {endpoint}",
            tables=(parameters(asked),),
        )
        return f"{endpoint}?{urlencode(asked)}", step

    def metadata(self) -> Mapping[str, Any]:
        """Return the broker's metadata (Discovery 4), fetched once."""
        if "metadata" not in self._kept:
            issuer = self.registration.issuer
            found = self._get(f"{issuer}/.well-known/openid-configuration")
            if found.get("issuer") != issuer:
                raise NotBelieved("issuer", "The metadata is another issuer's.")
            self._kept["metadata"] = found
        kept: Mapping[str, Any] = self._kept["metadata"]
        return kept

    # ---- checks ----------------------------------------------------------------------------------

    def _answered(self, answer: Mapping[str, str]) -> Step:
        good = "code" in answer
        return self._step(
            "Broker → browser → portal",
            "The broker sends the browser back" + ("" if good else " with an error"),
            "The code says nothing by itself; the portal redeems it next." if good else "There is no login.",
            line=f"GET {self.registration.redirect_uri}",
            tables=(parameters(answer),),
        )

    def _check_answer(self, answer: Mapping[str, str]) -> None:
        # RFC 9207, 2.4: an answer from another issuer would have the code sent there (mix-up).
        if answer.get("iss") != self.registration.issuer:
            raise NotBelieved("iss", "The answer is not from the broker that was asked.")
        if "error" in answer:
            raise NotBelieved(answer["error"], answer.get("error_description", ""))
        if "code" not in answer:
            raise NotBelieved("no_code", "The answer holds no code.")

    def _verified(self, tokens: Mapping[str, Any], nonce: str | None, trail: list[Step]) -> Mapping[str, Any]:
        """Return the claims of an ID token once every check of Core 3.1.3.7 has passed."""
        token, ours, now = str(tokens["id_token"]), self.registration, self._clock.now()
        try:
            header = jwt.get_unverified_header(token)
            key = self.key(str(header.get("kid")))
            # The sandbox's clock can be moved, so time is checked below by that clock.
            options: Any = {
                "require": ["iss", "sub", "aud", "exp", "iat"], "verify_exp": False, "verify_iat": False,
                "verify_nbf": False,
            }  # fmt: skip
            found: dict[str, Any] = jwt.decode(
                token, key, algorithms=["ES256"], audience=ours.client_id, issuer=ours.issuer, options=options
            )
        except jwt.PyJWTError as error:
            raise NotBelieved("id_token", f"The ID token does not verify: {error}") from error
        check_bounds(found, ours.client_id, now, ID_TOKEN_LIFE)
        if nonce is not None and found.get("nonce") != nonce:
            raise NotBelieved("nonce", "The ID token belongs to another login.")
        if found.get("at_hash") != _half(str(tokens["access_token"])):
            raise NotBelieved("at_hash", "The access token is not the ID token's.")
        passed = [
            ("signature", f"{header['alg']} by the broker's key {key.key_id}"),
            ("iss", ours.issuer),
            ("aud", ours.client_id),
            ("exp, iat", f"good until {found['exp'] - int(now.timestamp())} s from now"),
            ("nonce", "the one this portal sent" if nonce else "none: this is no new login"),
            ("at_hash", "goes with the access token"),
            ("acr", str(found.get("acr"))),
        ]
        step = self._step(
            "Portal", "The portal checks the ID token", "Each of these stops an attack.",
            tables=(*decoded(token, "ID token"), checks(passed)),
        )  # fmt: skip
        trail.append(step)
        return found

    def key(self, kid: str) -> jwt.PyJWK:
        """Return a key the broker signs with. PyJWTError for an unknown one, NotBelieved when none can be had now."""
        found = self._published(kid) or (self._fetch_keys() and self._published(kid))
        if not found:
            raise jwt.InvalidKeyError("the broker publishes no such key")
        return jwt.PyJWK(found)

    def _published(self, kid: str) -> dict[str, Any] | None:
        # A key for encryption signs nothing (RFC 7517, 4.2).
        known = (key for key in self._kept.get("jwks", {"keys": ()})["keys"] if key.get("use", "sig") == "sig")
        return next((key for key in known if key.get("kid") == kid), None)

    def _fetch_keys(self) -> bool:
        """Fetch them: a key we do not know may be one the broker has begun to use since."""
        with self._fetching:
            if "jwks" in self._kept:
                # Or it is a stranger's invention, each of which would have us ask the broker again.
                if abs(self.now - self._kept.get("jwks_again", datetime.min.replace(tzinfo=UTC))) < KEYS_AGAIN:
                    raise NotBelieved("unreachable", "An unknown key, and the broker was asked for its keys just now.")
                self._kept["jwks_again"] = self.now
            self._kept["jwks"] = self._get(self.metadata()["jwks_uri"])
        return True

    # ---- behind the browser's back ---------------------------------------------------------------

    def _redeem(self, pending: Pending, code: str, trail: list[Step]) -> Mapping[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.registration.redirect_uri,
            "code_verifier": pending.verifier,
        }
        return self._ask_tokens(form, "The portal redeems the code", trail)

    def _ask_tokens(self, form: dict[str, str], title: str, trail: list[Step]) -> Mapping[str, Any]:
        endpoint, ours = str(self.metadata()["token_endpoint"]), self.registration
        proof = ours.proof
        sent = {**form, **self._assertion(proof)} if isinstance(proof, PortalKey) else form
        login = None if isinstance(proof, PortalKey) else (quote_plus(ours.client_id), quote_plus(proof))
        status, told = self._post(endpoint, sent, login)
        how = "with its secret" if login else "with a token signed by its own key"
        shown = parameters(sent, "Request")
        trail.append(
            self._step(
                "Portal → broker, directly",
                title,
                f"Not through the browser: the portal proves who it is {how}.",
                line=f"POST {endpoint}",
                tables=(shown, parameters(told, f"Answer: HTTP {status}")),
                curl=curl_post(endpoint, sent, login),
            )
        )
        if status != 200:
            raise NotBelieved(str(told.get("error", status)), str(told.get("error_description", "")))
        return told

    def _userinfo(self, access_token: str, subject: Any, trail: list[Step]) -> Mapping[str, Any]:
        endpoint = str(self.metadata()["userinfo_endpoint"])
        headers = {"Authorization": f"Bearer {access_token}"}
        status, told = self._send("GET", endpoint, headers=headers)
        trail.append(
            self._step(
                "Portal → broker, directly",
                "The portal asks who it is",
                "The access token opens userinfo; what is in it follows from the scopes.",
                line=f"GET {endpoint}",
                tables=(claims(told, f"Answer: HTTP {status}"),),
                curl=curl_get(endpoint, headers),
            )
        )
        if status != 200:
            raise NotBelieved(str(told.get("error", status)), "The access token is not accepted: it may have ended.")
        # Core 5.3.2: userinfo of somebody else could be swapped in.
        if told.get("sub") != subject:
            raise NotBelieved("sub", "Userinfo is about somebody else.")
        return told

    def _assertion(self, key: PortalKey) -> dict[str, str]:
        now = int(self._clock.now().timestamp())
        said = {
            "iss": self.registration.client_id, "sub": self.registration.client_id, "aud": self.registration.issuer,
            "iat": now, "exp": now + 60, "jti": secrets.token_urlsafe(12),
        }  # fmt: skip
        token = jwt.encode(said, key.private, algorithm="ES256", headers={"kid": key.kid})
        return {"client_assertion_type": _ASSERTION, "client_assertion": token}

    def _get(self, url: str) -> dict[str, Any]:
        status, told = self._send("GET", url)
        if status != 200:
            raise NotBelieved("unreachable", f"The broker answers HTTP {status}.")
        return told

    def _post(self, url: str, form: Mapping[str, str], login: tuple[str, str] | None) -> tuple[int, dict[str, Any]]:
        return self._send("POST", url, data=dict(form), auth=login)

    def _send(self, method: str, url: str, **options: Any) -> tuple[int, dict[str, Any]]:
        try:
            response = self._http.request(method, url, timeout=PATIENCE, allow_redirects=False, **options)
            told = json.loads(response.content)
        except (requests.RequestException, ValueError) as error:
            raise NotBelieved("unreachable", f"The broker does not answer: {type(error).__name__}.") from error
        if not isinstance(told, dict):
            raise NotBelieved("unreachable", "The broker's answer is not a JSON object.")
        return response.status_code, told

    def _step(self, who: str, title: str, words: str, **more: Any) -> Step:
        return Step(at=self._clock.now(), who=who, title=title, words=words, **more)


def check_bounds(claims: Mapping[str, Any], client_id: str, now: datetime, longest: timedelta) -> None:
    """Require that a token is of now and for one portal: a caught one could be used for years, or handed on."""
    if claims["aud"] not in (client_id, [client_id]):  # Core 3.1.3.7, 3
        raise NotBelieved("aud", "The token is not for this portal alone.")
    iat, exp, skew = claims["iat"], claims["exp"], SKEW.total_seconds()
    if type(iat) is not int or type(exp) is not int:  # `true` is a number to Python
        raise NotBelieved("exp", "iat and exp are no moments.")
    if not iat - skew <= now.timestamp() < exp + skew or exp - iat > longest.total_seconds():
        raise NotBelieved("exp", "The token is not of now.")


def _half(value: str, *, whole: bool = False) -> str:
    """Return the left half of the SHA-256, as in `at_hash` (Core 3.1.3.6), or all of it (RFC 7636, 4.2)."""
    digest = hashlib.sha256(value.encode()).digest()
    return urlsafe_b64encode(digest if whole else digest[:16]).rstrip(b"=").decode()
