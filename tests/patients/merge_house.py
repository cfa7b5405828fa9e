"""Persons who may be one, on both stores: made-up people, two clinics, letters that are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from idbroker.accounts.account import Account, Agreed, Consent, Contact, Enrolment, Entry, Standing
from idbroker.accounts.letters import Letters
from idbroker.accounts.records import Accounts, Enrolments, Records, new_consent_id
from idbroker.accounts.vouching import known_by
from idbroker.client import ConfiguredClients
from idbroker.clinic import Clinic, Clinics
from idbroker.clock import StoppedClock
from idbroker.events import Event
from idbroker.messages.message import Channel, Delivery, Message
from idbroker.numbers import parse
from idbroker.patients.merging import Merging
from idbroker.person import PersonKey
from idbroker.session import Session
from idbroker.staff.member import Actor, Role
from idbroker.store import Durable
from idbroker.words import Words
from tests.patients.list_house import sealer

OPERATOR = Actor(id="operator", clinic="", role=Role.ADMINISTRATOR, name="root")
CECILIA = Actor(id="c" * 32, clinic="clinea", role=Role.ADMINISTRATOR)
TABLES = ("person_key", "account", "enrolment", "finding", "consent", "link")


@dataclass(kw_only=True)
class Posted:
    """A post that keeps what it is given."""

    sent: list[Message] = field(default_factory=list)

    def send(self, *messages: Message) -> None:
        """Keep some."""
        self.sent += messages

    def delivery(self, _: str) -> Delivery | None:
        """Know nothing."""
        return None

    def works(self, _: Channel) -> bool:
        """Work."""
        return True


@dataclass(kw_only=True)
class Ended:
    """Whose sign-ons were ended."""

    persons: list[str] = field(default_factory=list)

    def of_person(self, _: str) -> tuple[Session, ...]:
        """Return none."""
        return ()

    def end_one(self, _: str, __: str) -> bool:
        """End none."""
        return False

    def end_person(self, person: str, _: str, *, but: str | None = None) -> int:
        """Note whose are ended."""
        self.persons += [person] if but is None else []
        return 0

    def end_client(self, _: str, __: str) -> None:
        """End none."""

    def end_acting(self, _: str, __: str, *, client: str | None = None) -> int:
        """End none."""
        del client
        return 0


@dataclass(kw_only=True)
class MergeHouse:
    """A store, and the engine over it."""

    durable: Durable
    clock: StoppedClock
    post: Posted = field(default_factory=Posted)
    ended: Ended = field(default_factory=Ended)

    def __post_init__(self) -> None:
        """Seal what lies in the store."""
        self.sealer = sealer()
        self.records = Records(
            accounts=Accounts(self.durable.account_rows, self.sealer),
            enrolments=Enrolments(self.durable.enrolment_rows, self.sealer),
            links=self.durable.links,
            consents=self.durable.consents,
        )
        clinics = {
            name: Clinic(id=name, name=name.title(), country="DK", providers=("mitid",), phone="+45 70 10 00 00")
            for name in ("clinea", "clineb")
        }
        self.merging = Merging(
            records=self.records,
            rows=self.durable.merges,
            sealer=self.sealer,
            letters=Letters(
                post=self.post,
                say=Words(),
                clinics=Clinics(by_id=clinics),
                clients=ConfiguredClients((), self.durable.clients),
                issuer="https://id.example.org",
                clock=self.clock,
                sealer=self.sealer,
                knows=known_by(self.records.accounts, self.records.enrolments),
            ),
            sign_ons=self.ended,
        )

    @property
    def now(self) -> datetime:
        """Return the moment."""
        return self.clock.now()

    def person(self, number: str = "", *upstreams: str) -> str:
        """Meet somebody by number, by an eID's own names, or by both; each a minute after the one before."""
        self.clock.move(timedelta(minutes=1))
        keys = [PersonKey(kind="upstream", digest=self.sealer.index("upstream", one)) for one in upstreams]
        numbers = [self.records.accounts.key(parse(number, "DK", now=self.now.date()))] if number else []
        return self.durable.persons.meet([*numbers, *keys], self.now)

    def enrolled(self, person: str, number: str, clinic: str = "clinea", **changes: Any) -> Enrolment:
        """Enter somebody at a clinic."""
        known = parse(number, "DK", now=self.now.date())
        entry = Entry(
            number=known,
            given_name="Prøve",
            family_name="Person",
            birthdate=known.birthdate,
            entered_at=self.now,
            by="operator",
        )
        made = Enrolment(
            person=person,
            clinic=clinic,
            standing=Standing.APPROVED,
            asked_at=self.now,
            entry=entry,
            told={Channel.EMAIL: f"{number}@example.org"},
        )
        kept = self.records.enrolments.change(person, clinic, lambda _: replace(made, **changes))
        assert kept is not None
        return kept

    def account(self, person: str, number: str, **changes: Any) -> Account:
        """Keep an account."""
        known = parse(number, "DK", now=self.now.date())
        contact = Contact(channel=Channel.SMS, address="+4520123456", verified_at=self.now)
        given = {"person": person, "number": known, "contacts": (contact,), "created_at": self.now, **changes}
        made = Account(**given)
        assert self.records.accounts.add(made)
        return made

    def consent(self, person: str, about: str) -> Consent:
        """Have somebody agree."""
        made = Consent(id=new_consent_id(), person=person, kind=Agreed.TERMS, about=about, given_at=self.now)
        self.records.consents.give(made)
        return made

    def opened(self) -> dict[str, Any]:
        """Return all that there is of anybody, opened, without revisions: what must be again as it was."""
        with self.durable.database.connected() as connection:
            ids = [row[0] for row in connection.exec_driver_sql("SELECT id FROM person ORDER BY id")]
            keys = sorted(
                (bytes(row[0]), row[1])
                for row in connection.exec_driver_sql("SELECT digest, person_id FROM person_key")
            )
            words = sorted(
                (row[0], bytes(row[1]), row[2])
                for row in connection.exec_driver_sql("SELECT clinic, digest, person FROM finding")
            )
        return {
            "keys": keys,
            "words": words,
            "accounts": {one: self.records.accounts.of(one) for one in ids},
            "enrolments": {one: self.records.enrolments.of(one) for one in ids},
            "consents": {one: set(self.records.consents.of(one)) for one in ids},
        }

    def events(self, kind: str) -> Sequence[Event]:
        """Return the events of a kind."""
        return self.durable.events.since(self.now - timedelta(days=1), kind=kind)
