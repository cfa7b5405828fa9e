"""Suomi.fi e-Authorizations (Valtuudet), for people: who may act for whom, chosen at Suomi.fi's own page ("Hypa").

Source: DVV's service hub and its public client for the web interface; where they say nothing, a setting.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import requests
import structlog

from idbroker.ages import MAJORITY, day_of, is_of_age
from idbroker.clinic import Clinic
from idbroker.codec import Codec
from idbroker.errors import Cancelled, ConfigError, Unreachable, Untrusted
from idbroker.guardianship._hypa.answers import POWER_OF_ATTORNEY, Principal, tie
from idbroker.guardianship._hypa.calls import Hypa, ended
from idbroker.guardianship.tie import MANDATE, NO_CUSTODY, Answer, Away, Elsewhere, Guardian, Tie
from idbroker.numbers import HETU, NationalNumber, NotANumber, parse

TITLE = "Suomi.fi-valtuudet"
_CAP = 64 * 1024  # octets; the largest answer lists forty people
_LANGUAGES = ("fi", "sv", "en")
_LONGEST_CODE = 1024
# What an OAuth server says of itself or of us, not of the person (RFC 6749, 4.1.2.1).
_NOT_THE_PERSON = frozenset(
    {"server_error", "temporarily_unavailable", "invalid_request", "unauthorized_client", "invalid_scope"}
)

_log = structlog.get_logger("idbroker.guardianship")

Http = Callable[..., requests.Session]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`[registers.NAME]` of the kind `valtuudet`. The address of production is spelled in two ways: it is a setting.

    `api_key_file` holds the key of the checksum, `oauth_password_file` that of the token endpoint; `rest_key_file`,
    where there is one, that of the interface without a page. `issues` are the mandate themes that are asked for there,
    by their URIs. `life` is how long an answer is good. `hosts` are those, besides that of `address`, that the page is
    on. `family_first` says that the register tells the family name before the given ones.
    """

    address: str
    client_id: str
    api_key_file: str
    oauth_password_file: str
    rest_key_file: str | None = None
    issues: tuple[str, ...] = ()
    life: timedelta = timedelta(seconds=599)
    hosts: tuple[str, ...] = ()
    family_first: bool = False


def mistakes(settings: Settings) -> tuple[str, ...]:
    """Return what is wrong with the settings."""
    parts = urlsplit(settings.address)
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1"))
    origin = f"{parts.scheme}://{parts.netloc}"
    checks = {
        "address must be https (http only on localhost)": safe,
        "address must be an origin: no path, no slash at the end": settings.address == origin,
        "client_id must be letters and digits": bool(re.fullmatch(r"[A-Za-z0-9]{1,64}", settings.client_id)),
        "life must be 1 s to 599 s": timedelta(seconds=1) <= settings.life <= timedelta(seconds=599),
        "hosts must be names of hosts": all(re.fullmatch(r"[a-z0-9.-]+(:[0-9]+)?", host) for host in settings.hosts),
    }
    return tuple(what for what, good in checks.items() if not good)


def make(name: str, settings: Settings, http: Http) -> Elsewhere:
    """Return the register. ConfigError, with every mistake, when its settings or key files cannot be used."""
    found = list(mistakes(settings))
    keys = {
        setting: _key(setting, file, found)
        for setting, file in (
            ("api_key_file", settings.api_key_file),
            ("oauth_password_file", settings.oauth_password_file),
            ("rest_key_file", settings.rest_key_file),
        )
        if file is not None
    }
    if found:
        raise ConfigError([(f"registers.{name}", what) for what in found])
    hypa = Hypa(
        address=settings.address,
        client_id=settings.client_id,
        api_key=keys["api_key_file"],
        oauth_password=keys["oauth_password_file"],
        rest_key=keys.get("rest_key_file"),
        http=http(cap=_CAP),
    )
    return Valtuudet(name=name, settings=settings, hypa=hypa)


def _key(setting: str, file: str, found: list[str]) -> str:
    """Return what a key file holds; note what is wrong with it."""
    try:
        key = Path(file).read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        found.append(f"{setting} cannot be read ({type(error).__name__})")
        return ""
    if not key:
        found.append(f"{setting} is empty")
    return key


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begun:
    """Somebody who is away to choose: whose session at the register, and where it brings them back."""

    person: str
    session: str = field(repr=False)
    return_url: str


_codec = Codec(_Begun)


@dataclass(frozen=True, slots=True, kw_only=True)
class Valtuudet:
    """The register. What was chosen is good for its stated life; then it is asked again without a page, if it may be.

    Without the interface for that (`rest_key_file`) nothing can be renewed: `about` knows nothing, and what acts on
    this register's word ends when that is no longer good.
    """

    name: str
    settings: Settings
    hypa: Hypa
    title: str = TITLE

    @property
    def origins(self) -> tuple[str, ...]:
        """Return where a form that leads to its page may end."""
        return (self.settings.address, *(f"https://{host}" for host in self.settings.hosts))

    def knows(self, guardian: Guardian) -> bool:
        """Tell whether it can know somebody: only who has a Finnish number."""
        return _hetu(guardian) is not None

    def wards(self, _guardian: Guardian, _clinic: Clinic, now: datetime) -> Answer:
        """Return nobody: it tells nothing unasked."""
        return self._answer((), now)

    def about(self, guardian: Guardian, ward: NationalNumber, clinic: Clinic, now: datetime) -> Answer:
        """Return what it says of one ward, without a page; nothing where that interface is not there."""
        own = _hetu(guardian)
        if self.hypa.rest_key is None or own is None or ward.kind != HETU or ward.value == own:
            return self._answer((), now, good_until=now)
        born, day = ward.birthdate, day_of(now, clinic.zone)
        if born is not None and is_of_age(born, MAJORITY, day):
            return self._answer(self._mandates(own, ward, now), now)
        allowed = self.hypa.allowed(own, ward.value, None, now)
        return self._answer((Tie(number=ward, barred="" if allowed else NO_CUSTODY),), now)

    def leave(self, guardian: Guardian, _clinic: Clinic, return_url: str, now: datetime) -> Away:
        """Begin: return where to send the browser. Unreachable also for who has no Finnish number: nothing is asked."""
        own = _hetu(guardian)
        if own is None:
            raise Unreachable("valtuudet: the guardian has no Finnish number")
        began = self.hypa.register(own, now)
        language = guardian.language if guardian.language in _LANGUAGES else "en"
        state = _Begun(person=guardian.person, session=began.session, return_url=return_url)
        url = self.hypa.page(began.user, return_url, language)
        return Away(register=self.name, url=url, state=_codec.pack(state))

    def returned(
        self, guardian: Guardian, clinic: Clinic, away: Away, reply: Mapping[str, str], now: datetime
    ) -> Answer:
        """Return what was chosen there. Cancelled when nothing was, or the session there has expired."""
        begun = _codec.unpack(away.state)
        if begun.person != guardian.person:
            raise Untrusted("valtuudet: another person came back than left")
        with self._ended(begun.session, now):
            token = self.hypa.token(_code(reply), begun.return_url, now)
            principal = _only(self.hypa.chosen(begun.session, token, now))
            found = self._tie(begun.session, principal, token, clinic, now)
        return self._answer((found,), now)

    def _tie(self, session: str, principal: Principal, token: str, clinic: Clinic, now: datetime) -> Tie:
        try:
            number = parse(principal.person, "FI", now=day_of(now, clinic.zone))
        except NotANumber as error:
            raise Untrusted(f"valtuudet delegate: {error}") from error
        roles = self.hypa.roles(session, principal.person, token, now)
        return tie(number, principal.name, roles, family_first=self.settings.family_first)

    def _mandates(self, own: str, ward: NationalNumber, now: datetime) -> tuple[Tie, ...]:
        """Return the themes that an adult has given to somebody: each is asked for by itself.

        Without a theme nothing is asked of an adult: what such a yes would be worth is not written anywhere.
        """
        given = tuple(issue for issue in self.settings.issues if self.hypa.allowed(own, ward.value, issue, now))
        if not given:
            return ()
        return (Tie(number=ward, relation=MANDATE, basis=POWER_OF_ATTORNEY, powers=given),)

    @contextlib.contextmanager
    def _ended(self, session: str, now: datetime) -> Iterator[None]:
        """End the session there, whatever was said: its failure is logged, and hides nothing."""
        try:
            yield
        except Unreachable:
            raise  # it would not answer this either, and somebody waits
        except Exception:
            self._end(session, now)
            raise
        self._end(session, now)

    def _end(self, session: str, now: datetime) -> None:
        error = ended(self.hypa, session, now)
        if error is not None:
            _log.warning("register_session_left", register=self.name, code=error.code, detail=error.detail)

    def _answer(self, ties: tuple[Tie, ...], now: datetime, good_until: datetime | None = None) -> Answer:
        end = good_until or now + self.settings.life
        return Answer(register=self.name, ties=ties, asked_at=now, good_until=end)


def _hetu(guardian: Guardian) -> str | None:
    number = guardian.identity.number
    return number.value if number is not None and number.kind == HETU else None


def _only(principals: tuple[Principal, ...]) -> Principal:
    """Return who was chosen: a sign-in is about one person, and which of several is not ours to say."""
    if not principals:
        raise Cancelled("valtuudet delegate: nobody was chosen")
    if len(principals) > 1:
        raise Untrusted("valtuudet delegate: several were chosen")
    return principals[0]


def _code(reply: Mapping[str, str]) -> str:
    """Return the code that the browser brought. Cancelled when it brought a no."""
    code, error = reply.get("code", ""), reply.get("error")
    if error in _NOT_THE_PERSON:
        raise Unreachable(f"valtuudet authorize: {error}")
    if error is not None:
        raise Cancelled("valtuudet: nothing was chosen")
    if not 0 < len(code) <= _LONGEST_CODE:
        raise Untrusted("valtuudet: neither a code nor an error")
    return code
