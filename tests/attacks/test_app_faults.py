"""What can go wrong while somebody waits for an app: each ends in plain words and a way on, and loses no approval."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from idbroker.clock import StoppedClock, SystemClock
from idbroker.sandbox.bankid_phone import FAILURES, STEPS
from idbroker.sandbox.pki import named, new_authority, write_certificates, write_pair
from tests.app_door import Apps, open_apps, was_answered
from tests.app_eids import Eids, open_eids
from tests.conftest import NOW
from tests.door import words_of
from tests.sandbox.bankid_loopback import serve_bankid
from tests.servers import free_port

SECOND = timedelta(seconds=1)
EIDS = ("bankid", "freja")
TITLES = {"bankid": "BankID", "freja": "Freja eID Plus"}
SHORT = {"bankid": "BankID", "freja": "Freja"}


@pytest.fixture(scope="module")
def eids(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Eids]:
    """Serve the eIDs once."""
    with open_eids(tmp_path_factory.mktemp("eids"), StoppedClock(NOW)) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(eids: Eids, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apps]:
    """Open the broker once, for a service that takes the level low where it is asked for."""
    with open_apps(tmp_path_factory.mktemp("faults"), eids, portal={"minimum": "low"}) as opened:
        yield opened


@pytest.fixture
def apps(shared: Apps) -> Iterator[Apps]:
    """Give it, healed afterwards."""
    yield shared
    shared.eids.heal()


def not_answering(page: requests.Response, eid: str) -> bool:
    """Tell whether a page says that this eID is down, and only this one."""
    down = [f"{TITLES[one]} is not answering right now. Choose another way or try later." for one in EIDS]
    return [words in words_of(page) for words in down] == [one == eid for one in EIDS]


# ---- what the person or the app did --------------------------------------------------------------

ENDS: Mapping[str, str] = {
    "cancel": "You cancelled in BankID. Try again or choose another way.",
    "userCancel": "You cancelled in BankID.",
    "expiredTransaction": "We got no answer from the BankID app. Check that it is open and online, then try again.",
    "certificateErr": "Your BankID is blocked or too old. Your bank can give you a new one.",
    "cancelled": "A newer login with your BankID stopped this one.",
    "userDeclinedCall": "Something went wrong with BankID. Try again.",
    "notSupportedByUserApp": "Your BankID app is too old. Update the app, then try again.",
    "transactionRiskBlocked": "BankID stopped the login to protect you. Did someone ask you to log in? Then hang up.",
    "mrtdVerificationFailed": "BankID could not read your ID document. Try again with good light",
    "facialRecognitionFailed": "BankID could not recognise your face. Try again with good light",
    "nfcNotSupportedByDevice": "Your phone cannot read ID documents. Use another phone or choose another way.",
    "multipleBankIdsOnDevice": "You have more than one BankID on your device.",
    "stepUpFailed": "BankID could not confirm who you are. Try again or choose another way.",
    "somethingNew": "Something went wrong with BankID. Try again.",
}


def test_every_failure_is_here() -> None:
    """Each hint that BankID documents has its words below, or is an order that is renewed in silence."""
    assert set(FAILURES) - ENDS.keys() == {"startFailed"}


@pytest.mark.parametrize("outcome", ENDS)
def test_how_bankid_ends(apps: Apps, outcome: str) -> None:
    """B4: whatever ends an order at BankID, the page goes to the choice and says it there, within one look."""
    visit = apps.visit()
    order = visit.scan(outcome="open")
    visit.looked()
    visit.phone.act(order.id, apps.eids.people["bjorn"], outcome)
    visit.looked()

    assert ENDS[outcome] in visit.ended()
    assert visit.waiting() == []


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("cancel", "You cancelled in Freja. Try again or choose another way."),
        ("REJECTED", "Something went wrong with Freja. Try again."),
    ],
)
def test_how_freja_ends(apps: Apps, outcome: str, words: str) -> None:
    """B4: the same for Freja, by its own name."""
    visit = apps.visit("freja")
    visit.scan(outcome=outcome)
    visit.looked()

    assert words in visit.ended()


def test_freja_runs_out_in_the_app(apps: Apps) -> None:
    """Somebody opened Freja and laid the phone away: after two minutes the page says so and offers another try."""
    visit = apps.visit("freja")
    visit.scan(outcome="open")
    visit.looked()
    opened = visit.news()
    visit.apps.go(timedelta(minutes=2))

    assert (opened["state"], "path" in opened) == ("opened", False)
    assert "We got no answer from the Freja app." in visit.ended()
    assert visit.signs_in()


@pytest.mark.parametrize("outcome", STEPS)
def test_every_step_is_said(apps: Apps, outcome: str) -> None:
    """1.10: while an order is in the app its code is gone and the page says what to do; unknown hints do no harm."""
    visit = apps.visit()
    order = visit.scan(outcome=outcome)
    visit.looked()
    news = visit.news()

    waits = outcome == "noClient"  # which BankID says before anybody has opened it
    assert (news["state"], "path" in news) == (("waiting", True) if waits else ("opened", False))
    assert news["says"] in words_of(visit.ask("wait"))
    visit.phone.act(order.id, apps.eids.people["bjorn"], "approve")
    visit.looked()
    assert was_answered(visit.press())


def test_an_order_that_could_not_be_started_is_renewed(apps: Apps) -> None:
    """A6: startFailed is no failure of the person's: there is a new order, and the page says nothing."""
    visit = apps.visit()
    first = visit.reference
    visit.scan(outcome="startFailed")
    visit.looked()

    assert visit.news()["state"] == "waiting"
    assert visit.reference != first
    visit.scan()
    visit.looked()
    assert was_answered(visit.press())


# ---- levels, and people from elsewhere -----------------------------------------------------------


@pytest.mark.parametrize("person", ["elin", "eero", "dagny"])
def test_people_with_a_lower_level(apps: Apps, person: str) -> None:
    """Somebody with a lower level, or from another country, signs in where that is enough."""
    visit = apps.visit("freja", acr_values="low")
    visit.scan(person)
    visit.looked()

    assert was_answered(visit.press())


@pytest.mark.parametrize(
    ("person", "lies", "words"),
    [
        ("bjorn", ["lower_own_level"], "Vårdportalen needs a stronger way to log in. Choose one of these."),
        ("elin", [], "Something went wrong with Freja. Try again."),  # the simulated app turns it down by itself
        ("dagny", [], "Something went wrong with Freja. Try again."),
    ],
)
def test_people_whose_level_is_too_low(eids: Eids, tmp_path: Path, person: str, lies: list[str], words: str) -> None:
    """1.11: where Plus is needed they are told in words, by what came back, and are offered what else there is."""
    with open_apps(tmp_path, eids) as apps:
        visit = apps.visit("freja")
        eids.faults.set("freja", {"lies": lies})
        visit.scan(person)
        visit.looked()
        assert words in visit.ended()
    eids.heal()


# ---- the eID is away -----------------------------------------------------------------------------

FAULTS: Mapping[str, Mapping[str, Any]] = {
    "down": {"down": True},
    "500": {"status": 500},
    "502": {"status": 502},
    "401": {"status": 401},
    "404": {"status": 404},
    "429": {"status": 429},
    "cut off": {"lies": ["garbage_json"]},
    "a list": {"lies": ["list_json"]},
    "a page": {"lies": ["html_body"]},
    "ten megabytes": {"lies": ["huge_body"]},
    "maintenance": {"lies": ["maintenance"]},
    "no tokens": {"lies": ["bad_tokens"]},
    "hangs up": {"lies": ["lost_response"]},
    "another order": {"lies": ["other_order"]},
    "another status": {"lies": ["new_status"]},
}
ONLY = {
    "bankid": {"maintenance", "no tokens", "another order", "another status"},
    "freja": {"hangs up"},
}
BEGIN = [(e, f) for e in EIDS for f in FAULTS if f in ONLY[e] or not any(f in names for names in ONLY.values())]
TELLS = {"another order", "another status"}  # which begin well, and answer looks with nonsense


@pytest.mark.parametrize(("eid", "fault"), [case for case in BEGIN if case[1] not in TELLS])
def test_away_at_the_start(apps: Apps, eid: str, fault: str) -> None:
    """C2: the choice says which eID does not answer; the other works, and so does this one when it is back."""
    apps.eids.faults.set(eid, FAULTS[fault])
    visit = apps.visit(eid)

    assert visit.page.url.endswith("/choose")
    assert not_answering(visit.page, eid)
    assert apps.events(visit.name) == ["provider.failed unreachable"]
    other = "freja" if eid == "bankid" else "bankid"
    assert visit.browser.press(visit.page, provider=other).url.endswith("/wait")
    assert visit.signs_in()


@pytest.mark.parametrize(("eid", "fault"), [case for case in BEGIN if case[1] != "no tokens"])
def test_away_while_somebody_waits(apps: Apps, eid: str, fault: str) -> None:
    """Ten seconds of an outage in the middle: the page says so and stays, and what was approved meanwhile counts."""
    visit = apps.visit(eid)
    order = visit.phone.scan(visit.code())
    apps.eids.faults.set(eid, FAULTS[fault])
    if fault not in TELLS:
        visit.phone.act(order.id, apps.eids.people["bjorn"], "approve")
    visit.looked()
    apps.go(10 * SECOND)
    slow = visit.news()
    apps.eids.faults.clear()
    if fault in TELLS:
        visit.phone.act(order.id, apps.eids.people["bjorn"], "approve")
    for _ in range(2):  # the first look may still be in the seven seconds that we rest after 429
        apps.go(10 * SECOND)

    assert slow["says"] == f"{SHORT[eid]} is slow to answer. We keep trying. Leave this page open."
    assert visit.news()["go"] is True
    assert was_answered(visit.press())
    assert apps.events(visit.name) == ["signin.granted"]


@pytest.mark.parametrize("eid", EIDS)
def test_away_for_good(apps: Apps, eid: str) -> None:
    """After two minutes without an answer the person is not left waiting any longer."""
    visit = apps.visit(eid)
    apps.eids.faults.set(eid, {"down": True})
    minutes = []
    for _ in range(15):
        visit.news()
        apps.go(10 * SECOND)
        minutes.append("to" in visit.news())

    assert 11 <= minutes.index(True) <= 13
    visit.ended()
    assert not_answering(visit.browser.get(visit.page.url), eid)
    assert visit.signs_in()


@pytest.mark.parametrize("eid", EIDS)
def test_slow(apps: Apps, eid: str) -> None:
    """An eID that takes its time takes nothing else: the page comes, and so does the code."""
    apps.eids.faults.set(eid, {"slow": 0.2})
    visit = apps.visit(eid)
    visit.scan()
    visit.looked()

    assert was_answered(visit.press())


def test_too_many_calls(apps: Apps) -> None:
    """429: BankID's limit is for all our patients; we rest as long as it says, whoever presses what, and go on."""
    visit = apps.visit()
    visit.scan()
    apps.eids.faults.set("bankid", {"lies": ["too_many"]})
    visit.looked()
    calls = len(visit.wire.calls)
    apps.eids.faults.clear()
    apps.go(2 * SECOND)
    other = apps.visit()

    assert len(visit.wire.calls) == calls
    assert not_answering(other.page, "bankid")
    apps.go(6 * SECOND)
    assert visit.news()["go"] is True
    assert was_answered(visit.press())


def test_the_result_is_lost_on_its_way(apps: Apps) -> None:
    """D: BankID tells a result once. When that answer is lost nothing can be had any more: it is said, to try again."""
    visit = apps.visit()
    visit.scan()
    apps.eids.faults.set("bankid", {"lies": ["lost_response"]})
    visit.looked()
    pending = visit.news()
    apps.eids.faults.clear()
    visit.looked()

    assert pending["go"] is False
    assert "Something went wrong with BankID. Try again." in visit.ended()
    assert apps.events(visit.name) == ["provider.failed bankid_lost"]
    assert visit.signs_in()


def test_a_new_error_is_no_outage(apps: Apps) -> None:
    """A7: codes can come without notice; one that blames no server ends this order, and not everybody's."""
    apps.eids.faults.set("bankid", {"lies": ["new_error"]})
    first = apps.visit()
    apps.eids.faults.clear()
    visit = apps.visit()
    apps.eids.faults.set("bankid", {"lies": ["new_error"]})
    visit.looked()

    assert "Something went wrong with BankID. Try again." in words_of(first.page)
    assert "Something went wrong with BankID. Try again." in visit.ended()
    assert visit.signs_in()


def test_a_new_hint_ends_nothing(apps: Apps) -> None:
    """A8: an unknown hint hides the code, in case somebody has opened it, and the order goes on."""
    visit = apps.visit()
    order = visit.phone.scan(visit.code())
    apps.eids.faults.set("bankid", {"lies": ["new_hint"]})
    visit.looked()
    news = visit.news()
    apps.eids.faults.clear()
    visit.phone.act(order.id, apps.eids.people["bjorn"], "approve")
    visit.looked()

    assert news["says"].startswith("BankID is checking.")
    assert was_answered(visit.press())


# ---- certificates --------------------------------------------------------------------------------


@contextlib.contextmanager
def another_bankid(eids: Eids, folder: Path, days: int) -> Iterator[tuple[str, Path]]:
    """Serve BankID with a certificate of somebody else's; give its address and that one's root."""
    now = SystemClock().now()  # TLS knows no clock but the machine's
    root = new_authority("Somebody else", now=now)
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    extensions: list[tuple[x509.ExtensionType, bool]] = [(x509.SubjectAlternativeName(names), False)]
    leaf = root.issue(named("localhost"), key.public_key(), now=now, days=days, extensions=extensions)
    certificate, key_file = write_pair(folder, "server", leaf, key)
    served = replace(eids.bankid, server_certificate=certificate, server_key=key_file)
    with serve_bankid(served) as address:
        yield address, write_certificates(folder / "root.crt", root.certificate)


@pytest.mark.parametrize("wrong", ["another root", "expired", "another name", "nobody listens"])
def test_a_server_that_is_not_bankid(eids: Eids, tmp_path: Path, wrong: str) -> None:
    """E4: a server with another root's certificate, an expired one or another name is told nothing; the rest works."""
    with another_bankid(eids, tmp_path, -1 if wrong == "expired" else 30) as (address, root):
        changed = {"address": address}
        if wrong != "another root":
            changed["server_root_file"] = str(root)
        if wrong == "another name":
            changed["address"] = address.replace("127.0.0.1", "127.0.0.2")
        if wrong == "nobody listens":
            changed["address"] = f"https://127.0.0.1:{free_port()}/rp/v6.0"
        calls = len(eids.wires["bankid"].calls)
        with open_apps(tmp_path, eids, bankid=changed) as apps:
            visit = apps.visit()
            assert not_answering(visit.page, "bankid")
            assert visit.browser.press(visit.page, provider="freja").url.endswith("/wait")
    eids.heal()

    assert len(eids.wires["bankid"].calls) == calls


@pytest.mark.parametrize("which", ["expired_client", "unknown_client"])
def test_our_certificate_is_not_taken(eids: Eids, tmp_path: Path, which: str) -> None:
    """Our own certificate has expired or is unknown at BankID: the broker starts, says so, and the other eID works."""
    changed = {
        "certificate_file": str(getattr(eids.bankid, f"{which}_certificate")),
        "key_file": str(getattr(eids.bankid, f"{which}_key")),
    }
    with open_apps(tmp_path, eids, bankid=changed) as apps:
        visit = apps.visit()
        assert not_answering(visit.page, "bankid")
        assert apps.events(visit.name) == ["provider.failed unreachable"]
        assert visit.browser.press(visit.page, provider="freja").url.endswith("/wait")
    eids.heal()
