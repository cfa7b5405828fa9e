"""Messages to people, in the durable store."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Integer,
    LargeBinary,
    Row,
    String,
    Text,
    bindparam,
    delete,
    func,
    null,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate
from sqlalchemy.types import TypeEngine

from idbroker.messages.message import Channel, Delivery, SealedMessage
from idbroker.store.database import Database
from idbroker.store.schema import Moment
from idbroker.store.schema import message as table
from idbroker.store.sealed import data_key_of

PURGE_AT_ONCE = 1000

COLUMNS = tuple(table.columns.keys())
TYPES: Mapping[str, type[TypeEngine[Any]]] = {
    "since": Moment,
    "due_at": Moment,
    "ends_at": Moment,
    "sealed": LargeBinary,
}
TOLD = tuple(table.c[name] for name in ("id", "channel", "kind", "due_at", "ends_at", "tries", "state"))
WAITING = table.c.state == Delivery.WAITING.value
NOW, MOST = bindparam("now", type_=Moment), bindparam("most", type_=Integer)
IS = table.c.id == bindparam("is", type_=Text)
# Of the courier who took it last: whoever outlived its lease changes nothing.
MINE = (IS, table.c.tries == bindparam("mine", type_=Integer))

HAND_OVER = update(table).where(*MINE, WAITING).values(state=Delivery.UNSURE.value)
LATER = (
    update(table)
    .where(*MINE, table.c.state.in_((Delivery.WAITING.value, Delivery.UNSURE.value)))
    .values(state=Delivery.WAITING.value, due_at=bindparam("then", type_=Moment))
)
END = update(table).where(*MINE).values(state=bindparam("becomes", type_=String), sealed=b"", data_key=null())
STATE = select(table.c.state).where(IS)
COUNT = select(func.count()).select_from(table).where(WAITING)
OVER = select(table.c.id).where(table.c.ends_at <= NOW).limit(PURGE_AT_ONCE).with_for_update(skip_locked=True)
PURGE = delete(table).where(table.c.id.in_(OVER)).returning(*TOLD)


class StoredMessages:
    """`Outbox` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, messages: Sequence[SealedMessage]) -> None:
        """Keep them, all or none: one statement, whatever their number. One that is there stays as it is."""
        if not messages:
            return
        # Sorted: two transactions that add the same ones in two orders would wait for each other for ever.
        messages = sorted(messages, key=_id)
        # In words, which both databases understand: SQLAlchemy's own needs each one's dialect to be loaded.
        rows = ", ".join(f"({', '.join(f':{name}_{row}' for name in COLUMNS)})" for row in range(len(messages)))
        insert = text(f"INSERT INTO message ({', '.join(COLUMNS)}) VALUES {rows} ON CONFLICT (id) DO NOTHING")  # noqa: S608 - names of ours
        types = (bindparam(f"{name}_{row}", type_=kind) for name, kind in TYPES.items() for row in range(len(messages)))
        values = {f"{name}_{row}": value for row, one in enumerate(messages) for name, value in _written(one).items()}
        with self._database.connected() as connection:
            connection.execute(insert.bindparams(*types), values)

    def due(
        self, now: datetime, lease: timedelta, most: int, *, without: Collection[Channel] = ()
    ) -> tuple[SealedMessage, ...]:
        """Take some that wait and are due, for as long as the lease: one statement, which locks what it takes.

        PostgreSQL passes over what another has locked, and sees again whether a row is still due; in
        SQLite one writes at a time.
        """
        channels = tuple(channel for channel in Channel if channel not in without)
        if not channels:
            return ()
        values = {"now": now, "comes_back": now + lease, "most": most}
        with self._database.connected() as connection:
            rows = connection.execute(_take(channels), values).all()
        return tuple(map(_read, sorted(rows, key=_age)))

    def hand_over(self, message: SealedMessage) -> bool:
        """Mark one UNSURE, before it is sent; False if another has it by now, or it has ended."""
        with self._database.connected() as connection:
            return connection.execute(HAND_OVER, _mine(message)).rowcount == 1

    def later(self, message: SealedMessage, due_at: datetime) -> None:
        """Let one wait again, until a moment."""
        with self._database.connected() as connection:
            connection.execute(LATER, {**_mine(message), "then": due_at})

    def end(self, message: SealedMessage, state: Delivery) -> None:
        """Keep what has become of it, and forget what it said. If another has it by now, nothing changes."""
        with self._database.connected() as connection:
            connection.execute(END, {**_mine(message), "becomes": state.value})

    def state(self, message_id: str) -> Delivery | None:
        """Return what has become of a message; None when nobody knows it."""
        wanted = {"is": message_id}
        found = self._database.reading(lambda connection: connection.execute(STATE, wanted).scalar_one_or_none())
        return None if found is None else Delivery(found)

    def count(self) -> int:
        """Return how many wait."""
        return self._database.reading(lambda connection: connection.execute(COUNT).scalar_one())

    def purge(self, now: datetime) -> tuple[SealedMessage, ...]:
        """Forget those whose end has come; return those that still waited, each to one caller.

        In small steps, so that nobody waits for long.
        """
        waited: list[SealedMessage] = []
        while True:
            with self._database.connected() as connection:
                rows = connection.execute(PURGE, {"now": now}).all()
            waited += [_read(row) for row in rows if row.state == Delivery.WAITING.value]
            if len(rows) < PURGE_AT_ONCE:
                return tuple(waited)


@lru_cache(maxsize=8)
def _take(channels: tuple[Channel, ...]) -> ReturningUpdate[Any]:
    """Return the statement that takes some, made once: making it costs more than running it."""
    firsts = [_first(channel) for channel in channels]
    found = union_all(*(select(first.c.id, first.c.due_at) for first in firsts)).subquery("found")
    oldest = select(found.c.id).order_by(found.c.due_at, found.c.id).limit(MOST)
    return (
        update(table)
        .where(table.c.id.in_(oldest))
        .values(due_at=bindparam("comes_back", type_=Moment), tries=table.c.tries + 1)
        .returning(*TOLD, table.c.since, table.c.sealed)
    )


def _first(channel: Channel) -> CTE:
    """Return a channel's first that are due, by the index: one that nobody sends must not be in the others' way."""
    due = select(table.c.id, table.c.due_at).where(WAITING, _goes_by(channel), table.c.due_at <= NOW)
    first = due.where(table.c.ends_at > NOW).order_by(table.c.due_at, table.c.id).limit(MOST)
    # Materialized, or PostgreSQL may look again for each row, and take more than it was asked for.
    return first.with_for_update(skip_locked=True).cte(f"by_{channel.value}").prefix_with("MATERIALIZED")


def _goes_by(channel: Channel) -> ColumnElement[bool]:
    return table.c.channel == channel.value


def _mine(message: SealedMessage) -> dict[str, object]:
    return {"is": message.id, "mine": message.tries}


def _written(message: SealedMessage) -> dict[str, object]:
    return {
        "id": message.id,
        "channel": message.channel.value,
        "kind": message.kind,
        "state": message.state.value,
        "tries": message.tries,
        "since": message.due_at,
        "due_at": message.due_at,
        "ends_at": message.ends_at,
        "data_key": data_key_of(message.sealed) if message.sealed else None,
        "sealed": message.sealed,
    }


def _id(message: SealedMessage) -> str:
    return message.id


def _age(row: Row[Any]) -> tuple[datetime, str]:
    return row.since, row.id


def _read(row: Row[Any]) -> SealedMessage:
    columns = dict(row._mapping)
    columns.pop("since", None)
    columns |= {
        "channel": Channel(row.channel),
        "state": Delivery(row.state),
        "sealed": bytes(columns.get("sealed", b"")),
    }
    return SealedMessage(**columns)
