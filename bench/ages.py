"""What ages cost: the rules themselves, and the question who a sign-in is about, by how many wards there are.

`deciding` calls the rules as the broker does. `asking` is the real question, in this process, on real stores: the page
that is shown, and what is pressed on it. Beside the time it counts the statements that the durable store is sent.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from bench import machine
from bench.measure import hundredths, spread
from bench.people import Synthetic, person
from bench.stage import Stage, Stores
from bench.visit import PORTAL, PORTAL_CALLBACK
from idbroker import config, policy
from idbroker.accounts.account import Enrolment, Entry, Standing
from idbroker.accounts.question import Proved, Settled
from idbroker.app import House, open_house
from idbroker.clock import SystemClock
from idbroker.form import Form
from idbroker.guardianship.records import Guardianship, new_id
from idbroker.guardianship.rules import Claim, May, MayNot, judge
from idbroker.guardianship.tie import Tie
from idbroker.identity import Identity, LoA
from idbroker.numbers import parse
from idbroker.policy import Allow, Case, Refuse
from idbroker.request import SigninRequest
from idbroker.sandbox.sim_person import cpr
from idbroker.visit import Visit

WARDS = (1, 3, 20)
CALLS = 5_000
# The longest that a clinic may set: nobody grows up while it is measured.
_UNTIL = {"guardian_until": 18}
_BORN = 2017


def ages(stage: Stage, stores: list[Stores], *, rounds: int) -> dict[str, Any]:
    """Measure it all, on the core that brokers have."""
    usual = os.sched_getaffinity(0)
    os.sched_setaffinity(0, stage.cores.broker)
    try:
        found: dict[str, Any] = {"asking": {}}
        for each in stores:
            with _opened(stage, each) as home:
                found["deciding"] = found.get("deciding") or deciding(home, rounds)
                found["asking"][each.name] = {str(count): asking(home, count, rounds) for count in WARDS}
        return found
    finally:
        os.sched_setaffinity(0, usual)


class Home:
    """A broker's own parts on one pair of stores, and a clinic with guardians."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.now = house.clock.now()
        settings = house.settings
        self.clinic = replace(settings.clinics.by_id["bench"], ages=_UNTIL, registration="approval")
        self.client = replace(next(one for one in settings.clients if one.id == PORTAL), acting="always")
        self.records = house.rooms.counter.records

    def known(self, index: int) -> str:
        """Return somebody's id, known from now on."""
        number = parse(person(index).number, "DK", now=self.now.date())
        return self.records.accounts.person(number, self.now)

    def identity(self, whom: Synthetic) -> Identity:
        """Return what an eID proves of somebody."""
        number = parse(whom.number, "DK", now=self.now.date())
        return Identity(
            provider="mitid",
            issuer="https://mitid.bench.test",
            subject=whom.subject,
            loa=LoA.SUBSTANTIAL,
            proved_at=self.now,
            number=number,
            name=whom.name,
            birthdate=whom.born,
        )

    def note(self, guardian: str, index: int) -> None:
        """Have the clinic take a ward, whose number says how young it is, and note its guardian."""
        born = date(_BORN, 1 + index % 12, 1 + index % 28)
        number = parse(cpr(born, index % 1000), "DK", now=self.now.date())
        ward = self.records.accounts.person(number, self.now)
        entry = Entry(
            number=number,
            given_name="Prøve",
            family_name=f"Barn {index}",
            birthdate=born,
            entered_at=self.now,
            by="bench",
        )
        taken = Enrolment(
            person=ward, clinic=self.clinic.id, standing=Standing.APPROVED, asked_at=self.now, entry=entry
        )
        self.records.enrolments.change(ward, self.clinic.id, lambda _: taken)
        self.house.durable.guardianships.add(
            Guardianship(
                id=new_id(),
                clinic=self.clinic.id,
                guardian=guardian,
                ward=ward,
                recorded_at=self.now,
                by="bench",
                limit_on=born.replace(year=_BORN + 18),
            )
        )

    def visit(self) -> Visit:
        """Return a browser that has come this far."""
        return Visit(
            transaction="bench", clinic=self.clinic, client=self.client, language="da", now=self.now, host="bench.test"
        )

    def proved(self, guardian: str, whom: Synthetic) -> Proved:
        """Return a guardian who has just signed in."""
        return Proved(person=guardian, identity=self.identity(whom), request=self.request())

    def request(self) -> SigninRequest:
        """Return what the portal asked for."""
        return SigninRequest(
            client_id=PORTAL, redirect_uri=PORTAL_CALLBACK, minimum=LoA.SUBSTANTIAL, received_at=self.now
        )


# ---- deciding --------------------------------------------------------------------------------------


def deciding(home: Home, rounds: int) -> dict[str, Any]:
    """Return microseconds of processor time of one decision: who may act, and who may sign in themselves."""
    guardian = home.identity(person(1))
    claim = Claim(
        tie=Tie(person="ward", birthdate=date(_BORN, 8, 14), until=date(2099, 1, 1)),
        loa=guardian.loa,
        guardian_born=guardian.birthdate,
        limits=home.clinic.limits.but(home.client.ages),
        mandates=home.clinic.mandates,
        taken=True,
        now=home.now,
        zone=home.clinic.zone,
    )
    stranger = replace(claim, taken=False)  # the last rule refuses: all the others are asked before
    case = Case(request=home.request(), client=home.client, clinic=home.clinic, identity=guardian, now=home.now)
    case = replace(case, test_people=True)
    child = replace(case, identity=replace(guardian, birthdate=date(_BORN, 8, 14)))
    acts: dict[str, tuple[Callable[[], object], type]] = {
        "may_act": (lambda: judge(claim), May),
        "may_not_act": (lambda: judge(stranger), MayNot),
        "may_enter": (lambda: policy.decide(case), Allow),
        "may_not_enter": (lambda: policy.decide(child), Refuse),
    }
    for name, (act, wanted) in acts.items():
        if not isinstance(act(), wanted):
            raise TypeError(f"{name}: {act()}")
    return {**_microseconds({name: act for name, (act, _) in acts.items()}, rounds), "yardstick": _yardstick()}


def _microseconds(acts: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Any]:
    took: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for name, act in acts.items():
            began = time.thread_time()
            for _ in range(CALLS):
                act()
            took[name].append((time.thread_time() - began) * 1e6 / CALLS)
    return {name: spread(each) for name, each in took.items()}


def _yardstick() -> dict[str, float]:
    return {"es256_signature_us": round(machine.yardstick(), 1)}


# ---- asking ----------------------------------------------------------------------------------------


def asking(home: Home, wards: int, rounds: int) -> dict[str, Any]:
    """Return what the page costs with so many wards, and choosing the last of them."""
    first = 1 + 1_000 * wards
    guardian, whom = home.known(first), person(first)
    for index in range(first + 1, first + 1 + wards):
        home.note(guardian, index)
    question, visit, proved = home.house.wards.who, home.visit(), home.proved(guardian, whom)
    page = question.begin(visit, proved)
    if not isinstance(page, Form) or page.values["count"] != str(wards):
        raise TypeError(f"the page offers not {wards}")
    chosen = {"do": "choose", "who": str(wards - 1)}
    if not isinstance(question.resume(visit, proved, page, chosen), Settled):
        raise TypeError("what was chosen is refused")
    acts: dict[str, Callable[[], object]] = {
        "page": lambda: question.begin(visit, proved),
        "choice": lambda: question.resume(visit, proved, page, chosen),
    }
    return {name: _one(act, 20 * rounds) for name, act in acts.items()} | _yardstick()


def _one(act: Callable[[], object], count: int) -> dict[str, Any]:
    times, cpu = [], time.thread_time()
    with _statements() as statements:
        for _ in range(count):
            began = time.perf_counter()
            act()
            times.append(1000 * (time.perf_counter() - began))
    cpu = 1000 * (time.thread_time() - cpu) / count
    return {"ms": hundredths(times), "cpu_ms": round(cpu, 2), "statements": round(len(statements) / count, 1)}


@contextmanager
def _statements() -> Iterator[list[str]]:
    """Collect what any database is sent."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)


# ---- the house -------------------------------------------------------------------------------------


@contextmanager
def _opened(stage: Stage, stores: Stores) -> Iterator[Home]:
    """Open the broker's own parts, with tables and keys, on empty stores."""
    path = stage.configure(
        f"ages-{stores.name}",
        _empty(stage, stores),
        port=1,
        mitid="https://mitid.bench.test",
        threads=1,
        keys="keys-ages",
    )
    house = open_house(config.load(path), Path(path).parent, clock=SystemClock(), sandbox=True)
    house.durable.migrate()
    try:
        yield Home(house)
    finally:
        house.close()


def _empty(stage: Stage, stores: Stores) -> Stores:
    if stores.name != "sqlite":
        return stage.production().stores("ages")
    folder = stage.folder / "var"
    folder.mkdir(exist_ok=True)
    return Stores(name=stores.name, transient="sqlite:///var/ages-t.db", durable="sqlite:///var/ages.db")
