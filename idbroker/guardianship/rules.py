"""Who may act for whom, and who may enter by which way at which age. Pure: all that a rule may see is handed to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from idbroker.ages import MAJORITY, Ages, comes_of_age, day_of, first_minute, is_of_age
from idbroker.guardianship.tie import MANDATE, Tie
from idbroker.identity import Identity, LoA

LONGEST = timedelta(days=1)  # no sign-on lives longer; a right that has no end is asked for again


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Somebody wants to act for somebody.

    `loa` and `guardian_born` are of who signed in. `taken` says that the clinic takes the ward as its patient, and
    `mandates` are the powers of attorney that it accepts.
    """

    tie: Tie
    loa: LoA
    guardian_born: date | None
    limits: Ages
    mandates: tuple[str, ...]
    taken: bool
    now: datetime
    zone: tzinfo

    @property
    def day(self) -> date:
        """Return which day it is where the clinic is."""
        return day_of(self.now, self.zone)


@dataclass(frozen=True, slots=True)
class May:
    """They may, until a moment."""

    until: datetime


@dataclass(frozen=True, slots=True)
class MayNot:
    """They may not. `reason` is for the trail: nobody is ever told it (pages.md D11)."""

    reason: str


def judge(claim: Claim) -> May | MayNot:
    """Return whether a guardian may act for a ward, and until when."""
    for rule in RULES:
        reason = rule(claim)
        if reason:
            return MayNot(reason)
    return May(_until(claim))


def level_too_low(claim: Claim) -> str:
    """Require an eID of the guardian's own: a password that somebody was sent opens nobody else's affairs."""
    return "level" if claim.loa < LoA.SUBSTANTIAL else ""


def guardian_minor(claim: Claim) -> str:
    """Require that the guardian is of age, and that this is known."""
    born = claim.guardian_born
    return "" if born is not None and is_of_age(born, MAJORITY, claim.day) else "guardian_age"


def register_says_no(claim: Claim) -> str:
    """Believe a register that says no: no custody, a care order, a right withdrawn."""
    return claim.tie.barred


def ward_died(claim: Claim) -> str:
    """Let nobody act for the dead."""
    return "deceased" if claim.tie.deceased else ""


def ward_protected(claim: Claim) -> str:
    """Keep a ward whose name and address are protected out of everybody's list.

    The attack: a parent from whom a child is hidden learns from the service where it is.
    """
    return "protected" if claim.tie.protected else ""


def outgrown(claim: Claim) -> str:
    """End custody at 00:00 of the birthday; somebody whose age cannot be seen is nobody's child."""
    if claim.tie.relation == MANDATE:
        return ""
    if not claim.limits.guardian_until:
        return "no_guardians"
    grown = _grown(claim)
    return "age" if grown is None or claim.day >= grown else ""


def lapsed(claim: Claim) -> str:
    """Honour the register's own last day."""
    return "lapsed" if claim.tie.until is not None and claim.day >= claim.tie.until else ""


def mandate_not_accepted(claim: Claim) -> str:
    """Accept a power of attorney only for what the clinic has said it takes."""
    if claim.tie.relation != MANDATE:
        return ""
    return "" if set(claim.tie.powers) & set(claim.mandates) else "mandate"


def not_a_patient(claim: Claim) -> str:
    """Act only for somebody whom the clinic takes."""
    return "" if claim.taken else "not_a_patient"


RULES: tuple[Callable[[Claim], str], ...] = (
    level_too_low,
    guardian_minor,
    register_says_no,
    ward_died,
    ward_protected,
    outgrown,
    lapsed,
    mandate_not_accepted,
    not_a_patient,
)


def _grown(claim: Claim) -> date | None:
    """Return the birthday from which custody holds no more; None for a mandate, and where no age can be seen."""
    born = claim.tie.born if claim.tie.relation != MANDATE else None
    return None if born is None else comes_of_age(born, claim.limits.guardian_until)


def _until(claim: Claim) -> datetime:
    days = (day for day in (_grown(claim), claim.tie.until) if day is not None)
    return min([claim.now + LONGEST, *(first_minute(day, claim.zone) for day in days)])


# ---- signing in oneself ------------------------------------------------------------------------------


def may_enter(limits: Ages, age: int, *, by_eid: bool) -> bool:
    """Tell whether somebody of an age signs in themselves: by an eID of their own, or by password and code."""
    if age >= limits.eid_from:
        return True
    return not by_eid and age < limits.code_until


def guardian_enters(limits: Ages, age: int) -> bool:
    """Tell whether a guardian may act for somebody of an age."""
    return age < limits.guardian_until


def by_password(identity: Identity) -> bool:
    """Tell whether a proof is number, password and code, which a guardian may have set up: no eID, and not staff."""
    # An eID may prove the level low too; it says when it told us, and we do not.
    return identity.loa is LoA.LOW and identity.upstream_issued is None and identity.assisted is None


def own_end(identity: Identity, limits: Ages, now: datetime, zone: tzinfo) -> datetime | None:
    """Return when a child's own sign-in by password ends by itself: local midnight of the birthday; None for others.

    The attack: a guardian who knows the password of the sign-in they once set up stays signed in as a grown person.
    """
    born = identity.born
    if born is None or not by_password(identity):
        return None
    grown = comes_of_age(born, limits.code_until)
    return first_minute(grown, zone) if day_of(now, zone) < grown else None
