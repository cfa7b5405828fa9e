"""Links in messages, in the durable store."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, String, Text, bindparam, delete, select, text, update

from idbroker.accounts.account import Link, Purpose
from idbroker.store.database import Database
from idbroker.store.schema import Moment
from idbroker.store.schema import link as table

PURGE_AT_ONCE = 1000

COLUMNS = tuple(table.columns.keys())
MOMENTS = ("made_at", "ends_at", "used_at")
# In words, which both databases understand: SQLAlchemy's own needs each one's dialect to be loaded.
ADD = text(
    f"INSERT INTO link ({', '.join(COLUMNS)}) VALUES ({', '.join(f':{name}' for name in COLUMNS)}) "  # noqa: S608 - names of ours
    f"ON CONFLICT (person, purpose) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in COLUMNS[2:])}"
).bindparams(*(bindparam(name, type_=Moment) for name in MOMENTS))
NOW = bindparam("now", type_=Moment)
OPEN = (table.c.digest == bindparam("is", type_=Text), table.c.used_at.is_(None), table.c.ends_at > NOW)
FIND = select(table).where(*OPEN)
USE = update(table).where(*OPEN).values(used_at=NOW)
END_ALL = delete(table).where(table.c.person == bindparam("of", type_=String))
OVER = select(table.c.digest).where(table.c.ends_at <= NOW).limit(PURGE_AT_ONCE).with_for_update(skip_locked=True)
PURGE = delete(table).where(table.c.digest.in_(OVER))


class StoredLinks:
    """`Links` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, link: Link) -> None:
        """Keep one, in the place of any other of the same person and purpose: one statement.

        So an older message that somebody else reads later opens nothing (ASVS 6.4.1).
        """
        values = {name: getattr(link, name) for name in COLUMNS if name != "transaction_id"}
        values |= {"purpose": link.purpose.value, "transaction_id": link.transaction}
        with self._database.connected() as connection:
            connection.execute(ADD, values)

    def find(self, digest: str, now: datetime) -> Link | None:
        """Return one that is neither used nor over."""
        wanted = {"is": digest, "now": now}
        row = self._database.reading(lambda connection: connection.execute(FIND, wanted).first())
        return None if row is None else _read(row)

    def use(self, digest: str, now: datetime) -> bool:
        """Use it up; of many callers at once exactly one is told True, and none after its end."""
        with self._database.connected() as connection:
            return connection.execute(USE, {"is": digest, "now": now}).rowcount == 1

    def end_all(self, person: str) -> None:
        """End all of a person."""
        with self._database.connected() as connection:
            connection.execute(END_ALL, {"of": person})

    def purge(self, now: datetime) -> int:
        """Forget those whose time is up; return how many. In small steps, so that nobody waits for long."""
        total = 0
        while True:
            with self._database.connected() as connection:
                removed = connection.execute(PURGE, {"now": now}).rowcount
            total += removed
            if removed < PURGE_AT_ONCE:
                return total


def _read(row: Row[Any]) -> Link:
    columns = dict(row._mapping)
    columns |= {"purpose": Purpose(row.purpose), "transaction": columns.pop("transaction_id")}
    return Link(**columns)
