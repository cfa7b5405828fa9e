"""`idbroker check ages`: who enters each service at which ages, and at which ages nobody can."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from idbroker import config
from idbroker.ages import Ages
from idbroker.app import config_path, open_stores
from idbroker.client import Client, Clients, ConfiguredClients
from idbroker.clinic import Clinic
from idbroker.clock import SystemClock
from idbroker.commands.accounts import as_json
from idbroker.eids import make_providers
from idbroker.guardianship.entering import Span, Ways, gaps, overlaps, spans, ways_of
from idbroker.identity import LoA
from idbroker.keys_print import Screen, table, wrapped
from idbroker.patients.assisting import PROVIDER
from idbroker.policy import accepted_providers
from idbroker.providers import Means
from idbroker.providers._http import kept_session

SCHEMA = "idbroker.ages/1"
HEADINGS = ("CLINIC", "SERVICE", "AGES", "OWN EID", "OWN PASSWORD AND CODE", "GUARDIAN", "GAP")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """One service: the ages that hold there, and the ways that it really has."""

    client: Client
    clinic: Clinic
    ways: Ways

    @property
    def limits(self) -> Ages:
        """Return the ages that hold: the service's, else the clinic's, else the country's."""
        return self.clinic.limits.but(self.client.ages)

    @property
    def gaps(self) -> tuple[Span, ...]:
        """Return the ages at which nobody can enter."""
        return gaps(self.ways, self.limits)


@click.command()
@click.option("--offline", is_flag=True, help="Only the services of the file, not those of the store.")
@as_json
@click.pass_obj
def ages(given: str | None, offline: bool, as_json: bool) -> None:
    """Say who enters each service at which ages: by an eID, by password and code, or a guardian for them.

    \b
    Example:
      idbroker check ages
    Exit codes: 0 somebody can enter at every age, 1 there is an age at which nobody can, 2 mistakes.
    """  # noqa: D301 - click wants the backspace itself: it keeps the lines apart
    path = config_path(given)
    settings = config.load(path)
    clients = settings.clients if offline else _registered(settings, path.parent)
    found = entrances(clients, settings, levels_of(settings))
    click.echo(json.dumps(_document(found)) if as_json else printed(found, Screen.found()))
    if any(one.gaps for one in found):
        raise click.exceptions.Exit(1)


def levels_of(settings: config.Settings) -> dict[str, LoA]:
    """Return the highest level that each provider can prove, but for staff's own. ConfigError for wrong settings."""
    means = Means(clock=SystemClock(), http=kept_session, issuer=settings.server.issuer)
    made = make_providers(settings, means)
    return {name: one.loa for name, one in made.items() if settings.providers[name].kind != PROVIDER}


def entrances(clients: Iterable[Client], settings: config.Settings, levels: Mapping[str, LoA]) -> tuple[Entrance, ...]:
    """Return every service that people sign in to, by clinic: programs of clinics are none."""
    found = [
        Entrance(client=client, clinic=clinic, ways=_ways(client, clinic, levels))
        for client in clients
        if client.redirect_uris and not client.disabled
        if (clinic := settings.clinics.find(client.clinic)) is not None
    ]
    return tuple(sorted(found, key=lambda one: (one.clinic.id, one.client.id)))


def gap_notes(found: Iterable[Entrance]) -> Iterator[tuple[str, str]]:
    """Say of each service at which ages nobody can enter, and what is there beside them."""
    for one in found:
        for gap in one.gaps:
            yield f"clients.{one.client.id}", f"{gap.words}: nobody can enter: {_reasons(one)}"


def fact_notes(found: Iterable[Entrance]) -> Iterator[tuple[str, str]]:
    """Say what an operator may not expect: both at once, guardians alone, guardians whom only the clinic knows."""
    for one in found:
        where = f"clients.{one.client.id}"
        for both in overlaps(one.ways, one.limits):
            yield where, f"{both.words}: they enter themselves, and a guardian may act for them too"
        if one.client.acting == "required":
            yield where, "acting = required: nobody enters for themselves"
        if _acts(one) and not one.clinic.registers:
            yield where, f"guardians are those that {one.clinic.id} has noted itself: it asks no register"


def printed(found: tuple[Entrance, ...], screen: Screen) -> str:
    """Return all of it for people, or for a pipe."""
    rows = [HEADINGS, *(row for one in found for row in _rows(one))]
    lines = [table(rows, screen, head=3)]
    lines += [wrapped(f"gap: [{where}] {what}", screen) for where, what in gap_notes(found)]
    lines += [wrapped(f"note: [{where}] {what}", screen) for where, what in fact_notes(found)]
    with_gaps = sum(bool(one.gaps) for one in found)
    many = "1 service" if len(found) == 1 else f"{len(found)} services"
    return "\n".join([*lines, f"{many}, {with_gaps or 'none'} with an age at which nobody can enter"])


def _rows(one: Entrance) -> Iterator[tuple[str, ...]]:
    closed = {gap.first for gap in one.gaps}
    for span in spans(one.ways, one.limits):
        ways = ("yes" if open_ else "-" for open_ in (span.ways.eid, span.ways.code, span.ways.guardian))
        yield (one.clinic.id, one.client.id, span.words, *ways, "! nobody" if span.first in closed else "")


def _document(found: tuple[Entrance, ...]) -> dict[str, Any]:
    return {"schema": SCHEMA, "services": [_service(one) for one in found]}


def _service(one: Entrance) -> dict[str, Any]:
    return {
        "clinic": one.clinic.id,
        "client": one.client.id,
        "ages": asdict(one.limits),
        "acting": one.client.acting,
        "spans": [_span(span) for span in spans(one.ways, one.limits)],
        "gaps": [{"from": gap.first, "to": gap.last} for gap in one.gaps],
        "notes": [what for _, what in fact_notes([one])],
    }


def _span(span: Span) -> dict[str, Any]:
    return {"from": span.first, "to": span.last, **asdict(span.ways)}


def _ways(client: Client, clinic: Clinic, levels: Mapping[str, LoA]) -> Ways:
    return ways_of(client, (levels[name] for name in accepted_providers(client, clinic) if name in levels))


def _acts(one: Entrance) -> bool:
    return one.ways.guardian and one.limits.guardian_until > 0


def _reasons(one: Entrance) -> str:
    """Return what there is at this service, which is not enough."""
    limits = one.limits
    acts = f"a guardian until {limits.guardian_until}" if _acts(one) else _no_guardian(one)
    if one.client.acting == "required":
        return f"{acts}, and nobody for themselves (acting = required)"
    own = f"own eID from {limits.eid_from}" if one.ways.eid else "no eID"
    return f"{own}, {_code(one) if one.ways.code else 'no password and code'}, {acts}"


def _code(one: Entrance) -> str:
    until, since = one.limits.code_until, one.limits.eid_from
    return f"password and code until {until} and from {since}" if until else f"password and code from {since}"


def _no_guardian(one: Entrance) -> str:
    if one.client.acting == "never":
        return "no guardian (acting = never)"
    return "no guardian (guardian_until = 0)" if one.ways.guardian else "no guardian (it takes no eID)"


def _registered(settings: config.Settings, base: Path) -> tuple[Client, ...]:
    """Return the services of the file and of the store. StoreError where that does not answer."""
    durable, transient = open_stores(settings, base, SystemClock())
    try:
        return settings.clients if durable.upgrade_needed() else _all(settings, durable.clients)
    finally:
        transient.close()
        durable.close()


def _all(settings: config.Settings, stored: Clients) -> tuple[Client, ...]:
    return ConfiguredClients(settings.clients, stored).all()
