"""What suomi.fi tells of a person: the population register's words, and who has none in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from idbroker.sandbox.people import SimPerson, hetu
from idbroker.sandbox.saml_says import Attribute
from idbroker.sandbox.saml_sessions import Proof

HETU = "urn:oid:1.2.246.21"
VERIFIED = "urn:oid:1.2.246.517.3002.111.2"
_FOREIGN = "urn:oid:1.2.246.517.3002.111.17"
_REGISTER = "urn:oid:1.2.246.517.2002.2."
_EIDAS = "http://eidas.europa.eu/attributes/naturalperson/"
_STRANGE_INDIVIDUAL = 993  # of nobody in the cast

# By the register's number: a municipality, a permanent domestic address, one abroad, a temporary one.
_MUNICIPALITY = {"18": "091", "19": "Helsinki", "20": "Helsingfors"}
_HOME = {"4": "Keksintökatu 1 A 2", "5": "Påhittsgatan 1 A 2", "6": "00099", "7": "HELSINKI", "8": "HELSINGFORS"}
_ABROAD = {"11": "Sandboxvägen 3", "12": "TUKHOLMA, RUOTSI", "13": "STOCKHOLM, SVERIGE", "14": "Stockholm", "15": "SE"}
_TEMPORARY = {"31": "Väliaikaistie 9", "32": "Tillfällighetsvägen 9", "33": "00098", "34": "HELSINKI"}
_TEMPORARY_SV = {"35": "HELSINGFORS"}

_FRIENDLY: Mapping[str, str] = {
    HETU: "nationalIdentificationNumber",
    "urn:oid:1.2.246.22": "electronicIdentificationNumber",
    "urn:oid:2.5.4.3": "cn",
    "urn:oid:2.16.840.1.113730.3.1.241": "displayName",
    "urn:oid:2.5.4.42": "givenName",
    "urn:oid:2.5.4.4": "sn",
    f"{_EIDAS}CurrentGivenName": "FirstName",
    f"{_EIDAS}CurrentFamilyName": "FamilyName",
    f"{_EIDAS}PersonIdentifier": "PersonIdentifier",
    f"{_EIDAS}DateOfBirth": "DateOfBirth",
    "urn:oid:0.9.2342.19200300.100.1.3": "mail",
    _FOREIGN: "foreignPersonIdentifier",
    f"{_FOREIGN}.1": "identityAssuranceLevel",
    f"{_REGISTER}18": "KotikuntaKuntanumero",
    f"{_REGISTER}19": "KotikuntaKuntaS",
    f"{_REGISTER}20": "KotikuntaKuntaR",
    f"{_REGISTER}4": "VakinainenKotimainenLahiosoiteS",
    f"{_REGISTER}5": "VakinainenKotimainenLahiosoiteR",
    f"{_REGISTER}6": "VakinainenKotimainenLahiosoitePostinumero",
    f"{_REGISTER}7": "VakinainenKotimainenLahiosoitePostitoimipaikkaS",
    f"{_REGISTER}8": "VakinainenKotimainenLahiosoitePostitoimipaikkaR",
    f"{_REGISTER}26": "SuomenKansalaisuusTietokoodi",
    f"{_REGISTER}27": "TurvakieltoTieto",
}
# Given without being asked for, whatever a licence says.
_ALWAYS = frozenset({VERIFIED, HETU, _FOREIGN, f"{_FOREIGN}.1", f"{_EIDAS}PersonIdentifier"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Somebody as suomi.fi knows them after a sign-in.

    `kind` is finnish, eidas or foreign; `verified` says that the register was asked and has them alive.
    """

    person: SimPerson
    kind: str
    verified: bool


def found(proof: Proof) -> Found:
    """Return whom suomi.fi finds: the person, or what the outcome makes of them."""
    person, outcome = proof.person, proof.outcome
    if outcome == "unknown_hetu":
        # The test identity provider makes up a name for a number it does not know.
        number = hetu(person.born, _STRANGE_INDIVIDUAL)
        stranger = replace(person, id="unknown", given_name="Nimetön", family_name="Tuntematon", number=number)
        return Found(person=stranger, kind="finnish", verified=False)
    if outcome == "protected":
        person = replace(person, protected=True)
    kind = kind_of(proof)
    missing = outcome in {"vtj_false", "deceased"} or person.deceased
    return Found(person=person, kind=kind, verified=kind == "finnish" and not missing)


def kind_of(proof: Proof) -> str:
    """Return as whom the person came: finnish, eidas or foreign."""
    if proof.method in {"eidas", "foreign"}:
        return proof.method
    return "finnish"


def usual_kind(person: SimPerson) -> str:
    """Return as whom a person usually comes."""
    if person.foreign_id is None:
        return "finnish"
    return "eidas" if "/FI/" in person.foreign_id else "foreign"


def attributes(someone: Found, wanted: frozenset[str]) -> tuple[Attribute, ...]:
    """Return the attributes that a service gets: those its metadata asks for, and those everybody gets."""
    told = {"finnish": _finnish, "eidas": _eidas, "foreign": _foreign}[someone.kind](someone)
    return tuple(
        Attribute(name=name, value=value, friendly=_FRIENDLY.get(name))
        for name, value in told
        if name in wanted | _ALWAYS
    )


Pairs = Iterator[tuple[str, str]]


def _finnish(someone: Found) -> Pairs:
    person = someone.person
    yield VERIFIED, "true" if someone.verified else "false"
    yield HETU, person.number or ""
    yield from _names(person)
    if someone.verified:
        yield from _register(person)


def _names(person: SimPerson) -> Pairs:
    called = person.given_name.split()[0]
    yield "urn:oid:2.5.4.3", f"{person.family_name} {person.given_name}"
    yield "urn:oid:2.16.840.1.113730.3.1.241", f"{called} {person.family_name}"
    yield "urn:oid:2.5.4.42", called
    yield "urn:oid:2.5.4.4", person.family_name
    yield f"{_EIDAS}CurrentGivenName", person.given_name


def _register(person: SimPerson) -> Pairs:
    yield f"{_REGISTER}26", "1"
    if person.protected:
        # Where somebody lives who is protected is told nobody, not even the municipality.
        yield f"{_REGISTER}27", "1"
        return
    address = _ABROAD if person.id == "ulla" else _HOME
    temporary = _TEMPORARY | _TEMPORARY_SV if person.id == "joni" else {}
    for number, value in (_MUNICIPALITY | address | temporary).items():
        yield _REGISTER + number, value
    if person.id == "tessa":
        yield "urn:oid:0.9.2342.19200300.100.1.3", "tessa@example.test"


def _eidas(someone: Found) -> Pairs:
    person = someone.person
    yield VERIFIED, "false"
    yield f"{_EIDAS}PersonIdentifier", person.foreign_id or f"ES/FI/{person.uuid[:8].upper()}"
    yield f"{_EIDAS}CurrentFamilyName", person.family_name
    yield f"{_EIDAS}CurrentGivenName", person.given_name
    yield f"{_EIDAS}DateOfBirth", person.born.isoformat()


def _foreign(someone: Found) -> Pairs:
    person = someone.person
    yield VERIFIED, "false"
    yield _FOREIGN, person.foreign_id or f"FA-{person.uuid[:8].upper()}"
    yield f"{_FOREIGN}.1", "low"
    yield from _names(person)
