"""A thousand people who wait for BankID, on two workers: what looking after their orders costs, and how long they wait.

Orders that somebody has opened in an app stay three minutes, whether a browser asks or not: pure upkeep
is measured with these. Orders that nobody has opened are begun anew each half minute, as long as their
page asks.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from bench import machine
from bench.crowd import Crowd, Patient
from bench.judge import Judge
from bench.run import judge, resident
from bench.stage import Broker, SimulatedBankID, Stage

WORKERS = 2
_SETTLES = 5.0  # seconds until what was begun has been looked at, and written down
_USERS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How much is measured: people at once, approvals among them, seconds of each window, users who fill the cores."""

    people: int = 1000
    approvals: int = 200
    seconds: float = 20.0
    crowd: int = 96


def waiting(stage: Stage, effort: Waiting) -> dict[str, Any]:
    """Measure it all, one after another, on one broker."""
    simulated = stage.bankid()
    broker = stage.bankid_broker(stage.production().stores("waiting"), simulated, workers=WORKERS)
    return asyncio.run(_Measured(broker, simulated, effort).all(judge(broker)))


class _Measured:
    def __init__(self, broker: Broker, simulated: SimulatedBankID, effort: Waiting) -> None:
        self._broker, self._simulated, self._effort = broker, simulated, effort
        self._crowd = Crowd(broker=broker, simulated=simulated)
        self._api = urlsplit(simulated.call("")["address"]).port or 0

    async def all(self, judged: Judge) -> dict[str, Any]:
        """Go from one to the next; each begins when nobody waits any more."""
        found: dict[str, Any] = {"people": self._effort.people, "workers": WORKERS}
        await self._crowd.sign_ins(judged, users=_USERS, seconds=3)
        # Only now: before, one worker may have been alone, and every kept connection would be its.
        self._crowd.close()
        await self._crowd.proxy.open()
        found["memory_mib_nobody"] = resident(self._broker)
        found["nobody"] = await self._window(min(5.0, self._effort.seconds))
        found |= await self._opened(judged)
        found |= await self._showing()
        for name, users in (("sign_ins", _USERS), ("sign_ins_crowded", self._effort.crowd)):
            found[name] = await self._signing_in(judged, users)
        found["costs"] = _costs(found)
        found["failures"] = dict(self._crowd.failures.most_common(5))
        self._crowd.close()
        return found

    # ---- with the app open -----------------------------------------------------------------------

    async def _opened(self, judged: Judge) -> dict[str, Any]:
        """Measure upkeep without browsers, then with, then approvals: within the three minutes that orders have."""
        began = time.monotonic()
        came, _ = await self._crowd.gather(self._effort.people, scan=True)
        found: dict[str, Any] = {"begin_seconds": round(time.monotonic() - began, 1)}
        await asyncio.sleep(_SETTLES)
        found["upkeep"] = await self._window(self._effort.seconds)
        found["memory_mib_waiting"] = resident(self._broker)
        step = 1 / max(1, len(came))
        tasks = [self._crowd.asking(patient, after=number * step) for number, patient in enumerate(came)]
        await asyncio.sleep(3)
        found["asking"] = await self._window(self._effort.seconds)
        every = slice(None, None, max(1, len(came) // self._effort.approvals))
        found["approvals"] = await self._approvals(judged, came[every], tasks[every])
        await self._end(tasks)
        return found

    async def _approvals(
        self, judged: Judge, chosen: Sequence[Patient], tasks: Sequence[asyncio.Task[None]]
    ) -> dict[str, Any]:
        async def load() -> None:
            await self._crowd.approve(chosen, seconds=self._effort.seconds)
            await asyncio.wait(tasks, timeout=15)

        window = await self._window(0, load)
        # Every tenth code is redeemed: what the browser was given counts only if it is one.
        for each in chosen[::10]:
            await self._crowd.proxy.go(each.wish.redeemed(judged, each.there))
        waits = [each.done - each.approved for each in chosen if each.done is not None and each.approved is not None]
        return {**window, "asked": len(chosen), "from_approval_to_code_s": _percentiles(waits)}

    # ---- with a code on the page -----------------------------------------------------------------

    async def _showing(self) -> dict[str, Any]:
        """Measure pages that show their code and ask each second: long enough for every order to be begun anew."""
        _, tasks = await self._crowd.gather(self._effort.people, scan=False, ask=True)
        await asyncio.sleep(2)
        found = await self._window(max(30.0, self._effort.seconds))
        await self._end(tasks)
        return {"showing_codes": found}

    # ---- sign-ins --------------------------------------------------------------------------------

    async def _signing_in(self, judged: Judge, users: int) -> dict[str, Any]:
        took: list[float] = []

        async def load() -> None:
            took.extend(await self._crowd.sign_ins(judged, users=users, seconds=self._effort.seconds))

        window = await self._window(0, load)
        cpu = window["cpu_percent"]
        cost = {who: round(10 * percent * window["seconds"] / max(1, len(took)), 2) for who, percent in cpu.items()}
        return {
            **window,
            "users": users,
            "sign_ins": len(took),
            "per_second": round(len(took) / window["seconds"], 2),
            "cpu_ms_per_sign_in": cost,
            "took_s": _percentiles(took),
        }

    # ---- windows ---------------------------------------------------------------------------------

    async def _window(self, seconds: float, load: Callable[[], Awaitable[None]] | None = None) -> dict[str, Any]:
        """Return what everybody did for so long, or for as long as a load takes."""
        cores = sorted(os.sched_getaffinity(self._broker.pid))
        signature = await asyncio.to_thread(machine.yardstick)
        callers = self._callers()
        began, before, busy = time.monotonic(), self._cpu(), machine.busy_seconds(cores)
        await (load() if load is not None else asyncio.sleep(seconds))
        took = time.monotonic() - began
        cpu = {who: value - before[who] for who, value in self._cpu().items()}
        others = machine.busy_seconds(cores) - busy - sum(cpu.values())
        cpu["workers"] = sum(value for who, value in cpu.items() if who.startswith("worker_"))
        percent = {who: round(100 * value / took, 1) for who, value in sorted(cpu.items())}
        return {
            "seconds": round(took, 2),
            "cpu_percent": percent,
            "used_by_others_percent": round(100 * max(0.0, others) / took, 1),
            "es256_signature_us": round(signature, 1),
            "upstream": await self._upstream(began, callers),
            "questions": self._questions(began, took),
        }

    def _cpu(self) -> dict[str, float]:
        workers = {f"worker_{number}": pid for number, pid in enumerate(self._broker.workers, 1)}
        others = {**self._broker.stores.processes, "bankid": self._simulated.pid}
        found = {who: machine.cpu_seconds([pid]) for who, pid in (workers | others).items()}
        return {**found, "browsers": time.process_time()}

    def _callers(self) -> dict[int, int]:
        return machine.callers(self._broker.workers, self._api)

    async def _upstream(self, since: float, callers: Mapping[int, int]) -> dict[str, Any]:
        """Return what the simulator was asked: looks per second, pauses, orders of each worker."""
        workers = {str(port): pid for port, pid in {**callers, **self._callers()}.items()}
        told = {"since": since, "workers": workers}
        looked: dict[str, Any] = await asyncio.to_thread(self._simulated.call, "/looks", told)
        seconds = looked.pop("seconds")
        rates = {f"{name}_per_second": round(looked.pop(name) / seconds, 1) for name in ("looks", "begun")}
        return {**rates, **looked}

    def _questions(self, since: float, seconds: float) -> dict[str, Any] | None:
        took = [length for at, length in self._crowd.questions if since <= at < since + seconds]
        if not took:
            return None
        return {"per_second": round(len(took) / seconds, 1), "took_s": _percentiles(took)}

    async def _end(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Stop asking, cancel what waits, and wait until no order is looked at any more."""
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(self._simulated.call, "/cancel")
        for _ in range(20):
            since = time.monotonic()
            await asyncio.sleep(3)
            if not (await self._upstream(since, {}))["orders"]:
                return
        raise RuntimeError("orders are looked at after their end")


def _costs(found: Mapping[str, Any]) -> dict[str, float]:
    """Return milliseconds of the workers' CPU for each look, and each question beside the looks."""

    def used(name: str) -> float:  # milliseconds a second
        return float(found[name]["cpu_percent"]["workers"]) * 10

    def often(name: str) -> float:
        return float(found[name]["questions"]["per_second"])

    look = used("upkeep") / found["upkeep"]["upstream"]["looks_per_second"]
    looks = {name: look * found[name]["upstream"]["looks_per_second"] for name in ("asking", "showing_codes")}
    plain = (used("asking") - looks["asking"]) / often("asking")
    drawn = (used("showing_codes") - looks["showing_codes"]) / often("showing_codes")
    costs = {
        "ms_per_look": look,
        "ms_per_question_when_opened": plain,
        "ms_per_question_with_code_and_renewals": drawn,
        "share_of_code_and_renewals": 1 - plain / drawn,
    }
    return {name: round(cost, 3) for name, cost in costs.items()}


def _percentiles(values: Sequence[float]) -> Mapping[str, float]:
    if len(values) < 2:
        return {"count": len(values)}
    hundredths = statistics.quantiles(values, n=100, method="inclusive")
    found = {"median": hundredths[49], "p95": hundredths[94], "p99": hundredths[98], "worst": max(values)}
    return {"count": len(values), **{name: round(value, 3) for name, value in found.items()}}
