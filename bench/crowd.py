"""Very many people who wait for BankID: their browsers behind one proxy, and their phones."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from bench.bankid import CONTROL
from bench.driver import LOOPBACK, Line, octets_of
from bench.judge import Judge, Wrong
from bench.patient import Page, ask, begin, go_on
from bench.stage import Broker, SimulatedBankID
from bench.upstream import DISCOVERY
from bench.visit import ISSUER, Answer, Browser, Call, Wish

CONNECTIONS = 64  # what a proxy keeps to one upstream
PAUSE = 1.0  # seconds between an answer and the script's next question (web/static/wait.js)
_AT_ONCE = 12
_FAULTS = (Wrong, OSError, KeyError, ValueError)


class Proxy:
    """Kept connections to one port, shared by all: as with a proxy, any of them may carry the next request.

    So the worker that is asked for news is as often as not the one that does not watch the order.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[Line] = []
        self._draw = random.Random(1)  # noqa: S311 - which connection is no secret

    async def send(self, octets: bytes) -> Answer:
        """Send a request on some idle connection, a new one if there is none."""
        line = self._lent()
        if line is None:
            _, line = await asyncio.get_running_loop().create_connection(Line, LOOPBACK, self._port)
        try:
            answer = await line.send(octets)
        except BaseException:
            line.close()  # its answer may still come, and is nobody else's
            raise
        self._idle.append(line)
        return answer

    async def open(self) -> None:
        """Open a proxy's connections, one by one and with a request on each: so they are not all one worker's."""
        lines = []
        for _ in range(CONNECTIONS):
            _, line = await asyncio.get_running_loop().create_connection(Line, LOOPBACK, self._port)
            await line.send(octets_of(Call(step="open", to=ISSUER, target=DISCOVERY)))
            lines.append(line)
        self._idle.extend(lines)

    def _lent(self) -> Line | None:
        while self._idle:
            place = self._draw.randrange(len(self._idle))
            self._idle[place], self._idle[-1] = self._idle[-1], self._idle[place]
            line = self._idle.pop()
            if not line.closed:
                return line
        return None

    async def go(self, way: Generator[Call, Answer, Any]) -> Any:
        """Go a browser's way through the requests it makes."""
        try:
            call = next(way)
            while True:
                call = way.send(await self.send(octets_of(call)))
        except StopIteration as end:
            return end.value

    def close(self) -> None:
        """Close all connections that are idle."""
        for line in self._idle:
            line.close()


@dataclass(kw_only=True)
class Patient:
    """One person at one page. Moments are seconds of the monotonic clock, which the simulator shares."""

    address: str
    browser: Browser
    wish: Wish
    page: Page | None = None
    approved: float | None = None
    done: float | None = None
    there: str = field(default="", repr=False)

    @property
    def at(self) -> Page:
        """Return the page that waits."""
        if self.page is None:
            raise Wrong("nobody waits yet")
        return self.page


@dataclass(kw_only=True)
class Crowd:
    """Everybody, and what they lived through: each question's moment and time, and why things failed."""

    broker: Broker
    simulated: SimulatedBankID
    questions: list[tuple[float, float]] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    _numbers: Any = field(default_factory=count)

    def __post_init__(self) -> None:
        """Open nothing yet."""
        self.proxy, self._phones = Proxy(self.broker.port), Proxy(self.simulated.port)

    def close(self) -> None:
        """Close the connections."""
        self.proxy.close()
        self._phones.close()

    # ---- one person ------------------------------------------------------------------------------

    async def come(self) -> Patient:
        """Let somebody come from the portal, each from an address of their own: orders of one address are limited."""
        number = next(self._numbers)
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        patient = Patient(address=address, browser=Browser(address), wish=Wish())
        patient.page = await self.proxy.go(begin(patient.browser, patient.wish))
        return patient

    async def phone(self, what: str, addresses: Iterable[str]) -> dict[str, float]:
        """Let phones scan or approve; return when each did, and nothing of those that could not."""
        call = Call(
            step=what,
            to=f"http://{LOOPBACK}:{self.simulated.port}",
            target=f"{CONTROL}/{what}",
            method="POST",
            body=json.dumps({"from": list(addresses)}).encode(),
        )
        answer = await self._phones.send(octets_of(call))
        done: dict[str, float] = json.loads(answer.body)["done"]
        return done

    async def wait(self, patient: Patient, *, pause: float = PAUSE) -> None:
        """Ask again and again until the page may go on, and go on. Raises Wrong when it leads elsewhere."""
        while True:
            began = time.monotonic()
            news = await self.proxy.go(ask(patient.browser, patient.at))
            self.questions.append((began, time.monotonic() - began))
            if news.get("go"):
                patient.there = await self.proxy.go(go_on(patient.browser, patient.at, patient.wish))
                patient.done = time.monotonic()
                return
            if "to" in news:
                raise Wrong(f"question: to {news['to']}")
            await asyncio.sleep(pause)

    async def sign_in(self, judge: Judge) -> None:
        """Let somebody come, scan and approve at once, and be signed in. Raises Wrong."""
        patient = await self.come()
        waiting = asyncio.ensure_future(self.wait(patient))
        try:
            for what in ("scan", "approve"):
                if patient.address not in await self.phone(what, [patient.address]):
                    raise Wrong(f"{what}: the phone could not")
            await waiting
        finally:
            waiting.cancel()
        await self.proxy.go(patient.wish.redeemed(judge, patient.there))

    # ---- many --------------------------------------------------------------------------------------

    async def gather(self, number: int, *, scan: bool, ask: bool = False) -> tuple[list[Patient], list[Any]]:
        """Let so many come, a dozen at a time; each scans and has the app open, or asks from the first moment on.

        Return them, and the tasks that ask.
        """
        came, tasks, left = list[Patient](), list[Any](), iter(range(number))

        async def comes() -> None:
            for _ in left:
                patient = await self.come()
                came.append(patient)
                if scan and patient.address not in await self.phone("scan", [patient.address]):
                    raise Wrong("scan: the phone could not")
                if ask:
                    tasks.append(self.asking(patient))

        await asyncio.gather(*(comes() for _ in range(_AT_ONCE)))
        return came, tasks

    def asking(self, patient: Patient, *, after: float = 0.0) -> asyncio.Task[None]:
        """Have somebody's page ask from now on, for as long as nothing happens."""

        async def live() -> None:
            await asyncio.sleep(after)
            try:
                await self.wait(patient)
            except _FAULTS as error:
                self.failures[f"{type(error).__name__}: {error}"] += 1

        return asyncio.get_running_loop().create_task(live())

    async def approve(self, patients: Sequence[Patient], *, seconds: float) -> None:
        """Let them approve, one after another, at chance moments spread over so many seconds."""
        draw = random.Random(2)  # noqa: S311 - who approves when is no secret
        began = time.monotonic()

        async def approves(patient: Patient, at: float) -> None:
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            patient.approved = (await self.phone("approve", [patient.address])).get(patient.address)

        await asyncio.gather(*(approves(each, began + draw.uniform(0, seconds)) for each in patients))

    async def sign_ins(self, judge: Judge, *, users: int, seconds: float) -> list[float]:
        """Let so many users sign in again and again; return how long each sign-in took."""
        took, ends = list[float](), time.monotonic() + seconds

        async def live() -> None:
            while (began := time.monotonic()) < ends:
                try:
                    await self.sign_in(judge)
                    took.append(time.monotonic() - began)
                except _FAULTS as error:
                    self.failures[f"{type(error).__name__}: {error}"] += 1

        await asyncio.gather(*(live() for _ in range(users)))
        return took
