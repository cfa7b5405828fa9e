"""JSON in, JSON out: how the sandbox's interface for scripts reads and answers."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from flask import request
from werkzeug.wrappers import Response

_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class Wrong(Exception):
    """The caller is told what to send instead."""

    def __init__(self, words: str, *, status: int = 400, mistakes: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(words)
        self.words, self.status, self.mistakes = words, status, mistakes


def sent() -> dict[str, Any]:
    """Return the JSON object of the body; no body is an empty one. Wrong for anything else."""
    body = request.get_data(cache=False)
    try:
        value = json.loads(body or b"{}")
    except json.JSONDecodeError as error:
        raise Wrong(f"the body is not JSON: {error}") from error
    except (ValueError, RecursionError) as error:
        raise Wrong("the body is not JSON") from error
    if not isinstance(value, dict):
        raise Wrong("the body must be a JSON object")
    return value


def moment(when: datetime) -> str:
    """Return a moment as RFC 3339, in UTC."""
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def answer(value: Any, *, status: int = 200) -> Response:
    """Return an answer."""
    body = json.dumps(value, ensure_ascii=False)
    return Response(body + "\n", status=status, content_type="application/json", headers=_HEADERS)
