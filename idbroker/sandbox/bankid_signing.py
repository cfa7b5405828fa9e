"""What proves a simulated BankID login: the XML signature (XMLDSig, enveloping) and the OCSP response over it.

The document is written in the form that canonicalization would give it, as BankID writes its own: the
digests are over the very bytes.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from idbroker.sandbox.bankid_chain import BankID, Chain
from idbroker.sandbox.bankid_lies import STRANGER
from idbroker.sandbox.people import SimPerson
from idbroker.sandbox.pki import Authority

XMLDSIG = "http://www.w3.org/2000/09/xmldsig#"
TYPES = "http://www.bankid.com/signature/v1.0.0/types"
_C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
_SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
_RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
_RSA_SHA1 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="no"?>'
_NONCE_OID = x509.ObjectIdentifier("1.3.6.1.5.5.7.48.1.2")

Lies = frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """What is signed: the texts as they came (base64), for whom, and with what.

    `service` is the subject of the relying party's certificate, `policies` what was required.
    """

    visible: str | None
    visible_format: str | None
    non_visible: str | None
    service: str
    display_name: str
    uhi: str
    policies: tuple[str, ...]
    function: str = "Identification"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a relying party is given as proof: both in base64, `ocsp_response` None when it is kept back."""

    signature: str
    ocsp_response: str | None
    issued: datetime


class Signer:
    """Signs as BankID does, for anybody; `other_root` has it all from a chain of nobody's."""

    def __init__(self, chain: Chain, new_chain: Callable[[], Chain]) -> None:
        self._chain, self._new_chain = chain, new_chain

    def sign(self, signing: Signing, person: SimPerson, now: datetime, lies: Lies = frozenset()) -> Evidence:
        """Return the proof that this person signed this now, or what the lies make of it."""
        chain = self._new_chain() if "other_root" in lies else self._chain
        bank_id = _bank_id(chain, person, now, lies)
        document = make_document(_twisted(signing, lies), bank_id, lies)
        signature = base64.b64encode(document.encode()).decode()
        response = None
        if "no_ocsp" not in lies:
            other = chain.bank_id(STRANGER, now) if "ocsp_of_another" in lies else bank_id
            responder = _responder(chain, bank_id, self._new_chain, lies)
            response = base64.b64encode(make_ocsp_response(other, responder, signature, now, lies)).decode()
        return Evidence(signature=signature, ocsp_response=response, issued=bank_id.leaf.not_valid_before_utc)


def _bank_id(chain: Chain, person: SimPerson, now: datetime, lies: Lies) -> BankID:
    if "expired_leaf" in lies:
        return chain.expired(person, now)
    if "foreign_policy" in lies:
        return chain.foreign(person, now)
    return chain.bank_id(STRANGER if "foreign_leaf" in lies else person, now)


def _responder(chain: Chain, bank_id: BankID, new_chain: Callable[[], Chain], lies: Lies) -> Authority:
    if "ocsp_by_user" in lies:
        return Authority(certificate=bank_id.leaf, key=bank_id.key)
    return (new_chain() if "ocsp_by_stranger" in lies else chain).responder()


def _twisted(signing: Signing, lies: Lies) -> Signing:
    other = base64.b64encode(b"something else").decode()
    twists: Mapping[str, Callable[[Signing], Signing]] = {
        "wrong_visible": lambda s: replace(s, visible=other),
        "wrong_nonvisible": lambda s: replace(s, non_visible=other),
        "wrong_service": lambda s: replace(s, service="cn=Somebody else,o=Testbank A AB (publ),c=SE"),
        "wrong_function": lambda s: replace(s, function="Signing"),
    }
    for lie in sorted(lies & twists.keys()):
        signing = twists[lie](signing)
    return signing


def make_document(signing: Signing, bank_id: BankID, lies: Lies = frozenset()) -> str:
    """Return the signature document; its parts come in BankID's order, in the bytes that are digested."""
    signed, key_info = _signed_data(signing), _key_info(bank_id, lies)
    signed_info = _signed_info(signed, key_info, lies)
    value = _signature_value(signed_info, bank_id.key, lies)
    document = (
        f'{_DECLARATION}<Signature xmlns="{XMLDSIG}">{signed_info}<SignatureValue>{value}</SignatureValue>'
        f"{key_info}<Object>{signed}</Object></Signature>"
    )
    for lie in sorted(lies & _MANGLED.keys()):
        document = _MANGLED[lie](document, signed)
    return document


def _signed_data(signing: Signing) -> str:
    format_ = f' format="{signing.visible_format}"' if signing.visible_format else ""
    visible = (
        ""
        if signing.visible is None
        else f'<usrVisibleData charset="UTF-8"{format_} visible="wysiwys">{signing.visible}</usrVisibleData>'
    )
    hidden = "" if signing.non_visible is None else f"<usrNonVisibleData>{signing.non_visible}</usrNonVisibleData>"
    service = (
        f"<srvInfo><name>{_base64(signing.service)}</name>"
        f"<nonce>{base64.b64encode(secrets.token_bytes(20)).decode()}</nonce>"
        f"<displayName>{_base64(signing.display_name)}</displayName></srvInfo>"
    )
    return (
        f'<bankIdSignedData xmlns="{TYPES}" Id="bidSignedData">{visible}{hidden}{service}'
        f"{_client_info(signing)}</bankIdSignedData>"
    )


def _client_info(signing: Signing) -> str:
    version = f"ios=7.50.0&platform=ios&os_version=18.1&uhi={signing.uhi}&"
    values = "".join(f"<value>{policy}</value>" for policy in signing.policies)
    required = f"<condition><type>CertificatePolicies</type>{values}</condition>"
    return (
        f"<clientInfo><funcId>{signing.function}</funcId><version>{_base64(version)}</version><env><ai>"
        f"<type>{_base64('IOS')}</type><deviceInfo>{_base64('18.1')}</deviceInfo><uhi>{signing.uhi}</uhi>"
        f"<fsib>0</fsib><utb>cs1</utb><requirement>{required}</requirement><uauth>pw</uauth>"
        "</ai></env></clientInfo>"
    )


def _key_info(bank_id: BankID, lies: Lies) -> str:
    certificates = bank_id.certificates[:1] if "no_chain" in lies else bank_id.certificates
    encoded = (base64.b64encode(one.public_bytes(Encoding.DER)).decode() for one in certificates)
    entries = "".join(f"<X509Certificate>{one}</X509Certificate>" for one in encoded)
    return f'<KeyInfo xmlns="{XMLDSIG}" Id="bidKeyInfo"><X509Data>{entries}</X509Data></KeyInfo>'


def _signed_info(signed: str, key_info: str, lies: Lies) -> str:
    references = [_reference(f' Type="{TYPES}"', "bidSignedData", signed), _reference("", "bidKeyInfo", key_info)]
    if "third_reference" in lies:
        references.append(_reference("", "bidKeyInfo", key_info))
    if "one_reference" in lies:
        references.pop()
    return (
        f'<SignedInfo xmlns="{XMLDSIG}"><CanonicalizationMethod Algorithm="{_C14N}"></CanonicalizationMethod>'
        f'<SignatureMethod Algorithm="{_RSA_SHA1 if "sha1" in lies else _RSA_SHA256}"></SignatureMethod>'
        f"{''.join(references)}</SignedInfo>"
    )


def _reference(type_: str, target: str, content: str) -> str:
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return (
        f'<Reference{type_} URI="#{target}"><Transforms><Transform Algorithm="{_C14N}"></Transform></Transforms>'
        f'<DigestMethod Algorithm="{_SHA256}"></DigestMethod><DigestValue>{digest}</DigestValue></Reference>'
    )


def _signature_value(signed_info: str, key: rsa.RSAPrivateKey, lies: Lies) -> str:
    if "unsigned" in lies:
        return ""
    algorithm = hashes.SHA1() if "sha1" in lies else hashes.SHA256()  # noqa: S303 - a lie, to be refused
    value = key.sign(signed_info.encode(), padding.PKCS1v15(), algorithm)
    if "broken_signature" in lies:
        value = bytes([value[0] ^ 1]) + value[1:]
    return base64.b64encode(value).decode()


def _wrapped(document: str, signed: str) -> str:
    """Return the document with a forged element where the signed one was, which lies beside it (XML wrapping)."""
    forged = signed.replace("<funcId>Identification<", "<funcId>Signing<")
    return document.replace(f"<Object>{signed}</Object>", f"<Object>{forged}</Object><Object>{signed}</Object>")


# What is done to a document that was signed well.
_MANGLED: Mapping[str, Callable[[str, str], str]] = {
    "broken_digest": lambda document, signed: document.replace("<utb>cs1</utb>", "<utb>cs2</utb>"),
    "wrapped": _wrapped,
    "doctype": lambda document, signed: document.replace(
        _DECLARATION, f'{_DECLARATION}<!DOCTYPE Signature [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;&x;&x;">]>'
    ),
    "not_xml": lambda document, signed: document[: len(document) // 2],
}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def make_ocsp_response(
    bank_id: BankID, responder: Authority, signature: str, now: datetime, lies: Lies = frozenset()
) -> bytes:
    """Return an OCSP response in DER (RFC 6960) for a certificate, tied to the signature (base64) by its nonce."""
    if "ocsp_error" in lies:
        unsuccessful = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
        return unsuccessful.public_bytes(Encoding.DER)
    at = now - timedelta(days=30) if "old_ocsp" in lies else now
    at = at.replace(microsecond=0)
    revoked = "revoked" in lies
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=bank_id.certificates[0],
            issuer=bank_id.certificates[1],
            algorithm=hashes.SHA1(),  # noqa: S303 - only names the certificate, as everywhere
            cert_status=_status(lies),
            this_update=at,
            next_update=None,
            revocation_time=at - timedelta(days=1) if revoked else None,
            revocation_reason=x509.ReasonFlags.key_compromise if revoked else None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, responder.certificate)
        .certificates([responder.certificate])
    )
    if "no_nonce" not in lies:
        builder = builder.add_extension(_nonce(signature, lies), critical="wrapped_nonce" not in lies)
    return _produced_at(builder.sign(responder.key, hashes.SHA256()), responder, at)


def _status(lies: Lies) -> ocsp.OCSPCertStatus:
    if "revoked" in lies:
        return ocsp.OCSPCertStatus.REVOKED
    return ocsp.OCSPCertStatus.UNKNOWN if "unknown_ocsp" in lies else ocsp.OCSPCertStatus.GOOD


def _nonce(signature: str, lies: Lies) -> x509.ExtensionType:
    """Return SHA-1 of the signature in base64, then 12 bytes of chance: unwrapped and critical, as BankID's is."""
    of = "another signature" if "wrong_nonce" in lies else signature
    nonce = hashlib.sha1(of.encode()).digest() + secrets.token_bytes(12)  # noqa: S324 - BankID's choice
    return x509.OCSPNonce(nonce) if "wrapped_nonce" in lies else x509.UnrecognizedExtension(_NONCE_OID, nonce)


def _produced_at(response: ocsp.OCSPResponse, responder: Authority, at: datetime) -> bytes:
    """Return the response as produced at that moment: the library knows only the machine's clock, not ours."""
    tbs = response.tbs_response_bytes
    old = response.produced_at_utc.strftime("%Y%m%d%H%M%SZ").encode()
    moved = tbs.replace(old, at.strftime("%Y%m%d%H%M%SZ").encode(), 1)
    if not isinstance(responder.key, rsa.RSAPrivateKey):
        raise TypeError("an OCSP responder of BankID has an RSA key")
    signature = responder.key.sign(moved, padding.PKCS1v15(), hashes.SHA256())
    # Both are as long as what they replace, so no length around them changes.
    return response.public_bytes(Encoding.DER).replace(tbs, moved).replace(response.signature, signature)
