"""A clinic's whole list taken in by `idbroker patients import`: how long, and in how much memory."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from bench.people import person
from bench.stage import Stage, Stores

SIZES = (10_000, 100_000)
LONGEST = 300.0  # seconds that one may take


def importing(stage: Stage, stores: list[Stores], *, sizes: tuple[int, ...], rounds: int) -> dict[str, Any]:
    """Return, for each store and size, seconds and peak memory: of new patients, and of the same list again."""
    return {each.name: {str(size): _size(stage, each, size, rounds) for size in sizes} for each in stores}


def _size(stage: Stage, stores: Stores, size: int, rounds: int) -> dict[str, Any]:
    file = stage.folder / f"list-{size}.csv"
    _write(file, size)
    new, again = [], []
    for number in range(rounds):
        mine = _empty(stage, stores, f"import_{size}_{number}")
        path = stage.configure(
            f"import-{stores.name}", mine, port=1, mitid="https://mitid.bench.test", threads=1, keys="keys-import"
        )
        new.append(_once(stage, path, file, "new", size))
        again.append(_once(stage, path, file, "unchanged", size))
    return {"new": _told(new), "again": _told(again), "octets": file.stat().st_size}


def _empty(stage: Stage, stores: Stores, name: str) -> Stores:
    if stores.name != "sqlite":
        return stage.production().stores(name)
    return Stores(name=name, transient=stores.transient, durable=f"sqlite:///var/{name}.db")


def _write(file: Path, size: int) -> None:
    with file.open("w", encoding="utf-8") as lines:
        lines.write("number;given_name;family_name;birthdate;email;phone;language;takes_part\n")
        for index in range(size):
            one = person(index)
            lines.write(f"{one.number};Prøve;Person {index};{one.born};p{index}@example.org;20 12 34 56;da;yes\n")


def _once(stage: Stage, path: Path, file: Path, sort: str, size: int) -> tuple[float, float]:
    """Return seconds and MiB of one import, from exec to its end. RuntimeError when it did not do all of it."""
    command = [sys.executable, "-m", "idbroker.cli", "--config", str(path), "patients", "import", str(file)]
    came_to = stage.folder / "came-to.json"
    began = time.perf_counter()
    with came_to.open("wb") as out, (stage.folder / "import.log").open("ab") as log:
        process = subprocess.Popen([*command, "--clinic", "bench", "--json"], stdout=out, stderr=log)
        bound = threading.Timer(LONGEST, process.kill)
        bound.start()
        _, status, used = os.wait4(process.pid, 0)
        bound.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    took = time.perf_counter() - began
    if process.returncode or json.loads(came_to.read_text())["imported"][sort] != size:
        raise RuntimeError(f"the import came to {came_to.read_text()}")
    return took, used.ru_maxrss / 1024


def _told(rounds: list[tuple[float, float]]) -> dict[str, Any]:
    seconds, peaks = zip(*rounds, strict=True)
    return {
        "seconds": round(statistics.median(seconds), 2),
        "seconds_of_each": [round(each, 2) for each in seconds],
        "peak_mib": round(max(peaks), 1),
    }
