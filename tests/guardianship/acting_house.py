"""The whole broker on loopback, at a clinic where guardians act for children, with MitID and a register of the test's.

Rows of the local register are made by `house.ward(…)`; `house.folk` is a second register, which says what a test has
told it, can bar, and can be down. `house.acts(browser)` goes the whole way and returns the tokens.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import requests

from idbroker import config
from idbroker.accounts.account import Enrolment, Entry, Standing
from idbroker.accounts.records import Records
from idbroker.app import House, make_site, open_house
from idbroker.clinic import Clinic
from idbroker.clock import StoppedClock
from idbroker.errors import Unreachable
from idbroker.events import Event
from idbroker.guardianship.records import Guardianship, new_id
from idbroker.guardianship.tie import Answer, Guardian, Tie
from idbroker.keyset import Use
from idbroker.numbers import NationalNumber, parse
from idbroker.person import pairwise_subject
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.mitid import LIES, SimClient, make_mitid
from idbroker.sandbox.people import cast
from idbroker.sandbox.sim_person import cpr, years_before
from idbroker.web.front import make_web
from tests.door import CLIENT, SECRET, Browser, Door, answer_of
from tests.keystores import started
from tests.sandbox.loopback import serve

CLINIC: Mapping[str, Any] = {
    "name": "Clinea",
    "country": "DK",
    "providers": ["mitid"],
    "phone": "+45 70 10 00 00",
    "ages": {"guardian_until": 13},
}
PORTAL: Mapping[str, Any] = {
    **CLIENT,
    "scopes": ["openid", "profile", "national_number", "offline_access", "acting_for"],
    "acting": "asked",
}
ALONE: Mapping[str, Any] = {"acting": "never", "scopes": CLIENT["scopes"]}  # a client that takes no guardians
GIVEN, FAMILY = "Vilde", "Kaldsen"


@dataclass(kw_only=True)
class Folk:
    """A register of the test's own: it says what it was told by guardian, and remembers what it was asked.

    `life` is how long its answers are good; while it is `down` it does not answer; not `listed`, it answers about one
    ward only.
    """

    name: str = "folk"
    life: timedelta = timedelta()
    down: bool = False
    listed: bool = True
    ties: dict[str, tuple[Tie, ...]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def wards(self, guardian: Guardian, _clinic: Clinic, now: datetime) -> Answer:
        """Return all that it was told of a guardian."""
        return self._answer("wards", self.ties.get(guardian.person, ()) if self.listed else (), now)

    def about(self, guardian: Guardian, ward: NationalNumber, _clinic: Clinic, now: datetime) -> Answer:
        """Return what it was told of a guardian and one ward."""
        ties = self.ties.get(guardian.person, ())
        return self._answer("about", tuple(tie for tie in ties if tie.number == ward), now)

    def _answer(self, method: str, ties: tuple[Tie, ...], now: datetime) -> Answer:
        self.asked.append(method)
        if self.down:
            raise Unreachable("the test's register is down")
        return Answer(register=self.name, ties=ties, asked_at=now, good_until=now + self.life)


@dataclass(frozen=True, kw_only=True)
class Ward:
    """A child at the clinic: who it is to us, its number, and when it was born."""

    person: str
    number: NationalNumber = field(repr=False)
    born: date = field(repr=False)

    def tie(self, **changed: Any) -> Tie:
        """Return what a register may say of it."""
        named = {"given_name": GIVEN, "family_name": FAMILY, "birthdate": self.born}
        return Tie(**{"number": self.number, **named, **changed})


@dataclass(frozen=True, kw_only=True)
class ActingHouse(Door):
    """The same door, with guardians and wards."""

    folk: Folk

    @property
    def records(self) -> Records:
        """Return the records of accounts and enrolments."""
        return self.house.rooms.counter.records

    @property
    def today(self) -> date:
        """Return which day it is."""
        return self.clock.now().date()

    def fresh(self) -> ActingHouse:
        """Begin anew, a day later: nobody acts for anybody, every register is well, and nobody has tried anything."""
        self.clock.move(timedelta(days=1))
        self.folk.ties.clear()
        self.folk.asked.clear()
        self.folk.down, self.folk.listed, self.folk.life = False, True, timedelta()
        self.faults.clear()
        for who in ("anna", "lars", "ludvig", "susan"):
            for row in self.house.durable.guardianships.of_guardian(self.guardian(who)):
                self.house.durable.guardianships.end(row.clinic, row.ward, self.clock.now(), "test")
        return self

    # ---- who there is ----------------------------------------------------------------------------

    def guardian(self, who: str = "anna") -> str:
        """Return the person id of one of the cast."""
        number = parse(self.people[who].number or "", "DK", now=self.today)
        return self.records.accounts.person(number, self.clock.now())

    def child(self, serial: int, age: int = 9, *, days: int = 100, clinic: str | None = "clinea") -> Ward:
        """Return a child that turned `age` so many `days` ago, a patient of the clinic, with nobody to act for it.

        `serial` is 0 to 999, one for each child: two with one serial and one birthday are one.
        """
        born = years_before(self.today, age, days)
        number = parse(cpr(born, serial), "DK", now=self.today)
        ward = Ward(person=self.records.accounts.person(number, self.clock.now()), number=number, born=born)
        if clinic is not None:
            self.enrol(ward, clinic)
        return ward

    def enrol(self, ward: Ward, clinic: str = "clinea", **changed: Any) -> None:
        """Have a clinic take a child as its patient; `changed` are of its entry (`deceased_on`)."""
        now = self.clock.now()
        said = {"number": ward.number, "given_name": GIVEN, "family_name": FAMILY, "birthdate": ward.born}
        entry = Entry(**{**said, "entered_at": now, "by": "staff", **changed})
        enrolment = Enrolment(person=ward.person, clinic=clinic, standing=Standing.APPROVED, asked_at=now, entry=entry)
        assert self.records.enrolments.change(ward.person, clinic, lambda _: enrolment) is not None

    def note(self, ward: Ward, guardian: str = "anna", clinic: str = "clinea", **changed: Any) -> Guardianship:
        """Have a clinic note that somebody may act for a child: a row of the local register."""
        row = Guardianship(
            **{
                "id": new_id(),
                "clinic": clinic,
                "guardian": self.guardian(guardian),
                "ward": ward.person,
                "recorded_at": self.clock.now(),
                "by": "staff",
                **changed,
            }
        )
        assert self.house.durable.guardianships.add(row)
        return row

    def ward(self, serial: int, age: int = 9, guardian: str = "anna", **changed: Any) -> Ward:
        """Return a child that a guardian may act for, by the local register."""
        ward = self.child(serial, age)
        self.note(ward, guardian, **changed)
        return ward

    def sub(self, person: str, client: str = "portal") -> str:
        """Return the name that a client knows a person by."""
        found = self.house.clients.find(client)
        assert found is not None
        return pairwise_subject(self.house.keyring.secret(Use.SUBJECT), found.subject_sector, person)

    # ---- the way through -------------------------------------------------------------------------

    def proved(
        self, browser: Browser, person: str = "anna", outcome: str = "approve", **asked: str
    ) -> requests.Response:
        """Go from the portal through MitID; return the page after it, or what leads to the portal."""
        page = browser.authorize(**{"acting_for": "ask", **asked})
        return browser.press(browser.press(page, provider="mitid"), person=person, outcome=outcome)

    def straight(self, browser: Browser, **asked: str) -> requests.Response:
        """Go from the portal to its answer, by MitID unless signed on, where nothing is asked on the way."""
        page = browser.authorize(**asked)
        if "Location" in page.headers:
            return page
        return browser.press(browser.press(page, provider="mitid"), person="anna", outcome="approve")

    def acts(self, browser: Browser | None = None, who: str = "0", **asked: str) -> dict[str, Any]:
        """Sign anna in, choose on the page (`0` is the first ward, `self` herself), redeem; return the tokens."""
        browser = browser or self.browser()
        page = self.proved(browser, **asked)
        return self.tokens(browser.press(page, who=who), asked.get("client_id", "portal"))

    def tokens(self, answer: requests.Response, client: str = "portal") -> dict[str, Any]:
        """Redeem the code that an answer brings to the portal."""
        response = self.redeem(answer_of(answer)["code"], (client, SECRET))
        assert response.status_code == 200, response.text
        return dict(response.json())

    def exchange(self, token: str, client: str = "portal", **fields: str) -> requests.Response:
        """Exchange an access token for another of the same client (RFC 8693); a field set to "" is left out."""
        kind = "urn:ietf:params:oauth:token-type:access_token"
        usual = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": token,
            "subject_token_type": kind,
        }
        sent = {name: value for name, value in {**usual, **fields}.items() if value}
        return self.post("/token", sent, auth=(client, SECRET))

    def introspect(self, token: str, client: str = "portal") -> dict[str, Any]:
        """Ask as a client what a token is."""
        return dict(self.post("/introspect", {"token": token}, auth=(client, SECRET)).json())

    def lives(self, tokens: Mapping[str, Any]) -> bool:
        """Tell whether an access token still works."""
        return self.userinfo(tokens["access_token"]).status_code == 200

    def events(self, kind: str, person: str | None = None) -> list[Event]:
        """Return what happened, oldest first; of one person, if named."""
        found = self.house.durable.events.since(self.clock.now() - timedelta(days=400), kind=kind)
        return [event for event in found if person is None or event.person == person]


@contextmanager
def open_acting_house(
    folder: Path,
    clock: StoppedClock,
    *,
    clinic: Mapping[str, Any] | None = None,
    clinics: Mapping[str, Mapping[str, Any]] | None = None,
    client: Mapping[str, Any] | None = None,
    clients: Mapping[str, Mapping[str, Any]] | None = None,
    more: Mapping[str, Any] | None = None,
) -> Iterator[ActingHouse]:
    """Serve it. `clinic` and `client` change the one there is; `clinics` and `clients` are more, as changes of it.

    The test's register is asked at every clinic; `more` are other tables of the configuration.
    """
    faults, people, folk = Faults({"mitid": LIES}), cast(clock.now().date()), Folk()
    upstream: dict[str, SimClient] = {}
    built: list[House] = []
    with serve(lambda address: make_mitid(people, clock, faults, address, upstream)) as mitid:

        def broker(address: str) -> Any:
            upstream["idbroker"] = SimClient(
                id="idbroker", redirect_uris=(f"{address}/callback/mitid",), secret="upstream-secret"
            )
            own, portal = {**CLINIC, **(clinic or {})}, {**PORTAL, **(client or {})}
            document = {
                "server": {"issuer": address, "workers": 1},
                "providers": {
                    "mitid": {
                        "issuer": mitid,
                        "client_id": "idbroker",
                        "client_secret": "upstream-secret",
                        "end_session": "off",
                    }
                },
                "clinics": {"clinea": own, **{name: {**own, **some} for name, some in (clinics or {}).items()}},
                "clients": {"portal": portal, **{name: {**portal, **some} for name, some in (clients or {}).items()}},
                **(more or {}),
            }
            house = open_house(config.read(document), started(folder, clock, sandbox=True), clock=clock, sandbox=True)
            house.durable.migrate()
            _always_asked(house, folk)
            built.append(house)
            return make_web(make_site(house))

        with serve(broker) as issuer, contextlib.ExitStack() as afterwards:
            afterwards.callback(built[0].close)
            yield ActingHouse(
                issuer=issuer,
                house=built[0],
                folder=folder,
                clock=clock,
                faults=faults,
                people={person.id: person for person in people},
                folk=folk,
            )


def _always_asked(house: House, folk: Folk) -> None:
    """Put the test's register beside those that every clinic asks; the configuration knows no kind of its sort."""
    registers = house.wards.registers
    object.__setattr__(registers, "always", (*registers.always, folk))
