"""`idbroker evidence`, on a real configuration, keys and store."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from idbroker.app import open_keys, open_tables
from idbroker.clock import SystemClock
from idbroker.commands.evidence import evidence
from idbroker.config import load
from idbroker.errors import OperatorError, StoreError
from idbroker.events import Event
from idbroker.evidence import Evidence, new_id, seal
from idbroker.keyring import Keyring, ensure_keys
from idbroker.person import PersonKey
from idbroker.sealing import Sealer
from idbroker.store import Durable

SCHEMA = json.loads(files("idbroker").joinpath("schemas/evidence-1.json").read_text())
CONFIG = '[server]\nissuer = "https://login.example.org"\n'
PARTS = {"signature": "c2lnbmVk", "order": "å\n"}
DAY = timedelta(days=1)
NOW = SystemClock().now()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Lay out a configuration, with keys and tables."""
    (tmp_path / "config.toml").write_text(CONFIG)
    ensure_keys(open_keys(load(tmp_path / "config.toml"), tmp_path), SystemClock())
    return tmp_path


@pytest.fixture
def durable(folder: Path) -> Durable:
    """Open its store."""
    return open_tables(load(folder / "config.toml"), folder, SystemClock())


def keep(folder: Path, durable: Durable, at: datetime = NOW, life: timedelta = 180 * DAY, who: str = "k") -> Evidence:
    """Sign somebody in; return the evidence."""
    keyring = Keyring(open_keys(load(folder / "config.toml"), folder))
    made: list[Evidence] = []

    def sealed(person: str) -> Any:
        made.append(Evidence(id=new_id(), at=at, until=at + life, person=person, provider="bankid"))
        return seal(made[-1], PARTS, Sealer(keyring.sealing_keys))

    key = PersonKey(kind="upstream", digest=who.encode() * 32)
    durable.signed_in([key], lambda met: Event(at=at, kind="signin.granted", person=met), at, sealed)
    return made[-1]


def call(folder: Path, *words: str, typed: str | None = None) -> Result:
    """Run a command as the tool does."""
    return CliRunner().invoke(evidence, list(words), obj=str(folder / "config.toml"), input=typed)


def found(result: Result) -> list[str]:
    """Return the ids in a command's JSON."""
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    jsonschema.validate(document, SCHEMA)
    return [one["id"] for one in document["evidence"]]


def test_list(folder: Path, durable: Durable) -> None:
    """What is kept, oldest first; of one person; of the last days; as lines and as JSON."""
    old, new = keep(folder, durable, NOW - 100 * DAY), keep(folder, durable)
    theirs = keep(folder, durable, NOW - DAY, who="j")

    assert found(call(folder, "list", "--json")) == [theirs.id, new.id]
    assert found(call(folder, "list", "--since", "365d", "--json")) == [old.id, theirs.id, new.id]
    assert found(call(folder, "list", "--since", "365d", "--person", old.person, "--json")) == [old.id, new.id]
    assert found(call(folder, "list", "--limit", "1", "--json")) == [new.id]
    assert found(call(folder, "list", "--person", "nobody", "--json")) == []
    lines = call(folder, "list").stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == [theirs.id, new.id]
    assert lines[1].split("\t")[1:] == [NOW.isoformat(), new.until.isoformat(), new.person, "bankid"]


def test_show(folder: Path, durable: Durable) -> None:
    """When, until, whose by our own id, and which eID; not a word of what it says."""
    kept = keep(folder, durable)

    assert found(call(folder, "show", kept.id, "--json")) == [kept.id]
    assert f"person\t{kept.person}\n" in call(folder, "show", kept.id).stdout
    assert PARTS["signature"] not in call(folder, "show", kept.id).output


def test_export(folder: Path, durable: Durable) -> None:
    """The file has every part and can be read by us alone; who had it written is an event, what it says is not."""
    kept = keep(folder, durable)
    out = folder / "proof.json"

    done = call(folder, "export", kept.id, "--out", str(out))

    assert done.exit_code == 0
    document = json.loads(out.read_text("utf-8"))
    jsonschema.validate(document, SCHEMA)
    assert (document["parts"], document["person"]) == (PARTS, kept.person)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    (event,) = durable.events.since(NOW - DAY, kind="evidence.exported")
    assert (event.person, event.provider, event.detail["evidence"]) == (kept.person, "bankid", kept.id)
    assert event.detail["by"]
    assert PARTS["signature"] not in done.output + repr(event)


def test_export_overwrites_nothing(folder: Path, durable: Durable) -> None:
    """A file that is there stays as it is, a symbolic link too, and nothing is recorded."""
    kept = keep(folder, durable)
    out, link = folder / "letter.txt", folder / "link"
    out.write_text("a letter")
    link.symlink_to(folder / "elsewhere")

    for file in (out, link):
        refused = call(folder, "export", kept.id, "--out", str(file))
        assert isinstance(refused.exception, OperatorError)
        assert refused.exception.exit_code == 3

    assert out.read_text() == "a letter"
    assert not (folder / "elsewhere").exists()
    assert durable.events.since(NOW - DAY, kind="evidence.exported") == ()


def test_export_without_a_trace_is_none(folder: Path, durable: Durable) -> None:
    """Where the event cannot be recorded nothing is handed out, and no file is left."""
    kept = keep(folder, durable)
    with durable.database.writing() as connection:
        connection.exec_driver_sql("DROP TABLE event")

    refused = call(folder, "export", kept.id, "--out", str(folder / "proof.json"))

    assert isinstance(refused.exception, StoreError)
    assert not (folder / "proof.json").exists()


def test_export_of_what_was_tampered_with(folder: Path, durable: Durable) -> None:
    """Evidence that was given another person does not open: no file, no event."""
    kept = keep(folder, durable)
    with durable.database.writing() as connection:
        connection.exec_driver_sql("UPDATE evidence SET person = 'q'")

    refused = call(folder, "export", kept.id, "--out", str(folder / "proof.json"))

    assert isinstance(refused.exception, StoreError)
    assert not (folder / "proof.json").exists()
    assert durable.events.since(NOW - DAY, kind="evidence.exported") == ()


def test_a_place_that_cannot_be_written(folder: Path, durable: Durable) -> None:
    """A folder that is not there is told, in words."""
    refused = call(folder, "export", keep(folder, durable).id, "--out", str(folder / "none" / "proof.json"))

    assert isinstance(refused.exception, OperatorError)
    assert "No such file" in refused.exception.detail


@pytest.mark.parametrize("command", ["show", "export"])
def test_none_such(folder: Path, durable: Durable, command: str) -> None:
    """An unknown id and one whose time is over are told alike."""
    over = keep(folder, durable, NOW - 181 * DAY)
    more = ["--out", str(folder / "proof.json")] if command == "export" else []

    for wanted in (over.id, "f" * 32):
        refused = call(folder, command, wanted, *more)
        assert isinstance(refused.exception, OperatorError)
        assert refused.exception.exit_code == 2
    assert not (folder / "proof.json").exists()


def test_expire(folder: Path, durable: Durable) -> None:
    """The nightly job deletes what is past its time and asks nothing."""
    keep(folder, durable, NOW - 181 * DAY)
    kept = keep(folder, durable)

    assert call(folder, "expire").stdout == "ok: 1 removed\n"
    assert call(folder, "expire").stdout == "ok: 0 removed\n"
    assert found(call(folder, "list", "--json")) == [kept.id]
    assert durable.events.since(NOW - DAY, kind="evidence.removed") == ()


def test_expire_early(folder: Path, durable: Durable) -> None:
    """After `keep` was shortened older evidence goes too: asked first, and recorded with how many and by whom."""
    keep(folder, durable, NOW - 40 * DAY)
    kept = keep(folder, durable, NOW - 20 * DAY)

    assert call(folder, "expire", "--older-than", "30d", typed="n\n").exit_code == 1
    assert len(found(call(folder, "list", "--json"))) == 2
    assert call(folder, "expire", "--older-than", "30d", "--yes").stdout == "ok: 1 removed\n"

    assert found(call(folder, "list", "--json")) == [kept.id]
    (event,) = durable.events.since(NOW - DAY, kind="evidence.removed")
    assert event.detail["count"] == "1"
    assert event.detail["by"]


def test_by_the_tool(folder: Path, durable: Durable) -> None:
    """The command is one of the tool's, and its exit codes reach the shell."""
    kept = keep(folder, durable)
    tool = [sys.executable, "-m", "idbroker.cli", "--config", str(folder / "config.toml"), "evidence"]

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*tool, *words], capture_output=True, text=True, timeout=60, check=False)

    assert run("list").stdout.startswith(kept.id)
    refused = run("show", "f" * 32)
    assert (refused.returncode, refused.stderr.splitlines()[1]) == (2, "hint: idbroker evidence list")
