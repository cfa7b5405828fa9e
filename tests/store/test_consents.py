"""What every store of consents promises (accounts.records.Consents)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from idbroker.accounts.account import Agreed, Consent
from idbroker.clock import StoppedClock
from idbroker.errors import StoreError
from idbroker.person import PersonKey
from idbroker.store import Durable, open_durable
from tests.store.crowd import at_once, scans, steps

MINUTE = timedelta(minutes=1)


@pytest.fixture
def person(durable: Durable, clock: StoppedClock) -> str:
    """Give a person whom the store knows."""
    return durable.persons.meet([PersonKey(kind="number", digest=b"n" * 32)], clock.now())


def consent(clock: StoppedClock, of: str, number: int = 0, **changes: Any) -> Consent:
    """Return a consent to a clinic's terms."""
    one = Consent(id=f"{number:032x}", person=of, kind=Agreed.TERMS, about="clinic", version="1", given_at=clock.now())
    return dataclasses.replace(one, **changes)


def test_found_as_it_was_given(durable: Durable, clock: StoppedClock, person: str) -> None:
    """A consent comes back with every field, its items in their order."""
    items = ("name", "e-mail", "å", "")
    one = consent(clock, person, kind=Agreed.RELEASE, about="portal", items=items, language="fi", version="")

    durable.consents.give(one)

    assert durable.consents.current(person, Agreed.RELEASE, "portal") == one
    assert durable.consents.of(person) == (one,)


def test_nothing_was_agreed_to(durable: Durable, clock: StoppedClock, person: str) -> None:
    """Without a consent there is none, and one of another kind, about another or by another is none."""
    durable.consents.give(consent(clock, person))

    assert durable.consents.current(person, Agreed.RELEASE, "clinic") is None
    assert durable.consents.current(person, Agreed.TERMS, "another") is None
    assert durable.consents.current("another", Agreed.TERMS, "clinic") is None
    assert durable.consents.of("another") == ()


def test_a_newer_one_withdraws_the_earlier(durable: Durable, clock: StoppedClock, person: str) -> None:
    """Terms in a new version take the place of the old; what was agreed to before stays as a record (GDPR 7.1)."""
    first, second = consent(clock, person, 1), consent(clock, person, 2, version="2", given_at=clock.now() + MINUTE)
    beside = consent(clock, person, 3, about="another", given_at=clock.now() - MINUTE)
    for one in (first, beside, second):
        durable.consents.give(one)

    assert durable.consents.current(person, Agreed.TERMS, "clinic") == second
    assert durable.consents.current(person, Agreed.TERMS, "another") == beside
    withdrawn = dataclasses.replace(first, withdrawn_at=second.given_at)
    assert durable.consents.of(person) == (second, withdrawn, beside)


def test_withdrawn_stays_as_it_was_withdrawn(durable: Durable, clock: StoppedClock, person: str) -> None:
    """What the person withdrew keeps that moment when something newer is agreed to."""
    durable.consents.give(consent(clock, person, 1))
    assert durable.consents.withdraw(person, consent(clock, person, 1).id, clock.now() + MINUTE)
    assert durable.consents.current(person, Agreed.TERMS, "clinic") is None

    durable.consents.give(consent(clock, person, 2, given_at=clock.now() + 2 * MINUTE))

    assert [one.withdrawn_at for one in durable.consents.of(person)] == [None, clock.now() + MINUTE]


def test_withdrawn_by_whom_it_is_of(durable: Durable, clock: StoppedClock, person: str) -> None:
    """Nobody withdraws another's consent, one that is not there, or one twice."""
    durable.consents.give(consent(clock, person, 1))
    durable.consents.give(consent(clock, "another", 2))

    assert not durable.consents.withdraw("another", consent(clock, person, 1).id, clock.now())
    assert not durable.consents.withdraw(person, "unknown", clock.now())
    assert durable.consents.withdraw(person, consent(clock, person, 1).id, clock.now())
    assert not durable.consents.withdraw(person, consent(clock, person, 1).id, clock.now() + MINUTE)
    assert durable.consents.of(person)[0].withdrawn_at == clock.now()
    assert durable.consents.current("another", Agreed.TERMS, "clinic") is not None


def test_all_or_nothing(durable: Durable, clock: StoppedClock, person: str) -> None:
    """Where the new one cannot be kept, the earlier still holds."""
    first = consent(clock, person, 1)
    durable.consents.give(first)

    with pytest.raises(StoreError):
        durable.consents.give(dataclasses.replace(first, version="2"))

    assert durable.consents.of(person) == (first,)


def test_of_many_given_at_once_one_holds(durable: Durable, clock: StoppedClock, person: str) -> None:
    """200 consents at once are all kept, and one of them holds."""
    at_once(lambda number: durable.consents.give(consent(clock, person, number)))

    kept = durable.consents.of(person)
    assert len(kept) == 200
    assert [one for one in kept if one.withdrawn_at is None] == [
        durable.consents.current(person, Agreed.TERMS, "clinic")
    ]


def test_of_many_that_withdraw_one_does(durable: Durable, clock: StoppedClock, person: str) -> None:
    """Of 200 that withdraw a consent at once one is told that it did: one event, not two hundred."""
    durable.consents.give(consent(clock, person))

    withdrawn = at_once(lambda _: durable.consents.withdraw(person, consent(clock, person).id, clock.now()))

    assert withdrawn.count(True) == 1


def test_nobody_there(durable_url: str, clock: StoppedClock) -> None:
    """Without its table every call is a StoreError."""
    store = open_durable(durable_url, clock)
    calls: tuple[Callable[[], object], ...] = (
        lambda: store.consents.give(consent(clock, "p")),
        lambda: store.consents.current("p", Agreed.TERMS, "clinic"),
        lambda: store.consents.of("p"),
        lambda: store.consents.withdraw("p", "id", clock.now()),
    )
    for call in calls:
        with pytest.raises(StoreError):
            call()
    store.close()


def test_looked_up_by_index(tmp_path: Path, clock: StoppedClock) -> None:
    """No call reads the table from end to end, and 2,000 consents cost what twenty cost."""
    store = open_durable(f"sqlite:///{tmp_path}/broker.db", clock)
    store.migrate()
    given = iter(range(2000, 9999))

    def fill(first: int, to: int) -> None:
        for number in range(first, to):
            store.consents.give(consent(clock, f"p-{number}", number))

    def every_call() -> None:
        number = next(given)
        store.consents.give(consent(clock, f"q-{number}", number))
        store.consents.current("p-7", Agreed.TERMS, "clinic")
        store.consents.of("p-7")
        store.consents.withdraw("p-7", "unknown", clock.now())

    fill(0, 20)
    every_call()
    few = steps(store, every_call)
    fill(20, 2000)

    assert scans(store, "consent", every_call) == []
    assert steps(store, every_call) < 2 * few
    store.close()
