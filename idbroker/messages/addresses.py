"""Where messages go: what people type, as one address of each channel; and how it is shown to them."""

from __future__ import annotations

import re
import unicodedata

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, PhoneNumberType

from idbroker.errors import BrokerError
from idbroker.messages.message import Channel

LONGEST_EMAIL = 254  # RFC 5321, 4.5.3.1.3, without the brackets
LONGEST_LOCAL = 64  # 4.5.3.1.1
LONGEST_TYPED = 40

# RFC 5322, 3.2.3. Quoted local parts and letters beyond ASCII are left out: hardly a mailbox has them, and they
# hide spaces, controls and look-alikes.
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_TYPED_NUMBER = re.compile(r"\+?[0-9 ()./-]+")
_HYPHENS = re.compile("[‐‑‒–—−]")
_INVISIBLE = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\u00ad\u200b]")  # what contact cards put around numbers
_MOBILE = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)  # every Danish number is the second
_WORLD = "001"  # satellites and the like: no country's numbers (ITU-T E.164, 6.2.2)
_HIDDEN = "•••"


class NotAnAddress(BrokerError):
    """Nothing can be sent there. Never says what was typed.

    `reason` is `shape` (no such address can be), `country` (its country code is nobody's), `landline`
    (a fixed line takes no text messages) or `kind` (a paid, free or internet number, not a person's mobile).
    """

    code = "not_an_address"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def email(text: str) -> str:
    """Return an e-mail address, its domain in lower-case ASCII (RFC 5890). Raises NotAnAddress."""
    local, at, domain = text.strip(" \t\r\n\u00a0").partition("@")
    if not at or len(local) > LONGEST_LOCAL or len(domain) > LONGEST_EMAIL or not _LOCAL.fullmatch(local):
        raise NotAnAddress("shape")
    address = f"{local}@{_domain(domain)}"
    if len(address) > LONGEST_EMAIL:
        raise NotAnAddress("shape")
    return address


def _domain(typed: str) -> str:
    name = unicodedata.normalize("NFC", typed).lower()
    try:
        found = name.encode("idna").decode("ascii").lower()
        read = found.encode("ascii").decode("idna")
    except UnicodeError:
        raise NotAnAddress("shape") from None
    # What comes back otherwise was mapped: "ß" to "ss", full-width letters, characters nobody sees. The code would go
    # to another domain than the one that was typed.
    if name not in (read, found):
        raise NotAnAddress("shape")
    if any(_mixed(label) for label in read.split(".")):
        raise NotAnAddress("shape")
    labels = found.split(".")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise NotAnAddress("shape")
    return found


def _mixed(label: str) -> bool:
    """Tell whether Latin letters stand among others': "pаypal" with a Cyrillic "а" is not whose people read it as."""
    scripts = {unicodedata.name(sign, "").split(" ")[0] for sign in label if sign.isalpha()}
    return len(scripts) > 1 and "LATIN" in scripts


def mobile(text: str, country: str) -> str:
    """Return a mobile number in E.164, "+46701234567". Raises NotAnAddress.

    A number without + or 00 is of the `country`. Any digits, and the signs people set between them, are taken.
    """
    typed = _HYPHENS.sub("-", _INVISIBLE.sub("", unicodedata.normalize("NFKC", text[: LONGEST_TYPED * 2]))).strip()
    if len(text) > LONGEST_TYPED * 2 or len(typed) > LONGEST_TYPED or not _TYPED_NUMBER.fullmatch(typed):
        raise NotAnAddress("shape")
    number = _parsed(typed, country)
    if phonenumbers.region_code_for_number(number) == _WORLD:
        raise NotAnAddress("country")
    if not phonenumbers.is_valid_number(number):
        raise NotAnAddress("shape")
    kind = phonenumbers.number_type(number)
    if kind not in _MOBILE:
        raise NotAnAddress("landline" if kind == PhoneNumberType.FIXED_LINE else "kind")
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def _parsed(typed: str, country: str) -> PhoneNumber:
    try:
        return phonenumbers.parse(typed, country)
    except NumberParseException as error:
        # Its own text quotes what was typed.
        unknown = error.error_type == NumberParseException.INVALID_COUNTRY_CODE
        raise NotAnAddress("country" if unknown else "shape") from None


def shown(channel: Channel, address: str) -> str:
    """Return an address as a page may show it: `a•••@d•••.dk`; of a number the last two digits."""
    if channel is Channel.SMS:
        return address[-2:]
    local, _, domain = address.partition("@")
    try:
        domain = domain.encode("ascii").decode("idna")
    except UnicodeError:
        domain = ""
    name, _, rest = domain.rpartition(".")
    return f"{local[:1]}{_HIDDEN}@{name[:1]}{_HIDDEN}.{rest}"


def display(phone: str) -> str:
    """Return a number in E.164 as people write it: "+46 70 123 45 67"."""
    try:
        return phonenumbers.format_number(phonenumbers.parse(phone, None), PhoneNumberFormat.INTERNATIONAL)
    except NumberParseException:
        return phone
