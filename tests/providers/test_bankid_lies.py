"""What BankID, or whoever answers in its place, is not believed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from idbroker.errors import ProviderError, Refused, Untrusted
from idbroker.identity import Identity, LoA
from idbroker.providers import Wait
from tests.providers.bankid_party import HERE, Party

pytest_plugins = ["tests.providers.bankid_fixtures"]

_UNTRUSTED = (
    "wrong_person",
    "no_user",
    "no_signature",
    "no_ocsp",
    "foreign_number",
    "wrong_visible",
    "wrong_nonvisible",
    "wrong_function",
    "foreign_leaf",
    "unsigned",
    "broken_signature",
    "broken_digest",
    "sha1",
    "one_reference",
    "third_reference",
    "wrapped",
    "doctype",
    "not_xml",
    "other_root",
    "no_chain",
    "expired_leaf",
    "foreign_policy",
    "revoked",
    "unknown_ocsp",
    "ocsp_of_another",
    "ocsp_by_stranger",
    "ocsp_by_user",
    "ocsp_error",
    "old_ocsp",
    "no_nonce",
    "wrong_nonce",
)


def ending(party: Party, lie: str, **more: Any) -> Identity | Wait | ProviderError:
    """Return what a sign-in comes to while BankID tells a lie."""
    provider = party.provider(**more)
    begun = provider.begin(party.asked())
    party.faults.set("bankid", {"lies": [lie]})
    party.act("approve")
    try:
        return provider.resume(party.asked(), begun.state, {})
    except ProviderError as error:
        return error


@pytest.mark.parametrize("lie", _UNTRUSTED)
def test_believes_no_lie(party: Party, lie: str) -> None:
    """E4: whatever does not verify proves nobody."""
    assert isinstance(ending(party, lie), Untrusted)


def test_believes_what_is_for_us_only(party: Party) -> None:
    """Told our own name at BankID, we take nothing that was signed for another relying party."""
    ours = "cn=FP Testcert 5,name=Test av BankID,serialNumber=5566304928,o=Testbank A AB (publ),c=SE"

    assert isinstance(ending(party, "no_risk", relying_party=ours), Identity)
    assert isinstance(ending(party, "wrong_service", relying_party=ours), Untrusted)


def test_takes_a_nonce_in_either_wrapping(party: Party) -> None:
    """BankID's nonce is raw; RFC 8954 would wrap it."""
    assert isinstance(ending(party, "wrapped_nonce"), Identity)


def test_lets_a_policy_be_demanded(party: Party) -> None:
    """A BankID of another kind than the one that was allowed proves nobody."""
    assert isinstance(ending(party, "foreign_policy", certificate_policies=("1.2.3.4.25",)), Untrusted)


@pytest.mark.parametrize(
    ("lie", "refuse", "refused"),
    [
        ("risk_high", "high", True),
        ("risk_high", "moderate", True),
        ("risk_high", "never", False),
        ("risk_moderate", "high", False),
        ("risk_moderate", "moderate", True),
        ("no_risk", "moderate", False),
    ],
)
def test_refuses_the_risk_that_is_too_high(party: Party, lie: str, refuse: str, refused: bool) -> None:
    """`refuse_risk` is the risk from which on BankID's own judgement ends a sign-in; none may have been made."""
    end = ending(party, lie, refuse_risk=refuse)

    assert isinstance(end, Refused if refused else Identity)
    assert not refused or (isinstance(end, Refused) and end.reason == "bankid_risk")


def test_tells_the_apps_own_address(party: Party) -> None:
    """Whoever delivers the proof compares the app's address with the browser's."""
    end = ending(party, "wrong_ip")

    assert isinstance(end, Identity)
    assert end.app_ip == "203.0.113.99"


def test_proof_is_of_its_own_order(party: Party) -> None:
    """E3: an order under another transaction's state was signed for that one, and proves nobody here."""
    bankid = party.provider()
    first = bankid.begin(party.asked())
    bankid.begin(party.asked(handle="t2.other"))
    party.act("approve")
    other = json.loads(bankid.begin(party.asked(handle="t3.third")).state)
    swapped = {**json.loads(first.state), "hidden": other["hidden"]}
    party.bankid.phone.act(party.bankid.phone.waiting()[-1].id, party.people["bjorn"], "approve", ip=HERE)

    with pytest.raises(Untrusted):
        bankid.resume(party.asked(), json.dumps(swapped).encode(), {})


def test_number_that_was_demanded_is_the_number(party: Party) -> None:
    """A proof of somebody else than the one who was asked for proves nobody."""
    bankid = party.provider()
    begun = bankid.begin(party.asked())
    party.act("approve")

    with pytest.raises(Untrusted):
        bankid.resume(party.asked(number_hint=party.people["samir"].number), begun.state, {})


def test_level_is_not_raised_by_asking(party: Party) -> None:
    """Whatever was asked for, BankID is substantial (ASVS 6.8.4)."""
    bankid = party.provider()
    begun = bankid.begin(party.asked())
    party.act("approve")

    with pytest.raises(Refused) as refused:
        bankid.resume(party.asked(loa=LoA.HIGH), begun.state, {})
    assert refused.value.reason == "level_too_low"
