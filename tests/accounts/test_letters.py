"""What people are written: in their language, in plain words, short enough for one text message."""

from __future__ import annotations

import string
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.accounts.account import Account, Contact, Enrolment, Purpose, Standing
from idbroker.accounts.linking import Origin
from idbroker.clinic import LANGUAGES
from idbroker.clock import StoppedClock
from idbroker.messages import gsm
from idbroker.messages.message import Channel, Message
from idbroker.sealing import Sealer, SealingKeys
from idbroker.words import read_texts
from tests.accounts.desk_house import EMAIL, SMS
from tests.accounts.recovery_house import CLIENT, CLINIC, ISSUER, SILENT, RecoveryHouse, recovery_house, token_in

HOUR = timedelta(hours=1)
# The longest names that one segment is promised for (pages.md, 1.3), and a number as people write it.
LONGEST = {
    "service": "S" * 20,
    "clinic": "C" * 20,
    "phone": "+358 9 310 01 0023",
    "date": "22.11.2026",
    "time": "10.00",
}
LINKED = ("m.reset.sms", "m.act.sms")
SHORT = ("m.changed", "m.contact", "m.locked", "m.declined", "m.childno")
HOST = 28


@pytest.fixture
def house(tmp_path: Path, clock: StoppedClock) -> Iterator[RecoveryHouse]:
    """Give the rooms."""
    with recovery_house(tmp_path, clock) as opened:
        yield opened


@pytest.fixture
def anna(house: RecoveryHouse) -> Account:
    """Give an account with both addresses."""
    return house.desk.account(language="da")


def enrolment(account: Account, clock: StoppedClock, **changes: object) -> Enrolment:
    """Return an enrolment that a clinic has answered."""
    now = clock.now()
    answered = Enrolment(
        person=account.person,
        clinic=CLINIC.id,
        standing=Standing.APPROVED,
        asked_at=now,
        decided_at=now,
        client=CLIENT.id,
        language="da",
    )
    return replace(answered, **changes)  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("key", LINKED)
def test_a_link_fits_one_text_message(language: str, key: str) -> None:
    """The words, a long host and a link of 256 bits are one segment of the 7-bit alphabet, in every language."""
    length = 43 if key == "m.reset.sms" else 50
    text = read_texts()[language][key].format(**LONGEST)
    whole = f"{text}\nhttps://{'h' * HOST}/set/{'x' * length}"

    assert gsm.fits(whole), gsm.septets(whole)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("key", [*SHORT, *(f"{key}.nophone" for key in SHORT)])
def test_news_is_short(language: str, key: str) -> None:
    """News by text message is in the 7-bit alphabet, and no more than two segments with the longest names."""
    text = f"{LONGEST['service']}: {read_texts()[language][key].format(**LONGEST)}"

    assert gsm.septets(text) is not None
    assert gsm.segments(text) <= 2


def test_without_a_telephone_no_number_is_asked_for() -> None:
    """Each text with a telephone number has one without."""
    english = read_texts()["en"]
    calls = {key for key in english if key.startswith("m.") and "phone" in _placeholders(english[key])}

    assert {key for key in calls if f"{key}.nophone" not in english} <= {"m.assist"}
    assert not [key for key in english if key.endswith(".nophone") and "phone" in _placeholders(english[key])]


def _placeholders(text: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(text)}


def test_a_reset_in_danish(house: RecoveryHouse, anna: Account, clock: StoppedClock) -> None:
    """The service is named, the time is the clock's on the wall, the link is alone on its line; nothing is hidden."""
    origin = Origin(clinic=CLINIC.id, client=CLIENT.id, language="da")
    link, secret = house.linking.make(origin, Purpose.RESET, anna.person, HOUR, clock.now())

    texts = {channel: house.linking.for_channel(link, secret, channel) for channel in (Channel.EMAIL, Channel.SMS)}
    house.letters.reset(link, texts, anna.contacts)

    mail, text = house.sent(Channel.EMAIL), house.sent(Channel.SMS)
    assert mail.subject == "Vælg en ny adgangskode til Portalen"
    assert mail.text.splitlines()[0] == "Her kan du vælge en ny adgangskode til Portalen. Linket virker til kl. 11.00."
    assert token_in(mail) == texts[Channel.EMAIL]
    assert mail.text.endswith("Portalen\nClinea\n")
    assert text.text == f"Vælg ny adgangskode til Portalen før kl. 11.00:\n{ISSUER}/set/{texts[Channel.SMS]}"
    assert "<" not in mail.text


def test_the_same_letter_goes_once(house: RecoveryHouse, anna: Account, clock: StoppedClock) -> None:
    """A letter about the same thing is the same message, whoever has it sent again."""
    for _ in range(3):
        house.letters.handled(enrolment(anna, clock), anna)
        house.letters.changed(anna, (), CLINIC.id, CLIENT.id, clock.now())

    assert sorted(message.kind for message in house.settled()) == ["approved", "changed"]


def test_an_id_tells_no_address(house: RecoveryHouse, anna: Account, clock: StoppedClock) -> None:
    """The ids of messages lie in clear: without our key nobody can tell whose address one is of."""
    house.letters.changed(anna, (), CLINIC.id, CLIENT.id, clock.now())
    (message,) = house.settled()

    other = replace(house.letters, sealer=_other_sealer())
    other.changed(anna, (), CLINIC.id, CLIENT.id, clock.now())

    assert message.id != house.settled()[0].id


def _other_sealer() -> Sealer:
    keys = SealingKeys(data={1: b"K" * 32}, newest=1, index=b"I" * 32)
    return Sealer(lambda: keys)


def test_an_approval_leads_to_the_portal(house: RecoveryHouse, anna: Account, clock: StoppedClock) -> None:
    """Who is accepted gets the portal's link, by e-mail (R23), in the language it was asked in."""
    house.letters.handled(enrolment(anna, clock), anna)

    mail = house.sent()
    assert mail.subject == "Nu kan du bruge Portalen"
    assert CLIENT.way_back in mail.text.splitlines()
    assert not house.settled(Channel.SMS)


def test_a_refusal_says_whom_to_ask(house: RecoveryHouse, anna: Account, clock: StoppedClock) -> None:
    """Who is not gets the clinic's telephone number, and never why."""
    declined = enrolment(anna, clock, standing=Standing.DECLINED, reason="not ours")

    house.letters.handled(declined, anna)

    mail = house.sent()
    assert "+45 70 10 20 30" in mail.text
    assert "not ours" not in mail.text
    assert "http" not in mail.text


def test_a_guardian_hears_of_the_child(house: RecoveryHouse, anna: Account, clock: StoppedClock) -> None:
    """The answer to who asked for a child speaks of the child."""
    house.letters.handled(enrolment(anna, clock, person="child", language="en"), anna)

    assert house.sent().text.startswith("Your child can now use Portal at Clinea.")


def test_without_an_address_for_mail_it_is_a_text(house: RecoveryHouse, clock: StoppedClock) -> None:
    """Who has a telephone only is told there."""
    anna = house.desk.account(contacts=(SMS,))

    house.letters.handled(enrolment(anna, clock), anna)

    assert house.sent(Channel.SMS).text.endswith(f"\n{CLIENT.way_back}")


def test_old_and_new_addresses_are_told(house: RecoveryHouse, anna: Account) -> None:
    """Of a changed address the old one hears too, each once (ASVS 6.3.7)."""
    new = Contact(channel=Channel.EMAIL, address="new@example.org", verified_at=EMAIL.verified_at)

    house.letters.contact_changed(anna, anna.with_contact(new), house.visit())

    assert _to(house.settled()) == ["new@example.org", EMAIL.address]
    assert _to(house.settled(Channel.SMS)) == [SMS.address]


def _to(messages: list[Message]) -> list[str]:
    return sorted(message.to for message in messages)


def test_a_clinic_without_a_telephone(house: RecoveryHouse, anna: Account, clock: StoppedClock) -> None:
    """Nobody is told to call a number that is not there; a service that is gone is called by the clinic."""
    house.letters.changed(anna, (), SILENT.id, None, clock.now())

    assert house.sent(Channel.SMS).text == (
        "Stille: Din adgangskode blev ændret 22.11.2026 kl. 10.00. Var det ikke dig? Kontakt Stille."
    )


def test_who_is_attacked_is_warned(house: RecoveryHouse, anna: Account, clock: StoppedClock) -> None:
    """Of many wrong tries the person hears, once for each lock, where it is known that it is theirs (ASVS 6.3.5)."""
    until = clock.now() + HOUR

    for _ in range(2):
        house.letters.locked(anna, CLINIC.id, CLIENT.id, until)

    (mail,) = house.settled()
    assert mail.text.startswith("Nogen har prøvet at logge ind som dig for mange gange.")


def test_nothing_is_sent_for_a_clinic_that_is_gone(house: RecoveryHouse, anna: Account, clock: StoppedClock) -> None:
    """Nobody is written to in the name of a clinic that the configuration has no more."""
    house.letters.changed(anna, (), "gone", CLIENT.id, clock.now())

    assert not house.settled()
