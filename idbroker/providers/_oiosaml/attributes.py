"""From an assertion of OIOSAML to who the person is: checked in one order, then read (OIOSAML 3.0.3 and 4.0)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date

import structlog

from idbroker.errors import Refused, Untrusted
from idbroker.identity import Identity, LoA, Power
from idbroker.numbers import NationalNumber, NotANumber, parse
from idbroker.providers import Asked
from idbroker.providers._match import today
from idbroker.providers._oiosaml.gateways import PROFESSIONAL
from idbroker.providers._oiosaml.privileges import powers_in
from idbroker.providers._oiosaml.settings import Settings
from idbroker.providers._saml import logout_of, names_of
from idbroker.saml import names
from idbroker.saml.assertion import Assertion

_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_TEN_DIGITS = re.compile(r"[0-9]{10}")
# Both are met, and the norm's own is not known to us; a time zone may follow (xs:date).
_ISO = re.compile(r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})(?:Z|[+-][0-9]{2}:[0-9]{2})?")
_DANISH = re.compile(r"(?P<day>[0-9]{2})-(?P<month>[0-9]{2})-(?P<year>[0-9]{4})")
_FIRST_YEAR = 1900  # nobody alive was born before
_LONGEST_NAME = 300
_PROTECTED = "NAVNE & ADRESSEBESKYTTET"
_log = structlog.get_logger("idbroker.oiosaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What came, with what it is judged by. `settings` are filled."""

    provider: str
    settings: Settings
    assertion: Assertion = field(repr=False)
    asked: Asked = field(repr=False)

    def all(self, word: str) -> tuple[str, ...]:
        """Return the values under every name that a word of ours stands for."""
        found = (self.assertion.one(name) for name in self.settings.names(word))
        return tuple(value for value in found if value)

    def first(self, word: str) -> str | None:
        """Return the value under the first name that there is."""
        return next(iter(self.all(word)), None)


def identity_of(provider: str, settings: Settings, assertion: Assertion, asked: Asked) -> Identity:
    """Return who was proved. Refused for whoever is no citizen or too weakly proved, else Untrusted."""
    told = _Told(provider=provider, settings=settings, assertion=assertion, asked=asked)
    for check in _CHECKS:
        check(told)
    number = _number(told)
    identity = Identity(
        provider=provider,
        issuer=assertion.issuer,
        subject=_subject(told),
        loa=_level(told),
        proved_at=assertion.authenticated_at,
        number=number,
        birthdate=_birthdate(told, number),
        powers=_powers(told, number),
        upstream_names=names_of(assertion),
        upstream_issued=assertion.issued,
        upstream_until=assertion.session_not_on_or_after,
        # Who shares no session there has none to end there.
        upstream_logout=logout_of(assertion) if settings.single_sign_on else None,
    )
    return _named(identity, told)


def _check_version(told: _Told) -> None:
    # What another profile means by the same names is not known to us.
    if told.first("version") not in told.settings.versions:
        raise Untrusted("oiosaml: another version, or none")


def _check_citizen(told: _Told) -> None:
    # Somebody at work: their identifier is their employer's, and what they may see here is nobody's own record.
    if told.assertion.name_id.value.startswith(PROFESSIONAL):
        raise Refused("not_a_citizen", "a professional's identifier")


def _check_name_id(told: _Told) -> None:
    # A passing name would make somebody new of them at every sign-in.
    if told.assertion.name_id.format != names.PERSISTENT:
        raise Untrusted("oiosaml: a name that does not last")
    if not told.assertion.name_id.value.startswith(told.settings.person_uri) or not _UUID.fullmatch(_subject(told)):
        raise Untrusted("oiosaml: not a person's identifier")


def _check_level(told: _Told) -> None:
    # Whatever was asked for, what came back counts (ASVS 6.8.4; NSIS: the service must look itself).
    level = _level(told)
    if level < told.asked.least:
        raise Refused("level_too_low", f"asked {told.asked.least.word}, got {level.word}")


_CHECKS: tuple[Callable[[_Told], None], ...] = (_check_version, _check_citizen, _check_name_id, _check_level)


def _subject(told: _Told) -> str:
    return told.assertion.name_id.value.removeprefix(told.settings.person_uri).lower()


def _level(told: _Told) -> LoA:
    """Return the lowest of what is said: no proof is better than the identity or the means behind it (NSIS, 3)."""
    said = told.all("level")
    # Of two answers to one question neither is believed.
    if len(set(said)) != 1:
        raise Untrusted("oiosaml: no level, or two")
    words = [*said, *told.all("identity_level"), *told.all("authenticator_level"), *_used(told)]
    known = [loa for word in words for loa in LoA if loa.word == told.settings.levels.get(word)]
    if len(known) != len(words):
        raise Untrusted("oiosaml: a level that is none")
    return min(known)


def _used(told: _Told) -> tuple[str, ...]:
    """Return the level of the context class, where that is a level at all."""
    uri, context = told.settings.level_uri, told.assertion.context
    return (context.removeprefix(uri),) if context.startswith(uri) else ()


def _number(told: _Told) -> NationalNumber | None:
    # Who may not ask does not take what was sent all the same.
    claim = told.first("number") if told.settings.number_by == "attribute" else None
    if claim is None:
        return None
    if not _TEN_DIGITS.fullmatch(claim):
        raise Untrusted("oiosaml: a CPR number that is none")
    try:
        number = parse(claim, "DK", now=today(told.asked.now))
    except NotANumber as error:
        raise Untrusted(f"oiosaml: a CPR number of another {error.reason}") from error
    # No register of the state's holds a replacement number (day + 60): a hospital made it, for whom only it knows.
    # Leaving it out would let in somebody unknown. Test people have them; policy keeps those out where it matters.
    if number.is_test and told.settings.environment == "production":
        raise Untrusted("oiosaml: a replacement number")
    return number


def _birthdate(told: _Told, number: NationalNumber | None) -> date | None:
    claim = told.first("birthdate")
    if claim is None:
        return None
    born = read_date(claim)
    if born.year < _FIRST_YEAR or born > today(told.asked.now):
        raise Untrusted("oiosaml: a birth date of nobody alive")
    # It happens, and what is said goes before what a number tells; somebody should look at it all the same.
    if number is not None and number.birthdate not in (None, born):
        _log.warning("birthdate_unlike_number", provider=told.provider)
    return born


def read_date(text: str) -> date:
    """Return a day that is spelt 28-08-1944 or 1944-08-28. Untrusted for any other spelling, and for no such day."""
    match = _ISO.fullmatch(text) or _DANISH.fullmatch(text)
    if match is None:
        raise Untrusted("oiosaml: a birth date that is none")
    try:
        return date(int(match["year"]), int(match["month"]), int(match["day"]))
    except ValueError:
        raise Untrusted("oiosaml: a birth date of no such day") from None


def _powers(told: _Told, own: NationalNumber | None) -> tuple[Power, ...]:
    """Return what others let this person do. What does not read gives no power, and keeps nobody out of their own."""
    claim = told.first("privileges") if told.settings.public else None
    if claim is None:
        return ()
    try:
        powers, unread = powers_in(claim, today=today(told.asked.now))
    except Untrusted as error:
        _log.warning("powers_ignored", provider=told.provider, reason=str(error))
        return ()
    if unread:
        _log.warning("powers_ignored", provider=told.provider, reason="privileges: about no CPR number", count=unread)
    return tuple(power for power in powers if power.number != own)


def _named(identity: Identity, told: _Told) -> Identity:
    name, given, family = (_text(told.first(word)) for word in ("name", "given_name", "family_name"))
    # A protected name is not to reach a client by way of us.
    if name == _PROTECTED:
        return replace(identity, protected=True)
    return replace(identity, name=name, given_name=given, family_name=family)


def _text(claim: str | None) -> str | None:
    text = claim.strip() if claim else ""
    if len(text) > _LONGEST_NAME or not text.isprintable():
        raise Untrusted("oiosaml: a name that is none")
    return text or None
