"""What an OIOSAML identity provider says of a citizen, in the words of 3.0.3 and of 4.0."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterable, Iterator
from datetime import date

from lxml import etree

from idbroker.identity import LoA
from idbroker.sandbox.people import SimPerson
from idbroker.sandbox.saml_says import Attribute

_CORE, _EID = "https://data.gov.dk/model/core/", "https://data.gov.dk/model/core/eid/"
_CONCEPT = "https://data.gov.dk/concept/core/"
CPR = f"{_EID}cprNumber"
PRIVILEGES = f"{_EID}privilegesIntermediate"
LOA = f"{_CONCEPT}nsis/loa"
LOA_4 = f"{_CONCEPT}loa"
PERSON = f"{_EID}person/uuid/"
_BPP = "http://digst.dk/oiosaml/basic_privilege_profile"
# What a private service may not have, and a public one has only if its metadata asks (integration test report).
_ASKED_FOR = frozenset({CPR, PRIVILEGES})
_PRIVILEGE = "urn:dk:nspop:sandbox:laes_og_skriv"

_FRIENDLY = {
    f"{_CORE}specVersion": "SpecVer",
    LOA: "NSISLevelOfAssurance",
    f"{_CONCEPT}nsis/ial": "IdentityAssuranceLevel",
    f"{_CONCEPT}nsis/aal": "AuthenticationAssuranceLevel",
    f"{_EID}fullName": "FullName",
    f"{_EID}firstName": "FirstName",
    f"{_EID}lastName": "LastName",
    f"{_EID}cprUuid": "CPRUUID",
    f"{_EID}age": "Age",
    f"{_EID}dateOfBirth": "DateOfBirth",
    CPR: "CPRNumber",
    PRIVILEGES: "Privileges",
}


def subject(person: SimPerson, entity_id: str) -> str:
    """Return the person's name at one service: steady there, another at every other."""
    return PERSON + str(uuid.uuid5(uuid.UUID(person.uuid), entity_id))


def attributes(
    person: SimPerson,
    level: LoA,
    today: date,
    *,
    principals: Iterable[SimPerson],
    wanted: frozenset[str],
    newer: bool,
    numbered: bool,
) -> tuple[Attribute, ...]:
    """Return the attributes of a sign-in.

    `principals` gave the person a power of attorney. `wanted` is what the service's metadata asks for;
    number and powers go to nobody else. `newer` is OIOSAML 4.0. Without `numbered` there is no CPR number.
    """
    told = [*_levels(level, newer=newer), *_person(person, today)]
    if numbered and person.number is not None:
        told += [(CPR, person.number), (f"{_EID}cprUuid", str(uuid.uuid5(uuid.UUID(person.uuid), "cpr")))]
    powers = [one for one in principals if one.number is not None]
    if powers:
        told.append((PRIVILEGES, privileges(powers)))
    return tuple(
        Attribute(name=name, value=value, friendly=_FRIENDLY.get(name))
        for name, value in told
        if name in wanted or name not in _ASKED_FOR
    )


def privileges(principals: Iterable[SimPerson]) -> str:
    """Return powers of attorney of citizens as OIO-BPP in base64: privileges within another person's CPR number."""
    root = etree.Element(f"{{{_BPP}}}PrivilegeList", nsmap={"bpp": _BPP})
    for person in principals:
        scope = f"urn:dk:gov:saml:cprNumberIdentifier:{person.number}"
        group = etree.SubElement(root, "PrivilegeGroup", {"Scope": scope})
        etree.SubElement(group, "Privilege").text = _PRIVILEGE
    return base64.b64encode(etree.tostring(root, xml_declaration=True, encoding="UTF-8")).decode("ascii")


def _levels(level: LoA, *, newer: bool) -> Iterator[tuple[str, str]]:
    word = level.word.capitalize()  # a bare word, not an address
    yield f"{_CORE}specVersion", "OIO-SAML-4.0" if newer else "OIO-SAML-3.0"
    if newer:
        yield LOA_4, word
        yield f"{_CONCEPT}eid/profile", "https://data.gov.dk/eid/Person/DK"
        yield f"{_CONCEPT}eid/provider", "MitID"
    else:
        yield LOA, word
    yield f"{_CONCEPT}nsis/ial", word
    yield f"{_CONCEPT}nsis/aal", word


def _person(person: SimPerson, today: date) -> Iterator[tuple[str, str]]:
    yield f"{_EID}fullName", person.name
    yield f"{_EID}firstName", person.given_name
    yield f"{_EID}lastName", person.family_name
    yield f"{_EID}age", str(_age(person.born, today))
    yield f"{_EID}dateOfBirth", f"{person.born:%d-%m-%Y}"


def _age(born: date, today: date) -> int:
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))
