"""Accounts that a clinic's staff make: an enrolment, and a link to choose the first password."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from idbroker.accounts.account import Account, Contact, Enrolment, Entry, Purpose, Standing
from idbroker.accounts.child import reclaimed
from idbroker.accounts.entries import entry_of, exempt_at
from idbroker.accounts.letters import Letters
from idbroker.accounts.linking import Linking, Origin
from idbroker.accounts.records import Accounts, Enrolments
from idbroker.accounts.vouching import lapsed
from idbroker.client import Client
from idbroker.clinic import Clinic
from idbroker.errors import StoreError
from idbroker.events import Event, Events
from idbroker.messages.addresses import shown
from idbroker.messages.message import Channel
from idbroker.numbers import NationalNumber, birthdate_of
from idbroker.otp.one_time import Limited, Locked
from idbroker.otp.throttle import Limit, Throttle

LIFE = timedelta(hours=72)
RESENDS = Limit(most=3, per=timedelta(hours=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """What staff say of somebody: `contacts` by channel, as the clinic has them; valid, but shown to be nobody's.

    `exempt` says why this person cannot use an eID, which the first sign-in at this clinic asks for otherwise; None
    says nothing. `by` is who invites. `send` are the channels that the link goes by; None: all of them.
    """

    number: NationalNumber = field(repr=False)
    contacts: Mapping[Channel, str] = field(repr=False)
    clinic: Clinic
    client: Client
    by: str
    given_name: str | None = field(default=None, repr=False)
    family_name: str | None = field(default=None, repr=False)
    language: str = "en"
    exempt: str | None = None
    send: tuple[Channel, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Invited:
    """A link is on its way: `sent` is by which channels and where to, as a page may show it."""

    person: str
    sent: Mapping[Channel, str] = field(repr=False)
    at: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """The person has an account already, and may use this clinic from now on: no link is sent, they are told."""

    person: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Activation:
    """Makes accounts for people, by staff. Every method may raise StoreError."""

    accounts: Accounts
    enrolments: Enrolments
    linking: Linking
    letters: Letters
    throttle: Throttle
    events: Events

    def invite(self, invitation: Invitation, now: datetime) -> Invited | Enrolled | Limited:
        """Enrol somebody, and let them choose a password unless they have shown already how they sign in.

        Asked again it sends again, three times in an hour. What a person has chosen or confirmed is never
        overwritten by staff: neither a password nor a verified address. What staff say is kept in the clinic's own
        record, that somebody can have no eID (`exempt`) among it; the trail tells of that where it opens anything.
        """
        person = self.accounts.person(invitation.number, now)
        spent = self.throttle.spend(f"invite|{person}", RESENDS, pause=RESENDS.per, now=now)
        if isinstance(spent, Locked):
            return Limited(until=spent.until)
        account, enrolment = self.prepare(invitation, person, now)
        if not is_new(account):
            exempt = {"exempt": "yes"} if invitation.exempt and account.confirmed_at is None else {}
            self._record("account.enrolled", invitation, person, now, **exempt)
            self.letters.handled(enrolment, account)
            return Enrolled(person=person, at=now)
        return self._sent(invitation, account, enrolment, now)

    def prepare(self, invitation: Invitation, person: str, now: datetime) -> tuple[Account, Enrolment]:
        """Make the account, or bring it up to what staff say if nobody uses it; and enrol. Sends nothing."""
        account = self._account(invitation, person, now)
        return account, self._enrolment(invitation, account, now)

    def _account(self, invitation: Invitation, person: str, now: datetime) -> Account:
        """Return the account, made or brought up to what staff say now if nobody has taken it in use."""
        fresh = _as_told(_blank(invitation, person, now), invitation)
        if self.accounts.add(fresh):
            self._record("account.made", invitation, person, now)
            return fresh
        enrolments, before = self.enrolments.of(person), self.accounts.of(person)
        if before is not None and lapsed(before, enrolments, invitation.clinic, now):
            self.linking.end_all(person)  # what went to the guardian's addresses opens nothing

        def told(there: Account) -> Account | None:
            # What a stranger typed who claimed a child is not what the child, or the clinic, chose.
            theirs = lapsed(there, enrolments, invitation.clinic, now)
            own = replace(reclaimed(there), confirmed_at=None) if theirs else there
            return _as_told(own, invitation) if is_new(own) else own

        kept = self.accounts.change(person, told)
        if kept is None:
            raise StoreError("the account was removed meanwhile")
        return kept

    def _enrolment(self, invitation: Invitation, account: Account, now: datetime) -> Enrolment:
        person = account.person

        def approved(before: Enrolment | None) -> Enrolment:
            base = before or Enrolment(
                person=person, clinic=invitation.clinic.id, standing=Standing.APPROVED, asked_at=now
            )
            decided = base.standing is Standing.APPROVED and base.decided_at is not None
            return replace(
                base,
                standing=Standing.APPROVED,
                decided_at=base.decided_at if decided else now,
                by=base.by if decided else invitation.by,
                reason=None,
                # Staff invite this person, and have not approved whoever asked for them (child.vouched).
                guardian=base.guardian if decided else None,
                client=invitation.client.id,
                language=invitation.language,
                entry=_entry(entry_of(before, account, invitation.by, now), invitation),
                told=dict(invitation.contacts),
            )

        kept = self.enrolments.change(person, invitation.clinic.id, approved)
        if kept is None:
            raise AssertionError("an enrolment was written and is not there")
        return kept

    def _sent(self, invitation: Invitation, account: Account, enrolment: Enrolment, now: datetime) -> Invited:
        origin = Origin(
            clinic=invitation.clinic.id,
            client=invitation.client.id,
            language=invitation.language,
            invited=True,
        )
        wanted = invitation.contacts if invitation.send is None else invitation.send
        contacts = tuple(contact for contact in account.contacts if contact.channel in wanted)
        link, secret = self.linking.make(origin, Purpose.ACTIVATE, account.person, LIFE, now)
        channels = [contact.channel for contact in contacts]
        self._record("account.invited", invitation, account.person, now, channels=" ".join(channels))
        texts = {channel: self.linking.for_channel(link, secret, channel) for channel in channels}
        eid = account.confirmed_at is None and exempt_at(account, enrolment) is None
        self.letters.activation(link, texts, contacts, eid=eid)
        sent = {contact.channel: shown(contact.channel, contact.address) for contact in contacts}
        return Invited(person=account.person, sent=sent, at=now, until=link.ends_at)

    def _record(self, kind: str, invitation: Invitation, person: str, now: datetime, **detail: str) -> None:
        event = Event(
            at=now,
            kind=kind,
            clinic=invitation.clinic.id,
            client=invitation.client.id,
            person=person,
            detail={**detail, "by": invitation.by},
        )
        self.events.record(event)


def is_new(account: Account) -> bool:
    """Tell whether nobody has taken the account in use: what is in it is what staff said."""
    return not account.in_use


def _entry(before: Entry, invitation: Invitation) -> Entry:
    """Return a clinic's record with what staff say now; what they say nothing of stays."""
    return replace(
        before,
        number=invitation.number,
        given_name=invitation.given_name or before.given_name,
        family_name=invitation.family_name or before.family_name,
        birthdate=birthdate_of(invitation.number, before.birthdate),
        exempt=invitation.exempt or before.exempt,
        by=invitation.by,
    )


def _blank(invitation: Invitation, person: str, now: datetime) -> Account:
    number = invitation.number
    return Account(person=person, number=number, birthdate=number.birthdate, created_at=now)


def _as_told(account: Account, invitation: Invitation) -> Account:
    contacts = tuple(Contact(channel=channel, address=address) for channel, address in invitation.contacts.items())
    return replace(
        account,
        given_name=invitation.given_name or account.given_name,
        family_name=invitation.family_name or account.family_name,
        language=invitation.language,
        contacts=contacts,
    )
