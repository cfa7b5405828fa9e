"""The simulated BankID by telephone: /phone/auth word for word, and the order in the right person's app."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from werkzeug.test import Client

from idbroker.sandbox.phone import make_phone
from tests.sandbox.bankid_loopback import Rp, encoded

pytest_plugins = ["tests.sandbox.bankid_fixtures"]


def wish(rp: Rp, person: str = "bjorn", **more: Any) -> dict[str, Any]:
    """Return the body for somebody."""
    return {"personalNumber": rp.people[person].number, "callInitiator": "user", **more}


def call(rp: Rp, person: str = "bjorn", **more: Any) -> dict[str, str]:
    """Ask somebody."""
    answer = rp.post("phone/auth", wish(rp, person, **more))
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json())


def test_answers_with_the_order_alone(rp: Rp) -> None:
    """A3.4: there is a reference, and no token: nothing to scan and nothing to open by a link."""
    assert call(rp).keys() == {"orderRef"}


def test_is_in_the_right_app(rp: Rp) -> None:
    """The order is in the app of whose number it is, who may approve it; nobody else can."""
    order = call(rp, userVisibleData=encoded("# Hello"))
    shown = rp.bankid.phone.waiting()[0]
    rp.act("approve", "samir")
    left = rp.hint(order)
    rp.act("approve")

    assert (shown.person, shown.code, shown.text) == ("bjorn", None, "# Hello\n\nDid you call?")
    assert left == "pending/started"
    assert rp.collect(order)["completionData"]["user"]["personalNumber"] == rp.people["bjorn"].number


def test_is_on_that_phone_and_no_other(rp: Rp) -> None:
    """The phone's page of the person shows it, with a way to open it; another person's does not."""
    call(rp, userVisibleData=encoded("# Hello by telephone"))
    pages = Client(make_phone({"bankid": rp.bankid.phone}, rp.people.values(), "https://broker.test"))

    theirs, others = (pages.get(f"/of/{person}", base_url="http://127.0.0.1").text for person in ("bjorn", "samir"))

    assert "Hello by telephone" in theirs
    assert "Open it here" in theirs
    assert "Hello by telephone" not in others


WRONG: Mapping[str, dict[str, Any]] = {
    "no number": {"personalNumber": None},
    "ten digits": {"personalNumber": "8706192393"},
    "a wrong check digit": {"personalNumber": "198706192394"},
    "a number that is none": {"personalNumber": 198706192393},
    "no caller": {"callInitiator": None},
    "another caller": {"callInitiator": "rp"},
    "text that is not base64": {"userVisibleData": "~~~"},
    "another format": {"userVisibleDataFormat": "html"},
    "too much text": {"userVisibleData": encoded("x" * 1200)},
    "no policies": {"requirement": {"certificatePolicies": []}},
}


@pytest.mark.parametrize("what", WRONG)
def test_refuses_what_the_api_refuses(rp: Rp, what: str) -> None:
    """A7: what is missing or malformed is 400 invalidParameters, and no order."""
    body = {name: value for name, value in wish(rp, **WRONG[what]).items() if value is not None}

    answer = rp.post("phone/auth", body)

    assert (answer.status_code, answer.get_json()["errorCode"]) == (400, "invalidParameters")
    assert rp.bankid.phone.waiting() == ()


def test_one_order_for_a_person(rp: Rp) -> None:
    """A7: alreadyInProgress while another waits for the person, or they are at one; none is made."""
    order = call(rp)
    again = rp.post("phone/auth", wish(rp))
    rp.act("approve")
    rp.auth()
    rp.act("open")
    busy = rp.post("phone/auth", wish(rp))

    for answer in (again, busy):
        assert (answer.status_code, answer.get_json()["errorCode"]) == (400, "alreadyInProgress")
    assert rp.collect(order)["status"] == "complete"
    assert len(rp.bankid.phone.waiting()) == 1


def test_nobodys_number(rp: Rp) -> None:
    """A number without BankID is answered like any other, waits, and expires after three minutes."""
    order = call(rp, "marta")
    shown = rp.bankid.phone.waiting()[0]
    first = rp.hint(order)
    rp.clock.move(timedelta(minutes=3))

    assert (shown.person, first) == (None, "pending/outstandingTransaction")
    assert rp.hint(order) == "failed/expiredTransaction"


def test_is_cancelled(rp: Rp) -> None:
    """A cancelled order is in nobody's app, and the next may be begun."""
    order = call(rp)

    assert rp.post("cancel", {"orderRef": order["orderRef"]}).status_code == 200
    assert rp.bankid.phone.waiting() == ()
    assert call(rp).keys() == {"orderRef"}
