"""The simulated e-Authorizations on loopback, the register that asks it, and a person at its page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import requests

from idbroker.clinic import Clinic
from idbroker.clock import MovableClock, StoppedClock
from idbroker.guardianship.tie import Answer, Away, Guardian
from idbroker.guardianship.valtuudet import Settings, Valtuudet, make
from idbroker.identity import Identity, LoA
from idbroker.numbers import NationalNumber, parse
from idbroker.providers._http import kept_session
from idbroker.sandbox.custody import Custodies
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.people import SimPerson, cast
from idbroker.sandbox.valtuudet import LIES, SimValtuudet, make_valtuudet
from tests.sandbox.loopback import serve

BACK = "http://127.0.0.1:9/callback/valtuudet"
CLINIC = Clinic(id="county", name="County", country="FI", providers=("suomifi",))


@dataclass(kw_only=True)
class Office:
    """All of it: `asked` are the addresses that came, as they came."""

    address: str
    sim: SimValtuudet
    register: Valtuudet
    clock: StoppedClock
    theirs: MovableClock
    custody: Custodies
    faults: Faults
    people: Mapping[str, SimPerson]
    asked: list[str]
    settings: Settings
    http: Callable[..., requests.Session] = field(repr=False)

    def lie(self, *lies: str) -> None:
        """Have it tell these lies, and no others."""
        self.faults.set("valtuudet", {"lies": list(lies)})

    def guardian(self, person: str = "aino", language: str = "fi") -> Guardian:
        """Return somebody who has signed in by suomi.fi."""
        sim = self.people[person]
        number = parse(sim.number, "FI", now=self.clock.now().date()) if sim.number is not None else None
        return Guardian(person=f"person-of-{person}", identity=identity(number, self.clock.now()), language=language)

    def number(self, person: str) -> NationalNumber:
        """Return somebody's number."""
        return parse(self.people[person].number or "", "FI", now=self.clock.now().date())

    def leave(self, person: str = "aino", **more: Any) -> Away:
        """Send somebody there."""
        return self.register.leave(self.guardian(person, **more), CLINIC, BACK, self.clock.now())

    def back(self, away: Away, reply: Mapping[str, str], person: str = "aino") -> Answer:
        """Take what they brought back."""
        return self.register.returned(self.guardian(person), CLINIC, away, dict(reply), self.clock.now())

    def go(self, person: str = "aino", ward: str = "onni") -> Answer:
        """Go all the way."""
        away = self.leave(person)
        return self.back(away, choose(away.url, ward), person)

    def about(self, person: str = "aino", ward: str = "onni") -> Answer:
        """Ask without a page."""
        return self.register.about(self.guardian(person), self.number(ward), CLINIC, self.clock.now())

    def set_up(self, **more: Any) -> Valtuudet:
        """Return another register with other settings."""
        made = make("valtuudet", replace(self.settings, **more), self.http)
        assert isinstance(made, Valtuudet)
        return made


def identity(number: NationalNumber | None, now: datetime) -> Identity:
    """Return a sign-in by suomi.fi."""
    return Identity(
        provider="suomifi",
        issuer="https://suomi.example",
        subject="s",
        loa=LoA.SUBSTANTIAL,
        proved_at=now,
        number=number,
    )


def choose(url: str, ward: str = "", **fields: str) -> dict[str, str]:
    """Choose on the page, and return what the browser brings back."""
    data = fields or {"person": ward}
    response = requests.post(url, data=data, allow_redirects=False, timeout=10)
    assert response.status_code == 303, response.text
    assert response.headers["Location"].startswith(BACK + "?")
    return dict(parse_qsl(urlsplit(response.headers["Location"]).query))


@contextmanager
def open_office(folder: Path, clock: StoppedClock) -> Iterator[Office]:
    """Serve it for the length of a test; its clock goes with ours until a test moves `theirs`."""
    people = cast(clock.now().date())
    custody, faults, theirs = Custodies(people), Faults({"valtuudet": LIES}), MovableClock(clock)
    sim = make_valtuudet(people, custody, theirs, faults, (BACK,), folder=folder)
    asked: list[str] = []
    sessions: list[requests.Session] = []

    def http(**options: Any) -> requests.Session:
        limits = {"timeout": (2.0, 2.0), "deadline": timedelta(seconds=2), **options}
        sessions.append(kept_session(**limits, sandbox=True))
        return sessions[-1]

    with serve(lambda _: _listening(sim.app, asked)) as address:
        settings = Settings(
            address=address,
            client_id=sim.service.client_id,
            api_key_file=str(sim.api_key_file),
            oauth_password_file=str(sim.oauth_password_file),
            rest_key_file=str(sim.rest_key_file),
        )
        register = make("valtuudet", settings, http)
        assert isinstance(register, Valtuudet)
        yield Office(
            address=address,
            sim=sim,
            register=register,
            clock=clock,
            theirs=theirs,
            custody=custody,
            faults=faults,
            people={person.id: person for person in people},
            asked=asked,
            settings=settings,
            http=http,
        )
        for session in sessions:
            session.close()


def _listening(app: WSGIApplication, asked: list[str]) -> WSGIApplication:
    def serve_and_note(environ: WSGIEnvironment, start: StartResponse) -> Any:
        asked.append(environ["REQUEST_URI"])
        return app(environ, start)

    return serve_and_note
