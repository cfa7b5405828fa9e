"""What every store of messages promises (messages.message.Outbox)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta, timezone
from typing import Any

import pytest

from idbroker.clock import StoppedClock
from idbroker.errors import StoreError
from idbroker.messages.message import Channel, Delivery, SealedMessage
from idbroker.store import Durable, open_durable
from tests.store.crowd import statements

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
INSTANT = timedelta(microseconds=1)
SEALED = b"\0\1sealed"


def message(clock: StoppedClock, number: int = 0, **changes: Any) -> SealedMessage:
    """Return a message that is due now, and of use for an hour."""
    now = clock.now()
    one = SealedMessage(
        id=f"{number:032x}", channel=Channel.SMS, kind="code", sealed=SEALED, due_at=now, ends_at=now + HOUR
    )
    return dataclasses.replace(one, **changes)


def take(durable: Durable, clock: StoppedClock, most: int = 99, **rest: Any) -> list[SealedMessage]:
    """Take what is due, for a minute."""
    return list(durable.messages.due(clock.now(), MINUTE, most, **rest))


def numbers(messages: list[SealedMessage]) -> list[int]:
    """Return the numbers of messages, in their order."""
    return [int(one.id, 16) for one in messages]


def test_taken_as_it_was_added(durable: Durable, clock: StoppedClock) -> None:
    """A message comes back with every field, to the microsecond, its try counted and its lease as its time."""
    due_at = (clock.now() - 7 * INSTANT).astimezone(timezone(timedelta(hours=2)))
    one = message(clock, id="login:å", channel=Channel.EMAIL, due_at=due_at)

    durable.messages.add([one])

    taken = take(durable, clock)
    assert taken == [dataclasses.replace(one, due_at=clock.now() + MINUTE, tries=1)]
    assert (type(taken[0].channel), type(taken[0].state), type(taken[0].sealed)) == (Channel, Delivery, bytes)
    assert durable.messages.count() == 1
    assert durable.messages.state("login:å") is Delivery.WAITING


def test_added_all_or_none(durable: Durable, clock: StoppedClock) -> None:
    """Where one of several cannot be kept none is."""
    broken = dataclasses.replace(message(clock, 2), kind=None)  # type: ignore[arg-type]

    with pytest.raises(StoreError):
        durable.messages.add([message(clock, 1), broken, message(clock, 3)])

    assert durable.messages.count() == 0


def test_the_same_id_is_the_same_message(durable: Durable, clock: StoppedClock) -> None:
    """A message that was added again, before it was sent or after, is sent once; what is new beside it is kept."""
    durable.messages.add([message(clock, 1), message(clock, 1, sealed=b"\0\1twice")])
    (first,) = take(durable, clock)
    durable.messages.add([message(clock, 1), message(clock, 2)])
    assert numbers(take(durable, clock)) == [2]
    durable.messages.hand_over(first)
    durable.messages.end(first, Delivery.SENT)

    durable.messages.add([message(clock, 1)])
    durable.messages.add([])

    assert first.sealed == SEALED
    assert durable.messages.state(first.id) is Delivery.SENT
    clock.move(MINUTE)
    assert numbers(take(durable, clock)) == [2]


def test_one_statement_adds_them_all(durable: Durable, clock: StoppedClock) -> None:
    """Messages that belong together cost one statement, and so does taking them."""
    many = [message(clock, number) for number in range(100)]

    assert len(statements(durable, lambda: durable.messages.add(many))) == 1
    assert len(statements(durable, lambda: take(durable, clock))) == 1


def test_only_what_is_due(durable: Durable, clock: StoppedClock) -> None:
    """At its moment a message is due, not before."""
    durable.messages.add([message(clock, due_at=clock.now() + SECOND)])

    assert take(durable, clock) == []
    clock.move(SECOND)
    assert len(take(durable, clock)) == 1


def test_not_past_its_end(durable: Durable, clock: StoppedClock) -> None:
    """A code that is over is not sent."""
    durable.messages.add([message(clock, 1), message(clock, 2, ends_at=clock.now() + HOUR + INSTANT)])
    clock.move(HOUR)

    assert numbers(take(durable, clock)) == [2]


def test_hidden_for_the_lease(durable: Durable, clock: StoppedClock) -> None:
    """What somebody took is nobody else's until the lease is over; then it comes back, as if that one had died."""
    durable.messages.add([message(clock)])

    assert len(take(durable, clock)) == 1
    clock.move(MINUTE - INSTANT)
    assert take(durable, clock) == []
    clock.move(INSTANT)
    assert [one.tries for one in take(durable, clock)] == [2]


def test_oldest_first(durable: Durable, clock: StoppedClock) -> None:
    """No more than asked, those that have waited longest, whatever their channel, and in that order."""
    channels = (Channel.SMS, Channel.EMAIL, Channel.TASK)
    for number in (3, 1, 5, 2, 4):
        one = message(clock, number, due_at=clock.now() - number * SECOND, channel=channels[number % 3])
        durable.messages.add([one])

    assert numbers(take(durable, clock, most=3)) == [5, 4, 3]
    assert numbers(take(durable, clock, most=3)) == [2, 1]
    assert take(durable, clock, most=3) == []


def test_without_some_channels(durable: Durable, clock: StoppedClock) -> None:
    """Channels that are left alone keep theirs."""
    durable.messages.add([message(clock, number, channel=channel) for number, channel in enumerate(Channel)])

    assert take(durable, clock, without=tuple(Channel)) == []
    (left,) = take(durable, clock, without={Channel.SMS, Channel.TASK})
    assert left.channel is Channel.EMAIL
    assert {one.channel for one in take(durable, clock)} == {Channel.SMS, Channel.TASK}


def test_handed_over_once(durable: Durable, clock: StoppedClock) -> None:
    """Once it is being sent a message is UNSURE, is not taken again whatever happens, and waits no more."""
    durable.messages.add([message(clock)])
    (one,) = take(durable, clock)

    assert durable.messages.hand_over(one)
    assert not durable.messages.hand_over(one)

    assert durable.messages.state(one.id) is Delivery.UNSURE
    assert durable.messages.count() == 0
    clock.move(2 * MINUTE)
    assert take(durable, clock) == []


def test_too_slow_to_hand_over(durable: Durable, clock: StoppedClock) -> None:
    """Whoever outlived its lease sends nothing that another has by now, and changes nothing of it."""
    durable.messages.add([message(clock)])
    (slow,) = take(durable, clock)
    clock.move(MINUTE)
    (quick,) = take(durable, clock)

    assert not durable.messages.hand_over(slow)
    durable.messages.later(slow, clock.now())
    durable.messages.end(slow, Delivery.FAILED)

    assert take(durable, clock) == []
    assert durable.messages.hand_over(quick)
    durable.messages.later(slow, clock.now())
    durable.messages.end(slow, Delivery.FAILED)
    assert durable.messages.state(quick.id) is Delivery.UNSURE


def test_slow_but_alone(durable: Durable, clock: StoppedClock) -> None:
    """Whoever outlived its lease may still send what nobody else has taken."""
    durable.messages.add([message(clock)])
    (slow,) = take(durable, clock)
    clock.move(2 * MINUTE)

    assert durable.messages.hand_over(slow)


def test_later(durable: Durable, clock: StoppedClock) -> None:
    """What was not taken by whom it was handed to waits again, and comes back when it was told to, as it was."""
    durable.messages.add([message(clock, 1), message(clock, 2)])
    handed, kept = take(durable, clock)
    durable.messages.hand_over(handed)

    durable.messages.later(handed, clock.now() + 5 * MINUTE)
    durable.messages.later(kept, clock.now() + 5 * MINUTE)

    assert durable.messages.state(handed.id) is Delivery.WAITING
    clock.move(5 * MINUTE - INSTANT)
    assert take(durable, clock) == []
    clock.move(INSTANT)
    assert [(one.tries, one.sealed) for one in take(durable, clock)] == [(2, SEALED)] * 2


def test_what_has_ended_does_not_wait_again(durable: Durable, clock: StoppedClock) -> None:
    """A message that was sent or has failed is never sent again."""
    durable.messages.add([message(clock, 1), message(clock, 2)])
    for one, state in zip(take(durable, clock), (Delivery.SENT, Delivery.FAILED), strict=True):
        durable.messages.end(one, state)

        durable.messages.later(one, clock.now())
        assert not durable.messages.hand_over(one)
        assert durable.messages.state(one.id) is state

    clock.move(2 * MINUTE)
    assert take(durable, clock) == []


def test_ended_and_forgotten(durable: Durable, clock: StoppedClock) -> None:
    """What has become of a message stays until its end; what it said is gone at once, to be sealed anew by nobody."""
    durable.messages.add([message(clock, 1), message(clock, 2)])
    first, _ = take(durable, clock)
    durable.messages.hand_over(first)

    durable.messages.end(first, Delivery.SENT)

    assert durable.messages.state(first.id) is Delivery.SENT
    assert durable.messages.count() == 1
    assert [value.key for value in durable.sealed.not_by(2, 9)] == [(message(clock, 2).id,)]


def test_nobody_knows_it(durable: Durable, clock: StoppedClock) -> None:
    """Of a message that is not there nothing is known, and nothing can be changed."""
    one = message(clock)
    durable.messages.later(one, clock.now())
    durable.messages.end(one, Delivery.SENT)

    assert not durable.messages.hand_over(one)
    assert durable.messages.state(one.id) is None
    assert durable.messages.count() == 0


def test_nobody_there(durable_url: str, clock: StoppedClock) -> None:
    """Without its table every call is a StoreError."""
    store = open_durable(durable_url, clock)
    one = message(clock)
    calls: tuple[Callable[[], object], ...] = (
        lambda: store.messages.add([one]),
        lambda: take(store, clock),
        lambda: store.messages.hand_over(one),
        lambda: store.messages.later(one, clock.now()),
        lambda: store.messages.end(one, Delivery.SENT),
        lambda: store.messages.state(one.id),
        store.messages.count,
        lambda: store.messages.purge(clock.now()),
    )
    for call in calls:
        with pytest.raises(StoreError):
            call()
    store.close()


def test_errors_repeat_no_values(durable: Durable, clock: StoppedClock) -> None:
    """What a database says about a message it refused does not carry its values."""
    broken = message(clock, kind=None, sealed=b"\0\1a-sealed-message")

    with pytest.raises(StoreError) as caught:
        durable.messages.add([broken])

    assert "a-sealed-message" not in f"{caught.value} {caught.value.__cause__}"
