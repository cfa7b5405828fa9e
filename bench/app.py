"""The broker as `idbroker serve` runs it, but for one thing: it may talk to a stand-in over plain http on loopback.

Only the sandbox may do that, so the house is opened as one; stores, seals, cookies, headers and threads are
those of production.
"""

from __future__ import annotations

import atexit
import os
import sys
from pathlib import Path

from flask import Flask

from idbroker import config, logs
from idbroker.app import CONFIG_VARIABLE, config_path, make_site, open_house, open_keys, open_stores
from idbroker.clock import SystemClock
from idbroker.commands.serve import make_server
from idbroker.keyring import ensure_keys
from idbroker.web.front import make_web


def wsgi() -> Flask:
    """Return the application; granian loads it in each worker."""
    path = config_path()
    settings = config.load(path)
    logs.set_up(settings.log.level, settings.log.format)
    house = open_house(settings, path.parent, sandbox=True)
    atexit.register(house.close)
    site = make_site(house)
    house.start()
    return make_web(site)


def prepare(path: Path) -> config.Settings:
    """Migrate the store and make missing keys, as every start does."""
    settings, clock = config.load(path), SystemClock()
    logs.set_up(settings.log.level, settings.log.format)
    durable, _ = open_stores(settings, path.parent, clock)
    durable.migrate()
    durable.close()
    ensure_keys(open_keys(settings, path.parent), clock, sandbox=True)
    return settings


def main(path: Path) -> None:
    """Serve until ended."""
    server = prepare(path).server
    os.environ[CONFIG_VARIABLE] = str(path)
    make_server("bench.app:wsgi", server).serve()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
