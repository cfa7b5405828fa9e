"""What colleagues are told by e-mail: a link to choose a password, that a way to sign in was changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from idbroker.clinic import Clinic, Clinics
from idbroker.messages.message import Channel, Message, Post
from idbroker.sealing import Sealer
from idbroker.staff.member import Member
from idbroker.words import Words, calendar_date, clock_time

NEWS = timedelta(days=3)


@dataclass(frozen=True, kw_only=True)
class Letters:
    """Writes them, in the colleague's language, and posts them. Every method may raise StoreError."""

    post: Post
    words: Words
    clinics: Clinics
    sealer: Sealer
    issuer: str

    def link(self, member: Member, address: str, until: datetime, clinic: str | None = None) -> bool:
        """Send a link to choose a password; False for somebody without an address."""
        lines = (
            self._say("s.in.m.link", member, until, clinic),
            address,
            self._say("s.in.m.not", member, until, clinic),
        )
        return self._send(member, "staff_link", "s.in.m.link.sub", lines, address, until)

    def changed(self, member: Member, at: datetime) -> bool:
        """Tell them that a way to sign in was changed, in case it was not they (ASVS 6.3.7)."""
        lines = (self._say("s.in.m.changed", member, at),)
        return self._send(member, "staff_changed", "s.in.m.changed.sub", lines, at.isoformat(), at + NEWS)

    def closed(self, member: Member, at: datetime) -> bool:
        """Tell them, once a day, that somebody has typed so many wrong passwords that new browsers take none."""
        lines = (self._say("s.in.m.closed", member, at),)
        # A message is kept once: the day is in its id.
        return self._send(member, "staff_closed", "s.in.m.closed.sub", lines, f"{at:%Y-%m-%d}", at + NEWS)

    def _say(self, key: str, member: Member, at: datetime, clinic: str | None = None) -> str:
        place = self._clinic(member, clinic)
        host = urlsplit(self.issuer).hostname or self.issuer
        if place is None:
            return self.words.say(
                key, member.language, clinic=host, date=calendar_date(at, member.language), time=f"{at:%H:%M} UTC"
            )
        day = calendar_date(at.astimezone(place.zone), member.language)
        time = clock_time(at, place.zone, member.language)
        return self.words.say(key, member.language, place.country, clinic=place.name, date=day, time=time)

    def _clinic(self, member: Member, clinic: str | None) -> Clinic | None:
        known = map(self.clinics.find, [clinic] if clinic else sorted(member.roles))
        return next((one for one in known if one is not None), None)

    def _send(
        self, member: Member, kind: str, subject: str, lines: tuple[str, ...], about: str, ends: datetime
    ) -> bool:
        if not member.email:
            return False
        self.post.send(
            Message(
                # Nobody who reads the outbox's ids can try links until one fits.
                id=self.sealer.index("message", f"{kind}\n{member.id}\n{about}").hex()[:40],
                channel=Channel.EMAIL,
                to=member.email,
                subject=self.words.say(subject, member.language),
                text="\n\n".join(lines) + "\n",
                kind=kind,
                ends_at=ends,
            )
        )
        return True
