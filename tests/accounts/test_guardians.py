"""How far a guardian's word reaches: to one clinic, until the child is grown up, and in nobody else's way."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from idbroker.accounts.account import Agreed, Contact, Link, Purpose, Standing
from idbroker.accounts.approving import Approving
from idbroker.accounts.question import Settled
from idbroker.identity import LoA
from idbroker.messages.message import Channel
from idbroker.numbers import parse
from tests.accounts.asking_house import (
    APPROVAL,
    AUTOMATIC,
    ELSEWHERE,
    OFF,
    OTHER_MAIL,
    TERMS,
    UNNEEDED,
    AskingHouse,
    cpr,
)
from tests.accounts.desk_house import ANNA, EMIL
from tests.accounts.wards import CHILD, DECIDED, STRANGER, by_password, child, claimed, guardian
from tests.conftest import NOW

GROWN = datetime(2032, 8, 13, 22, 0, tzinfo=UTC)  # 00:00 in Denmark of the day on which Emil is fifteen


def approved(asking: AskingHouse, clinic: object = AUTOMATIC, **changes: object) -> str:
    """Have a clinic approve whoever asked for the child, or has a login for it elsewhere; return the child's id."""
    person = asking.proved(EMIL).person
    asking.enrolled(person, clinic=clinic, **DECIDED, **changes)  # type: ignore[arg-type]
    return person


def declined(asking: AskingHouse, clinic: str = AUTOMATIC.id) -> None:
    """Have a clinic decline whoever asked for the child."""
    approving = Approving(
        accounts=asking.records.accounts,
        enrolments=asking.records.enrolments,
        links=asking.records.links,
        letters=asking.joining.letters,  # type: ignore[arg-type]
        events=asking.joining.events,
    )
    approving.decline(asking.proved(EMIL).person, clinic, "staff", "not theirs", asking.desk_house.clock.now())
    asking.letter(Channel.EMAIL)


def at(asking: AskingHouse, moment: datetime) -> None:
    """Go to a moment."""
    asking.desk_house.clock.move(moment - asking.desk_house.clock.now())


# ---- one clinic's approval is its own ------------------------------------------------------------


@pytest.mark.parametrize("clinic", [replace(ELSEWHERE, registration=kind) for kind in ("unneeded", "off")])
def test_an_approval_opens_no_other_clinic(asking: AskingHouse, clinic: object) -> None:
    """The attack: a stranger whom one clinic approved by mistake is the child at every clinic that takes everybody."""
    claimed(asking)
    approved(asking)

    assert asking.walk(asking.joining, asking.proved(EMIL, LoA.LOW), clinic).page == "notaken"  # type: ignore[arg-type]


@pytest.mark.parametrize("registration", ["automatic", "approval", "unneeded", "off"])
def test_an_approval_is_of_one_guardian(asking: AskingHouse, registration: str) -> None:
    """The attack: a stranger approved here uses the password where a clinic has approved the real guardian."""
    claimed(asking, number=STRANGER)
    approved(asking)
    approved(asking, ELSEWHERE, guardian=asking.proved().person)

    assert by_password(asking).now is None
    assert by_password(asking, replace(ELSEWHERE, registration=registration)).page == "notaken"


@pytest.mark.parametrize("guardians", [True, False])
def test_what_a_clinic_entered_is_no_approval_of_a_guardian(asking: AskingHouse, guardians: bool) -> None:
    """A clinic that has the child on its own list has not approved whoever made the login; a decline ends it."""
    walk = claimed(asking)
    approved(asking)
    own = {"guardian": walk.proved.person, "standing": Standing.DECLINED} if guardians else {}
    asking.enrolled(asking.proved(EMIL).person, clinic=ELSEWHERE, **own)  # type: ignore[arg-type]

    assert by_password(asking, ELSEWHERE).page == "notaken"


def test_a_ward_never_enrols_itself(asking: AskingHouse) -> None:
    """The attack: whoever one clinic took for a guardian is in at every clinic that takes registrations at once."""
    walk = claimed(asking)
    person = approved(asking)
    further = by_password(asking, ELSEWHERE)
    assert further.page == "enrol"

    assert further.post().page == "waiting"
    enrolment = asking.enrolment(person, ELSEWHERE)
    assert enrolment is not None
    assert (enrolment.standing, enrolment.guardian) == (Standing.ASKED, walk.proved.person)
    assert by_password(asking, ELSEWHERE).page == "waiting"
    approved(asking, ELSEWHERE)
    assert by_password(asking, ELSEWHERE).now is None


# ---- until the child is grown up -----------------------------------------------------------------


def test_a_guardians_password_ends_with_childhood(asking: AskingHouse) -> None:
    """The attack: a parent's password opens a grown person's record for ever. It ends at the birthday's midnight."""
    claimed(asking)
    approved(asking)
    at(asking, GROWN - timedelta(seconds=1))
    assert by_password(asking).now is None

    at(asking, GROWN)
    for clinic in (AUTOMATIC, APPROVAL, UNNEEDED, OFF, ELSEWHERE):
        assert by_password(asking, clinic).page == "notaken"


def test_the_clinics_own_age_counts(asking: AskingHouse) -> None:
    """Where a clinic takes people for children until another age, that is when it ends."""
    claimed(asking)
    approved(asking)
    at(asking, GROWN)

    assert by_password(asking, replace(AUTOMATIC, ages={"code_until": 18})).now is None
    assert by_password(asking, replace(AUTOMATIC, ages={"code_until": 12})).page == "notaken"


def test_a_grown_child_takes_its_account(asking: AskingHouse) -> None:
    """With an eID of its own the grown child has all of it, and nothing that the guardian put in is left."""
    claimed(asking)
    approved(asking)
    at(asking, GROWN)

    assert asking.walk(asking.joining, asking.proved(EMIL)).now is None
    kept = child(asking)
    assert kept is not None
    assert (kept.password, kept.contacts, kept.guardian) == (None, (), None)
    assert asking.told("account.reclaimed") == ["account.reclaimed"]


@pytest.mark.parametrize(("born", "page"), [(date(2008, 11, 22), "child"), (date(2008, 11, 23), "notaken")])
def test_a_guardian_is_of_age(asking: AskingHouse, born: date, page: str) -> None:
    """The attack: a classmate of fifteen is grown up for the clinic, and says to be a mother. It takes eighteen."""
    number = parse(cpr(born, 4100), "DK", now=NOW.date())

    assert guardian(asking, number=number).page == page


# ---- in nobody else's way ------------------------------------------------------------------------


def test_a_declined_stranger_keeps_nobody_out(asking: AskingHouse) -> None:
    """The attack: a false claim, declined, blocks the real guardian for good. They may ask, and have their login."""
    claimed(asking, number=STRANGER)
    declined(asking)

    walk = claimed(asking)

    person = asking.proved(EMIL).person
    enrolment, kept = asking.enrolment(person), child(asking)
    assert enrolment is not None
    assert kept is not None
    assert (enrolment.standing, enrolment.guardian) == (Standing.ASKED, walk.proved.person)
    assert kept.guardian == walk.proved.person
    assert enrolment.reason is None
    approved(asking)
    assert by_password(asking).now is None
    assert asking.told("enrolment.asked", "enrolment.known") == ["enrolment.asked"] * 2


def test_a_decline_takes_the_claim_away(asking: AskingHouse) -> None:
    """What a declined claimant put in is gone, with links in their mailbox: nothing is the child's, nor anybody's."""
    walk = claimed(asking, number=STRANGER)
    person = asking.proved(EMIL).person
    until = NOW.replace(hour=23)
    asking.records.links.add(
        Link(digest="digest", purpose=Purpose.RESET, person=person, clinic="clinea", made_at=NOW, ends_at=until)
    )
    declined(asking)

    kept = child(asking)
    assert kept is not None
    assert (kept.password, kept.contacts, kept.guardian, kept.confirmed_at, kept.name) == (None, (), None, None, None)
    assert asking.records.links.find("digest", NOW) is None
    assert asking.told("account.reclaimed") == ["account.reclaimed"]
    assert by_password(asking).page == "notaken"
    claimed(asking, number=STRANGER)
    assert child(asking) == kept, "the declined claimant asks nothing, and puts nothing in again"
    assert asking.enrolment(person).guardian == walk.proved.person  # type: ignore[union-attr]


def test_a_decline_leaves_what_another_clinic_approved(asking: AskingHouse) -> None:
    """A guardian whom one clinic has approved keeps the login there when another declines."""
    claimed(asking)
    approved(asking)
    by_password(asking, ELSEWHERE).post()

    declined(asking, ELSEWHERE.id)

    assert by_password(asking).now is None
    assert by_password(asking, ELSEWHERE).page == "notaken"


def test_a_decline_leaves_what_is_not_the_claimants(asking: AskingHouse) -> None:
    """The account of a child who has one of its own stays as it is when a claim to it is declined."""
    before = asking.account(EMIL, contacts=(Contact(channel=Channel.EMAIL, address=OTHER_MAIL, verified_at=NOW),))
    claimed(asking, number=STRANGER)

    declined(asking)

    assert child(asking) == before


@pytest.mark.parametrize("standing", [Standing.ASKED, Standing.APPROVED])
def test_a_second_claim_changes_no_other_answer(asking: AskingHouse, standing: Standing) -> None:
    """Only a decline makes room: who waits, or was approved, is not replaced by whoever claims next."""
    claimed(asking)
    before = asking.enrolled(asking.proved(EMIL).person, standing)

    claimed(asking, number=STRANGER)

    assert asking.enrolment(before.person) == before
    assert by_password(asking).now is None if standing is Standing.APPROVED else by_password(asking).page == "waiting"


def test_what_was_declined_to_the_child_itself_stays(asking: AskingHouse) -> None:
    """A clinic that has declined the child itself has answered whoever speaks for it."""
    before = asking.enrolled(asking.proved(EMIL).person, Standing.DECLINED, **DECIDED)  # type: ignore[arg-type]

    claimed(asking)

    assert asking.enrolment(before.person) == before


# ---- terms ---------------------------------------------------------------------------------------


def test_a_claimant_accepts_nothing_as_the_child(asking: AskingHouse) -> None:
    """The attack: a stranger's password accepts a clinic's terms in the child's name. Joining stops it."""
    clinic = replace(AUTOMATIC, terms=TERMS)
    claimed(asking, clinic)
    person, walk = asking.proved(EMIL).person, by_password(asking, clinic)
    assert walk.page == "waiting"
    assert asking.records.consents.current(person, Agreed.TERMS, clinic.id) is None

    approved(asking)

    assert by_password(asking, clinic).now is None
    terms = asking.walk(asking.agreeing, asking.proved(EMIL, LoA.LOW), clinic)
    assert terms.page == "terms"
    assert terms.post().now == Settled()
    assert asking.walk(asking.agreeing, asking.proved(EMIL), clinic).now is None, "accepted for it: not asked again"


def test_who_registers_a_child_accepts_for_themselves(asking: AskingHouse) -> None:
    """The terms on a guardian's last page are the guardian's own, whatever number was typed."""
    clinic = replace(AUTOMATIC, terms=TERMS)
    guardian(asking, clinic).post(**CHILD)
    claimed(asking, clinic)

    assert asking.records.consents.current(asking.proved(ANNA).person, Agreed.TERMS, clinic.id) is not None
    assert asking.records.consents.of(asking.proved(EMIL).person) == ()
