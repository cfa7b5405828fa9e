"""A first or a lost password: a link for three days, used up by what is chosen with it.

What a link can do is all in it: whoever has it becomes that colleague. So it goes to the address that whoever added
them wrote down, opens for somebody without a password only, and ends with their epoch: a newer link, a choice, or a
disabling ends it. Opened by GET it uses nothing up and shows no secret, for mail scanners open every link (F2).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from idbroker.accounts.passwords import Busy, Hasher, least, weakness
from idbroker.clinic import Clinics, PasswordRules
from idbroker.keeping import Kept, Shelf
from idbroker.otp import app_codes
from idbroker.staff.entrance import Entrance, next_epoch
from idbroker.staff.member import Member
from idbroker.staff.passkeys import Passkeys, with_passkey

LIFE = timedelta(hours=72)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """A link under way. Once a password was chosen, `password` (hashed) and `app_secret` wait for the second factor.

    They do in the browser that is `bound` only: in any other the link begins anew.
    """

    staff: str
    epoch: datetime
    ends_at: datetime
    bound: str = ""
    password: str = field(default="", repr=False)
    app_secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A link that is good, whose it is, and how far they have come in this browser."""

    member: Member
    invitation: Invitation
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class Welcome:
    """Makes links, and lets a password and a second factor be chosen with one. May raise StoreError."""

    entrance: Entrance
    passkeys: Passkeys
    invitations: Shelf[Invitation]
    hasher: Hasher
    clinics: Clinics
    issuer: str

    def link(self, member: Member, now: datetime) -> tuple[str, datetime]:
        """Return the address of a new link, and when it ends. Those of an earlier epoch are of no more use."""
        token = secrets.token_urlsafe(32)
        made = Invitation(staff=member.id, epoch=member.epoch, ends_at=now + LIFE)
        self.invitations.put(_at(token), made, LIFE)
        return f"{self.issuer}/staff/set/{token}", made.ends_at

    def open(self, token: str, bound: str, now: datetime) -> Opened | None:
        """Return what a link is good for; None for one that is used, old, or overtaken by a newer one."""
        kept, member = self._found(token, now)
        if kept is None or member is None:
            return None
        mine = bool(kept.value.password) and hmac.compare_digest(kept.value.bound, bound)
        return Opened(member=member, invitation=kept.value, chosen=mine)

    def rules(self, member: Member) -> PasswordRules:
        """Return what their password must be: whatever each of their clinics demands."""
        own = [found.password for clinic in member.roles if (found := self.clinics.find(clinic)) is not None]
        rules = own or [PasswordRules()]
        return PasswordRules(least=max(map(least, rules)), mixed=any(one.mixed for one in rules))

    def weakness(self, member: Member, password: str) -> str | None:
        """Return the key of what is wrong with a new password; None when it may be chosen."""
        clinics = [found.name for clinic in member.roles if (found := self.clinics.find(clinic)) is not None]
        words = (member.login, member.name, member.email or "", *clinics)
        return weakness(password, self.rules(member), words)

    def choose(self, token: str, password: str, bound: str, now: datetime) -> str | None:
        """Let a password wait for its second factor; return the key of what is wrong.

        `s.in.gone` for a link of no use, `p.e.busy` when many passwords are being hashed: it is as good as before.
        """
        kept, member = self._found(token, now)
        if kept is None or member is None:
            return "s.in.gone"
        weak = self.weakness(member, password)
        if weak is not None:
            return weak
        try:
            hashed = self.hasher.hash(password)
        except Busy:
            return "p.e.busy"
        begun = replace(kept.value, bound=bound, password=hashed, app_secret=app_codes.new_secret())
        done = self.invitations.swap(_at(token), kept.raw, begun, kept.value.ends_at - now)
        return None if done is not None else "s.in.again"

    def by_app(self, token: str, code: str, bound: str, now: datetime) -> Member | str:
        """Finish with an authenticator app, by its first code; return who may come in now, or what is wrong."""
        opened = self.open(token, bound, now)
        if opened is None or not opened.chosen:
            return "s.in.gone"
        secret = opened.invitation.app_secret
        step = app_codes.step_of(secret, code, now, 0)
        if step is None:
            return "me.app.e.code"
        return self._finish(token, opened, lambda one: replace(one, app_secret=secret, app_step=step), now)

    def by_passkey(self, token: str, answer: str, bound: str, now: datetime) -> Member | str:
        """Finish with a passkey that was just made; return who may come in now, or what is wrong."""
        opened = self.open(token, bound, now)
        if opened is None or not opened.chosen:
            return "s.in.gone"
        passkey = self.passkeys.made(answer, "", bound, now)
        if passkey is None or self.entrance.members.by_passkey(passkey.id) is not None:
            return "s.in.e.passkey"
        return self._finish(token, opened, lambda one: with_passkey(one, passkey), now)

    def _finish(
        self, token: str, opened: Opened, add: Callable[[Member], Member | None], now: datetime
    ) -> Member | str:
        """Make it so, once: of two forms, or two holders of one link, the epoch lets one."""
        done = False

        def finish(member: Member) -> Member | None:
            nonlocal done
            done = member.epoch == opened.invitation.epoch and not member.disabled
            with_factor = add(member) if done else None
            done = with_factor is not None
            if with_factor is None:
                return None
            return replace(with_factor, password=opened.invitation.password, epoch=next_epoch(member, now))

        after = self.entrance.members.change(opened.member.id, finish)
        if after is None or not done:
            return "s.in.gone"
        self.invitations.take(_at(token))
        self.entrance.reopen(after)
        self.entrance.record("staff.changed", after, now, what="password")
        return after

    def _found(self, token: str, now: datetime) -> tuple[Kept[Invitation] | None, Member | None]:
        usable = 0 < len(token) <= 64 and self.entrance.settings.passwords
        kept = self.invitations.get(_at(token)) if usable else None
        if kept is None or kept.value.ends_at <= now:
            return None, None
        member = self.entrance.members.of(kept.value.staff)
        if member is None or member.disabled or member.epoch != kept.value.epoch:
            return None, None
        return kept, member


def _at(token: str) -> str:
    return f"link.{hashlib.sha256(token.encode()).hexdigest()}"
