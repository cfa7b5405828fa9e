"""How what somebody says of themselves differs from the clinic's own record of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from idbroker.accounts.account import Account, Enrolment, Entry
from idbroker.accounts.entries import is_own
from idbroker.accounts.reaching import FIELDS, read
from idbroker.accounts.records import folded
from idbroker.messages.addresses import display, shown
from idbroker.messages.message import Channel
from idbroker.numbers import birthdate_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that differs: `what` is `name`, `birthdate`, `email` or `phone`; both as a page may show them.

    Days are as ISO 8601 has them. Addresses that the patient has confirmed are theirs: of them a page shows as much as
    on My page.
    """

    what: str
    theirs: str = field(repr=False)
    ours: str = field(repr=False)


def differences(enrolment: Enrolment, account: Account | None, country: str) -> tuple[Difference, ...] | None:
    """Return what differs; None where the clinic has no record of its own, or nothing is known but that they ask."""
    entry = enrolment.entry
    if entry is None or account is None or not is_own(entry) or entry.name is None:
        return None
    return (*_person(entry, account), *_contacts(enrolment.told, account, country))


def _person(entry: Entry, account: Account) -> tuple[Difference, ...]:
    found = []
    if folded(entry.name or "") != folded(account.name or ""):
        found.append(Difference(what="name", theirs=account.name or "", ours=entry.name or ""))
    born = birthdate_of(account.number, account.birthdate)
    if None not in (entry.birthdate, born) and entry.birthdate != born:
        found.append(Difference(what="birthdate", theirs=f"{born}", ours=f"{entry.birthdate}"))
    return tuple(found)


def _contacts(told: Mapping[Channel, str], account: Account, country: str) -> tuple[Difference, ...]:
    theirs = {contact.channel: contact.address for contact in account.contacts}
    both = [(one, theirs[one], told[one]) for one in FIELDS if one in theirs and told.get(one)]
    return tuple(
        Difference(what=FIELDS[channel], theirs=masked(channel, mine), ours=display(ours) if _is_sms(channel) else ours)
        for channel, mine, ours in both
        if _plain(channel, mine, country) != _plain(channel, ours, country)
    )


def masked(channel: Channel, address: str) -> str:
    """Return a person's own address as staff may see it."""
    return f"••• {shown(channel, address)}" if _is_sms(channel) else shown(channel, address)


def _is_sms(channel: Channel) -> bool:
    return channel is Channel.SMS


def _plain(channel: Channel, address: str, country: str) -> str:
    """Return an address so that two spellings of one are equal: clinics write theirs as they like."""
    name = FIELDS[channel]
    return read({name: address}, country).values.get(name, address).casefold()
