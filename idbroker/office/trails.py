"""What has happened with a patient, as staff read it: with the names of colleagues."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from idbroker.client import Clients
from idbroker.events import Event
from idbroker.staff.records import Members
from idbroker.web.mine import TOLD, is_told

_COLLEAGUES = ("guardianship.", "acting.")  # told to a person as theirs, to colleagues as the patient's
_OURS = ("patient", "guardian", "operator", "register")
_ASKS = "asks_"  # and the page: of an exchange that cannot show any
_PARTS = {
    "name": "r.name",
    "number": "p.id",
    "birthdate": "n.i.birthdate",
    "email": "r.mail",
    "sms": "r.mob",
    "language": "s.lang",
    "checked": "s.checked",
    "exempt": "s.exempt",
    "takes_part": "s.part",
    "protected": "s.prot",
}


def key_of(event: Event) -> str:
    """Return the text of what happened: as the person reads it, but of what staff did in the words of colleagues."""
    if not event.kind.startswith(("patient.", *_COLLEAGUES)):
        return f"me.ev.{event.kind}"
    return f"s.ev.{event.kind}" if event.kind in TOLD else "s.ev.patient"


def why_of(reason: str) -> str:
    """Return the text of why something was refused or ended, by the word that is recorded for it.

    Who has a list of such words has them all: what colleagues type themselves has no text, and stays as it is.
    """
    return f"s.why.{_ASKS[:-1] if reason.startswith(_ASKS) else reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line: `key` is the text of what happened, `parts` of what it was about, `by` a name or a text's key."""

    at: datetime
    key: str
    parts: tuple[str, ...]
    by: str
    by_key: str


@dataclass(frozen=True, kw_only=True)
class Trails:
    """Reads events for colleagues. Every method may raise StoreError."""

    members: Members
    clients: Clients

    def rows(self, events: Iterable[Event]) -> list[Row]:
        """Return those that there are words for."""
        names: dict[str, str] = {}
        return [self._row(event, key_of(event), names) for event in events if is_told(event)]

    def called(self, by: str) -> str:
        """Return who did something, as colleagues call them; of what is no colleague, its own word."""
        member = self.members.of(by) if by else None
        if member is not None:
            return member.name
        client = self.clients.find(by.removeprefix("client:")) if by.startswith("client:") else None
        return by if client is None else client.called("en")

    def _row(self, event: Event, key: str, names: dict[str, str]) -> Row:
        by = event.detail.get("by", "")
        if by not in names:
            names[by] = self.called(by)
        parts = tuple(_PARTS[one] for one in event.detail.get("what", "").split() if one in _PARTS)
        return Row(
            at=event.at,
            key=key,
            parts=parts,
            by="" if by in _OURS else names[by],
            by_key=f"s.by.{by}" if by in _OURS else "",
        )
