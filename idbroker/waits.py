"""An order in an app, from its first moment until its proof is in the browser that began.

The eID is asked by the lookout alone; browsers read what it wrote down. What an eID proves it says
once, so that is written down before anything is made of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from idbroker.errors import Cancelled, Gone, ProviderError, Refused, StoreError, Unreachable
from idbroker.identity import Identity
from idbroker.keeping import Kept
from idbroker.lookout import Found, Lookout, Order, Renewed
from idbroker.moves import Moves, new_handle
from idbroker.providers import Asked, Progress, Wait
from idbroker.steps import Show, Step
from idbroker.transaction import PendingWait, Stage, Transaction, Transient
from idbroker.turns import KEPT
from idbroker.visitor import Device, Visitor

RENEWED = timedelta(minutes=15)
RETURNING = timedelta(seconds=60)
ORDERS, ORDERS_TIME = 120, timedelta(minutes=1)
_RENEWALS = 5  # for each order that may be begun: BankID's lapse twice a minute
_TRIES = 10
_PAUSE, _PATIENCE, _PATIENT = 0.1, 25, 8  # two and a half seconds, for eight requests of a process at once


@dataclass(frozen=True, kw_only=True)
class Waits:
    """Begins, keeps, renews and ends orders in apps."""

    moves: Moves
    lookout: Lookout
    transient: Transient
    most_orders: int = ORDERS
    patient: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(_PATIENT))
    pause: Callable[[float], None] = time.sleep  # noqa: TID251 - an argument, for whoever says "I have approved"

    # ---- an order --------------------------------------------------------------------------------

    def pace_orders(self, visitor: Visitor) -> None:
        """Count the orders of one address: a flood would have the eID shut out every patient of ours.

        Raises Refused. The limit leaves room for a hospital behind one address.
        """
        if visitor.network is not None:
            self._count(f"orders:{visitor.network}", self.most_orders)

    def _count(self, what: str, most: int) -> None:
        if self.transient.count(what, ORDERS_TIME) > most:
            raise Refused("too_many", "orders from one address")

    def began(self, kept: Kept[Transaction], asked: Asked, provider: str, order: Wait, nonce: str) -> Step:
        """Keep a new order and have it watched. One order per transaction: an earlier one is cancelled."""
        wait = PendingWait(
            device=asked.device,
            visitor=asked.visitor,
            since=asked.now,
            progress=order.progress,
            says=order.says,
        )
        moved = kept.value.proving(provider, asked.handle, order.state, wait=wait).answered(nonce, "")
        swapped = self.moves.put(kept, moved)
        if swapped is None:
            self.lookout.drop(provider, order.state)  # a double click: the other request's order counts
            return self.moves.overtaken(moved.id, nonce)
        self.drop(kept.value)
        self.lookout.seen(moved.id)
        self.lookout.watch(swapped)
        return Show(transaction=moved)

    def drop(self, transaction: Transaction) -> None:
        """Cancel the order that a transaction no longer waits for, if there is one."""
        wait = transaction.wait
        if wait is None or transaction.provider is None or transaction.stage is not Stage.PROVING:
            return
        if wait.proof is None and wait.progress is not Progress.LAPSED:
            self.lookout.drop(transaction.provider, transaction.provider_state)

    # ---- what a page shows -----------------------------------------------------------------------

    def app(self, transaction: Transaction) -> str:
        """Return the app's name in sentences."""
        return self.moves.app(transaction.provider or "").short

    def code(self, transaction: Transaction) -> str | None:
        """Return what the QR code says at this moment; None while none may be shown."""
        wait = transaction.wait
        if wait is None or wait.progress is not Progress.WAITING or wait.device is not Device.OTHER:
            return None
        return self.moves.app(transaction.provider or "").code(transaction.provider_state, self.moves.clock.now())

    def link(self, transaction: Transaction) -> str | None:
        """Return the address that opens the app on this device.

        Only of an order that is for this device: the link of an order whose code is on the page
        could be sent to somebody else, who would sign in the sender (E1).
        """
        wait = transaction.wait
        if wait is None or wait.progress is not Progress.WAITING or wait.device is not Device.THIS:
            return None
        return self.moves.app(transaction.provider or "").link(transaction.provider_state, wait.visitor)

    def seen(self, kept: Kept[Transaction], page: str = "") -> None:
        """Note that a page of this transaction is open; an order that nobody watches is watched again.

        A worker that ended leaves its orders behind: the browser's next question brings them here.
        """
        wait = kept.value.wait
        if wait is None or kept.value.stage is not Stage.PROVING:
            return
        self.lookout.seen(kept.value.id, page)
        if wait.proof is None and (wait.progress is not Progress.LAPSED or self._renewable(wait)):
            self.lookout.watch(kept)

    def leave(self, kept: Kept[Transaction], page: str = "") -> None:
        """Note that the page was left: its order is cancelled unless the browser is seen again in seconds."""
        if kept.value.wait is not None:
            self.lookout.left(kept.value.id, page)

    def opened(self, kept: Kept[Transaction]) -> str | None:
        """Return the launch address, of a new order if the last one lapsed: for a page that cannot renew its link."""
        self.seen(kept)
        now = self._until(kept, lambda now: now.wait is None or now.wait.progress is not Progress.LAPSED)
        return self.link(now.value)

    # ---- the proof -------------------------------------------------------------------------------

    def ready(self, transaction: Transaction) -> bool:
        """Tell whether `finish` would go on now."""
        wait = transaction.wait
        if wait is None or wait.proof is None:
            return False
        return self._bound(transaction, wait) or self.moves.clock.now() - wait.proof.proved_at > RETURNING

    def finish(self, kept: Kept[Transaction], session_secret: str | None, *, patient: bool = False) -> Step:
        """Go on with what was proved, or say where the transaction is; `patient` waits a little for news."""
        if patient:
            kept = self._news(kept)
        transaction, wait = kept.value, kept.value.wait
        if wait is None or wait.proof is None or not self.ready(transaction):
            return self.moves.where_now(transaction)
        # Two presses at once: one goes on. The mark changes with time, so that a request that died
        # with the store does not keep a proof from its person.
        mark = f"proof:{self.moves.clock.now().timestamp() // 20:.0f}"
        claimed = self.moves.claimed(kept, mark)
        if claimed is None:
            return self.moves.settled(transaction.id, mark)
        if not self._bound(transaction, wait):
            error = Refused("not_this_device", "neither a return to the browser that began nor its address")
            return self.moves.failed(claimed, transaction.provider or "", error)
        return self.moves.proved(claimed, wait.proof, session_secret)

    def returned(self, kept: Kept[Transaction], session_secret: str | None) -> Step:
        """Go on when the app led back to this browser, with the handle that only the app was told."""

        def returned(wait: PendingWait) -> PendingWait:
            # Where it is bound already, another tab may be going on: what that one has read must stay as it is.
            return wait if self._bound(kept.value, wait) else replace(wait, returned=True)

        noted = self._amend(kept, returned)
        if noted is None:
            return self.moves.overtaken(kept.value.id)
        return self.finish(noted, session_secret, patient=True)

    def _bound(self, transaction: Transaction, wait: PendingWait) -> bool:
        """Tell whether the proof belongs to this browser.

        A code is scanned off its page; a link could have been sent to somebody else (E1: login by link).
        """
        if wait.device is Device.OTHER or wait.proof is None:
            return wait.device is Device.OTHER
        binding = self.moves.app(transaction.provider or "").binding
        return binding.shown(returned=wait.returned, browser_ip=wait.visitor.ip, app_ip=wait.proof.app_ip)

    def _news(self, kept: Kept[Transaction]) -> Kept[Transaction]:
        """Wait a little for what the lookout learns next."""
        self.lookout.watch(kept)
        return self._until(kept, lambda now: now.wait is None or self.ready(now))

    def _until(self, kept: Kept[Transaction], come: Callable[[Transaction], bool]) -> Kept[Transaction]:
        """Read the transaction until something has come, for a little while; few requests at once may wait so.

        Each holds a thread: whoever pressed again and again would hold them all.
        """
        waits = self.patient.acquire(blocking=False)
        try:
            for tries_left in reversed(range(_PATIENCE if waits else 1)):
                now = self.moves.transactions.get(kept.value.id)
                if now is None:
                    raise Gone("the transaction ended meanwhile")
                if come(now.value) or not tries_left:
                    return now
                self.pause(_PAUSE)
        finally:
            if waits:
                self.patient.release()
        raise AssertionError("the last try returns")

    # ---- what the lookout learns -----------------------------------------------------------------

    def look(self, order: Order) -> Wait | Identity | ProviderError:
        """Ask the eID once. Nothing it says is lost: what went wrong comes back as a value, too."""
        wait = order.kept.value.wait
        if wait is not None and wait.progress is Progress.LAPSED:
            return Wait(state=order.kept.value.provider_state, progress=Progress.LAPSED)
        asked = order.asked or self._asked(order.kept.value)
        order.asked = asked
        try:
            result = order.app.resume(replace(asked, now=self.moves.clock.now()), order.kept.value.provider_state, {})
        except ProviderError as error:
            return error
        if isinstance(result, Wait | Identity):
            return result
        return ProviderError("an app asked for a page")

    def learnt(self, order: Order, found: Found) -> Kept[Transaction] | None:
        """Write down what was found; return the transaction while the order is to be looked at again.

        Raises StoreError: then it is written down later, without asking again.
        """
        match found:
            case Wait(progress=Progress.LAPSED):
                self._lapsed(order)
                return None
            case Wait():
                return self._waiting(order.kept, found)
            case Renewed():
                self._renewed(order, found)
                return None
            case Identity():
                self._proved(order.kept, found)
                return None
            case Unreachable() if order.failing < self.lookout.patience:
                return self._silent(order)
            case _:
                self._ended(order, found)
                return None

    def asleep(self, order: Order) -> None:
        """Cancel an order whose page was left; the person who comes back gets a new one."""
        if order.kept.value.wait is not None and order.kept.value.wait.device is Device.OTHER:
            self.drop(order.kept.value)
            self._rest(order.kept, "b.st.lapsed")

    def _waiting(self, kept: Kept[Transaction], found: Wait) -> Kept[Transaction] | None:
        wait = kept.value.wait
        same = wait is not None and (found.progress, found.says) == (wait.progress, wait.says)
        if same and found.state == kept.value.provider_state:
            return kept

        def as_found(wait: PendingWait) -> PendingWait:
            return replace(wait, progress=found.progress, says=found.says)

        return self._amend(kept, as_found, found.state, as_looked=True)

    def _proved(self, kept: Kept[Transaction], proof: Identity) -> None:
        def with_proof(wait: PendingWait) -> PendingWait:
            proved = replace(wait, proof=proof, progress=Progress.OPENED, says="b.st.done")
            # In one write: a second one could come between the two of a browser that goes on already.
            return proved if self._bound(kept.value, proved) else replace(proved, says="b.st.back")

        self._amend(kept, with_proof)

    def _lapsed(self, order: Order) -> None:
        """Begin a new order silently while somebody looks at the page, up to a limit; else let it rest.

        Under a new handle: whoever had the first one's way back must not have this one's (E1).
        """
        kept, wait = order.kept, order.kept.value.wait
        if wait is None or not (self._renewable(wait) and self.lookout.is_seen(kept.value.id)):
            self._rest(kept, "b.st.lapsed")
            return
        handle = new_handle(kept.value)
        try:
            self._count(f"renewals:{wait.visitor.network}", self.most_orders * _RENEWALS)
            renewed = order.app.begin(self._asked(replace(kept.value, handle=handle)))
        except Unreachable:
            self._rest(kept, "b.st.slow")
            return
        except ProviderError as error:
            self._ended(order, error)
            return
        if not isinstance(renewed, Wait):
            raise ProviderError("an app asked for a page")
        # Kept with the order: a store that does not write now must not make another order at every look.
        order.found = Renewed(handle=handle, order=renewed)
        self._renewed(order, order.found)

    def _renewed(self, order: Order, renewed: Renewed) -> None:
        new = renewed.order

        def begun(wait: PendingWait) -> PendingWait:
            return replace(wait, progress=new.progress, says=new.says, returned=False)

        noted = self._amend(order.kept, begun, new.state, handle=renewed.handle, as_looked=True)
        if noted is None:
            noted = self.moves.transactions.get(order.kept.value.id)  # a store may have written, and not said so
        if noted is None or noted.value.handle != renewed.handle:
            self.lookout.drop(order.provider, new.state)
        else:
            self.lookout.watch(noted)

    def _rest(self, kept: Kept[Transaction], says: str) -> None:
        """Leave an order that is no more: a new one takes its place when somebody asks for the page."""
        self._amend(kept, lambda wait: replace(wait, progress=Progress.LAPSED, says=says), as_looked=True)

    def _silent(self, order: Order) -> Kept[Transaction] | None:
        """Go on asking an eID that does not answer: the order may be good. After a while the page says so."""
        wait = order.kept.value.wait
        if order.failing < self.lookout.says_so or wait is None or wait.says == "b.st.slow":
            return order.kept
        return self._amend(order.kept, lambda w: replace(w, says="b.st.slow"), as_looked=True)

    def _ended(self, order: Order, error: ProviderError) -> None:
        looked = order.kept.value
        for _ in range(_TRIES):
            now = self.moves.transactions.get(looked.id)
            if now is None or now.value.handle != looked.handle or now.value.stage is not Stage.PROVING:
                return  # the person went elsewhere meanwhile: nobody waits for these words
            wait = now.value.wait
            if wait is None or wait.proof is not None or now.value.provider_state != looked.provider_state:
                return  # another worker was told more: an eID that tells once says "lost" to the second
            replace(self.moves, strict=True).failed(now, order.provider, error)
        raise StoreError("a transaction that changes all the time")

    def _renewable(self, wait: PendingWait) -> bool:
        return self.moves.clock.now() - wait.since < RENEWED

    def _asked(self, transaction: Transaction) -> Asked:
        wait = transaction.wait
        if wait is None:
            raise Cancelled("nobody waits")
        provider, handle = transaction.provider or "", transaction.handle or ""
        return self.moves.asked(transaction, provider, handle, wait.visitor, wait.device)

    def _amend(
        self,
        kept: Kept[Transaction],
        change: Callable[[PendingWait], PendingWait],
        state: bytes | None = None,
        *,
        handle: str | None = None,
        as_looked: bool = False,
    ) -> Kept[Transaction] | None:
        """Change what is kept of an order, whatever else the person does meanwhile; None if they went elsewhere.

        `as_looked` also wants the order as it was when it was looked at: a worker that was held up must not
        undo what another one has learnt since. Raises StoreError when somebody else is faster every time.
        """
        newest: Kept[Transaction] | None = kept
        for _ in range(_TRIES):
            wait = newest.value.wait if newest is not None else None
            if newest is None or wait is None or newest.value.handle != kept.value.handle:
                return None
            transaction = newest.value
            if as_looked and (wait.proof is not None or transaction.provider_state != kept.value.provider_state):
                return None
            state_now = transaction.provider_state if state is None else state
            handle_now = transaction.handle if handle is None else handle
            moved = replace(transaction, wait=change(wait), provider_state=state_now, handle=handle_now)
            if moved == transaction and newest is not kept:
                return newest
            swapped = self.moves.transactions.swap(moved.id, newest.raw, moved, KEPT)
            if swapped is not None:
                return swapped
            newest = self.moves.transactions.get(transaction.id)
        raise StoreError("a transaction that changes all the time")
