"""What a balancer asks, and what it is told (operating: healthz, readyz)."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from idbroker.clock import StoppedClock
from tests.door import Door, open_door


@pytest.mark.parametrize(("path", "words"), [("/healthz", "ok\n"), ("/readyz", "ready\n")])
def test_all_is_well(door: Door, path: str, words: str) -> None:
    """The process lives and its stores answer: 200, one word, for no cache, and no cookie set."""
    answer = requests.get(f"{door.issuer}{path}", timeout=5)

    assert (answer.status_code, answer.text) == (200, words)
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers


def test_nothing_listens_where_the_store_should(tmp_path: Path, clock: StoppedClock) -> None:
    """A worker whose store never came up is alive and not ready, and says nothing of addresses."""
    with open_door(tmp_path, clock, store={"transient": "redis://:hidden-word@127.0.0.1:1/0"}) as door:
        alive, ready = (requests.get(f"{door.issuer}{path}", timeout=15) for path in ("/healthz", "/readyz"))

    assert (alive.status_code, ready.status_code, ready.text) == (200, 503, "not ready\n")
    assert "hidden-word" not in str(ready.headers)


def test_being_asked_leaves_nothing(door: Door) -> None:
    """A balancer asks every second: nothing is kept of it."""
    before = door.stored()
    for path in ("/healthz", "/readyz"):
        requests.get(f"{door.issuer}{path}", timeout=5)

    assert door.stored() == before
