"""Another process with our keys, for tests: `python -m tests.key_worker follow|start|grow|rotate|hold FOLDER`."""

from __future__ import annotations

import os
import shutil
import sys
from datetime import timedelta
from pathlib import Path

from idbroker.clock import StoppedClock
from idbroker.keyfiles import Disk, KeyFiles
from idbroker.keyring import Keyring, carry_out, ensure_keys
from idbroker.keyset import CHAINS, Rules, Use
from idbroker.rotation import plan_rotation
from tests.conftest import NOW
from tests.keystores import KillingDisk

LATER = NOW + timedelta(hours=25)


def follow(folder: Path) -> None:
    """Answer each moment on stdin with the name of the key that signs then."""
    moment = [0.0]
    keyring = Keyring(KeyFiles(folder), monotonic=lambda: moment[0])
    for line in sys.stdin:
        moment[0] = float(line)
        print(keyring.signing("ES256").kid, flush=True)  # noqa: T201 -- the answer


def start(folder: Path, disk: Disk | None = None) -> None:
    """Start for the first time."""
    ensure_keys(KeyFiles(folder, disk=disk), StoppedClock(NOW))


def grow(folder: Path) -> None:
    """Start with eIDs that need every kind of key."""
    ensure_keys(KeyFiles(folder), StoppedClock(NOW), chains=CHAINS)


def rotate(folder: Path, disk: Disk | None = None) -> None:
    """Rotate the signing keys, a day later."""
    store = KeyFiles(folder, disk=disk)
    plan = plan_rotation(store.load(), Rules(), LATER, Use.OIDC_SIGN)
    carry_out(store, plan, "worker", LATER)


def hold(folder: Path) -> None:
    """Hold the lock until stdin ends."""
    with KeyFiles(folder).changing("the other one", NOW):
        print("held", flush=True)  # noqa: T201 -- the answer
        sys.stdin.read()


def kill_everywhere(action: str, folder: Path) -> None:
    """Do an action on copies named FOLDER.1, FOLDER.2 ..., killing it one write later each time, until it lives."""
    for kill_at in range(1, 100):
        copy = Path(f"{folder}.{kill_at}")
        if folder.exists():
            shutil.copytree(folder, copy)
        child = os.fork()
        if child == 0:
            {"start": start, "rotate": rotate}[action](copy, KillingDisk(kill_at))
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            return
    raise SystemExit("it never came to its end")


if __name__ == "__main__":
    command, where = sys.argv[1], Path(sys.argv[2])
    if command.startswith("kill-"):
        kill_everywhere(command.removeprefix("kill-"), where)
    else:
        {"follow": follow, "start": start, "grow": grow, "rotate": rotate, "hold": hold}[command](where)
