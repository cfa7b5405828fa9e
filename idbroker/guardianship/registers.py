"""All registers that a clinic asks, as one: what they know of a guardian, and which of them did not answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from idbroker.clinic import Clinic
from idbroker.errors import NotFound, ProviderError, Unreachable
from idbroker.guardianship.tie import Answer, Elsewhere, Guardian, Register
from idbroker.keeping import Shelf
from idbroker.numbers import NationalNumber

_log = structlog.get_logger("idbroker.guardianship")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the registers said, and the names of those that did not answer: `silent` are those that said nothing at all.

    The others of `down` answered, and what they said of this guardian and ward is not to be believed.
    """

    answers: tuple[Answer, ...] = ()
    down: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()


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
        return self._all(self._of(clinic), clinic, guardian, "", now, lambda one: one.wards(guardian, clinic, now))

    def about(self, guardian: Guardian, ward: NationalNumber, clinic: Clinic, now: datetime) -> Found:
        """Return what every register of the clinic says of a guardian and one ward."""
        registers = self._of(clinic)
        return self._all(registers, clinic, guardian, ward.key, now, lambda one: one.about(guardian, ward, clinic, now))

    def chosen(self, answer: Answer, guardian: Guardian, clinic: Clinic, now: datetime) -> Found:
        """Take what was chosen at a register's own page, and ask all others about the same wards: any of them may bar.

        It is kept for its stated life, as what was asked is.
        """
        wards = dict.fromkeys(tie.number for tie in answer.ties if tie.number is not None)
        for number in wards:
            own = replace(answer, ties=tuple(tie for tie in answer.ties if tie.number == number))
            self._keep(_name(answer.register, clinic, guardian, number.key), own, now)
        found = [self.about(guardian, number, clinic, now) for number in wards]
        others = (other for one in found for other in one.answers if other.register != answer.register)
        down = dict.fromkeys(name for one in found for name in one.down)
        silent = dict.fromkeys(name for one in found for name in one.silent)
        return Found(answers=(answer, *others), down=tuple(down), silent=tuple(silent))

    def only(self, name: str) -> Registers:
        """Return the same with one register of the configuration alone."""
        return replace(self, always=(), elsewhere={}, by_name={name: self.by_name[name]})

    def unheard(self, found: Found, guardian: Guardian, ward: NationalNumber, clinic: Clinic, now: datetime) -> Found:
        """Return what those say of one ward who did not name it unasked: they may bar it all the same.

        The attack: a parent without custody presses the child that an old note offers, and the register that would
        say no tells nothing until it is asked about that child.
        """
        heard = {answer.register for answer in found.answers if any(tie.number == ward for tie in answer.ties)}
        others = tuple(one for one in self._of(clinic) if one.name not in heard)
        return self._all(others, clinic, guardian, ward.key, now, lambda one: one.about(guardian, ward, clinic, now))

    def pages(self, clinic: Clinic, guardian: Guardian) -> tuple[Elsewhere, ...]:
        """Return the clinic's registers that have people choose at a page of their own, and can know this one."""
        return tuple(one for one in self._pages(clinic) if one.knows(guardian))

    def page(self, name: str) -> Elsewhere:
        """Return one of them. NotFound when the configuration has it no more."""
        found = self.elsewhere.get(name)
        if found is None:
            raise NotFound("no such register")
        return found

    def _of(self, clinic: Clinic) -> tuple[Register, ...]:
        named = (*(self.by_name.get(name) for name in clinic.registers), *self._pages(clinic))
        return (*self.always, *(one for one in named if one is not None))

    def _pages(self, clinic: Clinic) -> tuple[Elsewhere, ...]:
        return tuple(self.elsewhere[name] for name in clinic.registers if name in self.elsewhere)

    def _all(
        self,
        registers: tuple[Register, ...],
        clinic: Clinic,
        guardian: Guardian,
        about: str,
        now: datetime,
        ask: Callable[[Register], Answer],
    ) -> Found:
        answers: list[Answer] = []
        down: dict[str, bool] = {}
        for register in registers:
            try:
                answers.append(self._kept_or_asked(register, clinic, guardian, about, now, ask))
            except ProviderError as error:
                # Whoever is not vouched for now is not vouched for: the page says whom to call.
                _log.warning("register_failed", register=register.name, code=error.code, detail=error.detail)
                down[register.name] = isinstance(error, Unreachable)
        silent = tuple(name for name, is_silent in down.items() if is_silent)
        return Found(answers=tuple(answers), down=tuple(down), silent=silent)

    def _kept_or_asked(
        self,
        register: Register,
        clinic: Clinic,
        guardian: Guardian,
        about: str,
        now: datetime,
        ask: Callable[[Register], Answer],
    ) -> Answer:
        name = _name(register.name, clinic, guardian, about)
        kept = self.kept.get(name)
        if kept is not None and kept.value.asked_at <= now < kept.value.good_until:
            return kept.value
        answer = ask(register)
        self._keep(name, answer, now)
        return answer

    def _keep(self, name: str, answer: Answer, now: datetime) -> None:
        if answer.good_until > now:
            self.kept.put(name, answer, answer.good_until - now)


def _name(register: str, clinic: Clinic, guardian: Guardian, about: str) -> str:
    """Return what an answer is kept by: whose, to which clinic, of whom, about whom."""
    return hashlib.sha256(f"{register}\n{clinic.id}\n{guardian.person}\n{about}".encode()).hexdigest()
