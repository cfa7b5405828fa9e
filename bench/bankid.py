"""The simulated BankID in a process of its own: real mutual TLS, everybody's phone, and a note of every look.

`idbroker.sandbox.bankid` answers; what is asked passes through `Noted` on its way. The phone is worked
by plain http on a second port: GET /bench; POST /bench/scan, /bench/approve, /bench/cancel, /bench/looks.
"""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import click
from werkzeug.serving import make_server
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from idbroker.clock import SystemClock
from idbroker.sandbox.bankid import PREFIX, SimBankID, make_bankid
from idbroker.sandbox.bankid_phone import qr_auth_code
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.orders import Unreadable
from idbroker.sandbox.people import SimPerson, cast
from idbroker.sandbox.pki import server_context
from idbroker.sandbox.tls import Kept, SecureServer

CONTROL = "/bench"
APP = "https://app.bench.test/"
_MOST_NOTED = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """One order as the relying party was given it, and when (seconds of the monotonic clock)."""

    ref: str
    qr_token: str = field(repr=False)
    qr_secret: str = field(repr=False)
    at: float

    @property
    def code(self) -> str:
        """Return what its QR code says now."""
        seconds = str(int(time.monotonic() - self.at))
        return f"bankid.{self.qr_token}.{seconds}.{qr_auth_code(self.qr_secret, seconds)}"


class Noted:
    """Notes every look (order, moment, the connection's port), and every new order by the visitor's address.

    `unknown` are the moments of looks at orders that are no more: what an order came to is told once.
    """

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self.looks: list[tuple[str, float, int]] = []
        self.begun: list[float] = []
        self.unknown: list[float] = []
        self.orders: dict[str, Begun] = {}

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Note what is asked, and let it be answered."""
        now, body = time.monotonic(), environ["wsgi.input"].read()
        environ["wsgi.input"] = BytesIO(body)
        call = environ["PATH_INFO"].rpartition("/")[2]
        if call == "collect" and len(self.looks) < _MOST_NOTED:
            self.looks.append((str(json.loads(body)["orderRef"]), now, int(environ["REMOTE_PORT"])))
        answer = b"".join(self._app(environ, start))
        if call == "collect" and b'"status"' not in answer:
            self.unknown.append(now)
        if call == "auth":
            self._note(json.loads(body), json.loads(answer))
        return [answer]

    def _note(self, asked: Mapping[str, Any], told: Mapping[str, Any]) -> None:
        now = time.monotonic()
        self.begun.append(now)
        if "orderRef" in told:
            self.orders[str(asked["endUserIp"])] = Begun(
                ref=told["orderRef"], qr_token=told["qrStartToken"], qr_secret=told["qrStartSecret"], at=now
            )


def people() -> list[SimPerson]:
    """Return the sandbox's people who have a BankID and approve with it: they sign in again and again."""
    everybody = cast(SystemClock().now().date())
    return [person for person in everybody if "bankid" in person.eids and person.habit == "approve"]


class Control:
    """The phone, and what was noted, as a small WSGI application. One person does one thing at a time."""

    def __init__(self, address: str, bankid: SimBankID, noted: Noted, who: list[SimPerson]) -> None:
        self._address, self._bankid, self._noted, self._who = address, bankid, noted, who
        self._next, self._lock = count(), threading.Lock()
        self._calls: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
            "": lambda _: self._files(),
            "/scan": lambda told: self._each(told["from"], lambda order: self._bankid.phone.scan(order.code)),
            "/approve": lambda told: self._each(told["from"], self._approve),
            "/cancel": lambda told: self._cancel(),
            "/looks": lambda told: told_looks(self._noted, told["since"], told["workers"]),
        }

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer one call."""
        request = Request(environ)
        body = json.loads(request.get_data() or b"{}")
        answer = self._calls[request.path.removeprefix(CONTROL)](body)
        return Response(json.dumps(answer), mimetype="application/json")(environ, start)

    def _files(self) -> dict[str, str]:
        names = ("client_certificate", "client_key", "server_root", "signing_root")
        return {"address": self._address, **{name: str(getattr(self._bankid, name)) for name in names}}

    def _each(self, addresses: Iterable[str], act: Callable[[Begun], object]) -> dict[str, Any]:
        """Do something with the newest order of each address; tell when it was done, or that it could not be."""
        done: dict[str, float] = {}
        for address in addresses:
            try:
                act(self._noted.orders[address])
            except (Unreadable, KeyError):
                continue
            done[address] = time.monotonic()
        return {"done": done}

    def _approve(self, order: Begun) -> None:
        # One after another: who begins a second order cancels their first.
        with self._lock:
            self._bankid.phone.act(order.ref, self._who[next(self._next) % len(self._who)], "approve")

    def _cancel(self) -> dict[str, Any]:
        waiting = self._bankid.phone.waiting()
        for order in waiting:
            with suppress(Unreadable):  # it may lapse meanwhile
                self._bankid.phone.act(order.id, self._who[0], "cancel")
        return {"cancelled": len(waiting)}


def told_looks(noted: Noted, since: float, workers: Mapping[str, int]) -> dict[str, Any]:
    """Return how often orders were looked at since a moment, and the pauses between two looks at one order.

    `workers` says by the port of a connection whose it is. `orders_of_several` were looked at by two.
    """
    until = time.monotonic()
    before: dict[str, float] = {}
    gaps, lookers, looks = list[float](), defaultdict[str, set[int]](set), 0
    for ref, at, port in list(noted.looks):
        if since <= at <= until:
            looks += 1
            lookers[ref].add(workers.get(str(port), 0))  # 0: a connection that came and went
            if ref in before:
                gaps.append(at - before[ref])
        before[ref] = at
    one = Counter(next(iter(who)) for who in lookers.values() if len(who) == 1)
    return {
        "seconds": until - since,
        "looks": looks,
        "orders": len(lookers),
        "orders_by_worker": {str(pid): number for pid, number in sorted(one.items())},
        "orders_of_several": sum(len(who) > 1 for who in lookers.values()),
        "looks_at_none": sum(since <= at <= until for at in list(noted.unknown)),
        "begun": sum(since <= at <= until for at in list(noted.begun)),
        "gap_s": _spread(gaps),
    }


def _spread(gaps: list[float]) -> dict[str, float] | None:
    if not gaps:
        return None
    ordered = sorted(gaps)
    return {
        "smallest": round(ordered[0], 4),
        "median": round(statistics.median(ordered), 4),
        "p99": round(ordered[len(ordered) * 99 // 100], 4),
        "largest": round(ordered[-1], 4),
    }


def warm(bankid: SimBankID, who: Iterable[SimPerson]) -> None:
    """Let everybody sign once, which makes their keys."""
    client, known = Client(bankid.app), {"SSL_CLIENT_CERT": bankid.client_certificate.read_text()}
    for person in who:
        headers, wish = {"Content-Type": "application/json"}, {"endUserIp": "192.0.2.1"}
        made = client.post(f"{PREFIX}/auth", json=wish, headers=headers, environ_base=known).get_json()
        bankid.phone.act(made["orderRef"], person, "approve")
        body = {"orderRef": made["orderRef"]}
        client.post(f"{PREFIX}/collect", json=body, headers=headers, environ_base=known)


@click.command()
@click.option("--port", type=int, required=True, help="Of the control; the API takes any.")
@click.option("--folder", type=click.Path(path_type=Path), required=True)
def main(port: int, folder: Path) -> None:
    """Serve the simulator and its control on loopback until ended."""
    who = people()
    bankid = make_bankid(who, SystemClock(), Faults(), app_link=APP, folder=folder)
    warm(bankid, who)
    noted = Noted(bankid.app)
    context = server_context(bankid.server_certificate, bankid.server_key, bankid.client_authority)
    server = SecureServer("127.0.0.1", 0, noted, lambda: context)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    control = Control(f"https://127.0.0.1:{server.server_port}{PREFIX}", bankid, noted, who)
    make_server("127.0.0.1", port, control, threaded=True, request_handler=Kept).serve_forever()


if __name__ == "__main__":
    main()
