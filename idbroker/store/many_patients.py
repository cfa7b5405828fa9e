"""Many patients at once, in the durable store: laid out where nobody sees them, and then taken over in one commit.

What is laid out lies in temporary tables of the one connection, so it costs no memory of ours, and is gone with the
connection, however that ends. PostgreSQL has all of it in one transaction, which holds no lock until the end; SQLite
has one writer, and is asked to let nobody else write only for the taking over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    CursorResult,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    bindparam,
    insert,
    select,
    text,
)
from sqlalchemy.schema import CreateTable, DropTable

from idbroker.accounts.account import Standing
from idbroker.accounts.records import AccountRow, EnrolmentRow
from idbroker.patients.importing import Draft, Found, Overtaken
from idbroker.staff.member import Actor
from idbroker.store.database import Database, transaction
from idbroker.store.schema import Moment, account, enrolment, person_key
from idbroker.store.sealed import data_key_of
from idbroker.webhooks import TRIED_FOR

AT_ONCE = 2000  # rows of a statement: none takes longer than statements may
_passing = MetaData()
_kept: dict[str, Any] = {"prefixes": ["TEMPORARY"]}
line = Table(
    "import_line",
    _passing,
    Column("person", Text, primary_key=True),
    Column("line", Integer, nullable=False),
    **_kept,
)
row = Table(
    "import_row",
    _passing,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("number", LargeBinary, nullable=False),
    Column("fresh", Boolean, nullable=False),
    Column("person", String(32), nullable=False),
    Column("clinic", Text, nullable=False),
    Column("standing", String(20), nullable=False),
    Column("asked_at", Moment, nullable=False),
    Column("handle", String(32), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("renamed", Boolean, nullable=False),
    Column("data_key", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    **_kept,
)
word = Table(
    "import_word",
    _passing,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("word", LargeBinary(32), primary_key=True),
    **_kept,
)
TABLES = (line, row, word)

FOUND = (
    select(
        person_key.c.digest,
        person_key.c.person_id,
        account.c.revision.label("account_revision"),
        account.c.sealed.label("account_sealed"),
        *(column for column in enrolment.columns if column.name not in ("person", "data_key")),
    )
    .join_from(person_key, account, account.c.person == person_key.c.person_id, isouter=True)
    .join(
        enrolment,
        (enrolment.c.person == person_key.c.person_id) & (enrolment.c.clinic == bindparam("at", type_=Text)),
        isouter=True,
    )
    .where(person_key.c.digest.in_(bindparam("digests", expanding=True)))
)
MARKED = select(line.c.person, line.c.line).where(line.c.person.in_(bindparam("people", expanding=True)))
PART = "r.digest >= :from AND r.digest < :to"
# In the order of the digests: two imports that write the same rows in two orders would wait for each other.
PERSONS = f"INSERT INTO person (id, created_at) SELECT r.person, :now FROM import_row r WHERE r.fresh AND {PART}"  # noqa: S608 - words of ours
KEYS = (
    "INSERT INTO person_key (digest, person_id, kind, sealed, since) "  # noqa: S608 - words of ours
    f"SELECT r.digest, r.person, 'number', r.number, :now FROM import_row r WHERE r.fresh AND {PART} "
    "ORDER BY r.digest ON CONFLICT DO NOTHING"
)
ADDED = (
    "INSERT INTO enrolment (person, clinic, standing, asked_at, handle, revision, data_key, sealed) "  # noqa: S608 - words of ours
    "SELECT r.person, r.clinic, r.standing, r.asked_at, r.handle, r.revision, r.data_key, r.sealed "
    f"FROM import_row r WHERE r.revision = 1 AND {PART} ORDER BY r.digest ON CONFLICT (person, clinic) DO NOTHING"
)
CHANGED = (
    "UPDATE enrolment SET standing = r.standing, asked_at = r.asked_at, handle = r.handle, "  # noqa: S608 - words of ours
    "revision = r.revision, data_key = r.data_key, sealed = r.sealed FROM import_row r "
    "WHERE enrolment.person = r.person AND enrolment.clinic = r.clinic AND enrolment.revision = r.revision - 1 "
    f"AND r.revision > 1 AND {PART}"
)
FORGOTTEN = (
    "DELETE FROM finding WHERE (person, clinic) IN "  # noqa: S608 - words of ours
    f"(SELECT r.person, r.clinic FROM import_row r WHERE r.renamed AND r.revision > 1 AND {PART})"
)
WORDS = (
    "INSERT INTO finding (clinic, digest, person) SELECT r.clinic, w.word, r.person "  # noqa: S608 - words of ours
    f"FROM import_row r JOIN import_word w ON w.digest = r.digest WHERE r.renamed AND {PART}"
)
EVENTS = (
    "INSERT INTO event (at, kind, clinic, person, detail) SELECT :now, "  # noqa: S608 - words of ours
    "CASE WHEN r.revision = 1 THEN 'patient.entered' ELSE 'patient.changed' END, r.clinic, r.person, "
    f"{{detail}} FROM import_row r WHERE {PART} ORDER BY r.digest"
)


# Who has stopped listening meanwhile is told nothing: a notice for nobody would lie there for ever.
NOTICES = (
    "INSERT INTO webhook_notice (id, client_id, kind, at, patient, due_at, tries, ends_at) "  # noqa: S608 - words of ours
    "SELECT {new_id}, h.client_id, 'enrolled', :now, r.handle, :now, 0, :ends "
    "FROM import_row r JOIN webhook h ON h.client_id = :client "
    f"WHERE r.revision = 1 AND r.standing = 'approved' AND {PART} ORDER BY r.digest"
)
NEW_IDS = {"sqlite": "lower(hex(randomblob(16)))", "postgresql": "replace(CAST(gen_random_uuid() AS text), '-', '')"}


class StoredManyPatients:
    """`ManyPatients` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def basket(self) -> Iterator[StoredBasket]:
        """Lend an empty one."""
        whole = self._database.dialect == "postgresql"
        with (
            self._database.connected() as connection,
            transaction(connection, "BEGIN") if whole else _cleared(connection),
        ):
            for table in TABLES:
                connection.execute(CreateTable(table))
            yield StoredBasket(connection, nullcontext() if whole else transaction(connection, "BEGIN IMMEDIATE"))
            if whole:
                # Here, and not by ON COMMIT: a table that says so loads the database's dialect at every start. What
                # fails before is undone, with these.
                _drop(connection)


class StoredBasket:
    """`Basket` in temporary tables. `writing` is the transaction that it is taken over in."""

    def __init__(self, connection: Connection, writing: AbstractContextManager[None]) -> None:
        self._connection, self._writing = connection, writing
        self._rows, self._fresh, self._added = 0, 0, 0

    def found(self, clinic: str, digests: Sequence[bytes]) -> Mapping[bytes, Found]:
        """Return those of these numbers that somebody has: one statement."""
        rows = self._connection.execute(FOUND, {"at": clinic, "digests": list(digests)}) if digests else ()
        return {bytes(one.digest): _found(one) for one in rows}

    def mark(self, lines: Mapping[str, int]) -> Mapping[str, int]:
        """Note on which line each person is; return the earlier line of each who has one, which stays."""
        if not lines:
            return {}
        rows = self._connection.execute(MARKED, {"people": list(lines)})
        earlier: dict[str, int] = {person: number for person, number in rows}  # noqa: C416 - rows are not pairs to mypy
        new = [{"person": person, "line": number} for person, number in lines.items() if person not in earlier]
        if new:
            self._connection.execute(insert(line), new)
        return earlier

    def put(self, drafts: Sequence[Draft]) -> None:
        """Lay some in."""
        if not drafts:
            return
        self._rows += len(drafts)
        self._fresh += sum(draft.fresh for draft in drafts)
        self._added += sum(draft.row.revision == 1 for draft in drafts)
        self._connection.execute(insert(row), [_row(draft) for draft in drafts])
        words = [{"digest": draft.key.digest, "word": one} for draft in drafts for one in draft.words or ()]
        if words:
            self._connection.execute(insert(word), words)

    def take_over(self, actor: Actor, now: datetime, listeners: Sequence[str] = ()) -> None:
        """Write all that lies here, with an event of each, and notices: all or none. Raises Overtaken."""
        detail = {"by": actor.id, "role": actor.role.value, "from": "list"}
        with self._writing:
            done = [self._part(low, high, detail, now) for low, high in _parts(self._rows)]
            for low, high in _parts(self._rows):
                for client in listeners:
                    self._tell(client, low, high, now)
            persons, keys, added, changed = (sum(counts) for counts in zip(*done, strict=True)) if done else (0,) * 4
            if (persons, keys, added) != (self._fresh, self._fresh, self._added) or added + changed != self._rows:
                raise Overtaken

    def _part(self, low: bytes, high: bytes, detail: dict[str, str], now: datetime) -> tuple[int, int, int, int]:
        values = {"from": low, "to": high, "now": now}
        persons, keys, added, changed, _, _ = (
            self._written(statement, values).rowcount for statement in (PERSONS, KEYS, ADDED, CHANGED, FORGOTTEN, WORDS)
        )
        as_json = ":detail" if self._connection.dialect.name == "sqlite" else "CAST(:detail AS json)"
        self._written(EVENTS.format(detail=as_json), {**values, "detail": detail})
        return persons, keys, added, changed

    def _tell(self, client: str, low: bytes, high: bytes, now: datetime) -> None:
        statement = NOTICES.format(new_id=NEW_IDS[self._connection.dialect.name])
        values = {"from": low, "to": high, "now": now, "ends": now + TRIED_FOR, "client": client}
        self._written(statement, values)

    def _written(self, statement: str, values: Mapping[str, Any]) -> CursorResult[Any]:
        kinds = {"now": Moment, "ends": Moment, "client": Text, "from": LargeBinary, "to": LargeBinary, "detail": JSON}
        wanted = [name for name in values if f":{name}" in statement]
        made = text(statement).bindparams(*(bindparam(name, type_=kinds[name]) for name in wanted))
        return self._connection.execute(made, {name: values[name] for name in wanted})


@contextmanager
def _cleared(connection: Connection) -> Iterator[None]:
    """Leave no temporary table: the connection goes back to the others."""
    try:
        yield
    finally:
        _drop(connection)


def _drop(connection: Connection) -> None:
    for table in TABLES:
        connection.execute(DropTable(table, if_exists=True))


def _parts(rows: int) -> Iterator[tuple[bytes, bytes]]:
    """Return the borders of parts of some AT_ONCE rows: digests are spread evenly."""
    count = -(-rows // AT_ONCE) or 1
    borders = [(0xFFFF * part // count + 1).to_bytes(2, "big") if part else b"" for part in range(count)]
    yield from zip(borders, [*borders[1:], b"\xff" * 33], strict=True)


def _row(draft: Draft) -> dict[str, Any]:
    one = draft.row
    return {
        "digest": draft.key.digest,
        "number": draft.key.sealed,
        "fresh": draft.fresh,
        "person": one.person,
        "clinic": one.clinic,
        "standing": one.standing.value,
        "asked_at": one.asked_at,
        "handle": one.handle,
        "revision": one.revision,
        "renamed": draft.words is not None,
        "data_key": data_key_of(one.sealed),
        "sealed": one.sealed,
    }


def _found(one: Any) -> Found:
    person = one.person_id
    has_account, is_enrolled = one.account_revision is not None, one.revision is not None
    enrolled = {
        "clinic": one.clinic,
        "asked_at": one.asked_at,
        "handle": one.handle,
        "revision": one.revision,
    }
    return Found(
        person=person,
        account=AccountRow(person=person, revision=one.account_revision, sealed=bytes(one.account_sealed))
        if has_account
        else None,
        enrolment=EnrolmentRow(person=person, standing=Standing(one.standing), sealed=bytes(one.sealed), **enrolled)
        if is_enrolled
        else None,
    )
