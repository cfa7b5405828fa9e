"""What the simulated Freja answers in the place of the truth: refusals, and lies whatever was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from werkzeug.wrappers import Response

from idbroker.sandbox.freja_asked import MESSAGES, FrejaError

_JSON = "application/json"
_CHUNK = b" " * 65536
_CHUNKS = 10 * 1024 * 1024 // len(_CHUNK)


def refused(error: FrejaError) -> Response:
    """Return the answer to a call that is refused."""
    return Response(json.dumps({"code": error.code, "message": error.message}), error.status, mimetype=_JSON)


def _huge() -> Iterator[bytes]:
    return (_CHUNK for _ in range(_CHUNKS))


def _drip() -> Iterator[bytes]:
    for _ in range(100):  # ten seconds at most: each byte comes in time, the whole never does
        threading.Event().wait(0.1)
        yield b" "


def _without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda answer: {member: value for member, value in answer.items() if member != name}


# Instead of any answer, after the call has had its effect. `error_N` is Freja's code N.
INSTEAD: Mapping[str, Callable[[], Response]] = {
    "garbage_json": lambda: Response('{"authRef": "abc', mimetype=_JSON),
    "list_json": lambda: Response("[]", mimetype=_JSON),
    "null_json": lambda: Response("null", mimetype=_JSON),
    "deep_json": lambda: Response("[" * 20_000, mimetype=_JSON),
    "empty_body": lambda: Response(b"", mimetype=_JSON),
    "no_content": lambda: Response(status=204),
    "html_body": lambda: Response("<html><title>Sorry</title>", mimetype="text/html"),
    "html_error": lambda: Response("<html><title>Bad request</title>", 400, mimetype="text/html"),
    "huge_body": lambda: Response(_huge(), mimetype=_JSON),
    "slow_drip": lambda: Response(_drip(), mimetype=_JSON),
    "redirecting": lambda: Response(status=307, headers={"Location": "/elsewhere"}),
    "too_many": lambda: Response("slow down\n", 429, {"Retry-After": "1"}, mimetype="text/plain"),
    "code_as_text": lambda: Response('{"code": "1100", "message": 7}', 422, mimetype=_JSON),
    **{f"error_{code}": partial(refused, FrejaError(code)) for code in (*MESSAGES, 9999)},
}
# In the answer to initAuthentication.
STARTS: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "no_auth_ref": _without("authRef"),
    "number_auth_ref": lambda answer: {**answer, "authRef": 7},
    "empty_auth_ref": lambda answer: {**answer, "authRef": ""},
    "long_auth_ref": lambda answer: {**answer, "authRef": "x" * 100_000},
    "script_auth_ref": lambda answer: {**answer, "authRef": '"><script>alert(1)</script>\r\n&originAppScheme=x'},
    "no_qr_secret": _without("qrCodeSecret"),
}
