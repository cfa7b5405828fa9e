"""My page: what a person sees of themselves here, and may change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from idbroker.accounts.account import Account, Agreed, Consent, Contact, Enrolment
from idbroker.accounts.records import Records
from idbroker.errors import NotFound
from idbroker.events import Event, Events
from idbroker.keeping import Shelf
from idbroker.messages.addresses import NotAnAddress, email, mobile
from idbroker.messages.message import Channel
from idbroker.otp import app_codes
from idbroker.otp.one_time import Limited, OneTimeCodes, Right, Sent, Spot, Verdict
from idbroker.session import Session
from idbroker.visit import Visit

FRESH = timedelta(minutes=15)  # how long ago one must have shown who one is, to change how one is known (ASVS 7.5.1)
MOST_EVENTS = 20
_PENDING = timedelta(minutes=15)
Changing = Callable[[Account], Account]


class History(Protocol):
    """What the trail knows of one person."""

    def of_person(self, person: str, limit: int) -> tuple[Event, ...]:
        """Return the newest events of a person, the newest first."""
        ...


class SignOns(Protocol):
    """A person's sign-ons."""

    def of_person(self, person: str) -> tuple[Session, ...]:
        """Return them, the newest first."""
        ...

    def end_one(self, person: str, key: str) -> bool:
        """End one; False if it is not this person's, or over."""
        ...

    def end_person(self, person: str, why: str, *, but: str | None = None) -> int:
        """End all but one; return how many."""
        ...

    def end_client(self, person: str, client_id: str) -> None:
        """End what one client was given."""
        ...


class Told(Protocol):
    """Who tells people that their contacts have changed."""

    def contact_changed(self, before: Account, after: Account, visit: Visit) -> None:
        """Write to every address known before and after (ASVS 6.3.7)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """Something that a code is to confirm: a new address, or an authenticator app's secret."""

    channel: Channel | None
    address: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    sent: Sent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """All that My page shows."""

    account: Account | None
    enrolments: tuple[Enrolment, ...]
    consents: tuple[Consent, ...]
    sessions: tuple[Session, ...]
    events: tuple[Event, ...]


@dataclass(frozen=True, kw_only=True)
class OwnPage:
    """Looks at and changes what is a person's own. Every method may raise StoreError.

    `session` is the sign-on in the browser; who changes anything has proved lately who they are (`is_fresh`).
    """

    records: Records
    codes: OneTimeCodes
    told: Told
    events: Events
    history: History
    sign_ons: SignOns
    pending: Shelf[Pending]

    def look(self, session: Session) -> Own:
        """Return what there is."""
        person = session.person
        return Own(
            account=self.records.accounts.of(person),
            enrolments=self.records.enrolments.of(person),
            consents=tuple(one for one in self.records.consents.of(person) if one.withdrawn_at is None),
            sessions=self.sign_ons.of_person(person),
            events=self.history.of_person(person, MOST_EVENTS),
        )

    def is_fresh(self, session: Session, now: datetime) -> bool:
        """Tell whether the person has shown lately enough who they are to change how they are known."""
        return now - session.identity.proved_at <= FRESH

    # ---- sign-ons and consents -------------------------------------------------------------------

    def end_session(self, session: Session, key: str) -> bool:
        """End another of the person's sign-ons."""
        return self.sign_ons.end_one(session.person, key)

    def end_others(self, session: Session) -> int:
        """End all of the person's sign-ons but this one; return how many."""
        return self.sign_ons.end_person(session.person, "asked", but=session.key)

    def withdraw(self, session: Session, consent_id: str, now: datetime) -> bool:
        """Withdraw a consent; what a service was given on its strength ends."""
        found = next((one for one in self.records.consents.of(session.person) if one.id == consent_id), None)
        if found is None or not self.records.consents.withdraw(session.person, consent_id, now):
            return False
        if found.kind is Agreed.RELEASE:
            self.sign_ons.end_client(session.person, found.about)
        self._record("consent.withdrawn", session, now, {"kind": found.kind.value, "about": found.about})
        return True

    # ---- contacts --------------------------------------------------------------------------------

    def begin_contact(self, session: Session, channel: Channel, typed: str, visit: Visit) -> Sent | Limited | str:
        """Send a code to a new address; a string is the key of what is wrong with it."""
        try:
            address = email(typed) if channel is Channel.EMAIL else mobile(typed, visit.clinic.country)
        except NotAnAddress:
            return "r.e.mail" if channel is Channel.EMAIL else "r.e.mob"
        self._account(session)
        sent = self.codes.send(self._spot(session, channel, address), visit)
        if isinstance(sent, Sent):
            self.pending.put(_slot(session, channel), Pending(channel=channel, address=address, sent=sent), _PENDING)
        return sent

    def again(self, session: Session, channel: Channel, visit: Visit) -> Sent | Limited:
        """Send another code to the address that is waited for. NotFound when none is."""
        kept = self._pending(session, channel)
        sent = self.codes.send(self._spot(session, channel, kept.address), visit)
        if isinstance(sent, Sent):
            self.pending.put(_slot(session, channel), replace(kept, sent=sent), _PENDING)
        return sent

    def confirm_contact(self, session: Session, channel: Channel, typed: str, visit: Visit) -> Verdict:
        """Take the address on, once its code is right. NotFound when no address waits for one."""
        kept = self._pending(session, channel)
        verdict = self.codes.check(self._spot(session, channel, kept.address), typed, visit)
        if isinstance(verdict, Right):
            contact = Contact(channel=channel, address=kept.address, verified_at=visit.now)
            self._change(session, lambda account: account.with_contact(contact), visit, channel)
            self.pending.take(_slot(session, channel))
        return verdict

    def waiting(self, session: Session, channel: Channel) -> Sent | None:
        """Return what was sent to an address that waits for its code."""
        kept = self.pending.get(_slot(session, channel))
        return kept.value.sent if kept is not None else None

    def remove_contact(self, session: Session, channel: Channel, visit: Visit) -> bool:
        """Forget an address; False for the last that codes can go to: nobody locks themselves out by a click."""
        account = self._account(session)
        left = [contact for contact in account.reachable if contact.channel is not channel]
        if not left and account.app_secret is None:
            return False
        self._change(session, lambda account: account.without_contact(channel), visit, channel)
        return True

    # ---- the authenticator app -------------------------------------------------------------------

    def begin_app(self, session: Session) -> str:
        """Return the secret that an authenticator app is to be given; the same until it is confirmed."""
        self._account(session)
        kept = self.pending.get(_slot(session, None))
        if kept is not None:
            return kept.value.secret
        secret = app_codes.new_secret()
        self.pending.put(_slot(session, None), Pending(channel=None, secret=secret), _PENDING)
        return secret

    def confirm_app(self, session: Session, typed: str, now: datetime) -> bool:
        """Take the app on, once it shows a right code."""
        kept = self.pending.get(_slot(session, None))
        step = app_codes.step_of(kept.value.secret, typed, now, 0) if kept is not None else None
        if kept is None or step is None:
            return False
        secret = kept.value.secret
        self.records.accounts.change(session.person, lambda account: replace(account, app_secret=secret, app_step=step))
        self.pending.take(_slot(session, None))
        self._record("account.app_added", session, now, {})
        return True

    def remove_app(self, session: Session, now: datetime) -> None:
        """Forget the authenticator app (ASVS 6.5.6)."""
        self.records.accounts.change(session.person, lambda account: replace(account, app_secret=None, app_step=0))
        self._record("account.app_removed", session, now, {})

    # ---- how -------------------------------------------------------------------------------------

    def _account(self, session: Session) -> Account:
        account = self.records.accounts.of(session.person)
        if account is None:
            raise NotFound("the person has no account")
        return account

    def _change(self, session: Session, change: Changing, visit: Visit, channel: Channel) -> None:
        before = self._account(session)
        after = self.records.accounts.change(session.person, change)
        if after is None or after == before:
            return
        self.told.contact_changed(before, after, visit)
        self._record("account.contact_changed", session, visit.now, {"channel": channel.value})

    def _pending(self, session: Session, channel: Channel) -> Pending:
        kept = self.pending.get(_slot(session, channel))
        if kept is None:
            raise NotFound("no address waits for a code")
        return kept.value

    def _spot(self, session: Session, channel: Channel, address: str) -> Spot:
        return Spot(transaction=session.key, purpose="contact", person=session.person, channel=channel, to=address)

    def _record(self, kind: str, session: Session, now: datetime, detail: Mapping[str, str]) -> None:
        self.events.record(Event(at=now, kind=kind, person=session.person, detail=detail))


def _slot(session: Session, channel: Channel | None) -> str:
    return f"{session.key}.{channel or 'app'}"
