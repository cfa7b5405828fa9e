"""A Redis Cluster of one node, and a Sentinel, on loopback: gone afterwards."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import redis

from tests import servers

PATIENCE = 30.0


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """Run a cluster whose one node holds all slots; give its URL."""
    port = servers.free_port()
    bus = servers.free_port()
    options = ["--cluster-enabled", "yes", "--cluster-port", str(bus), "--save", "", "--dir", str(folder)]
    with _running([*options, "--port", str(port)], port), redis.Redis(host=servers.LOOPBACK, port=port) as node:
        node.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        _until(lambda: node.cluster("INFO")["cluster_state"] == "ok")
        yield f"redis+cluster://{servers.LOOPBACK}:{port}"


@contextmanager
def sentinel(folder: Path, master: str) -> Iterator[str]:
    """Run a Sentinel that watches over a master as `mymaster`; give its URL."""
    port = servers.free_port()
    settings = folder / "sentinel.conf"
    settings.write_text(f"sentinel monitor mymaster {servers.LOOPBACK} {urlsplit(master).port} 1\n")
    with _running([str(settings), "--sentinel", "--port", str(port)], port):
        # The first address leads nowhere: the second has to be asked.
        nobody = servers.free_port()
        yield f"redis+sentinel://{servers.LOOPBACK}:{nobody},{servers.LOOPBACK}:{port}/mymaster/0"


@contextmanager
def _running(arguments: list[str], port: int) -> Iterator[None]:
    binary = servers.program("redis-server", variable="TEST_REDIS_BIN", folders=[Path("/usr/sbin")])
    if binary is None:
        servers.missing("Redis", "install redis-server, or name its program in TEST_REDIS_BIN")
    command = [str(binary), *arguments, "--bind", servers.LOOPBACK]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _until(lambda: process.poll() is None and _answers(port))
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _answers(port: int) -> bool:
    try:
        with redis.Redis(host=servers.LOOPBACK, port=port) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "the server did not come up"
        time.sleep(0.02)  # noqa: TID251 - polls, with a deadline
