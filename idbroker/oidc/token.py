"""The token endpoint: which request, whether a code or refresh token may be redeemed, what is answered."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from idbroker.client import Client
from idbroker.errors import OAuthError
from idbroker.grant import Grant, LiveToken, RefreshToken
from idbroker.oidc import jose
from idbroker.oidc.parameters import Parameters, refuse_duplicates
from idbroker.oidc.secret import Secret, inside_jwt, new_secret, read_secret

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
GRANT_TYPES = ("authorization_code", "refresh_token", "client_credentials", EXCHANGE)
CODE_LIFE = timedelta(seconds=60)
ID_TOKEN_LIFE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRequest:
    """A code presented for redemption (RFC 6749, 4.1.3; RFC 7636, 4.5)."""

    code: Secret
    redirect_uri: str | None
    verifier: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshRequest:
    """A refresh token presented, with the scopes wished or none for all (RFC 6749, 6)."""

    token: Secret
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRequest:
    """A client asks as itself, for scopes of our API (RFC 6749, 4.4.2)."""

    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeRequest:
    """An access token presented for another of the same client, about `acting_for` (RFC 8693, 2.1).

    `acting_for` is `self` or the `sub` of a ward; `scopes` those wished, none for all.
    """

    subject_token: str = field(repr=False)
    acting_for: str = field(repr=False)
    scopes: tuple[str, ...]


TokenRequest = CodeRequest | RefreshRequest | ClientRequest | ExchangeRequest


def parse(parameters: Parameters, client: Client) -> TokenRequest:
    """Return what an authenticated client asks. Raises OAuthError (RFC 6749, 5.2)."""
    refuse_duplicates(parameters)
    grant_type = parameters.get("grant_type")
    if grant_type is None:
        raise OAuthError("invalid_request", "The grant_type parameter is missing")
    if grant_type == "authorization_code":
        return CodeRequest(
            code=_presented(parameters, "code"),
            redirect_uri=parameters.get("redirect_uri"),
            verifier=parameters.get("code_verifier"),
        )
    if grant_type == "refresh_token":
        if client.refresh == "never":
            raise OAuthError("unauthorized_client", "The client is not registered for refresh tokens")
        return RefreshRequest(token=_presented(parameters, "refresh_token"), scopes=parameters.words("scope"))
    if grant_type == "client_credentials":
        return _own_request(parameters, client)
    if grant_type == EXCHANGE:
        return _exchange_request(parameters, client)
    raise OAuthError("unsupported_grant_type", "This grant_type is not supported")


def _exchange_request(parameters: Parameters, client: Client) -> ExchangeRequest:
    """Return what is to be exchanged.

    Not by a client that proves nothing: whoever is shown its token, an API say, could exchange it for one about
    everybody else of the same guardian's (RFC 8693, 5).
    """
    if client.auth_method == "none" or client.acting == "never":
        raise OAuthError("unauthorized_client", "The client is not registered for token exchange")
    _check_understood(parameters)
    subject_token, acting_for = parameters.get("subject_token"), parameters.get("acting_for")
    if subject_token is None or acting_for is None:
        raise OAuthError("invalid_request", "The subject_token or acting_for parameter is missing")
    if acting_for == "ask" or not is_acting_for(acting_for):
        raise OAuthError("invalid_request", "The acting_for parameter is malformed")
    if acting_for == "self" and client.acting == "required":
        raise OAuthError("invalid_request", "The client takes nobody for themselves")
    return ExchangeRequest(subject_token=subject_token, acting_for=acting_for, scopes=parameters.words("scope"))


def _check_understood(parameters: Parameters) -> None:
    """Refuse what means something that we do not do: leaving it out would give another token than was asked for."""
    if "resource" in parameters or "audience" in parameters:
        raise OAuthError("invalid_target", "Tokens are exchanged for the client itself only")  # RFC 8693, 2.2.2
    if "actor_token" in parameters or "actor_token_type" in parameters:
        raise OAuthError("invalid_request", "The actor is who signed in: no actor_token is taken")
    if parameters.get("subject_token_type") != ACCESS_TOKEN:
        raise OAuthError("invalid_request", "The subject_token_type must be that of access tokens")
    if parameters.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
        raise OAuthError("invalid_request", "The requested_token_type must be that of access tokens")


def _own_request(parameters: Parameters, client: Client) -> ClientRequest:
    """Return what a client asks as itself. One that proves nothing is nobody's to give to (RFC 6749, 4.4)."""
    if client.auth_method == "none" or not client.api:
        raise OAuthError("unauthorized_client", "The client is not registered for client_credentials")
    scopes = parameters.words("scope")
    if not set(scopes) <= set(client.api):
        raise OAuthError("invalid_scope", "The client is not registered for such a scope")
    return ClientRequest(scopes=scopes or client.api)


def _presented(parameters: Parameters, name: str) -> Secret:
    text = parameters.get(name)
    if text is None:
        raise OAuthError("invalid_request", f"The {name} parameter is missing")
    secret = read_secret(text)
    if secret is None:
        raise OAuthError("invalid_grant", f"The {name} is not valid", detail="not of our shape")
    return secret


# ---- redeeming a code ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemption:
    """What the checks look at. The code's digest is already known to be the grant's."""

    grant: Grant
    client: Client
    request: CodeRequest
    now: datetime


def is_code_of(request: CodeRequest, grant: Grant) -> bool:
    """Tell whether this is the grant's code, not another secret of its family."""
    return hmac.compare_digest(request.code.digest, grant.code_digest)


def check_redemption(redemption: Redemption) -> None:
    """Run the checks. Raises OAuthError invalid_grant; the caller then burns the code (RFC 9700, 4.5)."""
    for check in REDEMPTION_CHECKS:
        check(redemption)


def _invalid(detail: str) -> OAuthError:
    return OAuthError("invalid_grant", "The code is not valid", detail=detail)


def check_client(redemption: Redemption) -> None:
    """Bind the code to its client: another client's code is a stolen one (RFC 6749, 4.1.3)."""
    if redemption.grant.client_id != redemption.client.id:
        raise _invalid("code of another client")


def check_unspent(redemption: Redemption) -> None:
    """Allow one use; a second means that somebody else saw the code (RFC 6749, 4.1.2)."""
    if redemption.grant.code_spent:
        raise _invalid("code used before")


def check_fresh(redemption: Redemption) -> None:
    """Refuse after sixty seconds (FAPI 2.0, 5.3.2.1; ASVS 10.4.3)."""
    if redemption.now >= redemption.grant.code_expires_at:
        raise _invalid("code expired")


def check_until(redemption: Redemption) -> None:
    """Refuse when what the whole family rests on is over: a code must not outlive it either."""
    if redemption.grant.ended(redemption.now):
        raise _invalid("what it rests on is over")


def check_acts(redemption: Redemption) -> None:
    """Refuse what the client's registration has come to exclude since: a ward's code, or a guardian's own."""
    if not takes(redemption.client, redemption.grant):
        raise _invalid("the client takes no such sign-in any more")


def check_redirect_uri(redemption: Redemption) -> None:
    """Require the redirect URI of the request, octet by octet (RFC 6749, 4.1.3)."""
    if redemption.request.redirect_uri != redemption.grant.redirect_uri:
        raise _invalid("redirect_uri differs")


def check_verifier(redemption: Redemption) -> None:
    """Verify PKCE; a verifier without a challenge means the challenge was stripped (RFC 9700, 4.8.2)."""
    challenge, verifier = redemption.grant.code_challenge, redemption.request.verifier
    if challenge is None and verifier is None:
        return
    if challenge is None or verifier is None:
        raise _invalid("verifier and challenge do not go together")
    if not re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", verifier):
        raise _invalid("verifier is malformed")
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    made = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    if not hmac.compare_digest(made, challenge):
        raise _invalid("verifier does not match")


REDEMPTION_CHECKS: tuple[Callable[[Redemption], None], ...] = (
    check_client,
    check_unspent,
    check_fresh,
    check_until,
    check_acts,
    check_redirect_uri,
    check_verifier,
)


# ---- refreshing ----------------------------------------------------------------------------------


def check_refresh(token: RefreshToken | None, client: Client, now: datetime) -> RefreshToken:
    """Return the token if this client may use it now. Raises OAuthError invalid_grant."""
    if token is None or token.client_id != client.id or token.expires_at <= now:
        raise OAuthError("invalid_grant", "The refresh token is not valid", detail="unknown, another's or expired")
    return token


def narrowed(scopes: tuple[str, ...], granted: tuple[str, ...]) -> tuple[str, ...]:
    """Return the scopes of a refreshed token: those wished, never more than were granted (RFC 6749, 6)."""
    if not set(scopes) <= set(granted):
        raise OAuthError("invalid_scope", "A scope was not granted")
    return scopes or granted


# ---- exchanging ----------------------------------------------------------------------------------


def exchangeable(scopes: tuple[str, ...], live: LiveToken, client: Client) -> tuple[str, ...]:
    """Return the scopes of an exchanged token: those wished, never more than the presented one has (RFC 8693, 2.1).

    Not offline_access: what came of an exchange is exchanged anew, and judged anew.
    """
    still = tuple(scope for scope in live.scopes if scope in client.scopes and scope != "offline_access")
    found = narrowed(tuple(scope for scope in scopes if scope != "offline_access"), still)
    if "openid" not in found:
        raise OAuthError("invalid_scope", "The scope must contain openid")
    return found


# ---- answering -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """An access token just made: the text for the client, and what is kept."""

    text: str = field(repr=False)
    kept: LiveToken


def new_access_token(
    grant: Grant, client: Client, scopes: tuple[str, ...], *, issuer: str, now: datetime, signer: jose.Signer | None
) -> AccessToken:
    """Make an access token: opaque, or a JWT (RFC 9068) when a signer is given."""
    secret = new_secret(grant.id)
    if signer is not None:
        secret = inside_jwt(secret)
    expires_at = _within(grant, now + client.access_token_life)
    kept = LiveToken(digest=secret.digest, scopes=scopes, issued_at=now, expires_at=expires_at)
    if signer is None:
        return AccessToken(text=secret.text, kept=kept)
    claims = {
        "iss": issuer,
        "aud": client.audience or issuer,
        "sub": grant.subject,
        "client_id": client.id,
        "iat": int(now.timestamp()),
        "exp": int(expires_at.timestamp()),
        "jti": secret.text,
        "scope": " ".join(scopes),
        "auth_time": int(grant.auth_time.timestamp()),
        "acr": grant.acr,
        "amr": list(grant.amr),
        **acting(grant),
    }
    return AccessToken(text=jose.sign(claims, signer, typ="at+jwt"), kept=kept)


def takes(client: Client, grant: Grant) -> bool:
    """Tell whether a client takes what a grant is: a guardian's for a ward, or somebody's own.

    The attack: a registration that has become `acting = never` goes on being given children's tokens by refresh.
    """
    acts = grant.guardianship is not None
    return client.acting != "never" if acts else client.acting != "required"


def is_acting_for(text: str) -> bool:
    """Tell whether a text can be an `acting_for`: `ask`, `self`, or a `sub` (Core 2: at most 255 of ASCII)."""
    return re.fullmatch(r"[\x21-\x7e]{1,255}", text) is not None


def acting(grant: Grant) -> Mapping[str, Any]:
    """Return the claims of who acts for the person, and by which right, if the client may know (RFC 8693, 4.1)."""
    known = {"act": grant.act, "guardianship": grant.guardianship}
    return {name: dict(value) for name, value in known.items() if value is not None}


def _within(grant: Grant, end: datetime) -> datetime:
    return end if grant.until is None else min(end, grant.until)


def id_token(
    grant: Grant, *, issuer: str, now: datetime, access_token: str, signer: jose.Signer, renewed: bool = False
) -> str:
    """Return the signed ID token (Core 2, 3.1.3.6; renewed ones by 12.2: same auth_time, no nonce)."""
    claims: dict[str, Any] = {
        **grant.id_token_claims,
        "iss": issuer,
        "sub": grant.subject,
        "aud": grant.client_id,
        "iat": int(now.timestamp()),
        "exp": int(_within(grant, now + ID_TOKEN_LIFE).timestamp()),
        "auth_time": int(grant.auth_time.timestamp()),
        "acr": grant.acr,
        "amr": list(grant.amr),
        "at_hash": jose.half_hash(access_token, signer.alg),
        **acting(grant),
    }
    if grant.nonce is not None and not renewed:
        claims["nonce"] = grant.nonce
    if grant.sid is not None:
        claims["sid"] = grant.sid
    return jose.sign(claims, signer)


def response(access: AccessToken, id_token_text: str, refresh_token: str | None, now: datetime) -> Mapping[str, Any]:
    """Return the body of a successful answer (RFC 6749, 5.1; Core 3.1.3.3)."""
    body: dict[str, Any] = {
        "access_token": access.text,
        "token_type": "Bearer",
        "expires_in": int((access.kept.expires_at - now).total_seconds()),
        "scope": " ".join(access.kept.scopes),
        "id_token": id_token_text,
    }
    if refresh_token is not None:
        body["refresh_token"] = refresh_token
    return body
