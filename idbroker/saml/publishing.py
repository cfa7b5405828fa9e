"""What we say about ourselves to an identity provider: our service-provider metadata, signed (SAML metadata 2.0)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from idbroker.errors import OperatorError
from idbroker.saml import names, signing
from idbroker.saml.lexical import base64_text, instant_text
from idbroker.saml.metadata import MD, Binding, Endpoint

MDATTR = "urn:oasis:names:tc:SAML:metadata:attribute"
MDUI = "urn:oasis:names:tc:SAML:metadata:ui"
URI_NAMES = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"
# What we decrypt without being told to. CBC is named by those only who must have it (standards S27).
CIPHERS = (names.AES256_GCM, names.AES192_GCM, names.AES128_GCM, names.RSA_OAEP, names.RSA_OAEP_MGF1P)

_MOST_ID = 1024  # characters of an entity id (metadata 2.2.1)
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_XS = "http://www.w3.org/2001/XMLSchema"
_PREFIXES = {"md": MD, "ds": names.DS, "mdattr": MDATTR, "mdui": MDUI, "saml": names.SAML}
_NAMESPACES = {prefix: namespace for prefix, namespace in _PREFIXES.items() if prefix in {"md", "ds"}}

Texts = Mapping[str, str]  # by language, in the order in which they are written


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedAttribute:
    """An attribute that we ask for, by its name in the URI format."""

    name: str
    friendly_name: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityAttribute:
    """Something the identity provider wants to know of us (metadata extension for entity attributes 1.0)."""

    name: str
    values: tuple[str, ...]
    friendly_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Logo:
    """A picture, by address and size in pixels."""

    url: str
    height: int
    width: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Display:
    """What the identity provider shows people about us (metadata extension for user interfaces 1.0)."""

    names: Texts
    descriptions: Texts
    privacy_statements: Texts
    logo: Logo | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """Who runs us: the registered name, the name people know, the address on the web."""

    names: Texts
    display_names: Texts
    urls: Texts


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Whom to ask: `kind` is technical, support, administrative, billing or other."""

    kind: str
    given_name: str
    surname: str
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceProvider:
    """All that one identity provider must know of us.

    `signing` and `encryption` are certificates in their order, two of each during a rollover; what is
    to be used comes first. `logout` keeps its order: NemLog-in takes the first. `ciphers` are what may
    be encrypted with, as xmlenc names it.
    """

    entity_id: str
    signing: tuple[x509.Certificate, ...]
    encryption: tuple[x509.Certificate, ...]
    assertion_consumer: str
    logout: tuple[Endpoint, ...]
    name_id: str
    service_names: Texts
    attributes: tuple[RequestedAttribute, ...] = ()
    entity_attributes: tuple[EntityAttribute, ...] = ()
    display: Display | None = None
    organization: Organization | None = None
    contacts: tuple[Contact, ...] = ()
    ciphers: tuple[str, ...] = CIPHERS


def publish(
    provider: ServiceProvider,
    *,
    key: RSAPrivateKey,
    valid_until: datetime | None = None,
    cache_duration: timedelta | None = None,
) -> bytes:
    """Return our metadata, signed with `key`, which is that of one of its own signing certificates (metadata 3).

    `valid_until` None is for a document that somebody else installs by hand, as suomi.fi and NemLog-in
    do: there nobody would fetch the next one. Equal arguments give equal documents, signature and all.
    OperatorError says what the provider lacks.
    """
    for check in _CHECKS:
        check(provider)
    root = _element("md:EntityDescriptor", entityID=provider.entity_id)
    if valid_until is not None:
        root.set("validUntil", instant_text(valid_until))
    if cache_duration is not None:
        root.set("cacheDuration", f"PT{int(cache_duration.total_seconds())}S")
    root.extend(_contents(provider))
    # Unique in the document and steady: it is of what the document says.
    root.set("ID", "_" + hashlib.sha256(etree.tostring(root, method="c14n")).hexdigest()[:40])
    return signing.signed(root, key, _certificate(provider, key))


def _certificate(provider: ServiceProvider, key: RSAPrivateKey) -> x509.Certificate:
    for certificate in provider.signing:
        if certificate.public_key() == key.public_key():
            return certificate
    raise OperatorError("SAML metadata: signed with a key that is not in it", code="metadata")


def _check_id(provider: ServiceProvider) -> None:
    if not 0 < len(provider.entity_id) <= _MOST_ID:
        raise OperatorError("SAML metadata: an entity id has 1 to 1024 characters", code="metadata")


def _check_keys(provider: ServiceProvider) -> None:
    if not provider.signing or not provider.encryption:
        hint = "make them: idbroker keys rotate --use saml-sign, and --use saml-enc"
        raise OperatorError("SAML metadata: no certificate to sign or to encrypt with", hint=hint, code="no_key")


def _check_names(provider: ServiceProvider) -> None:
    if not provider.service_names:
        raise OperatorError("SAML metadata: the service has no name", code="metadata")


_CHECKS: tuple[Callable[[ServiceProvider], None], ...] = (_check_id, _check_keys, _check_names)


def _contents(provider: ServiceProvider) -> list[etree._Element]:
    # Order is the schema's (metadata 2.3.2); the signature comes before all of it.
    found = []
    if provider.entity_attributes:
        attributes = [_entity_attribute(one) for one in provider.entity_attributes]
        found.append(_element("md:Extensions", _element("mdattr:EntityAttributes", *attributes)))
    found.append(_role(provider))
    if provider.organization is not None:
        found.append(_organization(provider.organization))
    return [*found, *(_contact(one) for one in provider.contacts)]


def _entity_attribute(attribute: EntityAttribute) -> etree._Element:
    values = [_string(value) for value in attribute.values]
    return _named("saml:Attribute", attribute.name, attribute.friendly_name, *values)


def _string(value: str) -> etree._Element:
    # suomi.fi's own template types every value.
    element = etree.Element(names.saml("AttributeValue"), nsmap={"saml": names.SAML, "xs": _XS, "xsi": names.XSI})
    element.set(f"{{{names.XSI}}}type", "xs:string")
    element.text = value
    return element


def _role(provider: ServiceProvider) -> etree._Element:
    role = _element(
        "md:SPSSODescriptor",
        protocolSupportEnumeration=names.SAMLP,
        AuthnRequestsSigned="true",
        WantAssertionsSigned="true",
    )
    if provider.display is not None:
        role.append(_element("md:Extensions", _display(provider.display)))
    role.extend(_key("signing", one) for one in provider.signing)
    role.extend(_key("encryption", one, provider.ciphers) for one in provider.encryption)
    role.extend(_logout(one) for one in provider.logout)
    role.append(_text("md:NameIDFormat", provider.name_id))
    role.append(_assertion_consumer(provider.assertion_consumer))
    if provider.attributes:
        role.append(_attribute_consumer(provider))
    return role


def _display(display: Display) -> etree._Element:
    shown = [
        *_texts("mdui:DisplayName", display.names),
        *_texts("mdui:Description", display.descriptions),
        *_texts("mdui:PrivacyStatementURL", display.privacy_statements),
    ]
    if display.logo is not None:
        logo = display.logo
        shown.append(_text("mdui:Logo", logo.url, height=str(logo.height), width=str(logo.width)))
    return _element("mdui:UIInfo", *shown)


def _key(use: str, certificate: x509.Certificate, ciphers: Sequence[str] = ()) -> etree._Element:
    carried = base64_text(certificate.public_bytes(Encoding.DER))
    described = _element("ds:KeyInfo", _element("ds:X509Data", _text("ds:X509Certificate", carried)))
    methods = [_element("md:EncryptionMethod", Algorithm=one) for one in ciphers]
    return _element("md:KeyDescriptor", described, *methods, use=use)


def _logout(endpoint: Endpoint) -> etree._Element:
    element = _element("md:SingleLogoutService", Binding=endpoint.binding.value, Location=endpoint.location)
    if endpoint.response_location is not None:
        element.set("ResponseLocation", endpoint.response_location)
    return element


def _assertion_consumer(location: str) -> etree._Element:
    # Exactly one: an answer has one place to come to, whatever a request or an identity provider says.
    return _element(
        "md:AssertionConsumerService", Binding=Binding.POST.value, Location=location, index="0", isDefault="true"
    )


def _attribute_consumer(provider: ServiceProvider) -> etree._Element:
    titles = _texts("md:ServiceName", provider.service_names)
    requested = [_requested(one) for one in provider.attributes]
    return _element("md:AttributeConsumingService", *titles, *requested, index="0", isDefault="true")


def _requested(attribute: RequestedAttribute) -> etree._Element:
    element = _named("md:RequestedAttribute", attribute.name, attribute.friendly_name)
    if attribute.required:
        element.set("isRequired", "true")
    return element


def _organization(organization: Organization) -> etree._Element:
    return _element(
        "md:Organization",
        *_texts("md:OrganizationName", organization.names),
        *_texts("md:OrganizationDisplayName", organization.display_names),
        *_texts("md:OrganizationURL", organization.urls),
    )


def _contact(contact: Contact) -> etree._Element:
    return _element(
        "md:ContactPerson",
        _text("md:GivenName", contact.given_name),
        _text("md:SurName", contact.surname),
        _text("md:EmailAddress", f"mailto:{contact.email}"),
        contactType=contact.kind,
    )


def _named(tag: str, name: str, friendly_name: str, *children: etree._Element) -> etree._Element:
    element = _element(tag, *children, Name=name, NameFormat=URI_NAMES)
    if friendly_name:
        element.set("FriendlyName", friendly_name)
    return element


def _texts(tag: str, texts: Texts) -> list[etree._Element]:
    found = [_text(tag, text) for text in texts.values()]
    for element, language in zip(found, texts, strict=True):
        element.set(_LANG, language)
    return found


def _text(tag: str, text: str, **attributes: str) -> etree._Element:
    element = _element(tag, **attributes)
    element.text = text
    return element


def _element(tag: str, *children: etree._Element, **attributes: str) -> etree._Element:
    prefix, _, name = tag.partition(":")
    element = etree.Element(
        f"{{{_PREFIXES[prefix]}}}{name}", attributes, nsmap={**_NAMESPACES, prefix: _PREFIXES[prefix]}
    )
    element.extend(children)
    return element
