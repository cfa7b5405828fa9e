"""Forms that patients fill in at a portal: a few questions, and a receipt."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

MOST_RECEIPTS = 1000
LONGEST_WORDS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question: with `choices` one of them is to be chosen, without any there is room for words, or for none."""

    name: str
    label: str
    choices: tuple[str, ...] = ()

    def answered(self, typed: str) -> str | None:
        """Return the answer in words; None if there is none, or it is no choice of ours."""
        if not self.choices:
            return typed.strip()[:LONGEST_WORDS]
        return self.choices[int(typed)] if typed.isdecimal() and int(typed) < len(self.choices) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A form was sent: when, and the answers' numbers or words, by question."""

    at: datetime
    typed: Mapping[str, str] = field(repr=False)


class Receipts:
    """What people have sent, each form's newest, by the person (`sub`) and the door."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], Receipt] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, person: str, door: str) -> Receipt | None:
        """Return one."""
        return self._kept.get((person, door))

    def keep(self, person: str, door: str, receipt: Receipt) -> None:
        """Keep one in the place of an earlier one."""
        with self._lock:
            self._kept[person, door] = receipt
            self._kept.move_to_end((person, door))
            while len(self._kept) > MOST_RECEIPTS:
                self._kept.popitem(last=False)
