"""The simulated MitID broker on loopback, and what is broken at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from idbroker.clock import StoppedClock
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.mitid import LIES, make_mitid
from idbroker.sandbox.op import OpenIdProvider
from idbroker.sandbox.op_client import SimClient
from idbroker.sandbox.op_logout import Sessions
from idbroker.sandbox.people import SimPerson, cast
from tests.providers.upstream import CLIENTS, Journey, journey
from tests.sandbox.loopback import serve


@dataclass(frozen=True)
class Broker:
    """The simulator, served."""

    issuer: str
    op: OpenIdProvider
    faults: Faults
    people: dict[str, SimPerson]
    clients: dict[str, SimClient]
    sessions: Sessions

    def lie(self, *lies: str) -> None:
        """Have it tell these lies, and no others."""
        self.faults.set("mitid", {"lies": list(lies)})


@pytest.fixture
def broker(clock: StoppedClock) -> Iterator[Broker]:
    """Serve the simulated MitID broker."""
    faults, people = Faults({"mitid": LIES}), cast(clock.now().date())
    clients = dict(CLIENTS)
    made: list[Any] = []

    def simulator(address: str) -> Any:
        app = make_mitid(people, clock, faults, address, clients)
        made.extend((app.extensions["op"], app.extensions["sessions"]))
        return app

    with serve(simulator) as issuer:
        yield Broker(issuer, made[0], faults, {person.id: person for person in people}, clients, made[1])


@pytest.fixture
def travel(broker: Broker, clock: StoppedClock) -> Iterator[Callable[..., Journey]]:
    """Give a maker of journeys with MitID at the simulator; their connections are closed at the end."""
    begun: list[Journey] = []

    def make(client: str = "public", **more: Any) -> Journey:
        begun.append(journey(broker.issuer, clock, client, **more))
        return begun[-1]

    yield make
    for each in begun:
        each.close()
