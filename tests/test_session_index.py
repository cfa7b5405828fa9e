"""Which sign-ons an eID's word ends: found by its own names for its session, by nobody else's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from idbroker.clock import StoppedClock
from idbroker.identity import Identity, LoA
from idbroker.keeping import Shelf
from idbroker.session import Session, Settings, rests_of
from idbroker.session_index import FOR_GOOD, MOST, Resting, SessionIndex
from idbroker.store import TransientStore, open_transient

LIFE = timedelta(hours=8)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
GONE: set[str] = set()


@pytest.fixture
def store(tmp_path: Path, clock: StoppedClock) -> Iterator[TransientStore]:
    """Give a real store."""
    store = open_transient(f"sqlite:///{tmp_path}/transient.db", clock)
    yield store
    store.close()


@pytest.fixture
def index(store: TransientStore) -> SessionIndex:
    """Return the index over it."""
    return SessionIndex(Shelf(store, "u", Resting), LIFE, lambda key: key not in GONE)


def session(key: str, *names: str, provider: str = "suomifi", clock: StoppedClock) -> Session:
    """Return a sign-on that rests on an eID's session of these names."""
    now = clock.now()
    identity = Identity(
        provider=provider, issuer="i", subject="s", loa=LoA.SUBSTANTIAL, proved_at=now, upstream_names=names
    )
    rests = rests_of(identity)
    return Session(key=key, person="p", identity=identity, language="fi", started_at=now, seen_at=now, rests=rests)


def found(index: SessionIndex, provider: str, *names: str) -> tuple[str, ...]:
    """Return whom an eID's word would end, long before anybody signed on."""
    return index.close(provider, names, EPOCH)


def test_found_by_any_of_its_names(index: SessionIndex, clock: StoppedClock) -> None:
    """SAML core 3.7.1: a request by session index means that session, one by the name alone all of that name."""
    index.note(session("k1", "index:n\n1", "name:n", clock=clock))
    index.note(session("k2", "index:n\n2", "name:n", clock=clock))

    assert found(index, "suomifi", "index:n\n1") == ("k1",)
    assert found(index, "suomifi", "name:n") == ("k1", "k2")
    assert found(index, "suomifi", "index:n\n2", "name:n", "index:n\n1") == ("k2", "k1")
    assert found(index, "suomifi", "name:other") == ()


def test_an_eid_ends_only_its_own(index: SessionIndex, clock: StoppedClock) -> None:
    """S32: another eID that uses, or invents, the same name finds nothing by it."""
    index.note(session("k1", "sub:1", provider="mitid", clock=clock))

    assert found(index, "suomifi", "sub:1") == ()


def test_noted_twice_is_there_once(index: SessionIndex, clock: StoppedClock) -> None:
    """A sign-on is under a name once, however often it is noted."""
    for _ in range(3):
        index.note(session("k1", "name:n", clock=clock))

    assert found(index, "suomifi", "name:n") == ("k1",)


def test_the_oldest_give_way(index: SessionIndex, clock: StoppedClock) -> None:
    """One name cannot fill the store: beyond the most, the oldest sign-on is forgotten."""
    for number in range(MOST + 2):
        index.note(session(f"k{number}", "name:n", clock=clock))

    assert found(index, "suomifi", "name:n") == tuple(f"k{number}" for number in range(2, MOST + 2))


def test_the_gone_give_way_first(index: SessionIndex, clock: StoppedClock) -> None:
    """A sign-on that lives is not forgotten while there are others that have ended."""
    for number in range(MOST):
        index.note(session(f"k{number}", "name:n", clock=clock))
    GONE.update(f"k{number}" for number in range(1, MOST))
    index.note(session("new", "name:n", clock=clock))
    GONE.clear()

    assert found(index, "suomifi", "name:n") == ("k0", "new")


def test_an_answer_after_the_logout(index: SessionIndex, clock: StoppedClock) -> None:
    """SAML core 3.7.3.1: what the eID told before it ended its session is over; what it tells afterwards is not."""
    early = rests_of(session("k1", "name:n", clock=clock).identity)[0]
    clock.move(timedelta(seconds=5))
    index.close("suomifi", ("name:n",), clock.now())
    clock.move(timedelta(seconds=1))
    late = rests_of(session("k2", "name:n", clock=clock).identity)[0]
    other = rests_of(session("k3", "name:other", clock=clock).identity)[0]

    assert [index.is_over(one) for one in (early, late, other)] == [True, False, False]


def test_a_session_that_never_comes_again(index: SessionIndex, clock: StoppedClock) -> None:
    """A session index or `sid` that has ended is over whenever its answer was made: the eID's clocks may differ."""
    index.close("suomifi", ("index:1",), FOR_GOOD)
    clock.move(timedelta(hours=1))

    assert index.is_over(rests_of(session("k1", "index:1", "name:n", clock=clock).identity)[0])


def test_names_are_not_readable(
    index: SessionIndex, store: TransientStore, clock: StoppedClock, tmp_path: Path
) -> None:
    """A persistent name is a person's: it stands in the store as a digest only."""
    index.note(session("k1", "name:https://data.gov.dk/model/core/eid/person/uuid/1234", clock=clock))
    store.close()
    everything = b"".join(file.read_bytes() for file in sorted(tmp_path.glob("transient.db*")))

    assert b"u:{" in everything
    assert b"eid/person" not in everything


def test_of_many_at_once_none_is_lost(index: SessionIndex, clock: StoppedClock) -> None:
    """Eight browsers of one person that sign in at once are all found by the person's name."""
    ready = threading.Barrier(8)

    def note(number: int) -> None:
        ready.wait()
        index.note(session(f"k{number}", "name:n", clock=clock))

    threads = [threading.Thread(target=note, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(found(index, "suomifi", "name:n")) == [f"k{number}" for number in range(8)]


def test_over_when_the_eid_says_so(clock: StoppedClock) -> None:
    """SAML core 2.7.2 (SessionNotOnOrAfter): a sign-on lasts no longer than the eID lets it."""
    made = session("k1", clock=clock)
    until = clock.now() + timedelta(minutes=5)
    limited = Session(
        key="k1",
        person="p",
        identity=Identity(
            provider="x", issuer="i", subject="s", loa=LoA.LOW, proved_at=clock.now(), upstream_until=until
        ),
        language="fi",
        started_at=clock.now(),
        seen_at=clock.now(),
    )

    assert limited.alive(until - timedelta(seconds=1), Settings())
    assert not limited.alive(until, Settings())
    assert made.alive(until, Settings())
