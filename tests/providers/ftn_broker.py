"""A simulated broker of the Finnish Trust Network on loopback, and a person's way through it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

from idbroker.clock import StoppedClock
from idbroker.identity import Identity
from idbroker.providers import Asked, Redirect
from idbroker.providers.ftn import FinnishTrust, Settings, make
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.ftn import FTN_LIES, TrustNetworkBroker, make_ftn
from idbroker.sandbox.op_client import SimClient
from idbroker.sandbox.op_logout import LOGOUT_LIES, Sessions
from idbroker.sandbox.people import SimPerson, cast
from tests.providers.upstream import asked, means, our_jwks
from tests.sandbox.loopback import serve

BACK = "http://127.0.0.1:9/callback/ftn"


@dataclass
class Finland:
    """One broker, served, and who signs in through it."""

    issuer: str
    op: TrustNetworkBroker
    clock: StoppedClock
    faults: Faults
    people: Mapping[str, SimPerson]
    clients: dict[str, SimClient]
    sessions: Sessions
    made: list[FinnishTrust]

    def lie(self, *lies: str) -> None:
        """Have it tell these lies, and no others."""
        self.faults.set("ftn", {"lies": list(lies)})

    def provider(self, **more: Any) -> FinnishTrust:
        """Return a provider with the usual settings and these."""
        usual = {"broker": self.op.dialect, "issuer": self.issuer, "client_id": "us"}
        self.made.append(make("ftn", Settings(**{**usual, **more}), means(self.clock)))
        return self.made[-1]

    def asked(self, **more: Any) -> Asked:
        """Return what the broker of ours asks: substantial, with the number, in Finnish."""
        return asked(self.clock, **{"return_url": BACK, "language": "fi", "service": "Klinikka", **more})

    def go(
        self, provider: FinnishTrust | None = None, person: str = "aino", outcome: str = "approve", **more: Any
    ) -> Identity:
        """Go all the way, to an identity."""
        provider = provider or self.provider()
        begun = provider.begin(self.asked(**more))
        return provider.resume(self.asked(**more), begun.state, visit(begun, person, outcome))


def visit(begun: Redirect, person: str = "aino", outcome: str = "approve") -> dict[str, str]:
    """Go to the simulator, choose, and return what the browser brings back."""
    with requests.Session() as browser:
        browser.trust_env = False
        data = {"person": person, "outcome": outcome}
        response = browser.post(begun.url, data=data, allow_redirects=False)
    assert response.status_code == 303, response.text
    assert response.headers["Location"].startswith(BACK + "?")
    return dict(parse_qsl(urlsplit(response.headers["Location"]).query))


@contextmanager
def finland(clock: StoppedClock, dialect: str = "telia", *, test: bool = False) -> Iterator[Finland]:
    """Serve a broker; the connections of its providers are closed at the end."""
    faults, people = Faults({"ftn": FTN_LIES | LOGOUT_LIES}), cast(clock.now().date())
    clients = {
        "us": SimClient(
            id="us", redirect_uris=(BACK,), auth_method="private_key_jwt", jwks=our_jwks, id_token_alg="RS256"
        )
    }
    made: list[Any] = []

    def simulator(address: str) -> Any:
        app = make_ftn(people, clock, faults, address, clients, dialect=dialect, test=test)
        made.extend((app.extensions["op"], app.extensions["sessions"]))
        return app

    with serve(simulator) as issuer:
        there = Finland(issuer, made[0], clock, faults, {person.id: person for person in people}, clients, made[1], [])
        yield there
        for provider in there.made:
            provider._client.http.close()
