"""What a BankID signed: that it is this person's, for us, just as we asked (BankID signature profile; XML Signature).

Bytes in, values out. What is read is read from the very bytes whose digest was verified, never from
the document that brought them (signature wrapping).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import NameOID
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.verifier import SignatureConfiguration, XMLVerifier

from idbroker.errors import Untrusted
from idbroker.providers._bankid import chain, xml
from idbroker.providers._bankid.strict import decoded, refusing
from idbroker.saml.xml import parser

IDENTIFICATION = "Identification"  # funcId; the other is Signing

_PLAIN = "plaintext"
_MOST_NAME = 4096  # characters of base64
# As BankID spells the subject of a relying party's certificate.
_SPELLINGS = {
    NameOID.COMMON_NAME: "cn",
    x509.ObjectIdentifier("2.5.4.41"): "name",
    NameOID.SERIAL_NUMBER: "serialNumber",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "ou",
    NameOID.ORGANIZATION_NAME: "o",
    NameOID.COUNTRY_NAME: "c",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What was proved: whose certificate, issued by whom, and what it signed.

    `name` is the person's, as the certificate has it. `relying_party` is the subject of the
    certificate with which the order was made, in BankID's spelling. `policies` are the leaf's
    (1.2.752.78.1.5 is Mobile BankID).
    """

    leaf: x509.Certificate = field(repr=False)
    issuer: x509.Certificate
    name: str = field(repr=False)
    function: str
    relying_party: str
    policies: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """What the checks look at: what was signed, and what we had asked for.

    `data` is bankIdSignedData, parsed from the very bytes that were digested.
    """

    leaf: x509.Certificate = field(repr=False)
    data: etree._Element = field(repr=False)
    person: str = field(repr=False)
    visible: str | None = field(repr=False)
    visible_format: str | None
    non_visible: str | None = field(repr=False)
    relying_party: str | None
    policies: Sequence[str]


def verify(  # noqa: PLR0913 - all that was asked is compared with all that was signed
    document: str,
    *,
    person: str,
    visible: str | None,
    visible_format: str | None,
    non_visible: str | None,
    roots: Sequence[x509.Certificate],
    relying_party: str | None,
    policies: Sequence[str],
    now: datetime,
) -> Signed:
    """Return what was signed. `document` is completionData.signature, `person` the 12 digits it must be.

    `visible` and `non_visible` are the base64 that we sent, `visible_format` as we sent it;
    `relying_party` as `party` spells it, None to leave it open. `policies` are object identifiers,
    the last part of each may be `*`; none allows any. Untrusted says which check failed.
    """
    envelope = xml.read(document)
    path = chain.verify(envelope.certificates, roots, now)
    case = _Case(
        leaf=path[0],
        data=_verified(envelope, path[0], now),
        person=person,
        visible=visible,
        visible_format=visible_format,
        non_visible=non_visible,
        relying_party=relying_party,
        policies=policies,
    )
    for check in _CHECKS:
        check(case)
    return Signed(
        leaf=path[0],
        issuer=path[1],
        name=_subject(path[0], NameOID.COMMON_NAME),
        function=_function(case.data),
        relying_party=_relying_party(case.data),
        policies=_policies(path[0]),
    )


def party(certificate: x509.Certificate) -> str:
    """Return how BankID spells the subject of a relying party's certificate in srvInfo.

    Most specific first: `cn=FP Testcert 5,name=Test av BankID,serialNumber=5566304928,o=...,c=SE`
    (seen in BankID's own samples; how it escapes commas and the like is not published).
    """
    return certificate.subject.rfc4514_string(_SPELLINGS)


class _Verifier(XMLVerifier):
    """signxml's, with the needless xmlns="" taken out that lxml writes when it canonicalises a part of a document.

    Without this no document with a default namespace verifies. It takes out what the document
    itself has too, so xml.py refuses one that has any.
    """

    excise_empty_xmlns_declarations = True


def _verified(envelope: xml.Envelope, leaf: x509.Certificate, now: datetime) -> etree._Element:
    # The key is the leaf's and nothing the document says; algorithms and the count of references are
    # given here once more, although the shape has settled them. The schema says less than the shape.
    expected = SignatureConfiguration(
        location="./",
        expect_references=2,
        signature_methods=frozenset({SignatureMethod.RSA_SHA256}),
        digest_algorithms=frozenset({DigestAlgorithm.SHA256}),
        verification_time=now,
    )
    with refusing("signature: a digest or the signature value does not verify"):
        found = _Verifier().verify(
            envelope.raw,
            x509_cert=leaf,
            parser=parser(),
            id_attribute="Id",
            validate_schema=False,
            expect_config=expected,
        )
    data, key_info = (xml.parse(one.signed_data) for one in found) if isinstance(found, list) else (None, None)
    if data is None or key_info is None or (data.tag, key_info.tag) != (xml.SIGNED_DATA, xml.KEY_INFO):
        raise Untrusted("signature: covers other elements")
    if xml.certificates(key_info) != envelope.certificates:
        raise Untrusted("signature: covers other certificates")
    return data


def _check_person(case: _Case) -> None:
    if _subject(case.leaf, NameOID.SERIAL_NUMBER) != case.person:
        raise Untrusted("signature: of another person")


def _check_function(case: _Case) -> None:
    # A signature under some text must not become a sign-in, nor the other way round.
    if _function(case.data) != IDENTIFICATION:
        raise Untrusted("signature: not made to identify")


def _check_visible(case: _Case) -> None:
    # What the person read was ours: the order of another service, relayed, says something else.
    shown = _at_most_one(case.data, "usrVisibleData")
    if (None if shown is None else xml.text(shown)) != case.visible:
        raise Untrusted("signature: another visible text")
    if shown is not None:
        _check_display(xml.attributes(shown), case.visible_format)


def _check_display(attributes: dict[str, str], visible_format: str | None) -> None:
    shown_as = attributes.pop("format", _PLAIN)
    if shown_as != (visible_format or _PLAIN):
        raise Untrusted("signature: the text was shown in another format")
    if attributes != {"charset": "UTF-8", "visible": "wysiwys"}:
        raise Untrusted("signature: the text was shown in another way")


def _check_non_visible(case: _Case) -> None:
    # It ties the signature to one transaction of ours.
    hidden = _at_most_one(case.data, "usrNonVisibleData")
    if (None if hidden is None else xml.text(hidden)) != case.non_visible:
        raise Untrusted("signature: another text that was not shown")


def _check_relying_party(case: _Case) -> None:
    # An order that somebody else made, with their own certificate, proves nothing to us.
    if case.relying_party is not None and _relying_party(case.data) != case.relying_party:
        raise Untrusted("signature: made for another relying party")


def _check_policy(case: _Case) -> None:
    found = _policies(case.leaf)
    if case.policies and not any(_allows(policy, one) for policy in case.policies for one in found):
        raise Untrusted("signature: made with another kind of BankID")


_CHECKS: tuple[Callable[[_Case], None], ...] = (
    _check_person,
    _check_function,
    _check_visible,
    _check_non_visible,
    _check_relying_party,
    _check_policy,
)


def _allows(policy: str, found: str) -> bool:
    return found == policy or (policy.endswith(".*") and found.startswith(policy[:-1]))


def _policies(leaf: x509.Certificate) -> tuple[str, ...]:
    with refusing("signature: the leaf names no policy"):
        named = leaf.extensions.get_extension_for_class(x509.CertificatePolicies).value
    return tuple(one.policy_identifier.dotted_string for one in named)


def _subject(leaf: x509.Certificate, name: x509.ObjectIdentifier) -> str:
    found = leaf.subject.get_attributes_for_oid(name)
    if len(found) != 1 or not isinstance(found[0].value, str):
        raise Untrusted("signature: the leaf's subject is not a person's")
    return found[0].value


def _function(data: etree._Element) -> str:
    return xml.text(_one(_one(data, "clientInfo"), "funcId"))


def _relying_party(data: etree._Element) -> str:
    name = decoded(xml.text(_one(_one(data, "srvInfo"), "name")), most=_MOST_NAME, name="srvInfo")
    with refusing("signature: srvInfo is not UTF-8"):
        return name.decode("utf-8")


def _one(parent: etree._Element, name: str) -> etree._Element:
    found = _at_most_one(parent, name)
    if found is None:
        raise Untrusted(f"signature: no {name}")
    return found


def _at_most_one(parent: etree._Element, name: str) -> etree._Element | None:
    found = parent.findall(f"{{{xml.BANKID}}}{name}")
    if len(found) > 1:
        raise Untrusted(f"signature: more than one {name}")
    return found[0] if found else None
