"""The whole broker in this process, as clinics' own systems see it: clients with scopes of the API, and their calls."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from werkzeug.test import TestResponse

from idbroker.client import API_SCOPES, secret_digest
from idbroker.clock import StoppedClock
from tests.office_door import Office, open_office

SECRET = "a secret of 256 bits, say"
SYSTEM: Mapping[str, Any] = {"api": list(API_SCOPES), "redirect_uris": [], "secret_digests": [secret_digest(SECRET)]}
CLIENTS: Mapping[str, Mapping[str, Any]] = {
    "journal": {**SYSTEM, "name": "The journal", "clinic": "neuroreg"},
    "register": {"name": "The register", "clinic": "neuroreg"},  # where patients sign in
    "reader": {**SYSTEM, "name": "A reader", "clinic": "neuroreg", "api": ["patients.read"]},
    "writer": {**SYSTEM, "name": "A writer", "clinic": "neuroreg", "api": ["patients.write"]},
    "other": {**SYSTEM, "name": "Another clinic's", "clinic": "clinea"},
    "public": {"name": "An app", "clinic": "clinea", "auth_method": "none", "secret_digests": [],
               "national_number": False, "scopes": ["openid", "profile"], "refresh": "never"},
}  # fmt: skip
BASE = "/api/v1"


@dataclass(frozen=True, kw_only=True)
class Api:
    """What the tests go through."""

    office: Office

    def form(self, path: str, client: str = "journal", secret: str = SECRET, **fields: str) -> TestResponse:
        """Post a form to an endpoint of ours as a client, by client_secret_basic."""
        pair = base64.b64encode(f"{quote_plus(client)}:{quote_plus(secret)}".encode()).decode()
        headers = {"Authorization": f"Basic {pair}"}
        return self.office.browser().post(path, data=fields, headers=headers)

    def token(self, client: str = "journal", **fields: str) -> str:
        """Return an access token that a client was given as itself."""
        answer = self.form("/token", client, grant_type="client_credentials", **fields)
        assert answer.status_code == 200, answer.text
        return str(answer.get_json()["access_token"])

    def call(
        self, method: str, path: str, body: object = None, *, by: str = "journal", token: str | None = None, **more: Any
    ) -> TestResponse:
        """Call the API as a client; `headers` may be added or, as None, left out."""
        sent: dict[str, str | None] = {"Authorization": f"Bearer {token or self.token(by)}"}
        options: dict[str, Any] = {}
        if body is not None:
            sent["Content-Type"] = "application/json"
            options["data"] = body if isinstance(body, str | bytes) else json.dumps(body)
        sent |= more.pop("headers", {})
        headers = {name: value for name, value in sent.items() if value is not None}
        return self.office.browser().open(f"{BASE}{path}", method=method, headers=headers, **options, **more)

    # ---- people ----------------------------------------------------------------------------------

    def who(self, person: str = "anna", **changed: Any) -> dict[str, Any]:
        """Return one of the sandbox's people as a clinic's system has them."""
        one = self.office.people[person]
        number = self.office.number(person)
        named = {
            "number": {"country": number.country, "value": number.value},
            "given_name": one.given_name,
            "family_name": one.family_name,
        }
        return {**named, **changed}

    def entered(self, person: str = "anna", *, by: str = "journal", **changed: Any) -> str:
        """Put somebody into the list; return the handle."""
        answer = self.call("POST", "/patients", self.who(person, **changed), by=by)
        assert answer.status_code in (200, 201), answer.text
        return str(answer.get_json()["handle"])


@contextmanager
def open_api(folder: Path, clock: StoppedClock, **more: Any) -> Iterator[Api]:
    """Open it."""
    with open_office(folder, clock, clients=CLIENTS, **more) as office:
        yield Api(office=office)
