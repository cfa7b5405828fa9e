"""`idbroker evidence`: what the eIDs signed, for whoever must prove a sign-in."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import click

from idbroker import config
from idbroker.app import config_path, open_keys, open_tables
from idbroker.clock import SystemClock
from idbroker.errors import OperatorError
from idbroker.events import Event, Events
from idbroker.evidence import Evidence, EvidenceKept, SealedEvidence, unseal
from idbroker.keyring import Keyring
from idbroker.keys_context import SPAN
from idbroker.sealing import Sealer

SCHEMA = "idbroker.evidence/1"
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object.")


@dataclass(frozen=True, slots=True)
class _Room:
    """What every command works with."""

    settings: config.Settings
    base: Path
    kept: EvidenceKept
    events: Events
    now: datetime

    def one(self, evidence_id: str) -> SealedEvidence:
        """Return one. OperatorError when there is none, or its time is over."""
        found = self.kept.find(evidence_id, self.now)
        if found is None:
            raise OperatorError(
                f"there is no evidence {evidence_id}, or its time is over", hint="idbroker evidence list", exit_code=2
            )
        return found

    def record(self, kind: str, detail: Mapping[str, str], of: Evidence | None = None) -> None:
        """Keep an event that says who did it."""
        by = {"by": os.environ.get("SUDO_USER") or getpass.getuser()}
        person, provider = (of.person, of.provider) if of is not None else (None, None)
        self.events.record(Event(at=self.now, kind=kind, person=person, provider=provider, detail={**detail, **by}))


@contextmanager
def _opened(given: str | None) -> Iterator[_Room]:
    path = config_path(given)
    settings, clock = config.load(path), SystemClock()
    durable = open_tables(settings, path.parent, clock)
    try:
        yield _Room(settings, path.parent, durable.evidence, durable.events, clock.now())
    finally:
        durable.close()


@click.group()
def evidence() -> None:
    r"""See, hand out and delete what the eIDs signed. Only `export` shows what it says.

    \b
    Examples:
      idbroker evidence list --person 5f0c… --since 30d
      idbroker evidence export 9b1d… --out proof.json
      idbroker evidence expire          every night
    """


@evidence.command("list")
@click.option("--person", help="Only of one person: the id that stands in the events.")
@click.option("--since", type=SPAN, default="90d", show_default=True, help="How far back.")
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(1, 100_000), help="The newest so many.")
@as_json
@click.pass_obj
def list_(given: str | None, person: str | None, since: timedelta, limit: int, as_json: bool) -> None:
    """List what is kept, oldest first: id, when, until, person, eID. No names or numbers. Exit code 0."""
    with _opened(given) as room:
        found = room.kept.since(room.now - since, room.now, person=person, limit=limit)
    if as_json:
        click.echo(json.dumps({"schema": SCHEMA, "evidence": [_shown(one) for one in found]}))
        return
    for one in found:
        click.echo("\t".join(_shown(one).values()))


@evidence.command()
@click.argument("evidence_id")
@as_json
@click.pass_obj
def show(given: str | None, evidence_id: str, as_json: bool) -> None:
    """Show one, without what it says. Exit codes: 0 shown, 2 none such."""
    with _opened(given) as room:
        shown = _shown(room.one(evidence_id).evidence)
    if as_json:
        click.echo(json.dumps({"schema": SCHEMA, "evidence": [shown]}))
        return
    for name, text in shown.items():
        click.echo(f"{name}\t{text}")


@evidence.command()
@click.argument("evidence_id")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A file that is not there.")
@click.pass_obj
def export(given: str | None, evidence_id: str, out: Path) -> None:
    r"""Write one, with what the eID signed, to a new file that only you can read. It is recorded as an event.

    \b
    The file holds a name and a national number. It is one JSON object; each of its "parts" is a text as
    the eID gave it.
    Exit codes: 0 written, 1 does not open, 2 none such, 3 the file is there already.
    """
    with _opened(given) as room:
        kept = room.one(evidence_id)
        parts = unseal(kept, Sealer(Keyring(open_keys(room.settings, room.base)).sealing_keys))
        with _new_file(out) as descriptor:
            # Before a word of it is written: nobody reads a proof without a trace.
            room.record("evidence.exported", {"evidence": kept.evidence.id}, kept.evidence)
            told = {"schema": SCHEMA, **_shown(kept.evidence), "parts": dict(parts)}
            with open(descriptor, "w", encoding="utf-8", closefd=False) as file:
                json.dump(told, file, indent=2, ensure_ascii=False)
                file.write("\n")
    click.echo(f"ok: {out} holds personal data; delete it when it has been used")


@evidence.command()
@click.option(
    "--older-than", type=SPAN, help="What is older, too, though its time is not over: after `keep` was shortened."
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def expire(given: str | None, older_than: timedelta | None, yes: bool) -> None:
    """Delete what is past its time; for a nightly job. Exit codes: 0 done, 1 no answer, 130 not confirmed."""
    if older_than is not None and not yes:
        click.confirm("Delete proofs whose time is not over? They cannot be had again", abort=True)
    with _opened(given) as room:
        removed = room.kept.expire(room.now)
        if older_than is not None:
            before = room.now - older_than
            early = room.kept.remove_before(before)
            room.record("evidence.removed", {"before": before.isoformat(), "count": str(early)})
            removed += early
    click.echo(f"ok: {removed} removed")


def _shown(one: Evidence) -> dict[str, str]:
    moments = {"at": one.at.isoformat(), "until": one.until.isoformat()}
    return {"id": one.id, **moments, "person": one.person, "provider": one.provider}


@contextmanager
def _new_file(path: Path) -> Iterator[int]:
    """Make a file only we can read; take it away again when it is not finished."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise OperatorError(f"{path} is there already", hint="name another file", exit_code=3) from error
    except OSError as error:
        raise OperatorError(f"{path} cannot be written: {error.strerror}", exit_code=2) from error
    try:
        yield descriptor
    except BaseException:
        path.unlink()
        raise
    finally:
        os.close(descriptor)
