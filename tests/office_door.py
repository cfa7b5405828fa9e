"""The whole broker in this process, as the clinics' staff see it: two clinics, three colleagues, a clock that stands.

`with open_office(folder, clock) as office`, then `office.client("anna")` is a browser in which Anna is signed in;
`office.post(client, path, **fields)` fetches the page, as people do, and posts with its nonce. Messages go out when a
test says so (`office.emails()`).
"""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from idbroker import config
from idbroker.app import House, make_site, open_house
from idbroker.clinic import Clinic
from idbroker.clock import StoppedClock
from idbroker.events import Event
from idbroker.numbers import NationalNumber, parse
from idbroker.sandbox.people import cast
from idbroker.sandbox.sim_person import SimPerson
from idbroker.staff.member import Actor, Member, Role
from idbroker.web.front import make_web
from idbroker.web.site import Site
from tests.door import CLIENT
from tests.keystores import started
from tests.messages.mail_servers import Real, real_server

ISSUER = "https://broker.test"
COLLEAGUES: Mapping[str, Role] = {"anna": Role.CARER, "bo": Role.APPROVER, "cecilia": Role.ADMINISTRATOR}
CLINICS: Mapping[str, Mapping[str, Any]] = {
    "neuroreg": {
        "name": "Neuroregistret",
        "country": "SE",
        "providers": ["fallback"],
        "registration": "off",
        "access": "password",
        "phone": "+46 8 123 45 00",
    },
    "clinea": {
        "name": "Clinea",
        "country": "DK",
        "providers": ["fallback"],
        "registration": "approval",
        "phone": "+45 70 10 00 00",
        "staff_email": "it@clinea.example.org",
    },
}


class StaffBrowser(FlaskClient):
    """A browser at the broker's own address."""

    def open(self, *arguments: Any, **named: Any) -> TestResponse:
        """Ask for something, below the issuer unless told otherwise."""
        return super().open(*arguments, **{"base_url": ISSUER, **named})


@dataclass(frozen=True, kw_only=True)
class Office:
    """What the tests go through: browsers, and the house behind them."""

    app: Flask = field(repr=False)
    house: House = field(repr=False)
    site: Site = field(repr=False)
    clock: StoppedClock
    mail: Real = field(repr=False)
    people: Mapping[str, SimPerson] = field(repr=False)

    # ---- who is there ----------------------------------------------------------------------------

    def member(self, name: str = "anna") -> Member:
        """Return a colleague as kept now."""
        found = self.house.offices.members.by_login(name)
        assert found is not None, name
        return found

    def actor(self, name: str = "anna", clinic: str = "neuroreg") -> Actor:
        """Return a colleague as who acts at a clinic."""
        actor = self.house.offices.entrance.actor(self.member(name), clinic)
        assert actor is not None
        return actor

    def clinic(self, name: str = "neuroreg") -> Clinic:
        """Return a clinic."""
        return self.site.clinics.by_id[name]

    def hire(self, login: str, **changed: Any) -> Member:
        """Have somebody else work here."""
        now = self.clock.now()
        given: dict[str, Any] = {
            "id": uuid.uuid4().hex,
            "login": login,
            "name": f"{login.title()} Testsen",
            "email": f"{login}@example.org",
            "epoch": now,
            "created_at": now,
            "roles": dict.fromkeys(self.site.clinics.by_id, Role.CARER),
        }
        member = Member(**{**given, **changed})
        assert self.house.offices.members.add(member), login
        return member

    # ---- browsers --------------------------------------------------------------------------------

    def browser(self, language: str = "en") -> StaffBrowser:
        """Return a browser in which nobody is signed in."""
        client = StaffBrowser(self.app, self.app.response_class)
        client.environ_base |= {"HTTP_ACCEPT_LANGUAGE": language, "REMOTE_ADDR": "192.0.2.10"}
        return client

    def client(self, name: str = "anna", *, language: str = "en", how: str = "app") -> StaffBrowser:
        """Return a browser in which a colleague is signed in."""
        client = self.browser(language)
        _, secret = self.house.offices.entrance.admit(self.member(name), how, self.clock.now())
        client.set_cookie("__Host-w", secret, domain=urlsplit(ISSUER).netloc, secure=True, httponly=True)
        return client

    signed_in = client

    def post(self, client: StaffBrowser, path: str, page: str | None = None, **fields: str) -> TestResponse:
        """Fetch a page (`path`, unless its form is on another), and post a form of it to `path`."""
        shown = client.get(page or path)
        assert shown.status_code == 200, (shown.status_code, shown.headers.get("Location"))
        nonces = nonces_of(shown.text)
        assert nonces, shown.text
        return client.post(path, data={"_n": nonces[-1], **fields})

    def go(self, client: StaffBrowser, answer: TestResponse) -> TestResponse:
        """Go where an answer leads, as browsers do, as long as that is within the broker."""
        for _ in range(5):
            if answer.status_code not in (302, 303):
                break
            target = urlsplit(urljoin(ISSUER + answer.request.path, answer.headers["Location"]))
            if target.netloc != urlsplit(ISSUER).netloc:
                break
            answer = client.get(f"{target.path}?{target.query}" if target.query else target.path)
        return answer

    # ---- what came of it -------------------------------------------------------------------------

    def deliver(self) -> None:
        """Have all messages sent that are due, and what comes of them."""
        for _ in range(5):
            if not self.house.rooms.counter.messages.deliver(self.clock.now()):
                return

    def emails(self) -> list[str]:
        """Return the text of every e-mail so far, the subject first."""
        self.deliver()
        return [f"{one['Subject']}\n{one.get_content()}" for _, _, one in self.mail.taken]

    def events(self, kind: str = "") -> list[Event]:
        """Return the trail, oldest first: all of it, or of one kind (`patient.` is the beginning of many)."""
        return [one for one in self.house.durable.events.since(self.clock.now() - timedelta(days=3650))
                if one.kind.startswith(kind)]  # fmt: skip

    def number(self, person: str = "anna") -> NationalNumber:
        """Return the national number of one of the sandbox's people, who cannot be real."""
        one = self.people[person]
        return parse(one.number or "", one.country, now=self.today)

    @property
    def today(self) -> date:
        """Return the day."""
        return self.clock.now().date()


@contextmanager
def open_office(
    folder: Path,
    clock: StoppedClock,
    *,
    clinics: Mapping[str, Mapping[str, Any]] | None = None,
    client: Mapping[str, Any] | None = None,
    clients: Mapping[str, Mapping[str, Any]] | None = None,
    more: Mapping[str, Any] | None = None,
    sandbox: bool = False,
) -> Iterator[Office]:
    """Open it; `clinics` changes or adds some by id, `client` changes the portal, `more` are other tables.

    `sandbox` lets it talk to simulators over plain http on loopback.
    """
    with real_server(None) as mail, contextlib.ExitStack() as afterwards:
        portal = {**CLIENT, "minimum": "low", **(client or {})}
        changed = clinics or {}
        known = {name: {**CLINICS.get(name, {}), **changed.get(name, {})} for name in {**CLINICS, **changed}}
        document = {
            "server": {"issuer": ISSUER, "workers": 1, "test_people": True},
            "passwords": {"memory_kib": 19456},
            "email": {"host": "127.0.0.1", "port": mail.port, "security": "none", "sender": "broker@example.org"},
            "providers": {"fallback": {}},
            "clinics": known,
            "clients": {"portal": portal, **{name: {**portal, **own} for name, own in (clients or {}).items()}},
            **(more or {}),
        }
        house = open_house(config.read(document), started(folder, clock, sandbox=sandbox), clock=clock, sandbox=sandbox)
        afterwards.callback(house.close)
        house.durable.migrate()
        # Nothing goes but when a test says so: the courier of the house stays at home.
        vars(house.rooms.counter.messages)["start"] = lambda: None
        house.rooms.counter.messages.draw = timedelta
        site = make_site(house)
        people = {person.id: person for person in cast(clock.now().date())}
        office = Office(app=make_web(site), house=house, site=site, clock=clock, mail=mail, people=people)
        for name, role in COLLEAGUES.items():
            office.hire(name, roles=dict.fromkeys(known, role))
        yield office


def nonces_of(page: str) -> list[str]:
    """Return the nonces of a page's forms."""
    return [unescape(found) for found in re.findall(r'name="_n" value="([^"]+)"', page)]


def text_of(page: str) -> str:
    """Return what a page says, on one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())
