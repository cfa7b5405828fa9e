"""Keys that must not become ours: stolen ones under a new certificate, those of another use, odd certificates."""

from __future__ import annotations

import base64
from datetime import UTC, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.x509 import BasicConstraints, Certificate

from idbroker.clock import StoppedClock
from idbroker.keyfiles import KeyFiles
from idbroker.keyimport import Brought
from idbroker.keyring import Keyring, carry_out
from idbroker.keys_cli import keys
from idbroker.keys_context import KeysContext
from idbroker.keys_print import Screen
from idbroker.keyset import CHAINS, SAML, Chain, Rules, State, Use
from idbroker.rotation import plan_import, plan_rotation
from tests.conftest import NOW
from tests.keystores import certificate, key_folder, key_usage, pair_files, rsa_key

SIGN, ENC = (next(chain for chain in CHAINS if chain.use is use) for use in SAML)
WAIT = Rules().saml_cache + Rules().skew
BOTH = key_usage(sign=True, encrypt=True)


@pytest.fixture
def clock() -> StoppedClock:
    """Return a clock an hour after the first start."""
    return StoppedClock(NOW + timedelta(hours=1))


@pytest.fixture
def context(tmp_path: Path, clock: StoppedClock) -> KeysContext:
    """Return what the commands work with, before any SAML eID: an import is active at once."""
    screen = Screen(width=120, terminal=True, asks=True, zone=UTC)
    return KeysContext(store=KeyFiles(key_folder(tmp_path)), clock=clock, who="anna", screen=screen)


def _run(context: KeysContext, *arguments: str) -> Result:
    return CliRunner().invoke(keys, list(arguments), obj=context)


def _import(context: KeysContext, folder: Path, key: RSAPrivateKey, own: Certificate, use: str = "saml-sign") -> Result:
    pair = pair_files(folder, key, own)
    return _run(
        context, "import", "--use", use, "--certificate", str(pair[0]), "--key", str(pair[1]), "--yes", "--json"
    )


def _revoke(context: KeysContext, kid: str, reason: str = "compromised") -> Result:
    return _run(context, "revoke", kid, "--reason", reason, "--confirm", kid[-4:])


def _active(context: KeysContext, chain: Chain) -> str:
    key = context.store.load().active(chain)
    assert key is not None
    return key.kid


def _numbers(context: KeysContext) -> list[object]:
    """Return the moduli that sign, are in our metadata or open."""
    ring = Keyring(context.store)
    described = [one.public_key() for use in SAML for one in ring.saml_certificates(use)]
    opening = [key.public_key() for _, key in ring.decryption(Use.SAML_ENC)]
    return [*described, *opening, ring.saml_signing().key.public_key()]


@pytest.mark.parametrize("use", ["saml-sign", "saml-enc"])
@pytest.mark.parametrize("reason", ["compromised", "lost"])
def test_revoked_key_renewed(context: KeysContext, tmp_path: Path, use: str, reason: str) -> None:
    """A stolen private key does not come back under a renewed certificate, nor for the other use."""
    assert _import(context, tmp_path / "a", rsa_key(0), certificate(rsa_key(0), BOTH)).exit_code == 0
    assert _revoke(context, _active(context, SIGN), reason).exit_code == 0
    version = context.store.load().version

    back = _import(context, tmp_path / "b", rsa_key(0), certificate(rsa_key(0), BOTH), use)

    assert (back.exit_code, f"was revoked as {reason}" in back.stderr) == (3, True)
    assert context.store.load().version == version


def test_stolen_key_staged_again(context: KeysContext, tmp_path: Path) -> None:
    """A renewed certificate over the key that is then stolen is no successor: it goes too, and ours signs."""
    for name in ("a", "b"):
        _import(context, tmp_path / name, rsa_key(0), certificate(rsa_key(0)))
    _import(context, tmp_path / "c", rsa_key(1), certificate(rsa_key(1)), "saml-enc")
    assert [key.imported for key in context.store.load().of(SIGN, State.STAGED)] == [True]

    _revoke(context, _active(context, SIGN))

    assert rsa_key(0).public_key() not in _numbers(context)
    assert {key.revoked for key in context.store.load().keys if key.imported} == {"compromised", None}
    assert [key.imported for key in context.store.load().of(SIGN, State.ACTIVE, State.STAGED)] == [False, False]


def test_stolen_key_of_both_uses(context: KeysContext, tmp_path: Path) -> None:
    """A stolen key that is one certificate's for both uses goes out of both, and leaves a successor in each."""
    own = certificate(rsa_key(0), BOTH)
    assert [_import(context, tmp_path / "a", rsa_key(0), own, use.value).exit_code for use in SAML] == [0, 0]

    _revoke(context, _active(context, ENC))

    assert rsa_key(0).public_key() not in _numbers(context)
    for chain in (SIGN, ENC):
        assert [key.state for key in context.store.load().of(chain, *State)] == [
            State.RETIRED,
            State.ACTIVE,
            State.STAGED,
        ]


@pytest.mark.parametrize("reason", ["lost", "test"])
def test_lost_of_one_use(context: KeysContext, tmp_path: Path, reason: str) -> None:
    """What was only lost or tried out in one use is nobody else's: the other use goes on with it."""
    own = certificate(rsa_key(0), BOTH)
    assert [_import(context, tmp_path / "a", rsa_key(0), own, use.value).exit_code for use in SAML] == [0, 0]
    opens = _active(context, ENC)

    _revoke(context, _active(context, SIGN), reason)

    assert _active(context, ENC) == opens


@pytest.mark.parametrize("chain", [Chain(Use.OIDC_SIGN, "RS256"), Chain(Use.OIDC_ENC, "RSA-OAEP")])
@pytest.mark.parametrize("use", ["saml-sign", "saml-enc"])
def test_key_of_our_tokens(context: KeysContext, tmp_path: Path, chain: Chain, use: str) -> None:
    """The key that signs our ID tokens, or opens those to us, is never a SAML key: not even with a certificate."""
    held = context.store.load()
    if held.active(chain) is None:
        carry_out(context.store, plan_rotation(held, Rules(), NOW, chain.use), "test", NOW)
    active = context.store.load().active(chain)
    assert active is not None
    material = context.store.material(active)
    assert isinstance(material, RSAPrivateKey)

    refused = _import(context, tmp_path / "a", material, certificate(material, BOTH), use)

    assert (refused.exit_code, f"is our {chain.use} key" in refused.stderr) == (3, True)


@pytest.mark.parametrize("first", ["saml-sign", "saml-enc"])
@pytest.mark.parametrize("usage", ["none", "one"])
def test_one_key_for_both_unsaid(context: KeysContext, tmp_path: Path, first: str, usage: str) -> None:
    """Only a certificate whose keyUsage allows both uses puts one key to both; two certificates do not."""
    second = next(use.value for use in SAML if use != first)
    made = key_usage(sign=second == "saml-sign", encrypt=second == "saml-enc")
    _import(context, tmp_path / "a", rsa_key(0), certificate(rsa_key(0)), first)

    own = certificate(rsa_key(0), *([made] if usage == "one" else []))
    refused = _import(context, tmp_path / "b", rsa_key(0), own, second)

    assert (refused.exit_code, "digitalSignature and keyEncipherment" in refused.stderr) == (3, True)


def test_our_own_saml_key_for_both(context: KeysContext, tmp_path: Path) -> None:
    """A key that we made for one SAML use is not put to the other by a certificate."""
    carry_out(context.store, plan_rotation(context.store.load(), Rules(), NOW, Use.SAML_SIGN), "test", NOW)
    active = context.store.load().active(SIGN)
    assert active is not None
    material = context.store.material(active)
    assert isinstance(material, RSAPrivateKey)

    assert _import(context, tmp_path / "a", material, certificate(material, BOTH), "saml-enc").exit_code == 3


@pytest.mark.parametrize("use", ["saml-sign", "saml-enc"])
def test_authority(context: KeysContext, tmp_path: Path, use: str) -> None:
    """An authority's certificate is refused, even one that may also sign and encrypt (RFC 5280, 4.2.1.9)."""
    own = certificate(rsa_key(0), BasicConstraints(ca=True, path_length=None), BOTH)

    refused = _import(context, tmp_path / "a", rsa_key(0), own, use)
    assert (refused.exit_code, "CA:TRUE" in refused.stderr) == (3, True)
    own = certificate(rsa_key(0), BasicConstraints(ca=False, path_length=None), BOTH)
    assert _import(context, tmp_path / "a", rsa_key(0), own, use).exit_code == 0


@pytest.mark.parametrize(
    ("use", "sign", "encrypt", "code"),
    [
        ("saml-sign", True, False, 0),
        ("saml-sign", False, True, 3),
        ("saml-sign", False, False, 3),
        ("saml-enc", False, True, 0),
        ("saml-enc", True, False, 3),
        ("saml-enc", False, False, 3),
    ],
)
def test_key_usage(context: KeysContext, tmp_path: Path, use: str, sign: bool, encrypt: bool, code: int) -> None:
    """A certificate whose keyUsage is for something else is refused: partners refuse it too (RFC 5280, 4.2.1.3)."""
    own = certificate(rsa_key(0), key_usage(sign=sign, encrypt=encrypt))

    result = _import(context, tmp_path / "a", rsa_key(0), own, use)

    assert (result.exit_code, "keyUsage lacks" in result.stderr) == (code, code == 3)


def test_small_exponent(context: KeysContext, tmp_path: Path) -> None:
    """A key with e=3 is refused: careless verifiers take signatures forged for it (FIPS 186-5, A.1.1)."""
    key = generate_private_key(3, 2048)

    refused = _import(context, tmp_path / "a", key, certificate(key))

    assert (refused.exit_code, "public exponent is 3, needs 65537" in refused.stderr) == (3, True)


def test_unknown_kind_of_key(context: KeysContext, tmp_path: Path) -> None:
    """A key file of a kind that nobody knows gets an answer, not a trace."""
    pair = pair_files(tmp_path / "a", rsa_key(0), certificate(rsa_key(0)))
    unknown = base64.b64encode(bytes.fromhex("300f020100300706032a03040500040100")).decode()  # algorithm 1.2.3.4
    kind = "PRIVATE KEY"  # apart from its dashes: no key is committed here, and scanners need not ask
    pair[1].write_text(f"-----BEGIN {kind}-----\n{unknown}\n-----END {kind}-----\n")

    refused = _run(context, "import", "--use", "saml-sign", "--certificate", str(pair[0]), "--key", str(pair[1]))

    assert (refused.exit_code, "no private key" in refused.stderr) == (2, True)


def test_check_finds_what_came_back(context: KeysContext, tmp_path: Path) -> None:
    """Where a stolen key came back before imports refused it, `check` says so, and revoking it is offered."""
    _import(context, tmp_path / "a", rsa_key(0), certificate(rsa_key(0)))
    _revoke(context, _active(context, SIGN))
    held, brought = context.store.load(), Brought(certificate=certificate(rsa_key(0)), private=rsa_key(0))
    carry_out(context.store, plan_import(held, Rules(), NOW, ENC), "test", NOW, brought.made)

    checked = _run(context, "check")

    assert checked.exit_code == 7
    assert "which was revoked as compromised" in " ".join(checked.stdout.split())
    _revoke(context, _active(context, ENC))
    assert rsa_key(0).public_key() not in _numbers(context)
