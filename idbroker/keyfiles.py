"""Keys in a folder: one JSON index, one encrypted file a secret, one history.

A secret's file is there before the index names it, and the index is replaced in one step: whoever
is stopped in between leaves either the old key set or the new one, and at most a file nobody names.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from idbroker.codec import Codec
from idbroker.errors import OperatorError, StoreError
from idbroker.keymaking import Made, Material
from idbroker.keyring import out_of_date
from idbroker.keyset import Key, KeySet, Record, Use

SHORTEST_PASSPHRASE = 20
_SCHEMA = "idbroker.keyfiles/1"
_WRAP, _CONTENT = "PBES2-HS512+A256KW", "A256GCM"
_ROUNDS = 20_000
_KID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Index:
    """What index.json holds."""

    schema: str
    keys: tuple[Key, ...]
    last: Record | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Owner:
    """Who holds the lock."""

    who: str
    pid: int
    since: datetime


class Disk:
    """Every write there is, each as durable as the disk allows when it returns."""

    def create(self, path: Path, content: bytes) -> None:
        """Write a new file that only we may read."""
        self._write(path, os.O_EXCL, content)

    def append(self, path: Path, content: bytes) -> None:
        """Add to a file that only we may read."""
        self._write(path, os.O_APPEND, content)

    def replace(self, path: Path, by: Path) -> None:
        """Put one file in another's place, in one step."""
        by.replace(path)

    def cut(self, path: Path, length: int) -> None:
        """Shorten a file."""
        os.truncate(path, length)

    def remove(self, path: Path) -> None:
        """Delete a file, if it is there."""
        path.unlink(missing_ok=True)

    def settle(self, folder: Path) -> None:
        """Make names that were added or replaced survive a power cut."""
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(number)
        finally:
            os.close(number)

    def _write(self, path: Path, how: int, content: bytes) -> None:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | how, 0o600)
        with os.fdopen(number, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


class KeyFiles:
    """A KeyStore in a folder. Without a passphrase file one is made beside the keys, and `concerns` says so."""

    def __init__(self, folder: Path, passphrase_file: Path | None = None, disk: Disk | None = None) -> None:
        self._folder = folder
        self._passphrase_file = passphrase_file or folder / "passphrase"
        self._disk = disk or Disk()
        self._codec = Codec(_Index)
        self._records = Codec(Record)
        self._seen: tuple[tuple[int, int, int], KeySet] | None = None

    @property
    def _index(self) -> Path:
        return self._folder / "index.json"

    @property
    def _history(self) -> Path:
        return self._folder / "history.jsonl"

    def load(self) -> KeySet:
        """Return the newest key set; an empty one before the first start."""
        with _operator_told(self._folder):
            try:
                found = self._index.stat()
            except FileNotFoundError:
                return KeySet()
            seen, mark = self._seen, (found.st_mtime_ns, found.st_size, found.st_ino)
            if seen is not None and seen[0] == mark:
                return seen[1]
            _check_private(self._folder, 0o700)
            keys = self._parse(self._index.read_bytes())
        self._seen = (mark, keys)
        return keys

    def material(self, key: Key) -> Material:
        """Return a key's secret. OperatorError (exit 4) when it does not open."""
        path = self._path(key)
        with _operator_told(path):
            _check_private(path, 0o600)
            content = path.read_bytes()
        passphrase = self._passphrase()
        try:
            return _unlock(content, passphrase) if key.public is None else _unlock_pem(content, passphrase)
        except (ValueError, TypeError, JoseError, InvalidUnwrap, UnsupportedAlgorithm) as error:
            raise OperatorError(
                f"{path.name} does not open with the passphrase in {self._passphrase_file}",
                hint="it is the wrong passphrase, or the file is damaged: restore both from the same backup",
                code="locked_away",
                exit_code=4,
            ) from error

    @contextmanager
    def changing(self, who: str, now: datetime, *, wait: bool = False) -> Iterator[_FolderChange]:
        """Let one at a time change: a file lock, which ends with the process that holds it."""
        with _operator_told(self._folder):
            self._open_folder()
            number = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _acquire(number, now, wait=wait)
            os.ftruncate(number, 0)
            os.pwrite(number, Codec(_Owner).pack(_Owner(who=who, pid=os.getpid(), since=now)), 0)
            with _operator_told(self._folder):
                yield _FolderChange(self)
        finally:
            os.close(number)

    def history(self) -> tuple[Record, ...]:
        """Return every change there was, oldest first, the one included that was cut off before its line."""
        lines, _ = self._lines()
        records = [self._read_record(line) for line in lines]
        last = self.load().last
        return (*records, last) if last is not None and last not in records[-1:] else tuple(records)

    def concerns(self) -> tuple[str, ...]:
        """Return what an operator should change about how the keys lie here."""
        found: list[str] = []
        if self._passphrase_file.resolve().parent == self._folder.resolve():
            found.append("the passphrase lies beside the keys: whoever copies the folder has both")
        elif self._passphrase_file.exists() and self._passphrase_file.stat().st_mode & stat.S_IROTH:
            found.append("everybody on this machine may read the passphrase file")
        return tuple(found)

    def _save(self, before: KeySet, keys: tuple[Key, ...], made: tuple[Made, ...], record: Record) -> KeySet:
        if self.load().version != before.version:
            raise out_of_date(record.plan)
        self._tidy()
        for one in made:
            self._disk.create(self._path(one.key), self._locked(one.material))
        self._disk.settle(self._folder)
        self._put_index(self._codec.pack(_Index(schema=_SCHEMA, keys=keys, last=record)))
        self._disk.append(self._history, self._records.pack(record) + b"\n")
        gone = {key.kid for key in before.alive()} - {key.kid for key in keys if key.alive}
        for key in keys:
            # A retired data key is kept: an older backup of the database can only be read with it.
            if key.kid in gone and key.use is not Use.DATA:
                self._disk.remove(self._path(key))
        return self.load()

    def _put_index(self, content: bytes) -> None:
        fresh = self._folder / f".new-{secrets.token_hex(4)}"
        self._disk.create(fresh, content)
        self._disk.replace(self._index, fresh)
        self._disk.settle(self._folder)

    def _tidy(self) -> None:
        """Finish what an interrupted change left: half a file, half a line, or a line not written."""
        for left in self._folder.glob(".new-*"):
            self._disk.remove(left)
        lines, whole = self._lines()
        if self._history.exists() and self._history.stat().st_size > whole:
            self._disk.cut(self._history, whole)
        last = self.load().last
        if last is not None and (not lines or self._read_record(lines[-1]) != last):
            self._disk.append(self._history, self._records.pack(last) + b"\n")

    def _lines(self) -> tuple[list[bytes], int]:
        """Return the history's whole lines and how many bytes they are: the last may be cut off."""
        with _operator_told(self._folder):
            content = self._history.read_bytes() if self._history.exists() else b""
        whole = content.rfind(b"\n") + 1
        return content[:whole].splitlines(), whole

    def _read_record(self, line: bytes) -> Record:
        try:
            return self._records.unpack(line)
        except StoreError as error:
            raise OperatorError(f"{self._history} has a line that does not read", code="damaged") from error

    def _parse(self, content: bytes) -> KeySet:
        try:
            index = self._codec.unpack(content)
        except StoreError as error:
            raise self._damaged("is damaged") from error
        if index.schema != _SCHEMA:
            raise self._damaged(f"is not of kind {_SCHEMA}: another version of idbroker wrote it")
        if not all(_KID.fullmatch(key.kid) for key in index.keys):
            raise self._damaged("names a key that is no key's name")  # it would be a path
        return KeySet(keys=index.keys, version=hashlib.sha256(content).hexdigest()[:16], last=index.last)

    def _damaged(self, what: str) -> OperatorError:
        return OperatorError(
            f"{self._index} {what}", hint="restore the folder from your backup; the key files are whole", code="damaged"
        )

    def _path(self, key: Key) -> Path:
        return self._folder / f"{key.kid}.{'jwe' if key.public is None else 'pem'}"

    def _open_folder(self) -> None:
        """Make the folder ours at the very first change; later a folder open to others is refused."""
        if not self._index.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            self._folder.chmod(0o700)
        _check_private(self._folder, 0o700)

    def _locked(self, material: Material) -> bytes:
        passphrase = self._passphrase(make=True)
        if isinstance(material, RSAPrivateKey | EllipticCurvePrivateKey):
            return material.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(passphrase),
            )
        header = {"alg": _WRAP, "enc": _CONTENT, "p2c": _ROUNDS}
        key = OctKey.import_key(passphrase)
        return jwe.encrypt_compact(header, material, key, algorithms=[_WRAP, _CONTENT]).encode() + b"\n"

    def _passphrase(self, *, make: bool = False) -> bytes:
        path = self._passphrase_file
        with _operator_told(path):
            if make and path.parent == self._folder and not path.exists() and not self._index.exists():
                fresh = self._folder / f".new-{secrets.token_hex(4)}"
                self._disk.create(fresh, secrets.token_urlsafe(32).encode() + b"\n")
                self._disk.replace(path, fresh)
                self._disk.settle(self._folder)
            if path.parent == self._folder:
                _check_private(path, 0o600)
            passphrase = path.read_bytes().strip()
        if len(passphrase) < SHORTEST_PASSPHRASE:
            raise OperatorError(
                f"the passphrase in {path} is shorter than {SHORTEST_PASSPHRASE} characters",
                hint="make one with: openssl rand -base64 32",
                code="short_passphrase",
                exit_code=4,
            )
        return passphrase


class _FolderChange:
    """The right to change a folder's key set."""

    def __init__(self, files: KeyFiles) -> None:
        self._files = files

    def save(self, before: KeySet, keys: tuple[Key, ...], made: tuple[Made, ...], record: Record) -> KeySet:
        """Replace `before` by `keys`, all or nothing, and add to the history."""
        return self._files._save(before, keys, made, record)


def _unlock(content: bytes, passphrase: bytes) -> bytes:
    key = OctKey.import_key(passphrase)
    plaintext = jwe.decrypt_compact(content.strip(), key, algorithms=[_WRAP, _CONTENT]).plaintext
    if plaintext is None or len(plaintext) != 32:
        raise ValueError("not a key of 32 bytes")
    return plaintext


def _unlock_pem(content: bytes, passphrase: bytes) -> RSAPrivateKey | EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(content, passphrase)
    if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
        raise ValueError("neither an RSA nor an EC key")
    return key


def _check_private(path: Path, mode: int) -> None:
    if path.stat().st_mode & 0o077:
        raise OperatorError(
            f"others may read {path}", hint=f"chmod {mode:o} {path}", code="open_to_others", exit_code=4
        )


def _acquire(number: int, now: datetime, *, wait: bool) -> None:
    try:
        fcntl.flock(number, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _locked_by(os.pread(number, 4096, 0), now) from error


def _locked_by(content: bytes, now: datetime) -> OperatorError:
    try:
        owner = Codec(_Owner).unpack(content)
        seconds = max(0, int((now - owner.since).total_seconds()))
        detail = f"{owner.who} (process {owner.pid}) has been changing the keys for {seconds} s"
    except StoreError:
        detail = "somebody else is changing the keys"  # they have the lock and have not said who they are yet
    return OperatorError(detail, hint="wait for it, then look again: idbroker keys plan", code="busy", exit_code=5)


@contextmanager
def _operator_told(path: Path) -> Iterator[None]:
    """Turn what the system refuses into words for the operator; exit 4 when we are not allowed."""
    try:
        yield
    except PermissionError as error:
        raise OperatorError(
            f"not allowed to use {error.filename or path}",
            hint="run this as the user who runs idbroker serve",
            code="not_allowed",
            exit_code=4,
        ) from error
    except FileNotFoundError as error:
        raise OperatorError(
            f"{error.filename or path} is missing", hint="restore it from your backup", code="missing", exit_code=4
        ) from error
    except OSError as error:
        raise OperatorError(f"{error.filename or path}: {error.strerror}", code="disk") from error
