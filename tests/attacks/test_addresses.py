"""Whoever chooses the address we believe is at any address they like: a victim's, or one of thousands."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from idbroker.web.address import BehindProxies
from tests.servers import free_port

HEADER = "Clientaddress"
PATIENCE = 20.0


def app(environ: dict[str, str], start: object) -> list[bytes]:
    """Answer with what an application is told of the headers that name addresses."""
    start("200 OK", [("Content-Type", "application/json")])  # type: ignore[operator]
    told = {name: value for name, value in environ.items() if "FORWARDED" in name or "ADDRESS" in name}
    return [json.dumps(told).encode()]


@pytest.fixture(scope="module")
def served() -> Iterator[int]:
    """Serve that application as the broker is served."""
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--port", str(port), "--no-ws"]
    with subprocess.Popen([*command, "tests.attacks.test_addresses:app"], stderr=subprocess.DEVNULL) as process:
        ends = time.monotonic() + PATIENCE
        while not _answers(port):
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < ends, "the server did not start"
        yield port
        process.terminate()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _told(port: int, *headers: str) -> dict[str, str]:
    lines = ["GET / HTTP/1.1", "Host: x", "Connection: close", *headers, "", ""]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
        wire.sendall("\r\n".join(lines).encode())
        answer = b"".join(iter(lambda: wire.recv(65536), b""))
    told: dict[str, str] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return told


def test_a_name_with_hyphens_has_an_alias(served: int) -> None:
    """Why it is not X-Forwarded-For: an application cannot tell that from X_Forwarded_For (RFC 3875, 4.1.18)."""
    told = _told(served, "X-Forwarded-For: 192.0.2.1", "X_Forwarded_For: 198.51.100.77")

    assert "198.51.100.77" in told["HTTP_X_FORWARDED_FOR"]


@pytest.mark.parametrize(
    "alias", ["Client_address", "Client-address", "clientaddress_", "Clientaddress-", "Client.address"]
)
def test_the_name_we_read_has_none(served: int, alias: str) -> None:
    """E1: nothing but the very name reaches the key that we read, whatever a proxy passes on."""
    told = _told(served, f"{HEADER}: 192.0.2.1", f"{alias}: 198.51.100.77")

    assert told["HTTP_CLIENTADDRESS"] == "192.0.2.1"


@pytest.mark.parametrize(
    ("proxies", "written", "believed"),
    [
        (1, "192.0.2.1", "192.0.2.1"),
        (1, "198.51.100.77, 192.0.2.1", "192.0.2.1"),
        (2, "192.0.2.1, 10.0.0.1", "192.0.2.1"),
        (2, "198.51.100.77, 192.0.2.1, 10.0.0.1", "192.0.2.1"),
        (2, "10.0.0.1", ""),
        (1, None, ""),
    ],
)
def test_whose_word_counts(proxies: int, written: str | None, believed: str) -> None:
    """A24: only what our own proxies wrote counts, and without it the address is nobody's, not the proxy's."""
    seen: list[str] = []

    def inner(environ: dict[str, str], _start: object) -> list[bytes]:
        seen.append(environ["REMOTE_ADDR"])
        return []

    headers = {} if written is None else {"HTTP_CLIENTADDRESS": written}
    BehindProxies(inner, HEADER, proxies)({"REMOTE_ADDR": "127.0.0.1", **headers}, lambda *_: lambda _: None)

    assert seen == [believed]
