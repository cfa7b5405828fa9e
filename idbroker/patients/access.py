"""Sending a patient their access: a link, a lasting password where the clinic has set it, a letter with a code."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from idbroker.messages.message import Channel
from idbroker.otp.one_time import Limited
from idbroker.otp.throttle import Limit
from idbroker.patients.patient import NotDone
from idbroker.staff.member import Actor

MOST = Limit(most=3, per=timedelta(hours=1))
LETTER_LIFE = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was sent: `kind` is `link` or `password`; where to, as a page may show it to staff; until when it works."""

    kind: str
    sent: Mapping[Channel, str] = field(repr=False)
    at: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A letter to print: its code is shown once, and kept nowhere."""

    code: str = field(repr=False)
    at: datetime
    until: datetime


class Access:
    """Sends access. Every method may raise StoreError; NotFound for a handle that is not there.

    To an address that the person has shown to be theirs goes a link as they could ask for themselves. To any other
    goes one after which the password opens this clinic alone (`Account.only_at`): a clinic speaks for itself.
    """

    def send(
        self, actor: Actor, handle: str, channels: Collection[Channel], service: str | None, now: datetime
    ) -> Receipt | Limited | NotDone:
        """Send a link, or a lasting password where the clinic has set that, by the channels ticked."""
        raise NotImplementedError

    def letter(self, actor: Actor, handle: str, service: str | None, now: datetime) -> Letter | Limited | NotDone:
        """Make a code for a letter; an earlier one ends."""
        raise NotImplementedError

    def receipts(self, actor: Actor, handle: str) -> tuple[Receipt, ...]:
        """Return what was sent lately, the newest first."""
        raise NotImplementedError
