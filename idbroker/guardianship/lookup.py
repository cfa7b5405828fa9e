"""A register of a region's or a hospital's own, asked over HTTPS in a small protocol of ours (docs/registers.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import structlog

from idbroker.ages import day_of
from idbroker.clinic import Clinic
from idbroker.errors import ConfigError, Unreachable, Untrusted
from idbroker.guardianship._lookup import Told, read
from idbroker.guardianship.tie import Answer, Guardian, Register
from idbroker.numbers import NationalNumber

Http = Callable[..., requests.Session]

_TIMEOUT = (3.05, 5.0)  # seconds to connect, and for each read: somebody waits
_WHOLE = timedelta(seconds=8)
_LONGEST_TOKEN = 4096
_SOONEST, _LATEST = timedelta(minutes=1), timedelta(days=7)
_log = structlog.get_logger("idbroker.guardianship")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`[registers.NAME]` of the kind `lookup`: its address, and the file with the token that it knows us by.

    `ask_again` is how often it may be asked about a child whose guardian a clinic has approved, with nobody there.
    """

    address: str
    token_file: str
    ask_again: timedelta = timedelta(days=1)


def mistakes(settings: Settings) -> tuple[str, ...]:
    """Return what is wrong with the settings."""
    try:
        parts = urlsplit(settings.address)
        host = parts.hostname
    except ValueError:
        return ("address must be an address, like https://register.example.org/guardians",)
    # Who is whose child would be read by whoever is on the way, and the token with it.
    safe = parts.scheme == "https" or (parts.scheme == "http" and _is_here(host))
    plain = bool(host) and parts.username is None and not parts.fragment and settings.address.isprintable()
    checks = {
        "address must be https (http only on localhost)": safe,
        "address must be an address, like https://register.example.org/guardians": plain,
        "ask_again must be 1 min to 7 days": _SOONEST <= settings.ask_again <= _LATEST,
    }
    return tuple(what for what, good in checks.items() if not good)


def make(name: str, settings: Settings, http: Http) -> Register:
    """Return the register. ConfigError for a token that does not read: it is read once."""
    session = http(timeout=_TIMEOUT, deadline=_WHOLE)
    return LookupRegister(name=name, address=settings.address, token=_token(name, settings.token_file), session=session)


@dataclass(frozen=True, kw_only=True)
class LookupRegister:
    """Asks one register. Numbers stand in the body, never in a URL, which others write down."""

    name: str
    address: str
    token: str = field(repr=False)
    session: requests.Session = field(repr=False)

    def wards(self, guardian: Guardian, clinic: Clinic, now: datetime) -> Answer:
        """Return everybody that the register has for a guardian. Unreachable and Untrusted are its failures."""
        return self._asked(guardian, None, clinic, now)

    def about(self, guardian: Guardian, ward: NationalNumber, clinic: Clinic, now: datetime) -> Answer:
        """Return what it has of a guardian and one ward: nothing else that it may say is looked at.

        Untrusted where nothing it says of this ward can be believed: to be silent of them would be a yes to whoever
        else says yes. So a ward that is left out of `wards` is in doubt until the register is mended.
        """
        return self._asked(guardian, ward, clinic, now)

    def _asked(self, guardian: Guardian, ward: NationalNumber | None, clinic: Clinic, now: datetime) -> Answer:
        number = guardian.identity.number
        if number is None:  # nobody that a register knows
            return Answer(register=self.name, asked_at=now, good_until=now)
        question = {"guardian": _named(number), **({} if ward is None else {"ward": _named(ward)})}
        told = read(self._sent(question), day_of(now, clinic.zone))
        if ward is None:
            self._warn(told)
            return Answer(register=self.name, ties=told.ties, asked_at=now, good_until=now + told.life)
        if ward in told.doubtful:
            raise Untrusted("a birth date that is not the number's")
        ties = tuple(tie for tie in told.ties if tie.number == ward)
        return Answer(register=self.name, ties=ties, asked_at=now, good_until=now + told.life)

    def _warn(self, told: Told) -> None:
        """Have the operator told that somebody was left out; who it is the register's own people can find."""
        if told.doubtful:
            _log.warning("register_ward_doubtful", register=self.name, wards=len(told.doubtful))

    def _sent(self, question: Mapping[str, Any]) -> bytes:
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        try:
            response = self.session.post(self.address, json=question, headers=headers)
        except requests.RequestException as error:
            raise Unreachable(type(error).__name__) from error
        if response.status_code != requests.codes.ok:
            raise Unreachable(f"HTTP {response.status_code}")
        if response.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
            raise Untrusted("an answer that is no JSON")
        return response.content


def _named(number: NationalNumber) -> dict[str, str]:
    return {"country": number.country, "number": number.value}


def _token(name: str, file: str) -> str:
    try:
        token = Path(file).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([(f"registers.{name}", f"token_file does not read: {file}")]) from error
    # It stands in a header: a line more would be another header.
    if not 0 < len(token) <= _LONGEST_TOKEN or not token.isprintable() or " " in token:
        raise ConfigError([(f"registers.{name}", "token_file must hold one token, on one line")])
    return token


def _is_here(host: str | None) -> bool:
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False
