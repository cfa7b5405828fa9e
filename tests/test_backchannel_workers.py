"""The couriers of several workers: each notice by one, none lost, and nobody held up by a client that hangs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from idbroker.backchannel import EACH, LEASE, TRIED_FOR
from idbroker.clock import StoppedClock
from idbroker.couriers import MOST_REST
from idbroker.store import Durable, open_durable
from tests.app_eids import eventually
from tests.backchannel_house import House, Portals, open_house, open_portals

SECOND = timedelta(seconds=1)
SHORT = 1.5  # how long a client is waited for here, in seconds


@pytest.fixture(scope="module")
def portals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portals]:
    """Serve the clients' servers once."""
    with open_portals(tmp_path_factory.mktemp("portals")) as opened:
        yield opened


@pytest.fixture(params=["sqlite", "postgresql"])
def durable(request: pytest.FixtureRequest, tmp_path: Path, clock: StoppedClock) -> Durable:
    """Open each kind of store; the house closes it."""
    sqlite = f"sqlite:///{tmp_path}/broker.db"
    return open_durable(sqlite if request.param == "sqlite" else request.getfixturevalue("postgres_database"), clock)


@pytest.fixture
def house(portals: Portals, tmp_path: Path, durable: Durable, clock: StoppedClock) -> Iterator[House]:
    """Open a house over each kind of store."""
    opened = open_house(tmp_path, portals, durable, clock)
    yield opened
    portals.heal()
    opened.close()


def test_each_notice_by_one(house: House, portals: Portals, clock: StoppedClock) -> None:
    """Eight threads, four in each of two workers, deliver 200 notices of 20 clients: each once, in a moment."""
    names = [f"client-{number}" for number in range(20)]
    for name in names:
        house.client(name)
    for number in range(10):
        house.ended(number, *names)
    workers = [house.courier(threads=4) for _ in range(2)]

    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(lambda worker: worker.deliver(clock.now()), workers))

    assert sum(told) + workers[0].deliver(clock.now()) == 200
    assert all(told)
    assert [len(portals.told(name)) for name in names] == [10] * 20
    assert house.durable.logout_notices.count() == 0
    assert house.events() == []


def test_a_worker_that_dies_between(house: House, portals: Portals, clock: StoppedClock) -> None:
    """What a worker took and did not end is delivered by another, once the lease is over and not before."""
    house.client("a")
    house.ended(1, "a")
    assert len(house.durable.logout_notices.due(clock.now(), LEASE, 9, each=9)) == 1

    assert house.courier().deliver(clock.now()) == 0
    clock.move(LEASE)
    assert house.courier().deliver(clock.now()) == 1
    assert len(portals.told("a")) == 1


def test_a_worker_that_dies_after_the_answer(house: House, portals: Portals, clock: StoppedClock) -> None:
    """A notice that was heard and not yet forgotten is told again: at least once is what a logout needs."""
    house.client("a")
    house.ended(1, "a")

    class Dying(type(house.durable.logout_notices)):  # type: ignore[misc]
        """The real outbox of a process that ends before it can forget."""

        def done(self, notice: object) -> None:
            raise SystemExit

    with pytest.raises(SystemExit):
        house.courier(outbox=Dying(house.durable.database)).deliver(clock.now())
    assert len(portals.told("a")) == 1
    clock.move(LEASE)

    assert house.courier().deliver(clock.now()) == 1
    assert len(portals.told("a")) == 2
    assert house.durable.logout_notices.count() == 0


# ---- a client that hangs ---------------------------------------------------------------------------


OTHERS = tuple(f"client-{number}" for number in range(4))


def make_crowd(house: House, many: int) -> None:
    """Let a client hang for which many notices lie there, before the twenty of others."""
    for name in ("hanging", *OTHERS):
        house.client(name)
    house.ended(1, "hanging", to=many)
    house.clock.move(SECOND)
    house.ended(1, *OTHERS, to=5)
    house.portals.hanging.add("hanging")


def test_a_client_that_hangs_holds_up_nobody(house: House, portals: Portals, clock: StoppedClock) -> None:
    """The others' twenty are told while two threads wait for the one that hangs; then it is left alone."""
    make_crowd(house, 1000)
    courier = house.courier(post=house.post(whole_seconds=SHORT))
    began = time.monotonic()

    assert courier.deliver(clock.now()) == 20

    assert time.monotonic() - began < 6
    assert len(portals.told("hanging")) == portals.most_at_once["hanging"] == EACH
    assert house.durable.logout_notices.count() == 1000
    assert courier.deliver(clock.now()) == 0
    assert len(portals.told("hanging")) == EACH


def test_a_client_that_hangs_no_more(house: House, portals: Portals, clock: StoppedClock) -> None:
    """When it answers again all its notices are told, never more than two at once."""
    make_crowd(house, 150)
    courier = house.courier(post=house.post(whole_seconds=SHORT))
    courier.deliver(clock.now())
    portals.hanging.clear()
    portals.healed.set()
    eventually(lambda: portals.now_there["hanging"] == 0)
    portals.most_at_once.clear()
    courier.post = house.post()
    clock.move(MOST_REST)

    assert courier.deliver(clock.now()) == 150
    assert 0 < portals.most_at_once["hanging"] <= EACH
    assert house.durable.logout_notices.count() == 0


def test_a_client_that_hangs_for_a_day(house: House, portals: Portals, clock: StoppedClock) -> None:
    """After a day what it was not told ends, with an event each, without waiting for it each time."""
    make_crowd(house, 150)
    courier = house.courier(post=house.post(whole_seconds=SHORT))
    courier.deliver(clock.now())
    clock.move(TRIED_FOR)

    assert courier.deliver(clock.now()) == 0

    kinds = [event.kind for event in house.events()]
    assert kinds == ["logout.undelivered"] * 150
    assert house.durable.logout_notices.count() == 0
    assert len(portals.told("hanging")) == EACH


# ---- the courier's life ----------------------------------------------------------------------------


def test_woken(house: House, portals: Portals) -> None:
    """A courier that is woken delivers at once, and again; who wakes it waits for nothing."""
    house.client("a")
    courier = house.courier()
    for number in (1, 2):
        house.ended(number, "a")
        began = time.monotonic()
        courier.wake()
        assert time.monotonic() - began < 1
        eventually(partial(heard, portals, number))

    eventually(lambda: house.durable.logout_notices.count() == 0)


def test_started_it_looks_at_once(house: House, portals: Portals) -> None:
    """A worker that starts delivers what others left behind, without waiting for a logout."""
    house.client("a")
    house.ended(1, "a")

    house.courier().start()

    eventually(lambda: len(portals.told("a")) == 1)


def test_a_store_that_was_away(house: House, portals: Portals, tmp_path: Path, clock: StoppedClock) -> None:
    """A courier survives a store that does not answer, and goes on when it does."""
    late = open_durable(f"sqlite:///{tmp_path}/late.db", clock)
    courier = house.courier(outbox=late.logout_notices)
    house.client("a")
    notices = house.ended(1, "a")

    courier.wake()  # there are no tables yet
    late.migrate()
    late.logout_notices.add(notices)
    courier.wake()

    eventually(lambda: len(portals.told("a")) == 1)
    eventually(lambda: late.logout_notices.count() == 0)
    courier.close()
    late.close()


def test_closed(house: House, portals: Portals, clock: StoppedClock) -> None:
    """A courier that is closed lets what is under way come to its end, takes nothing more, and starts no more."""
    house.client("a")
    for number in range(9):
        house.ended(number, "a")
    portals.hanging.add("a")
    courier = house.courier()
    courier.wake()
    eventually(lambda: portals.now_there["a"] == EACH)

    with ThreadPoolExecutor(1) as pool:
        closing = pool.submit(courier.close)
        eventually(lambda: courier._closed)
        portals.healed.set()
        closing.result(10)
    courier.wake()

    assert courier.deliver(clock.now()) == 0
    assert len(portals.told("a")) == EACH
    assert house.durable.logout_notices.count() == 9 - EACH


FORKED = """
import os, sys, threading
from pathlib import Path
from idbroker.backchannel import Backchannel, notices_for
from idbroker.clock import StoppedClock
from idbroker.keyfiles import KeyFiles
from idbroker.keyring import Keyring
from idbroker.store import open_durable
from tests.backchannel_house import make_session
from tests.conftest import NOW
heard, clock = threading.Event(), StoppedClock(NOW)
store = open_durable(sys.argv[1], clock)
courier = Backchannel(
    issuer="https://id.example.org", clock=clock, outbox=store.logout_notices, clients=store.clients,
    events=store.events, signing=Keyring(KeyFiles(Path(sys.argv[2]))).signing, subject_secret=lambda: b"s" * 32,
    post=lambda url, form: heard.set() or 200,
)
courier.start()
ready, go = os.pipe()
if not (child := os.fork()):
    os.read(ready, 1)  # the parent's courier has ended: what comes now is the child's
    store.logout_notices.add(notices_for(make_session(1, "a"), store.clients, NOW))
    courier.wake()
    told = heard.wait(20)
    courier.close()
    os._exit(0 if told and store.logout_notices.count() == 0 else 1)
courier.close()
os.write(go, b"!")
print(os.waitpid(child, 0)[1])
"""


def test_a_courier_survives_a_fork(house: House, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A child of a worker whose courier runs has one of its own as soon as it is woken."""
    house.client("a")
    sqlite = "sqlite" in request.node.name
    url = f"sqlite:///{tmp_path}/broker.db" if sqlite else request.getfixturevalue("postgres_database")

    ended = subprocess.run(
        [sys.executable, "-c", FORKED, url, str(tmp_path / "keys")],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )

    assert (ended.stdout.strip(), ended.returncode) == ("0", 0), ended.stderr[-2000:]


def heard(portals: Portals, number: int) -> bool:
    """Tell whether the first client has heard so many."""
    return len(portals.told("a")) == number
