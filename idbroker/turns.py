"""One step of a transaction at a time: every move is kept, or overtaken by a faster request of the same browser."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from idbroker.clock import Clock
from idbroker.errors import Gone
from idbroker.events import Event, Events
from idbroker.keeping import Kept, Shelf
from idbroker.oidc.authorize import AuthorizationResponse
from idbroker.signon import Signon
from idbroker.steps import Already, Answered, GoTo, Show, Step
from idbroker.transaction import Stage, Transaction

TRANSACTION_LIFE = timedelta(minutes=30)  # from one move to the next
LONGEST = timedelta(hours=1)  # however often somebody moves: a proof that waits must not grow old
REPEAT_LIFE = timedelta(seconds=60)
_TRIES = 3
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
        return self.transactions.swap(marked.id, kept.raw, marked, TRANSACTION_LIFE)

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
        raw = kept.raw
        for _ in range(1 if self.strict else _TRIES):
            swapped = self.transactions.swap(moved.id, raw, moved, TRANSACTION_LIFE)
            if swapped is not None:
                return swapped
            now = self.transactions.get(moved.id)
            if now is None or not _same_step(kept.value, now.value):
                return None
            raw = now.raw
        return None

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


def _same_step(before: Transaction, now: Transaction) -> bool:
    """Tell whether nothing but the order in the app and the language has changed."""
    spoken = replace(now, language=before.language)
    if before.wait is None or now.wait is None:
        return spoken == before
    return replace(spoken, wait=before.wait, provider_state=before.provider_state, handle=before.handle) == before
