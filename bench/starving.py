"""Whether passwords hold up eIDs: MitID's sign-ins at a steady rate, while a hundred people type passwords.

Half of what they type is right, half is wrong for a number that nobody tried before, so that all of it is hashed;
each comes from an address of their own. How they come is the window's name:

- `alone`: nobody types a password.
- `at_once`: all hundred in the same moment, and again once all have been answered and two seconds are over.
- `people`: a hundred who each try again two seconds after they were answered, as the page asks them to.
- `at_once_unhashed`, `people_unhashed`: the same with half a number, which the page refuses: as many requests, and
  nothing to hash. What is above `alone` here comes of the crowd; what is above this comes of the hashes.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench import by_password, machine
from bench.driver import Outcome, User, open_loop, users
from bench.judge import Judge, Wrong
from bench.measure import hundredths, spread
from bench.people import person
from bench.stage import Broker
from bench.visit import Browser, Wish, sign_in

WINDOWS = ("alone", "at_once", "at_once_unhashed", "people", "people_unhashed")
ATTEMPTS = 100
RATE = 20.0
SECONDS = 4.0
_PAUSE = 2.0
_UNTRIED = 700_000  # from this person on nobody has tried a password
Typed = Iterator[dict[str, str]]
_UNFINISHED: Typed = itertools.repeat({"number": "12", "password": "en helt anden adgangskode"})


@dataclass(kw_only=True)
class Guesser:
    """One of the hundred: at the page that asks for number and password."""

    user: User
    browser: Browser
    there: str = ""
    nonce: str = ""

    async def get_ready(self) -> None:
        """Go from the portal to the page."""
        self.there = await self.user.go(by_password.to_password(self.browser, Wish()), {})
        await self.look()

    async def look(self) -> None:
        """Load the page."""
        self.nonce, _ = await self.user.go(by_password.page(self.browser, "password", self.there), {})

    async def guess(self, typed: dict[str, str], steps: dict[str, list[float]]) -> str:
        """Type a password; return what came of it."""
        found: tuple[str, str]
        found = await self.user.go(by_password.try_password(self.browser, self.there, self.nonce, typed), steps)
        verdict, self.nonce = found
        return verdict


@dataclass(kw_only=True)
class Came:
    """What came of one kind of window."""

    eids: list[Outcome] = field(default_factory=list)
    verdicts: Counter[str] = field(default_factory=Counter)
    steps: dict[str, list[float]] = field(default_factory=dict)
    hashing: list[float] = field(default_factory=list)
    broker: list[float] = field(default_factory=list)
    strangers: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """Return the figures: the eID's over all windows, and of each window."""
        took = sorted(1000 * each for outcome in self.eids for each in outcome.took)
        failures = sum((outcome.failures for outcome in self.eids), Counter[str]())
        typed = [1000 * each for each in self.steps.get("password_post", ())]
        return {
            "eid_sign_ins": len(took),
            "eid_failures": dict(failures),
            "eid_ms": hundredths(took),
            "eid_p99_ms_by_window": spread([outcome.percentile(99) for outcome in self.eids]),
            "attempts": dict(sorted(self.verdicts.items())),
            "attempt_ms": hundredths(typed),
            "core_used_by_hashing": spread(self.hashing),
            "core_used_by_broker": spread(self.broker),
            "core_used_by_others": spread(self.strangers),
        }


class Starving:
    """Measures it on one broker."""

    def __init__(
        self, broker: Broker, judged: Judge, cores: machine.Cores, crowd: by_password.Newcomers, known: int
    ) -> None:
        self._broker, self._judged, self._cores, self._crowd = broker, judged, cores, crowd
        self._typed = _typed(known)

    def all(self, rounds: int) -> dict[str, Any]:
        """Measure every window in turns."""
        came = {name: Came() for name in WINDOWS}
        for _ in range(rounds):
            for name, each in came.items():
                asyncio.run(self._window(name, each))
        found = {name: each.figures() for name, each in came.items()}
        alone = found["alone"]["eid_ms"]["p99"]
        return {
            "attempts_at_once": ATTEMPTS,
            "eids_per_second": RATE,
            **found,
            "eid_p99_to_alone": {name: round(each["eid_ms"]["p99"] / alone, 2) for name, each in found.items()},
            "eid_p99_to_unhashed": {
                name: round(found[name]["eid_ms"]["p99"] / found[f"{name}_unhashed"]["eid_ms"]["p99"], 2)
                for name in ("at_once", "people")
            },
        }

    async def _window(self, name: str, came: Came) -> None:
        async with users(ATTEMPTS, self._broker.ports) as crowd:
            guessers = [Guesser(user=user, browser=self._crowd.browser()) for user in crowd]
            if name != "alone":
                for first in range(0, ATTEMPTS, 8):
                    await asyncio.gather(*(each.get_ready() for each in guessers[first : first + 8]))
            until = time.perf_counter() + SECONDS
            before = self._cpu()
            crowding = [asyncio.create_task(each) for each in self._crowding(name, guessers, came, until)]
            came.eids.append(
                await open_loop(lambda: sign_in(self._judged), self._broker.ports, rate=RATE, seconds=SECONDS)
            )
            took = SECONDS + time.perf_counter() - until
            hashing, broker, busy = (now - then for now, then in zip(self._cpu(), before, strict=True))
            await asyncio.gather(*crowding)
        came.hashing.append(hashing / took)
        came.broker.append((broker - hashing) / took)
        came.strangers.append(max(0.0, busy - broker) / took)

    def _cpu(self) -> tuple[float, float, float]:
        pid, core = self._broker.pid, self._cores.broker
        return machine.hashing_seconds([pid]), machine.cpu_seconds([pid]), machine.busy_seconds(core)

    # ---- how they come ---------------------------------------------------------------------------

    def _crowding(
        self, name: str, guessers: Sequence[Guesser], came: Came, until: float
    ) -> list[Coroutine[Any, Any, None]]:
        typed = _UNFINISHED if name.endswith("_unhashed") else self._typed
        if name == "alone":
            return []
        if name.startswith("at_once"):
            return [self._all_at_once(guessers, came, typed, until)]
        return [self._again(each, came, typed, until) for each in guessers]

    async def _all_at_once(self, guessers: Sequence[Guesser], came: Came, typed: Typed, until: float) -> None:
        while time.perf_counter() < until:
            next_time = time.perf_counter() + _PAUSE
            await asyncio.gather(*(self._guess(each, came, typed) for each in guessers))
            await asyncio.sleep(max(0.0, next_time - time.perf_counter()))

    async def _again(self, guesser: Guesser, came: Came, typed: Typed, until: float) -> None:
        while time.perf_counter() < until:
            await self._guess(guesser, came, typed)
            await asyncio.sleep(_PAUSE)

    async def _guess(self, guesser: Guesser, came: Came, typed: Typed) -> None:
        try:
            if not guesser.nonce:  # the last was right: a new sign-in begins
                await guesser.get_ready()
            came.verdicts[await guesser.guess(next(typed), came.steps)] += 1
        except (Wrong, OSError) as error:
            came.verdicts[f"{type(error).__name__}: {error}"] += 1


def _typed(known: int) -> Typed:
    """Give what is typed: what is right, and what is wrong, in turns."""
    for index in itertools.count():
        yield {"number": by_password.member(index % known).number, "password": by_password.PASSWORD}
        yield {"number": person(_UNTRIED + index).number, "password": "en helt anden adgangskode"}
