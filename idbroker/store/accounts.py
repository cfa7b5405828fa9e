"""Accounts, in the durable store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Integer, LargeBinary, String, bindparam, delete, select, text, update

from idbroker.accounts.records import AccountRow
from idbroker.person import PersonKey
from idbroker.store.database import Database
from idbroker.store.persons import StoredPersons
from idbroker.store.schema import account as table
from idbroker.store.schema import enrolment, link, person_key
from idbroker.store.sealed import data_key_of

OF = select(table.c.person, table.c.revision, table.c.sealed).where(table.c.person == bindparam("of", type_=String))
FIND = (
    select(person_key.c.person_id, table.c.revision, table.c.sealed)
    .join_from(person_key, table, table.c.person == person_key.c.person_id, isouter=True)
    .where(person_key.c.digest == bindparam("key", type_=LargeBinary))
)
# In words, which both databases understand: SQLAlchemy's own needs each one's dialect to be loaded.
ADD = text(
    "INSERT INTO account (person, revision, data_key, sealed) "
    "VALUES (:person, :revision, :data_key, :sealed) ON CONFLICT (person) DO NOTHING RETURNING person"
).bindparams(bindparam("sealed", type_=LargeBinary))
CHANGE = update(table).where(
    table.c.person == bindparam("of", type_=String), table.c.revision == bindparam("before", type_=Integer)
)
# With the account go the ways to it and what it was for; what was agreed to stays, as a record.
REMOVE = tuple(delete(gone).where(gone.c.person == bindparam("of", type_=String)) for gone in (link, enrolment, table))


class StoredAccounts:
    """`AccountRows` in a database."""

    def __init__(self, database: Database, persons: StoredPersons) -> None:
        self._database = database
        self._persons = persons

    def find(self, key: bytes) -> tuple[str, AccountRow | None] | None:
        """Return the person that a key's digest belongs to, and the account if there is one.

        One statement in any case, so that its time does not tell who has an account (CWE-208).
        """
        row = self._database.reading(lambda connection: connection.execute(FIND, {"key": key}).first())
        if row is None:
            return None
        person, revision, sealed = row
        account = None if revision is None else AccountRow(person=person, revision=revision, sealed=bytes(sealed))
        return person, account

    def of(self, person: str) -> AccountRow | None:
        """Return a person's account."""
        row = self._database.reading(lambda connection: connection.execute(OF, {"of": person}).first())
        return None if row is None else AccountRow(person=row[0], revision=row[1], sealed=bytes(row[2]))

    def known(self, keys: Sequence[PersonKey], now: datetime) -> str:
        """Return the person of these keys, a new one if nobody is known by them."""
        return self._persons.meet(keys, now)

    def save(self, row: AccountRow) -> bool:
        """Add revision 1, or put another in the place of the one before; False if it is not so."""
        values = {"revision": row.revision, "data_key": data_key_of(row.sealed), "sealed": row.sealed}
        with self._database.connected() as connection:
            if row.revision == 1:
                return connection.execute(ADD, {"person": row.person, **values}).first() is not None
            return connection.execute(CHANGE, {"of": row.person, "before": row.revision - 1, **values}).rowcount == 1

    def remove(self, person: str) -> bool:
        """Remove a person's account, links and enrolments: all or none. Tell whether there was an account."""
        with self._database.writing() as connection:
            removed = [connection.execute(statement, {"of": person}).rowcount for statement in REMOVE]
        return removed[-1] == 1
