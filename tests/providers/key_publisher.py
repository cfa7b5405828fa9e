"""An address of key sets on loopback that says what a test has put there, and a broker whose keys are there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from idbroker.clock import StoppedClock
from idbroker.keeping import Copies, Copy, Shelf
from idbroker.providers import Copies as AnyCopies
from idbroker.providers import Message
from idbroker.providers.ftn import FinnishTrust, Settings, make
from idbroker.sandbox.ftn_lies import STRANGER
from idbroker.sandbox.op_lies import make_token
from idbroker.store import open_transient
from tests.providers.ftn_broker import Finland, finland
from tests.providers.upstream import means
from tests.sandbox.loopback import serve

OUT = "http://127.0.0.1:9/logout/ftn"


class Publisher:
    """Answers with `body` and `status`, after `hold`; counts the `looks`."""

    def __init__(self) -> None:
        self.body, self.status, self.looks = "", 200, 0
        self.hold: Callable[[], object] = lambda: None

    def __call__(self, _environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer."""
        self.looks += 1
        self.hold()
        start(f"{self.status} told", [("Content-Length", str(len(self.body)))])
        return [self.body.encode()]


@dataclass
class Keys:
    """A broker of the network, the address of its keys, and the store that our workers share."""

    there: Finland
    publisher: Publisher
    address: str
    trust: Path
    copies: AnyCopies

    def publish(self, **changes: Any) -> str:
        """Publish what the broker signs with now, in a set that its entity signs; return it. None leaves out."""
        op, now = self.there.op, int(self.there.clock.now().timestamp())
        claims = {**op.jwks(), "iss": op.issuer, "sub": op.issuer, "iat": now, **changes}
        said = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": "RS256", "kid": "entity", "typ": "jwk-set+jwt"}
        self.publisher.body = make_token(header, said, op.entity_key, "RS256")
        return self.publisher.body

    def publish_unsigned(self, **changes: Any) -> None:
        """Publish it as a plain key set."""
        self.publisher.body = json.dumps({**self.there.op.jwks(), **changes})

    def worker(self, *, signed: bool = True, patience: float = 20) -> FinnishTrust:
        """Return a provider as a worker has it; `patience` is how long it waits for an answer."""
        op = self.there.op
        op.extra_metadata = {**op.extra_metadata, "jwks_uri": self.address}
        how: dict[str, Any] = {"signed_jwks_uri": self.address, "trust_jwks_file": self.trust} if signed else {}
        settings = Settings(broker=op.dialect, issuer=op.issuer, client_id="us", **how)
        ways = replace(means(self.there.clock, patience=patience), copies=self.copies)
        self.there.made.append(make("ftn", settings, ways))
        return self.there.made[-1]

    def strangers(self) -> Message:
        """Return a logout token that names no key there is: anybody can encrypt one to our published key."""
        token = make_token({"alg": "RS256", "kid": "made-up", "typ": "logout+jwt"}, {}, STRANGER, "RS256")
        fields = {"logout_token": self.there.op.sealed(token, self.there.clients["us"])}
        return Message(now=self.there.clock.now(), url=OUT, fields=fields)


@contextmanager
def published(clock: StoppedClock, folder: Path) -> Iterator[Keys]:
    """Serve a broker and the address of its keys."""
    publisher, trust = Publisher(), folder / "entity.json"
    copies = Copies(Shelf(open_transient("sqlite://", clock), "m", Copy))
    with serve(lambda _: publisher) as address, finland(clock) as there:
        trust.write_text(json.dumps({"keys": [there.op.entity_key.as_dict(private=False)]}))
        yield Keys(there, publisher, address, trust, copies)
