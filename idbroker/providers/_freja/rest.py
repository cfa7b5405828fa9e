"""Freja's REST authentication service at the wire: calls over mutual TLS, and what its errors are to us.

Sources: Freja's developer documentation (Authentication Service); the error codes of its official client.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

from idbroker.errors import ProviderError, Refused, Unreachable
from idbroker.providers._oidc import ask, told
from idbroker.providers._oidc.upstream import json_object

ADDRESSES: Mapping[str, str] = {
    "test": "https://services.test.frejaeid.com",
    "production": "https://services.prod.frejaeid.com",
}
_SERVICE = "/authentication/1.0/"
_LONGEST_REFERENCE = 512
# What the person can do something about. Every other code is our mistake, Freja's, or the registration's.
_REFUSALS: Mapping[int, str] = {1005: "freja_disabled", 1100: "freja_lost", 2000: "freja_rejected"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """An order as Freja names it. `secret` makes its QR code move."""

    reference: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """An order as Freja tells of it; of `details` nothing is believed before its signature is."""

    status: str
    details: Any = field(default=None, repr=False)


class RestService:
    """The three calls we make; threads may share it. All raise Refused or Unreachable."""

    def __init__(self, address: str, http: requests.Session, relying_party_id: str | None = None) -> None:
        self.http = http
        self._address = address.rstrip("/") + _SERVICE
        # For those who sign in for several relying parties with one certificate.
        self._party = {} if relying_party_id is None else {"relyingPartyId": relying_party_id}

    def start(self, wanted: Mapping[str, Any], *, moving: bool) -> Started:
        """Make an order; a moving QR code needs its secret."""
        said = told(self._call("initAuthentication", "initAuthRequest", wanted))
        reference, secret = said.get("authRef"), said.get("qrCodeSecret")
        if not isinstance(reference, str) or not _is_reference(reference):
            raise Unreachable("freja: no authRef")
        # Without the secret the code could only stand still: nobody asked for the weaker one.
        if moving and not (isinstance(secret, str) and secret):
            raise Unreachable("freja: no qrCodeSecret")
        return Started(reference=reference, secret=secret if moving else None)

    def look(self, reference: str) -> Looked:
        """Ask how an order is."""
        said = told(self._call("getOneResult", "getOneAuthResultRequest", {"authRef": reference}))
        status = said.get("status")
        if not isinstance(status, str):
            raise Unreachable("freja: no status")
        return Looked(status=status, details=said.get("details"))

    def cancel(self, reference: str) -> None:
        """Cancel an order."""
        self._call("cancel", "cancelAuthRequest", {"authRef": reference})

    def _call(self, method: str, parameter: str, message: Mapping[str, Any]) -> requests.Response:
        packed = base64.b64encode(json.dumps(message, ensure_ascii=False).encode()).decode()
        # A form, so that base64's "+" arrives as one.
        response = ask(self.http, "POST", self._address + method, data={parameter: packed, **self._party})
        if response.status_code not in (200, 204):
            raise _trouble(response, method)
        return response


def _is_reference(value: str) -> bool:
    return 0 < len(value) <= _LONGEST_REFERENCE and value.isascii() and value.isprintable()


def _trouble(response: requests.Response, method: str) -> ProviderError:
    code = _code(response) if 400 <= response.status_code < 500 else None
    detail = f"freja {method}: HTTP {response.status_code}" + ("" if code is None else f", code {code}")
    reason = _REFUSALS.get(code) if code is not None else None
    return Unreachable(detail) if reason is None else Refused(reason, detail)


def _code(response: requests.Response) -> int | None:
    try:
        code = json_object(response.content).get("code")
    except ValueError:
        return None  # a proxy's page, say; the status is told all the same
    return code if isinstance(code, int) and not isinstance(code, bool) and 0 <= code < 100_000 else None
