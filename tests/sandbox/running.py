"""Start the real command, and walk through its pages as a browser without JavaScript would."""

from __future__ import annotations

import html
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
COMMAND = [sys.executable, "-c", "from idbroker.sandbox.command import sandbox; sandbox()"]


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """A sandbox that runs in another process."""

    process: subprocess.Popen[str]
    ready: Mapping[str, Any]
    touched: list[str] = field(default_factory=list)
    passed: list[requests.Response] = field(default_factory=list)

    @property
    def issuer(self) -> str:
        """Return the issuer."""
        return str(self.ready["issuer"])

    def portal(self, name: str, path: str = "") -> str:
        """Return the address of a page of a demo portal."""
        return f"{self.ready['portals'][name]}{path}"

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        """Call the interface for scripts."""
        if method != "GET":
            self.touched.append(path)
        return requests.request(method, f"{self.ready['api']}/{path}", json=body, timeout=PATIENCE, **options)

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        """End it and return its exit code."""
        self.process.send_signal(by)
        return self.process.wait(PATIENCE)


@contextmanager
def started(*options: str) -> Iterator[Sandbox]:
    """Start `sandbox --port 0 --json` in another process; give it once it says that it is ready."""
    command = [*COMMAND, "--port", "0", "--json", *options]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Sandbox(process=process, ready=json.loads(first_line(process)))
        finally:
            if process.poll() is None:
                process.kill()


def environment() -> dict[str, str]:
    """Return the environment of the command: this very source, and no configuration."""
    return {name: value for name, value in os.environ.items() if not name.startswith("IDBROKER_")} | {
        "PYTHONPATH": str(ROOT)
    }


def first_line(process: subprocess.Popen[str]) -> str:
    """Return the first line the process prints, or fail when it prints none in time."""
    assert process.stdout is not None
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        if select.select([process.stdout], [], [], 0.1)[0]:
            return process.stdout.readline()
    process.kill()
    raise AssertionError(f"the sandbox did not start: {process.communicate()[1]}")


@dataclass
class Browser:
    """Follows redirects, keeps cookies, fills in forms."""

    http: requests.Session = field(default_factory=requests.Session)
    page: requests.Response = field(default_factory=requests.Response)
    touched: list[str] = field(default_factory=list)
    passed: list[requests.Response] = field(default_factory=list)

    def open(self, url: str) -> Browser:
        """Open an address."""
        self.page = self.http.get(url, timeout=PATIENCE)
        return self._onward()

    def _onward(self) -> Browser:
        """Go on where a page goes on by itself: at once, or when what is in its frames was loaded."""
        onward = re.compile(r'http-equiv="refresh" content="0; url=([^"]+)"|id="on"[^>]*href="([^"]+)"')
        while found := onward.search(self.page.text):
            self.passed.append(self.page)
            self.page = self.http.get(urljoin(self.page.url, html.unescape(found[1] or found[2])), timeout=PATIENCE)
        return self

    def press(self, label: str = "", **fields: str) -> Browser:
        """Send the form that holds a label, or the first one, with its hidden fields and these."""
        found = re.findall(r"<form([^>]*)>(.*?)</form>", self.page.text, re.DOTALL)
        attributes, content = next((a, c) for a, c in found if 'method="post"' in a and label in c)
        action = re.search(r'action="([^"]*)"', attributes)
        hidden = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', content)
        sent = {name: html.unescape(value) for name, value in hidden} | fields
        where = urljoin(self.page.url, html.unescape(action[1]) if action else self.page.url)
        if "/sandbox/" in where:
            self.touched.append(where)
        origin = {"Origin": re.match(r"https?://[^/]+", self.page.url)[0]}  # type: ignore[index]
        self.page = self.http.post(where, data=sent, headers=origin, timeout=PATIENCE)
        return self._onward()

    def log_in(self, person: str = "anna", outcome: str = "approve") -> Browser:
        """Choose MitID on the login page, then a person and an outcome at the simulator."""
        return self.press(provider="mitid").press(person=person, outcome=outcome)

    @property
    def text(self) -> str:
        """Return the words of the page."""
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", self.page.text)).split())
