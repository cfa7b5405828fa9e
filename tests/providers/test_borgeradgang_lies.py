"""What a gateway, or whoever answers in its place, is not believed (OIOSAML 3.0.3; standards rows S26 to S33)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

import pytest

from idbroker.errors import Refused, Untrusted
from idbroker.identity import LoA
from idbroker.sandbox.people import cpr
from tests.providers.oiosaml_party import (
    AAL,
    BORN,
    CPR,
    EID,
    IAL,
    LOA,
    LOA_4,
    NUMBER,
    PERSON,
    UUID,
    VERSION,
    Danish,
    Visit,
    says,
)
from tests.saml.idp import Sealing, at, seal, sign

pytest_plugins = ["tests.providers.oiosaml_fixtures"]

TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
NSIS = "https://data.gov.dk/concept/core/nsis/loa/"
LONG = timedelta(minutes=9)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"but": {VERSION: None}}, "another version"),
        ({"but": {VERSION: "OIO-SAML-4.0"}}, "another version"),
        ({"but": {VERSION: "DK-SAML-2.0"}}, "another version"),
        ({"format": TRANSIENT}, "does not last"),
        ({"name": UUID}, "not a person's"),
        ({"name": f"{PERSON}0"}, "not a person's"),
        ({"name": f"{EID}person/uuid/"}, "not a person's"),
        ({"name": f" {PERSON}"}, "not a person's"),
        ({"but": {LOA: None}}, "no level"),
        ({"but": {LOA_4: "High"}}, "no level, or two"),
        ({"but": {LOA: f"{NSIS}Substantial"}}, "a level that is none"),
        ({"but": {LOA: "substantial"}}, "a level that is none"),
        ({"but": {AAL: "Sublime"}}, "a level that is none"),
        ({"context": f"{NSIS}Sublime"}, "a level that is none"),
        ({"but": {CPR: "140385-1111"}}, "a CPR number that is none"),
        ({"but": {CPR: "1403A51111"}}, "a CPR number that is none"),
        ({"but": {CPR: "3213851111"}}, "another date"),
        ({"but": {BORN: "14.03.1985"}}, "a birth date that is none"),
        ({"but": {BORN: "31-02-1985"}}, "no such day"),
        ({"but": {BORN: "23-11-2026"}}, "nobody alive"),
        ({"but": {BORN: "14-03-1885"}}, "nobody alive"),
        ({"but": {f"{EID}fullName": "D" * 301}}, "a name that is none"),
        ({"but": {f"{EID}fullName": "a\u202eb"}}, "a name that is none"),
    ],
)
def test_what_is_said(danish: Danish, told: dict[str, Any], why: str) -> None:
    """An assertion that verifies and does not say what it must proves nobody."""
    with pytest.raises(Untrusted, match=why):
        danish.begin().end(**told)


def test_a_professional(danish: Danish) -> None:
    """Somebody at work is no citizen: refused with words for it, not as a forgery."""
    with pytest.raises(Refused) as caught:
        danish.begin().end(name=f"{EID}professional/uuid/{UUID}")

    assert caught.value.reason == "not_a_citizen"


@pytest.mark.parametrize("told", [{LOA: "Low"}, {IAL: "Low"}, {AAL: "Low"}, {LOA: "High", AAL: "Low"}])
def test_too_low(danish: Danish, told: Mapping[str, str]) -> None:
    """Less than was asked is refused whoever let it pass, and wherever it is said (S33)."""
    with pytest.raises(Refused) as caught:
        danish.begin().end(but=told)

    assert caught.value.reason == "level_too_low"


def test_substantial_is_not_high(danish: Danish) -> None:
    """What was asked for does not count, what came does."""
    with pytest.raises(Refused):
        danish.begin(loa=LoA.HIGH).end()


def test_a_replacement_number_in_production(danish: Danish) -> None:
    """A number of day + 60 is a hospital's own: no eID has it, and in production none is believed that does."""
    with pytest.raises(Untrusted, match="replacement"):
        danish.sign_in(danish.provider(environment="production"))

    assert danish.sign_in(danish.provider(environment="production"), but={CPR: None}).number is None


def test_a_number_that_is_not_ours_to_have(danish: Danish) -> None:
    """A private service does not take a number that it may not have, though it was sent."""
    identity = danish.sign_in(danish.provider(public=False))

    assert identity.number is None


def _other_number(visit: Visit) -> dict[str, str]:
    """Send two attributes of one name: whoever takes the first and whoever takes the last see two people."""
    value = f"<saml:AttributeValue>{cpr(date(1990, 1, 1), 120)}</saml:AttributeValue>"
    twice = f'<saml:Attribute Name="{CPR}">{value}</saml:Attribute>'
    text = says(visit.world.idp, visit.came).assertion()
    text = text.replace("</saml:AttributeStatement>", f"{twice}</saml:AttributeStatement>")
    return visit.world.idp.posted(visit.came, seal(sign(text)), by=None)


def _two_numbers(visit: Visit) -> dict[str, str]:
    """Send two values of one attribute."""
    text = says(visit.world.idp, visit.came).assertion()
    text = text.replace(f">{NUMBER}<", f">{NUMBER}</saml:AttributeValue><saml:AttributeValue>{NUMBER}<")
    return visit.world.idp.posted(visit.came, seal(sign(text)), by=None)


def _two_statements(visit: Visit) -> dict[str, str]:
    """Send two AuthnStatements: of one sign-in there is one."""
    text = says(visit.world.idp, visit.came).assertion()
    start, end = text.index("<saml:AuthnStatement"), text.index("<saml:AttributeStatement")
    return visit.world.idp.posted(visit.came, seal(sign(text[:end] + text[start:end] + text[end:])), by=None)


def _unsigned(visit: Visit) -> dict[str, str]:
    """Let anybody encrypt to us, for our certificate is in our metadata; and sign nothing."""
    return visit.world.idp.posted(visit.came, seal(says(visit.world.idp, visit.came).assertion()), by=None)


def _signed_around(visit: Visit) -> dict[str, str]:
    """Sign the response and not the assertion: OIOSAML wants the assertion's signature."""
    return visit.world.idp.posted(visit.came, seal(says(visit.world.idp, visit.came).assertion()), by="idp")


def _plain(visit: Visit) -> dict[str, str]:
    """Sign it, but for everybody to read on the way."""
    return visit.world.idp.posted(visit.came, sign(says(visit.world.idp, visit.came).assertion()), by=None)


def _plain_beside(visit: Visit) -> dict[str, str]:
    """Put a second assertion in the clear beside the encrypted one (CVE-2026-2092)."""
    honest = sign(says(visit.world.idp, visit.came).assertion())
    other = sign(says(visit.world.idp, visit.came, id="_other").assertion(), by="mallory")
    return visit.world.idp.posted(visit.came, seal(honest) + other, by=None)


def _by_another(visit: Visit) -> dict[str, str]:
    """Sign with a key that is not in the metadata."""
    return visit.reply(by="mallory")


def _cbc(visit: Visit) -> dict[str, str]:
    """Use AES-CBC under no signature: whoever may send it again and again can read it."""
    return visit.reply(sealing=Sealing(to="sp", method="http://www.w3.org/2001/04/xmlenc#aes256-cbc"))


def _rsa_1_5(visit: Visit) -> dict[str, str]:
    """Wrap the key as Bleichenbacher unwraps it."""
    return visit.reply(sealing=Sealing(to="sp", transport="http://www.w3.org/2001/04/xmlenc#rsa-1_5", digest=None))


def _to_another(visit: Visit) -> dict[str, str]:
    """Seal it to somebody else."""
    return visit.reply(sealing=Sealing(to="mallory"))


@pytest.mark.parametrize(
    "forged",
    [
        _other_number,
        _two_numbers,
        _two_statements,
        _unsigned,
        _signed_around,
        _plain,
        _plain_beside,
        _by_another,
        _cbc,
        _rsa_1_5,
        _to_another,
    ],
)
def test_how_it_is_said(danish: Danish, forged: Callable[[Visit], dict[str, str]]) -> None:
    """However it is put together: an answer that is not one signed, sealed assertion proves nobody."""
    visit = danish.begin()

    with pytest.raises(Untrusted):
        visit.end(forged(visit))


@pytest.mark.parametrize(
    "told",
    [
        {"issuer": "https://saml.nemlog-in.dk"},
        {"audience": "https://other.example.dk"},
        {"audience": None},
        {"data": {"Recipient": "https://other.example.dk/acs"}},
        {"data": {"InResponseTo": "_another"}},
        {"data": {"InResponseTo": ""}},
        {"data": {"NotOnOrAfter": ""}},
        {"method": "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"},
    ],
)
def test_to_whom_it_is_said(danish: Danish, told: dict[str, Any]) -> None:
    """An assertion of another gateway, for another service, or in answer to nothing proves nobody."""
    with pytest.raises(Untrusted):
        danish.begin().end(**told)


def test_a_private_service_with_the_wrong_key(danish: Danish) -> None:
    """Every failure looks alike outside: one error, one code."""
    visit = danish.begin()

    with pytest.raises(Untrusted) as caught:
        visit.end(_to_another(visit))

    assert caught.value.code == "untrusted"
    assert at(danish.clock.now()) not in caught.value.detail
    assert UUID not in caught.value.detail


def test_another_transaction(danish: Danish) -> None:
    """An answer that was meant for another sign-in does not count here, whoever brings it."""
    visit = danish.begin()
    reply = visit.reply() | {"RelayState": "another"}

    with pytest.raises(Untrusted, match="RelayState"):
        visit.end(reply)


def test_a_state_that_is_none(danish: Danish) -> None:
    """A state that does not read is refused, and nothing else goes wrong."""
    visit = danish.begin()
    visit.state = b"{"

    with pytest.raises(Untrusted):
        visit.end()


def test_too_late(danish: Danish) -> None:
    """An answer that comes after its time proves nobody."""
    visit = danish.begin()
    reply = visit.reply()
    danish.clock.move(LONG)
    visit.asked = danish.asked()

    with pytest.raises(Untrusted, match="over"):
        visit.end(reply)
