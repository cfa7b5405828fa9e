"""One host per SQLite file: the file remembers who opened it first."""

from __future__ import annotations

import os
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

from idbroker.errors import OperatorError, StoreError
from idbroker.store.addresses import SqliteAddress

CREATE = "CREATE TABLE IF NOT EXISTS host (name TEXT NOT NULL, boot TEXT NOT NULL)"
PATIENCE = 10.0


def claim_file(address: SqliteAddress) -> None:
    """Make the file if it is missing, readable by its owner only, and claim it for this host.

    SQLite's write-ahead log lives in memory that the processes of one kernel share: two hosts on
    one network disk would corrupt it. OperatorError when the file belongs to another host or may
    not be written; StoreError when it is no database.
    """
    if address.path is None:
        return
    _make(address.path)
    host = address.host or socket.gethostname()
    try:
        with closing(sqlite3.connect(address.path, timeout=PATIENCE, isolation_level=None)) as connection:
            owner = _owner(connection, host)
    except sqlite3.Error as error:
        raise StoreError("the SQLite file does not open") from error
    if owner is not None:
        _refuse(address.path, owner, host)


def _make(path: Path) -> None:
    """Make the folder and the file. Mode 0600: what is kept here is personal."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Exclusively: to open and close a file that this process has open already would drop all of
        # its POSIX locks, SQLite's among them, and another process would delete the log under us.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise OperatorError(
            f"{path} cannot be made: {error.strerror}",
            hint="give the broker's user a folder of its own on a local disk",
            code="store_address",
        ) from error


def _owner(connection: sqlite3.Connection, host: str) -> str | None:
    """Return the name of the other host that owns the file, or None when it is ours now."""
    boot = _boot()
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute(CREATE)
    rows = connection.execute("SELECT name, boot FROM host").fetchall()
    # The same kernel is the same host whatever it is called: containers change names.
    foreign = rows[0][0] if rows and rows[0][0] != host and rows[0][1] != boot else None
    if foreign is None and rows != [(host, boot)]:
        connection.execute("DELETE FROM host")
        connection.execute("INSERT INTO host VALUES (?, ?)", (host, boot))
    connection.execute("ROLLBACK" if foreign else "COMMIT")
    if foreign is None:
        connection.execute("PRAGMA journal_mode=WAL").fetchall()
    return foreign


def _boot() -> str:
    """Return what identifies the running kernel; nothing where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return socket.gethostname()


def _refuse(path: Path, owner: str, host: str) -> None:
    raise OperatorError(
        f"{path.name} belongs to the host {owner!r}, and this is {host!r}: SQLite serves one host only",
        hint="for several hosts use postgresql:// and redis://; "
        f"if this is the only host now, add ?host={owner} to the store's address",
        code="many_hosts",
        exit_code=2,
    )
