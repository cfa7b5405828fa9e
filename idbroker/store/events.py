"""The audit trail, in the durable store."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, Row, insert, select

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

    def of_person(self, person: str, limit: int) -> tuple[Event, ...]:
        """Return the newest events of a person, the newest first."""
        wanted = select(table).where(table.c.person == person).order_by(table.c.id.desc()).limit(limit)
        rows = self._database.reading(lambda connection: connection.execute(wanted).all())
        return tuple(map(_event, rows))


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
