"""Stores, opened by URL."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from idbroker.clock import Clock
from idbroker.errors import OperatorError
from idbroker.store.addresses import SqliteAddress, redis_address, scheme_of, sqlite_address
from idbroker.store.database import Database, postgresql_database, sqlite_database
from idbroker.store.durable import Durable, durable
from idbroker.store.hosts import claim_file
from idbroker.store.sqlite_transient import SqliteTransient
from idbroker.transaction import Transient

__all__ = ["Durable", "TransientStore", "open_durable", "open_transient"]

TRANSIENT = "sqlite:///var/transient.db, redis://host:6379/0, redis+sentinel://… or redis+cluster://…"
DURABLE = "sqlite:///var/broker.db or postgresql://user@host1,host2/broker?target_session_attrs=read-write"


class TransientStore(Transient, Protocol):
    """A Transient that was opened here, with its life."""

    def ping(self) -> None:
        """Return if the store answers. StoreError otherwise."""
        ...

    def close(self) -> None:
        """Close the idle connections; the next call opens a new one."""
        ...


def open_transient(url: str, clock: Clock, *, workers: int = 1) -> TransientStore:
    """Return the transient store at a URL.

    `sqlite:///path`, where time is the clock's; `sqlite://`, in memory, for one worker; `redis://`,
    `redis+sentinel://` or `redis+cluster://`, where time is the server's (`rediss…` for TLS).
    OperatorError for an address that cannot be served; StoreError when a file does not open.
    """
    match scheme_of(url):
        case "sqlite":
            return SqliteTransient(_sqlite_for(url, workers, TRANSIENT), clock)
        case "redis" | "rediss" | "redis+sentinel" | "rediss+sentinel" | "redis+cluster" | "rediss+cluster":
            # A cold start that does not use Redis should not pay the quarter of a second redis-py takes to load.
            from idbroker.store.redis_transient import RedisTransient  # noqa: PLC0415

            return RedisTransient(redis_address(url))
        case _:
            raise OperatorError("no such transient store", hint=f"use {TRANSIENT}", code="store_address", exit_code=2)


def open_durable(
    url: str,
    clock: Clock,
    *,
    workers: int = 1,
    pool_size: int = 8,
    prepare_threshold: int | None = 5,
    monotonic: Callable[[], float] = time.monotonic,
) -> Durable:
    """Return the durable store at a URL; call its `migrate` before anything else.

    `sqlite:///path`, `sqlite://` (in memory, for one worker), or `postgresql://…` as libpq reads it,
    with several hosts if need be. `pool_size` is the most connections this process opens to
    PostgreSQL; `prepare_threshold=None` is for a connection pooler in front of it.
    OperatorError for an address that cannot be served; StoreError when a file does not open.
    """
    return durable(_database(url, workers, pool_size, prepare_threshold), clock, monotonic)


def _database(url: str, workers: int, pool_size: int, prepare_threshold: int | None) -> Database:
    match scheme_of(url):
        case "sqlite":
            address = _sqlite_for(url, workers, DURABLE)
            claim_file(address)
            return sqlite_database(address)
        case "postgresql" | "postgresql+psycopg":
            return postgresql_database(url, pool_size=pool_size, prepare_threshold=prepare_threshold)
        case _:
            raise OperatorError("no such durable store", hint=f"use {DURABLE}", code="store_address", exit_code=2)


def _sqlite_for(url: str, workers: int, instead: str) -> SqliteAddress:
    """Return the address. OperatorError when several workers would each have a memory of their own."""
    address = sqlite_address(url)
    if address.path is None and workers > 1:
        raise OperatorError(
            "a store in memory serves one worker only", hint=f"use {instead}", code="store_address", exit_code=2
        )
    return address
