"""Our keys towards eIDs: SAML signing and decryption, encrypted ID tokens; over their whole life."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.x509 import Certificate
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import KeySet as JwkSet
from joserfc.jwk import RSAKey
from lxml import etree

from idbroker.clock import StoppedClock
from idbroker.errors import OperatorError, Untrusted
from idbroker.keyfiles import KeyFiles
from idbroker.keyimport import Brought
from idbroker.keyring import Keyring, carry_out, ensure_keys
from idbroker.keyset import CHAINS, NEEDED, SAML, Chain, KeySet, Rules, State, Use
from idbroker.providers import Secrets
from idbroker.rotation import Plan, TooEarly, plan_back, plan_import, plan_retirement, plan_revocation, plan_rotation
from idbroker.saml import bindings
from tests.conftest import NOW
from tests.keystores import certificate, key_folder, rsa_key

HOUR = timedelta(hours=1)
SIGN, ENC, TOKENS = (next(chain for chain in CHAINS if chain.use is use) for use in (*SAML, Use.OIDC_ENC))
RULES = Rules()


class Moment:
    """A monotonic clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> KeyFiles:
    """Return a store as the first start with every kind of eID leaves it."""
    return KeyFiles(key_folder(tmp_path, CHAINS))


def _do(store: KeyFiles, plan: Plan, at: datetime) -> KeySet:
    return carry_out(store, plan, "test", at)


def _rotate(store: KeyFiles, use: Use, at: datetime, rules: Rules = RULES) -> KeySet:
    return _do(store, plan_rotation(store.load(), rules, at, use), at)


def _opens(keys: Secrets, public: RSAPublicKey, use: Use) -> bool:
    """Tell whether what is encrypted to a key opens with one of ours."""
    scheme = OAEP(MGF1(SHA256()), SHA256(), None) if use is Use.SAML_ENC else OAEP(MGF1(SHA1()), SHA1(), None)  # noqa: S303 -- RSA-OAEP is that (RFC 7518, 4.3)
    sealed = public.encrypt(b"a content key", scheme)
    for _, key in keys.decryption(use):
        with contextlib.suppress(ValueError):
            return key.decrypt(sealed, scheme) == b"a content key"
    return False


def test_serves_eids(store: KeyFiles) -> None:
    """The keyring is what eIDs are given: each secret is what its user takes as it is, parsed once."""
    keyring: Secrets = Keyring(store)

    assert keyring.client_key("RS256").alg == "RS256"
    certified = keyring.saml_signing()
    assert isinstance(certified.key, RSAPrivateKey)
    assert certified.key is keyring.saml_signing().key
    assert certified.certificate is keyring.saml_signing().certificate
    assert certified.certificate == keyring.saml_certificates(Use.SAML_SIGN)[0]
    assert certified.certificate.public_key() == certified.key.public_key()
    assert keyring.saml_certificates(Use.SAML_ENC) is keyring.saml_certificates(Use.SAML_ENC)
    assert [len(keyring.decryption(use)) for use in (Use.SAML_ENC, Use.OIDC_ENC)] == [2, 2]


def test_missing(tmp_path: Path) -> None:
    """Where no eID has needed a key there is none, and the operator is told how to make it."""
    keyring: Secrets = Keyring(KeyFiles(key_folder(tmp_path)))
    asked: list[Callable[[], object]] = [
        keyring.saml_signing,
        lambda: keyring.saml_certificates(Use.SAML_SIGN),
        lambda: keyring.saml_certificates(Use.SAML_ENC),
        lambda: keyring.decryption(Use.SAML_ENC),
        lambda: keyring.decryption(Use.OIDC_ENC),
    ]

    for ask in asked:
        with pytest.raises(OperatorError, match="there is no") as refused:
            ask()
        assert (refused.value.code, "idbroker keys rotate --use" in refused.value.hint) == ("no_key", True)


def test_later_start_makes_them(tmp_path: Path) -> None:
    """A start with a new kind of eID makes the keys it lacks, active at once, and leaves the others alone."""
    store = KeyFiles(key_folder(tmp_path))
    before = store.load().keys

    after = ensure_keys(store, StoppedClock(NOW + HOUR), chains=(*NEEDED, SIGN, ENC, SIGN))

    assert after.keys[: len(before)] == before
    for chain in (SIGN, ENC):
        assert [key.state for key in after.of(chain, *State)] == [State.ACTIVE, State.STAGED]
    assert after.active(TOKENS) is None
    assert ensure_keys(store, StoppedClock(NOW + HOUR), chains=(*NEEDED, SIGN, ENC)).version == after.version


def test_decryption_order(store: KeyFiles) -> None:
    """The active key is tried first, then the staged, then the retiring one; a retired one never (S26)."""
    at = NOW + RULES.saml_cache + RULES.skew
    first, staged = (key.kid for key in store.load().of(ENC, State.ACTIVE, State.STAGED))

    _rotate(store, Use.SAML_ENC, at)
    newest = store.load().of(ENC, State.STAGED)[0].kid
    assert [kid for kid, _ in Keyring(store).decryption(Use.SAML_ENC)] == [staged, newest, first]
    _do(store, plan_retirement(store.load(), RULES, at + RULES.saml_cache + RULES.skew), at + 74 * HOUR)
    assert [kid for kid, _ in Keyring(store).decryption(Use.SAML_ENC)] == [staged, newest]


@pytest.mark.parametrize("reason", ["compromised", "lost"])
@pytest.mark.parametrize("chain", [ENC, TOKENS])
def test_revoked_opens_nothing(store: KeyFiles, tmp_path: Path, chain: Chain, reason: str) -> None:
    """A key that was stolen or lost opens nothing any more, and its missing file does not stop a start."""
    active = store.load().active(chain)
    assert active is not None

    _do(store, plan_revocation(store.load(), RULES, NOW + HOUR, active, reason), NOW + HOUR)

    assert active.kid not in [kid for kid, _ in Keyring(store).decryption(chain.use)]
    assert not (tmp_path / "keys" / f"{active.kid}.pem").exists()


def test_lost_signing_key(store: KeyFiles, tmp_path: Path) -> None:
    """A lost SAML signing key leaves our metadata, and its successor signs."""
    lost, staged = store.load().of(SIGN, State.ACTIVE, State.STAGED)
    (tmp_path / "keys" / f"{lost.kid}.pem").unlink()

    _do(store, plan_revocation(store.load(), RULES, NOW + HOUR, lost, "lost"), NOW + HOUR)

    keyring = Keyring(store)
    assert keyring.saml_signing().certificate.public_key() == keyring.saml_signing().key.public_key()
    assert {one.not_valid_after_utc for one in keyring.saml_certificates(Use.SAML_SIGN)} == {
        key.ends_at for key in store.load().of(SIGN, State.ACTIVE, State.STAGED)
    }
    assert store.load().active(SIGN) == replace(staged, state=State.ACTIVE, active_at=NOW + HOUR)


def test_jwks_encryption(store: KeyFiles) -> None:
    """The key to encrypt to is in our JWK set by its `use` (RFC 7517, 4.2): the active first, never a retiring one."""
    before = [key.kid for key in store.load().of(TOKENS, State.ACTIVE, State.STAGED)]
    assert _to_us(Keyring(store)) == before

    _rotate(store, Use.OIDC_ENC, NOW + 25 * HOUR)
    after = _to_us(Keyring(store))

    assert (after[0], len(after), before[0] in after) == (before[1], 2, False)
    assert before[0] in [kid for kid, _ in Keyring(store).decryption(Use.OIDC_ENC)]
    listed = json.loads(Keyring(store).jwks().body)["keys"]
    assert {jwk["alg"] for jwk in listed if jwk["use"] == "enc"} == {"RSA-OAEP"}
    saml = {key.public["n"] for key in store.load().keys if key.use in SAML and key.public}
    assert not saml & {jwk.get("n") for jwk in listed}


def _to_us(keyring: Keyring) -> list[str]:
    return [jwk["kid"] for jwk in json.loads(keyring.jwks().body)["keys"] if jwk["use"] == "enc"]


def test_no_confusion_of_uses(store: KeyFiles) -> None:
    """No encryption or SAML key ever verifies a token: whoever signs with such a key proves nothing (RFC 8725, 3.1)."""
    keyring = Keyring(store)

    for key in store.load().keys:
        assert (keyring.verification_key(key.kid) is not None) == (key.use is Use.OIDC_SIGN)
    for alg in ("RSA-OAEP", "RSA-OAEP-256", "A256GCM"):
        with pytest.raises(OperatorError):
            keyring.client_key(alg)


def test_encrypted_token_opens(store: KeyFiles) -> None:
    """What a broker encrypts to the key it finds in our JWK set opens by the kid it names (RFC 7516, 4.1.6)."""
    keyring = Keyring(store)
    listed: Any = json.loads(keyring.jwks().body)
    chosen = next(jwk for jwk in listed["keys"] if jwk["use"] == "enc")

    header = {"alg": "RSA-OAEP", "enc": "A128CBC-HS256", "kid": chosen["kid"]}
    token = jwe.encrypt_compact(header, b"a token", RSAKey.import_key(chosen))

    ours = JwkSet([RSAKey(key, key, parameters={"kid": kid}) for kid, key in keyring.decryption(Use.OIDC_ENC)])
    assert jwe.decrypt_compact(token, ours, algorithms=["RSA-OAEP", "A128CBC-HS256"]).plaintext == b"a token"


@pytest.mark.parametrize(("days", "level"), [(91, None), (89, "WARNING"), (29, "ERROR"), (-1, "ERROR")])
def test_start_tells_of_ends(store: KeyFiles, caplog: pytest.LogCaptureFixture, days: int, level: str | None) -> None:
    """A start says when a certificate of ours ends, three months and one month before."""
    active = store.load().active(SIGN)
    assert active is not None
    assert active.ends_at is not None

    ensure_keys(store, StoppedClock(active.ends_at - timedelta(days=days)))

    told = [line for line in caplog.records if "keys.certificate_ends use=saml-sign" in line.getMessage()]
    assert {line.levelname for line in told} == ({level} if level else set())


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What our metadata and our key set said, until when."""

    signing: tuple[Certificate, ...]
    encryption: tuple[Certificate, ...]
    tokens: tuple[str, ...]
    until: datetime | None = None


@dataclass
class Partners:
    """All partners there may be: for every version of what we publish, one that still holds it."""

    keyring: Keyring
    holds: Rules
    versions: list[Version] = field(default_factory=list)

    def look(self, now: datetime) -> None:
        """Check, with what anybody may hold now, that what we sign verifies and what is encrypted to us opens."""
        new = Version(
            signing=self.keyring.saml_certificates(Use.SAML_SIGN),
            encryption=self.keyring.saml_certificates(Use.SAML_ENC),
            tokens=tuple(jwk["n"] for jwk in json.loads(self.keyring.jwks().body)["keys"] if jwk["use"] == "enc"),
        )
        if not self.versions or replace(self.versions[-1], until=None) != new:
            self.versions = [one if one.until else replace(one, until=now) for one in self.versions] + [new]
        query = bindings.signed_query("SAMLRequest", etree.Element("x"), key=self.keyring.saml_signing().key)
        ours = {key.public_key().public_numbers() for _, key in self.keyring.decryption(Use.SAML_ENC)}
        tokens = {_modulus(key) for _, key in self.keyring.decryption(Use.OIDC_ENC)}
        for version in self.versions:
            if version.until is None or now <= version.until + self.holds.saml_cache:
                bindings.verified_query(query.encode(), version.signing)
                assert {_public(one).public_numbers() for one in version.encryption} <= ours, "does not open"
            if version.until is None or now <= version.until + self.holds.jwks_cache:
                assert set(version.tokens) <= tokens, "does not open"
        assert all(_opens(self.keyring, _public(one), Use.SAML_ENC) for one in new.encryption)


def _public(one: Certificate) -> RSAPublicKey:
    found = one.public_key()
    assert isinstance(found, RSAPublicKey)
    return found


def _modulus(key: RSAPrivateKey) -> str:
    return str(RSAKey(key.public_key(), key.public_key()).as_dict(private=False)["n"])


def _early(store: KeyFiles, rules: Rules, most: int) -> None:
    """Rotate and retire as early as the rules allow, and look every six hours with partners that hold what they may."""
    moment = Moment()
    keyring = Keyring(store, monotonic=moment)
    partners = Partners(keyring, RULES)
    for hour in range(0, most, 6):
        now = NOW + hour * HOUR
        partners.look(now)
        for use in (Use.SAML_SIGN, Use.SAML_ENC, Use.OIDC_ENC):
            with contextlib.suppress(TooEarly):
                _rotate(store, use, now, rules)
        plan = plan_retirement(store.load(), rules, now)
        if plan.steps:
            _do(store, plan, now)
        moment.now += 2
        partners.look(now)


def test_rotations_as_early_as_allowed(store: KeyFiles) -> None:
    """However early keys are exchanged and let go: for whatever copy a partner holds, we are understood."""
    _early(store, RULES, 240)

    assert len(store.load().of(SIGN, State.RETIRED)) == 2
    assert len(store.load().of(TOKENS, State.RETIRED)) >= 6


@pytest.mark.parametrize("rules", [Rules(saml_cache=60 * HOUR), Rules(jwks_cache=12 * HOUR)])
def test_waits_are_needed(store: KeyFiles, rules: Rules) -> None:
    """With a shorter wait than partners hold copies for, the same partners do meet a key they do not know."""
    with pytest.raises((Untrusted, AssertionError)):
        _early(store, rules, 240)


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["rotate", "rotate", "back", "retire", "import"]),
        st.sampled_from([SIGN, ENC, TOKENS]),
        st.sampled_from([0, 1, 23, 25, 60, 73, 100]),
    ),
    min_size=4,
    max_size=14,
)


_BACK = [("rotate", 80), ("back", 23), ("rotate", 25), ("retire", 73), ("back", 1)]


# A failing example is not made smaller: each takes seconds of making keys.
@settings(max_examples=12, phases=[Phase.explicit, Phase.generate], suppress_health_check=[HealthCheck.too_slow])
@given(MOVES)
@example([(move, SIGN, later) for move, later in _BACK])
@example([(move, ENC, later) for move, later in _BACK])
@example([(move, TOKENS, later) for move, later in _BACK])
def test_whatever_is_done(moves: list[tuple[str, Chain, int]]) -> None:
    """Whatever an operator does short of a revocation, in whatever order: partners and we understand each other."""
    with TemporaryDirectory() as folder:
        store, moment, now = KeyFiles(key_folder(Path(folder), CHAINS)), Moment(), NOW
        partners = Partners(Keyring(store, monotonic=moment), RULES)
        partners.look(now)
        for move, chain, later in moves:
            now += later * HOUR
            partners.look(now)
            with contextlib.suppress(OperatorError):
                _move(store, move, chain, now)
            moment.now += 2
            partners.look(now)


def _move(store: KeyFiles, move: str, chain: Chain, now: datetime) -> None:
    held = store.load()
    if move == "import" and chain is not TOKENS:
        key = rsa_key(len(held.keys) % 4)
        brought = Brought(certificate=certificate(key), private=key)
        carry_out(store, plan_import(held, RULES, now, chain), "test", now, brought.made)
    elif move == "retire":
        _do(store, plan_retirement(held, RULES, now, chain.use), now)
    elif move != "import":
        plan = plan_rotation if move == "rotate" else plan_back
        _do(store, plan(held, RULES, now, chain.use), now)
