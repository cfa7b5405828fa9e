"""That a certificate was good when it signed, in the words of its own authority (RFC 6960; with BankID's nonce)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, SignatureAlgorithmOID

from idbroker.errors import Untrusted
from idbroker.providers._bankid.chain import LEAST_BITS
from idbroker.providers._bankid.strict import decoded, refusing

MOST_TEXT = 16 * 1024  # characters of base64; about 2,600 are usual
# BankID asks for it when the person signs, and keeps a completed order for three minutes.
OLDEST = timedelta(minutes=15)
SKEW = timedelta(minutes=5)

_NONCE = 32  # bytes, of which the first 20 are SHA-1 of the signature
_ALGORITHMS = frozenset(
    {
        SignatureAlgorithmOID.RSA_WITH_SHA256,
        SignatureAlgorithmOID.RSA_WITH_SHA384,
        SignatureAlgorithmOID.RSA_WITH_SHA512,
    }
)
_READ = frozenset({x509.BasicConstraints.oid, x509.KeyUsage.oid, x509.ExtendedKeyUsage.oid})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """What the checks look at."""

    response: ocsp.OCSPResponse
    leaf: x509.Certificate = field(repr=False)
    issuer: x509.Certificate
    signature: str = field(repr=False)
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Delegate:
    """Somebody who answers in the place of an authority."""

    certificate: x509.Certificate
    issuer: x509.Certificate
    now: datetime


def verify(response: str, *, leaf: x509.Certificate, issuer: x509.Certificate, signature: str, now: datetime) -> None:
    """Check completionData.ocspResponse (base64 of DER) against the verified leaf and its issuer.

    `signature` is completionData.signature, in base64 as it came. Untrusted says which check failed.
    """
    der = decoded(response, most=MOST_TEXT, name="ocsp")
    with refusing("ocsp: does not read"):
        read = ocsp.load_der_ocsp_response(der)
    case = _Case(response=read, leaf=leaf, issuer=issuer, signature=signature, now=now)
    for check in _CHECKS:
        with refusing("ocsp: does not read"):
            check(case)


def _check_successful(case: _Case) -> None:
    if case.response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise Untrusted("ocsp: the responder did not answer")


def _check_signature(case: _Case) -> None:
    responder = _responder(case)
    if case.response.signature_algorithm_oid not in _ALGORITHMS:
        raise Untrusted("ocsp: signed with another algorithm than RSA and SHA-2")
    with refusing("ocsp: the signature does not verify"):
        _key(responder).verify(
            case.response.signature, case.response.tbs_response_bytes, padding.PKCS1v15(), _hash(case.response)
        )


def _responder(case: _Case) -> x509.Certificate:
    # RFC 6960, 4.2.2.2: the authority itself, or whom it named for this with a certificate of its own.
    if _is_named(case.response, case.issuer):
        return case.issuer
    named = [one for one in case.response.certificates if _is_named(case.response, one)]
    if len(named) != 1:
        raise Untrusted("ocsp: not one certificate of the responder it names")
    for check in _DELEGATE:
        check(_Delegate(certificate=named[0], issuer=case.issuer, now=case.now))
    return named[0]


def _is_named(response: ocsp.OCSPResponse, certificate: x509.Certificate) -> bool:
    if response.responder_name is not None:
        return certificate.subject == response.responder_name
    return x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest == response.responder_key_hash


def _check_issued(case: _Delegate) -> None:
    if case.certificate.signature_algorithm_oid not in _ALGORITHMS:
        raise Untrusted("ocsp: the responder's certificate is signed with another algorithm")
    with refusing("ocsp: the responder is not of the leaf's authority"):
        case.certificate.verify_directly_issued_by(case.issuer)


def _check_delegated(case: _Delegate) -> None:
    # Without it, every person the authority ever issued a certificate to could vouch for any other.
    with refusing("ocsp: the responder may not answer for its authority"):
        uses = case.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    if ExtendedKeyUsageOID.OCSP_SIGNING not in uses:
        raise Untrusted("ocsp: the responder may not answer for its authority")


def _check_delegate_usage(case: _Delegate) -> None:
    if any(one.critical and one.oid not in _READ for one in case.certificate.extensions):
        raise Untrusted("ocsp: the responder's certificate has a critical extension we do not know")
    for usage in (one.value for one in case.certificate.extensions if isinstance(one.value, x509.KeyUsage)):
        if not (usage.digital_signature or usage.content_commitment):
            raise Untrusted("ocsp: the responder's key may not sign")


def _check_delegate_valid(case: _Delegate) -> None:
    if not case.certificate.not_valid_before_utc <= case.now <= case.certificate.not_valid_after_utc:
        raise Untrusted("ocsp: the responder's certificate is not valid now")


_DELEGATE: tuple[Callable[[_Delegate], None], ...] = (
    _check_issued,
    _check_delegated,
    _check_delegate_usage,
    _check_delegate_valid,
)


def _key(responder: x509.Certificate) -> rsa.RSAPublicKey:
    key = responder.public_key()
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < LEAST_BITS:
        raise Untrusted("ocsp: the responder's key is not RSA, or too short")
    return key


def _hash(response: ocsp.OCSPResponse) -> hashes.HashAlgorithm:
    if response.signature_hash_algorithm is None:
        raise Untrusted("ocsp: signed without a hash")
    return response.signature_hash_algorithm


def _check_leaf(case: _Case) -> None:
    # Exactly one answer, and about this certificate: its number alone is unique to its authority only.
    single = _single(case.response)
    asked = ocsp.OCSPRequestBuilder().add_certificate(case.leaf, case.issuer, single.hash_algorithm).build()
    about = single.issuer_name_hash, single.issuer_key_hash, single.serial_number
    if about != (asked.issuer_name_hash, asked.issuer_key_hash, asked.serial_number):
        raise Untrusted("ocsp: about another certificate")


def _single(response: ocsp.OCSPResponse) -> ocsp.OCSPSingleResponse:
    answers = list(response.responses)
    if len(answers) != 1:
        raise Untrusted("ocsp: not one answer")
    return answers[0]


def _check_good(case: _Case) -> None:
    if _single(case.response).certificate_status is not ocsp.OCSPCertStatus.GOOD:
        raise Untrusted("ocsp: the certificate is revoked or unknown")


def _check_times(case: _Case) -> None:
    # An answer from before the revocation must not be shown again after it.
    single = _single(case.response)
    for at in (case.response.produced_at_utc, single.this_update_utc):
        if not case.now - OLDEST <= at <= case.now + SKEW:
            raise Untrusted("ocsp: too old, or from the future")
    if single.next_update_utc is not None and single.next_update_utc + SKEW < case.now:
        raise Untrusted("ocsp: newer words were due")


def _check_nonce(case: _Case) -> None:
    # Ties the answer to this very signature. SHA-1 is BankID's choice; nothing else rests on it.
    nonce = _nonce(case.response.extensions.get_extension_for_class(x509.OCSPNonce).value)
    if len(nonce) != _NONCE:
        raise Untrusted("ocsp: a nonce of another length")
    if nonce[:20] != hashlib.sha1(case.signature.encode("utf-8"), usedforsecurity=False).digest():
        raise Untrusted("ocsp: the nonce of another signature")


def _nonce(found: x509.OCSPNonce) -> bytes:
    # BankID puts the 32 bytes into the extension as they are; RFC 8954 wraps them in an OCTET STRING.
    # cryptography unwraps what looks wrapped, as one raw nonce in 65,536 does (04 1E ...): wrap it again.
    wrapped = found.public_bytes()
    return wrapped if len(wrapped) == _NONCE else found.nonce


_CHECKS: tuple[Callable[[_Case], None], ...] = (
    _check_successful,
    _check_signature,
    _check_leaf,
    _check_good,
    _check_times,
    _check_nonce,
)
