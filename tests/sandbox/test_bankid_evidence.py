"""What the simulated BankID signs, seen by our own checks: the truth is believed, and no lie is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509

from idbroker.errors import Untrusted
from idbroker.providers._bankid import ocsp, signature
from idbroker.sandbox.bankid_lies import DOCUMENT_LIES, OCSP_LIES
from tests.sandbox.bankid_loopback import Rp, encoded

pytest_plugins = ["tests.sandbox.bankid_fixtures"]

VISIBLE, HIDDEN = encoded("Log in at Ålands Klinik"), encoded("transaction 7")


def check(rp: Rp, completion: dict[str, Any], now: datetime) -> None:
    """Check a completion's evidence as the provider does."""
    client = x509.load_pem_x509_certificate(rp.bankid.client_certificate.read_bytes())
    signed = signature.verify(
        completion["signature"],
        person=completion["user"]["personalNumber"],
        visible=VISIBLE,
        visible_format="plaintext",
        non_visible=HIDDEN,
        roots=x509.load_pem_x509_certificates(rp.bankid.signing_root.read_bytes()),
        relying_party=signature.party(client),
        policies=rp.bankid.policies,
        now=now,
    )
    response = completion["ocspResponse"]
    ocsp.verify(response, leaf=signed.leaf, issuer=signed.issuer, signature=completion["signature"], now=now)


def complete(rp: Rp) -> dict[str, Any]:
    """Let somebody log in."""
    return rp.complete(userVisibleData=VISIBLE, userVisibleDataFormat="plaintext", userNonVisibleData=HIDDEN)


@pytest.mark.parametrize("lies", [[], ["wrapped_nonce"]])
def test_the_truth_is_believed(rp: Rp, lies: list[str]) -> None:
    """Nothing is wrong with what a person approves, whichever way the nonce is written."""
    rp.faults.set("bankid", {"lies": lies})

    check(rp, complete(rp), rp.clock.now())


@pytest.mark.parametrize(
    "lie", sorted({*DOCUMENT_LIES, *OCSP_LIES, "wrong_person", "foreign_number"} - {"wrapped_nonce"})
)
def test_no_lie_is_believed(rp: Rp, lie: str) -> None:
    """Each lie in document or OCSP response is Untrusted."""
    rp.faults.set("bankid", {"lies": [lie]})
    completion = complete(rp)

    with pytest.raises(Untrusted):
        check(rp, completion, rp.clock.now())


@pytest.mark.parametrize("year", [2020, 2027, 2040, 2100])
def test_the_clock_may_be_moved(rp: Rp, year: int) -> None:
    """The sandbox's clock may be anywhere: what is signed then verifies then."""
    began = rp.clock.now()
    rp.clock.move(datetime(year, 6, 1, tzinfo=UTC) - began)
    try:
        check(rp, complete(rp), rp.clock.now())
    finally:
        rp.clock.move(began - rp.clock.now())
