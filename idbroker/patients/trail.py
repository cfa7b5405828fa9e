"""What staff and programs do with a patient, in the trail that the patient can read."""

from __future__ import annotations

from datetime import datetime

from idbroker.events import Event, Events
from idbroker.staff.member import Actor


def record(
    events: Events, kind: str, actor: Actor, person: str, now: datetime, *, client: str | None = None, **detail: str
) -> None:
    """Keep what somebody did, as an event of the patient's: who by their id, in which role. Raises StoreError."""
    events.record(made(kind, actor, person, now, client=client, **detail))


def made(kind: str, actor: Actor, person: str, now: datetime, *, client: str | None = None, **detail: str) -> Event:
    """Return such an event, for those who keep it together with something else."""
    said = {**detail, "by": actor.id, "role": actor.role.value}
    return Event(at=now, kind=kind, clinic=actor.clinic, client=client, person=person, detail=said)
