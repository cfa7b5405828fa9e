"""Every forgery of Freja's signed answer that we could think of: shapes, signatures, orders, times."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from tests.providers.freja_service import (
    PERSON,
    Service,
    b64,
    new_stamp,
    rsa_key,
    signed,
)

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
Maker = Callable[[Service], Any]


def true(service: Service) -> str:
    """Return what Freja would say of the newest order."""
    return signed(service.header(), service.payload(), service.stamp.key)


def headed(**members: Any) -> Maker:
    """Return a maker of truly signed details under another header."""
    return lambda service: signed(service.header(**members), service.payload(), service.stamp.key)


def by_attacker(**members: Any) -> Maker:
    """Return a maker of details signed by an attacker, who also writes the header."""
    return lambda service: signed(service.header(**members), service.payload(), rsa_key("attacker"))


def saying(**members: Any) -> Maker:
    """Return a maker of truly signed details that say something else; None takes a member out."""

    def make(service: Service) -> str:
        payload = {name: value for name, value in {**service.payload(), **members}.items() if value is not None}
        return signed(service.header(), payload, service.stamp.key)

    return make


def timed(**ago: float) -> Maker:
    """Return a maker of truly signed details of another time."""
    return lambda service: saying(timestamp=int((service.clock.now() - timedelta(**ago)).timestamp() * 1000))(service)


def mangled(change: Callable[[str, str, str], list[str]]) -> Maker:
    """Return a maker of true details whose three parts were changed afterwards."""
    return lambda service: ".".join(change(*true(service).split(".")))


def raw(header: Callable[[str], str], payload: Callable[[str], str] = str) -> Maker:
    """Return a maker of truly signed details whose JSON was written by hand."""
    return lambda service: signed(
        header(json.dumps(service.header())).encode(),
        payload(json.dumps(service.payload())).encode(),
        service.stamp.key,
    )


def _twice(member: str) -> Callable[[str], str]:
    return lambda text: text[:-1] + f", {member}}}"


def _somebody_else(payload: str) -> str:
    read = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    read["requestedAttributes"]["relyingPartyUserId"] = "ab" * 32
    return b64(json.dumps(read).encode())


def _flipped(part: str) -> str:
    return part[:20] + ("B" if part[20] == "A" else "A") + part[21:]


def jwk() -> dict[str, str]:
    """Return the attacker's public key (RFC 7517)."""
    numbers = rsa_key("attacker").public_key().public_numbers()
    return {"kty": "RSA", "n": b64(numbers.n.to_bytes(256)), "e": "AQAB", "use": "sig", "kid": "attacker"}


ATTACKER = new_stamp("attacker", NOW)
X5C = [base64.b64encode(ATTACKER.certificate.public_bytes(Encoding.DER)).decode()]

SHAPES: dict[str, Maker] = {
    "missing": lambda _: None,
    "a number": lambda _: 7,
    "an object": lambda service: {"payload": service.payload()},
    "a list": lambda service: [true(service)],
    "empty": lambda _: "",
    "dots": lambda _: "..",
    "two parts": mangled(lambda header, payload, _: [header, payload]),
    "four parts": mangled(lambda *parts: [*parts, ""]),
    "five parts": mangled(lambda *parts: [*parts, *parts[:2]]),
    "padded": mangled(lambda header, payload, mac: [header, payload, mac + "="]),
    "with a line break": mangled(lambda header, payload, mac: [header, payload, mac + "\n"]),
    "with a blank": mangled(lambda header, payload, mac: [" " + header, payload, mac]),
    "in base64, not base64url": mangled(lambda header, payload, mac: [header, payload, mac[:-1] + "+"]),
    "with letters of another script": mangled(
        lambda header, payload, mac: [header, payload, mac + "\N{CYRILLIC SMALL LETTER A}"]
    ),
    "detached": mangled(lambda header, _, mac: [header, "", mac]),
    "too long": saying(padding="x" * 40_000),
    "as JSON": lambda service: json.dumps(
        dict(zip(("protected", "payload", "signature"), true(service).split("."), strict=True))
    ),
}
SIGNATURES: dict[str, Maker] = {
    "none": headed(alg="none"),
    "none without a signature": lambda service: headed(alg="none")(service).rpartition(".")[0] + ".",
    "None": headed(alg="None"),
    "no algorithm": headed(alg=None),
    "an algorithm that is no text": headed(alg=["RS256"]),
    "no signature": mangled(lambda header, payload, _: [header, payload, "AA"]),
    "a signature changed": mangled(lambda header, payload, mac: [header, payload, _flipped(mac)]),
    "a payload changed": mangled(lambda header, payload, mac: [header, _somebody_else(payload), mac]),
    "a header changed": mangled(lambda header, payload, mac: [_flipped(header), payload, mac]),
    "HS256 with the public key": headed(alg="HS256"),
    "HS512 with the public key": headed(alg="HS512"),
    "RS384, not allowed": headed(alg="RS384"),
    "RS512, not allowed": headed(alg="RS512"),
    "PS256, not allowed": headed(alg="PS256"),
    "ES256": headed(alg="ES256"),
    "RS1": headed(alg="RS1"),
    "rs256": headed(alg="rs256"),
    "an attacker under Freja's name": by_attacker(),
    "an attacker under their own name": by_attacker(x5t=ATTACKER.name),
    "an attacker's jwk": by_attacker(jwk=jwk(), kid="attacker"),
    "an attacker's jwk alone": by_attacker(jwk=jwk(), x5t=None),
    "an attacker's x5c": by_attacker(x5c=X5C),
    "an attacker's x5c alone": by_attacker(x5c=X5C, x5t=ATTACKER.name),
    "an attacker's jku": by_attacker(jku="https://attacker.example/keys", kid="attacker"),
    "an attacker's x5u": by_attacker(x5u="https://attacker.example/certificate"),
    "no certificate named": headed(x5t=None),
    "a certificate by kid": lambda service: headed(x5t=None, kid=service.stamp.name)(service),
    "a certificate by S256 alone": lambda service: headed(x5t=None, **{"x5t#S256": service.stamp.name})(service),
    "a name that is no text": headed(x5t=7),
    "a name in a list": lambda service: headed(x5t=[service.stamp.name])(service),
    "another name": headed(x5t="wSYLdhe93ToPR2X1UrNXxOg1juI"),
    "a name of a file": headed(x5t="../../../../dev/null"),
    "algorithm twice": raw(_twice('"alg": "RS256"')),
    "certificate twice": raw(_twice('"x5t": "x"')),
    "a header that is no object": raw(lambda _: '["alg"]'),
    "a header that is no JSON": raw(lambda _: "alg"),
    "a header that is no text": lambda service: signed(b"\xff\xfe", service.payload(), service.stamp.key),
    "a deep header": raw(lambda _: "[" * 10_000),
}
CRITICAL: dict[str, Maker] = {
    "crit": headed(crit=["exp"], exp=1),
    "empty crit": headed(crit=[]),
    "unencoded payload": headed(b64=False, crit=["b64"]),
    "b64 without crit": headed(b64=False),
}
ORDERS: dict[str, Maker] = {
    "of another order": saying(authRef="another"),
    "of no order": saying(authRef=None),
    "of a number": saying(authRef=7),
    "of half a letter": raw(str, lambda text: text.replace('"authRef": "', '"authRef": "\\ud800')),
    "of a signing": lambda service: saying(authRef=None, signRef=service.newest)(service),
    "cancelled": saying(status="CANCELED"),
    "without status": saying(status=None),
    "approved, in small letters": saying(status="approved"),
    "pushed by number": saying(userInfoType="SSN"),
    "without a way it began": saying(userInfoType=None),
    "at a lower level": saying(minRegistrationLevel="EXTENDED"),
    "at the lowest level": saying(minRegistrationLevel="BASIC"),
    "at no level": saying(minRegistrationLevel=None),
    "at an unknown level": saying(minRegistrationLevel="SUPER"),
    "at a level that is a number": saying(minRegistrationLevel=3),
    "without attributes": saying(requestedAttributes=None),
    "with attributes in a list": saying(requestedAttributes=[PERSON]),
    "order twice": raw(str, _twice('"authRef": "another"')),
    "attributes twice": raw(str, _twice('"requestedAttributes": {}')),
    "not a number": raw(str, _twice('"more": NaN')),
    "a list": raw(str, lambda text: f"[{text}]"),
    "no JSON": raw(str, lambda _: "approved"),
}
TIMES: dict[str, Maker] = {
    "before the order": timed(seconds=61),
    "of last year": timed(days=365),
    "in the future": timed(seconds=-61),
    "without a time": saying(timestamp=None),
    "in text": saying(timestamp="1795338000000"),
    "in seconds": saying(timestamp=1795338000),
    "true": saying(timestamp=True),
    "broken": saying(timestamp=1795338000000.5),
    "infinite": raw(str, lambda text: text.replace('"timestamp": ', '"timestamp": 1e999, "was": ')),
    "huge": saying(timestamp=10**30),
    "beyond any number": saying(timestamp=10**400),
    "negative": saying(timestamp=-1),
}
