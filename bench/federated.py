"""Whole sign-ins and logouts through suomi.fi: the real broker before the simulated suomi.fi, in one process.

Only what the broker's application does is counted: processor time of the thread that answers, and what
that thread asks of the stores. The server, the simulator and the browser are left out.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import requests
from sqlalchemy import event
from sqlalchemy.engine import Engine

from bench import machine
from bench.measure import spread
from bench.stage import Stage, Stores
from idbroker import config
from idbroker.app import House, make_site, open_house
from idbroker.clock import SystemClock
from idbroker.identity import LoA
from idbroker.providers import Asked, Described
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.people import cast
from idbroker.sandbox.suomifi import LIES, SimSuomiFi, make_suomifi
from idbroker.store.redis_lines import DirectLines
from idbroker.store.sqlite_transient import SqliteTransient
from idbroker.web.front import make_web
from tests.door import CLIENT, SECRET, VERIFIER
from tests.saml_door import Ear, SamlBrowser
from tests.sandbox.loopback import serve

SERVICES = ("first", "second", "third")
_WARM = 3
_WHO = re.compile("/t/.*")  # a transaction's own address
_BACK = CLIENT["post_logout_redirect_uris"][0]


class Meter:
    """Counts what answering costs: by path, and store calls by kind."""

    def __init__(self) -> None:
        self.cpu: dict[str, float] = defaultdict(float)
        self.calls: Counter[str] = Counter()
        self.trips: Counter[str] = Counter()
        self._answering = threading.local()

    def around(self, app: WSGIApplication) -> WSGIApplication:
        """Return an application, metered."""

        def metered(environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
            began, self._answering.now = time.thread_time(), True
            try:
                return [b"".join(app(environ, start))]
            finally:
                self._answering.now = False
                path = f"{environ['REQUEST_METHOD']} {_WHO.sub('/t/...', environ['PATH_INFO'])}"
                self.cpu[path] += time.thread_time() - began
                self.calls[path] += 1

        return metered

    def trip(self, kind: str) -> None:
        """Count a call to a store that somebody waits for."""
        if getattr(self._answering, "now", False):
            self.trips[kind] += 1

    def clear(self) -> None:
        """Begin anew."""
        self.cpu.clear()
        self.calls.clear()
        self.trips.clear()

    def total(self) -> float:
        """Return all processor milliseconds."""
        return 1000 * sum(self.cpu.values())

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count every call to the stores: commands to Redis, statements in SQL."""
        with ExitStack() as undo:
            for owner, name in ((DirectLines, "call"), (SqliteTransient, "_run")):
                self._wrap(owner, name, undo)
            event.listen(Engine, "before_cursor_execute", self._statement)
            undo.callback(event.remove, Engine, "before_cursor_execute", self._statement)
            yield

    def _wrap(self, owner: Any, name: str, undo: ExitStack) -> None:
        inner = getattr(owner, name)

        def counted(*arguments: Any, **named: Any) -> Any:
            self.trip("transient")
            return inner(*arguments, **named)

        setattr(owner, name, counted)
        undo.callback(setattr, owner, name, inner)

    def _statement(self, *_: object) -> None:
        self.trip("durable")


@dataclass(kw_only=True)
class Portals(Ear):
    """The services' servers; notes when each was told."""

    told: list[float] = field(default_factory=list)

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
        """Take a logout token."""
        self.told.append(time.perf_counter())
        return super().__call__(environ, start)


class Walker(SamlBrowser):
    """Stops at the first answer where it is asked to, and goes on later."""

    def go_on(self, page: requests.Response) -> requests.Response:
        """Go on from an answer to the end."""
        return self._follow(page)


@dataclass(frozen=True, kw_only=True)
class Hall:
    """What the visits go through."""

    issuer: str
    house: House
    meter: Meter
    portals: Portals

    def redeemed(self, code: str, client: str) -> Mapping[str, Any]:
        """Redeem a code and look the person up, as a portal does."""
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CLIENT["redirect_uris"][0],
            "code_verifier": VERIFIER,
        }
        answer = requests.post(f"{self.issuer}/token", data=fields, auth=(client, SECRET), timeout=10)
        tokens: dict[str, Any] = answer.json()
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        if requests.get(f"{self.issuer}/userinfo", headers=bearer, timeout=10).status_code != 200:
            raise RuntimeError("a sign-in that does not count")
        return tokens

    def sign_in(self, browser: SamlBrowser, client: str) -> Mapping[str, Any]:
        """Sign a person in at a service: by suomi.fi, or by the session that is there."""
        return self.redeemed(browser.sign_in_by("suomifi", "tessa", client_id=client)["code"], client)


def visits(stage: Stage, stores: Stores, *, count: int) -> dict[str, Any]:
    """Measure sign-ins, logouts with three services, and what the provider does by itself."""
    folder = stage.folder / f"suomifi-{stores.name}"
    folder.mkdir()
    with opened(folder, stores) as hall, hall.meter.watching():
        for _ in range(_WARM):
            _logout(hall)
        return {
            "sign_in": _sign_ins(hall, count),
            "logout": _logouts(hall, max(5, count // 3)),
            "provider_cpu_ms": _provider(hall, count),
            "es256_signature_us": round(machine.yardstick(), 1),
        }


def _sign_ins(hall: Hall, count: int) -> dict[str, Any]:
    costs, trips = [], Counter[str]()
    by_path: dict[str, float] = defaultdict(float)
    for _ in range(count):
        hall.meter.clear()
        hall.sign_in(SamlBrowser(issuer=hall.issuer, language="fi"), SERVICES[0])
        costs.append(hall.meter.total())
        trips += hall.meter.trips
        for path, seconds in hall.meter.cpu.items():
            by_path[path] += 1000 * seconds / count
    return {
        "visits": count,
        "cpu_ms": spread(costs),
        "cpu_ms_by_step": {path: round(cost, 2) for path, cost in by_path.items()},
        "store_calls": {kind: round(number / count, 1) for kind, number in trips.items()},
    }


def _logouts(hall: Hall, count: int) -> dict[str, Any]:
    found = [_logout(hall) for _ in range(count)]
    return {
        "services": len(SERVICES),
        "visits": count,
        "until_answered_ms": spread([each["answered"] for each in found]),
        "until_all_are_told_ms": spread([each["told"] for each in found]),
        "cpu_ms": spread([each["cpu"] for each in found]),
        "store_calls_until_answered": found[-1]["first"],
        "store_calls": found[-1]["trips"],
    }


def _logout(hall: Hall) -> dict[str, Any]:
    """Sign in at three services, log out at one, and go on through suomi.fi to the end."""
    browser = Walker(issuer=hall.issuer, language="fi")
    tokens = [hall.sign_in(browser, client) for client in SERVICES]
    hall.portals.heard.clear()
    hall.portals.told.clear()
    hall.meter.clear()
    asked = {"id_token_hint": tokens[0]["id_token"], "post_logout_redirect_uri": _BACK}
    began = time.perf_counter()
    first = browser.fetch(f"/logout?{urlencode(asked)}")
    answered, trips = time.perf_counter(), dict(hall.meter.trips)
    page = browser.go_on(first)
    if page.status_code == 200:
        page = browser.press(page)  # suomi.fi asks whether to leave all services
    if not page.headers.get("Location", "").startswith(_BACK) or len(hall.portals.wait_for(3)) != len(SERVICES):
        raise RuntimeError(f"a logout that did not come to its end: {page.url}, HTTP {page.status_code}")
    return {
        "answered": 1000 * (answered - began),
        "told": 1000 * (max(hall.portals.told) - began),
        "cpu": hall.meter.total(),
        "first": trips,
        "trips": dict(hall.meter.trips),
    }


def _provider(hall: Hall, count: int) -> dict[str, Any]:
    """Return what a signed request costs, and our metadata when it has been made before."""
    provider: Any = hall.house.providers["suomifi"]
    now = SystemClock().now()
    asked = Asked(
        transaction="t1",
        handle="h1",
        return_url=f"{hall.issuer}/callback/suomifi",
        loa=LoA.SUBSTANTIAL,
        language="fi",
        service="Portal",
        now=now,
        want_number=True,
    )
    acts: dict[str, Callable[[], object]] = {
        "begin: a signed request": lambda: provider.begin(asked),
        "our metadata, again": lambda: provider.metadata(now),
    }
    return costs(acts, rounds=5, count=count)


def costs(acts: Mapping[str, Callable[[], object]], rounds: int, count: int = 30) -> dict[str, Any]:
    """Return the processor milliseconds of each act, done in turns."""
    took: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds + 1):
        for name, act in acts.items():
            began = time.thread_time()
            for _ in range(count):
                act()
            # The first round is there to warm up.
            took[name] += [1000 * (time.thread_time() - began) / count] * bool(number)
    return {name: spread(each) for name, each in took.items()}


@contextmanager
def opened(folder: Path, stores: Stores) -> Iterator[Hall]:
    """Open the broker on these stores between the simulated suomi.fi and three services."""
    clock, meter, portals, built = SystemClock(), Meter(), Portals(), list[House]()
    made: list[SimSuomiFi] = []

    def finland(address: str) -> WSGIApplication:
        (folder / "suomifi").mkdir()
        faults, people = Faults({"suomifi": LIES}), cast(clock.now().date())
        made.append(make_suomifi(people, clock, faults, address, described, folder=folder / "suomifi"))
        return made[0].app

    def described() -> dict[str, bytes]:
        provider = built[0].providers["suomifi"]
        assert isinstance(provider, Described)
        return {f"{built[0].settings.server.issuer}/metadata/suomifi": provider.metadata(clock.now())}

    def broker(address: str) -> WSGIApplication:
        house = open_house(_settings(address, made[0], portals.address, stores), folder, clock=clock, sandbox=True)
        house.durable.migrate()
        built.append(house)
        return meter.around(make_web(make_site(house)))

    with ExitStack() as stack:
        stack.enter_context(serve(finland))
        portals.address = stack.enter_context(serve(lambda _: portals))
        issuer = stack.enter_context(serve(broker))
        stack.callback(built[0].close)
        yield Hall(issuer=issuer, house=built[0], meter=meter, portals=portals)


def _settings(issuer: str, finland: SimSuomiFi, portals: str, stores: Stores) -> config.Settings:
    clients = {
        name: {**CLIENT, "name": name, "clinic": "bench", "backchannel_logout_uri": f"{portals}/{name}"}
        for name in SERVICES
    }
    suomifi = {
        "environment": "test",
        "idp": finland.entity_id,
        "metadata_url": finland.metadata_url,
        "metadata_signer_file": str(finland.signer_certificate),
    }
    clinic = {"name": "Bench", "country": "FI", "providers": ["suomifi"], "phone": "+358 10 000 0000"}
    return config.read(
        {
            "server": {"issuer": issuer, "workers": 1},
            "store": {"transient": stores.transient, "durable": stores.durable},
            "providers": {"suomifi": suomifi},
            "clinics": {"bench": clinic},
            "clients": clients,
        }
    )
