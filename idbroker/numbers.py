"""National numbers: CPR, personnummer, samordningsnummer, HETU. (Being completed.)"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class NationalNumber:
    """One national number: `country` is DK, SE or FI, `kind` its name there, `value` canonical."""

    country: str
    kind: str
    value: str = field(repr=False)

    @property
    def key(self) -> str:
        """Return country and value, what it is indexed by."""
        return f"{self.country}:{self.value}"
