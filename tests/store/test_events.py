"""What every audit trail promises (events.Events)."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from idbroker.clock import StoppedClock
from idbroker.events import Event
from idbroker.store import Durable, open_durable
from tests.store.crowd import scans, steps


def test_recorded_and_read(durable: Durable, clock: StoppedClock) -> None:
    """An event comes back as it was recorded, every field, to the microsecond and in UTC."""
    at = clock.now() + timedelta(microseconds=123_456)
    full = Event(
        at=at,
        kind="signed_in",
        transaction="t",
        client="portal",
        clinic="odense",
        provider="mitid",
        person="p",
        ref="r",
        detail={"acr": "substantial", "reason": "å"},
    )
    durable.events.record(full)
    durable.events.record(Event(at=at.astimezone(timezone(timedelta(hours=2))), kind="bare"))

    assert durable.events.since(at) == (full, Event(at=at, kind="bare"))


def test_since_is_ordered_bounded_and_filtered(durable: Durable, clock: StoppedClock) -> None:
    """From a moment on, that moment included, oldest first, at most so many, one kind if asked."""
    events = [
        Event(at=clock.now() + timedelta(seconds=second), kind=kind)
        for second, kind in ((3, "b"), (1, "a"), (2, "b"), (0, "a"), (2, "a"))
    ]
    for event in events:
        durable.events.record(event)

    moments = [event.at.second for event in durable.events.since(clock.now() + timedelta(seconds=1))]
    assert moments == [1, 2, 2, 3]
    assert [event.at.second for event in durable.events.since(clock.now(), kind="b")] == [2, 3]
    assert [event.at.second for event in durable.events.since(clock.now(), limit=2)] == [2, 3]


def test_a_moment_has_a_time_zone(durable: Durable) -> None:
    """A moment without a time zone is a mistake of ours, not a guess of the database's."""
    with pytest.raises(ValueError, match="cannot be stored"):
        durable.events.record(Event(at=datetime(2026, 1, 1), kind="naive"))  # noqa: DTZ001 - the point


def test_each_event_is_kept_once(durable: Durable, clock: StoppedClock) -> None:
    """Equal events are several events."""
    event = Event(at=clock.now(), kind="signed_in")
    for _ in range(3):
        durable.events.record(dataclasses.replace(event))

    assert durable.events.since(clock.now()) == (event,) * 3


def test_of_a_person_the_newest_first(durable: Durable, clock: StoppedClock) -> None:
    """A person is shown its own events and nobody else's, the newest first, at most so many."""
    for number, person in enumerate(("me", "you", "me", None, "me")):
        durable.events.record(Event(at=clock.now(), kind=f"k{number}", person=person))

    assert [event.kind for event in durable.events.of_person("me", 9)] == ["k4", "k2", "k0"]
    assert [event.kind for event in durable.events.of_person("me", 2)] == ["k4", "k2"]
    assert durable.events.of_person("nobody", 9) == ()


def test_of_a_person_by_index(tmp_path: Path, clock: StoppedClock) -> None:
    """What a person did costs the same to show beside 2,000 events of others."""
    store = open_durable(f"sqlite:///{tmp_path}/broker.db", clock)
    store.migrate()

    def fill(many: int) -> None:
        for number in range(many):
            store.events.record(Event(at=clock.now(), kind="signed_in", person=f"p-{number}"))

    def show() -> None:
        assert len(store.events.of_person("p-7", 20)) <= 3

    fill(20)
    show()
    few = steps(store, show)
    fill(2000)

    assert scans(store, "event", show) == []
    assert steps(store, show) < 2 * few
    store.close()
