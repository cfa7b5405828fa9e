"""The checks of tokens, keys and descriptions, on what no honest provider would send."""

from __future__ import annotations

import base64
import hashlib
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, RSAKey

from idbroker.errors import Untrusted
from idbroker.providers._oidc import Upstream, clean
from idbroker.providers._oidc.discovery import Metadata, _parse, check_endpoint
from idbroker.providers._oidc.id_token import CHECKS, Expected, check_id_token, moment
from idbroker.providers._oidc.keys import _header, parse_keys
from idbroker.providers._oidc.upstream import json_object

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
EXPECTED = Expected(
    issuer="https://op.test",
    client_id="us",
    nonce="n",
    access_token="at",
    code="c",
    now=NOW,
    asked=NOW,
    max_age=timedelta(minutes=5),
)
STAMP = int(NOW.timestamp())
GOOD = {
    "iss": "https://op.test",
    "aud": "us",
    "sub": "s",
    "iat": STAMP,
    "exp": STAMP + 300,
    "nonce": "n",
    "auth_time": STAMP,
}
UPSTREAM = Upstream(issuer="https://op.test", client_id="us", hosts=("api.op.test",))
DESCRIPTION = {
    "issuer": "https://op.test",
    "authorization_endpoint": "https://op.test/authorize",
    "token_endpoint": "https://op.test/token",
    "jwks_uri": "https://api.op.test/jwks",
    "response_types_supported": ["code"],
    "id_token_signing_alg_values_supported": ["ES256", "none", "HS256"],
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)


def half(value: str) -> str:
    """Return what `at_hash` and `c_hash` are made of."""
    return base64.urlsafe_b64encode(hashlib.sha256(value.encode()).digest()[:16]).rstrip(b"=").decode()


def test_a_good_token_passes() -> None:
    """Nothing is refused that is as it must be, with its optional hashes right."""
    check_id_token({**GOOD, "at_hash": half("at"), "c_hash": half("c"), "azp": "us"}, EXPECTED)


@pytest.mark.parametrize(
    "wrong",
    [
        {"c_hash": half("another")},
        {"at_hash": None},
        {"at_hash": half("at") + "="},
        {"sub": "s" * 256},
        {"sub": "ø"},
        {"aud": ["us", "us"]},
        {"aud": []},
        {"aud": {"us": 1}},
        {"aud": "US"},
        {"iss": "https://op.test/"},
        {"iss": ["https://op.test"]},
        {"nonce": "\ud800"},
        {"exp": 1e400},
        {"exp": 10**40},
        {"iat": -(10**40)},
        {"nbf": "now"},
        {"auth_time": STAMP + 3600},
        {"auth_time": False},
        {"azp": None},
        {"events": {}},
    ],
)
def test_a_wrong_claim_is_refused(wrong: dict[str, Any]) -> None:
    """One claim that is not what it must be refuses the whole token."""
    with pytest.raises(Untrusted):
        check_id_token({**GOOD, **wrong}, EXPECTED)


@given(name=st.sampled_from([*GOOD, "azp", "at_hash", "c_hash", "nbf"]), value=json_values)
def test_no_claim_can_crash_a_check(name: str, value: Any) -> None:
    """Whatever JSON a claim is, the answer is yes or Untrusted."""
    for check in CHECKS:
        try:
            check({**GOOD, name: value}, EXPECTED)
        except Untrusted:
            continue


@given(
    st.text(max_size=200) | st.binary(max_size=100).map(lambda raw: base64.urlsafe_b64encode(raw).decode() + ".e30.e30")
)
def test_no_header_can_crash_the_reader(token: str) -> None:
    """Whatever stands where a token should, the answer is a header or Untrusted."""
    with suppress(Untrusted):
        assert _header(token, ("ES256",)).alg == "ES256"


@given(json_values)
def test_no_header_members_can_crash_the_reader(value: Any) -> None:
    """Whatever a header's members are, the answer is a header or Untrusted."""
    for name in ("alg", "kid", "typ", "crit", "b64"):
        text = base64.urlsafe_b64encode(json.dumps({"alg": "ES256", name: value}).encode()).rstrip(b"=").decode()
        try:
            assert _header(f"{text}.e30.e30", ("ES256",)).alg == "ES256"
        except Untrusted:
            continue


@given(st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use"]), json_values))
def test_no_key_can_crash_the_reader(jwk: dict[str, Any]) -> None:
    """Whatever a key set lists, the answer is keys or Untrusted."""
    with suppress(Untrusted):
        assert parse_keys({"keys": [jwk, {**jwk, "kty": "EC"}, {**jwk, "kty": "RSA"}]}) == ()


@given(st.sampled_from(sorted(DESCRIPTION)), json_values)
def test_no_description_can_crash_the_reader(name: str, value: Any) -> None:
    """Whatever a description says, the answer is metadata or Untrusted."""
    with suppress(Untrusted):
        assert isinstance(_parse({**DESCRIPTION, name: value}, UPSTREAM, sandbox=False), Metadata)


def test_takes_only_algorithms_that_we_trust() -> None:
    """None and HMAC are never taken, whatever is offered; without any other there is no upstream."""
    assert _parse(DESCRIPTION, UPSTREAM, sandbox=False).algorithms == ("ES256",)

    with pytest.raises(Untrusted):
        _parse({**DESCRIPTION, "id_token_signing_alg_values_supported": ["HS256", "none"]}, UPSTREAM, sandbox=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://op.test/token",
        "https://evil.test/token",
        "https://op.test@evil.test/token",
        "https://op.test.evil/x",
        "https://127.0.0.1/x",
        "http://127.0.0.1/x",
        "http://localhost:80@evil.test/",
        "file:///etc/passwd",
        "//op.test/x",
        "https://op.test/x#y",
        "https://[::ffff:169.254.169.254]/",
        "https://[",
        "",
    ],
)
def test_endpoints_are_where_they_may_be(url: str) -> None:
    """ASVS 10.5.3, J17: https at the issuer's own host or a listed one, and nowhere else (SSRF)."""
    with pytest.raises(Untrusted):
        check_endpoint(url, UPSTREAM, sandbox=True)


def test_a_key_set_keeps_to_signature_keys_of_strength() -> None:
    """Encryption keys, short RSA keys and other curves are left aside; a key's own `alg` binds it."""
    keys = parse_keys(
        {
            "keys": [
                {**ECKey.generate_key("P-256").as_dict(private=False), "kid": "good", "alg": "ES256"},
                {**ECKey.generate_key("P-256").as_dict(private=False), "kid": "enc", "use": "enc"},
                {**ECKey.generate_key("P-384").as_dict(private=False), "kid": "curve"},
                {**RSAKey.generate_key(2048).as_dict(private=False), "kid": "pss", "alg": "PS256"},
                {**RSAKey.generate_key(2048).as_dict(private=False), "kid": "oaep", "alg": "RSA-OAEP"},
                {"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "kid": "ed"},
            ]
        }
    )

    assert [key.kid for key in keys] == ["good", "pss"]
    assert keys[1].fits("pss", "PS256")
    assert not keys[1].fits("pss", "RS256")
    assert not keys[1].fits("good", "PS256")


@pytest.mark.parametrize(
    "text",
    [b'{"a": 1, "a": 2}', b'{"a": NaN}', b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a":' + b"1" * 5000 + b"}"],
)
def test_reads_json_strictly(text: bytes) -> None:
    """Members twice, NaN, deep nesting and endless numbers are no JSON of ours."""
    with pytest.raises(ValueError, match=r"."):
        json_object(text)


def test_times_are_numbers() -> None:
    """A time may have a fraction, and nothing else than a number is one."""
    assert moment({"t": STAMP + 0.5}, "t") == NOW + timedelta(seconds=0.5)
    assert moment({}, "t") is None


def test_an_upstreams_words_are_made_plain() -> None:
    """Line breaks, markup, long digits and length never reach a log line."""
    assert clean("a\r\nb<i>" + "x" * 500).startswith("a??b?i?xxx")
    assert len(clean("x" * 500)) == 120
    assert clean("cpr 740385-0101") == "cpr #-#"
