"""Scripts do in an app what a person would, through the interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.sandbox.running import Browser, Sandbox


def _waiting(sandbox: Sandbox, browser: Browser, eid: str) -> dict[str, Any]:
    """Begin a login in an app; return its order as scripts see it."""
    browser.open(sandbox.portal("minhalsa", "besok/2031")).press(provider=eid)
    orders: list[dict[str, Any]] = sandbox.call("GET", "orders").json()
    return next(order for order in orders if order["provider"] == eid)


@pytest.mark.parametrize(("eid", "text"), [("bankid", "Min Hälsa"), ("freja", "Log in")])
def test_waiting(sandbox: Sandbox, browser: Browser, eid: str, text: str) -> None:
    """A login that waits for an app is listed with the text a person reads and the code a camera sees."""
    sandbox.touched.append("orders")

    order = _waiting(sandbox, browser, eid)

    assert set(order) == {"id", "provider", "text", "status", "person", "code"}
    assert text in order["text"]
    assert order["code"]
    assert order["person"] is None


@pytest.mark.parametrize("eid", ["bankid", "freja"])
def test_act(sandbox: Sandbox, browser: Browser, eid: str) -> None:
    """An order is opened and left open, then approved; after that it is no more."""
    order = _waiting(sandbox, browser, eid)
    call = f"orders/{order['id']}"

    opened = sandbox.call("POST", call, {"person": "bjorn", "outcome": "open"}).json()
    assert opened["status"] not in (order["status"], "ended")
    assert opened["returns_to"] is None
    assert sandbox.call("GET", "orders").json()[0]["code"] is None

    done = sandbox.call("POST", call, {"person": "bjorn", "outcome": "approve", "ip": "203.0.113.7"})
    assert done.json() == {"status": "ended", "returns_to": None}
    again = sandbox.call("POST", call, {"person": "bjorn", "outcome": "approve"})
    assert (again.status_code, "no longer" in again.json()["error"]) == (404, True)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({}, "send"), ({"person": "bjorn"}, "send"), ({"person": "bjorn", "outcome": "approve", "pin": 1}, "send"),
        ({"person": "nobody", "outcome": "approve"}, "no such person"),
        ({"person": [], "outcome": "x"}, "no such person"),
        ({"person": "anna", "outcome": "approve"}, "anna has no BankID"),
        ({"person": "bjorn", "outcome": "win"}, "outcome is one of approve, cancel"),
        ({"person": "bjorn", "outcome": None}, "outcome is one of"),
        ({"person": "bjorn", "outcome": "approve", "ip": "here"}, "IP address"),
        ({"person": "bjorn", "outcome": "approve", "ip": 7}, "IP address"),
    ],
)  # fmt: skip
def test_mistakes(sandbox: Sandbox, browser: Browser, wish: Mapping[str, Any], words: str) -> None:
    """Whoever sends something else is told what to send, and the order goes on."""
    order = _waiting(sandbox, browser, "bankid")

    told = sandbox.call("POST", f"orders/{order['id']}", wish)

    assert told.status_code == 400
    assert words in told.json()["error"]
    assert order["id"] in [one["id"] for one in sandbox.call("GET", "orders").json()]


def test_somebody_elses(sandbox: Sandbox, browser: Browser) -> None:
    """What one person has open another cannot approve: 409."""
    order = _waiting(sandbox, browser, "bankid")
    sandbox.call("POST", f"orders/{order['id']}", {"person": "bjorn", "outcome": "open"})

    told = sandbox.call("POST", f"orders/{order['id']}", {"person": "samir", "outcome": "approve"})

    assert (told.status_code, "somebody else" in told.json()["error"]) == (409, True)


@pytest.mark.parametrize("name", ["x", "a/b+c=", "%2e%2e", "x" * 300])
def test_unknown_order(sandbox: Sandbox, name: str) -> None:
    """An order that never was is a 404 in JSON, whatever it is called."""
    told = sandbox.call("POST", f"orders/{name}", {"person": "bjorn", "outcome": "approve"})

    assert told.status_code == 404
    assert "error" in told.json()
