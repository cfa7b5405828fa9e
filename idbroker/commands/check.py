"""`idbroker check`: see that everything is in order before it is served."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

import click

from idbroker import config
from idbroker.accounts import passwords
from idbroker.app import config_path, open_keys, open_stores
from idbroker.client import Client
from idbroker.clinic import Clinic, PasswordRules
from idbroker.clock import SystemClock
from idbroker.commands.check_ages import ages, entrances, gap_notes, levels_of
from idbroker.errors import ConfigError, OperatorError, StoreError
from idbroker.identity import LoA
from idbroker.otp import settings as codes
from idbroker.providers import kind
from idbroker.registration import mistakes_of

Finding = tuple[str, str]


@click.group(invoke_without_command=True, subcommand_metavar="[ages]")
@click.option("--offline", is_flag=True, help="Only the file: do not open stores or keys.")
@click.pass_context
def check(context: click.Context, offline: bool) -> None:
    """Check the configuration, the stores and the keys; say every mistake at once.

    \b
    Example:
      idbroker check
    Exit codes: 0 all in order, 2 mistakes in the configuration, 1 something does not answer.
    """  # noqa: D301 - click wants the backspace itself: it keeps the lines apart
    if context.invoked_subcommand is None:
        everything(context.obj, offline)


check.add_command(ages)


def everything(given: str | None, offline: bool) -> None:
    """Check it all, and end with the exit code."""
    path = config_path(given)
    try:
        settings = config.load(path)
        levels = levels_of(settings)
    except ConfigError as error:
        click.echo(f"error: {len(error.mistakes)} mistake(s) in {path.name}", err=True)
        for where, what in error.mistakes:
            click.echo(f"  [{where}] {what}", err=True)
        raise click.exceptions.Exit(2) from error
    for where, what in (*advice(settings), *gap_notes(entrances(settings.clients, settings, levels))):
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
    yield from norwegian(settings)
    yield from test_doors(settings)
    yield from weighed(settings)
    yield from without_eid(settings)
    yield from by_staff(settings)
    if settings.keys.passphrase_file is None:
        yield "keys", "no passphrase_file: the passphrase lies beside the keys, so a copy of the folder opens them"
    if settings.store.transient.startswith("sqlite"):
        yield "store", "SQLite serves one host; use Redis and PostgreSQL for more"


def norwegian(settings: config.Settings) -> Iterator[Finding]:
    """Say what a clinic in Norway can not have yet."""
    for clinic in settings.clinics.by_id.values():
        if clinic.country == "NO":
            yield f"clinics.{clinic.id}", "country = NO: words and ages alone; no Norwegian number or eID works yet"


def weighed(settings: config.Settings) -> Iterator[Finding]:
    """Say what each kind of provider thinks of its own settings."""
    for name, table in settings.providers.items():
        weigh = getattr(kind(table.kind), "advice", None)
        yield from ((f"providers.{name}", what) for what in (weigh(table.settings) if weigh else ()))
        valid = getattr(table.settings, "metadata_valid", None)
        if valid is not None and valid > settings.keys.saml_cache:
            yield f"providers.{name}", "metadata_valid is longer than keys.saml_cache: a partner may keep an old key"


def without_eid(settings: config.Settings) -> Iterator[Finding]:
    """Say what the rules for passwords, codes, registration and consent give up."""
    fallbacks = {name for name, table in settings.providers.items() if table.kind == "fallback"}
    for clinic in settings.clinics.by_id.values():
        where, has_passwords = f"clinics.{clinic.id}", not fallbacks.isdisjoint(clinic.providers)
        yield from ((where, what) for what in registering(clinic))
        if has_passwords or clinic.takes_registrations:
            yield from ((where, what) for what in choosing(clinic))
            yield from ((where, what) for what in sending(clinic, settings))
        if has_passwords:
            yield from ((where, what) for what in offering(clinic, settings.clients))
    if fallbacks:
        yield from counting(settings)
    for name in sorted(fallbacks - {"fallback"}):
        yield f"providers.{name}", "our pages know passwords as [providers.fallback]: here none can be forgotten"
    if settings.email is not None and settings.email.security == "none":
        yield "email", "security = none: codes go in the clear to the mail server, which must be on this machine"
    silent = [client.id for client in settings.clients if client.consent == "never"]
    if silent:
        yield "clients", f"consent = never: what {', '.join(silent)} may have is told without asking the person"


def by_staff(settings: config.Settings) -> Iterator[Finding]:
    """Say what the clinics' side gives up: how staff come in, what they send, how they vouch for patients."""
    if settings.staff.issuer is not None and not settings.staff.trusted_acr:
        yield "staff", "no trusted_acr: a sign-in there counts as two factors, whatever it was"
    if settings.staff.issuer is not None and (settings.staff.end_session, settings.staff.prompt) == ("off", None):
        yield "staff", "end_session = off, without prompt: who signs out comes in again by one press, whoever that is"
    doors = frozenset(name for name, table in settings.providers.items() if table.kind == "assisted")
    for clinic in settings.clinics.by_id.values():
        yield from ((f"clinics.{clinic.id}", what) for what in helping(clinic, doors))
    for client in settings.clients:
        if client.assisted != "never":
            what = f"assisted = {client.assisted}: staff sign patients in here at level low, with nothing of theirs"
            yield f"clients.{client.id}", what
            yield from ((f"clients.{client.id}", what) for what in deaf(client))
    dialled = (name for name, table in settings.providers.items() if getattr(table.settings, "telephone", False))
    for name in dialled:
        yield f"providers.{name}", "telephone = true: patients approve what somebody who rings them has begun"


def deaf(client: Client) -> Iterator[str]:
    """Say so where a service does not hear that staff have ended what they began on a tablet."""
    if client.backchannel_logout_uri is None:
        yield "assisted, and no backchannel_logout_uri: who is next at the tablet may see the patient's pages still"


def helping(clinic: Clinic, doors: frozenset[str]) -> Iterator[str]:
    """Say what a clinic's ways to help its patients give up; `doors` are the providers of kind `assisted`."""
    if clinic.access == "password":
        yield "access = password: the password lies for years where its codes may go too"
    for name in sorted(doors.intersection(clinic.providers)):
        yield f"providers has {name}: staff type their password on the patient's screen"


def registering(clinic: Clinic) -> Iterator[str]:
    """Say what a clinic's registration leaves to whom."""
    if clinic.registration == "automatic":
        yield "registration = automatic: whoever shows an eID is in, and nobody at the clinic looks"
    if clinic.registration == "approval":
        yield "registration = approval: who registers waits until somebody looks at idbroker enrolments list"
    if clinic.registration == "off":
        yield "registration = off: whom nobody has entered is turned away, with an eID too"


def choosing(clinic: Clinic) -> Iterator[str]:
    """Say what a clinic's rules for new passwords give up."""
    if clinic.password.least < PasswordRules().least:
        yield f"password.least = {clinic.password.least}: a shorter password is guessed sooner, once a hash is stolen"
    if clinic.password.mixed:
        yield "password.mixed = true: makes passwords no better, and people write them down (SP 800-63B-4, 3.1.1)"


def sending(clinic: Clinic, settings: config.Settings) -> Iterator[str]:
    """Say which ways codes cannot go, and what a mailbox alone is worth."""
    tables = {"email": settings.email, "sms": settings.sms}
    missing = [name for name in clinic.codes if name in tables and tables[name] is None]
    for name in missing:
        yield f"codes has {name}, and there is no [{name}]: no code goes that way"
    if not {*clinic.codes} & {name for name, table in tables.items() if table is not None}:
        yield "codes names no channel that is configured: nobody can register, and a code can only come from an app"
    if clinic.codes == ("email",):
        yield "codes = email alone: whoever reads a person's mailbox can choose a password, and has the code"


def offering(clinic: Clinic, clients: Iterable[Client]) -> Iterator[str]:
    """Say so where no service in the file takes passwords."""
    mine = [client for client in clients if client.clinic == clinic.id]
    if mine and all(client.minimum > LoA.LOW for client in mine):
        yield "passwords are offered to no client in the file: minimum = low takes them"


def counting(settings: config.Settings) -> Iterator[Finding]:
    """Say what makes guessing easier."""
    usual, given = passwords.Settings(), settings.passwords
    if given.memory_kib < usual.memory_kib:
        yield "passwords", f"memory_kib = {given.memory_kib}: passwords of a stolen store are tried so much faster"
    if given.tries > usual.tries:
        yield "passwords", f"tries = {given.tries}: so many guesses at a password in each {minutes(given.window)} min"
    if settings.codes.tries > codes.Settings().tries:
        yield "codes", f"tries = {settings.codes.tries}: so many guesses at a code before the pause"
    if settings.codes.life > codes.Settings().life:
        yield "codes", f"life = {minutes(settings.codes.life)} min: a code that is overheard is good for so long"
    if not settings.server.proxies:
        yield "server", "proxies = 0: behind a proxy all have one address, and a few wrong passwords close it for all"
    if settings.store.transient.startswith("redis"):
        yield "store", "Redis must keep what it has over a restart (appendonly yes), or a restart forgives all tries"


def minutes(time: timedelta) -> int:
    """Return a time in whole minutes."""
    return int(time.total_seconds()) // 60


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
