"""A client proves who it is in its one registered way (standards 2.5 A8, A9, A27; 2.4 J14)."""

from __future__ import annotations

import base64
import time
from typing import Any
from urllib.parse import quote_plus

import pytest
import requests
from joserfc import jwt as jose_jwt

from tests.attacks.conftest import CLIENT_KEY, POSTER_SECRET
from tests.door import SECRET, VERIFIER, Door

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CODE = {"grant_type": "authorization_code", "code": "x.y", "redirect_uri": "https://portal.test/callback"}


def basic(client: str, secret: str) -> dict[str, str]:
    """Return the header of client_secret_basic, each part form-encoded first (RFC 6749, 2.3.1)."""
    pair = f"{quote_plus(client)}:{quote_plus(secret)}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def asked(door: Door, fields: dict[str, str], **more: Any) -> requests.Response:
    """Ask the token endpoint without the portal's own credentials."""
    return door.post("/token", {**CODE, **fields}, **{"auth": None, **more})


def assertion(door: Door, **changed: Any) -> str:
    """Return a client's assertion; a claim set to None is left out."""
    now = int(door.clock.now().timestamp())
    usual = {
        "iss": "asserting",
        "sub": "asserting",
        "aud": door.issuer,
        "jti": f"j-{time.monotonic_ns()}",
        "exp": now + 60,
    }
    claims = {name: value for name, value in {**usual, **changed}.items() if value is not None}
    return jose_jwt.encode({"alg": "ES256", "kid": "client-1"}, claims, CLIENT_KEY, algorithms=["ES256"])


def by_assertion(text: str, **more: str) -> dict[str, str]:
    """Return the fields of private_key_jwt."""
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": text, **more}


GOOD: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "basic": ({}, basic("portal", SECRET)),
    "basic in capitals": ({}, {"Authorization": basic("portal", SECRET)["Authorization"].replace("Basic", "BASIC")}),
    "basic and its client_id": ({"client_id": "portal"}, basic("portal", SECRET)),
    "post": ({"client_id": "poster", "client_secret": POSTER_SECRET}, {}),
    "public": ({"client_id": "public"}, {}),
}


@pytest.mark.parametrize(("fields", "headers"), GOOD.values(), ids=GOOD)
def test_the_registered_way_is_accepted(door: Door, fields: dict[str, str], headers: dict[str, str]) -> None:
    """A8, 1.5 client-secret-post: who proves itself in its own way gets as far as its code."""
    answer = asked(door, fields, headers=headers)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


WRONG: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "nothing": ({}, {}),
    "confidential without a secret": ({"client_id": "portal"}, {}),
    "wrong secret": ({}, basic("portal", "wrong")),
    "empty secret": ({}, basic("portal", "")),
    "case of the secret": ({}, basic("portal", SECRET.upper())),
    "case of the client": ({}, basic("Portal", SECRET)),
    "space after the secret": ({}, basic("portal", SECRET + " ")),
    "unknown": ({}, basic("nobody", SECRET)),
    "disabled": ({}, basic("gone", SECRET)),
    "another's secret": ({"client_id": "poster", "client_secret": SECRET}, {}),
    "post instead of basic": ({"client_id": "portal", "client_secret": SECRET}, {}),
    "basic instead of post": ({}, basic("poster", POSTER_SECRET)),
    "empty post secret": ({"client_id": "poster", "client_secret": ""}, {}),
    "secret for the public": ({"client_id": "public", "client_secret": SECRET}, {}),
    "basic for the public": ({}, basic("public", "")),
    "another client_id": ({"client_id": "other"}, basic("portal", SECRET)),
    "not base64": ({}, {"Authorization": "Basic ####"}),
    "no colon": ({}, {"Authorization": f"Basic {base64.b64encode(b'portal').decode()}"}),
    "not UTF-8": ({}, {"Authorization": f"Basic {base64.b64encode(bytes([255, 254, 58, 255])).decode()}"}),
    "bad escape": ({}, {"Authorization": f"Basic {base64.b64encode(b'portal:%ff%00').decode()}"}),
    "basic and nothing": ({}, {"Authorization": "Basic "}),
    "bearer": ({}, {"Authorization": "Bearer x"}),
    "digest": ({}, {"Authorization": 'Digest username="portal"'}),
    "client_id with an unseen letter": ({"client_id": "port\u200bal"}, {}),
    "client_id too long": ({"client_id": "x" * 4000}, {}),
}


@pytest.mark.parametrize(("fields", "headers"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("path", ["/token", "/revoke", "/introspect"])
def test_any_other_way_is_refused(door: Door, path: str, fields: dict[str, str], headers: dict[str, str]) -> None:
    """A8: invalid_client with 401, and a challenge where Basic was tried (RFC 6749, 5.2); all refusals alike."""
    answer = door.post(path, {**CODE, "token": "x.y", **fields}, auth=None, headers=headers)

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.json()["error_description"] == "Client authentication failed"
    assert ("WWW-Authenticate" in answer.headers) == headers.get("Authorization", "").startswith("Basic ")


def test_two_ways_at_once_are_refused(door: Door) -> None:
    """A8: a client must not use more than one method in each request (RFC 6749, 2.3)."""
    text = assertion(door)
    twice = (
        asked(door, {"client_id": "portal", "client_secret": SECRET}, headers=basic("portal", SECRET)),
        asked(door, by_assertion(text), headers=basic("portal", SECRET)),
        asked(door, by_assertion(text, client_secret=SECRET)),
    )

    assert [(answer.status_code, answer.json()["error"]) for answer in twice] == [(400, "invalid_request")] * 3


def test_credentials_in_the_query_are_refused(door: Door) -> None:
    """A8, A27: a secret in a URL ends in logs: parameters of the token endpoint count only in the body."""
    in_query = door.post(f"/token?client_id=poster&client_secret={quote_plus(POSTER_SECRET)}", CODE, auth=None)
    code = door.browser().sign_in()["code"]
    mixed = door.post(f"/token?code={code}", {**CODE, "code_verifier": VERIFIER})
    whole = requests.post(
        f"{door.issuer}/token?grant_type=authorization_code&code={code}", auth=("portal", SECRET), timeout=5
    )

    assert [answer.status_code for answer in (in_query, mixed, whole)] == [400] * 3
    assert door.redeem(code).status_code == 200


@pytest.mark.parametrize(
    "name", ["client_id", "client_secret", "grant_type", "code", "redirect_uri", "code_verifier", "x"]
)
def test_a_field_sent_twice_is_refused(door: Door, name: str) -> None:
    """A9: parameters must not be included more than once (RFC 6749, 3.2); nothing is spent."""
    code = door.browser().sign_in(client_id="poster")["code"]
    fields = {
        **CODE,
        "code": code,
        "code_verifier": VERIFIER,
        "client_id": "poster",
        "client_secret": POSTER_SECRET,
        "x": "1",
    }
    twice = [*fields.items(), (name, "again")]
    answer = requests.post(f"{door.issuer}/token", data=twice, timeout=5)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert requests.post(f"{door.issuer}/token", data=fields, timeout=5).status_code == 200


def test_two_authorization_headers_are_refused(door: Door) -> None:
    """A8: two headers are two clients: neither is believed."""
    head = basic("portal", SECRET)["Authorization"]
    body = b"grant_type=authorization_code&code=x.y"
    answer = door.raw(
        f"POST /token HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Authorization: {head}\r\nAuthorization: {head}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )

    assert answer.split()[1] in (b"400", b"401")
    assert b"invalid_grant" not in answer


def test_known_and_unknown_clients_are_answered_alike(door: Door) -> None:
    """A8: whether a client_id exists does not show (user enumeration): same status, same body, same headers."""
    known, unknown = (asked(door, {}, headers=basic(name, "wrong")) for name in ("portal", "nobody"))

    assert known.content == unknown.content
    assert {**known.headers, "Date": ""} == {**unknown.headers, "Date": ""}


def test_an_assertion_is_accepted_once(door: Door) -> None:
    """A8, J14: private_key_jwt by our issuer as audience; the same assertion again is a replay (RFC 7523, 3)."""
    text = assertion(door)
    first, again = asked(door, by_assertion(text)), asked(door, by_assertion(text))

    assert [(a.status_code, a.json()["error"]) for a in (first, again)] == [
        (400, "invalid_grant"),
        (401, "invalid_client"),
    ]


BAD_ASSERTIONS: dict[str, dict[str, Any]] = {
    "aud of the endpoint": {"aud": "{issuer}/token"},
    "aud as a list": {"aud": ["{issuer}"]},
    "aud with a slash": {"aud": "{issuer}/"},
    "foreign aud": {"aud": "https://other.test"},
    "no aud": {"aud": None},
    "iss of another": {"iss": "portal"},
    "sub of another": {"sub": "portal"},
    "no jti": {"jti": None},
    "no exp": {"exp": None},
    "past": {"exp": 1},
    "far future": {"exp": 9_999_999_999},
    "exp as text": {"exp": "9999999999"},
    "exp true": {"exp": True},
    "not yet": {"nbf": 9_999_999_998},
}


@pytest.mark.parametrize("changed", BAD_ASSERTIONS.values(), ids=BAD_ASSERTIONS)
def test_an_assertion_that_is_not_right_is_refused(door: Door, changed: dict[str, Any]) -> None:
    """J14: audience injection, foreign issuers, missing or odd times: each is invalid_client (RFC 7523, 3)."""

    def filled(value: Any) -> Any:
        if isinstance(value, list):
            return [filled(item) for item in value]
        return value.replace("{issuer}", door.issuer) if isinstance(value, str) else value

    answer = asked(door, by_assertion(assertion(door, **{name: filled(value) for name, value in changed.items()})))

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("text", ["", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "x" * 9000, "é.é.é"])
def test_what_is_no_assertion_is_refused(door: Door, text: str) -> None:
    """J1, J12: unsigned, malformed and huge assertions are refused, never a fault."""
    answer = asked(door, by_assertion(text))

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("grant", ["", "password", "implicit", "urn:x", "authorization_code "])
def test_other_grants_do_not_exist(door: Door, grant: str) -> None:
    """A10: only what is registered is redeemed (RFC 6749, 5.2)."""
    answer = door.post("/token", {**CODE, "grant_type": grant})

    assert answer.status_code == 400
    assert answer.json()["error"] == ("invalid_request" if not grant else "unsupported_grant_type")


def test_a_portal_gets_no_token_as_itself(door: Door) -> None:
    """A10: client_credentials is for programs that are registered for the API, and for no portal (RFC 6749, 4.4)."""
    answer = door.post("/token", {**CODE, "grant_type": "client_credentials"})

    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
