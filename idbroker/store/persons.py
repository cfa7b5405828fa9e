"""Persons and their keys, in the durable store."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection, LargeBinary, bindparam, insert, select, text

from idbroker.errors import StoreError
from idbroker.events import Event
from idbroker.person import PersonKey
from idbroker.store.database import Database
from idbroker.store.events import insert_event
from idbroker.store.schema import Moment, person, person_key

ATTEMPTS = 10
Beside = Callable[[Connection, str], None]  # writes something about a person
KNOWN = select(person_key.c.digest, person_key.c.person_id).where(
    person_key.c.digest.in_(bindparam("digests", expanding=True))
)
ADD_PERSON = insert(person)
# In words, which both databases understand: SQLAlchemy's own needs each one's dialect to be loaded.
# A key that another transaction has just added is left out, and not returned.
ADD_KEY = text(
    "INSERT INTO person_key (digest, person_id, kind, sealed, since) "
    "VALUES (:digest, :person_id, :kind, :sealed, :since) ON CONFLICT DO NOTHING RETURNING digest"
).bindparams(bindparam("sealed", type_=LargeBinary), bindparam("since", type_=Moment))


class StoredPersons:
    """`Persons` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def known(self, keys: Sequence[PersonKey]) -> str | None:
        """Return the id of the person of the first key that is known; None for a stranger."""
        known = self._database.reading(lambda connection: _known(connection, keys))
        return next((known[key.digest] for key in keys if key.digest in known), None)

    def meet(self, keys: Sequence[PersonKey], now: datetime) -> str:
        """Return the id of the person of the first key that is known, else of a new person."""
        known = self._database.reading(lambda connection: _known(connection, keys))
        return _complete(keys, known) or self._introduce(keys, now, None)

    def signed_in(
        self, keys: Sequence[PersonKey], make_event: Callable[[str], Event], now: datetime, beside: Beside | None = None
    ) -> str:
        """Return the person's id, as `meet` does, and record the event made of it: one commit for both.

        `beside` writes what else belongs to it, in the same transaction. Without, a person who is
        known costs two statements; nothing but the event is written, so no transaction has to hold
        them together.
        """

        def record(connection: Connection, met: str) -> None:
            insert_event(connection, make_event(met))
            if beside is not None:
                beside(connection, met)

        if beside is not None:
            return self._introduce(keys, now, record)
        with self._database.connected() as connection:
            met = _complete(keys, _known(connection, keys))
            if met is not None:
                record(connection, met)
        return met or self._introduce(keys, now, record)

    def _introduce(self, keys: Sequence[PersonKey], now: datetime, record: Beside | None) -> str:
        """Add the keys that are missing, and the person if all are, in one transaction.

        Where another transaction adds one of the same keys at the same time, the unique index makes
        us wait for it; then all is undone and we look again, so that both find one person.
        """
        for _ in range(ATTEMPTS):
            try:
                with self._database.writing() as connection:
                    met = self._introduce_once(connection, keys, now)
                    if record is not None:
                        record(connection, met)
                    return met
            except _Overtaken:
                continue
        raise StoreError("a person could not be added: others kept adding the same keys")

    def _introduce_once(self, connection: Connection, keys: Sequence[PersonKey], now: datetime) -> str:
        known = _known(connection, keys)
        met = next((known[key.digest] for key in keys if key.digest in known), None)
        if met is None:
            met = uuid.uuid4().hex
            connection.execute(ADD_PERSON, {"id": met, "created_at": now})
        # Sorted: two transactions that add the same keys in two orders would wait for each other for ever.
        for key in sorted({key.digest: key for key in keys if key.digest not in known}.values(), key=_digest):
            added = connection.execute(
                ADD_KEY,
                {"digest": key.digest, "person_id": met, "kind": key.kind, "sealed": key.sealed, "since": now},
            )
            if added.first() is None:
                raise _Overtaken
        return met


class _Overtaken(Exception):
    """Another transaction added one of our keys first."""


def _known(connection: Connection, keys: Sequence[PersonKey]) -> dict[bytes, str]:
    """Return who the known ones of the keys belong to. ValueError when there are no keys."""
    if not keys:
        raise ValueError("a person is met by at least one key")
    rows = connection.execute(KNOWN, {"digests": [key.digest for key in keys]})
    return {bytes(digest): met for digest, met in rows}


def _complete(keys: Sequence[PersonKey], known: dict[bytes, str]) -> str | None:
    """Return the first key's person when every key is known, else None."""
    return known[keys[0].digest] if all(key.digest in known for key in keys) else None


def _digest(key: PersonKey) -> bytes:
    return key.digest
