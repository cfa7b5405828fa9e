"""Stores, opened by URL."""

from __future__ import annotations

from idbroker.clock import Clock
from idbroker.errors import OperatorError
from idbroker.store.addresses import scheme_of, sqlite_address
from idbroker.store.sqlite_transient import SqliteTransient
from idbroker.transaction import Transient


def open_transient(url: str, clock: Clock, *, workers: int = 1) -> Transient:
    """Return the transient store at a URL.

    `sqlite:///path` (time is `clock`'s) or `sqlite://` (memory: one worker, for tests).
    OperatorError for an address that cannot be served; StoreError when the store is away.
    """
    match scheme_of(url):
        case "sqlite":
            address = sqlite_address(url)
            if address.path is None and workers > 1:
                raise OperatorError("a store in memory serves one worker only", hint="use sqlite:///var/transient.db")
            return SqliteTransient(address, clock)
        case _:
            raise OperatorError("no such transient store", hint="use sqlite:///… or redis://…", exit_code=2)
