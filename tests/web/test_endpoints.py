"""What programs find: metadata, keys, ID tokens, as the certification suite reads them (standards 1.4, 1.5)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
import requests

from tests.door import SECRET, Door, claims_of

SECRET_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


def metadata(door: Door) -> dict[str, Any]:
    """Return the discovery document."""
    found: dict[str, Any] = requests.get(f"{door.issuer}/.well-known/openid-configuration", timeout=5).json()
    return found


def test_every_advertised_endpoint_is_there(door: Door) -> None:
    """1.5 config: the issuer is the prefix, and no endpoint it names is missing."""
    found = metadata(door)

    assert found["issuer"] == door.issuer
    for name, url in found.items():
        if name.endswith("_endpoint") or name == "jwks_uri":
            assert url.startswith(f"{door.issuer}/")
            assert requests.get(url, timeout=5, allow_redirects=False).status_code != 404


def test_what_is_advertised_is_what_works(door: Door) -> None:
    """1.5 config: required members are there; nothing unsafe, and nothing unsupported, is advertised."""
    found = metadata(door)

    assert found["response_types_supported"] == ["code"]
    assert "RS256" in found["id_token_signing_alg_values_supported"]
    assert "none" not in found["id_token_signing_alg_values_supported"]
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert "openid" in found["scopes_supported"]
    assert "client_secret_basic" in found["token_endpoint_auth_methods_supported"]
    assert found["authorization_response_iss_parameter_supported"] is True
    assert found["request_parameter_supported"] is False
    assert found["request_uri_parameter_supported"] is False
    assert "registration_endpoint" not in found


def test_the_oauth_metadata_is_the_same(door: Door) -> None:
    """RFC 8414, 3: the document stands under both well-known names."""
    other = requests.get(f"{door.issuer}/.well-known/oauth-authorization-server", timeout=5)

    assert other.json() == metadata(door)


def test_the_key_set_holds_public_keys_with_names(door: Door) -> None:
    """1.4: no private or symmetric members; every key has a kid of its own, its use and its algorithm."""
    keys = requests.get(f"{door.issuer}/jwks.json", timeout=5).json()["keys"]

    assert len({key["kid"] for key in keys}) == len(keys)
    assert {"ES256", "RS256"} <= {key["alg"] for key in keys}
    for key in keys:
        assert key["use"] == "sig"
        assert key["kty"] in ("EC", "RSA")
        assert not SECRET_MEMBERS & key.keys()


def test_an_unchanged_key_set_is_not_sent_again(door: Door) -> None:
    """RFC 9110, 13.1.2: who has the key set already is told that it still holds."""
    first = requests.get(f"{door.issuer}/jwks.json", timeout=5)
    again = requests.get(f"{door.issuer}/jwks.json", headers={"If-None-Match": first.headers["ETag"]}, timeout=5)

    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("client", ["portal", "rs"])
def test_an_id_token_is_as_the_suite_wants_it(door: Door, client: str) -> None:
    """1.4: signed by the registered algorithm, exact issuer and audience, sane times, nonce, acr; no profile claims."""
    code = door.browser().sign_in(client_id=client)["code"]
    token = door.redeem(code, auth=(client, SECRET)).json()["id_token"]
    header, now = jwt.get_unverified_header(token), int(door.clock.now().timestamp())
    keys = jwt.PyJWKSet.from_dict(requests.get(f"{door.issuer}/jwks.json", timeout=5).json())
    options: Any = {"verify_exp": False, "verify_iat": False, "require": ["exp", "iat", "sub"]}
    claims = jwt.decode(
        token, keys[header["kid"]], algorithms=[header["alg"]], audience=client, issuer=door.issuer, options=options
    )

    assert header["alg"] == {"portal": "ES256", "rs": "RS256"}[client]
    assert claims["iat"] == now
    assert now < claims["exp"] <= now + 3600
    assert claims["auth_time"] <= now
    assert claims["nonce"] == "n-1"
    assert claims["acr"] == "substantial"
    assert 0 < len(claims["sub"]) <= 255
    assert claims["sub"].isascii()
    assert set(claims) <= {
        "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid", "jti", "azp",
    }  # fmt: skip


def test_a_token_answer_is_as_the_suite_wants_it(door: Door) -> None:
    """1.4: Bearer, a positive lifetime, the scopes; nothing that is not text or a number."""
    answer = door.signed_in()

    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 900
    assert answer["scope"] == "openid profile"
    assert len(answer["access_token"]) >= 43


def test_userinfo_is_as_the_suite_wants_it(door: Door) -> None:
    """1.4: the ID token's `sub`; every claim a text that is not blank; a birth date as YYYY-MM-DD."""
    answer = door.signed_in()
    told = door.userinfo(answer["access_token"]).json()

    assert told["sub"] == claims_of(answer["id_token"])["sub"]
    assert all(isinstance(value, str) and value.strip() for value in told.values())
    assert told["birthdate"] == door.people["anna"].born.isoformat()
    assert "national_number" not in told


def test_a_claim_goes_where_it_was_asked_for(door: Door) -> None:
    """Core 5.5: a claim asked for in the ID token stands there; one the client may not have stands nowhere."""
    asked = '{"id_token": {"name": null, "email": null}, "userinfo": {"national_number": {"essential": true}}}'
    answer = door.signed_in(scope="openid", claims=asked)
    told, claims = door.userinfo(answer["access_token"]).json(), claims_of(answer["id_token"])

    assert claims["name"] == door.people["anna"].name
    assert "email" not in claims
    assert set(told) == {"sub", "national_number"}


def test_static_files_are_kept_by_their_content(door: Door) -> None:
    """G6: a file asked for under its content's address may be kept for a year, any other is asked for again."""
    page = door.browser().authorize()
    address = page.text.partition('rel="stylesheet" href="')[2].partition('"')[0]
    kept = requests.get(f"{door.issuer}{address}", timeout=5)
    plain = requests.get(f"{door.issuer}{urlsplit(address).path}", timeout=5)

    assert "immutable" in kept.headers["Cache-Control"]
    assert plain.headers["Cache-Control"] == "no-cache"
    assert requests.get(f"{door.issuer}/static/nothing.css", timeout=5).status_code == 404
