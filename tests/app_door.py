"""The broker as one or more workers over one store, with the simulated BankID and Freja behind mutual TLS.

Time is one clock that stands: the lookouts, the eIDs and the SQLite store go by it, so that nothing
is asked, nothing lapses and no lock runs out until a test moves it.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from wsgiref.types import WSGIApplication

import requests

from idbroker import config
from idbroker.app import House, make_site, open_house
from idbroker.clock import StoppedClock
from idbroker.keeping import SealedTransient, Shelf
from idbroker.keyfiles import KeyFiles
from idbroker.keyring import ensure_keys
from idbroker.lookout import Lookout
from idbroker.sandbox.orders import Order, Phone
from idbroker.store import TransientStore
from idbroker.transaction import Transaction
from idbroker.web.front import make_web
from idbroker.web.site import Site
from tests.app_eids import APP, PACE, Eids, Wire, eventually, pause
from tests.conftest import NOW
from tests.door import CALLBACK, CLIENT, Browser, answer_of, words_of
from tests.sandbox.loopback import serve

COMPUTER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/150.0 Safari/537.36"
PHONE = "Mozilla/5.0 (Linux; Android 16; Pixel 9) AppleWebKit/537.36 Chrome/150.0 Mobile Safari/537.36"
SERVICE = "Vårdportalen"
PACES = {"bankid": timedelta(seconds=2), "freja": timedelta(seconds=2.5)}
HOME, ELSEWHERE = "192.0.2.10", "198.51.100.20"


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
        """Tell whether all that was due has been done, and every order watched is in line again, or it is closed."""
        lookout = self.lookout
        with lookout._change:
            if lookout._closed:
                return True
            later = [order for at, _, order in lookout._line if at > self.house.clock.now().timestamp()]
            return len(later) == lookout.watched and all(lane.empty() for lane in lookout._lanes.values())

    def wake(self) -> None:
        """Have it look at the clock now, and not at its next tick."""
        with self.lookout._change:
            self.lookout._change.notify_all()


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
        made.session.headers.update({"User-Agent": agent, "Clientaddress": ip})
        return made

    def visit(self, eid: str = "bankid", browser: Browser | None = None, *, do: str = "", **asked: str) -> Visit:
        """Return a page that waits, in a browser that came from the portal; `do` is pressed there at once."""
        browser = browser or self.browser()
        page = browser.press(browser.authorize(**asked), provider=eid)
        return Visit(apps=self, browser=browser, page=browser.press(page, do=do) if do else page, eid=eid)

    def go(self, by: timedelta) -> None:
        """Let so much time go by, and all be done that was due."""
        self.clock.move(by)
        for worker in self.workers:
            worker.wake()
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
        """Ask for news while time goes by, a pace at a time, until they say this; return them.

        No pace goes by before all that was due in the last has been done: else, on a slow machine, an order that
        somebody else is to answer would lapse meanwhile.
        """
        for _ in range(40):
            news = self.news(worker)
            if said.items() <= news.items():
                return news
            self.apps.go(PACE)
        raise AssertionError(f"it never came: {said}")

    def looked(self) -> None:
        """Ask for news, and let the eID be asked once."""
        self.news()
        self.apps.go(PACES[self.eid])

    def ended(self) -> str:
        """See that the page leads to the choice, from where everything works; return what is said there."""
        assert self.news() == {"to": "choose"}
        choice = self.browser.get(self.page.url)
        words = words_of(choice)
        assert choice.url.endswith("/choose")
        assert f"Cancel and go back to {SERVICE}" in words
        assert [f'value="{eid}"' in choice.text for eid in PACES] == [True, True]
        return words

    def signs_in(self) -> bool:
        """Go on from the choice, with everything well again; tell whether the portal got a code."""
        self.apps.eids.faults.clear()
        self.apps.go(timedelta(minutes=1))
        again = replace(self, page=self.browser.press(self.browser.get(f"/t/{self.name}/choose"), provider=self.eid))
        again.scan("samir")
        again.looked()
        return was_answered(again.press())

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

    def wait(seconds: float) -> None:
        clock.move(timedelta(seconds=seconds))
        pause(0.004)

    waits = replace(site.waits, pause=wait)
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
                "portal": {**CLIENT, "name": SERVICE, "clinic": "malmo", **changed.get("portal", {})},
            },
        }
    )
