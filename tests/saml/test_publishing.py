"""What we say about ourselves: its shape, its signature, and two other programs' opinion of it."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from idbroker.errors import OperatorError
from idbroker.saml import names, signing, xml
from idbroker.saml.metadata import MD, Binding, Endpoint
from idbroker.saml.national import danish_attributes, finnish_attributes, finnish_entity_attributes
from idbroker.saml.publishing import (
    Contact,
    Display,
    Logo,
    Organization,
    RequestedAttribute,
    ServiceProvider,
    publish,
)
from tests.saml.metadata_documents import NOW, certificate, key
from tests.servers import missing, program

SCHEMAS = (Path("/usr/share/xml/opensaml"), Path("/usr/share/xml/xmltooling"))
DA = {"da": "Klinikken"}
ALL = {"fi": "Terveysasema", "sv": "Hälsostation", "en": "Health centre"}
URLS = {language: f"https://clinic.example.test/{language}" for language in ALL}
OUT = "https://broker.example.test/saml/logout"
LOGOUT = (
    Endpoint(binding=Binding.POST, location=OUT, response_location=f"{OUT}/answer"),
    Endpoint(binding=Binding.REDIRECT, location=OUT),
)
SUOMIFI = ServiceProvider(
    entity_id="https://broker.example.test/saml/suomifi",
    signing=(certificate("ours"),),
    encryption=(certificate("secret"),),
    assertion_consumer="https://broker.example.test/saml/suomifi/answer",
    logout=LOGOUT,
    name_id=names.TRANSIENT,
    service_names=ALL,
    attributes=finnish_attributes("limited"),
    entity_attributes=finnish_entity_attributes(
        ["http://ftn.ficora.fi/2017/loa3", "http://ftn.ficora.fi/2017/loa2"], eidas="full"
    ),
    display=Display(
        names=ALL,
        descriptions=ALL,
        privacy_statements=URLS,
        logo=Logo(url="https://broker.example.test/logo.png", height=54, width=327),
    ),
    organization=Organization(names=ALL, display_names=ALL, urls=URLS),
    contacts=(Contact(kind="technical", given_name="Service", surname="Desk", email="desk@clinic.example.test"),),
)
GATEWAY = ServiceProvider(
    entity_id="https://saml.broker.example.test",
    signing=(certificate("ours"),),
    encryption=(certificate("ours"),),
    assertion_consumer="https://broker.example.test/saml/borgeradgang/answer",
    logout=LOGOUT,
    name_id=names.PERSISTENT,
    service_names=DA,
    attributes=danish_attributes(public=True),
    contacts=(Contact(kind="administrative", given_name="A", surname="B", email="a@clinic.example.test"),),
)
PROVIDERS = pytest.mark.parametrize("provider", [SUOMIFI, GATEWAY], ids=["suomifi", "gateway"])


def published(provider: ServiceProvider, **options: Any) -> bytes:
    """Publish with our key."""
    return publish(provider, key=key("ours"), **options)


def parsed(provider: ServiceProvider, **options: Any) -> etree._Element:
    """Publish and read by the strict parser."""
    return xml.parse(published(provider, **options))


def shape(element: etree._Element, depth: int = 0) -> list[str]:
    """Return the elements by depth, name and what is short in their attributes and texts; signatures left out."""
    if element.tag == names.SIGNATURE:
        return []
    language = element.get("{http://www.w3.org/XML/1998/namespace}lang", "")
    said = [language, *(element.get(one, "") for one in ("use", "index", "contactType"))]
    line = " ".join(filter(None, ["·" * depth + etree.QName(element).localname, *said]))
    return [line, *(one for child in element for one in shape(child, depth + 1))]


def found(root: etree._Element, tag: str) -> list[etree._Element]:
    """Return all elements of a name of the metadata schema, in order."""
    return list(root.iter(f"{{{MD}}}{tag}"))


def attributes(element: etree._Element) -> dict[str, str]:
    """Return the attributes of an element."""
    return {str(name): str(value) for name, value in element.attrib.items()}


GOLDEN_SUOMIFI = """
EntityDescriptor
·Extensions
··EntityAttributes
···Attribute
····AttributeValue
····AttributeValue
···Attribute
····AttributeValue
···Attribute
····AttributeValue
···Attribute
····AttributeValue
···Attribute
····AttributeValue
·SPSSODescriptor
··Extensions
···UIInfo
····DisplayName fi
····DisplayName sv
····DisplayName en
····Description fi
····Description sv
····Description en
····PrivacyStatementURL fi
····PrivacyStatementURL sv
····PrivacyStatementURL en
····Logo
··KeyDescriptor signing
···KeyInfo
····X509Data
·····X509Certificate
··KeyDescriptor encryption
···KeyInfo
····X509Data
·····X509Certificate
···EncryptionMethod
···EncryptionMethod
···EncryptionMethod
···EncryptionMethod
···EncryptionMethod
··SingleLogoutService
··SingleLogoutService
··NameIDFormat
··AssertionConsumerService 0
··AttributeConsumingService 0
···ServiceName fi
···ServiceName sv
···ServiceName en
···RequestedAttribute
···RequestedAttribute
···RequestedAttribute
···RequestedAttribute
···RequestedAttribute
···RequestedAttribute
···RequestedAttribute
·Organization
··OrganizationName fi
··OrganizationName sv
··OrganizationName en
··OrganizationDisplayName fi
··OrganizationDisplayName sv
··OrganizationDisplayName en
··OrganizationURL fi
··OrganizationURL sv
··OrganizationURL en
·ContactPerson technical
··GivenName
··SurName
··EmailAddress
"""


def test_golden_shape() -> None:
    """Our metadata for suomi.fi has this shape, in this order, in every release."""
    assert shape(parsed(SUOMIFI)) == GOLDEN_SUOMIFI.split("\n")[1:-1]


def test_role() -> None:
    """We sign our requests, want assertions signed, and speak SAML 2.0 only (OIOSAML; suomi.fi)."""
    (role,) = found(parsed(GATEWAY), "SPSSODescriptor")

    assert attributes(role) == {
        "protocolSupportEnumeration": names.SAMLP,
        "AuthnRequestsSigned": "true",
        "WantAssertionsSigned": "true",
    }


def test_one_assertion_consumer() -> None:
    """Answers have exactly one place to come to: POST, index 0, the default (OIOSAML 3)."""
    (consumer,) = found(parsed(GATEWAY), "AssertionConsumerService")

    assert attributes(consumer) == {
        "Binding": names.POST,
        "Location": GATEWAY.assertion_consumer,
        "index": "0",
        "isDefault": "true",
    }


def test_order_of_logout() -> None:
    """Logout endpoints keep their order: NemLog-in uses the first."""
    for order in (LOGOUT, LOGOUT[::-1]):
        services = found(parsed(replace(GATEWAY, logout=order)), "SingleLogoutService")

        assert [attributes(one) for one in services] == [
            {"Binding": one.binding.value, "Location": one.location}
            | ({"ResponseLocation": one.response_location} if one.response_location else {})
            for one in order
        ]


def test_rollover() -> None:
    """During a rollover two signing and two encryption certificates are told, in their order."""
    signing_pair = certificate("ours"), certificate("ours next")
    encryption_pair = certificate("secret next"), certificate("secret")

    root = parsed(replace(SUOMIFI, signing=signing_pair, encryption=encryption_pair))

    assert [one.get("use") for one in found(root, "KeyDescriptor")] == [
        "signing",
        "signing",
        "encryption",
        "encryption",
    ]
    assert [carried(one) for one in found(root, "KeyDescriptor")] == [*signing_pair, *encryption_pair]


def carried(descriptor: etree._Element) -> x509.Certificate:
    """Return the certificate of a KeyDescriptor, by OpenSSL's own reading of its base64."""
    lines = "".join(map(str, descriptor.itertext())).strip()
    return x509.load_pem_x509_certificate(f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----".encode())


def test_ciphers() -> None:
    """Only AES-GCM and RSA-OAEP are offered, unless somebody must have another (S27)."""
    usual = [one.get("Algorithm", "") for one in found(parsed(SUOMIFI), "EncryptionMethod")]
    wider = found(parsed(replace(SUOMIFI, ciphers=(names.AES128_CBC, names.RSA_OAEP_MGF1P))), "EncryptionMethod")

    assert all(re.search(r"#(aes(128|192|256)-gcm|rsa-oaep(-mgf1p)?)$", one) for one in usual)
    assert [one.get("Algorithm") for one in wider] == [names.AES128_CBC, names.RSA_OAEP_MGF1P]


def test_finnish_entity_attributes() -> None:
    """suomi.fi reads of us which methods we accept and how to treat people."""
    found_attributes = {
        (one.get("Name"), one.get("FriendlyName")): [value.text for value in one]
        for one in parsed(SUOMIFI).iter(names.saml("Attribute"))
    }

    assert found_attributes == {
        ("FinnishAuthMethod", None): ["http://ftn.ficora.fi/2017/loa3", "http://ftn.ficora.fi/2017/loa2"],
        ("urn:oid:1.2.246.517.3003.111.3", "VtjVerificationRequired"): ["true"],
        ("urn:oid:1.2.246.517.3003.111.4", "SkipEndpointValidationWhenSigned"): ["false"],
        ("urn:oid:1.2.246.517.3003.111.14", "EidasSupport"): ["full"],
        ("urn:oid:1.2.246.517.3003.111.26", "CipherName"): ["AES-GCM"],
    }


def test_requested_attributes() -> None:
    """Each attribute is asked for by its name in the URI format, with a friendly name."""
    requested = found(parsed(GATEWAY), "RequestedAttribute")

    assert {one.get("NameFormat") for one in requested} == {"urn:oasis:names:tc:SAML:2.0:attrname-format:uri"}
    assert [(one.get("Name"), one.get("FriendlyName"), one.get("isRequired")) for one in requested] == [
        (one.name, one.friendly_name, "true" if one.required else None) for one in GATEWAY.attributes
    ]


def test_nothing_asked_for() -> None:
    """Who asks for no attribute has no AttributeConsumingService: an empty one breaks the schema."""
    assert not found(parsed(replace(GATEWAY, attributes=())), "AttributeConsumingService")


def test_life() -> None:
    """How long it holds is said when asked, and never to those who install it by hand."""
    root = parsed(SUOMIFI, valid_until=NOW, cache_duration=timedelta(hours=6))

    assert (root.get("validUntil"), root.get("cacheDuration")) == ("2026-11-22T09:00:00Z", "PT21600S")
    assert not {"validUntil", "cacheDuration"} & set(parsed(SUOMIFI).keys())


@PROVIDERS
def test_steady(provider: ServiceProvider) -> None:
    """Equal words give equal octets, and another word another ID."""
    assert published(provider) == published(provider)
    assert parsed(provider).get("ID") != parsed(provider, valid_until=NOW).get("ID")


@PROVIDERS
def test_signature(provider: ServiceProvider) -> None:
    """The signature is the first child, over the whole, by our key; the document passes our own strict reading."""
    root = parsed(provider)

    assert root[0].tag == names.SIGNATURE
    assert signing.verified(root, [certificate("ours")]).get("entityID") == provider.entity_id


def test_staged_key() -> None:
    """It may be signed with either of two keys in it, and with no other."""
    both = replace(SUOMIFI, signing=(certificate("ours"), certificate("ours next")))

    signing.verified(xml.parse(publish(both, key=key("ours next"))), [certificate("ours next")])
    with pytest.raises(OperatorError, match="not in it"):
        publish(both, key=key("stranger"))


@pytest.mark.parametrize(
    ("lacking", "match"),
    [
        ({"signing": ()}, "no certificate"),
        ({"encryption": ()}, "no certificate"),
        ({"entity_id": ""}, "1024"),
        ({"entity_id": "x" * 1025}, "1024"),
        ({"service_names": {}}, "no name"),
    ],
)
def test_lacking(lacking: dict[str, Any], match: str) -> None:
    """What metadata cannot do without is missed at once, by the operator."""
    with pytest.raises(OperatorError, match=match):
        published(replace(SUOMIFI, **lacking))


def test_escaped() -> None:
    """A name with a bracket or a quote stays a name."""
    odd = RequestedAttribute(name='urn:x"<y>&', friendly_name="</md:EntityDescriptor>")

    (requested,) = found(parsed(replace(GATEWAY, attributes=(odd,))), "RequestedAttribute")

    assert (requested.get("Name"), requested.get("FriendlyName")) == (odd.name, odd.friendly_name)


# Second opinions.


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> etree.XMLSchema:
    """Return the schema of metadata with its extensions, as Debian's opensaml-schemas has it."""
    if not all(folder.exists() for folder in SCHEMAS):
        missing("SAML's schemas", "install opensaml-schemas and xmltooling-schemas")
    wanted = {
        MD: "saml-schema-metadata-2.0.xsd",
        "urn:oasis:names:tc:SAML:metadata:attribute": "sstc-metadata-attr.xsd",
        "urn:oasis:names:tc:SAML:metadata:ui": "sstc-saml-metadata-ui-v1.0.xsd",
    }
    imports = "".join(f'<import namespace="{one}" schemaLocation="{file}"/>' for one, file in wanted.items())
    folder = tmp_path_factory.mktemp("schemas")
    for file in [file for one in SCHEMAS for file in one.glob("*.xsd")]:
        # They name one another by addresses on the web; here they lie side by side.
        text = re.sub(r"""(schemaLocation=["'])[^"']*/""", r"\1", file.read_text(encoding="utf-8"))
        (folder / file.name).write_text(text, encoding="utf-8")
    (folder / "all.xsd").write_text(f'<schema xmlns="http://www.w3.org/2001/XMLSchema">{imports}</schema>')
    return etree.XMLSchema(file=str(folder / "all.xsd"))


@pytest.mark.peers
@PROVIDERS
def test_schema(provider: ServiceProvider, schema: etree.XMLSchema) -> None:
    """Our metadata is as the schemas of SAML and of its extensions want it, in a rollover and with a life too."""
    both = replace(provider, signing=(certificate("ours"), certificate("ours next")))

    for document in (published(provider), published(both, valid_until=NOW, cache_duration=timedelta(days=1))):
        schema.assertValid(etree.fromstring(document))
    # A check of the check: it sees into the extensions, and minds the order.
    for old, new in (("AssertionConsumerService", "AssertionConsumer"), ('Binding="', 'Bending="')):
        assert not schema.validate(etree.fromstring(published(provider).replace(old.encode(), new.encode())))
    assert provider.display is None or not schema.validate(
        etree.fromstring(published(provider).replace(b' height="', b' tall="'))
    )


@pytest.mark.peers
@PROVIDERS
def test_xmlsec1(provider: ServiceProvider, tmp_path: Path) -> None:
    """xmlsec1 verifies our metadata with our certificate, and not when a word was changed."""
    binary = program("xmlsec1", variable="TEST_XMLSEC1_BIN")
    if binary is None:
        missing("xmlsec1", "install xmlsec1, or name its program in TEST_XMLSEC1_BIN")
    (tmp_path / "ours.pem").write_bytes(certificate("ours").public_bytes(Encoding.PEM))

    def verifies(document: bytes) -> bool:
        (tmp_path / "document.xml").write_bytes(document)
        options = ["--id-attr:ID", f"{MD}:EntityDescriptor", "--pubkey-cert-pem", "ours.pem", "document.xml"]
        command = [str(binary), "--verify", *options]
        return subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, timeout=30).returncode == 0

    document = published(provider)

    assert verifies(document)
    assert not verifies(document.replace(b'isDefault="true"', b'isDefault="false"'))
