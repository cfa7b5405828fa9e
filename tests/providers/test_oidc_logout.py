"""The checks of a logout token, and each kind of JWT held against every other (J13)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idbroker.errors import Untrusted
from idbroker.providers._oidc.id_token import Expected as ExpectedId
from idbroker.providers._oidc.id_token import check_id_token
from idbroker.providers._oidc.keys import ID_TOKEN, KEY_SET, LOGOUT_TOKEN, parse_keys, signed_by
from idbroker.providers._oidc.logout_token import CHECKS, EVENT, LIFE, Expected, read_logout_token
from idbroker.sandbox.op_lies import ATTACKER, make_token
from tests.providers.test_oidc_tokens import json_values

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
STAMP = int(NOW.timestamp())
EXPECTED = Expected(issuer="https://op.test", client_id="us", now=NOW)
GOOD = {
    "iss": "https://op.test",
    "aud": "us",
    "iat": STAMP,
    "exp": STAMP + 120,
    "jti": "j1",
    "events": {EVENT: {}},
    "sub": "s",
    "sid": "x",
}
# One signer's tokens, each in its own right as it must be, and each for the same receiver.
SHARED = {"iss": "https://op.test", "aud": "us", "sub": "s", "iat": STAMP, "nbf": STAMP, "exp": STAMP + 300}
KINDS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "id token": ("JWT", {**SHARED, "nonce": "n", "auth_time": STAMP, "sid": "x"}),
    "logout token": ("logout+jwt", {**GOOD}),
    "logout token without typ": ("JWT", {**GOOD}),
    "access token": ("at+jwt", {**SHARED, "client_id": "us", "jti": "j2", "scope": "openid", "sid": "x"}),
    "userinfo": ("JWT", {**SHARED, "name": "Anna"}),
    "request object": ("oauth-authz-req+jwt", {**SHARED, "nonce": "n", "jti": "j3", "response_type": "code"}),
    "client assertion": ("JWT", {**SHARED, "jti": "j4"}),
    "typed client assertion": ("client-authentication+jwt", {**SHARED, "jti": "j5"}),
    "proof of possession": ("dpop+jwt", {**SHARED, "jti": "j6", "htm": "POST", "htu": "https://us.test/"}),
    "authorization response": ("JWT", {**SHARED, "code": "c", "state": "st"}),
    "security event": ("secevent+jwt", {**GOOD}),
    "entity statement": ("entity-statement+jwt", {**SHARED, "jwks": {"keys": []}}),
    "key set": ("jwk-set+jwt", {**SHARED, "keys": []}),
}
KEYS = parse_keys({"keys": [ATTACKER.as_dict(private=False)]})


def as_id_token(token: str) -> None:
    """Read it as an ID token."""
    expected = ExpectedId(
        issuer="https://op.test", client_id="us", nonce="n", access_token="at", code="c", now=NOW, asked=NOW
    )
    check_id_token(signed_by(token, KEYS, ID_TOKEN), expected)


def as_logout_token(token: str) -> None:
    """Read it as a logout token."""
    read_logout_token(signed_by(token, KEYS, LOGOUT_TOKEN), EXPECTED)


def as_key_set(token: str) -> None:
    """Read it as a signed key set."""
    assert signed_by(token, KEYS, KEY_SET)["keys"] == []


READERS: Mapping[str, tuple[Callable[[str], None], set[str]]] = {
    "id token": (as_id_token, {"id token"}),
    "logout token": (as_logout_token, {"logout token", "logout token without typ"}),
    "key set": (as_key_set, {"key set"}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reader", READERS)
def test_each_kind_is_read_as_itself_alone(reader: str, kind: str) -> None:
    """J13, RFC 8725 2.8: a genuine token of one kind is refused wherever another kind is due."""
    typ, claims = KINDS[kind]
    token = make_token({"alg": "ES256", "kid": "attacker", "typ": typ}, claims, ATTACKER)
    read, own = READERS[reader]

    if kind in own:
        read(token)
    else:
        with pytest.raises(Untrusted):
            read(token)


def test_a_good_token_names_whom_it_means() -> None:
    """2.4, 2.7: the session where one is named, else all of the subject's; its id has its issuer in front."""
    with_session = read_logout_token(GOOD, EXPECTED)
    without = read_logout_token({name: value for name, value in GOOD.items() if name != "sid"}, EXPECTED)

    assert (with_session.id, with_session.names, without.names) == ("https://op.test j1", ("sid:x",), ("sub:s",))
    assert with_session.until == NOW + timedelta(minutes=3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://op.test/"},
        {"iss": None},
        {"aud": ["us", "them"]},
        {"aud": []},
        {"events": {}},
        {"events": {EVENT: []}},
        {"events": {EVENT: {}, "x": {}}},
        {"events": EVENT},
        {"nonce": None},
        {"exp": STAMP - 61},
        {"exp": "soon"},
        {"iat": STAMP + 61},
        {"iat": STAMP - int(LIFE.total_seconds()), "exp": STAMP + 10**6},
        {"jti": ""},
        {"jti": "j" * 256},
        {"jti": "j\n"},
        {"sid": ""},
        {"sid": None},
        {"sub": "ø"},
        {"sub": ["s"]},
    ],
)
def test_a_wrong_claim_is_refused(wrong: dict[str, Any]) -> None:
    """One claim that is not what it must be refuses the whole token."""
    with pytest.raises(Untrusted):
        read_logout_token({**GOOD, **wrong}, EXPECTED)


@given(name=st.sampled_from([*GOOD, "nonce"]), value=json_values)
def test_no_claim_can_crash_a_check(name: str, value: Any) -> None:
    """Whatever JSON a claim is, the answer is yes or Untrusted."""
    for check in CHECKS:
        with suppress(Untrusted):
            check({**GOOD, name: value}, EXPECTED)


@given(seconds=st.integers(-(10**5), 10**5), life=st.integers(1, 10**9))
def test_what_is_taken_is_remembered_until_it_is_over(seconds: int, life: int) -> None:
    """J14: while a token is taken at all, its id is still remembered."""
    claims = {**GOOD, "iat": STAMP + seconds, "exp": STAMP + seconds + life}
    with suppress(Untrusted):
        until = read_logout_token(claims, EXPECTED).until
        later = Expected(issuer="https://op.test", client_id="us", now=until)
        with pytest.raises(Untrusted, match="over"):
            read_logout_token(claims, later)
