"""What came back from an identity provider: checked in one order, then read (SAML profiles, 4.1.4.2 and 4.1.4.3).

Nothing is read before its signature verified, and then only what the signature covers: the checks
see elements parsed from the bytes that were digested. The caller checks what needs memory: that the
browser is the one that asked, and that the assertion's ID is new.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree

from idbroker.errors import Cancelled, ProviderError, Refused, Untrusted
from idbroker.saml import bindings, decrypting, head, names, shape, signing, xml
from idbroker.saml.assertion import Assertion, NameID, read_attributes, read_name_id
from idbroker.saml.lexical import read_instant, stripped
from idbroker.saml.names import saml, samlp

# What a status says in words of ours; others are named "eid_refused" (SAML core, 3.2.2.2).
_REFUSALS = {names.NO_AUTHN_CONTEXT: "level_too_low"}
# The standard's own, which the log may name.
_CODES = frozenset(
    names.STATUS + word
    for word in [
        "Requester",
        "Responder",
        "VersionMismatch",
        "AuthnFailed",
        "InvalidAttrNameOrValue",
        "InvalidNameIDPolicy",
        "NoAuthnContext",
        "NoAvailableIDP",
        "NoPassive",
        "NoSupportedIDP",
        "PartialLogout",
        "ProxyCountExceeded",
        "RequestDenied",
        "RequestUnsupported",
        "RequestVersionDeprecated",
        "RequestVersionTooHigh",
        "RequestVersionTooLow",
        "UnknownAttrProfile",
        "UnknownPrincipal",
        "UnsupportedBinding",
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the response must be: the answer of `idp` (an entity ID) to `request_id`, for `entity_id`, at `acs_url`.

    `certificates` are the signing certificates of that provider's metadata, `keys` our own to decrypt
    with, both in the order they are tried. `contexts` are the AuthnContextClassRefs that will do; None
    says that the level stands elsewhere (OIOSAML: an attribute) and the caller checks it there.
    `authenticated_after` is when we asked, where the person had to act anew (ForceAuthn). `cbc` allows
    AES-CBC, and only under a signed response. One of the two must be signed.
    """

    entity_id: str
    acs_url: str
    idp: str
    certificates: tuple[x509.Certificate, ...]
    request_id: str
    contexts: frozenset[str] | None
    now: datetime
    keys: tuple[rsa.RSAPrivateKey, ...] = field(default=(), repr=False)
    skew: timedelta = timedelta(minutes=1)
    response_signed: bool = True
    assertion_signed: bool = True
    encrypted: bool = True
    cbc: bool = False
    authenticated_after: datetime | None = None

    def __post_init__(self) -> None:
        if not (self.response_signed or self.assertion_signed):
            raise ValueError("the response or the assertion must be signed")


def _nothing() -> etree._Element:
    return etree.Element("nothing")


@dataclass(slots=True, eq=False)
class _Reading:
    """How far we are. What a step has not filled in yet is an element that no check accepts."""

    text: str = field(repr=False)
    expected: Expected
    response: etree._Element = field(default_factory=_nothing, repr=False)
    assertion: etree._Element = field(default_factory=_nothing, repr=False)
    is_covered: bool = False  # the response's own signature verified
    was_encrypted: bool = False
    name_id: NameID | None = field(default=None, repr=False)


def read(text: str, expected: Expected) -> Assertion:
    """Return what was proved. `text` is the posted SAMLResponse, base64.

    Raises Cancelled or Refused where the status says what the person or the provider did, else
    Untrusted; its detail is for the event and quotes nothing of the message.
    """
    reading = _Reading(text=text, expected=expected)
    for step in _STEPS:
        step(reading)
    return _value(reading)


# The response.


def _parse(reading: _Reading) -> None:
    reading.response = xml.parse(bindings.posted(reading.text))


def _check_shape(reading: _Reading) -> None:
    shape.check(reading.response, names.RESPONSE)


def _verify_response(reading: _Reading) -> None:
    # First of all: from here on `response` is what was digested, if anything was. One signature too many is not
    # ignored: it verifies, or the message is refused.
    if signing.is_signed(reading.response):
        reading.response = signing.verified(reading.response, reading.expected.certificates)
        reading.is_covered = True
    elif reading.expected.response_signed:
        raise Untrusted("response: not signed")


def _check_head(reading: _Reading) -> None:
    expected = reading.expected
    head.check_version(reading.response)
    head.check_destination(reading.response, expected.acs_url)
    head.check_issuer(reading.response, expected.idp)
    head.check_issued(reading.response, now=expected.now, skew=expected.skew)


def _check_in_response_to(reading: _Reading) -> None:
    # Nobody is signed in who did not ask: an attacker's response in a victim's browser (login CSRF).
    if reading.response.get("InResponseTo") != reading.expected.request_id:
        raise Untrusted("response: to another request, or to none")


def _check_status(reading: _Reading) -> None:
    codes = _status(reading.response)
    if codes == [names.SUCCESS]:
        return
    # A failure that brings an assertion, or a success that is a failure further in, is nobody's honest answer.
    if names.SUCCESS in codes or _assertions(reading.response):
        raise Untrusted("response: a status that contradicts itself")
    raise _unsuccessful(codes)


def _check_one_assertion(reading: _Reading) -> None:
    # A second one, encrypted or not, is there to be read in place of the signed one (XSW3, CVE-2022-41912,
    # CVE-2026-2092).
    found = _assertions(reading.response)
    if len(found) != 1:
        raise Untrusted("response: no assertion, or more than one")
    reading.assertion = found[0]


def _decrypt(reading: _Reading) -> None:
    if reading.assertion.tag == names.ENCRYPTED_ASSERTION:
        reading.assertion = decrypting.decrypted(reading.assertion, reading.expected.keys, cbc=_may_be_cbc(reading))
        reading.was_encrypted = True
    elif reading.expected.encrypted:
        raise Untrusted("response: an assertion that is not encrypted")


# The assertion.


def _check_assertion_shape(reading: _Reading) -> None:
    shape.check(reading.assertion, names.ASSERTION)


def _verify_assertion(reading: _Reading) -> None:
    # From here on `assertion` is what was digested: its own signature's, or the response's.
    if signing.is_signed(reading.assertion):
        reading.assertion = signing.verified(reading.assertion, reading.expected.certificates)
    elif reading.expected.assertion_signed or not reading.is_covered:
        raise Untrusted("assertion: not signed")


def _check_assertion_head(reading: _Reading) -> None:
    expected = reading.expected
    head.check_version(reading.assertion)
    head.check_issuer(reading.assertion, expected.idp)
    head.check_issued(reading.assertion, now=expected.now, skew=expected.skew)
    if not reading.assertion.get("ID"):
        raise Untrusted("assertion: without an ID")


def _check_conditions(reading: _Reading) -> None:
    conditions = xml.only(reading.assertion, saml("Conditions"))
    _check_begun(conditions, reading.expected, name="Conditions")
    if conditions.get("NotOnOrAfter") is not None:
        _check_not_over(conditions, "NotOnOrAfter", reading.expected, name="Conditions")


def _check_audience(reading: _Reading) -> None:
    # An assertion made for another service, carried to us by that service (SAML core, 2.5.1.4). Each
    # restriction must name us; none at all restricts nothing, and is refused.
    conditions = xml.only(reading.assertion, saml("Conditions"))
    restrictions = conditions.findall(saml("AudienceRestriction"))
    audiences = [{stripped(xml.text(one)) for one in restriction} for restriction in restrictions]
    if not audiences or not all(reading.expected.entity_id in one for one in audiences):
        raise Untrusted("assertion: for another audience, or for anybody")


def _check_confirmation(reading: _Reading) -> None:
    # Profiles, 4.1.4.2: whoever bears it, at our address, in answer to our request, for a short time.
    expected, data = reading.expected, _confirmation(reading.assertion)
    if data.get("Recipient") != expected.acs_url:
        raise Untrusted("assertion: for another recipient, or none")
    if data.get("InResponseTo") != expected.request_id:
        raise Untrusted("assertion: to another request, or to none")
    if data.get("NotBefore") is not None:
        raise Untrusted("assertion: a confirmation that has to wait")
    _check_not_over(data, "NotOnOrAfter", expected, name="SubjectConfirmationData")


def _read_name(reading: _Reading) -> None:
    subject = xml.only(reading.assertion, saml("Subject"))
    named = xml.at_most_one(subject, names.NAME_ID)
    if named is None:
        sealed = xml.only(subject, names.ENCRYPTED_ID)
        named = decrypting.decrypted(sealed, reading.expected.keys, cbc=_may_be_cbc(reading))
        shape.check(named, names.NAME_ID)
    reading.name_id = read_name_id(named)


def _check_statement(reading: _Reading) -> None:
    expected, statement = reading.expected, _statement(reading.assertion)
    at = _authenticated_at(statement)
    if at > expected.now + expected.skew:
        raise Untrusted("assertion: authenticated in the future")
    # ForceAuthn that was not heeded: somebody else may sit where a session was left open (S33).
    if expected.authenticated_after is not None and at < expected.authenticated_after - expected.skew:
        raise Untrusted("assertion: authenticated before we asked")


def _check_context(reading: _Reading) -> None:
    # A weaker way than asked, in a well-signed answer (S33): what was asked does not count, what was done does.
    wanted = reading.expected.contexts
    if wanted is not None and _context(_statement(reading.assertion)) not in wanted:
        raise Untrusted("assertion: another context than allowed")


def _check_session(reading: _Reading) -> None:
    statement = _statement(reading.assertion)
    if statement.get("SessionNotOnOrAfter") is not None:
        _check_not_over(statement, "SessionNotOnOrAfter", reading.expected, name="AuthnStatement")


# In this order: parse before shape, shape before anything is looked for, signatures before anything is believed,
# the response's before decryption (padding oracles), one assertion before any is read.
_STEPS: tuple[Callable[[_Reading], None], ...] = (
    _parse,
    _check_shape,
    _verify_response,
    _check_head,
    _check_in_response_to,
    _check_status,
    _check_one_assertion,
    _decrypt,
    _check_assertion_shape,
    _verify_assertion,
    _check_assertion_head,
    _check_conditions,
    _check_audience,
    _check_confirmation,
    _read_name,
    _check_statement,
    _check_context,
    _check_session,
)


def _value(reading: _Reading) -> Assertion:
    assertion, statement = reading.assertion, _statement(reading.assertion)
    if reading.name_id is None:
        raise Untrusted("assertion: a name of nobody")
    ends = statement.get("SessionNotOnOrAfter")
    return Assertion(
        id=assertion.get("ID", ""),
        issuer=reading.expected.idp,
        issued=read_instant(assertion.get("IssueInstant"), name="assertion: IssueInstant"),
        name_id=reading.name_id,
        context=_context(statement),
        authenticated_at=_authenticated_at(statement),
        not_on_or_after=_not_on_or_after(assertion),
        session_index=statement.get("SessionIndex"),
        session_not_on_or_after=None if ends is None else read_instant(ends, name="AuthnStatement"),
        attributes=read_attributes(assertion.findall(saml("AttributeStatement"))),
    )


def _assertions(response: etree._Element) -> list[etree._Element]:
    return [one for one in response if one.tag in (names.ASSERTION, names.ENCRYPTED_ASSERTION)]


def _status(response: etree._Element) -> list[str]:
    """Return the status codes, outermost first."""
    return [one.get("Value", "") for one in xml.only(response, samlp("Status")).iter(samlp("StatusCode"))]


def _unsuccessful(codes: list[str]) -> ProviderError:
    detail = " ".join(code.removeprefix(names.STATUS) if code in _CODES else "other" for code in codes)
    if names.AUTHN_FAILED in codes[1:]:
        # suomi.fi and NemLog-in say this both when the person presses cancel and when they fail.
        return Cancelled(detail)
    reasons = [_REFUSALS[code] for code in codes if code in _REFUSALS]
    return Refused(reasons[0] if reasons else "eid_refused", detail)


def _may_be_cbc(reading: _Reading) -> bool:
    return reading.expected.cbc and reading.is_covered


def _confirmation(assertion: etree._Element) -> etree._Element:
    subject = xml.only(assertion, saml("Subject"))
    confirmation = xml.only(subject, saml("SubjectConfirmation"))
    if confirmation.get("Method") != names.BEARER:
        raise Untrusted("assertion: not a bearer's")
    return xml.only(confirmation, saml("SubjectConfirmationData"))


def _statement(assertion: etree._Element) -> etree._Element:
    return xml.only(assertion, saml("AuthnStatement"))


def _context(statement: etree._Element) -> str:
    return stripped(xml.text(xml.only(xml.only(statement, saml("AuthnContext")), saml("AuthnContextClassRef"))))


def _authenticated_at(statement: etree._Element) -> datetime:
    return read_instant(statement.get("AuthnInstant"), name="AuthnInstant")


def _not_on_or_after(assertion: etree._Element) -> datetime:
    ends = [xml.only(assertion, saml("Conditions")), _confirmation(assertion)]
    told = [one.get("NotOnOrAfter") for one in ends]
    return min(read_instant(one, name="NotOnOrAfter") for one in told if one is not None)


def _check_begun(element: etree._Element, expected: Expected, *, name: str) -> None:
    begins = element.get("NotBefore")
    if begins is not None and read_instant(begins, name=name) > expected.now + expected.skew:
        raise Untrusted(f"assertion: {name} begin later")


def _check_not_over(element: etree._Element, attribute: str, expected: Expected, *, name: str) -> None:
    if read_instant(element.get(attribute), name=name) <= expected.now - expected.skew:
        raise Untrusted(f"assertion: {name} over")
