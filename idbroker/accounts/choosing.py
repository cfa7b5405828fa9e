"""What choosing a password comes to, and when a link may choose one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from idbroker.accounts.account import Account, Link, Purpose
from idbroker.accounts.linking import Found
from idbroker.messages.message import Channel
from idbroker.numbers import NationalNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A link that is good, and whose it is."""

    link: Link
    account: Account = field(repr=False)
    channel: Channel


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
    later = account.created_at > begun.at or (set_at is not None and set_at > begun.at)
    if later or not may_choose(account, begun.found.link.purpose):
        return None
    changed = replace(account, password=begun.password, password_set_at=begun.at)
    if begun.found.link.purpose is Purpose.RESET:
        return replace(changed, reset_by=begun.found.channel)
    contact = account.contact(begun.found.channel)
    return changed if contact is None else changed.with_contact(replace(contact, verified_at=begun.at))


def may_choose(account: Account, purpose: Purpose) -> bool:
    """Tell whether a link of a purpose may choose a password of this account.

    Stops a first link that staff sent to a stranger's address, by a slip, once the person has come themselves:
    who has a password, an address of their own or an eID's word is not let in by what staff believed before.
    """
    begun = account.confirmed_at is not None or account.password is not None or bool(account.reachable)
    return not account.disabled and not (purpose is Purpose.ACTIVATE and begun)


def own_words(account: Account) -> Iterable[str]:
    """Return what others know of a person, and try first."""
    names = [part for part in (account.given_name, account.family_name) if part]
    addresses = [contact.address for contact in account.contacts]
    return (*names, account.number.value, account.number.display, *addresses)
