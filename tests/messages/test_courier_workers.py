"""The couriers of several workers, killed at any moment: no message lost that was not handed over, none sent twice."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.clock import StoppedClock, SystemClock
from idbroker.messages.courier import LEASE, THREADS
from idbroker.messages.message import Channel, Delivery
from tests.app_eids import eventually
from tests.messages.mail_servers import HANG, scripted_server
from tests.messages.post_house import KEYS, Counting, House, make_mail, make_message, open_house

PATIENCE = 30.0


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of each kind of store."""
    sqlite = f"sqlite:///{tmp_path}/broker.db"
    return sqlite if request.param == "sqlite" else str(request.getfixturevalue("postgres_database"))


@pytest.fixture
def house(url: str, tmp_path: Path, clock: StoppedClock) -> Iterator[House]:
    """Open a house over each kind of store."""
    opened = open_house(url, tmp_path, clock)
    yield opened
    opened.close()


WORKER = """
import os, signal, sys, threading
from pathlib import Path
from idbroker.clock import StoppedClock
from idbroker.messages.message import Channel
from idbroker.sealing import SealingKeys
from tests.conftest import NOW
from tests.messages.post_house import make_mail, make_message, open_house
what, url, folder, port = sys.argv[1:]
secrets = [bytes.fromhex(line) for line in sys.stdin.read().split()]
keys = SealingKeys(data={1: secrets[0]}, newest=1, index=secrets[1])
house = open_house(url, Path(folder), StoppedClock(NOW), keys)
if what == "write":
    house.post(make_message())
    os.kill(os.getpid(), signal.SIGKILL)
class Stuck(type(house.durable.messages)):
    def hand_over(self, message):
        print("taken", flush=True)
        threading.Event().wait()
outbox = Stuck(house.durable.database) if what == "take" else house.durable.messages
house.courier({Channel.EMAIL: make_mail(int(port))}, outbox=outbox).deliver(NOW)
print("done", flush=True)
"""


@contextmanager
def worker(what: str, url: str, folder: Path, port: int = 0) -> Iterator[subprocess.Popen[str]]:
    """Run a real worker process; it is killed at the end, if not before."""
    command = [sys.executable, "-c", WORKER, what, url, str(folder), str(port)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin is not None
        process.stdin.write(f"{KEYS.data[1].hex()}\n{KEYS.index.hex()}\n")
        process.stdin.close()
        try:
            yield process
        finally:
            process.kill()


def kill(process: subprocess.Popen[str]) -> None:
    """End a worker as a crash does: nothing of it runs any more."""
    process.send_signal(signal.SIGKILL)
    assert process.wait(PATIENCE) == -signal.SIGKILL


# ---- killed ----------------------------------------------------------------------------------------


def test_killed_when_it_had_written(house: House, url: str, tmp_path: Path, clock: StoppedClock) -> None:
    """A message whose writer died at once is sent by another worker."""
    with worker("write", url, tmp_path) as process:
        assert process.wait(PATIENCE) == -signal.SIGKILL
    with scripted_server() as server:
        courier = house.courier({Channel.EMAIL: make_mail(server.port)})

        assert courier.deliver(clock.now()) == 1
        assert len(server.taken) == 1


def test_killed_before_it_handed_over(house: House, url: str, tmp_path: Path, clock: StoppedClock) -> None:
    """A worker that dies with a message in hand has not sent it: another does, once the lease is over."""
    house.post(make_message())
    with scripted_server() as server:
        with worker("take", url, tmp_path, server.port) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "taken\n"
            kill(process)
        courier = house.courier({Channel.EMAIL: make_mail(server.port)})
        assert house.state() is Delivery.WAITING
        assert courier.deliver(clock.now()) == 0
        clock.move(LEASE)

        assert courier.deliver(clock.now()) == 1

        assert (len(server.taken), server.came) == (1, 1)
    assert house.state() is Delivery.SENT


@pytest.mark.parametrize("step", ["RCPT", "."])
def test_killed_while_it_sent(house: House, url: str, tmp_path: Path, clock: StoppedClock, step: str) -> None:
    """A worker that dies while a slow server takes the message leaves it alone for ever: a code never comes twice."""
    house.post(make_message())
    with scripted_server({step: HANG}) as server:
        with worker("send", url, tmp_path, server.port) as process:
            assert server.when(step).wait(PATIENCE)
            kill(process)
        server.says.clear()
        courier = house.courier({Channel.EMAIL: make_mail(server.port)})
        for _ in range(3):
            assert courier.deliver(clock.now()) == 0
            assert house.state() is Delivery.UNSURE
            clock.move(LEASE)

        assert server.came == 1
        assert len(server.taken) == (step == ".")


def test_killed_in_the_middle(house: House, url: str, tmp_path: Path, clock: StoppedClock) -> None:
    """Of sixty messages under way when a worker dies none comes twice, and only those in its hands may be missing."""
    house.post(*(make_message(number) for number in range(60)))
    with scripted_server() as server:
        with worker("send", url, tmp_path, server.port) as process:
            eventually(lambda: len(server.taken) >= 20, patience=PATIENCE)
            kill(process)
        clock.move(LEASE)
        house.courier({Channel.EMAIL: make_mail(server.port)}).deliver(clock.now())

        numbers = [int(found[1]) for taken in server.taken if (found := re.search(rb"letter (\d+)", taken))]
    states = [house.state(number) for number in range(60)]
    missing = set(range(60)) - set(numbers)
    assert len(numbers) == len(set(numbers))
    assert all(states[number] is Delivery.UNSURE for number in missing)
    assert states.count(Delivery.UNSURE) <= THREADS
    assert states.count(Delivery.SENT) == 60 - states.count(Delivery.UNSURE)


# ---- several workers -------------------------------------------------------------------------------


def test_each_message_by_one(house: House, clock: StoppedClock) -> None:
    """Three workers send 120 messages of two channels: each once, none of a channel's more at once than allowed."""
    ways = [{Channel.EMAIL: Counting(), Channel.SMS: Counting()} for _ in range(3)]
    house.post(*(make_message(number, channel=list(ways[0])[number % 2]) for number in range(120)))
    couriers = [house.courier(way) for way in ways]

    with ThreadPoolExecutor(3) as pool:
        sent = list(pool.map(lambda courier: courier.deliver(clock.now()), couriers))

    assert sum(sent) == 120
    all_sent = [message for way in ways for one in way.values() for message in one.sent]
    assert sorted(all_sent) == sorted(f"m{number}" for number in range(120))
    assert all(one.most <= THREADS for way in ways for one in way.values())


def test_one_channel_that_hangs(house: House, clock: StoppedClock) -> None:
    """While the mail server hangs, with a hundred letters before them, text messages and tasks go at once."""
    hanging, sms, done = Counting(go=threading.Event()), Counting(), threading.Event()
    assert hanging.go is not None
    house.post(*(make_message(number) for number in range(100)))
    clock.move(timedelta(seconds=1))
    house.post(make_message(200, channel=Channel.SMS), make_message(201, channel=Channel.TASK, kind="x", text="{}"))
    courier = house.courier({Channel.EMAIL: hanging, Channel.SMS: sms}, tasks={"x": lambda *_: done.set()})
    courier.start()
    try:
        assert done.wait(PATIENCE)
        eventually(lambda: sms.sent == ["m200"])
        eventually(lambda: hanging.at_once["now"] == THREADS)
    finally:
        hanging.go.set()
    eventually(lambda: len(hanging.sent) == 100)
    assert hanging.most == THREADS


# ---- the courier's life ----------------------------------------------------------------------------


def test_sent_at_once(url: str, tmp_path: Path) -> None:
    """Who writes a message waits for nobody, and the courier sends it at once and again when it comes back."""
    house = open_house(url, tmp_path, SystemClock())
    way = Counting(go=threading.Event())
    assert way.go is not None
    courier = house.courier({Channel.EMAIL: way}, back_off=(timedelta(milliseconds=50),))
    began = time.monotonic()
    courier.send(make_message(ends_at=SystemClock().now() + timedelta(minutes=5)))
    assert time.monotonic() - began < 2
    way.go.set()

    eventually(lambda: house.state() is Delivery.SENT)
    house.close()


def test_closed(house: House, clock: StoppedClock) -> None:
    """A courier that is closed lets what is under way end, takes nothing more, and what is written then is kept."""
    way = Counting(go=threading.Event())
    assert way.go is not None
    house.post(*(make_message(number) for number in range(9)))
    courier = house.courier({Channel.EMAIL: way})
    courier.start()
    eventually(lambda: way.at_once["now"] == THREADS)

    with ThreadPoolExecutor(1) as pool:
        closing = pool.submit(courier.close)
        eventually(lambda: courier._closed)
        way.go.set()
        closing.result(PATIENCE)
    courier.send(make_message(10))

    assert courier.deliver(clock.now()) == 0
    assert len(way.sent) == THREADS
    assert house.durable.messages.count() == 10 - THREADS


FORKED = """
import os, sys, threading
from pathlib import Path
from idbroker.clock import StoppedClock
from idbroker.messages.message import Channel
from tests.conftest import NOW
from tests.app_eids import eventually
from tests.messages.post_house import Counting, make_message, open_house
house = open_house(sys.argv[1], Path(sys.argv[2]), StoppedClock(NOW))
sent, way = threading.Event(), Counting()
courier = house.courier({Channel.EMAIL: way})
courier.start()
# It waits for news: a thread that is inside the database at the fork would leave the child its locks.
eventually(lambda: bool(courier._change._waiters))
ready, go = os.pipe()
if not (child := os.fork()):
    os.read(ready, 1)  # the parent's courier has ended: what comes now is the child's
    courier.tasks["told"] = lambda *_: sent.set()
    courier.send(make_message(), make_message(2, channel=Channel.TASK, kind="told", text="{}"))
    told = sent.wait(20)
    courier.close()
    os._exit(0 if told and way.sent == ["m1"] else 1)
courier.close()
os.write(go, b"!")
print(os.waitpid(child, 0)[1])
"""


def test_a_courier_survives_a_fork(house: House, url: str, tmp_path: Path) -> None:
    """A child of a worker whose courier runs has one of its own as soon as it writes."""
    ended = subprocess.run(
        [sys.executable, "-c", FORKED, url, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )

    assert (ended.stdout.strip(), ended.returncode) == ("0", 0), ended.stderr[-2000:]
