"""Call a simulated Freja as a relying party does, without a network or over mutual TLS."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from werkzeug.test import Client, TestResponse

from idbroker.clock import StoppedClock
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.freja import SimFreja
from idbroker.sandbox.orders import Order
from idbroker.sandbox.people import SimPerson, cast
from idbroker.sandbox.pki import server_context
from idbroker.sandbox.tls import SecureServer

APP = "http://127.0.0.1:1/freja"
SERVICE = "/authentication/1.0/"
PARAMETERS = {
    "initAuthentication": "initAuthRequest",
    "getOneResult": "getOneAuthResultRequest",
    "getResults": "getAuthResultsRequest",
    "cancel": "cancelAuthRequest",
}
USUAL = ("RELYING_PARTY_USER_ID", "REGISTRATION_LEVEL", "LOA_LEVEL", "BASIC_USER_INFO", "DATE_OF_BIRTH", "SSN")


@contextmanager
def serve_freja(freja: SimFreja) -> Iterator[str]:
    """Serve it with mutual TLS on a free port; give its address, without a slash at the end."""
    context = server_context(freja.server_certificate, freja.server_key, freja.client_authority)
    server = SecureServer("127.0.0.1", 0, freja.app, lambda: context)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def packed(name: str, sent: Any) -> str:
    """Return a body as the official clients send it: base64 with nothing escaped."""
    return f"{name}={base64.b64encode(json.dumps(sent).encode()).decode()}"


def wish(*attributes: str, level: str = "PLUS", **more: Any) -> dict[str, Any]:
    """Return what initAuthentication is asked for."""
    asked = [{"attribute": name} for name in attributes]
    return {
        "userInfoType": "INFERRED",
        "userInfo": "N/A",
        "minRegistrationLevel": level,
        "attributesToReturn": asked,
        **more,
    }


def by_number(country: str, number: str | None, **more: Any) -> dict[str, Any]:
    """Return a wish for somebody by number."""
    told = base64.b64encode(json.dumps({"country": country, "ssn": number}).encode()).decode()
    return wish(userInfoType="SSN", userInfo=told, **more)


@dataclass
class Rp:
    """A relying party and everybody's phone."""

    freja: SimFreja
    clock: StoppedClock
    faults: Faults
    certificate: str | None = None
    people: dict[str, SimPerson] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.people = {person.id: person for person in cast(self.clock.now().date())}
        self.certificate = self.certificate or self.freja.client_certificate.read_text()
        self.http = Client(self.freja.app)

    def other(self) -> Rp:
        """Return another relying party at the same service."""
        certificate, _ = self.freja.other_client()
        return Rp(self.freja, self.clock, self.faults, certificate.read_text())

    def post(self, method: str, body: str, content_type: str = "application/json") -> TestResponse:
        """Send a body."""
        environ = {"SSL_CLIENT_CERT": self.certificate}
        return self.http.post(SERVICE + method, data=body, content_type=content_type, environ_base=environ)

    def call(self, method: str, sent: Any) -> TestResponse:
        """Send a message as the official clients do."""
        return self.post(method, packed(PARAMETERS[method], sent))

    def form(self, method: str, sent: Any, **more: str) -> TestResponse:
        """Send a message as a form."""
        text = base64.b64encode(json.dumps(sent).encode()).decode()
        return self.post(method, urlencode({PARAMETERS[method]: text, **more}), "application/x-www-form-urlencoded")

    def code(self, method: str, sent: Any) -> tuple[int, int]:
        """Return HTTP status and code of a refusal."""
        answer = self.call(method, sent)
        assert set(answer.get_json()) == {"code", "message"}
        return answer.status_code, answer.get_json()["code"]

    def start(self, sent: Any = None) -> dict[str, str]:
        """Start a transaction."""
        answer = self.call("initAuthentication", sent or wish(*USUAL))
        assert answer.status_code == 200, answer.text
        return dict(answer.get_json())

    def look(self, begun: dict[str, str]) -> dict[str, Any]:
        """Look at a transaction."""
        answer = self.call("getOneResult", {"authRef": begun["authRef"]})
        assert answer.status_code == 200, answer.text
        return dict(answer.get_json())

    def status(self, begun: dict[str, str]) -> str:
        """Return its status."""
        return str(self.look(begun)["status"])

    @property
    def newest(self) -> Order:
        """Return the newest open order as the phone shows it."""
        return self.freja.phone.waiting()[0]

    def act(self, outcome: str, person: str = "bjorn", **more: Any) -> str | None:
        """Do something with the newest order."""
        return self.freja.phone.act(self.newest.id, self.people[person], outcome, **more)

    def approved(self, person: str = "bjorn", sent: Any = None, **more: Any) -> dict[str, Any]:
        """Let somebody approve; return the result."""
        begun = self.start(sent)
        self.act("approve", person, **more)
        return self.look(begun)

    def opened(self, details: str) -> dict[str, Any]:
        """Return what details say, verified by the certificate they name among those that are told of."""
        keys = {x5t_of(path.read_bytes()): path.read_bytes() for path in self.freja.jws_certificates}
        key = x509.load_pem_x509_certificate(keys[jwt.get_unverified_header(details)["x5t"]]).public_key()
        payload = jwt.decode(details, key, algorithms=["RS256"])  # type: ignore[arg-type]
        assert isinstance(payload, dict)
        return payload


def x5t_of(pem: bytes) -> str:
    """Return the thumbprint of a certificate (RFC 7515, 4.1.7)."""
    digest = x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA1())  # noqa: S303 - the standard's
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
