"""`idbroker serve`: run the broker under a production WSGI server."""

from __future__ import annotations

import os

import click
import structlog
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import MPServer

from idbroker import config, logs
from idbroker.app import CONFIG_VARIABLE, config_path, open_keys, open_tables
from idbroker.clock import SystemClock
from idbroker.eids import check_providers, needed_chains
from idbroker.keyring import ensure_keys

_log = structlog.get_logger("idbroker.serve")


@click.command()
@click.pass_obj
def serve(given: str | None) -> None:
    r"""Serve the broker.

    Migrates the store and makes missing keys first. One worker per core, many threads each: a
    thread waits while an eID answers. Behind a TLS-terminating proxy set [server] proxies.

    \b
    Example:
      idbroker --config /etc/idbroker/config.toml serve
    Exit codes: 0 stopped, 2 wrong configuration, 3 refused by a safety rule.
    """
    path = config_path(given)
    settings = config.load(path)
    logs.set_up(settings.log.level, settings.log.format)
    check_providers(settings)
    clock = SystemClock()
    open_tables(settings, path.parent, clock).close()
    ensure_keys(open_keys(settings, path.parent), clock, chains=needed_chains(settings))
    os.environ[CONFIG_VARIABLE] = str(path)
    server = settings.server
    _log.info("serving", issuer=server.issuer, address=f"{server.host}:{server.port}", workers=server.workers)
    make_server("idbroker.app:wsgi", server).serve()


def make_server(factory: str, server: config.Server) -> MPServer:
    """Return the production server for an application that `factory` ("module:function") makes in each worker."""
    return MPServer(
        factory,
        address=server.host,
        port=server.port,
        interface=Interfaces.WSGI,
        factory=True,
        workers=server.workers,
        blocking_threads=server.threads,
        backlog=1024,
        http1_settings=HTTP1Settings(header_read_timeout=10_000, max_buffer_size=64 * 1024),
        log_level=LogLevels.error,
        log_access=False,
        respawn_failed_workers=True,
        workers_kill_timeout=15,
    )
