"""Short-lived state in a SQLite file of its own, shared by the workers of one host."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta

from idbroker.clock import Clock
from idbroker.errors import StoreError
from idbroker.store.addresses import SqliteAddress
from idbroker.store.forks import follow_forks
from idbroker.store.hosts import claim_file
from idbroker.store.limits import checked_key, checked_value, milliseconds

BUSY = 5.0
PURGE_EVERY = 50
PURGE_AT_MOST = 100

SCHEMA = (
    # NORMAL: a power cut may lose the last sign-ins under way, never the file. A process that
    # dies loses nothing. FULL would cost 232 us per step instead of 14.
    "PRAGMA synchronous=NORMAL",
    # Identities pass through here: overwrite what is deleted where that needs no extra writing.
    "PRAGMA secure_delete=FAST",
    "PRAGMA journal_size_limit=16777216",
    "CREATE TABLE IF NOT EXISTS entry (key TEXT PRIMARY KEY, value BLOB NOT NULL, ends INTEGER NOT NULL)",
    "CREATE INDEX IF NOT EXISTS entry_ends ON entry (ends)",
)
GET = "SELECT value FROM entry WHERE key = ? AND ends > ?"
PUT = (
    "INSERT INTO entry (key, value, ends) VALUES (?, ?, ?) "
    "ON CONFLICT (key) DO UPDATE SET value = excluded.value, ends = excluded.ends"
)
TAKE = "DELETE FROM entry WHERE key = ? RETURNING value, ends"
SWAP = "UPDATE entry SET value = ?, ends = ? WHERE key = ? AND value = ? AND ends > ? RETURNING 1"
SWAP_ABSENT = (
    "INSERT INTO entry (key, value, ends) VALUES (?, ?, ?) "
    "ON CONFLICT (key) DO UPDATE SET value = excluded.value, ends = excluded.ends WHERE entry.ends <= ? RETURNING 1"
)
# Sums are kept as decimal text, as Redis keeps them. In an upsert every right-hand side reads the old row.
COUNT = (
    "INSERT INTO entry (key, value, ends) VALUES (:key, CAST('1' AS BLOB), :ends) ON CONFLICT (key) DO UPDATE SET "
    "value = CASE WHEN entry.ends > :now THEN CAST(CAST(entry.value AS INTEGER) + 1 AS BLOB) ELSE excluded.value END, "
    "ends = CASE WHEN entry.ends > :now THEN entry.ends ELSE excluded.ends END RETURNING value"
)
PURGE = "DELETE FROM entry WHERE key IN (SELECT key FROM entry WHERE ends <= ? ORDER BY ends LIMIT ?)"

Arguments = tuple[object, ...] | dict[str, object]


class SqliteTransient:
    """A `Transient` on SQLite. Every method is one statement, and so one atomic step.

    Time is the clock's: moving it ends entries. Idle connections are kept and lent, so that sixty
    threads need no sixty page caches. Writers of one process queue on a lock, which is fair;
    only other processes are waited for in SQLite's own, unfair way.
    """

    def __init__(self, address: SqliteAddress, clock: Clock) -> None:
        claim_file(address)
        self._path = str(address.path) if address.path else ":memory:"
        self._memory = address.path is None
        self._clock = clock
        self._writes = 0
        self._begin_anew()
        self._lend(self._connect())
        follow_forks(self)

    def put(self, key: str, value: bytes, life: timedelta) -> None:
        """Keep a value, replacing what was there."""
        self._write(PUT, (checked_key(key), checked_value(value), self._now() + milliseconds(life)))

    def get(self, key: str) -> bytes | None:
        """Return the value, or None."""
        with self._reading:
            rows = self._run(GET, (checked_key(key), self._now()))
        return rows[0][0] if rows else None

    def take(self, key: str) -> bytes | None:
        """Return the value and delete it: of many callers at once exactly one gets it."""
        rows = self._write(TAKE, (checked_key(key),))
        return rows[0][0] if rows and rows[0][1] > self._now() else None

    def swap(self, key: str, old: bytes | None, new: bytes, life: timedelta) -> bool:
        """Replace `old` by `new` if `old` is still there; `old=None` means only if absent."""
        now = self._now()
        ends = now + milliseconds(life)
        if old is None:
            return bool(self._write(SWAP_ABSENT, (checked_key(key), checked_value(new), ends, now)))
        return bool(self._write(SWAP, (checked_value(new), ends, checked_key(key), old, now)))

    def count(self, key: str, life: timedelta) -> int:
        """Add one and return the sum. Life starts at the first count and is not prolonged."""
        now = self._now()
        rows = self._write(COUNT, {"key": checked_key(key), "ends": now + milliseconds(life), "now": now})
        return int(rows[0][0])

    def ping(self) -> None:
        """Return if the file answers. StoreError otherwise."""
        with self._reading:
            self._run("SELECT 1 FROM entry LIMIT 1", ())

    def close(self) -> None:
        """Close the idle connections; the next call opens a new one."""
        while self._idle:
            self._idle.pop().close()

    def before_fork(self) -> None:
        """Close the idle connections: SQLite's locks must not be inherited."""
        if not self._memory:
            self.close()

    def after_fork_in_child(self) -> None:
        """Start with no connection and a free lock."""
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._idle: deque[sqlite3.Connection] = deque()
        self._writing = threading.Lock()
        # A database in memory is its one connection: readers queue for it too.
        self._reading: AbstractContextManager[object] = self._writing if self._memory else nullcontext()

    def _now(self) -> int:
        return int(self._clock.now().timestamp() * 1000)

    def _write(self, sql: str, arguments: Arguments) -> list[tuple[bytes, int]]:
        with self._writing:
            rows = self._run(sql, arguments)
            self._writes += 1
            # Each write adds at most one row, so this many removed keep up with any load.
            if self._writes % PURGE_EVERY == 0:
                self._run(PURGE, (self._now(), PURGE_AT_MOST))
        return rows

    def _run(self, sql: str, arguments: Arguments) -> list[tuple[bytes, int]]:
        connection = self._borrow()
        try:
            # All rows: a statement commits when it has been read to its end.
            rows: list[tuple[bytes, int]] = connection.execute(sql, arguments).fetchall()
        except sqlite3.Error as error:
            connection.close()
            raise StoreError("the transient store does not answer") from error
        self._lend(connection)
        return rows

    def _borrow(self) -> sqlite3.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def _lend(self, connection: sqlite3.Connection) -> None:
        self._idle.append(connection)

    def _connect(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(self._path, timeout=BUSY, isolation_level=None, check_same_thread=False)
            for statement in SCHEMA:
                connection.execute(statement).fetchall()
        except sqlite3.Error as error:
            raise StoreError("the transient store does not open") from error
        return connection
