"""From what BankID tells of a completed order to who the person is: every part checked before any is used."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from cryptography import x509

from idbroker.errors import Refused, Untrusted
from idbroker.identity import Identity, LoA
from idbroker.numbers import NationalNumber, NotANumber, parse
from idbroker.providers import Asked
from idbroker.providers._bankid import ocsp, signature
from idbroker.providers._bankid.order import Order
from idbroker.providers._bankid.request import VISIBLE_FORMAT, swedish_hint
from idbroker.visitor import normal_address

_STOCKHOLM = ZoneInfo("Europe/Stockholm")
_CARDS = frozenset({"1.2.752.78.1.2", "1.2.3.4.10"})  # BankID on card, in production and in test
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_RISKS = ("low", "moderate", "high")
_TAKEN_RISKS: Mapping[str, Sequence[str]] = {"high": ("low", "moderate"), "moderate": ("low",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a proof must meet: the roots people's certificates end at, their policies, the risk that is too high.

    `relying_party` is our own name as BankID signs it, where the operator gave it.
    """

    provider: str
    issuer: str
    roots: tuple[x509.Certificate, ...]
    policies: tuple[str, ...]
    relying_party: str | None
    refuse_risk: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Completion:
    """`completionData`, as far as it is used; unverified."""

    number: str = field(repr=False)
    user: Mapping[str, Any] = field(repr=False)
    ip: str | None = field(repr=False)
    signature: str = field(repr=False)
    ocsp: str = field(repr=False)
    risk: str | None
    issued: str | None
    document_read: bool


def identity_of(answer: Any, order: Order, asked: Asked, rules: Rules) -> Identity:
    """Return who a completed order proves. Untrusted for what does not verify, Refused for too high a risk."""
    read = _completion(answer)
    policies = tuple(asked.requirement.get("certificate_policies") or rules.policies)
    signed = signature.verify(
        read.signature,
        person=read.number,
        visible=order.visible,
        visible_format=VISIBLE_FORMAT,
        non_visible=order.hidden,
        roots=rules.roots,
        relying_party=rules.relying_party,
        policies=policies,
        now=asked.now,
    )
    ocsp.verify(read.ocsp, leaf=signed.leaf, issuer=signed.issuer, signature=read.signature, now=asked.now)
    _check_asked(read, asked)
    _check_risk(read.risk, rules.refuse_risk)
    return _identity(read, order, asked, rules, methods(signed.policies))


def methods(policies: Sequence[str]) -> tuple[str, ...]:
    """Return how somebody signed, by the policies of their certificate (RFC 8176).

    Something held, in software or on a card, and a code or the body: always two factors.
    """
    return ("swk" if _CARDS.isdisjoint(policies) else "hwk", "mfa")


def _identity(read: _Completion, order: Order, asked: Asked, rules: Rules, amr: tuple[str, ...]) -> Identity:
    number = _number(read.number, asked)
    told = {
        "signature": read.signature,
        "ocsp": read.ocsp,
        "order": order.order,
        "visible": order.visible,
        "non_visible": order.hidden,
        "risk": read.risk,
        "issued": read.issued,
    }
    return Identity(
        provider=rules.provider,
        issuer=rules.issuer,
        # BankID has no name of its own for a person: a new BankID has a new certificate, and only the number stays.
        subject=number.value,
        loa=LoA.SUBSTANTIAL,
        proved_at=asked.now,
        amr=amr,
        number=number,
        name=_text(read.user.get("name")),
        given_name=_text(read.user.get("givenName")),
        family_name=_text(read.user.get("surname")),
        birthdate=number.birthdate,
        app_ip=normal_address(read.ip),
        evidence={name: value for name, value in told.items() if value is not None},
    )


def _completion(answer: Any) -> _Completion:
    found = answer.get("completionData")
    data = found if isinstance(found, dict) else {}
    user, device = _table(data, "user"), _table(data, "device")
    number, signed, status = user.get("personalNumber"), data.get("signature"), data.get("ocspResponse")
    if not (isinstance(number, str) and isinstance(signed, str) and isinstance(status, str)):
        raise Untrusted("complete, but without number, signature or OCSP response")
    step_up = _table(data, "stepUp") or _table(data, "setUp")  # BankID's own example calls it setUp
    issued = _DATE.match(str(data.get("bankIdIssueDate", "")))  # with or without a Z behind it
    risk = data.get("risk")
    return _Completion(
        number=number,
        user=user,
        ip=_text(device.get("ipAddress")),
        signature=signed,
        ocsp=status,
        risk=None if risk is None else str(risk),
        issued=issued[0] if issued else None,
        document_read=step_up.get("mrtd") is True,
    )


def _check_asked(read: _Completion, asked: Asked) -> None:
    # BankID holds people to both; a proof that does not say so is of another order.
    if asked.requirement.get("mrtd") and not read.document_read:
        raise Untrusted("an identity document was to be read, and was not")
    hint = swedish_hint(asked)
    if hint is not None and hint != read.number:
        raise Untrusted("the number is not the one that was asked for")


def _check_risk(risk: str | None, refuse: str) -> None:
    # None where BankID could not tell. A word that we do not know is no low risk.
    if risk is not None and risk not in _TAKEN_RISKS.get(refuse, (risk,)):
        raise Refused("bankid_risk", f"risk: {risk if risk in _RISKS else 'unknown'}")


def _number(text: str, asked: Asked) -> NationalNumber:
    today: date = asked.now.astimezone(_STOCKHOLM).date()
    try:
        number = parse(text, "SE", now=today)
    except NotANumber as error:
        raise Untrusted(f"number: {error.reason}") from error
    if number.value != text:
        raise Untrusted("number: not in twelve digits")
    return number


def _table(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = data.get(name)
    return found if isinstance(found, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
