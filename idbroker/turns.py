"""One step of a transaction at a time: every move is kept, or overtaken by a faster request of the same browser."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from idbroker.clock import Clock
from idbroker.errors import Gone
from idbroker.events import Event, Events
from idbroker.keeping import Kept, Shelf
from idbroker.oidc.authorize import AuthorizationResponse
from idbroker.signon import Signon
from idbroker.steps import Already, Answered, GoTo, Show, Step
from idbroker.transaction import Notice, Stage, Transaction, Typed

TRANSACTION_LIFE = timedelta(minutes=30)  # from one move to the next
LONGEST = timedelta(hours=1)  # from the proof, however often somebody moves: one that waits must not grow old
LATE = timedelta(minutes=30)  # after its end nothing goes on, but what a late form brings is not lost
KEPT = TRANSACTION_LIFE + LATE
REPEAT_LIFE = timedelta(seconds=60)
_TRIES = 5
_UNDER_WAY, _PAUSE, _PATIENCE = "under way", 0.05, 200  # ten seconds
_ANSWERING = (Stage.PROVING, Stage.PROVED)


@dataclass(frozen=True, kw_only=True)
class Turns:
    """Keeps transactions as they move.

    `strict` is for the lookout: what it makes of an order counts for the order as it was looked at.
    """

    clock: Clock
    transactions: Shelf[Transaction]
    signon: Signon
    events: Events
    strict: bool = False
    pause: Callable[[float], None] = time.sleep  # noqa: TID251 - an argument, for whoever waits for another request

    def where_now(self, transaction: Transaction) -> Step:
        """Return the step a transaction is at: what a repeated, late or reordered post leads to."""
        outcome = transaction.outcome
        if outcome is None:
            return Show(transaction=transaction)
        code = outcome.parameters.get("code")
        if self.clock.now() - outcome.at > REPEAT_LIFE or (code is not None and self.signon.spent(code)):
            return Already(transaction=transaction)
        response = AuthorizationResponse(
            redirect_uri=outcome.redirect_uri, mode=outcome.mode, parameters=outcome.parameters
        )
        return Answered(response=response, language=transaction.language)

    # ---- one request at a time --------------------------------------------------------------------

    def claimed(self, kept: Kept[Transaction], mark: str) -> Kept[Transaction] | None:
        """Take a reply for this request alone. An eID's code is good once: a double return would lose the sign-in."""
        if mark in kept.value.answers:
            return None
        marked = kept.value.answered(mark, _UNDER_WAY)
        return self.transactions.swap(marked.id, kept.raw, self._timed(kept.value, marked), KEPT)

    def settled(self, name: str, mark: str) -> Step:
        """Wait for the request that has taken the same reply; return what came of it."""
        for tries_left in reversed(range(_PATIENCE)):
            now = self.transactions.get(name)
            if now is None:
                raise Gone("the transaction ended meanwhile")
            under_way = now.value.stage in _ANSWERING and now.value.answers.get(mark) == _UNDER_WAY
            if not (under_way and tries_left):
                return self.where_now(now.value)
            self.pause(_PAUSE)
        raise AssertionError("the last try returns")

    def moved(
        self,
        kept: Kept[Transaction],
        moved: Transaction,
        step: Step,
        nonce: str | None = None,
        event: Event | None = None,
    ) -> Step:
        """Keep the move and record its event, unless another request of this browser was faster: its step counts."""
        if self.put(kept, moved) is None:
            return self.overtaken(moved.id, nonce)
        if event is not None:
            self.events.record(event)
        return step

    def put(self, kept: Kept[Transaction], moved: Transaction) -> Kept[Transaction] | None:
        """Keep a move away from what was read; None if somebody was faster.

        What the lookout wrote about the order meanwhile is nobody's press, and another language is no other
        step: the person's press counts all the same, whatever the order has come to.
        """
        raw, moved = kept.raw, self._timed(kept.value, moved)
        for _ in range(1 if self.strict else _TRIES):
            swapped = self.transactions.swap(moved.id, raw, moved, KEPT)
            if swapped is not None:
                return swapped
            now = self.transactions.get(moved.id)
            if now is None or not _same_step(kept.value, now.value):
                return None
            raw = now.raw
        return None

    def _timed(self, before: Transaction, moved: Transaction) -> Transaction:
        """Return a move with its time; what the lookout learns is nobody's press, and renews nothing."""
        now = self.clock.now()
        known_at = (known_since(before) or now) if _knows(before, moved) else None
        return replace(moved, moved_at=moved.moved_at if self.strict else now, known_at=known_at)

    # ---- what is no step -------------------------------------------------------------------------

    def amended(self, kept: Kept[Transaction], change: Callable[[Transaction], Transaction]) -> Transaction:
        """Change what is no step, and renew the time, whatever else moves meanwhile."""
        newest: Kept[Transaction] | None = kept
        for _ in range(_TRIES):
            if newest is None:
                raise Gone("the transaction ended meanwhile")
            amended = replace(change(newest.value), moved_at=self.clock.now())
            if self.transactions.swap(amended.id, newest.raw, amended, KEPT):
                return amended
            newest = self.transactions.get(amended.id)
        return kept.value

    def more_time(self, kept: Kept[Transaction]) -> Transaction:
        """Return it with its time running anew, at the wish of who sits there; nothing else changes."""
        return self.amended(kept, lambda newest: newest)

    def came_late(self, kept: Kept[Transaction], page: str, typed: Mapping[str, str]) -> Transaction:
        """Return it open again after a form that came when its time was up: nothing of that was done.

        While nobody had shown who they are, the same page is there with what was typed, to be pressed again. After
        that the proof counts no more: who presses so late may be somebody else at the same screen. It takes a new
        one, and what was typed comes back if that is of the same person.
        """
        transaction, proof = kept.value, kept.value.proof
        at_form = transaction.form is not None and transaction.form.page == page
        if known_since(transaction) is not None:
            left = Typed(person=proof.person, page=page, values=typed) if proof is not None and typed else None
            notice = Notice(key="t.anew.kept" if left else "t.anew")
            moved = replace(transaction.reopened(notice), tried=transaction.tried, claimed=None, left=left)
        elif at_form:
            moved = with_typed(transaction, transaction, {**typed, "late": "1"})
        else:
            moved = replace(transaction.reopened(Notice(key="t.late")), tried=transaction.tried)
        moved = replace(moved, moved_at=self.clock.now(), known_at=None)
        if self.transactions.swap(moved.id, kept.raw, moved, KEPT) is None:
            raise Gone("somebody else was faster")
        return moved

    # ---- several at once -------------------------------------------------------------------------

    def overtaken(self, name: str, nonce: str | None = None) -> Step:
        """Return the step that a faster request of the same browser led to."""
        now = self.transactions.get(name)
        if now is None:
            raise Gone("the transaction ended meanwhile")
        return self.led_to(now.value, nonce)

    def led_to(self, transaction: Transaction, nonce: str | None) -> Step:
        """Return where a form's post led: to an eID's page, or to where the transaction is."""
        url = transaction.answers.get(nonce or "", "")
        return GoTo(transaction=transaction, url=url) if url else self.where_now(transaction)


def ends_at(transaction: Transaction) -> datetime:
    """Return when a page of it closes, unless somebody moves."""
    idle, last = (transaction.moved_at or transaction.opened_at) + TRANSACTION_LIFE, last_at(transaction)
    return idle if last is None else min(idle, last)


def last_at(transaction: Transaction) -> datetime | None:
    """Return when it ends however often somebody moves; None while nobody has shown who they are.

    Whoever is slow before that may take as long as they like (WCAG 2.2.1): no more is lost than a request. The attack
    is after it: somebody shows who they are, walks away from the screen, and whoever sits down next moves on.
    """
    since = known_since(transaction)
    return None if since is None else since + LONGEST


def known_since(transaction: Transaction) -> datetime | None:
    """Return since when it is known, or half known, who somebody is; also by an app that waits for its browser."""
    proof = transaction.wait.proof if transaction.wait is not None else None
    return transaction.known_at or (proof.proved_at if proof is not None else None)


def with_typed(transaction: Transaction, shown: Transaction, typed: Mapping[str, str]) -> Transaction:
    """Return it with the form filled in as it was left, if that is the form that was shown (WCAG 3.3.7)."""
    form = transaction.form
    if form is None or form != shown.form or form.action is not None:
        return transaction
    return replace(transaction, form=replace(form, values={**form.values, **typed}))


def _knows(before: Transaction, moved: Transaction) -> bool:
    """Tell whether it is known, or half known, who somebody is: also by a password that waits for its code.

    A provider that comes to another page than the one it began with has taken something for true.
    """
    match moved.stage:
        case Stage.PROVED:
            return True
        case Stage.PROVING if before.stage is Stage.PROVING and before.handle == moved.handle:
            further = moved.form is not None and (before.form is None or before.form.page != moved.form.page)
            return further or before.known_at is not None
        case _:
            return moved.claimed is not None


def _same_step(before: Transaction, now: Transaction) -> bool:
    """Tell whether nothing but the order in the app, the language and the time has changed."""
    spoken = replace(now, language=before.language, moved_at=before.moved_at)
    if before.wait is None or now.wait is None:
        return spoken == before
    return replace(spoken, wait=before.wait, provider_state=before.provider_state, handle=before.handle) == before
