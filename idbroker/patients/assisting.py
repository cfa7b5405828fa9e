"""Staff help a patient to sign in: by a code that pairs the clinic's tablet, or with their own credentials on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from idbroker.identity import Identity
from idbroker.numbers import NationalNumber
from idbroker.patients.patient import NotDone, Patient
from idbroker.staff.member import Actor

CODE_LIFE = timedelta(minutes=5)
CODE_TRIES = 5  # of one tablet; and of one code, whoever tries
LIFE = timedelta(minutes=30)
IDLE = timedelta(minutes=2)
PROVIDER = "assisted"
AMR = ("staff-assisted",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """Help that was begun: for whom, by whom, at which service.

    `state` is `open` (its code waits), `given` (a tablet has it), `running`, `ended` or `refused` ("that is not me").
    """

    id: str
    actor: Actor
    person: str
    handle: str
    client: str
    checked: str
    reason: str = field(repr=False)
    state: str = "open"
    session: str = ""
    begun_at: datetime
    until: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """Help begins: the code to type on the tablet, six digits, shown once."""

    pairing: Pairing
    code: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Whom the tablet asks whether it is them."""

    pairing: Pairing
    name: str = field(repr=False)
    year: int | None


class Assisting:
    """Begins and ends it. Every method may raise StoreError; NotFound for what is not there.

    A sign-in that staff made is of level low, for one service, for thirty minutes; the patient is told of each.
    """

    def begin(
        self, actor: Actor, handle: str, client_id: str, checked: str, reason: str, now: datetime
    ) -> Begun | NotDone:
        """Make a pairing code for a patient of this clinic, at a service that takes such sign-ins."""
        raise NotImplementedError

    def claim(self, typed: str, tablet: str, now: datetime) -> Given | None:
        """Take a code's pairing for a tablet (its cookie's secret): once. None for a wrong or spent code, or too many.

        Codes are counted before they are compared, by tablet, by address and by code.
        """
        raise NotImplementedError

    def accept(self, pairing: str, tablet: str, now: datetime) -> Identity:
        """Return who signs in there, now that the patient has said that it is them; once."""
        raise NotImplementedError

    def refuse(self, pairing: str, tablet: str, now: datetime) -> None:
        """End it: it is somebody else."""
        raise NotImplementedError

    def ended(self, session: str, now: datetime) -> None:
        """Note that the sign-on (its key) of a pairing has ended."""
        raise NotImplementedError

    def look(self, actor: Actor, pairing: str) -> Pairing:
        """Return how it is, for the staff's screen."""
        raise NotImplementedError

    def end(self, actor: Actor, pairing: str, now: datetime) -> None:
        """End a running one from the staff's screen."""
        raise NotImplementedError

    def vouch(self, actor: Actor, number: NationalNumber, client_id: str, now: datetime) -> Identity | NotDone:
        """Return who signs in on this very screen, where staff have signed in themselves (the clinic has set it)."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSuchPatient:
    """There is none of that number at this clinic."""

    number: NationalNumber = field(repr=False)
    patient: Patient | None = None
