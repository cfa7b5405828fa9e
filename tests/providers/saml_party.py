"""An identity provider of the tests' own, as a browser and our HTTP client meet it; and we, towards it.

It signs and seals with lxml and cryptography (tests/saml/idp.py), not with what it tests. Its metadata
is served over loopback; its pages are nobody's: a test says what the person did there.
"""

from __future__ import annotations

import base64
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote_plus, unquote_to_bytes, urlsplit
from wsgiref.types import StartResponse, WSGIEnvironment

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from lxml import etree
from signxml.verifier import SignatureConfiguration, XMLVerifier

from idbroker import keeping
from idbroker.clock import StoppedClock
from idbroker.identity import LoA
from idbroker.keyring import Certified
from idbroker.keyset import Use
from idbroker.providers import Asked, Copies, Leaving, Means, Message, NoKeys, Post, Redirect
from idbroker.providers._http import kept_session
from idbroker.providers._saml import Party, SamlSettings, Terms, Wish
from idbroker.saml.assertion import Assertion
from idbroker.saml.metadata import fingerprint
from idbroker.store import open_transient
from idbroker.tokens import once
from idbroker.transaction import Transient
from tests.saml.idp import (
    IDP,
    LOA2,
    LOA3,
    MORE,
    NAMESPACES,
    SUCCESS,
    Says,
    Sealing,
    at,
    certificate,
    enveloped,
    key,
    seal,
    sign,
)
from tests.saml.metadata_documents import POST, REDIRECT, described, entity, role, signed
from tests.saml.metadata_documents import certificate as signer_certificate
from tests.sandbox.loopback import serve

OURS = "https://broker.example.test"
HOST = "https://idp.example.test"
SSO = {REDIRECT: f"{HOST}/sso/redirect", POST: f"{HOST}/sso/post"}
SLO, SLO_ANSWERS = f"{HOST}/slo", f"{HOST}/slo/answer"
SIGN_ON = "".join(f'<md:SingleSignOnService Binding="{one}" Location="{url}"/>' for one, url in SSO.items())
LOGOUT = "".join(
    f'<md:SingleLogoutService Binding="{one}" Location="{SLO}" ResponseLocation="{SLO_ANSWERS}"/>'
    for one in (POST, REDIRECT)
)
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
STATUS = "urn:oasis:names:tc:SAML:2.0:status:"
TESSA = {
    "urn:oid:1.2.246.21": "010280-952L",
    "urn:oid:2.5.4.3": "Testilä Tessa Maaria",
    "urn:oid:2.16.840.1.113730.3.1.241": "Tessa Testilä",
    "urn:oid:2.5.4.42": "Tessa",
    "urn:oid:2.5.4.4": "Testilä",
    "http://eidas.europa.eu/attributes/naturalperson/CurrentGivenName": "Tessa Maaria",
    "urn:oid:1.2.246.517.3002.111.2": "true",
}


@dataclass
class OurKeys(NoKeys):
    """Our keys, by the names of tests/saml/idp.py: the first signs, all in `opening` open."""

    signing: tuple[str, ...] = ("ours",)
    sealing: tuple[str, ...] = ("sp",)
    opening: tuple[str, ...] = ("sp",)

    def saml_signing(self) -> Certified:
        """Return the key that signs."""
        return Certified(key=key(self.signing[0]), certificate=certificate(self.signing[0]))

    def saml_certificates(self, use: Use) -> tuple[x509.Certificate, ...]:
        """Return what our metadata holds."""
        return tuple(map(certificate, self.signing if use is Use.SAML_SIGN else self.sealing))

    def decryption(self, use: Use) -> tuple[tuple[str, RSAPrivateKey], ...]:
        """Return what opens."""
        return tuple((name, key(name)) for name in self.opening)


@dataclass(frozen=True, kw_only=True)
class Came:
    """A message of ours as the identity provider has read it: its signature has verified."""

    root: etree._Element
    relay_state: str | None

    @property
    def id(self) -> str:
        """Return its ID."""
        return str(self.root.get("ID"))

    def text(self, name: str) -> list[str]:
        """Return the texts of all elements of a local name."""
        return [str(one) for one in self.root.xpath(f".//*[local-name()='{name}']/text()")]  # type: ignore[union-attr]


def read(sent: Redirect | Post | None, by: str = "ours") -> Came:
    """Return a message of ours, its signature verified with the key of a name by other code than ours."""
    if isinstance(sent, Post):
        octets = base64.b64decode(next(value for name, value in sent.fields.items() if name.startswith("SAML")))
        config = SignatureConfiguration(require_x509=True, verification_time=datetime(2021, 6, 1, tzinfo=UTC))
        found = XMLVerifier().verify(octets, x509_cert=certificate(by), expect_config=config)
        assert not isinstance(found, list)
        assert found.signed_xml is not None
        return Came(root=found.signed_xml, relay_state=sent.fields.get("RelayState"))
    assert sent is not None
    query = urlsplit(sent.url).query
    covered, _, rest = query.partition("&Signature=")
    value = base64.b64decode(unquote_to_bytes(rest.partition("&")[0]))
    certificate(by).public_key().verify(value, covered.encode(), padding.PKCS1v15(), hashes.SHA256())  # type: ignore[call-arg, union-attr, arg-type]
    fields = parse_qs(covered)
    message = next(values[0] for name, values in fields.items() if name.startswith("SAML"))
    root = etree.fromstring(zlib.decompress(base64.b64decode(message), -15))
    return Came(root=root, relay_state=fields.get("RelayState", [None])[0])


class Idp:
    """The identity provider. `looks` counts who read its metadata; `hold` lets them wait."""

    def __init__(self, clock: StoppedClock) -> None:
        self.clock = clock
        self.address = ""
        self.looks = 0
        self.status = 200
        self.hold: Callable[[], object] = lambda: None
        self._lock = threading.Lock()
        self.describe()

    def describe(self, *keys: str, signer: str | None = "federation", **entity_attributes: str) -> None:
        """Publish metadata with the certificates of these names, signed by a name, or by nobody."""
        listed = "".join(described(certificate(name)) for name in keys or ("idp",))
        attributes = " ".join(f'{name}="{value}"' for name, value in entity_attributes.items())
        text = entity(role(keys=listed, logout=LOGOUT, sign_on=SIGN_ON), entity_id=IDP, attributes=attributes)
        self.document = text.encode()
        if signer is not None:
            self.publish(text, signer)

    def publish(self, text: str, signer: str = "federation") -> None:
        """Publish any metadata, signed."""
        self.document = signed(text, signer)

    def __call__(self, _environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Serve the metadata."""
        with self._lock:
            self.looks += 1
        self.hold()
        start(f"{self.status} so", [("Content-Type", "text/xml"), ("Content-Length", str(len(self.document)))])
        return [self.document]

    # ---- a person has acted ----------------------------------------------------------------------

    def says(self, asked: Came, **changes: Any) -> Says:
        """Return the assertion about Tessa that is an honest answer, with changes."""
        now, entity_id = self.clock.now(), asked.text("Issuer")[0]
        soon = at(now + timedelta(minutes=5))
        data = {"InResponseTo": asked.id, "NotOnOrAfter": soon, "Recipient": str(asked.root.get(_ACS))}
        qualified = f'Format="{TRANSIENT}" NameQualifier="{IDP}" SPNameQualifier="{entity_id}"'
        usual = Says(
            id=f"_{asked.id}-assertion",
            subject=f"<saml:NameID {qualified}>{changes.pop('name_id', 'AAdzZWNyZXQx')}</saml:NameID>",
            data={**data, **changes.pop("data", {})},
            conditions={"NotBefore": at(now), "NotOnOrAfter": soon, **changes.pop("conditions", {})},
            audience=entity_id,
            authenticated=now,
            issued=now,
            context=LOA2,
            attributes=TESSA,
        )
        return replace(usual, **changes)

    def answer(
        self,
        asked: Came,
        says: Says | None = None,
        *,
        by: str = "idp",
        sealing: Sealing | None = None,
        **changes: str,
    ) -> dict[str, str]:
        """Return what the browser posts to us: an honest answer, with changes to the Response's attributes."""
        assertion = sign((says or self.says(asked)).assertion(), by=by)
        return self.posted(asked, seal(assertion, sealing or Sealing(to="sp")), by=by, **changes)

    def refusal(self, asked: Came, *codes: str) -> dict[str, str]:
        """Return what the browser posts to us when it did not come to a sign-in: status codes, outermost first."""
        status = ""
        for code in reversed(codes):
            status = f'<samlp:StatusCode Value="{STATUS}{code}">{status}</samlp:StatusCode>'
        return self.posted(asked, "", status=status)

    def posted(self, asked: Came, inside: str, *, by: str | None = "idp", **changes: str) -> dict[str, str]:
        """Return what the browser posts to us: a response around something."""
        usual = {"InResponseTo": asked.id, "IssueInstant": at(self.clock.now())}
        usual["Destination"] = str(asked.root.get(_ACS))
        status = changes.pop("status", SUCCESS)
        text = enveloped(inside, status=status, **{**usual, **changes})
        octets = (text if by is None else sign(text, by=by)).encode()
        return {"SAMLResponse": base64.b64encode(octets).decode(), "RelayState": asked.relay_state or ""}

    # ---- logout ----------------------------------------------------------------------------------

    def logout_request(self, to: str, name_id: str = "AAdzZWNyZXQx", **changes: str) -> str:
        """Return a LogoutRequest, unsigned."""
        indexes = changes.pop("indexes", "_session1")
        issuer = changes.pop("issuer", IDP)
        now = self.clock.now()
        usual = {"ID": "_out1", "Version": "2.0", "IssueInstant": at(now), "Destination": to}
        usual["NotOnOrAfter"] = at(now + timedelta(minutes=5))
        head = " ".join(f'{name}="{value}"' for name, value in {**usual, **changes}.items() if value)
        told = "".join(f"<samlp:SessionIndex>{one}</samlp:SessionIndex>" for one in indexes.split())
        return (
            f"<samlp:LogoutRequest {NAMESPACES} {head}><saml:Issuer>{issuer}</saml:Issuer>"
            f'<saml:NameID Format="{TRANSIENT}">{name_id}</saml:NameID>{told}</samlp:LogoutRequest>'
        )

    def logout_response(self, to: str, in_response_to: str, *codes: str, **changes: str) -> str:
        """Return a LogoutResponse, unsigned."""
        status = ""
        for code in reversed(codes or ("Success",)):
            status = f'<samlp:StatusCode Value="{STATUS}{code}">{status}</samlp:StatusCode>'
        issuer = changes.pop("issuer", IDP)
        usual = {"ID": "_out2", "Version": "2.0", "IssueInstant": at(self.clock.now()), "Destination": to}
        usual["InResponseTo"] = in_response_to
        head = " ".join(f'{name}="{value}"' for name, value in {**usual, **changes}.items() if value)
        return (
            f"<samlp:LogoutResponse {NAMESPACES} {head}><saml:Issuer>{issuer}</saml:Issuer>"
            f"<samlp:Status>{status}</samlp:Status></samlp:LogoutResponse>"
        )

    def by_query(self, url: str, text: str, relay_state: str | None = None, by: str | None = "idp") -> Message:
        """Return a message as it comes by Redirect: the query as it stands in the request line."""
        name = "SAMLRequest" if "LogoutRequest" in text else "SAMLResponse"
        packed = zlib.compressobj(wbits=-15)
        deflated = packed.compress(text.encode()) + packed.flush()
        # Percent signs in lower case, as some of them write: who encodes again what was decoded verifies other octets.
        query = f"{name}={quote_plus(base64.b64encode(deflated)).replace('%2B', '%2b').replace('%2F', '%2f')}"
        query += "" if relay_state is None else f"&RelayState={quote_plus(relay_state)}"
        if by is not None:
            query += f"&SigAlg={quote_plus(f'{MORE}rsa-sha256')}"
            value = key(by).sign(query.encode(), padding.PKCS1v15(), hashes.SHA256())
            query += f"&Signature={quote_plus(base64.b64encode(value))}"
        return Message(now=self.clock.now(), url=url, query=query.encode())

    def by_post(self, url: str, text: str, relay_state: str | None = None, by: str | None = "idp") -> Message:
        """Return a message as it comes by POST."""
        name = "SAMLRequest" if "LogoutRequest" in text else "SAMLResponse"
        octets = (text if by is None else sign(text, by=by)).encode()
        fields = {name: base64.b64encode(octets).decode()}
        told = {} if relay_state is None else {"RelayState": relay_state}
        return Message(now=self.clock.now(), url=url, fields={**fields, **told})


_ACS = "AssertionConsumerServiceURL"


@dataclass
class World:
    """An identity provider, served, and the store that all workers of ours share."""

    idp: Idp
    clock: StoppedClock
    transient: Transient
    keys: OurKeys = field(default_factory=OurKeys)
    copies: Copies | None = None  # instead of those in the store

    def means(self) -> Means:
        """Return what one worker has: its own connections, the shared memory."""
        return Means(
            clock=self.clock,
            http=lambda: kept_session(timeout=(2, 5), deadline=timedelta(seconds=5), sandbox=True),
            keys=self.keys,
            issuer=OURS,
            once=once(self.transient, self.clock),
            copies=self.copies or keeping.Copies(keeping.Shelf(self.transient, "m", keeping.Copy)),
            tally=keeping.Tallies(self.transient),
            sandbox=True,
        )

    def table(self, **more: Any) -> dict[str, Any]:
        """Return what any provider's table says of this identity provider."""
        pinned = (fingerprint(signer_certificate("federation")),)
        return {"idp": IDP, "metadata_url": f"{self.idp.address}/metadata", "metadata_signer_sha256": pinned} | more

    def party(self, name: str = "eid", **more: Any) -> Party:
        """Return our side of it, in a worker of its own."""
        return Party(name, SamlSettings(**self.table(**more)), self.means())

    def asked(self, **more: Any) -> Asked:
        """Return what the broker asks: substantial, with the number, in Swedish."""
        usual = Asked(
            transaction="t1",
            handle="handle-1",
            return_url=f"{OURS}/callback/eid",
            loa=LoA.SUBSTANTIAL,
            language="sv",
            service="Terveysasema",
            now=self.clock.now(),
            want_number=True,
        )
        return replace(usual, **more)

    def leaving(self, logout: str, now: datetime | None = None) -> Leaving:
        """Return what the broker says when somebody signs out."""
        return Leaving(
            logout=logout,
            handle="farewell-1",
            return_url=f"{OURS}/logout/eid",
            language="sv",
            now=now or self.clock.now(),
        )


TERMS = Terms(contexts=frozenset({LOA2, LOA3}))


class Journey:
    """One sign-in, begun."""

    def __init__(self, world: World, party: Party | None = None, **more: Any) -> None:
        self.world, self.asked = world, world.asked(**more)
        self.party = party or world.party()
        begun = self.party.begin(self.asked, Wish())
        assert isinstance(begun, Redirect | Post)
        self.begun, self.state = begun, begun.state

    @property
    def came(self) -> Came:
        """Return our request, as it came to them."""
        return read(self.begun, self.world.keys.signing[0])

    def honest(self, **changes: Any) -> dict[str, str]:
        """Return their honest answer."""
        return self.world.idp.answer(self.came, self.world.idp.says(self.came, **changes))

    def finish(self, reply: dict[str, str], terms: Terms = TERMS, party: Party | None = None) -> Assertion:
        """Read an answer, in this worker or another."""
        return (party or self.party).finish(self.asked, self.state, reply, terms)


def make_world(clock: StoppedClock, tmp_path: Path) -> Iterator[World]:
    """Serve an identity provider, and open a store that workers share; for `pytest.fixture`."""
    idp = Idp(clock)
    store = open_transient(f"sqlite:///{tmp_path}/transient.db", clock)

    def served(address: str) -> Idp:
        idp.address = address
        return idp

    with serve(served):
        yield World(idp=idp, clock=clock, transient=store)
    store.close()
