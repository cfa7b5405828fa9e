"""Serve a simulated BankID with mutual TLS for the length of a test, and call it as a relying party does."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
from werkzeug.test import Client, TestResponse

from idbroker.clock import StoppedClock
from idbroker.sandbox.bankid import PREFIX, SimBankID
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.people import SimPerson, cast
from idbroker.sandbox.pki import server_context
from idbroker.sandbox.tls import SecureServer

JSON = "application/json"
APP = "http://127.0.0.1:1/app"


@contextmanager
def serve_bankid(bankid: SimBankID) -> Iterator[str]:
    """Serve it on a free port; give the API's address, without a slash at the end."""
    context = server_context(bankid.server_certificate, bankid.server_key, bankid.client_authority)
    server = SecureServer("127.0.0.1", 0, bankid.app, lambda: context)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}{PREFIX}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def relying_party(bankid: SimBankID) -> Iterator[requests.Session]:
    """Give a session that has the client certificate, and trusts the server's root alone."""
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(bankid.server_root)
        session.cert = (str(bankid.client_certificate), str(bankid.client_key))
        yield session


def encoded(text: str) -> str:
    """Return a text as the API takes texts."""
    return base64.b64encode(text.encode()).decode()


@dataclass
class Rp:
    """A relying party at the API without a network, and everybody's phone."""

    bankid: SimBankID
    clock: StoppedClock
    faults: Faults
    people: dict[str, SimPerson] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.people = {person.id: person for person in cast(self.clock.now().date())}
        self.certificate = self.bankid.client_certificate.read_text()
        self.http = Client(self.bankid.app)

    def post(self, call: str, body: Any, **more: Any) -> TestResponse:
        """Call the API with a JSON body."""
        environ = {"SSL_CLIENT_CERT": self.certificate}
        with_type = {"headers": {"Content-Type": JSON}, "environ_base": environ} | more
        return self.http.post(f"{PREFIX}/{call}", json=body, **with_type)

    def auth(self, **wish: Any) -> dict[str, str]:
        """Place an order."""
        answer = self.post("auth", {"endUserIp": "192.0.2.7", **wish})
        assert answer.status_code == 200, answer.text
        return dict(answer.get_json())

    def collect(self, order: dict[str, str]) -> dict[str, Any]:
        """Look at an order."""
        answer = self.post("collect", {"orderRef": order["orderRef"]})
        assert answer.status_code == 200, answer.text
        return dict(answer.get_json())

    def hint(self, order: dict[str, str]) -> str:
        """Return status and hintCode of an order."""
        told = self.collect(order)
        return f"{told['status']}/{told.get('hintCode')}"

    def complete(self, person: str = "bjorn", **wish: Any) -> dict[str, Any]:
        """Let somebody log in; return the completion."""
        order = self.auth(**wish)
        self.bankid.phone.act(self.id(), self.people[person], "approve", ip="192.0.2.7")
        told = self.collect(order)
        assert told["status"] == "complete", told
        return dict(told["completionData"])

    def id(self) -> str:
        """Return the newest order by the phone's own name for it."""
        return self.bankid.phone.waiting()[0].id

    def act(self, outcome: str, person: str = "bjorn", **more: Any) -> str | None:
        """Do something with the newest order."""
        return self.bankid.phone.act(self.id(), self.people[person], outcome, **more)
