"""Bodies, queries and headers as they come in; answers as they go out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Request
from pydantic import BaseModel, TypeAdapter, ValidationError
from werkzeug.wrappers import Response

from idbroker.api.gate import one_header
from idbroker.api.problems import Problem, Wrong
from idbroker.api.shapes import TAG, Mistaken
from idbroker.oidc import strict_json

MOST_OCTETS = 1024 * 1024
MOST_WRONG = 20
_ALWAYS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_JSON = re.compile(r'application/json(\s*;\s*charset="?utf-8"?)?', re.IGNORECASE)
_TAG = re.compile(r'"([\x21\x23-\x7e]{1,64})"')
_KEY = re.compile(r'"([\x20\x21\x23-\x5b\x5d-\x7e]{1,128})"|([\x21\x23-\x5b\x5d-\x7e]{1,128})')
# What a mistake is called: stable, whatever the library calls it.
_CODES = {
    "missing": "required",
    "extra_forbidden": "unknown_member",
    "string_too_short": "too_short",
    "string_too_long": "too_long",
    "too_short": "too_short",
    "too_long": "too_long",
    "literal_error": "not_allowed",
    "union_tag_not_found": "not_allowed",
    "union_tag_invalid": "not_allowed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An answer as it goes out; `lasting` lets it be given again to the same request."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = field(default="", repr=False)
    lasting: bool = True

    def response(self) -> Response:
        """Return it for the server."""
        response = Response(self.body, status=self.status)
        response.headers.update({**_ALWAYS, **self.headers})
        if not self.body:
            del response.headers["Content-Type"]
        return response


def written(status: int, body: BaseModel | None, headers: Mapping[str, str], *, lasting: bool = True) -> Written:
    """Write an answer."""
    if body is None:
        return Written(status=status, headers=headers, lasting=lasting)
    typed = {"Content-Type": "application/json", **headers}
    return Written(status=status, headers=typed, body=body.model_dump_json(), lasting=lasting)


def refused(problem: Problem, issuer: str) -> Written:
    """Write a problem (RFC 9457, 3)."""
    headers = {"Content-Type": "application/problem+json", **problem.headers}
    return Written(status=problem.status, headers=headers, body=json.dumps(problem.body(issuer)))


def read_body(incoming: Request, octets: bytes) -> dict[str, Any]:
    """Return the JSON object of a body. Raises Problem."""
    if _JSON.fullmatch(incoming.headers.get("Content-Type", "").strip()) is None or _encoded(incoming):
        raise Problem("unsupported_media_type")
    try:
        return strict_json.read_object(octets)
    except ValueError as error:
        raise Problem("not_json") from error


def expect_none(octets: bytes) -> None:
    """Refuse a body where none is taken: what nobody reads might be taken for done."""
    if octets.strip() not in (b"", b"{}"):
        raise Problem("no_body")


def _encoded(incoming: Request) -> bool:
    """Tell whether a body is compressed: a small one may be a large one (a bomb)."""
    return incoming.headers.get("Content-Encoding", "identity").lower() != "identity"


def shaped(adapter: TypeAdapter[Any], said: object) -> Any:
    """Return a body as its shape. Raises Problem that says where it is not, and nothing of what was sent."""
    try:
        return adapter.validate_python(said)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise Problem("invalid", errors=[_wrong(one) for one in found[:MOST_WRONG]]) from None


def _wrong(found: Mapping[str, Any]) -> Wrong:
    ours = found.get("ctx", {}).get("error")
    code = str(ours) if isinstance(ours, Mistaken) else _CODES.get(found["type"], "wrong_type")
    return Wrong(_pointer(found["loc"], found["type"]), code)


def _pointer(place: tuple[int | str, ...], kind: str) -> str:
    """Return a JSON pointer (RFC 6901); of a member that is not known, to where it stands: its name is the caller's."""
    steps = [str(step) for step in place if not str(step).startswith(TAG)]
    known = steps[:-1] if kind == "extra_forbidden" else steps
    return "".join(f"/{step}" for step in known)


def state_read(incoming: Request) -> str:
    """Return the mark in If-Match (RFC 9110, 13.1.1), which must name one state: "*" would change what nobody read."""
    said = one_header(incoming, "If-Match")
    if said is None or said.strip() == "*":
        raise Problem("precondition_required")
    if said.strip().startswith("W/"):
        raise Problem("stale")  # a weak tag never matches (RFC 9110, 8.8.3.2)
    found = _TAG.fullmatch(said.strip())
    if found is None:
        raise Problem("wrong_header")
    return found[1]


def key_of(incoming: Request) -> str | None:
    """Return the Idempotency-Key: a string of structured fields, or the same without its quotes."""
    said = one_header(incoming, "Idempotency-Key")
    if said is None:
        return None
    found = _KEY.fullmatch(said.strip())
    if found is None:
        raise Problem("wrong_header")
    return found[1] or found[2]


def query(incoming: Request, known: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Return the parameters of the query: those that are known, each once, each one of its values."""
    given = {name: incoming.args.getlist(name) for name in incoming.args}
    if set(given) - set(known) or any(len(values) > 1 for values in given.values()):
        raise Problem("unknown_parameter")
    if any(given.get(name, [""])[0] not in values for name, values in known.items()):
        raise Problem("wrong_parameter")
    return {name: values[0] for name, values in given.items()}
