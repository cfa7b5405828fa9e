"""One-time codes by e-mail and text message: sent, and checked."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from idbroker.errors import StoreError
from idbroker.keeping import Kept, Shelf
from idbroker.messages.addresses import shown
from idbroker.messages.message import Channel, Delivery, Post
from idbroker.otp import codes
from idbroker.otp.allowance import Allowance
from idbroker.otp.one_time import Limited, Locked, Old, Right, Sent, Spot, Verdict, Wrong
from idbroker.otp.settings import Settings
from idbroker.otp.texts import Texts
from idbroker.otp.throttle import Throttle
from idbroker.otp.tries import Tries
from idbroker.sealing import Sealer
from idbroker.visit import Visit
from idbroker.words import Words

NEWEST = 2  # are good: whoever asks for another often gets the first one then
REMEMBERED = timedelta(hours=2)  # an old code is told from a wrong one for so long
MOST_OLD = 8
AT_ONCE = timedelta(seconds=10)  # two sends within this are one press, twice
# A code from later than now is another worker's clock, if it is this little; else a clock was set back.
SKEW = timedelta(seconds=30)
RACES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A code that was sent: its digest, its life, the message it went by, and the person's `epoch` at the time."""

    digest: bytes = field(repr=False)
    at: datetime
    until: datetime
    message: str
    epoch: str = ""

    def good(self, now: datetime) -> bool:
        """Tell whether it may be used: from its making until, and not at, its end (SP 800-63B-4, 3.1.3.2)."""
        return self.at - SKEW <= now < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """The codes of one spot, oldest first: which are `good`, and which were."""

    good: tuple[Issued, ...] = ()
    old: tuple[Issued, ...] = ()

    def aged(self, now: datetime) -> Slot:
        """Return it with what has ended among the old: for good, should the clock be set back later."""
        good = tuple(each for each in self.good if each.good(now))
        ended = tuple(each for each in self.good if not each.good(now))
        old = tuple(each for each in (*self.old, *ended) if now - each.at <= REMEMBERED)
        return Slot(good=good, old=old[-MOST_OLD:])

    def having(self, issued: Issued) -> Slot:
        """Return it with a new code, in the place of the oldest good one."""
        good = (*self.good, issued)
        return Slot(good=good[-NEWEST:], old=(*self.old, *good[:-NEWEST])[-MOST_OLD:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """Changes when what was sent to a person is to be good no longer."""

    id: str


class CodesByMessage:
    """Sends one-time codes by e-mail and SMS, and checks them (`OneTimeCodes`).

    A code is good for one transaction, purpose, person, channel and address: for another its digest is another
    (ASVS 6.6.2). Every method but `works` may raise StoreError, and then nothing was proved.
    """

    def __init__(
        self,
        *,
        slots: Shelf[Slot],
        epochs: Shelf[Epoch],
        throttle: Throttle,
        sealer: Sealer,
        post: Post,
        say: Words,
        settings: Settings,
        draw: Callable[[], str] = codes.draw,
    ) -> None:
        self._slots = slots
        self._epochs = epochs
        self._tries = Tries(throttle=throttle, settings=settings)
        self._allowance = Allowance(throttle=throttle, settings=settings)
        self._sealer = sealer
        self._post = post
        self._texts = Texts(say)
        self._life = settings.life
        self._kept = settings.life + REMEMBERED
        self._draw = draw

    def send(self, spot: Spot, visit: Visit) -> Sent | Limited:
        """Send a new code; pressed twice, it is one code. Nothing is sent while no code would be taken."""
        name = codes.place(self._sealer, spot)
        code = self._draw()
        for _ in range(RACES):
            kept = self._slots.get(name)
            slot = Slot() if kept is None else kept.value.aged(visit.now)
            epoch = self._epoch(spot.person)
            just_sent = _just_sent(spot, slot, visit.now, epoch)
            if just_sent is not None:
                return just_sent
            closed = self._closed(spot, visit)
            if closed is not None:
                return closed
            # The code lies there before it is counted and sent: of two at once, the slower finds it.
            issued = self._issue(spot, code, visit.now, epoch)
            placed = self._slots.swap(name, _raw(kept), slot.having(issued), self._kept)
            if placed is not None:
                return self._hand_over(spot, visit, code, issued, partial(self._withdraw, name, placed, slot))
        raise StoreError("too many codes are being sent at one spot at once")

    def check(self, spot: Spot, typed: str, visit: Visit) -> Verdict:
        """Count a try, then compare. What cannot be a code counts too: ask `codes.typed` before, to spare a try.

        The last try that is not right is answered by the lock.
        """
        left = self._tries.spend(spot.person, spot.purpose, visit.now, spot.to)
        if isinstance(left, Locked):
            return left
        found = self._compared(spot, codes.typed(typed), visit.now)
        if isinstance(found, Right):
            self._tries.clear(spot.person, spot.purpose, spot.to)
            return found
        if left == 0:
            return self._tries.locked(spot.person, spot.purpose, visit.now, spot.to) or Wrong(left=0)
        return Wrong(left=left) if found is None else found

    def delivery(self, message: str) -> Delivery | None:
        """Return what has become of the message with a code."""
        return self._post.delivery(message)

    def takes(self, channel: Channel, to: str) -> bool:
        """Tell whether codes go to such an address at all: text messages go to some countries only."""
        return self._allowance.takes(channel, to)

    def revoke(self, person: str) -> None:
        """Let no code sent to a person until now be good: the password or an address was changed."""
        self._epochs.put(self._whose(person), Epoch(id=secrets.token_hex(8)), 2 * self._kept)

    def recovered(self, person: str) -> None:
        """Lift the ceiling of failures: the person has proved anew who they are."""
        self._tries.recovered(person)

    def works(self, channel: Channel) -> bool:
        """Tell whether a channel is configured and has not failed just now."""
        return self._post.works(channel)

    def _closed(self, spot: Spot, visit: Visit) -> Limited | None:
        locked = self._tries.locked(spot.person, spot.purpose, visit.now, spot.to)
        if locked is not None:
            return Limited(until=locked.until, recover=locked.recover)
        return self._allowance.closed(spot, visit)

    def _issue(self, spot: Spot, code: str, now: datetime, epoch: str | None) -> Issued:
        return Issued(
            digest=codes.digest(self._sealer, spot, code),
            at=now,
            until=now + self._life,
            message=secrets.token_hex(16),
            epoch=epoch or "",
        )

    def _hand_over(
        self, spot: Spot, visit: Visit, code: str, issued: Issued, withdraw: Callable[[], None]
    ) -> Sent | Limited:
        limited = self._allowance.spend(spot, visit)
        if limited is not None:
            withdraw()
            return limited
        message = self._texts.message(spot, visit, code, message_id=issued.message, until=issued.until)
        try:
            self._post.send(message)
        except StoreError:
            withdraw()  # so that pressing again sends, and does not say that it has
            raise
        return _sent(spot, issued)

    def _withdraw(self, name: str, placed: Kept[Slot], before: Slot) -> None:
        """Take back a code that was not sent; if somebody has changed the slot meanwhile, leave it."""
        self._slots.swap(name, placed.raw, before, self._kept)

    def _compared(self, spot: Spot, code: str | None, now: datetime) -> Right | Old | None:
        """Use a right code up, and with it the whole spot; return None for a wrong one."""
        name = codes.place(self._sealer, spot)
        digest = codes.digest(self._sealer, spot, code or "")
        for _ in range(RACES):
            kept = self._slots.get(name)
            if kept is None:
                return None
            slot, epoch = kept.value.aged(now), self._epoch(spot.person)
            good = _holds(slot.good, digest, epoch)
            after = Slot() if good else slot
            # One of many swaps wins: two hundred right tries at once are one sign-in (O2, O5; ASVS 6.5.1).
            if after == kept.value or self._slots.swap(name, kept.raw, after, self._kept) is not None:
                return Right() if good else Old() if _holds(slot.old, digest, epoch) else None
        raise StoreError("too many tries at one spot at once")

    def _epoch(self, person: str) -> str | None:
        kept = self._epochs.get(self._whose(person))
        return None if kept is None else kept.value.id

    def _whose(self, person: str) -> str:
        return self._sealer.index("epoch", person).hex()


def _holds(several: tuple[Issued, ...], digest: bytes, epoch: str | None) -> bool:
    """Tell whether one of them is this code, sent since the last revocation; all are compared, in constant time."""
    alike = [hmac.compare_digest(each.digest, digest) for each in several]
    return any(same and epoch in (None, each.epoch) for same, each in zip(alike, several, strict=True))


def _just_sent(spot: Spot, slot: Slot, now: datetime, epoch: str | None) -> Sent | None:
    newest = slot.good[-1] if slot.good else None
    if newest is None or now - newest.at >= AT_ONCE or epoch not in (None, newest.epoch):
        return None
    return _sent(spot, newest)


def _sent(spot: Spot, issued: Issued) -> Sent:
    return Sent(
        channel=spot.channel,
        shown=shown(spot.channel, spot.to),
        at=issued.at,
        until=issued.until,
        message=issued.message,
    )


def _raw(kept: Kept[Slot] | None) -> bytes | None:
    return None if kept is None else kept.raw
