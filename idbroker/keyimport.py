"""A key and its certificate that were made elsewhere, checked before they become one of ours."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.x509 import (
    BasicConstraints,
    Certificate,
    DuplicateExtension,
    ExtensionType,
    KeyUsage,
    UnsupportedGeneralNameType,
    load_pem_x509_certificates,
)

from idbroker.errors import OperatorError
from idbroker.keymaking import Made, public_jwk
from idbroker.keyset import SAML, Chain, Key, KeySet, Rules, State, Use
from idbroker.rotation import Step, copies_of

SHORTEST_KEY = 2048
SMALLEST_EXPONENT = 65537
LARGEST_FILE = 64 * 1024
# What a certificate's keyUsage must say (RFC 5280, 4.2.1.3).
_NEEDS: dict[Use, tuple[str, Callable[[KeyUsage], bool]]] = {
    Use.SAML_SIGN: ("digitalSignature", attrgetter("digital_signature")),
    Use.SAML_ENC: ("keyEncipherment", attrgetter("key_encipherment")),
}
_Kind = TypeVar("_Kind", bound=ExtensionType)


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """A private key and the certificate an authority made for it."""

    certificate: Certificate
    private: RSAPrivateKey = field(repr=False)

    @property
    def public(self) -> dict[str, str]:
        """Return the public JWK, without a name."""
        return {name: value for name, value in public_jwk(self.private.public_key()).items() if name != "kid"}

    def kid(self, use: Use) -> str:
        """Return its name here: of the certificate, because a renewed one may be over the same key."""
        der = self.certificate.public_bytes(serialization.Encoding.DER)
        return hashlib.sha256(f"{use}:".encode() + der).hexdigest()[:43]

    def made(self, step: Step, now: datetime, _number: int | None, sandbox: bool) -> Made:
        """Return it as the new key that a step asks for (a KeyMaker)."""
        key = Key(
            kid=self.kid(step.use),
            use=step.use,
            alg=step.alg,
            state=step.becomes,
            created_at=now,
            published_at=now,
            active_at=now if step.becomes is State.ACTIVE else None,
            sandbox=sandbox,
            public=self.public,
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
    ours = private.public_key().public_numbers()
    if ours.e < SMALLEST_EXPONENT:
        # With e=3 a short message can be read, and a careless verifier's padding check be forged, without the key.
        raise _refused(f"the key's public exponent is {ours.e}, needs {SMALLEST_EXPONENT}", "small_exponent", 3)
    try:
        found = load_pem_x509_certificates(_content(certificate))
    except ValueError as error:
        hint = f"PEM it must be; if it is not: openssl x509 -inform der -in {certificate}"
        raise _refused(f"{certificate} holds no certificate", "no_certificate", 2, hint) from error
    for one in found:
        public = one.public_key()
        if isinstance(public, RSAPublicKey) and public.public_numbers() == ours:
            return Brought(certificate=one, private=private)
    raise _refused(f"the certificate in {certificate} is not for the key in {key}", "wrong_key", 2)


def check_usable(brought: Brought, keys: KeySet, rules: Rules, now: datetime, chain: Chain) -> None:
    """Refuse (exit 3) a key that may not be one of ours, and a certificate that does not fit its use or its time."""
    _check_purpose(brought.certificate, chain.use)
    _check_copies(brought, keys, chain.use)
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


def _check_purpose(certificate: Certificate, use: Use) -> None:
    authority = _extension(certificate, BasicConstraints)
    if authority is not None and authority.ca:
        # Whoever trusts it as an authority would trust whatever our signing key certifies.
        hint = "have one made for a service: CA:FALSE"
        raise _refused("the certificate is an authority's (CA:TRUE)", "authority", 3, hint)
    usage = _extension(certificate, KeyUsage)
    needed, allows = _NEEDS[use]
    if usage is not None and not allows(usage):
        raise _refused(f"the certificate's keyUsage lacks {needed}: not for {use}", "wrong_usage", 3)


def _check_copies(brought: Brought, keys: KeySet, use: Use) -> None:
    """Refuse a key that is here under another name, except for a renewal and for one certificate of both SAML uses."""
    another = "have a new key made, and a certificate for it"
    both = " and ".join(name for name, _ in _NEEDS.values())
    for copy in copies_of(keys, brought.public):
        if copy.revoked is not None:
            # A renewed certificate, or another use, would bring a stolen key back.
            raise _refused(f"this private key was revoked as {copy.revoked}: {copy.kid}", "was_revoked", 3, another)
        if copy.use not in SAML:
            # What one protocol signs or opens with a key must never pass for a message of the other.
            raise _refused(f"this private key is our {copy.use} key {copy.kid}", "other_use", 3, another)
        if copy.use is not use and not (copy.imported and _for_both(brought.certificate)):
            hint = f"one for both needs a keyUsage of {both}; else {another}"
            raise _refused(f"this private key is our {copy.use} key {copy.kid}", "other_use", 3, hint)


def _for_both(certificate: Certificate) -> bool:
    """Tell whether its authority says so (OCES3 organisation certificates); silence is no yes."""
    usage = _extension(certificate, KeyUsage)
    return usage is not None and all(allows(usage) for _, allows in _NEEDS.values())


def _extension(certificate: Certificate, kind: type[_Kind]) -> _Kind | None:
    try:
        return next((one.value for one in certificate.extensions if isinstance(one.value, kind)), None)
    except (ValueError, DuplicateExtension, UnsupportedGeneralNameType) as error:
        raise _refused("the certificate's extensions do not read", "no_certificate", 2) from error


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
    except (ValueError, UnsupportedAlgorithm) as error:
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
