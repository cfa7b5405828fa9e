"""`idbroker enrolments`: who asked to use a clinic, and the clinic's answer."""

from __future__ import annotations

import json
from typing import Any

import click

from idbroker.accounts.account import Enrolment, Standing
from idbroker.accounts.approving import Decided
from idbroker.accounts.records import Accounts
from idbroker.commands.accounts import Room, as_json, asked_why, clinic_option, opened
from idbroker.errors import NotFound, OperatorError

SCHEMA = "idbroker.enrolments/1"


@click.group()
def enrolments() -> None:
    r"""See who waits for a clinic's answer, and give it.

    \b
    Examples:
      idbroker enrolments list --clinic clinea
      idbroker enrolments approve 5f0c… --clinic clinea
      idbroker enrolments decline 5f0c… --clinic clinea
    """


@enrolments.command("list")
@clinic_option
@click.option("--names", is_flag=True, help="With names: they are personal data.")
@as_json
@click.pass_obj
def list_(given: str | None, clinic_id: str, names: bool, as_json: bool) -> None:
    """List who waits, oldest first: person, since when, by which eID, number masked. Exit codes: 0, 2 no clinic."""
    with opened(given) as room:
        clinic = room.clinic(clinic_id)
        records = room.house.rooms.counter.records
        waiting = [_shown(one, records.accounts, names) for one in records.enrolments.asked(clinic.id)]
    if as_json:
        click.echo(json.dumps({"schema": SCHEMA, "enrolments": waiting}, ensure_ascii=False))
        return
    for one in waiting:
        click.echo("\t".join(value or "-" for value in one.values()))


@enrolments.command()
@click.argument("person")
@clinic_option
@as_json
@click.pass_obj
def approve(given: str | None, person: str, clinic_id: str, as_json: bool) -> None:
    """Let a person use a clinic, and tell them. Exit codes: 0 done, or decided before; 2 nobody asked."""
    with opened(given) as room:
        clinic = room.clinic(clinic_id)
        decided = _decided(room, person, clinic.id, None)
    _print(decided, Standing.APPROVED, as_json)


@enrolments.command()
@click.argument("person")
@clinic_option
@as_json
@click.pass_obj
def decline(given: str | None, person: str, clinic_id: str, as_json: bool) -> None:
    """Let a person not use a clinic, and tell them whom to call. Exit codes: 0 done, or decided before; 2 nobody asked.

    The reason is asked for, or read from a pipe, and kept for the clinic.
    """
    with opened(given) as room:
        clinic = room.clinic(clinic_id)
        reason = asked_why("Why")
        decided = _decided(room, person, clinic.id, reason)
    _print(decided, Standing.DECLINED, as_json)


def _decided(room: Room, person: str, clinic: str, reason: str | None) -> Decided:
    approving = room.house.rooms.approving
    try:
        if reason is None:
            return approving.approve(person, clinic, room.by, room.now)
        return approving.decline(person, clinic, room.by, reason, room.now)
    except NotFound as error:
        raise OperatorError(
            f"{person} has not asked for {clinic}", hint=f"idbroker enrolments list --clinic {clinic}", exit_code=2
        ) from error


def _print(decided: Decided, wanted: Standing, as_json: bool) -> None:
    one = decided.enrolment
    at = one.decided_at.isoformat() if one.decided_at else None
    if as_json:
        told = {"person": one.person, "standing": one.standing.value, "by": one.by, "at": at, "first": decided.first}
        click.echo(json.dumps({"schema": SCHEMA, "decided": told}, ensure_ascii=False))
    elif decided.first:
        click.echo(f"ok: {one.standing} {one.person}")
    else:
        other = "" if one.standing is wanted else ", and stays so"
        click.echo(f"already {one.standing} by {one.by} at {at}{other}")


def _shown(enrolment: Enrolment, accounts: Accounts, names: bool) -> dict[str, Any]:
    """Return one who waits; of a child who asked for it too, so that whoever approves knows whom."""
    account = accounts.of(enrolment.person)
    guardian = accounts.of(enrolment.guardian) if enrolment.guardian else None
    shown = {
        "person": enrolment.person,
        "asked_at": enrolment.asked_at.isoformat(),
        "eid": enrolment.provider,
        "number": account.number.masked if account else None,
        "guardian": enrolment.guardian,
        "guardian_number": guardian.number.masked if guardian else None,
    }
    if not names:
        return shown
    return {
        **shown,
        "name": account.name if account else None,
        "guardian_name": guardian.name if guardian else None,
    }
