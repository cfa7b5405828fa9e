"""Reading strictly: base64 in its one spelling, and one error for all that libraries raise."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.verification import VerificationError
from lxml import etree
from signxml.exceptions import SignXMLException

from idbroker.errors import Untrusted

# What the libraries raise at bytes that are not what they should be; binascii's and Unicode's errors are ValueErrors.
_RAISED = (
    ValueError,
    TypeError,
    InvalidSignature,
    UnsupportedAlgorithm,
    VerificationError,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.InvalidVersion,
    etree.LxmlError,
    SignXMLException,
)


@contextmanager
def refusing(detail: str) -> Iterator[None]:
    """Turn what a library raises at bad bytes into Untrusted.

    The library's error is left behind: signxml's, for one, quotes the subject of the certificate,
    which is a person's name and number, and a traceback would carry it into the log.
    """
    try:
        yield
    except _RAISED:
        raise Untrusted(detail) from None


def decoded(text: str, *, most: int, name: str) -> bytes:
    """Return the bytes of standard base64 of at most so many characters.

    It must be the one spelling of these bytes, without line breaks or set padding bits: else one
    signature could be written in many ways, and be told apart from itself.
    """
    if len(text) > most:
        raise Untrusted(f"{name}: longer than {most} characters")
    with refusing(f"{name}: not base64"):
        value = base64.b64decode(text.encode("ascii"), validate=True)
    if base64.b64encode(value).decode("ascii") != text:
        raise Untrusted(f"{name}: not the one spelling of its base64")
    return value
