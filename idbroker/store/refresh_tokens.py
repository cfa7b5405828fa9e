"""Refresh tokens, in the durable store."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, delete, insert, or_, select, update

from idbroker.grant import RefreshToken
from idbroker.store.database import Database
from idbroker.store.schema import refresh_token as table

PURGE_AT_ONCE = 1000


class StoredRefreshTokens:
    """`RefreshTokens` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, token: RefreshToken) -> None:
        """Keep one."""
        values = {column.name: getattr(token, column.name) for column in table.columns}
        with self._database.connected() as connection:
            connection.execute(insert(table), values)

    def find(self, digest: str) -> RefreshToken | None:
        """Return it, used or not, or None."""
        wanted = select(table).where(table.c.digest == digest)
        row = self._database.reading(lambda connection: connection.execute(wanted).mappings().first())
        return RefreshToken(**row) if row is not None else None

    def use(self, digest: str, now: datetime) -> bool:
        """Mark it used; of many callers at once exactly one is told True. One that is over cannot be used."""
        unused = (table.c.digest == digest, table.c.used_at.is_(None), table.c.expires_at > now)
        with self._database.connected() as connection:
            return connection.execute(update(table).where(*unused).values(used_at=now)).rowcount == 1

    def revoke(
        self,
        *,
        family: str | None = None,
        session: str | None = None,
        person: str | None = None,
        but: str | None = None,
        client_id: str | None = None,
    ) -> int:
        """Remove all of a family, a session or a person; return how many. ValueError unless exactly one is given."""
        given = {table.c.family: family, table.c.session: session, table.c.person: person}
        whose = [column == value for column, value in given.items() if value is not None]
        if len(whose) != 1:
            raise ValueError("revoke a family, a session or a person")
        whose += _only(but, client_id)
        with self._database.connected() as connection:
            return connection.execute(delete(table).where(*whose)).rowcount

    def families(self, person: str, *, but: str | None = None, client_id: str | None = None) -> tuple[str, ...]:
        """Return the families of a person's."""
        wanted = select(table.c.family).where(table.c.person == person, *_only(but, client_id)).distinct()
        return tuple(self._database.reading(lambda connection: connection.execute(wanted).scalars().all()))

    def purge(self, now: datetime) -> int:
        """Remove those whose time is up; return how many. In small steps, so that nobody waits for long."""
        over = select(table.c.digest).where(table.c.expires_at <= now).limit(PURGE_AT_ONCE)
        total = 0
        while True:
            with self._database.connected() as connection:
                removed = connection.execute(delete(table).where(table.c.digest.in_(over))).rowcount
            total += removed
            if removed < PURGE_AT_ONCE:
                return total


def _only(but: str | None, client_id: str | None) -> list[ColumnElement[bool]]:
    """Return the conditions that leave some out: those of one session, those of other clients."""
    others = [] if but is None else [or_(table.c.session.is_(None), table.c.session != but)]
    return others if client_id is None else [*others, table.c.client_id == client_id]
