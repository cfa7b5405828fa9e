"""A clinic's answer to who asked to use it: the first one counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from idbroker.accounts.account import Account, Enrolment, Purpose, Standing
from idbroker.accounts.child import forfeited
from idbroker.accounts.letters import First, Letters
from idbroker.accounts.linking import Linking, Origin
from idbroker.accounts.records import Accounts, Enrolments, Links
from idbroker.accounts.vouching import vouched
from idbroker.errors import NotFound
from idbroker.events import Event, Events

_AGAIN = timedelta(hours=1)
LIFE = timedelta(hours=72)  # of the link to a child's first password
Answering = Callable[[Enrolment, str, datetime], None]  # the enrolment as it stands, and the decider's role


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """How an enrolment stands, who decided it and when; `first` when that was this very call."""

    enrolment: Enrolment
    first: bool


@dataclass(frozen=True, kw_only=True)
class Approving:
    """Decides. Both raise NotFound where nobody has asked, and may raise StoreError.

    `answered` is told of each answer, by whoever keeps who may act for whom: an approval of a child's registration is
    of the guardian too.
    """

    accounts: Accounts
    enrolments: Enrolments
    links: Links
    letters: Letters
    events: Events
    answered: Answering = lambda _enrolment, _role, _now: None
    linking: Linking | None = None

    def approve(self, person: str, clinic: str, by: str, now: datetime, *, role: str = "") -> Decided:
        """Let a person use a clinic, and tell them. `role` is the decider's, for the trail."""
        return self._decided(person, clinic, Standing.APPROVED, (by, role), None, now)

    def decline(self, person: str, clinic: str, by: str, reason: str, now: datetime, *, role: str = "") -> Decided:
        """Let them not, and tell them whom to ask; the reason stays with the clinic.

        What a guardian whom no clinic has approved put into a child's account goes: it would stand in the way of
        the real one. Pressed again it is done again, in case the store was away.
        """
        decided = self._decided(person, clinic, Standing.DECLINED, (by, role), reason, now)
        if decided.enrolment.standing is Standing.DECLINED and decided.enrolment.guardian is not None:
            self._forfeit(decided.enrolment, now)
        return decided

    def _forfeit(self, enrolment: Enrolment, now: datetime) -> None:
        enrolments = self.enrolments.of(enrolment.person)
        gone = False

        def forfeit(account: Account) -> Account | None:
            nonlocal gone
            gone = account.guardian == enrolment.guardian and not vouched(account, enrolments)
            return forfeited(account) if gone else None

        self.accounts.change(enrolment.person, forfeit)
        if gone:
            # A link that lies in the claimant's mailbox would choose the password of an account without a guardian.
            self.links.end_all(enrolment.person)
            self._record(enrolment, now, "account.reclaimed", "")

    def _decided(
        self, person: str, clinic: str, standing: Standing, whose: tuple[str, str], reason: str | None, now: datetime
    ) -> Decided:
        mine, (by, role) = False, whose

        def decide(before: Enrolment | None) -> Enrolment | None:
            nonlocal mine
            mine = before is not None and before.standing is Standing.ASKED
            if before is None or not mine:
                return None
            return replace(before, standing=standing, decided_at=now, by=by, reason=reason)

        kept = self.enrolments.change(person, clinic, decide)
        if kept is None:
            raise NotFound("nobody has asked for that")
        if mine:
            self._record(kept, now, f"enrolment.{kept.standing}", role)
        if kept.decided_at is not None and now - kept.decided_at <= _AGAIN:
            # Not only by the first: what follows may have met a store that was away. Done again, nothing is new.
            self.answered(kept, role, now)
            self._tell(kept, self._first(kept, now) if mine else None)
        return Decided(enrolment=kept, first=mine)

    def _tell(self, enrolment: Enrolment, first: First | None) -> None:
        account = self._asker(enrolment)
        if account is not None and not account.disabled:
            self.letters.handled(enrolment, account, first)

    def _first(self, enrolment: Enrolment, now: datetime) -> First | None:
        """Make the link to a child's first password, where its guardian was approved and has chosen none so far.

        Once, by the first answer: a newer link would end the one that is on its way.
        """
        child = self.accounts.of(enrolment.person)
        if self.linking is None or child is None or enrolment.standing is not Standing.APPROVED:
            return None
        if child.guardian is None or child.guardian != enrolment.guardian or child.password or child.disabled:
            return None
        origin = Origin(clinic=enrolment.clinic, client=enrolment.client, language=enrolment.language)
        link, secret = self.linking.make(origin, Purpose.RESET, child.person, LIFE, now)
        linking = self.linking
        return First(until=link.ends_at, secret=lambda channel: linking.for_channel(link, secret, channel))

    def _record(self, enrolment: Enrolment, now: datetime, kind: str, role: str) -> None:
        self.events.record(
            Event(
                at=now,
                kind=kind,
                clinic=enrolment.clinic,
                client=enrolment.client,
                person=enrolment.person,
                detail={"by": enrolment.by or "", **({"role": role} if role else {})},
            )
        )

    def _asker(self, enrolment: Enrolment) -> Account | None:
        """Return the account of who asked: the guardian's, where one asked for a child and has an account."""
        guardian = self.accounts.of(enrolment.guardian) if enrolment.guardian else None
        return guardian or self.accounts.of(enrolment.person)
