"""What a hostile or broken e-Authorizations says: by the call that it is said in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Json = Any
_NEVER_CHOSEN = "130575-901U"


def _dripping() -> Iterator[bytes]:
    for _ in range(100):  # ten seconds at most: each byte comes in time, the whole never does
        threading.Event().wait(0.1)
        yield b" "


# What stands instead of an answer's JSON; the word is the lie's, whatever the call.
BODIES: Mapping[str, Callable[[], Any]] = {
    "huge_body": lambda: (b" " * 65536 for _ in range(64)),
    "not_json": lambda: "<html><title>Sorry</title>",
    "deep_json": lambda: "[" * 30_000,
    "list_json": lambda: '["ALL"]',
    "empty_json": lambda: "{}",
    "slow_drip": _dripping,
}
# By call and lie: what is made of the true answer.
ANSWERS: Mapping[str, Mapping[str, Callable[[Json], Json]]] = {
    "register": {
        "path_session": lambda said: {**said, "sessionId": "../../oauth"},
        "line_session": lambda said: {**said, "sessionId": "a\r\nX-Evil: 1"},
        "number_session": lambda said: {**said, "sessionId": 1},
        "no_user": lambda said: {"sessionId": said["sessionId"]},
    },
    "token": {
        "mac_token": lambda said: {**said, "token_type": "mac"},
        "line_token": lambda said: {**said, "access_token": "a\r\nX-Evil: 1"},
        "no_token": lambda said: {**said, "access_token": None},
    },
    "delegate": {
        "nobody": lambda _: [],
        "stranger": lambda said: [{**one, "personId": "010190-999Z"} for one in said],
        "path_person": lambda said: [{**one, "personId": "../../../oauth"} for one in said],
        "two": lambda said: [*said, {"personId": _NEVER_CHOSEN, "name": ""}],
        "many": lambda said: said * 41,
        "unchosen": lambda said: [{**one, "personId": _NEVER_CHOSEN} for one in said],
    },
    "authorizationlist": {
        "other_person": lambda said: {**said, "personId": _NEVER_CHOSEN},
        "no_roles": lambda _: {"roles": []},
        "text_roles": lambda _: {"roles": "ALL"},
        "null_role": lambda _: {"roles": [None]},
        "guardian_role": lambda _: {"roles": ["GUARDIAN"]},
        "odd_role": lambda _: {"roles": ["ALL\n"]},
    },
    "rest": {
        "unknown": lambda _: {"result": "UNKNOWN"},
        "lower_case": lambda _: {"result": "allowed"},
        "true_result": lambda _: {"result": True},
    },
}
# What is done, rather than said: see `valtuudet`.
DEEDS = frozenset(
    {"skewed_clock", "redirecting", "expired_session", "refused_code", "unregister_fails", "sends_error", "sends_both"}
)
LIES = frozenset(BODIES) | DEEDS | {lie for call in ANSWERS.values() for lie in call}


def told(call: str, said: Json, lies: frozenset[str]) -> Json:
    """Return an answer, or what the lies make of it."""
    for lie in sorted(lies & ANSWERS.get(call, {}).keys()):
        said = ANSWERS[call][lie](said)
    return said
