"""Registering a child: by somebody who has shown who they are, and never without the clinic's approval.

Nobody has told us yet whose children are whose, so what a guardian says is a claim. It is told to the clinic,
changes nothing that is there already, and opens nothing until the clinic has approved this very guardian.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from idbroker.accounts.account import Account, Contact, Enrolment, Entry, Standing
from idbroker.accounts.entries import has_died, is_own
from idbroker.accounts.question import Proved, Settled, Stopped
from idbroker.accounts.reaching import reached
from idbroker.accounts.records import Records, new_handle
from idbroker.accounts.registering import Draft, Registering, Ward
from idbroker.ages import MAJORITY, comes_of_age
from idbroker.clinic import COUNTRIES
from idbroker.events import Event, Events
from idbroker.form import Form
from idbroker.identity import LoA
from idbroker.numbers import NationalNumber, NotANumber, parse
from idbroker.visit import Visit

_LONGEST_NAME = 80
_LONGEST_NUMBER = 64
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


@dataclass(frozen=True, kw_only=True)
class Child:
    """The question of who came to register a child. It has no end but the way back to the service."""

    records: Records
    events: Events
    registering: Registering
    name = "child"

    def begin(self, visit: Visit, proved: Proved) -> Form | None:
        """Return the page that asks who the child is."""
        if proved.wish != "child":
            return None
        if not visit.clinic.takes_registrations or not _may_ask(visit, proved):
            return Form(page="notaken", state=b"", values={"clinic": visit.clinic.name})
        return _child_page(visit, {})

    def resume(self, visit: Visit, proved: Proved, form: Form, reply: Mapping[str, str]) -> Form | Settled | Stopped:
        """Go on with what was filled in."""
        if form.page in ("waiting", "notaken"):
            return form
        if not visit.clinic.takes_registrations:
            return Form(page="notaken", state=b"", values={"clinic": visit.clinic.name})
        if form.page == "child":
            return self._told_who(visit, proved, reply)
        result = self.registering.resume(visit, proved, form, reply)
        if isinstance(result, Form):
            return result
        mistake = _mistake_of(visit, proved, result.ward.number) if result.ward else "p.e.id"
        if result.ward is None or mistake:
            return _child_page(visit, {}, {"number": mistake})  # midnight passed: they have come of age
        return self._ask_clinic(visit, proved, result, result.ward)

    def _told_who(self, visit: Visit, proved: Proved, reply: Mapping[str, str]) -> Form:
        if reply.get("do"):
            return _child_page(visit, reply)  # another country's number: the same page, with what was typed
        names = {field: tidy(reply.get(field, "")) for field in ("given", "family")}
        errors = {field: f"r.e.{field}" for field, text in names.items() if not text}
        number = _read(visit, reply)
        mistake = "p.e.id" if number is None else _mistake_of(visit, proved, number)
        if number is None or mistake or errors:
            return _child_page(visit, reply, {**({"number": mistake} if mistake else {}), **errors})
        ward = Ward(number=number, given_name=names["given"], family_name=names["family"])
        mine = self.records.accounts.of(proved.person)
        return self.registering.begin(visit, Draft(reached=reached(mine.contacts if mine else ()), ward=ward))

    # ---- the claim -------------------------------------------------------------------------------

    def _ask_clinic(self, visit: Visit, proved: Proved, draft: Draft, ward: Ward) -> Form:
        """Ask the clinic, unless the child is known there: the page is the same, and tells nobody who is."""
        person = self.records.accounts.person(ward.number, visit.now)
        wanted: Enrolment | None = None

        def ask(before: Enrolment | None) -> Enrolment | None:
            nonlocal wanted
            wanted = _claim(before, _enrolment(visit, proved, ward, person))
            return wanted

        kept = self.records.enrolments.change(person, visit.clinic.id, ask)
        asked = wanted is not None and kept is wanted
        self._record(visit, "enrolment.asked" if asked else "enrolment.known", proved, person)
        theirs = kept is not None and kept.guardian == proved.person and kept.standing is not Standing.DECLINED
        if theirs and self._keep_child(_account(visit, proved, draft, ward, person)):
            self._record(visit, "account.made", proved, person)
        self._keep_guardian(visit, proved, draft)
        self.registering.agreeing.accept(visit, proved)
        return waiting(visit, visit.now, "child")

    def _keep_child(self, fresh: Account) -> bool:
        """Make the child's account, unless there is one that is anybody's: that is not touched."""
        if self.records.accounts.add(fresh):
            return True
        kept = self.records.accounts.change(fresh.person, lambda there: fresh if _is_nobodys(there) else None)
        return kept is fresh

    def _keep_guardian(self, visit: Visit, proved: Proved, draft: Draft) -> None:
        """Keep where the guardian is reached, for the clinic's answer; what they gave before stays."""
        number, contacts = proved.identity.number, draft.reached.contacts
        if number is not None and self.records.accounts.add(_guardians(visit, proved, number, contacts)):
            return
        self.records.accounts.change(
            proved.person, lambda before: None if before.reachable else replace(before, contacts=contacts)
        )

    def _record(self, visit: Visit, kind: str, proved: Proved, person: str) -> None:
        self.events.record(
            Event(
                at=visit.now,
                kind=kind,
                transaction=visit.transaction,
                client=visit.client.id,
                clinic=visit.clinic.id,
                provider=proved.identity.provider,
                person=person,
                detail={"guardian": proved.person},
            )
        )


# ---- what a claim is worth -----------------------------------------------------------------------


def vouched(account: Account, enrolments: Iterable[Enrolment]) -> bool:
    """Tell whether an account is more than somebody's claim to be a child's guardian.

    The attack: a stranger registers a child with a password and addresses of the stranger's own, and signs in as
    the child wherever the child is known already, or whoever comes is taken. So a clinic must have approved this
    very guardian; that one has approved the child is not enough.
    """
    if account.guardian is None:
        return True
    approved = (enrolment for enrolment in enrolments if enrolment.standing is Standing.APPROVED)
    return any(enrolment.guardian == account.guardian for enrolment in approved)


def approved_here(account: Account, enrolment: Enrolment | None) -> bool:
    """Tell whether this very clinic has approved the guardian who made an account.

    The attack: a stranger whom one clinic took for a guardian by mistake signs in as the child at every other,
    one that takes everybody among them. So each clinic's approval is its own.
    """
    if account.guardian is None:
        return True
    approved = enrolment is not None and enrolment.standing is Standing.APPROVED
    return approved and enrolment is not None and enrolment.guardian == account.guardian


def outgrown(visit: Visit, account: Account) -> bool:
    """Tell whether a child whose account a guardian made is a child no more, here and now.

    The attack: a parent's password opens a grown person's record for ever. It ends at 00:00 of the birthday from
    which nobody may register them; an account whose age cannot be seen is no child's.
    """
    if account.guardian is None:
        return False
    born = account.birthdate or account.number.birthdate
    return born is None or _of_age(visit, born, visit.clinic.grown_up)


def forfeited(account: Account) -> Account:
    """Return an account as it is left when a claim to it was declined: with nothing of the claimant's, and nobody's."""
    return replace(reclaimed(account), confirmed_at=None)


def reclaimed(account: Account) -> Account:
    """Return an account without what a guardian's claim put into it: the person has come themselves."""
    return replace(
        account,
        password=None,
        password_set_at=None,
        reset_by=None,
        only_at=(),
        contacts=(),
        app_secret=None,
        app_step=0,
        given_name=None,
        family_name=None,
        guardian=None,
    )


def _claim(before: Enrolment | None, wanted: Enrolment) -> Enrolment | None:
    """Return what a claim makes of the enrolment that is there; None where that stays.

    What is asked or approved stays: a stranger's claim must neither end what the child has nor take it over. But
    that the clinic declined a stranger is no answer to somebody else: or whoever claims first, and falsely, keeps
    the parents out for good. What it declined to the child itself, or to this very guardian, stays declined.
    """
    if before is None:
        return wanted
    if before.standing is Standing.DECLINED and before.guardian not in (None, wanted.guardian):
        return _onto(before, wanted)
    return _onto(before, wanted) if before.standing is Standing.KNOWN and not has_died(before) else None


def _onto(before: Enrolment, wanted: Enrolment) -> Enrolment:
    """Return a claim with what the clinic has of the child already."""
    entry = before.entry if is_own(before.entry) else wanted.entry
    return replace(wanted, handle=before.handle, entry=entry, told=before.told, settled=before.settled)


def _is_nobodys(account: Account) -> bool:
    """Tell whether nothing is in an account that anybody put there: it was forfeited (approving.py)."""
    used = (account.password, account.app_secret, account.confirmed_at, account.exempt, account.guardian)
    return not any(used) and not account.contacts and not account.disabled and account.name is None


def waiting(visit: Visit, asked_at: datetime, whom: str) -> Form:
    """Return the page that says until when a clinic answers."""
    day = asked_at.astimezone(visit.clinic.zone).date() + timedelta(days=visit.clinic.answer_days)
    return Form(page="waiting", state=b"", values={"until": day.isoformat(), "clinic": visit.clinic.name, "for": whom})


def _may_ask(visit: Visit, proved: Proved) -> bool:
    """Tell whether somebody may speak for a child: shown by an eID to be themselves, and of age."""
    born = proved.identity.birthdate or (proved.identity.number.birthdate if proved.identity.number else None)
    grown = born is not None and _of_age(visit, born, max(MAJORITY, visit.clinic.grown_up))
    return proved.identity.loa >= LoA.SUBSTANTIAL and grown


def _of_age(visit: Visit, born: date, age: int) -> bool:
    return visit.now.astimezone(visit.clinic.zone).date() >= comes_of_age(born, age)


def _mistake_of(visit: Visit, proved: Proved, number: NationalNumber) -> str:
    if number == proved.identity.number:
        return "r.e.own"
    born = number.birthdate
    if born is None:
        return "r.e.born"  # nobody is taken for a child whose age cannot be seen
    return "r.e.age" if _of_age(visit, born, visit.clinic.grown_up) else ""


def _read(visit: Visit, reply: Mapping[str, str]) -> NationalNumber | None:
    country = reply.get("country", "")
    today = visit.now.astimezone(visit.clinic.zone).date()
    try:
        return parse(reply.get("number", ""), country if country in COUNTRIES else visit.clinic.country, now=today)
    except NotANumber:
        return None


def tidy(name: str) -> str:
    """Return a name as one line of letters that are seen, at most 80."""
    text = unicodedata.normalize("NFC", name[: 2 * _LONGEST_NAME])
    seen = "".join(" " if unicodedata.category(letter) in _UNSEEN else letter for letter in text)
    return " ".join(seen.split())[:_LONGEST_NAME]


def _child_page(visit: Visit, reply: Mapping[str, str], errors: Mapping[str, str] | None = None) -> Form:
    country = reply.get("country", "")
    values = {
        "number": reply.get("number", "")[:_LONGEST_NUMBER],
        "country": country if country in COUNTRIES else visit.clinic.country,
        "age": str(visit.clinic.grown_up),
        "name": tidy(reply.get("given", "")),
        "family": tidy(reply.get("family", "")),
        "mask": "1" if reply.get("mask") else "",
    }
    return Form(page="child", state=b"", values=values, errors=errors or {})


def _enrolment(visit: Visit, proved: Proved, ward: Ward, person: str) -> Enrolment:
    return Enrolment(
        person=person,
        clinic=visit.clinic.id,
        standing=Standing.ASKED,
        asked_at=visit.now,
        provider=proved.identity.provider,
        guardian=proved.person,
        client=visit.client.id,
        language=visit.language,
        handle=new_handle(),
        entry=Entry(
            number=ward.number,
            given_name=ward.given_name,
            family_name=ward.family_name,
            birthdate=ward.number.birthdate,
            entered_at=visit.now,
            by="guardian",
        ),
    )


def _guardians(visit: Visit, proved: Proved, number: NationalNumber, contacts: tuple[Contact, ...]) -> Account:
    return Account(
        person=proved.person,
        number=number,
        given_name=proved.identity.given_name,
        family_name=proved.identity.family_name,
        birthdate=proved.identity.birthdate or number.birthdate,
        language=visit.language,
        contacts=contacts,
        confirmed_at=visit.now,
        created_at=visit.now,
    )


def _account(visit: Visit, proved: Proved, draft: Draft, ward: Ward, person: str) -> Account:
    return Account(
        person=person,
        number=ward.number,
        given_name=ward.given_name,
        family_name=ward.family_name,
        birthdate=ward.number.birthdate,
        language=visit.language,
        password=draft.password,
        password_set_at=visit.now if draft.password else None,
        contacts=draft.reached.contacts,
        confirmed_at=visit.now,
        guardian=proved.person,
        created_at=visit.now,
    )
