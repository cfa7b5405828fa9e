"""Notices of ended sign-ons, in the durable store."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, bindparam, delete, func, or_, select, text, tuple_, update

from idbroker.backchannel import LogoutNotice
from idbroker.store.database import Database
from idbroker.store.schema import Moment
from idbroker.store.schema import logout_notice as table

PURGE_AT_ONCE = 1000
COLUMNS = tuple(table.columns.keys())
KEY = tuple_(table.c.client_id, table.c.sid)


class StoredLogoutNotices:
    """`Outbox` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, notices: Sequence[LogoutNotice]) -> None:
        """Keep them, all or none: one statement, whatever their number."""
        if not notices:
            return
        # In words, which both databases understand: SQLAlchemy's own needs each one's dialect to be loaded.
        rows = ", ".join(f"({', '.join(f':{name}_{row}' for name in COLUMNS)})" for row in range(len(notices)))
        insert = text(f"INSERT INTO logout_notice ({', '.join(COLUMNS)}) VALUES {rows} ON CONFLICT DO NOTHING")  # noqa: S608 - names of ours
        moments = (f"{name}_{row}" for name in ("due_at", "ends_at") for row in range(len(notices)))
        values = {f"{name}_{row}": value for row, one in enumerate(notices) for name, value in asdict(one).items()}
        with self._database.connected() as connection:
            connection.execute(insert.bindparams(*(bindparam(name, type_=Moment) for name in moments)), values)

    def due(
        self, now: datetime, lease: timedelta, most: int, *, each: int, without: Collection[str] = ()
    ) -> tuple[LogoutNotice, ...]:
        """Take some that are due, for as long as the lease: one statement, which locks what it takes.

        PostgreSQL passes over what another has locked, and sees again whether a row is still due; in
        SQLite one writes at a time. A client's first notices come before any client's others.
        """
        due = table.c.due_at <= now
        wanted = or_(table.c.client_id.not_in(tuple(without)), table.c.ends_at <= now)
        place = func.row_number().over(partition_by=table.c.client_id, order_by=(table.c.due_at, table.c.sid))
        ranked = select(table.c.client_id, table.c.sid, place.label("place")).where(due, wanted).cte("ranked")
        same = (ranked.c.client_id == table.c.client_id) & (ranked.c.sid == table.c.sid)
        taken = (
            select(table.c.client_id, table.c.sid)
            .join(ranked, same)
            .where(or_(ranked.c.place <= each, table.c.ends_at <= now), due)
            .order_by(ranked.c.place, table.c.due_at)
            .limit(most)
            .with_for_update(skip_locked=True, of=table)
            .cte("taken")
            # Without it PostgreSQL may look again for each row, and take more than it was asked for.
            .prefix_with("MATERIALIZED")
        )
        take = (
            update(table)
            .where(KEY.in_(select(taken.c.client_id, taken.c.sid)))
            .values(due_at=now + lease, tries=table.c.tries + 1)
            .returning(*table.columns)
        )
        with self._database.connected() as connection:
            rows = connection.execute(take).all()
        return tuple(sorted((LogoutNotice(**row._mapping) for row in rows), key=lambda notice: notice.ends_at))

    def later(self, notice: LogoutNotice, due_at: datetime) -> None:
        """Let one come back at a moment. Whoever was so slow that another has it by now changes nothing."""
        mine = (table.c.tries == notice.tries, table.c.due_at == notice.due_at)
        with self._database.connected() as connection:
            connection.execute(update(table).where(*_is(notice), *mine).values(due_at=due_at))

    def done(self, notice: LogoutNotice) -> None:
        """Forget one."""
        with self._database.connected() as connection:
            connection.execute(delete(table).where(*_is(notice)))

    def count(self) -> int:
        """Return how many lie here."""
        wanted = select(func.count()).select_from(table)
        return self._database.reading(lambda connection: connection.execute(wanted).scalar_one())

    def purge(self, now: datetime) -> int:
        """Forget those that have come to their end; return how many. In small steps, so that nobody waits for long."""
        over = select(table.c.client_id, table.c.sid).where(table.c.ends_at <= now).limit(PURGE_AT_ONCE)
        total = 0
        while True:
            with self._database.connected() as connection:
                removed = connection.execute(
                    delete(table).where(KEY.in_(over.with_for_update(skip_locked=True)))
                ).rowcount
            total += removed
            if removed < PURGE_AT_ONCE:
                return total


def _is(notice: LogoutNotice) -> tuple[ColumnElement[bool], ...]:
    return table.c.client_id == notice.client_id, table.c.sid == notice.sid
