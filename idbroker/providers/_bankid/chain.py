"""From a person's certificate to a root of ours (RFC 5280, 6.1, as far as BankID's certificates go).

cryptography's path validation does the work: names, signatures, validity, path lengths, key sizes,
no SHA-1, no critical extension that nobody looked at. Its own policies are the web's, where a leaf
must name a host; BankID's chains are private and their leaves name people, so we say instead what
each kind of certificate must carry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store

from idbroker.errors import Untrusted
from idbroker.providers._bankid.strict import refusing

LEAST_BITS = 2048

_MOST_ISSUERS = 4  # between leaf and root; BankID has two: the bank, and the bank's authority for people


def verify(
    certificates: Sequence[bytes], roots: Sequence[x509.Certificate], now: datetime
) -> tuple[x509.Certificate, ...]:
    """Return leaf, intermediates and root. `certificates` are DER, leaf first, each issued by the next.

    Untrusted when they do not lead to one of the roots at `now`, or are not exactly the path.
    """
    with refusing("chain: a certificate does not read"):
        path = [x509.load_der_x509_certificate(certificate) for certificate in certificates]
        leaf = path[0]
    if not roots:
        raise Untrusted("chain: no root is configured")
    with refusing("chain: does not lead to a root of ours, or is not valid now"):
        found = _verifier(roots, now).verify(leaf, path[1:]).chain
    # The path is found in any order and past strays: what is kept as evidence shall be it and no more.
    if list(found[: len(path)]) != path or not len(path) <= len(found) <= len(path) + 1 or len(found) < 2:
        raise Untrusted("chain: not exactly the path to the root")
    for check in _LEAF:
        check(leaf)
    return tuple(found)


def _verifier(roots: Sequence[x509.Certificate], now: datetime) -> x509.verification.ClientVerifier:
    authority = (
        ExtensionPolicy.permit_all()
        .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _may_issue)
        .require_present(x509.KeyUsage, Criticality.AGNOSTIC, _may_sign_certificates)
    )
    person = (
        ExtensionPolicy.permit_all()
        .may_be_present(x509.BasicConstraints, Criticality.AGNOSTIC, _may_not_issue)
        .require_present(x509.KeyUsage, Criticality.AGNOSTIC, _may_sign)
    )
    return (
        PolicyBuilder()
        .store(Store(list(roots)))
        .time(now)
        .max_chain_depth(_MOST_ISSUERS)
        .extension_policies(ca_policy=authority, ee_policy=person)
        .build_client_verifier()
    )


def _may_issue(_policy: Policy, _found_in: x509.Certificate, found: x509.BasicConstraints) -> None:
    if not found.ca:
        raise ValueError("not an authority")


def _may_sign_certificates(_policy: Policy, _found_in: x509.Certificate, found: x509.KeyUsage) -> None:
    if not found.key_cert_sign:
        raise ValueError("an authority that may not sign certificates")


def _may_not_issue(_policy: Policy, _found_in: x509.Certificate, found: x509.BasicConstraints | None) -> None:
    if found is not None and found.ca:
        raise ValueError("a person is no authority")


def _may_sign(_policy: Policy, _found_in: x509.Certificate, found: x509.KeyUsage) -> None:
    # BankID has one key to identify with (digitalSignature) and one to sign with (nonRepudiation).
    if not (found.digital_signature or found.content_commitment):
        raise ValueError("a key that may not sign")


def _check_key(leaf: x509.Certificate) -> None:
    with refusing("chain: the leaf's key does not read"):
        key = leaf.public_key()
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < LEAST_BITS:
        raise Untrusted("chain: the leaf's key is not RSA, or too short")


_LEAF: tuple[Callable[[x509.Certificate], None], ...] = (_check_key,)
