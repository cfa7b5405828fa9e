"""What My page says: a person's own, as values and rows for its template."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import itemgetter

from idbroker.accounts.account import Account, Agreed, Consent
from idbroker.accounts.children import Kid
from idbroker.accounts.own import BY_OTHERS, Own
from idbroker.accounts.ways import keeps_a_way
from idbroker.client import Clients
from idbroker.clinic import Clinic, Clinics
from idbroker.events import Event
from idbroker.guardianship.entering import ends_soon
from idbroker.identity import LoA
from idbroker.messages.addresses import shown
from idbroker.session import Session
from idbroker.staff.member import Role
from idbroker.web.changing import CHANNELS
from idbroker.web.myself import PREFIX

_MOST, _MOST_BY_OTHERS = 20, 200
# What a person is told of the trail; the rest is for operators.
TOLD = (
    "signin.granted", "signin.session", "session.ended",
    "password.wrong", "password.locked", "password.changed", "code.wrong", "recovery.sent",
    "account.made", "account.contact_changed", "contact.changed", "account.app_added", "account.app_removed",
    "consent.given", "consent.withdrawn", "terms.accepted",
    "enrolment.made", "enrolment.asked", "enrolment.approved", "enrolment.declined",
    "patient.found", "patient.viewed", "patient.entered", "patient.changed", "patient.died", "patient.lives",
    "patient.sent", "patient.letter", "patient.assisted", "patient.calling", "patient.called",
    "patient.merged", "patient.unmerged", "patient.custody",
    "acting.granted", "acting.refused", "acting.ended", "guardianship.noted", "guardianship.ended",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """Fills in My page, in a language; `titles` are what eIDs are called."""

    clients: Clients
    clinics: Clinics
    titles: Callable[[str], str]
    language: str
    acted: Callable[[Event], str]

    def values(self, own: Own, session: Session, clinic: Clinic) -> dict[str, str]:
        """Return what stands there once."""
        account = _account(own.account, clinic) if own.account and not own.account.disabled else {}
        first = account and not account["password"] and session.identity.loa is not LoA.LOW
        return {
            "clinic": clinic.name,
            "session": handle(session),
            **account,
            "first": "1" if first else "",
        }

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
            "events": [self._event(event) for event in own.events if is_told(event) and not _is_theirs(event)][:_MOST],
            "others": self._others(own.by_others),
        }

    def acting(self, own: Own, clinic: Clinic, now: datetime) -> list[dict[str, str]]:
        """Return for whom the person acts at a clinic, where that ends on a birthday soon."""
        found: dict[str, dict[str, str]] = {}
        for reached in (one for session in own.sessions for one in session.reached):
            client = self.clients.find(reached.client_id)
            if reached.acting is None or client is None or client.clinic != clinic.id:
                continue
            until = ends_soon(reached.acting, client, clinic, now)
            if until is not None:
                row = {"name": reached.acting.name or "", "until": until.isoformat()}
                found[reached.acting.ward] = max(row, found.get(reached.acting.ward, row), key=itemgetter("until"))
        return list(found.values())

    def kid(self, kid: Kid, clinic: Clinic) -> dict[str, str]:
        """Return a child whose sign-in the person has set up; addresses as a page may show them."""
        own = _account(kid.account, clinic)
        return {**own, "id": kid.handle, "name": kid.name, "age": str(kid.age), "until": kid.until.isoformat()}

    def _session(self, session: Session, this: Session) -> dict[str, str]:
        others = [reached.client_id for reached in session.reached if not reached.client_id.startswith(PREFIX)]
        names = [self._called(client_id) for client_id in others]
        return {
            "id": handle(session),
            "at": session.started_at.isoformat(),
            "seen": session.seen_at.isoformat(),
            "provider": session.identity.provider,
            "eid": self.titles(session.identity.provider),
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
            "claims": " ".join(consent.items),
            "version": consent.version,
            "at": consent.given_at.isoformat(),
        }

    def _event(self, event: Event) -> dict[str, str]:
        """Return one event. Of who at a clinic did it the role is told, never the name: the clinic knows that."""
        clinic = self.clinics.find(event.clinic or "")
        return {
            "kind": event.kind,
            "at": event.at.isoformat(),
            "service": self._called(event.client) or (clinic.name if clinic else ""),
            "provider": event.provider or "",
            "eid": self.titles(event.provider or ""),
            "role": role_of(event) if event.kind.startswith(("patient.", "guardianship.")) else "",
            "by": self.acted(event),
            "times": "",
        }

    def _others(self, events: Sequence[Event]) -> list[dict[str, str]]:
        """Return what others did, a line for all of a kind on one day: else many looks would push off the first."""
        rows: dict[tuple[str, ...], dict[str, str]] = {}
        times: Counter[tuple[str, ...]] = Counter()
        for row in map(self._event, events):
            alike = (row["at"][:10], *(row[name] for name in ("kind", "service", "role", "by")))
            rows.setdefault(alike, row)
            times[alike] += 1
        told = [{**row, "times": str(times[alike]) if times[alike] > 1 else ""} for alike, row in rows.items()]
        return told[:_MOST_BY_OTHERS]

    def _called(self, client_id: str | None) -> str:
        client = self.clients.find(client_id) if client_id else None
        return client.called(self.language) if client else ""


def handle(session: Session) -> str:
    """Return what a form names a sign-on by: its key is what the store has it under, and stays here."""
    return hashlib.sha256(f"own\n{session.key}".encode()).hexdigest()[:24]


def is_told(event: Event) -> bool:
    """Tell whether a person is told of an event: of all that a clinic does with them, whatever it is."""
    return event.kind in TOLD or event.kind.startswith("patient.")


def _is_theirs(event: Event) -> bool:
    return event.kind.startswith(BY_OTHERS)


def role_of(event: Event) -> str:
    """Return as what somebody did something with a patient: a role, `program` or `operator`."""
    by = event.detail.get("by", "")
    told = event.detail.get("role", "")
    role = told if told in set(Role) else Role.CARER.value
    return {"client": "program", "operator": "operator", "register": "register"}.get(by.partition(":")[0], role)


def _account(account: Account, clinic: Clinic) -> dict[str, str]:
    """Return an account's values; addresses only as a page may show them: others may look over a shoulder."""
    contacts = [one for one in map(account.contact, CHANNELS.values()) if one is not None]
    names = {channel: name for name, channel in CHANNELS.items()}
    may_go = [one for one in contacts if keeps_a_way(account, account.without_contact(one.channel), clinic)]
    return {
        "account": "1",
        "name": account.name or "",
        "number": account.number.masked,
        **{names[one.channel]: shown(one.channel, one.address) for one in contacts},
        **{f"{names[one.channel]}.unproved": "1" for one in contacts if one.verified_at is None},
        **{f"{names[one.channel]}.may_go": "1" for one in may_go},
        "password": account.password_set_at.isoformat() if account.password and account.password_set_at else "",
        "app": "1" if account.app_secret else "",
        "app.may_go": "1" if keeps_a_way(account, replace(account, app_secret=None), clinic) else "",
    }
