"""Key folders for tests: made once for real, and copied."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import (
    Certificate,
    CertificateBuilder,
    ExtensionType,
    KeyUsage,
    Name,
    NameAttribute,
    random_serial_number,
)
from cryptography.x509.oid import NameOID

from idbroker.clock import StoppedClock
from idbroker.keyfiles import Disk, KeyFiles
from idbroker.keyring import ensure_keys
from idbroker.keyset import NEEDED, Chain
from idbroker.store import open_durable
from tests.conftest import NOW


@functools.cache
def _made(chains: tuple[Chain, ...]) -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory()
    ensure_keys(KeyFiles(Path(folder.name)), StoppedClock(NOW), chains=chains)
    return folder


def key_folder(parent: Path, chains: tuple[Chain, ...] = NEEDED) -> Path:
    """Return a folder of keys as the first start leaves it at NOW."""
    return Path(shutil.copytree(_made(chains).name, parent / "keys"))


@functools.cache
def _started(sandbox: bool) -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory()
    ensure_keys(KeyFiles(Path(folder.name) / "keys"), StoppedClock(NOW), sandbox=sandbox)
    durable = open_durable(f"sqlite:///{folder.name}/var/idbroker.db", StoppedClock(NOW))
    durable.migrate()
    durable.close()
    return folder


def started(folder: Path, clock: StoppedClock, *, sandbox: bool = False) -> Path:
    """Return the folder with what a first start leaves in it, keys and tables; made anew if it is another day's."""
    if clock.now() == NOW and not any((folder / name).exists() for name in ("keys", "var")):
        shutil.copytree(_started(sandbox).name, folder, dirs_exist_ok=True)
    return folder


@functools.cache
def rsa_key(number: int, bits: int = 2048) -> RSAPrivateKey:
    """Return an RSA key, the same one for the same number."""
    del number
    return generate_private_key(65537, bits)


def certificate(
    key: RSAPrivateKey,
    *extensions: ExtensionType,
    since: datetime = NOW - timedelta(days=1),
    ends: datetime = NOW + timedelta(days=900),
) -> Certificate:
    """Return a certificate for a key, by an authority that is not asked about."""
    authority, ours = (Name([NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("Authority", "Broker"))
    builder = CertificateBuilder(authority, ours, key.public_key(), random_serial_number(), since, ends)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(rsa_key(-1), SHA256())


def key_usage(*, sign: bool, encrypt: bool) -> KeyUsage:
    """Return the keyUsage of a certificate for signing, encryption, both, or (neither) an authority."""
    return KeyUsage(
        digital_signature=sign,
        content_commitment=False,
        key_encipherment=encrypt,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=not sign and not encrypt,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def pair_files(
    folder: Path, key: RSAPrivateKey, *certificates: Certificate, passphrase: bytes | None = None
) -> tuple[Path, Path]:
    """Write certificates and their key as an operator gets them; return both files."""
    folder.mkdir(exist_ok=True)
    pem, opened = folder / "certificate.pem", folder / "key.pem"
    pem.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in certificates))
    locked = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    opened.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))
    return pem, opened


class KillingDisk(Disk):
    """Kills its own process before, or in the middle of, the nth write: no clean-up runs (SIGKILL)."""

    def __init__(self, kill_at: int) -> None:
        self.left = kill_at

    def create(self, path: Path, content: bytes) -> None:
        """Write half, or all."""
        self._tick()
        if self.left == 1:
            super().create(path, content[: len(content) // 2])
        self._tick()
        super().create(path, content)

    def append(self, path: Path, content: bytes) -> None:
        """Append half, or all."""
        self._tick()
        if self.left == 1:
            super().append(path, content[: len(content) // 2])
        self._tick()
        super().append(path, content)

    def replace(self, path: Path, by: Path) -> None:
        """Replace, or not."""
        self._tick()
        super().replace(path, by)

    def cut(self, path: Path, length: int) -> None:
        """Shorten, or not."""
        self._tick()
        super().cut(path, length)

    def remove(self, path: Path) -> None:
        """Delete, or not."""
        self._tick()
        super().remove(path)

    def settle(self, folder: Path) -> None:
        """Settle, or not."""
        self._tick()
        super().settle(folder)

    def _tick(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
