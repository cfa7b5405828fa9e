"""`idbroker keys`: what is printed, what is asked, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization

from idbroker.clock import StoppedClock
from idbroker.errors import OperatorError
from idbroker.keyfiles import KeyFiles
from idbroker.keys_cli import keys, keys_opened_by
from idbroker.keys_context import KeysContext
from idbroker.keys_print import Screen
from idbroker.keyset import Rules, State, Use
from tests.conftest import NOW
from tests.keystores import key_folder

SCHEMA = json.loads(files("idbroker").joinpath("schemas/keys-1.json").read_text())
WIDE = Screen(width=120, terminal=True, asks=True, zone=UTC)
PIPE = Screen(width=80, terminal=False, zone=UTC)
DAY = timedelta(days=1)
COMMANDS = sorted(keys.commands)


def _run(context: KeysContext, *arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(keys, list(arguments), obj=context, input=typed)


def _json(result: Result) -> Any:
    found = json.loads(result.stdout)
    jsonschema.validate(found, SCHEMA)
    return found


def _error(result: Result) -> Any:
    found = json.loads(result.stderr)
    jsonschema.validate(found, SCHEMA)
    return found["error"]


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder as the first start leaves it."""
    return key_folder(tmp_path)


@pytest.fixture
def clock() -> StoppedClock:
    """Return a clock at which the staged keys may sign."""
    return StoppedClock(NOW + timedelta(hours=25))


@pytest.fixture
def context(folder: Path, clock: StoppedClock) -> KeysContext:
    """Return what the commands work with, on a wide terminal."""
    store = KeyFiles(folder)
    return KeysContext(store=store, clock=clock, who="anna", screen=WIDE, concerns=store.concerns)


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command: str) -> None:
    """The help of every command has an example and its exit codes (K1), and needs no configuration."""
    for option in ("--help", "-h"):
        result = CliRunner().invoke(keys, [command, option])
        assert result.exit_code == 0
        assert f"Examples:\n    idbroker keys {command}" in result.stdout
        assert "Exit codes:\n    0 " in result.stdout
        assert "130 interrupted" in result.stdout


@pytest.mark.parametrize("arguments", [["list"], ["plan"], ["check"], ["history"], ["rotate", "--yes"]])
def test_schema(context: KeysContext, arguments: Sequence[str]) -> None:
    """What --json prints is one object that the shipped schema describes (K3)."""
    assert _json(_run(context, *arguments, "--json"))["schema"] == "idbroker.keys/1"


def test_list_nothing(tmp_path: Path, clock: StoppedClock) -> None:
    """An empty list is a list."""
    result = _run(KeysContext(store=KeyFiles(tmp_path / "none"), clock=clock, who="x", screen=PIPE), "list", "--json")

    assert (_json(result)["keys"], result.exit_code) == ([], 0)
    assert not (tmp_path / "none").exists()


def test_list_filters(context: KeysContext) -> None:
    """--use and --state choose."""
    found = _json(_run(context, "list", "--use", "oidc-sign", "--state", "staged", "--json"))["keys"]

    assert [(key["use"], key["state"]) for key in found] == [("oidc-sign", "staged")] * 2


def test_show_pem(context: KeysContext) -> None:
    """A public key is shown as PEM; a symmetric key has none to show."""
    listed = {key.use: key.kid for key in context.store.load().keys}
    shown = _run(context, "show", listed[Use.OIDC_SIGN], "--pem").stdout

    serialization.load_pem_public_key(shown.encode())
    assert _run(context, "show", listed[Use.INDEX], "--pem").exit_code == 2


@pytest.mark.parametrize("arguments", [["plan"], ["rotate", "--dry-run"], ["plan", "--json"], ["check"], ["history"]])
def test_dry_run_writes_nothing(context: KeysContext, folder: Path, arguments: Sequence[str]) -> None:
    """Looking leaves the folder as it was, to the byte (K4)."""
    before = _bytes(folder)

    _run(context, *arguments)

    assert _bytes(folder) == before


def test_rotate_plan(context: KeysContext) -> None:
    """`rotate --plan` does what `plan` has shown, without asking; a second time it is done already."""
    plan = _json(_run(context, "plan", "--json"))["plan"]

    first = _run(context, "rotate", "--plan", plan["id"].lower())
    second = _run(context, "rotate", "--plan", plan["id"])

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "Undo within 24 h" in first.stdout
    assert "nothing to do" in second.stderr
    active = {key.kid for key in context.store.load().keys if key.state is State.ACTIVE}
    assert {step["kid"] for step in plan["steps"] if step["becomes"] == "active"} <= active


def test_rotate_plan_out_of_date(context: KeysContext, clock: StoppedClock) -> None:
    """When the keys have changed since, a plan is refused with exit code 5."""
    plan = _json(_run(context, "plan", "--json"))["plan"]["id"]
    _run(context, "rotate", "--use", "data", "--yes")
    clock.move(timedelta(minutes=5))

    result = _run(context, "rotate", "--plan", plan, "--json")

    assert (result.exit_code, _error(result)["code"]) == (5, "out_of_date")


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("YES\n", 0), ("n\n", 2), ("\n", 2), ("", 2)])
def test_rotate_asks(context: KeysContext, folder: Path, typed: str, code: int) -> None:
    """A person is asked, and only yes means yes; the question goes to stderr."""
    before = _bytes(folder)

    result = _run(context, "rotate", typed=typed)

    assert result.exit_code == code
    assert "Rotate now? [y/N]" in result.stderr
    assert (_bytes(folder) == before) == (code == 2)


@pytest.mark.parametrize("arguments", [["rotate"], ["rotate", "--json"]])
def test_rotate_nobody_to_ask(context: KeysContext, arguments: Sequence[str]) -> None:
    """Without a terminal nothing is asked: exit code 2 names the option."""
    result = _run(replace(context, screen=PIPE), *arguments, typed="y\n")

    assert result.exit_code == 2
    assert "--yes" in result.stderr


def test_rotate_too_early(context: KeysContext, clock: StoppedClock) -> None:
    """A rotation that would break verifiers is refused with the earliest time and the way out."""
    _run(context, "rotate", "--yes")
    clock.move(timedelta(hours=2))
    staged = next(k for k in context.store.load().keys if k.state is State.STAGED and k.use is Use.OIDC_SIGN)

    result = _run(context, "rotate", "--yes")

    assert result.exit_code == 3
    assert f"error: {staged.kid[:4]} has been public for 2 h, needs 24 h" in result.stderr
    assert "hint: earliest 2026-11-24 10:10 UTC. In an emergency use: idbroker keys revoke" in result.stderr
    assert result.stdout == ""


def test_rotate_repeated(context: KeysContext, clock: StoppedClock) -> None:
    """The same rotation again within a minute is done already; later it is another one."""
    _run(context, "rotate", "--yes")
    clock.move(timedelta(seconds=59))
    soon = _run(context, "rotate", "--yes", "--json")
    clock.move(timedelta(seconds=1))

    assert (soon.exit_code, _json(soon)["plan"]) == (0, None)
    assert _run(context, "rotate", "--yes").exit_code == 3


def test_rotate_back(context: KeysContext, clock: StoppedClock) -> None:
    """--back lets the former key sign again; after a day it is refused."""
    before = {key.kid for key in context.store.load().keys if key.state is State.ACTIVE}
    _run(context, "rotate", "--yes")
    clock.move(timedelta(hours=3))

    undone = _run(context, "rotate", "--back", "--yes")
    clock.move(timedelta(hours=3))

    assert undone.exit_code == 0
    assert {key.kid for key in context.store.load().keys if key.state is State.ACTIVE} == before
    assert _run(context, "rotate", "--back", "--yes").exit_code == 3


def test_rotate_if_older(context: KeysContext) -> None:
    """With --if-older-than a young key is left alone: good for a timer."""
    result = _run(context, "rotate", "--if-older-than", "60d", "--yes")

    assert (result.exit_code, "nothing to do" in result.stderr) == (0, True)


def test_rotate_fixed(context: KeysContext) -> None:
    """The keys that are never exchanged say why."""
    result = _run(context, "rotate", "--use", "subject", "--yes")

    assert result.exit_code == 3
    assert "would be lost" in result.stderr


def test_revoke(context: KeysContext) -> None:
    """A key is revoked by the last four characters of its name, and the history says who and why."""
    key = next(key for key in context.store.load().keys if key.state is State.ACTIVE)

    result = _run(context, "revoke", key.kid[:6], "--reason", "compromised", typed=f"{key.kid[-4:]}\n")

    assert result.exit_code == 0
    assert key.kid in result.stderr
    last = _json(_run(context, "history", "--json"))["history"][-1]
    assert (last["who"], last["action"], last["reason"]) == ("anna", "revoke", "compromised")
    again = _run(context, "revoke", key.kid, "--reason", "compromised", "--confirm", key.kid[-4:])
    assert (again.exit_code, "gone already" in again.stderr) == (0, True)


@pytest.mark.parametrize("confirm", [["--confirm", "0000"], []])
def test_revoke_unconfirmed(context: KeysContext, folder: Path, confirm: list[str]) -> None:
    """Without the right four characters nothing is revoked."""
    before = _bytes(folder)

    result = _run(replace(context, screen=PIPE), "revoke", "--reason", "test", *confirm, _first_kid(context))

    assert result.exit_code == 2
    assert confirm or "--confirm LAST4" in result.stderr
    assert _bytes(folder) == before


def _first_kid(context: KeysContext) -> str:
    return context.store.load().keys[0].kid


def test_export(context: KeysContext, tmp_path: Path) -> None:
    """The published set is written once; overwriting needs --force."""
    out = tmp_path / "jwks.json"

    assert _run(context, "export", "--jwks", "--out", str(out)).exit_code == 0
    assert out.read_text() == _run(context, "export", "--jwks").stdout
    assert _run(context, "export", "--jwks", "--out", str(out)).exit_code == 1
    assert _run(context, "export", "--jwks", "--out", str(out), "--force").exit_code == 0
    assert _run(context, "export").exit_code == 2


def test_export_saml(context: KeysContext, clock: StoppedClock) -> None:
    """The SAML certificates are there once their keys are, and `check` warns before they end."""
    assert _run(context, "export", "--saml-cert").exit_code == 1
    _run(context, "rotate", "--use", "saml-sign", "--yes")

    assert _run(context, "export", "--saml-cert").stdout.count("BEGIN CERTIFICATE") == 2
    clock.move(timedelta(days=3 * 365 - 8))
    found = _json(_run(context, "check", "--json"))["checks"]
    assert "certificate" in {one["code"] for one in found}


def test_check(context: KeysContext, folder: Path) -> None:
    """All well is 0, something to do soon 6, something to do now 7."""
    well = replace(context, concerns=tuple)
    assert _run(well, "check").exit_code == 0
    soon = _run(context, "check", "--json")
    assert (soon.exit_code, _json(soon)["worst"]) == (6, "warning")

    key = context.store.load().keys[0]
    (folder / f"{key.kid}.pem").unlink()
    now = _run(well, "check", "--json")
    assert (now.exit_code, _json(now)["worst"]) == (7, "act")
    assert _json(now)["checks"][0]["kid"] == key.kid


def test_check_due(context: KeysContext, clock: StoppedClock) -> None:
    """A key past its age is named, with the command that rotates it."""
    clock.move(Rules().rotate_after)

    found = _json(_run(context, "check", "--json"))["checks"]

    assert "idbroker keys rotate --use oidc-sign" in {one["hint"] for one in found if one["code"] == "due"}


@dataclass
class Drawer:
    """Sealed values, counted."""

    left: int
    batches: list[tuple[int, int]] = field(default_factory=list)
    stop_at: int = -1

    def rewrap(self, newest: int, batch: int) -> int:
        """Seal some anew, or be interrupted."""
        if len(self.batches) == self.stop_at:
            raise KeyboardInterrupt
        self.batches.append((newest, batch))
        self.left = max(0, self.left - batch)
        return self.left


def test_rewrap(context: KeysContext, clock: StoppedClock) -> None:
    """Everything is sealed anew, batch by batch; a day later, when no session needs it, the old key goes."""
    _run(context, "rotate", "--use", "data", "--yes")
    drawer = Drawer(left=1100)

    first = _run(replace(context, rewrappable=drawer), "rewrap")
    clock.move(DAY)
    second = _run(replace(context, rewrappable=drawer), "rewrap", "--resume")

    assert drawer.batches[:3] == [(2, 500)] * 3
    assert "600 values left" in first.stderr
    assert "still open sessions" in first.stderr
    assert "1 key changed" in second.stdout


def test_rewrap_without_store(context: KeysContext) -> None:
    """Without a store of sealed values there is nothing to seal anew, and it says so."""
    assert _run(context, "rewrap").exit_code == 1


def test_interrupted(context: KeysContext, folder: Path) -> None:
    """Ctrl-C ends with 130, and the keys are as they were."""
    before = _bytes(folder)

    result = _run(replace(context, rewrappable=Drawer(left=9999, stop_at=1)), "rewrap")

    assert result.exit_code == 130
    assert _bytes(folder) == before


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["show", "zzzz"], "no_such_key"),
        (["show"], "usage"),
        (["rotate", "--use", "nothing"], "usage"),
        (["history", "--since", "soon"], "usage"),
        (["nothing"], "usage"),
    ],
)
def test_errors_as_json(context: KeysContext, arguments: Sequence[str], code: str) -> None:
    """With --json an error is one object on stderr, with exit code 2 for wrong use."""
    result = _run(context, *arguments, "--json")

    assert (result.exit_code, result.stdout) == (2, "")
    assert _error(result)["code"] == code


def test_opened_when_needed() -> None:
    """Inside a larger tool the store is opened by the command only, and its errors are told alike."""

    def opens(given: Any) -> KeysContext:
        raise OperatorError(f"no {given}", hint="write one", code="config", exit_code=2)

    group = keys_opened_by(opens)

    assert CliRunner().invoke(group, ["list", "--help"], obj="config.toml").exit_code == 0
    result = CliRunner().invoke(group, ["list", "--json"], obj="config.toml")
    assert (result.exit_code, _error(result)["message"]) == (2, "no config.toml")
