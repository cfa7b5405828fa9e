"""My page: what a person sees of themselves here, and may change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from idbroker.accounts.account import Account, Agreed, Consent, Contact, Enrolment
from idbroker.accounts.reaching import FIELDS, PURPOSE, read
from idbroker.accounts.records import Records
from idbroker.accounts.ways import hindrance, keeps_a_way, taken_on, verified
from idbroker.errors import NotFound
from idbroker.events import Event, Events, History
from idbroker.identity import LoA
from idbroker.keeping import Shelf
from idbroker.messages.message import Channel, Delivery
from idbroker.otp import app_codes, codes
from idbroker.otp.one_time import Limited, OneTimeCodes, Right, Sent, Spot, Verdict
from idbroker.session import Session
from idbroker.visit import Visit

FRESH = timedelta(minutes=15)  # how long ago one must have shown who one is, to change how one is known (ASVS 7.5.1)
LOOKED_AT = 200  # events; of these, some are told
# What others did stands by itself: else who had looked would only wait until sign-ins pushed it off the page.
BY_OTHERS, BY_OTHERS_LOOKED_AT = ("patient.", "guardianship.", "acting."), 3000
_PENDING = timedelta(minutes=15)
_SKEW = timedelta(seconds=60)
Changing = Callable[[Account], Account | None]


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

    def end_acting(self, ward: str, why: str, *, client: str | None = None) -> int:
        """End what others do for them at one client; return how much that was."""
        ...


class Told(Protocol):
    """Who tells people that what they sign in with has changed (ASVS 6.3.7)."""

    def contact_changed(self, before: Account, after: Account, visit: Visit) -> None:
        """Write to every address known before and after."""
        ...

    def app_changed(self, account: Account, visit: Visit) -> None:
        """Write that an authenticator app was added or removed."""
        ...

    def handed_over(self, account: Account, approved: Enrolment, at: datetime) -> None:
        """Write to a grown child's guardian that the sign-in they set up is no more."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """Something that a code is to confirm: a new address, or an authenticator app's secret.

    `sent` is the newest code's, `again` when it was sent anew.
    """

    channel: Channel | None
    address: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    sent: Sent | None = None
    again: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSecret:
    """What an authenticator app is given: by hand, or in a QR code; `replaces` tells whether one is in use."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)
    replaces: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """All that My page shows."""

    account: Account | None
    enrolments: tuple[Enrolment, ...]
    consents: tuple[Consent, ...]
    sessions: tuple[Session, ...]
    events: tuple[Event, ...]
    by_others: tuple[Event, ...]

    def seen_by(self, session: Session) -> Own:
        """Return what a sign-on may see: nothing of elsewhere, if one clinic's staff have sent its password."""
        account = self.account
        if account is None or not account.only_at or session.identity.loa > LoA.LOW:
            return self
        return replace(
            self,
            enrolments=tuple(one for one in self.enrolments if account.opens(one.clinic)),
            consents=tuple(one for one in self.consents if one.kind is Agreed.TERMS and account.opens(one.about)),
            sessions=tuple(one for one in self.sessions if one.key == session.key),
            events=tuple(one for one in self.events if account.opens(one.clinic or "")),
            by_others=tuple(one for one in self.by_others if account.opens(one.clinic or "")),
        )


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
        return Own(
            account=self.records.accounts.of(session.person),
            enrolments=self.records.enrolments.of(session.person),
            consents=tuple(one for one in self.records.consents.of(session.person) if one.withdrawn_at is None),
            sessions=self.sign_ons.of_person(session.person),
            events=self.history.of_person(session.person, LOOKED_AT),
            by_others=self.history.of_person(session.person, BY_OTHERS_LOOKED_AT, kinds=BY_OTHERS),
        ).seen_by(session)

    def opens(self, session: Session, clinic: str) -> bool:
        """Tell whether a sign-on opens a clinic's My page; a password sent by another clinic's staff does not."""
        account = None if session.identity.loa > LoA.LOW else self.records.accounts.of(session.person)
        return account is None or account.opens(clinic)

    def has_account(self, session: Session) -> bool:
        """Tell whether the person has an account, and may change it."""
        account = self.records.accounts.of(session.person)
        return account is not None and not account.disabled

    def has_password(self, session: Session) -> bool:
        """Tell whether there is a password to change; without one whoever came with an eID may choose the first."""
        account = self.records.accounts.of(session.person)
        return account is not None and account.password is not None

    def is_fresh(self, session: Session, now: datetime) -> bool:
        """Tell whether the person has shown lately enough who they are to change how they are known."""
        # Not from the future either: a clock that was set back would keep a proof fresh for ever.
        return -_SKEW <= now - session.identity.proved_at <= FRESH

    # ---- sign-ons and consents -------------------------------------------------------------------

    def end_session(self, session: Session, key: str) -> bool:
        """End another of the person's sign-ons."""
        return self.sign_ons.end_one(session.person, key)

    def end_others(self, session: Session) -> int:
        """End all of the person's sign-ons but this one; return how many."""
        return self.sign_ons.end_person(session.person, "asked", but=session.key)

    def withdraw(self, session: Session, consent_id: str, now: datetime) -> bool:
        """Withdraw a consent; what a service was given on its strength ends.

        It ends before and after: before, so that a crash in between leaves a consent that can be withdrawn again,
        never tokens that nobody can end; after, for what was given meanwhile.
        """
        found = next((one for one in self.records.consents.of(session.person) if one.id == consent_id), None)
        if found is None or found.withdrawn_at is not None:
            return False
        self._end_release(session, found)
        withdrawn = self.records.consents.withdraw(session.person, consent_id, now)
        self._end_release(session, found)
        if withdrawn:
            self._record("consent.withdrawn", session, now, {"kind": found.kind.value, "about": found.about})
        return withdrawn

    def _end_release(self, session: Session, consent: Consent) -> None:
        """End what a service was given by a consent: by the person's own sign-ons, and by whoever acts for them."""
        if consent.kind is Agreed.RELEASE:
            self.sign_ons.end_client(session.person, consent.about)
            self.sign_ons.end_acting(session.person, "asked", client=consent.about)

    # ---- contacts --------------------------------------------------------------------------------

    def begin_contact(self, session: Session, channel: Channel, typed: str, visit: Visit) -> Sent | Limited | str:
        """Send a code to a new address; a string is the key of what is wrong with it. NotFound without an account."""
        account, name = self._account(session), FIELDS[channel]
        taken = read({name: typed}, visit.clinic.country)
        address = taken.values[name]
        wrong = hindrance(session, account, channel)
        wrong = wrong or taken.errors.get(name) or self._no_way(account, channel, address)
        if wrong:
            return wrong
        sent = self.codes.send(self._spot(session, channel, address), visit)
        if isinstance(sent, Sent):
            self.pending.put(_slot(session, channel), Pending(channel=channel, address=address, sent=sent), _PENDING)
        return sent

    def again(self, session: Session, channel: Channel, visit: Visit) -> Sent | Limited:
        """Send another code to the address that is waited for. NotFound when none is."""
        kept = self._pending(session, channel)
        sent = self.codes.send(self._spot(session, channel, kept.address), visit)
        if isinstance(sent, Sent):
            self.pending.put(_slot(session, channel), replace(kept, sent=sent, again=sent.at), _PENDING)
        return sent

    def confirm_contact(
        self, session: Session, channel: Channel, typed: str, visit: Visit, *, only_of: str | None = None
    ) -> Verdict | None:
        """Take the address on, once its code is right; None for what cannot be a code, which costs no try.

        `only_of` is the guardian who does it for a child. The attack: their change is under way as the child comes
        with an eID, and from then on the child's codes go to them. NotFound then, and when no address waits.
        """
        kept = self._pending(session, channel)
        if codes.typed(typed) is None:
            return None
        verdict = self.codes.check(self._spot(session, channel, kept.address), typed, visit)
        contact = Contact(channel=channel, address=kept.address, verified_at=visit.now)
        if isinstance(verdict, Right):
            self._change(session, lambda account: taken_on(account, contact, only_of), visit, channel)
            if only_of is not None and self._account(session).guardian != only_of:
                raise NotFound("the account is not theirs any more")
        elif verified(self._account(session), channel) != kept.address:
            return verdict
        # Taken on: by this press, or by another at the same time that used the code up.
        self.pending.take(_slot(session, channel))
        return Right()

    def waiting(self, session: Session, channel: Channel) -> Pending | None:
        """Return the address that waits for its code."""
        kept = self.pending.get(_slot(session, channel))
        return kept.value if kept is not None else None

    def drop(self, session: Session, channel: Channel) -> None:
        """Wait no longer: another address is to be typed."""
        self.pending.take(_slot(session, channel))

    def is_dead(self, pending: Pending) -> bool:
        """Tell whether nobody need wait for the message."""
        sent = pending.sent
        failed = sent is not None and self.codes.delivery(sent.message) is Delivery.FAILED
        return failed or (pending.channel is not None and not self.codes.works(pending.channel))

    def remove_contact(self, session: Session, channel: Channel, visit: Visit) -> bool:
        """Forget an address; False for the last that codes can go to: nobody locks themselves out by a click."""

        def removed(account: Account) -> Account | None:
            # Asked within the change: of two tabs that forget one address each, one is refused.
            after = account.without_contact(channel)
            if hindrance(session, account, channel):
                return None
            return after if keeps_a_way(account, after, visit.clinic) else None

        self._change(session, removed, visit, channel)
        return self._account(session).contact(channel) is None

    # ---- the authenticator app -------------------------------------------------------------------

    def begin_app(self, session: Session, host: str) -> AppSecret:
        """Return the secret that an authenticator app is to be given; the same in every tab until it is confirmed.

        In the app it stands under our `host` and the person's name: a household has one telephone.
        """
        account = self._account(session)
        slot = _slot(session, None)
        new = Pending(channel=None, secret=app_codes.new_secret())
        kept = self.pending.get(slot) or self.pending.swap(slot, None, new, _PENDING) or self.pending.get(slot)
        if kept is None:
            raise NotFound("what was begun is over")
        secret = kept.value.secret
        uri = app_codes.uri(secret, account.name or account.number.masked, host)
        return AppSecret(secret=secret, uri=uri, replaces=account.app_secret is not None)

    def confirm_app(self, session: Session, typed: str, visit: Visit) -> bool | None:
        """Take the app on, once it shows a right code; None when nothing waits for one (any more).

        Tries are not counted: who could guess has been shown the secret.
        """
        kept = self.pending.get(_slot(session, None))
        if kept is None:
            return None
        secret = kept.value.secret
        step = app_codes.step_of(secret, typed, visit.now, 0)
        if step is None or hindrance(session, self._account(session), None):
            return False
        # The code that confirms it is used up by that: it signs nobody in (RFC 6238, 5.2).
        added = partial(replace, app_secret=secret, app_step=step, app_since=visit.now)
        self._change_app(session, "account.app_added", visit, added)
        self.pending.take(_slot(session, None))
        return True

    def remove_app(self, session: Session, visit: Visit) -> bool:
        """Forget the authenticator app (ASVS 6.5.6); False when codes could come no other way."""

        def removed(account: Account) -> Account | None:
            after = replace(account, app_secret=None, app_step=0, app_since=None)
            if hindrance(session, account, None):
                return None
            return after if keeps_a_way(account, after, visit.clinic) else None

        self._change_app(session, "account.app_removed", visit, removed)
        return self._account(session).app_secret is None

    def hindrance(self, session: Session, channel: Channel | None) -> str:
        """Return the key of why this sign-on may not change an address, or the app; an empty text when it may."""
        return hindrance(session, self._account(session), channel)

    # ---- how -------------------------------------------------------------------------------------

    def _account(self, session: Session) -> Account:
        account = self.records.accounts.of(session.person)
        if account is None or account.disabled:
            raise NotFound("the person has no account")
        return account

    def _no_way(self, account: Account, channel: Channel, address: str) -> str:
        """Return the key of why no code can go to an address; an empty text when one can."""
        if not address:
            return "r.e.mail" if channel is Channel.EMAIL else "r.e.phone"
        if verified(account, channel) == address:
            return "me.e.same"
        if not self.codes.takes(channel, address):
            return "r.e.abroad"
        return "" if self.codes.works(channel) else "me.e.unsent"

    def _change(self, session: Session, change: Changing, visit: Visit, channel: Channel) -> None:
        """Tell, then change.

        Told first: whoever breaks in between has told of a change that was none, never kept one quiet. What was
        sent to an earlier address signs nobody in from then on, and a link there chooses no password: before, so that
        none outlives a crash; after, for one that was sent meanwhile.
        """
        before = self._account(session)
        after = change(before)
        if after is None or after == before:
            return
        self.told.contact_changed(before, after, visit)
        self.records.links.end_all(session.person)
        self.records.accounts.change(session.person, change)
        self.records.links.end_all(session.person)
        self.codes.revoke(session.person)
        self._record("account.contact_changed", session, visit.now, {"channel": channel.value, **_by(session, before)})

    def _change_app(self, session: Session, kind: str, visit: Visit, change: Changing) -> None:
        before = self._account(session)
        after = change(before)
        if after is None or after == before:
            return
        self.told.app_changed(before, visit)
        self.records.accounts.change(session.person, change)
        self._record(kind, session, visit.now, {})

    def _pending(self, session: Session, channel: Channel) -> Pending:
        kept = self.waiting(session, channel)
        if kept is None:
            raise NotFound("no address waits for a code")
        return kept

    def _spot(self, session: Session, channel: Channel, address: str) -> Spot:
        return Spot(transaction=session.key, purpose=PURPOSE, person=session.person, channel=channel, to=address)

    def _record(self, kind: str, session: Session, now: datetime, detail: Mapping[str, str]) -> None:
        self.events.record(Event(at=now, kind=kind, person=session.person, detail=detail))


def _slot(session: Session, channel: Channel | None) -> str:
    return f"{session.key}.{channel or 'app'}"


def _by(session: Session, account: Account) -> dict[str, str]:
    """Return for the trail that a guardian changed it, whose eID is another's than the account."""
    other = session.identity.number not in (None, account.number)
    return {"guardian": account.guardian} if other and account.guardian else {}
