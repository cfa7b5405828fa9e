"""What choosing a password comes to, and when a link may choose one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from idbroker.accounts.account import Account, Contact, Link, Purpose
from idbroker.accounts.linking import Found
from idbroker.accounts.passwords import weakness
from idbroker.messages.message import Channel
from idbroker.numbers import NationalNumber
from idbroker.visit import Visit


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A link that is good, and whose it is."""

    link: Link
    account: Account = field(repr=False)
    found: Found

    @property
    def channel(self) -> Channel | None:
        """Return by which channel it was read; none for a code on paper."""
        return self.found.channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The password is the one that was chosen; `link` is what it was chosen with, None from one's own page."""

    link: Link | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Weak:
    """It may not be chosen; `key` says why. The link is as good as before."""

    key: str


@dataclass(frozen=True, slots=True)
class Spent:
    """The link has been used, or its time is over, or there is none."""


@dataclass(frozen=True, slots=True)
class Busy:
    """Too many passwords are being hashed just now. The link is as good as before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotCurrent:
    """What was typed is not the password; `left` tries are left."""

    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A link that one form has used up, and the hash it brought: what is left to do, until it is `done`."""

    found: Found
    password: str = field(repr=False)
    at: datetime
    done: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gift:
    """A password that was made for somebody, in clear until it is hashed and sent: to these addresses, by channel."""

    person: str
    password: str = field(repr=False)
    to: Mapping[Channel, str] = field(repr=False)
    clinic: str
    client: str | None
    language: str
    at: datetime


class SignOns(Protocol):
    """A person's sign-ons."""

    def end_person(self, person: str, why: str, *, but: str | None = None) -> int:
        """End all but one, and what rests on them."""
        ...


class Locks(Protocol):
    """Who counts wrong passwords."""

    def reopen(self, number: NationalNumber) -> None:
        """Give a number all its tries again."""
        ...


def silent(account: Account | None) -> str:
    """Return why nobody is written to; an empty text when somebody is."""
    if account is None:
        return "unknown"
    if account.disabled:
        return "disabled"
    return "" if account.reachable else "unreachable"


def chosen(account: Account, begun: Begun) -> Account | None:
    """Return an account with the password of a form; None if the link may not choose it, or another was since.

    A first link shows whose the address is that it was read at.
    """
    mine, set_at = account.password == begun.password, account.password_set_at
    if mine:
        return None if account.disabled else account
    link, channel = begun.found.link, begun.found.channel
    later = account.created_at > begun.at or (set_at is not None and set_at > begun.at)
    if later or not may_choose(account, link):
        return None
    changed = replace(account, password=begun.password, password_set_at=begun.at)
    match link.purpose:
        case Purpose.RESET:
            return replace(_recovered(changed, channel, begun.at), reset_by=channel)
        case Purpose.LETTER:
            return replace(changed.opening((link.clinic,), begun.at), reset_by=None)
        case Purpose.RENEW:
            return _renewed(changed, begun.found, begun.at)
        case Purpose.ACTIVATE:
            contact = None if channel is None else account.contact(channel)
            shown = changed if contact is None else changed.with_contact(replace(contact, verified_at=begun.at))
            # Staff of one clinic have said who reads there: no other clinic has.
            return shown.opening((link.clinic,), begun.at)


def _recovered(changed: Account, channel: Channel | None, at: datetime) -> Account:
    """Return an account as the link of a forgotten password leaves it, read by a channel.

    Read where only the person reads, it is their password again, and opens all. Read at an address that came while
    it opened one clinic alone, it opens no more than before; but whose the address is has been shown again.
    """
    contact = None if channel is None else changed.contact(channel)
    if contact is None or contact.verified_at is None or not changed.only_at:
        return changed
    if changed.is_own(contact):
        return changed.opening((), at, (contact.address,))
    return changed.with_contact(replace(contact, verified_at=at))


def _renewed(changed: Account, found: Found, now: datetime) -> Account | None:
    """Return an account as a link leaves it that staff sent to an address of their own choice.

    The attack: a clinic's staff, or who talks them into it, take over a patient's login at every other clinic. So
    who reads at an address that the person never showed to be theirs has a password for this clinic alone.
    """
    if found.channel is None or found.address is None:
        return None
    given = Contact(channel=found.channel, address=found.address, verified_at=now)
    if is_theirs(changed, found.channel, found.address):
        widest = changed.opening(widened(changed, found.link.clinic), now, (found.address,))
        return replace(widest, reset_by=found.channel)
    fresh = changed.with_contact(given).opening((found.link.clinic,), now, (found.address,))
    return replace(fresh, reset_by=None)


def given(account: Account, gift: Gift, kept: str) -> Account | None:
    """Return an account with a password that staff gave, hashed; where it went counts as shown to be theirs."""
    if account.disabled or account.guardian is not None or not may_give(account, gift.to, gift.clinic):
        return None
    known = all(is_theirs(account, channel, address) for channel, address in gift.to.items())
    only_at = widened(account, gift.clinic) if known else (gift.clinic,)
    fresh = replace(account, password=kept, password_set_at=gift.at, reset_by=None)
    for channel, address in gift.to.items():
        if not is_theirs(account, channel, address):
            fresh = fresh.with_contact(Contact(channel=channel, address=address, verified_at=gift.at))
    return fresh.opening(only_at, gift.at, tuple(gift.to.values()))


def may_give(account: Account, to: Mapping[Channel, str], clinic: str) -> bool:
    """Tell whether a clinic's staff may set a password and send it there: nobody has to do anything for it.

    The attack, or the slip: staff of one clinic type a number and an address, and what somebody signs in with at
    every other clinic is gone. So at an address that is not theirs, whoever reads there has to act (Purpose.RENEW).
    """
    elsewhere = account.in_use and (not account.only_at or {*account.only_at} != {clinic})
    return not elsewhere or all(is_theirs(account, channel, address) for channel, address in to.items())


def is_theirs(account: Account, channel: Channel, address: str) -> bool:
    """Tell whether an address was shown to be this person's."""
    return any((one.channel, one.address) == (channel, address) for one in account.reachable)


def lost(before: Account, after: Account) -> tuple[tuple[str, Mapping[str, str]], ...]:
    """Return as what the trail tells, event and detail, that ways to be reached are there no more."""
    gone = {one.channel for one in before.reachable} - {one.channel for one in after.reachable}
    contacts = tuple(("account.contact_changed", {"channel": channel.value}) for channel in sorted(gone))
    app = before.app_secret is not None and after.app_secret is None
    return (*contacts, *((("account.app_removed", {}),) if app else ()))


def widened(account: Account, clinic: str) -> tuple[str, ...]:
    """Return where a password opens when one more clinic speaks for an address: everywhere stays everywhere."""
    return tuple(dict.fromkeys((*account.only_at, clinic))) if account.only_at else ()


def may_choose(account: Account, link: Link) -> bool:
    """Tell whether a link may choose a password of this account.

    Stops a first link that staff sent to a stranger's address, by a slip, once the person has come themselves:
    who has a password, an address of their own or an eID's word is not let in by what staff believed before. And
    a letter, or a link that staff sent later, once an eID has confirmed the account or a guardian made it.
    """
    if account.disabled:
        return False
    if link.purpose is Purpose.ACTIVATE:
        return not (account.confirmed_at is not None or account.password is not None or account.reachable)
    since = account.confirmed_at is not None and account.confirmed_at > link.made_at
    return link.purpose is Purpose.RESET or not (since or account.guardian is not None)


def own_words(account: Account) -> Iterable[str]:
    """Return what others know of a person, and try first."""
    names = [part for part in (account.given_name, account.family_name) if part]
    addresses = [contact.address for contact in account.contacts]
    return (*names, account.number.value, account.number.display, *addresses)


def weak_of(account: Account, new: str, visit: Visit) -> Weak | None:
    """Return what is wrong with a password that somebody chooses on a visit; None when nothing is."""
    key = weakness(new, visit.clinic.password, (*own_words(account), visit.clinic.name, visit.service))
    return None if key is None else Weak(key=key)
