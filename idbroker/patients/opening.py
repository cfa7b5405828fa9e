"""What it opens that somebody is noted as a patient's guardian, at the services that a clinic has. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from idbroker.client import Client
from idbroker.clinic import Clinic
from idbroker.guardianship.tie import CUSTODY, MANDATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What those who are noted may do at a clinic.

    `acts`: sign in for a child at one of its services; `mandates`: sign in by a power of attorney; `registers`: be
    believed, with custody, when they register the child, and set up its own sign-in.
    """

    acts: bool
    mandates: bool
    registers: bool

    def by(self, relation: str) -> bool:
        """Tell whether a relation opens anything: a note that opens nothing would be taken for one that does."""
        if relation == MANDATE:
            return self.mandates
        return self.acts or (self.registers and relation == CUSTODY)


def opening(clinic: Clinic, services: Iterable[Client]) -> Opening:
    """Return what a note opens at a clinic, of all `services` there are."""
    taking = [one for one in services if one.clinic == clinic.id and one.acting != "never" and not one.disabled]
    return Opening(
        acts=any(clinic.limits.but(one.ages).guardian_until for one in taking),
        mandates=bool(taking and clinic.mandates),
        registers=clinic.takes_registrations and clinic.grown_up > 0,
    )
