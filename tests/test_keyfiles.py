"""Keys in a folder."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.clock import StoppedClock
from idbroker.errors import OperatorError
from idbroker.keyfiles import KeyFiles
from idbroker.keyring import Keyring, carry_out, ensure_keys
from idbroker.keyset import Rules, State, Use
from idbroker.rotation import Plan, plan_rotation
from tests.conftest import NOW
from tests.key_worker import LATER
from tests.keystores import key_folder

PASSPHRASE = "a passphrase for tests and nothing else"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder as the first start leaves it."""
    return key_folder(tmp_path)


def _plan(store: KeyFiles, use: Use = Use.OIDC_SIGN) -> Plan:
    return plan_rotation(store.load(), Rules(), LATER, use)


def _run(action: str, folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "tests.key_worker", action, str(folder)], check=True, timeout=120)


def test_read_back(tmp_path: Path) -> None:
    """Another process reads what was written, with the same secrets."""
    passphrase = tmp_path / "passphrase"
    passphrase.write_text(PASSPHRASE)
    passphrase.chmod(0o600)
    made = ensure_keys(KeyFiles(tmp_path / "keys", passphrase), StoppedClock(NOW))

    again = KeyFiles(tmp_path / "keys", passphrase)

    assert again.load() == made
    assert Keyring(again).sealing_keys().index == Keyring(KeyFiles(tmp_path / "keys", passphrase)).secret(Use.INDEX)
    assert again.concerns() == ()
    assert not (tmp_path / "keys" / "passphrase").exists()


def test_only_ours(folder: Path) -> None:
    """The folder is open to us only, and so is every file in it."""
    carry_out(KeyFiles(folder), _plan(KeyFiles(folder)), "test", LATER)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_openssl_opens(folder: Path) -> None:
    """A private key is PKCS#8 that any tool opens with the passphrase, and none without."""
    key = next(key for key in KeyFiles(folder).load().keys if key.alg == "RS256")
    command = ["openssl", "pkcs8", "-in", f"{folder}/{key.kid}.pem", "-out", os.devnull, "-passin"]

    opened = subprocess.run([*command, f"file:{folder}/passphrase"], check=False, capture_output=True)
    refused = subprocess.run([*command, "pass:wrong"], check=False, capture_output=True)

    assert (opened.returncode, refused.returncode) == (0, 1)


@pytest.mark.parametrize("mode", [0o750, 0o705])
def test_open_folder(folder: Path, mode: int) -> None:
    """A folder others may enter is refused, with the command that closes it."""
    folder.chmod(mode)

    with pytest.raises(OperatorError) as refused:
        KeyFiles(folder).load()

    assert refused.value.exit_code == 4
    assert refused.value.hint == f"chmod 700 {folder}"


def test_open_key_file(folder: Path) -> None:
    """A key file others may read is refused."""
    key = KeyFiles(folder).load().keys[0]
    (folder / f"{key.kid}.pem").chmod(0o640)

    with pytest.raises(OperatorError, match="others may read"):
        KeyFiles(folder).material(key)


def test_wrong_passphrase(folder: Path) -> None:
    """A wrong passphrase is told as such, for every kind of key, and never shown."""
    (folder / "passphrase").write_text("another passphrase altogether")
    store = KeyFiles(folder)

    for key in store.load().keys:
        with pytest.raises(OperatorError, match="does not open with the passphrase") as refused:
            store.material(key)
        assert refused.value.exit_code == 4
        assert "altogether" not in f"{refused.value}{refused.value.hint}"


@pytest.mark.parametrize("content", ["", "too short"])
def test_short_passphrase(folder: Path, content: str) -> None:
    """A passphrase that can be guessed is refused."""
    (folder / "passphrase").write_text(content)

    with pytest.raises(OperatorError, match="shorter than"):
        KeyFiles(folder).material(KeyFiles(folder).load().keys[0])


def test_missing_passphrase(folder: Path) -> None:
    """A lost passphrase is never replaced by a new one while there are keys."""
    (folder / "passphrase").unlink()
    store = KeyFiles(folder)

    with pytest.raises(OperatorError, match="passphrase is missing"):
        carry_out(store, _plan(store), "test", LATER)

    assert not (folder / "passphrase").exists()


def test_missing_key_file(folder: Path) -> None:
    """A lost key file is named."""
    key = KeyFiles(folder).load().keys[0]
    (folder / f"{key.kid}.pem").unlink()

    with pytest.raises(OperatorError, match=rf"{key.kid}\.pem is missing"):
        Keyring(KeyFiles(folder))


@pytest.mark.parametrize("length", [0, 1, 100, -2])
def test_truncated_index(folder: Path, length: int) -> None:
    """An index that was cut off is told as damaged, wherever it was cut."""
    content = (folder / "index.json").read_bytes()
    (folder / "index.json").write_bytes(content[:length])

    with pytest.raises(OperatorError, match="is damaged") as refused:
        KeyFiles(folder).load()

    assert refused.value.hint


def test_other_version(folder: Path) -> None:
    """An index of another version is not guessed at."""
    index = folder / "index.json"
    index.write_text(index.read_text().replace("idbroker.keyfiles/1", "idbroker.keyfiles/2"))

    with pytest.raises(OperatorError, match="another version"):
        KeyFiles(folder).load()


def test_no_path_in_a_name(folder: Path) -> None:
    """A key's name that is a path is refused: it would read or delete files elsewhere."""
    index, kid = folder / "index.json", KeyFiles(folder).load().keys[0].kid
    index.write_text(index.read_text().replace(kid, "../../etc/passwd"))

    with pytest.raises(OperatorError, match="no key's name"):
        KeyFiles(folder).load()


def test_passphrase_beside(folder: Path) -> None:
    """The operator is warned while the passphrase lies beside the keys."""
    assert "beside the keys" in KeyFiles(folder).concerns()[0]


def test_changed_in_between(folder: Path) -> None:
    """A plan for another key set is not carried out, and nothing is written."""
    store = KeyFiles(folder)
    plan = _plan(store)
    carry_out(KeyFiles(folder), _plan(store, Use.DATA), "somebody else", LATER)
    files = sorted(path.name for path in folder.iterdir())

    with pytest.raises(OperatorError, match="out of date") as refused:
        carry_out(store, plan, "test", LATER)

    assert refused.value.exit_code == 5
    assert sorted(path.name for path in folder.iterdir()) == files


def test_one_at_a_time(folder: Path) -> None:
    """While one process changes the keys another is refused, and told who it is and since when."""
    command = [sys.executable, "-m", "tests.key_worker", "hold", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"

        with pytest.raises(OperatorError) as refused:
            carry_out(KeyFiles(folder), _plan(KeyFiles(folder)), "test", NOW + timedelta(seconds=90))

        holder.communicate()
    assert refused.value.exit_code == 5
    assert refused.value.detail == f"the other one (process {holder.pid}) has been changing the keys for 90 s"
    assert carry_out(KeyFiles(folder), _plan(KeyFiles(folder)), "test", LATER).version


def test_killed_rotation(folder: Path) -> None:
    """A rotation killed at any write leaves the old keys or the new ones, all readable, and can go on (K6)."""
    before = KeyFiles(folder).load()

    _run("kill-rotate", folder)

    copies = [KeyFiles(path) for path in sorted(folder.parent.glob("keys.*"))]
    outcomes = [store.load().version != before.version for store in copies]
    assert {True, False} == set(outcomes)
    assert len(copies) > 10
    for store, rotated in zip(copies, outcomes, strict=True):
        assert Keyring(store).signing("RS256").alg == "RS256"
        assert [record.action for record in store.history()] == ["first"] + ["rotate"] * rotated
        later = LATER + timedelta(hours=25) if rotated else LATER
        carry_out(store, plan_rotation(store.load(), Rules(), later, Use.OIDC_SIGN), "again", later)
        assert [record.who for record in store.history()][-1] == "again"
        assert len(store.history()) == 2 + rotated


def test_killed_first_start(tmp_path: Path) -> None:
    """A first start killed at any write is made good by the next start (K6)."""
    _run("kill-start", tmp_path / "keys")

    copies = [KeyFiles(path) for path in sorted(tmp_path.glob("keys.*"))]
    assert len(copies) > 15
    for store in copies:
        ensure_keys(store, StoppedClock(NOW))
        assert Keyring(store).signing("ES256").alg == "ES256"
        assert len(store.history()) == 1


def test_retired_keys_are_deleted(folder: Path) -> None:
    """A private key that nobody needs any more is deleted; an older data key stays for older backups."""
    store, now = KeyFiles(folder), LATER
    for _ in range(3):
        carry_out(store, plan_rotation(store.load(), Rules(), now, Use.OIDC_SIGN), "test", now)
        now += timedelta(hours=25)

    keys = store.load().keys
    for key in keys:
        there = (folder / f"{key.kid}.pem").exists() or (folder / f"{key.kid}.jwe").exists()
        assert there == (key.state is not State.RETIRED)
    assert any(key.state is State.RETIRED for key in keys)


def test_left_over_files(folder: Path) -> None:
    """Files that the index does not name change nothing."""
    (folder / "README.md").write_text("Keys are here.")
    (folder / "stranger.pem").write_text("-")

    assert len(KeyFiles(folder).load().keys) == 8
    assert Keyring(KeyFiles(folder)).signing("ES256").alg == "ES256"


def test_readable_passphrase(folder: Path, tmp_path: Path) -> None:
    """The operator is warned of a passphrase file that everybody may read."""
    passphrase = tmp_path / "passphrase"
    passphrase.write_text(PASSPHRASE)
    passphrase.chmod(0o644)

    assert "everybody" in KeyFiles(folder, passphrase).concerns()[0]


def test_not_allowed() -> None:
    """Somebody who may not read the folder is told so, with exit code 4."""
    with tempfile.TemporaryDirectory() as parent, contextlib.ExitStack() as stack:
        Path(parent).chmod(0o711)
        folder = key_folder(Path(parent))
        if os.geteuid() == 0:
            stack.callback(os.seteuid, 0)
            os.seteuid(65534)
        else:
            stack.callback(folder.chmod, 0o700)
            folder.chmod(0)

        with pytest.raises(OperatorError, match="not allowed") as refused:
            KeyFiles(folder).load()

    assert refused.value.exit_code == 4
