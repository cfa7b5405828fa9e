"""A register of a region's or a hospital's own, asked over HTTPS in a small protocol of ours (docs/integrating.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import requests

from idbroker.guardianship.tie import Register

Http = Callable[..., requests.Session]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`[registers.NAME]` of the kind `lookup`: its address, and the file with the token that it knows us by."""

    address: str
    token_file: str


def mistakes(settings: Settings) -> tuple[str, ...]:
    """Return what is wrong with the settings."""
    checks = {"address must be https (http only on localhost)": settings.address.startswith("http")}
    return tuple(what for what, good in checks.items() if not good)


def make(name: str, settings: Settings, http: Http) -> Register:
    """Return the register."""
    raise NotImplementedError
