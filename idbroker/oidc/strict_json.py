"""JSON from outside, with one reading only (RFC 8259; RFC 8725, 2.6)."""

from __future__ import annotations

import json
from typing import Any


def read_object(text: str | bytes) -> dict[str, Any]:
    """Return a JSON object. ValueError, whatever is wrong with it.

    Refused is all that two parsers read differently, or that breaks whoever works on: other
    encodings than UTF-8, a member twice, NaN and its like, half a surrogate pair (it cannot be
    encoded again: not to be hashed, not to be stored), and nesting without end.
    """
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        document = json.loads(decoded, object_pairs_hook=_no_doubles, parse_constant=_no_constant)
        if "\\u" in decoded:
            json.dumps(document, ensure_ascii=False).encode("utf-8")
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")
    return document


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a member stands twice")
    return document


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")
