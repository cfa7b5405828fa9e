"""What every store of evidence promises (evidence.EvidenceKept), and what is written with it."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa

from idbroker.clock import StoppedClock
from idbroker.errors import StoreError
from idbroker.events import Event
from idbroker.evidence import Evidence, SealedEvidence
from idbroker.person import PersonKey
from idbroker.store import Durable, schema
from idbroker.store.evidence import EXPIRE_AT_MOST, EXPIRE_EVERY

DAY = timedelta(days=1)
KEY = PersonKey(kind="upstream", digest=b"k" * 32)
SEALED = b"\0\1" + b"sealed"


def piece(clock: StoppedClock, number: int = 0, life: timedelta = DAY, **changes: Any) -> SealedEvidence:
    """Return evidence, as it is kept."""
    now = clock.now()
    one = Evidence(id=f"{number:032x}", at=now, until=now + life, person="p", provider="bankid")
    return SealedEvidence(evidence=dataclasses.replace(one, **changes), sealed=SEALED)


def keep(durable: Durable, clock: StoppedClock, *pieces: SealedEvidence, now: datetime | None = None) -> None:
    """Keep evidence alone."""
    for one in pieces:
        with durable.database.writing() as connection:
            durable.evidence.add(connection, one, now or clock.now())


def keep_many(durable: Durable, clock: StoppedClock, many: int) -> None:
    """Keep much evidence at once."""
    rest = {"data_key": 1, "sealed": SEALED}
    with durable.database.writing() as connection:
        values = [dataclasses.asdict(piece(clock, number).evidence) | rest for number in range(many)]
        connection.execute(sa.insert(schema.evidence), values)


def rows(durable: Durable) -> int:
    """Return how many pieces lie there, past their time or not."""
    with durable.database.connected() as connection:
        return int(connection.execute(sa.text("SELECT count(*) FROM evidence")).scalar_one())


def an_event(clock: StoppedClock) -> Callable[[str], Event]:
    """Return what makes the event of a sign-in."""
    return lambda person: Event(at=clock.now(), kind="signin.granted", person=person)


def test_kept_and_found(durable: Durable, clock: StoppedClock) -> None:
    """Evidence comes back as it was kept: ten kilobytes, to the microsecond, in UTC."""
    at = (clock.now() + timedelta(microseconds=123_456)).astimezone(timezone(timedelta(hours=2)))
    one = piece(clock, at=at, until=at + DAY)
    big = dataclasses.replace(one, sealed=bytes(range(256)) * 40)

    keep(durable, clock, big)

    found = durable.evidence.find(one.evidence.id, clock.now())
    assert found == big
    assert found is not None
    assert found.evidence.at.utcoffset() == timedelta()
    assert durable.evidence.find("f" * 32, clock.now()) is None


def test_listed_newest_bounded_and_by_person(durable: Durable, clock: StoppedClock) -> None:
    """From a moment on, oldest first, at most so many of the newest, one person's if asked."""
    now, days = clock.now(), (3, 1, 2, 4)
    pieces = [piece(clock, day, at=now - day * DAY, person="even" if day % 2 == 0 else "odd") for day in days]
    keep(durable, clock, *pieces)

    def ids(since: datetime, **asked: Any) -> list[int]:
        return [int(one.id, 16) for one in durable.evidence.since(since, now, **{"limit": 9, **asked})]

    assert ids(now - 9 * DAY) == [4, 3, 2, 1]
    assert ids(now - 3 * DAY) == [3, 2, 1]
    assert ids(now - 9 * DAY, limit=2) == [2, 1]
    assert ids(now - 9 * DAY, person="even") == [4, 2]
    assert ids(now - 9 * DAY, person="nobody") == []


def test_past_its_time_it_is_as_good_as_gone(durable: Durable, clock: StoppedClock) -> None:
    """At `until` and after it evidence is neither found nor listed, though nobody has deleted it yet."""
    one = piece(clock)
    keep(durable, clock, one)

    for moment, there in ((DAY - timedelta(microseconds=1), True), (DAY, False), (2 * DAY, False)):
        later = clock.now() + moment
        assert (durable.evidence.find(one.evidence.id, later) is not None) is there
        assert bool(durable.evidence.since(clock.now(), later, limit=1)) is there
    assert rows(durable) == 1


def test_expire(durable: Durable, clock: StoppedClock) -> None:
    """All that is past its time goes, however much, and nothing else."""
    keep(durable, clock, *(piece(clock, number, DAY if number < 3 else 2 * DAY) for number in range(5)))

    assert durable.evidence.expire(clock.now()) == 0
    assert durable.evidence.expire(clock.now() + DAY) == 3
    assert durable.evidence.expire(clock.now() + DAY) == 0
    assert [int(one.id, 16) for one in durable.evidence.since(clock.now(), clock.now(), limit=9)] == [3, 4]


def test_expire_takes_more_than_one_step(durable: Durable, clock: StoppedClock) -> None:
    """More than one step's worth goes in one call."""
    keep_many(durable, clock, 1001)

    assert durable.evidence.expire(clock.now() + DAY) == 1001
    assert rows(durable) == 0


def test_remove_before(durable: Durable, clock: StoppedClock) -> None:
    """What is from before a moment goes though its time is not over; that moment stays."""
    keep(durable, clock, *(piece(clock, day, 90 * DAY, at=clock.now() - day * DAY) for day in range(5)))

    assert durable.evidence.remove_before(clock.now() - 2 * DAY) == 2
    assert rows(durable) == 3


def test_writing_takes_expired_along(durable: Durable, clock: StoppedClock) -> None:
    """Without any nightly job what is past its time goes: a bounded number, every so many sign-ins."""
    old = clock.now() - DAY
    keep(durable, clock, *(piece(clock, number) for number in range(EXPIRE_AT_MOST + 50)), now=old)
    kept, later = rows(durable), clock.now() + DAY

    fresh = [piece(clock, 1000 + number, 9 * DAY) for number in range(EXPIRE_EVERY)]
    keep(durable, clock, *fresh, now=later)

    assert rows(durable) == kept - EXPIRE_AT_MOST + EXPIRE_EVERY
    assert len(durable.evidence.since(old, later, limit=999)) == EXPIRE_EVERY


def test_deleting_at_once_waits_for_nobody(durable: Durable, clock: StoppedClock) -> None:
    """Eight that delete the same rows at once delete each once, without a deadlock."""
    keep_many(durable, clock, 900)
    together = threading.Barrier(8)

    def one(_: int) -> int:
        together.wait(10)
        return durable.evidence.expire(clock.now() + DAY)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one, range(8))) + durable.evidence.expire(clock.now() + DAY) == 900


# ---- with a sign-in --------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [False, True])
def test_person_event_and_evidence_go_together(durable: Durable, clock: StoppedClock, known: bool) -> None:
    """A sign-in leaves all three, of one person, whether new or known."""
    before = durable.persons.meet([KEY], clock.now()) if known else None

    person = durable.signed_in([KEY], an_event(clock), clock.now(), lambda met: piece(clock, person=met))

    assert person == (before or person)
    assert durable.events.since(clock.now()) == (Event(at=clock.now(), kind="signin.granted", person=person),)
    (kept,) = durable.evidence.since(clock.now(), clock.now(), person=person, limit=9)
    assert kept.id == piece(clock).evidence.id


@pytest.mark.parametrize("known", [False, True])
def test_all_or_nothing(durable: Durable, clock: StoppedClock, known: bool) -> None:
    """Where the evidence cannot be kept there is no event, and no new person: no sign-in that cannot be proved."""
    taken = piece(clock)
    keep(durable, clock, taken)
    if known:
        durable.persons.meet([KEY], clock.now())

    with pytest.raises(StoreError):
        durable.signed_in([KEY], an_event(clock), clock.now(), lambda _: taken)

    assert durable.events.since(clock.now()) == ()
    assert rows(durable) == 1
    with durable.database.connected() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM person")).scalar_one() == int(known)


def test_no_event_no_evidence(durable: Durable, clock: StoppedClock) -> None:
    """Where the event cannot be kept no evidence is left behind."""

    def fail(_: str) -> Event:
        raise RuntimeError("no event")

    with pytest.raises(RuntimeError, match="no event"):
        durable.signed_in([KEY], fail, clock.now(), lambda _: piece(clock))

    assert rows(durable) == 0


def test_many_at_once_are_one_person_with_all_their_evidence(durable: Durable, clock: StoppedClock) -> None:
    """Sixteen first sign-ins of one person at the same moment: one person, sixteen events, sixteen proofs."""
    together = threading.Barrier(16)

    def one(number: int) -> str:
        together.wait(10)
        return durable.signed_in([KEY], an_event(clock), clock.now(), lambda met: piece(clock, number, person=met))

    with ThreadPoolExecutor(16) as pool:
        (person,) = set(pool.map(one, range(16)))

    assert len(durable.events.since(clock.now())) == 16
    assert len(durable.evidence.since(clock.now(), clock.now(), person=person, limit=99)) == 16


# ---- under a new data key --------------------------------------------------------------------------


def test_rewrapped_by_its_data_key(durable: Durable, clock: StoppedClock) -> None:
    """Evidence that another data key sealed, older or newer, is counted, handed out in batches, and replaced."""
    keys = (1, 1, 2, 3)
    pieces = [
        dataclasses.replace(piece(clock, number), sealed=key.to_bytes(2, "big") + b"x")
        for number, key in enumerate(keys)
    ]
    keep(durable, clock, *pieces)

    assert [durable.sealed.count_not_by(newest) for newest in (1, 2, 3, 4)] == [2, 3, 3, 4]
    assert len(durable.sealed.not_by(2, 2)) == 2
    for value in durable.sealed.not_by(2, 9):
        durable.sealed.replace(value, b"\0\2" + b"y")

    assert durable.sealed.count_not_by(2) == 0
    found = durable.evidence.find(pieces[0].evidence.id, clock.now())
    assert found is not None
    assert found == SealedEvidence(evidence=pieces[0].evidence, sealed=b"\0\2y")


def test_rewrapping_brings_nothing_back(durable: Durable, clock: StoppedClock) -> None:
    """Evidence that was deleted while it was sealed anew stays deleted."""
    keep(durable, clock, piece(clock))
    (value,) = durable.sealed.not_by(9, 9)
    durable.evidence.expire(clock.now() + DAY)

    durable.sealed.replace(value, b"\0\x09" + b"y")

    assert rows(durable) == 0
