"""What a service asks of Freja eID: the body of initAuthentication, with every check of the real one.

Source: Freja eID Relying Party API, Authentication Service; the code numbers are those of its official
clients. Which code and which HTTP status a wrong member gets is nowhere told in full: where it is not,
a choice of ours says so.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

INFERRED = "INFERRED"
LEVELS = ("BASIC", "EXTENDED", "PLUS")  # the lowest first
NOBODY = "N/A"

# In our own words; the numbers are what counts.
MESSAGES: Mapping[int, str] = {
    0: "Internal error.",
    1000: "A parameter is missing or cannot be read.",
    1001: "userInfoType is missing or not known.",
    1002: "userInfo is missing or does not fit userInfoType.",
    1004: "This relying party may not call this method.",
    1007: "minRegistrationLevel is not known.",
    1008: "The relying party is not known.",
    1009: "This relying party may not use integratorSpecificUserId.",
    1010: "The JSON cannot be parsed.",
    1100: "The reference is not known, or too old.",
    1200: "includePrevious is missing or not known.",
    2000: "Refused: an earlier request for this user was rejected for security reasons.",
    2002: "attributesToReturn is not known, or needs a higher level.",
}
_UNREADABLE = frozenset({1000, 1010})

_IDENTIFIED = frozenset({"BASIC_USER_INFO", "DATE_OF_BIRTH", "SSN"})  # need EXTENDED or PLUS
ATTRIBUTES = _IDENTIFIED | {
    "ADDRESSES",
    "AGE",
    "ALL_EMAIL_ADDRESSES",
    "ALL_PHONE_NUMBERS",
    "CHILDREN_DOCUMENT_INFO_WITH_PDF",
    "COVID_CERTIFICATES",
    "CUSTOM_IDENTIFIER",
    "DOCUMENT",
    "DOCUMENT_INFO_WITH_PDF",
    "DOCUMENT_PHOTO",
    "EMAIL_ADDRESS",
    "GENDER",
    "INTEGRATOR_SPECIFIC_USER_ID",
    "LOA_LEVEL",
    "NETWORK_INFO",
    "NFC_ID_PHOTO",
    "ORGANISATION_ID",
    "ORGANISATION_ID_IDENTIFIER",
    "PHOTO",
    "REGISTRATION_LEVEL",
    "RELYING_PARTY_USER_ID",
    "UNIQUE_PERSONAL_IDENTIFIER",
}

_LONGEST = 256
_NUMBERS = {
    "SE": re.compile(r"[0-9]{12}"),
    "NO": re.compile(r"[0-9]{11}"),
    "DK": re.compile(r"[0-9]{10}"),
    "FI": re.compile(r"[0-9]{6}[-+A-FU-Y][0-9]{3}[0-9A-Y]"),
}


class FrejaError(Exception):
    """A call is refused: `code` is Freja's number, `status` the HTTP status.

    The documentation names 400 and 422 and does not say which goes with which code. Here 400 is what
    could not be read (1000, 1010), 422 what was read and refused, and 500 an internal error (0).
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"Freja error {code}")
        self.code = code
        self.status = 500 if code == 0 else 400 if code in _UNREADABLE else 422
        self.message = MESSAGES.get(code, "Something new.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a service asks for. `named` is the country and number of whom it asks by number (SSN)."""

    user_info_type: str
    user_info: str = field(repr=False)
    named: tuple[str, str] | None = field(default=None, repr=False)
    level: str = LEVELS[0]
    attributes: tuple[str, ...] = ()
    dynamic: bool = False
    same_device: bool = False
    cookie: str | None = field(default=None, repr=False)


def read_wish(sent: Mapping[str, Any]) -> Wish:
    """Return what initAuthRequest asks for; members that are not known are passed over. Raises FrejaError."""
    kind = sent.get("userInfoType")
    if not isinstance(kind, str) or kind not in _USERS:
        raise FrejaError(1001)
    user = sent.get("userInfo")
    if not isinstance(user, str) or not 0 < len(user) <= _LONGEST or not _USERS[kind](user):
        raise FrejaError(1002)
    level = _level(sent)
    _check_confirmation(sent, level)
    device = _device(sent)
    return Wish(
        user_info_type=kind,
        user_info=user,
        named=_ssn(user) if kind == "SSN" else None,
        level=level,
        attributes=_attributes(sent, level),
        dynamic=_dynamic(sent, kind),
        same_device=device.get("flowType") == "SAME_DEVICE",
        cookie=device.get("frejaCookie"),
    )


def _level(sent: Mapping[str, Any]) -> str:
    level = sent.get("minRegistrationLevel", LEVELS[0])
    if level not in LEVELS:
        raise FrejaError(1007)
    return str(level)


def _attributes(sent: Mapping[str, Any], level: str) -> tuple[str, ...]:
    asked = sent.get("attributesToReturn", [])
    if not isinstance(asked, list) or not all(isinstance(one, dict) for one in asked):
        raise FrejaError(2002)
    names = tuple(one.get("attribute") for one in asked)
    if not all(isinstance(name, str) and name in ATTRIBUTES for name in names):
        raise FrejaError(2002)
    if level == LEVELS[0] and not _IDENTIFIED.isdisjoint(names):  # which code this gets is our choice
        raise FrejaError(2002)
    if "INTEGRATOR_SPECIFIC_USER_ID" in names:
        raise FrejaError(1009)
    return names


def _check_confirmation(sent: Mapping[str, Any], level: str) -> None:
    method = sent.get("userConfirmationMethod", "DEFAULT")
    if method not in ("DEFAULT", "DEFAULT_AND_FACE") or (method == "DEFAULT_AND_FACE" and level == LEVELS[0]):
        raise FrejaError(1000)


def _device(sent: Mapping[str, Any]) -> Mapping[str, Any]:
    device = sent.get("originDeviceDetails", {})
    if not isinstance(device, dict) or device.get("flowType", "SAME_DEVICE") not in ("SAME_DEVICE", "ANOTHER_DEVICE"):
        raise FrejaError(1000)
    if not isinstance(device.get("frejaCookie", ""), str):
        raise FrejaError(1000)
    return {"frejaCookie": "", **device} if device else {}


def _dynamic(sent: Mapping[str, Any], kind: str) -> bool:
    dynamic = sent.get("useDynamicQrCode", False)
    if not isinstance(dynamic, bool) or (dynamic and kind != INFERRED):
        raise FrejaError(1000)
    return dynamic


def _ssn(user: str) -> tuple[str, str] | None:
    try:
        told = json.loads(base64.b64decode(user, validate=True))
        country, number = told["country"], told["ssn"]
    except (binascii.Error, ValueError, KeyError, TypeError):
        return None
    rule = _NUMBERS.get(country) if isinstance(country, str) else None
    return (country, number) if rule and isinstance(number, str) and rule.fullmatch(number) else None


_USERS: Mapping[str, Callable[[str], bool]] = {
    INFERRED: lambda user: user == NOBODY,
    "SSN": lambda user: _ssn(user) is not None,
    "EMAIL": lambda user: re.fullmatch(r"[^@\s]+@[^@\s]+", user) is not None,
    "PHONE": lambda user: re.fullmatch(r"\+[0-9]{7,15}", user) is not None,
    "UPI": lambda user: re.fullmatch(r"[0-9]{4}-[0-9]{6}-[0-9]{4}", user) is not None,
}
