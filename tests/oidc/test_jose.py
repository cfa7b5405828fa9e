"""Signed tokens: every known way to forge one is refused, and all refusals look alike."""

from __future__ import annotations

import base64
import functools
import hmac
import itertools
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, RSAKey

from idbroker.keyring import Keyring
from idbroker.oidc import jose
from idbroker.oidc.jose import BadToken
from tests.oidc.making import CLAIMS, b64, compact, signed, signs, verify_by


@pytest.mark.parametrize("alg", ["ES256", "PS256", "RS256", "EdDSA"])
def test_right_signatures_verify(keys: dict[str, Any], alg: str) -> None:
    """What joserfc signs by each algorithm verifies, with the claims as they were."""
    assert verify_by(keys[alg], alg)(signed(CLAIMS, keys[alg], alg)).claims == CLAIMS


@pytest.mark.parametrize("alg", ["ES256", "RS256"])
def test_ours_verify_elsewhere(keyring: Keyring, alg: str) -> None:
    """What we sign, another library verifies: typed, with our kid (RFC 8725, 3.11)."""
    signer = keyring.signing(alg)
    text = jose.sign({"sub": "ø"}, signer, typ="at+jwt")
    public = jwt.PyJWK(signer.key.as_dict(private=False) | {"alg": alg})

    assert jwt.decode(text, public, algorithms=[alg]) == {"sub": "ø"}
    assert jwt.get_unverified_header(text) == {"alg": alg, "kid": signer.kid, "typ": "at+jwt"}


@pytest.mark.parametrize(
    "alg", ["none", "None", "NONE", "nOnE", "", "HS256", "RS256 ", "rs256", "RS1", "ES256K", "ES384"]
)
@pytest.mark.parametrize("signature", [b"", b"x"])
def test_j1_alg_none_and_others(keys: dict[str, Any], alg: str, signature: bytes) -> None:
    """No spelling of `none`, no other algorithm, no empty signature (RFC 8725, 2.1)."""
    for key in keys.values():
        with pytest.raises(BadToken):
            verify_by(key)(compact({"alg": alg}, CLAIMS, lambda _: signature))


@pytest.mark.parametrize("alg", [None, 1, True, ["RS256"], {"RS256": 1}])
def test_j1_alg_of_another_type(keys: dict[str, Any], alg: Any) -> None:
    """`alg` must be there, and be a string: a list is no way around the check."""
    with pytest.raises(BadToken):
        verify_by(keys["RS256"])(compact({"alg": alg}, CLAIMS, signs(keys["RS256"], "RS256")))
    with pytest.raises(BadToken):
        verify_by(keys["RS256"])(compact({}, CLAIMS, signs(keys["RS256"], "RS256")))


def test_j1_signature_left_out(keys: dict[str, Any]) -> None:
    """A right token without its signature, or with another's, is nothing."""
    first, payload, signature = signed(CLAIMS, keys["ES256"], "ES256").split(".")
    forged = b64(json.dumps({"sub": "admin"}))
    for text in (
        f"{first}.{payload}.",
        f"{first}.{payload}",
        f"{first}.{forged}.{signature}",
        f".{payload}.{signature}",
        f"{first}..{signature}",
        f"{first}.{payload}.{signature}.{signature}",
        f"{first}.{payload}.{signature}.",
    ):
        with pytest.raises(BadToken):
            verify_by(keys["ES256"])(text)


def public_forms(key: Any) -> dict[str, bytes]:
    """Return every way in which a public key may be taken for a shared secret."""
    public = key.public_key
    jwk = key.as_dict(private=False)
    forms = {
        "SPKI PEM": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "SPKI DER": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "JWK": json.dumps(jwk).encode(),
        "JWK, compact": json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode(),
    }
    if isinstance(key, RSAKey):
        n = public.public_numbers().n
        forms["PKCS1 PEM"] = public.public_bytes(Encoding.PEM, PublicFormat.PKCS1)
        forms["PKCS1 DER"] = public.public_bytes(Encoding.DER, PublicFormat.PKCS1)
        forms["modulus"] = n.to_bytes(256, "big")
        forms["modulus, base64url"] = jwk["n"].encode()
        forms["modulus, hexadecimal"] = f"{n:x}".encode()
    else:
        forms["x"] = base64.urlsafe_b64decode(jwk["x"] + "=")
    forms["PEM, trimmed"] = forms["SPKI PEM"].strip()
    return forms


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
def test_j2_hmac_with_the_public_key(keys: dict[str, Any], alg: str) -> None:
    """No form of a public key serves as an HMAC secret (CVE-2022-29217, CVE-2024-37568)."""
    for secret in public_forms(keys[alg]).values():
        for name, digest in (("HS256", "sha256"), ("HS512", "sha512"), (alg, "sha256")):
            text = compact({"alg": name}, CLAIMS, functools.partial(hmac.digest, secret, digest=digest))
            with pytest.raises(BadToken):
                verify_by(keys[alg])(text)


def test_j2_alg_must_fit_the_key(keys: dict[str, Any]) -> None:
    """An allowed algorithm with a key of another kind does not verify, nor one the key is not pinned to."""
    for (alg, key), (other, others_key) in itertools.permutations(keys.items(), 2):
        if {alg, other} != {"RS256", "PS256"}:
            with pytest.raises(BadToken):
                verify_by(others_key)(signed(CLAIMS, key, alg))
    pinned = RSAKey.import_key({**keys["RS256"].as_dict(private=False), "alg": "RS256"})
    with pytest.raises(BadToken):
        verify_by(pinned)(signed(CLAIMS, keys["PS256"], "PS256"))
    with pytest.raises(BadToken):
        verify_by(OctKey.generate_key(256))(signed(CLAIMS, keys["RS256"], "RS256"))


@pytest.mark.parametrize(
    "brought",
    [
        lambda jwk: {"jwk": jwk},
        lambda jwk: {"jku": "https://evil.example/jwks.json"},
        lambda jwk: {"jku": "file:///etc/passwd"},
        lambda jwk: {"x5u": "http://169.254.169.254/"},
        lambda jwk: {"x5c": ["MIIB"]},
        lambda jwk: {"jwk": jwk, "kid": jwk["kid"]},
    ],
)
def test_j3_keys_in_the_header(keys: dict[str, Any], brought: Callable[[Any], dict[str, Any]]) -> None:
    """A key that a token brings along, inline or by address, is never used (CVE-2026-27962); no address is fetched."""
    evil = ECKey.generate_key("P-256", {"kid": "es"})
    header = brought(evil.as_dict(private=False))

    with pytest.raises(BadToken):
        verify_by(keys["ES256"])(signed(CLAIMS, evil, "ES256", **header))


@pytest.mark.parametrize("kid", [1, True, [], {}, ["es"], {"es": 1}])
def test_j4_kid_of_another_type(keys: dict[str, Any], kid: Any) -> None:
    """`kid` is a string or absent: a look-up never sees anything else."""
    with pytest.raises(BadToken):
        verify_by(keys["ES256"])(signed(CLAIMS, keys["ES256"], "ES256", kid=kid))


@pytest.mark.parametrize("kid", ["", "../../dev/null", "' OR 1=1 --", "es\n", "es\x00", "ES", "\ud800", "x" * 9000])
def test_j4_kid_that_is_not_ours(keyring: Keyring, keys: dict[str, Any], kid: str) -> None:
    """A `kid` is looked up among our keys and nowhere else; what is not there is no key."""
    text = signed(CLAIMS, keys["ES256"], "ES256", kid=kid)

    with pytest.raises(BadToken):
        jose.verify(text, lambda kid, _: keyring.verification_key(kid or ""), algorithms=("ES256",), types=("JWT",))


@pytest.mark.parametrize(
    "extra",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"b64": True},
        {"crit": "alg"},
        {"zip": "DEF"},
        {"enc": "A256GCM"},
        {"p2c": 10**9},
        {"made-up": 1},
    ],
)
def test_j5_j6_headers_not_understood(keys: dict[str, Any], extra: dict[str, Any]) -> None:
    """`crit`, `b64` and everything else that is not understood is refused (RFC 7515, 4.1.11; CVE-2026-48525)."""
    with pytest.raises(BadToken):
        verify_by(keys["ES256"])(signed(CLAIMS, keys["ES256"], "ES256", **extra))


def test_j6_size(keys: dict[str, Any]) -> None:
    """A token over 16 KiB is refused before anything of it is read (CVE-2025-61920)."""
    with pytest.raises(BadToken, match="size"):
        verify_by(keys["ES256"])(signed({"x": "y" * 16000}, keys["ES256"], "ES256"))


def test_j7_to_j10_encrypted_tokens(keys: dict[str, Any]) -> None:
    """An encrypted token is not taken at all: no zip bomb, no oracle, no unsigned content within."""
    with pytest.raises(BadToken):
        verify_by(keys["RS256"])(
            ".".join([b64('{"alg":"RSA1_5","enc":"A256GCM","zip":"DEF"}'), "AA", "AA", "AA", "AA"])
        )


def p256_order() -> int:
    """Return the order of the P-256 group (SEC 2, 2.4.2)."""
    return 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def halves(r: int, s: int) -> bytes:
    """Return a raw ES256 signature."""
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@pytest.mark.parametrize(
    "signature",
    [
        halves(0, 0),
        halves(0, 1),
        halves(1, 0),
        halves(p256_order(), p256_order()),
        halves(p256_order(), 1),
        halves(2**256 - 1, 2**256 - 1),
        encode_dss_signature(0, 0),
        b"\x00" * 63,
        b"\x00" * 65,
        b"\x00" * 96,
    ],
)
def test_j11_ecdsa_edges(keys: dict[str, Any], signature: bytes) -> None:
    """R = s = 0 and its relatives verify nothing (CVE-2022-21449)."""
    with pytest.raises(BadToken):
        verify_by(keys["ES256"])(compact({"alg": "ES256"}, CLAIMS, lambda _: signature))


def test_j11_der_instead_of_raw(keys: dict[str, Any]) -> None:
    """A signature in DER, or padded with zeros, is not a JWS signature (RFC 7518, 3.4)."""
    raw = signs(keys["ES256"], "ES256")

    def der(octets: bytes) -> bytes:
        both = raw(octets)
        return encode_dss_signature(int.from_bytes(both[:32], "big"), int.from_bytes(both[32:], "big"))

    for wrong in (der, lambda octets: b"\x00" + raw(octets), lambda octets: raw(octets) + b"\x00"):
        with pytest.raises(BadToken):
            verify_by(keys["ES256"])(compact({"alg": "ES256"}, CLAIMS, wrong))


@pytest.mark.parametrize("curve", ["P-384", "P-521", "secp256k1"])
def test_j11_wrong_curve(curve: str) -> None:
    """ES256 is P-256, whatever the key says (RFC 7518, 3.4)."""
    key = ECKey.generate_key(curve)

    with pytest.raises(BadToken):
        verify_by(key)(compact({"alg": "ES256"}, CLAIMS, signs(key, "ES256")))


ODD = {
    "padded": lambda part: part + "=",
    "blank": lambda part: part + " ",
    "line end": lambda part: part + "\n",
    "blank inside": lambda part: part[:4] + " " + part[4:],
    "standard alphabet": lambda part: part[:4] + "+/" + part[4:],
    "one letter": lambda part: part + "A" * ((1 - len(part)) % 4),
    "dot": lambda part: part[:4] + "." + part[4:],
    "umlaut": lambda part: part + "ä",
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_j12_other_spellings_of_base64(keys: dict[str, Any], odd: str, place: int) -> None:
    """Padding, blanks, line ends and the other alphabet are refused in every part (RFC 7515, 2)."""
    parts = signed(CLAIMS, keys["ES256"], "ES256").split(".")
    parts[place] = ODD[odd](parts[place])

    with pytest.raises(BadToken):
        verify_by(keys["ES256"])(".".join(parts))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_j12_stray_bits(keys: dict[str, Any], place: int) -> None:
    """The bits that base64url leaves over must be zero, in the signature too: one token, one spelling."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for filler in ("", "x", "xx"):
        text = signed({"filler": filler}, keys["ES256"], "ES256", kid=filler or None)
        parts = text.split(".")
        if len(parts[place]) % 4 == 0:
            continue
        last = alphabet.index(parts[place][-1])
        parts[place] = parts[place][:-1] + alphabet[last | 1]
        assert verify_by(keys["ES256"])(text).claims == {"filler": filler}
        with pytest.raises(BadToken):
            verify_by(keys["ES256"])(".".join(parts))


PAYLOADS = [
    "",
    "null",
    "1",
    '"text"',
    "[]",
    '[{"sub":"a"}]',
    '{"sub":"a","sub":"b"}',
    '{"a":{"b":1,"b":2}}',
    '{"exp":NaN}',
    '{"exp":Infinity}',
    '{"exp":-Infinity}',
    '{"sub":"a"}x',
    '{"sub":"a"}\x00',
    '\ufeff{"sub":"a"}',
    "{'sub':'a'}",
    '{"sub":"\\ud800"}',
    '{"sub":["\\udc00\\ud800"]}',
    '{"\\ud800":1}',
    '{"sub":"a\nb"}',
    '{"a":' * 1500 + "1" + "}" * 1500,
    "[" * 3000,
    '{"n":' + "1" * 5000 + "}",
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_j12_payloads(keys: dict[str, Any], payload: str) -> None:
    """What is not one plain JSON object is refused, though its signature is right; the same in headers."""
    with pytest.raises(BadToken):
        verify_by(keys["ES256"])(compact({"alg": "ES256"}, payload, signs(keys["ES256"], "ES256")))
    with pytest.raises(BadToken):
        verify_by(keys["ES256"])(compact(payload, CLAIMS, signs(keys["ES256"], "ES256")))


@pytest.mark.parametrize(
    "octets", ['{"sub":"a"}'.encode("utf-16"), '{"sub":"a"}'.encode("utf-32-le"), b'{"sub":"\xed\xa0\x80"}']
)
def test_j12_other_encodings(octets: bytes) -> None:
    """JSON is UTF-8; other encodings, which Python guesses, are refused (RFC 8259, 8.1)."""
    with pytest.raises(BadToken):
        jose.json_object(b64(octets))


def test_j12_surrogate_pairs_are_text() -> None:
    """A whole surrogate pair is one character, and allowed."""
    assert jose.json_object(b64('{"name":"\\ud83d\\ude00"}')) == {"name": "😀"}


@pytest.mark.parametrize("date", ["1", True, False, [], {}, "2026-11-22", 1e12, -1e12, float("1e308") * 10, 10**400])
def test_j12_dates(date: Any) -> None:
    """A date is a finite number of seconds, not a string or a truth value (RFC 7519, 2)."""
    with pytest.raises(BadToken):
        jose.seconds({"exp": date}, "exp")


def test_dates() -> None:
    """Whole and broken seconds are read; an absent date is None."""
    assert jose.seconds({"exp": 1}, "exp") == 1.0
    assert jose.seconds({"exp": 1.5}, "exp") == 1.5
    assert jose.seconds({"exp": None}, "exp") is None


@given(st.text(max_size=60), st.integers(0, 2))
def test_j12_any_text(keys: dict[str, Any], text: str, place: int) -> None:
    """Whatever stands in a part, the answer is claims or BadToken, never a fault of ours."""
    parts = signed(CLAIMS, keys["EdDSA"], "EdDSA").split(".")
    for odd in (text, b64(text.encode("utf-8", "surrogatepass"))):
        parts[place] = odd
        with pytest.raises(BadToken):
            verify_by(keys["EdDSA"])(".".join(parts))
