"""Rules over a Case, giving a Decision. Pure: what a rule may see is in the Case, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from idbroker.ages import age_on, comes_of_age, day_of
from idbroker.client import Client
from idbroker.clinic import Clinic
from idbroker.grant import wants_number
from idbroker.guardianship.rules import by_password, may_enter
from idbroker.identity import Identity, LoA
from idbroker.request import SigninRequest
from idbroker.session import Session, Settings

SKEW = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that a rule may see."""

    request: SigninRequest
    client: Client
    clinic: Clinic
    identity: Identity
    now: datetime
    test_people: bool = False


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


def test_person(case: Case) -> Decision | None:
    """Refuse a test person where real ones sign in: their numbers and eIDs can be had by anyone.

    Only where the number tells for certain. In Sweden it never does: every range that test numbers
    are in was also given to people (docs/decisions/0012), and nobody may be turned away for it.
    There it is the eID's own environment, and its signature, that keeps test people out.
    """
    number = case.identity.number
    if number is not None and number.is_test and not case.test_people:
        return Refuse("test_person")
    return None


def provider_not_accepted(case: Case) -> Decision | None:
    """Refuse an eID that the service or its clinic does not take, however it was reached."""
    paired = case.identity.assisted is not None and not case.identity.assisted.screen
    if paired:
        return None  # no way that a page offers: the clinic's staff have begun it (assisted_elsewhere)
    if case.identity.provider not in accepted_providers(case.client, case.clinic):
        return Refuse("provider_not_accepted")
    return None


def assisted_elsewhere(case: Case) -> Decision | None:
    """Keep a sign-in by staff to the one service it was made for, and to services that take such.

    Stops a tablet left open at one form from opening the patient's other services.
    """
    assisted = case.identity.assisted
    if assisted is None:
        return None
    here = (case.client.id, case.clinic.id) == (assisted.client, assisted.clinic)
    return None if here and case.client.assisted != "never" else Refuse("assisted_elsewhere")


def too_young(case: Case) -> Decision | None:
    """Refuse a child who signs in themselves in a way that is not theirs yet (docs/decisions/0029).

    Of whom no age is known nothing is said here: it is the eIDs' issuers who keep children out of those, and refusing
    everybody whose eID tells no birth date would refuse grown people. What acts for a child asks for its age always.
    That guardians act at a service too changes nothing for the child. Staff who vouch for a child see it.
    """
    born = case.identity.born
    if born is None or case.identity.assisted is not None:
        return None
    limits, day = case.clinic.limits.but(case.client.ages), day_of(case.now, case.clinic.zone)
    allowed = may_enter(limits, age_on(born, day), by_eid=not by_password(case.identity))
    return None if allowed else Refuse("too_young")


def outgrown(case: Case) -> Decision | None:
    """Let what a child proved by password before its birthday count no more on that day.

    The attack: a guardian who has the password waits on a page past midnight, and goes on as a grown person.
    """
    born = case.identity.born
    if born is None or not by_password(case.identity):
        return None
    grown = comes_of_age(born, case.clinic.limits.but(case.client.ages).code_until)
    proved, day = (day_of(at, case.clinic.zone) for at in (case.identity.proved_at, case.now))
    return Refuse("outgrown") if proved < grown <= day else None


def level_too_low(case: Case) -> Decision | None:
    """Require the level by what was received, never by what was asked (ASVS 6.8.4)."""
    if case.identity.loa < case.request.minimum:
        return NeedStronger(case.request.minimum)
    return None


def proof_too_old(case: Case) -> Decision | None:
    """Require that the person acted for this request, or recently enough for it (Core 3.1.2.1; ASVS 6.8.4).

    An eID that answers from a session of its own, though asked not to, would make `prompt=login`
    mean nothing. Sixty seconds are forgiven: its clock is not ours.
    """
    request, acted = case.request, case.identity.proved_at
    fresh = bool({"login", "select_account"} & set(request.prompt))
    age = timedelta() if fresh else request.max_age
    if age is not None and acted + age < request.received_at - SKEW:
        return Refuse("proof_too_old")
    return None


RULES: tuple[Callable[[Case], Decision | None], ...] = (
    test_person,
    provider_not_accepted,
    assisted_elsewhere,
    too_young,
    outgrown,
    proof_too_old,
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
    # At the very moment, too: max_age=0 always asks for a new proof.
    if session.identity.number is None and wants_number(case.client, request):
        return False  # the sign-on was made for a service that did not ask for it
    if request.max_age is not None and case.now - session.identity.proved_at >= request.max_age:
        return False
    return isinstance(decide(case), Allow)
