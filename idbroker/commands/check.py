"""`idbroker check`: see that everything is in order before it is served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from idbroker import config
from idbroker.app import check_providers, config_path, open_keys, open_stores
from idbroker.clock import SystemClock
from idbroker.errors import ConfigError, OperatorError, StoreError
from idbroker.providers import kind
from idbroker.registration import mistakes_of

Finding = tuple[str, str]


@click.command()
@click.option("--offline", is_flag=True, help="Only the file: do not open stores or keys.")
@click.pass_obj
def check(given: str | None, offline: bool) -> None:
    r"""Check the configuration, the stores and the keys; say every mistake at once.

    \b
    Example:
      idbroker check
    Exit codes: 0 all in order, 2 mistakes in the configuration, 1 something does not answer.
    """
    path = config_path(given)
    try:
        settings = config.load(path)
        check_providers(settings)
    except ConfigError as error:
        click.echo(f"error: {len(error.mistakes)} mistake(s) in {path.name}", err=True)
        for where, what in error.mistakes:
            click.echo(f"  [{where}] {what}", err=True)
        raise click.exceptions.Exit(2) from error
    for where, what in advice(settings):
        click.echo(f"note: [{where}] {what}")
    away = [] if offline else list(unanswered(settings, path.parent))
    for where, what in away:
        click.echo(f"error: [{where}] {what}", err=True)
    click.echo(summary(settings))
    if away:
        raise click.exceptions.Exit(1)


def summary(settings: config.Settings) -> str:
    """Return what there is, in a line."""
    counts = (len(settings.clinics.by_id), len(settings.providers), len(settings.clients))
    return "ok: {} clinic(s), {} provider(s), {} client(s) in the file".format(*counts)


def advice(settings: config.Settings) -> Iterator[Finding]:
    """Say in words what a weaker setting gives up."""
    for client in settings.clients:
        where = f"clients.{client.id}"
        if not client.require_pkce:
            yield where, "require_pkce = false: a code that leaks can be redeemed by whoever has it"
        if client.minimum.word == "low":
            yield where, "minimum = low: a password and a one-time code are enough for this service"
    if settings.server.proxies and "-" in settings.server.address_header:
        name = settings.server.address_header
        yield "server", f"address_header = {name}: a proxy that passes {name.replace('-', '_')} on lets anybody choose"
    yield from test_doors(settings)
    yield from weighed(settings)
    if settings.keys.passphrase_file is None:
        yield "keys", "no passphrase_file: the passphrase lies beside the keys, so a copy of the folder opens them"
    if settings.store.transient.startswith("sqlite"):
        yield "store", "SQLite serves one host; use Redis and PostgreSQL for more"


def weighed(settings: config.Settings) -> Iterator[Finding]:
    """Say what each kind of provider thinks of its own settings."""
    for name, table in settings.providers.items():
        weigh = getattr(kind(table.kind), "advice", None)
        yield from ((f"providers.{name}", what) for what in (weigh(table.settings) if weigh else ()))
        valid = getattr(table.settings, "metadata_valid", None)
        if valid is not None and valid > settings.keys.saml_cache:
            yield f"providers.{name}", "metadata_valid is longer than keys.saml_cache: a partner may keep an old key"


def test_doors(settings: config.Settings) -> Iterator[Finding]:
    """Say where test people get in: in front of real patients' data none of these may stand open."""
    if settings.server.test_people:
        yield "server", "test_people = true: whoever has a test number is let in, and anybody can have one"
    for name, table in settings.providers.items():
        environment = getattr(table.settings, "environment", "production")
        if environment != "production":
            yield f"providers.{name}", f"environment = {environment}: whoever made up a test eID is let in"
        if getattr(table.settings, "test", False):
            yield f"providers.{name}", "test = true: whoever made up a test eID is let in"


def unanswered(settings: config.Settings, base: Path) -> Iterator[Finding]:
    """Open what the broker will open; say what does not answer."""
    try:
        durable, transient = open_stores(settings, base, SystemClock())
        durable.ping()
        transient.ping()
        if durable.upgrade_needed():
            click.echo("note: [store] the tables are not of this version yet: serve, or store migrate, brings them")
        else:
            for client in durable.clients.all():
                yield from ((f"client {client.id}", f"{s}: {w}") for s, w in mistakes_of(client, settings.clinics))
    except (StoreError, OperatorError) as error:
        yield "store", error.detail
    try:
        open_keys(settings, base).load()
    except OperatorError as error:
        yield "keys", error.detail
