"""Filling PostgreSQL with persons who will really come: their keys are those that the broker looks for."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg

from bench.people import person
from bench.stage import Stage, Stores
from idbroker import config
from idbroker.app import open_keys, open_stores
from idbroker.clock import SystemClock
from idbroker.keyring import Keyring, ensure_keys
from idbroker.person import PersonKey
from idbroker.sealing import Sealer
from idbroker.store import Durable

SIZES = (1_000, 10_000, 100_000, 1_000_000)
_AT = datetime(2026, 1, 1, tzinfo=UTC)
_SEALED = 43  # octets of a sealed number: key number, nonce, DK: and ten digits, tag


def introduce(stage: Stage, stores: Stores, count: int, issuer: str) -> None:
    """Have the store meet persons 0 to `count`, one after another, as their first sign-ins would."""
    with _opened(stage, stores, issuer) as (durable, sealer):
        for index in range(count):
            durable.persons.meet(_person_keys(sealer, index, issuer), _AT)


def fill(stage: Stage, stores: Stores, count: int, issuer: str) -> None:
    """Copy persons 0 to `count` into PostgreSQL as if each had signed in once, and have it look after its tables."""
    with (
        _opened(stage, stores, issuer) as (_, sealer),
        psycopg.connect(_libpq(stores), autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        with cursor.copy("COPY person (id, created_at) FROM STDIN") as copy:
            for index in range(count):
                copy.write_row((_id(index), _AT))
        with cursor.copy("COPY person_key (digest, person_id, kind, sealed, since) FROM STDIN") as copy:
            for index in range(count):
                for key in _person_keys(sealer, index, issuer):
                    copy.write_row((key.digest, _id(index), key.kind, key.sealed, _AT))
        connection.execute("VACUUM (ANALYZE) person, person_key")
        connection.execute("CHECKPOINT")


@contextmanager
def _opened(stage: Stage, stores: Stores, issuer: str) -> Iterator[tuple[Durable, Sealer]]:
    """Open the store as a broker would, its tables made, with the keys that brokers of this stage have."""
    path = stage.configure(f"fill-{stores.name}", stores, port=1, mitid=issuer, threads=1)
    settings, clock = config.load(path), SystemClock()
    durable, _ = open_stores(settings, path.parent, clock)
    durable.migrate()
    keys = open_keys(settings, path.parent)
    ensure_keys(keys, clock, sandbox=True)
    fixed = Keyring(keys, sandbox=True).sealing_keys()
    yield durable, Sealer(lambda: fixed)
    durable.close()


def persons(stores: Stores) -> int:
    """Return how many there are."""
    with psycopg.connect(_libpq(stores)) as connection:
        row = connection.execute("SELECT count(*) FROM person").fetchone()
    return int(row[0]) if row else 0


def _person_keys(sealer: Sealer, index: int, issuer: str) -> Sequence[PersonKey]:
    whom = person(index)
    upstream = sealer.index("upstream", f"{issuer}\n{whom.subject}")
    # What is sealed is never opened at a sign-in: noise of its length does.
    return (
        PersonKey(kind="number", digest=sealer.index("number", f"DK:{whom.number}"), sealed=os.urandom(_SEALED)),
        PersonKey(kind="upstream", digest=upstream),
    )


def _id(index: int) -> str:
    return uuid.UUID(int=index * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128).hex


def _libpq(stores: Stores) -> str:
    return stores.durable.replace("postgresql+psycopg:", "postgresql:")
