"""What every store of links promises (accounts.records.Links)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from idbroker.accounts.account import Link, Purpose
from idbroker.clock import StoppedClock
from idbroker.errors import StoreError
from idbroker.person import PersonKey
from idbroker.store import Durable, open_durable
from idbroker.store.links import PURGE_AT_ONCE
from tests.store.crowd import at_once, scans, steps

HOUR = timedelta(hours=1)
INSTANT = timedelta(microseconds=1)


def person(durable: Durable, clock: StoppedClock, number: int = 0) -> str:
    """Return one of the persons whom the store knows."""
    return durable.persons.meet([PersonKey(kind="number", digest=number.to_bytes(32, "big"))], clock.now())


def link(clock: StoppedClock, of: str, digest: str = "digest", **changes: Any) -> Link:
    """Return a link that is good for an hour."""
    now = clock.now()
    one = Link(digest=digest, purpose=Purpose.RESET, person=of, clinic="clinic", made_at=now, ends_at=now + HOUR)
    return dataclasses.replace(one, **changes)


def test_found_as_it_was_added(durable: Durable, clock: StoppedClock) -> None:
    """A link comes back with every field."""
    one = link(
        clock, person(durable, clock), client="portal", transaction="t", language="da", made_at=clock.now() - HOUR
    )

    durable.links.add(one)

    found = durable.links.find("digest", clock.now())
    assert found == one
    assert isinstance(found.purpose, Purpose)
    assert durable.links.find("unknown", clock.now()) is None


def test_used_once(durable: Durable, clock: StoppedClock) -> None:
    """A link is used once, and cannot be found after (ASVS 6.4.1)."""
    durable.links.add(link(clock, person(durable, clock)))

    assert durable.links.use("digest", clock.now())
    assert not durable.links.use("digest", clock.now())
    assert not durable.links.use("unknown", clock.now())
    assert durable.links.find("digest", clock.now()) is None


def test_over_at_its_end(durable: Durable, clock: StoppedClock) -> None:
    """At its end a link is neither found nor used, a microsecond before it is both."""
    one = link(clock, person(durable, clock))
    durable.links.add(one)

    assert durable.links.find("digest", one.ends_at) is None
    assert not durable.links.use("digest", one.ends_at)
    assert durable.links.find("digest", one.ends_at - INSTANT) == one
    assert durable.links.use("digest", one.ends_at - INSTANT)


def test_a_newer_one_ends_the_older(durable: Durable, clock: StoppedClock) -> None:
    """Of one person and purpose the newest link alone is good; other purposes and other people keep theirs (O14)."""
    me, other = person(durable, clock, 1), person(durable, clock, 2)
    durable.links.add(link(clock, me, "activate", purpose=Purpose.ACTIVATE))
    durable.links.add(link(clock, other, "other"))
    durable.links.add(link(clock, me, "older", client="portal", transaction="t"))

    durable.links.add(link(clock, me, "newer"))

    good = [name for name in ("activate", "other", "older", "newer") if durable.links.find(name, clock.now())]
    assert good == ["activate", "other", "newer"]
    assert not durable.links.use("older", clock.now())
    assert durable.links.find("newer", clock.now()) == link(clock, me, "newer")


def test_a_newer_one_after_a_used_one(durable: Durable, clock: StoppedClock) -> None:
    """Whoever has used a link can be sent another, and the used one stays used."""
    me = person(durable, clock)
    durable.links.add(link(clock, me, "first"))
    durable.links.use("first", clock.now())

    durable.links.add(link(clock, me, "second"))

    assert not durable.links.use("first", clock.now())
    assert durable.links.use("second", clock.now())


def test_of_many_users_one(durable: Durable, clock: StoppedClock) -> None:
    """Of 200 that follow a link at once exactly one uses it."""
    durable.links.add(link(clock, person(durable, clock)))

    assert at_once(lambda _: durable.links.use("digest", clock.now())).count(True) == 1


def test_of_many_added_at_once_one_is_good(durable: Durable, clock: StoppedClock) -> None:
    """Of 200 made at once for one person and purpose one is good: no two windows are left open side by side."""
    me = person(durable, clock)

    at_once(lambda number: durable.links.add(link(clock, me, f"digest-{number}")))

    assert sum(durable.links.find(f"digest-{number}", clock.now()) is not None for number in range(200)) == 1


def test_a_used_one_is_not_brought_back(durable: Durable, clock: StoppedClock) -> None:
    """However a new link and the use of the old one fall together, at most the new one is good after."""
    me = person(durable, clock)
    durable.links.add(link(clock, me, "old"))

    at_once(
        lambda number: durable.links.use("old", clock.now()) if number else durable.links.add(link(clock, me, "new"))
    )

    assert durable.links.find("old", clock.now()) is None
    assert durable.links.use("new", clock.now())


def test_all_of_a_person_end(durable: Durable, clock: StoppedClock) -> None:
    """With one word every link of a person ends, and nobody else's."""
    me, other = person(durable, clock, 1), person(durable, clock, 2)
    durable.links.add(link(clock, me, "reset"))
    durable.links.add(link(clock, me, "activate", purpose=Purpose.ACTIVATE))
    durable.links.add(link(clock, other, "other"))

    durable.links.end_all(me)
    durable.links.end_all(me)

    assert not durable.links.use("reset", clock.now())
    assert not durable.links.use("activate", clock.now())
    assert durable.links.use("other", clock.now())


def test_purge(durable: Durable, clock: StoppedClock) -> None:
    """What is over goes, used or not, in more than one step if need be, and nothing else."""
    for number in range(PURGE_AT_ONCE + 1):
        durable.links.add(link(clock, person(durable, clock, number), f"digest-{number}"))
    durable.links.use("digest-7", clock.now())
    durable.links.add(link(clock, person(durable, clock, 9999), "later", ends_at=clock.now() + 2 * HOUR))

    assert durable.links.purge(clock.now() + HOUR - INSTANT) == 0
    assert durable.links.purge(clock.now() + HOUR) == PURGE_AT_ONCE + 1
    assert durable.links.purge(clock.now() + HOUR) == 0
    assert durable.links.find("later", clock.now()) is not None


def test_one_digest_is_one_persons(durable: Durable, clock: StoppedClock) -> None:
    """A digest that another has is refused, and both keep what they had: nobody gets another's link."""
    me, other = person(durable, clock, 1), person(durable, clock, 2)
    durable.links.add(link(clock, me, "mine"))
    durable.links.add(link(clock, other, "theirs"))

    with pytest.raises(StoreError):
        durable.links.add(link(clock, other, "mine"))

    assert durable.links.find("mine", clock.now()) == link(clock, me, "mine")
    assert durable.links.find("theirs", clock.now()) is not None


def test_nobody_there(durable_url: str, clock: StoppedClock) -> None:
    """Without its table every call is a StoreError."""
    store = open_durable(durable_url, clock)
    calls: tuple[Callable[[], object], ...] = (
        lambda: store.links.add(link(clock, "p")),
        lambda: store.links.find("digest", clock.now()),
        lambda: store.links.use("digest", clock.now()),
        lambda: store.links.end_all("p"),
        lambda: store.links.purge(clock.now()),
    )
    for call in calls:
        with pytest.raises(StoreError):
            call()
    store.close()


def test_looked_up_by_index(tmp_path: Path, clock: StoppedClock) -> None:
    """No call reads the table from end to end, and 2,000 links cost what twenty cost."""
    store = open_durable(f"sqlite:///{tmp_path}/broker.db", clock)
    store.migrate()
    me = person(store, clock, 9999)

    def fill(first: int, to: int) -> None:
        for number in range(first, to):
            store.links.add(link(clock, person(store, clock, number), f"digest-{number}"))

    def every_call() -> None:
        store.links.add(link(clock, me))
        store.links.find("digest-7", clock.now())
        store.links.use("digest", clock.now())
        store.links.end_all(me)
        store.links.purge(clock.now())

    fill(0, 20)
    every_call()
    few = steps(store, every_call)
    fill(20, 2000)

    assert scans(store, "link", every_call) == []
    assert steps(store, every_call) < 2 * few
    store.close()
