"""Swedish BankID against its simulator: who is proved, and how far an order is (RP API v6.0)."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest

from idbroker.errors import Cancelled, Refused
from idbroker.identity import LoA
from idbroker.providers import App, Progress
from idbroker.providers._bankid.proof import methods
from tests.providers.bankid_party import HERE, NOW, Party

pytest_plugins = ["tests.providers.bankid_fixtures"]


def test_is_an_app(party: Party) -> None:
    """BankID is an app that is waited for, looked at every two seconds; its level is substantial."""
    bankid = party.provider()

    assert isinstance(bankid, App)
    assert (bankid.title, bankid.short, bankid.pace) == ("BankID", "BankID", timedelta(seconds=2))
    assert (bankid.loa, bankid.origins, bankid.binding) == (LoA.SUBSTANTIAL, (), "return_or_ip")


def test_proves_who_the_person_is(party: Party) -> None:
    """From the order to the identity: number, names, birth date, level, methods, the app's address, the evidence."""
    bjorn = party.people["bjorn"]
    found = party.sign_in()

    assert (found.provider, found.issuer, found.loa) == ("bankid", "https://test.bankid.com", LoA.SUBSTANTIAL)
    assert found.number is not None
    assert (found.number.value, found.number.kind, found.subject) == (bjorn.number, "personnummer", bjorn.number)
    assert (found.name, found.given_name, found.family_name) == (bjorn.name, bjorn.given_name, bjorn.family_name)
    assert (found.birthdate, found.proved_at, found.app_ip) == (bjorn.born, NOW, HERE)
    assert found.amr == ("swk", "mfa")
    assert set(found.evidence) == {"signature", "ocsp", "order", "visible", "non_visible", "risk", "issued"}
    assert found.evidence["risk"] == "low"
    assert date.fromisoformat(found.evidence["issued"]) < NOW.date()


def test_proves_a_coordination_number(party: Party) -> None:
    """A samordningsnummer is a number like any other; its own kind says what it is."""
    found = party.sign_in(person="samir")

    assert found.number is not None
    assert (found.number.kind, found.number.value) == ("samordningsnummer", party.people["samir"].number)


def test_keeps_people_apart_by_environment(party: Party) -> None:
    """A person of the test environment is nobody in production (ASVS 6.8.1), whatever the address is."""
    issuers = {party.settings(environment=name).at.issuer for name in ("test", "production")}

    assert len(issuers) == 2


@pytest.mark.parametrize(
    ("policy", "held"),
    [
        ("1.2.752.78.1.1", "swk"),
        ("1.2.752.78.1.2", "hwk"),
        ("1.2.752.78.1.5", "swk"),
        ("1.2.3.4.10", "hwk"),
        ("1.2.3.4.25", "swk"),
    ],
)
def test_card_is_hardware(policy: str, held: str) -> None:
    """A BankID on a card is a key in hardware, every other one in software; each takes a code or the body too."""
    assert methods([policy, "1.2.3"]) == (held, "mfa")


# ---- looking -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "progress", "says"),
    [
        ("noClient", Progress.WAITING, "b.st.start"),
        ("started", Progress.OPENED, "b.st.look"),
        ("userMrtd", Progress.OPENED, "b.st.mrtd"),
        ("userCallConfirm", Progress.OPENED, "b.st.work"),
        ("userSign", Progress.OPENED, "b.st.sign"),
        ("processing", Progress.OPENED, "b.st.work"),
        ("userStepUp", Progress.OPENED, "b.st.step"),
        ("userFace", Progress.OPENED, "b.st.face"),
        ("somethingPending", Progress.OPENED, "b.st.work"),
    ],
)
def test_says_how_far_a_pending_order_is(party: Party, outcome: str, progress: Progress, says: str) -> None:
    """Every hintCode of a pending order, and one that nobody has heard of (RFA21)."""
    bankid = party.provider()
    begun = bankid.begin(party.asked())
    party.act(outcome)
    found = party.look(bankid, begun)

    assert (found.progress, found.says) == (progress, says)


def test_unchanged_order_keeps_its_state(party: Party) -> None:
    """A look that learns nothing new gives the very same state: there is nothing to write down."""
    bankid = party.provider()
    begun = bankid.begin(party.asked())

    assert party.look(bankid, begun) == begun
    assert party.look(bankid, begun).state is begun.state


def test_opened_order_never_waits_again(party: Party) -> None:
    """Whatever hint follows, a code that was read is not shown a second time."""
    bankid = party.provider()
    begun = bankid.begin(party.asked())
    party.act("userSign")
    opened = party.look(bankid, begun)
    party.act("noClient")
    again = party.look(bankid, opened)

    assert again.progress is Progress.OPENED
    assert bankid.code(again.state, NOW) is None


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        ("expiredTransaction", "bankid_expired"),
        ("certificateErr", "bankid_cert"),
        ("cancelled", "bankid_superseded"),
        ("userDeclinedCall", "bankid_failed"),
        ("notSupportedByUserApp", "bankid_old_app"),
        ("transactionRiskBlocked", "bankid_risk"),
        ("mrtdVerificationFailed", "bankid_mrtd"),
        ("facialRecognitionFailed", "bankid_face"),
        ("nfcNotSupportedByDevice", "bankid_nfc"),
        ("multipleBankIdsOnDevice", "bankid_several"),
        ("stepUpFailed", "bankid_step"),
        ("somethingNew", "bankid_failed"),
    ],
)
def test_says_why_an_order_failed(party: Party, outcome: str, reason: str) -> None:
    """Every hintCode of a failed order that somebody had opened, and one that nobody has heard of (RFA22)."""
    bankid = party.provider()
    begun = bankid.begin(party.asked())
    party.act("userSign")
    opened = party.look(bankid, begun)
    party.act(outcome)

    with pytest.raises(Refused) as refused:
        bankid.resume(party.asked(), opened.state, {})
    assert refused.value.reason == reason


@pytest.mark.parametrize("person", ["ake", "bjorn"])
def test_person_cancels(party: Party, person: str) -> None:
    """`userCancel` is the person's own no."""
    bankid = party.provider()
    begun = bankid.begin(party.asked())
    party.act("cancel", person)

    with pytest.raises(Cancelled):
        bankid.resume(party.asked(), begun.state, {})


@pytest.mark.parametrize("outcome", ["startFailed", "expiredTransaction"])
def test_order_that_nobody_opened_lapses(party: Party, outcome: str) -> None:
    """A new one may take its place, in silence."""
    bankid = party.provider()
    begun = bankid.begin(party.asked())
    party.act(outcome)
    lapsed = party.look(bankid, begun)

    assert lapsed.progress is Progress.LAPSED
    assert bankid.code(lapsed.state, NOW) is None


def test_lapses_after_thirty_seconds(party: Party) -> None:
    """BankID gives an order thirty seconds to be opened; the next is another one, with its own codes."""
    bankid = party.provider()
    begun = bankid.begin(party.asked())
    party.clock.move(timedelta(seconds=31))
    lapsed = party.look(bankid, begun)
    renewed = bankid.begin(party.asked())

    assert lapsed.progress is Progress.LAPSED
    assert json.loads(renewed.state)["order"] != json.loads(begun.state)["order"]
    assert bankid.code(renewed.state, party.clock.now()) is not None


def test_newer_order_of_the_same_person_ends_the_older(party: Party) -> None:
    """Opened twice, the first fails with `cancelled`."""
    bankid = party.provider()
    first = bankid.begin(party.asked())
    party.act("userSign")
    bankid.begin(party.asked())
    party.act("userSign")

    with pytest.raises(Refused) as refused:
        bankid.resume(party.asked(), first.state, {})
    assert refused.value.reason == "bankid_superseded"


def test_drops_an_order(party: Party) -> None:
    """A dropped order is gone from the person's app; dropping it again changes nothing."""
    bankid = party.provider()
    begun = bankid.begin(party.asked())
    bankid.drop(begun.state)
    bankid.drop(begun.state)

    assert party.bankid.phone.waiting() == ()
    with pytest.raises(Refused) as refused:
        bankid.resume(party.asked(), begun.state, {})
    assert refused.value.reason == "bankid_lost"
