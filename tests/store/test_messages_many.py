"""What every store of messages promises of many: couriers at once, messages by the thousand."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from idbroker.clock import StoppedClock
from idbroker.messages.message import Channel, Delivery, SealedMessage
from idbroker.store import Durable, open_durable
from idbroker.store.messages import PURGE_AT_ONCE
from tests.store.crowd import at_once, scans, steps
from tests.store.test_messages import HOUR, INSTANT, MINUTE, message, take

CHANNELS = tuple(Channel)


def test_of_many_couriers_each_message_goes_to_one(durable: Durable, clock: StoppedClock) -> None:
    """Eight that take at once take every message once, and never more than they asked for."""
    durable.messages.add([message(clock, number, channel=CHANNELS[number % 3]) for number in range(300)])
    together = threading.Barrier(8)

    def one(_: int) -> list[str]:
        together.wait(10)
        mine: list[str] = []
        while taken := take(durable, clock, most=7):
            assert len(taken) <= 7
            mine += [message.id for message in taken]
        return mine

    with ThreadPoolExecutor(8) as pool:
        taken = [key for mine in pool.map(one, range(8)) for key in mine]
    # Two that look at the same moment may both go home with less than there was.
    taken += [left.id for left in take(durable, clock, most=999)]

    assert len(taken) == len(set(taken)) == 300


def test_two_hundred_take_at_once(durable: Durable, clock: StoppedClock) -> None:
    """Of 200 that want one message at once each takes another, or none."""
    durable.messages.add([message(clock, number) for number in range(100)])

    taken = [one.id for taken in at_once(lambda _: take(durable, clock, most=1)) for one in taken]
    taken += [one.id for one in take(durable, clock)]

    assert len(taken) == len(set(taken)) == 100


def test_two_hundred_hand_over_at_once(durable: Durable, clock: StoppedClock) -> None:
    """Of 200 that hand over one message at once one does: a code is not sent twice."""
    durable.messages.add([message(clock)])
    (one,) = take(durable, clock)

    assert at_once(lambda _: durable.messages.hand_over(one)).count(True) == 1


def test_old_and_new_courier_at_once(durable: Durable, clock: StoppedClock) -> None:
    """When a lease ends just as its courier hands over, old and new one never both send."""
    for number in range(20):
        durable.messages.add([message(clock, number)])
        (old,) = take(durable, clock)
        clock.move(MINUTE)

        def send(who: int, old: SealedMessage = old) -> bool:
            mine = take(durable, clock) if who else [old]
            return any(durable.messages.hand_over(one) for one in mine)

        assert at_once(send, 2).count(True) == 1


def test_two_hundred_add_one_at_once(durable: Durable, clock: StoppedClock) -> None:
    """A form that was sent 200 times at once is one message."""
    at_once(lambda _: durable.messages.add([message(clock, 1), message(clock, 2)]))

    assert durable.messages.count() == 2


def test_adding_in_any_order_at_once(durable: Durable, clock: StoppedClock) -> None:
    """Those that add the same messages in opposite orders do not wait for each other for ever."""
    many = [message(clock, number) for number in range(50)]

    at_once(lambda number: durable.messages.add(many if number % 2 else many[::-1]), 16)

    assert durable.messages.count() == 50


def test_purged_at_their_end(durable: Durable, clock: StoppedClock) -> None:
    """What has come to its end goes, in more than one step if need be; those that still waited are told, unsaid."""
    many = [message(clock, number) for number in range(PURGE_AT_ONCE + 3)]
    durable.messages.add([*many, message(clock, 9999, ends_at=clock.now() + 2 * HOUR)])
    sent, unsure, taken = take(durable, clock, most=3)
    durable.messages.end(sent, Delivery.SENT)
    durable.messages.hand_over(unsure)

    assert durable.messages.purge(clock.now() + HOUR - INSTANT) == ()
    waited = durable.messages.purge(clock.now() + HOUR)

    assert {one.id for one in waited} == {one.id for one in many} - {sent.id, unsure.id}
    assert {(one.sealed, one.state, one.kind) for one in waited} == {(b"", Delivery.WAITING, "code")}
    assert [one.tries for one in waited if one.id == taken.id] == [1]
    assert durable.messages.state(sent.id) is None
    assert durable.messages.count() == 1
    assert durable.messages.purge(clock.now() + HOUR) == ()


def test_each_end_is_told_to_one(durable: Durable, clock: StoppedClock) -> None:
    """Of many that purge at once each message that still waited is told to one: one event for each."""
    durable.messages.add([message(clock, number) for number in range(500)])

    told = at_once(lambda _: durable.messages.purge(clock.now() + HOUR), 16)
    told.append(durable.messages.purge(clock.now() + HOUR))

    ids = [one.id for each in told for one in each]
    assert len(ids) == len(set(ids)) == 500


def test_after_its_end_an_id_is_new(durable: Durable, clock: StoppedClock) -> None:
    """Past its end and purged, a message of the same id is another one."""
    durable.messages.add([message(clock)])
    clock.move(HOUR)
    durable.messages.purge(clock.now())

    durable.messages.add([message(clock)])

    assert len(take(durable, clock)) == 1


@pytest.fixture
def store(tmp_path: Path, clock: StoppedClock) -> Durable:
    """Give a store whose plans and steps can be counted."""
    opened = open_durable(f"sqlite:///{tmp_path}/broker.db", clock)
    opened.migrate()
    return opened


def fill(store: Durable, many: list[SealedMessage]) -> None:
    """Add them, a thousand at a time."""
    for at in range(0, len(many), 1000):
        store.messages.add(many[at : at + 1000])


def every_call(store: Durable, clock: StoppedClock) -> None:
    """Go with one message all the way."""
    store.messages.add([message(clock, 99999, due_at=clock.now() - HOUR)])
    (one,) = take(store, clock, most=1)
    store.messages.hand_over(one)
    store.messages.later(one, clock.now() + MINUTE)
    store.messages.end(one, Delivery.SENT)
    store.messages.state(one.id)
    store.messages.purge(clock.now())


def test_looked_up_by_index(store: Durable, clock: StoppedClock) -> None:
    """No call reads the table from end to end."""
    fill(store, [message(clock, number) for number in range(10)])

    assert scans(store, "message", lambda: every_call(store, clock)) == []
    assert scans(store, "message", store.messages.count) == []


Make = Callable[[StoppedClock, int], SealedMessage]
BACKLOGS: dict[str, Make] = {
    "sent": lambda clock, number: message(clock, number, state=Delivery.SENT, sealed=b""),
    "waiting": message,
    "later": lambda clock, number: message(clock, number, due_at=clock.now() + HOUR),
    "unsent": lambda clock, number: message(clock, number, channel=Channel.SMS, due_at=clock.now() - HOUR),
}


@pytest.mark.parametrize("backlog", BACKLOGS)
def test_a_backlog_costs_nothing(store: Durable, clock: StoppedClock, backlog: str) -> None:
    """Taking one costs the same beside 5,000 that were sent, that wait, or that go by a way that is down."""
    make = BACKLOGS[backlog]

    def one() -> None:
        store.messages.add([message(clock, 99999, channel=Channel.EMAIL, ends_at=clock.now() + MINUTE)])
        (mine,) = take(store, clock, most=1, without={Channel.SMS})
        store.messages.hand_over(mine)
        store.messages.end(mine, Delivery.SENT)
        store.messages.purge(clock.now() + MINUTE)

    fill(store, [make(clock, number) for number in range(10)])
    one()
    few = steps(store, one)
    fill(store, [make(clock, number) for number in range(10, 5000)])

    assert steps(store, one) < 2 * few
