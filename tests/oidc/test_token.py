"""The token endpoint: what a code or a refresh token is worth, and what is answered."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from idbroker.client import Client
from idbroker.errors import OAuthError
from idbroker.grant import Grant, RefreshToken
from idbroker.keyring import Keyring
from idbroker.oidc import jose, token
from idbroker.oidc.parameters import Parameters
from idbroker.oidc.secret import Secret, inside_jwt, new_family, new_secret, read_secret
from idbroker.oidc.token import CodeRequest, Redemption, RefreshRequest
from tests.conftest import NOW
from tests.oidc.making import CALLBACK, CHALLENGE, ISSUER, VERIFIER, form, make_client, make_grant


@pytest.fixture
def code() -> Secret:
    """Return a code."""
    return new_secret(new_family())


# ---- parsing -------------------------------------------------------------------------------------


def test_parse_code(portal: Client, code: Secret) -> None:
    """A code comes with its redirect URI and verifier, the rest is ignored (RFC 6749, 4.1.3)."""
    fields = {
        "grant_type": "authorization_code",
        "code": code.text,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }

    assert token.parse(form({**fields, "extra": "x"}), portal) == CodeRequest(
        code=code, redirect_uri=CALLBACK, verifier=VERIFIER
    )


def test_parse_refresh(code: Secret) -> None:
    """A refresh token comes with the scopes wished, or none (RFC 6749, 6)."""
    fields = {"grant_type": "refresh_token", "refresh_token": code.text}
    client = make_client(refresh="keep")

    assert token.parse(form(fields), client) == RefreshRequest(token=code, scopes=())
    assert token.parse(form({**fields, "scope": "openid"}), client) == RefreshRequest(token=code, scopes=("openid",))


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password", "username": "a", "password": "b"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, "unauthorized_client"),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": "Authorization_Code", "code": "x"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, "invalid_request"),
        ({"grant_type": "authorization_code", "code": "x"}, "invalid_grant"),
        ({"grant_type": "authorization_code", "code": "a" * 22 + "." + "b" * 43 + "\n"}, "invalid_grant"),
        ({"grant_type": "authorization_code", "code": "a" * 22 + "." + "å" * 43}, "invalid_grant"),
        ({"grant_type": "authorization_code", "code": "x" * 20_000}, "invalid_grant"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "unauthorized_client"),
    ],
)
def test_parse_refusals(portal: Client, fields: dict[str, str], error: str) -> None:
    """Each mistake has the error RFC 6749, 5.2 gives it."""
    with pytest.raises(OAuthError) as raised:
        token.parse(form(fields), portal)

    assert raised.value.code == error


def test_parse_duplicates(portal: Client) -> None:
    """A parameter sent twice is invalid_request (RFC 6749, 3.2)."""
    with pytest.raises(OAuthError, match="more than once"):
        token.parse(Parameters({"grant_type": "authorization_code"}, frozenset({"code"})), portal)


# ---- secrets -------------------------------------------------------------------------------------


@given(st.text(max_size=80))
def test_any_text_as_a_secret(text: str) -> None:
    """Only our own shape is a secret at all."""
    assert read_secret(text) is None


def test_secrets_are_long_and_not_shown(code: Secret) -> None:
    """A secret has 256 random bits, and neither it nor what is kept of it shows the other."""
    assert len(code.text.split(".")[1]) * 6 > 256
    assert code.text not in repr(code)
    assert code.text not in code.digest
    assert read_secret(code.text) == code
    assert inside_jwt(code).digest != code.digest


# ---- redeeming -----------------------------------------------------------------------------------


def redemption(grant: Grant, **changes: Any) -> Redemption:
    """Return a right redemption of a grant, changed as told."""
    request: dict[str, Any] = {"redirect_uri": CALLBACK, "verifier": VERIFIER}
    code = new_secret(grant.id)
    return Redemption(
        grant=grant,
        client=changes.pop("client", make_client()),
        now=changes.pop("now", NOW),
        request=CodeRequest(code=code, **{**request, **changes}),
    )


def test_right_redemption(portal: Client) -> None:
    """The client itself, in time, with the same URI and the verifier: nothing to object to."""
    token.check_redemption(redemption(make_grant(portal)))


@pytest.mark.parametrize(
    "changes",
    [
        {"client": make_client(id="other")},
        {"client": make_client(id="Portal")},
        {"now": NOW + timedelta(seconds=60)},
        {"now": NOW + timedelta(days=1)},
        {"redirect_uri": None},
        {"redirect_uri": CALLBACK + "/"},
        {"redirect_uri": CALLBACK.upper()},
        {"redirect_uri": CALLBACK + "?x=1"},
        {"verifier": None},
        {"verifier": ""},
        {"verifier": VERIFIER[:-1]},
        {"verifier": VERIFIER + "="},
        {"verifier": VERIFIER.lower()},
        {"verifier": "a" * 43},
        {"verifier": "a" * 129},
        {"verifier": VERIFIER + " "},
        {"verifier": VERIFIER + "\n"},
        {"verifier": "å" * 43},
        {"verifier": CHALLENGE},
    ],
)
def test_wrong_redemptions(portal: Client, changes: dict[str, Any]) -> None:
    """Another client, too late, another URI, a wrong, missing or malformed verifier: invalid_grant (A2, A4, A5)."""
    with pytest.raises(OAuthError) as error:
        token.check_redemption(redemption(make_grant(portal), **changes))

    assert (error.value.code, error.value.description) == ("invalid_grant", "The code is not valid")


@pytest.mark.parametrize("milliseconds", [0, 1, 59_999])
def test_sixty_seconds(portal: Client, milliseconds: int) -> None:
    """A code lives for sixty seconds and not one more (ASVS 10.4.3)."""
    token.check_redemption(redemption(make_grant(portal), now=NOW + timedelta(milliseconds=milliseconds)))


def test_spent(portal: Client) -> None:
    """A code that was used is worth nothing (RFC 6749, 4.1.2)."""
    with pytest.raises(OAuthError, match="used before"):
        token.check_redemption(redemption(make_grant(portal, code_spent=True)))


@pytest.mark.parametrize("verifier", ["a" * 43, "a" * 128, "-._~" * 11])
def test_verifier_bounds(portal: Client, verifier: str) -> None:
    """Verifiers of 43 to 128 characters with all of the alphabet work (RFC 7636, 4.1)."""
    challenge = jwt.utils.base64url_encode(hashlib.sha256(verifier.encode()).digest()).decode()

    token.check_redemption(redemption(make_grant(portal, code_challenge=challenge), verifier=verifier))


def test_pkce_downgrade(portal: Client) -> None:
    """A verifier for a code without a challenge means that the challenge was stripped (RFC 9700, 4.8.2)."""
    without = make_grant(portal, code_challenge=None)
    token.check_redemption(redemption(without, verifier=None))

    for verifier in (VERIFIER, "x"):
        with pytest.raises(OAuthError, match="together"):
            token.check_redemption(redemption(without, verifier=verifier))


def test_plain_does_not_verify(portal: Client) -> None:
    """A verifier equal to the challenge is no proof (A5)."""
    with pytest.raises(OAuthError, match="match"):
        token.check_redemption(redemption(make_grant(portal, code_challenge=VERIFIER), verifier=VERIFIER))


# ---- refreshing ----------------------------------------------------------------------------------


@pytest.fixture
def kept(portal: Client) -> RefreshToken:
    """Return a refresh token as kept."""
    return RefreshToken(
        digest="d", family="f", client_id=portal.id, grant=b"", issued_at=NOW, expires_at=NOW + timedelta(days=1)
    )


def test_refresh_only_by_its_client_in_time(portal: Client, kept: RefreshToken) -> None:
    """Unknown, another client's, or past its end: invalid_grant (A7)."""
    assert token.check_refresh(kept, portal, NOW) == kept
    for found, client, now in (
        (None, portal, NOW),
        (kept, make_client(id="other"), NOW),
        (kept, portal, kept.expires_at),
    ):
        with pytest.raises(OAuthError, match=r"unknown, another's or expired"):
            token.check_refresh(found, client, now)


def test_narrowing() -> None:
    """Fewer scopes may be asked for, never others (RFC 6749, 6)."""
    assert token.narrowed((), ("openid", "profile")) == ("openid", "profile")
    assert token.narrowed(("openid",), ("openid", "profile")) == ("openid",)
    with pytest.raises(OAuthError) as error:
        token.narrowed(("openid", "national_number"), ("openid", "profile"))
    assert error.value.code == "invalid_scope"


# ---- answering -----------------------------------------------------------------------------------


def decoded(text: str, keyring: Keyring, alg: str, audience: str) -> dict[str, Any]:
    """Return the claims as another library reads them, with our published key."""
    jwks = {key["kid"]: key for key in json.loads(keyring.jwks().body)["keys"]}
    key = jwt.PyJWK(jwks[jwt.get_unverified_header(text)["kid"]])
    claims: dict[str, Any] = jwt.decode(
        text,
        key,
        algorithms=[alg],
        audience=audience,
        issuer=ISSUER,
        options={"verify_exp": False, "verify_iat": False},
    )
    return claims


@pytest.mark.parametrize("alg", ["ES256", "RS256"])
def test_id_token(portal: Client, keyring: Keyring, alg: str) -> None:
    """The ID token has what Core 2 wants, no profile claim, and the access token's hash."""
    grant = make_grant(portal, nonce="n" * 384, sid="the sid", amr=("mfa",), claims={"name": "Ada"})
    text = token.id_token(grant, issuer=ISSUER, now=NOW, access_token="an access token", signer=keyring.signing(alg))
    now = int(NOW.timestamp())

    assert decoded(text, keyring, alg, "portal") == {
        "iss": ISSUER,
        "sub": "pairwise-subject",
        "aud": "portal",
        "iat": now,
        "exp": now + 600,
        "auth_time": now,
        "nonce": "n" * 384,
        "acr": "substantial",
        "amr": ["mfa"],
        "sid": "the sid",
        "at_hash": jose.half_hash("an access token", alg),
    }
    assert jwt.get_unverified_header(text)["typ"] == "JWT"


def test_id_token_without_nonce_and_sid(portal: Client, keyring: Keyring) -> None:
    """No nonce was sent: none comes back; a renewed token has none either (Core 2, 12.2)."""
    signer = keyring.signing("ES256")
    plain = token.id_token(make_grant(portal), issuer=ISSUER, now=NOW, access_token="at", signer=signer)
    grant = make_grant(portal, nonce="n", auth_time=NOW - timedelta(hours=2))
    renewed = token.id_token(grant, issuer=ISSUER, now=NOW, access_token="at", signer=signer, renewed=True)

    assert not {"nonce", "sid"} & set(decoded(plain, keyring, "ES256", "portal"))
    claims = decoded(renewed, keyring, "ES256", "portal")
    assert "nonce" not in claims
    assert claims["auth_time"] == claims["iat"] - 7200


def test_released_claims_cannot_replace_ours(portal: Client, keyring: Keyring) -> None:
    """No released claim overwrites iss, sub, aud, exp or acr."""
    evil = dict.fromkeys(("iss", "sub", "aud", "exp", "iat", "acr", "amr", "auth_time", "at_hash"), "evil")
    grant = make_grant(portal, id_token_claims={**evil, "birthdate": "1990-01-01"})
    text = token.id_token(grant, issuer=ISSUER, now=NOW, access_token="at", signer=keyring.signing("ES256"))
    claims = decoded(text, keyring, "ES256", "portal")

    assert "evil" not in claims.values()
    assert claims["birthdate"] == "1990-01-01"


def test_opaque_access_token(portal: Client) -> None:
    """An opaque token says nothing; what is kept is its digest, scopes and end."""
    grant = make_grant(portal)
    access = token.new_access_token(grant, portal, ("openid",), issuer=ISSUER, now=NOW, signer=None)
    read = read_secret(access.text)

    assert read is not None
    assert (read.family, read.digest) == (grant.id, access.kept.digest)
    assert access.kept.expires_at == NOW + portal.access_token_life
    assert access.text not in repr(access)


@pytest.mark.parametrize("audience", [None, "https://records.example.org"])
def test_jwt_access_token(keyring: Keyring, audience: str | None) -> None:
    """A JWT access token is typed and has every claim of RFC 9068, 2.2."""
    client = make_client(access_token="jwt", audience=audience)
    access = token.new_access_token(
        make_grant(client), client, ("openid", "profile"), issuer=ISSUER, now=NOW, signer=keyring.signing("ES256")
    )
    claims = decoded(access.text, keyring, "ES256", audience or ISSUER)

    assert jwt.get_unverified_header(access.text)["typ"] == "at+jwt"
    assert set(claims) == {"iss", "aud", "sub", "client_id", "iat", "exp", "jti", "scope", "auth_time", "acr", "amr"}
    assert (claims["client_id"], claims["scope"], claims["exp"]) == (
        "portal",
        "openid profile",
        claims["iat"] + int(client.access_token_life.total_seconds()),
    )


def test_a_jti_is_no_token(keyring: Keyring) -> None:
    """What is kept of a JWT does not fit its bare `jti`: one read in a log is worth nothing."""
    client = make_client(access_token="jwt")
    access = token.new_access_token(
        make_grant(client), client, ("openid",), issuer=ISSUER, now=NOW, signer=keyring.signing("ES256")
    )
    bare = read_secret(decoded(access.text, keyring, "ES256", ISSUER)["jti"])

    assert bare is not None
    assert bare.digest != access.kept.digest


def test_response(portal: Client) -> None:
    """The answer is a Bearer token with its life and scopes (RFC 6749, 5.1; Core 3.1.3.3)."""
    access = token.new_access_token(make_grant(portal), portal, ("openid",), issuer=ISSUER, now=NOW, signer=None)

    assert token.response(access, "the ID token", None, NOW) == {
        "access_token": access.text,
        "token_type": "Bearer",
        "expires_in": 900,
        "scope": "openid",
        "id_token": "the ID token",
    }
    assert token.response(access, "the ID token", "again", NOW)["refresh_token"] == "again"
