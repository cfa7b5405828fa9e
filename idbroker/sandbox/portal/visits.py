"""Who is at a portal: its own sessions, in memory."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from idbroker.sandbox.portal.relying import Login, Pending
from idbroker.sandbox.portal.trail import Step, Trail, longer

MOST_VISITS = 1000
MOST_PENDING = 16
MOST_ANSWERED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why the last login did not work, and the door it was for."""

    code: str
    words: str
    door: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One browser at one portal: logins under way, who is logged in, and what happened.

    `ended`: the broker said that the last login here is over. `asked` is the room that the person has
    asked to be let into, and when. `seen_at` is the last request of somebody whom staff help; `helped`: they have left.
    `acted`: the login that is over was of somebody who acted for another.
    """

    pending: tuple[Pending, ...] = field(default=(), repr=False)
    login: Login | None = field(default=None, repr=False)
    trail: Trail = field(default=(), repr=False)
    problem: Problem | None = None
    door: str = ""
    ended: bool = False
    asked: tuple[str, datetime] | None = None
    seen_at: datetime | None = None
    helped: bool = False
    acted: bool = False

    @property
    def assisted(self) -> bool:
        """Tell whether staff signed the person in: for a short time, on a screen that is not theirs."""
        return self.login is not None and "staff-assisted" in self.login.claims.get("amr", ())

    def seen(self, now: datetime) -> Visit:
        """Return it after a request."""
        return replace(self, seen_at=now)

    def expecting(self, pending: Pending) -> Visit:
        """Return it with one more login under way."""
        return replace(self, pending=(*self.pending, pending)[-MOST_PENDING:])

    def waiting_for(self, state: str) -> Pending | None:
        """Return the login under way that a state belongs to."""
        return next((one for one in self.pending if secrets.compare_digest(one.state, state)), None)

    def answered(
        self, pending: Pending, trail: Trail, *, login: Login | None = None, problem: Problem | None = None
    ) -> Visit:
        """Return it after a login under way was answered: a state works once. Others stay under way (two tabs)."""
        left = tuple(one for one in self.pending if one.state != pending.state)
        return replace(
            self, pending=left, login=login or self.login, trail=trail, problem=problem, door=pending.door,
            ended=self.ended and login is None, helped=self.helped and login is None,
        )  # fmt: skip

    def went_on(self, trail: Trail, login: Login | None = None) -> Visit:
        """Return it with more of what happened."""
        return replace(self, login=login or self.login, trail=longer(self.trail, trail))

    def asking(self, asked: tuple[str, datetime] | None) -> Visit:
        """Return it after the person asked to be let into a room, or left it."""
        return replace(self, asked=asked)

    def failed(self, problem: Problem, trail: Trail) -> Visit:
        """Return it after something the portal tried did not work; whoever is logged in stays so."""
        return replace(self, problem=problem, trail=longer(self.trail, trail))

    def left(self, trail: Trail) -> Visit:
        """Return it with nobody logged in; after help by staff nothing of what happened is kept."""
        kept = () if self.assisted else longer(self.trail, trail)
        return replace(self, login=None, trail=kept, ended=False, asked=None, helped=self.assisted)

    def told(self, step: Step) -> Visit:
        """Return it after the broker said that its login is over."""
        kept = () if self.assisted else longer(self.trail, (step,))
        acted = self.login is not None and "guardianship" in self.login.claims
        return replace(
            self, login=None, trail=kept, ended=not self.assisted, asked=None, helped=self.assisted, acted=acted
        )

    def has(self, sid: str) -> bool:
        """Tell whether its login is of this sign-on (`sid`)."""
        return self.login is not None and self.login.claims.get("sid") == sid


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What became of an answer: the visit's new name, and where the browser was sent."""

    name: str = field(repr=False)
    path: str


class Visits:
    """The visits of one portal, by the random name in the browser's cookie."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Visit] = OrderedDict()
        self._answered: OrderedDict[tuple[str, str], Answered] = OrderedDict()
        self._lock = threading.RLock()

    def find(self, name: str | None) -> Visit:
        """Return a visit; an empty one for a name nobody has."""
        return self._kept.get(name or "", Visit())

    def change(self, name: str | None, how: Callable[[Visit], Visit], *, renew: bool = False) -> str:
        """Change a visit, or begin one, and return its name.

        `renew` gives it a new one: a name from before the login may be known to somebody (fixation).
        """
        with self._lock:
            visit = how(self.find(name))
            known = name if name in self._kept and not renew else None
            if name and not known:
                self._kept.pop(name, None)
            kept_as = known or secrets.token_urlsafe(24)
            self._kept[kept_as] = visit
            self._kept.move_to_end(kept_as)
            while len(self._kept) > MOST_VISITS:
                self._kept.popitem(last=False)
        return kept_as

    def end(self, sid: str, step: Step, name: str | None = None) -> bool:
        """End the logins of a sign-on, in one visit only if it is named; tell whether there was any."""
        with self._lock:
            found = {kept for kept, visit in self._kept.items() if visit.has(sid) and name in (None, kept)}
            for kept in found:
                self._kept[kept] = self._kept[kept].told(step)
        return bool(found)

    def answered(self, name: str | None, state: str) -> bool:
        """Tell whether this answer came before."""
        return (name or "", state) in self._answered

    def answer_once(self, name: str | None, state: str, answer: Callable[[], Answered]) -> Answered:
        """Return what became of an answer. The same one again, a double click, is told the same.

        A code works once: redeeming it twice would end the login that the first one made.
        """
        key = (name or "", state)
        with self._lock:
            if key not in self._answered:
                self._answered[key] = answer()
                while len(self._answered) > MOST_ANSWERED:
                    self._answered.popitem(last=False)
            return self._answered[key]
