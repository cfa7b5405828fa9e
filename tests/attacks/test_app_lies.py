"""What a hostile BankID or Freja says about somebody who waits: it signs nobody in, and ends in one sentence (E4)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest

from idbroker.clock import StoppedClock
from idbroker.sandbox.bankid_lies import COMPLETION_LIES, DOCUMENT_LIES, OCSP_LIES
from tests.app_door import Apps, open_apps, was_answered
from tests.app_eids import Eids, open_eids
from tests.conftest import NOW

SECOND = timedelta(seconds=1)
TITLES = {"bankid": "BankID", "freja": "Freja eID Plus"}
# Our name at the simulated BankID, as its certificate spells it.
OURS = "cn=FP Testcert 5,name=Test av BankID,serialNumber=5566304928,o=Testbank A AB (publ),c=SE"


@pytest.fixture(scope="module")
def eids(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Eids]:
    """Serve the eIDs once."""
    with open_eids(tmp_path_factory.mktemp("eids"), StoppedClock(NOW)) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(eids: Eids, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apps]:
    """Open the broker once."""
    with open_apps(tmp_path_factory.mktemp("lies"), eids, bankid={"relying_party": OURS}) as opened:
        yield opened


@pytest.fixture
def apps(shared: Apps) -> Iterator[Apps]:
    """Give it, healed afterwards."""
    yield shared
    shared.eids.heal()


NO_LIES = {"risk_moderate", "no_risk", "wrong_ip", "wrapped_nonce"}
RISKY = {"risk_high": "BankID stopped the login to protect you."}
UNTRUSTED = sorted({*COMPLETION_LIES, *DOCUMENT_LIES, *OCSP_LIES} - NO_LIES - RISKY.keys())
FORGED = (
    "alg_none",
    "bad_signature",
    "changed_payload",
    "embedded_jwk",
    "expired_certificate",
    "forged_signature",
    "hs256",
    "no_details",
    "other_auth_ref",
    "old_timestamp",
    "replayed",
    "unknown_x5t",
    "wrong_status_inside",
)


@pytest.mark.parametrize(("eid", "lie"), [*(("bankid", lie) for lie in UNTRUSTED), *(("freja", lie) for lie in FORGED)])
def test_a_lie_signs_nobody_in(apps: Apps, eid: str, lie: str) -> None:
    """E4: an answer that does not verify ends in one sentence and a code to tell us; the audit trail has no more."""
    visit = apps.visit(eid, scope="openid profile national_number")
    apps.eids.faults.set(eid, {"lies": [lie]})
    visit.scan()
    visit.looked()
    words = visit.ended()

    assert f"We could not use the answer from {TITLES[eid]}. Try again or choose another way." in words
    said = re.search(r"Give the code ([A-Z2-9]{6})", words)
    (event,) = apps.workers[0].house.durable.events.since(apps.clock.now() - SECOND, kind="provider.failed")
    assert said is not None
    assert (event.ref, event.detail) == (said[1], {"code": "untrusted"})
    assert (event.transaction, event.person, event.provider) == (visit.name, None, eid)
    evidence = apps.workers[0].house.durable.evidence
    assert evidence.since(apps.clock.now() - SECOND, apps.clock.now() + SECOND, limit=9) == ()


def test_after_a_lie_the_truth(apps: Apps) -> None:
    """One bad answer is held against nobody: the next try signs in."""
    visit = apps.visit()
    apps.eids.faults.set("bankid", {"lies": ["broken_signature"]})
    visit.scan()
    visit.looked()
    visit.ended()

    assert visit.signs_in()


@pytest.mark.parametrize("lie", sorted(NO_LIES))
def test_what_is_no_lie(apps: Apps, lie: str) -> None:
    """A moderate risk, none, another address beside a QR code, a wrapped nonce: people are signed in all the same."""
    visit = apps.visit()
    apps.eids.faults.set("bankid", {"lies": [lie]})
    visit.scan()
    visit.looked()

    assert was_answered(visit.press())


@pytest.mark.parametrize("lie", sorted(RISKY))
def test_a_risk_that_is_too_high(apps: Apps, lie: str) -> None:
    """A12: BankID's own judgement ends the sign-in, with a warning in words."""
    visit = apps.visit()
    apps.eids.faults.set("bankid", {"lies": [lie]})
    visit.scan()
    visit.looked()

    assert RISKY[lie] in visit.ended()


@pytest.mark.parametrize("lie", ["outer_differs", "outer_auth_ref", "no_outer_attributes"])
def test_what_freja_did_not_sign_changes_nothing(apps: Apps, lie: str) -> None:
    """E4: what stands beside the signature is not read: the person is who signed."""
    visit = apps.visit("freja")
    apps.eids.faults.set("freja", {"lies": [lie]})
    visit.scan()
    visit.looked()

    assert was_answered(visit.press())
