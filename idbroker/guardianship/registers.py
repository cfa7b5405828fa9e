"""All registers that a clinic asks, as one: what they know of a guardian, and which of them did not answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from idbroker.clinic import Clinic
from idbroker.errors import NotFound, ProviderError
from idbroker.guardianship.tie import Answer, Elsewhere, Guardian, Register
from idbroker.keeping import Shelf
from idbroker.numbers import NationalNumber

_log = structlog.get_logger("idbroker.guardianship")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the registers said, and the names of those that did not answer."""

    answers: tuple[Answer, ...] = ()
    down: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Registers:
    """Asks them. `always` are those that every clinic asks: its own notes, and what the eID itself has told.

    An answer is kept for the life that it states for itself, and no longer: one call for each sign-in.
    """

    always: tuple[Register, ...]
    by_name: Mapping[str, Register] = field(default_factory=dict)
    elsewhere: Mapping[str, Elsewhere] = field(default_factory=dict)
    kept: Shelf[Answer]

    def wards(self, guardian: Guardian, clinic: Clinic, now: datetime) -> Found:
        """Return what every register of the clinic says of a guardian, unasked."""
        return self._all(clinic, guardian, "", now, lambda one: one.wards(guardian, clinic, now))

    def about(self, guardian: Guardian, ward: NationalNumber, clinic: Clinic, now: datetime) -> Found:
        """Return what every register of the clinic says of a guardian and one ward."""
        return self._all(clinic, guardian, ward.key, now, lambda one: one.about(guardian, ward, clinic, now))

    def pages(self, clinic: Clinic) -> tuple[Elsewhere, ...]:
        """Return the clinic's registers that have people choose at a page of their own."""
        return tuple(self.elsewhere[name] for name in clinic.registers if name in self.elsewhere)

    def page(self, name: str) -> Elsewhere:
        """Return one of them. NotFound when the configuration has it no more."""
        found = self.elsewhere.get(name)
        if found is None:
            raise NotFound("no such register")
        return found

    def _of(self, clinic: Clinic) -> tuple[Register, ...]:
        named = (*(self.by_name.get(name) for name in clinic.registers), *self.pages(clinic))
        return (*self.always, *(one for one in named if one is not None))

    def _all(
        self, clinic: Clinic, guardian: Guardian, about: str, now: datetime, ask: Callable[[Register], Answer]
    ) -> Found:
        answers: list[Answer] = []
        down: list[str] = []
        for register in self._of(clinic):
            try:
                answers.append(self._kept_or_asked(register, clinic, guardian, about, now, ask))
            except ProviderError as error:
                # Whoever is not vouched for now is not vouched for: the page says whom to call.
                _log.warning("register_failed", register=register.name, code=error.code, detail=error.detail)
                down.append(register.name)
        return Found(answers=tuple(answers), down=tuple(down))

    def _kept_or_asked(
        self,
        register: Register,
        clinic: Clinic,
        guardian: Guardian,
        about: str,
        now: datetime,
        ask: Callable[[Register], Answer],
    ) -> Answer:
        name = hashlib.sha256(f"{register.name}\n{clinic.id}\n{guardian.person}\n{about}".encode()).hexdigest()
        kept = self.kept.get(name)
        if kept is not None and kept.value.asked_at <= now < kept.value.good_until:
            return kept.value
        answer = ask(register)
        if answer.good_until > now:
            self.kept.put(name, answer, answer.good_until - now)
        return answer
