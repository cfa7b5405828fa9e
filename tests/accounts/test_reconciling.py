"""Addresses that differ from the clinic's: asked about once, confirmed by a code (R38; experience 1.8)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from idbroker.accounts.account import Account, Contact, Enrolment, Link, Purpose
from idbroker.accounts.question import Settled
from idbroker.identity import Assisted, LoA
from idbroker.messages.message import Channel
from tests.accounts.asking_house import LANDLINE, MOBILE, OTHER_MAIL, OTHER_MOBILE, AskingHouse, Silence, Walk
from tests.accounts.desk_house import PATIENCE
from tests.conftest import NOW
from tests.otp.house import wrong

MINE = "mine@example.test"
CONTACTS = (
    Contact(channel=Channel.EMAIL, address=MINE, verified_at=NOW),
    Contact(channel=Channel.SMS, address=MOBILE, verified_at=NOW),
)


def differing(asking: AskingHouse, contacts: tuple[Contact, ...] = CONTACTS, **told: str) -> Walk:
    """Return somebody signing in with an eID, whose clinic was told other addresses."""
    account = asking.account(contacts=contacts)
    asking.enrolled(account.person, told={Channel(channel): address for channel, address in told.items()})
    return asking.walk(asking.reconciling, asking.proved())


def by_password(asking: AskingHouse, **told: str) -> Walk:
    """Return somebody signing in with a password, whose clinic was told other addresses."""
    return replace(differing(asking, CONTACTS, **told), proved=asking.proved(loa=LoA.LOW)).begin()


def kept(asking: AskingHouse, walk: Walk) -> tuple[Account, Enrolment]:
    """Return what is kept now."""
    account, enrolment = asking.records.accounts.of(walk.proved.person), asking.enrolment(walk.proved.person)
    assert account is not None
    assert enrolment is not None
    return account, enrolment


def letters(asking: AskingHouse, channel: Channel, count: int) -> list[str]:
    """Return to whom the next letters went by a channel."""
    return sorted(asking.desk_house.wires[channel].taken.get(timeout=PATIENCE).to for _ in range(count))


@pytest.mark.parametrize(
    "told",
    [{}, {"email": MINE}, {"email": "Mine@Example.TEST"}, {"email": MINE, "sms": "0046 70-174 06 05"}, {"email": ""}],
)
def test_the_same_is_not_asked_about(asking: AskingHouse, told: dict[str, str]) -> None:
    """Where the clinic says nothing, or the same in another spelling, nobody is asked."""
    assert differing(asking, CONTACTS, **told).now is None


def test_nobody_without_an_account_is_asked(asking: AskingHouse) -> None:
    """Who signs in by eID only has given us no address that could differ."""
    person = asking.proved().person
    asking.enrolled(person, told={Channel.EMAIL: OTHER_MAIL})

    assert asking.walk(asking.reconciling, asking.proved()).now is None


def test_nobody_is_asked_whom_staff_have_signed_in(asking: AskingHouse) -> None:
    """Staff who sign a patient in cannot move where codes go, to an address that they have written down themselves."""
    staff = Assisted(staff="a" * 32, role="carer", clinic="clinea", client="portal")
    walk = replace(by_password(asking, email=OTHER_MAIL), proved=asking.proved(loa=LoA.LOW, assisted=staff)).begin()

    assert walk.now is None


def test_both_sides_are_shown(asking: AskingHouse) -> None:
    """The page shows what the person gave and what the clinic has."""
    walk = differing(asking, email=OTHER_MAIL, sms=MOBILE)

    assert walk.page == "differ"
    assert (walk.values["email"], walk.values["phone"]) == (MINE, MOBILE)
    assert (walk.values["told_email"], walk.values["told_phone"]) == (OTHER_MAIL, MOBILE)


def test_mine_is_kept_and_not_asked_again(asking: AskingHouse) -> None:
    """Who keeps their own is asked once for each difference, and again when the clinic has another."""
    walk = differing(asking, email=OTHER_MAIL)

    assert walk.post(choice="mine").now == Settled()
    assert walk.begin().now is None
    account, enrolment = kept(asking, walk)
    assert (account.contacts, enrolment.settled) == (CONTACTS, {Channel.EMAIL: OTHER_MAIL})
    asking.enrolled(walk.proved.person, told={Channel.EMAIL: "third@example.test"})
    assert walk.begin().page == "differ"


def test_the_clinics_is_taken_after_a_code(asking: AskingHouse) -> None:
    """The clinic's address takes the place of mine once a code that went there is typed; both are written to."""
    walk = differing(asking, email=OTHER_MAIL).post(choice="clinic")
    assert (walk.page, walk.values["channel"]) == ("code", "email")
    assert kept(asking, walk)[0].contacts == CONTACTS

    walk.code(Channel.EMAIL)

    assert walk.now == Settled()
    assert walk.begin().now is None
    account, _ = kept(asking, walk)
    assert {contact.address for contact in account.reachable} == {OTHER_MAIL, MOBILE}
    assert letters(asking, Channel.EMAIL, 2) == sorted([MINE, OTHER_MAIL])
    assert letters(asking, Channel.SMS, 1) == [MOBILE]
    assert asking.told("contact.changed", "contact.settled") == ["contact.changed", "contact.settled"]


def test_something_else_after_a_code(asking: AskingHouse) -> None:
    """A third address may be typed; what is left empty stays as it was."""
    walk = differing(asking, email=OTHER_MAIL, sms=OTHER_MOBILE)

    walk.post(choice="other", email="third@example.test").code(Channel.EMAIL)

    assert walk.now == Settled()
    account, enrolment = kept(asking, walk)
    assert {contact.address for contact in account.contacts} == {"third@example.test", MOBILE}
    assert enrolment.settled == {Channel.EMAIL: OTHER_MAIL, Channel.SMS: OTHER_MOBILE}


def test_a_mailbox_buys_no_telephone(asking: AskingHouse) -> None:
    """F18: who signed in by password and a code types no address of their own, on whatever page it was asked."""
    walk = by_password(asking, sms=OTHER_MOBILE)
    assert (walk.page, walk.values["bound"]) == ("differ", "1")

    with Silence(asking):
        walk.post(choice="other", email="evil@example.test", phone="+46701740607")
    assert (walk.page, walk.errors, walk.values["bound"]) == ("differ", {"choice": "k.e.choice"}, "1")
    assert kept(asking, walk)[0].contacts == CONTACTS


def test_a_password_may_confirm_what_the_clinic_has(asking: AskingHouse) -> None:
    """Without an eID one keeps one's own, or takes the clinic's once a code that went there is typed."""
    walk = by_password(asking, sms=OTHER_MOBILE).post(choice="clinic", email="evil@example.test")
    assert (walk.page, walk.values["channel"]) == ("code", "sms")

    assert walk.code(Channel.SMS).now == Settled()
    assert {contact.address for contact in kept(asking, walk)[0].reachable} == {MINE, OTHER_MOBILE}


def test_typing_mine_again_is_keeping_it(asking: AskingHouse) -> None:
    """Who types their own address as something else needs no code, and nobody is written to."""
    walk = differing(asking, email=OTHER_MAIL)

    with Silence(asking):
        assert walk.post(choice="other", email=MINE).now == Settled()
    assert asking.told("contact.changed") == []


def test_a_wrong_code_changes_nothing(asking: AskingHouse) -> None:
    """Without the code from the new address nothing is changed, and one may go back and choose otherwise."""
    walk = differing(asking, email=OTHER_MAIL).post(choice="clinic")
    right = asking.desk_house.code(Channel.EMAIL)

    assert walk.post(code=wrong(right)).errors == {"code": "o.e.wrong"}
    walk.post(do="back")
    assert (walk.page, walk.values["choice"]) == ("differ", "clinic")
    assert walk.post(choice="mine").now == Settled()
    assert kept(asking, walk)[0].contacts == CONTACTS


@pytest.mark.parametrize(
    ("reply", "errors"),
    [
        ({}, {"choice": "k.e.choice"}),
        ({"choice": "all"}, {"choice": "k.e.choice"}),
        ({"choice": "other"}, {"email": "r.e.one"}),
        ({"choice": "other", "email": "x"}, {"email": "r.e.mail"}),
        ({"choice": "other", "phone": LANDLINE}, {"phone": "r.e.mob"}),
        ({"choice": "clinic"}, {"choice": "r.e.mob"}),
    ],
)
def test_what_is_wrong_is_said_where_it_is(asking: AskingHouse, reply: dict[str, str], errors: dict[str, str]) -> None:
    """No choice, no address, a landline, one that the clinic has itself: each is said, and what was typed stays."""
    walk = differing(asking, sms=LANDLINE).post(**reply)

    assert (walk.page, walk.errors) == ("differ", errors)
    assert walk.values["own_email"] == reply.get("email", "")
    assert walk.values["own_phone"] == reply.get("phone", "")


def test_a_phone_that_only_the_clinic_has(asking: AskingHouse) -> None:
    """An address that the account lacks differs too, and may be taken over by a code."""
    walk = differing(asking, CONTACTS[:1], sms=OTHER_MOBILE).post(choice="clinic").code(Channel.SMS)

    assert walk.now == Settled()
    assert {contact.address for contact in kept(asking, walk)[0].reachable} == {MINE, OTHER_MOBILE}


def test_what_lies_in_the_old_mailbox_opens_nothing(asking: AskingHouse) -> None:
    """Links that were sent before the change end with it (O14)."""
    walk = differing(asking, email=OTHER_MAIL).post(choice="clinic")
    link = Link(
        digest="digest",
        purpose=Purpose.RESET,
        person=walk.proved.person,
        clinic="clinea",
        made_at=NOW,
        ends_at=NOW.replace(hour=23),
    )
    asking.records.links.add(link)

    walk.code(Channel.EMAIL)

    assert asking.records.links.find("digest", NOW) is None


def test_two_tabs_settle_it_once(asking: AskingHouse) -> None:
    """Settled in one tab, the other goes on, whatever it sends."""
    walk = differing(asking, email=OTHER_MAIL)
    other = replace(walk)
    walk.post(choice="mine")

    assert other.post(choice="clinic").now == Settled()
    assert asking.told("contact.settled") == ["contact.settled"]


def test_who_registers_is_not_asked(asking: AskingHouse) -> None:
    """Who came to register answers this at the next sign-in."""
    walk = differing(asking, email=OTHER_MAIL)

    assert asking.walk(asking.reconciling, replace(walk.proved, wish="self")).now is None
