"""Registering a child whom a register knows, or bars (seed 002; R15, R18; experience 1.7, 1.9)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from idbroker.accounts.account import Standing
from idbroker.clinic import Clinic
from idbroker.guardianship.tie import MANDATE
from idbroker.messages.message import Channel
from idbroker.numbers import parse
from idbroker.web.mine import TOLD
from tests.accounts.asking_house import APPROVAL, AUTOMATIC, MAIL, OFF, PASSWORD, AskingHouse, cpr
from tests.accounts.desk_house import EMIL
from tests.accounts.kin_house import KinHouse, emil, kin_house, sent_off, typed
from tests.accounts.wards import DECIDED, STRANGER, by_password, child, claimed
from tests.conftest import NOW
from tests.store.crowd import statements

TWIN = parse(cpr(date(2017, 8, 14), 4102), "DK", now=NOW.date())
GROWING = parse(cpr(date(2011, 11, 23), 4100), "DK", now=NOW.date())  # fifteen tomorrow
NOT_SHOWN: dict[str, dict[str, Any]] = {
    "no custody": {"barred": "no_custody"},
    "care order": {"barred": "care_order"},
    "protected": {"protected": True},
    "deceased": {"deceased": True},
    "lapsed": {"until": NOW.date()},
    "mandate": {"relation": MANDATE, "powers": ("all",)},
}
BARRED = ("no custody", "care order", "protected", "deceased")


@pytest.fixture
def kin(asking: AskingHouse, tmp_path: Path) -> Iterator[KinHouse]:
    """Give the house with a register."""
    with kin_house(asking, tmp_path) as house:
        yield house


def test_ones_own_children_are_listed(kin: KinHouse) -> None:
    """The page lists the guardian's own children by name and age: no number, no birth date (A1)."""
    kin.knows(emil(), emil(number=TWIN, given_name="Ebba", birthdate=None))

    walk = kin.guardian()

    assert (walk.page, walk.values["count"]) == ("child", "2")
    assert [walk.values[f"name.{n}"] for n in (0, 1)] == ["Emil Registersen", "Ebba Registersen"]
    assert [walk.values[f"age.{n}"] for n in (0, 1)] == ["9", "9"]
    assert EMIL.value[-4:] not in "".join(walk.values.values())


def test_the_chosen_child_is_taken_at_once(kin: KinHouse) -> None:
    """Where a clinic takes people at once, a register's word is enough: approved, noted, and the child signs in."""
    kin.knows(emil())

    walk = sent_off(kin.guardian().post(who="0"))

    assert (walk.page, walk.values["login"]) == ("childdone", "yes")
    enrolment, kept = kin.enrolment(), child(kin.asking)
    assert enrolment is not None
    assert kept is not None
    assert (enrolment.standing, enrolment.guardian, enrolment.by) == (Standing.APPROVED, kin.anna, "register")
    assert (kept.name, kept.guardian, kept.number) == ("Emil Registersen", kin.anna, EMIL)
    assert by_password(kin.asking).now is None
    assert walk.post().page == "childdone"


def test_it_is_noted_until_the_birthday(kin: KinHouse) -> None:
    """What the register said is kept as its word, with the day on which the guardian's part ends (L1)."""
    kin.knows(emil())
    sent_off(kin.guardian().post(who="0"))

    (row,) = kin.noted()
    assert (row.guardian, row.clinic, row.basis, row.by) == (kin.anna, AUTOMATIC.id, "register", "register")
    assert row.limit_on == date(2032, 8, 14)
    assert kin.asking.told("guardianship.noted", "enrolment.approved") == ["guardianship.noted", "enrolment.approved"]


def test_a_typed_child_that_the_register_knows(kin: KinHouse) -> None:
    """A child that no list shows, but the register knows when it is asked by number, is taken as one of the list."""
    kin.knows(emil(given_name=None, family_name=None))
    walk = kin.guardian()
    assert "count" not in walk.values

    assert sent_off(typed(walk)).page == "childdone"


def test_where_the_clinic_approves_the_register_is_one_more_word(kin: KinHouse) -> None:
    """A clinic that approves is asked all the same; what the register said stands in its record for staff."""
    kin.knows(emil())

    walk = sent_off(kin.guardian(APPROVAL).post(who="0"))

    enrolment = kin.enrolment()
    assert walk.page == "waiting"
    assert enrolment is not None
    assert enrolment.entry is not None
    assert (enrolment.standing, enrolment.entry.checked) == (Standing.ASKED, "register")
    assert kin.noted() == ()


@pytest.mark.parametrize("why", NOT_SHOWN)
def test_who_is_not_ones_own_is_not_listed(kin: KinHouse, why: str) -> None:
    """No custody, a care order, a protected address, death, a right that ended, a mandate: not in the list (A2)."""
    kin.knows(replace(emil(), **NOT_SHOWN[why]))

    assert "count" not in kin.guardian().values


@pytest.mark.parametrize("clinic", [AUTOMATIC, APPROVAL])
@pytest.mark.parametrize("why", BARRED)
def test_a_barred_child_is_refused_as_a_strangers(kin: KinHouse, why: str, clinic: Clinic) -> None:
    """The attack: a parent without custody registers the child. The page is a stranger's, and nobody is asked (A2)."""
    stranger = sent_off(typed(kin.guardian(clinic), TWIN))
    kin.knows(replace(emil(), **NOT_SHOWN[why]))

    walk = sent_off(typed(kin.guardian(clinic)))

    assert (walk.page, walk.values) == (stranger.page, stranger.values)
    assert (kin.enrolment(), child(kin.asking), kin.noted()) == (None, None, ())
    reasons = {event.person: event.detail["reason"] for event in kin.asking.desk_house.events("enrolment.refused")}
    assert set(reasons) == {kin.anna, kin.emil}
    assert set(reasons.values()) == {str(NOT_SHOWN[why].get("barred", why))}
    assert "enrolment.refused" not in TOLD, "My page tells a parent no more than a stranger"


def test_one_registers_no_outweighs_anothers_yes(kin: KinHouse) -> None:
    """What one register noted last year is no answer to another's court."""
    kin.knows(emil(), emil(barred="no_custody"))

    assert "count" not in kin.guardian().values
    assert sent_off(typed(kin.guardian())).page == "waiting"
    assert kin.enrolment() is None


def test_a_register_that_is_down_vouches_for_nobody(kin: KinHouse) -> None:
    """Where a register does not answer nobody is listed, and the clinic is asked: it may be barred there."""
    kin.knows(emil())
    kin.folk.down = True

    walk = kin.guardian()
    assert "count" not in walk.values
    assert sent_off(typed(walk)).page == "waiting"

    enrolment = kin.enrolment()
    assert enrolment is not None
    assert (enrolment.standing, enrolment.entry and enrolment.entry.checked) == (Standing.ASKED, None)


def test_asked_again_once_the_register_answers(kin: KinHouse) -> None:
    """Who waits for the clinic, as the register was away, is taken when they come again and it is there."""
    kin.knows(emil())
    kin.folk.down = True
    sent_off(typed(kin.guardian()))
    kin.folk.down = False

    assert sent_off(kin.guardian().post(who="0")).page == "childdone"
    assert by_password(kin.asking).now is None


def test_custody_that_ends_while_the_pages_are_filled_in(kin: KinHouse) -> None:
    """The register is asked again before anything is written: what was listed a minute ago may be barred now."""
    kin.knows(emil())
    walk = kin.guardian().post(who="0")
    kin.knows(emil(barred="withdrawn"))

    assert sent_off(walk).page == "waiting"
    assert (kin.enrolment(), child(kin.asking)) == (None, None)


@pytest.mark.parametrize("who", ["", "1", "-1", "x", "٣", "999"])
def test_somebody_of_the_list_is_chosen(kin: KinHouse, who: str) -> None:
    """None chosen, or one that is not there: the page again, with words; the list stays."""
    kin.knows(emil())

    walk = kin.guardian().post(who=who)

    assert (walk.page, walk.errors, walk.values["count"]) == ("child", {"who": "r.e.who"}, "1")


def test_the_list_stays_beside_a_mistake(kin: KinHouse) -> None:
    """A number that cannot be keeps the list, and what was typed."""
    kin.knows(emil())

    walk = kin.guardian().post(do="typed", number="12", given="Emil", family="Prøvesen")

    assert (walk.errors, walk.values["count"], walk.values["number"]) == ({"number": "p.e.id"}, "1", "12")


def test_a_birthday_ends_the_list(kin: KinHouse) -> None:
    """Who is fifteen at midnight is listed until then, and not registered after it (L2)."""
    kin.knows(emil(number=GROWING, birthdate=None))
    walk = kin.guardian()
    assert walk.values["age.0"] == "14"
    kin.asking.desk_house.clock.move(datetime(2026, 11, 22, 23, 0, tzinfo=UTC) - NOW)

    assert walk.post(who="0").errors == {"who": "r.e.age"}
    assert "count" not in kin.guardian().values


def test_a_strangers_claim_is_in_no_parents_way(kin: KinHouse) -> None:
    """The attack: a stranger claims first, with a password of their own. The register's word ends that claim."""
    claimed(kin.asking, number=STRANGER)
    kin.knows(emil())

    assert sent_off(kin.guardian().post(who="0")).page == "childdone"

    enrolment, kept = kin.enrolment(), child(kin.asking)
    assert enrolment is not None
    assert kept is not None
    assert (enrolment.guardian, kept.guardian) == (kin.anna, kin.anna)
    assert by_password(kin.asking).now is None


def test_a_child_of_the_clinics_own_list(kin: KinHouse) -> None:
    """A child that the clinic has taken, and that nobody speaks for, gets its sign-in by the register's word."""
    kin.asking.enrolled(kin.emil, **DECIDED)  # type: ignore[arg-type]
    kin.knows(emil())

    assert sent_off(kin.guardian().post(who="0")).page == "childdone"
    assert by_password(kin.asking).now is None


def test_another_parent_was_first(kin: KinHouse) -> None:
    """A second parent changes nothing that the first has set up, and is told that the child is registered."""
    kin.knows(emil())
    sent_off(kin.guardian().post(who="0"))
    kin.asking.letter(Channel.EMAIL)
    before, kept = kin.enrolment(), child(kin.asking)
    kin.folk.ties[kin.asking.proved(STRANGER).person] = (emil(),)

    walk = sent_off(kin.guardian(number=STRANGER).post(who="0"))

    assert (walk.page, walk.values["login"]) == ("childdone", "")
    assert (kin.enrolment(), child(kin.asking)) == (before, kept)


def test_a_declined_guardian_stays_declined(kin: KinHouse) -> None:
    """What the clinic has answered to this very guardian stands, whatever a register says."""
    kin.asking.enrolled(kin.emil, Standing.DECLINED, guardian=kin.anna, **DECIDED)  # type: ignore[arg-type]
    kin.knows(emil())

    assert sent_off(kin.guardian().post(who="0")).page == "waiting"
    assert (child(kin.asking), kin.noted()) == (None, ())


def test_registers_are_asked_by_who_came_for_it(kin: KinHouse) -> None:
    """No register is asked for who signs in, nor at a clinic that takes no registrations."""
    kin.asking.walk(kin.question, kin.asking.proved())
    kin.guardian(OFF)

    assert kin.folk.asked == []


# ---- the child's first password ------------------------------------------------------------------


def test_a_child_without_a_password_gets_a_link(kin: KinHouse) -> None:
    """Who chose no password is sent a link to choose it, at the guardian's own address, for three days."""
    kin.knows(emil())

    walk = sent_off(kin.guardian().post(who="0"), login=False)

    assert walk.values["login"] == "no"
    letter = kin.asking.letter(Channel.EMAIL)
    assert letter.to == MAIL
    found = re.search(r"/set/(\S+)", letter.text)
    assert found
    link = kin.linking.find(found[1], kin.asking.desk_house.clock.now())
    assert link is not None
    assert link.link.person == kin.emil
    assert kin.linking.find(found[1], kin.asking.desk_house.clock.now() + timedelta(hours=73)) is None


def test_a_child_with_a_password_gets_no_link(kin: KinHouse) -> None:
    """Who chose the password already is told the way in, and no link that would choose another."""
    kin.knows(emil())
    sent_off(kin.guardian().post(who="0"))

    assert "/set/" not in kin.asking.letter(Channel.EMAIL).text


def test_a_registers_no_ends_what_was_approved(kin: KinHouse) -> None:
    """The attack: a register lets a parent in, then a court takes custody, and the sign-in they set up goes on."""
    kin.knows(emil())
    sent_off(kin.guardian().post(who="0"))
    ended: list[tuple[str, str, str]] = []
    question = replace(
        kin.question, ending=lambda enrolment, guardian, why, _now: ended.append((enrolment.person, guardian, why))
    )
    barred = replace(kin, question=question)
    barred.knows(emil(protected=True))
    sent_off(typed(barred.guardian()))
    assert ended == [], "only what says that custody is over"

    barred.knows(emil(barred="care_order"))
    sent_off(typed(barred.guardian()))

    assert ended == [(kin.emil, kin.anna, "care_order")]


@pytest.mark.parametrize("why", ["no_custody", "care_order", "withdrawn"])
def test_a_no_to_one_parent_ends_nothing_of_the_others(kin: KinHouse, why: str) -> None:
    """What the clinic has approved for Anna, noted and opened stays when a register bars somebody else of her child."""
    kin.knows(emil())
    sent_off(kin.guardian().post(who="0"))
    kin.asking.letter(Channel.EMAIL)
    before = kin.enrolment(), child(kin.asking), kin.noted()
    ended: list[str] = []
    barring = replace(kin, question=replace(kin.question, ending=lambda _one, who, _why, _now: ended.append(who)))
    kin.folk.ties[kin.asking.proved(STRANGER).person] = (emil(barred=why),)

    assert sent_off(typed(barring.guardian(number=STRANGER))).page == "waiting"

    assert (kin.enrolment(), child(kin.asking), kin.noted()) == before
    assert ended == []
    assert by_password(kin.asking).now is None


def test_a_barred_child_is_as_much_work_as_anothers(kin: KinHouse) -> None:
    """By the statements that the database is sent nobody tells a child who is hidden from them from one who is taken.

    Ten, whichever it is: two of them write. A claim that is new is some ten writes, and told to the clinic.
    """
    kin.asking.enrolled(kin.emil, Standing.APPROVED, **DECIDED)  # type: ignore[arg-type]
    counts = []
    for tie in (None, None, *(emil(**NOT_SHOWN[one]) for one in BARRED)):
        kin.knows(*([] if tie is None else [tie]))
        walk = typed(kin.guardian()).post(email=MAIL)
        walk = walk.code(Channel.EMAIL) if walk.page == "code" else walk
        walk = walk.post(do="yes").post(password=PASSWORD)
        counts.append([what.split()[:3] for what, _ in statements(kin.asking.desk_house.durable, walk.post)])

    assert all(sorted(one) == sorted(counts[1]) for one in counts[1:]), "the first makes Anna's account"
    assert len(counts[1]) == 10
