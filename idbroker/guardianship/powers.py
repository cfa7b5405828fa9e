"""Powers of attorney that the eID itself has told with the proof (OIOSAML: OIO Basic Privilege Profile)."""

from __future__ import annotations

from datetime import datetime

from idbroker.clinic import Clinic
from idbroker.guardianship.tie import MANDATE, Answer, Guardian, Tie
from idbroker.numbers import NationalNumber


class Powers:
    """Reads them from the identity: nobody is asked, and what was told is good for the sign-in that it came with."""

    name = "powers"

    def wards(self, guardian: Guardian, _clinic: Clinic, now: datetime) -> Answer:
        """Return everybody who has given the guardian a power of attorney, each with all of their powers."""
        found: dict[str, Tie] = {}
        for power in guardian.identity.powers:
            known = found.get(power.number.key)
            what = (*(known.powers if known is not None else ()), power.what)
            found[power.number.key] = Tie(
                number=power.number, relation=MANDATE, basis="power_of_attorney", powers=tuple(dict.fromkeys(what))
            )
        return Answer(register=self.name, ties=tuple(found.values()), asked_at=now, good_until=now)

    def about(self, guardian: Guardian, ward: NationalNumber, clinic: Clinic, now: datetime) -> Answer:
        """Return those of one person."""
        answer = self.wards(guardian, clinic, now)
        ties = tuple(tie for tie in answer.ties if tie.number is not None and tie.number.key == ward.key)
        return Answer(register=self.name, ties=ties, asked_at=now, good_until=now)
