"""`idbroker check ages`: who enters each service at which ages, and where nobody can."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from idbroker.cli import idbroker
from tests.test_check import FILE

SCHEMA = json.loads(files("idbroker").joinpath("schemas/ages-1.json").read_text())
FINNISH = """
[clinics.county]
name = "The county"
country = "FI"
providers = ["mitid", "fallback"]
ages = { %s }

[clients.visits]
name = "Visits"
clinic = "county"
redirect_uris = ["https://visits.example.org/callback"]
auth_method = "none"
acting = "%s"
"""
# A clinic's program, and a service that is shut.
OTHERS = f"""
[clients.journal]
name = "Journal"
clinic = "county"
redirect_uris = []
secret_digests = ["{"a" * 64}"]
api = ["register"]

[clients.shut]
name = "Shut"
clinic = "county"
redirect_uris = ["https://shut.example.org/callback"]
auth_method = "none"
disabled = true
"""


def ran(folder: Path, *arguments: str, ages: str = "", acting: str = "always", more: str = "") -> Result:
    """Run the command on a Danish portal and a Finnish service, with ages and acting as told."""
    path = folder / "config.toml"
    path.write_text(
        FILE.replace("[keys]\npassphrase_file", "[keys]\n# passphrase_file") + FINNISH % (ages, acting) + more
    )
    return CliRunner().invoke(idbroker, ["--config", str(path), "check", *arguments])


def test_no_gap(tmp_path: Path) -> None:
    """Where somebody can enter at every age, each age is told with who does, and the exit code is 0."""
    result = ran(tmp_path, "ages", "--offline")

    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        "CLINIC\tSERVICE\tAGES\tOWN EID\tOWN PASSWORD AND CODE\tGUARDIAN\tGAP",
        "clinea\tportal\t0 to 14\t-\tyes\t-\t",
        "clinea\tportal\t15 and over\tyes\tyes\t-\t",
        "county\tvisits\t0 to 11\t-\t-\tyes\t",
        "county\tvisits\t12 and over\tyes\t-\t-\t",
        "note: [clients.visits] guardians are those that county has noted itself: it asks no register",
        "2 services, none with an age at which nobody can enter",
    ]


def test_a_gap_is_said_with_what_is_beside_it(tmp_path: Path) -> None:
    """A guardian until 12 and an eID from 13 leave a year: it is named, and the exit code is 1."""
    result = ran(tmp_path, "ages", "--offline", ages="eid_from = 13")

    assert result.exit_code == 1
    assert "county\tvisits\t12\t-\t-\t-\t! nobody" in result.output
    gap = "gap: [clients.visits] 12: nobody can enter: own eID from 13, no password and code, a guardian until 12"
    assert gap in result.output.splitlines()
    assert result.output.splitlines()[-1] == "2 services, 1 with an age at which nobody can enter"


def test_ways_that_a_service_has_not_do_not_count(tmp_path: Path) -> None:
    """A clinic's limits open nothing where the service takes no guardians and no password."""
    result = ran(tmp_path, "ages", "--offline", acting="never")

    assert result.exit_code == 1
    assert (
        "0 to 11: nobody can enter: own eID from 12, no password and code, no guardian (acting = never)"
        in result.output
    )


def test_both_at_once_is_a_note(tmp_path: Path) -> None:
    """Ages at which somebody enters themselves and a guardian may too are said, and are no gap."""
    result = ran(tmp_path, "ages", "--offline", ages="eid_from = 10")

    assert result.exit_code == 0
    assert "[clients.visits] 10 to 11: they enter themselves, and a guardian may act for them too" in result.output


def test_a_service_for_guardians_alone(tmp_path: Path) -> None:
    """Where nobody but a guardian may go on, those whom no guardian acts for are no gap; it is said."""
    result = ran(tmp_path, "ages", "--offline", acting="required")

    assert result.exit_code == 0
    assert "[clients.visits] acting = required: nobody enters for themselves" in result.output


def test_a_service_for_guardians_where_none_may_act(tmp_path: Path) -> None:
    """A service for guardians alone at a clinic that lets none act has nobody at all."""
    result = ran(tmp_path, "ages", "--offline", acting="required", ages="guardian_until = 0")

    assert result.exit_code == 1
    words = (
        "every age: nobody can enter: no guardian (guardian_until = 0), and nobody for themselves (acting = required)"
    )
    assert words in result.output


def test_json_is_as_its_schema_says(tmp_path: Path) -> None:
    """--json writes one object of its schema, with the gap as figures, and the same exit code."""
    result = ran(tmp_path, "ages", "--offline", "--json", ages="eid_from = 13")

    document = json.loads(result.output)
    jsonschema.validate(document, SCHEMA)
    assert [service["gaps"] for service in document["services"]] == [[], [{"from": 12, "to": 12}]]
    assert result.exit_code == 1


@pytest.mark.parametrize("without", ["spans", "gaps", "ages"])
def test_the_schema_misses_what_is_missing(tmp_path: Path, without: str) -> None:
    """The schema refuses a service that does not say all."""
    document: dict[str, Any] = copy.deepcopy(json.loads(ran(tmp_path, "ages", "--offline", "--json").output))
    del document["services"][0][without]

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, SCHEMA)


def test_programs_and_disabled_services_are_none(tmp_path: Path) -> None:
    """What nobody signs in to is not listed."""
    result = ran(tmp_path, "ages", "--offline", "--json", more=OTHERS)

    assert [service["client"] for service in json.loads(result.output)["services"]] == ["portal", "visits"]


def test_check_itself_names_the_gaps(tmp_path: Path) -> None:
    """`idbroker check` says gaps among its notes, and is in order all the same."""
    result = ran(tmp_path, "--offline", ages="eid_from = 13")

    assert result.exit_code == 0, result.output
    assert "note: [clients.visits] 12: nobody can enter: own eID from 13" in result.output
    assert result.output.splitlines()[-1].startswith("ok: ")


def test_services_of_the_store_are_asked_too(tmp_path: Path) -> None:
    """A service that was registered with `idbroker clients add` is judged like those of the file."""
    path, portal = tmp_path / "config.toml", tmp_path / "visits.json"
    document = tomllib.loads(FINNISH % ("eid_from = 13", "always"))["clients"]["visits"]
    portal.write_text(json.dumps({"id": "visits", **document}))
    text = FILE.replace('transient = "rediss://redis.internal/0"', "").replace("[keys]\npassphrase_file", "[keys]\n# p")
    path.write_text(text + (FINNISH % ("eid_from = 13", "always")).partition("[clients.visits]")[0])
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IDBROKER_")}

    def tool(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "idbroker.cli", "--config", str(path), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    added, offline, found = (
        tool("clients", "add", str(portal)),
        tool("check", "ages", "--offline"),
        tool("check", "ages"),
    )

    assert added.returncode == 0, added.stderr
    assert (offline.returncode, found.returncode) == (0, 1)
    assert "gap: [clients.visits] 12" in found.stdout


def test_mistakes_come_first(tmp_path: Path) -> None:
    """Ages that are none are a mistake of the configuration: nothing is computed with them."""
    path = tmp_path / "config.toml"
    path.write_text(FILE + FINNISH % ("eid_from = 31", "always"))

    command = [sys.executable, "-m", "idbroker.cli", "--config", str(path), "check", "ages", "--offline"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert result.returncode == 2
    assert "ages.eid_from must be 0 to 18" in result.stderr
    assert not result.stdout
