"""What Finland and Denmark want to find in our metadata, as tables (suomi.fi's template; OIOSAML 3.0.3)."""

from __future__ import annotations

from collections.abc import Sequence

from idbroker.saml.publishing import EntityAttribute, RequestedAttribute

_FINNISH = "urn:oid:1.2.246.517.3003.111."
_REGISTER = "urn:oid:1.2.246.517.2002.2."  # of the Finnish population register
_EIDAS = "http://eidas.europa.eu/attributes/naturalperson/"
_DANISH = "https://data.gov.dk/"

# By licence, each with all before it: who the person is; where they live; what else the register says.
# What is not licensed is not asked for: suomi.fi gives by the licence, and we want no more than we may use.
_FINNISH_LIMITED = (
    ("urn:oid:1.2.246.21", "nationalIdentificationNumber"),
    ("urn:oid:1.2.246.22", "electronicIdentificationNumber"),
    ("urn:oid:2.5.4.3", "cn"),
    ("urn:oid:2.16.840.1.113730.3.1.241", "displayName"),
    ("urn:oid:2.5.4.42", "givenName"),
    ("urn:oid:2.5.4.4", "sn"),
    (f"{_EIDAS}CurrentGivenName", "FirstName"),
)
_FINNISH_MEDIUM = (
    (f"{_REGISTER}18", "KotikuntaKuntanumero"),
    (f"{_REGISTER}19", "KotikuntaKuntaS"),
    (f"{_REGISTER}20", "KotikuntaKuntaR"),
    (f"{_REGISTER}4", "VakinainenKotimainenLahiosoiteS"),
    (f"{_REGISTER}5", "VakinainenKotimainenLahiosoiteR"),
    (f"{_REGISTER}6", "VakinainenKotimainenLahiosoitePostinumero"),
    (f"{_REGISTER}7", "VakinainenKotimainenLahiosoitePostitoimipaikkaS"),
    (f"{_REGISTER}8", "VakinainenKotimainenLahiosoitePostitoimipaikkaR"),
    (f"{_REGISTER}27", "TurvakieltoTieto"),
)
_FINNISH_LARGE = (
    ("urn:oid:0.9.2342.19200300.100.1.3", "mail"),
    (f"{_REGISTER}26", "SuomenKansalaisuusTietokoodi"),
)
_FINNISH_EXTENTS = {
    "limited": _FINNISH_LIMITED,
    "medium": _FINNISH_LIMITED + _FINNISH_MEDIUM,
    "large": _FINNISH_LIMITED + _FINNISH_MEDIUM + _FINNISH_LARGE,
}
_FINNISH_EIDAS = (
    (f"{_EIDAS}PersonIdentifier", "PersonIdentifier"),
    (f"{_EIDAS}CurrentFamilyName", "FamilyName"),
    (f"{_EIDAS}DateOfBirth", "DateOfBirth"),
)
_FINNISH_FOREIGN = (
    ("urn:oid:1.2.246.517.3002.111.17", "foreignPersonIdentifier"),
    ("urn:oid:1.2.246.517.3002.111.17.1", "identityAssuranceLevel"),
)

# Of citizens only, and no more than a portal of health care has use for: no e-mail, no company.
_DANISH_CITIZEN = (
    RequestedAttribute(name=f"{_DANISH}model/core/specVersion", friendly_name="SpecVer", required=True),
    RequestedAttribute(name=f"{_DANISH}concept/core/nsis/loa", friendly_name="NSISLevelOfAssurance", required=True),
    RequestedAttribute(name=f"{_DANISH}concept/core/nsis/ial", friendly_name="IdentityAssuranceLevel"),
    RequestedAttribute(name=f"{_DANISH}concept/core/nsis/aal", friendly_name="AuthenticationAssuranceLevel"),
    RequestedAttribute(name=f"{_DANISH}model/core/eid/fullName", friendly_name="FullName"),
    RequestedAttribute(name=f"{_DANISH}model/core/eid/firstName", friendly_name="FirstName"),
    RequestedAttribute(name=f"{_DANISH}model/core/eid/lastName", friendly_name="LastName"),
    RequestedAttribute(name=f"{_DANISH}model/core/eid/dateOfBirth", friendly_name="DateOfBirth"),
)
_DANISH_PUBLIC = (
    RequestedAttribute(name=f"{_DANISH}model/core/eid/cprNumber", friendly_name="CPRNumber"),
    RequestedAttribute(name=f"{_DANISH}model/core/eid/privilegesIntermediate", friendly_name="Privileges"),
)


def finnish_attributes(extent: str, *, eidas: bool = False, foreign: bool = False) -> tuple[RequestedAttribute, ...]:
    """Return what a licence lets us ask suomi.fi for: `extent` is limited, medium or large (KeyError for others).

    `eidas` adds what other countries' people have instead of a Finnish number, `foreign` what the
    Finnish Authenticator gives.
    """
    pairs = _FINNISH_EXTENTS[extent] + (_FINNISH_EIDAS if eidas else ()) + (_FINNISH_FOREIGN if foreign else ())
    return tuple(RequestedAttribute(name=name, friendly_name=friendly) for name, friendly in pairs)


def finnish_entity_attributes(
    methods: Sequence[str],
    *,
    vtj_required: bool = True,
    skip_endpoint_validation: bool = False,
    eidas: str = "none",
    cipher: str | None = "AES-GCM",
) -> tuple[EntityAttribute, ...]:
    """Return what suomi.fi reads of us: the accepted methods, as it names them, and how to treat people.

    `vtj_required`: only who is found alive in the population register gets through. `eidas` is full,
    form or none. `cipher` None leaves it to suomi.fi, which may then choose AES-CBC.
    `skip_endpoint_validation` lets a signed request name an address that is not in the metadata.
    """
    settings = [
        ("3", "VtjVerificationRequired", _word(vtj_required)),
        ("4", "SkipEndpointValidationWhenSigned", _word(skip_endpoint_validation)),
        ("14", "EidasSupport", eidas),
        *([("26", "CipherName", cipher)] if cipher is not None else []),
    ]
    return (
        EntityAttribute(name="FinnishAuthMethod", values=tuple(methods)),
        *(EntityAttribute(name=_FINNISH + oid, values=(value,), friendly_name=name) for oid, name, value in settings),
    )


def danish_attributes(*, public: bool) -> tuple[RequestedAttribute, ...]:
    """Return what an OIOSAML service asks of citizens; a private one may not ask for CPR and powers of attorney."""
    return _DANISH_CITIZEN + (_DANISH_PUBLIC if public else ())


def _word(flag: bool) -> str:
    return "true" if flag else "false"
