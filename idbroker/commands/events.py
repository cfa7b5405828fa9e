"""`idbroker events`: the audit trail."""

from __future__ import annotations

import json
from datetime import timedelta

import click

from idbroker import config
from idbroker.app import config_path, open_tables
from idbroker.clock import SystemClock
from idbroker.events import Event


@click.command()
@click.option("--hours", default=24, show_default=True, type=click.IntRange(1, 24 * 366), help="How far back.")
@click.option("--kind", help="Only one kind, such as provider.failed.")
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(1, 100_000))
@click.pass_obj
def events(given: str | None, hours: int, kind: str | None, limit: int) -> None:
    r"""Print events, oldest first, one JSON object a line. No names or numbers are in there.

    \b
    Example: what does the code K7Q2MX mean that a patient read out?
      idbroker events | grep K7Q2MX
    Exit code 0.
    """
    path = config_path(given)
    clock = SystemClock()
    durable = open_tables(config.load(path), path.parent, clock)
    for event in durable.events.since(clock.now() - timedelta(hours=hours), kind=kind, limit=limit):
        click.echo(json.dumps(_shown(event)))


def _shown(event: Event) -> dict[str, object]:
    fields = {name: getattr(event, name) for name in ("kind", "ref", "transaction", "client", "clinic", "provider")}
    fields |= {"person": event.person, **{f"detail.{k}": v for k, v in event.detail.items()}}
    return {"at": event.at.isoformat(), **{k: v for k, v in fields.items() if v is not None}}
