"""`idbroker store`: the two stores."""

from __future__ import annotations

import click

from idbroker import config
from idbroker.app import config_path, open_tables
from idbroker.clock import SystemClock


@click.group()
def store() -> None:
    """See to the stores."""


@store.command()
@click.pass_obj
def migrate(given: str | None) -> None:
    """Bring the tables to this version; `serve` does so too. Exit codes: 0 done, 1 no answer."""
    path = config_path(given)
    open_tables(config.load(path), path.parent, SystemClock()).close()
    click.echo("ok: the tables are those of this version")


@store.command()
@click.pass_obj
def purge(given: str | None) -> None:
    """Remove refresh tokens, links and delegations whose time is up; for a nightly job. Exit codes: 0, 1 no answer."""
    path = config_path(given)
    clock = SystemClock()
    durable = open_tables(config.load(path), path.parent, clock)
    removed = sum(rows.purge(clock.now()) for rows in (durable.refresh_tokens, durable.links, durable.delegations))
    click.echo(f"ok: {removed} removed")
