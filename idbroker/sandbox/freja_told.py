"""What Freja eID tells of a person who approved: `requestedAttributes`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from idbroker.sandbox.people import SimPerson, years_before


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Who approved, for which service, from which address, on which day."""

    person: SimPerson
    party: str
    ip: str
    today: date


def attributes_of(approval: Approval, asked: Iterable[str]) -> dict[str, Any]:
    """Return the attributes asked for, as far as this person has them.

    The photos, addresses, phone numbers, certificates and organisations nobody here has are left out.
    """
    told = {_MEMBERS[name][0]: _MEMBERS[name][1](approval) for name in asked if name in _MEMBERS}
    return {member: value for member, value in told.items() if value is not None}


def upi(person: SimPerson) -> str:
    """Return the person's number within Freja: 1234-567890-1234."""
    digits = f"{int(person.uuid.replace('-', ''), 16) % 10**14:014}"
    return f"{digits[:4]}-{digits[4:10]}-{digits[10:]}"


def _party_user(approval: Approval) -> str:
    # Another for each service, so that two of them cannot put together what they know.
    return hashlib.sha256(f"{approval.party} {approval.person.uuid}".encode()).hexdigest()


def _ssn(approval: Approval) -> dict[str, str] | None:
    person = approval.person
    return {"country": person.country, "ssn": person.number} if person.number is not None else None


def _document(approval: Approval) -> dict[str, str]:
    return {
        "type": "PASS",
        "country": approval.person.country,
        "serialNumber": f"{int(approval.person.uuid[:8], 16) % 10**8:08}",
        "expirationDate": date(approval.today.year + 4, 6, 30).isoformat(),
    }


def _age(approval: Approval) -> int:
    years = approval.today.year - approval.person.born.year
    return years if years_before(approval.today, years) >= approval.person.born else years - 1


def _email(approval: Approval) -> str:
    return f"{approval.person.id}@people.example"


_MEMBERS: Mapping[str, tuple[str, Callable[[Approval], Any]]] = {
    "AGE": ("age", _age),
    "ALL_EMAIL_ADDRESSES": ("allEmailAddresses", lambda a: [{"emailAddress": _email(a)}]),
    "BASIC_USER_INFO": (
        "basicUserInfo",
        lambda a: {"name": a.person.given_name, "surname": a.person.family_name},
    ),
    "DATE_OF_BIRTH": ("dateOfBirth", lambda a: a.person.born.isoformat()),
    "DOCUMENT": ("document", _document),
    "EMAIL_ADDRESS": ("emailAddress", _email),
    "LOA_LEVEL": ("loaLevel", lambda a: a.person.freja_loa),
    "NETWORK_INFO": ("networkInfo", lambda a: {"publicIp": a.ip}),
    "REGISTRATION_LEVEL": ("registrationLevel", lambda a: a.person.freja_level),
    "RELYING_PARTY_USER_ID": ("relyingPartyUserId", _party_user),
    "SSN": ("ssn", _ssn),
    "UNIQUE_PERSONAL_IDENTIFIER": ("uniquePersonalIdentifier", lambda a: upi(a.person)),
}
