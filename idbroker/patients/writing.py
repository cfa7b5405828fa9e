"""What a sheet makes of a clinic's record of a patient. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from idbroker.accounts.account import Account, Enrolment, Entry, Standing
from idbroker.accounts.entries import entry_of
from idbroker.accounts.records import folded, new_handle
from idbroker.messages.message import Channel
from idbroker.numbers import birthdate_of
from idbroker.patients.patient import Sheet
from idbroker.staff.member import Actor, Role

_BLANK = Entry(entered_at=datetime.min.replace(tzinfo=UTC))
_NAMED = ("given_name", "family_name")
_PLAIN = ("number", "birthdate", "checked", "exempt", "takes_part", "protected")


def entered(actor: Actor, person: str, standing: Standing, now: datetime) -> Enrolment:
    """Return the enrolment of somebody whom a clinic did not know so far."""
    approved = standing is Standing.APPROVED
    return Enrolment(
        person=person,
        clinic=actor.clinic,
        standing=standing,
        asked_at=now,
        decided_at=now if approved else None,
        by=actor.id if approved else None,
        handle=new_handle(),
    )


def taken(before: Enrolment, actor: Actor, standing: Standing, now: datetime) -> Enrolment:
    """Return an enrolment as it stands when staff enter who is there: who waits for an answer goes on waiting.

    Whom an approver has declined only an approver takes after all; a guardian who asked is not approved by that.
    """
    known = before.standing is Standing.KNOWN
    declined = before.standing is Standing.DECLINED and actor.may(Role.APPROVER)
    if standing is not Standing.APPROVED or not (known or declined):
        return before
    return replace(before, standing=standing, decided_at=now, by=actor.id, reason=None, guardian=None)


def written(before: Enrolment, account: Account | None, sheet: Sheet, actor: Actor, now: datetime) -> Enrolment:
    """Return an enrolment with what a sheet says; the same where it says nothing new.

    `account` is of who has come to this clinic, and counts until it has a record of its own. Of whom it enters
    unseen nobody gives it: who knows a number would read the name that its owner has given elsewhere.
    """
    entry = _entry(entry_of(before, account, actor.id, now), account if before.entry is None else None, sheet)
    if entry != before.entry:
        entry = replace(entry, by=actor.id)
    told = _told(before.told, sheet.contacts)
    return replace(
        before,
        entry=entry,
        told=told,
        # What was answered about another address is no answer about this one: the question comes anew.
        settled={
            channel: one for channel, one in before.settled.items() if told.get(channel) == before.told.get(channel)
        },
        language=sheet.language or before.language,
    )


def replaced(before: Enrolment, after: Enrolment) -> dict[Channel, str]:
    """Return the addresses that a clinic has no more, by channel."""
    return {channel: address for channel, address in before.told.items() if after.told.get(channel) != address}


def said(before: Enrolment | None, after: Enrolment) -> str:
    """Return which parts of a record a change has changed, as words for the trail; never what stands there."""
    old, new = (before and before.entry) or _BLANK, after.entry or _BLANK
    there = {} if before is None else before.told
    found = ["name"] if any(getattr(old, one) != getattr(new, one) for one in _NAMED) else []
    found += [one for one in _PLAIN if getattr(old, one) != getattr(new, one)]
    found += [one.value for one in Channel if there.get(one) != after.told.get(one)]
    found += ["language"] if before is not None and before.language != after.language else []
    return " ".join(found)


def another(known: str | None, sheet: Sheet) -> bool:
    """Tell whether a sheet's name is another than the one known: a word more or less, or an accent, is the same."""
    mine, theirs = set(folded(known or "")), set(folded(" ".join(filter(None, (sheet.given_name, sheet.family_name)))))
    return bool(mine and theirs) and not (mine <= theirs or theirs <= mine)


def _entry(before: Entry, account: Account | None, sheet: Sheet) -> Entry:
    number = sheet.number or before.number or (account.number if account else None)
    given = sheet.given_name or before.given_name or (account.given_name if account else None)
    family = sheet.family_name or before.family_name or (account.family_name if account else None)
    return replace(
        before,
        number=number,
        given_name=given,
        family_name=family,
        birthdate=birthdate_of(number, sheet.birthdate, before.birthdate, account.birthdate if account else None),
        checked=sheet.checked or before.checked,
        exempt=before.exempt if sheet.exempt is None else sheet.exempt or None,
        takes_part=before.takes_part if sheet.takes_part is None else sheet.takes_part,
        protected=before.protected if sheet.protected is None else sheet.protected,
    )


def _told(before: Mapping[Channel, str], contacts: Mapping[Channel, str]) -> dict[Channel, str]:
    both = {**before, **contacts}
    return {channel: both[channel] for channel in Channel if both.get(channel)}
