"""What the machine says: processor time, memory, and what the machine is."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

_TICKS = os.sysconf("SC_CLK_TCK")
_PACKAGES = ("flask", "werkzeug", "granian", "sqlalchemy", "psycopg", "redis", "pydantic", "authlib", "joserfc", "pyjwt", "cryptography")  # fmt: skip  # noqa: E501
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """Which cores are whose: the broker has one for itself where there are two."""

    broker: frozenset[int]
    rest: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Of one process, in MiB."""

    rss: float
    pss: float


def cores() -> Cores:
    """Return how the cores are shared out."""
    first, *others = sorted(os.sched_getaffinity(0))
    return Cores(broker=frozenset({first}), rest=frozenset(others or {first}))


def tree(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    found = [pid]
    for parent in found:
        for task in (_PROC / str(parent) / "task").glob("*"):
            found += map(int, _read(task / "children").split())
    return found


def parent_of(pid: int) -> int:
    """Return the process that started this one."""
    return int(_stat(pid)[1])


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the user and system time of processes and all they started, those that ended included."""
    ticks = 0
    for pid in [each for root in pids for each in tree(root)]:
        stat = _stat(pid)
        ticks += sum(map(int, stat[11:15])) if stat else 0
    return ticks / _TICKS


def hashing_seconds(pids: Iterable[int]) -> float:
    """Return the user and system time of those threads that stand back for others: only the hashers of passwords do."""
    ticks = 0
    for pid in [each for root in pids for each in tree(root)]:
        for task in (_PROC / str(pid) / "task").glob("*"):
            stat = _fields(task / "stat")
            ticks += sum(map(int, stat[11:13])) if stat and int(stat[16]) > 0 else 0
    return ticks / _TICKS


def callers(pids: Iterable[int], port: int) -> dict[int, int]:
    """Return whose each connection to a port of this machine is: by its own port, the process that holds it."""
    rows = [line.split() for line in _read(_PROC / "net/tcp").splitlines()[1:]]
    ours = {row[9]: int(row[1].partition(":")[2], 16) for row in rows if int(row[2].partition(":")[2], 16) == port}
    found: dict[int, int] = {}
    for pid in pids:
        for handle in (_PROC / str(pid) / "fd").glob("*"):
            inode = _target(handle).removeprefix("socket:[").removesuffix("]")
            if inode in ours:
                found[ours[inode]] = pid
    return found


def busy_seconds(which: Iterable[int]) -> float:
    """Return how long these cores did anything at all for anybody."""
    names = {f"cpu{core}" for core in which}
    lines = [line.split() for line in _read(_PROC / "stat").splitlines()]
    # user, nice, system; irq, softirq, steal: without idle and iowait.
    ticks = [int(n) for line in lines if line[0] in names for n in (*line[1:4], *line[6:9])]
    return sum(ticks) / _TICKS


def memory(pid: int) -> Memory:
    """Return what a process holds."""
    rows = {k: v for k, _, v in (line.partition(":") for line in _read(_PROC / str(pid) / "smaps_rollup").splitlines())}
    return Memory(rss=_mib(rows.get("Rss", "0 kB")), pss=_mib(rows.get("Pss", "0 kB")))


def load_average() -> float:
    """Return how many wanted to run in the last minute."""
    return os.getloadavg()[0]


def yardstick(which: frozenset[int] | None = None) -> float:
    """Return the microseconds of one bare ES256 signature on these cores now.

    A core that others use too is slower for everybody, so runs are compared by this.
    """
    key, took, usual = ec.generate_private_key(ec.SECP256R1()), list[float](), os.sched_getaffinity(0)
    os.sched_setaffinity(0, which or usual)
    for _ in range(20):
        began = time.thread_time()
        for _ in range(50):
            key.sign(b"x" * 500, ec.ECDSA(hashes.SHA256()))
        took.append((time.thread_time() - began) * 1e6 / 50)
    os.sched_setaffinity(0, usual)
    return statistics.median(took)


def description() -> dict[str, Any]:
    """Return what this machine is and runs, for the results."""
    lines = _read(_PROC / "cpuinfo").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    clock = next((line.partition(":")[2].strip() for line in lines if line.startswith("cpu MHz")), "unknown")
    kilobytes = next((line.split()[1] for line in _read(_PROC / "meminfo").splitlines()), "0")
    return {
        "cpu": f"{len(os.sched_getaffinity(0))} x {model}, {clock} MHz",
        "memory_gib": round(int(kilobytes) / 2**20, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        "es256_signature_us": round(yardstick(), 1),
        "revision": revision(),
    }


def revision(checkout: Path | None = None) -> str:
    """Return the commit that is measured, and whether anything in it was changed."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False, cwd=checkout)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--", "idbroker")
    return git("rev-parse", "--short=12", "HEAD") + ("+changes" if changed else "")


def _stat(pid: int) -> list[str]:
    """Return the fields after the name, which may hold anything; none when the process is gone."""
    return _fields(_PROC / str(pid) / "stat")


def _fields(path: Path) -> list[str]:
    return _read(path).rpartition(")")[2].split()


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:  # it ended meanwhile
        return ""


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:  # it was closed meanwhile
        return ""


def _mib(text: str) -> float:
    return int(text.split(maxsplit=1)[0]) / 1024
