"""One sign-in at an OpenID provider: asked for, answered, redeemed, verified (OpenID Connect Core, 3.1)."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests
from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.client import OAuth2Client

from idbroker.errors import Cancelled, ProviderError, Refused, Unreachable, Untrusted
from idbroker.keyset import Use
from idbroker.providers import Asked, Means, Redirect, Summons
from idbroker.providers._oidc.client_auth import auth_methods, auth_type
from idbroker.providers._oidc.discovery import Discovery, Metadata
from idbroker.providers._oidc.encrypted import open_nested
from idbroker.providers._oidc.id_token import Expected, check_id_token, proved_at
from idbroker.providers._oidc.keys import LOGOUT_TOKEN, KeyCache
from idbroker.providers._oidc.logout_token import Expected as Ending
from idbroker.providers._oidc.logout_token import read_logout_token
from idbroker.providers._oidc.pulse import Pulse
from idbroker.providers._oidc.request_object import signed_request
from idbroker.providers._oidc.upstream import Upstream, ask, clean, same, told

_LONGEST_CODE = 4096
# The second is what OP's Identity Service Broker says.
_CANCELLED = frozenset({"access_denied", "cancel"})
_DOWN = frozenset({"server_error", "temporarily_unavailable"})
_REFUSALS = {"unmet_authentication_requirements": "level_too_low"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was verified: the claims of the ID token and of userinfo apart, and what else is of use.

    `id_token` is the signed one, without the encryption around it: as a hint it is sent like that (Core, 3.1.2.1).
    """

    issuer: str
    subject: str = field(repr=False)
    proved_at: datetime
    id_claims: Mapping[str, Any] = field(repr=False)
    userinfo: Mapping[str, Any] = field(repr=False)
    id_token: str = field(repr=False)
    access_token: str = field(repr=False)

    @property
    def claims(self) -> Mapping[str, Any]:
        """Return all claims; what was signed goes before what was fetched."""
        return {**self.userinfo, **self.id_claims}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What is remembered while the person is away: it comes back only with their own browser."""

    issuer: str
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    asked: datetime


class OpenIdClient:
    """Signs people in at one upstream; threads may share it."""

    def __init__(self, upstream: Upstream, means: Means) -> None:
        self.upstream = upstream
        self.http = means.http()
        self._means = means
        self._discovery = Discovery(upstream, self.http, sandbox=means.sandbox)
        self._keys = KeyCache(self.http, upstream, means.copies)
        self._pulse = Pulse(self._discovery.look)
        # At DEBUG Authlib writes verifiers and tokens to its log.
        logging.getLogger("authlib").setLevel(logging.INFO)

    def begin(self, asked: Asked, parameters: Callable[[bool], Mapping[str, str]]) -> Redirect:
        """Return where the person goes. `parameters` is told whether the request is pushed, unseen by anybody.

        Raises Unreachable or Untrusted.
        """
        metadata = self._discovery.get(asked.now)
        pushed = self._pushes(metadata)
        kept = _Kept(
            issuer=metadata.issuer,
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            asked=asked.now,
        )
        with_age = {} if asked.max_age is None else {"max_age": str(int(asked.max_age.total_seconds()))}
        with_prompt = {"prompt": "login"} if asked.fresh else {}
        url, _ = self._client().create_authorization_url(
            metadata.authorization_endpoint,
            state=asked.handle,
            code_verifier=kept.verifier,
            nonce=kept.nonce,
            redirect_uri=asked.return_url,
            **with_age,
            **with_prompt,
            **parameters(pushed),
        )
        if self.upstream.signed_requests:
            said = dict(parse_qsl(urlsplit(url).query))
            said = signed_request(said, self.upstream, self._means, asked.now)
            url = f"{metadata.authorization_endpoint}?{urlencode(said)}"
        url = self._push(metadata, url, asked.now) if pushed else url
        return Redirect(url=url, state=_packed(kept))

    def metadata(self, now: datetime) -> Metadata:
        """Return the upstream's description. Raises Unreachable or Untrusted."""
        return self._discovery.get(now)

    def answers(self, now: datetime) -> bool:
        """Tell whether the upstream answers just now, in two seconds at most."""
        return self._pulse.beats(now)

    def logout_token(self, token: str, now: datetime) -> Summons:
        """Return what a logout token says. Raises Unreachable or Untrusted."""
        metadata = self._discovery.get(now)
        claims = self._keys.verified(self._opened(token), metadata, now, LOGOUT_TOKEN)
        return read_logout_token(claims, Ending(issuer=metadata.issuer, client_id=self.upstream.client_id, now=now))

    def _opened(self, token: str) -> str:
        """Return the signed token: what is to be encrypted is taken only from inside (RFC 7519, 5.2)."""
        accepted = self.upstream.encryption
        return token if accepted is None else open_nested(token, accepted, self._means.keys.decryption(Use.OIDC_ENC))

    def _pushes(self, metadata: Metadata) -> bool:
        if self.upstream.pushed and metadata.pushed_endpoint is None:
            raise Unreachable("pushed requests are set but not offered")
        return self.upstream.pushed is not False and metadata.pushed_endpoint is not None

    def _push(self, metadata: Metadata, url: str, now: datetime) -> str:
        client = self._client(now, metadata.token_endpoint)
        response = ask(
            self.http,
            "POST",
            metadata.pushed_endpoint or "",
            data=urlsplit(url).query,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            auth=client.client_auth(self.upstream.auth_method),
        )
        name = told(response).get("request_uri")
        if not isinstance(name, str):
            raise Unreachable("pushed request: no name for it")
        query = urlencode({"client_id": self.upstream.client_id, "request_uri": name})
        return f"{metadata.authorization_endpoint}?{query}"

    def finish(self, asked: Asked, state: bytes, reply: Mapping[str, str], *, userinfo: bool) -> Proof:
        """Return what was proved. Raises Cancelled, Refused, Unreachable or Untrusted."""
        kept, metadata = _unpacked(state), self._discovery.get(asked.now)
        _check_reply(reply, asked, kept, metadata)
        code = reply.get("code", "")
        if not 0 < len(code) <= _LONGEST_CODE:
            raise Untrusted("no code")
        tokens = self._redeem(metadata, asked, kept, code)
        tokens = {**tokens, "id_token": self._opened(tokens["id_token"])}
        claims = self._verified(metadata, asked, kept, code, tokens)
        more = self._userinfo(metadata, asked, claims, tokens) if userinfo else {}
        return Proof(
            issuer=metadata.issuer,
            subject=claims["sub"],
            proved_at=proved_at(claims),
            id_claims=claims,
            userinfo=more,
            id_token=tokens["id_token"],
            access_token=tokens["access_token"],
        )

    def _client(self, now: datetime | None = None, token_endpoint: str = "") -> OAuth2Client:
        client = OAuth2Client(
            session=self.http,
            client_id=self.upstream.client_id,
            client_secret=self.upstream.client_secret,
            token_endpoint_auth_method=self.upstream.auth_method,
            code_challenge_method="S256",
        )
        client.client_auth_class = auth_type
        for method in auth_methods(self.upstream, self._means, now, token_endpoint):
            client.register_client_auth_method(method)
        return client

    def _redeem(self, metadata: Metadata, asked: Asked, kept: _Kept, code: str) -> Mapping[str, Any]:
        named = {"client_id": self.upstream.client_id} if self.upstream.auth_method == "private_key_jwt" else {}
        try:
            tokens = self._client(asked.now, metadata.token_endpoint).fetch_token(
                metadata.token_endpoint,
                grant_type="authorization_code",
                code=code,
                redirect_uri=asked.return_url,
                code_verifier=kept.verifier,
                **named,
            )
        except OAuth2Error as error:
            raise _token_error(error) from error
        except (requests.RequestException, ValueError, TypeError, RecursionError) as error:
            raise Unreachable(f"token: {type(error).__name__}") from error
        self._pulse.heard(asked.now)
        return _checked_tokens(tokens)

    def _verified(
        self, metadata: Metadata, asked: Asked, kept: _Kept, code: str, tokens: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        claims = self._keys.verified(tokens["id_token"], metadata, asked.now)
        check_id_token(
            claims,
            Expected(
                issuer=metadata.issuer,
                client_id=self.upstream.client_id,
                nonce=kept.nonce,
                code=code,
                access_token=tokens["access_token"],
                now=asked.now,
                asked=kept.asked,
                max_age=timedelta() if asked.fresh else asked.max_age,
            ),
        )
        return claims

    def _userinfo(
        self, metadata: Metadata, asked: Asked, claims: Mapping[str, Any], tokens: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        if metadata.userinfo_endpoint is None:
            raise Unreachable("no userinfo endpoint")
        bearer = {"Authorization": f"Bearer {tokens['access_token']}", "Accept": "application/json, application/jwt"}
        response = ask(self.http, "GET", metadata.userinfo_endpoint, headers=bearer)
        signed = response.headers.get("Content-Type", "").partition(";")[0].strip().lower() == "application/jwt"
        if not signed and self.upstream.encryption is not None:
            raise Untrusted("userinfo: not encrypted")
        more = self._signed(response, metadata, asked.now) if signed else told(response)
        # A userinfo answer about somebody else is how a token is swapped (OpenID Connect Core, 5.3.2).
        if more.get("sub") != claims["sub"]:
            raise Untrusted("userinfo: somebody else")
        return more

    def _signed(self, response: requests.Response, metadata: Metadata, now: datetime) -> Mapping[str, Any]:
        if response.status_code != 200 or not response.content.isascii():
            raise Unreachable(f"userinfo: HTTP {response.status_code}")
        claims = self._keys.verified(self._opened(response.content.decode().strip()), metadata, now)
        audience = claims.get("aud")
        if claims.get("iss") != metadata.issuer or self.upstream.client_id not in (
            audience if isinstance(audience, list) else [audience]
        ):
            raise Untrusted("userinfo: signed for somebody else")
        return claims


def _packed(kept: _Kept) -> bytes:
    return json.dumps(
        {"issuer": kept.issuer, "nonce": kept.nonce, "verifier": kept.verifier, "asked": kept.asked.timestamp()}
    ).encode()


def _unpacked(state: bytes) -> _Kept:
    try:
        kept = json.loads(state)
        asked = datetime.fromtimestamp(kept["asked"], UTC)
        return _Kept(issuer=kept["issuer"], nonce=kept["nonce"], verifier=kept["verifier"], asked=asked)
    except (ValueError, KeyError, TypeError) as error:
        raise Untrusted("a state that does not read") from error


def _check_reply(reply: Mapping[str, str], asked: Asked, kept: _Kept, metadata: Metadata) -> None:
    # Another transaction's answer pushed into this browser (CSRF, code injection; RFC 9700, 4.5, 4.7).
    if not same(reply.get("state"), asked.handle):
        raise Untrusted("state: another transaction's")
    # An answer from another issuer than the one asked (mix-up; RFC 9207, 2.4).
    issuer = reply.get("iss")
    if kept.issuer != metadata.issuer or (issuer is None and metadata.says_issuer) or issuer not in (None, kept.issuer):
        raise Untrusted("iss: not the issuer that was asked")
    if "error" in reply:
        raise _reply_error(reply)


def _reply_error(reply: Mapping[str, str]) -> ProviderError:
    detail = clean(f"{reply['error']}: {reply.get('error_description', '')}")
    if reply["error"] in _CANCELLED:
        return Cancelled(detail)
    if reply["error"] in _DOWN:
        return Unreachable(detail)
    return Refused(_REFUSALS.get(reply["error"], "eid_refused"), detail)


def _token_error(error: OAuth2Error) -> ProviderError:
    # A code that is used, old, or another client's: the answer was replayed or injected.
    if error.error == "invalid_grant":
        return Untrusted("token: invalid_grant")
    return Unreachable(clean(f"token: {error.error}"))


def _checked_tokens(tokens: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in ("access_token", "id_token", "token_type"):
        if not isinstance(tokens.get(name), str) or not tokens[name].isascii():
            raise Untrusted(f"token: no {name}")
    if tokens["token_type"].lower() != "bearer":
        raise Untrusted("token: of a type we cannot use")
    return tokens
