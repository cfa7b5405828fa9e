"""The simulated SMS gateways: each takes what the product sends in that gateway's own format, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import requests

from idbroker.clock import MovableClock
from idbroker.messages.message import Channel, Message, NotSent, Unsure
from idbroker.messages.sms import Settings, make_sms
from idbroker.providers._http import kept_session
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.gateways import ACCOUNT, ELKS, GATEWAYAPI, LIES, WEBHOOK, SimSms, make_gateways
from idbroker.sandbox.inbox import Inbox
from tests.sandbox.loopback import serve

SECRET = "a-secret-of-the-sandbox-that-is-long-enough"
TO = "+46701740610"
TEXT = "123456 är din kod till Neuroreg PER. Dela den inte.\n\n@localhost #123456"
KINDS: dict[str, tuple[dict[str, Any], str]] = {
    "46elks": ({"username": "u", "password": SECRET}, ELKS),
    "gatewayapi": ({"token": SECRET}, GATEWAYAPI),
    "twilio": ({"username": ACCOUNT, "password": SECRET}, ""),
    "webhook": ({"secret": SECRET}, WEBHOOK),
}


@dataclass(frozen=True, kw_only=True)
class Street:
    """The gateways, served."""

    address: str
    inbox: Inbox
    faults: Faults

    def send(self, kind: str, name: str = "m1", **other: Any) -> None:
        """Send as the product does, by one of the gateways."""
        login, path = KINDS[kind]
        table = {"kind": kind, "sender": "Sandbox", "address": self.address + path, **login, **other}
        settings = Settings(**table)
        ends_at = MovableClock().now() + timedelta(minutes=5)
        message = Message(id=name, channel=Channel.SMS, to=TO, text=TEXT, kind="code", ends_at=ends_at)
        make_sms(settings, lambda **options: kept_session(**options, sandbox=True)).send(message)


@pytest.fixture
def street() -> Iterator[Street]:
    """Give the gateways on a free port."""
    inbox, faults = Inbox(MovableClock()), Faults({"sms": LIES})
    with serve(lambda _: make_gateways(SimSms(inbox=inbox, faults=faults, secret=SECRET))) as address:
        yield Street(address=address, inbox=inbox, faults=faults)


@pytest.mark.parametrize("kind", KINDS)
def test_delivers(street: Street, kind: str) -> None:
    """A text message of the product arrives by each gateway, its code taken out."""
    street.send(kind)

    message = street.inbox.list(TO)[0]
    assert (message.channel, message.text, message.code) == ("sms", TEXT, "123456")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("fault", "for_good"),
    [({"down": True}, False), ({"status": 429}, False), ({"status": 400}, True), ({"status": 500}, False)],
)
def test_faults(street: Street, kind: str, fault: dict[str, Any], for_good: bool) -> None:
    """Down, too busy or refused: nothing is delivered, and the sender can tell whether to try again."""
    street.faults.set("sms", fault)

    with pytest.raises(NotSent) as refused:
        street.send(kind)

    assert refused.value.for_good is for_good
    assert street.inbox.list() == ()


@pytest.mark.parametrize("kind", KINDS)
def test_drops(street: Street, kind: str) -> None:
    """A gateway that takes a message and hangs up has delivered it; the sender cannot know."""
    street.faults.set("sms", {"lies": ["drops"]})

    with pytest.raises(Unsure):
        street.send(kind)

    assert len(street.inbox.list()) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_credentials(street: Street, kind: str) -> None:
    """Whoever has another secret is not let in, and the channel is said to be out of order."""
    wrong = {name: SECRET[::-1] for name in KINDS[kind][0] if name != "username"}

    with pytest.raises(NotSent) as refused:
        street.send(kind, **wrong)

    assert refused.value.outage
    assert street.inbox.list() == ()


def test_second_time(street: Street) -> None:
    """What the webhook gets a second time it knows by the id, and delivers once."""
    street.send("webhook")

    with pytest.raises(NotSent):
        street.send("webhook")

    assert len(street.inbox.list()) == 1


@pytest.mark.parametrize(
    ("path", "sent", "status"),
    [
        (GATEWAYAPI, {"json": {"sender": "S", "message": "m", "recipients": [{"msisdn": "+4512"}]}}, 422),
        (GATEWAYAPI, {"json": {"sender": "S", "message": "", "recipients": [{"msisdn": 46701740610}]}}, 400),
        (GATEWAYAPI, {"json": {"sender": "S" * 12, "message": "m", "recipients": [{"msisdn": 46701740610}]}}, 400),
        (GATEWAYAPI, {"json": []}, 400),
        (GATEWAYAPI, {"data": "{"}, 415),
        (ELKS, {"data": {"to": TO, "from": "S"}}, 401),
    ],
)  # fmt: skip
def test_refuses(street: Street, path: str, sent: dict[str, Any], status: int) -> None:
    """What is not in the gateway's format is refused in its own way, and not delivered."""
    assert requests.post(street.address + path, auth=(SECRET, ""), timeout=5, **sent).status_code == status
    assert street.inbox.list() == ()


@pytest.mark.parametrize("kind", ["46elks", "twilio", "gatewayapi"])
def test_answers_as_the_gateway(street: Street, kind: str) -> None:
    """A yes has what each gateway's own answer has: an id and a state, or ids and usage."""
    sent: dict[str, dict[str, Any]] = {
        "46elks": {"url": ELKS, "data": {"from": "S", "to": TO, "message": "m"}, "auth": ("u", SECRET)},
        "gatewayapi": {
            "url": GATEWAYAPI, "auth": (SECRET, ""),
            "json": {"sender": "S", "message": "m", "recipients": [{"msisdn": int(TO[1:])}]},
        },
        "twilio": {
            "url": f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json", "auth": (ACCOUNT, SECRET),
            "data": {"From": "+46701740699", "To": TO, "Body": "m"},
        },
    }  # fmt: skip
    known = {"46elks": {"id", "status", "to"}, "gatewayapi": {"ids", "usage"}, "twilio": {"sid", "status", "to"}}
    call = sent[kind]

    answer = requests.post(street.address + call.pop("url"), timeout=5, **call)

    assert answer.status_code == (201 if kind == "twilio" else 200)
    assert known[kind] <= set(answer.json())
