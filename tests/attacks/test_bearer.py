"""What an access token opens, and what it does not (standards 1.5; 2.5 A18, A20)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests
from joserfc import jwt as jose_jwt
from joserfc.jwk import ECKey

from tests.attacks.conftest import ORIGIN
from tests.attacks.test_codes import OTHER
from tests.attacks.test_refresh import public_tokens
from tests.door import SECRET, Door, claims_of

RESOURCE = ("resource", SECRET)


def jwt_tokens(door: Door) -> dict[str, Any]:
    """Sign in at the client whose access tokens are JWTs."""
    code = door.browser().sign_in(client_id="jwt")["code"]
    tokens: dict[str, Any] = door.redeem(code, auth=("jwt", SECRET)).json()
    return tokens


def test_the_token_goes_into_the_header(door: Door) -> None:
    """1.5 userinfo: by GET and by POST, the scheme in any case; JSON, dated, with the ID token's `sub`."""
    tokens = door.signed_in()
    header = {"Authorization": f"bEaReR {tokens['access_token']}"}
    answers = [
        door.userinfo(tokens["access_token"]),
        requests.post(f"{door.issuer}/userinfo", headers=header, timeout=5),
        requests.get(f"{door.issuer}/userinfo", headers=header, timeout=5),
    ]

    for answer in answers:
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
        assert answer.json()["sub"] == claims_of(tokens["id_token"])["sub"]
        assert "Date" in answer.headers
        assert answer.headers["Cache-Control"] == "no-store"


def test_the_token_goes_nowhere_else(door: Door) -> None:
    """A20: in the query or in the body it is refused, even beside a good header (RFC 9700, 4.3.2)."""
    token = door.signed_in()["access_token"]
    url, header = f"{door.issuer}/userinfo", {"Authorization": f"Bearer {token}"}
    answers = [
        requests.get(url, params={"access_token": token}, timeout=5),
        requests.get(url, params={"access_token": token}, headers=header, timeout=5),
        requests.post(url, data={"access_token": token}, timeout=5),
        requests.post(url, data={"access_token": token}, headers=header, timeout=5),
    ]

    assert [answer.status_code for answer in answers] == [400] * 4
    assert all(answer.headers["WWW-Authenticate"].startswith("Bearer ") for answer in answers)


def test_what_is_no_token_opens_nothing(door: Door) -> None:
    """A20: ID tokens, refresh tokens, rubbish, another's signature: 401 with a challenge (RFC 6750, 3)."""
    tokens, signed = door.signed_in(scope="openid offline_access"), jwt_tokens(door)
    header, payload, signature = signed["access_token"].split(".")
    foreign = jose_jwt.encode(
        {"alg": "ES256", "typ": "at+jwt", "kid": "k"}, claims_of(signed["access_token"]), ECKey.generate_key("P-256")
    )
    none = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0"
    rubbish = [
        tokens["id_token"], tokens["refresh_token"], tokens["access_token"][:-1], tokens["access_token"] + "A",
        foreign, f"{none}.{payload}.", f"{none}.{payload}.{signature}", f"{header}.{payload}.",
        "x", "a.b", "a.b.c", "é",
        claims_of(signed["access_token"])["jti"], "x" * 9000,
    ]  # fmt: skip

    for text in rubbish:
        answer = requests.get(
            f"{door.issuer}/userinfo", headers={"Authorization": f"Bearer {text}".encode()}, timeout=5
        )
        assert answer.status_code == 401, text
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic eDp5", "Bearer a, Bearer b", "DPoP x"])
def test_a_header_without_a_token_gets_a_challenge(door: Door, header: str | None) -> None:
    """A20: no token is 401 with a bare challenge, a malformed one 400 (RFC 6750, 3.1)."""
    answer = requests.get(
        f"{door.issuer}/userinfo", headers={"Authorization": header} if header is not None else {}, timeout=5
    )

    assert answer.status_code in (400, 401)
    assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="idbroker"')


def test_both_kinds_expire(door: Door) -> None:
    """A20: after its time an access token is nothing, opaque or signed."""
    texts = [door.signed_in()["access_token"], jwt_tokens(door)["access_token"]]
    assert [door.userinfo(text).status_code for text in texts] == [200, 200]
    door.clock.move(timedelta(minutes=15))

    assert [door.userinfo(text).status_code for text in texts] == [401, 401]
    assert [door.post("/introspect", {"token": text}, auth=RESOURCE).json() for text in texts] == [
        {"active": False}
    ] * 2


def test_both_kinds_can_be_revoked(door: Door) -> None:
    """A20: a revoked access token is nothing; other clients and rubbish get 200 and change nothing (RFC 7009, 2.2)."""
    for tokens, auth in ((door.signed_in(), ("portal", SECRET)), (jwt_tokens(door), ("jwt", SECRET))):
        text = tokens["access_token"]
        assert door.post("/revoke", {"token": text}, auth=OTHER).status_code == 200
        assert door.post("/revoke", {"token": "rubbish"}, auth=auth).status_code == 200
        assert door.userinfo(text).status_code == 200
        answer = door.post("/revoke", {"token": text}, auth=auth)

        assert answer.status_code == 200
        assert door.userinfo(text).status_code == 401


def test_introspection_tells_whom_it_may_concern(door: Door) -> None:
    """A20: a token's own client and a registered resource learn of it; another client only that it is not active."""
    text = door.signed_in()["access_token"]
    own, resource, other = (
        door.post("/introspect", {"token": text}, auth=auth).json() for auth in (("portal", SECRET), RESOURCE, OTHER)
    )

    assert (own["active"], resource["active"], other) == (True, True, {"active": False})
    assert own["client_id"] == "portal"
    assert "name" not in own
    assert door.post("/introspect", {"token": "x"}, auth=RESOURCE).json() == {"active": False}
    assert door.post("/introspect", {}, auth=RESOURCE).json()["error"] == "invalid_request"


def test_scripts_of_registered_origins_only(door: Door) -> None:
    """A18: CORS at token and userinfo for the client's own origins, never with credentials (RFC 9700, 2.6)."""
    text = public_tokens(door)["access_token"]
    good, evil = (door.userinfo(text, Origin=origin).headers for origin in (ORIGIN, "https://evil.test"))
    foreign = door.userinfo(door.signed_in()["access_token"], Origin=ORIGIN).headers
    refused, unheard = (door.userinfo("rubbish", Origin=origin).headers for origin in (ORIGIN, "https://evil.test"))

    assert good["Access-Control-Allow-Origin"] == ORIGIN
    assert refused["Access-Control-Allow-Origin"] == ORIGIN
    assert "Access-Control-Allow-Origin" not in evil
    assert "Access-Control-Allow-Origin" not in unheard
    assert "Access-Control-Allow-Origin" not in foreign
    assert "Access-Control-Allow-Credentials" not in good
    assert "Origin" in good["Vary"]


def test_preflights_of_registered_origins_only(door: Door) -> None:
    """A18: a preflight is answered for the origins of some client, by name, never with a wildcard."""
    for path in ("/token", "/userinfo", "/revoke"):
        good, evil, null = (
            requests.options(f"{door.issuer}{path}", headers={"Origin": origin}, timeout=5).headers
            for origin in (ORIGIN, "https://evil.test", "null")
        )

        assert good["Access-Control-Allow-Origin"] == ORIGIN
        assert "Access-Control-Allow-Credentials" not in good
        assert "Access-Control-Allow-Origin" not in evil
        assert "Access-Control-Allow-Origin" not in null


@pytest.mark.parametrize("path", ["/authorize", "/logout", "/callback/mitid", "/t/x/choose", "/introspect"])
def test_no_script_reads_the_pages(door: Door, path: str) -> None:
    """A18: the authorization endpoint and all pages have no CORS at all (RFC 9700, 2.6)."""
    for method in ("GET", "OPTIONS"):
        answer = requests.request(
            method, f"{door.issuer}{path}", headers={"Origin": ORIGIN}, allow_redirects=False, timeout=5
        )
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


def test_public_documents_are_for_everybody(door: Door) -> None:
    """A18, A19: discovery and key set may be read by any script, and be kept."""
    for path in ("/.well-known/openid-configuration", "/jwks.json"):
        answer = requests.get(f"{door.issuer}{path}", headers={"Origin": "https://any.test"}, timeout=5)

        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Cache-Control"].startswith("public, max-age=")
