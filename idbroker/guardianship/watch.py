"""What acts for a ward, judged again while it runs: who loses the right to act loses it everywhere, within a minute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from idbroker.acting import Acting
from idbroker.client import Client, Clients
from idbroker.clinic import Clinic, Clinics
from idbroker.clock import Clock
from idbroker.couriers import Courier, Rests
from idbroker.guardianship.delegation import Delegation, Delegations
from idbroker.guardianship.judging import NO_RELATION, Judging, Refusal
from idbroker.guardianship.tie import Guardian
from idbroker.keeping import Shelf
from idbroker.session import Session

THREADS = 4
MOST = 50  # that one worker takes at once
EVERY = timedelta(seconds=5)
LEASE = timedelta(minutes=1)  # longer than a whole batch: a register that does not answer is asked once, then rests
SOON = timedelta(seconds=20)  # the least time between two looks, whatever life a register states for its word
# What changes in our own tables ends at once what rests on it (Signout.end_acting). This is the second look, for what
# began in that very moment; with the time between two takes it is within the minute, too.
OWN_AGAIN = timedelta(seconds=40)
OWN = frozenset({"local", "powers"})
GRACE = timedelta(minutes=15)  # for a register that does not answer, once its word has run out
_TIDY = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """A register does not answer about one delegation, since its word ran out."""

    since: datetime


@dataclass(kw_only=True, eq=False)
class Watch(Courier[Delegation]):
    """The watch of one worker: `start` it, `close` it.

    Takes delegations whose word is no longer good, each by one worker, and judges them as if they began now, with the
    guardian's proof: it lies with their sign-on, for as long as that could be used, idle or not. `of_person` finds a
    person's sign-ons, `end` ends one delegation and says why. `besides` is what else each
    worker looks at every few seconds.
    """

    clock: Clock
    delegations: Delegations
    judging: Judging
    clients: Clients
    clinics: Clinics
    sessions: Shelf[Session]
    of_person: Callable[[str], tuple[Session, ...]]
    end: Callable[[Delegation, str, str], None]
    silences: Shelf[Silence]
    besides: Callable[[datetime], None] = lambda _now: None
    threads: int = THREADS

    def __post_init__(self) -> None:
        self._rests = Rests()
        self._looked: datetime | None = None
        self._tidied: datetime | None = None
        self._set_up("watch", self.threads)

    def _begin_anew(self) -> None:
        super()._begin_anew()
        self._rests, self._looked, self._tidied = Rests(), None, None

    # ---- many ------------------------------------------------------------------------------------

    def _take(self, now: datetime) -> Iterator[Delegation]:
        """Take a batch; the next when it has been looked at, or when there may be something due again."""
        if self._under_way() or _lately(self._looked, now, EVERY):
            return
        if not _lately(self._tidied, now, _TIDY):
            self._tidied = now
            self.delegations.purge(now)
        taken = self.delegations.due(now, LEASE, MOST)
        self._looked = now if len(taken) < MOST else None
        yield from taken
        self.besides(now)  # last: a fault of it must not keep a court's word from what acts

    def _lane(self, delegation: Delegation) -> str:
        return delegation.register

    # ---- one -------------------------------------------------------------------------------------

    def _carry(self, one: Delegation, now: datetime) -> bool:
        """Judge one again; tell whether it goes on."""
        client, clinic = self.clients.find(one.client), self.clinics.find(one.clinic)
        if client is None or client.disabled or client.acting == "never" or clinic is None:
            return self._ended(one, "service", "not_offered")
        found = self._sign_on(one)
        if found is None:
            # Nobody could judge it again: its tokens would be the last to know of a court's word.
            return self._ended(one, "signed_out", "")
        verdict = self._verdict(*found, client, clinic, now)
        match verdict:
            case None:
                return self._unanswered(one, now)
            case Refusal(reason=reason):
                return self._ended(one, "register", reason)
            case Acting():
                self.silences.take(one.grant)
                self.delegations.checked(one.grant, _next_look(verdict, now))
                return True

    def _sign_on(self, one: Delegation) -> tuple[Guardian, Acting] | None:
        """Return who acts, and by what right, as their sign-on has it: that, or the one that has taken its place."""
        kept = self.sessions.get(one.session)
        for session in (kept.value,) if kept is not None else self.of_person(one.guardian):
            for reached in session.reached:
                if reached.grant == one.grant and reached.acting is not None:
                    who = Guardian(person=session.person, identity=session.identity, language=session.language)
                    return who, reached.acting
        return None

    def _verdict(
        self, guardian: Guardian, acting: Acting, client: Client, clinic: Clinic, now: datetime
    ) -> Acting | Refusal | None:
        """Return what holds now; None where a register that does not answer could say otherwise."""
        if self._rests.at(now) & {*clinic.registers, acting.register}:
            return None
        verdict, found = self.judging.heard(acting, guardian, client, clinic, now)
        for name in found.silent:  # one that says of one ward what cannot be believed answers for the others
            self._rests.failed(name, now)
        for answer in found.answers:
            self._rests.answered(answer.register)
        unsure = isinstance(verdict, Acting) or verdict.reason == NO_RELATION
        return None if found.down and unsure else verdict

    def _unanswered(self, one: Delegation, now: datetime) -> bool:
        """Let it go on for a while: a register's short break must not throw a family out of a visit.

        The silence is remembered until the register has answered: a worker that stops with this in its hands leaves a
        later time to look, and must not have the quarter of an hour begin anew.
        """
        kept = self.silences.get(one.grant)
        since = kept.value.since if kept is not None else one.check_at
        if now - since >= GRACE:
            return self._ended(one, "register", "unanswered")
        self.silences.put(one.grant, Silence(since=since), GRACE + LEASE)
        self.delegations.checked(one.grant, now + SOON)
        return True

    def _ended(self, one: Delegation, why: str, reason: str) -> bool:
        self.end(one, why, reason)
        return False


def _next_look(acting: Acting, now: datetime) -> datetime:
    """Return when to judge again: when the word has run out, or the right itself."""
    least = OWN_AGAIN if acting.register in OWN else SOON
    return min(max(acting.good_until, now + least), acting.until)


def _lately(moment: datetime | None, now: datetime, within: timedelta) -> bool:
    """Tell whether it was just now; a clock that was turned back says no."""
    return moment is not None and moment <= now < moment + within
