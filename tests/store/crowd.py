"""Many callers at the same moment; and how a statement finds its rows."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import sqlalchemy as sa

from idbroker.store import Durable

CROWD = 200
PATIENCE = 30.0

Answer = TypeVar("Answer")


def at_once(call: Callable[[int], Answer], crowd: int = CROWD) -> list[Answer]:
    """Return what each of a crowd of threads was answered, all let loose together."""
    together = threading.Barrier(crowd)

    def one(number: int) -> Answer:
        together.wait(PATIENCE)
        return call(number)

    with ThreadPoolExecutor(crowd) as pool:
        return list(pool.map(one, range(crowd)))


def statements(store: Durable, call: Callable[[], object]) -> list[tuple[str, Any]]:
    """Return each statement that a call sends to the database, with its values."""
    sent: list[tuple[str, Any]] = []

    def note(*told: Any) -> None:
        sent.append((told[2], told[3]))

    with store.database.connected() as connection:
        engine = connection.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    call()
    sa.event.remove(engine, "before_cursor_execute", note)
    return sent


def scans(store: Durable, table: str, call: Callable[[], object]) -> list[str]:
    """Return the steps of a call's statements that read a table from end to end: SQLite tells its plans."""
    sent = [(statement, values) for statement, values in statements(store, call) if table in statement]
    assert sent, f"nothing was said about {table}"
    with store.database.connected() as connection:
        driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]
        plans = [driver.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall() for statement, values in sent]
    return [step[3] for plan in plans for step in plan if step[3].split()[:2] == ["SCAN", table]]


def steps(store: Durable, call: Callable[[], object]) -> int:
    """Return how many of SQLite's own steps a call takes, in tens. The store has been used by nobody else."""
    counted: list[None] = []
    with store.database.connected() as connection:  # the next to ask is lent it again
        driver: Any = connection.connection.driver_connection
        driver.set_progress_handler(lambda: counted.append(None), 10)
    call()
    driver.set_progress_handler(None, 0)
    return len(counted)
