"""What every store of persons promises (person.Persons)."""

from __future__ import annotations

import dataclasses

import pytest

from idbroker.clock import StoppedClock
from idbroker.events import Event
from idbroker.person import PersonKey
from idbroker.store import Durable
from tests.store.rivals import KEYS, PROCESSES, THREADS, fight


def _key(name: str, kind: str = "upstream") -> PersonKey:
    return PersonKey(kind=kind, digest=name.encode().ljust(32, b"."))


def test_a_stranger_becomes_a_person(durable: Durable, clock: StoppedClock) -> None:
    """Unknown keys make a person, and each of them finds that person from then on."""
    person = durable.persons.meet([_key("number"), _key("mitid")], clock.now())

    assert len(person) == 32
    assert durable.persons.meet([_key("number")], clock.now()) == person
    assert durable.persons.meet([_key("mitid")], clock.now()) == person


def test_only_looked_for(durable: Durable, clock: StoppedClock) -> None:
    """Who is looked for is found by the first key that is known; a stranger is nobody, and stays unknown."""
    person = durable.persons.meet([_key("number")], clock.now())

    assert durable.persons.known([_key("unknown"), _key("number")]) == person
    assert durable.persons.known([_key("unknown")]) is None
    assert durable.persons.meet([_key("unknown")], clock.now()) != person


def test_two_strangers_are_two(durable: Durable, clock: StoppedClock) -> None:
    """Other keys, another person."""
    assert durable.persons.meet([_key("one")], clock.now()) != durable.persons.meet([_key("two")], clock.now())


def test_a_number_joins_eids(durable: Durable, clock: StoppedClock) -> None:
    """A new eID of a known number belongs to the number's person afterwards, even without the number."""
    person = durable.persons.meet([_key("number"), _key("mitid")], clock.now())

    assert durable.persons.meet([_key("number"), _key("freja")], clock.now()) == person
    assert durable.persons.meet([_key("freja")], clock.now()) == person


def test_a_number_that_changed(durable: Durable, clock: StoppedClock) -> None:
    """A known eID with a new number keeps the person, and the new number belongs to the person too."""
    person = durable.persons.meet([_key("temporary"), _key("bankid")], clock.now())

    assert durable.persons.meet([_key("permanent"), _key("bankid")], clock.now()) == person
    assert durable.persons.meet([_key("permanent")], clock.now()) == person


def test_the_first_known_key_decides(durable: Durable, clock: StoppedClock) -> None:
    """Where two keys know two persons the stronger, first one wins, and nothing is moved."""
    first = durable.persons.meet([_key("one")], clock.now())
    second = durable.persons.meet([_key("two")], clock.now())

    assert durable.persons.meet([_key("one"), _key("two")], clock.now()) == first
    assert durable.persons.meet([_key("unknown"), _key("two"), _key("one")], clock.now()) == second
    assert durable.persons.meet([_key("two")], clock.now()) == second
    assert durable.persons.meet([_key("one")], clock.now()) == first


def test_the_same_key_twice(durable: Durable, clock: StoppedClock) -> None:
    """A key given twice is one key."""
    person = durable.persons.meet([_key("one"), _key("one")], clock.now())

    assert durable.persons.meet([_key("one")], clock.now()) == person


def test_no_key(durable: Durable, clock: StoppedClock) -> None:
    """Nobody is met by nothing."""
    with pytest.raises(ValueError, match="at least one key"):
        durable.persons.meet([], clock.now())


def test_many_at_once_are_one_person(durable: Durable, durable_url: str, clock: StoppedClock) -> None:
    """24 threads in 3 processes that meet the same stranger meet one person."""
    answers = fight(durable_url, ("meet",))["meet"]

    assert len(answers) == THREADS * (PROCESSES + 1)
    assert set(answers) == {durable.persons.meet(KEYS, clock.now())}


def test_signed_in_records_whom_it_met(durable: Durable, clock: StoppedClock) -> None:
    """Meeting and recording go together, for a stranger and for somebody known."""
    event = Event(at=clock.now(), kind="signed_in", client="portal")

    person = durable.signed_in([_key("one")], lambda met: dataclasses.replace(event, person=met), clock.now())
    again = durable.signed_in([_key("one")], lambda met: dataclasses.replace(event, person=met), clock.now())

    assert person == again
    assert durable.events.since(clock.now()) == (dataclasses.replace(event, person=person),) * 2


def test_signed_in_is_all_or_nothing(durable: Durable, clock: StoppedClock) -> None:
    """Where no event can be recorded no person is left behind: nobody signs in without a trace."""

    def fail(_: str) -> Event:
        raise RuntimeError("no event")

    with pytest.raises(RuntimeError, match="no event"):
        durable.signed_in([_key("one"), _key("two")], fail, clock.now())

    one = durable.persons.meet([_key("one")], clock.now())
    assert durable.persons.meet([_key("two")], clock.now()) != one
