"""Who works where: added, given roles, reset, disabled; by the operator, or by a clinic's administrators there only.

An administrator's arm is no longer than their clinic: roles elsewhere are not theirs to touch, nor is the password of
somebody who works elsewhere too, for it opens the other clinic's patients. Nobody raises themselves, and a clinic
that has an administrator keeps one.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from idbroker.errors import NotFound
from idbroker.events import Event
from idbroker.messages.addresses import NotAnAddress, email
from idbroker.otp.one_time import OneTimeCodes
from idbroker.staff.entrance import Entrance, next_epoch
from idbroker.staff.letters import Letters
from idbroker.staff.logins import login_of
from idbroker.staff.member import Actor, Member, Role
from idbroker.staff.welcome import Welcome

LONGEST_NAME = 100
OPERATOR = Actor(id="operator", clinic="", role=Role.ADMINISTRATOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """Nothing was changed; `key` is the text that says why, `field` the one of the form that is wrong."""

    key: str
    field: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """Somebody may choose a password, with a link until a moment. `sent` tells whether it went by e-mail."""

    member: Member
    address: str
    until: datetime
    sent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """Who is to be added, as typed. `subject` is issuer and sub at the organisation's provider, on two lines."""

    login: str
    name: str
    email: str | None
    roles: Mapping[str, Role]
    language: str = "en"
    subject: str | None = None


@dataclass(frozen=True, kw_only=True)
class Roster:
    """Changes who works where. Every method may raise StoreError; NotFound for somebody who is not at the clinic.

    `left` is told of whoever may act no longer, at one clinic or at all: what they have begun for patients ends.
    """

    entrance: Entrance
    welcome: Welcome
    letters: Letters
    codes: OneTimeCodes
    left: Callable[[str, str | None], None]

    def colleagues(self, clinic: str | None = None) -> tuple[Member, ...]:
        """Return who works at a clinic, or all; disabled ones too."""
        return self.entrance.members.at(clinic)

    def colleague(self, staff: str, by: Actor) -> Member:
        """Return one whom somebody may see. NotFound for who is not of their clinic, or is not at all."""
        member = self.entrance.members.of(staff)
        if member is None or (by is not OPERATOR and by.clinic not in member.roles):
            raise NotFound("no such colleague at this clinic")
        return member

    def add(self, newcomer: Newcomer, by: Actor, now: datetime, *, send: bool = True) -> Linked | Undone:
        """Add somebody and make their link, by e-mail where `send` and a password is of use to them."""
        made = _made(newcomer, by, now)
        if isinstance(made, Undone):
            return made
        if made.subject is None and not self.entrance.settings.passwords:
            return Undone(key="s.st.e.subject", field="subject")
        if not self.entrance.members.add(made):
            return Undone(key="s.st.e.taken", field="login")
        self._record("staff.added", made, by, now)
        return self._linked(made, by, now, send=send and made.subject is None)

    def subject(self, staff: str, subject: str | None, by: Actor, now: datetime) -> Member | Undone:
        """Write down how the organisation's provider names somebody, or forget it. The operator's only.

        Their sign-ins end: who was let in by the name of before is let in no longer.
        """
        if by is not OPERATOR:
            return Undone(key="s.st.e.elsewhere")
        known = self.entrance.members.by_subject(*subject.split("\n", 1)) if subject else None
        if known is not None and known.id != staff:
            return Undone(key="s.st.e.taken")
        after = self._changed(staff, lambda one: replace(one, subject=subject, epoch=next_epoch(one, now)))
        self.left(staff, None)
        self._record("staff.changed", after, by, now, what="subject")
        return after

    def may_reset(self, member: Member, by: Actor) -> bool:
        """Tell whether somebody may end another's password: nobody their own, and only where all their clinics are."""
        if by is OPERATOR:
            return True
        own = self.entrance.members.of(by.id)
        theirs = set(member.roles)
        return (
            own is not None and member.id != by.id and all(own.role(clinic) is Role.ADMINISTRATOR for clinic in theirs)
        )

    def reset(self, staff: str, by: Actor, now: datetime, *, send: bool = True) -> Linked | Undone:
        """End somebody's password, factors and sign-ins, and make a new link."""
        member = self.colleague(staff, by)
        if not self.may_reset(member, by):
            return Undone(key="s.st.e.elsewhere")
        if member.disabled:
            return Undone(key="s.st.e.disabled")
        if send and not member.email:
            return Undone(key="s.st.e.noemail")
        if not self.entrance.settings.passwords:
            return Undone(key="s.st.e.subject")
        after = self._if(
            staff,
            lambda one: self.may_reset(one, by) and not one.disabled,
            lambda one: replace(
                one, password=None, app_secret=None, app_step=0, passkeys=(), epoch=next_epoch(one, now)
            ),
        )
        if after is None:
            return Undone(key="s.st.e.elsewhere")
        self.entrance.reopen(after)
        self.codes.recovered(after.id)
        self._record("staff.reset", after, by, now)
        self.left(staff, None)
        return self._linked(after, by, now, send=send)

    def role(self, staff: str, clinic: str, role: Role | None, by: Actor, now: datetime) -> Member | Undone:
        """Give somebody another role at a clinic, or none. Of the roles elsewhere nothing changes.

        Who has not chosen a password yet gets a new link with a new clinic. The attack: whoever added them, and had
        the link sent to an address of their own, would come to that clinic's patients by it.
        """
        before = self.colleague(staff, by)
        if by is not OPERATOR and by.clinic != clinic:
            raise NotFound("another clinic's role")
        if staff == by.id and role is not None and not by.may(role):
            return Undone(key="s.st.e.self")
        had, ended = before.roles.get(clinic), False

        def change(one: Member) -> Member:
            nonlocal ended
            ended = role is not None and clinic not in one.roles and one.password is None
            epoch = next_epoch(one, now) if ended else one.epoch
            return replace(one, roles=_with_role(one.roles, clinic, role), epoch=epoch)

        after = self._changed(staff, change)
        if self._is_orphaned(clinic, had, by):
            self._changed(staff, lambda one: replace(one, roles=_with_role(one.roles, clinic, had)))
            return Undone(key="s.st.e.last")
        self._record("staff.changed", after, by, now, what="role", role=role or "none", at=clinic)
        if role is None:
            self.left(staff, clinic)
        if ended and not after.disabled and self.entrance.settings.passwords:
            self._linked(after, by, now, send=after.subject is None)
        return after

    def end(self, staff: str, by: Actor, now: datetime) -> Member | Undone:
        """Let somebody work at a clinic no longer: who works nowhere else is disabled, their sign-ins end at once."""
        member = self.colleague(staff, by)
        if staff == by.id:
            return Undone(key="s.st.e.self")
        after = self._if(
            staff,
            lambda one: by is OPERATOR or set(one.roles) == {by.clinic},
            lambda one: replace(one, disabled=True, epoch=next_epoch(one, now)),
        )
        if after is None:
            return self.role(staff, by.clinic, None, by, now)
        for clinic, had in member.roles.items():
            if by is not OPERATOR and self._is_orphaned(clinic, had, by):
                self._changed(staff, lambda one: replace(one, disabled=False))
                return Undone(key="s.st.e.last")
        self._record("staff.disabled", after, by, now)
        self.left(staff, None)
        return after

    def enable(self, staff: str, by: Actor, now: datetime) -> Member | Undone:
        """Let somebody in again who was disabled, with what they had."""
        self.colleague(staff, by)
        after = self._if(staff, lambda one: self.may_reset(one, by), lambda one: replace(one, disabled=False))
        if after is None:
            return Undone(key="s.st.e.elsewhere")
        self._record("staff.changed", after, by, now, what="enabled")
        return after

    def remove(self, staff: str, by: Actor, now: datetime) -> bool:
        """Remove somebody for good; what the trail says of them stays. The operator's only."""
        member = self.entrance.members.of(staff)
        if member is None or by is not OPERATOR:
            return False
        done = self.entrance.members.remove(staff)
        self._record("staff.disabled", member, by, now, what="removed")
        self.left(staff, None)
        return done

    # ---- how -------------------------------------------------------------------------------------

    def _is_orphaned(self, clinic: str, had: Role | None, by: Actor) -> bool:
        """Tell whether a clinic has just lost its last administrator.

        Asked after the change: two who step back at once each see the other, and both come back. Who has never chosen
        a password, or cannot sign in for another reason, is none that a clinic could be left to.
        """
        if by is OPERATOR or had is not Role.ADMINISTRATOR:
            return False
        left = (one for one in self.colleagues(clinic) if one.role(clinic) is Role.ADMINISTRATOR)
        return not any(one.id == by.id or self._can_sign_in(one) for one in left)

    def _can_sign_in(self, member: Member) -> bool:
        settings = self.entrance.settings
        by_password = member.password is not None and member.app_secret is not None
        ours = settings.passwords and (by_password or bool(member.passkeys))
        return not member.disabled and (ours or (settings.issuer is not None and member.subject is not None))

    def _changed(self, staff: str, change: Callable[[Member], Member | None]) -> Member:
        after = self.entrance.members.change(staff, change)
        if after is None:
            raise NotFound("no such colleague any more")
        return after

    def _if(
        self, staff: str, may: Callable[[Member], bool], change: Callable[[Member], Member | None]
    ) -> Member | None:
        """Change somebody if it may be done to them as they are in that very moment; None: it may not."""
        allowed = False

        def changed(one: Member) -> Member | None:
            nonlocal allowed
            allowed = may(one)
            return change(one) if allowed else None

        after = self._changed(staff, changed)
        return after if allowed else None

    def _linked(self, member: Member, by: Actor, now: datetime, *, send: bool) -> Linked:
        address, until = self.welcome.link(member, now)
        sent = send and self.letters.link(member, address, until, by.clinic or None)
        return Linked(member=member, address=address, until=until, sent=sent)

    def _record(self, kind: str, member: Member, by: Actor, now: datetime, **detail: str) -> None:
        about = {"by": by.id, "staff": member.id, **detail}
        self.entrance.events.record(Event(at=now, kind=kind, clinic=by.clinic or None, detail=about))


def _made(newcomer: Newcomer, by: Actor, now: datetime) -> Member | Undone:
    login = login_of(newcomer.login)
    name = " ".join(newcomer.name.split())
    if login is None:
        return Undone(key="s.st.e.login", field="login")
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        return Undone(key="s.st.e.name", field="name")
    try:
        address = email(newcomer.email) if newcomer.email else None
    except NotAnAddress:
        return Undone(key="s.st.e.email", field="email")
    return Member(
        id=secrets.token_hex(16),
        login=login,
        name=name,
        email=address,
        language=newcomer.language,
        roles=dict(newcomer.roles),
        subject=newcomer.subject,
        epoch=now,
        created_at=now,
        created_by=by.id,
    )


def _with_role(roles: Mapping[str, Role], clinic: str, role: Role | None) -> dict[str, Role]:
    others = {name: had for name, had in roles.items() if name != clinic}
    return others if role is None else {**others, clinic: role}
