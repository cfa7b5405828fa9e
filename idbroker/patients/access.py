"""Sending a patient their access: a link, a lasting password where the clinic has set it, a letter with a code."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from idbroker.accounts import activation, paper, recovery
from idbroker.accounts.account import Account, Contact, Enrolment, Purpose, Standing
from idbroker.accounts.activation import Activation, Invitation, Invited, is_new
from idbroker.accounts.choosing import Busy, Gift, is_theirs, may_give
from idbroker.accounts.entries import has_died
from idbroker.accounts.letters import Letters
from idbroker.accounts.linking import Linking, Origin
from idbroker.accounts.records import Records
from idbroker.accounts.recovery import Recovery
from idbroker.accounts.vouching import lapsed
from idbroker.client import Client, Clients
from idbroker.clinic import Clinic, Clinics
from idbroker.errors import NotFound, StoreError
from idbroker.events import Events
from idbroker.keeping import Shelf
from idbroker.messages.message import Channel
from idbroker.numbers import NationalNumber
from idbroker.otp.one_time import Limited, Locked, OneTimeCodes
from idbroker.otp.throttle import Limit, Throttle
from idbroker.patients import trail
from idbroker.patients.patient import Conflict, NotDone, Patient
from idbroker.staff.member import Actor

MOST = Limit(most=3, per=timedelta(hours=1))
LETTER_LIFE = timedelta(days=30)
SHOWN_FOR = timedelta(days=30)  # receipts
_MOST_SHOWN = 10
_RACES = 10
_BUSY = timedelta(minutes=1)
_LOOKS, _PAUSE = 80, 0.025  # two seconds: a password is hashed, messages are kept
_CHANNELS = (Channel.SMS, Channel.EMAIL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was sent: `kind` is `link`, `password` or `letter`; where to, as the clinic has it; until when it works.

    `form` tells one press of a form from two.
    """

    kind: str
    sent: Mapping[Channel, str] = field(default_factory=dict, repr=False)
    at: datetime
    until: datetime | None = None
    form: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipts:
    """What one patient was sent lately, the newest first."""

    receipts: tuple[Receipt, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A letter to print: its code is shown once, and kept nowhere."""

    code: str = field(repr=False)
    at: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sending:
    """What is to be sent, to whom, in whose name."""

    actor: Actor
    clinic: Clinic
    client: Client
    enrolment: Enrolment = field(repr=False)
    number: NationalNumber = field(repr=False)
    account: Account | None = field(repr=False)
    to: Mapping[Channel, str] = field(default_factory=dict, repr=False)
    now: datetime
    form: str = ""

    @property
    def origin(self) -> Origin:
        """Return where the link comes from."""
        return Origin(clinic=self.clinic.id, client=self.client.id, language=self.enrolment.language, invited=True)

    @property
    def exempt(self) -> str | None:
        """Return why who is sent a lasting password can use no eID; None for whom an eID has confirmed."""
        if self.account is not None and self.account.confirmed_at is not None:
            return None
        entry = self.enrolment.entry
        return (entry.exempt if entry else None) or "other"

    def invitation(self, exempt: str | None = None) -> Invitation:
        """Return what the clinic's record says of the patient."""
        entry = self.enrolment.entry
        return Invitation(
            number=self.number,
            contacts=self.enrolment.told,
            clinic=self.clinic,
            client=self.client,
            by=self.actor.id,
            given_name=entry.given_name if entry else None,
            family_name=entry.family_name if entry else None,
            language=self.enrolment.language,
            exempt=exempt,
            send=tuple(self.to),
        )


@dataclass(frozen=True, kw_only=True)
class Access:
    """Sends access. Every method may raise StoreError; NotFound for a handle or a service that is not there.

    To an address that the person has shown to be theirs goes a link as they could ask for themselves. To any other
    goes one after which the password opens this clinic alone (`Account.only_at`): a clinic speaks for itself.
    """

    records: Records
    clinics: Clinics
    clients: Clients
    activation: Activation
    recovery: Recovery
    linking: Linking
    letters: Letters
    codes: OneTimeCodes
    throttle: Throttle
    events: Events
    receipts_of: Shelf[Receipts]
    pause: Callable[[float], None] = time.sleep  # noqa: TID251 - an argument, for whoever waits for another press

    def services(self, actor: Actor) -> tuple[Client, ...]:
        """Return the services that the clinic's patients may be sent to; a program of the clinic's is none."""
        ours = (one for one in self.clients.all() if one.clinic == actor.clinic and not one.disabled)
        return tuple(one for one in ours if one.redirect_uris)

    def ways(self, actor: Actor, handle: str) -> Mapping[Channel, str]:
        """Return by which channels something can be sent, and where it would go."""
        told = self._enrolment(actor, handle).told
        return {channel: told[channel] for channel in _CHANNELS if self._goes(channel, told.get(channel))}

    def send(
        self,
        actor: Actor,
        handle: str,
        channels: Collection[Channel],
        service: str | None,
        now: datetime,
        *,
        form: str = "",
    ) -> Receipt | Limited | NotDone:
        """Send a link, or a lasting password where the clinic has set that, by the channels ticked.

        `form` is the form's one-time value: the same form again, or at the same moment, sends nothing, and is told the
        same.
        """
        if not form:
            return self._fresh(actor, handle, channels, service, now)
        claim, mark = f"form.{_mark(f'{handle} {form}')}", _mark(form)
        for _ in range(_LOOKS):
            if self.receipts_of.swap(claim, None, Receipts(), _BUSY) is not None:
                try:
                    return self._told(actor, handle, mark) or self._fresh(actor, handle, channels, service, now, mark)
                finally:
                    self.receipts_of.take(claim)
            self.pause(_PAUSE)  # another press of it is being answered: then this is told the same
        return Limited(until=now + _BUSY)

    def _told(self, actor: Actor, handle: str, mark: str) -> Receipt | None:
        """Return what an earlier press of the same form came to."""
        return next((one for one in self.receipts(actor, handle) if one.form == mark), None)

    def _fresh(
        self,
        actor: Actor,
        handle: str,
        channels: Collection[Channel],
        service: str | None,
        now: datetime,
        mark: str = "",
    ) -> Receipt | Limited | NotDone:
        sending = self._sending(actor, handle, service, now, channels, mark)
        if isinstance(sending, NotDone):
            return sending
        if not sending.to:
            return NotDone(why=Conflict.NO_CONTACT, patient=_patient(sending))
        limited = self._limited(f"access|{handle}", now)
        return limited or self._sent(sending)

    def letter(self, actor: Actor, handle: str, service: str | None, now: datetime) -> Letter | Limited | NotDone:
        """Make a code for a letter; an earlier one ends."""
        sending = self._sending(actor, handle, service, now)
        if isinstance(sending, NotDone):
            return sending
        limited = self._limited(f"letter|{handle}", now)
        if limited is not None:
            return limited
        account, _ = self.activation.prepare(sending.invitation(), sending.enrolment.person, now)
        link, code = self.linking.make_code(sending.origin, account.person, LETTER_LIFE, now)
        self._noted(sending, Receipt(kind="letter", at=now, until=link.ends_at), "patient.letter")
        return Letter(code=paper.shown(code), at=now, until=link.ends_at)

    def receipts(self, actor: Actor, handle: str) -> tuple[Receipt, ...]:
        """Return what was sent lately, the newest first."""
        kept = self.receipts_of.get(self._enrolment(actor, handle).handle)
        return () if kept is None else kept.value.receipts

    # ---- whether ---------------------------------------------------------------------------------

    def _enrolment(self, actor: Actor, handle: str) -> Enrolment:
        found = self.records.enrolments.by_handle(actor.clinic, handle)
        if found is None:
            raise NotFound("no such patient at this clinic")
        return found

    def _sending(
        self,
        actor: Actor,
        handle: str,
        service: str | None,
        now: datetime,
        channels: Collection[Channel] = (),
        mark: str = "",
    ) -> _Sending | NotDone:
        enrolment = self._enrolment(actor, handle)
        account = self.records.accounts.of(enrolment.person)
        patient = Patient(enrolment=enrolment, account=account)
        number, client = patient.number, self._service(actor, service or enrolment.client, service)
        clinic = self.clinics.find(actor.clinic)
        if clinic is None:
            raise NotFound("no such clinic")
        why = self._refused(enrolment, account, clinic, now)
        if why is None and number is None:
            why = Conflict.NO_NUMBER
        if why is not None or number is None or client is None:
            return NotDone(why=why or Conflict.NOT_HERE, patient=patient)
        if self.records.accounts.known(number) != enrolment.person:
            # The clinic has written down another number than the patient's own: a link would be somebody else's.
            return NotDone(why=Conflict.ELSEWHERE, patient=patient)
        ways = self.ways(actor, handle)
        to = {channel: address for channel, address in ways.items() if channel in channels}
        return _Sending(
            actor=actor,
            clinic=clinic,
            client=client,
            enrolment=enrolment,
            number=number,
            account=account,
            to=to,
            now=now,
            form=mark,
        )

    def _refused(self, enrolment: Enrolment, account: Account | None, clinic: Clinic, now: datetime) -> Conflict | None:
        """Return why this patient is sent nothing."""
        if has_died(enrolment):
            return Conflict.DECEASED
        if enrolment.standing in (Standing.ASKED, Standing.DECLINED):
            return Conflict.NOT_HERE  # whether they are taken is answered first, by whoever may
        if account is None:
            return None
        # A child's sign-in is its guardian's to renew; who has grown up is sent their own.
        enrolments = self.records.enrolments.of(enrolment.person)
        ward = account.guardian is not None and not lapsed(account, enrolments, clinic, now)
        return Conflict.ELSEWHERE if account.disabled or ward else None

    def _service(self, actor: Actor, wanted: str | None, asked: str | None) -> Client | None:
        """Return the service that is meant; any of the clinic's where none was chosen. None where it has none."""
        services = self.services(actor)
        found = next((one for one in services if one.id == wanted), None)
        if found is None and asked:
            raise NotFound("no such service of this clinic")
        return found or next(iter(services), None)

    def _goes(self, channel: Channel, address: str | None) -> bool:
        return bool(address) and self.codes.takes(channel, address or "") and self.codes.works(channel)

    def _limited(self, name: str, now: datetime) -> Limited | None:
        spent = self.throttle.spend(name, MOST, pause=MOST.per, now=now)
        return Limited(until=spent.until) if isinstance(spent, Locked) else None

    # ---- how -------------------------------------------------------------------------------------

    def _sent(self, sending: _Sending) -> Receipt | Limited | NotDone:
        if sending.clinic.access == "password":
            return self._gave(sending)
        if sending.account is None or is_new(sending.account):
            invited = self.activation.invite(sending.invitation(), sending.now)
            if isinstance(invited, Limited):
                return invited
            if isinstance(invited, Invited):
                return self._noted(sending, _link_receipt(sending, invited.until))
            # Somebody has taken it in use since: what is theirs is not overwritten.
        account, _ = self.activation.prepare(sending.invitation(), sending.enrolment.person, sending.now)
        theirs = all(is_theirs(account, channel, address) for channel, address in sending.to.items())
        if theirs and account.opens(sending.clinic.id):
            return self._reset(sending, account)
        return self._renewed(sending, account)

    def _reset(self, sending: _Sending, account: Account) -> Receipt:
        """Send what they could have asked for themselves."""
        link, secret = self.linking.make(sending.origin, Purpose.RESET, account.person, recovery.LIFE, sending.now)
        texts = {channel: self.linking.for_channel(link, secret, channel) for channel in sending.to}
        receipt = self._noted(sending, _link_receipt(sending, link.ends_at))
        self.letters.reset(link, texts, _contacts(sending))
        return receipt

    def _renewed(self, sending: _Sending, account: Account) -> Receipt:
        """Send a link to what the clinic alone says is theirs."""
        link, secret = self.linking.aim(sending.origin, account.person, sending.to, activation.LIFE, sending.now)
        texts = {channel: self.linking.for_channel(link, secret, channel) for channel in sending.to}
        receipt = self._noted(sending, _link_receipt(sending, link.ends_at))
        self.letters.renewal(link, texts, _contacts(sending))
        return receipt

    def _gave(self, sending: _Sending) -> Receipt | Limited | NotDone:
        """Send a lasting password. Who is sent one is somebody that the clinic says can use no eID.

        Unless an eID has confirmed who they are: they can, then, and the clinic's record says nothing else. Who uses
        their password at another clinic keeps it until they act themselves: to what only this clinic says is theirs
        goes a link.
        """
        if sending.account is not None and not may_give(sending.account, sending.to, sending.clinic.id):
            account, _ = self.activation.prepare(sending.invitation(), sending.enrolment.person, sending.now)
            return self._renewed(sending, account)
        exempt = sending.exempt
        account, _ = self.activation.prepare(sending.invitation(exempt), sending.enrolment.person, sending.now)
        gift = Gift(
            person=account.person,
            password=paper.lasting(sending.clinic.password),
            to=sending.to,
            clinic=sending.clinic.id,
            client=sending.client.id,
            language=sending.enrolment.language,
            at=sending.now,
        )
        done = self.recovery.give(gift)
        if isinstance(done, Busy):
            return Limited(until=sending.now + _BUSY)
        if not done:
            return NotDone(why=Conflict.ELSEWHERE, patient=_patient(sending))
        receipt = Receipt(kind="password", sent=sending.to, at=sending.now, form=sending.form)
        return self._noted(sending, receipt, **({"exempt": "yes"} if exempt else {}))

    def _noted(self, sending: _Sending, receipt: Receipt, kind: str = "patient.sent", **more: str) -> Receipt:
        """Keep it in the trail, by which channels and not where to; and as a receipt, for a time."""
        detail = {"how": receipt.kind, **({"channels": " ".join(receipt.sent)} if receipt.sent else {}), **more}
        person, client = sending.enrolment.person, sending.client.id
        trail.record(self.events, kind, sending.actor, person, sending.now, client=client, **detail)
        name = sending.enrolment.handle
        for _ in range(_RACES):
            kept = self.receipts_of.get(name)
            earlier = () if kept is None else kept.value.receipts
            fresh = Receipts(receipts=(receipt, *earlier)[:_MOST_SHOWN])
            if self.receipts_of.swap(name, None if kept is None else kept.raw, fresh, SHOWN_FOR) is not None:
                return receipt
        raise StoreError("too many send to one patient at once")


def _patient(sending: _Sending) -> Patient:
    return Patient(enrolment=sending.enrolment, account=sending.account)


def _contacts(sending: _Sending) -> tuple[Contact, ...]:
    return tuple(Contact(channel=channel, address=address) for channel, address in sending.to.items())


def _link_receipt(sending: _Sending, until: datetime) -> Receipt:
    return Receipt(kind="link", sent=sending.to, at=sending.now, until=until, form=sending.form)


def _mark(form: str) -> str:
    return hashlib.sha256(form.encode()).hexdigest()[:32]
