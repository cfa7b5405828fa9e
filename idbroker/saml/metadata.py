"""What an identity provider says about itself, believed as far as its signer is known (SAML metadata 2.0)."""

from __future__ import annotations

import enum
import hashlib
import ipaddress
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from idbroker.errors import BrokerError, Untrusted
from idbroker.saml import names, signing, xml
from idbroker.saml.lexical import read_base64, read_instant, refusing, stripped

MD = "urn:oasis:names:tc:SAML:2.0:metadata"
MOST_OCTETS = 512 * 1024  # one party's is 5 to 30 thousand; a small federation's fits too
MOST_ELEMENTS = 10_000
MOST_CERTIFICATE = 16 * 1024  # characters of base64
MAX_AGE = timedelta(days=30)  # a document without validUntil would be true for ever
SOONEST = timedelta(minutes=5)  # cacheDuration may say 0, and nobody shall be asked without a pause

_ENTITIES = f"{{{MD}}}EntitiesDescriptor"
_ENTITY = f"{{{MD}}}EntityDescriptor"
_ROLE = f"{{{MD}}}IDPSSODescriptor"
_CERTIFICATE = "/".join(names.ds(name) for name in ("KeyInfo", "X509Data", "X509Certificate"))
_N = r"([0-9]{1,8})"
_DURATION = re.compile(rf"P(?:{_N}Y)?(?:{_N}M)?(?:{_N}D)?(?:T(?=[0-9])(?:{_N}H)?(?:{_N}M)?(?:{_N}(?:\.[0-9]+)?S)?)?")
_UNITS = [timedelta(days=365), timedelta(days=28), timedelta(days=1)]
_UNITS += [timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)]
_VISIBLE = re.compile(r"[!-~]{1,2048}")


class Binding(enum.StrEnum):
    """How a message travels (SAML bindings 2.0). Others, such as artifacts, we do not speak."""

    REDIRECT = names.REDIRECT
    POST = names.POST
    SOAP = "urn:oasis:names:tc:SAML:2.0:bindings:SOAP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where messages of one binding go; `response_location` is where answers go, if that is elsewhere."""

    binding: Binding
    location: str
    response_location: str | None = None

    @property
    def for_answers(self) -> str:
        """Return where an answer goes (metadata 2.2.2)."""
        return self.response_location or self.location


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityProvider:
    """An identity provider, as its metadata has it: read from what was signed and from nothing else.

    `signing` are all the certificates its messages may be signed with; only their keys count, not their
    dates (during a rollover there are two, and what is no longer listed is no longer believed).
    `sign_on` is by binding, `logout` in the document's order. `valid_until` is the earliest of what the
    document says and of how old a copy may become; `refresh_after` is its cacheDuration, if it has one.
    """

    entity_id: str
    signing: tuple[x509.Certificate, ...]
    encryption: tuple[x509.Certificate, ...]
    sign_on: Mapping[Binding, str]
    logout: tuple[Endpoint, ...]
    name_ids: tuple[str, ...]
    wants_signed_requests: bool
    valid_until: datetime
    refresh_after: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """Use what was fetched; `changed` when it says anything new about keys, addresses or formats."""

    provider: IdentityProvider
    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Go on with the last good copy; `reason` is for the log."""

    provider: IdentityProvider
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lapsed:
    """There is nothing to believe any more: nobody can sign in here until a refresh succeeds."""

    reason: str


Decision = Take | Keep | Lapsed


def read(
    octets: bytes,
    *,
    signer_certificates: Sequence[x509.Certificate],
    now: datetime,
    entity_id: str,
    signer_fingerprints: Collection[str] = (),
    file_trusted: bool = False,
    max_age: timedelta = MAX_AGE,
) -> IdentityProvider:
    """Return the identity provider `entity_id` of a document: an EntityDescriptor, or one in EntitiesDescriptors.

    The root must be signed by one of `signer_certificates`, or by the certificate it carries itself if
    that has one of `signer_fingerprints` (SHA-256, in hex). `file_trusted` is for a file that the
    operator has put there: then no signature is needed, unless a signer is configured. `now` is when it
    was fetched. Untrusted says what is wrong. (SAML metadata 2.0; 3 for signatures)
    """
    root = xml.parse(octets, most=MOST_OCTETS, elements=MOST_ELEMENTS, comments=True)
    if root.tag not in {_ENTITY, _ENTITIES}:
        raise Untrusted("metadata: not a metadata document")
    if signer_certificates or signer_fingerprints or not file_trusted:
        # From here on only what the signature covers exists (wrapping, standards S1 to S8).
        root = signing.verified(root, _signers(root, signer_certificates, signer_fingerprints), whole=True)
    path = _entity(root, entity_id)
    role = _role(path[-1])
    return _provider(role, entity_id, valid_until=_valid_until([*path, role], now, max_age), within=[*path, role])


def newer(old: IdentityProvider | None, fetched: IdentityProvider | BrokerError, now: datetime) -> Decision:
    """Decide what to believe after a refresh: `fetched` is what was read, or why nothing could be.

    A refresh that fails changes nothing until the old copy's time has passed: an unreachable or
    tampered source must not stop sign-ins, and must not keep a withdrawn key alive for ever either.
    """
    reason = _why_not(old, fetched, now)
    if reason is None and isinstance(fetched, IdentityProvider):
        return Take(provider=fetched, changed=old is None or _lasting(old) != _lasting(fetched))
    if old is not None and now < old.valid_until:
        return Keep(provider=old, reason=reason or "")
    return Lapsed(reason=reason or "")


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate, in lower-case hex: what an operator compares and pins."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def _why_not(old: IdentityProvider | None, fetched: IdentityProvider | BrokerError, now: datetime) -> str | None:
    if isinstance(fetched, BrokerError):
        return fetched.detail or fetched.code
    if old is not None and fetched.entity_id != old.entity_id:
        return "metadata: of another identity provider"
    return None if now < fetched.valid_until else "metadata: expired"


def _lasting(provider: IdentityProvider) -> IdentityProvider:
    return replace(provider, valid_until=datetime.max.replace(tzinfo=UTC), refresh_after=None)


def _signers(
    root: etree._Element, certificates: Sequence[x509.Certificate], fingerprints: Collection[str]
) -> tuple[x509.Certificate, ...]:
    # The certificate in the document is only looked at to find the pinned one: a key that a document
    # brings along proves nothing (CVE-2021-21239).
    pinned = {value.replace(":", "").lower() for value in fingerprints}
    carried = _carried(root) if pinned else ()
    known = (*certificates, *(one for one in carried if fingerprint(one) in pinned))
    if not known:
        raise Untrusted("metadata: signed by nobody we know")
    return known


def _carried(root: etree._Element) -> tuple[x509.Certificate, ...]:
    return tuple(_certificate(element) for element in root.findall(f"{names.SIGNATURE}/{_CERTIFICATE}"))


def _entity(root: etree._Element, entity_id: str) -> tuple[etree._Element, ...]:
    # The id is compared octet by octet: with and without a slash at the end are two parties (NemLog-in
    # has both), and so are two cases of a letter.
    found = [path for path in _entities(root, ()) if path[-1].get("entityID") == entity_id]
    if len(found) != 1:
        raise Untrusted(f"metadata: {'two entities' if found else 'no entity'} of that id")
    return found[0]


def _entities(element: etree._Element, above: tuple[etree._Element, ...]) -> Iterator[tuple[etree._Element, ...]]:
    # By the schema's own path only: what lies in Extensions is nobody's description.
    path = (*above, element)
    if element.tag == _ENTITY:
        yield path
    elif element.tag == _ENTITIES:
        for child in element:
            yield from _entities(child, path)


def _role(entity: etree._Element) -> etree._Element:
    roles = [
        one for one in entity.findall(_ROLE) if names.SAMLP in (one.get("protocolSupportEnumeration") or "").split()
    ]
    if len(roles) != 1:
        raise Untrusted("metadata: not one identity provider of SAML 2.0")
    return roles[0]


def _provider(
    role: etree._Element, entity_id: str, *, valid_until: datetime, within: Sequence[etree._Element]
) -> IdentityProvider:
    found = IdentityProvider(
        entity_id=entity_id,
        signing=_certificates(role, "signing"),
        encryption=_certificates(role, "encryption"),
        sign_on=_first_by_binding(_endpoints(role, "SingleSignOnService")),
        logout=_endpoints(role, "SingleLogoutService"),
        name_ids=tuple(stripped(xml.text(one)) for one in role.findall(f"{{{MD}}}NameIDFormat")),
        wants_signed_requests=_flag(role, "WantAuthnRequestsSigned"),
        valid_until=valid_until,
        refresh_after=_refresh_after(within),
    )
    for check in _CHECKS:
        check(found)
    return found


def _check_signing(provider: IdentityProvider) -> None:
    # Without a key there is nothing to verify with, and nothing must never come to mean anything.
    if not provider.signing:
        raise Untrusted("metadata: no signing certificate")


def _check_sign_on(provider: IdentityProvider) -> None:
    if not provider.sign_on:
        raise Untrusted("metadata: nowhere to sign on")


_CHECKS: tuple[Callable[[IdentityProvider], None], ...] = (_check_signing, _check_sign_on)


def _certificates(role: etree._Element, use: str) -> tuple[x509.Certificate, ...]:
    # Without `use` a key is for both (metadata 2.4.1.1).
    described = [one for one in role.findall(f"{{{MD}}}KeyDescriptor") if one.get("use") in {None, use}]
    found = [certificate for one in described for certificate in _key(one)]
    return tuple(certificate for certificate in dict.fromkeys(found) if _usable(certificate))


def _key(descriptor: etree._Element) -> list[x509.Certificate]:
    # One descriptor is one key. A chain would make whoever issues certificates a signer of assertions.
    found = [_certificate(element) for element in descriptor.findall(_CERTIFICATE)]
    if len({one.tbs_certificate_bytes for one in found}) > 1:
        raise Untrusted("metadata: several certificates for one key")
    return found


def _usable(certificate: x509.Certificate) -> bool:
    return any(signing.fits(certificate, method) for method in signing.METHODS)


def _certificate(element: etree._Element) -> x509.Certificate:
    octets = read_base64(xml.text(element), most=MOST_CERTIFICATE, name="metadata: a certificate")
    with refusing("metadata: a certificate does not parse"):
        return x509.load_der_x509_certificate(octets)


def _endpoints(role: etree._Element, name: str) -> tuple[Endpoint, ...]:
    found = [one for one in role.findall(f"{{{MD}}}{name}") if one.get("Binding") in set(Binding)]
    return tuple(_endpoint(one) for one in found)


def _endpoint(element: etree._Element) -> Endpoint:
    answers = element.get("ResponseLocation")
    return Endpoint(
        binding=Binding(element.get("Binding") or ""),
        location=_location(element.get("Location")),
        response_location=None if answers is None else _location(answers),
    )


def _location(value: str | None) -> str:
    # It becomes a redirect and the target of a form: never javascript:, never in the clear.
    url = stripped(value or "")
    if not _VISIBLE.fullmatch(url) or not _is_web(url):
        raise Untrusted("metadata: an endpoint is not an https address")
    return url


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if not parts.hostname or parts.username is not None or parts.fragment:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname))


def _is_loopback(host: str) -> bool:
    # Simulators speak plain http on this machine.
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _first_by_binding(endpoints: Sequence[Endpoint]) -> dict[Binding, str]:
    return {one.binding: one.location for one in reversed(endpoints)}


def _valid_until(within: Sequence[etree._Element], now: datetime, max_age: timedelta) -> datetime:
    # The smallest of all that enclose it holds (metadata 4.3.1).
    stated = [read_instant(value, name="metadata") for one in within if (value := one.get("validUntil")) is not None]
    if any(until <= now for until in stated):
        raise Untrusted("metadata: expired")
    return min([*stated, now + max_age])


def _refresh_after(within: Sequence[etree._Element]) -> timedelta | None:
    stated = [_duration(value) for one in within if (value := one.get("cacheDuration")) is not None]
    return max(min(stated), SOONEST) if stated else None


def _duration(value: str) -> timedelta:
    # It only says when to ask again, so months may be of four weeks.
    match = _DURATION.fullmatch(value)
    if match is None or not any(match.groups()):
        raise Untrusted("metadata: a duration that is none")
    with refusing("metadata: a duration that is none"):
        return sum((unit * int(count or 0) for unit, count in zip(_UNITS, match.groups(), strict=True)), timedelta())


def _flag(element: etree._Element, name: str) -> bool:
    return element.get(name) in {"true", "1"}
