"""The stories of those without an eID, walked without a script: what they type, and what the inbox holds (002, 003)."""

from __future__ import annotations

import pytest

from tests.sandbox.running import Browser, Sandbox
from tests.sandbox.test_api_accounts import arrived, codes, newest_code, number, standing

DOOR = "tidsbestilling"
NEW = "Kobberkedel7ugle"


def known(sandbox: Sandbox, person: str) -> dict[str, str]:
    """Return somebody's password, and the address that a portal sends their code to first."""
    found = next(one for one in sandbox.call("GET", "people").json() if one["id"] == person)
    contacts = found["contacts"]
    first = contacts["email"] if found["country"] == "DK" else contacts.get("sms", contacts["email"])
    return {"number": found["number"], "password": found["password"], "to": first}


def log_in(sandbox: Sandbox, browser: Browser, person: str, password: str | None = None) -> Browser:
    """Choose the password on the login page, type it, and type the code from the inbox."""
    who = known(sandbox, person) if password is None else None
    typed = who["password"] if who else password
    to = who["to"] if who else f"{person}@example.test"
    sandbox.touched.append("codes")
    before = len(codes(sandbox, to))
    browser.press(provider="fallback").press("password", number=number(sandbox, person), password=typed or "")
    assert "/code" in browser.page.url, browser.text
    return browser.press("code", code=newest_code(sandbox, to, before))


@pytest.mark.parametrize("person", ["oda", "ejnar", "frida"])
def test_code_by_email(sandbox: Sandbox, browser: Browser, person: str) -> None:
    """At Patientportalen CPR number, password and a code by e-mail are enough, for a child too (R7, R9)."""
    log_in(sandbox, browser.open(sandbox.portal("patientportalen", DOOR)), person)

    assert browser.page.url == sandbox.portal("patientportalen", DOOR)
    assert 'id="acr" translate="no">low<' in browser.page.text
    assert 'id="amr" translate="no">pwd otp<' in browser.page.text


@pytest.mark.parametrize(("person", "way"), [("marta", "pwd sms mfa"), ("viktor", "pwd otp")])
def test_lasting_password(sandbox: Sandbox, browser: Browser, person: str, way: str) -> None:
    """At Neuroreg the lasting password is used with a new code each time, by text message or e-mail (R8)."""
    log_in(sandbox, browser.open(sandbox.portal("neuroreg", "per")), person)

    assert browser.page.url == sandbox.portal("neuroreg", "per")
    assert number(sandbox, person) in browser.text
    assert f'id="amr" translate="no">{way}<' in browser.page.text


def test_registers_and_is_approved(sandbox: Sandbox, browser: Browser) -> None:
    """Somebody new shows who he is with MitID, leaves an address, waits, is approved and let in (R19, R23)."""
    browser.open(sandbox.portal("patientportalen", DOOR)).press("register", do="register")
    browser.press(provider="mitid").press(person="nikolaj", outcome="approve")
    browser.press("email", email="nikolaj@example.test", phone="")
    browser.press("code", code=arrived(sandbox, "nikolaj@example.test")[0]["code"])
    browser.press("password", password=NEW).press("btn")
    assert "skal godkende dig" in browser.text
    assert standing(sandbox, "nikolaj") == {"clinea": "asked"}

    told = sandbox.call("POST", "enrolments/clinea/nikolaj", {"answer": "approve"})

    assert (told.json()["standing"], told.json()["first"]) == ("approved", True)
    message = arrived(sandbox, "nikolaj@example.test", count=2)[0]
    assert message["link"] == sandbox.portal("patientportalen")
    log_in(sandbox, browser.open(sandbox.portal("patientportalen", DOOR)), "nikolaj", NEW)
    assert browser.page.url == sandbox.portal("patientportalen", DOOR)


def test_registers_without_approval(sandbox: Sandbox, browser: Browser) -> None:
    """At a clinic that approves nobody the same registration ends at the door (R24)."""
    browser.open(sandbox.portal("havnens", DOOR)).press("register", do="register")
    browser.press(provider="mitid").press(person="nikolaj", outcome="approve")
    browser.press("email", email="nikolaj@example.test", phone="")
    browser.press("code", code=arrived(sandbox, "nikolaj@example.test")[0]["code"])
    browser.press("password", do="skip").press("btn")

    assert browser.page.url == sandbox.portal("havnens", DOOR)
    assert standing(sandbox, "nikolaj") == {"havnens": "approved"}


def test_registers_a_child(sandbox: Sandbox, browser: Browser) -> None:
    """A guardian registers a child with her own MitID; once approved, the child has a login, codes go to her (R19)."""
    browser.open(sandbox.portal("patientportalen", DOOR)).press("child", do="child")
    browser.press(provider="mitid").press(person="anna", outcome="approve")
    browser.press("given", number=number(sandbox, "emil"), given="Emil", family="Prøvesen")
    browser.press("email", email="anna@example.test", phone="")
    browser.press("code", code=arrived(sandbox, "anna@example.test")[0]["code"])
    browser.press("btn", do="yes").press("password", password=NEW).press("btn")
    assert standing(sandbox, "emil") == {"clinea": "asked"}
    assert sandbox.call("POST", "enrolments/clinea/emil", {"answer": "approve"}).json()["guardian"] == "anna"

    browser.open(sandbox.portal("patientportalen", DOOR)).press(provider="fallback")
    browser.press("password", number=number(sandbox, "emil"), password=NEW)
    browser.press("code", code=arrived(sandbox, "anna@example.test", count=3)[0]["code"]).press("btn")

    assert browser.page.url == sandbox.portal("patientportalen", DOOR)
    assert "Emil Prøvesen" in browser.text


def test_known_at_another_clinic(sandbox: Sandbox, browser: Browser) -> None:
    """Whom one clinic knows is asked once at another, and has the same login there (R27, R28)."""
    log_in(sandbox, browser.open(sandbox.portal("patientportalen", DOOR)), "tove")
    assert "/enrol" in browser.page.url

    browser.press("btn")

    assert standing(sandbox, "tove") == {"havnens": "approved", "clinea": "asked"}


@pytest.mark.parametrize(("person", "words"), [("mogens", "mogens.ny@example.test"), ("inger", "+46980319231")])
def test_other_address_at_the_clinic(sandbox: Sandbox, browser: Browser, person: str, words: str) -> None:
    """Whose address differs is asked which is right, and goes on (R38)."""
    log_in(sandbox, browser.open(sandbox.portal("patientportalen", DOOR)), person)
    assert words in browser.text

    browser.press("choice", choice="mine")

    assert browser.page.url == sandbox.portal("patientportalen", DOOR)


def test_landline(sandbox: Sandbox, browser: Browser) -> None:
    """The clinic's landline cannot be taken for text messages, and the page says why."""
    log_in(sandbox, browser.open(sandbox.portal("patientportalen", DOOR)), "inger")

    browser.press("choice", choice="clinic")

    assert "fastnetnummer" in browser.text


@pytest.mark.parametrize(("person", "end"), [("birte", "/code"), ("sten", "/choose")])
def test_activation(sandbox: Sandbox, browser: Browser, person: str, end: str) -> None:
    """Staff's link gives a password; who may use MitID confirms with it once, who cannot is let in (R25, R26)."""
    browser.open(arrived(sandbox, f"{person}@example.test")[0]["link"]).press("password", password=NEW)
    sandbox.touched.append("activated")

    browser.open(sandbox.portal("patientportalen", DOOR)).press(provider="fallback")
    browser.press("password", number=number(sandbox, person), password=NEW)

    assert browser.page.url.endswith(end)


def test_yes_before_the_eid(sandbox: Sandbox, browser: Browser) -> None:
    """Aleris video asks for a yes before MitID, then what it may be told, once (R41, R42)."""
    sandbox.touched.append("consent")
    browser.open(sandbox.portal("alerisapp", "visit"))
    assert browser.page.url.endswith("/terms")
    browser.press("btn").log_in()
    assert "showing the doctor who is in the video call." in browser.text

    browser.press("btn")

    assert browser.page.url == sandbox.portal("alerisapp", "visit")


def test_no_before_the_eid(sandbox: Sandbox, browser: Browser) -> None:
    """Who says no to the terms is back at the portal, and MitID was never asked."""
    browser.open(sandbox.portal("alerisapp", "visit")).press("btn", do="no")

    assert browser.page.url == sandbox.portal("alerisapp", "failed")


def test_mail_is_down(sandbox: Sandbox, browser: Browser) -> None:
    """While the mail server is down the page waits for the code; when it works again, the code comes."""
    sandbox.call("PUT", "faults/email", {"down": True})
    who = known(sandbox, "ejnar")
    browser.open(sandbox.portal("patientportalen", DOOR)).press(provider="fallback")
    browser.press("password", number=who["number"], password=who["password"])
    assert sandbox.call("GET", "inbox", params={"to": who["to"]}).json() == []

    sandbox.call("PUT", "faults/email", {})

    browser.press("code", code=arrived(sandbox, who["to"])[0]["code"])
    assert browser.page.url == sandbox.portal("patientportalen", DOOR)
