"""How messages come to a simulated identity provider and leave it: Redirect and POST (SAML bindings, 3.4 and 3.5)."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote_plus, unquote_to_bytes

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree
from signxml.exceptions import InvalidInput, SignXMLException
from signxml.verifier import SignatureConfiguration, XMLVerifier

from idbroker.saml import names
from idbroker.sandbox.saml_keys import Signer
from idbroker.sandbox.saml_party import Misuse, Party, parse_xml
from idbroker.sandbox.saml_signing import sign_octets

_MOST = 256 * 1024
_DIGESTS: Mapping[str, Callable[[], hashes.HashAlgorithm]] = {
    names.RSA_SHA256: hashes.SHA256,
    names.RSA_SHA384: hashes.SHA384,
    names.RSA_SHA512: hashes.SHA512,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """A message whose sender is known and whose signature verified. `name` is SAMLRequest or SAMLResponse."""

    name: str
    message: etree._Element = field(repr=False)
    party: Party
    relay_state: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaves:
    """A message on its way by the browser: an address to go to, or with `fields` to post to."""

    url: str
    fields: Mapping[str, str] | None = field(default=None, repr=False)


FindParty = Callable[[str], Party]


def read_redirect(raw: bytes, find: FindParty) -> Came:
    """Return the message of a query as it stood in the request line. Misuse when it is not a party's.

    What is verified are the octets that came (3.4.4.1). Parameters that are not SAML's, such as
    suomi.fi's `locale`, are not signed.
    """
    found = _parameters(raw)
    name = _only_message(found)
    message = _inflated(_base64(_decoded(found[name])))
    party = find(_issuer(message))
    signed = b"&".join(_pair(part, found[part]) for part in (name, "RelayState", "SigAlg") if part in found)
    _verify(party.signing, _decoded(found["SigAlg"]), _base64(_decoded(found["Signature"])), signed)
    relay_state = None if "RelayState" not in found else _decoded(found["RelayState"])
    return Came(name=name, message=message, party=party, relay_state=relay_state)


def read_posted(form: Mapping[str, str], find: FindParty) -> Came:
    """Return the message of a form, as far as its own signature covers it. Misuse when it is not a party's."""
    name = next((one for one in ("SAMLRequest", "SAMLResponse") if one in form), None)
    if name is None:
        raise Misuse("no_message")
    message = parse_xml(_base64(form[name]))
    party = find(_issuer(message))
    verified = _verified(message, party.signing)
    return Came(name=name, message=verified, party=party, relay_state=form.get("RelayState"))


def by_redirect(url: str, name: str, message: bytes, relay_state: str | None, signer: Signer | None) -> Leaves:
    """Return the address that carries a message by Redirect, the query signed unless there is no signer."""
    compressor = zlib.compressobj(wbits=-15)
    deflated = compressor.compress(message) + compressor.flush()
    query = f"{name}={quote_plus(base64.b64encode(deflated))}"
    if relay_state is not None:
        query += f"&RelayState={quote_plus(relay_state)}"
    if signer is not None:
        query += f"&SigAlg={quote_plus(names.RSA_SHA256)}"
        query += f"&Signature={quote_plus(base64.b64encode(sign_octets(signer, query.encode('ascii'))))}"
    return Leaves(url=f"{url}{'&' if '?' in url else '?'}{query}")


def by_post(url: str, name: str, message: bytes, relay_state: str | None) -> Leaves:
    """Return the form that carries a message, which is signed already or not."""
    fields = {name: base64.b64encode(message).decode("ascii")}
    return Leaves(url=url, fields=fields if relay_state is None else {**fields, "RelayState": relay_state})


def _parameters(raw: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in raw.split(b"&"):
        spelt, _, value = part.partition(b"=")
        name = spelt.decode("latin-1")
        if name in found:
            raise Misuse("parameter_twice")
        found[name] = value
    return found


def _only_message(found: Mapping[str, bytes]) -> str:
    messages = [one for one in ("SAMLRequest", "SAMLResponse") if one in found]
    if len(messages) != 1:
        raise Misuse("no_message")
    if not {"SigAlg", "Signature"} <= found.keys():
        raise Misuse("not_signed")
    return messages[0]


def _pair(name: str, value: bytes) -> bytes:
    return name.encode("ascii") + b"=" + value


def _decoded(value: bytes) -> str:
    return unquote_to_bytes(value.replace(b"+", b" ")).decode("utf-8", "replace")


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise Misuse("not_base64") from None


def _inflated(octets: bytes) -> etree._Element:
    inflater = zlib.decompressobj(wbits=-15)
    try:
        found = inflater.decompress(octets, _MOST)
    except zlib.error:
        raise Misuse("not_deflated") from None
    if not inflater.eof:
        raise Misuse("not_deflated")
    return parse_xml(found)


def _issuer(message: etree._Element) -> str:
    issuer = message.find(names.ISSUER)
    if issuer is None or not issuer.text:
        raise Misuse("no_issuer")
    return issuer.text


def _verify(certificates: Sequence[x509.Certificate], method: str, signature: bytes, octets: bytes) -> None:
    if method not in _DIGESTS:
        raise Misuse("signature_method")
    for certificate in certificates:
        key = certificate.public_key()
        if isinstance(key, rsa.RSAPublicKey) and _verifies(key, signature, octets, _DIGESTS[method]()):
            return
    raise Misuse("bad_signature")


def _verifies(key: rsa.RSAPublicKey, signature: bytes, octets: bytes, digest: hashes.HashAlgorithm) -> bool:
    try:
        key.verify(signature, octets, padding.PKCS1v15(), digest)
    except InvalidSignature:
        return False
    return True


def _verified(message: etree._Element, certificates: Sequence[x509.Certificate]) -> etree._Element:
    if message.find(names.SIGNATURE) is None:
        raise Misuse("not_signed")
    for certificate in certificates:
        found = _signed_by(message, certificate)
        if found is not None and (found.tag, found.get("ID")) == (message.tag, message.get("ID")):
            return found
    raise Misuse("bad_signature")


def _signed_by(message: etree._Element, certificate: x509.Certificate) -> etree._Element | None:
    config = SignatureConfiguration(
        location="./", ignore_ambiguous_key_info=True, verification_time=certificate.not_valid_before_utc
    )
    try:
        result = XMLVerifier().verify(
            etree.tostring(message), x509_cert=certificate, id_attribute="ID", expect_config=config
        )
    except (SignXMLException, InvalidInput, InvalidSignature, ValueError):
        return None
    return None if isinstance(result, list) else result.signed_xml
