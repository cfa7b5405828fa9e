"""What a relying party may ask of BankID's /auth and /phone/auth, and the refusal of everything else (RP API v6.0)."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LONGEST_TEXT = 1500  # characters of base64, of /auth; /sign allows more
_OID = re.compile(r"[0-9]+(\.[0-9]+)+")
# A wildcard stands for the rest, and only after four arcs: 1.2.752.78.*
_WILDCARD_OID = re.compile(r"[0-9]+(\.[0-9]+){3,}\.\*")
_DOMAIN = re.compile(r"[a-z0-9.-]{3,253}")
_NUMBER = re.compile(r"[0-9]{12}")
_APP = {"appIdentifier": 256, "deviceOS": 256, "deviceModelName": 256, "deviceIdentifier": 256}
_WEB = {"referringDomain": 253, "userAgent": 256, "deviceIdentifier": 64}

Json = Mapping[str, Any]


class InvalidParameters(Exception):
    """The request is not what the API takes; the text names the member."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One checked /auth or /phone/auth request. Texts are the base64 that came, byte for byte: that is what is signed.

    `number`, `policies`, `risk`, `mrtd` and `card_reader` are members of `requirement`. With `caller`, who called
    whom, it is by telephone: `number` is then whose app it goes to, and there is no `ip`.
    """

    ip: str
    visible: str | None = None
    visible_format: str | None = None
    non_visible: str | None = None
    return_url: str | None = field(default=None, repr=False)
    return_risk: bool = False
    number: str | None = field(default=None, repr=False)
    policies: tuple[str, ...] = ()
    risk: str | None = None
    mrtd: bool = False
    card_reader: str | None = None
    caller: str | None = None

    @property
    def text(self) -> str:
        """Return what the person reads in the app."""
        return base64.b64decode(self.visible or "").decode()

    def takes(self, policy: str) -> bool:
        """Tell whether a certificate of this policy may be used; none being named, any may."""
        return not self.policies or any(_covers(allowed, policy) for allowed in self.policies)


def read_wish(body: Json) -> Wish:
    """Read the body of /auth. Members that are not known are ignored, as BankID does. Raises InvalidParameters."""
    _check_device(body)
    required = _table(body, "requirement") or {}
    _flag(required, "pinCode")
    return Wish(
        ip=_address(body),
        visible=_text(body, "userVisibleData"),
        visible_format=_choice(body, "userVisibleDataFormat", ("plaintext", "simpleMarkdownV1")),
        non_visible=_base64(body, "userNonVisibleData"),
        return_url=_string(body, "returnUrl", 512),
        return_risk=_flag(body, "returnRisk"),
        number=_number(required),
        policies=_policies(required),
        risk=_risk(required),
        mrtd=_flag(required, "mrtd"),
        card_reader=_choice(required, "cardReader", ("class1", "class2")),
    )


def read_call(body: Json) -> Wish:
    """Read the body of /phone/auth. Raises InvalidParameters."""
    required = _table(body, "requirement") or {}
    _flag(required, "pinCode")
    number, caller = _number(body), _choice(body, "callInitiator", ("user", "RP"))
    if number is None or caller is None:
        raise InvalidParameters("personalNumber" if number is None else "callInitiator")
    return Wish(
        ip="",
        visible=_text(body, "userVisibleData"),
        visible_format=_choice(body, "userVisibleDataFormat", ("plaintext", "simpleMarkdownV1")),
        non_visible=_base64(body, "userNonVisibleData"),
        number=number,
        policies=_policies(required),
        card_reader=_choice(required, "cardReader", ("class1", "class2")),
        caller=caller,
    )


def read_reference(body: Json) -> str:
    """Read the body of /collect and /cancel. Raises InvalidParameters."""
    reference = _string(body, "orderRef", 64)
    if reference is None:
        raise InvalidParameters("orderRef")
    return reference


def _covers(allowed: str, policy: str) -> bool:
    return policy.startswith(allowed[:-1]) if allowed.endswith("*") else policy == allowed


def _check_device(body: Json) -> None:
    app, web = _table(body, "app"), _table(body, "web")
    if app is not None and web is not None:
        raise InvalidParameters("app and web")
    for name, table, members in (("app", app, _APP), ("web", web, _WEB)):
        if table is None:
            continue
        if not [member for member, longest in members.items() if _string(table, member, longest) is not None]:
            raise InvalidParameters(name)
    domain = (web or {}).get("referringDomain")
    if domain is not None and not _DOMAIN.fullmatch(domain):
        raise InvalidParameters("referringDomain")


def _address(body: Json) -> str:
    text = _string(body, "endUserIp", 45)
    try:
        address = ipaddress.ip_address(text or "")
    except ValueError:
        raise InvalidParameters("endUserIp") from None
    # ::ffff:192.0.2.1 is what a socket shows; relying parties are to send the address itself.
    if isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped or address.scope_id):
        raise InvalidParameters("endUserIp")
    return str(text)


def _table(body: Json, name: str) -> Json | None:
    value = body.get(name)
    if value is not None and not isinstance(value, dict):
        raise InvalidParameters(name)
    return value


def _string(body: Json, name: str, longest: int) -> str | None:
    value = body.get(name)
    if value is not None and not (isinstance(value, str) and 1 <= len(value) <= longest):
        raise InvalidParameters(name)
    return value


def _flag(body: Json, name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidParameters(name)
    return bool(value)


def _choice(body: Json, name: str, words: tuple[str, ...]) -> str | None:
    value = _string(body, name, 100)
    if value is not None and value not in words:
        raise InvalidParameters(name)
    return value


def _base64(body: Json, name: str) -> str | None:
    value = _string(body, name, LONGEST_TEXT)
    try:
        base64.b64decode(value or "", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidParameters(name) from None
    return value


def _text(body: Json, name: str) -> str | None:
    value = _base64(body, name)
    try:
        base64.b64decode(value or "").decode()
    except UnicodeDecodeError:
        raise InvalidParameters(name) from None
    return value


def _number(required: Json) -> str | None:
    value = _string(required, "personalNumber", 12)
    if value is not None and not (_NUMBER.fullmatch(value) and _luhn_holds(value[2:])):
        raise InvalidParameters("personalNumber")
    return value


def _luhn_holds(ten: str) -> bool:
    doubled = (int(digit) * (2 - place % 2) for place, digit in enumerate(ten))
    return sum(value // 10 + value % 10 for value in doubled) % 10 == 0


def _policies(required: Json) -> tuple[str, ...]:
    value = required.get("certificatePolicies")
    if value is None:
        return ()
    if not isinstance(value, list) or not value or not all(map(_is_policy, value)):
        raise InvalidParameters("certificatePolicies")
    return tuple(value)


def _is_policy(value: object) -> bool:
    return isinstance(value, str) and bool(_OID.fullmatch(value) or _WILDCARD_OID.fullmatch(value))


def _risk(required: Json) -> str | None:
    # Both spellings are in use: the published sample sends capitals.
    value = _choice(required, "risk", ("low", "moderate", "LOW", "MODERATE"))
    return value.lower() if value else None
