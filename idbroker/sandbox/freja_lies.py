"""What a hostile Freja says: every way a result can be forged, replayed, or be another's.

Sources: RFC 8725; what relying parties are known not to check (the details' signature, whose reference
they carry, their age, and that the plain JSON around them proves nothing).
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc.jwk import RSAKey

from idbroker.sandbox.freja_signing import SigningKey, SigningKeys, compact

Json = dict[str, Any]
_HOUR = 3_600_000  # in milliseconds
_LOWER = {"PLUS": "EXTENDED", "EXTENDED": "BASIC", "BASIC": "BASIC"}
_LOWER_LOA = {"LOA3": "LOA2", "LOA3_NR": "LOA2", "LOA2": "LOA1", "LOA1": "LOA1"}


def _told(**changed: Callable[[Any], Any]) -> Callable[[Json], Json]:
    """Return the lie that changes attributes which are there."""

    def lie(payload: Json) -> Json:
        told = payload.get("requestedAttributes", {})
        other = {name: changed[name](value) if name in changed else value for name, value in told.items()}
        return {**payload, "requestedAttributes": other}

    return lie


def _untold(*names: str) -> Callable[[Json], Json]:
    def lie(payload: Json) -> Json:
        told = payload.get("requestedAttributes", {})
        left = {name: value for name, value in told.items() if name not in names}
        return {**payload, "requestedAttributes": left}

    return lie


def _without(name: str) -> Callable[[Json], Json]:
    return lambda payload: {key: value for key, value in payload.items() if key != name}


def _lower(payload: Json) -> Json:
    lowered = {"registrationLevel": _LOWER.__getitem__, "loaLevel": _LOWER_LOA.__getitem__}
    return {**_told(**lowered)(payload), "minRegistrationLevel": _LOWER[payload["minRegistrationLevel"]]}


def _other_digit(number: str) -> str:
    return number[:-1] + ("1" if number[-1] != "1" else "2")


# Lies inside the details, rightly signed: the same name, another value.
_INSIDE: Mapping[str, Callable[[Json], Json]] = {
    "other_auth_ref": lambda p: {**p, "authRef": "A" * 60 + "+/-_"},
    "no_auth_ref_inside": _without("authRef"),
    "old_timestamp": lambda p: {**p, "timestamp": p["timestamp"] - _HOUR},
    "future_timestamp": lambda p: {**p, "timestamp": p["timestamp"] + _HOUR},
    "seconds_timestamp": lambda p: {**p, "timestamp": p["timestamp"] // 1000},
    "text_timestamp": lambda p: {**p, "timestamp": str(p["timestamp"])},
    "huge_timestamp": lambda p: {**p, "timestamp": 10**30},
    "no_timestamp": _without("timestamp"),
    "lower_level": _lower,
    "lower_asked_level": lambda p: {**p, "minRegistrationLevel": _LOWER[p["minRegistrationLevel"]]},
    "lower_own_level": _told(registrationLevel=_LOWER.__getitem__, loaLevel=_LOWER_LOA.__getitem__),
    "lower_loa": _told(loaLevel=_LOWER_LOA.__getitem__),
    "unknown_level": _told(registrationLevel=lambda _: "ULTRA", loaLevel=lambda _: "LOA9"),
    "no_level": _untold("registrationLevel", "loaLevel"),
    "wrong_status_inside": lambda p: {**p, "status": "CANCELED"},
    "no_status_inside": _without("status"),
    "other_user_inside": lambda p: {**p, "userInfoType": "EMAIL", "userInfo": "somebody@people.example"},
    "foreign_country": _told(ssn=lambda ssn: {**ssn, "country": "NO"}),
    "bad_number": _told(ssn=lambda ssn: {**ssn, "ssn": _other_digit(ssn["ssn"])}),
    "long_number": _told(ssn=lambda ssn: {**ssn, "ssn": ssn["ssn"] * 1000}),
    "number_as_text": _told(ssn=lambda ssn: ssn["ssn"]),
    "no_number": _untold("ssn"),
    "bad_birthdate": _told(dateOfBirth=lambda _: "31-12-1999"),
    "no_party_user": _untold("relyingPartyUserId"),
    "no_attributes": _without("requestedAttributes"),
    "list_attributes": lambda p: {**p, "requestedAttributes": []},
}

Forge = Callable[[SigningKeys, Json], str]


def _by(attacker: str) -> Forge:
    """Sign with another's key under the name of ours, and offer the other key (RFC 8725, 2.1 and 3.10)."""

    def forge(keys: SigningKeys, payload: Json) -> str:
        other = rsa.generate_private_key(65537, 2048)
        public = RSAKey.import_key(other.public_key()).as_dict()
        offered: Mapping[str, Json] = {
            "forged_signature": {},
            "embedded_jwk": {"jwk": public},
            "jku": {"jku": "http://127.0.0.1:9/jwks", "x5u": "http://127.0.0.1:9/x5u"},
            "no_x5t": {"x5t": None},
            "kid_instead": {"x5t": None, "kid": keys.current.x5t},
        }
        header = {"x5t": keys.current.x5t, "alg": "RS256", **offered[attacker]}
        kept = {name: value for name, value in header.items() if value is not None}
        return compact(kept, payload, lambda text: other.sign(text, padding.PKCS1v15(), hashes.SHA256()))

    return forge


def _with(key: Callable[[SigningKeys], SigningKey], **header: Any) -> Forge:
    return lambda keys, payload: compact({"x5t": key(keys).x5t, "alg": "RS256", **header}, payload, key(keys).rs256)


def _under(alg: str, sign: Callable[[SigningKey, bytes], bytes]) -> Forge:
    return lambda keys, payload: compact(
        {"x5t": keys.current.x5t, "alg": alg}, payload, lambda text: sign(keys.current, text)
    )


def _pem(key: SigningKey) -> bytes:
    # What is public of a key is a secret to nobody: the oldest trick on those who take any alg (RFC 8725, 2.1).
    return key.certificate.public_bytes(Encoding.PEM)


def _rsa(scheme: padding.AsymmetricPadding, digest: hashes.HashAlgorithm) -> Callable[[SigningKey, bytes], bytes]:
    return lambda key, text: key.key.sign(text, scheme, digest)


def _flipped(keys: SigningKeys, payload: Json) -> str:
    text, _, signature = keys.sign(payload).rpartition(".")
    return f"{text}.{signature[:8]}{'A' if signature[8] != 'A' else 'B'}{signature[9:]}"


def _changed(keys: SigningKeys, payload: Json) -> str:
    """Return the signature of one payload under another: somebody edited the number."""
    header, _, signature = keys.sign(payload).split(".")
    text = compact({}, _INSIDE["bad_number"](payload), lambda _: b"").split(".")[1]
    return f"{header}.{text}.{signature}"


def _duplicate(keys: SigningKeys, payload: Json) -> str:
    text = json.dumps(payload)[:-1] + ', "status": "CANCELED"}'
    return compact({"x5t": keys.current.x5t, "alg": "RS256"}, text.encode(), keys.current.rs256)


def _no_json(keys: SigningKeys, _payload: Json) -> str:
    return compact({"x5t": keys.current.x5t, "alg": "RS256"}, b"approved", keys.current.rs256)


_FORGERIES: Mapping[str, Forge] = {
    **{attacker: _by(attacker) for attacker in ("forged_signature", "embedded_jwk", "jku", "no_x5t", "kid_instead")},
    "bad_signature": _flipped,
    "changed_payload": _changed,
    "alg_none": _under("none", lambda _key, _text: b""),
    "alg_none_capital": _under("nOnE", lambda _key, _text: b""),
    "empty_signature": _under("RS256", lambda _key, _text: b""),
    "hs256": _under("HS256", lambda key, text: hmac.digest(_pem(key), text, "sha256")),
    "rs512": _under("RS512", _rsa(padding.PKCS1v15(), hashes.SHA512())),
    "ps256": _under("PS256", _rsa(padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())),
    "rs1": _under("RS1", _rsa(padding.PKCS1v15(), hashes.SHA1())),  # noqa: S303 - nobody is to believe it
    "unknown_x5t": _with(lambda keys: keys.unknown),
    "expired_certificate": _with(lambda keys: keys.expired),
    "wrong_x5t": lambda keys, payload: compact({"x5t": keys.next.x5t, "alg": "RS256"}, payload, keys.current.rs256),
    "number_x5t": _with(lambda keys: keys.current, x5t=7),
    "path_x5t": _with(lambda keys: keys.current, x5t="../../../../dev/null"),
    "crit": _with(lambda keys: keys.current, crit=["exp"], exp=1),
    "b64_false": _with(lambda keys: keys.current, b64=False, crit=["b64"]),
    "duplicate_members": _duplicate,
    "not_json_inside": _no_json,
    "not_jws": lambda _keys, _payload: "approved",
    "two_parts": lambda keys, payload: keys.sign(payload).rpartition(".")[0],
    "padded": lambda keys, payload: keys.sign(payload) + "==\n",
    "huge_details": lambda keys, payload: keys.sign({**payload, "padding": "x" * 400_000}),
}


def _somebody_else(answer: Json) -> Json:
    other = {
        "basicUserInfo": {"name": "Mallory", "surname": "Forgery"},
        "ssn": {"country": "SE", "ssn": "191212121212"},
        "relyingPartyUserId": "0" * 64,
    }
    return {**answer, "requestedAttributes": {**answer.get("requestedAttributes", {}), **other}}


# Lies around the details, which nobody has signed.
_OUTSIDE: Mapping[str, Callable[[Json], Json]] = {
    "outer_differs": _somebody_else,
    "outer_auth_ref": lambda a: {**a, "authRef": "B" * 60 + "+/-_"},
    "no_details": lambda a: {name: value for name, value in a.items() if name != "details"},
    "empty_details": lambda a: {**a, "details": ""},
    "number_details": lambda a: {**a, "details": 7},
    "decoded_details": lambda a: {**a, "details": _decoded(a["details"])},
    "no_outer_attributes": lambda a: {name: value for name, value in a.items() if name != "requestedAttributes"},
}
# And about the status, whatever it is.
_STATUS: Mapping[str, Callable[[Json], Json]] = {
    "unknown_status": lambda a: {**a, "status": "SOMETHING_NEW"},
    "number_status": lambda a: {**a, "status": 200},
    "no_status": lambda a: {name: value for name, value in a.items() if name != "status"},
    "approved_early": lambda a: {**a, "status": "APPROVED"},
}

RESULT_LIES = frozenset((*_INSIDE, *_FORGERIES, *_OUTSIDE, *_STATUS, "replayed"))


def lie_about_result(
    answer: Json, payload: Mapping[str, Any] | None, earlier: str | None, keys: SigningKeys, lies: frozenset[str]
) -> Json:
    """Return the result of getOneResult, or what the lies make of it.

    `payload` is what was approved, None while nothing is. `earlier` is the signed result of another approval.
    """
    if payload is not None and lies & (_INSIDE.keys() | _FORGERIES.keys() | {"replayed"}):
        answer = {**answer, "details": _details(dict(payload), earlier, keys, lies)}
    if payload is not None:
        for lie in sorted(lies & _OUTSIDE.keys()):
            answer = _OUTSIDE[lie](answer)
    for lie in sorted(lies & _STATUS.keys()):
        answer = _STATUS[lie](answer)
    return answer


def _details(payload: Json, earlier: str | None, keys: SigningKeys, lies: frozenset[str]) -> str:
    for lie in sorted(lies & _INSIDE.keys()):
        payload = _INSIDE[lie](payload)
    if "replayed" in lies:
        # Where there was no other approval, one as it would have been.
        old = {**payload, "authRef": "C" * 60 + "+/-_", "timestamp": payload["timestamp"] - 30_000}
        return earlier or keys.sign(old)
    forged = lies & _FORGERIES.keys()
    return _FORGERIES[min(forged)](keys, payload) if forged else keys.sign(payload)


def _decoded(details: str) -> Any:
    """Return the payload as it is, for whoever takes JSON where a signature should be."""
    text = details.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
