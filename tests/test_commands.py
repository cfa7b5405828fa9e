"""The operator's tool against a real configuration, real keys and real stores."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.app import open_keys, open_tables, rewrap
from idbroker.clock import StoppedClock, SystemClock
from idbroker.config import load
from idbroker.keyring import Keyring, carry_out, ensure_keys
from idbroker.keyset import Rules, Use
from idbroker.person import PersonKey, number_row
from idbroker.rotation import plan_rotation
from idbroker.sealing import Sealer

CONFIG = """
[server]
issuer = "https://login.example.org"
port = 9

[providers.mitid]
issuer = "https://broker.example.org/op"
client_id = "us"
client_secret_file = "mitid.secret"

[clinics.clinea]
name = "Clinea"
country = "DK"
providers = ["mitid"]

[clients.portal]
name = "Portal"
clinic = "clinea"
redirect_uris = ["https://portal.example.org/callback"]
auth_method = "none"
"""
VALUE = b"DK:6101012222"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Lay out a configuration that is right."""
    (tmp_path / "config.toml").write_text(CONFIG)
    (tmp_path / "mitid.secret").write_text("a secret of the broker's")
    return tmp_path


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the tool from elsewhere: the configuration's own folder is what counts."""
    command = [sys.executable, "-m", "idbroker.cli", "--config", str(folder / "config.toml"), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_check_says_all_is_well(folder: Path) -> None:
    """A right configuration passes before the first start too; a secret's file is found beside it."""
    checked = run(folder, "check")

    assert (checked.returncode, checked.stderr) == (0, "")
    assert "ok: 1 clinic(s), 1 provider(s), 1 client(s)" in checked.stdout


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ('broker = "acme"', "broker: one of nets, idura, signicat"),
        ('auth_method = "guessing"', "auth_method: one of"),
        ('brokr = "nets"', "brokr is not known; did you mean broker?"),
    ],
)
def test_check_tries_the_providers(folder: Path, wrong: str, words: str) -> None:
    """A provider that `serve` could not start is named, with its table, and so is a misspelt setting."""
    text = (folder / "config.toml").read_text().replace('client_id = "us"', f'client_id = "us"\n{wrong}')
    (folder / "config.toml").write_text(text)

    for command in ("check", "serve"):
        refused = run(folder, command)
        assert refused.returncode == 2
        assert "[providers.mitid]" in refused.stderr or "providers.mitid:" in refused.stderr
        assert words in refused.stderr


def test_every_mistake_at_once(folder: Path) -> None:
    """Mistakes of several tables are told together, each with its table."""
    text = CONFIG.replace("port = 9", "port = 70000").replace('country = "DK"', 'country = "XX"\nid = "y"')
    (folder / "config.toml").write_text(
        text + '\n[log]\nlevel = "loud"\n[session]\nidle = "0 min"\n[evidence]\nkeep = "4000 d"\n'
    )

    refused = run(folder, "check")

    assert refused.returncode == 2
    for where in ("[server] port", "[clinics.clinea] country", "[clinics.clinea] id", "[log] level", "[session] idle"):
        assert where in refused.stderr
    assert "[evidence] keep must be 0 to 3660 days" in refused.stderr


def test_check_warns_of_test_people(folder: Path) -> None:
    """Letting test people in is said in words at every check: it is for a broker that no real person uses."""
    (folder / "config.toml").write_text(CONFIG.replace("port = 9", "port = 9\ntest_people = true"))

    checked = run(folder, "check")

    assert checked.returncode == 0
    assert "note: [server] test_people = true" in checked.stdout


def test_check_names_eids_of_a_test_environment(folder: Path) -> None:
    """An eID set to its test environment is named: there everybody can be anybody."""
    rest = 'kind = "freja"\napi = "oidc"\nclient_id = "us"\nclient_secret_file = "mitid.secret"\n'
    tables = '\n[providers.{}]\nenvironment = "{}"\n' + rest
    text = CONFIG + tables.format("one", "test") + tables.format("two", "production")
    (folder / "config.toml").write_text(text)

    checked = run(folder, "check")

    assert "note: [providers.one] environment = test" in checked.stdout, checked.stderr
    assert "[providers.two]" not in checked.stdout


def test_exit_codes_reach_the_shell(folder: Path) -> None:
    """A command's own exit code is the tool's: scripts count on it."""
    assert run(folder, "clients", "show", "nobody").returncode == 2
    assert run(folder, "keys", "check").returncode in (6, 7)
    assert run(folder, "no-such-command").returncode == 2


def test_rewrap_seals_the_store_anew(folder: Path, clock: StoppedClock) -> None:
    """After a rotation of the data key, rewrap seals every value with the new one, bound to its row as before."""
    settings, keys = load(folder / "config.toml"), open_keys(load(folder / "config.toml"), folder)
    ensure_keys(keys, clock)
    sealer = Sealer(Keyring(keys).sealing_keys)
    digest = sealer.index("number", VALUE.decode())
    durable = open_tables(settings, folder, clock)
    known = PersonKey(kind="number", digest=digest, sealed=sealer.seal(VALUE, number_row(digest)))
    durable.persons.meet([known], clock.now())
    clock.move(timedelta(hours=1))
    carry_out(keys, plan_rotation(keys.load(), Rules(), clock.now(), Use.DATA), "test", clock.now())
    newest = Keyring(keys).sealing_keys().newest

    assert durable.sealed.count_not_by(newest) == 1
    assert rewrap(settings, folder, newest, 10) == 0

    again = Sealer(Keyring(keys).sealing_keys)
    (value,) = durable.sealed.not_by(newest + 1, 10)
    assert value.sealed[:2] == newest.to_bytes(2, "big")
    assert again.open(value.sealed, number_row(digest)) == VALUE
    durable.close()


def test_rewrap_by_the_tool(folder: Path) -> None:
    """The command goes through the store it is configured for, and has nothing to do when all is new."""
    assert run(folder, "store", "migrate").returncode == 0
    settings = load(folder / "config.toml")
    ensure_keys(open_keys(settings, folder), SystemClock())

    done = run(folder, "keys", "rewrap")

    assert (done.returncode, "nothing to do" in done.stderr) == (0, True)
