"""Where the microseconds of waiting go: looks at orders, questions of pages, codes, renewals and completions.

One process does it all in one thread: the real broker's parts, with the simulator, Redis and PostgreSQL in
processes of their own. Threads and the server come on top, which `bench --only waiting` has in its figures.
"""

from __future__ import annotations

import cProfile
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from flask import Flask

from bench import machine, run
from bench.app import prepare
from bench.judge import Judge, Wrong, keys_of
from bench.patient import Page, ask, begin, go_on
from bench.profiling import InProcess, Parts, Plain, functions
from bench.stage import SimulatedBankID, Stage
from bench.visit import ISSUER, PORTAL, Answer, Browser, Call, Wish, document
from idbroker.app import make_site, open_house
from idbroker.identity import Identity
from idbroker.lookout import Order
from idbroker.providers import App, Progress, Wait
from idbroker.web import qr
from idbroker.web.front import make_web
from idbroker.web.site import Site

# Stopwatches around what a look is made of, from the outside in; some hold others.
PARTS = {
    "Waits.look": "idbroker.waits:Waits.look",
    "  BankID.resume": "idbroker.providers.bankid:BankID.resume",
    "    order.unpack": "idbroker.providers.bankid:unpack",
    "    Api._post": "idbroker.providers._bankid.api:Api._post",
    "      _KeptSession.request": "idbroker.providers._http:_KeptSession.request",
    "        PreparedRequest.prepare_headers": "requests:PreparedRequest.prepare_headers",
    "        PreparedRequest.prepare_body": "requests:PreparedRequest.prepare_body",
    "        _Bounded.send": "idbroker.providers._http:_Bounded.send",
    "          _kept: is the connection there?": "idbroker.providers._http:_Bounded._kept",
    "          HTTPConnection.request": "http.client:HTTPConnection.request",
    "          getresponse": "idbroker.providers._http:_InOnePiece.getresponse",
    "            sendall (TLS)": "ssl:SSLSocket.sendall",
    "            HTTPResponse.begin": "http.client:HTTPResponse.begin",
    "              parse_headers": "http.client:parse_headers",
    "              recv_into (TLS)": "ssl:SSLSocket.recv_into",
    "          _content": "idbroker.providers._http:_Bounded._content",
    "          _response": "idbroker.providers._http:_response",
    "      _read (JSON)": "idbroker.providers._bankid.api:_read",
    "Waits.learnt": "idbroker.waits:Waits.learnt",
}
_ORDERS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class _Person:
    address: str
    browser: Browser
    wish: Wish
    page: Page


class _Bench:
    """One broker in this process, and its people."""

    def __init__(self, app: Flask, site: Site, simulated: SimulatedBankID) -> None:
        self.site, self.simulated = site, simulated
        self._app, self._next = app, 0
        self.steps = Plain()

    def go(self, way: Generator[Call, Answer, Any]) -> Any:
        """Go a browser's way, timed by step."""
        return InProcess(self._app, self.steps).go(way)

    def come(self, number: int) -> list[_Person]:
        """Let so many begin."""
        came = []
        for _ in range(number):
            self._next += 1
            address = f"10.1.{self._next >> 8}.{self._next & 255}"
            browser, wish = Browser(address), Wish()
            page = self.go(begin(browser, wish))
            came.append(_Person(address=address, browser=browser, wish=wish, page=page))
        return came

    def phones(self, what: str, people: list[_Person]) -> None:
        """Let everybody's phone do something."""
        done = self.simulated.call(what, {"from": [person.address for person in people]})["done"]
        if len(done) != len(people):
            raise Wrong(f"{what}: {len(done)} of {len(people)}")

    def order(self, person: _Person) -> Order:
        """Return somebody's order as the lookout has it."""
        kept = self.site.waits.moves.transactions.get(person.page.address.split("/")[-2])
        app = self.site.broker.providers["bankid"]
        if kept is None or not isinstance(app, App):
            raise Wrong("no order")
        return Order(kept=kept, provider="bankid", app=app, pace=2.0, lock="", checked_at=time.monotonic())

    def look(self, order: Order) -> None:
        """Look at an order once, as the lookout does."""
        found = self.site.waits.look(order)
        order.kept = self.site.waits.learnt(order, found) or order.kept
        if not isinstance(found, Wait | Identity):
            raise found


@click.command()
@click.option("--rounds", default=25, show_default=True, help=f"Looks at each of {_ORDERS} orders.")
@click.option("--top", default=40, show_default=True, help="Functions to show.")
def look(rounds: int, top: int) -> None:
    """Show where the microseconds of waiting for BankID go."""
    with tempfile.TemporaryDirectory(prefix="idbroker-bench-") as folder, Stage(Path(folder)) as stage:
        stores, simulated = run.stores_of(stage, ["production"])[0], stage.bankid()
        path = stage.configure_bankid("look", stores, simulated, port=1)
        settings = prepare(path)
        site = make_site(open_house(settings, path.parent, sandbox=True))
        # Nobody else is to look: what is measured is one thread's work.
        site.waits.lookout.close()
        bench = _Bench(make_web(site), site, simulated)
        os.sched_setaffinity(0, stage.cores.broker)
        for line in (*_pages(bench), *_codes(), *_looks(bench, rounds, top)):
            click.echo(line)
        click.echo(f"one bare ES256 signature: {machine.yardstick():.1f} us")


# ---- pages, renewals, completions ------------------------------------------------------------------


def _pages(bench: _Bench) -> Iterator[str]:
    """Time a whole sign-in by its steps, with the stopwatch off for those that make caches warm."""
    judged = Judge(ISSUER, PORTAL, keys_of(bench.go(document("jwks", "/jwks.json"))))
    _signed_in(bench, judged, {})
    bench.steps = Plain()
    looks: dict[str, list[float]] = {}
    for _ in range(3):
        _signed_in(bench, judged, looks)
    yield "us of CPU, median (mean), of what one person costs, without server and threads"
    for name, seconds in ({**bench.steps.cpu} | looks).items():
        yield f"  {name:34} {_us(statistics.median(seconds))} ({_us(statistics.mean(seconds)).strip()})"
    yield ""


def _signed_in(bench: _Bench, judged: Judge, looks: dict[str, list[float]]) -> None:
    people = bench.come(_ORDERS)
    orders = [bench.order(person) for person in people]
    for person in people:
        bench.go(_named("question, code drawn", ask(person.browser, person.page)))
    _timed(looks, "look, nobody has opened it", bench.look, orders)
    _timed(looks, "renewal (begin anew, write down)", lambda order: _renewed(bench, order), orders)
    orders = [bench.order(person) for person in people]
    bench.phones("/scan", people)
    _timed(looks, "look that learns it is opened", bench.look, orders)
    for person in people:
        bench.go(_named("question, opened", ask(person.browser, person.page)))
    _timed(looks, "look, opened", bench.look, orders)
    bench.phones("/approve", people)
    _timed(looks, "look that proves (signature, OCSP)", bench.look, orders)
    for person in people:
        there = bench.go(go_on(person.browser, person.page, person.wish))
        bench.go(person.wish.redeemed(judged, there))


def _renewed(bench: _Bench, order: Order) -> None:
    wait = Wait(state=order.kept.value.provider_state, progress=Progress.LAPSED)
    bench.site.waits.learnt(order, wait)


def _timed(into: dict[str, list[float]], name: str, act: Callable[[Order], None], orders: list[Order]) -> None:
    for order in orders:
        began = time.thread_time()
        act(order)
        into.setdefault(name, []).append(time.thread_time() - began)


def _named(name: str, way: Generator[Call, Answer, Any]) -> Generator[Call, Answer, Any]:
    """Go a way whose steps have another name."""
    try:
        call = next(way)
        while True:
            renamed = Call(
                step=name, to=call.to, target=call.target, method=call.method, headers=call.headers, body=call.body
            )
            call = way.send((yield renamed))
    except StopIteration as end:
        return end.value


# ---- codes -----------------------------------------------------------------------------------------


def _codes() -> Iterator[str]:
    texts = [f"bankid.67df3917-fa0d-44e5-b327-edcc928297f8.{n}.{n:064x}" for n in range(200)]
    ways: Mapping[str, Callable[[str], object]] = {
        "as SVG path, in JSON": lambda text: json.dumps({"path": qr.drawing(text).path}),
        "as PNG": qr.picture,
    }
    yield "us of CPU of one frame of the code, and its octets"
    for name, draw in ways.items():
        took, size = [], 0
        for text in texts:
            began = time.thread_time()
            drawn = draw(text)
            took.append(time.thread_time() - began)
            size = len(str(drawn)) if isinstance(drawn, str) else len(bytes(drawn))  # type: ignore[call-overload]
        yield f"  {name:34} {_us(statistics.median(took))}   {size} octets"
    yield ""


# ---- looks -----------------------------------------------------------------------------------------


def _looks(bench: _Bench, rounds: int, top: int) -> Iterator[str]:
    """Look at open orders again and again: plain, under the profiler, and with stopwatches."""
    people = bench.come(_ORDERS)
    bench.phones("/scan", people)
    orders = [bench.order(person) for person in people]
    for order in orders * 2:
        bench.look(order)
    count, wall = rounds * len(orders), time.perf_counter()
    plain: dict[str, list[float]] = {}
    _timed(plain, "look", bench.look, orders * rounds)
    cpu, wall = plain["look"], time.perf_counter() - wall
    profile = cProfile.Profile(time.thread_time)
    profile.enable()
    for order in orders * rounds:
        bench.look(order)
    profile.disable()
    yield f"a look: {_us(statistics.median(cpu)).strip()} us of CPU ({1e6 * wall / count:.0f} us until it is answered)"
    yield from _profiled(profile, statistics.mean(cpu) * count, count, top)
    parts = Parts()
    parts.wrap(PARTS)
    with parts("look"):
        for order in orders * rounds:
            bench.look(order)
    yield "\nby stopwatch, us per look (each stopwatch adds about one to what holds it)"
    for name in PARTS:
        yield f"  {name:48} {_us(parts.cpu[name]['look'] / count)}   {parts.calls[name] / count:.1f} calls"
    yield ""


def _profiled(profile: cProfile.Profile, whole: float, count: int, top: int) -> Iterator[str]:
    stats = functions(profile)
    scale = whole / (sum(own for own, _, _ in stats.values()) or 1.0)
    for title, place in (("own", 0), ("with all it calls", 1)):
        yield f"\nby function, {title}: us per look, scaled to what a look costs without the profiler"
        for name, row in sorted(stats.items(), key=lambda item: -item[1][place])[:top]:
            own, all_of_it = (each * scale / count for each in row[:2])
            yield f"  {_us(own)} {_us(all_of_it)} {row[2] / count:6.1f}  {name}"


def _us(seconds: float) -> str:
    return f"{1e6 * seconds:8.1f}"
