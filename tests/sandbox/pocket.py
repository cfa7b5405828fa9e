"""A phone with the simulated BankID in it, and a service that asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from wsgiref.types import WSGIApplication

from idbroker.clock import StoppedClock
from idbroker.sandbox.bankid import make_bankid
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.people import cast
from idbroker.sandbox.phone import make_phone
from tests.sandbox.bankid_loopback import Rp
from tests.sandbox.loopback import serve


@dataclass(frozen=True, kw_only=True)
class Pocket:
    """A phone with BankID in it, at an address, and a service that asks."""

    address: str
    service: Rp
    clock: StoppedClock

    def of(self, person: str, query: str = "") -> str:
        """Return the address of somebody's phone."""
        return f"{self.address}/of/{person}{query}"

    def link(self, order: dict[str, str]) -> str:
        """Return the link that opens the app, as the broker's login page gives it."""
        return f"{self.address}/bankid?autostarttoken={order['autoStartToken']}&redirect=null"

    def code(self) -> str:
        """Return what the login page's code says now."""
        return str(self.service.bankid.phone.waiting()[0].code)


@contextmanager
def serve_phone(clock: StoppedClock, folder: Path) -> Iterator[Pocket]:
    """Serve the phone beside a simulated BankID, whose files are in a folder."""
    services: list[Rp] = []

    def make(own: str) -> WSGIApplication:
        people, faults = cast(clock.now().date()), Faults()
        bankid = make_bankid(people, clock, faults, app_link=f"{own}/bankid", folder=folder)
        services.append(Rp(bankid, clock, faults))
        return make_phone({"bankid": bankid.phone}, people, own)

    with serve(make) as address:
        yield Pocket(address=address, service=services[0], clock=clock)
