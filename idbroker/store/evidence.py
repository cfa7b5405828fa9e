"""Evidence, in the durable store."""

from __future__ import annotations

import itertools
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Delete, Row, delete, insert, select

from idbroker.evidence import Evidence, SealedEvidence
from idbroker.store.database import Database
from idbroker.store.schema import evidence as table
from idbroker.store.sealed import data_key_of

EXPIRE_EVERY = 50
EXPIRE_AT_MOST = 100
REMOVE_AT_ONCE = 500

ADD = insert(table)
SHOWN = select(*(column for column in table.columns if column.name not in ("data_key", "sealed")))


class StoredEvidence:
    """`EvidenceKept` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._added = itertools.count(1)

    def add(self, connection: Connection, kept: SealedEvidence, now: datetime) -> None:
        """Add to the transaction of the connection; now and then take a few along that are past their time.

        Each sign-in adds one row at most, so this many removed keep up with any load.
        """
        shown = kept.evidence
        values = {name: getattr(shown, name) for name in ("id", "at", "until", "person", "provider")}
        connection.execute(ADD, {**values, "data_key": data_key_of(kept.sealed), "sealed": kept.sealed})
        if next(self._added) % EXPIRE_EVERY == 0:
            connection.execute(_few(table.c.until <= now, EXPIRE_AT_MOST))

    def find(self, evidence_id: str, now: datetime) -> SealedEvidence | None:
        """Return one that is not past its time, or None."""
        wanted = SHOWN.add_columns(table.c.sealed).where(table.c.id == evidence_id, table.c.until > now)
        row = self._database.reading(lambda connection: connection.execute(wanted).first())
        return SealedEvidence(evidence=_shown(row), sealed=bytes(row.sealed)) if row is not None else None

    def since(self, at: datetime, now: datetime, *, person: str | None = None, limit: int) -> tuple[Evidence, ...]:
        """Return the newest that are not past their time, oldest first."""
        wanted = SHOWN.where(table.c.at >= at, table.c.until > now)
        if person is not None:
            wanted = wanted.where(table.c.person == person)
        newest = wanted.order_by(table.c.at.desc(), table.c.id.desc()).limit(limit)
        rows = self._database.reading(lambda connection: connection.execute(newest).all())
        return tuple(map(_shown, reversed(rows)))

    def expire(self, now: datetime) -> int:
        """Delete what is past its time; return how many."""
        return self._remove(table.c.until <= now)

    def remove_before(self, at: datetime) -> int:
        """Delete what is from before a moment; return how many."""
        return self._remove(table.c.at < at)

    def _remove(self, over: ColumnElement[bool]) -> int:
        """In small steps, so that nobody waits for long."""
        total = 0
        while True:
            with self._database.connected() as connection:
                removed = connection.execute(_few(over, REMOVE_AT_ONCE)).rowcount
            total += removed
            if removed < REMOVE_AT_ONCE:
                return total


def _few(over: ColumnElement[bool], most: int) -> Delete:
    """Delete some rows, leaving out those that another is deleting: two that wait for each other wait for ever."""
    rows = select(table.c.id).where(over).limit(most).with_for_update(skip_locked=True)
    return delete(table).where(table.c.id.in_(rows))


def _shown(row: Row[tuple[object, ...]]) -> Evidence:
    columns = dict(row._mapping)
    columns.pop("sealed", None)
    return Evidence(**columns)
