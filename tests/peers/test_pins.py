"""What the tests fetch of other people's software is said exactly, and from nowhere in particular."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def locked() -> dict[str, Any]:
    """Return what the lock file says of each package, by its place."""
    packages: dict[str, Any] = json.loads((HERE / "package-lock.json").read_text("utf-8"))["packages"]
    return {place: package for place, package in packages.items() if place}


def test_every_peer_is_asked_for_by_one_version() -> None:
    """No range stands in package.json: a run tomorrow talks to what today's did."""
    asked = json.loads((HERE / "package.json").read_text("utf-8"))
    wanted = {**asked["dependencies"], **asked["optionalDependencies"]}

    assert [name for name, version in wanted.items() if not re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", version)] == []


def test_every_package_is_known_by_its_hash_and_not_by_its_address() -> None:
    """The lock file holds a SHA-512 for each package, and the address of no registry."""
    packages = locked()

    assert packages
    assert [place for place, package in packages.items() if not package["integrity"].startswith("sha512-")] == []
    assert [place for place, package in packages.items() if "resolved" in package] == []
