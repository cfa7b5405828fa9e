"""What a portal's pages show of a login: who it is, whom it is about, until when, and what the tokens say."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from idbroker.sandbox.explain import claims, level, methods
from idbroker.sandbox.portal.doors import Service
from idbroker.sandbox.portal.relying import Login

MOST_NAMES = 1000


class Names:
    """The names of those who have logged in for themselves: a token says who acts by their `sub`, and no more."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def learn(self, login: Login) -> None:
        """Remember whom a login is about."""
        with self._lock:
            self._kept[str(login.claims["sub"])] = login.name
            while len(self._kept) > MOST_NAMES:
                self._kept.popitem(last=False)

    def of(self, subject: str) -> str:
        """Return somebody's name; "" for who never logged in here for themselves."""
        return self._kept.get(subject, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Acts:
    """Somebody acts for another: who, as far as the portal knows them, by which right, and until when."""

    actor: str = field(repr=False)
    name: str = field(repr=False)
    relation: str
    basis: str
    powers: tuple[str, ...]
    ends: datetime
    until: str


def clock_of(service: Service) -> Callable[..., str]:
    """Return what spells moments as the clocks do where a portal is."""

    def said(moment: datetime, *, day: bool = False) -> str:
        """Return a moment as the clocks there show it."""
        time = "%H:%M" if service.language == "en" else "%H.%M"
        return f"{moment.astimezone(ZoneInfo(service.zone)):{service.room['day'] if day else time}}"

    return said


def shown(login: Login, service: Service, names: Names, now: datetime) -> dict[str, object]:
    """Return what templates show of a login."""
    said = login.claims
    ways = [str(way) for way in said.get("amr", ())]
    return {
        "acr": str(said.get("acr", "")),
        "level": level(str(said.get("acr", ""))),
        "amr": " ".join(ways),
        "ways": methods(ways),
        "moment": clock_of(service)(datetime.fromtimestamp(said.get("auth_time", said["iat"]), UTC)),
        "tables": (claims(said, "ID token"), claims(login.userinfo, "Userinfo")),
        "acting": _acts(login, service, names),
        "own_until": _own_until(login, service, now),
    }


def _acts(login: Login, service: Service, names: Names) -> Acts | None:
    """Return who acts here, if anybody does: where `guardianship` is, `sub` is somebody else than who logged in."""
    right = login.claims.get("guardianship")
    if not isinstance(right, dict):
        return None
    actor, ends = str(login.claims["act"]["sub"]), datetime.fromtimestamp(right["until"], UTC)
    return Acts(
        actor=actor,
        name=names.of(actor),
        relation=str(right["relation"]),
        basis=str(right["basis"]),
        powers=tuple(map(str, right["powers"])),
        ends=ends,
        until=f"{ends.astimezone(ZoneInfo(service.zone)):{service.words['day']}}",
    )


def _own_until(login: Login, service: Service, now: datetime) -> str:
    """Return the birthday on which a child's own login ends, where that is to come; "" otherwise."""
    born = login.userinfo.get("birthdate")
    if service.own_until is None or not born or "guardianship" in login.claims:
        return ""
    birth = date.fromisoformat(born)
    grown = birth.year + service.own_until
    try:
        birthday = birth.replace(year=grown)
    except ValueError:  # born on 29 February
        birthday = date(grown, 3, 1)
    return "" if now.astimezone(ZoneInfo(service.zone)).date() >= birthday else f"{birthday:%-d.%-m.%Y}"
