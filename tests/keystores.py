"""Key folders for tests: made once for real, and copied."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import tempfile
from pathlib import Path

from idbroker.clock import StoppedClock
from idbroker.keyfiles import Disk, KeyFiles
from idbroker.keyring import ensure_keys
from tests.conftest import NOW


@functools.cache
def _made() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory()
    ensure_keys(KeyFiles(Path(folder.name)), StoppedClock(NOW))
    return folder


def key_folder(parent: Path) -> Path:
    """Return a folder of keys as the first start leaves it at NOW."""
    return Path(shutil.copytree(_made().name, parent / "keys"))


class KillingDisk(Disk):
    """Kills its own process before, or in the middle of, the nth write: no clean-up runs (SIGKILL)."""

    def __init__(self, kill_at: int) -> None:
        self.left = kill_at

    def create(self, path: Path, content: bytes) -> None:
        """Write half, or all."""
        self._tick()
        if self.left == 1:
            super().create(path, content[: len(content) // 2])
        self._tick()
        super().create(path, content)

    def append(self, path: Path, content: bytes) -> None:
        """Append half, or all."""
        self._tick()
        if self.left == 1:
            super().append(path, content[: len(content) // 2])
        self._tick()
        super().append(path, content)

    def replace(self, path: Path, by: Path) -> None:
        """Replace, or not."""
        self._tick()
        super().replace(path, by)

    def cut(self, path: Path, length: int) -> None:
        """Shorten, or not."""
        self._tick()
        super().cut(path, length)

    def remove(self, path: Path) -> None:
        """Delete, or not."""
        self._tick()
        super().remove(path)

    def settle(self, folder: Path) -> None:
        """Settle, or not."""
        self._tick()
        super().settle(folder)

    def _tick(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
