"""Webhooks, and what lies in their outbox, in the durable store."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    JSON,
    Connection,
    Integer,
    LargeBinary,
    Text,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from idbroker.events import Event
from idbroker.store.database import Database
from idbroker.store.events import insert_event
from idbroker.store.schema import Moment, webhook
from idbroker.store.schema import webhook_notice as table
from idbroker.store.sealed import data_key_of
from idbroker.webhooks import Webhook, WebhookNotice, WebhookRow, notice_of

NOW, MOST = bindparam("now", type_=Moment), bindparam("most", type_=Integer)
OF_CLIENT = webhook.c.client_id == bindparam("of", type_=Text)
SHOWN = (webhook.c.client_id, webhook.c.url, webhook.c.kinds, webhook.c.since)
FIND = select(*SHOWN, webhook.c.sealed).where(OF_CLIENT)
ALL = select(*SHOWN).order_by(webhook.c.client_id)
FORGET = delete(webhook).where(OF_CLIENT)
FORGET_NOTICES = delete(table).where(table.c.client_id == bindparam("of", type_=Text))
# In words, which both databases understand: SQLAlchemy's own needs each one's dialect to be loaded.
SAVE = text(
    "INSERT INTO webhook (client_id, url, kinds, since, data_key, sealed) "
    "VALUES (:client_id, :url, :kinds, :since, :data_key, :sealed) ON CONFLICT (client_id) DO UPDATE SET "
    "url = excluded.url, kinds = excluded.kinds, since = excluded.since, "
    "data_key = excluded.data_key, sealed = excluded.sealed"
).bindparams(bindparam("kinds", type_=JSON), bindparam("since", type_=Moment), bindparam("sealed", type_=LargeBinary))
ADD_NOTICE = insert(table)


class StoredWebhooks:
    """`WebhookRows` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, client_id: str) -> WebhookRow | None:
        """Return a client's."""
        row = self._database.reading(lambda connection: connection.execute(FIND, {"of": client_id}).first())
        return None if row is None else WebhookRow(webhook=_read(row), sealed=bytes(row.sealed))

    def all(self) -> tuple[Webhook, ...]:
        """Return every one, by client."""
        return tuple(map(_read, self._database.reading(lambda connection: connection.execute(ALL).all())))

    def save(self, row: WebhookRow) -> None:
        """Keep one in the place of an earlier one."""
        values = {**asdict(row.webhook), "kinds": list(row.webhook.kinds)}
        with self._database.connected() as connection:
            connection.execute(SAVE, {**values, "data_key": data_key_of(row.sealed), "sealed": row.sealed})

    def remove(self, client_id: str) -> bool:
        """Forget one, and what was to be told there; tell whether there was one."""
        with self._database.writing() as connection:
            connection.execute(FORGET_NOTICES, {"of": client_id})
            return connection.execute(FORGET, {"of": client_id}).rowcount == 1


class StoredWebhookNotices:
    """`Outbox` of webhooks in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, event: Event, notices: Sequence[WebhookNotice]) -> None:
        """Keep an event, and the notices of it: all or none."""
        with self._database.writing() as connection:
            insert_event(connection, event)
            if notices:
                connection.execute(ADD_NOTICE, [asdict(notice) for notice in notices])

    def due(
        self, now: datetime, lease: timedelta, most: int, *, each: int, without: Collection[str] = ()
    ) -> tuple[WebhookNotice, ...]:
        """Take some that are due, for as long as the lease: one statement, which locks what it takes."""
        values = {"now": now, "comes_back": now + lease, "most": most, "without": tuple(without)}
        with self._database.connected() as connection:
            rows = connection.execute(_take(min(each, most)), values).all()
        return tuple(sorted((WebhookNotice(**row._mapping) for row in rows), key=lambda notice: notice.ends_at))

    def later(self, notice: WebhookNotice, due_at: datetime) -> None:
        """Let one come back at a moment. Whoever was so slow that another has it by now changes nothing."""
        mine = (table.c.id == notice.id, table.c.tries == notice.tries, table.c.due_at == notice.due_at)
        with self._database.connected() as connection:
            connection.execute(update(table).where(*mine).values(due_at=due_at))

    def done(self, notice: WebhookNotice) -> None:
        """Forget one."""
        with self._database.connected() as connection:
            connection.execute(delete(table).where(table.c.id == notice.id))

    def count(self) -> int:
        """Return how many lie here."""
        wanted = select(func.count()).select_from(table)
        return self._database.reading(lambda connection: connection.execute(wanted).scalar_one())


def insert_notices(connection: Connection, told: Sequence[tuple[str, str]], kind: str, at: datetime) -> None:
    """Add notices of one thing to the transaction of the connection: clients, and the handle each is told of."""
    made = (notice_of(client_id, kind, at, handle) for client_id, handle in told)
    if values := [asdict(notice) for notice in made]:
        connection.execute(ADD_NOTICE, values)


@lru_cache(maxsize=8)
def _take(each: int) -> ReturningUpdate[Any]:
    """Return the statement that takes some, made once: making it costs more than running it.

    Each client's first ones are found by the index of its queue, however many lie there. PostgreSQL passes over what
    another has locked; in SQLite one writes at a time.
    """
    firsts = union_all(*(_firsts(place) for place in range(each))).subquery("firsts")
    taken = (
        select(table.c.id)
        .select_from(firsts)
        .join(table, table.c.id == firsts.c.id)
        .where(table.c.due_at <= NOW)
        .order_by(firsts.c.place, table.c.due_at)
        .limit(MOST)
        .with_for_update(skip_locked=True, of=table)
        .cte("taken")
        # Without it PostgreSQL may look again for each row, and take more than it was asked for.
        .prefix_with("MATERIALIZED")
    )
    return (
        update(table)
        .where(table.c.id.in_(select(taken.c.id)))
        .values(due_at=bindparam("comes_back", type_=Moment), tries=table.c.tries + 1)
        .returning(*table.columns)
    )


def _firsts(place: int) -> Any:
    """Return each client's first notice that is due, or second."""
    one = table.alias()
    due = (
        select(one.c.id)
        .where(one.c.client_id == webhook.c.client_id, one.c.due_at <= NOW)
        .order_by(one.c.due_at, one.c.id)
        .limit(1)
        .offset(place)
        .correlate(webhook)
        .scalar_subquery()
    )
    allowed = webhook.c.client_id.not_in(bindparam("without", expanding=True, type_=Text))
    return select(due.label("id"), literal(place).label("place")).where(allowed)


def _read(row: Any) -> Webhook:
    return Webhook(client_id=row.client_id, url=row.url, kinds=tuple(row.kinds), since=row.since)
