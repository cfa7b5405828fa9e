"""What the simulated Freja signs, and how it lies about it."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography import x509

from idbroker.clock import StoppedClock
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.freja import LIES, SimFreja
from idbroker.sandbox.freja_lies import RESULT_LIES
from tests.sandbox.freja_rp import USUAL, Rp, wish, x5t_of

pytest_plugins = ["tests.sandbox.freja_fixtures"]


def part(token: str, number: int) -> dict[str, Any]:
    """Return the header (0) or the payload (1) of a compact JWS."""
    text = token.split(".")[number]
    told = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    assert isinstance(told, dict)
    return told


def test_signs_what_was_approved(rp: Rp, freja_clock: StoppedClock) -> None:
    """The details are a JWS by RS256 whose x5t names a certificate that services are told of (RFC 7515, 4.1.7)."""
    answer = rp.approved()

    payload = rp.opened(answer["details"])
    assert part(answer["details"], 0) == {"x5t": x5t_of(rp.freja.jws_certificates[0].read_bytes()), "alg": "RS256"}
    assert payload == {
        "authRef": answer["authRef"],
        "status": "APPROVED",
        "userInfoType": "INFERRED",
        "userInfo": "N/A",
        "minRegistrationLevel": "PLUS",
        "timestamp": int(freja_clock.now().timestamp() * 1000),
        "requestedAttributes": answer["requestedAttributes"],
    }


def test_rotates(rp: Rp, freja: SimFreja) -> None:
    """After a rotation results carry the other certificate's name; older ones stay as they were."""
    begun = rp.start()
    rp.act("approve")
    first = rp.look(begun)["details"]

    freja.rotate()

    second = rp.approved()["details"]
    assert part(first, 0)["x5t"] != part(second, 0)["x5t"] == x5t_of(freja.jws_certificates[0].read_bytes())
    assert rp.look(begun)["details"] == first
    assert rp.opened(first)["authRef"] == begun["authRef"]
    assert rp.opened(second)
    freja.rotate()


def test_certificates_are_freja_s(freja: SimFreja, freja_clock: StoppedClock) -> None:
    """All are of one issuer, for RSA keys of 2048 bits; but for the expired one they outlast any moved clock."""

    def read(path: Path) -> x509.Certificate:
        return x509.load_pem_x509_certificate(path.read_bytes())

    good = [*map(read, freja.jws_certificates), read(freja.unknown_certificate)]
    expired, now = read(freja.expired_certificate), freja_clock.now()

    assert len({certificate.serial_number for certificate in good}) == 3
    assert {certificate.issuer for certificate in [*good, expired]} == {expired.issuer}
    assert expired.not_valid_after_utc < now
    years = timedelta(days=18_263)  # fifty, as far as the sandbox's clock can be moved
    assert [c for c in good[:2] if not c.not_valid_before_utc < now - years < now + years < c.not_valid_after_utc] == []


@pytest.mark.parametrize("lie", sorted(RESULT_LIES - {"replayed", "approved_early"}))
def test_lies_change_the_result(rp: Rp, freja_faults: Faults, lie: str) -> None:
    """Each lie about a result changes it, and only while it is told."""
    begun = rp.start(wish(*USUAL))
    rp.act("approve")
    truth = rp.look(begun)

    freja_faults.set("freja", {"lies": [lie]})
    told = rp.look(begun)

    assert told != truth
    freja_faults.clear()
    assert rp.look(begun) == truth


@pytest.mark.parametrize(
    ("lie", "member", "value"),
    [
        ("wrong_status_inside", "status", "CANCELED"),
        ("lower_level", "minRegistrationLevel", "EXTENDED"),
        ("other_user_inside", "userInfoType", "EMAIL"),
        ("text_timestamp", "timestamp", "{timestamp}"),
    ],
)
def test_lies_inside_are_rightly_signed(rp: Rp, freja_faults: Faults, lie: str, member: str, value: str) -> None:
    """A lie inside the details verifies: only what it says gives it away."""
    freja_faults.set("freja", {"lies": [lie]})

    payload = rp.opened(rp.approved()["details"])

    assert payload[member] == value.format(**payload)


@pytest.mark.parametrize(
    "lie",
    ["forged_signature", "embedded_jwk", "jku", "bad_signature", "changed_payload", "wrong_x5t", "empty_signature"],
)
def test_forgeries_do_not_verify(rp: Rp, freja_faults: Faults, lie: str) -> None:
    """What is signed by another key, or not at all, under the name of a known certificate does not verify."""
    freja_faults.set("freja", {"lies": [lie]})
    details = rp.approved()["details"]

    with pytest.raises(jwt.InvalidSignatureError):
        rp.opened(details)


@pytest.mark.parametrize("alg", ["none", "HS256", "RS512", "PS256"])
def test_other_algorithms(rp: Rp, freja_faults: Faults, alg: str) -> None:
    """The header can name another algorithm; with HS256 the secret is the certificate (RFC 8725, 2.1)."""
    lie = "alg_none" if alg == "none" else alg.lower()
    freja_faults.set("freja", {"lies": [lie]})

    details = rp.approved()["details"]

    assert part(details, 0)["alg"] == alg
    with pytest.raises(jwt.InvalidAlgorithmError):
        rp.opened(details)


@pytest.mark.parametrize("lie", ["unknown_x5t", "expired_certificate"])
def test_other_certificates_verify_by_themselves(rp: Rp, freja_faults: Faults, freja: SimFreja, lie: str) -> None:
    """With these lies the signature is good, of a certificate that must not be believed."""
    freja_faults.set("freja", {"lies": [lie]})
    path = freja.unknown_certificate if lie == "unknown_x5t" else freja.expired_certificate

    details = rp.approved()["details"]

    assert part(details, 0)["x5t"] == x5t_of(path.read_bytes())
    key: Any = x509.load_pem_x509_certificate(path.read_bytes()).public_key()
    assert jwt.decode(details, key, algorithms=["RS256"])["status"] == "APPROVED"


def test_replays_an_earlier_approval(rp: Rp, freja_faults: Faults) -> None:
    """The details can be those of the last approval before: rightly signed, of another order and person."""
    earlier = rp.approved("samir")["details"]
    begun = rp.start()
    rp.act("approve")

    freja_faults.set("freja", {"lies": ["replayed"]})

    told = rp.look(begun)
    assert told["details"] == earlier
    assert told["authRef"] == begun["authRef"] != rp.opened(earlier)["authRef"]


def test_names_somebody_else_around_the_details(rp: Rp, freja_faults: Faults) -> None:
    """With `outer_differs` the unsigned JSON names another person than the signed details do."""
    freja_faults.set("freja", {"lies": ["outer_differs"]})

    answer = rp.approved()

    assert answer["requestedAttributes"]["ssn"] != rp.opened(answer["details"])["requestedAttributes"]["ssn"]


def test_can_approve_what_nobody_did(rp: Rp, freja_faults: Faults) -> None:
    """With `approved_early` an order is called approved before anybody has, with nothing signed."""
    begun = rp.start()
    freja_faults.set("freja", {"lies": ["approved_early"]})

    assert rp.look(begun) == {"authRef": begun["authRef"], "status": "APPROVED"}


@pytest.mark.parametrize("lie", sorted(LIES - RESULT_LIES - {"lost_response", "slow_drip"}))
def test_lies_about_answers(rp: Rp, freja_faults: Faults, lie: str) -> None:
    """Each lie about an answer is told in place of the reference, and the transaction is begun all the same."""
    freja_faults.set("freja", {"lies": [lie]})

    answer = rp.call("initAuthentication", wish(useDynamicQrCode=True))

    truthful = answer.status_code == 200 and answer.mimetype == "application/json" and len(answer.data) < 200
    body = answer.get_json(silent=True) if truthful else None
    assert not isinstance(body, dict) or set(body) != {"authRef", "qrCodeSecret"} or len(str(body["authRef"])) != 64
    assert len(rp.freja.phone.waiting()) == 1


def test_lies_can_be_told_together(rp: Rp, freja_faults: Faults) -> None:
    """Several lies at once are all told."""
    freja_faults.set("freja", {"lies": ["lower_level", "no_number", "unknown_x5t", "unknown_status"]})

    told = rp.approved()

    inside = part(told["details"], 1)
    assert (told["status"], inside["minRegistrationLevel"]) == ("SOMETHING_NEW", "EXTENDED")
    assert "ssn" not in inside["requestedAttributes"]
    assert part(told["details"], 0)["x5t"] == x5t_of(rp.freja.unknown_certificate.read_bytes())
