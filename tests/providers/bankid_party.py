"""The simulated BankID over mutual TLS, ourselves as its relying party, and everybody's phone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from werkzeug.wrappers import Request, Response

from idbroker.clock import StoppedClock
from idbroker.errors import Unreachable
from idbroker.identity import Identity, LoA
from idbroker.providers import Asked, Means, Wait
from idbroker.providers._http import kept_session
from idbroker.providers.bankid import BankID, Settings, make
from idbroker.sandbox.bankid import LIES, SimBankID, make_bankid
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.people import SimPerson, cast
from idbroker.visitor import Device, Visitor, visitor
from tests.sandbox.bankid_loopback import serve_bankid

BACK = "https://login.example.se/callback/bankid"
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
SAFARI = f"{IPHONE} Version/18.5 Mobile/15E148 Safari/604.1"
COMPUTER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
HERE = "192.0.2.7"


class Wire:
    """The simulator's application, with a note of what was asked, and an answer instead of its own on request."""

    def __init__(self, app: Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]) -> None:
        self._app = app
        self.asked: list[tuple[str, Mapping[str, str], bytes]] = []
        self.instead: Response | None = None

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ)
        if self.instead is None:
            # Its body is the simulator's to read; what was ordered is on the phone.
            return self._app(environ, start)
        self.asked.append((request.path.rpartition("/")[2], dict(request.headers), request.get_data()))
        return self.instead(environ, start)

    def say(self, status: int, body: object = None, **headers: str) -> None:
        """Answer with this from now on; a body that is no bytes is sent as JSON."""
        octets = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.instead = Response(octets, status, headers, mimetype="application/json")


@dataclass
class Party:
    """We as a relying party of the simulator at `address`."""

    bankid: SimBankID
    address: str
    wire: Wire
    faults: Faults
    clock: StoppedClock
    people: Mapping[str, SimPerson]
    made: list[BankID] = field(default_factory=list)

    def settings(self, **more: Any) -> Settings:
        """Return settings for the simulator."""
        usual = Settings(
            environment="test",
            address=self.address,
            certificate_file=self.bankid.client_certificate,
            key_file=self.bankid.client_key,
            server_root_file=self.bankid.server_root,
            signing_root_files=(self.bankid.signing_root,),
        )
        return replace(usual, **more)

    def provider(self, **more: Any) -> BankID:
        """Return the provider; its connections are closed with the party."""
        self.made.append(make("bankid", self.settings(**more), means(self.clock)))
        return self.made[-1]

    def asked(self, **more: Any) -> Asked:
        """Return what the broker asks, of a computer with the app on another device."""
        usual = Asked(
            transaction="t1",
            handle="t1.handle-1",
            return_url=BACK,
            loa=LoA.SUBSTANTIAL,
            language="sv",
            service="Kliniken",
            now=self.clock.now(),
            want_number=True,
            visitor=Visitor(ip=HERE, agent=COMPUTER),
        )
        return replace(usual, **more)

    def act(self, outcome: str = "approve", person: str = "bjorn", *, ip: str = HERE) -> str | None:
        """Do something with the newest order, in the app."""
        return self.bankid.phone.act(self.bankid.phone.waiting()[0].id, self.people[person], outcome, ip=ip)

    def ordered(self, **more: Any) -> Any:
        """Return the body of the /auth that is sent for what is asked."""
        provider = self.provider()
        self.wire.say(500)
        with pytest.raises(Unreachable):
            provider.begin(self.asked(**more))
        return json.loads(self.wire.asked[-1][2])

    def sign_in(self, provider: BankID | None = None, person: str = "bjorn", **more: Any) -> Identity:
        """Go all the way, to an identity."""
        provider = provider or self.provider()
        asked = self.asked(**more)
        begun = provider.begin(asked)
        self.act("approve", person)
        end = provider.resume(asked, begun.state, {})
        assert isinstance(end, Identity), end
        return end

    def look(self, provider: BankID, wait: Wait, **more: Any) -> Wait:
        """Look at a pending order."""
        found = provider.resume(self.asked(**more), wait.state, {})
        assert isinstance(found, Wait), found
        return found

    def reset(self) -> None:
        """Let every order be forgotten, and nothing be wrong any more."""
        for provider in self.made:
            provider._api.http.close()
        self.made.clear()
        self.faults.clear()
        self.wire.instead = None
        self.wire.asked.clear()
        moved = self.clock.now() - NOW
        self.clock.move(timedelta(days=1))
        assert self.bankid.phone.waiting() == ()
        self.clock.move(-timedelta(days=1) - moved)


def means(clock: StoppedClock, *, sandbox: bool = True) -> Means:
    """Return what the provider works with."""
    return Means(clock=clock, http=partial(kept_session, sandbox=sandbox), sandbox=sandbox)


def on_phone(agent: str = SAFARI) -> dict[str, Any]:
    """Return what is asked of a phone with the app on it."""
    return {"device": Device.THIS, "visitor": visitor(HERE, agent)}


@contextmanager
def bankid_party(folder: Path) -> Iterator[Party]:
    """Serve a simulator for a module's tests: making its keys for each would take longer than the tests."""
    clock, faults = StoppedClock(NOW), Faults({"bankid": LIES})
    people = cast(clock.now().date())
    made = make_bankid(people, clock, faults, app_link="http://127.0.0.1:9/app", folder=folder)
    wire = Wire(made.app)
    with serve_bankid(replace(made, app=wire)) as address:
        yield Party(made, address, wire, faults, clock, {person.id: person for person in people})
