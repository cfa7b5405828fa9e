"""How messages travel: HTTP-Redirect and HTTP-POST (SAML bindings, 3.4 and 3.5)."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote_plus, unquote_to_bytes, urlencode

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from lxml import etree

from idbroker.errors import Untrusted
from idbroker.saml import names, signing, xml
from idbroker.saml.lexical import base64_text, read_base64, refusing

REQUEST = "SAMLRequest"
RESPONSE = "SAMLResponse"

MOST_RELAY_STATE = 80  # bytes (3.4.3)
MOST_ECHOED = 1024  # bytes of theirs, which goes back as it came; not everybody keeps to 80
_MOST_QUERY = 64 * 1024
_MOST_POSTED = 384 * 1024  # characters of base64 for the parser's 256 KiB, with line breaks
_RAW = -15  # zlib: DEFLATE without a header (RFC 1951)
# What is signed, in this order (3.4.4.1).
_SIGNED = ((REQUEST, "RelayState", "SigAlg"), (RESPONSE, "RelayState", "SigAlg"))
_KNOWN = frozenset({REQUEST, RESPONSE, "RelayState", "SigAlg", "Signature", "SAMLEncoding"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form that the browser posts by itself: where to, and its hidden fields."""

    action: str
    fields: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A message that came by Redirect, its signature verified: which of the two, its bytes, what goes with it."""

    name: str
    octets: bytes = field(repr=False)
    relay_state: str | None = field(repr=False)


def redirect_url(
    destination: str,
    name: str,
    element: etree._Element,
    *,
    key: signing.SigningKey,
    relay_state: str | None = None,
    most: int = MOST_RELAY_STATE,
) -> str:
    """Return the address that brings a message there by Redirect, the query signed. `name` is REQUEST or RESPONSE."""
    query = signed_query(name, element, key=key, relay_state=relay_state, most=most)
    return f"{destination}{'&' if '?' in destination else '?'}{query}"


def signed_query(
    name: str,
    element: etree._Element,
    *,
    key: signing.SigningKey,
    relay_state: str | None = None,
    most: int = MOST_RELAY_STATE,
) -> str:
    """Return the query of a Redirect: deflated, base64, percent-encoded, RSA-SHA256 over just that (3.4.4.1).

    The message itself carries no signature. `relay_state` is an opaque handle of at most 80 bytes:
    no address is ever in it, so nobody is sent anywhere by it. One of theirs goes back as it came, with
    `most` as MOST_ECHOED.
    """
    compressor = zlib.compressobj(wbits=_RAW)
    deflated = compressor.compress(etree.tostring(element, encoding="UTF-8")) + compressor.flush()
    parameters = [(name, base64_text(deflated))]
    if relay_state is not None:
        parameters.append(("RelayState", _handle(relay_state, most)))
    query = urlencode([*parameters, ("SigAlg", names.RSA_SHA256)])
    signature = key.sign(query.encode("ascii"), padding.PKCS1v15(), hashes.SHA256())
    return f"{query}&Signature={quote_plus(base64_text(signature))}"


def post_form(
    destination: str,
    name: str,
    element: etree._Element,
    *,
    key: signing.SigningKey,
    certificate: x509.Certificate,
    relay_state: str | None = None,
    most: int = MOST_RELAY_STATE,
) -> Form:
    """Return the form that brings a message there by POST, the signature inside it (3.5.4)."""
    fields = {name: base64_text(signing.signed(element, key, certificate))}
    if relay_state is not None:
        fields["RelayState"] = _handle(relay_state, most)
    return Form(action=destination, fields=fields)


def posted(text: str) -> bytes:
    """Return the bytes of a message that came by POST. Untrusted when they are too many, or not base64."""
    return read_base64(text, most=_MOST_POSTED, name="binding: the message")


def verified_query(raw: bytes, certificates: Sequence[x509.Certificate]) -> Query:
    """Return the message of a Redirect. `raw` is the query as it stood in the request line, not decoded.

    The signature is verified over the octets that came: encoding what was decoded gives others
    (lower-case hexadecimal, say), and what is verified must be what is read. Untrusted when it does
    not verify, when a parameter is there twice, and when its name is spelt in another way.
    """
    found = _parameters(raw)
    _verify(found, certificates)
    name = REQUEST if REQUEST in found else RESPONSE
    relay_state = found.get("RelayState")
    return Query(
        name=name,
        octets=_inflated(read_base64(_decoded(found[name]), most=_MOST_QUERY, name="binding: the message")),
        relay_state=None if relay_state is None else _told(_decoded(relay_state)),
    )


def _parameters(raw: bytes) -> dict[str, bytes]:
    if len(raw) > _MOST_QUERY:
        raise Untrusted("binding: the query is too long")
    found: dict[str, bytes] = {}
    for part in raw.split(b"&"):
        spelt, _, value = part.partition(b"=")
        name = _decoded(spelt)
        if name not in _KNOWN:
            continue
        # Whoever takes the first and whoever takes the last read two messages; the signature covers one.
        if name in found or spelt != name.encode("ascii"):
            raise Untrusted("binding: a parameter twice, or its name spelt in another way")
        found[name] = value
    _check_parameters(found)
    return found


def _check_parameters(found: Mapping[str, bytes]) -> None:
    if (REQUEST in found) == (RESPONSE in found):
        raise Untrusted("binding: not one message")
    if not {"SigAlg", "Signature"} <= found.keys():
        raise Untrusted("binding: not signed")
    if "SAMLEncoding" in found and _decoded(found["SAMLEncoding"]) != names.DEFLATE:
        raise Untrusted("binding: another encoding")


def _verify(found: Mapping[str, bytes], certificates: Sequence[x509.Certificate]) -> None:
    order = next(one for one in _SIGNED if one[0] in found)
    octets = b"&".join(name.encode("ascii") + b"=" + found[name] for name in order if name in found)
    method = _decoded(found["SigAlg"])
    value = read_base64(_decoded(found["Signature"]), most=_MOST_QUERY, name="binding: Signature")
    if method not in signing.METHODS:
        raise Untrusted("binding: a method that is not allowed")
    fitting = [one for one in certificates if signing.fits(one, method)]
    if not any(_verifies(one, method, value, octets) for one in fitting):
        raise Untrusted("binding: the signature is not by a key of theirs, or over something else")


def _verifies(certificate: x509.Certificate, method: str, value: bytes, octets: bytes) -> bool:
    key, digest = certificate.public_key(), signing.METHODS[method]()
    try:
        with refusing("binding: does not verify"):
            if isinstance(key, rsa.RSAPublicKey):
                key.verify(value, octets, padding.PKCS1v15(), digest)
            elif isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(_der(value, key), octets, ec.ECDSA(digest))
            else:
                return False
    except Untrusted:
        return False
    return True


def _der(value: bytes, key: ec.EllipticCurvePublicKey) -> bytes:
    # XML Signature 1.1, 6.4.3: two numbers of the curve's size, one after the other.
    size = (key.key_size + 7) // 8
    if len(value) != 2 * size:
        raise ValueError("not two numbers")
    return encode_dss_signature(int.from_bytes(value[:size]), int.from_bytes(value[size:]))


def _inflated(octets: bytes) -> bytes:
    # Bounded: a thousand bytes inflate to a million (CVE-2025-25293).
    inflater = zlib.decompressobj(wbits=_RAW)
    with refusing("binding: not deflated"):
        found = inflater.decompress(octets, xml.MOST_OCTETS + 1)
    if len(found) > xml.MOST_OCTETS or not inflater.eof or inflater.unused_data:
        raise Untrusted("binding: deflated from too much, or not to its end")
    return found


def _decoded(value: bytes) -> str:
    with refusing("binding: not UTF-8"):
        return unquote_to_bytes(value.replace(b"+", b" ")).decode("utf-8")


def _handle(relay_state: str, most: int) -> str:
    if not 0 < len(relay_state.encode("utf-8")) <= most:
        raise ValueError(f"a relay state is of 1 to {most} bytes")
    return relay_state


def _told(relay_state: str) -> str:
    if len(relay_state.encode("utf-8")) > MOST_ECHOED:
        raise Untrusted("binding: the relay state is too long")
    return relay_state
