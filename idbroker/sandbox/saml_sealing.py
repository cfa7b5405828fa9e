"""Encrypting for a service: the simulated identity providers' side of XML Encryption 1.1."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from idbroker.saml import names
from idbroker.saml.names import ds, xenc

RSA_1_5 = f"{names.XENC}rsa-1_5"
_BLOCK, _NONCE = 16, 12

# Bytes of the key (XML Encryption 1.1, 5.2), by the word of the lie or manner that chooses it.
CIPHERS: Mapping[str, str] = {
    "aes128_gcm": names.AES128_GCM,
    "aes256_gcm": names.AES256_GCM,
    "aes128_cbc": names.AES128_CBC,
    "aes256_cbc": names.AES256_CBC,
}
_SIZES = {names.AES128_GCM: 16, names.AES256_GCM: 32, names.AES128_CBC: 16, names.AES256_CBC: 32}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealing:
    """How and for whom to encrypt: the content by `cipher`, its key by `transport`."""

    certificate: x509.Certificate
    recipient: str
    cipher: str = names.AES256_GCM
    transport: str = names.RSA_OAEP_MGF1P


def sealed(element: etree._Element, how: Sealing, *, tag: str, nsmap: Mapping[str, str]) -> etree._Element:
    """Return an element encrypted, inside an element of another tag (EncryptedAssertion, say)."""
    key = secrets.token_bytes(_SIZES[how.cipher])
    around = etree.Element(tag, nsmap=dict(nsmap))
    holder = etree.SubElement(
        around,
        xenc("EncryptedData"),
        {"Id": f"_{secrets.token_hex(16)}", "Type": names.ENCRYPTED_ELEMENT},
        nsmap={"xenc": names.XENC},
    )
    etree.SubElement(holder, xenc("EncryptionMethod"), {"Algorithm": how.cipher})
    etree.SubElement(holder, names.KEY_INFO, nsmap={"ds": names.DS}).append(_wrapped(key, how))
    _value(holder, _encrypted(etree.tostring(element, with_tail=False), key, how.cipher))
    return around


def _wrapped(key: bytes, how: Sealing) -> etree._Element:
    made = etree.Element(
        xenc("EncryptedKey"),
        {"Id": f"_{secrets.token_hex(16)}", "Recipient": how.recipient},
        nsmap={"xenc": names.XENC, "ds": names.DS},
    )
    method = etree.SubElement(made, xenc("EncryptionMethod"), {"Algorithm": how.transport})
    if how.transport != RSA_1_5:
        etree.SubElement(method, ds("DigestMethod"), {"Algorithm": names.SHA1})
    told = etree.SubElement(etree.SubElement(made, names.KEY_INFO), ds("X509Data"))
    certificate = base64.b64encode(how.certificate.public_bytes(Encoding.DER)).decode("ascii")
    etree.SubElement(told, ds("X509Certificate")).text = certificate
    _value(made, _transported(key, how))
    return made


def _transported(key: bytes, how: Sealing) -> bytes:
    public = how.certificate.public_key()
    if not isinstance(public, rsa.RSAPublicKey):
        raise ValueError("a service's encryption key must be RSA")
    if how.transport == RSA_1_5:
        return public.encrypt(key, padding.PKCS1v15())
    # SHA-1 does no harm inside OAEP, and the older identifier means it.
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303
    return public.encrypt(key, oaep)


def _encrypted(plain: bytes, key: bytes, cipher: str) -> bytes:
    if cipher in (names.AES128_GCM, names.AES256_GCM):
        nonce = os.urandom(_NONCE)
        return nonce + AESGCM(key).encrypt(nonce, plain, None)
    iv, count = os.urandom(_BLOCK), _BLOCK - len(plain) % _BLOCK
    blocks = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return iv + blocks.update(plain + os.urandom(count - 1) + bytes([count])) + blocks.finalize()


def _value(holder: etree._Element, octets: bytes) -> None:
    carried = etree.SubElement(etree.SubElement(holder, xenc("CipherData")), xenc("CipherValue"))
    carried.text = base64.b64encode(octets).decode("ascii")
