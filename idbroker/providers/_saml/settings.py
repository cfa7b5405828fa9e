"""What every SAML provider's table holds: whom we ask, how we know them, what we say of ourselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

from idbroker.providers import Means
from idbroker.saml.publishing import Contact, Display, Organization

BINDINGS = ("redirect", "post")
_MOST_SKEW = timedelta(minutes=5)
_FINGERPRINT = 64  # hexadecimal digits


@dataclass(frozen=True, slots=True, kw_only=True)
class SamlSettings:
    """What all kinds share.

    `idp` is the identity provider's entity id, octet by octet. Its metadata is fetched from
    `metadata_url` (then its signer is pinned: certificates in `metadata_signer_file`, PEM, or their
    SHA-256 in `metadata_signer_sha256`), or read from `metadata_file`, which the operator has put
    there. `entity_id` is ours: by default the address of our own metadata. `binding` is how requests
    travel: redirect or post. `skew` is how far the clocks may differ. `cbc` allows AES-CBC, and only
    under a signed response (XML Encryption's CBC can be read by whoever may ask often enough).

    `service_names`, `display`, `organization` and `contacts` are what our metadata says of us;
    `metadata_valid` is how long it says so, None for a document that is installed by hand.
    """

    idp: str
    metadata_url: str | None = None
    metadata_file: Path | None = None
    metadata_signer_file: Path | None = None
    metadata_signer_sha256: tuple[str, ...] = ()
    entity_id: str | None = None
    binding: str = "redirect"
    skew: timedelta = timedelta(minutes=1)
    cbc: bool = False
    service_names: Mapping[str, str] = field(default_factory=dict)
    display: Display | None = None
    organization: Organization | None = None
    contacts: tuple[Contact, ...] = ()
    metadata_valid: timedelta | None = None


def saml_mistakes(settings: SamlSettings, means: Means) -> list[str]:
    """Return what is wrong with the shared part of a table."""
    url, file, signer = settings.metadata_url, settings.metadata_file, settings.metadata_signer_file
    pinned = signer is not None or bool(settings.metadata_signer_sha256)
    checks = {
        "idp: is missing": bool(settings.idp),
        "metadata_url or metadata_file: exactly one": (url is None) != (file is None),
        "metadata_url: an https address": url is None or _is_web(url, sandbox=means.sandbox),
        # What anybody on the way could have written would name the keys that sign people in.
        "metadata_url: needs metadata_signer_file or metadata_signer_sha256": url is None or pinned,
        "metadata_file: does not read": file is None or file.is_file(),
        "metadata_signer_file: holds no certificates": signer is None or bool(_certificates(signer)),
        "metadata_signer_sha256: 64 hexadecimal digits each": all(map(_is_digest, settings.metadata_signer_sha256)),
        f"binding: one of {', '.join(BINDINGS)}": settings.binding in BINDINGS,
        "skew: 0 to 5 min": timedelta() <= settings.skew <= _MOST_SKEW,
        "metadata_valid: at least 1 day": settings.metadata_valid is None or settings.metadata_valid >= timedelta(1),
    }
    return [what for what, good in checks.items() if not good]


def signers(settings: SamlSettings) -> tuple[x509.Certificate, ...]:
    """Return the certificates that their metadata may be signed with."""
    file = settings.metadata_signer_file
    return () if file is None else _certificates(file)


def _certificates(file: Path) -> tuple[x509.Certificate, ...]:
    try:
        return tuple(x509.load_pem_x509_certificates(file.read_bytes()))
    except (OSError, ValueError):
        return ()


def _is_web(url: str, *, sandbox: bool) -> bool:
    parts = urlsplit(url)
    return bool(parts.hostname) and (parts.scheme == "https" or (sandbox and parts.scheme == "http"))


def _is_digest(text: str) -> bool:
    digits = text.replace(":", "").lower()
    return len(digits) == _FINGERPRINT and set(digits) <= set("0123456789abcdef")
