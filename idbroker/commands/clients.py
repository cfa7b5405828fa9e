"""`idbroker clients`: the registered portals."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import click

from idbroker import config
from idbroker.app import config_path, open_tables
from idbroker.client import Client, ConfiguredClients, secret_digest
from idbroker.clock import SystemClock
from idbroker.codec import Codec
from idbroker.errors import OperatorError
from idbroker.registration import mistakes_of

_CODEC = Codec(Client)


@click.group()
def clients() -> None:
    r"""See and register the portals that may ask.

    \b
    Examples:
      idbroker clients list
      idbroker clients add portal.json
      idbroker clients secret
    """


def _registered(given: str | None) -> tuple[config.Settings, ConfiguredClients]:
    path = config_path(given)
    settings = config.load(path)
    durable = open_tables(settings, path.parent, SystemClock())
    return settings, ConfiguredClients(settings.clients, durable.clients)


def _shown(client: Client) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(_CODEC.pack(client))
    document["minimum"] = client.minimum.word
    document["secret_digests"] = [f"{digest[:8]}…" for digest in client.secret_digests]
    return document


@clients.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def list_(given: str | None, as_json: bool) -> None:
    """List the clients of the file and of the store. Exit code 0."""
    _, registered = _registered(given)
    everyone = registered.all()
    if as_json:
        click.echo(json.dumps({"schema": "idbroker.clients/1", "clients": [_shown(c) for c in everyone]}))
        return
    for client in everyone:
        state = "disabled" if client.disabled else "active"
        click.echo(f"{client.id}\t{client.clinic}\t{client.auth_method}\t{client.minimum.word}\t{state}")


@clients.command()
@click.argument("client_id")
@click.pass_obj
def show(given: str | None, client_id: str) -> None:
    """Show one client as JSON; secrets only as the first figures of their digests."""
    _, registered = _registered(given)
    click.echo(json.dumps(_shown(_find(registered, client_id)), indent=2, ensure_ascii=False))


@clients.command()
@click.pass_obj
def check(given: str | None) -> None:
    """Say what is wrong with any registration. Exit codes: 0 nothing, 1 something."""
    settings, registered = _registered(given)
    found = [(c.id, s, w) for c in registered.all() for s, w in mistakes_of(c, settings.clinics)]
    for client_id, setting, what in found:
        click.echo(f"{client_id}\t{setting}\t{what}")
    if found:
        raise click.exceptions.Exit(1)


@clients.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Replace the client with this id.")
@click.pass_obj
def add(given: str | None, file: Path, replace: bool) -> None:
    r"""Register a client from a JSON file; without secret_digests or keys a secret is made and shown once.

    \b
    Example of a file:
      {"id": "portal", "clinic": "clinea", "name": "Portal",
       "redirect_uris": ["https://portal.example.org/callback"]}
    Exit codes: 0 registered, 2 mistakes in the file, 3 there is one already.
    """
    settings, registered = _registered(given)
    document = _document(file)
    secret = _new_secret_for(document)
    client = config.read_client(document)
    mistakes = mistakes_of(client, settings.clinics)
    if mistakes:
        lines = "\n".join(f"  {setting}: {what}" for setting, what in mistakes)
        raise OperatorError(f"the registration has mistakes\n{lines}", code="registration", exit_code=2)
    if registered.find(client.id) is not None and not replace:
        raise OperatorError(f"there is a client {client.id} already", hint="use --replace", exit_code=3)
    registered.save(client)
    click.echo(f"client_id\t{client.id}")
    if secret is not None:
        click.echo(f"client_secret\t{secret}")
        click.echo("The secret is shown this once; only its digest is kept.", err=True)


@clients.command()
@click.argument("client_id")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def remove(given: str | None, client_id: str, yes: bool) -> None:
    """Remove a client from the store (one of the file is removed by editing the file)."""
    settings, registered = _registered(given)
    if client_id in {client.id for client in settings.clients}:
        raise OperatorError(f"{client_id} stands in the configuration file", hint="edit the file", exit_code=3)
    _find(registered, client_id)
    if not yes:
        click.confirm(f"Remove {client_id}? Its patients cannot sign in afterwards", abort=True)
    registered.remove(client_id)


@clients.command()
def secret() -> None:
    """Make a client secret: give the first line to the portal, put the second into secret_digests."""
    text = secrets.token_urlsafe(32)
    click.echo(f"client_secret\t{text}")
    click.echo(f"secret_digest\t{secret_digest(text)}")


def _find(registered: ConfiguredClients, client_id: str) -> Client:
    client = registered.find(client_id)
    if client is None:
        raise OperatorError(f"there is no client {client_id}", hint="idbroker clients list", exit_code=2)
    return client


def _document(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise OperatorError(f"{file.name} is not JSON", exit_code=2) from error
    if not isinstance(document, dict):
        raise OperatorError(f"{file.name} does not hold one object", exit_code=2)
    return document


def _new_secret_for(document: dict[str, Any]) -> str | None:
    method = document.get("auth_method", "client_secret_basic")
    if not str(method).startswith("client_secret") or document.get("secret_digests"):
        return None
    text = secrets.token_urlsafe(32)
    document["secret_digests"] = [secret_digest(text)]
    return text
