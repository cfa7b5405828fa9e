"""One kind of token used as another: each is accepted in its own place only."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from idbroker.client import Client, ConfiguredClients
from idbroker.errors import OAuthError
from idbroker.keyring import Keyring
from idbroker.oidc import bearer, client_auth, client_keys, jose, logout, token
from idbroker.oidc.jose import BadToken
from idbroker.oidc.parameters import parse_form
from tests.conftest import NOW
from tests.oidc.making import CLAIMS, ISSUER, VERIFIER, b64, compact, make_client, make_grant, signed, signs, verify_by


@pytest.fixture(scope="session")
def issued(keyring: Keyring, keys: dict[str, Any]) -> dict[str, str]:
    """Return one right token of every kind."""
    client = make_client(id="portal", auth_method="private_key_jwt")
    grant, signer = make_grant(client), keyring.signing("ES256")
    access = token.new_access_token(grant, client, ("openid",), issuer=ISSUER, now=NOW, signer=signer).text
    now = int(NOW.timestamp())
    assertion = {"iss": "portal", "sub": "portal", "aud": ISSUER, "exp": now + 60, "jti": "j"}
    event: dict[str, Any] = {"http://schemas.openid.net/event/backchannel-logout": {}}
    logged_out = {"iss": ISSUER, "aud": "portal", "sub": "s", "iat": now, "exp": now + 60, "jti": "j", "events": event}
    return {
        "ID token": token.id_token(grant, issuer=ISSUER, now=NOW, access_token=access, signer=signer),
        "access token": access,
        "logout token": jose.sign(logged_out, signer, typ="logout+jwt"),
        "client assertion": signed(assertion, keys["ES256"], "ES256"),
        "typed client assertion": signed(assertion, keys["ES256"], "ES256", typ="client-authentication+jwt"),
        "request object": signed(
            {**assertion, "client_id": "portal"}, keys["ES256"], "ES256", typ="oauth-authz-req+jwt"
        ),
        "DPoP proof": signed(
            {"jti": "j", "htm": "POST", "htu": ISSUER, "iat": now}, keys["ES256"], "ES256", typ="dpop+jwt"
        ),
    }


def test_j13_cross_jwt_confusion(
    keyring: Keyring,
    keys: dict[str, Any],
    issued: dict[str, str],
    durable_clients: Callable[[Client], ConfiguredClients],
) -> None:
    """In the matrix of tokens and their uses, each is accepted in its own place only (RFC 8725, 2.8, 3.11, 3.12)."""
    public = {"keys": [keys["ES256"].as_dict(private=False), keyring.signing("ES256").key.as_dict(private=False)]}
    portal = make_client(id="portal", auth_method="private_key_jwt", jwks=public, secret_digests=())

    def as_hint(text: str) -> object:
        return logout.read_hint(text, keyring.verification_key, ISSUER)

    def as_access_token(text: str) -> object:
        read = bearer.read(text, keyring.verification_key, ISSUER)
        if read is None:
            raise BadToken("no access token")
        return read

    def as_assertion(text: str) -> object:
        kept = client_auth.Authenticator(
            clients=durable_clients(portal),
            keys=client_keys.ClientKeys(lambda url: b""),
            issuer=ISSUER,
            use_once=lambda name, until: True,
        )
        fields = f"client_assertion_type={client_auth.ASSERTION_TYPE}&client_assertion={text}"
        return kept.authenticate(None, parse_form(fields.encode()), NOW)

    accepted = set()
    for use in (as_hint, as_access_token, as_assertion):
        for kind, text in issued.items():
            try:
                use(text)
            except (BadToken, jose.BadToken, OAuthError):
                continue
            accepted.add((kind, use.__name__))

    assert accepted == {
        ("ID token", "as_hint"),
        ("access token", "as_access_token"),
        ("client assertion", "as_assertion"),
        ("typed client assertion", "as_assertion"),
    }


@pytest.mark.parametrize(
    "typ", ["at+jwt", "AT+JWT", "application/at+jwt", "logout+jwt", "", "jwt2", None, 1, ["JWT"], {}]
)
def test_j13_typ(keys: dict[str, Any], typ: Any) -> None:
    """Only the kinds asked for are taken, whatever type `typ` has."""
    text = compact({"alg": "ES256", "typ": typ}, CLAIMS, signs(keys["ES256"], "ES256"))

    with pytest.raises(BadToken):
        verify_by(keys["ES256"])(text)


@pytest.mark.parametrize("typ", ["JWT", "jwt", "application/jwt", "APPLICATION/JWT"])
def test_j13_typ_in_any_case(keys: dict[str, Any], typ: str) -> None:
    """A media type is compared without case, with or without `application/` (RFC 7515, 4.1.9)."""
    assert verify_by(keys["ES256"])(signed(CLAIMS, keys["ES256"], "ES256", typ=typ)).claims == CLAIMS
    assert verify_by(keys["ES256"])(signed(CLAIMS, keys["ES256"], "ES256", typ=None)).claims == CLAIMS


@pytest.mark.parametrize(
    "issuer", [ISSUER + "/", ISSUER + ".evil.example", ISSUER[:-1], ISSUER.upper(), "", [ISSUER], None]
)
def test_j15_issuer_is_exact(keyring: Keyring, issuer: Any) -> None:
    """The issuer is compared whole, never in part or as a list's member (CVE-2024-53861)."""
    signer = keyring.signing("ES256")
    claims = {"iss": issuer, "aud": "portal", "sub": "s", "jti": make_grant(make_client()).id + "." + "x" * 43}

    with pytest.raises(OAuthError):
        logout.read_hint(jose.sign(claims, signer), keyring.verification_key, ISSUER)
    assert bearer.read(jose.sign(claims, signer, typ="at+jwt"), keyring.verification_key, ISSUER) is None


def test_j16_half_hash() -> None:
    """The hash is the one that goes with `alg`; an unknown one fails (Core 3.1.3.6; CVE-2026-28498)."""
    whole = hashlib.sha256(VERIFIER.encode()).digest()

    assert jose.half_hash(VERIFIER, "ES256") == b64(whole[:16])
    assert jose.half_hash(VERIFIER, "RS512") == b64(hashlib.sha512(VERIFIER.encode()).digest()[:32])
    with pytest.raises(KeyError):
        jose.half_hash(VERIFIER, "EdDSA")
