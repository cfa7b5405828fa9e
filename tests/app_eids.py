"""The simulated BankID and Freja, served with mutual TLS, with a wire between that tests may count and cut on."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.test import run_wsgi_app

from idbroker.clock import StoppedClock
from idbroker.sandbox.bankid import LIES as BANKID_LIES
from idbroker.sandbox.bankid import SimBankID, make_bankid
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.freja import LIES as FREJA_LIES
from idbroker.sandbox.freja import SimFreja, make_freja
from idbroker.sandbox.orders import Phone
from idbroker.sandbox.people import SimPerson, cast
from tests.sandbox.bankid_loopback import serve_bankid
from tests.sandbox.freja_rp import serve_freja

PACE = timedelta(seconds=2.5)  # Freja's; BankID's is two seconds
APP = "http://127.0.0.1:1"  # nobody listens: what opens an app leaves the broker
PATIENCE = 20.0
_PAUSE = threading.Event()

Found = TypeVar("Found")
Act = Callable[[str, bytes], bytes | None]


def pause(seconds: float) -> None:
    """Let other threads go on for a moment."""
    _PAUSE.wait(seconds)


def eventually(
    ask: Callable[[], Found | None], clock: StoppedClock | None = None, *, patience: float = PATIENCE
) -> Found:
    """Ask until the answer is true, for a while; with a clock, time goes by meanwhile: a pace every quarter second."""
    began = moved = time.monotonic()
    while True:
        found = ask()
        if found is not None and found is not False:
            return found
        now = time.monotonic()
        assert now - began < patience, "it never came"
        if clock is not None and (moved == began or now - moved > 0.25):
            clock.move(PACE)
            moved = now
        pause(0.004)


@dataclass
class Wire:
    """Between us and one eID: remembers the calls, and lets a test act, or another answer go, before one leaves."""

    app: WSGIApplication
    calls: list[tuple[str, str]] = field(default_factory=list)
    act: Act | None = None

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
        """Answer one request (WSGI)."""
        call = str(environ["PATH_INFO"]).rpartition("/")[2]
        self.calls.append((call, _reference(environ["wsgi.input"].getvalue())))
        chunks, status, headers = run_wsgi_app(self.app, environ, buffered=True)
        content = b"".join(chunks)
        other = self.act(call, content) if self.act is not None else None
        headers.remove("Content-Length")
        start(status, list(headers))
        return [content if other is None else other]

    def count(self, call: str, reference: str = "") -> int:
        """Return how often something was called, for one order or for any."""
        return sum(1 for name, about in list(self.calls) if name == call and reference in ("", about))


def _reference(body: bytes) -> str:
    """Return which order a call is about, by its reference at the eID."""
    text = body if body.startswith(b"{") else base64.b64decode(next(iter(parse_qs(body.decode()).values()))[0])
    said = json.loads(text)
    return str(said.get("orderRef", said.get("authRef", "")))


@dataclass(frozen=True, kw_only=True)
class Eids:
    """Both simulators, served; by name: phones, addresses, and the wires to them."""

    clock: StoppedClock
    faults: Faults
    people: Mapping[str, SimPerson]
    bankid: SimBankID
    freja: SimFreja
    addresses: Mapping[str, str]
    wires: Mapping[str, Wire]

    @property
    def phones(self) -> Mapping[str, Phone]:
        """Return everybody's apps."""
        return {"bankid": self.bankid.phone, "freja": self.freja.phone}

    def heal(self) -> None:
        """End every fault and every order, for the next test."""
        self.faults.clear()
        for wire in self.wires.values():
            wire.act = None
        self.clock.move(timedelta(hours=1))
        assert [order for phone in self.phones.values() for order in phone.waiting()] == []


@contextmanager
def open_eids(folder: Path, clock: StoppedClock) -> Iterator[Eids]:
    """Serve both simulators."""
    faults, people = Faults({"bankid": BANKID_LIES, "freja": FREJA_LIES}), cast(clock.now().date())
    bankid = make_bankid(people, clock, faults, app_link=f"{APP}/bankid", folder=folder / "bankid")
    freja = make_freja(people, clock, faults, app_link=f"{APP}/freja", folder=folder / "freja")
    wires = {"bankid": Wire(bankid.app), "freja": Wire(freja.app)}
    with (
        serve_bankid(replace(bankid, app=wires["bankid"])) as bankid_address,
        serve_freja(replace(freja, app=wires["freja"])) as freja_address,
    ):
        yield Eids(
            clock=clock,
            faults=faults,
            people={person.id: person for person in people},
            bankid=bankid,
            freja=freja,
            addresses={"bankid": bankid_address, "freja": freja_address},
            wires=wires,
        )
