"""Recovery and invitations, attacked at the door: links in many hands, of other channels, and strangers' claims."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from idbroker import config
from idbroker.accounts.account import Account, Contact, Standing
from idbroker.accounts.activation import Invitation, Invited
from idbroker.clock import StoppedClock
from idbroker.messages.message import Channel
from idbroker.patients.patient import Sheet
from idbroker.staff.member import Actor, Role
from tests.conftest import NOW
from tests.door import answer_of, at_once, form_of
from tests.fallback_door import EMAIL, MOBILE, PASSWORD, FallbackDoor, open_fallback_door

NEW = "fire grønne cykler i sol"
EVIL = "lilla vombatter danser 77"
STRANGERS = "stranger@example.com"
STRANGER = "f" * 32
MINUTE = timedelta(minutes=1)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[FallbackDoor]:
    """Open the whole broker, its courier staying until a test sends him."""
    with open_fallback_door(tmp_path, StoppedClock(NOW), clinic={"registration": "approval"}) as opened:
        vars(opened.rooms.counter.messages)["start"] = lambda: None
        yield opened


def kept(door: FallbackDoor, person: str = "anna") -> Account:
    """Return somebody's account."""
    found = door.rooms.counter.records.accounts.find(door.number(person))
    assert found is not None
    return found


def opens(door: FallbackDoor, account: Account, password: str) -> bool:
    """Tell whether a password is an account's."""
    return door.rooms.counter.hasher.verify(account.password, password)


def forgotten(door: FallbackDoor, person: str = "anna") -> str:
    """Forget somebody's password; return the path of the link that came by e-mail."""
    browser = door.browser()
    page = browser.get(door.at_password(browser).url.replace("/password", "/forgot"))
    browser.press(page, number=door.number(person).display)
    return links(door)[-1]


def links(door: FallbackDoor) -> list[str]:
    """Return the paths of all links that came by e-mail, the newest last."""
    return re.findall(rf"{re.escape(door.issuer)}(/set/\S+)", "\n".join(door.emails()))


def invite(door: FallbackDoor, person: str, **contacts: str) -> object:
    """Let staff invite somebody who has no eID."""
    client = door.house.clients.find("portal")
    assert client is not None
    invitation = Invitation(
        number=door.number(person),
        contacts={Channel(name): address for name, address in contacts.items()},
        clinic=door.house.settings.clinics.by_id["clinea"],
        client=client,
        by="staff-7",
        language="da",
        exempt="has none",
    )
    return door.rooms.activation.invite(invitation, door.clock.now())


def claimed(door: FallbackDoor, standing: Standing) -> Account:
    """Return a child's account as a stranger has made it, who says to be the guardian."""
    mine = Contact(channel=Channel.EMAIL, address=STRANGERS, verified_at=NOW)
    account = door.account("emil", clinic=None, guardian=STRANGER, contacts=(mine,))
    door.enrol(account.person, "clinea", standing=standing, guardian=STRANGER, client="portal")
    return account


# ---- one link --------------------------------------------------------------------------------------


def test_one_link_in_sixteen_hands(door: FallbackDoor) -> None:
    """Of sixteen browsers that choose at the same moment one has chosen, and its password is the one (O14)."""
    door.account("anna")
    path = forgotten(door)
    browsers = [door.browser() for _ in range(16)]
    forms = [form_of(browser.get(path)).hidden for browser in browsers]
    mine = itertools.count()

    def choose() -> tuple[int, str]:
        index = next(mine)
        sent = {**forms[index], "password": f"{NEW} {index:02}"}
        return index, browsers[index].fetch(path, "POST", data=sent).headers["Location"]

    chosen = [index for index, onward in at_once(16, choose) if "/set/done/" in onward]

    assert len(chosen) == 1
    assert opens(door, kept(door), f"{NEW} {chosen[0]:02}")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "POST"])
def test_whatever_a_scanner_sends(door: FallbackDoor, method: str) -> None:
    """Five times of any method, with nothing that was typed, uses no link up and changes nothing (F2)."""
    before = door.account("anna")
    path = forgotten(door)
    for _ in range(5):
        requests.request(method, f"{door.issuer}{path}", data={"password": EVIL}, allow_redirects=False, timeout=10)

    assert kept(door) == before
    browser = door.browser()
    assert "/set/done/" in browser.press(browser.get(path), password=NEW).url


def test_a_newer_link_ends_the_older(door: FallbackDoor) -> None:
    """What a stranger reads in last hour's mail opens nothing once another was asked for (O14)."""
    door.account("anna")
    older, newer = forgotten(door), forgotten(door)

    assert door.browser().fetch(older).status_code == 410
    assert door.browser().fetch(newer).status_code == 200


def test_a_form_of_another_link_chooses_nothing(door: FallbackDoor) -> None:
    """The form of one's own link, sent to somebody else's address, is none of that link (CSRF)."""
    before = door.account("anna")
    door.account("lars")
    theirs, mine = forgotten(door), forgotten(door, "lars")
    browser = door.browser()
    fields = form_of(browser.get(mine)).hidden

    browser.post(theirs, {**fields, "password": EVIL})

    assert kept(door) == before


# ---- the first link --------------------------------------------------------------------------------


def test_the_letter_of_another_channel(door: FallbackDoor) -> None:
    """Nobody makes the text message's link of the e-mail's: another letter, or a check with one sign changed."""
    assert isinstance(invite(door, "anna", email=EMAIL, sms=MOBILE), Invited)
    by_mail = links(door)[-1]
    bare, check = by_mail[:-9], by_mail[-8:]
    other = "A" if check[-1] != "A" else "B"

    for made_up in (f"{bare}s{check}", f"{bare}e{check[:-1]}{other}", f"{bare}s", f"{bare}x{check}", f"{by_mail}e"):
        assert door.browser().fetch(made_up).status_code == 410


@pytest.mark.parametrize("cut", [8, 9])
def test_a_link_without_its_letter_opens_nothing(door: FallbackDoor, cut: int) -> None:
    """Who cuts off the check, or the channel with it, has no link: nobody chooses whose address it shows."""
    invite(door, "anna", email=EMAIL, sms=MOBILE)
    browser = door.browser()

    assert browser.fetch(links(door)[-1][:-cut]).status_code == 410

    assert kept(door).password is None


def test_a_form_that_was_taken_is_none_for_the_next_account(door: FallbackDoor) -> None:
    """Staff remove what a stranger took by a mistyped address and invite anew: the stranger's form sets nothing."""
    invite(door, "anna", email=STRANGERS)
    stranger = door.browser()
    page = stranger.get(links(door)[-1])
    stranger.press(page, password=EVIL)
    door.clock.move(4 * MINUTE)
    accounts, person = door.rooms.counter.records.accounts, kept(door).person
    accounts.change(person, lambda now: replace(now, disabled=True))
    accounts.remove(person)
    invite(door, "anna", email=EMAIL)

    stranger.press(page, password=EVIL)

    assert kept(door).password is None
    assert not kept(door).reachable
    assert door.browser().fetch(links(door)[-1]).status_code == 200


# ---- a stranger's claim ----------------------------------------------------------------------------


@pytest.mark.parametrize("standing", [Standing.ASKED, Standing.DECLINED])
def test_an_invitation_vouches_for_no_claimant(door: FallbackDoor, standing: Standing) -> None:
    """Staff invite a child whom a stranger had claimed: the stranger's password and address are none any more."""
    claimed(door, standing)

    assert isinstance(invite(door, "emil", email=EMAIL), Invited)

    account = kept(door, "emil")
    assert (account.guardian, account.password) == (None, None)
    assert [contact.address for contact in account.contacts] == [EMAIL]
    door.deliver()
    assert [to for _, to, _ in door.mail.taken] == [[EMAIL]]
    browser = door.browser()
    number = door.number("emil").display
    assert browser.press(door.at_password(browser), number=number, password=PASSWORD).url.endswith("/password")


def test_a_claimant_is_sent_no_link(door: FallbackDoor) -> None:
    """Who claimed a child and was approved nowhere forgets its password: no link goes to the claimant's address."""
    claimed(door, Standing.ASKED)
    browser = door.browser()
    page = browser.get(door.at_password(browser).url.replace("/password", "/forgot"))

    browser.press(page, number=door.number("emil").display)

    assert links(door) == []


@pytest.mark.parametrize("standing", [Standing.ASKED, Standing.DECLINED])
def test_a_guardian_s_own_links_end(door: FallbackDoor, standing: Standing) -> None:
    """A link that a guardian had sent while approved opens nothing once that is over and staff have invited."""
    account = claimed(door, Standing.APPROVED)
    path = forgotten(door, "emil")
    assert door.browser().fetch(path).status_code == 200
    door.enrol(account.person, "clinea", standing=standing, guardian=STRANGER, client="portal")

    invite(door, "emil", email=EMAIL)

    assert door.browser().fetch(path).status_code == 410


def test_a_hidden_child_is_hidden_from_who_chose_its_password(door: FallbackDoor) -> None:
    """The attack: the parent from whom a child is hidden reads as the child, signed in already or anew (L15)."""
    account, browser = claimed(door, Standing.APPROVED), door.browser()
    page = browser.press(door.at_password(browser), number=door.number("emil").display, password=PASSWORD)
    tokens = door.redeem(answer_of(browser.press(page, code=door.code()))["code"]).json()
    assert door.userinfo(tokens["access_token"]).status_code == 200
    handle = door.enrol(account.person, "clinea", guardian=STRANGER, client="portal").handle
    staff = Actor(id="staff-7", clinic="clinea", role=Role.APPROVER)

    door.house.offices.register.change(staff, handle, Sheet(protected=True), None, door.clock.now())

    assert door.userinfo(tokens["access_token"]).status_code == 401
    assert door.house.signout.of_person(account.person) == ()
    anew = door.browser()
    number = door.number("emil").display
    assert anew.press(door.at_password(anew), number=number, password=PASSWORD).url.endswith("/password")
    asked = door.browser()
    asked.press(asked.get(door.at_password(asked).url.replace("/password", "/forgot")), number=number)
    assert links(door) == []


# ---- what lives on ---------------------------------------------------------------------------------


def test_refresh_tokens_of_a_sign_on_that_ran_out(door: FallbackDoor) -> None:
    """A new password ends the refresh tokens of sign-ons that are over too (O13; ASVS 7.4.3)."""
    door.account("anna")
    thief = door.browser()
    page = thief.press(door.at_code(thief, scope="openid offline_access"), code=door.code(Channel.SMS))
    token = door.redeem(answer_of(page)["code"]).json()["refresh_token"]
    door.clock.move(timedelta(hours=9))
    assert door.refresh(token).status_code == 200
    browser = door.browser()

    browser.press(browser.get(forgotten(door)), password=NEW)

    assert door.refresh(token).status_code == 400


def test_nobody_registers_in_the_place_of_my_page(door: FallbackDoor) -> None:
    """A portal that was registered under My page's id is not found: its address gets no code of anybody."""
    document = {
        "id": "me.clinea",
        "clinic": "clinea",
        "name": "Min side",
        "redirect_uris": ["https://evil.test/callback"],
        "auth_method": "none",
    }
    door.house.clients.save(config.read_client(document))
    asked = {"client_id": "me.clinea", "redirect_uri": "https://evil.test/callback", "response_type": "code"}

    answer = door.browser().fetch("/authorize", params={**asked, "scope": "openid"})

    assert answer.status_code == 400
    assert "Location" not in answer.headers
    assert urlsplit(answer.url).hostname == "127.0.0.1"
