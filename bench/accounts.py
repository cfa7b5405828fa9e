"""Filling the durable store with accounts: few, whose people come, or many around these."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from bench.by_password import PASSWORD, Member, member
from bench.people import person
from bench.stage import Stores
from bench.visit import ISSUER
from idbroker import config
from idbroker.accounts.account import Account, Contact, Enrolment, Standing
from idbroker.accounts.passwords import Hasher
from idbroker.accounts.records import account_row, enrolment_row
from idbroker.app import open_keys, open_records, open_stores
from idbroker.clock import SystemClock
from idbroker.codec import Codec
from idbroker.keyring import Keyring, ensure_keys
from idbroker.messages.message import Channel
from idbroker.numbers import parse
from idbroker.person import PersonKey, number_row
from idbroker.sealing import Sealer
from idbroker.store import Durable

CLINIC = "bench"
_AT = datetime(2026, 1, 1, tzinfo=UTC)
_ACCOUNT, _ENROLMENT = Codec(Account), Codec(Enrolment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """One store, open with the keys that its broker has. `issuer` is MitID's, `password` the hash of everybody's."""

    durable: Durable
    sealer: Sealer
    issuer: str
    password: str

    def keys(self, who: Member, person_id: str) -> tuple[PersonKey, ...]:
        """Return what somebody is recognised by: their number, MitID and the fallback have all been used."""
        number = parse(who.number, "DK", now=_AT.date())
        digest = self.sealer.index("number", number.key)
        ids = {self.issuer: person(who.index).subject, f"{ISSUER}/fallback": person_id}
        return (
            PersonKey(kind="number", digest=digest, sealed=self.sealer.seal(number.key.encode(), number_row(digest))),
            *(
                PersonKey(kind="upstream", digest=self.sealer.index("upstream", f"{issuer}\n{subject}"))
                for issuer, subject in ids.items()
            ),
        )

    def account(self, who: Member, person_id: str) -> Account:
        """Return somebody's account."""
        whom = person(who.index)
        given, _, family = whom.name.rpartition(" ")
        return Account(
            person=person_id,
            number=parse(who.number, "DK", now=_AT.date()),
            given_name=given,
            family_name=family,
            birthdate=whom.born,
            language="da",
            password=self.password,
            password_set_at=_AT,
            contacts=(Contact(channel=Channel(who.channel), address=who.to, verified_at=_AT),),
            confirmed_at=_AT,
            created_at=_AT,
        )


@contextmanager
def opened(path: Path, issuer: str) -> Iterator[Filling]:
    """Open the store of a configuration as its broker would, tables and keys made."""
    settings, clock = config.load(path), SystemClock()
    durable, transient = open_stores(settings, path.parent, clock)
    transient.close()
    durable.migrate()
    keys = open_keys(settings, path.parent)
    ensure_keys(keys, clock, sandbox=True)
    fixed = Keyring(keys, sandbox=True).sealing_keys()
    hasher = Hasher(settings.passwords)
    try:
        yield Filling(durable=durable, sealer=Sealer(lambda: fixed), issuer=issuer, password=hasher.hash(PASSWORD))
    finally:
        hasher.close()
        durable.close()


def introduce(filling: Filling, count: int) -> None:
    """Give persons 0 to `count` an account with a password, and have the clinic know them."""
    records = open_records(filling.durable, filling.sealer)
    for index in range(count):
        who = member(index)
        number, mitid, _ = filling.keys(who, "")
        person_id = filling.durable.persons.meet((number, mitid), _AT)
        filling.durable.persons.meet(filling.keys(who, person_id), _AT)
        records.accounts.add(filling.account(who, person_id))
        records.enrolments.change(person_id, CLINIC, _always(enrolment(person_id)))


def _always(known: Enrolment) -> Callable[[Enrolment | None], Enrolment]:
    return lambda _: known


def enrolment(person_id: str) -> Enrolment:
    """Return that the clinic takes somebody."""
    return Enrolment(
        person=person_id, clinic=CLINIC, standing=Standing.APPROVED, asked_at=_AT, decided_at=_AT, language="da"
    )


def fill(filling: Filling, stores: Stores, count: int, every: int) -> None:
    """Copy persons 0 to `count` with their accounts into PostgreSQL; one in `every` can come.

    What is sealed of the others is never opened: noise of its length does.
    """
    shapes = _sealed(filling, member(0), _id(0))
    lengths = tuple(map(len, shapes))
    with (
        psycopg.connect(stores.durable.replace("postgresql+psycopg:", "postgresql:"), autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        with cursor.copy("COPY person (id, created_at) FROM STDIN") as copy:
            for index in range(count):
                copy.write_row((_id(index), _AT))
        with cursor.copy("COPY person_key (digest, person_id, kind, sealed, since) FROM STDIN") as copy:
            for index in range(count):
                for key in _keys(filling, index, every):
                    copy.write_row((key.digest, _id(index), key.kind, key.sealed, _AT))
        sealed = {
            index: _sealed(filling, member(index), _id(index)) if index % every == 0 else None for index in range(count)
        }
        noise = [os.urandom(length) for length in lengths]
        with cursor.copy("COPY account (person, revision, data_key, sealed) FROM STDIN") as copy:
            for index, own in sealed.items():
                copy.write_row((_id(index), 1, 1, (own or noise)[0]))
        columns = "person, clinic, standing, asked_at, handle, revision, data_key, sealed"
        with cursor.copy(f"COPY enrolment ({columns}) FROM STDIN") as copy:
            for index, own in sealed.items():
                copy.write_row((_id(index), CLINIC, "approved", _AT, _id(index), 1, 1, (own or noise)[1]))
        connection.execute("VACUUM (ANALYZE) person, person_key, account, enrolment")
        connection.execute("CHECKPOINT")


def _keys(filling: Filling, index: int, every: int) -> tuple[PersonKey, ...]:
    if index % every == 0:
        return filling.keys(member(index), _id(index))
    return tuple(
        PersonKey(kind=kind, digest=os.urandom(32), sealed=os.urandom(43) if kind == "number" else None)
        for kind in ("number", "upstream", "upstream")
    )


def _sealed(filling: Filling, who: Member, person_id: str) -> tuple[bytes, bytes]:
    account, known = filling.account(who, person_id), enrolment(person_id)
    return (
        filling.sealer.seal(_ACCOUNT.pack(account), account_row(person_id)),
        filling.sealer.seal(_ENROLMENT.pack(known), enrolment_row(person_id, CLINIC)),
    )


def _id(index: int) -> str:
    return uuid.UUID(int=index * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128).hex
