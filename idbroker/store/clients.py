"""Registered clients, in the durable store, with a short memory of the ones in use."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select, text

from idbroker.client import Client
from idbroker.clock import Clock
from idbroker.codec import Codec
from idbroker.store.database import Database
from idbroker.store.schema import Moment
from idbroker.store.schema import client as table

FRESH_SECONDS = 2.0
# In words, which both databases understand: SQLAlchemy's own needs each one's dialect to be loaded.
SAVE = text(
    "INSERT INTO client (id, document, updated_at) VALUES (:id, :document, :updated_at) "
    "ON CONFLICT (id) DO UPDATE SET document = excluded.document, updated_at = excluded.updated_at"
).bindparams(bindparam("updated_at", type_=Moment))


@dataclass(frozen=True, slots=True)
class _Remembered:
    client: Client
    document: str
    until: float


class StoredClients:
    """`Clients` in a database.

    A client that was found is remembered for two seconds: what this process saves or removes is
    seen at once, what another does within two seconds. An unknown id is never remembered, so
    strangers cannot fill the memory with ids of their own.
    """

    def __init__(self, database: Database, clock: Clock, monotonic: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._monotonic = monotonic
        self._codec = Codec(Client)
        self._lock = threading.Lock()
        self._remembered: dict[str, _Remembered] = {}
        self._changes = 0

    def find(self, client_id: str) -> Client | None:
        """Return the client, or None."""
        remembered = self._remembered.get(client_id)
        if remembered is not None and self._monotonic() < remembered.until:
            return remembered.client
        return self._read(client_id, remembered)

    def all(self) -> tuple[Client, ...]:
        """Return every client, by id."""
        wanted = select(table.c.document)
        documents = self._database.reading(lambda connection: connection.execute(wanted).scalars().all())
        # Sorted here: databases sort by the rules of a language, which differ.
        return tuple(sorted(map(self._unpack, documents), key=lambda client: client.id))

    def save(self, client: Client) -> None:
        """Add the client or replace the one with its id."""
        document = self._codec.pack(client).decode()
        values = {"id": client.id, "document": document, "updated_at": self._clock.now()}
        with self._database.connected() as connection:
            connection.execute(SAVE, values)
        self._forget(client.id)

    def remove(self, client_id: str) -> bool:
        """Remove it; tell whether it was there."""
        with self._database.connected() as connection:
            removed = connection.execute(delete(table).where(table.c.id == client_id)).rowcount
        self._forget(client_id)
        return removed > 0

    def _read(self, client_id: str, remembered: _Remembered | None) -> Client | None:
        changes, until = self._changes, self._monotonic() + FRESH_SECONDS
        wanted = select(table.c.document).where(table.c.id == client_id)
        document = self._database.reading(lambda connection: connection.execute(wanted).scalar())
        if document is None:
            self._forget(client_id)
            return None
        unchanged = remembered is not None and remembered.document == document
        client = remembered.client if remembered and unchanged else self._unpack(document)
        with self._lock:
            # What was read before somebody saved must not outlive what was saved.
            if changes == self._changes:
                self._remembered[client_id] = _Remembered(client, document, until)
        return client

    def _forget(self, client_id: str) -> None:
        with self._lock:
            self._changes += 1
            self._remembered.pop(client_id, None)

    def _unpack(self, document: str) -> Client:
        return self._codec.unpack(document.encode())
