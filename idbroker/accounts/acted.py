"""Who has acted for somebody, as My page may name them."""

from __future__ import annotations

from idbroker.accounts.entries import is_protected
from idbroker.accounts.records import Records
from idbroker.events import Event
from idbroker.identity import LoA
from idbroker.session import Session

_ACTED = ("acting.granted", "acting.ended")


def who_acted(records: Records, session: Session, event: Event) -> str:
    """Return who acted for the person, as the clinic where it was knows them; "" where nobody is to be named.

    The attack: one parent chose a child's password, and reads as the child what the other, who hides from them, is
    called now. So whoever comes by a password that a guardian chose reads that guardian's name alone; and nobody
    reads the name of somebody whose name is protected.
    """
    guardian, clinic, ward = event.detail.get("guardian"), event.clinic, event.person
    if event.kind not in _ACTED or not (guardian and clinic and ward):
        return ""
    account = records.accounts.of(ward) if session.identity.loa <= LoA.LOW else None
    others = account is not None and account.guardian not in (None, guardian)
    if others or is_protected(records.enrolments.find(guardian, clinic)):
        return ""
    return records.called_at(guardian, clinic, records.enrolments.find(ward, clinic)) or ""
