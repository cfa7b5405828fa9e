"""A guardian whom a clinic has approved: registers are asked while that one is not here, and a no ends it (L3, L15)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from idbroker.accounts.account import Account, Enrolment, Entry, Standing
from idbroker.accounts.custody import LETTERS, PATIENCE, Custody
from idbroker.accounts.families import DOWN, Ending, Kinship, Word
from idbroker.clinic import Clinic, Clinics
from idbroker.guardianship.absent import AGAIN, Absent
from idbroker.guardianship.tie import MANDATE, Answer, Guardian
from idbroker.messages.courier import THREADS
from idbroker.messages.message import Later
from idbroker.numbers import NationalNumber, parse
from tests.accounts.asking_house import AUTOMATIC, ELSEWHERE, PASSWORD, AskingHouse, cpr
from tests.accounts.desk_house import EMIL, LARS
from tests.accounts.kin_house import KinHouse, emil, kin_house
from tests.conftest import NOW
from tests.guardianship.acting_house import Folk
from tests.store.crowd import statements

ASKS = replace(AUTOMATIC, registers=("folk",))
ASKS_TOO = replace(ELSEWHERE, registers=("folk",))
TWO = replace(AUTOMATIC, registers=("folk", "other"))
TWIN = parse(cpr(date(2017, 8, 14), 4102), "DK", now=NOW.date())
DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Held:
    """A kin house with a guardian approved, and a register that is asked while she is not here."""

    kin: KinHouse
    custody: Custody
    absent: Absent
    account: Account
    ended: list[tuple[str, str, str]]
    ending: Ending

    def password(self, password: str = PASSWORD, clinic: Clinic = ASKS) -> str:
        """Type the child's number and a password; return what came of it."""
        house = self.kin.asking.desk_house
        desk = replace(house.desk, stands=self.custody.stands)
        return type(desk.password(house.visit(clinic=clinic), EMIL, password)).__name__

    def stands(self, clinic: Clinic = ASKS) -> bool:
        """Tell whether the account is more than a claim at a clinic, as the registers have it now."""
        return self.custody.stands(self.account, self.enrolments(), clinic.id, self.now)

    def enrolments(self) -> tuple[Enrolment, ...]:
        """Return how the child stands anywhere."""
        return self.kin.asking.records.enrolments.of(self.kin.emil)

    @property
    def now(self) -> datetime:
        """Return the moment."""
        return self.kin.asking.desk_house.clock.now()


def held(kin: KinHouse, *clinics: Clinic, **changed: Any) -> Held:
    """Return Emil's account, made by Anna, whom these clinics have approved."""
    records, rows, ended = kin.asking.records, kin.rows, []
    absent = Absent(
        registers=replace(kin.judging.registers, always=(), by_name={"folk": kin.folk}),
        paces={"folk": DAY},
        clinics=Clinics({clinic.id: clinic for clinic in clinics or (ASKS,)}),
        records=records,
        rows=rows,
        number_of=lambda _person, _now: None,
    )
    custody = Custody(enrolments=records.enrolments, events=kin.asking.desk_house.durable.events)

    def end(enrolment: Enrolment, guardian: str, why: str, now: datetime) -> None:
        ended.append((enrolment.clinic, guardian, why))
        here = replace(AUTOMATIC, id=enrolment.clinic)
        kin.asking.enrolled(enrolment.person, Standing.DECLINED, clinic=here, decided_at=now)

    custody.serve(absent, end)
    kin.asking.account()  # Anna's: where her number is
    made = kin.asking.account(EMIL, guardian=kin.anna)
    for clinic in clinics or (ASKS,):
        kin.asking.enrolled(kin.emil, clinic=clinic, guardian=kin.anna, decided_at=NOW, by="staff", **changed)
    return Held(kin=kin, custody=custody, absent=absent, account=made, ended=ended, ending=end)


@pytest.fixture
def kin(asking: AskingHouse, tmp_path: Path) -> Iterator[KinHouse]:
    """Give the house with a register."""
    with kin_house(asking, tmp_path) as house:
        yield house


@pytest.mark.parametrize("why", ["care_order", "no_custody", "withdrawn"])
def test_a_no_ends_the_approval_before_a_code_is_sent(kin: KinHouse, why: str) -> None:
    """The attack: custody is lost, nobody tells the clinic, and the codes go on to the former guardian's mailbox."""
    house = held(kin)
    kin.knows(emil())
    assert house.password() == "RightPassword"

    kin.knows(emil(barred=why))
    assert house.password() == "WrongPassword"

    assert house.ended == [(ASKS.id, kin.anna, why)]
    told = {event.person: event.detail["reason"] for event in kin.asking.desk_house.events("enrolment.refused")}
    assert told == {kin.emil: why, kin.anna: why}
    assert house.password() == "WrongPassword"
    assert len(house.ended) == 1, "what has ended is asked about no more"


SAID: dict[str, dict[str, Any]] = {
    "protected": {"protected": True},
    "deceased": {"deceased": True},
    "shared out": {"barred": "shared_out"},
    "lapsed": {"until": NOW.date()},
    "a mandate of another kind": {"relation": MANDATE, "barred": "withdrawn"},
    "of another child": {"number": TWIN, "birthdate": None, "barred": "care_order"},
}


@pytest.mark.parametrize("said", SAID)
def test_only_that_custody_is_over_ends_it(kin: KinHouse, said: str) -> None:
    """A no to something else, and a no about a brother, leave a child its sign-in."""
    house = held(kin)
    kin.knows(replace(emil(), **SAID[said]))

    assert (house.password(), house.ended) == ("RightPassword", [])


def test_nothing_known_is_no_no(kin: KinHouse) -> None:
    """A register that knows neither of them says nothing: the clinic's own approval counts."""
    assert (held(kin).password(), kin.folk.asked) == ("RightPassword", ["about"])


def test_a_wrong_password_asks_nobody(kin: KinHouse) -> None:
    """The attack: by the time of the answer a stranger learns whose number is a child's that a register knows."""
    house = held(kin)

    assert house.password("another one") == "WrongPassword"
    assert kin.folk.asked == []


def test_who_is_no_such_child_costs_nothing(kin: KinHouse) -> None:
    """Of an account that no guardian made nobody is asked, and not a statement more is sent."""
    house = held(kin)
    desk, durable = kin.asking.desk_house, kin.asking.desk_house.durable
    desk.account(LARS, PASSWORD)
    asking = replace(desk.desk, stands=house.custody.stands)

    plain, asked = (
        statements(durable, lambda one=one: one.password(desk.visit(), LARS, PASSWORD))  # type: ignore[misc]
        for one in (desk.desk, asking)
    )

    assert [statement for statement, _ in plain] == [statement for statement, _ in asked]
    assert kin.folk.asked == []


@pytest.mark.parametrize(
    "clinic",
    [AUTOMATIC, replace(ASKS, ages={"code_until": 5, "eid_from": 5}), replace(ASKS, registers=("gone",))],
    ids=["no register", "grown", "unknown register"],
)
def test_nobody_is_asked_without_need(kin: KinHouse, clinic: Clinic) -> None:
    """A clinic without a register, and a child that has grown out of what its guardian made, ask nobody anything."""
    house = held(kin, clinic)
    kin.knows(emil(barred="care_order"))

    assert (house.stands(), kin.folk.asked) == (True, [])


def test_a_register_that_is_down_ends_nothing(kin: KinHouse) -> None:
    """An outage locks no child out; what it could not say is asked for again five minutes later."""
    house = held(kin)
    kin.asking.desk_house.clock.move(timedelta(seconds=1))
    visit = kin.asking.desk_house.visit(clinic=ASKS)
    noted(kin, visit)
    kin.rows.due(house.now, (ASKS.id,), DAY, 9)
    kin.folk.down = True

    assert (house.password(), house.ended) == ("RightPassword", [])

    assert kin.rows.due(house.now + AGAIN - timedelta(seconds=1), (ASKS.id,), DAY, 9) == ()
    assert len(kin.rows.due(house.now + AGAIN, (ASKS.id,), DAY, 9)) == 1


def test_a_no_counts_though_another_is_down(kin: KinHouse) -> None:
    """What one register says is not weighed against what another might have said."""
    house = held(kin)
    other = replace(kin.folk, name="other", down=True, asked=[])
    both = replace(house.absent.registers, by_name={"folk": kin.folk, "other": other})
    absent = replace(
        house.absent,
        registers=both,
        paces={"folk": DAY, "other": 2 * DAY},
        clinics=Clinics({ASKS.id: replace(ASKS, registers=("other", "folk"))}),
    )
    kin.knows(emil(barred="no_custody"))

    assert absent.about(house.enrolments()[0], house.account, NOW) == Kinship(Word.BARRED, "no_custody")
    assert absent.pace(absent.asking()[0]) == 2 * DAY


def test_an_answer_is_kept_for_its_life(kin: KinHouse) -> None:
    """A register that states ten minutes is asked once in them, and then anew."""
    house = held(kin)
    kin.folk.life = timedelta(minutes=10)
    kin.knows(emil())
    for _ in range(3):
        assert house.stands()
    assert kin.folk.asked == ["about"]

    kin.knows(emil(barred="care_order"))
    kin.asking.desk_house.clock.move(timedelta(minutes=10))
    assert not house.stands()


def test_each_clinics_registers_speak_of_its_approval(kin: KinHouse) -> None:
    """One clinic's register ends that clinic's approval; where another has approved, its word is nothing."""
    house = held(kin, AUTOMATIC, ASKS_TOO)
    kin.knows(emil(barred="no_custody"))

    assert (house.password(clinic=AUTOMATIC), kin.folk.asked) == ("RightPassword", [])
    assert house.password(clinic=ASKS_TOO) == "RightPassword", "of an account that is still somebody's"
    assert house.ended == [(ASKS_TOO.id, kin.anna, "no_custody")]


def test_another_clinics_silent_register_decides_nothing_here(kin: KinHouse) -> None:
    """The attack: another clinic's register hangs, and uses up the time in which this one's would have said no."""
    silent = Folk(name="silent", down=True)
    house = held(kin, ASKS, replace(ASKS_TOO, registers=("silent",)))
    both = replace(house.absent.registers, by_name={"folk": kin.folk, "silent": silent})
    house.custody.serve(replace(house.absent, registers=both, paces={"folk": DAY, "silent": DAY}), house.ending)
    kin.knows(emil(barred="no_custody"))
    ticks = iter([0.0, 0.0, PATIENCE + 1])
    house.custody.ticks = lambda: next(ticks)

    assert house.stands(ASKS), "elsewhere"
    assert (house.ended, silent.asked) == ([(ASKS.id, kin.anna, "no_custody")], [])


def test_registers_of_one_approval_are_asked_at_once(kin: KinHouse) -> None:
    """By both numbers of a child, each waiting for all others: a silent one keeps no other's no from being heard."""
    kin.knows(emil(barred="no_custody"))
    house, all_asked = held(kin, TWO, entry=Entry(number=TWIN, entered_at=NOW, by="staff")), threading.Barrier(4)
    names = {"folk": Meeting(ties=kin.folk.ties, met=all_asked), "other": Meeting(down=True, met=all_asked)}
    absent = replace(house.absent, registers=replace(house.absent.registers, by_name=names), patience=60)

    assert absent.about(house.enrolments()[0], house.account, NOW) == Kinship(Word.BARRED, "no_custody")


def test_who_waits_for_one_that_hangs(kin: KinHouse) -> None:
    """For no longer than the whole of an approval may take; it counts as one that is down."""
    house, never = held(kin, TWO), threading.Barrier(2)
    registers = replace(house.absent.registers, by_name={"other": Meeting(met=never)})
    absent = replace(house.absent, registers=registers, patience=0.1)
    try:
        assert absent.about(house.enrolments()[0], house.account, NOW) == Kinship(Word.UNSURE, DOWN)
    finally:
        never.abort()


def test_letters_leave_threads_to_others(kin: KinHouse) -> None:
    """The fault: four letters to children held everybody's while a register hung. The next child's waits."""
    house, all_asked = held(kin, replace(TWO, registers=("folk",))), threading.Barrier(LETTERS + 1)
    registers = replace(house.absent.registers, by_name={"folk": Meeting(met=all_asked)})
    house.custody.serve(replace(house.absent, registers=registers), house.ending)
    lars = kin.asking.account(LARS)
    said = house.account, house.enrolments(), ASKS.id, house.now
    with ThreadPoolExecutor(LETTERS) as pool:
        held_up = [pool.submit(house.custody.stands_for_letter, *said) for _ in range(LETTERS)]
        while all_asked.n_waiting < LETTERS:
            assert not any(one.done() for one in held_up)
        with pytest.raises(Later):
            house.custody.stands_for_letter(*said)
        assert house.custody.stands_for_letter(lars, (), ASKS.id, house.now)
        all_asked.wait(30)

    assert [one.result() for one in held_up] == [True] * LETTERS
    assert LETTERS < THREADS


@dataclass(kw_only=True)
class Meeting(Folk):
    """A register that answers once so many are being asked."""

    met: threading.Barrier

    def about(self, guardian: Guardian, ward: NationalNumber, clinic: Clinic, now: datetime) -> Answer:
        """Return what it was told of a guardian and one ward."""
        self.met.wait(30)
        return Folk.about(self, guardian, ward, clinic, now)


def test_an_approval_newer_than_the_question_stays(kin: KinHouse) -> None:
    """The race: custody is given back and staff approve anew, while an older no is on its way."""
    house = held(kin)
    kin.knows(emil(barred="withdrawn"))
    before = house.enrolments()
    kin.asking.enrolled(kin.emil, guardian=kin.anna, decided_at=NOW + DAY, by="staff")

    assert not house.custody.stands(house.account, before, ASKS.id, house.now)
    assert house.ended == []


def test_another_guardians_approval_stays(kin: KinHouse) -> None:
    """The race: the clinic has just approved the other parent. A no to the first one is no answer to that."""
    house = held(kin)
    kin.knows(emil(barred="withdrawn"))
    before = house.enrolments()
    kin.asking.enrolled(kin.emil, guardian="the other parent", decided_at=NOW, by="staff")

    assert not house.custody.stands(house.account, before, ASKS.id, house.now)
    assert house.ended == []


def test_asked_by_both_numbers_of_a_child(kin: KinHouse) -> None:
    """Of a child whose records were joined, the register may know the number that the clinic has."""
    entry = Entry(number=TWIN, entered_at=NOW, by="staff")
    house = held(kin, entry=entry)
    kin.knows(emil(number=TWIN, birthdate=None, barred="care_order"))

    assert not house.stands()


def test_a_guardian_without_an_account(kin: KinHouse) -> None:
    """Whose account was removed is asked about by the number that they are recognised by; with none, nobody is."""
    house = held(kin)
    number = house.absent.records.accounts.of(kin.anna)
    assert number is not None
    house.absent.records.accounts.remove(kin.anna)
    kin.knows(emil(barred="care_order"))
    (enrolment,) = house.enrolments()

    assert house.absent.about(enrolment, house.account, NOW) == Kinship(Word.UNSURE, "no_number")
    found = replace(house.absent, number_of=lambda _person, _now: number.number)
    assert found.about(enrolment, house.account, NOW).is_over


def test_slow_registers_are_not_all_waited_for(kin: KinHouse) -> None:
    """Where this clinic has approved nobody, others' are begun for eight seconds: what is left is asked every day."""
    house = held(kin, ASKS, ASKS_TOO)
    kin.knows(emil(barred="no_custody"))
    ticks = iter([0.0, 0.0, PATIENCE + 1])
    house.custody.ticks = lambda: next(ticks)

    assert house.stands(replace(ASKS, id="another"))
    assert len(house.ended) == 1


def noted(kin: KinHouse, visit: Any) -> None:
    """Have it noted that Anna is Emil's guardian, as a register's word."""
    assert EMIL.birthdate is not None
    kin.question.families.note(kin.anna, kin.emil, EMIL.birthdate, visit)
