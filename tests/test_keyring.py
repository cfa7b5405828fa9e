"""The keys a worker works with."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import logging
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from idbroker.clock import StoppedClock
from idbroker.errors import OperatorError
from idbroker.keyfiles import KeyFiles
from idbroker.keyring import Keyring, carry_out, ensure_keys
from idbroker.keyset import CHAINS, NEEDED, KeySet, Rules, State, Use
from idbroker.oidc import jose
from idbroker.rotation import TooEarly, plan_back, plan_revocation, plan_rotation
from idbroker.sealing import Sealer
from tests.conftest import NOW
from tests.keystores import key_folder

HOUR = timedelta(hours=1)
LATER = NOW + 25 * HOUR


class Moment:
    """A monotonic clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


def _rotate(store: KeyFiles, at: datetime = LATER, use: Use = Use.OIDC_SIGN, rules: Rules | None = None) -> KeySet:
    return carry_out(store, plan_rotation(store.load(), rules or Rules(), at, use), "test", at)


@pytest.fixture
def store(tmp_path: Path) -> KeyFiles:
    """Return a store as the first start leaves it."""
    return KeyFiles(key_folder(tmp_path))


def test_first_start(tmp_path: Path) -> None:
    """A first start makes every key it needs; a second one finds them and makes none."""
    store = KeyFiles(tmp_path / "keys")

    made = ensure_keys(store, StoppedClock(NOW))

    assert all(made.active(chain) for chain in NEEDED)
    assert ensure_keys(store, StoppedClock(NOW + HOUR)).version == made.version


def test_two_first_starts(tmp_path: Path) -> None:
    """Of two workers that start at once one makes the keys and the other uses them: there are no doubles."""
    command = [sys.executable, "-m", "tests.key_worker", "start", str(tmp_path / "keys")]
    workers = [subprocess.Popen(command) for _ in range(3)]

    assert [worker.wait(timeout=60) for worker in workers] == [0, 0, 0]
    keys = KeyFiles(tmp_path / "keys").load()
    assert all(len(keys.of(chain, State.ACTIVE)) == 1 for chain in NEEDED)
    assert len(KeyFiles(tmp_path / "keys").history()) == 1


def test_two_later_starts(store: KeyFiles, tmp_path: Path) -> None:
    """Of workers that start at once with a new kind of eID one makes the keys it needs, and the others use them."""
    command = [sys.executable, "-m", "tests.key_worker", "grow", str(tmp_path / "keys")]
    workers = [subprocess.Popen(command) for _ in range(3)]

    assert [worker.wait(timeout=60) for worker in workers] == [0, 0, 0]
    keys = store.load()
    assert all(len(keys.of(chain, State.ACTIVE)) == 1 for chain in CHAINS)
    assert len(store.history()) == 2


@pytest.mark.parametrize("alg", ["ES256", "RS256"])
def test_signature_verifies(store: KeyFiles, alg: str) -> None:
    """What is signed verifies with the published key of that `kid`, by somebody else's library."""
    keyring = Keyring(store)
    signer = keyring.signing(alg)

    token = jose.sign({"sub": "somebody"}, signer)

    published = {jwk["kid"]: jwk for jwk in json.loads(keyring.jwks().body)["keys"]}
    public = jwt.PyJWK(published[signer.kid])
    assert jwt.decode(token, public, algorithms=[alg]) == {"sub": "somebody"}
    ours = jose.verify(token, lambda kid, _: keyring.verification_key(kid or ""), algorithms=[alg], types=["JWT"])
    assert ours.header["kid"] == signer.kid


def test_jwks(store: KeyFiles) -> None:
    """Every published key has `kid`, `use` and `alg`, kids are distinct, and nothing in it is secret."""
    published = Keyring(store).jwks()
    listed = json.loads(published.body)["keys"]

    assert len({jwk["kid"] for jwk in listed}) == len(listed) == 4
    assert {jwk["alg"] for jwk in listed} == {"ES256", "RS256"}
    allowed = {"kty", "kid", "use", "alg", "n", "e", "crv", "x", "y"}
    assert all(set(jwk) <= allowed and jwk["use"] == "sig" and jwk["kty"] != "oct" for jwk in listed)
    assert published.max_age == timedelta(hours=1)


def test_jwks_etag(store: KeyFiles) -> None:
    """The entity tag stays while the key set does, and differs when it does not."""
    etag = Keyring(store).jwks().etag

    assert Keyring(store).jwks().etag == etag
    _rotate(store)
    assert Keyring(store).jwks().etag != etag


def test_verification_key(store: KeyFiles) -> None:
    """Staged, active and retiring keys verify, pinned to their algorithm; a retired one does not."""
    before = Keyring(store).signing("ES256").kid
    _rotate(store)
    keyring = Keyring(store)

    key = keyring.verification_key(before)
    assert key is not None
    assert (key.kid, key.alg, key.is_private) == (before, "ES256", False)
    retiring = next(key for key in store.load().keys if key.kid == before)
    carry_out(store, plan_revocation(store.load(), Rules(), LATER, retiring, "compromised"), "test", LATER)
    assert Keyring(store).verification_key(before) is None
    assert keyring.verification_key("nobody") is None


def test_follows_in_a_second(store: KeyFiles) -> None:
    """A rotation is followed without restart; the store is looked at once a second at most."""
    moment = Moment()
    keyring = Keyring(store, monotonic=moment)
    before = keyring.signing("ES256").kid
    _rotate(store)

    moment.now += 0.99
    assert keyring.signing("ES256").kid == before
    moment.now += 0.02
    assert keyring.signing("ES256").kid != before


def test_two_processes_follow(store: KeyFiles, tmp_path: Path) -> None:
    """Every worker process follows a rotation within five seconds."""
    command = [sys.executable, "-m", "tests.key_worker", "follow", str(tmp_path / "keys")]
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) for _ in range(2)
    ]

    def signs(at: float) -> list[str]:
        return [_answer(worker, f"{at}\n") for worker in workers]

    try:
        before = signs(0.5)
        active = next(key for key in _rotate(store).keys if key.state is State.ACTIVE and key.alg == "ES256")
        assert signs(5.5) == [active.kid, active.kid]
        assert active.kid not in before
    finally:
        for worker in workers:
            worker.communicate(timeout=10)


def _answer(worker: subprocess.Popen[str], line: str) -> str:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(line)
    return worker.stdout.readline().strip()


def test_kept_objects(store: KeyFiles) -> None:
    """A private key that has not changed is not parsed again: that costs as much as a hundred signatures."""
    moment = Moment()
    keyring = Keyring(store, monotonic=moment)
    before = keyring.signing("RS256").key
    _rotate(store, use=Use.DATA)

    moment.now += 2
    assert keyring.sealing_keys().newest == 2
    assert keyring.signing("RS256").key is before


def test_sealing_follows(store: KeyFiles) -> None:
    """What was sealed before a data rotation opens after it, and what is sealed after it opens before it is seen."""
    slow, moment = Keyring(store), Moment()
    quick = Keyring(store, monotonic=moment)
    early = Sealer(slow.sealing_keys).seal(b"value", b"row")
    _rotate(store, use=Use.DATA)
    moment.now += 2

    late = Sealer(quick.sealing_keys).seal(b"value", b"row")

    assert (early[:2], late[:2]) == (b"\0\1", b"\0\2")
    assert Sealer(quick.sealing_keys).open(early, b"row") == b"value"
    assert Sealer(slow.sealing_keys).open(late, b"row") == b"value"


def test_secrets(store: KeyFiles) -> None:
    """The index and subject keys are 32 bytes, differ, and are the same in every worker."""
    keyring = Keyring(store)

    assert len(keyring.secret(Use.SUBJECT)) == 32
    assert keyring.secret(Use.SUBJECT) != keyring.secret(Use.INDEX)
    assert keyring.sealing_keys().index == Keyring(store).secret(Use.INDEX)


def test_no_keys(tmp_path: Path) -> None:
    """Without keys nothing starts, and the operator is told what to do."""
    with pytest.raises(OperatorError, match="no active key") as refused:
        Keyring(KeyFiles(tmp_path / "keys"))
    assert refused.value.hint


def test_unknown_algorithm(store: KeyFiles) -> None:
    """There is no key for an algorithm we do not sign by."""
    with pytest.raises(OperatorError, match="HS256"):
        Keyring(store).signing("HS256")


def test_sandbox_keys_refused(tmp_path: Path) -> None:
    """Production refuses keys that a sandbox made, with exit code 3 (X-7)."""
    store = KeyFiles(tmp_path / "keys")
    ensure_keys(store, StoppedClock(NOW), sandbox=True)
    carry_out(store, plan_rotation(store.load(), Rules(), LATER, Use.OIDC_SIGN), "test", LATER)

    for attempt in (lambda: Keyring(store), lambda: ensure_keys(store, StoppedClock(NOW))):
        with pytest.raises(OperatorError) as refused:
            attempt()
        assert (refused.value.exit_code, refused.value.code) == (3, "sandbox_keys")
    assert Keyring(store, sandbox=True).signing("ES256").alg == "ES256"
    assert all(key.sandbox for key in store.load().keys)


def test_sandbox_refuses_production(store: KeyFiles) -> None:
    """A sandbox signs whatever it is asked to: it does not start with production's keys."""
    with pytest.raises(OperatorError) as refused:
        Keyring(store, sandbox=True)
    assert refused.value.exit_code == 3


def test_goes_on_when_store_breaks(store: KeyFiles, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """While the folder is broken the keys that were read go on signing, and the log says so."""
    moment = Moment()
    keyring = Keyring(store, monotonic=moment)
    before = keyring.signing("ES256").kid
    (tmp_path / "keys" / "index.json").write_text("{")

    moment.now += 2
    with caplog.at_level(logging.ERROR):
        assert keyring.signing("ES256").kid == before
    assert "keys.unreadable code=damaged" in caplog.text


def test_swapped_file(store: KeyFiles, tmp_path: Path) -> None:
    """A key file put in another's place is refused: who writes files must not choose what we sign with."""
    by_state = {key.state: key.kid for key in store.load().keys if key.alg == "ES256"}
    staged = (tmp_path / "keys" / f"{by_state[State.STAGED]}.pem").read_bytes()
    (tmp_path / "keys" / f"{by_state[State.ACTIVE]}.pem").write_bytes(staged)

    with pytest.raises(OperatorError, match="holds another key"):
        Keyring(store)


@functools.cache
def _verified(token: str, jwk: str) -> None:
    """Raise unless a token verifies with a public key: once for a pair, however many clients come to it."""
    alg = jwt.get_unverified_header(token)["alg"]
    jwt.decode(token, jwt.PyJWK(json.loads(jwk)), algorithms=[alg], options={"verify_exp": False})


@functools.cache
def _name(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


class Verifier:
    """A client that fetches our key set once a day and never in between, whatever it meets."""

    def __init__(self, begins: datetime) -> None:
        self._fetch_at = begins
        self._keys: dict[str, str] = {}

    def verify(self, token: str, keyring: Keyring, now: datetime) -> None:
        """Raise unless the token verifies with the cached keys, once it has begun."""
        if now >= self._fetch_at:
            self._fetch_at = now + 24 * HOUR
            listed: list[Any] = json.loads(keyring.jwks().body)["keys"]
            self._keys = {jwk["kid"]: json.dumps(jwk) for jwk in listed}
        if self._keys:
            _verified(token, self._keys[_name(token)])


def _rotations(store: KeyFiles, rules: Rules, life: int, most: int) -> int:
    """Rotate as early as the rules allow while clients verify, every hour, tokens new and at the end of their life."""
    moment = Moment()
    keyring = Keyring(store, monotonic=moment)
    clients = [Verifier(NOW + phase * HOUR) for phase in (0, 7, 13, 18)]
    tokens: list[list[str]] = []
    done = 0
    for hour in itertools.count():
        moment.now, now = 100.0 + hour * 3600, NOW + hour * HOUR
        tokens.append([jose.sign({"exp": 0}, keyring.signing(alg)) for alg in ("ES256", "RS256")])
        for token in tokens[-1] + (tokens[-1 - life] if hour >= life else []):
            for client in clients:
                client.verify(token, keyring, now)
        with contextlib.suppress(TooEarly):
            _rotate(store, now, rules=rules)
            done += 1
        if done == most:
            return done
    raise AssertionError


def test_hundred_rotations(store: KeyFiles) -> None:
    """A hundred rotations, each as early as allowed, break no signature for clients that cache a day (K8)."""
    assert _rotations(store, Rules(token_life=40 * HOUR), life=40, most=100) == 100


@pytest.mark.parametrize("rules", [Rules(jwks_cache=20 * HOUR, token_life=40 * HOUR), Rules(token_life=24 * HOUR)])
def test_rules_are_needed(store: KeyFiles, rules: Rules) -> None:
    """With a shorter wait before signing, or before removal, the same clients do meet a key they do not know."""
    with pytest.raises(KeyError):
        _rotations(store, rules, life=40, most=20)


def test_rotation_and_back(store: KeyFiles) -> None:
    """A rotation and its undo break no signature either way for clients that cache a day."""
    moment = Moment()
    keyring = Keyring(store, monotonic=moment)
    client = Verifier(NOW)
    tokens: list[str] = []
    for hour in range(40):
        moment.now, now = 100.0 + hour * 3600, NOW + hour * HOUR
        tokens.append(jose.sign({"exp": 0}, keyring.signing("ES256")))
        for token in tokens[-24:]:
            client.verify(token, keyring, now)
        if hour == 25:
            _rotate(store, now)
        if hour == 30:
            carry_out(store, plan_back(store.load(), Rules(), now, Use.OIDC_SIGN), "test", now)

    assert len({jwt.get_unverified_header(token)["kid"] for token in tokens}) == 2
