"""Clients' servers that are told of logouts, over real TLS, and couriers that tell them."""

from __future__ import annotations

import ssl
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography import x509
from flask import Flask, Response, redirect, request
from werkzeug.serving import make_server
from werkzeug.wrappers import Response as AnyResponse

from idbroker.backchannel import Backchannel, LogoutNotice, notices_for
from idbroker.client import Client
from idbroker.clock import StoppedClock
from idbroker.events import Event
from idbroker.identity import Identity, LoA
from idbroker.keyfiles import KeyFiles
from idbroker.keyring import Keyring
from idbroker.keyset import Use
from idbroker.outbound import GuardedPost
from idbroker.session import Reached, Session
from idbroker.store import Durable
from tests.certificates import make_certificate
from tests.conftest import NOW
from tests.keystores import key_folder
from tests.oidc.making import ISSUER, make_client

HOST = "portal.test"
PERSON = "0123456789abcdef0123456789abcdef"


@dataclass(kw_only=True)
class Portals:
    """The clients' servers: what each was sent, and what each answers (200 where nothing is said)."""

    port: int = 0
    trust: str = ""
    forms: dict[str, list[dict[str, str]]] = field(default_factory=lambda: defaultdict(list))
    says: dict[str, list[int]] = field(default_factory=dict)
    hanging: set[str] = field(default_factory=set)
    healed: threading.Event = field(default_factory=threading.Event)
    most_at_once: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    now_there: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self, client_id: str) -> str:
        """Return where a client is told."""
        return f"https://{HOST}:{self.port}/logout/{client_id}"

    def hear(self, client_id: str) -> AnyResponse:
        """Take what is told to a client."""
        with self.lock:
            self.forms[client_id].append(dict(request.form))
            self.now_there[client_id] += 1
            self.most_at_once[client_id] = max(self.most_at_once[client_id], self.now_there[client_id])
        if client_id in self.hanging:
            self.healed.wait(30)
        with self.lock:
            self.now_there[client_id] -= 1
            said = self.says.get(client_id, [])
            status = said.pop(0) if said else 200
        return redirect(self.url("elsewhere"), status) if status in (302, 307) else Response(status=status)

    def told(self, client_id: str) -> list[str]:
        """Return the logout tokens a client was sent."""
        return [form["logout_token"] for form in self.forms[client_id]]

    def heal(self) -> None:
        """Forget everything."""
        self.healed.set()
        self.forms.clear()
        self.says.clear()
        self.hanging.clear()
        self.most_at_once.clear()
        self.healed = threading.Event()


@contextmanager
def open_portals(folder: Path) -> Iterator[Portals]:
    """Serve them on loopback."""
    portals = Portals()
    certificate, key = make_certificate(folder, x509.DNSName(HOST))
    app = Flask(__name__)
    app.add_url_rule("/logout/<client_id>", view_func=portals.hear, methods=["POST"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = make_server("127.0.0.1", 0, app, ssl_context=context, threaded=True)
    portals.port, portals.trust = server.server_port, certificate
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield portals
    portals.heal()
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass(kw_only=True)
class House:
    """A store, keys, and couriers over both."""

    portals: Portals
    durable: Durable
    clock: StoppedClock
    keyring: Keyring
    opened: list[Backchannel] = field(default_factory=list)

    def courier(self, **changes: Any) -> Backchannel:
        """Return the courier of one more worker."""
        settings: dict[str, Any] = {
            "issuer": ISSUER,
            "clock": self.clock,
            "outbox": self.durable.logout_notices,
            "clients": self.durable.clients,
            "events": self.durable.events,
            "signing": self.keyring.signing,
            "subject_secret": lambda: self.keyring.secret(Use.SUBJECT),
            "post": self.post(),
        }
        self.opened.append(Backchannel(**{**settings, **changes}))
        return self.opened[-1]

    def post(self, **changes: Any) -> GuardedPost:
        """Return a post for which this machine is the internet."""
        settings: dict[str, Any] = {"resolve": lambda *_: ("127.0.0.1",), "public": lambda _: True}
        return GuardedPost(**{**settings, "trust": self.portals.trust, **changes})

    def client(self, client_id: str, **changes: Any) -> Client:
        """Register a client that is told."""
        made = make_client(id=client_id, **{"backchannel_logout_uri": self.portals.url(client_id), **changes})
        self.durable.clients.save(made)
        return made

    def ended(self, number: int, *client_ids: str, to: int | None = None) -> tuple[LogoutNotice, ...]:
        """Put the notices of one ended session, or of several up to one, into the outbox; return them."""
        sessions = (make_session(each, *client_ids) for each in range(number, (to or number) + 1))
        clients, now = self.durable.clients, self.clock.now()
        notices = tuple(notice for session in sessions for notice in notices_for(session, clients, now))
        self.durable.logout_notices.add(notices)
        return notices

    def events(self) -> list[Event]:
        """Return what was recorded."""
        return list(self.durable.events.since(NOW))

    def close(self) -> None:
        """Close the couriers, then the store."""
        for courier in self.opened:
            courier.close()
        self.durable.close()


def open_house(folder: Path, portals: Portals, durable: Durable, clock: StoppedClock) -> House:
    """Return a house over a store that was opened."""
    durable.migrate()
    return House(portals=portals, durable=durable, clock=clock, keyring=Keyring(KeyFiles(key_folder(folder))))


def make_session(number: int, *client_ids: str) -> Session:
    """Return a session that reached some clients; one named twice was reached by two grants."""
    made = Session(
        key=f"{number:064x}",
        person=PERSON,
        identity=Identity(provider="mitid", issuer="i", subject="s", loa=LoA.SUBSTANTIAL, proved_at=NOW),
        language="en",
        started_at=NOW,
        seen_at=NOW,
    )
    reached = tuple(
        Reached(client_id=client_id, grant=f"grant-{place}", sid=made.sid(client_id))
        for place, client_id in enumerate(client_ids)
    )
    return replace(made, reached=reached)
