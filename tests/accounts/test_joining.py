"""Who is taken at a clinic, and registering oneself (R19, R20, R22-R28; experience 1.6 and 1.8)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from idbroker.accounts.account import Account, Agreed, Contact, Entry, Standing
from idbroker.accounts.question import Settled, Stopped
from idbroker.clinic import Clinic
from idbroker.codec import Codec
from idbroker.identity import LoA
from idbroker.messages.message import Channel
from tests.accounts.asking_house import (
    APPROVAL,
    AUTOMATIC,
    ELSEWHERE,
    MAIL,
    MOBILE,
    OFF,
    PASSWORD,
    TERMS,
    UNNEEDED,
    AskingHouse,
    Walk,
)
from tests.accounts.desk_house import ANNA
from tests.conftest import NOW
from tests.store.crowd import at_once


def registering(asking: AskingHouse, clinic: object = AUTOMATIC, **changes: object) -> Walk:
    """Return somebody unknown, with a MitID, at the first page."""
    return asking.walk(asking.joining, asking.proved(**changes), clinic)  # type: ignore[arg-type]


def account(asking: AskingHouse, walk: Walk) -> Account:
    """Return the account that came of it."""
    kept = asking.records.accounts.of(walk.proved.person)
    assert kept is not None
    return kept


def test_everybody_is_taken_where_nobody_registers(asking: AskingHouse) -> None:
    """A clinic that takes whom the eIDs know asks nothing, and writes nothing."""
    walk = asking.walk(asking.joining, asking.proved(), UNNEEDED)

    assert walk.now is None
    assert asking.records.accounts.of(walk.proved.person) is None


def test_registered_and_let_in_at_once(asking: AskingHouse) -> None:
    """Somebody unknown gives an address and shows it to be theirs, and is taken without anybody's approval (R24)."""
    walk = registering(asking).post(email=MAIL).code(Channel.EMAIL).post(do="skip")
    assert walk.page == "check"

    assert walk.post().now == Settled()
    assert walk.begin().now is None
    kept = account(asking, walk)
    assert [(contact.channel, contact.address) for contact in kept.contacts] == [(Channel.EMAIL, MAIL)]
    assert kept.reachable == kept.contacts
    assert asking.told("account.made", "enrolment.made") == ["account.made", "enrolment.made"]


def test_what_the_eid_told_is_not_asked(asking: AskingHouse) -> None:
    """Name, number and birth date come from the eID (WCAG 3.3.7); the last page shows them, the number masked."""
    walk = registering(asking).post(phone=MOBILE).code(Channel.SMS).post(do="skip")

    assert (walk.values["name"], walk.values["number"]) == ("Ada Prøvesen", ANNA.masked)
    walk.post()
    kept = account(asking, walk)
    assert (kept.number, kept.given_name, kept.birthdate) == (ANNA, "Ada", ANNA.birthdate)
    assert kept.confirmed_at == walk.visit.now


def test_a_code_to_each_address(asking: AskingHouse) -> None:
    """Who gives two addresses shows both to be theirs, one after the other."""
    walk = registering(asking).post(email=MAIL, phone=MOBILE)
    assert (walk.page, walk.values["channel"], walk.values["purpose"]) == ("code", "email", "contact")
    walk.code(Channel.EMAIL)
    assert (walk.page, walk.values["channel"], walk.values["shown"]) == ("code", "sms", MOBILE[-2:])

    walk.code(Channel.SMS).post(do="skip").post()

    assert {contact.address for contact in account(asking, walk).reachable} == {MAIL, MOBILE}


def test_a_password_if_wanted(asking: AskingHouse) -> None:
    """A password may be chosen; it works at the desk, and no page's state holds it as typed."""
    walk = registering(asking).post(email=MAIL).code(Channel.EMAIL)
    assert (walk.page, walk.values["optional"], walk.values["least"]) == ("newpassword", "1", "12")

    walk.post(password=PASSWORD)
    assert PASSWORD.encode() not in walk.form.state
    assert walk.values["password"] == "1"
    walk.post()
    assert asking.desk_house.desk.hasher.verify(account(asking, walk).password, PASSWORD)


@pytest.mark.parametrize(
    ("password", "error"), [("", "f.e.short"), ("kort", "f.e.short"), ("prøvesen somebody", "f.e.common")]
)
def test_a_weak_password_is_refused_with_the_reason(asking: AskingHouse, password: str, error: str) -> None:
    """A password that is short, or made of what everybody knows of the person, is refused; the page stays."""
    walk = registering(asking).post(email=MAIL).code(Channel.EMAIL).post(password=password)

    assert (walk.page, walk.errors) == ("newpassword", {"password": error})


def test_what_was_filled_in_can_be_changed(asking: AskingHouse) -> None:
    """The last page leads back to addresses and password (WCAG 3.3.4); only a new address needs a new code."""
    walk = registering(asking).post(email=MAIL).code(Channel.EMAIL).post(do="skip")
    walk.post(do="contact")
    assert (walk.page, walk.values["email"]) == ("contact", MAIL)

    walk.post(email=MAIL, phone=MOBILE)
    assert walk.values["channel"] == "sms"
    walk.code(Channel.SMS)
    assert walk.page == "check"
    assert walk.post(do="password").page == "newpassword"
    assert walk.post(password=PASSWORD).values["password"] == "1"
    assert walk.values["phone"] == MOBILE


def test_an_address_taken_back(asking: AskingHouse) -> None:
    """Who leaves one of two addresses out again is registered with the other alone."""
    walk = registering(asking).post(email=MAIL, phone=MOBILE).code(Channel.EMAIL)
    walk.post(do="back").post(email=MAIL)
    assert walk.page == "newpassword"

    walk.post(do="skip").post()

    assert [contact.address for contact in account(asking, walk).contacts] == [MAIL]


def test_terms_are_accepted_by_registering(asking: AskingHouse) -> None:
    """The last page names the version of the terms; sending it off accepts them (R42)."""
    clinic = replace(AUTOMATIC, terms=TERMS)
    walk = registering(asking, clinic).post(email=MAIL).code(Channel.EMAIL).post(do="skip")
    assert (walk.values["terms"], walk.values["text"]) == ("2026-1", "Be kind.")

    walk.visit = replace(walk.visit, clinic=replace(clinic, terms=replace(TERMS, version="2026-2")))
    assert walk.post().values["terms"] == "2026-2", "others than were shown: shown first"
    walk.post()

    kept = asking.records.consents.current(walk.proved.person, Agreed.TERMS, clinic.id)
    assert kept is not None
    assert kept.version == "2026-2"


def test_terms_that_were_accepted_before_are_not_shown_again(asking: AskingHouse) -> None:
    """Who accepted the terms before the eID does not read them twice; they are kept all the same (R41)."""
    clinic = replace(AUTOMATIC, terms=TERMS)
    walk = registering(asking, clinic, accepted="2026-1").post(email=MAIL).code(Channel.EMAIL).post(do="skip")
    assert (walk.values["terms"], walk.values["text"]) == ("", "")

    walk.post()

    assert asking.records.consents.current(walk.proved.person, Agreed.TERMS, clinic.id) is not None


def test_the_clinic_approves(asking: AskingHouse) -> None:
    """Where staff approve, nothing is granted: the page says by which day the answer comes, and says so again (R23)."""
    walk = registering(asking, APPROVAL, wish="self").post(email=MAIL).code(Channel.EMAIL).post(do="skip").post()
    assert (walk.page, walk.values) == ("waiting", {"until": "2026-11-25", "clinic": "Clinea", "for": "self"})

    assert walk.begin().page == "waiting"
    assert walk.post().page == "waiting"
    assert asking.told("enrolment.asked", "enrolment.made") == ["enrolment.asked"]
    asking.enrolled(walk.proved.person, Standing.APPROVED)
    assert asking.walk(asking.joining, asking.proved(), APPROVAL).now is None


def test_the_answer_day_is_the_clinics_own(asking: AskingHouse) -> None:
    """The day is counted where the clinic is: an hour before midnight UTC it is tomorrow in Denmark already."""
    asking.enrolled(asking.proved().person, Standing.ASKED, asked_at=NOW.replace(hour=23, minute=30))

    assert registering(asking, APPROVAL).values["until"] == "2026-11-26"


def test_declined(asking: AskingHouse) -> None:
    """Whom the clinic has declined is told to call it, without a reason."""
    asking.enrolled(asking.proved().person, Standing.DECLINED, reason="not ours")

    walk = registering(asking)
    assert (walk.page, walk.values) == ("notaken", {"clinic": "Clinea"})


def test_registration_is_off(asking: AskingHouse) -> None:
    """A clinic that enters its patients itself takes those, and tells the others to call (R22, R29)."""
    assert registering(asking, OFF).page == "notaken"
    assert registering(asking, OFF, wish="self").page == "notaken"

    asking.enrolled(asking.proved().person)
    assert registering(asking, OFF).now is None


def test_no_number_no_registration(asking: AskingHouse) -> None:
    """An eID that tells no national number registers nobody: accounts go by it."""
    assert registering(asking, number=None).page == "notaken"


def test_a_low_level_registers_nobody(asking: AskingHouse) -> None:
    """Who is known by a weak proof only is not registered on it."""
    assert registering(asking, loa=LoA.LOW).page == "notaken"


def test_known_elsewhere_is_asked_once(asking: AskingHouse) -> None:
    """Somebody with an account, at a further clinic, answers one question and is in (R27, R28)."""
    asking.account()
    walk = registering(asking)
    assert (walk.page, walk.values) == ("enrol", {"clinic": "Clinea", "service": "Portal"})

    assert walk.post().now == Settled()
    assert walk.begin().now is None
    kept = asking.enrolment(walk.proved.person)
    assert kept is not None
    assert (kept.standing, kept.client, kept.provider) == (Standing.APPROVED, "portal", "mitid")


def test_known_by_what_staff_entered(asking: AskingHouse) -> None:
    """Whom another clinic has entered is known, with the addresses it entered: nothing is typed again."""
    asking.enrolled(asking.proved().person, clinic=ELSEWHERE, told={Channel.EMAIL: MAIL})

    assert registering(asking).page == "enrol"


def test_a_password_is_enough_at_a_further_clinic(asking: AskingHouse) -> None:
    """Who signs in by password is asked in the same way: they have no eID to bring."""
    asking.account()

    assert registering(asking, loa=LoA.LOW).post().now == Settled()


def test_no_at_a_further_clinic(asking: AskingHouse) -> None:
    """Who does not want to go back to the service, and is enrolled nowhere."""
    asking.account()
    walk = registering(asking).post(do="no")

    assert walk.now == Stopped()
    assert asking.enrolment(walk.proved.person) is None


def test_a_further_clinic_may_approve(asking: AskingHouse) -> None:
    """Yes asks the clinic, where the clinic approves."""
    asking.account()

    assert registering(asking, APPROVAL).post().page == "waiting"


def test_already_registered(asking: AskingHouse) -> None:
    """Who comes to register and is registered is told so, and goes on to sign in."""
    asking.account()
    asking.enrolled(asking.proved().person)
    walk = registering(asking, wish="self")

    assert (walk.page, walk.values) == ("have", {"name": "Ada Prøvesen"})
    assert walk.post().now == Settled(wished=True)


def test_who_came_to_register_goes_on_to_sign_in(asking: AskingHouse) -> None:
    """Registering settles what somebody came for, also where everybody is taken."""
    for clinic in (AUTOMATIC, UNNEEDED):
        proved = asking.proved(person=None, wish="self")
        asking.records.accounts.remove(proved.person)
        walk = asking.walk(asking.joining, proved, clinic)
        assert walk.post(email=MAIL).code(Channel.EMAIL).post(do="skip").post().now == Settled(wished=True)


def test_an_eid_confirms_an_account_once(asking: AskingHouse) -> None:
    """The first eID confirms who an account is of, and fills in what was missing (R26); a password never does."""
    asking.account(confirmed_at=None, given_name=None)
    assert asking.walk(asking.joining, asking.proved(loa=LoA.LOW), UNNEEDED).now is None
    person = asking.proved().person
    assert not asking.told("account.confirmed")

    asking.walk(asking.joining, asking.proved(claimed=person), UNNEEDED)
    asking.desk_house.clock.move(timedelta(days=1))
    asking.walk(asking.joining, asking.proved(), UNNEEDED)

    kept = asking.records.accounts.of(person)
    assert kept is not None
    assert (kept.confirmed_at, kept.given_name, kept.family_name) == (NOW, "Ada", "Prøvesen")
    assert asking.told("account.confirmed") == ["account.confirmed"]


def test_what_changed_while_a_page_was_open(asking: AskingHouse) -> None:
    """A clinic that switched registration off meanwhile, or approved, is believed before the page that was shown."""
    walk = registering(asking).post(email=MAIL)
    walk.visit = replace(walk.visit, clinic=OFF)
    assert walk.code(Channel.EMAIL).page == "notaken"

    other = registering(asking)
    asking.enrolled(other.proved.person)
    assert other.post(email=MAIL).now == Settled()


def test_two_tabs_register_one_person(asking: AskingHouse) -> None:
    """The last page sent off from many tabs at once is one account, one enrolment and one event of each."""
    walk = registering(asking).post(email=MAIL).code(Channel.EMAIL).post(do="skip")

    results = at_once(lambda _: asking.joining.resume(walk.visit, walk.proved, walk.form, {}), 8)

    assert results == [Settled()] * 8
    assert sorted(asking.told("account.made", "enrolment.made")) == ["account.made", "enrolment.made"]
    assert len(asking.records.enrolments.of(walk.proved.person)) == 1


def test_an_account_without_any_address_gets_some(asking: AskingHouse) -> None:
    """Whose account has neither address nor password fills in the pages, and keeps the account."""
    asking.account(password=None, contacts=())
    walk = registering(asking).post(email=MAIL).code(Channel.EMAIL).post(do="skip")

    assert walk.post().now == Settled()
    assert account(asking, walk).contacts == (
        Contact(channel=Channel.EMAIL, address=MAIL, verified_at=account(asking, walk).contacts[0].verified_at),
    )


def test_what_is_written_tells_nobody_who(asking: AskingHouse) -> None:
    """No event of a registration holds a name, a number or an address."""
    walk = registering(asking).post(email=MAIL, phone=MOBILE).code(Channel.EMAIL).code(Channel.SMS)
    walk.post(password=PASSWORD).post()

    written = b"".join(Codec(dict[str, str]).pack(dict(event.detail)) for event in asking.desk_house.events())
    assert not [secret for secret in ("Ada", ANNA.value, MAIL, MOBILE, PASSWORD) if secret.encode() in written]


# ---- the clinic's own list -----------------------------------------------------------------------


def test_who_is_in_the_list_asks_and_is_compared(asking: AskingHouse) -> None:
    """Somebody in the clinic's list registers: they wait, and the clinic's record, handle and addresses stay (S1)."""
    entry = Entry(given_name="Ada", family_name="Berg", exempt="age", entered_at=NOW, by="staff-7")
    told = {Channel.SMS: "+4520654399"}
    known = asking.enrolled(asking.proved().person, Standing.KNOWN, APPROVAL, entry=entry, told=told)

    walk = registering(asking, APPROVAL).post(email=MAIL).code(Channel.EMAIL).post(do="skip").post()

    assert walk.page == "waiting"
    kept = asking.enrolment(known.person, APPROVAL)
    assert kept is not None
    assert (kept.standing, kept.handle, kept.entry, kept.told) == (Standing.ASKED, known.handle, entry, told)


def test_the_list_alone_lets_nobody_in(asking: AskingHouse) -> None:
    """Where nobody registers, who is only listed is not taken; whom staff have entered is, at once (R29)."""
    person = asking.proved().person
    asking.enrolled(person, Standing.KNOWN, OFF)
    assert registering(asking, OFF).page == "notaken"

    asking.enrolled(person, Standing.APPROVED, OFF)
    assert registering(asking, OFF).now is None


def test_who_registers_is_found_by_name(asking: AskingHouse) -> None:
    """What the eID says of them is written down as theirs, so that staff find them; it is not the clinic's own word."""
    walk = registering(asking).post(email=MAIL).code(Channel.EMAIL).post(do="skip").post()

    born = ANNA.birthdate
    assert born is not None
    (found,) = asking.records.enrolments.named(AUTOMATIC.id, "prøvesen", born)
    assert (found.person, found.entry and found.entry.by) == (walk.proved.person, "patient")


@pytest.mark.parametrize("clinic", [AUTOMATIC, APPROVAL, UNNEEDED, OFF])
@pytest.mark.parametrize("loa", [LoA.HIGH, LoA.LOW])
def test_a_death_ends_it(asking: AskingHouse, clinic: Clinic, loa: LoA) -> None:
    """Nobody signs in as somebody whose death the clinic has noted, however they come and whomever it takes."""
    proved = asking.proved(loa=loa)
    entry = Entry(deceased_on=NOW.date(), entered_at=NOW, by="staff-7")
    asking.enrolled(proved.person, Standing.APPROVED, clinic, entry=entry)

    assert asking.walk(asking.joining, proved, clinic).page == "notaken"
    assert asking.records.accounts.of(proved.person) is None


@pytest.mark.parametrize(("clinic", "kept"), [(AUTOMATIC, True), (ELSEWHERE, False)])
def test_an_exemption_keeps_a_password_at_its_own_clinic(asking: AskingHouse, clinic: Clinic, kept: bool) -> None:
    """One clinic's exemption does not let an eID confirm, elsewhere, a password that a stranger chose."""
    before = asking.account(confirmed_at=None, password="chosen")
    entry = Entry(exempt="illness", entered_at=NOW, by="staff-7")
    asking.enrolled(before.person, Standing.APPROVED, AUTOMATIC, entry=entry)

    asking.walk(asking.joining, asking.proved(), clinic)

    after = asking.records.accounts.of(before.person)
    assert after is not None
    assert (after.password is not None) is kept
