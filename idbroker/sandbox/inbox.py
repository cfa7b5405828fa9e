"""The inbox: e-mail and text messages that would have been sent."""

from __future__ import annotations

import itertools
import re
import threading
from dataclasses import dataclass, field
from datetime import datetime

from idbroker.clock import Clock

CHANNELS = ("email", "sms")
MOST_MESSAGES = 500
_LINK = re.compile(r"https?://[^\s<>\"]+")
_CODE = re.compile(r"(?<![\w+])[0-9]{6}(?!\w)")  # as it stands alone: not a piece of a number, nor of a link


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message: `code` and `link` are what a person would take out of it, None where there is none."""

    id: int
    at: datetime
    channel: str
    to: str = field(repr=False)
    subject: str = field(default="", repr=False)
    text: str = field(repr=False)
    code: str | None = field(default=None, repr=False)
    link: str | None = field(default=None, repr=False)


class Inbox:
    """Everything delivered since the start or the last reset; several threads may deliver and look."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._numbers = itertools.count(1)
        self._messages: tuple[Message, ...] = ()
        self._lock = threading.Lock()

    def add(self, channel: str, to: str, text: str, *, subject: str = "", code: str | None = None) -> Message:
        """Deliver a message; its code is looked for in the text if none is told.

        ValueError for a channel that is not one of CHANNELS.
        """
        if channel not in CHANNELS:
            raise ValueError(f"channel is one of {', '.join(CHANNELS)}")
        found = _LINK.search(text)
        digits = _CODE.search(_LINK.sub(" ", text))
        code = digits[0] if code is None and digits else code
        with self._lock:
            message = Message(
                id=next(self._numbers), at=self._clock.now(), channel=channel, to=to, subject=subject, text=text,
                code=code, link=found[0].rstrip(".,;)") if found else None,
            )  # fmt: skip
            self._messages = (*self._messages, message)[-MOST_MESSAGES:]
        return message

    def list(self, to: str | None = None) -> tuple[Message, ...]:
        """Return the messages, newest first; those to one address or number if it is given."""
        return tuple(message for message in reversed(self._messages) if to in (None, message.to))
