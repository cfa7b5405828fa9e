"""Encrypted assertions and names (XML Encryption 1.1): RSA-OAEP with AES-GCM, and AES-CBC where a caller allows it.

RSA 1.5 is not here, at no setting (Bleichenbacher). Whatever fails once a key is used, fails after the
same work and with the same words: neither time nor error tells a wrong key from a wrong padding.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from lxml import etree

from idbroker.errors import Untrusted
from idbroker.saml import names, shape, xml
from idbroker.saml.lexical import blank, read_base64, refusing
from idbroker.saml.names import ds, xenc

_NONCE, _TAG, _BLOCK = 12, 16, 16
_MOST_WRAPPED = 2048  # characters of base64
_FAILED = "decryption: failed"

# Bytes of the key, by algorithm (XML Encryption 1.1, 5.2).
_GCM: Mapping[str, int] = {names.AES128_GCM: 16, names.AES192_GCM: 24, names.AES256_GCM: 32}
_CBC: Mapping[str, int] = {names.AES128_CBC: 16, names.AES192_CBC: 24, names.AES256_CBC: 32}
# SHA-1 does no harm inside OAEP, and suomi.fi and most others use it there (OIOSAML, OIO-ALG-01).
_DIGESTS: Mapping[str, type[hashes.HashAlgorithm]] = {
    names.SHA1: hashes.SHA1,
    names.SHA256: hashes.SHA256,
    names.SHA512: hashes.SHA512,
}
_MASKS: Mapping[str, type[hashes.HashAlgorithm]] = {
    names.MGF1_SHA1: hashes.SHA1,
    names.MGF1_SHA256: hashes.SHA256,
    names.MGF1_SHA512: hashes.SHA512,
}
_DECLARATION = re.compile(rb"\s*<\?xml [^>]{0,80}\?>")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sealed:
    """What is to be done, settled before any key is used."""

    method: str
    octets: bytes = field(repr=False)
    wrapped: bytes = field(repr=False)
    padding: padding.OAEP

    @property
    def key_size(self) -> int:
        return _GCM.get(self.method) or _CBC[self.method]


def decrypted(encrypted: etree._Element, keys: Sequence[rsa.RSAPrivateKey], *, cbc: bool) -> etree._Element:
    """Return the element that an EncryptedAssertion or EncryptedID holds, in a document of its own.

    The keys are tried in their order (two during a rollover). `cbc` allows AES-CBC, which has no integrity: say so
    only when a signature over the ciphertext verified, else whoever sends variations reads the
    plaintext off our errors ("How to break XML Encryption", 2011). Nothing is proved: verify the
    element's own signature. Untrusted, with one text for all that can fail.
    """
    tag = names.ENCRYPTED_ID if encrypted.tag == names.ENCRYPTED_ID else names.ENCRYPTED_ASSERTION
    shape.check(encrypted, tag)
    sealed = _sealed(encrypted, cbc=cbc)
    try:
        with refusing(_FAILED):
            return _element(_plaintext(sealed, _content_key(sealed, keys)), encrypted)
    except Untrusted:
        raise Untrusted(_FAILED) from None


def _sealed(encrypted: etree._Element, *, cbc: bool) -> _Sealed:
    holder = xml.only(encrypted, xenc("EncryptedData"))
    if holder.get("Type", names.ENCRYPTED_ELEMENT) != names.ENCRYPTED_ELEMENT:
        raise Untrusted("decryption: of something else than an element")
    method = xml.only(holder, xenc("EncryptionMethod")).get("Algorithm", "")
    if method not in _GCM and not (cbc and method in _CBC):
        raise Untrusted("decryption: a method that is not allowed")
    key = _encrypted_key(encrypted, holder)
    return _Sealed(
        method=method,
        octets=_cipher_value(holder, most=xml.MOST_OCTETS),
        wrapped=_cipher_value(key, most=_MOST_WRAPPED),
        padding=_oaep(xml.only(key, xenc("EncryptionMethod"))),
    )


def _encrypted_key(encrypted: etree._Element, holder: etree._Element) -> etree._Element:
    # In the KeyInfo, or beside the data. One only, so that nobody has us choose (S28).
    told = xml.at_most_one(holder, names.KEY_INFO)
    inside = [] if told is None else told.findall(xenc("EncryptedKey"))
    found = [*inside, *encrypted.findall(xenc("EncryptedKey"))]
    if len(found) != 1:
        raise Untrusted("decryption: no key, or more than one")
    pointers = [] if told is None else told.findall(ds("RetrievalMethod"))
    # A pointer is followed nowhere: it may only say what we do anyway.
    if any(pointer.get("URI") != f"#{found[0].get('Id')}" for pointer in pointers) or (pointers and inside):
        raise Untrusted("decryption: a key somewhere else")
    if any(pointer.get("Type", names.ENCRYPTED_KEY) != names.ENCRYPTED_KEY for pointer in pointers):
        raise Untrusted("decryption: a key of another type")
    return found[0]


def _cipher_value(holder: etree._Element, *, most: int) -> bytes:
    value = xml.only(xml.only(holder, xenc("CipherData")), xenc("CipherValue"))
    return read_base64(xml.text(value), most=most, name="decryption: CipherValue")


def _oaep(method: etree._Element) -> padding.OAEP:
    # XML Encryption 1.1, 5.5.2: both default to SHA-1; the older identifier says that the mask is SHA-1's.
    algorithm = method.get("Algorithm")
    digest = xml.at_most_one(method, ds("DigestMethod"))
    mask = xml.at_most_one(method, names.MGF)
    if algorithm not in (names.RSA_OAEP, names.RSA_OAEP_MGF1P):
        raise Untrusted("decryption: a key transport that is not allowed")
    if algorithm == names.RSA_OAEP_MGF1P and mask is not None:
        raise Untrusted("decryption: a mask where there is no choice")
    made = _DIGESTS.get(names.SHA1 if digest is None else digest.get("Algorithm", ""))
    masked = _MASKS.get(names.MGF1_SHA1 if mask is None else mask.get("Algorithm", ""))
    if made is None or masked is None:
        raise Untrusted("decryption: a digest or a mask that is not allowed")
    return padding.OAEP(mgf=padding.MGF1(masked()), algorithm=made(), label=None)


def _content_key(sealed: _Sealed, keys: Sequence[rsa.RSAPrivateKey]) -> bytes:
    # Where no key fits the work goes on with a random one: as in TLS, an answer to "was this padded well?" would be
    # the first step to reading what was sealed for us. That one fits is no secret: whoever knows our public key can
    # seal something; and an operation costs as much as a signature's verification.
    for key in keys:
        with suppress(ValueError):
            found = key.decrypt(sealed.wrapped, sealed.padding)
            if len(found) == sealed.key_size:
                return found
    return secrets.token_bytes(sealed.key_size)


def _plaintext(sealed: _Sealed, key: bytes) -> bytes:
    if sealed.method in _GCM:
        if len(sealed.octets) < _NONCE + _TAG:
            raise ValueError("too short")
        return AESGCM(key).decrypt(sealed.octets[:_NONCE], sealed.octets[_NONCE:], None)
    return _unpadded(_cbc(key, sealed.octets))


def _cbc(key: bytes, octets: bytes) -> bytes:
    if len(octets) < 2 * _BLOCK or len(octets) % _BLOCK:
        raise ValueError("not whole blocks")
    decryptor = Cipher(algorithms.AES(key), modes.CBC(octets[:_BLOCK])).decryptor()
    return decryptor.update(octets[_BLOCK:]) + decryptor.finalize()


def _unpadded(plain: bytes) -> bytes:
    # XML Encryption 1.1, 5.2.1: the last byte counts the padding, the rest of it is arbitrary.
    if not 1 <= plain[-1] <= _BLOCK:
        raise ValueError("not padded")
    return plain[: -plain[-1]]


def _element(plain: bytes, encrypted: etree._Element) -> etree._Element:
    # What was encrypted may use prefixes that were declared around it (XML Encryption 1.1, 4.3.3): they are declared
    # again. An element that closes this one early makes no well-formed document.
    around = etree.tostring(etree.Element("around", nsmap=cast(dict[str, str], encrypted.nsmap)))
    opening = around.removesuffix(b"/>") + b">"
    declared = _DECLARATION.match(plain)
    wrapped = xml.parse(opening + plain[declared.end() if declared else 0 :] + b"</around>")
    if len(wrapped) != 1 or not blank(wrapped.text) or not blank(wrapped[0].tail):
        raise ValueError("not one element")
    return wrapped[0]
