"""A store that was opened before the server forked its workers."""

from __future__ import annotations

import subprocess
import sys

from idbroker.clock import StoppedClock
from idbroker.store import open_durable

TRANSIENT = """
import os, sys
from datetime import timedelta
from idbroker.clock import SystemClock
from idbroker.store import open_transient
store, life = open_transient(sys.argv[1], SystemClock()), timedelta(minutes=1)
children = []
store.count(sys.argv[2], life)
for _ in range(4):
    if not (child := os.fork()):
        for _ in range(50): store.count(sys.argv[2], life)
        os._exit(0)
    children.append(child)
for _ in range(50): store.count(sys.argv[2], life)
assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
print(store.count(sys.argv[2], life))
"""
DURABLE = """
import os, sys
from datetime import UTC, datetime
from idbroker.clock import SystemClock
from idbroker.events import Event
from idbroker.store import open_durable
store, event = open_durable(sys.argv[1], SystemClock()), Event(at=datetime.now(UTC), kind="forked")
children = []
store.events.record(event)
for _ in range(4):
    if not (child := os.fork()):
        for _ in range(50): store.events.record(event)
        os._exit(0)
    children.append(child)
for _ in range(50): store.events.record(event)
assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
print(len(store.events.since(event.at)))
"""


def test_transient_survives_a_fork(transient_url: str, key: str) -> None:
    """Parent and children count on, each on connections of its own, and lose nothing."""
    assert _run(TRANSIENT, transient_url, key) == "252"


def test_durable_survives_a_fork(durable_url: str, clock: StoppedClock) -> None:
    """Parent and children record on, each on connections of its own, and lose nothing."""
    store = open_durable(durable_url, clock)
    store.migrate()
    store.close()

    assert _run(DURABLE, durable_url) == "251"


def _run(script: str, *arguments: str) -> str:
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=30, check=True).stdout.strip()
