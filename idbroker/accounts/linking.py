"""Links in messages: their secrets, what is kept of them, by which channel one came, and where a dead one leads."""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from idbroker.accounts import paper
from idbroker.accounts.account import Link, Purpose
from idbroker.accounts.records import Links
from idbroker.keeping import Shelf
from idbroker.messages.message import Channel
from idbroker.sealing import Sealer

REMEMBERED = timedelta(days=7)  # where a dead link leads: as long as a transaction's cookie says it
_OCTETS = 32  # 256 bits: no counting is needed against guesses (ASVS 6.6.3)
_JUST = timedelta(seconds=2)  # how long another press of the same form may take to say what came of it
# A code on paper is read at no address: None.
_LETTERS: Mapping[Channel | None, str] = {Channel.EMAIL: "e", Channel.SMS: "s", None: "p"}
_CHANNELS = {letter: channel for channel, letter in _LETTERS.items()}
# A secret, the letter of the channel that it was read by, and a check of eight signs.
_TEXT = re.compile(r"(?P<secret>[A-Za-z0-9_-]{43})(?P<letter>[esp])(?P<check>[A-Za-z0-9_-]{8})", re.ASCII)


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
    """A living link, and the channel it was read from; none for a code on paper.

    `address` is where it was sent, of a link that staff sent to addresses of their own choice (Purpose.RENEW).
    """

    link: Link
    channel: Channel | None
    address: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """Where a link was sent, by channel, for as long as it lives: choosing with it shows whose the address is."""

    to: Mapping[Channel, str] = field(default_factory=dict, repr=False)


class Linking:
    """Makes links and finds them. Every method may raise StoreError.

    A message by e-mail and one by SMS hold the same secret, each with its channel's letter and a check of it
    by our own key: who chose a password with the link in the e-mail has not shown whose the telephone is. The
    check is over person and purpose too, and the digest needs the key: who writes to the database can neither
    add a link nor point one of their own at somebody else.
    """

    def __init__(self, *, links: Links, origins: Shelf[Origin], aims: Shelf[Aim], sealer: Sealer) -> None:
        self._links, self._origins, self._aims, self._sealer = links, origins, aims, sealer

    def make(self, origin: Origin, purpose: Purpose, person: str, life: timedelta, now: datetime) -> tuple[Link, str]:
        """Keep a new link, which ends an older one of the same purpose; return it and its secret, kept nowhere."""
        secret = secrets.token_urlsafe(_OCTETS)
        return self._kept(secret, origin, purpose, person, life, now), secret

    def aim(
        self, origin: Origin, person: str, to: Mapping[Channel, str], life: timedelta, now: datetime
    ) -> tuple[Link, str]:
        """Keep a link that staff send to addresses which the person has not shown to be theirs (Purpose.RENEW)."""
        link, secret = self.make(origin, Purpose.RENEW, person, life, now)
        self._aims.put(link.digest, Aim(to=dict(to)), life)
        return link, secret

    def make_code(self, origin: Origin, person: str, life: timedelta, now: datetime) -> tuple[Link, str]:
        """Keep a link whose secret follows from a code and the person, for a letter; return the code, kept nowhere.

        So a code is nothing by itself: it opens one person's account, and is found by their number only.
        """
        code = paper.draw()
        return self._kept(self._of_code(person, code), origin, Purpose.LETTER, person, life, now), code

    def by_code(self, person: str, code: str, now: datetime) -> str | None:
        """Return a living link's text, as it would stand in an address, by the code in somebody's letter."""
        secret = self._of_code(person, code)
        link = self._links.find(self._digest(secret), now)
        return None if link is None else self.for_channel(link, secret, None)

    def _kept(self, secret: str, origin: Origin, purpose: Purpose, person: str, life: timedelta, now: datetime) -> Link:
        link = Link(
            digest=self._digest(secret),
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
        return link

    def for_channel(self, link: Link, secret: str, channel: Channel | None) -> str:
        """Return a link's secret as it is written in a message of one channel."""
        letter = _LETTERS[channel]
        return f"{secret}{letter}{self._check(link, secret, letter)}"

    def find(self, text: str, now: datetime) -> Found | None:
        """Return the link of what stood in an address. Looking changes nothing: mail scanners look, five times (F2)."""
        match = _TEXT.fullmatch(text)
        link = self._links.find(self._digest(match["secret"]), now) if match else None
        if match is None or link is None:
            return None
        right = hmac.compare_digest(match["check"], self._check(link, match["secret"], match["letter"]))
        return self._found(link, _CHANNELS[match["letter"]]) if right else None

    def _found(self, link: Link, channel: Channel | None) -> Found:
        aim = self._aims.get(link.digest) if link.purpose is Purpose.RENEW else None
        return Found(link=link, channel=channel, address=aim.value.to.get(channel) if aim and channel else None)

    def use(self, link: Link, now: datetime) -> bool:
        """Use a link up: of many callers at once exactly one is told True."""
        origin = Origin(clinic=link.clinic, language=link.language)
        self._origins.put(_used(link.digest), origin, _JUST)  # before: whoever finds it used finds this
        return self._links.use(link.digest, now)

    def is_just_used(self, text: str) -> bool:
        """Tell whether a link was used a moment ago."""
        match = _TEXT.fullmatch(text)
        return match is not None and self._origins.get(_used(self._digest(match["secret"]))) is not None

    def end_all(self, person: str) -> None:
        """End all of a person's."""
        self._links.end_all(person)

    def origin(self, text: str) -> Origin | None:
        """Return where a link was asked for, though it be used or over: for the way back, and for nothing else."""
        match = _TEXT.fullmatch(text)
        kept = self._origins.get(self._digest(match["secret"])) if match else None
        return kept.value if kept is not None else None

    def _check(self, link: Link, secret: str, letter: str) -> str:
        mac = self._sealer.index("link", f"{secret}\n{letter}\n{link.purpose}\n{link.person}")
        return base64.urlsafe_b64encode(mac)[:8].decode()

    def _of_code(self, person: str, code: str) -> str:
        mac = self._sealer.index("letter code", f"{person}\n{code}")
        return base64.urlsafe_b64encode(mac[:_OCTETS]).rstrip(b"=").decode()

    def _digest(self, secret: str) -> str:
        """Return what is kept of a secret."""
        return self._sealer.index("link digest", secret).hex()


def _used(digest: str) -> str:
    return f"used {digest}"
