"""`idbroker keys` keeps its secrets."""

from __future__ import annotations

import base64
import logging
from datetime import UTC, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from idbroker.clock import StoppedClock
from idbroker.keyfiles import KeyFiles
from idbroker.keys_cli import keys
from idbroker.keys_context import KeysContext
from idbroker.keys_print import Screen
from idbroker.keyset import CHAINS
from tests.conftest import NOW
from tests.keystores import certificate, key_folder, pair_files, rsa_key

COMMANDS = sorted(keys.commands)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_secret_options(command: str) -> None:
    """No option takes a secret, at most a file's name: options are seen by every user of the machine (K5)."""
    names = {name for parameter in keys.commands[command].params for name in parameter.opts}

    assert not {
        name
        for name in names
        if not name.endswith("-file") and any(word in name for word in ("pass", "secret", "private"))
    }
    short = {name for name in names if not name.startswith("--") and name.startswith("-")}
    assert short <= {"-y"}


def test_no_secret_is_printed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing any command writes or logs holds private material, in any spelling (K5)."""
    caplog.set_level(logging.DEBUG)
    folder = key_folder(tmp_path, CHAINS)
    clock, screen = StoppedClock(NOW + timedelta(hours=25)), Screen(terminal=True, zone=UTC)
    context = KeysContext(store=KeyFiles(folder), clock=clock, who="anna", screen=screen)
    kids = [key.kid for key in context.store.load().keys]
    secrets = _secrets(context, folder)
    runs = [["list"], ["check"], ["plan"], ["history"], ["export", "--jwks"], ["rotate", "--yes"]]
    pair = pair_files(tmp_path / "brought", rsa_key(0), certificate(rsa_key(0)))
    runs += [["export", "--saml-cert"], ["export", "--saml-enc-cert"], ["retire", "--yes"]]
    runs += [["import", "--use", "saml-sign", "--certificate", str(pair[0]), "--key", str(pair[1]), "--yes"]]
    runs += [["import", "--use", "saml-sign", "--certificate", str(pair[1]), "--key", str(pair[1]), "--yes"]]
    runs += [["show", kid, *more] for kid in kids for more in ([], ["--pem"])]
    runs += [["rotate", "--back", "--yes"], ["revoke", kids[0], "--reason", "test", "--confirm", kids[0][-4:]]]

    said = "".join(
        CliRunner().invoke(keys, [*run, *more], obj=context).output for run in runs for more in ([], ["--json"])
    )

    said += caplog.text
    assert "PRIVATE KEY" not in said
    assert len(secrets) == 14 * 3 + 1
    assert not [secret for secret in secrets if secret in said]


def _secrets(context: KeysContext, folder: Path) -> list[str]:
    found = [(folder / "passphrase").read_text().strip()]
    for key in context.store.load().keys:
        material = context.store.material(key)
        if isinstance(material, RSAPrivateKey):
            number = material.private_numbers().d
        elif isinstance(material, EllipticCurvePrivateKey):
            number = material.private_numbers().private_value
        else:
            number = int.from_bytes(material, "big")
        octets = number.to_bytes((number.bit_length() + 7) // 8, "big")
        spellings = [octets.hex(), base64.b64encode(octets).decode(), base64.urlsafe_b64encode(octets).decode()]
        found += [spelling.rstrip("=") for spelling in spellings]
    return found
