"""From a person's BankID certificate to a root, or not (RFC 5280, 6.1)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.providers.bankid_papers import (
    AUTHORITY,
    BANK,
    NOW,
    PERSONAL,
    Paper,
    b64,
    constraints,
    curve_key,
    genuine,
    key,
    make,
    path,
    refused,
    twisted,
    usage,
    usual,
    verified,
    with_sha1,
)

SECOND = timedelta(seconds=1)
SIGNS = usage("digital_signature")
CRITICAL = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5.6"), b"\x05\x00"), True)
Path = tuple[x509.Certificate, ...]


def _own_root() -> Path:
    own = make("root", key=key("other root"), signer=key("other root"))
    return *path(bank=make("bank", signer=key("other root"))), own


PATHS: dict[str, Callable[[], Path]] = {
    "leaf of another authority": lambda: path(leaf=make("leaf", signer=key("other root"))),
    "leaf that names another authority": lambda: path(leaf=make("leaf", issuer=BANK)),
    "customers of another bank": lambda: path(customers=make("customers", signer=key("other root"))),
    "bank of another root": lambda: path(bank=make("bank", signer=key("other root"))),
    "a root of one's own": _own_root,
    "expired leaf": lambda: path(leaf=make("leaf", ends=NOW - SECOND)),
    "leaf not yet valid": lambda: path(leaf=make("leaf", begins=NOW + SECOND)),
    "expired customers": lambda: path(customers=make("customers", ends=NOW - SECOND)),
    "expired bank": lambda: path(bank=make("bank", ends=NOW - SECOND)),
    "customers without CA": lambda: path(customers=make("customers", extensions=[constraints(ca=False), AUTHORITY[1]])),
    "customers without constraints": lambda: path(customers=make("customers", extensions=AUTHORITY[1:])),
    "customers that may not issue": lambda: path(customers=make("customers", extensions=[AUTHORITY[0], SIGNS])),
    "customers without usage": lambda: path(customers=make("customers", extensions=AUTHORITY[:1])),
    "bank of path length 0": lambda: path(
        bank=make("bank", extensions=[constraints(ca=True, path_length=0), AUTHORITY[1]])
    ),
    "customers with a critical unknown": lambda: path(customers=make("customers", extensions=[*AUTHORITY, CRITICAL])),
    "leaf with a critical unknown": lambda: path(leaf=make("leaf", extensions=[PERSONAL, SIGNS, CRITICAL])),
    "leaf that is an authority": lambda: path(
        leaf=make("leaf", extensions=[PERSONAL, usage("digital_signature", "key_cert_sign"), constraints(ca=True)])
    ),
    "leaf that may not sign": lambda: path(leaf=make("leaf", extensions=[PERSONAL, usage("key_agreement")])),
    "leaf without usage": lambda: path(leaf=make("leaf", extensions=[PERSONAL])),
    "customers signed with SHA-1": lambda: path(customers=with_sha1(usual("customers"), key("bank"))),
    "leaf signed with SHA-1": lambda: path(leaf=with_sha1(usual("leaf"), key("customers"))),
    "bank of a short key": lambda: path(
        bank=make("bank", key=key("short", 1024)), customers=make("customers", signer=key("short", 1024))
    ),
    "no bank": lambda: path()[:2],
    "leaf alone": lambda: path()[:1],
    "other order": lambda: (path()[0], path()[2], path()[1]),
    "a stray": lambda: (*path(), usual("responder")),
    "twice the same": lambda: (*path(), usual("bank")),
    "leaf last": lambda: path()[::-1],
    "the root alone": lambda: (usual("root"),),
}


@pytest.mark.parametrize("case", PATHS)
def test_path(case: str) -> None:
    """A chain that is forged, broken, expired, too weak or not exactly the path is refused."""
    refused(Paper(certificates=PATHS[case]()).document(), "chain: ")


def test_expired_root() -> None:
    """A root of ours that has expired is no root."""
    refused(b64(genuine()), "chain: ", roots=[make("root", ends=NOW - SECOND)])


def test_several_roots() -> None:
    """One of several roots is enough: a new one can be trusted before the old one ends."""
    other = make("root", key=key("other root"), signer=key("other root"))

    assert verified(b64(genuine()), roots=[other, usual("root")]).name


def test_person_as_issuer() -> None:
    """A person's certificate issues nothing: who has a BankID cannot make one for somebody else."""
    theirs = make("leaf", key=key("somebody"), issuer=usual("leaf").subject, signer=key("leaf"))
    document = Paper(certificates=(theirs, *path()), key=key("somebody")).document()

    refused(document, "chain: ")


def test_path_with_root() -> None:
    """The root itself may come along: trust comes from ours."""
    assert verified(Paper(certificates=(*path(), usual("root"))).document()).issuer == usual("customers")


@pytest.mark.parametrize("bits", [1024, 2040])
def test_short_key(bits: int) -> None:
    """A person's RSA key of less than 2048 bits is refused."""
    short = key("leaf", bits)

    refused(Paper(certificates=path(leaf=make("leaf", key=short)), key=short).document(), "chain: ")


def test_other_key() -> None:
    """A person's key that is not RSA is refused: the profile knows no other."""
    leaf = make("leaf", key=curve_key())

    refused(Paper(certificates=path(leaf=leaf), key=curve_key()).document(), "not RSA")


@pytest.mark.parametrize("certificate", ["", "AAAA", "MIIB", "%"])
def test_unreadable_certificate(certificate: str) -> None:
    """What is no certificate is refused, not a crash."""
    refused(twisted(b64(usual("bank").public_bytes(Encoding.DER)), certificate), "does not read|not base64")


def test_edge_of_validity() -> None:
    """A certificate is good from its first second to its last."""
    leaf = make("leaf", begins=NOW, ends=NOW)

    assert verified(Paper(certificates=path(leaf=leaf)).document()).leaf == leaf
