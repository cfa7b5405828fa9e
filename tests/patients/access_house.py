"""Sending access, on the recovery house's real stores: three clinics, their services, patients as each has them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from idbroker.accounts.account import Account, Enrolment, Entry, Standing
from idbroker.accounts.choosing import Done
from idbroker.accounts.records import Records
from idbroker.clinic import Clinic
from idbroker.clock import StoppedClock
from idbroker.keeping import SealedTransient, Shelf
from idbroker.messages.message import Channel
from idbroker.numbers import NationalNumber
from idbroker.otp.one_time import Limited
from idbroker.patients.access import Access, Letter, Receipt, Receipts
from idbroker.patients.patient import NotDone
from idbroker.sealing import SealingKeys
from idbroker.staff.member import Actor, Role
from idbroker.store import open_transient
from tests.accounts.desk_house import ANNA
from tests.accounts.recovery_house import CLIENT, CLINIC, NEW, RecoveryHouse, recovery_house, token_in
from tests.oidc.making import make_client

OTHER = Clinic(id="other", name="Den anden", country="DK", providers=("fallback",), phone="+45 70 10 20 31")
LASTING = Clinic(id="lasting", name="Registret", country="SE", providers=("fallback",), access="password")
TOLD: Mapping[Channel, str] = {Channel.EMAIL: "told@example.org", Channel.SMS: "+4520654321"}
BOTH = (Channel.SMS, Channel.EMAIL)


@dataclass(kw_only=True)
class AccessHouse:
    """The recovery house, and access."""

    rooms: RecoveryHouse
    access: Access

    def actor(self, clinic: str = CLINIC.id, role: Role = Role.CARER) -> Actor:
        """Return a colleague."""
        return Actor(id="c0" * 16, clinic=clinic, role=role, name="Anna")

    def patient(self, clinic: str = CLINIC.id, number: NationalNumber | None = ANNA, **changes: Any) -> Enrolment:
        """Enter somebody at a clinic."""
        now = self.rooms.desk.clock.now()
        person = self.rooms.desk.desk.accounts.person(number or ANNA, now)
        entry = Entry(number=number, given_name="Anna", family_name="Berg", entered_at=now, by="staff-1")
        patient = Enrolment(
            person=person,
            clinic=clinic,
            standing=Standing.APPROVED,
            asked_at=now,
            decided_at=now,
            entry=entry,
            told=TOLD,
            language="da",
        )
        patient = replace(patient, **changes)
        kept = self.rooms.enrolments.change(person, clinic, lambda _: patient)
        assert kept is not None
        return kept

    def send(
        self, patient: Enrolment, channels: Collection[Channel] = (Channel.EMAIL,), **named: Any
    ) -> Receipt | Limited | NotDone:
        """Send a patient their access."""
        now = self.rooms.desk.clock.now()
        return self.access.send(self.actor(patient.clinic), patient.handle, channels, None, now, **named)

    def letter(self, patient: Enrolment) -> Letter | Limited | NotDone:
        """Print a letter."""
        now = self.rooms.desk.clock.now()
        return self.access.letter(self.actor(patient.clinic), patient.handle, None, now)

    def take(self, patient: Enrolment, channel: Channel = Channel.EMAIL, password: str = NEW) -> Account:
        """Send a link, and choose a password with it; return the account as it is then."""
        sent = self.send(patient, (channel,))
        assert isinstance(sent, Receipt), sent
        token = token_in(next(one for one in self.rooms.settled(channel) if "/set/" in one.text))
        self.choose(token, password)
        self.rooms.settled(channel)
        return self.rooms.account(patient.person)

    def choose(self, token: str, password: str = NEW) -> None:
        """Choose a password by a link."""
        done = self.rooms.recovery.choose(token, password, f"form of {token}", self.rooms.desk.clock.now())
        assert isinstance(done, Done), done


@contextmanager
def access_house(folder: Path, clock: StoppedClock) -> Iterator[AccessHouse]:
    """Give it."""
    with recovery_house(folder, clock, more=(OTHER, LASTING)) as rooms:
        transient = open_transient(f"sqlite:///{folder}/receipts.db", clock)
        keys = SealingKeys(data={1: b"r" * 32}, newest=1, index=b"i" * 32)
        durable = rooms.desk.durable
        durable.clients.save(make_client(id="others", clinic=OTHER.id, name={"en": "Others"}))
        durable.clients.save(make_client(id="per", clinic=LASTING.id, name={"en": "PER", "sv": "PER"}))
        assert CLIENT.clinic == CLINIC.id
        access = Access(
            records=Records(
                accounts=rooms.desk.desk.accounts,
                enrolments=rooms.enrolments,
                links=durable.links,
                consents=durable.consents,
            ),
            clinics=rooms.letters.clinics,
            clients=durable.clients,
            activation=rooms.activation,
            recovery=rooms.recovery,
            linking=rooms.linking,
            letters=rooms.letters,
            codes=rooms.desk.desk.codes,
            throttle=rooms.desk.throttle,
            events=durable.events,
            receipts_of=Shelf(SealedTransient(transient, lambda: keys), "v", Receipts),
        )
        try:
            yield AccessHouse(rooms=rooms, access=access)
        finally:
            transient.close()
