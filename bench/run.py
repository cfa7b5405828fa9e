"""The measurements, one function each: what is started, what is done to it, what is written down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from bench import growth, machine, people
from bench.driver import Outcome, Plan, once, users
from bench.judge import Judge, foreign, keys_of
from bench.measure import Load, Subject, alternate, spread
from bench.stage import Broker, Stage, StandIn, Stores
from bench.upstream import Behaviour
from bench.visit import ISSUER, PORTAL, SCOPES, Answer, Browser, Call, document, look_up, sign_in, token

DISCOVERY = "/.well-known/openid-configuration"
LATENCY = 0.1
LATENCY_USERS = 64
LATENCY_THREADS = (32, 64)
KNOWN = Behaviour().persons
_TRIALS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is measured: users at once, rounds, seconds of each."""

    users: int = 8
    rounds: int = 5
    seconds: float = 3.0
    sizes: tuple[int, ...] = growth.SIZES
    starts: int = 3
    warm_up: float = 1.0


def stores_of(stage: Stage, names: Sequence[str]) -> list[Stores]:
    """Return the stores by their names, started."""
    makers: Mapping[str, Callable[[], Stores]] = {
        "sqlite": stage.sqlite,
        "production": lambda: stage.production().stores(),
    }
    return [makers[name]() for name in names]


def sign_ins(brokers: Sequence[Broker], stand_in: StandIn, stage: Stage, effort: Effort) -> dict[str, Any]:
    """Measure whole sign-ins, also when nobody queues, by people who never came, and by a session here."""
    judges = {broker.stores.name: judge(broker) for broker in brokers}
    loads: Mapping[str, Callable[[Judge], Load]] = {
        "sign_in": lambda judged: Load(plan=_signing_in(judged), users=effort.users),
        "eid_named": lambda judged: Load(plan=lambda: sign_in(judged, named=True), users=effort.users),
        "sign_in_20_per_second": lambda judged: Load(plan=_signing_in(judged), rate=20),
        "newcomer": lambda judged: Load(plan=_signing_in(judged), users=effort.users),
        "session": lambda judged: Load(plan=with_session(judged), users=effort.users),
    }
    results: dict[str, Any] = {}
    for broker in brokers:
        growth.introduce(stage, broker.stores, KNOWN, stand_in.issuer)
    for name, load in loads.items():
        before = _with(stand_in, persons=people.MOST) if name == "newcomer" else _with(stand_in)
        subjects = [
            Subject(name=b.stores.name, broker=b, load=load(judges[b.stores.name]), before=before) for b in brokers
        ]
        rounds = effort.rounds if name in ("sign_in", "eid_named") else max(1, effort.rounds // 2)
        measured = alternate(subjects, stage.cores, rounds=rounds, seconds=effort.seconds, warm_up=effort.warm_up)
        results[name] = {key: result.figures() for key, result in measured.items()}
    results["signatures_verified"] = {name: judged.verified for name, judged in judges.items()}
    results["memory_mib"] = {broker.stores.name: resident(broker) for broker in brokers}
    return results


def endpoints(brokers: Sequence[Broker], stage: Stage, effort: Effort) -> dict[str, Any]:
    """Measure what programs call, each alone."""
    results: dict[str, Any] = {}
    for name, plan in _ALONE.items():
        subjects = [Subject(name=b.stores.name, broker=b, load=Load(plan=plan(b), users=effort.users)) for b in brokers]
        rounds, seconds = max(1, effort.rounds // 2), effort.seconds / 2
        measured = alternate(subjects, stage.cores, rounds=rounds, seconds=seconds, warm_up=0.3)
        results[name] = {key: result.figures() for key, result in measured.items()}
    return results


def sizes(stage: Stage, stand_in: StandIn, effort: Effort) -> dict[str, Any]:
    """Measure sign-ins with few and with many persons in PostgreSQL, who all come."""
    production = stage.production()
    subjects = []
    before = {}
    for count in effort.sizes:
        stores = production.stores(f"persons_{count}")
        growth.fill(stage, stores, count, stand_in.issuer)
        before[stores.name] = growth.persons(stores)
        broker = stage.broker(stores, stand_in)
        load = Load(plan=_signing_in(judge(broker)), users=effort.users)
        subjects.append(Subject(name=stores.name, broker=broker, load=load, before=_with(stand_in, persons=count)))
    rounds = (effort.rounds + 1) // 2
    measured = alternate(subjects, stage.cores, rounds=rounds, seconds=effort.seconds, warm_up=2 * effort.warm_up)
    added = [subject.name for subject in subjects if growth.persons(subject.broker.stores) != before[subject.name]]
    if added:
        raise RuntimeError(f"persons came whom the store did not know: {added}")
    figures = {name: result.figures() for name, result in measured.items()}
    totals = {name: sum(cpu["median"] for cpu in each["cpu_ms"].values()) for name, each in figures.items()}
    first = totals[subjects[0].name]
    return {**figures, "cpu_ratio_to_smallest": {name: round(total / first, 3) for name, total in totals.items()}}


def far_away(stage: Stage, stores: Stores, stand_in: StandIn, effort: Effort) -> dict[str, Any]:
    """Measure with a stand-in whose every answer takes a tenth of a second."""
    brokers = {f"threads_{count}": stage.broker(stores, stand_in, threads=count) for count in LATENCY_THREADS}
    subjects = [
        Subject(
            name=name,
            broker=broker,
            load=Load(plan=_signing_in(judge(broker)), users=LATENCY_USERS),
            before=_with(stand_in, latency=LATENCY),
        )
        for name, broker in brokers.items()
    ]
    rounds, seconds = max(1, effort.rounds // 2), max(2.0, effort.seconds)
    measured = alternate(subjects, stage.cores, rounds=rounds, seconds=seconds, warm_up=effort.warm_up)
    calm(stand_in)
    memories = {name: resident(broker) for name, broker in brokers.items()}
    return {name: {**result.figures(), "memory_mib": memories[name]} for name, result in measured.items()}


def starts(stage: Stage, stores: Sequence[Stores], effort: Effort) -> dict[str, Any]:
    """Measure cold starts of the real `idbroker serve`: the first, which makes tables and keys, and later ones."""
    found: dict[str, Any] = {}
    for each in stores:
        first, *later = (stage.cold_start(each) for _ in range(1 + effort.starts))
        found[each.name] = {"first_seconds": round(first, 3), "seconds": spread(later)}
    return found


def self_check(brokers: Sequence[Broker], stand_in: StandIn) -> dict[str, Any]:
    """See that nothing wrong would count: a signature by another key, here or at the broker. RuntimeError if so."""
    found: dict[str, Any] = {}
    for broker in brokers:
        keys = _keys(broker)
        blind = Judge(ISSUER, PORTAL, foreign(keys), every=1)
        ours = asyncio.run(_trials(broker, blind))
        stand_in.behave(Behaviour(corrupt=True))
        theirs = asyncio.run(_trials(broker, Judge(ISSUER, PORTAL, keys, every=1)))
        calm(stand_in)
        good = asyncio.run(_trials(broker, Judge(ISSUER, PORTAL, keys, every=1)))
        if ours or theirs or good != _TRIALS:
            raise RuntimeError(f"{broker.stores.name}: foreign key {ours}, broken upstream {theirs}, good {good}")
        found[broker.stores.name] = {"accepted_foreign_key": ours, "accepted_broken_upstream": theirs, "good": good}
    return found


async def _trials(broker: Broker, judged: Judge) -> int:
    """Return how many of some twenty sign-ins, one after another, counted."""
    outcome = Outcome()
    async with users(1, broker.ports) as crowd:
        for _ in range(_TRIALS):
            await outcome.note(crowd[0], _signing_in(judged), 0.0)
    return len(outcome.took)


def judge(broker: Broker) -> Judge:
    """Return a judge who knows the broker's keys."""
    return Judge(ISSUER, PORTAL, _keys(broker))


def _keys(broker: Broker) -> dict[str, Any]:
    return keys_of(asyncio.run(once(document("jwks", "/jwks.json"), broker.ports)))


def calm(stand_in: StandIn) -> None:
    """Let it be quick, with a thousand persons."""
    stand_in.behave(Behaviour())


def resident(broker: Broker) -> dict[str, Any]:
    """Return the memory of each worker and of the process that watches over them."""
    workers = [machine.memory(pid) for pid in broker.workers]
    parent = machine.memory(broker.pid)
    return {
        "worker_rss": round(max(worker.rss for worker in workers), 1),
        "worker_pss": round(max(worker.pss for worker in workers), 1),
        "parent_rss": round(parent.rss, 1),
        "parent_pss": round(parent.pss, 1),
    }


def with_session(judged: Judge) -> Plan:
    """Return visits by browsers that are signed on: each signs in once by the eID, then by its session."""
    idle: list[Browser] = []

    def visit() -> Generator[Call, Answer, Any]:
        browser = idle.pop() if idle else None
        if browser is None:
            browser = Browser()
            yield from sign_in(judged, browser, with_eid=True)
        result = yield from sign_in(judged, browser)
        idle.append(browser)
        return result

    return visit


def _signing_in(judged: Judge) -> Plan:
    return lambda: sign_in(judged)


def _with(stand_in: StandIn, **behaviour: Any) -> Callable[[], None]:
    return lambda: stand_in.behave(Behaviour(**behaviour))


def _tokens(broker: Broker, scopes: str) -> Iterator[Mapping[str, Any]]:
    """Return the tokens of some sign-ins, for ever, so that users do not all wait for one record."""
    judged = judge(broker)
    return cycle([asyncio.run(once(sign_in(judged, scopes=scopes), broker.ports)).tokens for _ in range(16)])


def _refresh(broker: Broker) -> Plan:
    held = _tokens(broker, f"{SCOPES} offline_access")
    return lambda: token({"grant_type": "refresh_token", "refresh_token": next(held)["refresh_token"]})


def _userinfo(broker: Broker) -> Plan:
    held = _tokens(broker, SCOPES)
    return lambda: look_up(next(held)["access_token"])


_ALONE: Mapping[str, Callable[[Broker], Plan]] = {
    "refresh": _refresh,
    "userinfo": _userinfo,
    "jwks": lambda _: lambda: document("jwks", "/jwks.json"),
    "discovery": lambda _: lambda: document("discovery", DISCOVERY),
}
