"""Browsers in which a colleague has signed in before: what strangers do is not counted against them there.

The attack: one device on the clinic's network types thirty wrong passwords, or somebody who knows a user name a
hundred, and the staff are kept out. So a browser that a colleague came in with, by both factors, keeps a token of
theirs. It opens nothing: it only has the tries of this browser counted by themselves (SP 800-63B-4, 3.2.2).
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from idbroker.sealing import Sealer
from idbroker.staff.member import Member

LIFE = timedelta(days=90)
_TOKEN = re.compile(r"([0-9a-f]{32})\.([0-9]{1,12})\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{32})", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Familiar:
    """Makes such tokens, and knows them again: whose, since when, which browser, and a MAC over all three.

    They outlive sign-ins, resets and a colleague's epochs, for 90 days from the newest sign-in.
    """

    sealer: Sealer

    def token(self, member: Member, brought: Iterable[str], now: datetime) -> str:
        """Return what a browser is to keep, once a colleague is in: a new one, or its own for 90 days more."""
        return self._made(member.id, int(now.timestamp()), self.of(member, brought, now) or secrets.token_urlsafe(16))

    def of(self, member: Member, brought: Iterable[str], now: datetime) -> str | None:
        """Return which browser it is that brought these tokens, if a colleague has signed in with it; else None."""
        return next((browser for whose, browser in self._good(brought, now) if whose == member.id), None)

    def browser(self, brought: Iterable[str], now: datetime) -> str | None:
        """Return which browser it is, if any colleague has signed in with it; else None."""
        return next((browser for _, browser in self._good(brought, now)), None)

    def _good(self, brought: Iterable[str], now: datetime) -> Iterable[tuple[str, str]]:
        for text in brought:
            found = _TOKEN.fullmatch(text)
            if found is None:
                continue
            whose, at, browser, _ = found.groups()
            fresh = 0 <= now.timestamp() - int(at) < LIFE.total_seconds()
            if fresh and hmac.compare_digest(text, self._made(whose, int(at), browser)):
                yield whose, browser

    def _made(self, whose: str, at: int, browser: str) -> str:
        words = f"{whose}.{at}.{browser}"
        mac = self.sealer.index("staff browser", words)[:24]
        return f"{words}.{base64.urlsafe_b64encode(mac).decode()}"
