"""The sandbox's staff: a carer, an approver and an administrator, each with a password and an authenticator app."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

import pyotp

from idbroker.accounts.passwords import Settings
from idbroker.otp.app_codes import new_secret
from idbroker.sandbox.seeding import BY, hashed
from idbroker.staff.member import Member, Role
from idbroker.staff.records import Members


@dataclass(frozen=True, slots=True, kw_only=True)
class SimStaff:
    """One colleague: the same role at every clinic of the sandbox that has staff."""

    login: str
    name: str
    role: Role
    language: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AtWork:
    """A colleague as they are kept now: what to type, and what their authenticator app shows at this moment."""

    sim: SimStaff
    clinics: tuple[str, ...]
    app_secret: str = field(repr=False)
    code: str = field(repr=False)


STAFF = (
    SimStaff(
        login="anna", name="Anna Vårdsson", role=Role.CARER, language="sv", password="lampa-gurka-syster-3"
    ),
    SimStaff(
        login="bo", name="Bo Jasagersen", role=Role.APPROVER, language="da", password="kaktus-bolge-lege-5"
    ),
    SimStaff(
        login="cecilia", name="Cecilia Johtola", role=Role.ADMINISTRATOR, language="en", password="orange-pilot-desk-8"
    ),
)  # fmt: skip


def hire(members: Members, passwords: Settings, clinics: Collection[str], now: datetime) -> None:
    """Make them staff of these clinics; who is there already stays as they are. Raises StoreError.

    Their authenticator apps' secrets are new in each world: one that stood here would open every sandbox there is.
    """
    for sim in STAFF:
        members.add(
            Member(
                id=secrets.token_hex(16),
                login=sim.login,
                name=sim.name,
                email=f"{sim.login}.staff@example.test",
                language=sim.language,
                roles=dict.fromkeys(clinics, sim.role),
                password=hashed(sim.password, passwords),
                app_secret=new_secret(),
                epoch=now,
                created_at=now,
                created_by=BY,
            )
        )


def at_work(members: Members, now: datetime) -> tuple[AtWork, ...]:
    """Return them as they are now; who has no app any more, or is gone, is left out. Raises StoreError."""
    found = ((sim, members.by_login(sim.login)) for sim in STAFF)
    return tuple(
        AtWork(
            sim=sim,
            clinics=tuple(member.roles),
            app_secret=member.app_secret,
            code=pyotp.TOTP(member.app_secret).at(now),
        )
        for sim, member in found
        if member is not None and member.app_secret is not None
    )
