"""Stores, opened by URL."""

from __future__ import annotations

from idbroker.clock import Clock
from idbroker.errors import OperatorError
from idbroker.store.addresses import redis_address, scheme_of, sqlite_address
from idbroker.store.sqlite_transient import SqliteTransient
from idbroker.transaction import Transient

TRANSIENT = "sqlite:///var/transient.db, redis://host:6379/0, redis+sentinel://… or redis+cluster://…"


def open_transient(url: str, clock: Clock, *, workers: int = 1) -> Transient:
    """Return the transient store at a URL.

    `sqlite:///path`, where time is the clock's; `sqlite://`, in memory, for one worker; `redis://`,
    `redis+sentinel://` or `redis+cluster://`, where time is the server's (`rediss…` for TLS).
    OperatorError for an address that cannot be served; StoreError when a file does not open.
    """
    match scheme_of(url):
        case "sqlite":
            return _open_sqlite(url, clock, workers)
        case "redis" | "rediss" | "redis+sentinel" | "rediss+sentinel" | "redis+cluster" | "rediss+cluster":
            # A cold start that does not use Redis should not pay the quarter of a second redis-py takes to load.
            from idbroker.store.redis_transient import RedisTransient  # noqa: PLC0415

            return RedisTransient(redis_address(url))
        case _:
            raise OperatorError("no such transient store", hint=f"use {TRANSIENT}", code="store_address", exit_code=2)


def _open_sqlite(url: str, clock: Clock, workers: int) -> SqliteTransient:
    address = sqlite_address(url)
    if address.path is None and workers > 1:
        raise OperatorError(
            "a store in memory serves one worker only", hint=f"use {TRANSIENT}", code="store_address", exit_code=2
        )
    return SqliteTransient(address, clock)
