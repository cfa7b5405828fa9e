"""Freja's signed answer: every forgery and every replay of it is refused."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from idbroker.clock import StoppedClock
from idbroker.errors import Untrusted
from idbroker.identity import LoA
from idbroker.providers._freja.details import read_signers
from idbroker.sandbox.pki import Extension, named, new_authority
from tests.providers.freja_service import (
    PERSON,
    WHO,
    Desk,
    Service,
    Stamp,
    b64,
    freja_context,
    new_desk,
    new_folder,
    new_stamp,
    open_desk,
    rsa_key,
    served,
    settings,
    signed,
)

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
TO_ENCIPHER = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=True,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)

Maker = Callable[[Service], Any]


@pytest.fixture
def desk(tmp_path: Path, clock: StoppedClock) -> Iterator[Desk]:
    """Give a provider with the usual settings."""
    with open_desk(tmp_path, clock) as made:
        yield made


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


def _jwk() -> dict[str, str]:
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
    "an attacker's jwk": by_attacker(jwk=_jwk(), kid="attacker"),
    "an attacker's jwk alone": by_attacker(jwk=_jwk(), x5t=None),
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
    "crit": headed(crit=["exp"], exp=1),
    "empty crit": headed(crit=[]),
    "unencoded payload": headed(b64=False, crit=["b64"]),
    "b64 without crit": headed(b64=False),
    "algorithm twice": raw(_twice('"alg": "RS256"')),
    "certificate twice": raw(_twice('"x5t": "x"')),
    "a header that is no object": raw(lambda _: '["alg"]'),
    "a header that is no JSON": raw(lambda _: "alg"),
    "a header that is no text": lambda service: signed(b"\xff\xfe", service.payload(), service.stamp.key),
    "a deep header": raw(lambda _: "[" * 10_000),
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


@pytest.mark.parametrize(
    "make",
    [pytest.param(make, id=name) for table in (SHAPES, SIGNATURES, ORDERS, TIMES) for name, make in table.items()],
)
def test_a_forged_answer_proves_nothing(desk: Desk, make: Maker) -> None:
    """RFC 8725, 3; E4: whatever is wrong with it, nobody is signed in, and nothing but the detail tells why."""
    begun = desk.begin()
    desk.service.answer(make(desk.service))

    with pytest.raises(Untrusted, match=r"^details: ") as stopped:
        desk.look(begun)
    assert stopped.value.code == "untrusted"


def test_the_frame_of_these_forgeries_is_true(desk: Desk) -> None:
    """The same answer without a lie is believed: it is the lie that each of them is refused for."""
    begun = desk.begin()
    desk.service.answer(true(desk.service))

    assert desk.proved(begun).subject == WHO


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(headed(kid="any", jku="https://attacker.example", jwk=_jwk(), x5c=X5C, typ="JOSE"), id="header"),
        pytest.param(saying(userInfo="somebody", more={"relyingPartyUserId": "x"}), id="payload"),
        pytest.param(lambda service: headed(x5t=service.stamp.name + "=")(service), id="padded name"),
    ],
)
def test_what_is_not_looked_at_changes_nothing(desk: Desk, make: Maker) -> None:
    """Members of the header that name a key, and those of a later version, are passed over."""
    begun = desk.begin()
    desk.service.answer(make(desk.service))

    assert desk.proved(begun).subject == WHO


def test_an_answer_to_another_person_is_not_replayed(desk: Desk) -> None:
    """B4: a true, fresh answer to one order says nothing of the next."""
    begun = desk.begin()
    desk.service.approve(relyingPartyUserId="ab" * 32)
    desk.proved(begun)
    first = desk.service.orders[desk.service.newest]["details"]

    later = desk.begin()
    desk.service.answer(first)
    with pytest.raises(Untrusted, match="another order"):
        desk.look(later)


def test_what_lies_beside_the_signed_part_is_not_read(desk: Desk) -> None:
    """E4: the attributes outside the signature are an attacker's to choose."""
    begun = desk.begin()
    desk.service.approve()
    desk.service.set(requestedAttributes={**PERSON, "relyingPartyUserId": "evil"}, authRef="another", frejaCookie="c")

    assert desk.proved(begun).subject == WHO


def test_an_approval_at_a_higher_level_than_asked_will_do(desk: Desk) -> None:
    """What must not be is an order at a lower one."""
    begun = desk.begin(minimum=LoA.LOW)
    desk.service.answer(saying(minRegistrationLevel="PLUS")(desk.service))

    assert desk.proved(begun).subject == WHO


@pytest.mark.parametrize("seconds", [59, -59])
def test_clocks_may_differ_by_a_minute(desk: Desk, clock: StoppedClock, seconds: int) -> None:
    """The moment is then put where by our clock it must have been: between the order and now."""
    begun = desk.begin()
    desk.service.answer(timed(seconds=seconds)(desk.service))

    assert desk.proved(begun).proved_at == clock.now()


def test_the_moment_is_when_the_person_acted(desk: Desk, clock: StoppedClock) -> None:
    """Not when we heard of it, which may be much later."""
    begun, ordered = desk.begin(), clock.now()
    clock.move(timedelta(seconds=20))
    desk.service.approve()
    clock.move(timedelta(minutes=4))

    assert desk.proved(begun).proved_at == ordered + timedelta(seconds=20)


# ---- certificates ----------------------------------------------------------------------------------


def test_freja_may_change_its_certificate(tmp_path: Path, clock: StoppedClock) -> None:
    """With both configured, answers signed by the old and by the new one count; by a third, none."""
    stamps = [new_stamp(f"signing {number}", clock.now()) for number in (1, 2, 3)]
    folder, service = new_folder(tmp_path), Service(clock, stamps[0])
    with served(service, freja_context(folder)) as address:
        desk = new_desk(service, settings(folder, address, *stamps[:2]))
        assert desk.go().subject == WHO
        service.stamp = stamps[1]
        assert desk.go().subject == WHO
        service.stamp = stamps[2]
        with pytest.raises(Untrusted, match="not configured"):
            desk.go()
        desk.close()


def test_one_file_may_hold_both(tmp_path: Path, clock: StoppedClock) -> None:
    """As Freja may publish them."""
    stamps = [new_stamp(f"signing {number}", clock.now()) for number in (1, 2)]
    both = b"".join(stamp.certificate.public_bytes(Encoding.PEM) for stamp in stamps)

    assert read_signers(both).keys() == {stamp.name for stamp in stamps}


def test_one_certificates_key_signs_for_no_other(tmp_path: Path, clock: StoppedClock) -> None:
    """B3: a header that names the one, signed with the key of the other, does not verify."""
    old, new = (new_stamp(f"signing {number}", clock.now()) for number in (1, 2))
    folder, service = new_folder(tmp_path), Service(clock, Stamp(new.key, old.certificate))
    with served(service, freja_context(folder)) as address:
        desk = new_desk(service, settings(folder, address, old, new))
        with pytest.raises(Untrusted, match="does not verify"):
            desk.go()
        desk.close()


@pytest.mark.parametrize("days", [-1, 0, 400])
def test_a_certificate_counts_in_its_time_only(desk: Desk, clock: StoppedClock, days: int) -> None:
    """Its key may have been given up: before its first and after its last day nothing it signs counts."""
    clock.move({-1: timedelta(days=-2), 0: timedelta(), 400: timedelta(days=366)}[days])
    if days == 0:
        assert desk.go().subject == WHO
        return
    with pytest.raises(Untrusted, match="time is over"):
        desk.go()


@pytest.mark.parametrize("alg", ["RS384", "RS512"])
def test_longer_hashes_are_taken_when_set(tmp_path: Path, clock: StoppedClock, alg: str) -> None:
    """`jws_algorithms` is the whole list: what is not on it does not count."""
    with open_desk(tmp_path, clock, jws_algorithms=(alg,)) as desk:
        begun = desk.begin()
        desk.service.answer(headed(alg=alg)(desk.service))
        assert desk.proved(begun).subject == WHO
        desk.service.answer(true(desk.service))
        with pytest.raises(Untrusted, match="algorithm"):
            desk.look(begun)


def _elliptic() -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    return new_authority("CA", now=NOW).issue(named("EC"), key.public_key(), now=NOW)


def _for(extension: Extension) -> x509.Certificate:
    key = rsa_key("attacker")
    return new_authority("CA", now=NOW).issue(named("RSA"), key.public_key(), now=NOW, extensions=[extension])


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(_elliptic, id="elliptic"),
        pytest.param(lambda: new_stamp("short", NOW, bits=1024).certificate, id="short"),
        pytest.param(lambda: _for((TO_ENCIPHER, True)), id="not for signing"),
    ],
)
def test_a_certificate_that_cannot_sign_is_no_signer(make: Callable[[], x509.Certificate]) -> None:
    """A weak key, another kind of key, a key for something else: none of them vouches for a person."""
    with pytest.raises(ValueError, match=r"^not "):
        read_signers(make().public_bytes(Encoding.PEM))


def test_the_thumbprint_is_that_of_the_standard() -> None:
    """RFC 7515, 4.1.7: base64url of the SHA-1 of the DER, without padding."""
    der = ATTACKER.certificate.public_bytes(Encoding.DER)

    assert ATTACKER.name == b64(hashlib.sha1(der, usedforsecurity=False).digest())
