"""Whether whom a clinic has approved is a child's guardian still: registers are asked while that one is not here.

The attack: a court has taken custody, nobody has told the clinic, and codes and recovery letters of the child's own
sign-in go on to the mailbox that the former guardian gave for it.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from idbroker.accounts.account import Account, Enrolment, Standing
from idbroker.accounts.families import DOWN, Ending, Kinship, Word
from idbroker.accounts.records import Enrolments
from idbroker.accounts.vouching import vouched
from idbroker.events import Event, Events
from idbroker.messages.message import Later

# Is an account more than a claim, asked now, for who comes to a clinic?
Stands = Callable[[Account, Sequence[Enrolment], str, datetime], bool]
PATIENCE = 8.0  # seconds for one approval, whose registers are asked at once; then no other approval is asked about
LETTERS = 2  # that wait for registers at once: of the courier's threads for tasks others are left (messages/courier.py)


class Registers(Protocol):
    """Registers that answer while nobody is here (guardianship/absent.py). Both methods may raise StoreError."""

    def about(self, enrolment: Enrolment, account: Account, now: datetime) -> Kinship:
        """Return what those of a clinic say of the guardian it has approved and the child; `down` is not a no."""
        ...

    def soon(self, enrolment: Enrolment, now: datetime) -> None:
        """Have it asked again before long: one did not answer."""
        ...


@dataclass(kw_only=True, eq=False)
class Custody:
    """Asks, and ends what a register says no to. Every method may raise StoreError.

    `serve` it before anybody signs in: the desk, which asks, is made before the registers are.
    """

    enrolments: Enrolments
    events: Events
    ticks: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._registers: Registers | None = None
        self._ending: Ending | None = None
        self._begin_anew()
        begin = weakref.WeakMethod(self._begin_anew)
        os.register_at_fork(after_in_child=lambda: (again := begin()) and again())

    def _begin_anew(self) -> None:
        """Start with nobody waiting: a child that was forked has none of its parent's threads."""
        self._letters = threading.BoundedSemaphore(LETTERS)

    def serve(self, registers: Registers, ending: Ending) -> None:
        """Ask these from now on; `ending` ends what a clinic had approved, and all that it opened."""
        self._registers, self._ending = registers, ending

    def stands(self, account: Account, enrolments: Sequence[Enrolment], clinic: str, now: datetime) -> bool:
        """Tell whether an account is more than a claim (`vouched`) for who comes to a clinic: registers are asked.

        Nobody is asked of an account that no guardian made. Each clinic's registers speak of that clinic's approval: of
        others only where the one that they come to has none, until one stands. The attack: another clinic's register
        hangs, and by the time this one's would be asked, there is no time left to hear its no.
        """
        if account.guardian is None:
            return True
        approvals = sorted((one for one in enrolments if vouched(account, [one])), key=lambda one: one.clinic != clinic)
        begun = self.ticks()
        return any(self.ticks() - begun > PATIENCE or not self.is_over(one, account, now) for one in approvals)

    def stands_for_letter(self, account: Account, enrolments: Sequence[Enrolment], clinic: str, now: datetime) -> bool:
        """Tell the same in a task of the courier's. Later where as many wait for registers as may.

        Stops a register that hangs, and whoever asks for letters to many children meanwhile, from taking every thread
        that everybody's letters need. None is sent unasked instead: who could bring that about would be let in.
        """
        if account.guardian is None:
            return True
        room = self._letters
        if not room.acquire(blocking=False):
            raise Later("others wait for registers")
        try:
            return self.stands(account, enrolments, clinic, now)
        finally:
            room.release()

    def is_over(self, enrolment: Enrolment, account: Account, now: datetime) -> bool:
        """Tell whether a register says that an approval's guardian has custody no more; then it has ended."""
        return self.asked(enrolment, account, now).is_over

    def asked(self, enrolment: Enrolment, account: Account, now: datetime) -> Kinship:
        """Return what the registers say of one approval, and end it if that is over; one that is down ends nothing."""
        if self._registers is None or not _is_approval(enrolment, account):
            return Kinship(Word.UNSURE)
        kinship = self._registers.about(enrolment, account, now)
        if kinship.is_over:
            self._end(enrolment, kinship.reason, now)
        elif kinship.reason == DOWN:
            self._registers.soon(enrolment, now)
        return kinship

    def _end(self, enrolment: Enrolment, why: str, now: datetime) -> None:
        """End what was asked about; an approval that is newer than the question is asked about by itself."""
        there = self.enrolments.find(enrolment.person, enrolment.clinic)
        guardian = enrolment.guardian
        same = there is not None and (there.guardian, there.decided_at) == (guardian, enrolment.decided_at)
        if there is None or guardian is None or self._ending is None or not same:
            return
        self._ending(there, guardian, why, now)
        for person, told in ((there.person, {"guardian": guardian}), (guardian, {"ward": there.person})):
            detail = {"reason": why, **told}
            event = Event(at=now, kind="enrolment.refused", clinic=there.clinic, person=person, detail=detail)
            self.events.record(event)


def unasked(account: Account, enrolments: Sequence[Enrolment], _clinic: str, _now: datetime) -> bool:
    """Tell the same where no register is asked."""
    return vouched(account, enrolments)


def _is_approval(enrolment: Enrolment, account: Account) -> bool:
    """Tell whether an enrolment is the approval of the guardian who made an account."""
    approved = enrolment.standing is Standing.APPROVED and enrolment.guardian is not None
    return approved and enrolment.guardian == account.guardian
