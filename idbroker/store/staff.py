"""Staff members, in the durable store."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, Integer, LargeBinary, Row, String, bindparam, delete, select, text, update

from idbroker.staff.records import StaffRow
from idbroker.store.database import Database
from idbroker.store.schema import staff as table
from idbroker.store.schema import staff_key
from idbroker.store.sealed import data_key_of

SHOWN = select(table.c.id, table.c.revision, table.c.sealed)
OF = SHOWN.where(table.c.id == bindparam("of", type_=String))
FIND = SHOWN.join(staff_key, staff_key.c.staff == table.c.id).where(
    staff_key.c.digest == bindparam("key", type_=LargeBinary)
)
ALL = SHOWN.order_by(table.c.id)
# In words, which both databases understand: SQLAlchemy's own needs each one's dialect to be loaded.
ADD = text(
    "INSERT INTO staff (id, revision, data_key, sealed) VALUES (:id, :revision, :data_key, :sealed) "
    "ON CONFLICT (id) DO NOTHING RETURNING id"
).bindparams(bindparam("sealed", type_=LargeBinary))
CHANGE = update(table).where(
    table.c.id == bindparam("of", type_=String), table.c.revision == bindparam("before", type_=Integer)
)
ADD_KEY = text(
    "INSERT INTO staff_key (digest, staff) VALUES (:digest, :staff) ON CONFLICT (digest) DO NOTHING RETURNING digest"
)
FORGET_KEYS = delete(staff_key).where(staff_key.c.staff == bindparam("of", type_=String))
REMOVE = delete(table).where(table.c.id == bindparam("of", type_=String))


class _NotSo(Exception):
    """The revision is another, or a key is somebody else's."""


class StoredStaff:
    """`StaffRows` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, key: bytes) -> StaffRow | None:
        """Return the one that a key's digest belongs to."""
        row = self._database.reading(lambda connection: connection.execute(FIND, {"key": key}).first())
        return None if row is None else _read(row)

    def of(self, staff: str) -> StaffRow | None:
        """Return one by id."""
        row = self._database.reading(lambda connection: connection.execute(OF, {"of": staff}).first())
        return None if row is None else _read(row)

    def all(self) -> tuple[StaffRow, ...]:
        """Return every one, by id."""
        return tuple(map(_read, self._database.reading(lambda connection: connection.execute(ALL).all())))

    def save(self, row: StaffRow, keys: Collection[bytes]) -> bool:
        """Keep one of this revision, recognised by exactly these keys; False if not so, and nothing is written."""
        try:
            with self._database.writing() as connection:
                _write(connection, row, keys)
        except _NotSo:
            return False
        return True

    def remove(self, staff: str) -> bool:
        """Remove one; tell whether there was one."""
        with self._database.writing() as connection:
            connection.execute(FORGET_KEYS, {"of": staff})
            return connection.execute(REMOVE, {"of": staff}).rowcount == 1


def _write(connection: Connection, row: StaffRow, keys: Collection[bytes]) -> None:
    values = {"revision": row.revision, "data_key": data_key_of(row.sealed), "sealed": row.sealed}
    if row.revision == 1:
        written = connection.execute(ADD, {"id": row.id, **values}).first() is not None
    else:
        written = connection.execute(CHANGE, {"of": row.id, "before": row.revision - 1, **values}).rowcount == 1
    if not written:
        raise _NotSo
    connection.execute(FORGET_KEYS, {"of": row.id})
    for key in sorted(keys):
        if connection.execute(ADD_KEY, {"digest": key, "staff": row.id}).first() is None:
            raise _NotSo


def _read(row: Row[str, int, bytes]) -> StaffRow:
    return StaffRow(id=row.id, revision=row.revision, sealed=bytes(row.sealed))
