"""Filling PostgreSQL with persons who will really come: their keys are those that the broker looks for."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg

from bench.people import person
from bench.stage import Stage, Stores
from idbroker import config
from idbroker.app import open_keys, open_stores
from idbroker.clock import SystemClock
from idbroker.keyring import Keyring, ensure_keys
from idbroker.sealing import Sealer

SIZES = (1_000, 10_000, 100_000, 1_000_000)
_AT = datetime(2026, 1, 1, tzinfo=UTC)
_SEALED = 43  # octets of a sealed number: key number, nonce, DK: and ten digits, tag


def fill(stage: Stage, stores: Stores, count: int, issuer: str) -> None:
    """Add persons 0 to `count` as if each had signed in once, and let the database look after its tables."""
    path = stage.configure(f"fill-{stores.name}", stores, port=1, mitid=issuer, threads=1)
    settings, clock = config.load(path), SystemClock()
    durable, _ = open_stores(settings, path.parent, clock)
    durable.migrate()
    durable.close()
    keys = open_keys(settings, path.parent)
    ensure_keys(keys, clock, sandbox=True)
    fixed = Keyring(keys, sandbox=True).sealing_keys()
    sealer = Sealer(lambda: fixed)
    with psycopg.connect(_libpq(stores), autocommit=True) as connection, connection.cursor() as cursor:
        with cursor.copy("COPY person (id, created_at) FROM STDIN") as copy:
            for index in range(count):
                copy.write_row((_id(index), _AT))
        columns = "digest, person_id, kind, sealed, since"
        with cursor.copy(f"COPY person_key ({columns}) FROM STDIN") as copy:
            for index in range(count):
                for row in _keys(sealer, index, issuer):
                    copy.write_row(row)
        connection.execute("VACUUM (ANALYZE) person, person_key")
        connection.execute("CHECKPOINT")


def persons(stores: Stores) -> int:
    """Return how many there are."""
    with psycopg.connect(_libpq(stores)) as connection:
        row = connection.execute("SELECT count(*) FROM person").fetchone()
    return int(row[0]) if row else 0


def _keys(sealer: Sealer, index: int, issuer: str) -> Iterator[tuple[bytes, str, str, bytes | None, datetime]]:
    whom = person(index)
    yield sealer.index("number", f"DK:{whom.number}"), _id(index), "number", os.urandom(_SEALED), _AT
    yield sealer.index("upstream", f"{issuer}\n{whom.subject}"), _id(index), "upstream", None, _AT


def _id(index: int) -> str:
    return uuid.UUID(int=index * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128).hex


def _libpq(stores: Stores) -> str:
    return stores.durable.replace("postgresql+psycopg:", "postgresql:")
