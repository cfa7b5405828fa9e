"""Who works at a clinic, and what they may do there."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


class Role(enum.StrEnum):
    """What somebody may do at a clinic; each role may do what those before it may."""

    CARER = "carer"  # find, enter and help patients
    APPROVER = "approver"  # and answer who asks to be taken
    ADMINISTRATOR = "administrator"  # and say who works here, and join two persons

    def may(self, least: Role) -> bool:
        """Tell whether this role is at least another."""
        order = list(Role)
        return order.index(self) >= order.index(Role(least))


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    """A passkey (WebAuthn Level 3): its id and public key as the library spells them, and the newest counter."""

    id: bytes = field(repr=False)
    public_key: bytes = field(repr=False)
    counter: int = 0
    name: str = ""
    added_at: datetime
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A staff member. Kept sealed, by `id`: 32 hexadecimal signs, which is all that the trail says of them.

    `login` is the user name; `subject` the name that the organisation's own OpenID provider has for them (issuer and
    sub, on two lines). `password` is an argon2id hash, `app_secret` and `app_step` are an authenticator app's.
    `roles` are by clinic. `epoch` is when all their sign-ins were last ended: nothing from before it counts.
    """

    id: str
    login: str = field(repr=False)
    name: str = field(repr=False)
    email: str | None = field(default=None, repr=False)
    language: str = "en"
    roles: Mapping[str, Role] = field(default_factory=dict)
    password: str | None = field(default=None, repr=False)
    app_secret: str | None = field(default=None, repr=False)
    app_step: int = 0
    passkeys: tuple[Passkey, ...] = ()
    subject: str | None = field(default=None, repr=False)
    disabled: bool = False
    epoch: datetime
    created_at: datetime
    created_by: str = ""

    def role(self, clinic: str) -> Role | None:
        """Return what they are at a clinic; None for nothing, and for who is disabled."""
        return None if self.disabled else self.roles.get(clinic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who does something at a clinic, now: a staff member in a role, a program, or the operator.

    `id` is what the trail keeps: a member's id, `client:ID`, or `operator`. `name` is shown to colleagues only. `epoch`
    is a member's own at the time: what they began ends with it.
    """

    id: str
    clinic: str
    role: Role
    name: str = field(default="", repr=False)
    epoch: datetime | None = field(default=None, repr=False)

    def may(self, least: Role) -> bool:
        """Tell whether they may do what a role may."""
        return self.role.may(least)
