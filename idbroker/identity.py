"""What a provider proved about a person: who, at which level, when and how."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from idbroker.numbers import NationalNumber, birthdate_of


class LoA(enum.IntEnum):
    """Level of assurance (eIDAS Implementing Regulation 2015/1502). Ordered: low < substantial < high.

    `LoA("substantial")` reads a word of the configuration; ValueError for any other word.
    """

    LOW = 1
    SUBSTANTIAL = 2
    HIGH = 3

    @property
    def word(self) -> str:
        """Return its spelling in configuration and, by default, in `acr`."""
        return self.name.lower()

    @classmethod
    def _missing_(cls, value: object) -> LoA | None:
        return next((loa for loa in cls if loa.word == value), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What somebody lets this person do for them, as the eID tells it (OIO-BPP: a digital power of attorney).

    `number` is whose affairs they are, `what` the register's own word for what may be done, and
    `constraints` are names and values of what limits that. It is told, not judged: whether it is enough
    for anything here is guardianship's to say.
    """

    number: NationalNumber = field(repr=False)
    what: str
    constraints: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assisted:
    """Staff of a clinic vouch for this person, at one service and for a short time: nothing of the person's was used.

    `staff` is who, by their id, and `role` what they are there. `screen` says that they typed their own credentials
    on the patient's screen; else the screen was paired by a code (`pairing`, its id). `epoch` is theirs when they
    vouched: with another one it counts no more (None in what an older version kept).
    """

    staff: str
    role: str
    clinic: str
    client: str
    pairing: str = ""
    screen: bool = False
    epoch: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a provider proved. Computed from what was received, never from what was asked.

    `issuer` and `subject` are the upstream's own words for itself and for the person; together they
    are stable, and two upstreams never share them (ASVS 6.8.1). `proved_at` is when the person
    really acted, not when we heard of it. `app_ip` is the address of the app in which that was, and
    `evidence` what the eID signed, by name, for whoever must prove it later. With `assisted` it was staff who acted.

    `upstream_names` are the words by which the eID may say that its own session is over (a session
    index, a name); `upstream_logout` is what the provider needs to end that session, and only
    it reads; `upstream_issued` is when it told us of it, `upstream_until` how long it says that ours may last.
    """

    provider: str
    issuer: str
    subject: str = field(repr=False)
    loa: LoA
    proved_at: datetime
    amr: tuple[str, ...] = ()
    number: NationalNumber | None = field(default=None, repr=False)
    name: str | None = field(default=None, repr=False)
    given_name: str | None = field(default=None, repr=False)
    family_name: str | None = field(default=None, repr=False)
    birthdate: date | None = field(default=None, repr=False)
    protected: bool = False
    powers: tuple[Power, ...] = field(default=(), repr=False)
    upstream_names: tuple[str, ...] = field(default=(), repr=False)
    upstream_logout: str | None = field(default=None, repr=False)
    upstream_issued: datetime | None = None
    upstream_until: datetime | None = None
    app_ip: str | None = field(default=None, repr=False)
    assisted: Assisted | None = None
    evidence: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def born(self) -> date | None:
        """Return when who signed in was born: as was proved, else as the number tells."""
        return self.birthdate or birthdate_of(self.number)
