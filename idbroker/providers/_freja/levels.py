"""Freja's levels, of a registration and of assurance, and what they are in ours."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from idbroker.errors import Untrusted
from idbroker.identity import LoA


class Registration(enum.IntEnum):
    """How a person was vetted: an e-mail address; an ID document; a chip with the face, or a meeting."""

    BASIC = 1
    EXTENDED = 2
    PLUS = 3


# An e-mail address proves no person: it is below low (eIDAS 2015/1502, annex 2.1.2).
_BY_REGISTRATION: Mapping[Registration, LoA | None] = {
    Registration.BASIC: None,
    Registration.EXTENDED: LoA.LOW,
    Registration.PLUS: LoA.SUBSTANTIAL,
}
# Of the quality-marked levels of Digg, 3 is eIDAS substantial. What Freja calls 3 for people who do not
# live in Sweden, Digg approved at 2 only (2024-02-26).
_BY_ASSURANCE: Mapping[str, LoA | None] = {
    "LOA1": None,
    "LOA2": LoA.LOW,
    "LOA3": LoA.SUBSTANTIAL,
    "LOA3_NR": LoA.LOW,
}
HIGHEST = LoA.SUBSTANTIAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """What Freja said of how a person was vetted. `assurance` is its loaLevel, for those it is enabled for."""

    registration: Registration
    assurance: str | None = None

    @property
    def loa(self) -> LoA | None:
        """Return the lower of what the two say; None when it is below low."""
        both = {_BY_REGISTRATION[self.registration]}
        if self.assurance is not None:
            both.add(_BY_ASSURANCE[self.assurance])
        known = {loa for loa in both if loa is not None}
        return min(known) if known == both else None

    @property
    def numbered(self) -> bool:
        """Tell whether a number with it may be believed: only that of a resident at Plus (so does eduID).

        At Extended it was read off a picture of a document; as a number joins all eIDs of a person, a
        forged one would open somebody else's record.
        """
        return self.loa is LoA.SUBSTANTIAL


def read_level(registration: str | None, assurance: str | None) -> Level:
    """Return the level that two words of Freja's are. Untrusted for a missing or unknown one."""
    if registration is None or registration not in Registration.__members__:
        raise Untrusted("level: missing or unknown")
    if assurance is not None and assurance not in _BY_ASSURANCE:
        raise Untrusted("level: missing or unknown")
    return Level(registration=Registration[registration], assurance=assurance)
