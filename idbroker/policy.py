"""Rules over a Case, giving a Decision. Pure: what a rule may see is in the Case, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from idbroker.client import Client
from idbroker.clinic import Clinic
from idbroker.identity import Identity, LoA
from idbroker.request import SigninRequest
from idbroker.session import Session, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that a rule may see."""

    request: SigninRequest
    client: Client
    clinic: Clinic
    identity: Identity
    now: datetime
    sandbox: bool = False


@dataclass(frozen=True, slots=True)
class Allow:
    """The person may go on to this client."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """They may not; `reason` is a word the pages and the events have."""

    reason: str


@dataclass(frozen=True, slots=True)
class NeedStronger:
    """They may, at this level or above."""

    loa: LoA


Decision = Allow | Refuse | NeedStronger


def decide(case: Case) -> Decision:
    """Return the first decision a rule makes; a case that no rule objects to is allowed."""
    for rule in RULES:
        decision = rule(case)
        if decision is not None:
            return decision
    return Allow()


def test_number_outside_sandbox(case: Case) -> Decision | None:
    """Refuse a test person in production: their numbers and eIDs can be had by anyone."""
    number = case.identity.number
    if number is not None and number.is_test and not case.sandbox:
        return Refuse("test_person")
    return None


def provider_not_accepted(case: Case) -> Decision | None:
    """Refuse an eID that the service or its clinic does not take, however it was reached."""
    if case.identity.provider not in accepted_providers(case.client, case.clinic):
        return Refuse("provider_not_accepted")
    return None


def level_too_low(case: Case) -> Decision | None:
    """Require the level by what was received, never by what was asked (ASVS 6.8.4)."""
    if case.identity.loa < case.request.minimum:
        return NeedStronger(case.request.minimum)
    return None


RULES: tuple[Callable[[Case], Decision | None], ...] = (
    test_number_outside_sandbox,
    provider_not_accepted,
    level_too_low,
)


def accepted_providers(client: Client, clinic: Clinic) -> tuple[str, ...]:
    """Return the providers offered for a service: the clinic's, in its order, narrowed by the client's."""
    return tuple(name for name in clinic.providers if not client.providers or name in client.providers)


def session_suffices(case: Case, session: Session, settings: Settings) -> bool:
    """Tell whether the sign-on here answers the request without a new proof (Core 3.1.2.1, 3.1.2.3)."""
    request = case.request
    if not session.alive(case.now, settings) or {"login", "select_account"} & set(request.prompt):
        return False
    if request.max_age is not None and case.now - session.identity.proved_at > request.max_age:
        return False
    return isinstance(decide(case), Allow)
