"""A service made by hand, for the simulated SAML identity providers: messages as text, xmlsec1 as judge."""

from __future__ import annotations

import base64
import subprocess
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from flask.testing import FlaskClient
from lxml import etree, html
from werkzeug.test import TestResponse

from idbroker.clock import StoppedClock
from idbroker.saml.lexical import instant_text
from idbroker.saml.metadata import Binding, Endpoint
from idbroker.saml.publishing import EntityAttribute, RequestedAttribute, ServiceProvider, publish
from idbroker.sandbox.saml_keys import IdpKeys, Signer, new_signer
from idbroker.sandbox.saml_signing import signed
from tests.servers import missing, program

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
DS = "http://www.w3.org/2000/09/xmldsig#"
XENC = "http://www.w3.org/2001/04/xmlenc#"
NS = {"saml": SAML, "samlp": SAMLP, "ds": DS, "xenc": XENC, "md": "urn:oasis:names:tc:SAML:2.0:metadata"}
SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
_ROOT = "/*/*[local-name()='Signature']"
_IDS = [
    f"{SAML}:Assertion",
    *(f"{SAMLP}:{name}" for name in ("Response", "LogoutRequest", "LogoutResponse")),
    f"{NS['md']}:EntityDescriptor",
]


@cache
def keys(name: str) -> Signer:
    """Return the key of a name, made once for the run."""
    return new_signer(name, datetime(2026, 11, 22, tzinfo=UTC))


@cache
def idp_keys(name: str) -> IdpKeys:
    """Return the keys of an identity provider, made once for the run."""
    return IdpKeys(name, datetime(2026, 11, 22, tzinfo=UTC))


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service, and what it says of itself."""

    clock: StoppedClock
    name: str = "portal"
    attributes: tuple[RequestedAttribute, ...] = ()
    traits: tuple[EntityAttribute, ...] = ()
    bindings: tuple[Binding, ...] = (Binding.REDIRECT, Binding.POST)
    ciphers: tuple[str, ...] = ()
    titles: Mapping[str, str] = field(default_factory=lambda: {"en": "The portal"})

    @property
    def entity_id(self) -> str:
        """Return who it is."""
        return f"https://{self.name}.example.test/metadata"

    @property
    def acs(self) -> str:
        """Return where responses go."""
        return f"https://{self.name}.example.test/acs"

    @property
    def slo(self) -> str:
        """Return where logout messages go."""
        return f"https://{self.name}.example.test/slo"

    @property
    def signer(self) -> Signer:
        """Return its signing key."""
        return keys(f"{self.name} sign")

    @property
    def opener(self) -> Signer:
        """Return its encryption key."""
        return keys(f"{self.name} open")

    def metadata(self) -> bytes:
        """Return its metadata."""
        described = ServiceProvider(
            entity_id=self.entity_id,
            signing=(self.signer.certificate,),
            encryption=(self.opener.certificate,),
            assertion_consumer=self.acs,
            logout=tuple(Endpoint(binding=one, location=self.slo) for one in self.bindings),
            name_id=TRANSIENT,
            service_names=self.titles,
            attributes=self.attributes,
            entity_attributes=self.traits,
            ciphers=self.ciphers,
        )
        return publish(described, key=self.signer.key)

    def authn(self, destination: str, *, inside: str = "", issuer: str | None = None, **changes: str) -> str:
        """Return an AuthnRequest, unsigned; an attribute that is changed to nothing is left out."""
        head = {
            "ID": "_request1",
            "Version": "2.0",
            "IssueInstant": instant_text(self.clock.now()),
            "Destination": destination,
            "AssertionConsumerServiceURL": self.acs,
            "ProtocolBinding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
        }
        return self._message("AuthnRequest", head | changes, inside, issuer)

    def logout_request(self, destination: str, name: str, index: str | None, **changes: str) -> str:
        """Return a LogoutRequest, unsigned; `name` is the whole NameID element."""
        told = "" if index is None else f"<samlp:SessionIndex>{index}</samlp:SessionIndex>"
        head = {
            "ID": "_logout1",
            "Version": "2.0",
            "IssueInstant": instant_text(self.clock.now()),
            "Destination": destination,
        }
        return self._message("LogoutRequest", head | changes, name + told, None)

    def logout_response(self, destination: str, to: str, status: str = SUCCESS) -> str:
        """Return a LogoutResponse, unsigned."""
        head = {
            "ID": "_logged1",
            "Version": "2.0",
            "IssueInstant": instant_text(self.clock.now()),
            "Destination": destination,
            "InResponseTo": to,
        }
        inside = f'<samlp:Status><samlp:StatusCode Value="{status}"/></samlp:Status>'
        return self._message("LogoutResponse", head, inside, None)

    def _message(self, tag: str, head: Mapping[str, str], inside: str, issuer: str | None) -> str:
        told = " ".join(f'{name}="{value}"' for name, value in head.items() if value)
        return (
            f'<samlp:{tag} xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}" {told}>'
            f"<saml:Issuer>{issuer or self.entity_id}</saml:Issuer>{inside}</samlp:{tag}>"
        )

    def query(self, text: str, *, name: str = "SAMLRequest", relay_state: str | None = "handle-1") -> str:
        """Return the signed query of a Redirect."""
        compressor = zlib.compressobj(wbits=-15)
        deflated = compressor.compress(text.encode()) + compressor.flush()
        query = f"{name}={quote_plus(base64.b64encode(deflated))}"
        query += "" if relay_state is None else f"&RelayState={quote_plus(relay_state)}"
        query += f"&SigAlg={quote_plus(SHA256)}"
        value = self.signer.key.sign(query.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{query}&Signature={quote_plus(base64.b64encode(value))}"

    def form(self, text: str, *, name: str = "SAMLRequest", relay_state: str = "handle-1") -> dict[str, str]:
        """Return the form of a POST, signed inside."""
        octets = etree.tostring(signed(etree.fromstring(text), self.signer))
        return {name: base64.b64encode(octets).decode(), "RelayState": relay_state}


@dataclass(frozen=True, kw_only=True)
class Posted:
    """What came in a form that posts itself: where to, what, and with which RelayState."""

    url: str
    octets: bytes
    relay_state: str | None

    @property
    def root(self) -> etree._Element:
        """Return the message."""
        return etree.fromstring(self.octets)

    @property
    def statuses(self) -> list[str]:
        """Return the last words of the status codes, outermost first."""
        return [one.get("Value", "").rpartition(":")[2] for one in self.root.iter(f"{{{SAMLP}}}StatusCode")]


def posted(response: TestResponse) -> Posted:
    """Return the message of a page that posts itself."""
    assert response.status_code == 200, response.status
    form = html.fromstring(response.get_data(as_text=True)).findall(".//form")[0]
    fields = {one.get("name", ""): one.get("value", "") for one in form.iterfind(".//input")}
    name = "SAMLResponse" if "SAMLResponse" in fields else "SAMLRequest"
    return Posted(
        url=form.get("action", ""), octets=base64.b64decode(fields[name]), relay_state=fields.get("RelayState")
    )


def redirected(response: TestResponse) -> tuple[str, dict[str, str], etree._Element]:
    """Return where a redirect leads, its parameters, and the message in them."""
    assert response.status_code == 303, response.status
    return told(response.headers["Location"])


def told(url: str) -> tuple[str, dict[str, str], etree._Element]:
    """Return the place, the parameters and the message of an address."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    message = query.get("SAMLResponse") or query["SAMLRequest"]
    octets = zlib.decompress(base64.b64decode(message), wbits=-15)
    return f"{parts.scheme}://{parts.netloc}{parts.path}", query, etree.fromstring(octets)


def is_signed_query(url: str, certificate: x509.Certificate) -> bool:
    """Tell whether a query is signed with the key of a certificate."""
    octets, found, value = urlsplit(url).query.partition("&Signature=")
    if not found:
        return False
    key: Any = certificate.public_key()
    signature = base64.b64decode(dict(parse_qsl(f"Signature={value}"))["Signature"])
    try:
        key.verify(signature, octets.encode(), padding.PKCS1v15(), hashes.SHA256())
    except Exception:  # noqa: BLE001 - whatever it is, it does not verify
        return False
    return True


def choose(client: FlaskClient, page: TestResponse, **fields: str) -> TestResponse:
    """Choose on the page that a sign-on leads to."""
    assert page.status_code == 303, page.status
    return client.post(page.headers["Location"], data=fields)


class Xmlsec1:
    """The program, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        found = program("xmlsec1", variable="IDBROKER_XMLSEC1")
        if found is None:
            missing("xmlsec1", "install xmlsec1, or name it in IDBROKER_XMLSEC1")
        self._program = str(found)

    def verifies(
        self, octets: bytes, certificate: x509.Certificate, *, at: str = "/*/*[local-name()='Signature']"
    ) -> bool:
        """Tell whether the signature at a place verifies with the key of a certificate, and no other."""
        key: Any = certificate.public_key()
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        ids = [word for one in _IDS for word in ("--id-attr:ID", one)]
        arguments = ["--verify", *ids, "--pubkey-pem", "key.pem", "--enabled-key-data", "key-name", "--node-xpath", at]
        return self._run(octets, pem, arguments).returncode == 0

    def decrypted(self, octets: bytes, opener: Signer) -> etree._Element:
        """Return the document with its encrypted assertion opened."""
        pem = opener.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        done = self._run(octets, pem, ["--decrypt", "--privkey-pem", "key.pem"])
        assert done.returncode == 0, done.stderr
        return etree.fromstring(done.stdout)

    def _run(self, octets: bytes, pem: bytes, arguments: list[str]) -> subprocess.CompletedProcess[bytes]:
        (self._folder / "key.pem").write_bytes(pem)
        (self._folder / "message.xml").write_bytes(octets)
        command = [self._program, *arguments, "message.xml"]
        return subprocess.run(command, cwd=self._folder, check=False, capture_output=True, timeout=30)


def values(assertion: etree._Element) -> dict[str, str]:
    """Return the attributes of what holds an assertion."""
    found = assertion.iterfind(".//saml:Attribute", NS)
    return {one.get("Name", ""): str(one.xpath("string()")) for one in found}


def only(element: etree._Element, path: str) -> etree._Element:
    """Return the one element of a path."""
    found = element.findall(path, NS)
    assert len(found) == 1, (path, len(found))
    return found[0]
