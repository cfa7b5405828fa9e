"""`[providers.NAME]` with `kind = "bankid"`: what the operator decides, and everything that is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from idbroker.providers import Binding
from idbroker.providers._bankid.request import LONGEST_TEXT, REQUIREMENTS, TEXTS

Risk = Literal["high", "moderate", "never"]

_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_WILDCARD = re.compile(r"[0-2](\.(0|[1-9][0-9]*)){3,}\.\*")
_LONGEST_NAME = 100
_PROGRAM = re.compile(r"bankid:///")


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One of BankID's two worlds: where it is, under which root, and whose certificates people have there.

    Roots are known by the SHA-256 of their certificate, in upper-case hexadecimal: no public list has
    them. `signing_root` is None where BankID does not publish it. `issuer` is our lasting name for the
    environment, which no address that changes is part of. `policies` are on file, on card, mobile.
    """

    address: str
    issuer: str
    server_root: str
    signing_root: str | None
    policies: tuple[str, ...]


ENVIRONMENTS: Mapping[str, Environment] = {
    "test": Environment(
        address="https://appapi2.test.bankid.com/rp/v6.0",
        issuer="https://test.bankid.com",
        server_root="F3D0740EBFB3700E3B81AA791FEE451472698C84E199C2EB48A443FF1D5B405C",
        signing_root="C6FAEAF8CCADCFD0738DC99140CA788C1A19A93F843C5A9EC1369872D50E45F2",
        policies=("1.2.3.4.5", "1.2.3.4.10", "1.2.3.4.25", "1.2.752.60.1.6"),
    ),
    "production": Environment(
        address="https://appapi2.bankid.com/rp/v6.0",
        issuer="https://bankid.com",
        server_root="E6A2D45C0A1051C959428649F86A09A9B2152CD551993CC2EB4CF094BDACBECB",
        signing_root=None,
        policies=("1.2.752.78.1.1", "1.2.752.78.1.2", "1.2.752.78.1.5"),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`[providers.NAME]` with `kind = "bankid"`.

    `certificate_file` and `key_file` are ours at BankID, in PEM, the key encrypted if there is a
    `passphrase_file`. `server_root_file` is the root of BankID's servers, from its documentation for
    integrators: that certificate and no other, by the fingerprint known here. `signing_root_files` are
    the roots of people's certificates, which BankID gives to its customers. `certificate_policies`
    allows some kinds of BankID only. `relying_party` is our certificate's subject as BankID signs it,
    and checked when given. `binding` is what must show that the app was opened by the browser that
    began, and `refuse_risk` the risk from which on BankID's own judgement ends a sign-in. `user_text`
    replaces, by language, what people read in the app: simpleMarkdownV1, `{service}` is whom they sign
    in to. `address` is for a simulator or a proxy in front, which has a `server_root_file` of its own;
    `app_link` and `program_link` are for a simulator. `telephone` lets staff ask a patient who is on the telephone,
    by their number: BankID has to have enabled that for our certificate.
    """

    environment: Literal["test", "production"]
    certificate_file: Path
    key_file: Path
    passphrase_file: Path | None = None
    server_root_file: Path | None = None
    signing_root_files: tuple[Path, ...] = ()
    certificate_policies: tuple[str, ...] = ()
    relying_party: str | None = None
    binding: Binding = Binding.RETURN_OR_IP
    refuse_risk: Risk = "high"
    user_text: Mapping[str, str] = field(default_factory=dict)
    address: str | None = None
    app_link: str = "https://app.bankid.com/"
    program_link: str = "bankid:///"
    telephone: bool = False
    title: str = "BankID"

    @property
    def at(self) -> Environment:
        """Return the environment."""
        return ENVIRONMENTS[self.environment]

    @property
    def passphrase(self) -> str | None:
        """Return what the key is encrypted with. Raises OSError."""
        return self.passphrase_file.read_text("utf-8").strip() if self.passphrase_file else None


def mistakes_in(settings: Settings, *, sandbox: bool) -> list[str]:
    """Return everything that cannot work, in sentences for the operator."""
    if settings.environment not in ENVIRONMENTS:
        return [f"environment: one of {', '.join(ENVIRONMENTS)}"]
    return [*_files(settings), *_words(settings, sandbox=sandbox), *_texts(settings)]


def _files(settings: Settings) -> Iterator[str]:
    yield from (f"server_root_file: {what}" for what in _server_root(settings))
    if not settings.signing_root_files:
        yield f"signing_root_files: is missing; {_signing_root_is(settings.at)}"
    for path in settings.signing_root_files:
        yield from (f"signing_root_files: {what} {path}" for what in _signing_root(path, settings.at))
    yield from _pair(settings)


def _server_root(settings: Settings) -> Iterator[str]:
    file, pin, elsewhere = settings.server_root_file, settings.at.server_root, _is_elsewhere(settings.address)
    pinned = f"the root of BankID's servers in {settings.environment} has the SHA-256 {pin}"
    if file is None:
        own = "it is the root of the server at address"
        yield f"is missing; {own if elsewhere else f'{pinned}, and is in its documentation for integrators'}"
    elif (found := _certificates(file)) is None:
        yield "no certificate in PEM reads there"
    elif not elsewhere:
        # Every certificate in the file would be trusted: one besides the right one opens the door to its owner.
        others = [one for one in map(fingerprint, found) if one != pin]
        yield from (f"a certificate there has the SHA-256 {one}; {pinned}" for one in others)


def _is_elsewhere(address: str | None) -> bool:
    """Tell whether a simulator or a proxy of the operator's is at an address: BankID's own hosts keep its roots."""
    return address is not None and _host(address) not in [_host(one.address) for one in ENVIRONMENTS.values()]


def _signing_root_is(environment: Environment) -> str:
    known = f"; this environment's has the SHA-256 {environment.signing_root}" if environment.signing_root else ""
    return f"BankID gives the root of people's certificates to its customers{known}"


def _signing_root(path: Path, environment: Environment) -> Iterator[str]:
    found = _certificates(path)
    if found is None:
        yield "no certificate in PEM reads at"
        return
    prints = {fingerprint(certificate) for certificate in found}
    if prints & {one.server_root for one in ENVIRONMENTS.values()}:
        yield "BankID's servers, not people, have certificates under"
    # Test BankIDs are given to whoever asks, in any name: one of them would be anybody in production.
    others = {one.signing_root for one in ENVIRONMENTS.values() if one is not environment}
    if prints & others:
        yield "only the test environment's people have certificates under"


def _pair(settings: Settings) -> Iterator[str]:
    certificates = _certificates(settings.certificate_file)
    if certificates is None:
        yield "certificate_file: no certificate in PEM reads there"
    try:
        key = load_pem_private_key(settings.key_file.read_bytes(), _octets(settings.passphrase))
    except OSError:
        yield "key_file or passphrase_file: does not read"
    except (ValueError, TypeError):
        yield "key_file: no private key in PEM that passphrase_file opens (and none where none is needed)"
    else:
        if certificates is not None and key.public_key() != certificates[0].public_key():
            yield "key_file: is not the key of certificate_file"


def _words(settings: Settings, *, sandbox: bool) -> Iterator[str]:
    if settings.address is not None and not _is_address(settings.address, ("https",)):
        yield "address: an https address without query"
    if not _is_address(settings.app_link, ("https", "http") if sandbox else ("https",)):
        yield "app_link: an https address without query"
    if not _PROGRAM.fullmatch(settings.program_link) and not (sandbox and _is_address(settings.program_link)):
        yield "program_link: bankid:///"
    if settings.refuse_risk not in ("high", "moderate", "never"):
        yield "refuse_risk: high, moderate or never"
    yield from _policies(settings.certificate_policies)


def _texts(settings: Settings) -> Iterator[str]:
    for language, text in settings.user_text.items():
        if language not in TEXTS:
            yield f"user_text: {language} is not a language; there are {', '.join(TEXTS)}"
        if "{service}" not in text:
            yield f"user_text.{language}: must name {{service}}: it is what shows a person that a login is another's"
        if len(text.encode()) + 4 * _LONGEST_NAME > LONGEST_TEXT:
            yield f"user_text.{language}: longer than {LONGEST_TEXT - 4 * _LONGEST_NAME} octets"


def _is_address(address: str, schemes: tuple[str, ...] = ("https", "http")) -> bool:
    if _host(address) is None:
        return False
    parts = urlsplit(address)
    bare = not parts.query and not parts.fragment and parts.username is None
    return bare and parts.scheme in schemes


def _host(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _octets(text: str | None) -> bytes | None:
    return text.encode() if text is not None else None


def _certificates(path: Path) -> list[x509.Certificate] | None:
    try:
        return certificates_in(path)
    except (OSError, ValueError):
        return None


def certificates_in(path: Path) -> list[x509.Certificate]:
    """Return the certificates of a PEM file, at least one. Raises OSError or ValueError."""
    return x509.load_pem_x509_certificates(path.read_bytes())


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate, in upper-case hexadecimal."""
    return certificate.fingerprint(hashes.SHA256()).hex().upper()


def days_left(settings: Settings, now: datetime) -> int:
    """Return for how many days our certificate at BankID is good; less than none once it has expired."""
    return (certificates_in(settings.certificate_file)[0].not_valid_after_utc - now).days


def requirement_mistakes(table: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a clinic's demands of BankID: `[clinics.NAME.requirements.bankid]`.

    `pin_code` wants the code even where a face or a finger would do, `mrtd` the chip of a Swedish
    passport or identity card, `card_reader` a reader of class1 or class2, `certificate_policies` some
    kinds of BankID only.
    """
    unknown = [
        f"{name} is not known; there are {', '.join(REQUIREMENTS)}" for name in table if name not in REQUIREMENTS
    ]
    flags = [f"{name}: true or false" for name in ("pin_code", "mrtd") if not isinstance(table.get(name, False), bool)]
    reader = table.get("card_reader")
    if reader is not None and reader not in ("class1", "class2"):
        flags.append("card_reader: class1 or class2")
    if reader is not None and not table.get("certificate_policies"):
        flags.append("card_reader: only with certificate_policies for cards; BankID leaves all else undefined")
    return [*unknown, *flags, *_policies(table.get("certificate_policies", ()))]


def _policies(policies: Any) -> Iterator[str]:
    listed = isinstance(policies, list | tuple)
    good = listed and all(
        isinstance(oid, str) and (_OID.fullmatch(oid) or _WILDCARD.fullmatch(oid)) for oid in policies
    )
    if not good:
        yield "certificate_policies: a list of object identifiers; the fifth part or a later one may be *, at the end"
