"""What a hostile upstream says: every row of the reject lists an upstream can be made to act out.

Sources: the OpenID Foundation's relying-party tests; PrOfESSOS; RFC 8725; RFC 9700, 4.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

from joserfc.jwk import ECKey, Key, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64encode

ATTACKER = ECKey.generate_key("P-256", {"kid": "attacker", "use": "sig"})
_HOUR = 3600

Claims = dict[str, Any]


def _without(*names: str) -> Callable[[Claims], Claims]:
    return lambda claims: {name: value for name, value in claims.items() if name not in names}


def _lower(level: str) -> str:
    return level.replace("High", "Low").replace("Substantial", "Low").replace("HIGH", "LOW")


# Lies about the claims of the ID token: the same name, another value.
_CLAIMS: Mapping[str, Callable[[Claims], Claims]] = {
    "wrong_iss": lambda c: {**c, "iss": c["iss"] + "/evil"},
    "slash_iss": lambda c: {**c, "iss": c["iss"] + "/"},
    "wrong_aud": lambda c: {**c, "aud": "somebody-else"},
    "aud_array": lambda c: {**c, "aud": [c["aud"]]},
    "foreign_aud": lambda c: {**c, "aud": [c["aud"], "somebody-else"]},
    "wrong_azp": lambda c: {**c, "aud": [c["aud"], "somebody-else"], "azp": "somebody-else"},
    "foreign_azp": lambda c: {**c, "azp": "somebody-else"},
    "wrong_nonce": lambda c: {**c, "nonce": "another"},
    "expired": lambda c: {**c, "exp": c["iat"] - _HOUR, "iat": c["iat"] - 2 * _HOUR, "nbf": c["nbf"] - 2 * _HOUR},
    "just_expired": lambda c: {**c, "exp": c["iat"] - 120},
    "future_iat": lambda c: {**c, "iat": c["iat"] + _HOUR, "exp": c["exp"] + _HOUR},
    "old_iat": lambda c: {**c, "iat": c["iat"] - _HOUR},
    "future_nbf": lambda c: {**c, "nbf": c["nbf"] + _HOUR},
    "exp_string": lambda c: {**c, "exp": str(c["exp"])},
    "exp_true": lambda c: {**c, "exp": True},
    "exp_infinite": lambda c: {**c, "exp": float("inf")},
    "exp_nan": lambda c: {**c, "exp": float("nan")},
    "sub_number": lambda c: {**c, "sub": 12},
    "empty_sub": lambda c: {**c, "sub": ""},
    "bad_at_hash": lambda c: {**c, "at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
    "number_at_hash": lambda c: {**c, "at_hash": 1},
    "old_auth_time": lambda c: {**c, "auth_time": c["auth_time"] - 10 * _HOUR},
    "logout_token": lambda c: {**c, "events": {"http://schemas.openid.net/event/backchannel-logout": {}}},
    "huge_token": lambda c: {**c, "padding": "x" * 200_000},
    **{
        f"missing_{name}": _without(name)
        for name in ("iss", "sub", "aud", "iat", "exp", "nonce", "auth_time", "at_hash")
    },
    "lower_level": lambda c: {**c, **{name: _lower(c[name]) for name in ("loa", "acr") if name in c}},
    "missing_level": _without("loa", "acr", "loA"),
    "unknown_level": lambda c: {**c, **{name: "https://level.example/Extreme" for name in ("loa", "acr") if name in c}},
    "two_levels": lambda c: {**c, "acr": _lower(c["acr"])} if "acr" in c else c,
}

_HEADERS: Mapping[str, Claims] = {
    "unknown_kid": {"kid": "nobody-knows"},
    "number_kid": {"kid": 7},
    "path_kid": {"kid": "../../../../dev/null"},
    "no_kid": {"kid": None},
    "wrong_typ": {"typ": "at+jwt"},
    "logout_typ": {"typ": "logout+jwt"},
    "crit": {"crit": ["exp"], "exp": 1},
    "crit_unknown": {"crit": ["https://example.com/x"], "https://example.com/x": True},
    "empty_crit": {"crit": []},
    "b64_false": {"b64": False, "crit": ["b64"]},
}

_USERINFO: Mapping[str, Callable[[Claims], Claims]] = {
    "wrong_sub_userinfo": lambda c: {**c, "sub": "somebody-else"},
    "missing_sub_userinfo": _without("sub"),
    "bad_birthdate": lambda c: {**c, "mitid.date_of_birth": "31-12-1999"},
}

_SIGNATURES = (
    "alg_none",
    "alg_none_capital",
    "empty_signature",
    "bad_signature",
    "hs256_with_public_key",
    "attacker_key",
    "embedded_jwk",
    "jku",
    "x5c",
    "duplicate_members",
    "padded",
)
_KEY_SETS = ("duplicate_kid", "private_jwks", "oct_jwks", "empty_jwks", "not_jwks")
_WIRE = (
    "discovery_issuer_mismatch",
    "plain_endpoints",
    "foreign_endpoints",
    "redirecting_discovery",
    "redirecting_jwks",
    "redirecting_token",
    "redirecting_userinfo",
    "huge_body",
    "slow_drip",
    "not_json",
    "list_json",
    "empty_token",
    "token_type_mac",
    "token_type_case",
    "no_expires_in",
)
_ANSWERS = (
    "wrong_state",
    "missing_state",
    "wrong_response_iss",
    "missing_response_iss",
    "missing_code",
    "script_in_error",
)

LIES = frozenset(
    (*_CLAIMS, *_HEADERS, *_USERINFO, *_SIGNATURES, *_KEY_SETS, *_WIRE, *_ANSWERS, "signed_userinfo", "forged_userinfo")
)


def make_token(header: Mapping[str, Any], claims: Mapping[str, Any], key: Key, alg: str = "ES256") -> str:
    """Return a signed compact JWS (RFC 7515, 7.1) with exactly this header."""
    return _signed(header, json.dumps(claims).encode(), lambda text: JWSRegistry.algorithms[alg].sign(text, key))


def lie_about_token(claims: Claims, key: Key, alg: str, lies: frozenset[str]) -> str:
    """Return the ID token, or what the lies make of it."""
    for lie in sorted(lies & _CLAIMS.keys()):
        claims = _CLAIMS[lie](claims)
    header: Claims = {"alg": alg, "kid": key.kid, "typ": "JWT"}
    for lie in lies & _HEADERS.keys():
        header = {name: value for name, value in {**header, **_HEADERS[lie]}.items() if value is not None}
    for lie, forge in _FORGERIES.items():
        if lie in lies:
            return forge(header, claims, key)
    token = make_token(header, claims, key, alg)
    return _mangled(token, lies)


def lie_about_jwks(jwks: dict[str, Any], lies: frozenset[str]) -> dict[str, Any]:
    """Return the key set, or what the lies make of it."""
    keys = jwks["keys"]
    for lie, other in _OTHER_KEYS.items():
        if lie in lies:
            return other(keys)
    return jwks


def lie_about_userinfo(claims: Claims, lies: frozenset[str]) -> Claims:
    """Return the userinfo answer, or what the lies make of it."""
    for lie in sorted(lies & _USERINFO.keys()):
        claims = _USERINFO[lie](claims)
    return claims


_OTHER_KEYS: Mapping[str, Callable[[list[Claims]], Claims]] = {
    "duplicate_kid": lambda keys: {"keys": [*keys, {**ATTACKER.as_dict(private=False), "kid": keys[0]["kid"]}]},
    "private_jwks": lambda keys: {"keys": [*keys, ATTACKER.as_dict(private=True)]},
    "oct_jwks": lambda keys: {"keys": [*keys, {"kty": "oct", "kid": "o", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"}]},
    "empty_jwks": lambda _: {"keys": []},
    "not_jwks": lambda _: {"keys": "none"},
}


def _signed(header: Mapping[str, Any], payload: bytes, sign: Callable[[bytes], bytes]) -> str:
    text = urlsafe_b64encode(json.dumps(header).encode()) + b"." + urlsafe_b64encode(payload)
    return (text + b"." + urlsafe_b64encode(sign(text))).decode()


def _unsigned(alg: str) -> Callable[[Claims, Claims, Key], str]:
    return lambda header, claims, _: _signed({**header, "alg": alg}, json.dumps(claims).encode(), lambda _text: b"")


def _by_attacker(**extra: Any) -> Callable[[Claims, Claims, Key], str]:
    return lambda header, claims, _: make_token({**header, **extra, "alg": "ES256"}, claims, ATTACKER)


def _hs256(header: Claims, claims: Claims, key: Key) -> str:
    pem = key.as_bytes(encoding="PEM", private=False) if isinstance(key, ECKey | RSAKey) else b""
    return _signed(
        {**header, "alg": "HS256"}, json.dumps(claims).encode(), lambda text: hmac.digest(pem, text, "sha256")
    )


def _duplicate_members(header: Claims, claims: Claims, key: Key) -> str:
    payload = json.dumps(claims)[:-1] + ', "sub": "somebody-else"}'
    return _signed(header, payload.encode(), lambda text: JWSRegistry.algorithms[header["alg"]].sign(text, key))


_FORGERIES: Mapping[str, Callable[[Claims, Claims, Key], str]] = {
    "alg_none": _unsigned("none"),
    "alg_none_capital": _unsigned("nOnE"),
    "empty_signature": lambda header, claims, _: _signed(header, json.dumps(claims).encode(), lambda _text: b""),
    "hs256_with_public_key": _hs256,
    "attacker_key": _by_attacker(),
    "embedded_jwk": _by_attacker(jwk=ATTACKER.as_dict(private=False), kid="attacker"),
    "jku": _by_attacker(jku="http://127.0.0.1:9/jwks", x5u="http://127.0.0.1:9/x5u", kid="attacker"),
    "x5c": _by_attacker(x5c=["MIIB"]),
    "duplicate_members": _duplicate_members,
}


def _mangled(token: str, lies: frozenset[str]) -> str:
    if "bad_signature" in lies:
        text, _, signature = token.rpartition(".")
        return f"{text}.{signature[:8]}{'A' if signature[8] != 'A' else 'B'}{signature[9:]}"
    return token + "==\n" if "padded" in lies else token
