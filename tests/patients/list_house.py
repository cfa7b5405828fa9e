"""Lists of made-up patients (Danish replacement numbers, which nobody has), and a clinic to take them in."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from idbroker.accounts.account import Account, Enrolment
from idbroker.accounts.records import Accounts, Enrolments, Records
from idbroker.clinic import Clinic
from idbroker.numbers import NationalNumber, parse
from idbroker.patients.importing import Imported, Importing
from idbroker.sealing import Sealer, SealingKeys
from idbroker.staff.member import Actor, Role
from idbroker.store import Durable

CLINIC = Clinic(id="clinea", name="Clinea", country="DK", providers=("mitid",), registration="off")
OPERATOR = Actor(id="operator", clinic="clinea", role=Role.ADMINISTRATOR)
HEAD = "number,given_name,family_name,email,phone"


def sealer() -> Sealer:
    """Return a sealer whose keys are the same in every process."""
    keys = SealingKeys(data={1: b"d" * 32}, newest=1, index=b"i" * 32)
    return Sealer(lambda: keys)


def number_of(index: int) -> str:
    """Return the number of one of some 300,000 made-up people."""
    serial, rest = divmod(index, 12 * 28)
    return f"{rest % 28 + 61:02}{rest // 28 + 1:02}{40 + serial % 55:02}{serial // 55 + 1:04}"


def line_of(index: int) -> str:
    """Return a patient's line."""
    return f"{number_of(index)},Prøve{index},Person{index},p{index}@example.org,+45 20 12 34 56"


def make_list(count: int, *more: str, head: str = HEAD) -> bytes:
    """Return a list of so many, and some lines more."""
    return "\n".join([head, *map(line_of, range(count)), *more, ""]).encode()


@dataclass(kw_only=True)
class ListHouse:
    """A store, and an import into it."""

    durable: Durable
    now: datetime
    records: Records = field(init=False)

    def __post_init__(self) -> None:
        """Seal what lies in the store."""
        seals = sealer()
        self.records = Records(
            accounts=Accounts(self.durable.account_rows, seals),
            enrolments=Enrolments(self.durable.enrolment_rows, seals),
            links=self.durable.links,
            consents=self.durable.consents,
        )

    def take(self, octets: bytes, **options: Any) -> Imported:
        """Take a list in."""
        importing = Importing(records=self.records, many=self.durable.many_patients)
        return importing.run(io.BytesIO(octets), CLINIC, OPERATOR, self.now, **options)

    def number(self, index: int) -> NationalNumber:
        """Return somebody's number."""
        return parse(number_of(index), "DK", now=self.now.date())

    def person(self, index: int) -> str:
        """Return who has a number, met now if need be."""
        return self.records.accounts.person(self.number(index), self.now)

    def enrolment(self, index: int) -> Enrolment | None:
        """Return somebody's enrolment."""
        return self.records.enrolments.find(self.person(index), CLINIC.id)

    def account(self, index: int, **changes: Any) -> Account:
        """Keep an account."""
        person = self.person(index)
        made = Account(**{"person": person, "number": self.number(index), "created_at": self.now, **changes})
        assert self.records.accounts.add(made)
        return made

    def counts(self) -> dict[str, int]:
        """Return how many rows there are of what an import writes."""
        tables = ("person", "person_key", "enrolment", "finding", "event")
        with self.durable.database.connected() as connection:
            return {
                table: connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()  # noqa: S608 - ours
                for table in tables
            }
