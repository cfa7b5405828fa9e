"""A lasting password, where the clinic has set that staff send one; and a code in a letter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.accounts import paper
from idbroker.accounts.account import Purpose
from idbroker.accounts.choosing import Done, Gift
from idbroker.clinic import PasswordRules
from idbroker.clock import StoppedClock
from idbroker.messages.message import Channel
from idbroker.otp.one_time import Limited
from idbroker.patients.access import LETTER_LIFE, Letter, Receipt
from idbroker.patients.patient import Conflict, NotDone
from tests.accounts.desk_house import ANNA, EMAIL, EMIL, PASSWORD
from tests.accounts.recovery_house import CLINIC, NEW, token_in
from tests.patients.access_house import BOTH, LASTING, TOLD, AccessHouse, access_house

_WORDS = re.compile(r"[a-z2-9]{5}(-[a-z2-9]{5})+")


@pytest.fixture
def house(tmp_path: Path, clock: StoppedClock) -> Iterator[AccessHouse]:
    """Give the house."""
    with access_house(tmp_path, clock) as opened:
        yield opened


def password_in(text: str) -> str:
    """Return the password that stands alone on a message's line."""
    (found,) = [line for line in text.splitlines() if _WORDS.fullmatch(line)]
    return found


# ---- a lasting password --------------------------------------------------------------------------


def test_a_password_by_both_ways(house: AccessHouse, clock: StoppedClock) -> None:
    """The clinic sends one password by text message and e-mail; both addresses count then (R31, R40)."""
    patient = house.patient(LASTING.id, language="sv")

    receipt = house.send(patient, BOTH)

    assert receipt == Receipt(kind="password", sent=TOLD, at=clock.now())
    (mail,), (text,) = house.rooms.settled(), house.rooms.settled(Channel.SMS)
    password = password_in(mail.text)
    assert password_in(text.text) == password
    assert "Kom ihåg lösenordet" in mail.text, "it is used every time"
    account = house.rooms.account(patient.person)
    assert house.rooms.desk.desk.hasher.verify(account.password, password)
    assert {contact.address for contact in account.reachable} == {*TOLD.values()}
    assert not house.rooms.desk.desk.needs_eid(account, LASTING), "who is sent one can use no eID"
    assert house.rooms.desk.desk.needs_eid(account, CLINIC), "and elsewhere that is for others to say"
    assert password not in repr(house.rooms.desk.events())


def test_a_new_one_ends_the_old(house: AccessHouse) -> None:
    """Sent again it is another one; the first opens nothing, and all that rested on it has ended."""
    patient = house.patient(LASTING.id)
    house.send(patient)
    first = password_in(house.rooms.settled()[0].text)

    house.send(patient)

    second = password_in(house.rooms.settled()[0].text)
    account = house.rooms.account(patient.person)
    assert [house.rooms.desk.desk.hasher.verify(account.password, one) for one in (first, second)] == [False, True]
    assert house.rooms.ended.asked


def test_it_opens_no_other_clinic(house: AccessHouse) -> None:
    """It opens the clinic that sent it; sent anew elsewhere on that clinic's own word, and the old told."""
    patient = house.patient(LASTING.id)
    house.send(patient)
    house.rooms.settled()

    house.send(house.patient(LASTING.id, told={Channel.EMAIL: "new@example.org"}))

    account = house.rooms.account(patient.person)
    assert account.only_at == (LASTING.id,)
    assert sorted((one.kind, one.to) for one in house.rooms.settled()) == [
        ("changed", TOLD[Channel.EMAIL]),
        ("lasting", "new@example.org"),
    ]


@pytest.mark.parametrize("password", [PASSWORD, None], ids=["a password", "an eID"])
def test_nobody_loses_what_they_use_elsewhere(house: AccessHouse, password: str | None) -> None:
    """The attack: staff type anybody's number and an address, and the person's password at every clinic is gone.

    A link goes there instead, which asks for an act of whoever reads it, and opens the one clinic.
    """
    anna = house.rooms.desk.account(ANNA, password)
    patient = house.patient(LASTING.id)

    receipt = house.send(patient)

    assert isinstance(receipt, Receipt)
    assert receipt.kind == "link"
    assert house.rooms.account(anna.person) == anna
    assert not house.rooms.ended.asked
    (mail,) = house.rooms.settled()
    assert mail.kind == "renewal"
    house.choose(token_in(mail))
    assert house.rooms.account(anna.person).only_at == (LASTING.id,)


def test_nor_what_was_taken_in_use_meanwhile(house: AccessHouse, clock: StoppedClock) -> None:
    """Asked where it is written, too: whoever begins to use it between our look and our write keeps it."""
    anna = house.rooms.desk.account(ANNA)
    gift = Gift(
        person=anna.person, password=NEW, to=TOLD, clinic=LASTING.id, client=None, language="sv", at=clock.now()
    )

    assert house.rooms.recovery.give(gift) is False
    assert house.rooms.account(anna.person) == anna


def test_theirs_stays_theirs(house: AccessHouse) -> None:
    """Sent to the address that they had shown to be theirs, it opens what their own password opened."""
    anna = house.rooms.desk.account(ANNA)

    house.send(house.patient(LASTING.id, told={Channel.EMAIL: EMAIL.address}))

    account = house.rooms.account(anna.person)
    assert (account.only_at, account.contacts) == ((), anna.contacts)
    assert not house.rooms.desk.desk.hasher.verify(account.password, PASSWORD)


def test_who_has_an_eid_is_written_down_as_nobody_without(house: AccessHouse) -> None:
    """Whom an eID has confirmed the clinic's record does not come to call exempt by a press of a button."""
    house.rooms.desk.account(ANNA)
    patient = house.patient(LASTING.id, told={Channel.EMAIL: EMAIL.address})

    receipt = house.send(patient)

    assert isinstance(receipt, Receipt)
    assert receipt.kind == "password"
    kept = house.rooms.enrolments.find(patient.person, LASTING.id)
    assert kept is not None
    assert kept.entry is not None
    assert kept.entry.exempt is None
    (event,) = house.rooms.desk.events("patient.sent")
    assert "exempt" not in event.detail


def test_an_exemption_is_in_the_trail(house: AccessHouse) -> None:
    """Where it is written that somebody can use no eID, the event says so: it lets a password in without one."""
    patient = house.patient(LASTING.id)

    house.send(patient)

    kept = house.rooms.enrolments.find(patient.person, LASTING.id)
    assert kept is not None
    assert kept.entry is not None
    assert kept.entry.exempt == "other"
    (event,) = house.rooms.desk.events("patient.sent")
    assert event.detail["exempt"] == "yes"


@pytest.mark.parametrize("rules", [PasswordRules(), PasswordRules(least=30), PasswordRules(least=64, mixed=True)])
def test_what_is_made_may_be_chosen(rules: PasswordRules) -> None:
    """A password of ours has seventy bits, nothing that looks like something else, and keeps the clinic's rules."""
    made = {paper.lasting(rules) for _ in range(50)}

    assert len(made) == 50
    assert all(len(one) >= max(17, rules.least) for one in made)
    assert not set("".join(made).lower()) & set("01ilo")


# ---- a letter ------------------------------------------------------------------------------------


def test_a_code_for_one_person(house: AccessHouse, clock: StoppedClock) -> None:
    """The code in a letter opens the account of the person it was made for, once, and nobody else's."""
    patient, emil = house.patient(), house.patient(number=EMIL)

    letter = house.letter(patient)

    assert isinstance(letter, Letter)
    assert (letter.at, letter.until) == (clock.now(), clock.now() + LETTER_LIFE)
    assert re.fullmatch(r"[A-HJKMNP-Z2-9]{4}(-[A-HJKMNP-Z2-9]{4}){2}", letter.code)
    code = paper.typed(letter.code.lower().replace("-", " "))
    assert code is not None
    assert house.rooms.linking.by_code(emil.person, code, clock.now()) is None
    text = house.rooms.linking.by_code(patient.person, code, clock.now())
    assert text is not None
    house.choose(text)
    account = house.rooms.account(patient.person)
    assert (account.reachable, account.only_at) == ((), (CLINIC.id,))
    assert house.rooms.linking.by_code(patient.person, code, clock.now()) is None
    assert letter.code not in repr(house.rooms.desk.events())


def test_made_anew_the_old_ends(house: AccessHouse, clock: StoppedClock) -> None:
    """A second letter ends the first; each is good for thirty days, and three are made in an hour."""
    patient = house.patient()
    made = [house.letter(patient) for _ in range(4)]

    codes = [paper.typed(one.code) for one in made if isinstance(one, Letter)]
    assert isinstance(made[3], Limited)
    found = [house.rooms.linking.by_code(patient.person, code or "", clock.now()) for code in codes]
    assert [one is not None for one in found] == [False, False, True]
    assert [one.kind for one in house.access.receipts(house.actor(), patient.handle)] == ["letter"] * 3
    clock.move(LETTER_LIFE)
    assert house.rooms.linking.by_code(patient.person, codes[2] or "", clock.now()) is None


def test_a_letter_to_who_has_a_password(house: AccessHouse, clock: StoppedClock) -> None:
    """Whoever opens it changes the password for this clinic alone; addresses stay, and are told."""
    anna = house.rooms.desk.account(ANNA)
    letter = house.letter(house.patient())
    assert isinstance(letter, Letter)

    text = house.rooms.linking.by_code(anna.person, paper.typed(letter.code) or "", clock.now())
    done = house.rooms.recovery.choose(text or "", NEW, "form", clock.now())

    assert isinstance(done, Done)
    assert done.link is not None
    assert done.link.purpose is Purpose.LETTER
    account = house.rooms.account(anna.person)
    assert (account.contacts, account.only_at) == (anna.contacts, (CLINIC.id,))
    assert [one.kind for one in house.rooms.settled()] == ["changed"]


def test_no_letter_without_a_number(house: AccessHouse, clock: StoppedClock) -> None:
    """A code is found by a number: who has none gets no letter; one that nobody typed whole is none."""
    patient = house.patient(entry=None)
    assert isinstance(house.letter(patient), NotDone)
    result = house.letter(patient)
    assert isinstance(result, NotDone)
    assert result.why is Conflict.NO_NUMBER
    assert [paper.typed(one) for one in ("", "ABCD", "ABCD-EFGH-JKL0", "x" * 10_000)] == [None] * 4
    clock.move(timedelta(days=1))
