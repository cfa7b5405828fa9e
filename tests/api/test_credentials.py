"""Tokens that clients get as themselves (RFC 6749, 4.4), and what they are not good for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import jwt
import pytest
from joserfc.jwk import ECKey

from idbroker.client import API_SCOPES, Client
from idbroker.oidc.client_auth import ASSERTION_TYPE
from idbroker.oidc.secret import new_family, new_secret
from tests.api.api_house import Api
from tests.oidc.making import make_client, make_grant


@pytest.fixture
def api(shared: Api) -> Api:
    """Give the shared broker: what is given here is good for nothing elsewhere."""
    return shared


def body(api: Api, path: str, client: str = "journal", **fields: str) -> dict[str, Any]:
    """Return what an endpoint answers."""
    return dict(api.form(path, client, **fields).get_json())


def ask(api: Api, client: str = "journal", **fields: str) -> dict[str, Any]:
    """Return what the token endpoint answers."""
    return body(api, "/token", client, grant_type="client_credentials", **fields)


def test_a_client_gets_a_token_for_all_its_scopes(api: Api) -> None:
    """RFC 6749, 4.4.3: a Bearer token with its scopes and its life; no refresh token, no ID token."""
    answer = ask(api)

    assert answer.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 900)
    assert answer["scope"].split(" ") == list(API_SCOPES)


def test_a_client_may_ask_for_less(api: Api) -> None:
    """RFC 6749, 3.3: the scopes asked for, and no others."""
    assert ask(api, scope="patients.read webhooks")["scope"] == "patients.read webhooks"


@pytest.mark.parametrize("scope", ["openid", "patients.read patients.write", "everything"])
def test_no_scope_beyond_the_registration(api: Api, scope: str) -> None:
    """RFC 6749, 5.2: a scope that the client is not registered for is refused, not left out."""
    assert ask(api, "reader", scope=scope)["error"] == "invalid_scope"


def test_a_portal_gets_none(api: Api) -> None:
    """RFC 6749, 5.2: a client without scopes of the API may not use this grant."""
    answer = api.form("/token", "portal", "portal-secret", grant_type="client_credentials")

    assert (answer.status_code, answer.get_json()["error"]) == (400, "unauthorized_client")


def test_a_public_client_gets_none(api: Api) -> None:
    """RFC 6749, 4.4: only who proves who it is may ask as itself."""
    fields = {"grant_type": "client_credentials", "client_id": "public"}
    answer = api.office.browser().post("/token", data=fields)

    assert (answer.status_code, answer.get_json()["error"]) == (400, "unauthorized_client")


def test_a_wrong_secret_gets_none(api: Api) -> None:
    """RFC 6749, 5.2: a client that does not prove who it is is told so, by 401."""
    answer = api.form("/token", "journal", "guessed", grant_type="client_credentials")

    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")


def test_discovery_lists_the_grant(api: Api) -> None:
    """RFC 8414, 2: what the token endpoint takes is advertised."""
    found = api.office.browser().get("/.well-known/openid-configuration").get_json()

    assert "client_credentials" in found["grant_types_supported"]


def test_a_token_can_be_looked_up_by_its_client(api: Api) -> None:
    """RFC 7662, 2.2: active, whose it is, what for, until when, and that it is for our API alone."""
    token, now = api.token(scope="register"), int(api.office.clock.now().timestamp())
    told = body(api, "/introspect", token=token)

    assert told == {
        "active": True,
        "iss": "https://broker.test",
        "aud": "https://broker.test/api/v1",
        "sub": "journal",
        "client_id": "journal",
        "scope": "register",
        "token_type": "Bearer",
        "iat": now,
        "exp": now + 900,
    }


def test_another_client_learns_nothing_of_it(api: Api) -> None:
    """RFC 7662, 4: scanning for tokens: another's is as good as none."""
    assert body(api, "/introspect", "other", token=api.token()) == {"active": False}


def test_a_revoked_token_is_dead(api: Api) -> None:
    """RFC 7009, 2.1: from then on it opens nothing."""
    token = api.token()
    body(api, "/revoke", token=token)

    assert body(api, "/introspect", token=token) == {"active": False}
    assert api.office.site.credentials.find(token) is None


def test_another_client_cannot_revoke_it(api: Api) -> None:
    """RFC 7009, 2.1: a client ends its own tokens, nobody else's."""
    token = api.token()
    api.form("/revoke", "other", token=token)

    assert body(api, "/introspect", token=token)["active"] is True


def test_a_token_lives_fifteen_minutes(api: Api) -> None:
    """RFC 6749, 10.3: what is stolen is soon worth nothing."""
    token = api.token()
    api.office.clock.move(timedelta(minutes=15))

    assert api.office.site.credentials.find(token) is None


@pytest.mark.parametrize("changed", [{"disabled": True}, {"api": ()}, {"api": ("enrolments",)}])
def test_what_is_taken_from_a_client_is_gone_at_once(api: Api, changed: dict[str, Any]) -> None:
    """ASVS 10.4.9: a disabled client's token is dead, and a scope taken away is gone from a token given before."""
    clients = api.office.house.clients
    system = replace(known(api, "reader"), id="stored")
    clients.save(system)
    token = api.token("stored")
    clients.save(replace(system, **changed))
    held = api.office.site.credentials.find(token)

    assert held is None or held.scopes == frozenset()


def known(api: Api, name: str) -> Client:
    """Return a client."""
    found = api.office.house.clients.find(name)
    assert found is not None
    return found


def test_it_is_no_persons_token(api: Api) -> None:
    """Token confusion: what a client got as itself says nothing at userinfo."""
    answer = api.office.browser().get("/userinfo", headers={"Authorization": f"Bearer {api.token()}"})

    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_token")


def test_it_is_no_code(api: Api) -> None:
    """Token confusion: nothing can be redeemed with it, though it is of the same shape."""
    assert body(api, "/token", grant_type="authorization_code", code=api.token())["error"] == "invalid_grant"


def test_only_a_digest_is_kept(api: Api, tmp_path_factory: pytest.TempPathFactory) -> None:
    """ASVS 14.2: who reads the store finds no token in it."""
    token = api.token()
    stored = b"".join(file.read_bytes() for file in tmp_path_factory.getbasetemp().glob("api*/**/*.db*"))

    assert stored
    assert token.encode() not in stored
    assert token.partition(".")[2].encode() not in stored


def test_a_persons_token_is_no_clients(api: Api) -> None:
    """Token confusion: what a portal got for a person does not open the API's shelf."""
    client, code = make_client(), new_secret(new_family())
    grant = make_grant(client, code)
    api.office.house.grants.put(grant.id, grant, timedelta(minutes=5))

    assert api.office.site.credentials.find(code.text) is None


def test_a_key_is_as_good_as_a_secret(api: Api) -> None:
    """RFC 7523, 2.2: a client that signs with its own key is given a token, and each assertion counts once."""
    key = ECKey.generate_key("P-256", {"kid": "k-1"})
    public = {"keys": [{**key.as_dict(private=False), "kid": "k-1", "alg": "ES256", "use": "sig"}]}
    system = replace(known(api, "reader"), id="signer", auth_method="private_key_jwt", secret_digests=(), jwks=public)
    api.office.house.clients.save(system)
    fields = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE}
    fields["client_assertion"] = assertion(api, key)
    first, again = (api.office.browser().post("/token", data=fields) for _ in range(2))

    assert first.get_json()["scope"] == "patients.read"
    assert again.get_json()["error"] == "invalid_client"


def assertion(api: Api, key: ECKey) -> str:
    """Return what the client `signer` shows for itself."""
    now = int(api.office.clock.now().timestamp())
    claims = {"iss": "signer", "sub": "signer", "aud": "https://broker.test", "exp": now + 60, "jti": "one"}
    return jwt.encode(claims, key.as_pem(private=True), algorithm="ES256", headers={"kid": "k-1"})
