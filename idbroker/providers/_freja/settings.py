"""`[providers.NAME]` with `kind = "freja"`: what an operator decides, and what may be wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from idbroker.providers import Binding
from idbroker.providers._freja.details import ALGORITHMS, read_signers
from idbroker.providers._freja.levels import Registration
from idbroker.providers._freja.links import SCHEME, SECRETS
from idbroker.providers._freja.rest import ADDRESSES
from idbroker.providers._http import is_loopback

# The roots of Freja's REST services, which no public list has, by the SHA-256 of their certificate.
SERVER_ROOTS: Mapping[str, str] = {
    "test": "8D7459FD0460242CF03E76D5F0427EA9FE33DB6789D506309AAC2C97DAA6E860",
    "production": "22A283A0A50F07028AC9607D477A49805562AE50C43D1902F42BC95C1A9A5825",
}
ENVIRONMENTS = tuple(SERVER_ROOTS)
APIS = ("rest", "oidc")
OIDC_AUTH_METHODS = ("client_secret_basic", "client_secret_post")
_ISSUERS = {
    "test": "https://oidc-ct.test.frejaeid.com/oidc/",
    "production": "https://oidc.prod.frejaeid.com/oidc/",
}
_METHODS = ("DEFAULT", "DEFAULT_AND_FACE")
_REQUIREMENTS: Mapping[str, tuple[str, ...]] = {
    "confirmation_method": _METHODS,
    "registration_level": (Registration.EXTENDED.name, Registration.PLUS.name),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an operator decides.

    With `api = "rest"` we speak Freja's own service over mutual TLS and show its codes on our page:
    `certificate_file` and `key_file` are from Freja, in PEM, the key encrypted if there is a
    `passphrase_file`; `jws_certificate_files` are the certificates Freja signs answers with, from its
    developer documentation, the next one besides the present one during a rotation. `server_root_file`
    is the root of its servers, from there too: that certificate and no other, by the fingerprint
    known here. `address` replaces Freja's host by a simulator's, or a proxy's in front, whose root is
    then in `server_root_file`; `app_link` where the app listens: an https address, or
    `frejaeid://bindUserToTransaction`. `relying_party_id` is for those who sign in for several.

    `loa_level` asks for an attribute that Freja has to enable for a service. `network_info` asks for the
    app's address: Freja's way back is in the link that the browser is given, so whoever begins can
    return by themselves, and only the address shows that the app is on the same device. `dynamic_qr`
    is in beta at Freja (whether its secret is text or base64, and its codes padded, is not
    documented); what a code that stands still says can be sent to somebody as a link. `telephone` lets
    staff ask a patient who is on the telephone, by their number: Freja has to allow that to a service.

    With `api = "oidc"` the person goes to Freja's own page: `issuer` (with its slash at the end),
    `client_id`, the secret. `scopes` replaces those asked for, the number's is added when one is
    wanted; `acr_values` is sent as it stands. Freja's ID tokens carry no auth_time, so a request for a
    fresh sign-in fails, unless `always_asks` says that Freja keeps no session and asks every time.
    """

    api: str = "rest"
    environment: str = "production"
    title: str = "Freja eID Plus"
    short: str = "Freja"
    loa_level: bool = False

    address: str | None = None
    server_root_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    passphrase_file: Path | None = None
    relying_party_id: str | None = None
    jws_certificate_files: tuple[Path, ...] = ()
    jws_algorithms: tuple[str, ...] = ("RS256",)
    app_link: str | None = None
    network_info: bool = True
    binding: Binding = Binding.RETURN_AND_IP
    dynamic_qr: bool = True
    dynamic_qr_secret: str = "text"
    dynamic_qr_padding: bool = False
    telephone: bool = False

    issuer: str | None = None
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    client_secret_file: Path | None = None
    auth_method: str = "client_secret_basic"
    hosts: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    acr_values: str | None = None
    always_asks: bool = False

    @property
    def passphrase(self) -> str | None:
        """Return what the key is encrypted with. Raises OSError."""
        return self.passphrase_file.read_text("utf-8").strip() if self.passphrase_file else None

    @property
    def issuer_address(self) -> str:
        """Return the OpenID provider's issuer, letter by letter."""
        return self.issuer or _ISSUERS[self.environment]


def mistakes_of(settings: Settings, *, sandbox: bool) -> list[str]:
    """Return all that cannot work, each in one line."""
    checks = {
        f"api: one of {', '.join(APIS)}": settings.api in APIS,
        f"environment: one of {', '.join(ENVIRONMENTS)}": settings.environment in ENVIRONMENTS,
    }
    checks |= _oidc(settings, sandbox=sandbox) if settings.api == "oidc" else _rest(settings, sandbox=sandbox)
    found = [what for what, good in checks.items() if not good]
    return found if settings.api == "oidc" else [*found, *_bad_files(settings)]


def _rest(settings: Settings, *, sandbox: bool) -> dict[str, bool]:
    link = settings.app_link
    return {
        "address: an https address without path": settings.address is None or _is_address(settings.address),
        "certificate_file: is missing": settings.certificate_file is not None,
        "key_file: is missing": settings.key_file is not None,
        "jws_certificate_files: none; Freja publishes its present one in its documentation": bool(
            settings.jws_certificate_files
        ),
        f"jws_algorithms: some of {', '.join(ALGORITHMS)}": bool(settings.jws_algorithms)
        and set(settings.jws_algorithms) <= set(ALGORITHMS),
        f"app_link: an https address, or {SCHEME}": link in (None, SCHEME) or _is_link(str(link), sandbox=sandbox),
        f"binding: {settings.binding} needs network_info = true": settings.network_info
        or settings.binding is Binding.RETURN,
        f"dynamic_qr_secret: one of {', '.join(SECRETS)}": settings.dynamic_qr_secret in SECRETS,
    }


def _oidc(settings: Settings, *, sandbox: bool) -> dict[str, bool]:
    file, secret, issuer = settings.client_secret_file, settings.client_secret, settings.issuer
    return {
        "issuer: an https address without query": issuer is None or _is_link(issuer, sandbox=sandbox),
        "client_id: is missing": bool(settings.client_id),
        f"auth_method: one of {', '.join(OIDC_AUTH_METHODS)}": settings.auth_method in OIDC_AUTH_METHODS,
        "client_secret or client_secret_file: exactly one": (secret is None) != (file is None),
        "client_secret_file: does not read": file is None or file.is_file(),
        "telephone: only with api = rest": not settings.telephone,
    }


def _bad_files(settings: Settings) -> Iterator[str]:
    if settings.certificate_file is not None:
        yield from _bad("certificate_file", settings.certificate_file, x509.load_pem_x509_certificates)
    file = settings.passphrase_file
    unread = [] if file is None else list(_bad("passphrase_file", file, bytes.decode))
    yield from unread
    if settings.key_file is not None and not unread:
        # Without its passphrase OpenSSL would ask for one on the terminal, and wait for ever.
        yield from _bad("key_file", settings.key_file, partial(_read_key, settings.passphrase))
    if settings.environment in ENVIRONMENTS:
        yield from _server_root("server_root_file", settings)
    for file in settings.jws_certificate_files:
        yield from _bad(f"jws_certificate_files: {file.name}", file, read_signers)


def _server_root(what: str, settings: Settings) -> Iterator[str]:
    file, pin, elsewhere = settings.server_root_file, SERVER_ROOTS[settings.environment], _is_elsewhere(settings)
    pinned = f"the root of Freja's servers in {settings.environment} has the SHA-256 {pin}"
    if file is None:
        own = "it is the root of the server at address"
        yield f"{what}: is missing; {own if elsewhere else f'{pinned}, and is in its documentation for integrators'}"
    elif unread := list(_bad(what, file, _fingerprints)):
        yield from unread
    elif not elsewhere:
        # Every certificate in the file would be trusted: one besides the right one opens the door to its owner.
        others = [one for one in _fingerprints(file.read_bytes()) if one != pin]
        yield from (f"{what}: a certificate there has the SHA-256 {one}; {pinned}" for one in others)


def _fingerprints(pem: bytes) -> list[str]:
    return [one.fingerprint(hashes.SHA256()).hex().upper() for one in x509.load_pem_x509_certificates(pem)]


def _is_elsewhere(settings: Settings) -> bool:
    """Tell whether a simulator or a proxy of the operator's is at the address: Freja's own hosts keep its roots."""
    address = settings.address
    return address is not None and _host(address) not in [_host(one) for one in ADDRESSES.values()]


def _bad(what: str, file: Path, read: Callable[[bytes], object]) -> Iterator[str]:
    try:
        read(file.read_bytes())
    except OSError as error:
        yield f"{what}: {error.strerror}"
    except UnicodeDecodeError:
        yield f"{what}: not text"
    except TypeError:
        yield f"{what}: encrypted, and there is no passphrase_file, or the other way round"
    except (ValueError, UnsupportedAlgorithm):
        # The library's words may quote the file; of a key that would be a secret.
        yield f"{what}: not what it must be, in PEM"


def _read_key(passphrase: str | None, pem: bytes) -> object:
    return load_pem_private_key(pem, None if passphrase is None else passphrase.encode())


def requirement_mistakes(table: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a clinic's requirements of Freja."""
    unknown = [f"{name} is not known; there are {', '.join(_REQUIREMENTS)}" for name in table.keys() - _REQUIREMENTS]
    wrong = [
        f"{name}: one of {', '.join(words)}"
        for name, words in _REQUIREMENTS.items()
        if name in table and table[name] not in words
    ]
    return [*sorted(unknown), *wrong]


def _is_address(address: str) -> bool:
    return _is_link(address, sandbox=False) and not urlsplit(address).path.strip("/")


def _is_link(address: str, *, sandbox: bool) -> bool:
    host = _host(address)
    if host is None:
        return False
    parts = urlsplit(address)
    bare = not parts.query and not parts.fragment and parts.username is None
    return bare and (parts.scheme == "https" or (sandbox and parts.scheme == "http" and is_loopback(host)))


def _host(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def advice(settings: Settings) -> list[str]:
    """Return what a weaker setting gives up, in words for the operator."""
    if settings.api != "rest":
        return []
    weaker = {
        "dynamic_qr = false: what the code says can be sent to somebody as a link": not settings.dynamic_qr,
        f"binding = {settings.binding}: whoever sends the link to somebody can return by themselves": (
            settings.binding is not Binding.RETURN_AND_IP
        ),
    }
    return [what for what, so in weaker.items() if so]
