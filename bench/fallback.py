"""People without an eID: what their sign-ins, registrations and messages cost, and whether they hold up anybody else.

One worker on its own core, with MitID's stand-in, a real mail server and a real gateway (post_office.py); argon2 at
the default parameters. Hashing is told apart by its threads: they alone stand back for others (passwords.py).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import random
import secrets
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench import accounts, by_password, machine, people
from bench.driver import Outcome, Plan, closed_loop, open_loop, users
from bench.judge import Judge
from bench.measure import Load, Subject, alternate, hundredths, spread
from bench.post_office import CLEAR, TAKEN
from bench.run import judge
from bench.stage import Broker, PostOffice, Stage, StandIn, Stores
from bench.starving import Starving
from bench.upstream import Behaviour
from bench.visit import Call, sign_in
from idbroker.codec import Codec
from idbroker.messages.message import Channel, Message, SealedMessage

PEOPLE = 2 * by_password.MOBILES  # each has an address of their own
MANY = 200_000
STRANGERS = 500_000  # from this person on nobody has an account
_USERS = 4
_MESSAGES = 250  # by each channel
_FORGOTTEN = 100  # of each kind
_MESSAGE = Codec(Message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is measured: rounds, seconds of each, accounts in the large store, another checkout to compare with."""

    rounds: int = 3
    seconds: float = 3.0
    many: int = MANY
    beside: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One broker with its people, who is judged by what it signs, and where its messages go."""

    broker: Broker
    filling: accounts.Filling
    judged: Judge
    office: PostOffice
    crowd: by_password.Newcomers
    every: int = 1

    def sign_ins(self) -> Plan:
        """Return sign-ins by password and code, of everybody in turn."""
        who = itertools.cycle(range(0, PEOPLE * self.every, self.every))
        return lambda: by_password.sign_in(
            self.judged, self.crowd.browser(), by_password.member(next(who)), self.office.address
        )

    def registrations(self) -> Plan:
        """Return registrations of people whom the stand-in draws."""
        addresses = itertools.count(STRANGERS)
        return lambda: by_password.register(self.judged, self.crowd.browser(), next(addresses), self.office.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What was done, and processor seconds by whose they are. `broker` is without `hashing`."""

    outcome: Outcome
    cpu: Mapping[str, float]
    strangers: float
    signature: float


def fallback(stage: Stage, stores: Sequence[Stores], stand_in: StandIn, effort: Effort) -> dict[str, Any]:
    """Measure it all, store by store."""
    office = stage.post_office()
    stand_in.behave(Behaviour(persons=PEOPLE))
    found: dict[str, Any] = {"people": PEOPLE, "load_average_at_begin": round(machine.load_average(), 2)}
    with ExitStack() as stack:
        places = [_place(stage, each, stand_in, office, stack) for each in stores]
        measured = _Measured(stage, stand_in, effort)
        for place in places:
            found[place.broker.stores.name] = measured.all(place)
        if stores[-1].name == "production":
            place = places[-1]
            found["starving"] = Starving(place.broker, place.judged, stage.cores, place.crowd, PEOPLE).all(
                effort.rounds
            )
            found["growth"] = measured.growth(place, _large(stage, effort, stand_in, office, stack))
            if effort.beside is not None:
                found["eid_beside"] = measured.beside(place, effort.beside)
    found["load_average_at_end"] = round(machine.load_average(), 2)
    return found


def _place(
    stage: Stage, stores: Stores, stand_in: StandIn, office: PostOffice, stack: ExitStack, *, many: int = 0
) -> Place:
    path = stage.configure_fallback(f"fill-{stores.name}", stores, stand_in, office, port=1)
    filling = stack.enter_context(accounts.opened(path, stand_in.issuer))
    every = max(1, many // PEOPLE)
    if many:
        accounts.fill(filling, stores, many, every)
    else:
        accounts.introduce(filling, PEOPLE)
    broker = stage.fallback_broker(stores, stand_in, office)
    crowd = by_password.Newcomers()
    return Place(broker=broker, filling=filling, judged=judge(broker), office=office, crowd=crowd, every=every)


def _large(stage: Stage, effort: Effort, stand_in: StandIn, office: PostOffice, stack: ExitStack) -> Place:
    return _place(stage, stage.production().stores("accounts"), stand_in, office, stack, many=effort.many)


class _Measured:
    def __init__(self, stage: Stage, stand_in: StandIn, effort: Effort) -> None:
        self._stage, self._stand_in, self._effort = stage, stand_in, effort

    def all(self, place: Place) -> dict[str, Any]:
        """Measure one place."""
        return {
            "sign_ins": self._closed(place, place.sign_ins(), _USERS),
            "sign_ins_one_a_second": self._steady(place),
            "registrations": self._registrations(place),
            "forgotten": self._forgotten(place),
            "messages": self._messages(place),
        }

    # ---- sign-ins --------------------------------------------------------------------------------

    def _closed(self, place: Place, plan: Plan, count: int) -> dict[str, Any]:
        ports, seconds = place.broker.ports, self._effort.seconds
        asyncio.run(_cleared(place.office))
        asyncio.run(closed_loop(plan, ports, count=count, seconds=1.0))
        return _figures(
            [
                self._window(place.broker, closed_loop(plan, ports, count=count, seconds=seconds))
                for _ in range(self._effort.rounds)
            ]
        )

    def _steady(self, place: Place) -> dict[str, Any]:
        """Let one come each second: nobody waits for another's hash, so that this is the server's own time."""
        seconds = max(8.0, 4 * self._effort.seconds)
        plan = open_loop(place.sign_ins(), place.broker.ports, rate=1.0, seconds=seconds)
        return _figures([self._window(place.broker, plan)])

    def growth(self, few: Place, many: Place) -> dict[str, Any]:
        """Measure sign-ins among few accounts and among many, in turns."""
        asyncio.run(_cleared(few.office))
        windows: dict[str, list[Window]] = {"few": [], "many": []}
        places = {"few": few, "many": many}
        plans = {name: place.sign_ins() for name, place in places.items()}
        for number in range(self._effort.rounds + 1):
            for name, place in places.items():
                seconds = self._effort.seconds if number else 1.0
                load = closed_loop(plans[name], place.broker.ports, count=_USERS, seconds=seconds)
                windows[name] += [self._window(place.broker, load)] * bool(number)
        found = {name: _figures(each) for name, each in windows.items()}
        totals = {
            name: sum(cpu["median"] for who, cpu in each["cpu_ms"].items() if who != "hashing")
            for name, each in found.items()
        }
        return {
            "accounts": {"few": PEOPLE, "many": self._effort.many},
            **found,
            "cpu_ratio_without_hash": round(totals["many"] / totals["few"], 3),
        }

    # ---- registrations ---------------------------------------------------------------------------

    def _registrations(self, place: Place) -> dict[str, Any]:
        self._stand_in.behave(Behaviour(persons=people.MOST))
        try:
            return self._closed(place, place.registrations(), 2)
        finally:
            self._stand_in.behave(Behaviour(persons=PEOPLE))

    # ---- forgotten -------------------------------------------------------------------------------

    def _forgotten(self, place: Place) -> dict[str, Any]:
        """Ask for known and unknown numbers by pairs, in no order: what one sets off hits either kind alike."""
        numbers = {
            "known": [by_password.member(index * place.every).number for index in range(_FORGOTTEN)],
            "unknown": [people.person(STRANGERS + index).number for index in range(_FORGOTTEN)],
        }
        draw = random.Random(5)  # noqa: S311 - the same order each time
        pairs = zip(*([(kind, number) for number in each] for kind, each in numbers.items()), strict=True)
        order = [one for pair in pairs for one in draw.sample(pair, 2)]
        took: dict[str, list[float]] = defaultdict(list)
        outcome = Outcome()

        async def all_of_them() -> Outcome:
            async with users(1, place.broker.ports) as crowd:
                for kind, number in order:
                    browser = place.crowd.browser()
                    await outcome.note(crowd[0], lambda b=browser, n=number: by_password.forget(b, n), 0.0)  # type: ignore[misc]
                    took[kind].append(1000 * outcome.steps["forgot_post"][-1])
            return outcome

        window = self._window(place.broker, all_of_them())
        middles = {kind: statistics.median(each) for kind, each in took.items()}
        return {
            "asked": {kind: len(each) for kind, each in took.items()},
            "failures": dict(window.outcome.failures),
            "post_ms": {kind: hundredths(each) for kind, each in took.items()},
            "known_to_unknown": round(middles["known"] / middles["unknown"], 3),
            # Where others load the machine the medians' ratio is theirs too; a pair has the same moment.
            "known_to_unknown_by_pairs": _ratios(took["known"], took["unknown"]),
        }

    # ---- messages --------------------------------------------------------------------------------

    def _messages(self, place: Place) -> dict[str, Any]:
        return {channel.value: self._sent(place, channel) for channel in (Channel.EMAIL, Channel.SMS)}

    def _sent(self, place: Place, channel: Channel) -> dict[str, Any]:
        """Lay many into the outbox, wake the courier as a sign-in does, and wait until all have come."""
        place.filling.durable.messages.add([_message(place, channel, index) for index in range(_MESSAGES)])
        window = self._window(place.broker, _until_taken(place, channel.value))
        took = window.outcome.seconds
        return {
            "messages": len(window.outcome.took),
            "per_second": round(len(window.outcome.took) / took, 1) if took else 0.0,
            "cpu_ms": {
                who: round(1000 * spent / max(1, len(window.outcome.took)), 3) for who, spent in window.cpu.items()
            },
            "es256_signature_us": round(window.signature, 1),
        }

    # ---- an eID's sign-ins, now and then ---------------------------------------------------------

    def beside(self, place: Place, checkout: Path) -> dict[str, Any]:
        """Measure eID sign-ins here and by another checkout, in turns; and where people also sign in by password."""
        production = self._stage.production()
        here = self._stage.broker(production.stores("here"), self._stand_in)
        there = self._stage.broker(production.stores("there"), self._stand_in, at=checkout)
        brokers = {"before": there, "now": here, "now_with_fallback": place.broker}
        subjects = [
            Subject(name=name, broker=each, load=Load(plan=_eid(judge(each)), users=8))
            for name, each in brokers.items()
        ]
        measured = alternate(
            subjects, self._stage.cores, rounds=2 * self._effort.rounds, seconds=self._effort.seconds, warm_up=3.0
        )
        figures = {name: each.figures() for name, each in measured.items()}
        signatures = {name: each["broker_cpu_in_signatures"]["median"] for name, each in figures.items()}
        ratios = [
            now.cost("broker") / before.cost("broker")
            for now, before in zip(measured["now"].rounds, measured["before"].rounds, strict=True)
        ]
        return {
            "checkout": machine.revision(checkout),
            **figures,
            "cpu_now_to_before_round_by_round": spread(ratios),
            "in_signatures_now_to_before": round(signatures["now"] / signatures["before"], 3),
        }

    # ---- windows ---------------------------------------------------------------------------------

    def _window(self, broker: Broker, load: Coroutine[Any, Any, Outcome]) -> Window:
        cores = self._stage.cores.broker
        signature, busy, before = machine.yardstick(cores), machine.busy_seconds(cores), _cpu(broker)
        outcome = asyncio.run(load)
        cpu = {who: spent - before[who] for who, spent in _cpu(broker).items()}
        strangers = machine.busy_seconds(cores) - busy - cpu["broker"] - cpu["hashing"]
        share = max(0.0, strangers) / max(outcome.seconds, 0.001)
        return Window(outcome=outcome, cpu=cpu, strangers=share, signature=signature)


def _ratios(known: Sequence[float], unknown: Sequence[float]) -> dict[str, float]:
    """Return the median ratio of the pairs, and between which two the true one lies, nineteen times of twenty."""
    ratios = sorted(a / b for a, b in zip(known, unknown, strict=True))
    half, away = len(ratios) / 2, len(ratios) ** 0.5  # by ranks: some two standard deviations of a fair coin
    low, high = int(half - away), min(len(ratios) - 1, math.ceil(half + away))
    return {"median": round(statistics.median(ratios), 3), "low": round(ratios[low], 3), "high": round(ratios[high], 3)}


def _eid(judged: Judge) -> Plan:
    return lambda: sign_in(judged)


def _cpu(broker: Broker) -> dict[str, float]:
    hashing = machine.hashing_seconds([broker.pid])
    stores = {who: machine.cpu_seconds([pid]) for who, pid in broker.stores.processes.items()}
    return {"broker": machine.cpu_seconds([broker.pid]) - hashing, "hashing": hashing, **stores}


def _figures(windows: Sequence[Window]) -> dict[str, Any]:
    outcomes = [window.outcome for window in windows]
    failures = sum((outcome.failures for outcome in outcomes), Counter[str]())
    steps = sorted({name for outcome in outcomes for name in outcome.steps})
    return {
        "visits": sum(len(outcome.took) for outcome in outcomes),
        "failures": dict(failures.most_common(5)),
        "per_second": spread([outcome.rate for outcome in outcomes]),
        "cpu_ms": {
            who: spread([1000 * window.cpu[who] / max(1, len(window.outcome.took)) for window in windows])
            for who in windows[0].cpu
        },
        "visit_ms": hundredths([1000 * took for outcome in outcomes for took in outcome.took]),
        "step_ms": {
            name: hundredths([1000 * took for outcome in outcomes for took in outcome.steps.get(name, ())])
            for name in steps
        },
        "broker_core_used_by_others": spread([window.strangers for window in windows]),
        "es256_signature_us": spread([window.signature for window in windows]),
    }


def _message(place: Place, channel: Channel, index: int) -> SealedMessage:
    now, message_id = datetime.now(UTC), secrets.token_hex(20)
    to = by_password.mobile(index) if channel is Channel.SMS else by_password.email(index)
    message = Message(
        id=message_id,
        channel=channel,
        to=to,
        subject="" if channel is Channel.SMS else "000000 er din kode til Bench",
        text="000000 er din kode til Bench. Del den ikke med nogen.\n\n@login.bench.test #000000",
        kind="code",
        clinic=accounts.CLINIC,
        ends_at=now + timedelta(minutes=5),
    )
    return SealedMessage(
        id=message_id,
        channel=channel,
        kind=message.kind,
        sealed=place.filling.sealer.seal(_MESSAGE.pack(message), f"message|{message_id}".encode()),
        due_at=now,
        ends_at=message.ends_at,
    )


async def _cleared(office: PostOffice) -> None:
    """Forget the codes that nobody asked for: guessers who were right went no further."""
    async with users(1, {}) as crowd:
        await crowd[0].call(Call(step="clear", to=office.address, target=CLEAR, method="POST"))


async def _until_taken(place: Place, channel: str) -> Outcome:
    """Return an outcome whose seconds are those from the first to the last that came."""
    outcome, deadline = Outcome(), time.perf_counter() + 30
    async with users(1, place.broker.ports) as crowd:
        office = place.office.address
        await _cleared(place.office)
        # An unknown number's request: the courier is woken, and sends nothing of its own.
        nobody = people.person(STRANGERS + _FORGOTTEN + secrets.randbelow(1000)).number
        await crowd[0].go(by_password.forget(place.crowd.browser(), nobody), {})
        taken: dict[str, Any] = {}
        while taken.get("count", 0) < _MESSAGES and time.perf_counter() < deadline:
            await asyncio.sleep(0.1)
            answer = await crowd[0].call(Call(step="taken", to=office, target=TAKEN))
            taken = json.loads(answer.body).get(channel, {})
    outcome.took = [0.0] * int(taken.get("count", 0))
    outcome.seconds = taken.get("last", 0.0) - taken.get("first", 0.0)
    return outcome
