"""Measurements: loads in alternating rounds, and what they cost whom."""

from __future__ import annotations

import asyncio
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench import machine
from bench.driver import Outcome, Plan, closed_loop, open_loop
from bench.stage import Broker


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is done to a broker: visits by so many users at once, or so many a second."""

    plan: Plan
    users: int = 8
    rate: float | None = None

    async def run(self, broker: Broker, seconds: float) -> Outcome:
        """Do it for so long."""
        if self.rate is not None:
            return await open_loop(self.plan, broker.ports, rate=self.rate, seconds=seconds)
        return await closed_loop(self.plan, broker.ports, count=self.users, seconds=seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round: the outcome, and processor seconds by whose they are. `strangers` is everybody else's share.

    `signature` is how many microseconds one bare ES256 signature took on the broker's core just before.
    """

    outcome: Outcome
    cpu: Mapping[str, float]
    strangers: float
    signature: float

    def cost(self, who: str) -> float:
        """Return processor milliseconds per good visit."""
        return 1000 * self.cpu[who] / max(1, len(self.outcome.took))


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One broker under one load."""

    name: str
    broker: Broker
    load: Load
    before: Callable[[], None] = lambda: None


@dataclass(kw_only=True)
class Result:
    """All rounds of one subject."""

    rounds: list[Round] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """Return the medians, each with its smallest and largest, and every failure."""
        outcomes = [each.outcome for each in self.rounds]
        failures = sum((outcome.failures for outcome in outcomes), Counter[str]())
        steps = {name for outcome in outcomes for name in outcome.steps}
        return {
            "visits": sum(len(outcome.took) for outcome in outcomes),
            "failed": sum(failures.values()),
            "failures": dict(failures.most_common(5)),
            "per_second": spread([outcome.rate for outcome in outcomes]),
            "cpu_ms": {who: spread([each.cost(who) for each in self.rounds]) for who in self.rounds[0].cpu},
            "es256_signature_us": spread([each.signature for each in self.rounds]),
            "broker_cpu_in_signatures": spread([1000 * each.cost("broker") / each.signature for each in self.rounds]),
            "p50_ms": spread([outcome.percentile(50) for outcome in outcomes]),
            "p90_ms": spread([outcome.percentile(90) for outcome in outcomes]),
            "p99_ms": spread([outcome.percentile(99) for outcome in outcomes]),
            "step_p50_ms": {
                name: round(1000 * statistics.median([t for o in outcomes for t in o.steps.get(name, ())]), 2)
                for name in sorted(steps)
            },
            "broker_core_used_by_others": spread([each.strangers for each in self.rounds]),
        }


def alternate(
    subjects: Sequence[Subject], cores: machine.Cores, *, rounds: int, seconds: float, warm_up: float = 1.0
) -> dict[str, Result]:
    """Measure all in turns, so that a machine that gets slower does so for everybody."""
    results = {subject.name: Result() for subject in subjects}
    for subject in subjects:
        subject.before()
        asyncio.run(subject.load.run(subject.broker, warm_up))
    for _ in range(rounds):
        for subject in subjects:
            subject.before()
            results[subject.name].rounds.append(_round(subject, cores, seconds))
    return results


def _round(subject: Subject, cores: machine.Cores, seconds: float) -> Round:
    watched = {"broker": subject.broker.pid, **subject.broker.stores.processes}
    signature = machine.yardstick(cores.broker)
    busy = machine.busy_seconds(cores.broker)
    before = {who: machine.cpu_seconds([pid]) for who, pid in watched.items()}
    outcome = asyncio.run(subject.load.run(subject.broker, seconds))
    cpu = {who: machine.cpu_seconds([pid]) - before[who] for who, pid in watched.items()}
    others = machine.busy_seconds(cores.broker) - busy - cpu["broker"]
    return Round(outcome=outcome, cpu=cpu, strangers=max(0.0, others) / seconds, signature=signature)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median with the smallest and the largest."""
    return {
        "median": round(statistics.median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
    }


def hundredths(values: Iterable[float]) -> dict[str, float]:
    """Return how many there are, the median, and what 95 and 99 of a hundred are at most."""
    ordered = sorted(values)
    if len(ordered) < 2:
        return {"count": len(ordered)}
    cuts = statistics.quantiles(ordered, n=100, method="inclusive")
    return {"count": len(ordered), **{f"p{percent}": round(cuts[percent - 1], 2) for percent in (50, 95, 99)}}
