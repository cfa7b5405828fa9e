"""Freja's signed answer: every forgery and every replay of it is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from idbroker.clock import StoppedClock
from idbroker.errors import Untrusted
from idbroker.identity import LoA
from idbroker.providers._freja.details import read_signers
from idbroker.sandbox.pki import Extension, named, new_authority
from tests.providers.freja_forgeries import (
    ATTACKER,
    CRITICAL,
    NOW,
    ORDERS,
    SHAPES,
    SIGNATURES,
    TIMES,
    X5C,
    Maker,
    headed,
    jwk,
    saying,
    timed,
    true,
)
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
)

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


@pytest.fixture
def desk(tmp_path: Path, clock: StoppedClock) -> Iterator[Desk]:
    """Give a provider with the usual settings."""
    with open_desk(tmp_path, clock) as made:
        yield made


TABLES = {
    "not a compact JWS": SHAPES,
    "a critical header": CRITICAL,
    "": {**SIGNATURES, **ORDERS, **TIMES},
}


@pytest.mark.parametrize(
    ("make", "why"),
    [pytest.param(make, why, id=name) for why, table in TABLES.items() for name, make in table.items()],
)
def test_a_forged_answer_proves_nothing(desk: Desk, make: Maker, why: str) -> None:
    """RFC 8725, 3; E4: whatever is wrong with it, nobody is signed in, and nothing but the detail tells why."""
    begun = desk.begin()
    desk.service.answer(make(desk.service))

    with pytest.raises(Untrusted, match=f"^details: {why}") as stopped:
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
        pytest.param(headed(kid="any", jku="https://attacker.example", jwk=jwk(), x5c=X5C, typ="JOSE"), id="header"),
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
