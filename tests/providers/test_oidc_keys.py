"""Attacks on the upstream's key sets: taken back, kept for ever, or slow on purpose; over real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import Key

from idbroker.clock import StoppedClock
from idbroker.errors import ProviderError, StoreError, Unreachable, Untrusted
from idbroker.identity import Identity
from idbroker.providers._oidc.discovery import LIFE, PAUSE
from idbroker.providers._oidc.keys import LONGEST, SOON
from idbroker.providers._oidc.upstream import SKEW
from idbroker.providers.ftn import FinnishTrust
from tests.conftest import NOW
from tests.providers.key_publisher import Keys, published

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
STAMP = int(NOW.timestamp())
FOREIGN = {"kty": "OKP", "crv": "Ed25519", "x": "A"}  # a key that we cannot use


@pytest.fixture
def keys(clock: StoppedClock, tmp_path: Path) -> Iterator[Keys]:
    """Serve a broker whose keys are elsewhere."""
    with published(clock, tmp_path) as there:
        there.publish()
        yield there


Signers = dict[str, Key]


def rolled_back(keys: Keys, worker: FinnishTrust) -> tuple[Signers, Signers]:
    """Have the worker see a key, and the next; then somebody publishes the first set. Return both keys."""
    stolen, old = keys.there.op._keys, keys.publish(iat=STAMP - 2 * 365 * 86400)
    keys.there.go(worker)
    keys.there.op.rotate(algs=("RS256",))
    keys.publish()
    keys.there.go(worker)
    keys.publisher.body = old
    return stolen, keys.there.op._keys


# ---- signed sets: whose, when ----------------------------------------------------------------------------


def test_a_stolen_key_does_not_come_back(keys: Keys) -> None:
    """Rollback: after a newer set, an older one is refused, though signed and without end, and its keys with it."""
    worker = keys.worker()
    stolen, good = rolled_back(keys, worker)

    for wait in (PAUSE, LIFE):
        keys.there.clock.move(wait + SECOND)
        keys.there.op._keys = stolen
        with pytest.raises(Untrusted, match="key we cannot tell"):
            keys.there.go(worker)
        keys.there.op._keys = good
        assert keys.there.go(worker).number is not None  # an old set stops nobody whose key is good


def test_no_other_worker_takes_it_either(keys: Keys) -> None:
    """Rollback, at a worker that has just started: what one worker has seen, all know."""
    keys.there.op._keys, _ = rolled_back(keys, keys.worker())

    with pytest.raises(Untrusted, match="older"):
        keys.there.go(keys.worker())


class AwayCopies:
    """A store that does not answer."""

    def get(self, _name: str) -> tuple[datetime, bytes] | None:
        """Raise StoreError."""
        raise StoreError("away")

    def put(self, _name: str, _fetched_at: datetime, _document: bytes, _life: timedelta) -> None:
        """Raise StoreError."""
        raise StoreError("away")


def test_without_a_store_each_worker_remembers(keys: Keys) -> None:
    """Rollback while the store is away: people sign in, and a worker takes nothing older than it has seen itself."""
    keys.copies = AwayCopies()
    worker = keys.worker()
    keys.there.op._keys, _ = rolled_back(keys, worker)
    keys.there.clock.move(PAUSE + SECOND)

    with pytest.raises(Untrusted):
        keys.there.go(worker)


@pytest.mark.parametrize(
    ("lie", "why"),
    [
        ({"iss": "https://somebody.test"}, "another issuer"),
        ({"iss": None}, "another issuer"),
        ({"sub": "https://somebody.test"}, "another issuer"),
        ({"sub": None}, "another issuer"),
        ({"aud": "https://another.rp"}, "somebody else"),
        ({"aud": ["https://another.rp"]}, "somebody else"),
        ({"iat": STAMP + 61}, "future"),
        ({"iat": STAMP + 10**8}, "future"),
        ({"iat": None}, "neither"),
        ({"iat": True}, "not a time"),
        ({"exp": STAMP - 60}, "over"),
        ({"exp": "never"}, "not a time"),
    ],
)
def test_a_set_of_others_or_of_any_age_is_refused(keys: Keys, lie: dict[str, Any], why: str) -> None:
    """What the entity signed about or for others, for some day to come, or without a time, gives us no keys."""
    keys.publish(**lie)

    with pytest.raises(Untrusted, match=why):
        keys.there.go(keys.worker())


@pytest.mark.parametrize("said", [{"aud": ["us"]}, {"iat": None, "exp": STAMP + 600}, {"iat": STAMP + 60}])
def test_an_honest_set_is_taken(keys: Keys, said: dict[str, Any]) -> None:
    """For us, with an end instead of a beginning, or from a clock a minute ahead: fine."""
    keys.publish(**said)

    assert keys.there.go(keys.worker()).number is not None


def test_a_set_without_its_time_is_no_newer_one(keys: Keys) -> None:
    """Rollback, with a set that has an end only: once one with `iat` was taken, it cannot be told to be newer."""
    keys.there.go(keys.worker())
    keys.publish(iat=None, exp=STAMP + 10**8)

    with pytest.raises(Untrusted, match="older"):
        keys.there.go(keys.worker())


# ---- how long keys are believed ------------------------------------------------------------------------------


def test_a_set_that_is_over_is_asked_for_again(keys: Keys) -> None:
    """A set of ten minutes is not believed for an hour: the next one is fetched when it is over."""
    keys.publish(exp=STAMP + 600)
    worker = keys.worker()
    keys.there.go(worker)
    keys.there.clock.move(timedelta(seconds=600) + SKEW)
    keys.publish(exp=STAMP + 7200)

    keys.there.go(worker)
    assert keys.publisher.looks == 2


def test_blocking_the_address_keeps_no_old_set(keys: Keys) -> None:
    """Whoever blocks the address of the keys does not make a set outlive its own `exp`."""
    keys.publish(exp=STAMP + 5400)
    worker = keys.worker()
    keys.there.go(worker)
    keys.publisher.status = 503
    keys.there.clock.move(LIFE + SECOND)
    keys.there.go(worker)
    keys.there.clock.move(HOUR)

    with pytest.raises(Unreachable, match="503"):
        keys.there.go(worker)


@pytest.mark.parametrize("signed", [True, False])
def test_blocking_the_address_helps_for_a_day_only(keys: Keys, *, signed: bool) -> None:
    """Keys that say no end are believed for 24 hours after the last good answer, and no longer."""
    if not signed:
        keys.publish_unsigned()
    worker = keys.worker(signed=signed)
    keys.there.go(worker)
    keys.publisher.status = 503
    keys.there.clock.move(LONGEST - HOUR)
    assert keys.there.go(worker).number is not None
    keys.there.clock.move(HOUR + SKEW)

    with pytest.raises(Unreachable, match="503"):
        keys.there.go(worker)
    keys.publisher.status = 200
    keys.there.clock.move(SOON)
    assert keys.there.go(worker).number is not None


@pytest.mark.parametrize("told", [{"keys": []}, {"keys": [FOREIGN]}])
def test_keys_that_were_withdrawn_are_gone(keys: Keys, told: dict[str, Any]) -> None:
    """A good answer without any key that we can use takes the old ones back: they may have been stolen."""
    keys.publish_unsigned()
    worker = keys.worker(signed=False)
    keys.there.go(worker)
    keys.publish_unsigned(**told)
    keys.there.clock.move(LIFE)

    with pytest.raises(Untrusted, match="key set"):
        keys.there.go(worker)


# ---- slow, or of no use, and asked for by strangers --------------------------------------------------------


@contextmanager
def hanging(keys: Keys, work: Callable[[], object]) -> Iterator[list[ProviderError]]:
    """Hold all answers of the address until the end, and one thread at its work by that; give what it raised."""
    looks, go, raised = threading.Semaphore(0), threading.Event(), list[ProviderError]()

    def hold() -> None:
        looks.release()
        go.wait(15)

    def run() -> None:
        try:
            work()
        except ProviderError as error:
            raised.append(error)

    keys.publisher.hold = hold
    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert looks.acquire(timeout=10)
        yield raised
        assert thread.is_alive(), "it was not held"
    finally:
        go.set()
        thread.join(20)


@pytest.mark.parametrize("signed", [True, False])
def test_strangers_tokens_hold_no_thread(keys: Keys, *, signed: bool) -> None:
    """Made-up key ids while the address hangs: one thread asks, all other tokens, honest or not, are read at once."""
    if not signed:
        keys.publish_unsigned()
    worker = keys.worker(signed=signed)
    keys.there.go(worker)
    looks_before = keys.publisher.looks

    with hanging(keys, lambda: worker.summoned(keys.strangers())) as raised:
        for _ in range(5):
            with pytest.raises(Untrusted, match="key we cannot tell"):
                worker.summoned(keys.strangers())
        assert keys.there.go(worker).number is not None
    assert [type(error) for error in raised] == [Untrusted]
    assert keys.publisher.looks == looks_before + 1


def test_new_keys_come_to_everybody_at_once(keys: Keys) -> None:
    """A rotation while a stranger's token has the keys asked for: a person's token waits for the answer."""
    worker, identities = keys.worker(), list[Identity]()
    keys.there.go(worker)
    keys.there.op.rotate(algs=("RS256",))
    keys.publish()
    person = threading.Thread(target=lambda: identities.append(keys.there.go(worker)))

    with hanging(keys, lambda: worker.summoned(keys.strangers())):
        person.start()
        person.join(1)
        assert person.is_alive()
    person.join(20)
    assert len(identities) == 1
    assert keys.publisher.looks == 2


def test_a_slow_renewal_holds_no_thread(keys: Keys) -> None:
    """The hourly look at a hanging address: one person waits for it, and the others sign in."""
    worker = keys.worker()
    keys.there.go(worker)
    keys.there.clock.move(LIFE)

    with hanging(keys, lambda: keys.there.go(worker)) as raised:
        for _ in range(4):  # with a wait for each, the first would be held no more at the end
            assert keys.there.go(worker).number is not None
    assert not raised
    assert keys.publisher.looks == 2


@pytest.mark.parametrize(
    "told",
    [{"keys": "none"}, {"keys": []}, {"keys": [FOREIGN]}, {"keys": [{"d": "A"}]}],
)
def test_a_set_of_no_use_is_not_fetched_for_each_token(keys: Keys, told: dict[str, Any]) -> None:
    """Twenty tokens of strangers while the key set is malformed, or has no key for us: it is fetched once."""
    keys.publish_unsigned(**told)
    worker = keys.worker(signed=False)

    for _ in range(20):
        with pytest.raises(Untrusted, match="key set"):
            worker.summoned(keys.strangers())
    assert keys.publisher.looks == 1
    keys.publish_unsigned()
    keys.there.clock.move(SOON)
    assert keys.there.go(worker).number is not None


def test_a_failed_look_is_not_repeated_for_each_token(keys: Keys) -> None:
    """Twenty tokens of strangers while the address is down: asked once, then not for 30 seconds, and people sign in."""
    worker = keys.worker()
    keys.there.go(worker)
    keys.publisher.status = 503
    keys.there.clock.move(LIFE)

    for _ in range(20):
        with pytest.raises(Untrusted, match="key we cannot tell"):
            worker.summoned(keys.strangers())
    assert keys.there.go(worker).number is not None
    assert keys.publisher.looks == 2
    keys.there.clock.move(PAUSE)
    keys.there.go(worker)
    assert keys.publisher.looks == 3
