"""Certificate authorities of the sandbox."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import CertificatePoliciesOID, ExtendedKeyUsageOID

from idbroker.clock import SystemClock
from idbroker.sandbox.pki import Authority, named, new_authority, server_context, write_certificates, write_pair

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def test_issues_through_three_tiers() -> None:
    """Each certificate is signed by the one above it, and says whose key did it (RFC 5280, 4.2.1.1)."""
    root = new_authority("Root", now=NOW)
    middle = new_authority(named("Middle"), now=NOW, issuer=root, key=rsa.generate_private_key(65537, 2048))
    leaf = middle.issue(named("Leaf"), ec.generate_private_key(ec.SECP256R1()).public_key(), now=NOW, days=30)

    leaf.verify_directly_issued_by(middle.certificate)
    middle.certificate.verify_directly_issued_by(root.certificate)
    root.certificate.verify_directly_issued_by(root.certificate)
    above = middle.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == above.digest
    assert leaf.not_valid_after_utc == NOW + timedelta(days=30)


def test_extensions_replace_the_usual_ones() -> None:
    """What is asked for comes on top; an extension of a usual kind comes in its place."""
    policies = x509.CertificatePolicies([x509.PolicyInformation(CertificatePoliciesOID.ANY_POLICY, None)])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])
    basic = x509.BasicConstraints(ca=True, path_length=0)
    key = ec.generate_private_key(ec.SECP256R1()).public_key()

    leaf = new_authority("Root", now=NOW).issue(
        named("Leaf"), key, now=NOW, extensions=[(policies, False), (usage, True), (basic, True)]
    )

    assert leaf.extensions.get_extension_for_class(x509.CertificatePolicies).value == policies
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value == basic
    assert leaf.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature


def test_can_have_expired() -> None:
    """A negative number of days makes a certificate that is no longer valid."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()

    expired = new_authority("Root", now=NOW).issue(named("Old"), key, now=NOW, days=-1)

    assert expired.not_valid_before_utc < expired.not_valid_after_utc < NOW


def test_files_are_the_owners(tmp_path: Path) -> None:
    """Both files have mode 0600, also where older ones lay open."""
    (tmp_path / "own.key").touch(0o644)
    root = new_authority("Root", now=NOW)

    paths = write_pair(tmp_path, "own", root.certificate, root.key)

    assert paths == (tmp_path / "own.crt", tmp_path / "own.key")
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}


@pytest.mark.parametrize(("by", "known"), [("ours", True), ("another", False), (None, False)])
def test_only_known_clients_come_in(tmp_path: Path, by: str | None, known: bool) -> None:
    """A client without a certificate of the authority is turned away (TLS 1.2: in the handshake)."""
    authorities = {"ours": new_authority("Ours", now=SystemClock().now()), "another": _other()}
    client = ssl.create_default_context(cafile=_written(tmp_path, authorities["ours"]))
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    if by:
        client.load_cert_chain(*_pair(tmp_path, "client", authorities[by]))
    trusted = write_certificates(tmp_path / "clients.crt", authorities["ours"].certificate)
    server = server_context(*_pair(tmp_path, "server", authorities["ours"]), trusted)

    assert _shake_hands(server, client) is known


def _other() -> Authority:
    return new_authority("Another", now=SystemClock().now())


def _written(folder: Path, authority: Authority) -> Path:
    return write_certificates(folder / "root.crt", authority.certificate)


def _pair(folder: Path, name: str, authority: Authority) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    subject = named(name)
    now = SystemClock().now()
    return write_pair(
        folder, name, authority.issue(subject, key.public_key(), now=now, extensions=[(names, False)]), key
    )


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> bool:
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    theirs.settimeout(5)
    failures: list[OSError] = []

    def answer() -> None:
        try:
            server.wrap_socket(ours, server_side=True).close()
        except OSError as error:
            failures.append(error)
            ours.close()

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        client.wrap_socket(theirs, server_hostname="127.0.0.1").close()
    except OSError as error:
        failures.append(error)
    finally:
        theirs.close()
        thread.join()
    return not failures
