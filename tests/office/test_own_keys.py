"""Passkeys on one's own page: a reset meanwhile counts, and what a key had opened ends with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from html import unescape
from re import search

import pyotp
import pytest

from idbroker.staff.member import Member, Role
from idbroker.staff.passkeys import Passkeys
from tests.office_door import ISSUER, Office, nonces_of
from tests.staff.authenticator import Authenticator
from tests.staff.staff_house import with_passkey_of

PASSWORD = "tre blå cyklar i regn"


@pytest.fixture
def anna(office: Office) -> Member:
    """Give a colleague of one clinic with a password and an app."""
    hashed = office.house.rooms.counter.hasher.hash(PASSWORD)
    given = {"password": hashed, "app_secret": pyotp.random_base32(), "roles": {"clinea": Role.CARER}}
    after = office.house.offices.members.change(office.member().id, lambda one: replace(one, **given))  # type: ignore[arg-type]
    assert after is not None
    return after


@pytest.mark.usefixtures("anna")
def test_a_passkey_is_not_added_behind_a_reset(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thief's key that arrives while an administrator resets everything is not kept (race; ASVS 7.4.3)."""
    roster, made = office.house.offices.roster, Passkeys.made
    thief, device = office.client("anna"), Authenticator(origin=ISSUER)
    page = thief.get("/staff/me").text
    found = search('="([^"]*challenge[^"]*)"', page)
    assert found

    def while_reset(passkeys: Passkeys, *given: object) -> object:
        roster.reset(office.member().id, office.actor("cecilia", "clinea"), office.clock.now())
        return made(passkeys, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Passkeys, "made", while_reset)
    answer = device.create(unescape(found[1]))
    fields = {"_n": nonces_of(page)[0], "do": "passkey", "current": PASSWORD, "credential": answer}
    assert thief.post("/staff/me", data=fields).status_code == 303
    assert (office.member().password, office.member().passkeys) == (None, ())
    assert thief.get("/staff/me").status_code == 303


@pytest.mark.usefixtures("anna")
def test_a_removed_passkey_ends_what_it_opened(office: Office) -> None:
    """Who removes a stolen key ends the thief's sign-in with it; this browser goes on (ASVS 7.4.3)."""
    member, _ = with_passkey_of(office)
    thief, owner = office.client("anna", how="passkey"), office.client("anna")
    office.clock.move(timedelta(minutes=1))
    gone = member.passkeys[0].id.hex()
    page = office.go(owner, office.post(owner, "/staff/me", do="remove", passkey=gone, current=PASSWORD))
    assert "logged out everywhere else" in page.text
    assert office.member().passkeys == ()
    assert (thief.get("/staff/me").status_code, owner.get("/staff/me").status_code) == (303, 200)
