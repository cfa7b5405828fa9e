"""Links in messages: their secrets, what is kept of them, by which channel one came, and where a dead one leads."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from idbroker.accounts.account import Link, Purpose
from idbroker.accounts.records import Links
from idbroker.keeping import Shelf
from idbroker.messages.message import Channel
from idbroker.sealing import Sealer

REMEMBERED = timedelta(days=7)  # where a dead link leads: as long as a transaction's cookie says it
_OCTETS = 32  # 256 bits: no counting is needed against guesses (ASVS 6.6.3)
_LETTERS = {Channel.EMAIL: "e", Channel.SMS: "s"}
_CHANNELS = {letter: channel for channel, letter in _LETTERS.items()}
# A secret, and for a link that shows whose an address is the channel's letter with a check of six signs.
_TEXT = re.compile(r"(?P<secret>[A-Za-z0-9_-]{43})(?:(?P<letter>[es])(?P<check>[A-Za-z0-9_-]{6}))?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a link was asked for: all that is remembered of one that is used or over. Nothing of the person.

    `invited` says that staff had it sent, and nobody else can.
    """

    clinic: str
    client: str | None = None
    transaction: str | None = None
    language: str = "en"
    invited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A living link, and the channel it was read from; None for one that may have come by any."""

    link: Link
    channel: Channel | None = None


class Linking:
    """Makes links and finds them. Every method may raise StoreError.

    A message by e-mail and one by SMS hold the same secret, each with its channel's letter and a check of it
    by our own key: who chose a password with the link in the e-mail has not shown whose the telephone is.
    """

    def __init__(self, *, links: Links, origins: Shelf[Origin], sealer: Sealer) -> None:
        self._links, self._origins, self._sealer = links, origins, sealer

    def make(self, origin: Origin, purpose: Purpose, person: str, life: timedelta, now: datetime) -> tuple[Link, str]:
        """Keep a new link, which ends an older one of the same purpose; return it and its secret, kept nowhere."""
        secret = secrets.token_urlsafe(_OCTETS)
        link = Link(
            digest=_digest(secret),
            purpose=purpose,
            person=person,
            clinic=origin.clinic,
            client=origin.client,
            transaction=origin.transaction,
            language=origin.language,
            made_at=now,
            ends_at=now + life,
        )
        self._origins.put(link.digest, origin, REMEMBERED)
        self._links.add(link)
        return link, secret

    def for_channel(self, secret: str, channel: Channel) -> str:
        """Return a secret as it is written in a message of one channel."""
        letter = _LETTERS[channel]
        return f"{secret}{letter}{self._check(secret, letter)}"

    def find(self, text: str, now: datetime) -> Found | None:
        """Return the link of what stood in an address. Looking changes nothing: mail scanners look, five times (F2)."""
        read = self._read(text)
        link = self._links.find(_digest(read[0]), now) if read else None
        return Found(link=link, channel=read[1]) if read and link is not None else None

    def use(self, link: Link, now: datetime) -> bool:
        """Use a link up: of many callers at once exactly one is told True."""
        return self._links.use(link.digest, now)

    def end_all(self, person: str) -> None:
        """End all of a person's."""
        self._links.end_all(person)

    def origin(self, text: str) -> Origin | None:
        """Return where a link was asked for, though it be used or over: for the way back, and for nothing else."""
        read = self._read(text)
        kept = self._origins.get(_digest(read[0])) if read else None
        return kept.value if kept is not None else None

    def _read(self, text: str) -> tuple[str, Channel | None] | None:
        match = _TEXT.fullmatch(text)
        if match is None:
            return None
        secret, letter = match["secret"], match["letter"]
        if letter is None:
            return secret, None
        right = hmac.compare_digest(match["check"], self._check(secret, letter))
        return (secret, _CHANNELS[letter]) if right else None

    def _check(self, secret: str, letter: str) -> str:
        return base64.urlsafe_b64encode(self._sealer.index("link", f"{secret}{letter}"))[:6].decode()


def _digest(secret: str) -> str:
    """Return what is kept of a secret; of 256 random bits one SHA-256 is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()
