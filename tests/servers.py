"""Real Redis and PostgreSQL servers for the tests: on loopback, in a folder of their own, gone afterwards."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import psycopg
import pytest
import redis

LOOPBACK = "127.0.0.1"
PATIENCE = 30.0  # seconds a server may take to start or to stop
ATTEMPTS = 3  # another process may take a free port before our server does
POSTGRES_USER = "idbroker"
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
# Linux takes the ports of connections, and those of servers that ask for any, from 32768 up: below it no port is
# taken between our asking and a server's start. Each worker of a run has a thousand of its own, and each run starts
# somewhere else among them.
_PORTS = itertools.cycle(13_000 + 1_000 * (WORKER % 19) + (os.getpid() + number) % 1_000 for number in range(1_000))


class DidNotStart(RuntimeError):
    """A server ended, or did not answer in time; the message holds the end of its log."""


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on now, nor another worker of this run later."""
    return next(port for port in itertools.islice(_PORTS, 1_000) if _is_free(port))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def missing(part: str, remedy: str) -> NoReturn:
    """Fail the test in CI, where every part must be there; skip it, saying why, anywhere else."""
    words = f"{part} is not on this machine: {remedy}"
    if os.environ.get("CI"):
        pytest.fail(words, pytrace=False)
    pytest.skip(f"SKIPPED, AND SO NOT PROVED: {words}")


def program(name: str, *, variable: str, folders: Sequence[Path] = ()) -> Path | None:
    """Return the program that an environment variable names, else the one on PATH or in the folders."""
    named = os.environ.get(variable)
    if named:
        return Path(named)
    path = os.pathsep.join([os.environ.get("PATH", ""), *map(str, folders)])
    found = shutil.which(name, path=path)
    return Path(found) if found else None


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Run a Redis that forgets everything when it stops; give its URL."""
    binary = program("redis-server", variable="TEST_REDIS_BIN", folders=[Path("/usr/sbin")])
    if binary is None:
        missing("Redis", "install redis-server, or name its program in TEST_REDIS_BIN")

    def command(port: int) -> list[str]:
        kept_nowhere = ["--save", "", "--appendonly", "no", "--dir", str(folder)]
        return [str(binary), "--bind", LOOPBACK, "--port", str(port), *kept_nowhere]

    with serving(command, _redis_answers, folder) as port:
        yield f"redis://{LOOPBACK}:{port}/0"


@contextmanager
def postgres_server() -> Iterator[str]:
    """Run a PostgreSQL that trusts loopback and cares nothing for a power cut; give its URL.

    PostgreSQL refuses to be root. Where we are root it runs as `postgres` or `nobody`, in a folder
    which that user can reach: pytest's own are closed to others.
    """
    owner = _postgres_owner()
    with tempfile.TemporaryDirectory(prefix="idbroker-postgres-") as name:
        folder = Path(name)
        if owner is not None:
            os.chown(folder, owner, -1)
        cluster = _make_cluster(folder, owner)

        def command(port: int) -> list[str]:
            options = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "unix_socket_directories="]
            flags = [part for option in [f"listen_addresses={LOOPBACK}", *options] for part in ("-c", option)]
            return [str(_postgres_program("postgres")), "-D", str(cluster), "-p", str(port), *flags]

        with serving(command, _postgres_answers, folder, owner=owner) as port:
            yield f"postgresql://{POSTGRES_USER}@{LOOPBACK}:{port}/postgres"


@contextmanager
def postgres_database(server: str, name: str) -> Iterator[str]:
    """Make an empty database on a server of ours, drop it afterwards; give its SQLAlchemy URL."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            yield server.replace("postgresql:", "postgresql+psycopg:").removesuffix("/postgres") + f"/{name}"
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _postgres_program(name: str) -> Path:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    named = os.environ.get("TEST_POSTGRES_BIN")
    found = Path(named) / name if named else program(name, variable="", folders=folders)
    if found is None:
        missing("PostgreSQL", "install postgresql, or name the folder of its programs in TEST_POSTGRES_BIN")
    return found.resolve()


def _postgres_owner() -> int | None:
    if os.geteuid() != 0:
        return None
    users = {entry.pw_name: entry.pw_uid for entry in pwd.getpwall()}
    return users.get("postgres", users.get("nobody"))


def _make_cluster(folder: Path, owner: int | None) -> Path:
    cluster = folder / "cluster"
    arguments = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", f"--username={POSTGRES_USER}"]
    made = subprocess.run(
        [_postgres_program("initdb"), "-D", cluster, *arguments],
        cwd=folder, user=owner, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    if made.returncode:
        raise DidNotStart(made.stdout + made.stderr)
    return cluster


@contextmanager
def serving(
    command: Callable[[int], list[str]], answers: Callable[[int], bool], folder: Path, *, owner: int | None = None
) -> Iterator[int]:
    """Run the command made for a free port until the test is done with it; give the port once it `answers`.

    The server's log is in the folder. SIGINT must end the server and all it started. Raises DidNotStart.
    """
    process, port = _start(command, answers, folder, owner)
    try:
        yield port
    finally:
        _stop(process)


def _start(
    command: Callable[[int], list[str]], answers: Callable[[int], bool], folder: Path, owner: int | None
) -> tuple[subprocess.Popen[bytes], int]:
    log = folder / "server.log"
    for _ in range(ATTEMPTS):
        port = free_port()
        with log.open("wb") as output:
            process = subprocess.Popen(command(port), cwd=folder, user=owner, stdout=output, stderr=output)
        if _came_up(process, answers, port):
            return process, port
        _stop(process)
    raise DidNotStart(log.read_text(errors="replace")[-2000:])


def _came_up(process: subprocess.Popen[bytes], answers: Callable[[int], bool], port: int) -> bool:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        if answers(port):
            # Somebody else's server may answer on a port that ours lost.
            return process.poll() is None
        time.sleep(0.02)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)  # to PostgreSQL: do not wait for clients
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _redis_answers(port: int) -> bool:
    try:
        with redis.Redis(host=LOOPBACK, port=port) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False


def _postgres_answers(port: int) -> bool:
    try:
        psycopg.connect(host=LOOPBACK, port=port, user=POSTGRES_USER, dbname="postgres").close()
    except psycopg.OperationalError:
        return False
    return True
