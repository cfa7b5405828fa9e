"""What just happened, step by step, for the people who connect a portal."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import jwt

from idbroker.sandbox.explain import Row, Table, claims

MOST_STEPS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happened: who did it, what went over the wire, and what that means."""

    at: datetime
    who: str
    title: str
    words: str
    line: str = field(default="", repr=False)
    tables: tuple[Table, ...] = field(default=(), repr=False)
    curl: str = field(default="", repr=False)


Trail = tuple[Step, ...]


def longer(trail: Trail, steps: Iterable[Step]) -> Trail:
    """Return the trail with more steps; the oldest go when there are too many."""
    return (*trail, *steps)[-MOST_STEPS:]


def decoded(token: str, title: str) -> tuple[Table, ...]:
    """Return a JWT's header and claims, explained; nothing for what is not a JWT. Verifies nothing."""
    try:
        parts = jwt.decode_complete(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        return ()
    return claims(parts["header"], f"{title}: header"), claims(parts["payload"], f"{title}: claims")


def checks(passed: Iterable[tuple[str, str]]) -> Table:
    """Return the checks a portal made, by name and what it saw."""
    return Table(title="Checked by the portal", rows=tuple(Row(name=name, value=what) for name, what in passed))


def curl_get(url: str, headers: Mapping[str, str] | None = None) -> str:
    """Return a GET as a command line."""
    flags = [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in (headers or {}).items()]
    return _lines(["curl", *flags, shlex.quote(url)])


def curl_post(url: str, form: Mapping[str, str], login: tuple[str, str] | None = None) -> str:
    """Return a form post as a command line."""
    flags = [f"-u {shlex.quote(':'.join(login))}"] if login else []
    flags += [f"--data-urlencode {shlex.quote(f'{name}={value}')}" for name, value in form.items()]
    return _lines(["curl", *flags, shlex.quote(url)])


def as_json(value: Any) -> str:
    """Return a value as indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def _lines(words: list[str]) -> str:
    return " \\\n  ".join(words)
