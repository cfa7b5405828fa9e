"""The code that the sandbox hands out works as it is."""

from __future__ import annotations

import html
import re
import subprocess
import sys
import time
from pathlib import Path

import requests

from tests.sandbox.running import PATIENCE, Browser, Sandbox
from tests.servers import free_port


def test_flask_snippet(sandbox: Sandbox, browser: Browser, tmp_path: Path) -> None:
    """The Flask snippet, saved and started, logs a person in."""
    port = free_port()
    browser.open(f"{sandbox.issuer}/sandbox/connect").press(redirect_uri=f"http://localhost:{port}/callback")
    snippet = re.search(r'aria-label="Flask with Authlib"><code>(.*?)</code>', browser.page.text, re.DOTALL)
    assert snippet is not None
    program = tmp_path / "portal.py"
    program.write_text(html.unescape(snippet[1]), "utf-8")

    with subprocess.Popen([sys.executable, program], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(f"http://localhost:{port}/", process)
            browser.open(f"http://localhost:{port}/login").log_in()
            assert browser.page.json()["name"] == "Anna Prøvesen"
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            requests.get(url, timeout=PATIENCE)
        except requests.ConnectionError:
            continue
        return
    raise AssertionError("the snippet did not start")
