"""`idbroker keys`: our keys, opened as the configuration says."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from idbroker import config, keys_cli
from idbroker.app import config_path, open_keys, open_tables, rewrap
from idbroker.clock import SystemClock
from idbroker.keys_context import KeysContext, KeysGroup
from idbroker.keyset import Rules


@dataclass(frozen=True, slots=True)
class _WhenNeeded:
    """Opens the store when something is to be sealed anew: `keys list` should not need the database."""

    settings: config.Settings
    base: Path

    def rewrap(self, newest: int, batch: int) -> int:
        return rewrap(self.settings, self.base, newest, batch)


def opened(given: str | None) -> KeysContext:
    """Open the key store of a configuration. Raises ConfigError or OperatorError."""
    path = config_path(given)
    settings = config.load(path)

    def counted() -> int:
        durable = open_tables(settings, path.parent, SystemClock())
        return len(settings.clients) + len(durable.clients.all())

    store = open_keys(settings, path.parent)
    return KeysContext(
        store=store,
        clock=SystemClock(),
        who=os.environ.get("SUDO_USER") or getpass.getuser(),
        rules=Rules(saml_cache=settings.keys.saml_cache),
        clients=counted,
        concerns=store.concerns,
        rewrappable=_WhenNeeded(settings, path.parent),
    )


@click.pass_context
def _prepare(context: click.Context) -> None:
    # Opened only when a command runs: --help must work without a configuration.
    context.obj = partial(opened, context.obj)


keys = KeysGroup(
    name="keys",
    commands=keys_cli.keys.commands,
    callback=_prepare,
    help=keys_cli.keys.help,
    epilog=keys_cli.keys.epilog,
)
