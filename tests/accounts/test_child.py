"""Registering a child, and what a stranger could make of it (seed 002; experience 1.7)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from idbroker.accounts.account import Agreed, Contact, Entry, Standing
from idbroker.accounts.question import Settled
from idbroker.ages import comes_of_age
from idbroker.clinic import Clinic
from idbroker.identity import LoA
from idbroker.messages.message import Channel
from tests.accounts.asking_house import (
    APPROVAL,
    AUTOMATIC,
    ELSEWHERE,
    MAIL,
    OFF,
    OTHER_MAIL,
    PASSWORD,
    TERMS,
    UNNEEDED,
    AskingHouse,
    Silence,
    cpr,
)
from tests.accounts.desk_house import ANNA, EMIL, LARS
from tests.accounts.wards import CHILD, DECIDED, STRANGER, by_password, child, claimed, guardian
from tests.conftest import NOW

THEIRS = Contact(channel=Channel.EMAIL, address=OTHER_MAIL, verified_at=NOW)


def test_only_who_came_for_it_is_asked(asking: AskingHouse) -> None:
    """Who signs in is asked about no child; who came to register one is asked nothing about themselves."""
    assert asking.walk(asking.child, asking.proved()).now is None
    assert asking.walk(asking.joining, asking.proved(wish="child")).now is None


def test_the_clinic_answers(asking: AskingHouse) -> None:
    """A child is registered with a login of its own, in the guardian's name, and waits for the clinic's answer."""
    walk = claimed(asking)

    assert (walk.page, walk.values) == ("waiting", {"until": "2026-11-25", "clinic": "Clinea", "for": "child"})
    kept = child(asking)
    assert kept is not None
    assert (kept.number, kept.name, kept.birthdate) == (EMIL, "Emil Prøvesen", EMIL.birthdate)
    assert kept.guardian == walk.proved.person
    assert [contact.address for contact in kept.reachable] == [MAIL]
    assert asking.desk_house.desk.hasher.verify(kept.password, PASSWORD)
    enrolment = asking.enrolment(kept.person)
    assert enrolment is not None
    assert (enrolment.standing, enrolment.guardian) == (Standing.ASKED, walk.proved.person)
    assert walk.post().page == "waiting"


def test_a_login_of_its_own_is_a_choice(asking: AskingHouse) -> None:
    """Who says no to a login for the child registers it without a password."""
    claimed(asking, login=False)

    kept = child(asking)
    assert kept is not None
    assert kept.password is None


def test_the_pages_say_whose_they_are(asking: AskingHouse) -> None:
    """Addresses are asked for as the guardian's; the last page shows the child, its number masked."""
    walk = guardian(asking)
    assert (walk.page, walk.values["country"], walk.values["age"]) == ("child", "DK", "15")
    assert walk.post(**CHILD).values["for"] == "child"

    assert walk.values["ward"] == "Emil"
    assert walk.post(email=MAIL).values["ward"] == "Emil", "a parent of two sees whose code it is"
    walk.code(Channel.EMAIL)
    assert (walk.page, walk.values["ward"]) == ("childlogin", "Emil")
    walk.post(do="yes")
    assert (walk.values["optional"], walk.values["ward"]) == ("", "Emil")
    assert walk.post(do="skip").page == "newpassword", "they said yes"
    assert walk.post(password="Emil Prøvesen").errors == {"password": "f.e.common"}
    walk.post(password=PASSWORD)

    assert (walk.values["name"], walk.values["child"], walk.values["for"]) == ("Emil Prøvesen", EMIL.masked, "child")
    assert walk.post(do="password").page == "childlogin"
    assert walk.post(do="no").values["password"] == ""


def test_what_the_guardian_gave_before_needs_no_code(asking: AskingHouse) -> None:
    """The guardian's own verified addresses are filled in, and not proved again."""
    asking.account(contacts=(THEIRS,))
    walk = guardian(asking).post(**CHILD)
    assert walk.values["email"] == OTHER_MAIL

    with Silence(asking):
        assert walk.post(email=OTHER_MAIL).page == "childlogin"


def test_the_answer_finds_the_guardian(asking: AskingHouse) -> None:
    """The guardian's addresses are kept for the clinic's answer, as no sign-in; what they gave before stays."""
    walk = claimed(asking)
    kept = asking.records.accounts.of(walk.proved.person)
    assert kept is not None
    assert (kept.number, kept.password, [contact.address for contact in kept.reachable]) == (ANNA, None, [MAIL])
    assert asking.enrolment(walk.proved.person) is None

    asking.account(STRANGER, contacts=(THEIRS,))
    again = claimed(asking, number=STRANGER)
    kept = asking.records.accounts.of(again.proved.person)
    assert kept is not None
    assert kept.contacts == (THEIRS,)


def test_terms_are_the_guardians(asking: AskingHouse) -> None:
    """The terms are accepted by the guardian, on the last page."""
    walk = claimed(asking, replace(AUTOMATIC, terms=TERMS))

    assert asking.records.consents.current(walk.proved.person, Agreed.TERMS, AUTOMATIC.id) is not None


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"number": "12"}, {"number": "p.e.id"}),
        ({"number": "9" * 100_000}, {"number": "p.e.id"}),
        ({"given": " \u200b "}, {"given": "r.e.given"}),
        ({"number": "", "given": "", "family": ""}, {"number": "p.e.id", "given": "r.e.given", "family": "r.e.family"}),
        ({"number": LARS.display}, {"number": "r.e.age"}),
        ({"number": ANNA.display}, {"number": "r.e.own"}),
    ],
)
def test_what_cannot_be_is_said(asking: AskingHouse, changes: dict[str, str], errors: dict[str, str]) -> None:
    """No number, no name, one who is fifteen since yesterday, oneself: each in its own words; the rest stays."""
    walk = guardian(asking).post(**{**CHILD, **changes})

    assert (walk.page, walk.errors) == ("child", errors)
    assert len(walk.values["number"]) <= 64
    assert walk.values["family"] == {**CHILD, **changes}["family"]


def test_another_countrys_number(asking: AskingHouse) -> None:
    """A child with another country's number is registered under it; choosing the country is no mistake yet."""
    walk = guardian(asking).post(do="country", country="SE", number="20200504-2383")
    assert (walk.errors, walk.values["country"], walk.values["number"]) == ({}, "SE", "20200504-2383")

    assert walk.post(**{**CHILD, "country": "SE", "number": "20200504-2383"}).page == "contact"


def test_a_number_without_an_age(asking: AskingHouse) -> None:
    """Nobody is taken for a child whose number does not tell the age: unknown is not young."""
    walk = guardian(asking).post(**{**CHILD, "country": "SE", "number": "20180060-2390"})

    assert walk.errors["number"] in ("r.e.born", "p.e.id")


@pytest.mark.parametrize(
    ("born", "age", "day"),
    [
        (date(2011, 11, 23), 15, date(2026, 11, 23)),
        (date(2012, 2, 29), 15, date(2027, 3, 1)),
        (date(2012, 2, 29), 16, date(2028, 2, 29)),
    ],
)
def test_the_birthday(born: date, age: int, day: date) -> None:
    """Somebody has an age from the birthday on; who was born on 29 February from 1 March in a common year."""
    assert comes_of_age(born, age) == day


@pytest.mark.parametrize(
    ("now", "page"),
    [(datetime(2026, 11, 22, 22, 59, 59, tzinfo=UTC), "contact"), (datetime(2026, 11, 22, 23, 0, tzinfo=UTC), "child")],
)
def test_the_birthday_begins_at_the_clinics_midnight(asking: AskingHouse, now: datetime, page: str) -> None:
    """A child is a child until midnight in Denmark, which is 23:00 UTC in winter, to the second."""
    number = cpr(date(2011, 11, 23), 4100)
    walk = guardian(asking)
    asking.desk_house.clock.move(now - timedelta(seconds=10) - NOW)

    assert walk.post(**{**CHILD, "number": number}).page == page


def test_midnight_while_the_pages_are_filled_in(asking: AskingHouse) -> None:
    """Who comes of age before the last page is sent is a child no more: nothing is written."""
    number = cpr(date(2011, 11, 23), 4100)
    walk = guardian(asking)
    asking.desk_house.clock.move(datetime(2026, 11, 22, 22, 59, tzinfo=UTC) - NOW)
    walk.post(**{**CHILD, "number": number}).post(email=MAIL).code(Channel.EMAIL).post(do="no")
    asking.desk_house.clock.move(timedelta(minutes=1))

    assert walk.post().errors == {"number": "r.e.age"}
    assert asking.told("enrolment.asked", "account.made") == []


def test_who_may_not_speak_for_a_child(asking: AskingHouse) -> None:
    """A password, an eID without an age, a child itself, a clinic that takes no registrations: none registers."""
    assert guardian(asking, loa=LoA.LOW).page == "notaken"
    assert guardian(asking, number=None).page == "notaken"
    assert guardian(asking, number=EMIL).page == "notaken"
    assert guardian(asking, OFF).page == "notaken"
    assert guardian(asking, UNNEEDED).page == "notaken"


# ---- a stranger claims a child -------------------------------------------------------------------


@pytest.mark.parametrize("known", ["account", "enrolment"])
def test_who_is_registered_is_told_to_nobody(asking: AskingHouse, known: str) -> None:
    """The pages are the same for a child that has an account, an enrolment here, or neither (enumeration)."""
    if known == "account":
        asking.account(EMIL)
    else:
        asking.enrolled(asking.proved(EMIL).person, **DECIDED)  # type: ignore[arg-type]

    walk = claimed(asking)

    assert (walk.page, walk.values) == ("waiting", {"until": "2026-11-25", "clinic": "Clinea", "for": "child"})


def test_an_account_is_never_taken_over(asking: AskingHouse) -> None:
    """A claim changes neither the password nor the addresses of an account that is there; the clinic is asked."""
    before = asking.account(EMIL, contacts=(THEIRS,))

    walk = claimed(asking)

    assert child(asking) == before
    enrolment = asking.enrolment(before.person)
    assert enrolment is not None
    assert (enrolment.standing, enrolment.guardian) == (Standing.ASKED, walk.proved.person)


@pytest.mark.parametrize("standing", [one for one in Standing if one is not Standing.KNOWN])
def test_an_enrolment_is_never_changed(asking: AskingHouse, standing: Standing) -> None:
    """A claim neither ends what a child has here, nor asks again what the clinic has answered, nor adds a login."""
    before = asking.enrolled(asking.proved(EMIL).person, standing, **DECIDED)  # type: ignore[arg-type]

    claimed(asking)

    assert asking.enrolment(before.person) == before
    assert child(asking) is None
    assert asking.told("enrolment.asked", "enrolment.known") == ["enrolment.known"] * 2  # in the trail of both


def test_a_claim_to_a_child_in_the_clinics_list_is_asked_about(asking: AskingHouse) -> None:
    """That a clinic has a child in its list opens nothing: it is asked about the guardian, and keeps its own record."""
    entry = Entry(given_name="Emil", exempt="age", entered_at=NOW, by="staff-7")
    before = asking.enrolled(asking.proved(EMIL).person, Standing.KNOWN, entry=entry, told={Channel.SMS: "+4520"})

    walk = claimed(asking)

    enrolment = asking.enrolment(before.person)
    assert enrolment is not None
    assert (enrolment.standing, enrolment.guardian) == (Standing.ASKED, walk.proved.person)
    assert (enrolment.handle, enrolment.entry, enrolment.told) == (before.handle, entry, before.told)


@pytest.mark.parametrize("clinic", [AUTOMATIC, APPROVAL, UNNEEDED, OFF])
def test_a_claim_opens_nothing_here(asking: AskingHouse, clinic: Clinic) -> None:
    """Before the clinic has answered the child's password lets nobody in, whomever the clinic takes otherwise."""
    claimed(asking)

    assert by_password(asking, clinic).page == "waiting"


@pytest.mark.parametrize("registration", ["automatic", "approval", "unneeded", "off"])
def test_a_claim_opens_nothing_elsewhere(asking: AskingHouse, registration: str) -> None:
    """A password that a claimant chose opens no other clinic either, not even one that has approved the child."""
    claimed(asking)
    clinic = replace(ELSEWHERE, registration=registration)

    assert by_password(asking, clinic).page == "notaken"
    asking.enrolled(asking.proved(EMIL).person, clinic=clinic, **DECIDED)  # type: ignore[arg-type]
    assert by_password(asking, clinic).page == "notaken"


def test_the_approval_of_another_guardian_is_none(asking: AskingHouse) -> None:
    """Who made the login must be who was approved: a stranger's is not opened by a parent's approval."""
    claimed(asking, number=STRANGER)
    asking.enrolled(asking.proved(EMIL).person, guardian=asking.proved().person, **DECIDED)  # type: ignore[arg-type]

    assert by_password(asking).page == "notaken"


def test_an_approved_childs_login_opens(asking: AskingHouse) -> None:
    """Once the clinic has approved this guardian the child signs in there, whomever that clinic takes otherwise."""
    claimed(asking)
    asking.enrolled(asking.proved(EMIL).person, **DECIDED)  # type: ignore[arg-type]

    assert by_password(asking).now is None
    assert by_password(asking, UNNEEDED).now is None


def test_an_eid_of_ones_own_ends_a_claim(asking: AskingHouse) -> None:
    """Who comes with an eID is asked as anybody, and neither password nor address of a claim is left."""
    claimed(asking, number=STRANGER)

    walk = asking.walk(asking.joining, asking.proved(EMIL))

    assert walk.page == "contact"
    kept = child(asking)
    assert kept is not None
    assert (kept.password, kept.contacts, kept.guardian) == (None, (), None)
    assert (kept.number, kept.given_name) == (EMIL, "Ada"), "as the eID says"
    assert asking.told("account.reclaimed") == ["account.reclaimed"]
    walk.post(email=OTHER_MAIL).code(Channel.EMAIL).post(do="skip")
    assert walk.post().now == Settled()
    enrolment = asking.enrolment(kept.person)
    assert enrolment is not None
    assert (enrolment.standing, enrolment.guardian) == (Standing.APPROVED, None)


def test_an_eid_leaves_an_approved_login(asking: AskingHouse) -> None:
    """What the clinic has approved stays when the child comes with an eID of its own."""
    claimed(asking)
    asking.enrolled(asking.proved(EMIL).person, **DECIDED)  # type: ignore[arg-type]

    assert asking.walk(asking.joining, asking.proved(EMIL)).now is None
    kept = child(asking)
    assert kept is not None
    assert kept.password is not None


def test_who_asked_oneself_is_not_asked_again(asking: AskingHouse) -> None:
    """A child that asked with an eID of its own at a clinic that approves waits, and is not asked every time."""
    claimed(asking)
    asking.enrolled(asking.proved(EMIL).person, **DECIDED)  # type: ignore[arg-type]
    clinic = replace(ELSEWHERE, registration="approval")
    walk = asking.walk(asking.joining, asking.proved(EMIL), clinic).post()

    assert walk.page == "waiting"
    assert walk.begin().page == "waiting"


def test_sent_twice(asking: AskingHouse) -> None:
    """The last page sent off twice is one request and one account."""
    walk = guardian(asking).post(**CHILD).post(email=MAIL).code(Channel.EMAIL).post(do="no")
    last = walk.form
    walk.post()
    walk.now = last

    assert walk.post().page == "waiting"
    assert asking.told("enrolment.asked").count("enrolment.asked") == 1
    assert asking.told("account.made") == ["account.made"]


def test_the_trail_says_who_claimed(asking: AskingHouse) -> None:
    """The trail names the guardian by id beside the child's, and nobody's name."""
    walk = claimed(asking)

    (event,) = asking.desk_house.events("enrolment.asked")
    assert (event.person, event.detail) == (asking.proved(EMIL).person, {"guardian": walk.proved.person})
