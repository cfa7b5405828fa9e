"""The RP API's four calls, over one kept connection with mutual TLS: what comes back, or the error it is.

Every look at every waiting person's order comes through here, so addresses, headers and bodies are put
together as bytes, and nothing is logged while an order is pending.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import requests

from idbroker.clock import Clock
from idbroker.errors import ProviderError, Refused, Unreachable

# With `; charset=utf-8` behind it BankID answers 415.
_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}
_REST, _LONGEST_REST = timedelta(seconds=5), timedelta(seconds=60)
_WORD = re.compile(r"[A-Za-z]{1,40}")
_NUMBERS = re.compile(r"\d[\d -]{4,}\d")

# What went wrong at BankID, for the person. Every other code of theirs is a fault of ours or of theirs.
_REFUSALS: Mapping[str, str] = {
    "alreadyInProgress": "bankid_busy",
    "canceled": "bankid_superseded",  # documented in either spelling
    "cancelled": "bankid_superseded",
}
_FAULTS = frozenset(
    {
        "invalidParameters",
        "unauthorized",
        "notFound",
        "methodNotAllowed",
        "requestTimeout",
        "unsupportedMediaType",
        "internalError",
        "maintenance",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    """An answer other than 200: `code` is BankID's word, or the HTTP status where it gave none."""

    call: str
    status: int
    code: str
    details: str

    @property
    def sentence(self) -> str:
        said = [self.code, f"({self.details})" if self.details else ""]
        return " ".join([f"{self.call}: HTTP {self.status}", *filter(None, said)])


class Api:
    """BankID's RP API at one address, as one relying party. Threads may share it.

    Each call raises Unreachable with the reason for the operator, or Refused with the person's.
    """

    def __init__(self, address: str, http: requests.Session, clock: Clock) -> None:
        self._urls = {call: f"{address}/{call}" for call in ("auth", "phone/auth", "collect", "cancel")}
        self.http = http
        self._clock = clock
        self._rests_until: datetime | None = None

    def auth(self, order: Mapping[str, Any]) -> Any:
        """Begin an order. It is never tried again blindly: an order may be there, and lapses by itself."""
        return self._begin("auth", order)

    def call(self, order: Mapping[str, Any]) -> Any:
        """Begin an order by somebody's number; nor is this tried again."""
        return self._begin("phone/auth", order)

    def _begin(self, call: str, order: Mapping[str, Any]) -> Any:
        answer = self._post(call, json.dumps(order, separators=(",", ":"), ensure_ascii=False).encode())
        if isinstance(answer, _Failure):
            raise _error(answer)
        return answer

    def collect(self, order: str) -> Any:
        """Look at an order once.

        An order that BankID knows no more is Refused `bankid_lost`: what it came to was told once, and
        that answer did not reach us.
        """
        answer = self._post("collect", b'{"orderRef":"' + order.encode() + b'"}')
        if not isinstance(answer, _Failure):
            return answer
        if answer.code == "invalidParameters":
            raise Refused("bankid_lost", answer.sentence)
        raise _error(answer)

    def cancel(self, order: str) -> None:
        """End an order; one that has ended already is left alone."""
        answer = self._post("cancel", b'{"orderRef":"' + order.encode() + b'"}')
        if isinstance(answer, _Failure) and answer.code != "invalidParameters":
            raise _error(answer)

    def _post(self, call: str, body: bytes) -> Any:
        # The limit counts for the whole relying party: one flood would shut out every patient.
        if self._rests_until is not None and self._clock.now() < self._rests_until:
            raise Unreachable(f"{call}: BankID's limit is reached; we rest")
        try:
            response = self.http.request("POST", self._urls[call], data=body, headers=_HEADERS)
        except requests.exceptions.SSLError as error:
            raise Unreachable(f"{call}: no TLS connection with these certificates: {error}") from error
        except requests.RequestException as error:
            raise Unreachable(f"{call}: {type(error).__name__}") from error
        if response.status_code != 200:
            return self._failed(call, response)
        return _read(call, response.content)

    def _failed(self, call: str, response: requests.Response) -> _Failure:
        if response.status_code == 429:
            self._rests_until = self._clock.now() + _rest(response.headers.get("RateLimit-Reset"))
        said = _told(response.content)
        code = said.get("errorCode")
        return _Failure(
            call=call,
            status=response.status_code,
            code=code if isinstance(code, str) and _WORD.fullmatch(code) else "",
            details=_plain(said.get("details")),
        )


def _read(call: str, content: bytes) -> Any:
    if not content and call == "cancel":  # may be empty
        return {}
    try:
        return json.loads(content)
    except ValueError as error:
        raise Unreachable(f"{call}: an answer that is not JSON") from error


def _told(content: bytes) -> Mapping[str, Any]:
    """Return what an error says of itself; a proxy's page or nothing at all says nothing."""
    try:
        said = json.loads(content)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _plain(details: object) -> str:
    """Return BankID's own words for the operator's log, without what may be somebody's number."""
    text = "".join(letter for letter in str(details or "")[:120] if letter.isprintable())
    return _NUMBERS.sub("…", text)


def _rest(header: str | None) -> timedelta:
    """Return how long to leave BankID alone: what it says (seconds), within reason."""
    if header is None or not header.strip().isdecimal():
        return _REST
    return min(max(timedelta(seconds=1), timedelta(seconds=int(header.strip()[:9]))), _LONGEST_REST)


def _error(failure: _Failure) -> ProviderError:
    if failure.code in _REFUSALS:
        return Refused(_REFUSALS[failure.code], failure.sentence)
    # New codes can come without notice. One that blames no server is about this order (RFA22).
    if failure.code and failure.code not in _FAULTS and 400 <= failure.status < 429:
        return Refused("bankid_failed", failure.sentence)
    return Unreachable(failure.sentence)
