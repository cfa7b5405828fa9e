"""What My page says: a person's own, as values and rows for its template."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from idbroker.accounts.account import Account, Agreed, Consent
from idbroker.accounts.own import Own
from idbroker.client import Clients
from idbroker.clinic import Clinic, Clinics
from idbroker.events import Event
from idbroker.messages.addresses import shown
from idbroker.messages.message import Channel
from idbroker.session import Session

# What a person is told of the trail; the rest is for operators.
TOLD = (
    "signin.granted", "signin.session", "session.ended", "password.changed", "password.locked",
    "account.contact_changed", "account.app_added", "account.app_removed", "consent.given", "consent.withdrawn",
    "enrolment.made", "enrolment.asked", "enrolment.approved",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """Fills in My page, in a language; `titles` are what eIDs are called."""

    clients: Clients
    clinics: Clinics
    titles: Callable[[str], str]
    language: str

    def values(self, own: Own, session: Session, clinic: Clinic) -> dict[str, str]:
        """Return what stands there once."""
        account = _account(own.account) if own.account else {}
        return {"clinic": clinic.name, "session": handle(session), **account}

    def rows(self, own: Own, session: Session) -> dict[str, list[dict[str, str]]]:
        """Return the lists: sessions, consents, clinics, events."""
        enrolled = [(one, self.clinics.find(one.clinic)) for one in own.enrolments]
        return {
            "sessions": [self._session(one, session) for one in own.sessions],
            "consents": [self._consent(consent) for consent in own.consents],
            "clinics": [
                {"clinic": clinic.name, "standing": one.standing.value, "at": one.asked_at.isoformat()}
                for one, clinic in enrolled
                if clinic is not None
            ],
            "events": [self._event(event) for event in own.events if event.kind in TOLD],
        }

    def _session(self, session: Session, this: Session) -> dict[str, str]:
        names = [self._called(reached.client_id) for reached in session.reached]
        return {
            "id": handle(session),
            "at": session.started_at.isoformat(),
            "seen": session.seen_at.isoformat(),
            "services": ", ".join(dict.fromkeys(name for name in names if name)),
            "this": "1" if session.key == this.key else "",
        }

    def _consent(self, consent: Consent) -> dict[str, str]:
        clinic = self.clinics.find(consent.about)
        terms = clinic.name if clinic else ""
        return {
            "id": consent.id,
            "kind": consent.kind.value,
            "about": self._called(consent.about) if consent.kind is Agreed.RELEASE else terms,
            "items": " ".join(consent.items),
            "version": consent.version,
            "at": consent.given_at.isoformat(),
        }

    def _event(self, event: Event) -> dict[str, str]:
        return {
            "kind": event.kind,
            "at": event.at.isoformat(),
            "service": self._called(event.client),
            "eid": self.titles(event.provider or ""),
        }

    def _called(self, client_id: str | None) -> str:
        client = self.clients.find(client_id) if client_id else None
        return client.called(self.language) if client else ""


def handle(session: Session) -> str:
    """Return what a form names a sign-on by: its key is what the store has it under, and stays here."""
    return hashlib.sha256(f"own\n{session.key}".encode()).hexdigest()[:24]


def _account(account: Account) -> dict[str, str]:
    contacts = {channel.value: account.contact(channel) for channel in (Channel.EMAIL, Channel.SMS)}
    return {
        "account": "1",
        "name": account.name or "",
        "number": account.number.masked,
        **{name: shown(one.channel, one.address) for name, one in contacts.items() if one is not None},
        "password": account.password_set_at.isoformat() if account.password_set_at else "",
        "app": "1" if account.app_secret else "",
    }
