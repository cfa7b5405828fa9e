"""What a hostile broker of the Finnish Trust Network sends: tokens that are wrongly encrypted, or wrong inside."""

from __future__ import annotations

import base64
import json
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from joserfc import jwe
from joserfc.jwk import OctKey, RSAKey
from joserfc.registry import HeaderParameter

from idbroker.sandbox.op_lies import LIES, make_token

Claims = dict[str, Any]

STRANGER = RSAKey.generate_key(2048, {"kid": "stranger"})
_BOMB = b" " * 30_000_000
_CRITICAL = {"exp": HeaderParameter("when it is over", "int")}
_FTN = "http://ftn.ficora.fi/2017/"


def _without(name: str) -> Callable[[Claims], Claims]:
    return lambda claims: {other: value for other, value in claims.items() if other != name}


# Lies about what is in the signed token.
CLAIMS: Mapping[str, Callable[[Claims], Claims]] = {
    "wrong_acr": lambda c: {**c, "acr": "https://level.example/extreme"},
    "unknown_ftn_acr": lambda c: {**c, "acr": _FTN + "loa9"},
    "test_acr": lambda c: {**c, "acr": _FTN + "loatest2"},
    "low_acr": lambda c: {**c, "acr": "http://eidas.europa.eu/LoA/low"},
    "eidas_acr": lambda c: {**c, "acr": "http://eidas.europa.eu/LoA/substantial"},
    "list_acr": lambda c: {**c, "acr": [_FTN + "loa2"]},
    **{f"missing_{name}": _without(name) for name in ("acr", "identityscheme", "ftn_idp")},
}
# Lies about the header of the encryption.
_HEADERS: Mapping[str, Claims] = {
    "jwe_oaep_256": {"alg": "RSA-OAEP-256"},
    "jwe_gcm": {"enc": "A256GCM"},
    "jwe_gcm_128": {"enc": "A128GCM"},
    "jwe_other_enc": {"enc": "A192GCM"},
    "jwe_no_kid": {"kid": None},
    "jwe_other_kid": {"kid": "nobody-knows"},
    "jwe_crit": {"crit": ["exp"], "exp": 1},
    "rsa1_5": {"alg": "RSA1_5"},
}
_INSTEAD = (
    "unencrypted",
    "stranger_key",
    "stranger_key_our_kid",
    "zip",
    "zip_bomb",
    "dir",
    "pbes2",
    "nested_json",
    "nested_text",
    "double_encrypted",
    "cut_tag",
    "changed_text",
    "other_signer",
    "plain_userinfo",
    "unencrypted_userinfo",
)
FTN_LIES = LIES | CLAIMS.keys() | _HEADERS.keys() | frozenset(_INSTEAD)


def encrypted(text: str, key: RSAKey, lies: frozenset[str]) -> str:
    """Return a signed token encrypted to a client's key (RFC 7516, 7.1), or what the lies make of it."""
    header: Claims = {"alg": "RSA-OAEP", "enc": "A128CBC-HS256", "kid": key.kid, "cty": "JWT"}
    for lie in lies & _HEADERS.keys():
        header = {name: value for name, value in {**header, **_HEADERS[lie]}.items() if value is not None}
    plain = text.encode()
    if "nested_json" in lies:
        plain = base64.urlsafe_b64decode(text.split(".")[1] + "==")
    if "nested_text" in lies:
        plain = b"a.b.\xff"
    if "zip" in lies or "zip_bomb" in lies:
        header, plain = {**header, "zip": "DEF"}, _BOMB if "zip_bomb" in lies else plain
    if "double_encrypted" in lies:
        plain = _jwe(header, plain, key).encode()
    for lie, forge in _FORGERIES.items():
        if lie in lies:
            return forge(header, plain, key)
    return _mangled(_jwe(header, plain, key), lies)


def _jwe(header: Claims, plain: bytes, key: RSAKey | OctKey) -> str:
    algorithms = [header["alg"], header["enc"], "DEF"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that RSA1_5 is not to be used is why we use it
        registry = jwe.JWERegistry(_CRITICAL, algorithms=algorithms, strict_check_header=False)
        return jwe.encrypt_compact(header, plain, key, registry=registry)


def _unencrypted(_header: Claims, plain: bytes, _key: RSAKey) -> str:
    return plain.decode()


def _by_password(header: Claims, plain: bytes, key: RSAKey) -> str:
    """Return a token encrypted with our public key as a password, which takes long to count."""
    password = OctKey.import_key(json.dumps(key.as_dict(private=False)))
    return _jwe({**header, "alg": "PBES2-HS256+A128KW", "p2c": 100_000, "p2s": "c2FsdHNhbHQ"}, plain, password)


def _direct(header: Claims, plain: bytes, _key: RSAKey) -> str:
    return _jwe({**header, "alg": "dir"}, plain, OctKey.generate_key(256))


_FORGERIES: Mapping[str, Callable[[Claims, bytes, RSAKey], str]] = {
    "unencrypted": _unencrypted,
    "stranger_key": lambda header, plain, _: _jwe({**header, "kid": "stranger"}, plain, STRANGER),
    "stranger_key_our_kid": lambda header, plain, _: _jwe(header, plain, STRANGER),
    "dir": _direct,
    "pbes2": _by_password,
}


def _mangled(token: str, lies: frozenset[str]) -> str:
    head, key, start, text, tag = token.split(".")
    if "cut_tag" in lies:
        tag = tag[:11]
    if "changed_text" in lies:
        text = text[:-8] + text[-8:].swapcase()
    return f"{head}.{key}.{start}.{text}.{tag}"


def signed_by_stranger(token: str) -> str:
    """Return the same token, under the same header, signed by another key."""
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
    return make_token(header, claims, STRANGER, "RS256")
