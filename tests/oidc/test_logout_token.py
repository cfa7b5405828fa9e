"""The logout token, as a client's own library reads it (OpenID Connect Back-Channel Logout 1.0, 2.4 and 2.6)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import jwt
import pytest

from idbroker.errors import OAuthError
from idbroker.keyring import Keyring
from idbroker.oidc.logout import read_hint
from idbroker.oidc.logout_token import EVENT, logout_token
from idbroker.oidc.token import id_token
from tests.conftest import NOW
from tests.oidc.making import ISSUER, make_client, make_grant

ALGORITHMS = ("ES256", "RS256")


def made(keyring: Keyring, alg: str = "ES256") -> str:
    """Return a logout token for the portal."""
    return logout_token(
        issuer=ISSUER, client_id="portal", subject="subject", sid="sid", now=NOW, signer=keyring.signing(alg)
    )


def read(keyring: Keyring, text: str, alg: str) -> dict[str, Any]:
    """Verify with PyJWT; its time is the machine's, so the dates are compared by the test."""
    key = jwt.PyJWK(keyring.signing(alg).key.as_dict(private=False) | {"alg": alg})
    options: Any = {"require": ["iss", "aud", "iat", "exp", "jti", "events"], "verify_exp": False, "verify_iat": False}
    claims: dict[str, Any] = jwt.decode(text, key, algorithms=[alg], audience="portal", issuer=ISSUER, options=options)
    return claims


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_what_it_says(keyring: Keyring, alg: str) -> None:
    """Issuer, audience, dates, jti, sub, sid and the one event with an empty object; no nonce (2.4)."""
    text = made(keyring, alg)

    claims = read(keyring, text, alg)

    assert len(claims.pop("jti")) >= 20
    assert claims == {
        "iss": ISSUER,
        "aud": "portal",
        "sub": "subject",
        "sid": "sid",
        "iat": int(NOW.timestamp()),
        "exp": int((NOW + timedelta(minutes=2)).timestamp()),
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    }
    assert jwt.get_unverified_header(text) == {"alg": alg, "kid": keyring.signing(alg).kid, "typ": "logout+jwt"}


def test_each_is_another(keyring: Keyring) -> None:
    """A client that keeps the jti to see replays sees none where we send again (2.6)."""
    assert len({read(keyring, made(keyring), "ES256")["jti"] for _ in range(20)}) == 20


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_signed_as_the_id_tokens_are(keyring: Keyring, alg: str) -> None:
    """The same key and algorithm sign the client's ID tokens and its logout tokens, and the types differ (2.4)."""
    grant = make_grant(make_client(), sid="sid")
    other = id_token(grant, issuer=ISSUER, now=NOW, access_token="x", signer=keyring.signing(alg))

    one, two = jwt.get_unverified_header(made(keyring, alg)), jwt.get_unverified_header(other)

    assert (one["alg"], one["kid"]) == (two["alg"], two["kid"])
    assert one["typ"] != two["typ"]
    assert EVENT not in jwt.decode(other, options={"verify_signature": False}).get("events", {})


def test_is_no_hint(keyring: Keyring) -> None:
    """J13: a logout token is not taken as an id_token_hint."""
    public = {keyring.signing("ES256").kid: keyring.signing("ES256").key}

    with pytest.raises(OAuthError) as error:
        read_hint(made(keyring), public.get, ISSUER)

    assert error.value.code == "invalid_request"
