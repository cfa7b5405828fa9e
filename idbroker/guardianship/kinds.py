"""The kinds of registers that a configuration may name."""

from __future__ import annotations

import importlib
from types import ModuleType

KINDS = ("valtuudet", "lookup")


def kind(name: str) -> ModuleType:
    """Return one kind's module: only what a configuration names is loaded.

    Each has `Settings`, a frozen dataclass for its table `[registers.NAME]`, `mistakes(settings)`, which returns what
    is wrong with one, and `make(name: str, settings: Settings, http: Http) -> Register | Elsewhere`. `Http` makes a
    kept session (`providers/_http.py`): bounded, never redirected.
    """
    return importlib.import_module(f"idbroker.guardianship.{name}")
