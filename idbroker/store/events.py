"""The audit trail, in the durable store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Row, insert, or_, select

from idbroker.events import Event
from idbroker.store.database import Database
from idbroker.store.schema import event as table

ADD = insert(table)


class StoredEvents:
    """`Events` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, event: Event) -> None:
        """Keep one event."""
        with self._database.connected() as connection:
            insert_event(connection, event)

    def since(self, at: datetime, *, kind: str | None = None, limit: int = 1000) -> tuple[Event, ...]:
        """Return the newest events from a moment on, oldest first."""
        wanted = select(table).where(table.c.at >= at).order_by(table.c.at.desc(), table.c.id.desc()).limit(limit)
        if kind is not None:
            wanted = wanted.where(table.c.kind == kind)
        rows = self._database.reading(lambda connection: connection.execute(wanted).all())
        return tuple(_event(row) for row in reversed(rows))

    def of_person(
        self, person: str, limit: int, *, kinds: Sequence[str] = (), clinic: str | None = None
    ) -> tuple[Event, ...]:
        """Return the newest events of a person, the newest first; a kind that ends with a dot is all of a family."""
        wanted = select(table).where(table.c.person == person).order_by(table.c.id.desc()).limit(limit)
        if kinds:
            wanted = wanted.where(or_(*map(_is_of, kinds)))
        if clinic is not None:
            wanted = wanted.where(table.c.clinic == clinic)
        rows = self._database.reading(lambda connection: connection.execute(wanted).all())
        return tuple(map(_event, rows))


def _is_of(kind: str) -> ColumnElement[bool]:
    if kind.endswith("."):
        return table.c.kind.startswith(kind, autoescape=True)
    return table.c.kind == kind


def insert_event(connection: Connection, event: Event) -> None:
    """Add one event to the transaction of the connection."""
    values = {
        "at": event.at,
        "kind": event.kind,
        "transaction_id": event.transaction,
        "client": event.client,
        "clinic": event.clinic,
        "provider": event.provider,
        "person": event.person,
        "ref": event.ref,
        "detail": dict(event.detail),
    }
    connection.execute(ADD, values)


def _event(row: Row[tuple[object, ...]]) -> Event:
    columns = dict(row._mapping)
    del columns["id"]
    columns["transaction"] = columns.pop("transaction_id")
    return Event(**columns)
