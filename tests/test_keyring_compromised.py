"""A stolen key goes out of use in a running worker, though the key set that says so cannot be followed."""

from __future__ import annotations

import itertools
import json
import logging
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.errors import OperatorError
from idbroker.keyfiles import KeyFiles
from idbroker.keyring import Keyring, carry_out
from idbroker.keyset import CHAINS, ENCRYPTION, Chain, Key, Rules, State, Use
from idbroker.oidc import jose
from idbroker.rotation import plan_revocation, plan_rotation
from idbroker.sealing import Sealer
from tests.conftest import NOW
from tests.keystores import key_folder

TOKENS, SIGN, DATA = Chain(Use.OIDC_SIGN, "ES256"), Chain(Use.SAML_SIGN, "RS256"), Chain(Use.DATA, "A256GCM")
HOUR = timedelta(hours=1)


class Moment:
    """A monotonic clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


@pytest.fixture
def moment() -> Moment:
    """Return a clock to set."""
    return Moment()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder as the first start with every kind of eID leaves it."""
    return key_folder(tmp_path, CHAINS)


def _active(store: KeyFiles, chain: Chain) -> Key:
    key = store.load().active(chain)
    assert key is not None
    return key


def _file(folder: Path, key: Key) -> Path:
    return folder / f"{key.kid}.{'pem' if key.public else 'jwe'}"


def _stolen(folder: Path, chain: Chain, reason: str = "compromised", *, mode: int = 0o644) -> Key:
    """Revoke a chain's active key, and let its successor's file be readable by others, as a restored one may be."""
    store = KeyFiles(folder)
    key = _active(store, chain)
    carry_out(store, plan_revocation(store.load(), Rules(), NOW, key, reason), "test", NOW)
    _file(folder, _active(store, chain)).chmod(mode)
    return key


def _published(ring: Keyring) -> set[str]:
    return {jwk["kid"] for jwk in json.loads(ring.jwks().body)["keys"]}


def test_stolen_token_key(folder: Path, moment: Moment) -> None:
    """Revoked, a stolen key signs, is published and verifies no more, though its successor's file is unreadable."""
    ring = Keyring(KeyFiles(folder), monotonic=moment)
    forged = jose.sign({"sub": "somebody"}, ring.signing("ES256"))
    etag = ring.jwks().etag
    stolen = _stolen(folder, TOKENS)

    moment.now += 2

    with pytest.raises(OperatorError, match="no oidc-sign key for ES256"):
        ring.signing("ES256")
    assert ring.jwks().etag != etag
    assert stolen.kid not in _published(ring)
    assert ring.verification_key(stolen.kid) is None
    with pytest.raises(jose.BadToken):
        jose.verify(forged, lambda kid, _: ring.verification_key(kid or ""), algorithms=["ES256"], types=["JWT"])


def test_rest_goes_on(folder: Path, moment: Moment) -> None:
    """What nobody has stolen goes on: other signatures, SAML, what opens, what is sealed."""
    store = KeyFiles(folder)
    ring = Keyring(store, monotonic=moment)
    sealed = Sealer(ring.sealing_keys).seal(b"value", b"row")
    before = _published(ring)
    kept = ring.signing("RS256").key, ring.saml_signing().certificate, ring.decryption(Use.OIDC_ENC)
    stolen = _stolen(folder, TOKENS)

    moment.now += 2

    assert (ring.signing("RS256").key, ring.saml_signing().certificate, ring.decryption(Use.OIDC_ENC)) == kept
    assert _published(ring) == before - {stolen.kid}
    assert Sealer(ring.sealing_keys).open(sealed, b"row") == b"value"


def test_stolen_saml_key(folder: Path, moment: Moment) -> None:
    """A stolen SAML key signs no more and leaves our metadata; the staged certificate stays in it."""
    ring = Keyring(KeyFiles(folder), monotonic=moment)
    before = ring.saml_certificates(Use.SAML_SIGN)
    _stolen(folder, SIGN)

    moment.now += 2

    with pytest.raises(OperatorError, match="no saml-sign key"):
        ring.saml_signing()
    assert ring.saml_certificates(Use.SAML_SIGN) == before[1:]


@pytest.mark.parametrize("use", ENCRYPTION)
def test_stolen_key_opens_nothing(folder: Path, moment: Moment, use: Use) -> None:
    """A stolen key opens nothing more, nor is anybody asked to encrypt to it."""
    ring = Keyring(KeyFiles(folder), monotonic=moment)
    before = ring.decryption(use)
    # The successor was staged and read already: another file is what cannot be read.
    stolen = _stolen(folder, next(chain for chain in CHAINS if chain.use is use))
    newest = max(KeyFiles(folder).load().of(stolen.chain, State.STAGED), key=lambda key: key.published_at)
    _file(folder, newest).chmod(0o644)

    moment.now += 2

    assert ring.decryption(use) == before[1:]
    assert stolen.kid not in _published(ring)


@pytest.mark.parametrize("reason", ["lost", "test"])
def test_not_stolen(folder: Path, moment: Moment, reason: str) -> None:
    """A key that nobody else has signs on until its successor can be read: no sign-in fails for a wrong mode."""
    ring = Keyring(KeyFiles(folder), monotonic=moment)
    revoked = _stolen(folder, TOKENS, reason)

    moment.now += 2

    assert ring.signing("ES256").kid == revoked.kid


def test_stolen_data_key(folder: Path, moment: Moment) -> None:
    """A stolen data key stays while its successor is unreadable: what it sealed must open."""
    ring = Keyring(KeyFiles(folder), monotonic=moment)
    sealed = Sealer(ring.sealing_keys).seal(b"value", b"row")
    carry_out(KeyFiles(folder), plan_rotation(KeyFiles(folder).load(), Rules(), NOW + HOUR, Use.DATA), "test", NOW)
    moment.now += 2
    ring.sealing_keys()
    _stolen(folder, DATA)
    newest = KeyFiles(folder).load().of(DATA, State.STAGED)[-1]
    _file(folder, newest).chmod(0o644)

    moment.now += 2

    assert Sealer(ring.sealing_keys).open(sealed, b"row") == b"value"
    assert Sealer(ring.sealing_keys).open(Sealer(ring.sealing_keys).seal(b"new", b"row"), b"row") == b"new"


def test_second_theft_meanwhile(folder: Path, moment: Moment) -> None:
    """While the key set cannot be followed, the next stolen key goes as well."""
    ring = Keyring(KeyFiles(folder), monotonic=moment)
    first = _stolen(folder, TOKENS)
    moment.now += 2
    assert first.kid not in _published(ring)
    second = _stolen(folder, SIGN)

    moment.now += 2

    assert not {first.kid, second.kid} & _published(ring)
    with pytest.raises(OperatorError, match="no saml-sign key"):
        ring.saml_signing()


def test_mended(folder: Path, moment: Moment) -> None:
    """As soon as the file can be read the successor signs, without restart."""
    ring = Keyring(KeyFiles(folder), monotonic=moment)
    _stolen(folder, TOKENS)
    moment.now += 2
    ring.jwks()
    _file(folder, _active(KeyFiles(folder), TOKENS)).chmod(0o600)

    moment.now += 2

    assert ring.signing("ES256").kid == _active(KeyFiles(folder), TOKENS).kid
    assert ring.loaded_version == KeyFiles(folder).load().version


def test_index_restored(folder: Path, moment: Moment) -> None:
    """An operator who takes the revocation back, by the index of before, has the key in use again."""
    before = (folder / "index.json").read_bytes()
    ring = Keyring(KeyFiles(folder), monotonic=moment)
    stolen = _stolen(folder, TOKENS)
    moment.now += 2
    ring.jwks()
    (folder / "index.json").write_bytes(before)
    (folder / f"{stolen.kid}.pem").touch(mode=0o600)

    moment.now += 2

    assert stolen.kid in _published(ring)


def test_told_but_no_flood(folder: Path, moment: Moment, caplog: pytest.LogCaptureFixture) -> None:
    """The error log says at once what went out of use and why, then once a minute, and again when it differs."""
    ring = Keyring(KeyFiles(folder), monotonic=moment)
    stolen = _stolen(folder, TOKENS)
    with caplog.at_level(logging.ERROR):
        for _ in range(120):
            moment.now += 1.1
            ring.jwks()
        told = [line.getMessage() for line in caplog.records]
        second = _stolen(folder, SIGN)
        moment.now += 1.1
        ring.jwks()

    assert len(told) == 3
    assert all("code=open_to_others" in line and f"without={stolen.kid}" in line for line in told)
    assert f"without={stolen.kid},{second.kid}" in caplog.records[-1].getMessage()


def test_no_thread_sees_half(folder: Path, moment: Moment) -> None:
    """Threads that ask meanwhile find a key that signs and verifies, or none: never one that is half gone."""
    ring = Keyring(KeyFiles(folder), monotonic=moment)
    seen: list[str] = []
    done = threading.Event()

    def ask() -> None:
        for turn in itertools.count():
            try:
                kid = ring.signing("ES256").kid
                # Gone between the two questions is gone for good.
                half = ring.verification_key(kid) is None and ring.signing("ES256").kid == kid
                seen.extend(["half"] if half else [])
            except OperatorError as error:
                seen.append(error.code)
                return
            if done.is_set() and turn > 10:
                seen.append("still signs")
                return

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    _stolen(folder, TOKENS)
    moment.now += 2
    ring.jwks()
    # One of them may be looking: only then is it over.
    moment.now += 2
    for thread in threads:
        thread.join(timeout=20)
    done.set()

    assert seen == ["no_key"] * 4


def test_unforeseen_trouble(folder: Path, moment: Moment) -> None:
    """Whatever it is that cannot be read, a damaged certificate in the index too, the stolen key goes."""
    store = KeyFiles(folder)
    ring = Keyring(store, monotonic=moment)
    stolen = _stolen(folder, TOKENS, mode=0o600)
    held = store.load()
    damaged = tuple(replace(key, certificate="x") if key.use is Use.SAML_SIGN else key for key in held.keys)
    assert held.last is not None
    with store.changing("test", NOW) as change:
        change.save(held, damaged, (), held.last)

    moment.now += 2

    assert stolen.kid not in _published(ring)
