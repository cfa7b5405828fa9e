"""What becomes of a message: sent once, tried again, given up or left alone; and what others are told of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from idbroker.clock import StoppedClock
from idbroker.errors import StoreError
from idbroker.messages.courier import AILING, BACK_OFF, LEASE
from idbroker.messages.message import Channel, Delivery, Later, Message, NotSent, Unsure
from tests.conftest import NOW
from tests.messages.mail_servers import DROP, scripted_server
from tests.messages.post_house import TEXT, TO, Counting, House, make_mail, make_message, open_house

SECOND = timedelta(seconds=1)


@pytest.fixture
def house(tmp_path: Path, clock: StoppedClock) -> Iterator[House]:
    """Open a house with a store in a file."""
    opened = open_house(f"sqlite:///{tmp_path}/broker.db", tmp_path, clock)
    yield opened
    opened.close()


def test_sent(house: House, clock: StoppedClock) -> None:
    """A message that is written goes to the mail server, once, and is forgotten but for what became of it."""
    house.post(make_message())
    assert house.state() is Delivery.WAITING
    with scripted_server() as server:
        courier = house.courier({Channel.EMAIL: make_mail(server.port)})

        assert courier.deliver(clock.now()) == 1
        assert courier.deliver(clock.now()) == 0

        assert [TEXT.encode() in taken for taken in server.taken] == [True]
    assert house.state() is courier.delivery("m1") is Delivery.SENT
    assert house.durable.messages.count() == 0


def test_the_same_again(house: House, clock: StoppedClock) -> None:
    """The same id again, before and after it was sent, is the same message."""
    way = Counting()
    courier = house.courier({Channel.EMAIL: way})
    for _ in range(2):
        house.post(make_message())
        house.post(make_message())
        courier.deliver(clock.now())

    assert way.sent == ["m1"]


def test_what_lies_there(house: House, tmp_path: Path, clock: StoppedClock) -> None:
    """Nobody who reads the store learns an address or a text, and no message opens in another's place."""
    house.post(make_message(1), make_message(2))
    files = b"".join(path.read_bytes() for path in tmp_path.glob("broker.db*"))
    assert TO.encode() not in files
    assert b"123456" not in files
    one, two = house.durable.messages.due(clock.now(), LEASE, 9)
    way = Counting()
    house.durable.messages.add([replace(one, id="m3", sealed=two.sealed, due_at=clock.now(), tries=0)])

    house.courier({Channel.EMAIL: way}).deliver(clock.now())

    assert way.sent == []
    assert house.state(3) is Delivery.WAITING


@pytest.mark.parametrize(
    ("error", "state", "kind"),
    [
        (None, Delivery.SENT, "message.sent"),
        (NotSent("550", for_good=True), Delivery.FAILED, "message.failed"),
        (Unsure("lost"), Delivery.UNSURE, "message.unsure"),
        (RuntimeError(f"a bug that says {TEXT} to {TO}"), Delivery.UNSURE, "message.unsure"),
    ],
)
def test_what_becomes_of_it(
    house: House,
    clock: StoppedClock,
    error: Exception | None,
    state: Delivery,
    kind: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each end is an event that names channel and kind, and no event or line names the address or the text."""
    way = Counting(errors=[error] if error else [])
    house.post(make_message())
    courier = house.courier({Channel.EMAIL: way})
    for _ in range(3):
        courier.deliver(clock.now())
        clock.move(LEASE)

    (event,) = house.events()
    assert (event.kind, dict(event.detail)) == (kind, {"channel": "email", "kind": "code"})
    assert (event.person, event.clinic, event.at) == ("0123456789abcdef", "eyes", NOW)
    assert house.state() is state
    assert len(way.sent) == (state is Delivery.SENT)
    written = "".join(capsys.readouterr()) + repr(house.events())
    assert TO not in written
    assert "123456 " not in written


def test_tried_again(house: House, clock: StoppedClock) -> None:
    """What was not taken is tried after 1, 3, 10, 30 seconds, and each minute, until it is taken."""
    way = Counting(errors=[NotSent("451")] * 6)
    house.post(make_message())
    courier = house.courier({Channel.EMAIL: way})
    pauses = [*BACK_OFF, BACK_OFF[-1]]

    for pause in pauses:
        left = len(way.errors)
        assert courier.deliver(clock.now()) == 0
        assert len(way.errors) == left - 1
        assert house.state() is Delivery.WAITING
        clock.move(pause - SECOND / 10)
        assert courier.deliver(clock.now()) == 0
        assert len(way.errors) == left - 1
        clock.move(SECOND / 10)
    assert courier.deliver(clock.now()) == 1

    assert [pause.total_seconds() for pause in BACK_OFF] == [1, 3, 10, 30, 60]
    assert house.told() == [("message.sent", "email")]


def test_given_up(house: House, clock: StoppedClock) -> None:
    """What would be tried after its end is given up at once, so that the person can be told."""
    way = Counting(errors=[NotSent("451")] * 99)
    house.post(make_message(ends_at=NOW + timedelta(seconds=20)))
    courier = house.courier({Channel.EMAIL: way})
    for _ in range(30):
        courier.deliver(clock.now())
        clock.move(SECOND)

    assert len(way.errors) == 99 - 4
    assert house.told() == [("message.failed", "email")]


@pytest.mark.parametrize("late", [timedelta(0), timedelta(days=1)])
def test_expired(house: House, clock: StoppedClock, late: timedelta) -> None:
    """What nobody came for before its end is not sent, and is an event."""
    house.post(make_message(), make_message(2, channel=Channel.SMS, to="+46701740605"))
    clock.move(timedelta(minutes=5) + late)
    way = Counting()

    assert house.courier({Channel.EMAIL: way, Channel.SMS: way}).deliver(clock.now()) == 0

    assert way.sent == []
    assert sorted(house.told()) == [("message.expired", "email"), ("message.expired", "sms")]


def test_a_channel_that_is_not_there(house: House, clock: StoppedClock) -> None:
    """A message by a channel that is not configured fails, and others go."""
    way = Counting()
    house.post(make_message(1, channel=Channel.SMS, to="+46701740605"), make_message(2))

    assert house.courier({Channel.EMAIL: way}).deliver(clock.now()) == 1

    assert (house.state(1), house.state(2)) == (Delivery.FAILED, Delivery.SENT)


def test_all_or_none(house: House) -> None:
    """Where the store is away nothing is kept, and the writer is told."""
    courier = house.courier(outbox=Away())

    with pytest.raises(StoreError):
        courier.send(make_message())


def test_left_by_a_crash(house: House, clock: StoppedClock) -> None:
    """What a worker left behind half handed over is told of when its time is up, where the outbox knows of it."""
    house.post(make_message())
    (taken,) = house.durable.messages.due(clock.now(), LEASE, 9)
    house.durable.messages.hand_over(taken)
    clock.move(timedelta(minutes=6))

    assert house.courier({Channel.EMAIL: Counting()}).deliver(clock.now()) == 0

    assert set(house.told()) <= {("message.unsure", "email")}
    assert house.state() is None


class Away:
    """An outbox whose database does not answer."""

    def add(self, messages: object) -> None:
        """Fail."""
        raise StoreError("away")


# ---- tasks -----------------------------------------------------------------------------------------


def make_task(**changes: Any) -> Message:
    """Return work to be done."""
    usual: dict[str, Any] = {
        "channel": Channel.TASK,
        "to": "",
        "kind": "forgot",
        "text": json.dumps({"number": "x", "n": "1"}),
        "person": None,
    }
    return make_message(**{**usual, **changes})


def test_a_task(house: House, clock: StoppedClock) -> None:
    """A task is done once, with its strings and the moment; its work may be named after the courier was made."""
    tasks: dict[str, Callable[[Mapping[str, str], datetime], None]] = {}
    done: list[tuple[dict[str, str], datetime]] = []
    courier = house.courier(tasks=tasks)
    tasks["forgot"] = lambda values, now: done.append((dict(values), now))
    house.post(make_task())

    assert courier.deliver(clock.now()) == 1
    assert courier.deliver(clock.now() + LEASE) == 0

    assert done == [({"number": "x", "n": "1"}, NOW)]
    assert house.state() is Delivery.SENT


@pytest.mark.parametrize("why", [StoreError, Later])
def test_a_task_that_cannot_be_done_now(house: House, clock: StoppedClock, why: type[Exception]) -> None:
    """A task that finds its store away, or no room for it, comes back."""
    answers: list[Exception] = [why("away"), why("away")]

    def work(_values: Mapping[str, str], _now: datetime) -> None:
        if answers:
            raise answers.pop(0)

    house.post(make_task())
    courier = house.courier(tasks={"forgot": work})
    for pause in BACK_OFF[:2]:
        assert courier.deliver(clock.now()) == 0
        assert house.state() is Delivery.WAITING
        clock.move(pause)

    assert courier.deliver(clock.now()) == 1


@pytest.mark.parametrize("changes", [{}, {"kind": "unheard"}, {"text": "[]"}, {"text": '{"number": 1}'}, {"text": "x"}])
def test_a_task_that_breaks(
    house: House, clock: StoppedClock, changes: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    """A task that breaks, is unknown or does not read ends, with an event and a line that says nothing of its text."""

    def work(values: Mapping[str, str], _now: datetime) -> None:
        raise ValueError(f"a bug that says {values}")

    house.post(make_task(**changes))
    courier = house.courier(tasks={"forgot": work})
    assert courier.deliver(clock.now()) == 0
    assert courier.deliver(clock.now() + LEASE) == 0

    assert house.told() == [("message.failed", "task")]
    written = "".join(capsys.readouterr())
    assert "task_failed" in written
    assert "number" not in written


# ---- how a channel is ------------------------------------------------------------------------------


def test_works(house: House, clock: StoppedClock) -> None:
    """A channel works if it is configured and has not failed for a minute, in whichever worker that was."""
    way = Counting(errors=[NotSent("cannot connect", outage=True)])
    courier, other = house.courier({Channel.EMAIL: way}), house.courier({Channel.EMAIL: Counting()})
    assert (courier.works(Channel.EMAIL), courier.works(Channel.SMS), courier.works(Channel.TASK)) == (
        True,
        False,
        True,
    )
    house.post(make_message())

    courier.deliver(clock.now())

    assert not courier.works(Channel.EMAIL)
    assert not other.works(Channel.EMAIL)
    clock.move(AILING - SECOND)
    assert not other.works(Channel.EMAIL)
    clock.move(SECOND)
    assert other.works(Channel.EMAIL)


@pytest.mark.parametrize("error", [NotSent("550", for_good=True), NotSent("450")])
def test_an_address_that_is_dead(house: House, clock: StoppedClock, error: NotSent) -> None:
    """One mailbox that is refused says nothing of the channel."""
    house.post(make_message())
    courier = house.courier({Channel.EMAIL: Counting(errors=[error])})

    courier.deliver(clock.now())

    assert courier.works(Channel.EMAIL)


def test_works_again(house: House, clock: StoppedClock) -> None:
    """The first message that goes through shows that the channel is well, before its minute is over."""
    house.post(make_message())
    with scripted_server({".": DROP}) as server:
        courier = house.courier({Channel.EMAIL: make_mail(server.port)})
        courier.deliver(clock.now())
        assert not courier.works(Channel.EMAIL)
        server.says.clear()
        house.post(make_message(2))

        assert courier.deliver(clock.now()) == 1
    assert courier.works(Channel.EMAIL)
    assert (house.state(1), house.state(2)) == (Delivery.UNSURE, Delivery.SENT)
