"""What a clinic has approved is asked about again in the background: who lost custody loses the child's sign-in too."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from idbroker import config
from idbroker.accounts.account import Account, Contact, Enrolment, Link, Purpose, Standing
from idbroker.clinic import Clinic
from idbroker.clock import StoppedClock
from idbroker.errors import ConfigError, Untrusted
from idbroker.guardianship.absent import AGAIN
from idbroker.guardianship.approvals import EVERY, LEASE, MOST
from idbroker.guardianship.registers import Registers
from idbroker.guardianship.tie import Answer, Guardian
from idbroker.identity import Identity, LoA
from idbroker.messages.message import Channel
from idbroker.numbers import NationalNumber
from idbroker.patients.merging import OPERATOR, Merged
from idbroker.session import Session
from idbroker.staff.member import Actor, Role
from tests.guardianship.acting_house import ActingHouse, Folk, Ward, open_acting_house
from tests.store.crowd import statements

DAY = timedelta(days=1)


@pytest.fixture
def house(tmp_path: Path, clock: StoppedClock) -> Iterator[ActingHouse]:
    """Give a Danish clinic with a register that answers while nobody is there."""
    with open_acting_house(tmp_path, clock, clinic={"ages": {}}) as opened:
        asks(opened)
        yield opened


def asks(house: ActingHouse) -> None:
    """Have the clinic ask the test's register, as one of the kind `lookup`."""
    absent = house.house.wards.approvals.absent
    registers: Registers = replace(absent.registers, by_name={"folk": house.folk})
    object.__setattr__(absent, "registers", registers)
    object.__setattr__(absent, "paces", {"folk": DAY})
    object.__setattr__(house.house.settings.clinics.by_id["clinea"], "registers", ("folk",))


@dataclass(frozen=True, kw_only=True)
class Kid:
    """A child with a sign-in that anna made, and that the clinic has approved."""

    house: ActingHouse
    ward: Ward

    @property
    def enrolment(self) -> Enrolment:
        """Return how it stands."""
        found = self.house.records.enrolments.find(self.ward.person, "clinea")
        assert found is not None
        return found

    @property
    def is_approved(self) -> bool:
        """Tell whether its guardian is."""
        return (self.enrolment.standing, self.enrolment.guardian) == (Standing.APPROVED, self.house.guardian())

    def says(self, **said: Any) -> None:
        """Have the register say something of anna and this child."""
        ties = self.house.folk.ties.get(self.house.guardian(), ())
        others = tuple(tie for tie in ties if tie.number != self.ward.number)
        self.house.folk.ties[self.house.guardian()] = (*others, self.ward.tie(**said))


def kid(house: ActingHouse, serial: int = 1, **changed: Any) -> Kid:
    """Return one."""
    ward, anna, now = house.child(serial, clinic=None), house.guardian(), house.clock.now()
    contact = Contact(channel=Channel.EMAIL, address="anna@example.org", verified_at=now)
    made = Account(
        person=ward.person,
        number=ward.number,
        birthdate=ward.born,
        password="x",
        contacts=(contact,),
        guardian=anna,
        created_at=now,
    )
    assert house.records.accounts.add(made)
    asked = Enrolment(
        person=ward.person, clinic="clinea", standing=Standing.ASKED, asked_at=now, guardian=anna, **changed
    )
    house.records.enrolments.change(ward.person, "clinea", lambda _: asked)
    house.house.rooms.approving.approve(ward.person, "clinea", "staff-1", now)
    return Kid(house=house, ward=ward)


def looked(house: ActingHouse, after: timedelta = EVERY) -> int:
    """Let time go by, and have a worker look; return how many approvals stand."""
    house.clock.move(after)
    return house.house.wards.approvals.deliver(house.clock.now())


def test_a_no_ends_all_that_the_approval_opened(house: ActingHouse) -> None:
    """With nobody there: approval, note, the child's own sign-on and a link in a mailbox end; the trail says why."""
    one = kid(house)
    links, now = house.records.links, house.clock.now()
    links.add(
        Link(
            digest="d" * 64,
            purpose=Purpose.RESET,
            person=one.ward.person,
            clinic="clinea",
            made_at=now,
            ends_at=now + DAY,
        )
    )
    signed_on(house, one.ward)
    assert (looked(house), one.is_approved) == (1, True)

    one.says(barred="care_order")
    assert looked(house, DAY) == 0

    assert not one.is_approved
    assert (one.enrolment.by, one.enrolment.reason) == ("register", "care_order")
    assert house.house.durable.guardianships.of_ward(one.ward.person) == ()
    assert house.house.signout.of_person(one.ward.person) == ()
    assert links.find("d" * 64, now) is None
    assert [event.detail["why"] for event in house.events("guardianship.ended")] == ["care_order"]
    assert [event.detail["reason"] for event in house.events("enrolment.refused", one.ward.person)] == ["care_order"]


@pytest.mark.parametrize("barred", ["", "no_custody"])
def test_a_recovery_letter_asks_first(house: ActingHouse, barred: str) -> None:
    """The attack: the former guardian's mailbox is sent the link that chooses the child's password anew."""
    one = kid(house)
    one.says(barred=barred)
    number = one.ward.number
    asked = {"country": number.country, "kind": number.kind, "value": number.value, "clinic": "clinea"}
    task = {**asked, "client": "portal", "transaction": "t1", "language": "da"}

    house.house.rooms.recovery.carry_out(task, house.clock.now())

    sent, unknown = house.events("recovery.sent"), house.events("recovery.unknown")
    assert (len(sent), [event.detail["why"] for event in unknown]) == ((0, ["claimed"]) if barred else (1, []))
    assert one.is_approved is not bool(barred)


def signed_on(house: ActingHouse, ward: Ward) -> None:
    """Have a child signed on by its password."""
    now = house.clock.now()
    identity = Identity(
        provider="fallback", issuer="us", subject=ward.person, loa=LoA.LOW, proved_at=now, number=ward.number
    )
    session = Session(key="k" * 43, person=ward.person, identity=identity, language="da", started_at=now, seen_at=now)
    house.house.sessions.put(session.key, session, 3 * DAY)
    house.house.index.note(session)


def test_each_is_asked_about_once_a_day(house: ActingHouse) -> None:
    """As often as its register allows, by whichever worker looks first; at once when it is new."""
    kid(house)

    assert looked(house, timedelta()) == 1
    for _ in range(3):
        assert looked(house) == 0
    assert house.folk.asked == ["about"]
    assert looked(house, DAY) == 1
    assert house.folk.asked == ["about"] * 2


def test_a_worker_asks_so_many_at_once(house: ActingHouse) -> None:
    """However many are due, a register is asked so many times, and then half a minute later."""
    for serial in range(MOST + 2):
        kid(house, serial)

    assert looked(house) == MOST
    assert looked(house, timedelta(seconds=1)) == 0
    assert looked(house) == 2


def test_a_register_that_is_down(house: ActingHouse) -> None:
    """It ends nothing, is asked once and then left alone, and all are asked about when it is back."""
    kids = [kid(house, serial) for serial in range(4)]
    house.folk.down = True

    assert looked(house) == 0
    assert 1 <= len(house.folk.asked) <= 2, "one for each thread"
    assert looked(house, max(AGAIN, LEASE)) == 0
    assert [event.detail for event in house.events("register.silent")] == [{"registers": "folk"}], "once a day"
    house.folk.down = False
    kids[0].says(barred="withdrawn")
    assert looked(house, max(AGAIN, LEASE)) == 3
    assert [one.is_approved for one in kids] == [False, True, True, True]


def test_a_few_spoilt_rows_starve_nobody(house: ActingHouse) -> None:
    """The fault: one child's wrong birth date was a silence, and nobody else was asked about while the lane rested."""
    kids = [kid(house, serial) for serial in range(8)]
    spoilt = Spoilt(ward=kids[3].ward.number)
    object.__setattr__(house.house.wards.approvals.absent.registers, "by_name", {"folk": spoilt})

    assert looked(house) == len(kids)
    assert len(spoilt.asked) == len(kids) - 1
    assert looked(house, max(AGAIN, LEASE)) == 0, "it is asked about again at its register's pace"
    assert looked(house, DAY) == len(kids)
    assert all(one.is_approved for one in kids)


@dataclass(kw_only=True)
class Spoilt(Folk):
    """A register of whose word about one ward nothing is to be believed."""

    ward: NationalNumber

    def about(self, guardian: Guardian, ward: NationalNumber, clinic: Clinic, now: datetime) -> Answer:
        """Return what it was told of all others."""
        if ward == self.ward:
            raise Untrusted("a birth date that is not the number's")
        return Folk.about(self, guardian, ward, clinic, now)


def test_a_registers_withdrawal_is_not_the_clinics(house: ActingHouse) -> None:
    """A register that says `withdrawn` bars for as long as it says so: nothing of the clinic's own goes on barring."""
    one = kid(house)
    one.says(barred="withdrawn")
    looked(house)

    assert not one.is_approved
    ever = house.house.durable.guardianships.of_guardian_ever(house.guardian())
    assert [row for row in ever if row.ward == one.ward.person] == []


def test_who_is_noted_and_not_approved_is_asked_about_by_nobody(house: ActingHouse) -> None:
    """Whom staff noted acts by the registers' word at each sign-in; here they are not asked for that."""
    house.ward(7)
    one = kid(house)
    house.note(one.ward, "lars")

    assert looked(house) == 3
    assert house.folk.asked == ["about"]


def test_where_no_register_is_asked_nothing_is_done(house: ActingHouse) -> None:
    """Without such a register a look costs no statement at all."""
    kid(house)
    object.__setattr__(house.house.settings.clinics.by_id["clinea"], "registers", ())

    assert statements(house.house.durable, lambda: looked(house)) == []


def test_an_approval_that_moved_with_its_child(house: ActingHouse) -> None:
    """The note is found by who the child is now: it moves along when two records become one."""
    one, other = kid(house), house.child(2, clinic=None)
    one.says(barred="care_order")
    operator = Actor(id=OPERATOR, clinic="clinea", role=Role.ADMINISTRATOR)
    merged = house.house.offices.merging.join(operator, one.ward.person, other.person, house.clock.now(), anyway=True)
    assert isinstance(merged, Merged)
    left = house.records.enrolments.find(merged.survivor, "clinea")
    assert left is not None
    assert left.guardian == house.guardian()
    looked(house)

    ended = house.records.enrolments.find(merged.survivor, "clinea")
    assert ended is not None
    assert ended.guardian is None or ended.standing is Standing.DECLINED


@pytest.mark.parametrize(("often", "good"), [("1 min", True), ("59 s", False), ("7 days", True), ("8 days", False)])
def test_how_often_is_the_operators_choice(often: str, good: bool) -> None:
    """From a minute to a week: less would be a flood, more would be as good as never."""
    table = {"kind": "lookup", "address": "https://r.example.org/", "token_file": "x", "ask_again": often}
    document = {"server": {"issuer": "https://login.example.org"}, "registers": {"families": table}}

    with contextlib.nullcontext() if good else pytest.raises(ConfigError, match="1 min to 7 days"):
        config.read(document)
