"""A key and its certificate that were made elsewhere, checked before they become one of ours."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.x509 import Certificate, load_pem_x509_certificates

from idbroker.errors import OperatorError
from idbroker.keymaking import Made, public_jwk
from idbroker.keyset import Chain, Key, KeySet, Rules, State, Use
from idbroker.rotation import Step

SHORTEST_KEY = 2048
LARGEST_FILE = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """A private key and the certificate an authority made for it."""

    certificate: Certificate
    private: RSAPrivateKey = field(repr=False)

    def kid(self, use: Use) -> str:
        """Return its name here: of the certificate, because a renewed one may be over the same key."""
        der = self.certificate.public_bytes(serialization.Encoding.DER)
        return hashlib.sha256(f"{use}:".encode() + der).hexdigest()[:43]

    def made(self, step: Step, now: datetime, _number: int | None, sandbox: bool) -> Made:
        """Return it as the new key that a step asks for (a KeyMaker)."""
        public = {name: value for name, value in public_jwk(self.private.public_key()).items() if name != "kid"}
        key = Key(
            kid=self.kid(step.use),
            use=step.use,
            alg=step.alg,
            state=step.becomes,
            created_at=now,
            published_at=now,
            active_at=now if step.becomes is State.ACTIVE else None,
            sandbox=sandbox,
            public=public,
            certificate=self.certificate.public_bytes(serialization.Encoding.PEM).decode(),
            ends_at=self.certificate.not_valid_after_utc,
            imported=True,
        )
        return Made(key=key, material=self.private)


def read_brought(certificate: Path, key: Path, passphrase: Path | None = None) -> Brought:
    """Read both from PEM files; of several certificates the key's own. OperatorError for what is no such pair."""
    private = _private(key, _content(passphrase).strip() if passphrase is not None else None)
    if private.key_size < SHORTEST_KEY:
        raise _refused(f"the key has {private.key_size} bits, needs {SHORTEST_KEY}", "short_key", 3)
    try:
        found = load_pem_x509_certificates(_content(certificate))
    except ValueError as error:
        hint = f"PEM it must be; if it is not: openssl x509 -inform der -in {certificate}"
        raise _refused(f"{certificate} holds no certificate", "no_certificate", 2, hint) from error
    ours = private.public_key().public_numbers()
    for one in found:
        public = one.public_key()
        if isinstance(public, RSAPublicKey) and public.public_numbers() == ours:
            return Brought(certificate=one, private=private)
    raise _refused(f"the certificate in {certificate} is not for the key in {key}", "wrong_key", 2)


def check_usable(brought: Brought, keys: KeySet, rules: Rules, now: datetime, chain: Chain) -> None:
    """Refuse (exit 3) a certificate that is not valid from the moment on at which it can be in use."""
    active = keys.active(chain)
    begins = now
    if active is not None:
        begins = rules.may_sign(replace(active, published_at=now))
    since, ends = brought.certificate.not_valid_before_utc, brought.certificate.not_valid_after_utc
    if ends <= begins:
        what = "has ended" if ends <= now else f"ends before it can be used ({begins:%Y-%m-%d})"
        raise _refused(f"the certificate {what}: {ends:%Y-%m-%d}", "certificate_ended", 3)
    if since > begins:
        raise _refused(f"the certificate begins {since:%Y-%m-%d}: later than it would be used", "not_yet_valid", 3)


def _private(path: Path, passphrase: bytes | None) -> RSAPrivateKey:
    content = _content(path)
    try:
        found = serialization.load_pem_private_key(content, passphrase)
    except TypeError as error:
        if passphrase is None:
            hint = "put the passphrase into a file of its own: --passphrase-file FILE"
            raise _refused(f"{path} is encrypted", "locked_away", 2, hint) from error
        hint = "leave --passphrase-file out"
        raise _refused(f"{path} is not encrypted, but a passphrase is given", "wrong_passphrase", 2, hint) from error
    except ValueError as error:
        what = "does not open with this passphrase" if passphrase is not None else "holds no private key in PEM"
        hint = "out of a .p12: openssl pkcs12 -in FILE.p12 -nocerts -out key.pem" if passphrase is None else ""
        raise _refused(f"{path} {what}", "no_private_key", 2, hint) from error
    if not isinstance(found, RSAPrivateKey):
        raise _refused(f"{path} holds no RSA key", "no_rsa_key", 3, "our SAML messages are signed with RSA")
    return found


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_FILE)
    except OSError as error:
        raise _refused(f"{path}: {error.strerror}", "unreadable", 2) from error


def _refused(detail: str, code: str, exit_code: int, hint: str = "") -> OperatorError:
    return OperatorError(detail, hint=hint, code=code, exit_code=exit_code)
