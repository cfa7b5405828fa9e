"""`idbroker staff`, on a real configuration, keys and stores."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from idbroker.app import open_house
from idbroker.clock import SystemClock
from idbroker.commands.staff import staff
from idbroker.config import load
from idbroker.errors import OperatorError

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
[clinics.neuroreg]
name = "Neuroregistret"
country = "SE"
providers = ["fallback"]
"""
SCHEMA = json.loads(files("idbroker").joinpath("schemas/staff-1.json").read_text())
ANNA = ("add", "anna", "--name", "Colleague", "--email", "c@example.org", "--role", "carer@clinea")
Call = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Lay out a configuration."""
    (tmp_path / "config.toml").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def call(folder: Path) -> Call:
    """Give the tool; an OperatorError comes out as the exception that it is."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(staff, arguments, obj=str(folder / "config.toml"))

    return run


def told(result: Result) -> dict[str, Any]:
    """Return the JSON that was printed, checked against its schema."""
    assert result.exit_code == 0, result.exception
    document: dict[str, Any] = json.loads(result.stdout)
    jsonschema.validate(document, SCHEMA)
    return document


def refused(result: Result) -> str:
    """Return what an OperatorError of exit code 2 says."""
    assert isinstance(result.exception, OperatorError), result.output
    assert result.exception.exit_code == 2
    return result.exception.detail


def test_added_and_listed(call: Call) -> None:
    """Somebody is added with roles at two clinics, in the first one's language; the link is not shown."""
    document = told(call(*ANNA, "--role", "administrator@neuroreg", "--json"))
    assert document["sent"]
    assert "link" not in document
    (one,) = told(call("list", "--json"))["staff"]
    assert one["roles"] == {"clinea": "carer", "neuroreg": "administrator"}
    assert (one["language"], one["state"], one["ways"]) == ("da", "invited", [])
    assert "anna\tColleague\tcarer@clinea administrator@neuroreg\t-\tinvited" in call("list").stdout


def test_a_link_is_printed_only_when_asked_for(call: Call) -> None:
    """`--print-link` prints it and sends nothing; otherwise it goes by e-mail and stays out of the terminal."""
    assert "/staff/set/" not in call(*ANNA).stdout
    printed = call("reset", "anna", "--print-link", "--yes")
    assert "https://login.example.org/staff/set/" in printed.stdout
    document = told(call("reset", "anna", "--print-link", "--yes", "--json"))
    assert document["link"].startswith("https://login.example.org/staff/set/")
    assert not document["sent"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "bo", "--name", "B", "--email", "b@example.org", "--role", "boss@clinea"), "no role"),
        (("add", "bo", "--name", "B", "--email", "b@example.org", "--role", "carer@nowhere"), "no clinic nowhere"),
        (("add", "bo", "--name", "B", "--email", "b@example.org", "--role", "carer"), "no clinic"),
        (("add", "bø", "--name", "B", "--email", "b@example.org"), "no user name"),
        (("add", "ANNA", "--name", "B", "--email", "b@example.org"), "has that user name"),
        (("add", "bo", "--name", " ", "--email", "b@example.org"), "no name"),
        (("add", "bo", "--name", "B", "--email", "nowhere"), "nothing can be sent"),
        (("add", "bo", "--name", "B"), "nowhere to send"),
        (("add", "bo", "--name", "B", "--subject", "x"), "no organisation's provider"),
        (("reset", "nobody", "--yes"), "nobody has that user name"),
        (("role", "anna", "boss@clinea"), "no role"),
        (("role", "anna", "carer@nowhere"), "no clinic"),
        (("list", "--clinic", "nowhere"), "no clinic"),
        (("disable", "anna"), "nobody can be asked"),
    ],
)
def test_what_is_wrong_is_said(call: Call, arguments: tuple[str, ...], said: str) -> None:
    """A mistake is told of with exit code 2, and nothing is changed."""
    call(*ANNA)
    before = told(call("list", "--json"))
    assert said in refused(call(*arguments))
    assert told(call("list", "--json")) == before


def test_roles_come_and_go(call: Call) -> None:
    """A role is given, changed and taken away, one clinic at a time."""
    call(*ANNA)
    call("role", "anna", "approver@neuroreg")
    call("role", "anna", "none@clinea")
    (one,) = told(call("list", "--json"))["staff"]
    assert one["roles"] == {"neuroreg": "approver"}
    assert told(call("list", "--clinic", "clinea", "--json"))["staff"] == []


def test_disabled_enabled_removed(call: Call, folder: Path) -> None:
    """Each is done and in the trail, by the operator, with no name in it."""
    call(*ANNA)
    call("disable", "anna", "--yes")
    assert told(call("list", "--json"))["staff"][0]["state"] == "disabled"
    assert "disabled" in refused(call("reset", "anna", "--yes"))
    call("enable", "anna")
    assert told(call("list", "--json"))["staff"][0]["state"] == "invited"
    call("remove", "anna", "--yes")
    assert told(call("list", "--json"))["staff"] == []
    house = open_house(load(folder / "config.toml"), folder, clock=SystemClock())
    events = [one for one in house.durable.events.since(house.clock.now().replace(year=2020)) if "staff" in one.kind]
    house.close()
    assert [one.kind for one in events] == ["staff.added", "staff.disabled", "staff.changed", "staff.disabled"]
    assert {one.detail["by"] for one in events} == {"operator"}
    assert "example.org" not in str(events)
