"""Telling clinics' own systems that something has happened to a patient of theirs (Standard Webhooks 1.0).

What is told is in the trail of that patient: whoever records an event that some client wants to hear of puts a notice
into the outbox in the same transaction. It says what kind of thing happened, when, and to which handle; what exactly,
the client asks for by the API, where it is asked who it is. A courier in every worker sends what is due, until it was
taken or a day has passed: at least once, and in no certain order.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from idbroker.accounts.account import Standing
from idbroker.accounts.records import EnrolmentRow, EnrolmentRows
from idbroker.client import Client, Clients
from idbroker.clock import Clock
from idbroker.couriers import Courier, Rests
from idbroker.events import Event, Events
from idbroker.sealing import Sealer

_log = structlog.get_logger("idbroker.webhooks")

SCOPE = "webhooks"
ENROLLED, CONTACT_CHANGED, ACCESS_REVOKED = "enrolled", "contact_changed", "access_revoked"
# Not one kind for each way: they come in no certain order, and what is so now is asked for.
GUARDIANS_CHANGED, MERGED = "guardians_changed", "merged"
# Which events are news, and of which kind.
NEWS: Mapping[str, str] = {
    "enrolment.made": ENROLLED,
    "enrolment.approved": ENROLLED,
    "account.enrolled": ENROLLED,
    "account.invited": ENROLLED,
    "patient.entered": ENROLLED,
    "contact.changed": CONTACT_CHANGED,
    "contact.settled": CONTACT_CHANGED,  # by who says which is right, and keeps their own, too
    "account.contact_changed": CONTACT_CHANGED,
    "consent.withdrawn": ACCESS_REVOKED,
    "account.disabled": ACCESS_REVOKED,
    "patient.died": ACCESS_REVOKED,
    "patient.custody": ACCESS_REVOKED,
    "guardianship.noted": GUARDIANS_CHANGED,
    "guardianship.ended": GUARDIANS_CHANGED,
    "patient.merged": MERGED,
    "patient.unmerged": MERGED,
}
# These are of the person's one account, and so of every clinic that has taken them.
OF_ACCOUNT = frozenset({"account.contact_changed", "account.disabled"})

TRIED_FOR = timedelta(hours=24)
BACK_OFF = tuple(timedelta(seconds=seconds) for seconds in (10, 60, 300, 1800, 7200))
LEASE = timedelta(minutes=1)  # longer than any one delivery: eleven seconds, look-up of the name included
THREADS = 4
EACH = 2  # for one client at once
SECRET_OCTETS = 32
_SECRET = "whsec_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where a client wants to be told, and of what."""

    client_id: str
    url: str
    kinds: tuple[str, ...]
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRow:
    """The same, as it is kept: with the secret that what is told is signed with, sealed (`webhook_row`)."""

    webhook: Webhook
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookNotice:
    """One client is to be told of one thing; `patient` is the handle at the client's clinic.

    `tries` is how often it was taken, `ends_at` when nobody tries any more. While somebody has it, `due_at` is when
    it comes back.
    """

    id: str
    client_id: str
    kind: str
    at: datetime
    patient: str
    due_at: datetime
    tries: int = 0
    ends_at: datetime


class WebhookRows(Protocol):
    """Where webhooks are kept. Every method may raise StoreError."""

    def find(self, client_id: str) -> WebhookRow | None:
        """Return a client's."""
        ...

    def all(self) -> tuple[Webhook, ...]:
        """Return every one, by client."""
        ...

    def save(self, row: WebhookRow) -> None:
        """Keep one in the place of an earlier one."""
        ...

    def remove(self, client_id: str) -> bool:
        """Forget one, and what was to be told there; tell whether there was one."""
        ...


class Outbox(Protocol):
    """Where notices lie until they are taken, across restarts. Every method may raise StoreError."""

    def record(self, event: Event, notices: Sequence[WebhookNotice]) -> None:
        """Keep an event, and the notices of it: all or none."""
        ...

    def due(
        self, now: datetime, lease: timedelta, most: int, *, each: int, without: Collection[str] = ()
    ) -> tuple[WebhookNotice, ...]:
        """Take up to `most` that are due, `each` for one client, oldest first; they come back after `lease`."""
        ...

    def later(self, notice: WebhookNotice, due_at: datetime) -> None:
        """Let one come back at a moment, unless it was taken by another since."""
        ...

    def done(self, notice: WebhookNotice) -> None:
        """Forget one."""
        ...

    def count(self) -> int:
        """Return how many lie here."""
        ...


def webhook_row(client_id: str) -> bytes:
    """Return the row that a sealed secret is bound to."""
    return f"webhook|{client_id}".encode()


def signature(secret: str, message: str, at: int, body: bytes) -> str:
    """Return the `webhook-signature` of what is sent (Standard Webhooks, "Signature scheme": symmetric)."""
    key = base64.b64decode(secret.removeprefix(_SECRET))
    mac = hmac.digest(key, f"{message}.{at}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(mac).decode()}"


@dataclass(kw_only=True, eq=False)
class Webhooks(Courier[WebhookNotice]):
    """Where clients are told, and the courier of one worker: `start` it, `close` it.

    `post` sends octets with headers and returns the status, or raises OSError, all within a few seconds; it goes to
    public addresses only. `events` is the trail itself, not what `listening` makes of it.
    """

    clock: Clock
    rows: WebhookRows
    outbox: Outbox
    clients: Clients
    enrolments: EnrolmentRows
    events: Events
    sealer: Sealer
    post: Callable[[str, bytes, Mapping[str, str]], int]
    threads: int = THREADS

    def __post_init__(self) -> None:
        self._rests = Rests()
        self._set_up("webhooks", self.threads)

    def _begin_anew(self) -> None:
        super()._begin_anew()
        self._rests = Rests()

    # ---- where they are told -----------------------------------------------------------------------

    def set(self, client: Client, url: str, kinds: Sequence[str], now: datetime) -> str:
        """Keep where a client is told, in the place of an earlier one; return its new secret, which is shown once.

        ValueError for a kind that is no news. Whoever calls has looked at the address; what is sent there is sent to
        public ones only, whatever was kept.
        """
        if unknown := {*kinds} - {*NEWS.values()}:
            raise ValueError(f"no such news: {len(unknown)} of the kinds")
        secret = _SECRET + base64.b64encode(secrets.token_bytes(SECRET_OCTETS)).decode()
        webhook = Webhook(client_id=client.id, url=url, kinds=tuple(dict.fromkeys(kinds)), since=now)
        self.rows.save(WebhookRow(webhook=webhook, sealed=self.sealer.seal(secret.encode(), webhook_row(client.id))))
        return secret

    def get(self, client: Client) -> Webhook | None:
        """Return where a client is told."""
        found = self.rows.find(client.id)
        return None if found is None else found.webhook

    def remove(self, client: Client) -> bool:
        """Tell a client nothing more; tell whether it was told."""
        return self.rows.remove(client.id)

    def listening(self, events: Events) -> Events:
        """Return a trail that has clients told of what is recorded in it."""
        return _Listening(self, events)

    def of_new_patients(self, clinic: str) -> tuple[str, ...]:
        """Return the clients that want to hear of a clinic's new patients: who writes many at once tells them."""
        return self._listening_to(ENROLLED, clinic)

    def of_merged(self, clinic: str) -> tuple[str, ...]:
        """Return those that want to hear whose records were joined: who writes both sides at once tells them."""
        return self._listening_to(MERGED, clinic)

    def _listening_to(self, kind: str, clinic: str) -> tuple[str, ...]:
        ids = [webhook.client_id for webhook in self.rows.all() if kind in webhook.kinds]
        found = (self.clients.find(client_id) for client_id in ids)
        return tuple(one.id for one in found if one is not None and one.clinic == clinic and may_be_told(one))

    # ---- what is news ------------------------------------------------------------------------------

    def notices_of(self, event: Event) -> tuple[WebhookNotice, ...]:
        """Return a notice for each client that wants to hear of an event, and whose clinic it is about."""
        kind = NEWS.get(event.kind)
        if kind is None or event.person is None:
            return ()
        hooks = [webhook for webhook in self.rows.all() if kind in webhook.kinds]
        found = ((webhook, self._patient(webhook, event, kind)) for webhook in hooks)
        theirs = ((webhook.client_id, patient.handle) for webhook, patient in found if patient is not None)
        return tuple(notice_of(client_id, kind, event.at, handle) for client_id, handle in theirs)

    def _patient(self, webhook: Webhook, event: Event, kind: str) -> EnrolmentRow | None:
        """Return who it is at a client's clinic; None where it is no business of that clinic's."""
        client = self.clients.find(webhook.client_id)
        if client is None or not may_be_told(client) or not self._concerns(client, event):
            return None
        found = self.enrolments.find(event.person or "", client.clinic)
        if found is None:
            return None
        theirs = found.standing is Standing.APPROVED or not (kind == ENROLLED or event.kind in OF_ACCOUNT)
        return found if theirs else None

    def _concerns(self, client: Client, event: Event) -> bool:
        if event.kind in OF_ACCOUNT:
            return True
        if event.kind == "consent.withdrawn":
            about = self.clients.find(event.detail.get("about", ""))
            return about is not None and about.clinic == client.clinic
        return event.clinic == client.clinic

    # ---- many notices ------------------------------------------------------------------------------

    def _take(self, now: datetime) -> Iterator[WebhookNotice]:
        under_way = self._under_way()
        free = self.threads - under_way.total()
        if free > 0:
            yield from self.outbox.due(now, LEASE, free, each=EACH, without=self._rests.at(now) | set(under_way))

    def _lane(self, notice: WebhookNotice) -> str:
        return notice.client_id

    # ---- one notice --------------------------------------------------------------------------------

    def _carry(self, notice: WebhookNotice, now: datetime) -> bool:
        client, row = self.clients.find(notice.client_id), self.rows.find(notice.client_id)
        if client is None or row is None or not may_be_told(client):
            self._give_up(notice, "webhook.dropped", now)
            return False
        if now >= notice.ends_at:
            self._give_up(notice, "webhook.undelivered", now)
            return False
        status = self._sent(notice, client, row, now)
        if status is not None and 200 <= status < 300:
            self._rests.answered(client.id)
            self.outbox.done(notice)
            return True
        self._rests.failed(client.id, now)
        self._try_later(notice, status, now)
        return False

    def _sent(self, notice: WebhookNotice, client: Client, row: WebhookRow, now: datetime) -> int | None:
        """Send one, and return the status; None when nobody answered."""
        body, at = body_of(notice, client), int(now.timestamp())
        secret = self.sealer.open(row.sealed, webhook_row(client.id)).decode()
        headers = {
            "Content-Type": "application/json",
            "webhook-id": notice.id,
            "webhook-timestamp": str(at),
            "webhook-signature": signature(secret, notice.id, at, body),
        }
        try:
            return self.post(row.webhook.url, body, headers)
        except OSError as error:
            _log.warning("webhook_unanswered", client=client.id, tries=notice.tries, detail=str(error))
            return None

    def _try_later(self, notice: WebhookNotice, status: int | None, now: datetime) -> None:
        due_at = now + BACK_OFF[min(notice.tries, len(BACK_OFF)) - 1]
        if due_at >= notice.ends_at:
            self._give_up(notice, "webhook.undelivered", now, status)
        else:
            self.outbox.later(notice, due_at)

    def _give_up(self, notice: WebhookNotice, kind: str, now: datetime, status: int | None = None) -> None:
        """Record why the client was not told, then forget the notice: the other way round nobody might know."""
        detail = {"id": notice.id, "kind": notice.kind, "tries": str(notice.tries)}
        if status is not None:
            detail["status"] = str(status)
        self.events.record(Event(at=now, kind=kind, client=notice.client_id, detail=detail))
        self.outbox.done(notice)


class _Listening:
    """A trail that has clients told."""

    def __init__(self, webhooks: Webhooks, events: Events) -> None:
        self._webhooks, self._events = webhooks, events

    def record(self, event: Event) -> None:
        notices = self._webhooks.notices_of(event)
        if not notices:
            self._events.record(event)
            return
        self._webhooks.outbox.record(event, notices)
        self._webhooks.wake()

    def since(self, at: datetime, *, kind: str | None = None, limit: int = 1000) -> tuple[Event, ...]:
        return self._events.since(at, kind=kind, limit=limit)

    def of_person(
        self, person: str, limit: int, *, kinds: Sequence[str] = (), clinic: str | None = None
    ) -> tuple[Event, ...]:
        return self._events.of_person(person, limit, kinds=kinds, clinic=clinic)


def may_be_told(client: Client) -> bool:
    """Tell whether a client may still have news: it may be disabled since, or have lost the scope."""
    return not client.disabled and SCOPE in client.api


def body_of(notice: WebhookNotice, client: Client) -> bytes:
    """Return what is sent: what, when, at which clinic, to which handle, and nothing that is personal."""
    told = {
        "id": notice.id,
        "type": notice.kind,
        "at": notice.at.isoformat(),
        "clinic": client.clinic,
        "patient": notice.patient,
    }
    return json.dumps(told, separators=(",", ":")).encode()


def notice_of(client_id: str, kind: str, at: datetime, handle: str) -> WebhookNotice:
    """Return a new notice: one client is told of one handle."""
    return WebhookNotice(
        id=uuid.uuid4().hex,
        client_id=client_id,
        kind=kind,
        at=at,
        patient=handle,
        due_at=at,
        ends_at=at + TRIED_FOR,
    )
