"""What is kept of a person who has an account, of whom a clinic takes, of what was agreed to."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from idbroker.messages.message import Channel
from idbroker.numbers import NationalNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """An address of a person: an e-mail address, or a mobile number in E.164. Codes go to verified ones only."""

    channel: Channel
    address: str = field(repr=False)
    verified_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A person's password sign-in with us: one, for all clinics. Kept sealed, by the person's id.

    `password` is an argon2id hash as its library spells it. `confirmed_at` is when an eID last confirmed who
    this is. `exempt` is read only where a clinic has not said itself who cannot use one (`entries.exempt_at`).
    `guardian` is the person who registered a child. `app_secret` is an authenticator app's (RFC 6238), `app_step`
    the newest time step it was used for. `reset_by` is where the link was read that the password was chosen with,
    until they have shown more than that.
    `only_at` are the clinics whose staff have sent access to an address that the person had not shown to be theirs:
    until an eID confirms whose password it is, it opens those and no other. Empty: it opens all. `only_since` is the
    moment from which it has not opened all, however often the clinics changed since; None where `only_at` is empty.
    `app_since` is when the app was added; None for one that was there before that was kept.
    """

    person: str
    number: NationalNumber = field(repr=False)
    given_name: str | None = field(default=None, repr=False)
    family_name: str | None = field(default=None, repr=False)
    birthdate: date | None = field(default=None, repr=False)
    language: str = "en"
    password: str | None = field(default=None, repr=False)
    password_set_at: datetime | None = None
    reset_by: Channel | None = None
    contacts: tuple[Contact, ...] = ()
    app_secret: str | None = field(default=None, repr=False)
    app_step: int = 0
    app_since: datetime | None = None
    confirmed_at: datetime | None = None
    exempt: str | None = None
    guardian: str | None = None
    only_at: tuple[str, ...] = ()
    only_since: datetime | None = None
    disabled: bool = False
    created_at: datetime

    @property
    def name(self) -> str | None:
        """Return the whole name, if any is known."""
        return " ".join(part for part in (self.given_name, self.family_name) if part) or None

    def opens(self, clinic: str) -> bool:
        """Tell whether the password opens a clinic's services, as far as that is said here."""
        return not self.only_at or clinic in self.only_at

    @property
    def in_use(self) -> bool:
        """Tell whether anybody has taken it in use: else what is in it is what staff said."""
        return self.password is not None or bool(self.reachable) or self.confirmed_at is not None

    def is_own(self, contact: Contact) -> bool:
        """Tell whether an address was shown to be theirs while their password opened every clinic."""
        at = contact.verified_at
        return at is not None and (not self.only_at or at < self._limited_since)

    @property
    def has_own_app(self) -> bool:
        """Tell whether there is an authenticator app that came while their password opened every clinic."""
        late = (self.app_since or self.created_at) >= self._limited_since
        return self.app_secret is not None and not (self.only_at and late)

    def opening(self, clinics: tuple[str, ...], at: datetime, shown: Collection[str] = ()) -> Account:
        """Return it with a password that opens these clinics and no other (none named: all), as of a moment.

        Where that is one clinic more, or another, nothing stays that came while it opened fewer, but the addresses
        that are `shown` by this very act. The attack: who was sent a password for one clinic puts a telephone and an
        app of their own there, waits until the person's password opens another again, and says that they forgot it.
        """
        stays = not self.only_at or (clinics and {*clinics} <= {*self.only_at})
        own = self if stays else self._cleaned(shown, None)
        since = self._limited_since if self.only_at else at
        return replace(own, only_at=clinics, only_since=since if clinics else None)

    def freed(self) -> Account:
        """Return it as it is once an eID has shown, in one sign-in with the password, whose that password is.

        What was added since it was chosen is theirs as well: nobody else could, as every sign-on had ended then.
        """
        own = self._cleaned((), self.password_set_at) if self.only_at else self
        return replace(own, only_at=(), only_since=None)

    def again(self, at: datetime) -> Account:
        """Return it as it is when who knows the password chooses another: what they have added stays theirs."""
        if not self.only_at or self.password_set_at is None:
            return self
        chosen = self.password_set_at
        contacts = tuple(
            replace(one, verified_at=at) if one.verified_at is not None and one.verified_at >= chosen else one
            for one in self.contacts
        )
        theirs = self.app_since is not None and self.app_since >= chosen
        return replace(self, contacts=contacts, app_since=at if theirs else self.app_since)

    @property
    def _limited_since(self) -> datetime:
        return self.only_since or self.created_at  # not known: then nothing is from before

    def _cleaned(self, shown: Collection[str], chosen: datetime | None) -> Account:
        """Return it without what came since the password was limited, but for what is shown, or came since `chosen`."""

        def late(at: datetime | None) -> bool:
            return at is not None and at >= self._limited_since and (chosen is None or at < chosen)

        contacts = tuple(one for one in self.contacts if one.address in shown or not late(one.verified_at))
        own = replace(self, contacts=contacts)
        if self.app_secret is None or not late(self.app_since or self.created_at):
            return own
        return replace(own, app_secret=None, app_step=0, app_since=None)

    @property
    def reachable(self) -> tuple[Contact, ...]:
        """Return the contacts that codes may go to."""
        return tuple(contact for contact in self.contacts if contact.verified_at is not None)

    def contact(self, channel: Channel) -> Contact | None:
        """Return the contact of a channel."""
        return next((contact for contact in self.contacts if contact.channel is channel), None)

    def with_contact(self, contact: Contact) -> Account:
        """Return it with a contact in the place of the channel's earlier one."""
        others = tuple(other for other in self.contacts if other.channel is not contact.channel)
        return replace(self, contacts=(*others, contact))

    def without_contact(self, channel: Channel) -> Account:
        """Return it without a channel's contact."""
        return replace(self, contacts=tuple(other for other in self.contacts if other.channel is not channel))


class Standing(enum.StrEnum):
    """Where an enrolment stands."""

    KNOWN = "known"  # in the clinic's list, and has not asked
    ASKED = "asked"
    APPROVED = "approved"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a clinic has written down of a patient: its own words, nobody else's.

    `checked` is how staff saw who it is; `exempt` why this patient cannot use an eID; `takes_part` is False for who
    has declined to be in the clinic's register of quality. `protected`: name and address are hidden from others, by the
    country's word (turvakielto, skyddad identitet, navne- og adressebeskyttelse), so nobody acts for them. `by` is who
    entered it: staff, a program, the patient.
    """

    number: NationalNumber | None = field(default=None, repr=False)
    given_name: str | None = field(default=None, repr=False)
    family_name: str | None = field(default=None, repr=False)
    birthdate: date | None = field(default=None, repr=False)
    checked: str | None = None
    exempt: str | None = field(default=None, repr=False)
    takes_part: bool = True
    deceased_on: date | None = None
    protected: bool = False
    entered_at: datetime
    by: str = ""

    @property
    def name(self) -> str | None:
        """Return the whole name, if any is known."""
        return " ".join(part for part in (self.given_name, self.family_name) if part) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """This person may use this clinic, or asked to. What the clinic's staff see of them begins here.

    `handle` is what this clinic, and nobody else, knows the patient by in addresses and in the API: 22 random
    signs. `entry` is the clinic's own record.

    `told` are the contacts as the clinic has them, by channel; `settled` those (channel and address) about
    which the person has been asked and has answered. `guardian` asked for a child; `by` is who decided, in
    the decider's own words. `client` and `language` are for the message when it is handled.
    """

    person: str
    clinic: str
    standing: Standing
    asked_at: datetime
    decided_at: datetime | None = None
    by: str | None = None
    reason: str | None = None
    provider: str | None = None
    guardian: str | None = None
    client: str | None = None
    language: str = "en"
    handle: str = ""
    entry: Entry | None = field(default=None, repr=False)
    told: Mapping[Channel, str] = field(default_factory=dict, repr=False)
    settled: Mapping[Channel, str] = field(default_factory=dict, repr=False)


class Purpose(enum.StrEnum):
    """What a link is for."""

    RESET = "reset"  # choose a new password: forgotten
    ACTIVATE = "activate"  # choose the first one: staff made the account
    LETTER = "letter"  # choose the first one: a code on paper, handed over or sent by post
    RENEW = "renew"  # choose a new one: staff sent it to an address that was not shown to be theirs


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link in a message; its secret is kept as a digest. A newer one for the same purpose ends the older.

    `transaction` is the sign-in it came of, to go on with, where there was one.
    """

    digest: str
    purpose: Purpose
    person: str
    clinic: str
    client: str | None = None
    transaction: str | None = None
    language: str = "en"
    made_at: datetime
    ends_at: datetime
    used_at: datetime | None = None


class Agreed(enum.StrEnum):
    """What kind of thing somebody agreed to."""

    TERMS = "terms"  # a clinic's, in a version
    RELEASE = "release"  # that a service is given certain items


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """Somebody agreed to something: `about` is the clinic (terms) or the client (release).

    `version` is the terms' own, `items` the claims that may be released. What is withdrawn stays, as a record.
    """

    id: str
    person: str
    kind: Agreed
    about: str
    version: str = ""
    items: tuple[str, ...] = ()
    language: str = "en"
    given_at: datetime
    withdrawn_at: datetime | None = None
