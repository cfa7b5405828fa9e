"""Who may act for whom now, in the sandbox: what all its registers know, and what scripts change."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from idbroker.sandbox.sim_person import SimPerson

BARS = ("", "care_order", "no_custody", "withdrawn", "shared_out")
RELATIONS = ("custody", "grandparent", "foster", "mandate")
# What somebody's `relations` make of custody: its relation, and why the register says no.
_FROM_STORY: Mapping[str, tuple[str, str]] = {
    "child": ("custody", ""),
    "grandchild": ("grandparent", ""),
    "none": ("custody", "no_custody"),
    "in_care": ("custody", "care_order"),
}


class NoSuchPair(Exception):
    """One of the two is nobody of the cast, or they have nothing to do with one another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Custody:
    """What the registers have of two people, by their ids.

    `barred` is why the guardian may not act, `until` the first day on which it does not hold. `protected` and
    `deceased` are the ward's, whoever asks.
    """

    guardian: str
    ward: str
    relation: str = "custody"
    barred: str = ""
    powers: tuple[str, ...] = ()
    until: date | None = None
    protected: bool = False
    deceased: bool = False

    @property
    def holds(self) -> bool:
        """Tell whether the register lets the guardian act, but for ages and last days."""
        return not (self.barred or self.protected or self.deceased)


class Custodies:
    """The custody of the whole cast; several threads may ask and change it."""

    def __init__(self, people: Iterable[SimPerson]) -> None:
        self._people = {person.id: person for person in people}
        self._lock = threading.Lock()
        self._now: Mapping[tuple[str, str], Custody] = {
            (one.guardian, one.ward): one for person in self._people.values() for one in self._story(person)
        }

    def all(self) -> tuple[Custody, ...]:
        """Return every pair, guardians in the order of the cast."""
        return tuple(self._now.values())

    def wards_of(self, guardian: str) -> tuple[Custody, ...]:
        """Return everybody that a guardian has to do with, those that they may not act for among them."""
        return tuple(one for one in self._now.values() if one.guardian == guardian)

    def guardians_of(self, ward: str) -> tuple[Custody, ...]:
        """Return everybody who has to do with a ward."""
        return tuple(one for one in self._now.values() if one.ward == ward)

    def between(self, guardian: str, ward: str) -> Custody | None:
        """Return what the registers have of these two, or None."""
        return self._now.get((guardian, ward))

    def change(self, guardian: str, ward: str, wish: Mapping[str, Any]) -> Custody:
        """Change custody as a JSON object says: `barred`, `until`, `powers`, `relation`, `protected`, `deceased`.

        `relation` makes two people of the cast a pair. Raises NoSuchPair, and ValueError in words for the caller.
        """
        settings = _checked(wish)
        with self._lock:
            before = self._now.get((guardian, ward)) or self._new(guardian, ward, settings)
            after = replace(before, **settings)
            of_ward = {name: settings[name] for name in ("protected", "deceased") if name in settings}
            others = {
                pair: replace(one, **of_ward) if of_ward and one.ward == ward else one
                for pair, one in self._now.items()
            }
            self._now = {**others, (guardian, ward): after}
        return after

    def _new(self, guardian: str, ward: str, settings: Mapping[str, Any]) -> Custody:
        if "relation" not in settings or guardian == ward or not {guardian, ward} <= {*self._people}:
            raise NoSuchPair
        known = self.guardians_of(ward)
        child = self._people[ward]
        return Custody(
            guardian=guardian,
            ward=ward,
            protected=known[0].protected if known else child.protected,
            deceased=known[0].deceased if known else child.deceased,
        )

    def _story(self, guardian: SimPerson) -> Iterable[Custody]:
        for ward, what in guardian.relations.items():
            # A power of attorney (`principal`) is told by the eID, not by these registers.
            if what in _FROM_STORY and self._is_younger(ward, guardian):
                relation, barred = _FROM_STORY[what]
                child = self._people[ward]
                yield Custody(
                    guardian=guardian.id,
                    ward=ward,
                    relation=relation,
                    barred=barred,
                    protected=child.protected,
                    deceased=child.deceased,
                )

    def _is_younger(self, ward: str, guardian: SimPerson) -> bool:
        """Tell who of the two is the ward: `none` and `in_care` stand on both sides."""
        return ward in self._people and self._people[ward].born > guardian.born


def _checked(wish: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(wish) - {"barred", "until", "powers", "relation", "protected", "deceased"})
    if unknown:
        raise ValueError(
            f"unknown setting {unknown[0][:40]!r}: barred, until, powers, relation, protected and deceased are known"
        )
    if not wish:
        raise ValueError('send what is to change, like {"barred": "care_order"}, or {"barred": ""}')
    return {name: _CHECKS[name](value) for name, value in wish.items()}


def _barred(value: Any) -> str:
    if not isinstance(value, str) or value not in BARS:
        raise ValueError(f"barred is one of {', '.join(BARS[1:])}, or nothing")
    return value


def _relation(value: Any) -> str:
    if not isinstance(value, str) or value not in RELATIONS:
        raise ValueError(f"relation is one of {', '.join(RELATIONS)}")
    return value


def _until(value: Any) -> date | None:
    try:
        return None if value is None else date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise ValueError("until is a day, like 2026-12-31, or null") from error


def _powers(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError("powers is a list of words")
    return tuple(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("protected and deceased are true or false")
    return value


_CHECKS = {
    "barred": _barred, "until": _until, "powers": _powers, "relation": _relation, "protected": _flag, "deceased": _flag,
}  # fmt: skip
