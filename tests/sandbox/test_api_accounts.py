"""What staff will do, by the interface for scripts; and real messages, from the broker's outbox to the inbox."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.sandbox.running import PATIENCE, Browser, Sandbox


def arrived(sandbox: Sandbox, to: str, *, count: int = 1) -> list[dict[str, Any]]:
    """Return the messages to an address once there are so many: the courier is another thread."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found: list[dict[str, Any]] = sandbox.call("GET", "inbox", params={"to": to}).json()
        if len(found) >= count:
            return found
        assert time.monotonic() < deadline, f"{len(found)} of {count} messages came"


def codes(sandbox: Sandbox, to: str) -> list[str]:
    """Return the codes that came to an address, the newest first: other news comes there too."""
    found = sandbox.call("GET", "inbox", params={"to": to}).json()
    return [message["code"] for message in found if message.get("code")]


def newest_code(sandbox: Sandbox, to: str, before: int) -> str:
    """Return the newest code once there is one more than before."""
    deadline = time.monotonic() + PATIENCE
    while len(found := codes(sandbox, to)) <= before:
        assert time.monotonic() < deadline, "no code came"
    return found[0]


def number(sandbox: Sandbox, person: str) -> str:
    """Return somebody's number."""
    return str(next(one["number"] for one in sandbox.call("GET", "people").json() if one["id"] == person))


def standing(sandbox: Sandbox, person: str) -> dict[str, str]:
    """Return how somebody stands, by clinic."""
    return {
        one["clinic"]: one["standing"] for one in sandbox.call("GET", "enrolments").json() if one["person"] == person
    }


def test_people(sandbox: Sandbox) -> None:
    """Who has an account is told with password and contacts; those without a phone have none."""
    people = {one["id"]: one for one in sandbox.call("GET", "people").json()}

    assert people["oda"]["eids"] == ["fallback"]
    assert people["oda"]["contacts"] == {"email": "oda@example.test", "sms": "+46701740610"}
    assert set(people["ejnar"]["contacts"]) == set(people["viktor"]["contacts"]) == {"email"}
    assert all(one["password"] for one in people.values() if "fallback" in one["eids"])
    assert "contacts" not in people["anna"]


def test_seeded(sandbox: Sandbox) -> None:
    """Who signs in at a clinic today is its patient; who is to register is nobody's."""
    assert standing(sandbox, "anna") == {"clinea": "approved"}
    assert standing(sandbox, "tove") == {"havnens": "approved"}
    assert standing(sandbox, "marta") == {"neuroreg": "approved"}
    assert standing(sandbox, "nikolaj") == standing(sandbox, "samir") == {}


@pytest.mark.parametrize("person", ["sten", "birte"])
def test_invited_from_the_start(sandbox: Sandbox, person: str) -> None:
    """Whose account staff made has the link to activate it by e-mail, once, from the real mail server."""
    message = arrived(sandbox, f"{person}@example.test")[0]

    assert message["channel"] == "email"
    assert message["link"].startswith(f"{sandbox.issuer}/set/")


def test_invite(sandbox: Sandbox) -> None:
    """Staff invite somebody by number: the link goes to each address, and the person is enrolled."""
    told = sandbox.call(
        "POST", "accounts/invite",
        {"person": "samir", "clinic": "neuroreg", "email": "samir@example.test", "phone": "+46701740630"},
    )  # fmt: skip

    assert told.status_code == 201
    assert set(told.json()["sent"]) == {"email", "sms"}
    by_mail, by_sms = arrived(sandbox, "samir@example.test")[0], arrived(sandbox, "+46701740630")[0]
    assert by_sms["channel"] == "sms"
    assert by_mail["link"].startswith(f"{sandbox.issuer}/set/")
    assert by_sms["link"].startswith(f"{sandbox.issuer}/set/")
    assert standing(sandbox, "samir") == {"neuroreg": "approved"}


def test_invite_who_has_an_account(sandbox: Sandbox) -> None:
    """Who has an account is enrolled and told so; no link is sent."""
    told = sandbox.call("POST", "accounts/invite", {"person": "tove", "clinic": "clinea"})

    assert told.json()["enrolled"] is True
    assert "set/" not in arrived(sandbox, "tove@example.test")[0].get("link", "")
    assert standing(sandbox, "tove") == {"havnens": "approved", "clinea": "approved"}


@pytest.mark.parametrize(
    "wish",
    [
        {}, {"clinic": "nowhere", "person": "samir"}, {"clinic": "clinea", "person": "nobody"},
        {"clinic": "clinea", "person": "nikolaj"}, {"clinic": "clinea", "person": "nikolaj", "email": "no"},
        {"clinic": "clinea", "person": "nikolaj", "phone": "+46 980 31 92 31"}, {"clinic": "clinea", "number": "1"},
        {"clinic": "clinea", "number": "0101904021", "email": "a@example.test"}, {"clinic": 5},
        {"clinic": "clinea", "person": "nora", "email": "a@example.test"}, {"clinic": "clinea", "more": "x"},
    ],
)  # fmt: skip
def test_bad_invitations(sandbox: Sandbox, wish: dict[str, Any]) -> None:
    """A person, a clinic or an address that is none is refused in words; so is a number that could be real."""
    told = sandbox.call("POST", "accounts/invite", wish)
    sandbox.touched.clear()

    assert told.status_code == 400
    assert told.json()["error"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("enrolments/clinea/nikolaj", {"answer": "approve"}, 404),
        ("enrolments/nowhere/anna", {"answer": "approve"}, 404),
        ("enrolments/clinea/anna", {"answer": "maybe"}, 400), ("enrolments/clinea/anna", {}, 400),
    ],
)  # fmt: skip
def test_bad_answers(sandbox: Sandbox, path: str, body: dict[str, Any], status: int) -> None:
    """An answer to nobody's question is not found, and one that is none is refused."""
    told = sandbox.call("POST", path, body)
    sandbox.touched.clear()

    assert told.status_code == status


def test_channel_faults(sandbox: Sandbox) -> None:
    """A channel that is broken is told back and healed; what nobody knows cannot be broken."""
    assert sandbox.call("PUT", "faults/email", {"status": 451}).json()["status"] == 451
    assert sandbox.call("PUT", "faults/sms", {"lies": ["drops"]}).json()["lies"] == ["drops"]
    assert sandbox.call("PUT", "faults/email", {"lies": ["nonsense"]}).status_code == 400
    assert "email" in sandbox.call("PUT", "faults/fallback", {"down": True}).json()["error"]


def test_greylisted_mail_comes_later(sandbox: Sandbox) -> None:
    """A message that the mail server did not take is sent again when it does."""
    sandbox.call("PUT", "faults/email", {"status": 451})
    wish = {"person": "nikolaj", "clinic": "clinea", "email": "nikolaj@example.test"}
    assert sandbox.call("POST", "accounts/invite", wish).status_code == 201
    assert sandbox.call("GET", "inbox?to=nikolaj@example.test").json() == []

    sandbox.call("PUT", "faults/email", {})

    assert len(arrived(sandbox, "nikolaj@example.test")) == 1


def test_break_a_channel(sandbox: Sandbox, browser: Browser) -> None:
    """E-mail and text messages are broken and healed on the panel."""
    sandbox.touched.append("break")
    origin = {"Origin": sandbox.issuer}
    where = f"{sandbox.issuer}/sandbox/break"

    browser.page = browser.http.post(f"{where}/email", data={"fault": "greylists"}, headers=origin, timeout=30)

    assert "Now: Not now: SMTP 451" in browser.text
    assert "Text messages Now: Works" in browser.text


def test_inbox_page(sandbox: Sandbox, browser: Browser) -> None:
    """The inbox page shows messages with their links, and follows new ones without a script until held still."""
    link = arrived(sandbox, "sten@example.test")[0]["link"]

    browser.open(f"{sandbox.issuer}/inbox")
    assert f'href="{link}"' in browser.page.text
    assert browser.page.headers["Refresh"]

    browser.open(f"{sandbox.issuer}/inbox?still=1")
    assert "Refresh" not in browser.page.headers
