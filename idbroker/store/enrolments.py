"""Enrolments, in the durable store."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    Integer,
    LargeBinary,
    Row,
    String,
    Text,
    bindparam,
    delete,
    func,
    insert,
    select,
    text,
    update,
)

from idbroker.accounts.account import Standing
from idbroker.accounts.records import EnrolmentRow
from idbroker.store.database import Database
from idbroker.store.schema import Moment, finding
from idbroker.store.schema import enrolment as table
from idbroker.store.sealed import data_key_of

OF_PERSON = table.c.person == bindparam("of", type_=String)
AT_CLINIC = table.c.clinic == bindparam("at", type_=Text)
SHOWN = select(*(column for column in table.columns if column.name != "data_key"))
FIND = SHOWN.where(OF_PERSON, AT_CLINIC)
ALL = SHOWN.where(OF_PERSON).order_by(table.c.clinic)
ASKED = (
    SHOWN.where(AT_CLINIC, table.c.standing == Standing.ASKED.value)
    .order_by(table.c.asked_at, table.c.person)
    .limit(bindparam("most", type_=Integer))
)
# In words, which both databases understand: SQLAlchemy's own needs each one's dialect to be loaded.
ADD = text(
    "INSERT INTO enrolment (person, clinic, standing, asked_at, handle, revision, data_key, sealed) "
    "VALUES (:person, :clinic, :standing, :asked_at, :handle, :revision, :data_key, :sealed) "
    "ON CONFLICT (person, clinic) DO NOTHING RETURNING person"
).bindparams(bindparam("asked_at", type_=Moment), bindparam("sealed", type_=LargeBinary))
BY_HANDLE = SHOWN.where(AT_CLINIC, table.c.handle == bindparam("known_by", type_=Text))
NAMED = (
    SHOWN.join(finding, (finding.c.clinic == table.c.clinic) & (finding.c.person == table.c.person))
    .where(AT_CLINIC, finding.c.digest.in_(bindparam("words", expanding=True)))
    .group_by(*SHOWN.selected_columns)
    .having(func.count() == bindparam("all_of", type_=Integer))
    .order_by(table.c.person)
    .limit(bindparam("most", type_=Integer))
)
FORGET_WORDS = delete(finding).where(
    finding.c.clinic == bindparam("at", type_=Text), finding.c.person == bindparam("of", type_=String)
)
ADD_WORD = insert(finding)
CHANGE = update(table).where(OF_PERSON, AT_CLINIC, table.c.revision == bindparam("before", type_=Integer))


class StoredEnrolments:
    """`EnrolmentRows` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, person: str, clinic: str) -> EnrolmentRow | None:
        """Return one."""
        key = {"of": person, "at": clinic}
        row = self._database.reading(lambda connection: connection.execute(FIND, key).first())
        return None if row is None else _read(row)

    def of(self, person: str) -> tuple[EnrolmentRow, ...]:
        """Return all of a person, by clinic."""
        rows = self._database.reading(lambda connection: connection.execute(ALL, {"of": person}).all())
        return tuple(map(_read, rows))

    def asked(self, clinic: str, limit: int = 1000) -> tuple[EnrolmentRow, ...]:
        """Return those that wait for a clinic's answer, oldest first."""
        wanted = {"at": clinic, "most": limit}
        rows = self._database.reading(lambda connection: connection.execute(ASKED, wanted).all())
        return tuple(map(_read, rows))

    def by_handle(self, clinic: str, handle: str) -> EnrolmentRow | None:
        """Return the one that this clinic knows by a handle."""
        key = {"at": clinic, "known_by": handle}
        row = self._database.reading(lambda connection: connection.execute(BY_HANDLE, key).first())
        return None if row is None else _read(row)

    def named(self, clinic: str, words: Sequence[bytes], limit: int) -> tuple[EnrolmentRow, ...]:
        """Return those of a clinic that have every one of these words."""
        wanted = {"at": clinic, "words": list(words), "all_of": len(words), "most": limit}
        rows = self._database.reading(lambda connection: connection.execute(NAMED, wanted).all())
        return tuple(map(_read, rows))

    def save(self, row: EnrolmentRow, words: Collection[bytes] | None = None) -> bool:
        """Add revision 1, or put another in the place of the one before, and what it is found by; False if not so."""
        if words is None:
            with self._database.connected() as connection:
                return _written(connection, row)
        with self._database.writing() as connection:
            if not _written(connection, row):
                return False
            connection.execute(FORGET_WORDS, {"of": row.person, "at": row.clinic})
            for word in words:
                connection.execute(ADD_WORD, {"clinic": row.clinic, "digest": word, "person": row.person})
            return True


def _written(connection: Connection, row: EnrolmentRow) -> bool:
    values = {
        "standing": row.standing.value,
        "asked_at": row.asked_at,
        "handle": row.handle,
        "revision": row.revision,
        "data_key": data_key_of(row.sealed),
        "sealed": row.sealed,
    }
    if row.revision == 1:
        return connection.execute(ADD, {"person": row.person, "clinic": row.clinic, **values}).first() is not None
    key = {"of": row.person, "at": row.clinic, "before": row.revision - 1}
    return connection.execute(CHANGE, {**key, **values}).rowcount == 1


def _read(row: Row[Any]) -> EnrolmentRow:
    columns = dict(row._mapping)
    columns |= {"standing": Standing(row.standing), "sealed": bytes(row.sealed)}
    return EnrolmentRow(**columns)
