"""The sandbox's register of guardians over real HTTP, and the product's own end of the line to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from idbroker.clinic import Clinic
from idbroker.guardianship.lookup import Settings, make
from idbroker.guardianship.tie import Guardian, Register, Tie
from idbroker.identity import Identity
from idbroker.numbers import NationalNumber, parse
from idbroker.providers._http import kept_session
from idbroker.sandbox.custody import Custodies
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.people import SimPerson, cast
from idbroker.sandbox.register import LIES, NAME, SimRegister, make_register, table
from tests.sandbox.loopback import serve

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
TODAY = NOW.date()
CLINICS = {
    country: Clinic(id=country.lower(), name=country, country=country, providers=()) for country in ("DK", "SE", "FI")
}


@dataclass(frozen=True, kw_only=True)
class Folk:
    """The cast, what the register has of them, and what asks it."""

    people: dict[str, SimPerson]
    custody: Custodies
    faults: Faults
    register: Register

    def guardian(self, who: str) -> Guardian:
        """Return one of the cast as their eID would prove them."""
        person = self.people[who]
        came = Identity(
            provider=person.eids[0], issuer="test", subject=who, loa=person.loa, proved_at=NOW, number=self.number(who)
        )
        return Guardian(person=who, identity=came)

    def number(self, who: str) -> NationalNumber:
        """Return somebody's number."""
        return parse(self.people[who].number or "", self.people[who].country, now=TODAY)

    def wards(self, who: str) -> dict[str, Tie]:
        """Ask for everybody that the register has for a guardian, by their ids in the cast."""
        clinic = CLINICS[self.people[who].country]
        ties = self.register.wards(self.guardian(who), clinic, NOW).ties
        ids = {self.number(one).key: one for one in self.people if self.people[one].number is not None}
        return {ids[tie.number.key]: tie for tie in ties if tie.number is not None}

    def about(self, who: str, ward: str) -> tuple[Tie, ...]:
        """Ask about one ward."""
        return self.register.about(self.guardian(who), self.number(ward), CLINICS[self.people[who].country], NOW).ties


@contextmanager
def folk(folder: Path) -> Iterator[Folk]:
    """Give the register of a cast of TODAY."""
    people = cast(TODAY)
    custody, faults = Custodies(people), Faults({NAME: LIES})
    sim = SimRegister(people=people, custody=custody, faults=faults, token="the-token-of-the-sandbox")
    with serve(lambda _: make_register(sim)) as address:
        written = dict(table(address, sim.token, folder))
        written.pop("kind")
        settings = Settings(**{**written, "address": f"{address}/guardians"})
        register = make(NAME, settings, lambda **rest: kept_session(**rest, sandbox=True))
        yield Folk(people={one.id: one for one in people}, custody=custody, faults=faults, register=register)
