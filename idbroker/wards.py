"""What guardianship needs, put together: the registers, the question of who it is about, and what watches over both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from idbroker.errors import ConfigError
from idbroker.guardianship.delegation import Delegations
from idbroker.guardianship.judging import Judging
from idbroker.guardianship.kinds import kind
from idbroker.guardianship.local import LocalRegister
from idbroker.guardianship.powers import Powers
from idbroker.guardianship.records import Guardianships
from idbroker.guardianship.registers import Registers
from idbroker.guardianship.tie import Answer
from idbroker.guardianship.who import Who
from idbroker.keeping import Shelf
from idbroker.otp.throttle import Limit, Throttle
from idbroker.person import pairwise_subject
from idbroker.rooms import Given
from idbroker.visit import Visit

_TYPED = Limit(most=10, per=timedelta(hours=1))  # numbers of children that one person types


@dataclass(frozen=True, kw_only=True)
class Wards:
    """All of it."""

    registers: Registers
    judging: Judging
    guardianships: Guardianships
    delegations: Delegations
    who: Who


def open_wards(
    given: Given,
    throttle: Throttle,
    guardianships: Guardianships,
    delegations: Delegations,
    subject_secret: Callable[[], bytes],
) -> Wards:
    """Return it. ConfigError for registers whose settings cannot work."""
    named = _named(given)
    registers = Registers(
        always=(LocalRegister(rows=guardianships, records=given.records), Powers()),
        by_name={name: one for name, one in named.items() if not hasattr(one, "leave")},
        elsewhere={name: one for name, one in named.items() if hasattr(one, "leave")},
        kept=Shelf(given.sealed, "G", Answer),
    )
    judging = Judging(registers=registers, records=given.records)
    who = Who(
        judging=judging,
        events=given.events,
        subject=lambda person, visit: pairwise_subject(subject_secret(), visit.client.subject_sector, person),
        may_try=lambda person, visit: _may_try(throttle, person, visit),
        return_url=lambda name: f"{given.settings.server.issuer}/callback/{name}",
    )
    return Wards(registers=registers, judging=judging, guardianships=guardianships, delegations=delegations, who=who)


def _may_try(throttle: Throttle, person: str, visit: Visit) -> bool:
    """Count a number that somebody typed: whose child is whose is not to be found out by trying."""
    return isinstance(throttle.spend(f"ward {person}", _TYPED, pause=_TYPED.per, now=visit.now), int)


def _named(given: Given) -> dict[str, Any]:
    """Return every register of the configuration, by name. ConfigError with all that is wrong with any."""
    made: dict[str, Any] = {}
    mistakes: list[tuple[str, str]] = []
    for name, table in given.settings.registers.items():
        try:
            made[name] = kind(table.kind).make(name, table.settings, given.http)
        except ConfigError as error:
            mistakes += error.mistakes
    if mistakes:
        raise ConfigError(mistakes)
    return made
