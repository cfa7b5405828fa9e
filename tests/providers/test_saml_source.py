"""Where their metadata comes from: when it is looked at, what is kept, and what is kept out."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from idbroker.errors import StoreError, Unreachable
from idbroker.providers._saml.source import PAUSE, REFRESH, Source
from tests.providers.saml_party import World, make_world
from tests.saml.idp import IDP, certificate
from tests.saml.metadata_documents import signed

world = pytest.fixture(make_world)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def signers(world: World, source: Source | None = None) -> tuple[str, ...]:
    """Return the names of the keys that are believed now, by a worker, or by one that has just started."""
    found = (source or world.party().source).get(world.clock.now())
    known = {certificate(name): name for name in ("idp", "next", "evil")}
    return tuple(known[one] for one in found.signing)


def test_not_before_it_is_needed(world: World) -> None:
    """A start asks nobody: an identity provider that is down keeps nobody from starting."""
    world.party()

    assert world.idp.looks == 0


def test_looked_at_when_due(world: World) -> None:
    """It is looked at once an hour, and a key that is new then is believed."""
    source = world.party().source
    source.get(world.clock.now())
    world.idp.describe("idp", "next")
    world.clock.move(REFRESH - MINUTE)
    assert (signers(world, source), world.idp.looks) == (("idp",), 1)

    world.clock.move(MINUTE)
    assert (signers(world, source), world.idp.looks) == (("idp", "next"), 2)


@pytest.mark.parametrize(("told", "pause"), [("PT10M", 10 * MINUTE), ("P3D", DAY), ("PT0S", 5 * MINUTE)])
def test_as_often_as_they_say(world: World, told: str, pause: timedelta) -> None:
    """Their cacheDuration says when to look again, within reason (SAML metadata, 2.3.2)."""
    world.idp.describe(cacheDuration=told)
    source = world.party().source
    for step in (timedelta(), pause - MINUTE, MINUTE):
        world.clock.move(step)
        source.get(world.clock.now())

    assert world.idp.looks == 2


def test_looked_at_before_it_lapses(world: World) -> None:
    """What runs out in ten minutes is looked at in ten minutes, whatever its cacheDuration."""
    world.idp.describe(cacheDuration="P1D", validUntil="2026-11-22T09:10:00Z")
    source = world.party().source
    source.get(world.clock.now())
    world.idp.describe("next")
    world.clock.move(10 * MINUTE)

    assert signers(world, source) == ("next",)


def break_off(world: World) -> None:
    """End in the middle."""
    world.idp.document = world.idp.document[:-200]


def tamper(world: World) -> None:
    """Change an address, keep the signature."""
    world.idp.document = world.idp.document.replace(b"/slo/answer", b"/slo/evil--")


def go_away(world: World) -> None:
    """Answer with an error."""
    world.idp.status = 503


def swell(world: World) -> None:
    """Send more than anybody has to say."""
    world.idp.document = b" " * (1024 * 1024 + 1)


def rename(world: World) -> None:
    """Be somebody else."""
    world.idp.describe("evil", signer=None)
    world.idp.document = signed(world.idp.document.decode().replace(IDP, f"{IDP}/"), "federation")


def lose_keys(world: World) -> None:
    """Name no key."""
    world.idp.describe("evil", signer=None)
    text = world.idp.document.decode()
    start, end = text.index("<md:KeyDescriptor"), text.index("<md:SingleLogoutService")
    world.idp.document = signed(text[:start] + text[end:], "federation")


BROKEN: dict[str, Callable[[World], None]] = {
    "cut": break_off,
    "tampered": tamper,
    "down": go_away,
    "too big": swell,
    "unsigned": lambda world: world.idp.describe("evil", signer=None),
    "another signer": lambda world: world.idp.describe("evil", signer="evil"),
    "signed with its own key": lambda world: world.idp.describe("evil", signer="idp"),
    "run out": lambda world: world.idp.describe("evil", validUntil="2026-11-22T08:59:59Z"),
    "of somebody else": rename,
    "without keys": lose_keys,
}


@pytest.mark.parametrize("how", BROKEN)
def test_kept_out(world: World, how: str) -> None:
    """What does not come, or does not verify, changes nothing; the next good one is taken."""
    source = world.party().source
    source.get(world.clock.now())
    BROKEN[how](world)
    world.clock.move(REFRESH)
    assert (signers(world, source), world.idp.looks) == (("idp",), 2)

    world.idp.status = 200
    world.idp.describe("next")
    world.clock.move(PAUSE)
    assert (signers(world, source), world.idp.looks) == (("next",), 3)


@pytest.mark.parametrize("how", BROKEN)
def test_kept_out_from_the_start(world: World, how: str) -> None:
    """At a start with nothing better there is nothing to believe; a minute later somebody looks again."""
    BROKEN[how](world)
    source = world.party().source
    for _ in range(3):
        with pytest.raises(Unreachable):
            source.get(world.clock.now())
    assert world.idp.looks == 1

    world.idp.status = 200
    world.idp.describe()
    world.clock.move(PAUSE)
    assert signers(world, source) == ("idp",)


def test_unreachable_for_too_long(world: World) -> None:
    """The last good copy is kept until its time has passed, not longer, and it all comes right by itself."""
    world.idp.describe(validUntil="2026-11-22T12:00:00Z")
    source = world.party().source
    source.get(world.clock.now())
    world.idp.status = 503
    world.clock.move(3 * HOUR - MINUTE)
    assert signers(world, source) == ("idp",)

    world.clock.move(MINUTE)
    with pytest.raises(Unreachable, match="metadata"):
        source.get(world.clock.now())
    world.idp.status = 200
    world.idp.describe()
    world.clock.move(PAUSE)
    assert signers(world, source) == ("idp",)


def test_no_valid_until(world: World) -> None:
    """A document without an end is believed for thirty days after it was fetched, not for ever."""
    source = world.party().source
    source.get(world.clock.now())
    world.idp.status = 503
    world.clock.move(30 * DAY - MINUTE)
    assert signers(world, source) == ("idp",)

    world.clock.move(MINUTE)
    with pytest.raises(Unreachable):
        source.get(world.clock.now())


def test_a_look_that_failed_is_not_repeated_at_once(world: World) -> None:
    """While the source is down it is asked once a minute, not once a sign-in."""
    source = world.party().source
    source.get(world.clock.now())
    world.idp.status = 503
    world.clock.move(REFRESH)
    for _ in range(20):
        source.get(world.clock.now())

    assert world.idp.looks == 2


# ---- shared by all workers ----------------------------------------------------------------------------


def test_another_worker(world: World) -> None:
    """What one worker has fetched another need not fetch."""
    assert [signers(world), signers(world), signers(world)] == [("idp",)] * 3
    assert world.idp.looks == 1


def test_another_worker_later(world: World) -> None:
    """When it is due one worker fetches, and the others take what it found, though they had a copy of their own."""
    one, other = world.party().source, world.party().source
    one.get(world.clock.now())
    other.get(world.clock.now())
    world.idp.describe("next")
    world.clock.move(REFRESH)

    assert (signers(world, one), signers(world, other), world.idp.looks) == (("next",), ("next",), 2)


def test_a_restart_while_the_source_is_down(world: World) -> None:
    """A worker that starts while the source is down goes on with the copy, due or not, until that lapses."""
    signers(world)
    world.idp.status = 503
    world.clock.move(5 * HOUR)
    assert signers(world) == ("idp",)

    world.clock.move(30 * DAY)
    with pytest.raises(Unreachable):
        signers(world)


@pytest.mark.parametrize("packed", [True, False])
def test_a_copy_is_verified_again(world: World, *, packed: bool) -> None:
    """Whoever can write to the store cannot name keys: a copy is verified like what is fetched."""
    world.idp.describe("evil", signer="evil")
    poison = zlib.compress(world.idp.document) if packed else world.idp.document
    world.means().copies.put(f"eid {IDP} {world.idp.address}/metadata", world.clock.now(), poison, DAY)
    world.idp.status = 503
    with pytest.raises(Unreachable):
        signers(world)

    world.idp.status = 200
    world.idp.describe()
    assert signers(world) == ("idp",)


def test_a_copy_from_the_future(world: World) -> None:
    """A copy of a worker whose clock is wrong is not taken: counted from there it would live too long."""
    document = zlib.compress(world.idp.document)
    world.means().copies.put(f"eid {IDP} {world.idp.address}/metadata", world.clock.now() + DAY, document, 2 * DAY)

    assert (signers(world), world.idp.looks) == (("idp",), 1)


def test_a_copy_of_another_address(world: World) -> None:
    """A table that names another address, or another identity provider, takes no copy of the earlier one's."""
    signers(world)
    moved = world.party(metadata_url=f"{world.idp.address}/elsewhere")

    assert signers(world, moved.source) == ("idp",)
    assert world.idp.looks == 2


class AwayCopies:
    """A store that does not answer."""

    def get(self, _name: str) -> tuple[datetime, bytes] | None:
        """Raise StoreError."""
        raise StoreError("away")

    def put(self, _name: str, _fetched_at: datetime, _document: bytes, _life: timedelta) -> None:
        """Raise StoreError."""
        raise StoreError("away")


def test_without_a_store(world: World) -> None:
    """A store that is away stops nobody: each worker then fetches for itself, and keeps what it has."""
    world.copies = AwayCopies()
    source = world.party().source
    assert signers(world, source) == ("idp",)

    world.idp.status = 503
    world.clock.move(REFRESH)
    assert signers(world, source) == ("idp",)


# ---- threads ------------------------------------------------------------------------------------------


def all_at_once(work: Callable[[], tuple[str, ...]], count: int = 8) -> list[tuple[str, ...]]:
    """Run in so many threads that start together; return what came of each."""
    start = threading.Barrier(count)
    came: list[tuple[str, ...]] = []

    def run() -> None:
        start.wait(10)
        came.append(work())

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return came


def test_eight_threads_find_it_due(world: World) -> None:
    """One of them looks, and the other seven go on with what there is, without waiting for it."""
    source = world.party().source
    source.get(world.clock.now())
    world.clock.move(REFRESH)
    world.idp.describe("next")
    others = threading.Semaphore(0)
    # The answer comes when the seven have gone on: whoever waited for it would wait for ever.
    world.idp.hold = lambda: [others.acquire(timeout=10) for _ in range(7)]

    def work() -> tuple[str, ...]:
        found = signers(world, source)
        others.release()
        return found

    assert sorted(all_at_once(work)) == [("idp",)] * 7 + [("next",)]
    assert world.idp.looks == 2


def test_eight_threads_find_nothing(world: World) -> None:
    """At the start all must wait, and one fetches for all."""
    source = world.party().source

    assert all_at_once(lambda: signers(world, source)) == [("idp",)] * 8
    assert world.idp.looks == 1


def test_eight_threads_find_it_down(world: World) -> None:
    """When it is down at the start one thread finds that out for all, and the others do not ask again."""
    world.idp.status = 503
    source = world.party().source

    def work() -> tuple[str, ...]:
        with pytest.raises(Unreachable):
            source.get(world.clock.now())
        return ()

    assert (all_at_once(work), world.idp.looks) == ([()] * 8, 1)


# ---- a file of the operator's -------------------------------------------------------------------------


def test_file(world: World, tmp_path: Path) -> None:
    """A file that the operator has put there needs no signature, and a new one is taken within a minute."""
    file = tmp_path / "idp.xml"
    world.idp.describe(signer=None)
    file.write_bytes(world.idp.document)
    source = world.party(metadata_url=None, metadata_signer_sha256=(), metadata_file=file).source
    assert signers(world, source) == ("idp",)

    world.idp.describe("idp", "next", signer=None)
    file.write_bytes(world.idp.document)
    world.clock.move(PAUSE)
    assert (signers(world, source), world.idp.looks) == (("idp", "next"), 0)
    file.unlink()
    world.clock.move(HOUR)
    assert signers(world, source) == ("idp", "next")


def test_file_with_a_signer(world: World, tmp_path: Path) -> None:
    """Where a signer is pinned a file must be signed too."""
    file = tmp_path / "idp.xml"
    world.idp.describe("evil", signer=None)
    file.write_bytes(world.idp.document)
    source = world.party(metadata_url=None, metadata_file=file).source

    with pytest.raises(Unreachable):
        source.get(world.clock.now())


def test_file_lives_on(world: World, tmp_path: Path) -> None:
    """A file is true for as long as it lies there, unless it says itself until when."""
    file = tmp_path / "idp.xml"
    world.idp.describe(signer=None)
    file.write_bytes(world.idp.document)
    source = world.party(metadata_url=None, metadata_file=file, metadata_signer_sha256=()).source
    source.get(world.clock.now())
    world.clock.move(100 * DAY)

    assert signers(world, source) == ("idp",)
