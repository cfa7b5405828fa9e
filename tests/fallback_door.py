"""The whole broker on loopback with MitID and the fallback, a real mail server and a real gateway in front of nobody.

Time stands still; messages are delivered when a test says so (`door.deliver()`), so nothing has to be waited for.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import requests

from idbroker import config
from idbroker.accounts.account import Account, Contact, Enrolment, Standing
from idbroker.app import House, make_site, open_house
from idbroker.clock import StoppedClock
from idbroker.messages.message import Channel
from idbroker.numbers import NationalNumber, parse
from idbroker.rooms import Rooms
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.mitid import LIES, SimClient, make_mitid
from idbroker.sandbox.people import cast
from idbroker.web.front import make_web
from tests.door import CLIENT, Browser, Door
from tests.keystores import started
from tests.messages.gateway import Gateway, gateway
from tests.messages.mail_servers import Real, real_server
from tests.sandbox.loopback import serve

PASSWORD = "tre blå cykler i regn"
EMAIL = "nogen@example.org"
MOBILE = "+4520123456"
CLINIC: Mapping[str, Any] = {
    "name": "Clinea",
    "country": "DK",
    "providers": ["mitid", "fallback"],
    "phone": "+45 70 10 00 00",
}


@dataclass(frozen=True, kw_only=True)
class FallbackDoor(Door):
    """The same door, with what people without an eID need."""

    mail: Real
    texts: Gateway

    @property
    def rooms(self) -> Rooms:
        """Return the rooms of people without an eID."""
        return self.house.rooms

    def number(self, person: str) -> NationalNumber:
        """Return somebody's national number."""
        return parse(self.people[person].number or "", "DK", now=self.clock.now().date())

    def account(self, person: str, *, clinic: str | None = "clinea", **changed: Any) -> Account:
        """Give somebody an account with a password, an e-mail address and a mobile; enrol them unless told not to."""
        now, number, records = self.clock.now(), self.number(person), self.rooms.counter.records
        who = records.accounts.person(number, now)
        account = Account(
            person=who,
            number=number,
            given_name=self.people[person].given_name,
            family_name=self.people[person].family_name,
            birthdate=self.people[person].born,
            language="da",
            password=self.rooms.counter.hasher.hash(PASSWORD),
            password_set_at=now,
            contacts=(
                Contact(channel=Channel.EMAIL, address=EMAIL, verified_at=now),
                Contact(channel=Channel.SMS, address=MOBILE, verified_at=now),
            ),
            confirmed_at=now,
            created_at=now,
        )
        account = replace(account, **changed)
        assert records.accounts.add(account)
        if clinic is not None:
            self.enrol(who, clinic)
        return account

    def enrol(self, person: str, clinic: str, **changed: Any) -> Enrolment:
        """Let a person use a clinic."""
        made = Enrolment(person=person, clinic=clinic, standing=Standing.APPROVED, asked_at=self.clock.now())
        kept = self.rooms.counter.records.enrolments.change(person, clinic, lambda _: replace(made, **changed))
        assert kept is not None
        return kept

    def deliver(self) -> None:
        """Have all sent that is due, tasks and what comes of them too."""
        for _ in range(5):
            if not self.rooms.counter.messages.deliver(self.clock.now()):
                return

    def emails(self) -> list[str]:
        """Return the text of every e-mail so far, the subject first."""
        self.deliver()
        return [f"{one['Subject']}\n{one.get_content()}" for _, _, one in self.mail.taken]

    def sms(self) -> list[str]:
        """Return every text message so far."""
        self.deliver()
        return [json.loads(one.body)["text"] for one in self.texts.heard]

    def code(self, channel: Channel = Channel.EMAIL) -> str:
        """Return the newest code that came."""
        newest = (self.emails() if channel is Channel.EMAIL else self.sms())[-1]
        found = re.search(r"\b\d{6}\b", newest)
        assert found, newest
        return found[0]

    def link(self) -> str:
        """Return the newest link that came by e-mail."""
        found = re.findall(r"https?://\S+", self.emails()[-1])
        assert found, self.emails()[-1]
        return str(found[-1])

    def at_password(self, browser: Browser, **asked: str) -> requests.Response:
        """Go from the portal to the page that asks for number and password."""
        return browser.press(browser.authorize(**asked), provider="fallback")

    def at_code(self, browser: Browser, person: str = "anna", **asked: str) -> requests.Response:
        """Go on to the page that asks for the code."""
        number = self.number(person).display
        return browser.press(self.at_password(browser, **asked), number=number, password=PASSWORD)

    def by_password(self, browser: Browser, person: str = "anna", **asked: str) -> requests.Response:
        """Go the whole way; return what came of it."""
        page = self.at_code(browser, person, **asked)
        newest = Channel.SMS if "sms" in self.house.settings.clinics.by_id["clinea"].codes else Channel.EMAIL
        return browser.press(page, code=self.code(newest))


@contextmanager
def open_fallback_door(
    folder: Path,
    clock: StoppedClock,
    *,
    clinic: Mapping[str, Any] | None = None,
    clinics: Mapping[str, Mapping[str, Any]] | None = None,
    client: Mapping[str, Any] | None = None,
    clients: Mapping[str, Mapping[str, Any]] | None = None,
    more: Mapping[str, Any] | None = None,
) -> Iterator[FallbackDoor]:
    """Serve it; `clinic` changes the rules, `client` the portal's registration, `more` are other tables."""
    faults, people = Faults({"mitid": LIES}), cast(clock.now().date())
    upstream: dict[str, SimClient] = {}
    built: list[House] = []
    with (
        serve(lambda address: make_mitid(people, clock, faults, address, upstream)) as mitid,
        real_server(None) as mail,
        gateway() as texts,
    ):

        def broker(address: str) -> Any:
            upstream["idbroker"] = SimClient(
                id="idbroker", redirect_uris=(f"{address}/callback/mitid",), secret="upstream-secret"
            )
            portal = {**CLIENT, "minimum": "low", **(client or {})}
            document = {
                "server": {"issuer": address, "workers": 1},
                "passwords": {"memory_kib": 19456},
                "email": {"host": "127.0.0.1", "port": mail.port, "security": "none", "sender": "broker@example.org"},
                "sms": {
                    "kind": "webhook", "address": f"{texts.url}/sms", "sender": "Clinea", "secret": "s" * 32,
                },
                "providers": {
                    "mitid": {
                        "issuer": mitid,
                        "client_id": "idbroker",
                        "client_secret": "upstream-secret",
                        "end_session": "off",
                    },
                    "fallback": {},
                },
                "clinics": {"clinea": {**CLINIC, **(clinic or {})}, **(clinics or {})},
                "clients": {"portal": portal, **{name: {**portal, **own} for name, own in (clients or {}).items()}},
                **(more or {}),
            }  # fmt: skip
            house = open_house(config.read(document), started(folder, clock, sandbox=True), clock=clock, sandbox=True)
            house.durable.migrate()
            # Nothing goes but when a test says so: the courier of the house stays at home.
            vars(house.rooms.counter.messages)["start"] = lambda: None
            house.rooms.counter.messages.draw = timedelta
            built.append(house)
            return make_web(make_site(house))

        with serve(broker) as issuer, contextlib.ExitStack() as afterwards:
            afterwards.callback(built[0].close)
            yield FallbackDoor(
                issuer=issuer,
                house=built[0],
                folder=folder,
                clock=clock,
                faults=faults,
                people={person.id: person for person in people},
                mail=mail,
                texts=texts,
            )
