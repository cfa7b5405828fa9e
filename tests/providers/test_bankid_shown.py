"""What is shown of an order at BankID: its animated code, or the link that opens the app."""

from __future__ import annotations

import dataclasses
import hmac
import json
from datetime import timedelta

import pytest

from idbroker.errors import Untrusted
from idbroker.providers import Progress
from idbroker.providers._bankid.order import Order, milliseconds
from idbroker.visitor import visitor
from tests.providers.bankid_party import BACK, COMPUTER, HERE, IPHONE, NOW, SAFARI, Party, on_phone

pytest_plugins = ["tests.providers.bankid_fixtures"]

# The example of BankID's documentation, with codes that any implementation must get.
SAMPLE = Order(
    order="131daac9-16c6-4618-beb0-365768f37288",
    autostart="7c40b5c9-fa74-49cf-b98c-bfe651f9a7c6",
    qr_token="67df3917-fa0d-44e5-b327-edcc928297f8",
    qr_secret="d28db9a7-4cde-429e-a983-359be676944c",
    began=milliseconds(NOW),
    device="other",
)
CODES = (
    "dc69358e712458a66a7525beef148ae8526b1c71610eff2c16cdffb4cdac9bf8",
    "949d559bf23403952a94d103e67743126381eda00f0b3cbddbf7c96b1adcbce2",
    "a9e5ec59cb4eee4ef4117150abc58fad7a85439a6a96ccbecc3668b41795b3f3",
)


@pytest.mark.parametrize("second", [0, 1, 2])
def test_code_is_bankids(party: Party, second: int) -> None:
    """The animated code of the documentation's example, second by second."""
    now = NOW + timedelta(seconds=second, milliseconds=999)

    assert party.provider().code(SAMPLE.pack(), now) == f"bankid.{SAMPLE.qr_token}.{second}.{CODES[second]}"


def test_code_never_counts_backwards(party: Party) -> None:
    """Another worker's clock may be a little behind: the first code is that of second 0."""
    code = party.provider().code(SAMPLE.pack(), NOW - timedelta(seconds=3))

    assert code == f"bankid.{SAMPLE.qr_token}.0.{CODES[0]}"


def test_code_opens_the_order(party: Party) -> None:
    """A camera that reads the code in its second opens the order; the code is hidden from the next look on."""
    bankid = party.provider()
    begun = bankid.begin(party.asked())
    party.clock.move(timedelta(seconds=7))
    code = bankid.code(begun.state, party.clock.now())
    assert code is not None
    party.bankid.phone.scan(code)
    opened = party.look(bankid, begun)

    assert (begun.progress, begun.says) == (Progress.WAITING, "b.st.start")
    assert (opened.progress, opened.says) == (Progress.OPENED, "b.st.look")
    assert bankid.code(opened.state, party.clock.now()) is None


def test_order_of_this_device_has_no_code(party: Party) -> None:
    """What is opened here is shown to no camera."""
    begun = party.provider().begin(party.asked(**on_phone()))

    assert party.provider().code(begun.state, NOW) is None


@pytest.mark.parametrize(
    ("agent", "start", "end"),
    [
        (SAFARI, "https://app.bankid.com/?autostarttoken=", ""),
        (SAFARI.replace("iPhone", "iPad"), "https://app.bankid.com/?autostarttoken=", ""),
        (f"{IPHONE} EdgiOS/140.0 Mobile/15E148", "https://app.bankid.com/?autostarttoken=", "&redirect=null"),
        ("Mozilla/5.0 (Linux; Android 16; K) Chrome/140 Mobile", "https://app.bankid.com/?autostarttoken=", ""),
        (COMPUTER, "bankid:///?autostarttoken=", "&redirect=null"),
    ],
)
def test_link_opens_the_app(party: Party, agent: str, start: str, end: str) -> None:
    """The universal link on phones and tablets, the program's own scheme on computers."""
    bankid = party.provider()
    begun = bankid.begin(party.asked(**on_phone(agent)))
    link = bankid.link(begun.state, visitor(HERE, agent))
    token = link.removeprefix(start).removesuffix(end)

    assert link == f"{start}{token}{end}"
    assert len(token) == 36
    assert party.bankid.phone.follow(link).status == "started"


def test_app_leads_back(party: Party) -> None:
    """Approved in the app, the order leads to our return address with the handle."""
    bankid = party.provider()
    bankid.begin(party.asked(**on_phone()))

    assert party.act("approve") == f"{BACK}?state=t1.handle-1"


def test_order_for_another_device_gives_no_token_away(party: Party) -> None:
    """E1: a link to an order that waits for a camera would let its sender in; the app is opened, nothing else."""
    bankid = party.provider()
    begun = bankid.begin(party.asked())

    assert bankid.link(begun.state, visitor(HERE, SAFARI)) == "https://app.bankid.com/"


def test_secret_is_in_nothing_that_is_shown(party: Party) -> None:
    """`qrStartSecret` is for this server alone."""
    bankid = party.provider()
    for more in ({}, on_phone()):
        begun = bankid.begin(party.asked(**more))
        secret = json.loads(begun.state)["qr_secret"]
        shown = [bankid.code(begun.state, NOW), bankid.link(begun.state, visitor(HERE, SAFARI)), repr(begun)]

        assert secret not in "".join(filter(None, shown))


@pytest.mark.parametrize("state", [b"", b"{", b"[]", b"{}", b'{"order":"x","more":1}', b"\xff"])
def test_state_that_does_not_read(party: Party, state: bytes) -> None:
    """A state of another version is no order: nothing is shown, nothing cancelled, nothing proved."""
    bankid = party.provider()
    bankid.drop(state)

    assert bankid.code(state, NOW) is None
    assert bankid.link(state, visitor(HERE, COMPUTER)) == "bankid:///"
    with pytest.raises(Untrusted):
        bankid.resume(party.asked(), state, {})


def test_order_says_nothing_of_itself(party: Party) -> None:
    """Neither an order nor its state shows a token when it is printed."""
    printed = repr(SAMPLE) + repr(party.provider().begin(party.asked()))

    assert SAMPLE.qr_secret not in printed
    assert SAMPLE.autostart not in printed
    assert hmac.compare_digest(SAMPLE.pack(), dataclasses.replace(SAMPLE).pack())
