"""The broker as one or more workers over one store, with the simulated BankID and Freja behind mutual TLS.

Time is one clock that stands: the lookouts, the eIDs and the SQLite store go by it, so that nothing
is asked, nothing lapses and no lock runs out until a test moves it.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import functools
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urljoin
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import requests
from werkzeug.test import run_wsgi_app

from idbroker import config
from idbroker.app import House, make_site, open_house
from idbroker.clock import StoppedClock
from idbroker.keeping import SealedTransient, Shelf
from idbroker.keyfiles import KeyFiles
from idbroker.keyring import ensure_keys
from idbroker.lookout import Lookout
from idbroker.sandbox.bankid import LIES as BANKID_LIES
from idbroker.sandbox.bankid import SimBankID, make_bankid
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.freja import LIES as FREJA_LIES
from idbroker.sandbox.freja import SimFreja, make_freja
from idbroker.sandbox.orders import Order, Phone
from idbroker.sandbox.people import SimPerson, cast
from idbroker.store import TransientStore
from idbroker.transaction import Transaction
from idbroker.web.front import make_web
from idbroker.web.site import Site
from tests.conftest import NOW
from tests.door import CALLBACK, CLIENT, Browser, answer_of
from tests.sandbox.bankid_loopback import serve_bankid
from tests.sandbox.freja_rp import serve_freja
from tests.sandbox.loopback import serve

COMPUTER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/150.0 Safari/537.36"
PHONE = "Mozilla/5.0 (Linux; Android 16; Pixel 9) AppleWebKit/537.36 Chrome/150.0 Mobile Safari/537.36"
HOME, ELSEWHERE = "192.0.2.10", "198.51.100.20"
PACE = timedelta(seconds=2.5)  # Freja's; BankID's is two seconds
APP = "http://127.0.0.1:1"  # nobody listens: what opens an app leaves the broker
PATIENCE = 20.0
_PAUSE = threading.Event()

Found = TypeVar("Found")
Act = Callable[[str, bytes], bytes | None]


def eventually(
    ask: Callable[[], Found | None], clock: StoppedClock | None = None, *, patience: float = PATIENCE
) -> Found:
    """Ask until the answer is true, for a while; with a clock, time goes by meanwhile: a pace every quarter second."""
    began = moved = time.monotonic()
    while True:
        found = ask()
        if found is not None and found is not False:
            return found
        now = time.monotonic()
        assert now - began < patience, "it never came"
        if clock is not None and (moved == began or now - moved > 0.25):
            clock.move(PACE)
            moved = now
        _PAUSE.wait(0.01)


@dataclass
class Wire:
    """Between us and one eID: remembers the calls, and lets a test act, or another answer go, before one leaves."""

    app: WSGIApplication
    calls: list[tuple[str, str]] = field(default_factory=list)
    act: Act | None = None

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
        """Answer one request (WSGI)."""
        call = str(environ["PATH_INFO"]).rpartition("/")[2]
        self.calls.append((call, _reference(environ["wsgi.input"].getvalue())))
        chunks, status, headers = run_wsgi_app(self.app, environ, buffered=True)
        content = b"".join(chunks)
        other = self.act(call, content) if self.act is not None else None
        headers.remove("Content-Length")
        start(status, list(headers))
        return [content if other is None else other]

    def count(self, call: str, reference: str = "") -> int:
        """Return how often something was called, for one order or for any."""
        return sum(1 for name, about in list(self.calls) if name == call and reference in ("", about))


def _reference(body: bytes) -> str:
    """Return which order a call is about, by its reference at the eID."""
    text = body if body.startswith(b"{") else base64.b64decode(next(iter(parse_qs(body.decode()).values()))[0])
    said = json.loads(text)
    return str(said.get("orderRef", said.get("authRef", "")))


@dataclass(frozen=True, kw_only=True)
class Eids:
    """Both simulators, served; by name: phones, addresses, and the wires to them."""

    clock: StoppedClock
    faults: Faults
    people: Mapping[str, SimPerson]
    bankid: SimBankID
    freja: SimFreja
    addresses: Mapping[str, str]
    wires: Mapping[str, Wire]

    @property
    def phones(self) -> Mapping[str, Phone]:
        """Return everybody's apps."""
        return {"bankid": self.bankid.phone, "freja": self.freja.phone}

    def heal(self) -> None:
        """End every fault and every order, for the next test."""
        self.faults.clear()
        for wire in self.wires.values():
            wire.act = None
        self.clock.move(timedelta(hours=1))
        assert [order for phone in self.phones.values() for order in phone.waiting()] == []


@contextmanager
def open_eids(folder: Path, clock: StoppedClock) -> Iterator[Eids]:
    """Serve both simulators."""
    faults, people = Faults({"bankid": BANKID_LIES, "freja": FREJA_LIES}), cast(clock.now().date())
    bankid = make_bankid(people, clock, faults, app_link=f"{APP}/bankid", folder=folder / "bankid")
    freja = make_freja(people, clock, faults, app_link=f"{APP}/freja", folder=folder / "freja")
    wires = {"bankid": Wire(bankid.app), "freja": Wire(freja.app)}
    with (
        serve_bankid(replace(bankid, app=wires["bankid"])) as bankid_address,
        serve_freja(replace(freja, app=wires["freja"])) as freja_address,
    ):
        yield Eids(
            clock=clock,
            faults=faults,
            people={person.id: person for person in people},
            bankid=bankid,
            freja=freja,
            addresses={"bankid": bankid_address, "freja": freja_address},
            wires=wires,
        )


@dataclass(frozen=True, kw_only=True)
class Worker:
    """One process's worth of the broker: everything its own but the stores' content."""

    address: str
    house: House
    site: Site

    @property
    def lookout(self) -> Lookout:
        """Return who asks the eIDs here."""
        return self.site.waits.lookout

    @property
    def idle(self) -> bool:
        """Tell whether all that was due has been done, and every order watched is in line again."""
        lookout = self.lookout
        with lookout._change:
            later = [order for at, _, order in lookout._line if at > self.house.clock.now().timestamp()]
            return len(later) == lookout.watched and lookout._work.empty()


@dataclass(frozen=True, kw_only=True)
class Apps:
    """What the tests go through: the workers, the first of which is the issuer, and the eIDs."""

    eids: Eids
    workers: tuple[Worker, ...]

    @property
    def clock(self) -> StoppedClock:
        """Return the one clock."""
        return self.eids.clock

    @property
    def issuer(self) -> str:
        """Return our address."""
        return self.workers[0].address

    def browser(self, ip: str = HOME, agent: str = COMPUTER, language: str = "en") -> Browser:
        """Return a new browser, at an address of its own."""
        made = Browser(issuer=self.issuer, language=language)
        made.session.headers.update({"User-Agent": agent, "X-Forwarded-For": ip})
        return made

    def visit(self, eid: str = "bankid", browser: Browser | None = None, *, do: str = "", **asked: str) -> Visit:
        """Return a page that waits, in a browser that came from the portal; `do` is pressed there at once."""
        browser = browser or self.browser()
        page = browser.press(browser.authorize(**asked), provider=eid)
        return Visit(apps=self, browser=browser, page=browser.press(page, do=do) if do else page, eid=eid)

    def go(self, by: timedelta) -> None:
        """Let so much time go by, and all be done that was due."""
        self.clock.move(by)
        eventually(lambda: all(worker.idle for worker in self.workers))

    def kept(self, name: str) -> Transaction:
        """Return a transaction as it lies in the store."""
        found = self.workers[0].site.broker.transactions.get(name)
        assert found is not None
        return found.value

    def events(self, name: str) -> list[str]:
        """Return what happened in a transaction, oldest first, each with its code or reason."""
        events = self.workers[0].house.durable.events.since(self.clock.now() - timedelta(days=1))
        mine = [event for event in events if event.transaction == name]
        return [" ".join([e.kind, e.detail.get("reason", e.detail.get("code", ""))]).strip() for e in mine]


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One page that waits, in one browser."""

    apps: Apps
    browser: Browser
    page: requests.Response = field(repr=False)
    eid: str = "bankid"

    @property
    def name(self) -> str:
        """Return the transaction's id."""
        return self.page.url.split("/")[4]

    @property
    def phone(self) -> Phone:
        """Return the apps of this eID."""
        return self.apps.eids.phones[self.eid]

    @property
    def wire(self) -> Wire:
        """Return the wire to this eID."""
        return self.apps.eids.wires[self.eid]

    @property
    def reference(self) -> str:
        """Return the present order's reference at the eID."""
        state = json.loads(self.apps.kept(self.name).provider_state)
        return str(state.get("order", state.get("reference")))

    def ask(self, path: str = "wait.json", worker: int = 0) -> requests.Response:
        """Ask for something beside the page, of one of the workers."""
        return self.browser.fetch(urljoin(self.apps.workers[worker].address, f"/t/{self.name}/{path}"))

    def news(self, worker: int = 0) -> dict[str, Any]:
        """Ask for news as the page's script does."""
        return dict(self.ask(worker=worker).json())

    def until(self, *, worker: int = 0, **said: object) -> dict[str, Any]:
        """Ask for news while time goes by, until they say this; return them."""

        def told() -> dict[str, Any] | None:
            news = self.news(worker)
            return news if said.items() <= news.items() else None

        return eventually(told, self.apps.clock)

    def until_proved(self) -> None:
        """Let time go by, without a word from the browser, until the proof lies in the store."""
        eventually(lambda: _is_proved(self.apps.kept(self.name)), self.apps.clock)

    def press(self, do: str = "check") -> requests.Response:
        """Press a button of the page as it was loaded."""
        return self.browser.press(self.page, do=do)

    def code(self) -> str:
        """Return what the QR code on the page says now."""
        waits = self.apps.workers[0].site.waits
        return waits.code(self.apps.kept(self.name)) or ""

    def link(self) -> str:
        """Return the address that the page's link into the app has for scripts."""
        return str(self.news()["link"])

    def scan(self, person: str = "bjorn", outcome: str = "approve", ip: str = ELSEWHERE) -> Order:
        """Read the page's code with somebody's phone and do what they do; return the order."""
        order = self.phone.scan(self.code())
        self.phone.act(order.id, self.apps.eids.people[person], outcome, ip=ip)
        return order

    def follow(self, link: str = "", person: str = "bjorn", outcome: str = "approve", ip: str = HOME) -> str | None:
        """Open the app by the page's link, on a device at an address; return where it leads back to."""
        order = self.phone.follow(link or self.link())
        return self.phone.act(order.id, self.apps.eids.people[person], outcome, ip=ip)

    def waiting(self) -> list[Order]:
        """Return the orders that wait at this eID."""
        return list(self.phone.waiting())


def _is_proved(transaction: Transaction) -> bool:
    return transaction.wait is not None and transaction.wait.proof is not None


def was_answered(response: requests.Response) -> bool:
    """Tell whether a response leads to the portal with a code."""
    location = response.headers.get("Location", "")
    return location.startswith(CALLBACK) and "code" in answer_of(response)


@contextmanager
def open_apps(
    folder: Path,
    eids: Eids,
    *,
    workers: int = 1,
    store: Mapping[str, str] | None = None,
    watched: Callable[[TransientStore], Any] | None = None,
    **changed: Mapping[str, Any],
) -> Iterator[Apps]:
    """Serve the workers. `changed` are more settings of a provider by its name; `watched` is put before the store."""
    shutil.copytree(_keys(), folder / "keys", dirs_exist_ok=True)
    made: list[Worker] = []
    with contextlib.ExitStack() as afterwards:
        for _ in range(workers):

            def web(address: str) -> WSGIApplication:
                issuer = made[0].address if made else address
                settings = _settings(issuer, eids, store or {}, changed)
                opened = open_house(settings, folder, clock=eids.clock, sandbox=True)
                house = _by_the_clock(opened, eids.clock, watched or _unwatched)
                afterwards.callback(house.close)
                house.durable.migrate()
                site = _patient(make_site(house), eids.clock)
                made.append(Worker(address=address, house=house, site=site))
                return make_web(site)

            afterwards.enter_context(serve(web))
        yield Apps(eids=eids, workers=tuple(made))


def _unwatched(store: TransientStore) -> TransientStore:
    return store


@functools.cache
def _keys() -> Path:
    """Return a folder of the sandbox's keys, made once: making them takes longer than most tests."""
    folder = Path(tempfile.mkdtemp(prefix="idbroker-keys-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    ensure_keys(KeyFiles(folder), StoppedClock(NOW), sandbox=True)
    return folder


def _by_the_clock(house: House, clock: StoppedClock, watched: Callable[[TransientStore], Any]) -> House:
    """Return the house with a lookout that knows no time but the clock's, and something before its store."""
    store = watched(house.transient)
    sealed = SealedTransient(store, house.keyring.sealing_keys)
    lookout = Lookout(
        Shelf(sealed, "t", Transaction),
        store,
        house.providers,
        clock,
        threads=4,
        now=lambda: clock.now().timestamp(),
    )
    return replace(house, transient=store, sealed=sealed, lookout=lookout)


def _patient(site: Site, clock: StoppedClock) -> Site:
    """Return the site with time going by, by the clock, while a press of a button waits for news."""

    def pause(seconds: float) -> None:
        clock.move(timedelta(seconds=seconds))
        _PAUSE.wait(0.004)

    waits = replace(site.waits, pause=pause)
    waits.lookout.serve(waits)
    return replace(site, waits=waits, broker=replace(site.broker, waits=waits))


def _settings(
    issuer: str, eids: Eids, store: Mapping[str, str], changed: Mapping[str, Mapping[str, Any]]
) -> config.Settings:
    bankid, freja = eids.bankid, eids.freja
    return config.read(
        {
            "server": {"issuer": issuer, "workers": 2, "proxies": 1},
            "store": dict(store),
            "providers": {
                "bankid": {
                    "environment": "test",
                    "address": eids.addresses["bankid"],
                    "app_link": f"{APP}/bankid",
                    "program_link": "bankid:///",
                    "certificate_file": str(bankid.client_certificate),
                    "key_file": str(bankid.client_key),
                    "server_root_file": str(bankid.server_root),
                    "signing_root_files": [str(bankid.signing_root)],
                    **changed.get("bankid", {}),
                },
                "freja": {
                    "environment": "test",
                    "address": eids.addresses["freja"],
                    "app_link": f"{APP}/freja",
                    "certificate_file": str(freja.client_certificate),
                    "key_file": str(freja.client_key),
                    "server_root_file": str(freja.server_root),
                    "jws_certificate_files": [str(path) for path in freja.jws_certificates],
                    "loa_level": True,
                    **changed.get("freja", {}),
                },
            },
            "clinics": {"malmo": {"name": "Malmö vårdcentral", "country": "SE", "providers": ["bankid", "freja"]}},
            "clients": {
                "portal": {**CLIENT, "name": "Vårdportalen", "clinic": "malmo", **changed.get("portal", {})},
            },
        }
    )
