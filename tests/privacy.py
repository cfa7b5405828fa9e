"""Fails every test during which a made-up person's number, name or birth date came into a log line or an event.

The people of the sandbox stand for real ones: what leaks of theirs would leak of everybody's. Looked
at are the lines of the standard library's logging and of structlog, what was written to stdout and
stderr (by us, by the applications the tests serve, by processes they start), and every Event made.
A test that prints the people on purpose says so: `@pytest.mark.shows_people("why")`.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from datetime import date
from html import escape
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import structlog

from idbroker.clock import SystemClock
from idbroker.events import Event
from idbroker.sandbox.people import SimPerson, cast

# The people's ages hang on the day: that of the tests' clocks, and today's.
DAYS = (date(2026, 11, 22), SystemClock().now().date())


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark; let faults look as the product logs them, not with the values of every local."""
    config.addinivalue_line("markers", "shows_people(why): prints the sandbox's people on purpose")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ]
    )


def traces_of(person: SimPerson) -> dict[str, tuple[str, ...]]:
    """Return what would give a person away, by what it is, in the ways it is usually written."""
    number, born = person.number or "", person.born
    return {
        "number": _spelled(number, f"{number[:6]}-{number[6:]}", f"{number[:8]}-{number[8:]}") if number else (),
        "name": _spelled(person.name, person.family_name),
        "birth date": _spelled(born.isoformat(), f"{born:%d-%m-%Y}", f"{born:%d.%m.%Y}", f"{born:%Y%m%d}"),
    }


def _spelled(*texts: str) -> tuple[str, ...]:
    ways = (str, lambda text: json.dumps(text)[1:-1], quote, quote_plus, escape, lambda text: repr(text)[1:-1])
    return tuple({way(text) for text in texts for way in ways})


PEOPLE = tuple({(p.id, p.born): p for day in DAYS for p in cast(day)}.values())
_TRACES = {
    trace: f"{what} of {person.id}"
    for person in PEOPLE
    for what, traces in traces_of(person).items()
    for trace in traces
}
# Digits count only as a whole number: a hash or a port may hold any six of them.
_ANY = re.compile("|".join(rf"(?<![0-9A-Za-z]){re.escape(t)}(?![0-9A-Za-z])" for t in sorted(_TRACES, key=len)[::-1]))


def found_in(text: str) -> str | None:
    """Return what of whom a text gives away, or None."""
    match = _ANY.search(text)
    return _TRACES[match[0]] if match else None


class Watch(logging.Handler):
    """Remembers what lines and events gave away."""

    def __init__(self) -> None:
        super().__init__()
        self.leaks: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Look at a line of the standard library's logging, its traceback included."""
        self.look(self.format(record), f"a log line of {record.name}")

    def look(self, text: str, where: str) -> None:
        """Remember it if it gives somebody away."""
        found = found_in(text)
        if found:
            self.leaks.append(f"the {found} is in {where}")


@pytest.fixture(autouse=True)
def no_personal_data(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test during which a log line or an event gave a person away."""
    watch, root = Watch(), logging.getLogger()
    make_event = Event.__init__

    def watched(event: Event, *arguments: Any, **named: Any) -> None:
        make_event(event, *arguments, **named)
        watch.look(repr(event), f"the event {event.kind}")

    root.addHandler(watch)
    with pytest.MonkeyPatch.context() as patch:
        # Seen, not replaced: every event, wherever it is made, is still what it was.
        patch.setattr(Event, "__init__", watched)
        yield
    root.removeHandler(watch)
    if request.node.get_closest_marker("shows_people") is None:
        assert not watch.leaks, watch.leaks


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Turn a passed test into a failed one if what it wrote to stdout or stderr gave a person away."""
    outcome: Any = yield
    report: pytest.TestReport = outcome.get_result()
    if not report.passed or item.get_closest_marker("shows_people") is not None:
        return
    for heading, text in report.sections:
        found = found_in(text)
        if found:
            report.outcome = "failed"
            report.longrepr = f"the {found} is in what the test wrote ({heading})"
            return
