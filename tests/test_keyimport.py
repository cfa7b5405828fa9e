"""Keys that an authority has certified: taken in, used, and followed by the next."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.x509 import load_pem_x509_certificates

from idbroker.clock import StoppedClock
from idbroker.commands.keys import opened
from idbroker.errors import ConfigError
from idbroker.keyfiles import KeyFiles
from idbroker.keymaking import CERTIFICATE_LIFE
from idbroker.keyring import Keyring
from idbroker.keys_cli import keys
from idbroker.keys_context import KeysContext
from idbroker.keys_print import Screen
from idbroker.keyset import CHAINS, SAML, Chain, Key, Rules, State, Use
from tests.conftest import NOW
from tests.keystores import certificate, key_folder, key_usage, pair_files, rsa_key

SCHEMA = json.loads(files("idbroker").joinpath("schemas/keys-1.json").read_text())
SIGN, ENC = (next(chain for chain in CHAINS if chain.use is use) for use in SAML)
WAIT = Rules().saml_cache + Rules().skew
DAY = timedelta(days=1)


@pytest.fixture
def clock() -> StoppedClock:
    """Return a clock an hour after the first start."""
    return StoppedClock(NOW + timedelta(hours=1))


@pytest.fixture
def context(tmp_path: Path, clock: StoppedClock) -> KeysContext:
    """Return what the commands work with, all kinds of keys there."""
    screen = Screen(width=120, terminal=True, asks=True, zone=UTC)
    return KeysContext(store=KeyFiles(key_folder(tmp_path, CHAINS)), clock=clock, who="anna", screen=screen)


def _run(context: KeysContext, *arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(keys, list(arguments), obj=context, input=typed)


def _import(context: KeysContext, pair: tuple[Path, Path], *more: str, use: str = "saml-sign") -> Result:
    return _run(context, "import", "--use", use, "--certificate", str(pair[0]), "--key", str(pair[1]), *more)


def _json(text: str) -> Any:
    found = json.loads(text)
    jsonschema.validate(found, SCHEMA)
    return found


def _staged(context: KeysContext, chain: Chain = SIGN) -> tuple[Key, ...]:
    return context.store.load().of(chain, State.STAGED)


def test_life_of_an_imported_key(context: KeysContext, clock: StoppedClock, tmp_path: Path) -> None:
    """An imported key is staged in place of ours, waits, signs by its certificate, and only an import follows it."""
    ours = _staged(context)[0]
    certified = certificate(rsa_key(0))
    done = _import(context, pair_files(tmp_path / "a", rsa_key(0), certified), "--yes", "--json")

    assert (done.exit_code, _json(done.stdout)["keys"][0]["imported"]) == (0, True)
    assert [key.imported for key in _staged(context)] == [True]
    assert next(key for key in context.store.load().keys if key.kid == ours.kid).state is State.RETIRED
    assert certified in Keyring(context.store).saml_certificates(Use.SAML_SIGN)
    assert _run(context, "rotate", "--use", "saml-sign", "--yes").exit_code == 3
    clock.move(WAIT)
    assert _run(context, "rotate", "--use", "saml-sign", "--yes").exit_code == 0
    signing = Keyring(context.store).saml_signing()
    assert (signing.certificate, signing.key.public_key()) == (certified, rsa_key(0).public_key())
    assert _staged(context) == ()
    clock.move(DAY)
    refused = _run(context, "rotate", "--use", "saml-sign", "--yes")
    assert (refused.exit_code, "keys import --use saml-sign" in refused.stderr) == (3, True)
    assert [(one.action, one.who) for one in context.store.history()][1] == ("import", "anna")


def test_import_back(context: KeysContext, clock: StoppedClock, tmp_path: Path) -> None:
    """When a partner does not take the authority's certificate after all, our own signs again."""
    before = Keyring(context.store).saml_signing().certificate
    _import(context, pair_files(tmp_path / "a", rsa_key(0), certificate(rsa_key(0))), "--yes")
    clock.move(WAIT)
    rotated = _run(context, "rotate", "--use", "saml-sign", "--yes")

    undone = _run(context, "rotate", "--use", "saml-sign", "--back", "--yes")

    assert "idbroker keys rotate --use saml-sign --back" in rotated.stdout
    assert undone.exit_code == 0
    assert Keyring(context.store).saml_signing().certificate == before


def test_import_at_once(context: KeysContext, tmp_path: Path) -> None:
    """While nobody has our metadata, the key we made is revoked, and the authority's signs, alone."""
    certified = certificate(rsa_key(0))
    _import(context, pair_files(tmp_path / "a", rsa_key(0), certified), "--yes")
    ours = context.store.load().active(SIGN)
    assert ours is not None

    _run(context, "revoke", ours.kid, "--reason", "test", "--confirm", ours.kid[-4:])

    assert Keyring(context.store).saml_certificates(Use.SAML_SIGN) == (certified,)
    assert Keyring(context.store).saml_signing().certificate == certified


def test_import_encryption_key(context: KeysContext, tmp_path: Path) -> None:
    """What was staged to encrypt to leaves the metadata, and opens until that is forgotten."""
    ours = _staged(context, ENC)[0]
    certified = certificate(rsa_key(0))

    assert _import(context, pair_files(tmp_path / "a", rsa_key(0), certified), "--yes", use="saml-enc").exit_code == 0

    keyring = Keyring(context.store)
    assert keyring.saml_certificates(Use.SAML_ENC)[1:] == (certified,)
    assert ours.kid in [kid for kid, _ in keyring.decryption(Use.SAML_ENC)]


def test_one_certificate_for_both(context: KeysContext, tmp_path: Path) -> None:
    """An authority's certificate may be for both uses, where its keyUsage says so: it is one key of each."""
    pair = pair_files(tmp_path / "a", rsa_key(0), certificate(rsa_key(0), key_usage(sign=True, encrypt=True)))

    assert [_import(context, pair, "--yes", use=use.value).exit_code for use in SAML] == [0, 0]
    assert len({_staged(context, chain)[0].kid for chain in (SIGN, ENC)}) == 2


def test_renewed_over_the_same_key(context: KeysContext, tmp_path: Path) -> None:
    """A renewed certificate over the same key is another key of ours."""
    for name in ("a", "b"):
        assert (
            _import(context, pair_files(tmp_path / name, rsa_key(0), certificate(rsa_key(0))), "--yes").exit_code == 0
        )

    assert len(_staged(context)) == 1


def test_first_of_its_use(tmp_path: Path, context: KeysContext) -> None:
    """Before any partner knows us, the imported key is active at once, and nothing of ours stands beside it."""
    bare = replace(context, store=KeyFiles(key_folder(tmp_path / "bare")))
    certified = certificate(rsa_key(0))

    assert _import(bare, pair_files(tmp_path / "a", rsa_key(0), certified), "--yes").exit_code == 0

    assert Keyring(bare.store).saml_certificates(Use.SAML_SIGN) == (certified,)
    checked = _json(_run(bare, "check", "--json").stdout)["checks"]
    assert "no_successor" not in {one["code"] for one in checked}


def test_again(context: KeysContext, clock: StoppedClock, tmp_path: Path) -> None:
    """The same import again changes nothing; a key that is gone does not come back."""
    pair = pair_files(tmp_path / "a", rsa_key(0), certificate(rsa_key(0)))
    _import(context, pair, "--yes")
    version = context.store.load().version

    again = _import(context, pair, "--yes", "--json")
    assert (again.exit_code, _json(again.stdout)["plan"], context.store.load().version) == (0, None, version)
    kid = _staged(context)[0].kid
    _run(context, "revoke", kid, "--reason", "compromised", "--confirm", kid[-4:])
    assert _import(context, pair, "--yes").exit_code == 3


def test_chain_file(context: KeysContext, tmp_path: Path) -> None:
    """Of a file with a chain the key's own certificate is taken, wherever it stands."""
    own = certificate(rsa_key(0))

    _import(context, pair_files(tmp_path / "a", rsa_key(0), certificate(rsa_key(1)), own), "--yes")

    assert own in Keyring(context.store).saml_certificates(Use.SAML_SIGN)


def test_encrypted_key(context: KeysContext, tmp_path: Path) -> None:
    """An encrypted key opens with the passphrase in a file; without it, or with another, nothing changes."""
    pair = pair_files(tmp_path / "a", rsa_key(0), certificate(rsa_key(0)), passphrase=b"correct horse")
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text("correct horse\n")
    wrong.write_text("battery staple\n")

    without = _import(context, pair, "--yes")
    assert (without.exit_code, "--passphrase-file" in without.stderr) == (2, True)
    assert _import(context, pair, "--yes", "--passphrase-file", str(wrong)).exit_code == 2
    assert _import(context, pair, "--yes", "--passphrase-file", str(right)).exit_code == 0


@pytest.mark.parametrize(
    ("what", "code", "words"),
    [
        ("ended", 3, "has ended"),
        ("too soon", 3, "ends before it can be used (2026-11-25)"),
        ("later", 3, "later than it would be used"),
        ("short", 3, "1024 bits, needs 2048"),
        ("another", 2, "is not for the key"),
        ("swapped", 2, "no private key"),
        ("missing", 2, "No such file"),
    ],
)
def test_refused(context: KeysContext, tmp_path: Path, what: str, code: int, words: str) -> None:
    """A pair that could not be used is refused with the reason, and nothing changes."""
    key = rsa_key(7, 1024) if what == "short" else rsa_key(0)
    ends = {"ended": NOW - timedelta(seconds=1), "too soon": NOW + WAIT}.get(what, NOW + 900 * DAY)
    since = NOW + 4 * DAY if what == "later" else NOW - 2 * DAY
    own = certificate(rsa_key(1) if what == "another" else key, since=since, ends=ends)
    pair = pair_files(tmp_path / "a", key, own)
    pair = {"swapped": (pair[0], pair[0]), "missing": (pair[0], tmp_path / "none")}.get(what, pair)
    version = context.store.load().version

    result = _import(context, pair, "--yes")

    assert (result.exit_code, words in result.stderr) == (code, True)
    assert context.store.load().version == version


def test_elliptic_key_refused(context: KeysContext, tmp_path: Path) -> None:
    """SAML is signed with RSA here: another kind of key is refused."""
    pair = pair_files(tmp_path / "a", rsa_key(0), certificate(rsa_key(0)))
    pem, pkcs8, open_ = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pair[1].write_bytes(generate_ec(SECP256R1()).private_bytes(pem, pkcs8, open_))

    assert _import(context, pair, "--yes").exit_code == 3


def test_asks(context: KeysContext, tmp_path: Path) -> None:
    """A person sees the plan and is asked; --dry-run only shows it."""
    pair = pair_files(tmp_path / "a", rsa_key(0), certificate(rsa_key(0)))
    version = context.store.load().version

    shown = _import(context, pair, "--dry-run")
    assert "may sign from 2026-11-25 10:10 UTC" in shown.stdout
    assert "must be given it again" in shown.stdout
    assert _json(_import(context, pair, "--dry-run", "--json").stdout)["plan"]["applied"] is False
    assert _import(context, pair).exit_code == 2
    assert context.store.load().version == version


@pytest.mark.parametrize(("option", "use"), [("--saml-cert", Use.SAML_SIGN), ("--saml-enc-cert", Use.SAML_ENC)])
def test_export(context: KeysContext, option: str, use: Use) -> None:
    """Both kinds of certificates are written as PEM in the order of our metadata, to be handed over."""
    exported = _run(context, "export", option)

    assert tuple(load_pem_x509_certificates(exported.stdout.encode())) == Keyring(context.store).saml_certificates(use)


def test_retire(context: KeysContext, clock: StoppedClock) -> None:
    """A retiring key is let go when nobody can need it, not before; `check` says when, and nothing else is rotated."""
    clock.move(WAIT)
    _run(context, "rotate", "--use", "saml-enc", "--yes")
    active = context.store.load().active(ENC)
    early = _run(context, "retire", "--yes")
    clock.move(WAIT)
    found = _json(_run(context, "check", "--json").stdout)["checks"]

    assert "still needed" in early.stderr
    assert "idbroker keys retire --use saml-enc" in {one["hint"] for one in found if one["code"] == "over"}
    assert _json(_run(context, "retire", "--yes", "--json").stdout)["plan"]["applied"] is True
    assert context.store.load().of(ENC, State.RETIRING) == ()
    assert context.store.load().active(ENC) == active


@pytest.mark.parametrize(("left", "level", "code"), [(91, None, 0), (89, "warning", 6), (29, "act", 7), (-1, "act", 7)])
def test_certificate_ends(context: KeysContext, clock: StoppedClock, left: int, level: str | None, code: int) -> None:
    """`check` warns three months before a certificate in use ends, and urges one month before."""
    clock.move(CERTIFICATE_LIFE - left * DAY)
    checked = _run(replace(context, rules=Rules(rotate_after=9999 * DAY)), "check", "--json")

    found = {one["level"] for one in _json(checked.stdout)["checks"] if one["code"] == "certificate"}
    assert (found, checked.exit_code) == ({level} if level else set(), code)


def test_saml_cache_is_configured(tmp_path: Path) -> None:
    """`[keys] saml_cache` is how long the commands wait before a new SAML key signs."""
    text = '[server]\nissuer = "https://login.example.org"\n[keys]\nsaml_cache = "14 days"\n'
    (tmp_path / "config.toml").write_text(text)

    assert opened(str(tmp_path / "config.toml")).rules.saml_cache == 14 * DAY
    (tmp_path / "config.toml").write_text(text.replace("14 days", "5 min"))
    with pytest.raises(ConfigError, match="saml_cache must be 1 hour to 90 days"):
        opened(str(tmp_path / "config.toml"))
