"""Virtual users: visits over kept HTTP/1.1 connections, in a closed loop or at a given rate."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from bench.judge import Wrong
from bench.visit import Answer, Call

LOOPBACK = "127.0.0.1"
PATIENCE = 30.0  # seconds after the end that the last visits may take

Plan = Callable[[], Generator[Call, Answer, Any]]


class Line(asyncio.Protocol):
    """One kept connection, for one request at a time."""

    def __init__(self) -> None:
        self._buffer = b""
        self._waiting: asyncio.Future[Answer] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to send."""
        self._transport: Any = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc or ConnectionResetError("closed"))

    def data_received(self, data: bytes) -> None:
        """Give the answer as soon as it is whole."""
        self._buffer += data
        found = parse(self._buffer)
        if found is not None and self._waiting is not None:
            self._buffer = b""
            if not self._waiting.done():  # whoever asked may have gone
                self._waiting.set_result(found)

    @property
    def closed(self) -> bool:
        """Tell whether the other side has gone."""
        return bool(self._transport.is_closing())

    def close(self) -> None:
        """Close it."""
        self._transport.close()

    async def send(self, octets: bytes) -> Answer:
        """Send a request and return its answer."""
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(octets)
        return await self._waiting


def parse(octets: bytes) -> Answer | None:
    """Return the answer when it is whole, else None. Raises Wrong."""
    head, found, body = octets.partition(b"\r\n\r\n")
    if not found:
        return None
    lines = head.decode("latin-1").split("\r\n")
    headers = tuple((n.lower(), v.strip()) for n, _, v in (line.partition(":") for line in lines[1:]))
    length = next((int(value) for name, value in headers if name == "content-length"), None)
    if length is None:
        raise Wrong("an answer without a length")
    if len(body) < length:
        return None
    return Answer(status=int(lines[0].split(" ", 2)[1]), headers=headers, body=body)


def octets_of(call: Call) -> bytes:
    """Return a request as it goes over the wire."""
    host = call.to.partition("://")[2]
    lines = [f"{call.method} {call.target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in call.headers.items()]
    if call.method != "GET":
        lines.append(f"Content-Length: {len(call.body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + call.body


class User:
    """One virtual user: a connection to each host it talks to. `ports` says where hosts listen here."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        self._ports = ports
        self._lines: dict[str, Line] = {}

    async def call(self, call: Call) -> Answer:
        """Send one request."""
        line = self._lines.get(call.to)
        if line is None or line.closed:
            port = self._ports.get(call.to) or int(call.to.rpartition(":")[2])
            _, line = await asyncio.get_running_loop().create_connection(Line, LOOPBACK, port)
            self._lines[call.to] = line
        return await line.send(octets_of(call))

    async def go(self, visit: Generator[Call, Answer, Any], steps: dict[str, list[float]]) -> Any:
        """Go a visit's whole way; note how long each step took, in seconds."""
        try:
            call = next(visit)
            while True:
                began = time.perf_counter()
                answer = await self.call(call)
                steps.setdefault(call.step, []).append(time.perf_counter() - began)
                call = visit.send(answer)
        except StopIteration as end:
            return end.value

    def close(self) -> None:
        """Close all connections."""
        for line in self._lines.values():
            line.close()


@dataclass(kw_only=True)
class Outcome:
    """What came of a load: `seconds` until its last visit ended, how long each took, why others were none."""

    seconds: float = 0.0
    took: list[float] = field(default_factory=list)
    steps: dict[str, list[float]] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Return good visits per second."""
        return len(self.took) / self.seconds if self.seconds else 0.0

    def percentile(self, percent: int) -> float:
        """Return how long a visit took at most for so many of a hundred, in milliseconds."""
        if len(self.took) < 2:
            return 1000 * sum(self.took)
        return 1000 * statistics.quantiles(self.took, n=100, method="inclusive")[percent - 1]

    async def note(self, user: User, plan: Plan, began: float) -> None:
        """Make one visit, counted from when it began or should have."""
        try:
            await user.go(plan(), self.steps)
        except (Wrong, OSError, KeyError, ValueError) as error:
            self.failures[f"{type(error).__name__}: {error}"] += 1
        else:
            self.took.append(time.perf_counter() - began)


@asynccontextmanager
async def users(count: int, ports: Mapping[str, int]) -> AsyncIterator[list[User]]:
    """Give so many users, and close their connections."""
    crowd = [User(ports) for _ in range(count)]
    try:
        yield crowd
    finally:
        for user in crowd:
            user.close()


async def closed_loop(plan: Plan, ports: Mapping[str, int], *, count: int, seconds: float) -> Outcome:
    """Let so many users visit again and again for so long; each waits for its answer first."""
    outcome, began = Outcome(), time.perf_counter()

    async def live(user: User) -> None:
        while (start := time.perf_counter()) < began + seconds:
            await outcome.note(user, plan, start)

    async with users(count, ports) as crowd, asyncio.timeout(seconds + PATIENCE):
        await asyncio.gather(*map(live, crowd))
    outcome.seconds = time.perf_counter() - began
    return outcome


async def open_loop(plan: Plan, ports: Mapping[str, int], *, rate: float, seconds: float) -> Outcome:
    """Let visits begin at a steady rate whether the earlier ones have ended or not.

    A visit is timed from when it should have begun, so that a stall is seen in all that it delays.
    """
    outcome, began, idle = Outcome(), time.perf_counter(), list[User]()

    async def come(at: float, crowd: list[User]) -> None:
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        user = idle.pop() if idle else User(ports)
        if user not in crowd:
            crowd.append(user)
        await outcome.note(user, plan, at)
        idle.append(user)

    async with users(0, ports) as crowd, asyncio.timeout(seconds + PATIENCE):
        moments = itertools.takewhile(lambda at: at < began + seconds, (began + n / rate for n in itertools.count()))
        await asyncio.gather(*(come(at, crowd) for at in moments))
    outcome.seconds = time.perf_counter() - began
    return outcome


async def once(visit: Generator[Call, Answer, Any], ports: Mapping[str, int]) -> Any:
    """Make one visit and return what it returns."""
    async with users(1, ports) as crowd:
        return await crowd[0].go(visit, {})
