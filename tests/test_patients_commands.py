"""`idbroker patients import`, on a real configuration, keys and store."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from idbroker.accounts.account import Standing
from idbroker.app import House, open_house
from idbroker.clock import SystemClock
from idbroker.commands.patients import patients
from idbroker.config import load
from idbroker.errors import OperatorError
from idbroker.numbers import parse
from tests.patients.list_house import make_list, number_of

CONFIG = """
[server]
issuer = "https://login.example.org"
[passwords]
memory_kib = 19456
[providers.fallback]
[clinics.clinea]
name = "Clinea"
country = "DK"
providers = ["fallback"]
registration = "off"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Lay out a configuration."""
    (tmp_path / "config.toml").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def house(folder: Path) -> Iterator[House]:
    """Open what the workers have open."""
    opened = open_house(load(folder / "config.toml"), folder, clock=SystemClock())
    opened.durable.migrate()
    yield opened
    opened.close()


@pytest.fixture
def call(folder: Path) -> Callable[..., Result]:
    """Run a command as the tool does, on a list."""

    def run(octets: bytes, *words: str) -> Result:
        (folder / "list.csv").write_bytes(octets)
        given = (
            [str(folder / "list.csv"), *words]
            if "--clinic" in words
            else [str(folder / "list.csv"), "--clinic", "clinea", *words]
        )
        return CliRunner().invoke(patients, ["import", *given], obj=str(folder / "config.toml"))

    return run


def standing(house: House, index: int) -> Standing | None:
    """Return how somebody stands with the clinic."""
    records, now = house.rooms.counter.records, house.clock.now()
    person = records.accounts.person(parse(number_of(index), "DK", now=now.date()), now)
    found = records.enrolments.find(person, "clinea")
    return None if found is None else found.standing


def test_import(house: House, call: Callable[..., Result]) -> None:
    """A list is taken in: a line says how many, whoever is in it may use the clinic, and the trail has them."""
    done = call(make_list(3))

    assert (done.exit_code, done.output) == (0, "ok: 3 new, 0 changed, 0 as they were\n")
    assert standing(house, 2) is Standing.APPROVED
    hour_ago = SystemClock().now() - timedelta(hours=1)
    assert len(house.durable.events.since(hour_ago, kind="patient.entered")) == 3


def test_only_known(house: House, call: Callable[..., Result]) -> None:
    """A clinic that approves may say that it only knows them."""
    assert call(make_list(1), "--standing", "known").exit_code == 0
    assert standing(house, 0) is Standing.KNOWN


def test_dry_run(house: House, call: Callable[..., Result]) -> None:
    """A dry run says what would be, and does nothing."""
    done = call(make_list(3), "--dry-run")

    assert done.output == "ok: 3 would be new, 0 would be changed, 0 as they were\n"
    assert standing(house, 2) is None


def test_wrong_lines(house: House, call: Callable[..., Result]) -> None:
    """Every wrong line stands on stderr, without what stands in it; the exit code says that nothing was done."""
    done = call(make_list(2, "1234567890,A,B,x,", f"{number_of(0)},A,B,,"))

    assert done.stderr.splitlines() == [
        "line 4: number is no national number of DK (date)",
        "line 4: email takes no e-mail (shape)",
        "line 5: number the same person as on line 2",
    ]
    assert "2 lines are wrong: nothing was done" in str(done.exception)
    assert getattr(done.exception, "exit_code", 0) == 3
    assert standing(house, 1) is None


def test_as_json(house: House, call: Callable[..., Result]) -> None:
    """For programs: one object, whether it was done or not."""
    good, bad = call(make_list(2), "--json"), call(make_list(1, "1,A,B,,"), "--json")

    assert json.loads(good.stdout) == {
        "schema": "idbroker.patients/1",
        "imported": {"done": True, "new": 2, "changed": 0, "unchanged": 0, "bad": 0, "wrong": []},
    }
    assert json.loads(bad.stdout)["imported"]["wrong"] == [
        {"line": 3, "column": "number", "why": "is no national number of DK (shape)"}
    ]
    assert json.loads(bad.stdout)["imported"]["done"] is False


@pytest.mark.parametrize(
    ("octets", "words", "why"),
    [(make_list(1), ("--clinic", "elsewhere"), "no clinic elsewhere"), (b"name\nx\n", (), "unknown column names")],
)
def test_refused_whole(
    house: House, call: Callable[..., Result], octets: bytes, words: tuple[str, ...], why: str
) -> None:
    """No such clinic, or no list: said in a line, with exit code 2."""
    done = call(octets, *words)

    assert why in str(done.exception)
    assert getattr(done.exception, "exit_code", 0) == 2


def told(result: Result, what: str) -> dict[str, object]:
    """Return what a command said as JSON."""
    assert result.exit_code == 0, result.exception
    document: dict[str, dict[str, object]] = json.loads(result.stdout)
    return document[what]


def run(folder: Path, *words: str) -> Result:
    """Run a command without a list."""
    return CliRunner().invoke(patients, list(words), obj=str(folder / "config.toml"))


def met(house: House, *numbers: str) -> list[str]:
    """Return the persons of some numbers."""
    now = house.clock.now()
    accounts = house.rooms.counter.records.accounts
    return [accounts.person(parse(number, "DK", now=now.date()), now) for number in numbers]


def test_merge_and_split(house: House, folder: Path) -> None:
    """Two persons are joined by their ids, once, and taken apart again, once; the record says who did it."""
    (older,), (newer,) = met(house, "610190-0001"), met(house, "610190-0002")  # one moment after the other

    first, again = (told(run(folder, "merge", newer, older, "--json"), "joined") for _ in range(2))
    assert (first["survivor"], first["absorbed"], first["first"], again["first"]) == (older, newer, True, False)
    assert met(house, "610190-0002") == [older]
    record = house.durable.merges.find(str(first["merge"]))
    assert record is not None
    assert record.by.startswith("operator ")
    parted = run(folder, "split", str(first["merge"]))

    assert parted.output == f"ok: parted {older} {newer}, merge {first['merge']}\n"
    assert run(folder, "split", str(first["merge"])).output.startswith("already: parted")
    assert met(house, "610190-0002") == [newer]


def test_not_merged(house: House, folder: Path) -> None:
    """Nobody of that id, or two birth dates: said in a line, with an exit code of its own."""
    one, other = met(house, "610190-0001", "620190-0001")

    nobody, differ = run(folder, "merge", one, "f" * 32), run(folder, "merge", one, other)
    unknown = run(folder, "split", "f" * 32)

    assert [getattr(each.exception, "exit_code", 0) for each in (nobody, differ, unknown)] == [2, 3, 2]
    assert "birth dates differ" in str(differ.exception)
    assert run(folder, "merge", one, other, "--anyway").exit_code == 0


def test_progress_on_a_terminal_only(house: House, folder: Path) -> None:
    """Who looks at a terminal sees how far it is; into a file or a pipe goes no bar."""
    (folder / "list.csv").write_bytes(make_list(1_500))
    config, file = str(folder / "config.toml"), str(folder / "list.csv")
    command = [sys.executable, "-m", "idbroker.cli", "--config", config]
    words = [*command, "patients", "import", file, "--clinic", "clinea", "--dry-run"]
    terminal, end = pty.openpty()

    piped = subprocess.run(words, capture_output=True, timeout=60, check=True)
    subprocess.run(words, stdout=subprocess.DEVNULL, stderr=end, timeout=60, check=True)

    os.close(end)
    shown = os.read(terminal, 100_000)
    os.close(terminal)
    assert piped.stderr == b""
    assert b"reading" in shown
    assert b"100%" in shown


def test_a_pipe(house: House, folder: Path) -> None:
    """A list that cannot be read twice, should others write meanwhile, is refused in one sentence."""
    ours, theirs = os.pipe()
    os.write(theirs, make_list(1))
    try:
        words = ["import", f"/dev/fd/{ours}", "--clinic", "clinea"]
        done = CliRunner().invoke(patients, words, obj=str(folder / "config.toml"))
    finally:
        os.close(ours)
        os.close(theirs)

    assert isinstance(done.exception, OperatorError)
    assert (done.exception.exit_code, standing(house, 0)) == (2, None)
    assert "the list is a pipe" in str(done.exception)
