"""Programs of Node.js as peers: started, talked to a JSON object a line, and ended."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

from idbroker.clock import StoppedClock, SystemClock
from tests.servers import missing, program

HERE = Path(__file__).parent
INSTALLED = HERE / "node_modules"
PATIENCE = 30.0  # seconds an answer may take


class RunningClock(StoppedClock):
    """The machine's time, which is all that somebody else's software knows; it can be moved all the same."""

    def __init__(self, *, ago: int = 0) -> None:
        """Begin so many seconds ago."""
        self._begun, self._ago = SystemClock().now(), timedelta(seconds=ago)
        super().__init__(self._begun - self._ago)

    def now(self) -> datetime:
        """Return the moment, aware, in UTC."""
        return super().now() + (SystemClock().now() - self._begun)

    def catch_up(self) -> None:
        """Move to the machine's time, if it began before."""
        self.move(self._ago)
        self._ago = timedelta()


class PeerFault(Exception):
    """What the peer made of what we did: its own words, by name."""

    def __init__(self, fault: dict[str, Any]) -> None:
        super().__init__(json.dumps(fault))
        self.fault = fault


class Peer:
    """A running program of `tests/peers`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def does(self, deed: str, **asked: Any) -> Any:
        """Have it do something and return what came of it. Raises PeerFault where it objects."""
        return self.hears({"deed": deed, **asked})

    def hears(self, words: dict[str, Any]) -> Any:
        """Say one line and return what the next line says."""
        answer = self._answer(json.dumps(words))
        if "fault" in answer:
            raise PeerFault(answer["fault"])
        return answer["done"]

    def _answer(self, line: str) -> dict[str, Any]:
        watch = threading.Timer(PATIENCE, self._process.kill)
        watch.start()
        try:
            said = _write(self._process.stdin, line) and _read(self._process.stdout)
        finally:
            watch.cancel()
        if not said:
            raise AssertionError(f"the peer ended: {self._process.wait(PATIENCE)}")
        answer: dict[str, Any] = json.loads(said)
        return answer


def _write(stream: IO[str] | None, line: str) -> bool:
    assert stream is not None
    stream.write(line + "\n")
    stream.flush()
    return True


def _read(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline()


@contextmanager
def run(script: str) -> Iterator[Peer]:
    """Run a script of this folder until the test is done with it."""
    if not INSTALLED.is_dir():
        missing("what package.json of tests/peers names", "run `make test` once, or `npm ci` there")
    with subprocess.Popen(
        [_node(), "--no-warnings", HERE / script],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HERE, env={"PATH": os.environ.get("PATH", "")},
    ) as process:  # fmt: skip
        try:
            yield Peer(process)
        finally:
            process.kill()


def _node() -> Path:
    # The locked Node.js, where it is made for this machine: Debian 12's own is too old for oidc-provider.
    locked = None if os.environ.get("TEST_NODE_BIN") else next(INSTALLED.glob("node-*/bin/node"), None)
    found = locked or program("node", variable="TEST_NODE_BIN")
    if found is None:
        missing("Node.js", "install nodejs, 20 or newer, or name its program in TEST_NODE_BIN")
    return found
