"""The watch over personal data really barks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.clock import StoppedClock
from tests.door import answer_of, open_door
from tests.privacy import DAYS, PEOPLE, found_in

HOUSE = Path(__file__).parents[1]
HEAD = """
import json, logging, os, subprocess, sys
from datetime import UTC, datetime
import pytest, structlog
from idbroker.events import Event
from idbroker.sandbox.people import cast
NOW = datetime(2026, 11, 22, tzinfo=UTC)
ANNA = cast(NOW.date())[0]
"""
LEAKS: Mapping[str, str] = {
    "logging": "logging.getLogger('x').warning('number %s', ANNA.number)",
    "traceback": "try: raise ValueError(ANNA.name)\n    except ValueError: logging.exception('fault')",
    "structlog": "structlog.get_logger('x').info('signed_in', born=ANNA.born.isoformat())",
    "json": "print(json.dumps({'family_name': ANNA.family_name}), file=sys.stderr)",
    "hyphen": "print(f'{ANNA.number[:6]}-{ANNA.number[6:]}')",
    "child": "subprocess.run([sys.executable, '-c', f'print({ANNA.number!r})'])",
    "event": "Event(at=NOW, kind='x', detail={'who': ANNA.name})",
}
QUIET: Mapping[str, str] = {
    "id": "print('anna', ANNA.uuid, ANNA)",
    "own_event": "Event(at=NOW, kind='signin.granted', person='0123456789abcdef', ref='ABCDEF')",
    "inside": "print(f'a{ANNA.number}b')",
}


def run(folder: Path, bodies: Mapping[str, str], mark: str = "") -> str:
    """Run tests with these bodies in a pytest of their own; return what it says."""
    tests = "\n".join(f"{mark}\ndef test_{name}():\n    {body}\n" for name, body in bodies.items())
    (folder / "test_leaks.py").write_text(HEAD + tests, "utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.privacy",
        "-p",
        "no:cacheprovider",
        "-rA",
        "--color=no",
        ".",
    ]
    environment = {**os.environ, "PYTHONPATH": str(HOUSE), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout


@pytest.mark.shows_people("the inner run's report holds what leaked")
def test_every_way_out_is_watched(tmp_path: Path) -> None:
    """A number, name or birth date in a line, a traceback, a stream, a child's output or an event fails the test."""
    said = run(tmp_path, {**LEAKS, **QUIET})

    for name in LEAKS:
        assert f"FAILED test_leaks.py::test_{name}" in said or f"ERROR test_leaks.py::test_{name}" in said, said
    for name in QUIET:
        assert f"PASSED test_leaks.py::test_{name}" in said, said
        assert f"ERROR test_leaks.py::test_{name}" not in said, said


@pytest.mark.shows_people("the inner run's report holds what leaked")
def test_a_test_may_say_that_it_shows_people(tmp_path: Path) -> None:
    """A test that prints the people on purpose says so, and why."""
    said = run(tmp_path, LEAKS, "@pytest.mark.shows_people('on purpose')")

    assert f"{len(LEAKS)} passed" in said


def test_everybody_is_known() -> None:
    """Nobody of the cast is forgotten, on the tests' day or today."""
    assert len({person.id for person in PEOPLE}) >= 16
    for person in PEOPLE:
        assert found_in(f"x {person.name} y")
        assert found_in(f"born={person.born.isoformat()}")
        assert person.number is None or found_in(f"/{person.number}?")
    assert not found_in(f"{DAYS[0]} 1985 Anna-Lisa 740385")


def test_a_whole_broker_says_nothing_of_anybody(tmp_path: Path, clock: StoppedClock) -> None:
    """Sign-ins, refusals, lies and a logout of several people, through the whole broker: no line, no event tells."""
    with open_door(tmp_path, clock) as door:
        for person in ("anna", "petra", "nora", "susan"):
            tokens = door.signed_in(person=person, scope="openid profile national_number offline_access")
            assert door.userinfo(tokens["access_token"]).status_code == 200
        for lie in ("bad_birthdate", "wrong_sub_userinfo", "bad_signature", "expired", "lower_level", "not_json"):
            door.faults.set("mitid", {"lies": [lie]})
            door.browser().press(door.browser().authorize(), provider="mitid")
            browser = door.browser()
            page = browser.press(browser.authorize(), provider="mitid")
            if page.status_code == 200 and 'name="person"' in page.text:
                browser.press(page, person="anna", outcome="approve")
        door.faults.clear()
        browser = door.browser()
        tokens = door.signed_in(browser, scope="openid profile national_number offline_access")
        assert answer_of(browser.authorize(prompt="none"))["code"]
        browser.get(f"/logout?id_token_hint={tokens['id_token']}")
        events = door.house.durable.events.since(clock.now() - timedelta(hours=1))

    assert {"signin.granted", "provider.failed", "session.ended"} <= {event.kind for event in events}
