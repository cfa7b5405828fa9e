"""Who asks, from where: what the rooms below the broker are told of a browser's visit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from idbroker.ages import Ages
from idbroker.client import Client
from idbroker.clinic import Clinic


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One browser, at one step of one sign-in. `host` is ours, as people see it; `ip` theirs, if it is known."""

    transaction: str
    clinic: Clinic
    client: Client
    language: str
    now: datetime
    host: str
    ip: str | None = None
    door: str | None = None

    @property
    def limits(self) -> Ages:
        """Return the ages that hold at the service: its own, else the clinic's, else the country's."""
        return self.clinic.limits.but(self.client.ages)

    @property
    def service(self) -> str:
        """Return what the service, or the door of it that they took, is called in the person's language."""
        return self.client.called(self.language, self.door)
