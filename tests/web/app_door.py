"""The broker on loopback with the simulated BankID behind it, over mutual TLS, and everybody's phone."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from idbroker import config
from idbroker.app import House, make_site, open_house
from idbroker.clock import Clock
from idbroker.sandbox.bankid import LIES, SimBankID, make_bankid
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.people import SimPerson, cast
from idbroker.waits import Waits
from idbroker.web.front import make_web
from tests.door import CALLBACK, CLIENT, Browser
from tests.sandbox.bankid_loopback import serve_bankid
from tests.sandbox.loopback import serve

APP = "http://127.0.0.1:1/app"  # nobody listens: what opens the app leaves the broker
SERVICE = "Vårdportalen"
PATIENCE = 10.0


@dataclass(frozen=True, kw_only=True)
class AppDoor:
    """What the tests go through: the broker's address, and the phones."""

    issuer: str
    app: str
    house: House
    bankid: SimBankID
    faults: Faults
    people: Mapping[str, SimPerson]
    waits: Waits

    def browser(self, language: str = "en", agent: str = "") -> Browser:
        """Return a new browser; a computer unless its user agent says otherwise."""
        made = Browser(issuer=self.issuer, language=language)
        made.session.headers["User-Agent"] = agent or "Mozilla/5.0 (X11; Linux x86_64) Chrome/150.0"
        return made

    def until(self, browser: Browser, page: requests.Response, key: str, value: object) -> dict[str, Any]:
        """Ask for news as the page's script does until they say this; return them."""
        deadline = time.monotonic() + PATIENCE
        while True:
            news: dict[str, Any] = browser.fetch(f"{page.url}.json").json()
            if news.get(key) == value:
                return news
            assert time.monotonic() < deadline, news
            time.sleep(0.1)  # noqa: TID251 - the lookout asks the simulator at BankID's own pace

    def code(self) -> str:
        """Return what the newest order's code says now."""
        return str(self.bankid.phone.waiting()[0].code)

    def scan(self, text: str, person: str = "bjorn", outcome: str = "approve") -> str | None:
        """Read a code with somebody's phone and do what they do; return where the app leads back to."""
        order = self.bankid.phone.scan(text)
        return self.bankid.phone.act(order.id, self.people[person], outcome)

    def follow(self, link: str, person: str = "bjorn", outcome: str = "approve") -> str | None:
        """Open the app by its link on the same device and do what somebody does."""
        order = self.bankid.phone.follow(link)
        return self.bankid.phone.act(order.id, self.people[person], outcome)


@contextmanager
def open_app_door(folder: Path, clock: Clock, *, callback: str = CALLBACK, app: str = APP) -> Iterator[AppDoor]:
    """Serve the simulator and the broker; `callback` is the portal's, `app` opens the app."""
    faults, people = Faults({"bankid": LIES}), cast(clock.now().date())
    bankid = make_bankid(people, clock, faults, app_link=app, folder=folder / "bankid")
    made: list[Any] = []
    with contextlib.ExitStack() as afterwards:
        address = afterwards.enter_context(serve_bankid(bankid))

        def broker(issuer: str) -> Any:
            house = open_house(_settings(issuer, address, bankid, callback, app), folder, clock=clock, sandbox=True)
            house.durable.migrate()
            site = make_site(house)
            made.extend((house, site.waits))
            return make_web(site)

        issuer = afterwards.enter_context(serve(broker))
        afterwards.callback(made[0].close)
        yield AppDoor(
            issuer=issuer,
            app=app,
            house=made[0],
            bankid=bankid,
            faults=faults,
            people={person.id: person for person in people},
            waits=made[1],
        )


def _settings(issuer: str, address: str, bankid: SimBankID, callback: str, app: str) -> config.Settings:
    return config.read(
        {
            "server": {"issuer": issuer, "workers": 1},
            "providers": {
                "bankid": {
                    "environment": "test",
                    "address": address,
                    "app_link": app,
                    "program_link": "bankid:///",
                    "certificate_file": str(bankid.client_certificate),
                    "key_file": str(bankid.client_key),
                    "server_root_file": str(bankid.server_root),
                    "signing_root_files": [str(bankid.signing_root)],
                }
            },
            "clinics": {"malmo": {"name": "Malmö vårdcentral", "country": "SE", "providers": ["bankid"]}},
            "clients": {"portal": {**CLIENT, "name": SERVICE, "clinic": "malmo", "redirect_uris": [callback]}},
        }
    )
