"""What SAML costs: reading answers as suomi.fi and OIOSAML make them, and whole sign-ins and logouts (federated.py).

`reading` has two yardsticks, made in the same run on the same octets: signxml alone and a bare
decryption, which took 0.66 and 0.37 ms where the targets were set. A figure is scaled to that
machine by them, never by the clock.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from lxml import etree
from signxml.verifier import SignatureConfiguration, XMLVerifier

from bench import machine
from bench.federated import costs, visits
from bench.stage import Stage, Stores
from idbroker.saml import decrypting, names, response, signing, xml
from tests.saml.idp import Says, certificate, expected, key, loosely, posted, seal, sign
from tests.saml.idp import enveloped as around

# One answer verified by signxml with the certificate kept, and one decrypted with lxml and cryptography, on the
# machine of the targets.
SIGNXML_MS, DECRYPTION_MS = 0.66, 0.37
_XENC = "{http://www.w3.org/2001/04/xmlenc#}"
_ATTRIBUTES = 17
_OCTETS = 10_000


def saml(stage: Stage, stores: list[Stores], *, rounds: int) -> dict[str, Any]:
    """Measure it all: the engine alone, then whole sign-ins and logouts with each pair of stores."""
    usual = os.sched_getaffinity(0)
    os.sched_setaffinity(0, stage.cores.broker)
    try:
        found: dict[str, Any] = {"reading": reading(rounds)}
    finally:
        os.sched_setaffinity(0, usual)
    found["visits"] = {each.name: visits(stage, each, count=10 * rounds) for each in stores}
    return found


# ---- reading ---------------------------------------------------------------------------------------


def reading(rounds: int) -> dict[str, Any]:
    """Read the same assertion as suomi.fi and OIOSAML send it. Milliseconds of CPU, and scaled by the yardsticks.

    In clear it has 10,000 octets. suomi.fi signs it, seals it and signs what is around it; OIOSAML does
    not sign what is around it.
    """
    plain = sign(_says().assertion())
    sealed = seal(plain)
    texts = {
        "signxml_alone": plain,
        "decryption_alone": sealed,
        "suomifi": sign(around(sealed)),
        "oiosaml": around(sealed),
    }
    texts["suomifi_verify_and_decrypt"] = texts["suomifi"]
    parsed = xml.parse(texts["suomifi"].encode())
    acts: dict[str, Callable[[], object]] = {
        "signxml_alone": lambda: _signxml(plain.encode()),
        "decryption_alone": lambda: _opened(sealed.encode()),
        "suomifi": _reader(texts["suomifi"], expected()),
        "suomifi_verify_and_decrypt": lambda: _believed(parsed),
        "oiosaml": _reader(texts["oiosaml"], loosely(encrypted=True)),
    }
    figures = costs(acts, rounds)
    yardstick = figures["signxml_alone"]["median"] + figures["decryption_alone"]["median"]
    ratio = yardstick / (SIGNXML_MS + DECRYPTION_MS)
    return {
        "cpu_ms": figures,
        "octets": {name: len(text) for name, text in texts.items()},
        "slower_than_the_machine_of_the_targets": round(ratio, 2),
        "cpu_ms_scaled": {name: round(each["median"] / ratio, 2) for name, each in figures.items()},
        "es256_signature_us": round(machine.yardstick(), 1),
    }


def _reader(text: str, wanted: response.Expected) -> Callable[[], object]:
    message = posted(text)
    return lambda: response.read(message, wanted)


def _believed(parsed: etree._Element) -> etree._Element:
    """Return the assertion of an answer: only what signatures and seals cost, two of the former."""
    pinned = [certificate("idp")]
    inside = xml.only(signing.verified(parsed, pinned), names.ENCRYPTED_ASSERTION)
    return signing.verified(decrypting.decrypted(inside, [key("sp")], cbc=False), pinned)


def _says() -> Says:
    """Return what is said of a person so that the signed assertion has ten thousand octets."""
    names = [f"urn:oid:1.2.246.517.3002.{number}" for number in range(_ATTRIBUTES)]
    short = len(sign(Says(attributes=dict.fromkeys(names, "")).assertion()))
    return Says(attributes=dict.fromkeys(names, "x" * max(1, (_OCTETS - short) // _ATTRIBUTES)))


def _signxml(octets: bytes) -> None:
    pinned = certificate("idp")
    # Whatever the certificate's dates: it is pinned.
    wanted = SignatureConfiguration(verification_time=pinned.not_valid_before_utc)
    found = XMLVerifier().verify(octets, x509_cert=pinned, expect_config=wanted, id_attribute="ID")
    if isinstance(found, list) or not found.signed_data:
        raise TypeError("nothing was verified")


def _opened(octets: bytes) -> etree._Element:
    """Return the element of an EncryptedAssertion: no check, as few steps as it takes."""
    root = etree.fromstring(octets)
    wrapped, value = (base64.b64decode(one.text or "") for one in root.iter(f"{_XENC}CipherValue"))
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303 - what suomi.fi uses in OAEP
    content_key = key("sp").decrypt(wrapped, oaep)
    return etree.fromstring(AESGCM(content_key).decrypt(value[:12], value[12:], None))
