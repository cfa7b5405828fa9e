"""Access tokens presented to us: found where they belong, read as what they are, no more shown than is due."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idbroker.client import Client
from idbroker.grant import Grant, LiveToken
from idbroker.keyring import Keyring
from idbroker.oidc import bearer, jose, token
from idbroker.oidc.bearer import BearerError
from idbroker.oidc.secret import new_family, new_secret, read_secret
from tests.conftest import NOW
from tests.oidc.making import ISSUER, make_client, make_grant, signed

PROFILE = {"name": "Ada", "national_number": "6101010001", "national_number_country": "DK"}


def live(scopes: tuple[str, ...] = ("openid",), digest: str = "d") -> LiveToken:
    """Return a living token."""
    return LiveToken(digest=digest, scopes=scopes, issued_at=NOW, expires_at=NOW + timedelta(minutes=15))


# ---- the header ----------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["Bearer abc", "bearer abc", "BEARER abc", "Bearer  abc "])
def test_from_header(header: str) -> None:
    """The scheme's name is in any case (RFC 9110, 11.1)."""
    assert bearer.from_header(header, elsewhere=False) == "abc"


def test_without_token() -> None:
    """Who presents nothing is asked to, without an error code (RFC 6750, 3.1)."""
    with pytest.raises(BearerError) as error:
        bearer.from_header(None, elsewhere=False)

    assert (error.value.status, error.value.challenge) == (401, 'Bearer realm="idbroker"')


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer a, Bearer b", "Basic YTpi", "DPoP abc", "Bearer\tabc"]
)
def test_malformed_header(header: str) -> None:
    """Anything but one Bearer token is invalid_request (RFC 6750, 3.1)."""
    with pytest.raises(BearerError) as error:
        bearer.from_header(header, elsewhere=False)

    assert (error.value.status, error.value.code) == (400, "invalid_request")
    assert 'error="invalid_request"' in error.value.challenge


@pytest.mark.parametrize("header", [None, "Bearer abc"])
def test_nowhere_else(header: str | None) -> None:
    """A token in the query or the body is refused: URLs are logged and kept (RFC 9700, 4.3.2)."""
    with pytest.raises(BearerError) as error:
        bearer.from_header(header, elsewhere=True)

    assert error.value.status == 400


# ---- reading -------------------------------------------------------------------------------------


def test_reads_ours(keyring: Keyring) -> None:
    """An opaque token and a JWT are both found by what was kept of them."""
    for kind, signer in (("opaque", None), ("jwt", keyring.signing("RS256"))):
        client = make_client(access_token=kind)
        grant = make_grant(client)
        access = token.new_access_token(grant, client, ("openid",), issuer=ISSUER, now=NOW, signer=signer)
        read = bearer.read(access.text, keyring.verification_key, ISSUER)

        assert read is not None
        assert (read.family, read.digest) == (grant.id, access.kept.digest)


def test_reads_nothing_else(keyring: Keyring, keys: dict[str, Any], portal: Client) -> None:
    """No ID token, logout token, foreign or unsigned JWT, and no JWT whose jti is not ours (A20)."""
    signer = keyring.signing("ES256")
    jti = new_secret(new_family()).text
    claims = {"iss": ISSUER, "jti": jti, "aud": ISSUER}
    for text in (
        token.id_token(make_grant(portal), issuer=ISSUER, now=NOW, access_token="at", signer=signer),
        jose.sign(claims, signer, typ="JWT"),
        jose.sign(claims, signer, typ="logout+jwt"),
        jose.sign({**claims, "iss": "https://evil.example"}, signer, typ="at+jwt"),
        jose.sign({**claims, "jti": "x"}, signer, typ="at+jwt"),
        jose.sign({**claims, "jti": [jti]}, signer, typ="at+jwt"),
        jose.sign({"iss": ISSUER}, signer, typ="at+jwt"),
        signed(claims, keys["ES256"], "ES256", typ="at+jwt"),
        signed(claims, keys["ES256"], "ES256", typ="at+jwt", kid=signer.kid),
        signed(claims, keys["ES256"], "ES256", typ="at+jwt", kid=None),
        "..",
        "",
    ):
        assert bearer.read(text, keyring.verification_key, ISSUER) is None


@given(st.text())
def test_any_text(keyring: Keyring, text: str) -> None:
    """Whatever is presented, it is no token of ours and no fault of ours."""
    assert bearer.read(text, keyring.verification_key, ISSUER) is None


def test_live_until_its_end(portal: Client) -> None:
    """A token lives until its end, and only in its own family."""
    secret = new_secret(new_family())
    grant = make_grant(portal, live=(live(), live(digest=secret.digest)))

    assert bearer.live_token(grant, secret, NOW + timedelta(seconds=899)) == live(digest=secret.digest)
    assert bearer.live_token(grant, secret, NOW + timedelta(seconds=900)) is None
    assert bearer.live_token(grant, new_secret(secret.family), NOW) is None
    assert bearer.live_token(None, secret, NOW) is None


def test_a_code_is_no_access_token(portal: Client) -> None:
    """The code's digest is not among the living tokens, nor is a token the code (family confusion)."""
    code = new_secret(new_family())
    access = token.new_access_token(make_grant(portal, code), portal, ("openid",), issuer=ISSUER, now=NOW, signer=None)
    grant = make_grant(portal, code, live=(access.kept,))
    as_code = read_secret(access.text)

    assert bearer.live_token(grant, code, NOW) is None
    assert as_code is not None
    assert not token.is_code_of(token.CodeRequest(code=as_code, redirect_uri=None, verifier=None), grant)


# ---- answering -----------------------------------------------------------------------------------


def test_userinfo(portal: Client) -> None:
    """`sub` and the released claims; no claim replaces `sub` (Core 5.3.2)."""
    grant = make_grant(portal, claims={"name": "Ada", "sub": "evil"})

    assert bearer.userinfo(grant, live()) == {"name": "Ada", "sub": "pairwise-subject"}


def test_userinfo_needs_openid(portal: Client) -> None:
    """Without the scope openid nothing is told (RFC 6750, 3.1)."""
    with pytest.raises(BearerError) as error:
        bearer.userinfo(make_grant(portal, claims=PROFILE), live(("profile",)))

    assert (error.value.status, error.value.code) == (403, "insufficient_scope")


@pytest.mark.parametrize(
    ("granted", "narrowed", "shown"),
    [
        (("openid", "profile", "national_number"), ("openid", "profile", "national_number"), set(PROFILE)),
        (("openid", "profile", "national_number"), ("openid", "profile"), {"name"}),
        (("openid", "profile", "national_number"), ("openid",), set()),
        # A claim asked for by name has no scope to give up.
        (("openid",), ("openid",), set(PROFILE)),
    ],
)
def test_a_narrowed_token_shows_less(
    portal: Client, granted: tuple[str, ...], narrowed: tuple[str, ...], shown: set[str]
) -> None:
    """Claims of a scope that was given up at a refresh are not shown (RFC 6749, 6)."""
    grant = make_grant(portal, scopes=granted, claims=PROFILE)

    assert set(bearer.userinfo(grant, live(narrowed))) == {"sub", *shown}


@pytest.fixture
def grant(portal: Client) -> Grant:
    """Return a grant of the portal."""
    return make_grant(portal, claims=PROFILE)


def test_introspection(grant: Grant) -> None:
    """An active token is described without any claim of the person but `sub` (RFC 7662, 2.2)."""
    answer = bearer.introspection(grant, live(), make_client(audience="https://records.example.org"), ISSUER)

    assert answer["active"] is True
    assert answer["aud"] == "https://records.example.org"
    assert (answer["sub"], answer["client_id"], answer["scope"]) == ("pairwise-subject", "portal", "openid")
    assert not set(PROFILE) & set(answer)


def test_introspection_of_anothers_token(grant: Grant) -> None:
    """A resource is not told that another client's token is meant for it (RFC 9700, 4.10.2)."""
    resource = make_client(id="records", audience="https://records.example.org", introspect=True)

    assert "aud" not in bearer.introspection(grant, live(), resource, ISSUER)
