"""An order that is begun by somebody's number, while they are on the telephone (RP API 6.0, /phone/auth)."""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from idbroker.errors import Cancelled, ProviderError, Refused, Unreachable, Untrusted
from idbroker.identity import Identity, LoA
from idbroker.numbers import NationalNumber
from idbroker.providers import Asked
from idbroker.providers._bankid.hints import failed
from idbroker.providers._bankid.order import Order, milliseconds
from idbroker.providers._bankid.proof import Rules, identity_of
from idbroker.providers._bankid.request import LONGEST_TEXT, REQUIREMENTS, VISIBLE_FORMAT, only_words
from idbroker.visitor import Device

_REFERENCE = re.compile(r"[0-9A-Za-z-]{1,64}")  # a UUID, which goes into JSON as it is
# All that /phone/auth takes; a document cannot be asked for there, and the number has a place of its own.
_REQUIRED = ("pin_code", "card_reader", "certificate_policies")


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """One such order, as it is kept between two looks: what was asked to be signed, and by what kind of BankID.

    `visible` and `hidden` are in base64, exactly as sent, for they must come back signed. `began` is in
    milliseconds since 1970.
    """

    order: str = field(repr=False)
    visible: str = field(repr=False)
    hidden: str = field(repr=False)
    policies: tuple[str, ...] = ()
    began: int

    def pack(self) -> bytes:
        """Return it as bytes."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()


def unpack(state: bytes) -> Called:
    """Return the order of some state. Untrusted for what is none of this version's."""
    try:
        read = Called(**json.loads(state))
    except (ValueError, TypeError) as error:
        raise Untrusted("a state that does not read") from error
    return replace(read, policies=tuple(read.policies))


def new_call(
    number: NationalNumber, said: str, demands: Mapping[str, Any], policies: Sequence[str], *, by_clinic: bool
) -> dict[str, Any]:
    """Return the body of /phone/auth. Refused for a number or a demand that it does not take.

    `demands` are the clinic's own, `policies` is allowed unless they say otherwise.
    """
    if number.country != "SE":
        raise Refused("bankid_failed", "phone/auth: no Swedish number")
    if demands.get("mrtd"):
        # Left out without a word, it would look as if a document had been read.
        raise Refused("bankid_mrtd", "phone/auth: no document can be asked for by telephone")
    wanted = {REQUIREMENTS[name]: _listed(demands[name]) for name in _REQUIRED if demands.get(name)}
    if policies:
        wanted.setdefault(REQUIREMENTS["certificate_policies"], list(policies))
    return {
        "personalNumber": number.value,
        # The app asks the person whether it was so: a caller who pretends to be the clinic is found out there.
        "callInitiator": "RP" if by_clinic else "user",
        "userVisibleData": _base64(visible_text(said)),
        "userVisibleDataFormat": VISIBLE_FORMAT,
        # Of this call alone: what was signed at an earlier one, of the same words, is no proof now.
        "userNonVisibleData": _base64(f"idbroker:call:{secrets.token_hex(32)}"),
        **({"requirement": wanted} if wanted else {}),
    }


def visible_text(said: str) -> str:
    """Return what the app shows: the first line as a heading, each other as a paragraph; a name in it stays a name."""
    heading, *paragraphs = [line for line in map(only_words, said.splitlines()) if line]
    text = "\n\n".join([f"# {heading}", *paragraphs])
    return text.encode()[:LONGEST_TEXT].decode(errors="ignore")


def begun(answer: object, body: Mapping[str, Any], now: datetime) -> Called:
    """Return the order that an answer to /phone/auth is about. Unreachable when it names none."""
    reference = answer.get("orderRef") if isinstance(answer, dict) else None
    if not isinstance(reference, str) or not _REFERENCE.fullmatch(reference):
        raise Unreachable("phone/auth: an answer without orderRef")
    policies = body.get("requirement", {}).get(REQUIREMENTS["certificate_policies"], ())
    return Called(
        order=reference,
        visible=body["userVisibleData"],
        hidden=body["userNonVisibleData"],
        policies=tuple(policies),
        began=milliseconds(now),
    )


def ended(hint: object) -> ProviderError:
    """Return the error that a failed order is: who says that they did not make this call has declined it."""
    return Cancelled("userDeclinedCall") if hint == "userDeclinedCall" else failed(hint)


def heard(answer: Mapping[str, object], called: Called, rules: Rules, now: datetime) -> Identity:
    """Return who a completed order proves, by all the checks of a sign-in. Untrusted, or Refused."""
    order = Order(
        order=called.order,
        autostart="",
        qr_token="",
        qr_secret="",
        began=called.began,
        device=Device.OTHER.value,
        visible=called.visible,
        hidden=called.hidden,
    )
    return identity_of(answer, order, _asked(now), replace(rules, policies=called.policies or rules.policies))


def _asked(now: datetime) -> Asked:
    """Return what a sign-in would ask; whose number it is, is for whoever dialled to compare."""
    return Asked(
        transaction="",
        handle="",
        return_url="",
        loa=LoA.SUBSTANTIAL,
        language="",
        service="",
        now=now,
        want_number=True,
    )


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
