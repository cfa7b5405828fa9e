"""Administrators and their colleagues: an arm no longer than the clinic."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from idbroker.staff.member import Member, Role
from idbroker.staff.roster import OPERATOR, Linked, Newcomer, Undone
from tests.office.test_choosing import options_of
from tests.office.test_signing_in import PASSWORD, code_of, is_in, with_password
from tests.office_door import ISSUER, Office, text_of
from tests.staff.authenticator import Authenticator

PATH = "/staff/clinea/colleagues"


def only_at(office: Office, name: str, **roles: Role) -> Member:
    """Have somebody work at these clinics and no others."""
    after = office.house.offices.members.change(office.member(name).id, lambda one: replace(one, roles=roles))
    assert after is not None
    return after


def done(office: Office, staff: str, do: str, by: str = "cecilia", **fields: str) -> str:
    """Press a button on a colleague's page; return what the next page says."""
    browser = office.client(by)
    answer = office.post(browser, f"{PATH}/{staff}", PATH, do=do, **fields)
    return text_of(office.go(browser, answer).text)


def added(office: Office, **fields: str) -> str:
    """Add somebody; return what the next page says."""
    browser = office.client("cecilia")
    whole = {"login": "dorte", "name": "Dorte Testsen", "email": "dorte@example.org", "role": "carer", **fields}
    return text_of(office.go(browser, office.post(browser, PATH, **whole)).text)


# ---- adding --------------------------------------------------------------------------------------


def test_an_administrator_adds_a_colleague(office: Office) -> None:
    """Somebody new gets the role at this clinic only, and a link by e-mail; the trail says by whom."""
    assert "The link has been sent" in added(office, login=" Dorte ", role="approver")
    member = office.member("dorte")
    assert (member.login, member.roles) == ("dorte", {"clinea": Role.APPROVER})
    assert "/staff/set/" in office.emails()[-1]
    (event,) = office.events("staff.added")
    assert (event.clinic, event.detail) == ("clinea", {"by": office.member("cecilia").id, "staff": member.id})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"login": "ånna"}, "Enter a user name"),
        ({"login": "аnna"}, "Enter a user name"),
        ({"login": ""}, "Enter a user name"),
        ({"login": "a" * 65}, "Enter a user name"),
        ({"login": "ANNA"}, "The user name is taken"),
        ({"login": "ａnna"}, "The user name is taken"),
        ({"name": " "}, "Enter the name"),
        ({"name": "x" * 101}, "Enter the name"),
        ({"email": "nowhere"}, "Enter an email address"),
        ({"email": ""}, "Enter an email address"),
        ({"role": "operator"}, "Choose a role"),
    ],
)
def test_what_is_wrong_is_said(office: Office, fields: dict[str, str], said: str) -> None:
    """Bad input is told of by its field, loses nothing, and adds nobody (homographs too)."""
    page = added(office, **fields)
    assert said in page
    assert len(office.house.offices.members.at()) == 3


@pytest.mark.parametrize("name", ["anna", "bo"])
def test_only_administrators(office: Office, name: str) -> None:
    """Others may neither see nor change who works here, and the attempt is refused."""
    browser = office.client(name)
    assert browser.get(PATH).status_code == 403
    assert browser.post(PATH, data={"login": "x"}).status_code == 403
    assert (
        browser.post(f"{PATH}/{office.member(name).id}", data={"do": "role", "role": "administrator"}).status_code
        == 403
    )


# ---- roles ---------------------------------------------------------------------------------------


def test_a_role_is_changed_here_only(office: Office) -> None:
    """The role elsewhere stays what it was."""
    anna = office.member("anna")
    assert "Your change has been saved" in done(office, anna.id, "role", role="approver")
    assert office.member("anna").roles == {"clinea": Role.APPROVER, "neuroreg": Role.CARER}


def test_an_administrator_of_one_clinic_is_nobody_at_another(office: Office) -> None:
    """A clinic where they do not work is not there, nor is who works only there (cross-clinic)."""
    only_at(office, "cecilia", clinea=Role.ADMINISTRATOR)
    bo = only_at(office, "bo", neuroreg=Role.APPROVER)
    browser = office.client("cecilia")
    assert browser.get("/staff/neuroreg/colleagues").status_code == 404
    assert browser.get(f"{PATH}/{bo.id}").status_code == 404
    page = browser.get(PATH).text
    nonce = page.split('name="_n" value="')[1].split('"')[0]
    for do in ("role", "reset", "end", "enable"):
        assert browser.post(f"{PATH}/{bo.id}", data={"_n": nonce, "do": do, "role": "carer"}).status_code == 404
    assert office.member("bo") == bo


def test_the_last_administrator_stays(office: Office) -> None:
    """A clinic keeps an administrator who can sign in; with another one, the first may step back."""
    cecilia = office.member("cecilia")
    assert "at least one administrator" in done(office, cecilia.id, "role", role="carer")
    assert office.member("cecilia").roles["clinea"] is Role.ADMINISTRATOR
    done(office, office.member("bo").id, "role", role="administrator")
    assert "at least one administrator" in done(office, cecilia.id, "role", role="carer"), "Bo has no password yet"
    with_password(office, "bo")
    done(office, cecilia.id, "role", role="carer")
    assert office.member("cecilia").roles["clinea"] is Role.CARER


def test_two_who_step_back_at_once_leave_one(office: Office) -> None:
    """Each was asked while the other still was one: the second is told that it is the last (race)."""
    only_at(office, "bo", clinea=Role.ADMINISTRATOR)
    with_password(office, "bo")
    with_password(office, "cecilia")
    roster, now = office.house.offices.roster, office.clock.now()
    bo, cecilia = office.actor("bo", "clinea"), office.actor("cecilia", "clinea")
    answers = [roster.role(one.id, "clinea", Role.CARER, one, now) for one in (bo, cecilia)]
    assert isinstance(answers[1], Undone)
    assert office.member("cecilia").roles["clinea"] is Role.ADMINISTRATOR


def test_nobody_raises_themselves(office: Office) -> None:
    """The engine refuses a role above one's own for oneself, whatever page asked (ASVS 8.2.1)."""
    anna = office.actor("anna", "clinea")
    answer = office.house.offices.roster.role(anna.id, "clinea", Role.ADMINISTRATOR, anna, office.clock.now())
    assert answer == Undone(key="s.st.e.self")


# ---- ends and links ------------------------------------------------------------------------------


def test_a_clinic_more_ends_an_open_link(office: Office) -> None:
    """A link from before a role at another clinic opens nothing there; a new one goes to their address (L3)."""
    roster, now = office.house.offices.roster, office.clock.now()
    newcomer = Newcomer(login="dora", name="Dora", email="dora@example.org", roles={"clinea": Role.CARER})
    linked = roster.add(newcomer, office.actor("cecilia", "clinea"), now)
    assert isinstance(linked, Linked)
    token = linked.address.rpartition("/")[2]
    assert roster.welcome.open(token, "x", now)
    roster.role(linked.member.id, "clinea", Role.APPROVER, OPERATOR, now)
    assert roster.welcome.open(token, "x", now), "no clinic more"
    roster.role(linked.member.id, "neuroreg", Role.CARER, OPERATOR, now)
    assert roster.welcome.open(token, "x", now) is None
    sent = [found[1] for one in office.emails() if (found := re.search(r"/staff/set/(\S+)", one))]
    assert [one == token for one in sent if roster.welcome.open(one, "x", now)] == [False]


def test_a_role_given_in_the_same_moment_is_heeded(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever works elsewhere from this moment on is not reset by this clinic's administrator (race; L3)."""
    bo, now = only_at(office, "bo", clinea=Role.APPROVER), office.clock.now()
    with_password(office, "bo")
    only_at(office, "cecilia", clinea=Role.ADMINISTRATOR)
    members, elsewhere = office.house.offices.members, {"clinea": Role.APPROVER, "neuroreg": Role.APPROVER}
    change = members.change

    def late(staff: str, changed: Callable[[Member], Member | None]) -> Member | None:
        monkeypatch.undo()
        change(staff, lambda one: replace(one, roles=elsewhere))
        return change(staff, changed)

    monkeypatch.setattr(members, "change", late)
    done = office.house.offices.roster.reset(bo.id, office.actor("cecilia", "clinea"), now)
    assert isinstance(done, Undone)
    assert office.member("bo").password is not None


def test_who_works_elsewhere_too_loses_this_role_only(office: Office) -> None:
    """Their sign-in and their other clinic go on."""
    browser = office.client("anna")
    assert "Access has been removed" in done(office, office.member("anna").id, "end")
    assert office.member("anna").roles == {"neuroreg": Role.CARER}
    assert not office.member("anna").disabled
    assert is_in(office, browser)
    assert browser.get("/staff/clinea/colleagues").status_code == 404


def test_who_works_here_only_is_disabled_and_may_come_back(office: Office) -> None:
    """They are signed out at once; given access again they sign in with what they had."""
    anna = only_at(office, "anna", clinea=Role.CARER)
    browser = office.client("anna")
    done(office, anna.id, "end")
    assert not is_in(office, browser)
    assert [event.detail["staff"] for event in office.events("staff.disabled")] == [anna.id]
    done(office, anna.id, "enable")
    assert not is_in(office, browser), "an ended sign-in stays ended"
    assert is_in(office, office.client("anna"))


def test_a_new_link_ends_all_there_was(office: Office) -> None:
    """Password, app and sign-ins end with the button; the link goes to the address that is written down."""
    anna = only_at(office, "anna", clinea=Role.CARER)
    with_password(office)
    browser = office.client("anna")
    assert "The link has been sent" in done(office, anna.id, "reset")
    after = office.member("anna")
    assert (after.password, after.app_secret, after.passkeys) == (None, None, ())
    assert not is_in(office, browser)
    assert len(office.emails()) == 1
    assert office.mail.taken[0][1] == ["anna@example.org"]


@pytest.mark.parametrize("who", ["anna", "cecilia"])
def test_a_password_of_two_clinics_is_not_one_administrators(office: Office, who: str) -> None:
    """Who works where the administrator does not rule, and the administrator themselves, are not reset here."""
    only_at(office, "cecilia", clinea=Role.ADMINISTRATOR)
    with_password(office, who)
    assert "Only those who run the login service can do this" in done(office, office.member(who).id, "reset")
    assert office.member(who).password is not None


def test_who_has_no_address_gets_no_link(office: Office) -> None:
    """An administrator reads that the colleague has no e-mail address, not that they work somewhere else too."""
    anna = only_at(office, "anna", clinea=Role.CARER)
    office.house.offices.members.change(anna.id, lambda one: replace(one, email=""))
    page = text_of(office.client("cecilia").get(f"{PATH}/{anna.id}").text)

    assert "The colleague has no email address" in page
    assert "works somewhere else" not in page


def test_the_operator_may(office: Office) -> None:
    """The operator resets and removes whoever works anywhere."""
    anna, roster = office.member("anna"), office.house.offices.roster
    assert not isinstance(roster.reset(anna.id, OPERATOR, office.clock.now()), Undone)
    assert roster.remove(anna.id, OPERATOR, office.clock.now())
    assert not roster.remove(office.member("bo").id, office.actor("cecilia"), office.clock.now())


def test_no_name_in_the_trail(office: Office) -> None:
    """Events of all this hold ids and words of ours, no name, address or user name."""
    added(office)
    done(office, office.member("anna").id, "role", role="approver")
    told = " ".join(str(dict(event.detail)) for event in office.events("staff"))
    assert not any(word in told.lower() for word in ("dorte", "anna", "example.org", "testsen"))


# ---- one's own page ------------------------------------------------------------------------------


def own(office: Office, browser: Any, **fields: str) -> str:
    """Send a form of one's own page; return what the next page says."""
    return text_of(office.go(browser, office.post(browser, "/staff/me", **fields)).text)


def test_a_password_is_changed_with_the_old_one(office: Office) -> None:
    """The old one is asked for; every other sign-in ends, this one goes on; the address is told (ASVS 6.2.3, 7.4.3)."""
    with_password(office)
    browser, other = office.client("anna"), office.client("anna")
    new = "fire grønne heste i sne"
    assert "The current password is not right" in own(office, browser, do="password", current="wrong", password=new)
    current = "tre blå cykler i regn"
    assert "logged out everywhere else" in own(office, browser, do="password", current=current, password=new)
    assert is_in(office, browser)
    assert not is_in(office, other)
    assert "was changed" in office.emails()[-1]


def test_an_app_is_changed_with_password_and_code(office: Office) -> None:
    """A new app is taken in by its first code and the password; without either nothing changes (ASVS 7.5.1)."""
    secret, browser = with_password(office), office.client("anna")
    page = office.go(browser, office.post(browser, "/staff/me", do="app-new"))
    assert "Enter it here" in page.text
    own(office, browser, do="app", code="000000", current="tre blå cykler i regn")
    own(office, browser, do="app", code="000000", current="wrong")
    assert office.member().app_secret == secret


def test_the_last_factor_cannot_be_removed(office: Office) -> None:
    """A passkey goes only while an app or another passkey is left, and only with the password."""
    from_page = with_password(office)
    assert from_page
    browser = office.client("anna")
    assert "only way you have" in own(office, browser, do="remove", passkey="00", current="tre blå cykler i regn")


def test_all_sign_ins_are_ended_with_one_button(office: Office) -> None:
    """Every browser is out, this one too (ASVS 7.4.3)."""
    browser, other = office.client("anna"), office.client("anna")
    own(office, browser, do="end")
    assert not is_in(office, browser)
    assert not is_in(office, other)


def test_the_language_is_kept(office: Office) -> None:
    """A colleague's language is theirs on every device."""
    browser = office.client("anna")
    own(office, browser, do="language", language="fi")
    assert office.member().language == "fi"
    own(office, browser, do="language", language="xx")
    assert office.member().language == "fi"


def test_a_new_app_takes_the_place_of_the_old(office: Office) -> None:
    """With its first code and the password the new app is in use, the old one is not, and other sign-ins end."""
    old, browser, other = with_password(office), office.client("anna"), office.client("anna")
    page = office.go(browser, office.post(browser, "/staff/me", do="app-new"))
    found = re.search(r"<code>([A-Z2-7 ]+)</code>", page.text)
    assert found
    new = found[1].replace(" ", "")
    said = own(office, browser, do="app", code=code_of(office, new), current=PASSWORD)
    assert "logged out everywhere else" in said
    assert office.member().app_secret == new != old
    assert (is_in(office, browser), is_in(office, other)) == (True, False)


def test_a_passkey_is_added_and_removed(office: Office) -> None:
    """Each with the password, told by e-mail, and in the trail without its name."""
    with_password(office)
    browser, device = office.client("anna"), Authenticator(origin=ISSUER)
    answer = device.create(options_of(browser.get("/staff/me").text))
    assert "current password is not right" in own(office, browser, do="passkey", credential=answer, current="wrong")
    assert office.member().passkeys == ()
    answer = device.create(options_of(browser.get("/staff/me").text))
    page = own(office, browser, do="passkey", credential=answer, name="My key", current=PASSWORD)
    assert "My key" in page
    office.clock.move(timedelta(minutes=1))
    own(office, browser, do="remove", passkey=device.id.hex(), current=PASSWORD)
    assert office.member().passkeys == ()
    assert len(office.emails()) == 2
    assert [one.detail["what"] for one in office.events("staff.changed")] == ["passkey_added", "passkey_removed"]
