"""`idbroker patients`: a clinic's list, taken in at once; two who are one, joined."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from idbroker.accounts.account import Standing
from idbroker.commands.accounts import Room, as_json, clinic_option, opened
from idbroker.errors import NotFound, OperatorError
from idbroker.patients.importing import Imported, Importing
from idbroker.patients.listing import NotAList, Wrong
from idbroker.patients.merging import Merged
from idbroker.patients.patient import Conflict, NotDone
from idbroker.staff.member import Actor, Role

SCHEMA = "idbroker.patients/1"
_WHY_NOT = {
    Conflict.STALE: "it was changed since",
    Conflict.NOT_ALIKE: "their birth dates differ",
    Conflict.ELSEWHERE: "they were joined before, and the other has been entered anew since",
}
_STANDINGS = (Standing.KNOWN.value, Standing.APPROVED.value)


@click.group()
def patients() -> None:
    r"""Take a clinic's patients in; join two persons who are one.

    \b
    Examples:
      idbroker patients import list.csv --clinic clinea --dry-run
      idbroker patients import list.csv --clinic clinea
      idbroker patients merge 5f0c… 91ab…
      idbroker patients split 77d2…
    """


@patients.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path))
@clinic_option
@click.option("--dry-run", "dry", is_flag=True, help="Only say what would happen.")
@click.option(
    "--standing",
    type=click.Choice(_STANDINGS),
    default=Standing.APPROVED.value,
    show_default=True,
    help="Whether they may use the clinic from now on, or are only known to it.",
)
@as_json
@click.pass_obj
def import_(given: str | None, file: Path, *, clinic_id: str, dry: bool, standing: str, as_json: bool) -> None:
    r"""Take a list in, all of it or nothing. FILE is CSV in UTF-8, with "," or ";" between fields.

    \b
    Its first line names the columns, in any order. An empty field says nothing.
      number        national number of the clinic's country; needed
      given_name, family_name      one of them, for whom the list does not know yet
      birthdate     YYYY-MM-DD [the number's]
      email, phone  as the clinic has them
      language      da, sv, fi, en, nb [the clinic's first]
      exempt        why they cannot use an eID: age, illness, no_number, abroad, other
      takes_part    yes or no: no for who has declined the register
      protected     yes or no: yes for whose name and address are protected
      checked       how it was seen who they are: passport, card, licence, eid, known, relative, list [list]

    What patients have chosen themselves stays. Whoever has asked for the clinic, or was declined, stays so.
    Exit codes: 0 done, 2 no such clinic or no list, 3 lines are wrong and nothing was done.
    """
    with opened(given) as room, file.open("rb") as read, _progress(os.fstat(read.fileno()).st_size) as progress:
        clinic = room.clinic(clinic_id)
        actor = Actor(id="operator", clinic=clinic.id, role=Role.ADMINISTRATOR)
        importing = Importing(
            records=room.house.rooms.counter.records,
            many=room.house.durable.many_patients,
            listeners=room.house.webhooks.of_new_patients,
        )
        try:
            came_to = importing.run(
                read, clinic, actor, room.now, standing=Standing(standing), dry=dry, progress=progress
            )
        except NotAList as error:
            raise OperatorError(error.detail, hint="idbroker patients import --help", exit_code=2) from error
    _print(came_to, dry=dry, as_json=as_json)


@contextmanager
def _progress(octets: int) -> Iterator[Callable[[int], None]]:
    """Show how far it is, where somebody looks: on a terminal, on stderr."""
    shown = sys.stderr.isatty()
    with click.progressbar(range(0), length=octets, label="reading", file=sys.stderr, hidden=not shown) as bar:
        yield lambda read: bar.update(read - bar.pos)


def _print(came_to: Imported, *, dry: bool, as_json: bool) -> None:
    counts = {"new": came_to.new, "changed": came_to.changed, "unchanged": came_to.unchanged, "bad": came_to.bad}
    if as_json:
        wrong = [{"line": one.line, "column": one.column, "why": one.why} for one in came_to.wrong]
        told = {"done": came_to.is_good and not dry, **counts, "wrong": wrong}
        click.echo(json.dumps({"schema": SCHEMA, "imported": told}))
    elif came_to.is_good:
        would = "would be " if dry else ""
        click.echo(f"ok: {came_to.new} {would}new, {came_to.changed} {would}changed, {came_to.unchanged} as they were")
    else:
        for one in came_to.wrong:
            click.echo(_line(one), err=True)
    if not came_to.is_good:
        more = "" if came_to.bad <= len({one.line for one in came_to.wrong}) else ", of which the first are above"
        raise OperatorError(f"{came_to.bad} lines are wrong{more}: nothing was done", exit_code=3)


@patients.command()
@click.argument("person")
@click.argument("other")
@click.option("--anyway", is_flag=True, help="Their birth dates differ, and they are one all the same.")
@as_json
@click.pass_obj
def merge(given: str | None, person: str, other: str, anyway: bool, as_json: bool) -> None:
    """Join two persons who are one, by the ids that stand in the events: the older id stays. `split` undoes it.

    Exit codes: 0 done, or done before; 2 no such person, 3 their birth dates differ, or one has been entered anew.
    """
    with opened(given) as room:
        done = _carried(
            lambda: room.house.offices.merging.join(_operator(room), person, other, room.now, anyway=anyway)
        )
    _print_merged(done, "joined", as_json)


@patients.command()
@click.argument("merge")
@click.option("--anyway", is_flag=True, help="Though it was changed since: that is lost.")
@as_json
@click.pass_obj
def split(given: str | None, merge: str, anyway: bool, as_json: bool) -> None:
    """Take two apart again, as they were: MERGE is what `merge` told, and what stands in the events.

    Exit codes: 0 done, or done before; 2 no such merge, 3 it was changed since.
    """
    with opened(given) as room:
        done = _carried(lambda: room.house.offices.merging.split(_operator(room), merge, room.now, anyway=anyway))
    _print_merged(done, "parted", as_json)


def _operator(room: Room) -> Actor:
    return Actor(id="operator", clinic="", role=Role.ADMINISTRATOR, name=room.by)


def _carried(work: Callable[[], Merged | NotDone]) -> Merged:
    try:
        done = work()
    except NotFound as error:
        raise OperatorError(error.detail, hint="idbroker events", exit_code=2) from error
    if isinstance(done, NotDone):
        again = done.why is Conflict.ELSEWHERE
        hint = "idbroker patients split, and merge again" if again else "--anyway"
        raise OperatorError(f"not done: {_WHY_NOT[done.why]}", hint=hint, exit_code=3)
    return done


def _print_merged(done: Merged, what: str, as_json: bool) -> None:
    told = {
        "merge": done.id,
        "survivor": done.survivor,
        "absorbed": done.absorbed,
        "at": done.at.isoformat(),
        "first": done.first,
    }
    if as_json:
        click.echo(json.dumps({"schema": SCHEMA, what: told}))
    else:
        click.echo(f"{'ok' if done.first else 'already'}: {what} {done.survivor} {done.absorbed}, merge {done.id}")


def _line(one: Wrong) -> str:
    return f"line {one.line}: {one.column + ' ' if one.column else ''}{one.why}"
