"""What acts for a ward now, in the durable store."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, delete, select, update

from idbroker.guardianship.delegation import Delegation
from idbroker.store.database import Database
from idbroker.store.schema import delegation as table

PURGE_AT_ONCE = 1000


class StoredDelegations:
    """`Delegations` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, delegation: Delegation) -> None:
        """Keep one."""
        values = {column.name: getattr(delegation, column.name) for column in table.columns}
        with self._database.connected() as connection:
            connection.execute(table.insert(), values)

    def of_ward(self, ward: str, clinic: str | None = None) -> tuple[Delegation, ...]:
        """Return those that act for somebody, at one clinic or at all."""
        here = [] if clinic is None else [table.c.clinic == clinic]
        return self._read(select(table).where(table.c.ward == ward, *here).order_by(table.c.grant))

    def of_guardian(self, guardian: str) -> tuple[Delegation, ...]:
        """Return those by which somebody acts for others."""
        return self._read(select(table).where(table.c.guardian == guardian).order_by(table.c.grant))

    def due(self, now: datetime, lease: timedelta, most: int) -> tuple[Delegation, ...]:
        """Take up to `most` whose word is no longer good, the oldest first; they come back after `lease`."""
        over = (table.c.check_at <= now, table.c.until > now)
        wanted = select(table).where(*over).order_by(table.c.check_at).limit(most).with_for_update(skip_locked=True)
        with self._database.writing() as connection:
            rows = [Delegation(**row) for row in connection.execute(wanted).mappings().all()]
            names = [row.grant for row in rows]
            connection.execute(update(table).where(table.c.grant.in_(names)).values(check_at=now + lease))
        return tuple(rows)

    def checked(self, grant: str, check_at: datetime) -> None:
        """Note that the register has said so again, and until when that is good."""
        with self._database.connected() as connection:
            connection.execute(update(table).where(table.c.grant == grant).values(check_at=check_at))

    def done(self, grant: str) -> bool:
        """Forget one; tell whether it was there."""
        with self._database.connected() as connection:
            return connection.execute(delete(table).where(table.c.grant == grant)).rowcount == 1

    def purge(self, now: datetime) -> int:
        """Forget those that have ended by themselves; return how many. In small steps: nobody waits for long."""
        over = select(table.c.grant).where(table.c.until <= now).limit(PURGE_AT_ONCE)
        total = 0
        while True:
            with self._database.connected() as connection:
                removed = connection.execute(delete(table).where(table.c.grant.in_(over))).rowcount
            total += removed
            if removed < PURGE_AT_ONCE:
                return total

    def _read(self, wanted: Select[Any]) -> tuple[Delegation, ...]:
        rows = self._database.reading(lambda connection: connection.execute(wanted).mappings().all())
        return tuple(Delegation(**row) for row in rows)
