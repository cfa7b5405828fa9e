"""Who may act for whom, as clinics have noted it, in the durable store."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, Text, and_, bindparam, delete, func, or_, select, text, update

from idbroker.guardianship.records import ENDED_BY_CLINIC, USED, Guardianship
from idbroker.store.database import Database
from idbroker.store.schema import guardianship as table

_QUOTED = '"{}"'  # `by` is a word of SQL's own
COLUMNS = tuple(table.columns.keys())
VALUES = tuple(name for name in COLUMNS if name != "check_at")  # what a Guardianship is
ROWS = select(*(table.c[name] for name in VALUES))
# In words, which both databases understand: SQLAlchemy's own needs each one's dialect to be loaded.
ADD = text(
    f"INSERT INTO guardianship ({', '.join(map(_QUOTED.format, COLUMNS))}) "  # noqa: S608 - names of ours
    f"VALUES ({', '.join(map(':{}'.format, COLUMNS))}) ON CONFLICT DO NOTHING"
).bindparams(*(bindparam(column.name, type_=column.type) for column in table.columns))
HOLDS = table.c.ended_at.is_(None)
COUNT = (
    select(func.count())
    .select_from(table)
    .where(table.c.clinic == bindparam("clinic", type_=Text), table.c.ward == bindparam("ward", type_=Text), HOLDS)
    .where(table.c.basis != USED)
)
# SQLite lets one write at a time; PostgreSQL has no row that all who note a ward's guardians must lock.
IN_TURN = text("SELECT pg_advisory_xact_lock(hashtextextended(:turn, 0))").bindparams(bindparam("turn", type_=Text))


class StoredGuardianships:
    """`Guardianships` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, row: Guardianship, most: int | None = None) -> bool:
        """Keep one; False if it is there already, or `most` are: of two who note it at once, the index lets one."""
        values: dict[str, Any] = {name: getattr(row, name) for name in VALUES} | {"powers": list(row.powers)}
        values["check_at"] = row.recorded_at if row.ended_at is None and row.is_note else None
        if most is None:
            with self._database.connected() as connection:
                return _added(connection, values)
        with self._database.writing() as connection:
            # One at a time for each ward and clinic: or two who count at once would each find room for one.
            if self._database.dialect == "postgresql":
                connection.execute(IN_TURN, {"turn": f"guardianship|{row.clinic}|{row.ward}"})
            there = connection.execute(COUNT, {"clinic": row.clinic, "ward": row.ward}).scalar_one()
            return there < most and _added(connection, values)

    def of_guardian(self, guardian: str) -> tuple[Guardianship, ...]:
        """Return all of a guardian's that have not ended, by clinic and then by age."""
        wanted = ROWS.where(table.c.guardian == guardian, HOLDS)
        return self._read(wanted.order_by(table.c.clinic, table.c.limit_on, table.c.id))

    def of_guardian_ever(self, guardian: str) -> tuple[Guardianship, ...]:
        """Return the same, and behind them those that a clinic's no has ended."""
        wanted = ROWS.where(table.c.guardian == guardian, or_(HOLDS, table.c.ended_why.in_(ENDED_BY_CLINIC)))
        return self._read(wanted.order_by(HOLDS.desc(), table.c.clinic, table.c.limit_on, table.c.id))

    def of_ward(self, ward: str) -> tuple[Guardianship, ...]:
        """Return all for a ward that have not ended."""
        return self._read(ROWS.where(table.c.ward == ward, HOLDS).order_by(table.c.clinic, table.c.id))

    def end(self, clinic: str, ward: str, at: datetime, why: str, guardian: str | None = None) -> int:
        """End those of a ward at a clinic, of one guardian or of all; return how many."""
        whose = [table.c.clinic == clinic, table.c.ward == ward, HOLDS]
        whose += [] if guardian is None else [table.c.guardian == guardian]
        with self._database.connected() as connection:
            return connection.execute(
                update(table).where(*whose).values(ended_at=at, ended_why=why, check_at=None)
            ).rowcount

    def forget_used(self, clinic: str, guardian: str, wards: Collection[str]) -> bool:
        """Forget that somebody acted for these by a register's word; tell whether it was kept.

        Notes stay, and so does what has ended: it is the clinic's no by then (local.py).
        """
        whose = (table.c.clinic == clinic, table.c.guardian == guardian, table.c.ward.in_(sorted(wards)))
        with self._database.connected() as connection:
            return connection.execute(delete(table).where(*whose, HOLDS, table.c.basis == USED)).rowcount > 0

    def nearing(self, before: date, told_above: int, most: int) -> tuple[Guardianship, ...]:
        """Return up to `most` whose limit is on `before` or earlier and that were told nothing so near to it yet."""
        untold = or_(table.c.told.is_(None), table.c.told > told_above)
        wanted = ROWS.where(HOLDS, table.c.limit_on <= before, untold)
        return self._read(wanted.order_by(table.c.limit_on, table.c.id).limit(most))

    def tell(self, row_id: str, told: int) -> bool:
        """Note that a message went out; of many callers at once exactly one is told True."""
        untold = and_(table.c.id == row_id, or_(table.c.told.is_(None), table.c.told > told))
        with self._database.connected() as connection:
            return connection.execute(update(table).where(untold).values(told=told)).rowcount == 1

    def due(self, now: datetime, clinics: Collection[str], lease: timedelta, most: int) -> tuple[Guardianship, ...]:
        """Take up to `most` of these clinics that are to be asked about, the oldest first; back after `lease`."""
        over = (table.c.clinic.in_(sorted(clinics)), table.c.check_at <= now, HOLDS)
        wanted = ROWS.where(*over).order_by(table.c.check_at).limit(most).with_for_update(skip_locked=True)
        with self._database.writing() as connection:
            rows = tuple(map(_row, connection.execute(wanted).mappings().all()))
            names = [row.id for row in rows]
            if names:
                connection.execute(update(table).where(table.c.id.in_(names)).values(check_at=now + lease))
        return rows

    def check(self, row_id: str, at: datetime) -> None:
        """Have one asked about at a moment, if it holds."""
        with self._database.connected() as connection:
            connection.execute(update(table).where(table.c.id == row_id, HOLDS).values(check_at=at))

    def _read(self, wanted: Select[Any]) -> tuple[Guardianship, ...]:
        rows = self._database.reading(lambda connection: connection.execute(wanted).mappings().all())
        return tuple(map(_row, rows))


def _added(connection: Connection, values: Mapping[str, Any]) -> bool:
    """Add a row, or make one of what was only used, which has what was told already."""
    if values["ended_at"] is None and values["basis"] != USED:
        same = (table.c[name] == values[name] for name in ("clinic", "ward", "guardian"))
        fresh = {name: value for name, value in values.items() if name != "told"}
        made = connection.execute(update(table).where(*same, HOLDS, table.c.basis == USED).values(fresh))
        if made.rowcount == 1:
            return True
    return connection.execute(ADD, values).rowcount == 1


def _row(row: RowMapping) -> Guardianship:
    values: Mapping[str, Any] = {**row, "powers": tuple(row["powers"])}
    return Guardianship(**values)
