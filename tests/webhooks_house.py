"""A clinic's own system that is told by webhook, over real TLS, and couriers that tell it."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from flask import Flask, Response, redirect, request
from werkzeug.serving import make_server
from werkzeug.wrappers import Response as AnyResponse

from idbroker.accounts.account import Enrolment, Standing
from idbroker.accounts.records import Enrolments
from idbroker.client import Client
from idbroker.clock import StoppedClock
from idbroker.events import Event
from idbroker.outbound import GuardedPost
from idbroker.person import PersonKey
from idbroker.sealing import Sealer, SealingKeys
from idbroker.store import Durable
from idbroker.webhooks import Webhooks
from tests.certificates import make_certificate
from tests.oidc.making import make_client

HOST = "system.test"


@dataclass(kw_only=True)
class Ear:
    """The clinics' systems: what each was told, and what each answers (204 where nothing is said)."""

    port: int = 0
    trust: str = ""
    heard: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    says: dict[str, list[int]] = field(default_factory=dict)

    def url(self, name: str) -> str:
        """Return where a client is told."""
        return f"https://{HOST}:{self.port}/news/{name}?from=idbroker"

    def hear(self, name: str) -> AnyResponse:
        """Take what is told."""
        headers = {key.lower(): value for key, value in request.headers}
        self.heard.append((name, headers, request.get_data()))
        said = self.says.get(name, [])
        status = said.pop(0) if said else 204
        return redirect(self.url("elsewhere"), status) if status in (301, 307) else Response(status=status)

    def told(self, name: str) -> list[tuple[dict[str, str], bytes]]:
        """Return the headers and bodies that one was sent."""
        return [(headers, body) for heard, headers, body in self.heard if heard == name]


@contextmanager
def open_ear(folder: Path) -> Iterator[Ear]:
    """Serve them on loopback."""
    ear = Ear()
    certificate, key = make_certificate(folder, x509.DNSName(HOST))
    app = Flask(__name__)
    app.add_url_rule("/news/<name>", view_func=ear.hear, methods=["POST"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = make_server("127.0.0.1", 0, app, ssl_context=context, threaded=True)
    ear.port, ear.trust = server.server_port, certificate
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield ear
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass(kw_only=True)
class NewsHouse:
    """A store, and couriers over it."""

    ear: Ear
    durable: Durable
    clock: StoppedClock
    sealer: Sealer = field(init=False)
    opened: list[Webhooks] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make keys."""
        keys = SealingKeys(data={1: b"d" * 32}, newest=1, index=b"i" * 32)
        self.sealer = Sealer(lambda: keys)

    def webhooks(self, **changes: Any) -> Webhooks:
        """Return those of one more worker."""
        settings: dict[str, Any] = {
            "clock": self.clock,
            "rows": self.durable.webhooks,
            "outbox": self.durable.webhook_notices,
            "clients": self.durable.clients,
            "enrolments": self.durable.enrolment_rows,
            "events": self.durable.events,
            "sealer": self.sealer,
            "post": self.post().send,
        }
        self.opened.append(Webhooks(**{**settings, **changes}))
        return self.opened[-1]

    def post(self, **changes: Any) -> GuardedPost:
        """Return a post for which this machine is the internet."""
        settings: dict[str, Any] = {"resolve": lambda *_: ("127.0.0.1",), "public": lambda _: True}
        return GuardedPost(**{**settings, "trust": self.ear.trust, **changes})

    def client(self, client_id: str, clinic: str = "clinea", **changes: Any) -> Client:
        """Register a clinic's own program."""
        made = make_client(id=client_id, clinic=clinic, **{"api": ("webhooks",), **changes})
        self.durable.clients.save(made)
        return made

    def patient(self, number: int, clinic: str = "clinea", standing: Standing = Standing.APPROVED) -> Enrolment:
        """Enrol somebody."""
        key = PersonKey(kind="number", digest=number.to_bytes(32, "big"))
        person, now = self.durable.persons.meet([key], self.clock.now()), self.clock.now()
        made = Enrolment(person=person, clinic=clinic, standing=standing, asked_at=now)
        kept = Enrolments(self.durable.enrolment_rows, self.sealer).change(person, clinic, lambda _: made)
        assert kept is not None
        return kept

    def happens(self, kind: str, patient: Enrolment, **changes: Any) -> Event:
        """Return an event of a patient's."""
        at, person = self.clock.now(), patient.person
        return Event(**{"at": at, "kind": kind, "clinic": patient.clinic, "person": person, **changes})

    def close(self) -> None:
        """Close the couriers, then the store."""
        for webhooks in self.opened:
            webhooks.close()
        self.durable.close()
