"""Texts as XML Schema spells them, and one error for all that libraries raise at other bytes."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from cryptography.exceptions import InvalidSignature, InvalidTag, UnsupportedAlgorithm
from lxml import etree
from signxml.exceptions import SignXMLException

from idbroker.errors import Untrusted

# What the libraries raise at bytes that are not what they should be; binascii's and Unicode's errors are ValueErrors.
_RAISED = (
    ValueError,
    TypeError,
    OverflowError,
    InvalidSignature,
    InvalidTag,
    UnsupportedAlgorithm,
    etree.LxmlError,
    SignXMLException,
    zlib.error,
)

_SPACES = " \t\r\n"  # XML's, not Unicode's
# SAML core, 1.3.3: UTC, spelt Z. A century is enough: nothing overflows when a skew is added.
_INSTANT = re.compile(r"(20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,12}))?Z", re.ASCII)
# What an ID may be (xs:NCName), as far as anybody uses it.
_NCNAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]{0,255}", re.ASCII)


@contextmanager
def refusing(detail: str) -> Iterator[None]:
    """Turn what a library raises at bad bytes into Untrusted, and leave the library's words behind.

    They may quote the message, which holds a person's name and number, and a traceback would carry
    them into the log.
    """
    try:
        yield
    except _RAISED:
        raise Untrusted(detail) from None


def read_base64(text: str, *, most: int, name: str) -> bytes:
    """Return the bytes of an xs:base64Binary of at most so many characters; lines may be broken.

    Untrusted for any other character and for set padding bits: decoders skip both, and one value
    would have as many spellings as an attacker likes.
    """
    if len(text) > most:
        raise Untrusted(f"{name}: too long")
    with refusing(f"{name}: not base64"):
        plain = text.encode("ascii").translate(None, _SPACES.encode("ascii"))
        value = base64.b64decode(plain, validate=True)
    if not value or base64.b64encode(value) != plain:
        raise Untrusted(f"{name}: not the one spelling of its base64")
    return value


def base64_text(octets: bytes) -> str:
    """Return bytes as base64 on one line."""
    return base64.b64encode(octets).decode("ascii")


def read_instant(text: str | None, *, name: str) -> datetime:
    """Return the moment of an xs:dateTime in UTC. Untrusted for any other, and for none."""
    found = _INSTANT.fullmatch(text or "")
    if found is None:
        raise Untrusted(f"{name}: not a moment in UTC")
    with refusing(f"{name}: no such day or time"):
        whole = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
    return whole + timedelta(microseconds=int((found[2] or "0")[:6].ljust(6, "0")))


def instant_text(moment: datetime) -> str:
    """Return a moment as SAML spells it, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stripped(text: str) -> str:
    """Return an xs:anyURI without the white space that does not belong to it (XML Schema 2, 4.3.6)."""
    return text.strip(_SPACES)


def blank(text: str | None) -> bool:
    """Tell whether there is nothing but XML's white space."""
    return not (text or "").strip(_SPACES)


def is_ncname(text: str) -> bool:
    """Tell whether a text may be an ID, and be named in a reference without being spelt another way."""
    return _NCNAME.fullmatch(text) is not None
