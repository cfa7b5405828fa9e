"""`idbroker clinics`: under whose rules people sign in."""

from __future__ import annotations

import click

from idbroker import config
from idbroker.app import config_path


@click.group()
def clinics() -> None:
    """See the clinics of the configuration."""


@clinics.command("list")
@click.pass_obj
def list_(given: str | None) -> None:
    """List them: id, country, eIDs in the order shown, name. Exit code 0."""
    settings = config.load(config_path(given))
    for clinic in settings.clinics.by_id.values():
        click.echo(f"{clinic.id}\t{clinic.country}\t{','.join(clinic.providers)}\t{clinic.name}")
