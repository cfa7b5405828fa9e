"""Notices of ended sign-ons, in the durable store."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Integer,
    ScalarSelect,
    Select,
    Text,
    bindparam,
    delete,
    func,
    literal,
    select,
    text,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from idbroker.backchannel import LogoutNotice
from idbroker.store.database import Database
from idbroker.store.schema import Moment
from idbroker.store.schema import logout_notice as table

PURGE_AT_ONCE = 1000
COLUMNS = tuple(table.columns.keys())
NOW, MOST = bindparam("now", type_=Moment), bindparam("most", type_=Integer)
KEY = tuple_(table.c.client_id, table.c.sid)
# One that waits for its hour comes at once, when the end has come early; one that was tried keeps its pace.
SOONER = (
    "ON CONFLICT (client_id, sid) DO UPDATE SET due_at = excluded.due_at "
    "WHERE logout_notice.tries = 0 AND excluded.due_at < logout_notice.due_at"
)


class StoredLogoutNotices:
    """`Outbox` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, notices: Sequence[LogoutNotice]) -> None:
        """Keep them, all or none: one statement, whatever their number."""
        # Each once, and in one order: in PostgreSQL two that add the same would otherwise wait for each other.
        notices = sorted({(one.client_id, one.sid): one for one in reversed(notices)}.values(), key=_key)
        if not notices:
            return
        # In words, which both databases understand: SQLAlchemy's own needs each one's dialect to be loaded.
        rows = ", ".join(f"({', '.join(f':{name}_{row}' for name in COLUMNS)})" for row in range(len(notices)))
        insert = text(f"INSERT INTO logout_notice ({', '.join(COLUMNS)}) VALUES {rows} {SOONER}")  # noqa: S608 - names of ours
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
        values = {"now": now, "comes_back": now + lease, "most": most, "without": tuple(without)}
        with self._database.connected() as connection:
            rows = connection.execute(_take(min(each, most)), values).all()
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


@lru_cache(maxsize=8)
def _take(each: int) -> ReturningUpdate[Any]:
    """Return the statement that takes some, made once: making it costs more than running it."""
    wanted = _wanted(each).cte("wanted")
    same = (wanted.c.client_id == table.c.client_id) & (wanted.c.sid == table.c.sid)
    taken = (
        select(table.c.client_id, table.c.sid)
        .select_from(wanted)
        .join(table, same)
        .where(table.c.due_at <= NOW)
        .order_by(wanted.c.place, table.c.due_at)
        .limit(MOST)
        .with_for_update(skip_locked=True, of=table)
        .cte("taken")
        # Without it PostgreSQL may look again for each row, and take more than it was asked for.
        .prefix_with("MATERIALIZED")
    )
    return (
        update(table)
        .where(KEY.in_(select(taken.c.client_id, taken.c.sid)))
        .values(due_at=bindparam("comes_back", type_=Moment), tries=table.c.tries + 1)
        .returning(*table.columns)
    )


def _wanted(each: int) -> Select[tuple[str, str, int]]:
    """Return which are worth taking, each with its place in its queue: a client's, or that of all that came to an end.

    Each is found by an index, however many lie there: a portal that comes back after a day must not
    have every worker sort its backlog, with SQLite's one lock in hand, for each two that it hears.
    """
    client = _waiting().c.client_id
    firsts = [
        select(client, _due_sid(client, place).label("sid"), literal(place).label("place"))
        .where(client.not_in(bindparam("without", expanding=True, type_=Text)))
        for place in range(each)
    ]  # fmt: skip
    over = (
        select(table.c.client_id, table.c.sid, table.c.ends_at)
        .where(table.c.ends_at <= NOW, table.c.due_at <= NOW)
        .order_by(table.c.ends_at)
        .limit(MOST)
        .subquery("over")
    )
    turn = func.row_number().over(order_by=(over.c.ends_at, over.c.client_id, over.c.sid)) - 1
    found = union_all(*firsts, select(over.c.client_id, over.c.sid, turn)).subquery("found")
    place = func.min(found.c.place).label("place")
    return select(found.c.client_id, found.c.sid, place).group_by(found.c.client_id, found.c.sid)


def _waiting() -> CTE:
    """Return the clients that have any, from each to the next by the index: neither database skips by itself."""
    first = select(func.min(table.c.client_id).label("client_id")).cte("waiting", recursive=True)
    others = table.alias()
    following = select(func.min(others.c.client_id)).where(others.c.client_id > first.c.client_id).scalar_subquery()
    return first.union_all(select(following).where(first.c.client_id.is_not(None)))


def _due_sid(client_id: ColumnElement[str], place: int) -> ScalarSelect[str]:
    """Return the sid of one client's first notice that is due, or second, or NULL."""
    one = table.alias()
    due = select(one.c.sid).where(one.c.client_id == client_id, one.c.due_at <= NOW)
    return due.order_by(one.c.due_at, one.c.sid).limit(1).offset(place).scalar_subquery()


def _key(notice: LogoutNotice) -> tuple[str, str]:
    return notice.client_id, notice.sid


def _is(notice: LogoutNotice) -> tuple[ColumnElement[bool], ...]:
    return table.c.client_id == notice.client_id, table.c.sid == notice.sid
