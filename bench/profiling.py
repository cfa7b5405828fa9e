"""Where the time goes: the whole journey in one process, step by step, first plain and then under a profiler."""

from __future__ import annotations

import cProfile
import importlib
import io
import os
import pstats
import socket
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from wsgiref.types import WSGIEnvironment

import click
from flask import Flask

from bench import growth, machine, run
from bench.app import prepare
from bench.driver import octets_of, parse
from bench.judge import Judge, keys_of
from bench.stage import Stage
from bench.visit import ISSUER, PORTAL, Answer, Call, document, sign_in
from idbroker.app import make_site, open_house
from idbroker.web.front import make_web

# What is timed whole, by what it is for; some hold others.
PARTS = {
    "in all: Flask.dispatch_request, our code": "flask.app:Flask.dispatch_request",
    "Redis round trips": "idbroker.store.redis_lines:DirectLines.call",
    "SQLite round trips": "idbroker.store.sqlite_transient:SqliteTransient._run",
    "durable: person and event": "idbroker.store.durable:Durable.signed_in",
    "upstream HTTP calls": "idbroker.providers._http:_KeptSession.request",
    "upstream HTTP, of it urllib3": "urllib3.poolmanager:PoolManager.urlopen",
    "upstream HTTP, of it parsing headers": "http.client:parse_headers",
    "Authlib: authorization URL": "authlib.oauth2.client:OAuth2Client.create_authorization_url",
    "Authlib: fetch_token with its HTTP call": "authlib.oauth2.client:OAuth2Client.fetch_token",
    "Authlib: making the client": "idbroker.providers._oidc.flow:OpenIdClient._client",
    "verify the upstream's ID token": "idbroker.providers._oidc.keys:KeyCache.verified",
    "sign our ID token": "idbroker.oidc.jose:sign",
    "values to JSON": "idbroker.codec:Codec.pack",
    "JSON to values": "idbroker.codec:Codec.unpack",
    "sealing": "idbroker.keeping:SealedTransient._seal",
    "opening": "idbroker.keeping:SealedTransient._open",
    "page": "idbroker.web.pages:Pages.choose",
    "delivering": "idbroker.web.screens:Screens.deliver",
    "keys: has the set changed?": "idbroker.keyring:Keyring._current",
    "audit event": "idbroker.store.events:insert_event",
    "Response.get_wsgi_response": "werkzeug.wrappers.response:Response.get_wsgi_response",
}
STEPS = ("authorize", "choose", "choose_post", "callback", "token", "userinfo")
_WARM = 40

Timer = Callable[[str], Any]


class InProcess:
    """Answers the calls to the broker by calling its application, the others over the wire."""

    def __init__(self, app: Flask, timer: Timer) -> None:
        self._app, self._timer = app, timer

    def go(self, visit: Generator[Call, Answer, Any]) -> Any:
        """Go a visit's whole way."""
        try:
            call = next(visit)
            while True:
                call = visit.send(self._broker(call) if call.to == ISSUER else _elsewhere(call))
        except StopIteration as end:
            return end.value

    def _broker(self, call: Call) -> Answer:
        environ, started = _environ(call), list[Any]()

        def start(status: str, headers: list[tuple[str, str]], _error: Any = None) -> Callable[[bytes], object]:
            started.append((status, headers))
            return lambda _: None

        with self._timer(call.step):
            body = self._app.wsgi_app(environ, start)
            octets = b"".join(body)
            if hasattr(body, "close"):
                body.close()
        status, headers = started[0]
        named = tuple((name.lower(), value) for name, value in headers)
        return Answer(status=int(status[:3]), headers=named, body=octets)


def _environ(call: Call) -> WSGIEnvironment:
    path, _, query = call.target.partition("?")
    headers = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in call.headers.items()}
    return {
        "REQUEST_METHOD": call.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": call.to.partition("://")[2],
        "CONTENT_TYPE": headers.pop("HTTP_CONTENT_TYPE", ""),
        "CONTENT_LENGTH": str(len(call.body)) if call.body else "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(call.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **headers,
    }


def _elsewhere(call: Call) -> Answer:
    """Send a call to the stand-in, on a new connection: it is not what is measured."""
    parts = urlsplit(call.to)
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=5) as sock:
        sock.sendall(octets_of(call))
        octets = b""
        while (found := parse(octets)) is None:
            octets += sock.recv(65536)
        return found


class Plain:
    """Notes the processor and wall time of each step in this thread, in seconds."""

    def __init__(self) -> None:
        self.cpu: dict[str, list[float]] = defaultdict(list)
        self.wall: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        """Time a step."""
        cpu, wall = time.thread_time(), time.perf_counter()
        yield
        self.cpu[step].append(time.thread_time() - cpu)
        self.wall[step].append(time.perf_counter() - wall)


class Parts:
    """Times some functions whole, in the step they are called in, in seconds; `wrap` once, before the first call."""

    def __init__(self) -> None:
        self.cpu: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        self.calls: dict[str, int] = defaultdict(int)
        self._step = ""

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        """Note the step."""
        self._step = step
        yield
        self._step = ""

    def wrap(self, parts: Mapping[str, str] = PARTS) -> None:
        """Put a stopwatch around every part that this version has."""
        for name, path in parts.items():
            module, _, attributes = path.partition(":")
            *outer, last = attributes.split(".")
            owner: Any = importlib.import_module(module)
            for attribute in outer:
                owner = getattr(owner, attribute, None)
            inner = getattr(owner, last, None)
            if inner is not None:
                setattr(owner, last, self._timed(name, inner))

    def _timed(self, name: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.thread_time()
            try:
                return inner(*arguments, **named)
            finally:
                if self._step:
                    self.cpu[name][self._step] += time.thread_time() - began
                    self.calls[name] += 1

        return timed


class Profiled:
    """Profiles each step by itself."""

    def __init__(self) -> None:
        self.profiles: dict[str, cProfile.Profile] = {}

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        """Profile a step."""
        profile = self.profiles.setdefault(step, cProfile.Profile(time.thread_time))
        profile.enable()
        yield
        profile.disable()


@click.command()
@click.option("--store", type=click.Choice(["sqlite", "production"]), default="production", show_default=True)
@click.option("--visits", default=300, show_default=True, help="Sign-ins, once plain and once profiled.")
@click.option("--top", default=15, show_default=True, help="Functions to show per step.")
def profile(store: str, visits: int, top: int) -> None:
    """Show where the microseconds of a sign-in go, by step, by package and by function."""
    with tempfile.TemporaryDirectory(prefix="idbroker-bench-") as folder, Stage(Path(folder)) as stage:
        stores, stand_in = run.stores_of(stage, [store])[0], stage.stand_in()
        path = stage.configure("profile", stores, port=1, mitid=stand_in.issuer, threads=32)
        settings = prepare(path)
        growth.introduce(stage, stores, run.KNOWN, stand_in.issuer)
        app = make_web(make_site(open_house(settings, path.parent, sandbox=True)))
        os.sched_setaffinity(0, stage.cores.broker)
        plain, profiled = Plain(), Profiled()
        judge = Judge(ISSUER, PORTAL, keys_of(InProcess(app, Plain()).go(document("jwks", "/jwks.json"))))
        parts = Parts()
        for timer, count in ((Plain(), _WARM), (plain, visits), (profiled, visits), (parts, visits)):
            if timer is parts:
                parts.wrap()
            for _ in range(count):
                InProcess(app, timer).go(sign_in(judge))
        signature = machine.yardstick()
    for line in (*_told_parts(parts, visits), *_told(plain, profiled.profiles, visits, top)):
        click.echo(line)
    click.echo(f"one bare ES256 signature: {signature:.1f} us")


def _told_parts(parts: Parts, visits: int) -> Iterator[str]:
    yield f"{'us of CPU per sign-in, by part':42} {'calls':>6} {'all':>6} " + " ".join(f"{s[:9]:>9}" for s in STEPS)
    for name, by_step in parts.cpu.items():
        cells = [1e6 * by_step.get(step, 0.0) / visits for step in STEPS]
        row = " ".join(f"{cell:9.0f}" for cell in cells)
        yield f"{name:42} {parts.calls[name] / visits:6.1f} {sum(cells):6.0f} {row}"
    yield ""


def _told(plain: Plain, profiles: Mapping[str, cProfile.Profile], visits: int, top: int) -> Iterator[str]:
    cpu = {step: 1e6 * statistics.mean(plain.cpu[step]) for step in STEPS}
    yield "step          cpu us   wall us (median)"
    for step in STEPS:
        yield f"{step:12} {cpu[step]:7.0f}  {1e6 * statistics.median(plain.wall[step]):8.0f}"
    yield f"{'all':12} {sum(cpu.values()):7.0f}   (without the server: sockets, HTTP, thread hand-over)"
    shares: dict[str, float] = defaultdict(float)
    for step in STEPS:
        stats = functions(profiles[step])
        total = sum(own for own, _, _ in stats.values()) or 1.0
        # The profiler makes calls dear: its shares are scaled to what the step costs without it.
        scale = cpu[step] / total
        yield f"\n{step}: by function, us of {cpu[step]:.0f} (own, with all it calls, calls per visit)"
        for name, (own, whole, calls) in sorted(stats.items(), key=lambda item: -item[1][0])[:top]:
            yield f"  {own * scale:7.1f} {whole * scale:8.1f} {calls / visits:7.1f}  {name}"
        yield f"{step}: by function, with all it calls"
        for name, (own, whole, calls) in sorted(stats.items(), key=lambda item: -item[1][1])[: 2 * top]:
            yield f"  {own * scale:7.1f} {whole * scale:8.1f} {calls / visits:7.1f}  {name}"
        for name, (own, _, _) in stats.items():
            shares[_package(name)] += own * scale
    yield "\nall steps by package, us"
    for name, share in sorted(shares.items(), key=lambda item: -item[1])[:25]:
        yield f"  {share:7.1f}  {name}"


def functions(profile: cProfile.Profile) -> dict[str, tuple[float, float, int]]:
    """Return own time, whole time and calls by function; what is written in C counts for itself."""
    stats: Any = pstats.Stats(profile)
    found: dict[str, tuple[float, float, int]] = {}
    for (file, line, function), (_, calls, own, whole, _callers) in stats.stats.items():
        name = function if file == "~" else f"{_short(file)}:{line} {function}"
        earlier = found.get(name, (0.0, 0.0, 0))
        found[name] = (earlier[0] + own, earlier[1] + whole, earlier[2] + calls)
    return found


def _short(file: str) -> str:
    _, found, rest = file.rpartition("site-packages/")
    if found:
        return rest
    if "/idbroker/" in file:
        return "idbroker/" + file.rpartition("/idbroker/")[2]
    return "python/" + file.rpartition("/python3.")[2].partition("/")[2] if "/python3." in file else file


def _package(name: str) -> str:
    first = name.partition("/")[0] if "/" in name.partition(" ")[0] else "C"
    return "/".join(name.split("/")[:2]).partition(":")[0] if first in ("idbroker", "python") else first
