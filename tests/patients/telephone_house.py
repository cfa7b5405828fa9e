"""A clinic that may ring BankID and Freja up: the whole broker, both simulators over mutual TLS, everybody's phone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from idbroker.accounts.account import Enrolment, Entry, Standing
from idbroker.clock import StoppedClock
from idbroker.events import Event
from idbroker.evidence import unseal
from idbroker.numbers import NationalNumber, parse
from idbroker.patients.call import Call, Outcome
from idbroker.patients.patient import NotDone
from idbroker.patients.telephone import Calls, Dialled
from idbroker.sandbox import bankid, freja
from idbroker.sandbox.bankid import PREFIX, SimBankID, make_bankid
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.freja import SimFreja, make_freja
from idbroker.sandbox.orders import Order, Phone
from idbroker.sandbox.people import SimPerson, cast
from idbroker.sandbox.tables import Addresses, bankid_table, freja_table
from tests.conftest import NOW
from tests.office_door import ISSUER, Office, open_office
from tests.sandbox.bankid_loopback import serve_bankid
from tests.sandbox.freja_rp import serve_freja

Value = TypeVar("Value")
CLINIC = "neuroreg"


@dataclass
class Line:
    """What the tests go through: the office, the engine, and the phones that ring."""

    office: Office
    bankid: SimBankID
    freja: SimFreja
    faults: Faults
    clock: StoppedClock
    people: Mapping[str, SimPerson]
    began: Any = None
    handles: dict[str, str] = field(default_factory=dict)

    @property
    def calls(self) -> Calls:
        """Return the engine."""
        return self.office.house.offices.calls

    # ---- patients --------------------------------------------------------------------------------

    def number(self, person: str = "bjorn") -> NationalNumber:
        """Return somebody's number."""
        one = self.people[person]
        return parse(one.number or "", one.country, now=NOW.date())

    def enter(self, person: str = "bjorn", clinic: str = CLINIC, **entry: Any) -> str:
        """Put somebody into a clinic's list anew; return their handle."""
        records, one = self.office.house.rooms.counter.records, self.people[person]
        number = self.number(person)
        written = {
            "number": number,
            "given_name": one.given_name,
            "family_name": one.family_name,
            "birthdate": one.born,
            "entered_at": self.clock.now(),
            **entry,
        }
        made = Enrolment(
            person=records.accounts.person(number, self.clock.now()),
            clinic=clinic,
            standing=Standing.KNOWN,
            asked_at=self.clock.now(),
            language="sv",
            entry=Entry(**written),
        )
        kept = records.enrolments.change(
            made.person, clinic, lambda before: replace(made, handle=before.handle if before else "")
        )
        assert kept is not None
        return kept.handle

    # ---- calling ---------------------------------------------------------------------------------

    def begin(
        self, handle: str, eid: str = "bankid", by: str = "anna", *, clinic: str = CLINIC, by_clinic: bool = False
    ) -> Call:
        """Begin a call; it must begin."""
        begun = self.tried(handle, eid, by, clinic=clinic, by_clinic=by_clinic)
        assert isinstance(begun, Call), begun
        return begun

    def tried(
        self, handle: str, eid: str = "bankid", by: str = "anna", *, clinic: str = CLINIC, by_clinic: bool = False
    ) -> Any:
        """Begin a call, or learn why not."""
        actor = self.office.actor(by, clinic)
        return self.calls.begin(actor, handle, eid, by_clinic=by_clinic, now=self.clock.now())

    def look(self, call: Call, by: str = "anna", *, later: float = 2) -> Call:
        """Look at a call, some seconds later."""
        self.clock.move(timedelta(seconds=later))
        return self.calls.look(self.office.actor(by), call.id, self.clock.now())

    def end(self, call: Call, by: str = "anna") -> Call:
        """Hang up."""
        return self.calls.end(self.office.actor(by), call.id, self.clock.now())

    def act(self, outcome: str = "approve", person: str = "bjorn", eid: str = "bankid") -> None:
        """Do something with the newest order in somebody's app."""
        phone = self.phone(eid)
        phone.act(phone.waiting()[0].id, self.people[person], outcome)

    def phone(self, eid: str = "bankid") -> Phone:
        """Return everybody's app."""
        return self.bankid.phone if eid == "bankid" else self.freja.phone

    def ringing(self, eid: str = "bankid") -> tuple[Order, ...]:
        """Return the orders that are in apps."""
        return self.phone(eid).waiting()

    # ---- what came of it -------------------------------------------------------------------------

    def trail(self, kind: str = "patient.call") -> list[Event]:
        """Return the events of this test, oldest first."""
        return [one for one in self.office.events(kind) if one.at >= self.began]

    def outcomes(self) -> list[str]:
        """Return what the trail says came of the calls of this test."""
        return [one.detail["outcome"] for one in self.trail("patient.called")]

    def evidence(self, event: Event) -> Mapping[str, str]:
        """Return what is kept for an event."""
        durable, sealer = self.office.house.durable, self.office.house.given.sealer
        kept = durable.evidence.find(event.detail["evidence"], self.clock.now())
        assert kept is not None
        assert kept.evidence.person == event.person
        return unseal(kept, sealer)

    def reset(self) -> None:
        """Let every order, call and limit be over; nothing is wrong any more."""
        self.faults.clear()
        self.clock.move(timedelta(hours=3))
        assert self.ringing() == self.ringing("freja") == ()
        self.began = self.clock.now()


@contextmanager
def open_line(folder: Path) -> Iterator[Line]:
    """Open it for a module's tests: making the simulators' keys for each would take longer than the tests."""
    clock, faults = StoppedClock(NOW), Faults({"bankid": bankid.LIES, "freja": freja.LIES})
    people = cast(NOW.date())
    sims = (
        make_bankid(people, clock, faults, app_link=f"{ISSUER}/bankid", folder=folder / "bankid"),
        make_freja(people, clock, faults, app_link=f"{ISSUER}/freja", folder=folder / "freja"),
    )
    with serve_bankid(sims[0]) as bankid_at, serve_freja(sims[1]) as freja_at:
        addresses = Addresses(
            issuer=ISSUER,
            portals="",
            mitid="",
            suomifi="",
            borgeradgang="",
            bankid=bankid_at.removesuffix(PREFIX),
            freja=freja_at,
            sms="",
            mail=0,
        )
        providers = {
            "fallback": {},
            "bankid": {**bankid_table(sims[0], addresses), "program_link": "bankid:///"},
            "freja": freja_table(sims[1], addresses),
        }
        (folder / "house").mkdir()
        eids = {"providers": ["bankid", "freja", "fallback"]}
        with open_office(
            folder / "house", clock, clinics={CLINIC: eids, "clinea": eids}, more={"providers": providers}
        ) as office:
            line = Line(office, *sims, faults, clock, {one.id: one for one in people})
            line.began = clock.now()
            yield line


@dataclass
class Slow:
    """An eID between whose answer and us something happens: `first` is called when it has answered."""

    eid: Dialled
    first: Callable[[], object]
    title: str = "BankID"
    dials: bool = True
    shows: bool = True

    def dial(self, *given: Any, **named: Any) -> bytes:
        """Dial; then let it happen."""
        state = self.eid.dial(*given, **named)
        self.first()
        return state

    def heard(self, state: bytes, now: Any) -> Any:
        """Hear; then let it happen."""
        identity = self.eid.heard(state, now)
        self.first()
        return identity

    def hang_up(self, state: bytes) -> None:
        """Hang up."""
        self.eid.hang_up(state)


def at_once(count: int, do: Callable[[int], Value]) -> list[Value]:
    """Return what so many threads get that begin together."""
    barrier, got = threading.Barrier(count), dict[int, Value]()

    def run(number: int) -> None:
        barrier.wait(10)
        got[number] = do(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return [got[number] for number in range(count)]


def why(answer: object) -> str:
    """Return why something was not done."""
    assert isinstance(answer, NotDone), answer
    return answer.why.value


def shows_nothing(call: Call) -> bool:
    """Tell whether a call is shown as one that still waits."""
    return call.outcome is Outcome.WAITING and call.ended_at is None
