"""How what somebody says of themselves differs from the clinic's own record of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from idbroker.accounts.account import Account, Enrolment, Entry, Standing
from idbroker.accounts.entries import is_own
from idbroker.accounts.reaching import FIELDS, read
from idbroker.accounts.records import folded
from idbroker.events import Event
from idbroker.identity import LoA
from idbroker.messages.addresses import display, shown
from idbroker.messages.message import Channel
from idbroker.numbers import birthdate_of

_PASSWORD = "fallback"


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


def told_here(enrolment: Enrolment, account: Account | None, theirs: Sequence[Event]) -> dict[Channel, str]:
    """Return the addresses that a patient has shown to be theirs, as far as this clinic may read them whole.

    `theirs` is what they did at this clinic. The attack: staff enter anybody's number, and read where that person is
    reached elsewhere; or sign the patient in themselves, by the tablet or by access that they sent to a mailbox of
    their own. So an eID of the person's has come to this very clinic, or the password that they have now; of one that
    clinics have sent, this clinic alone, only what was shown since. What a guardian put in is no patient's.
    """
    if account is None or account.disabled or account.guardian or enrolment.standing is not Standing.APPROVED:
        return {}
    shown = account.reachable
    if not any(map(_by_eid, theirs)):
        here = account.only_at in ((), (enrolment.clinic,)) and any(_by_password(account, one) for one in theirs)
        shown = tuple(one for one in shown if here and not (account.only_at and account.is_own(one)))
    return {one.channel: one.address for one in shown}


def _by_eid(event: Event) -> bool:
    """Tell whether an event is a sign-in by a person's eID, for themselves: who only brought a child is no patient."""
    loa = event.detail.get("loa", LoA.LOW.word)
    return event.provider is not None and loa != LoA.LOW.word and "ward" not in event.detail


def _by_password(account: Account, event: Event) -> bool:
    since = account.password_set_at
    return event.provider == _PASSWORD and since is not None and event.at >= since


def masked(channel: Channel, address: str) -> str:
    """Return a person's own address as staff may see it."""
    return f"••• {shown(channel, address)}" if _is_sms(channel) else shown(channel, address)


def _is_sms(channel: Channel) -> bool:
    return channel is Channel.SMS


def _plain(channel: Channel, address: str, country: str) -> str:
    """Return an address so that two spellings of one are equal: clinics write theirs as they like."""
    name = FIELDS[channel]
    return read({name: address}, country).values.get(name, address).casefold()
