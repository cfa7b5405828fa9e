"""Whether somebody is taken at a clinic: known there, or registered now, or waiting for an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from idbroker.accounts.account import Account, Enrolment, Standing
from idbroker.accounts.child import reclaimed, waiting
from idbroker.accounts.choosing import lost
from idbroker.accounts.entries import asked_entry, exempt_at, has_died
from idbroker.accounts.own import Told
from idbroker.accounts.question import Proved, Settled, Stopped
from idbroker.accounts.reaching import reached
from idbroker.accounts.records import Records, new_handle
from idbroker.accounts.registering import PAGES, Draft, Registering
from idbroker.accounts.vouching import approved_here, outgrown, vouched
from idbroker.events import Event, Events
from idbroker.form import Form
from idbroker.identity import Identity, LoA
from idbroker.numbers import NationalNumber
from idbroker.session import Session
from idbroker.visit import Visit

_MY_PAGE = "me."  # begins the ids of our own pages as clients, and of no other (registration.py)


class SignOns(Protocol):
    """A person's sign-ons."""

    def of_person(self, person: str) -> tuple[Session, ...]:
        """Return them."""
        ...

    def end_one(self, person: str, key: str) -> bool:
        """End one."""
        ...


@dataclass(frozen=True, kw_only=True)
class Joining:
    """The question of enrolment, and of registering oneself."""

    records: Records
    events: Events
    registering: Registering
    letters: Told
    sign_ons: SignOns
    name = "joining"

    def begin(self, visit: Visit, proved: Proved) -> Form | None:
        """Return what stands between this person and this clinic; None when nothing does.

        Whom somebody acts for was judged when they were chosen; of the guardian the clinic wants nothing more.
        """
        if has_died(self.records.enrolments.find(proved.person, visit.clinic.id)):
            return _not_taken(visit)  # whoever uses what is left of an eID or a password is somebody else
        account = self._noted(visit, proved)
        if account is not None and not _is_eid(proved.identity) and not account.opens(visit.clinic.id):
            return _not_taken(visit)  # another clinic's staff have sent that password where they liked
        if proved.wish == "child":
            return None
        if account is not None and not self._is_theirs(visit, proved, account):
            return self._only_claimed(visit, proved, account)
        if proved.acts or (visit.clinic.registration == "unneeded" and not proved.wish):
            return None
        return self._standing(visit, proved, account)

    def resume(self, visit: Visit, proved: Proved, form: Form, reply: Mapping[str, str]) -> Form | Settled | Stopped:
        """Go on with what was answered."""
        if form.page == "enrol" and reply.get("do") == "no":
            return Stopped()
        # Much may have happened since the page was shown: an approval, another tab, other rules of the clinic.
        now = self.begin(visit, proved)
        if now is None:
            return Settled()
        if form.page == now.page == "have":
            return Settled(wished=True)
        if form.page == now.page == "enrol" and not reply.get("do"):
            return self._enrolled(visit, proved)
        # Another tab may have written half of it: then what is sent off here goes on from there.
        if now.page not in ("contact", "enrol") or form.page not in PAGES:
            return now
        result = self.registering.resume(visit, proved, form, reply)
        return result if isinstance(result, Form) else self._registered(visit, proved, result)

    # ---- where they stand ------------------------------------------------------------------------

    def _standing(self, visit: Visit, proved: Proved, account: Account | None) -> Form | None:
        if not proved.wish and self._comes_as_guardian(visit, proved):
            return None
        enrolment = self._enrolment(visit, proved)
        if enrolment is not None and enrolment.standing is Standing.APPROVED:
            return _have(proved, account) if proved.wish else None
        if enrolment is not None and enrolment.standing is Standing.ASKED:
            return waiting(visit, enrolment.asked_at, "self")
        declined = enrolment is not None and enrolment.standing is Standing.DECLINED
        if declined or visit.clinic.registration == "off":
            return _not_taken(visit)
        return self._invited(visit, proved, account)

    def _comes_as_guardian(self, visit: Visit, proved: Proved) -> bool:
        """Tell whether this is My page, and of somebody who is no patient here, perhaps, but approved for one."""
        if not visit.client.id.startswith(_MY_PAGE) or not _is_eid(proved.identity):
            return False
        wards = self.records.enrolments.of_guardian(visit.clinic.id, proved.person)
        return any(ward.standing is Standing.APPROVED for ward in wards)

    def _invited(self, visit: Visit, proved: Proved, account: Account | None) -> Form:
        """Return what somebody is asked whom this clinic does not know."""
        if self._is_known(visit, proved, account):
            if visit.clinic.registration == "unneeded":
                return _have(proved, account)
            return _asked_to_enrol(visit)
        if not _is_eid(proved.identity) or proved.identity.number is None:
            return _not_taken(visit)
        return self.registering.begin(visit, Draft(reached=reached(account.contacts if account else ())))

    def _enrolment(self, visit: Visit, proved: Proved) -> Enrolment | None:
        """Return how they stand here; what others asked in their name counts no more once they come themselves."""
        found = self.records.enrolments.find(proved.person, visit.clinic.id)
        return None if found is not None and _superseded(found, proved) else found

    def _is_known(self, visit: Visit, proved: Proved, account: Account | None) -> bool:
        if account is not None and (account.contacts or account.password):
            return True
        return any(
            enrolment.clinic != visit.clinic.id and not _is_open(enrolment, proved)
            for enrolment in self.records.enrolments.of(proved.person)
        )

    # ---- an account that a guardian made ---------------------------------------------------------

    def _is_theirs(self, visit: Visit, proved: Proved, account: Account) -> bool:
        """Tell whether a password of this account shows, here and now, who somebody is; an eID always does."""
        if _is_eid(proved.identity) or account.guardian is None:
            return True
        if outgrown(visit, account):
            return False
        return approved_here(account, self.records.enrolments.find(proved.person, visit.clinic.id))

    def _only_claimed(self, visit: Visit, proved: Proved, account: Account) -> Form:
        """Return what is left to somebody who came with a password of which nobody here has said whose it is."""
        enrolment = self.records.enrolments.find(proved.person, visit.clinic.id)
        if outgrown(visit, account):
            return _not_taken(visit)
        if enrolment is not None:
            asked = enrolment.standing is Standing.ASKED
            return waiting(visit, enrolment.asked_at, "self") if asked else _not_taken(visit)
        # Whom another clinic has approved as this child's guardian may ask this one; it answers for itself.
        if visit.clinic.takes_registrations and vouched(account, self.records.enrolments.of(proved.person)):
            return _asked_to_enrol(visit)
        return _not_taken(visit)

    def _noted(self, visit: Visit, proved: Proved) -> Account | None:
        """Return the account; that an eID has confirmed who it is of is noted once."""
        account = self.records.accounts.of(proved.person)
        if account is None or not _is_eid(proved.identity):
            return account
        enrolments = self._others_say(account)
        theirs = self._is_kept(visit, proved, account, enrolments)
        if not theirs:
            # Links and codes that went to the claimant's addresses must open nothing either.
            self._end_messages(proved.person)
            self._end_claims(proved.person)
        wanted = _confirmed(account if theirs else reclaimed(account), proved, visit.now)
        if wanted == account:
            return account
        return self._confirm(visit, proved, account)

    def _is_kept(self, visit: Visit, proved: Proved, account: Account, enrolments: Sequence[Enrolment]) -> bool:
        """Tell whether what is in an account stays when the person comes themselves: any clinic's approval will do.

        The attack: an invitation went to an address that somebody else reads, who chose a password. It waits
        for an eID to confirm it, and the person's own, used elsewhere for something else, would do so. Only who
        typed that password in this very sign-in shows that it is theirs.
        """
        here = next((one for one in enrolments if one.clinic == visit.clinic.id), None)
        exempt = exempt_at(account, here) is not None
        unconfirmed = account.password is not None and account.confirmed_at is None and not exempt
        if unconfirmed and account.guardian is None and proved.claimed != proved.person:
            return False
        return vouched(account, enrolments) and not outgrown(visit, account)

    def _others_say(self, account: Account) -> Sequence[Enrolment]:
        """Return what clinics say of an account; nothing of one that is asked about no more."""
        asked = account.guardian is not None or account.confirmed_at is None
        return self.records.enrolments.of(account.person) if asked else ()

    def _end_claims(self, person: str) -> None:
        """End the sign-ons that a password opened which was somebody else's."""
        for session in self.sign_ons.of_person(person):
            if session.identity.loa is LoA.LOW:
                self.sign_ons.end_one(person, session.key)

    def _confirm(self, visit: Visit, proved: Proved, seen: Account) -> Account | None:
        enrolments = self._others_say(seen)

        def change(before: Account) -> Account:
            own = before if self._is_kept(visit, proved, before, enrolments) else reclaimed(before)
            return _confirmed(own, proved, visit.now)

        wanted = change(seen)
        if wanted.guardian != seen.guardian:
            self._hand_over(visit, seen, enrolments)
        cleaned = wanted.password == seen.password and lost(seen, wanted)
        if cleaned:
            self._drop(visit, proved, seen, wanted)
        account = self.records.accounts.change(proved.person, change)
        if cleaned:  # again, for what was sent there meanwhile
            self._end_messages(proved.person)
            for kind, detail in cleaned:
                self._record(visit, proved, kind, detail)
        if account is not None and (seen.guardian, seen.password) != (account.guardian, account.password):
            self._record(visit, proved, "account.reclaimed")
        elif seen.confirmed_at is None:
            self._record(visit, proved, "account.confirmed")
        return account

    def _hand_over(self, visit: Visit, seen: Account, enrolments: Sequence[Enrolment]) -> None:
        """Tell the guardian, if a clinic has approved them: a stranger who only claimed the child learns nothing."""
        theirs = (one for one in enrolments if one.guardian == seen.guardian and one.standing is Standing.APPROVED)
        approved = next(theirs, None)
        if approved is not None:
            self.letters.handed_over(seen, approved, visit.now)

    def _drop(self, visit: Visit, proved: Proved, seen: Account, wanted: Account) -> None:
        """Tell everybody known before that what came under another clinic's word counts no more; told first."""
        if wanted.contacts != seen.contacts:
            self.letters.contact_changed(seen, wanted, visit)
        if wanted.app_secret != seen.app_secret:
            self.letters.app_changed(seen, visit)
        self._end_messages(proved.person)

    def _end_messages(self, person: str) -> None:
        """End the links and codes that lie in mailboxes."""
        self.records.links.end_all(person)
        self.registering.reaching.codes.revoke(person)

    # ---- taken in --------------------------------------------------------------------------------

    def _enrolled(self, visit: Visit, proved: Proved) -> Form | Settled:
        """Enrol them, or ask the clinic to: once, in however many tabs."""
        found = self.records.enrolments.find(proved.person, visit.clinic.id)
        wanted = _enrolment(visit, proved, found, self._asked_by(proved))
        kept = self.records.enrolments.change(
            proved.person,
            visit.clinic.id,
            lambda before: wanted if before is None or _is_open(before, proved) else None,
        )
        if kept is wanted:
            approved = kept.standing is Standing.APPROVED
            self._record(visit, proved, "enrolment.made" if approved else "enrolment.asked")
        if kept is None or kept.standing is Standing.ASKED:
            return waiting(visit, wanted.asked_at if kept is None else kept.asked_at, "self")
        return Settled(wished=bool(proved.wish)) if kept.standing is Standing.APPROVED else _not_taken(visit)

    def _asked_by(self, proved: Proved) -> str | None:
        """Return the guardian behind a ward's password; nobody where an eID shows that the person asks themselves."""
        account = None if _is_eid(proved.identity) else self.records.accounts.of(proved.person)
        return account.guardian if account else None

    def _registered(self, visit: Visit, proved: Proved, draft: Draft) -> Form | Settled:
        """Write all of it. What is written twice is written once; what fails half-way goes on from there."""
        number = proved.identity.number
        if number is None:
            return _not_taken(visit)
        fresh = _account(visit, proved, number, draft)
        if self.records.accounts.add(fresh):
            self._record(visit, proved, "account.made")
        else:
            self._renew(visit, proved, fresh)
        self.registering.agreeing.accept(visit, proved)
        return self._enrolled(visit, proved)

    def _renew(self, visit: Visit, proved: Proved, fresh: Account) -> None:
        """Put what was filled in into an account that is there already; told first, as of every change."""
        before = self.records.accounts.of(proved.person)
        if before is None or _renewed(before, fresh) == before:
            return
        if before.contacts:
            self.letters.contact_changed(before, _renewed(before, fresh), visit)
        self.records.accounts.change(proved.person, lambda account: _renewed(account, fresh))
        self._record(visit, proved, "account.changed")

    def _record(self, visit: Visit, proved: Proved, kind: str, detail: Mapping[str, str] | None = None) -> None:
        self.events.record(
            Event(
                at=visit.now,
                kind=kind,
                transaction=visit.transaction,
                client=visit.client.id,
                clinic=visit.clinic.id,
                provider=proved.identity.provider,
                person=proved.person,
                detail=detail or {},
            )
        )


def _is_eid(identity: Identity) -> bool:
    """Tell whether this shows who somebody is to others than ourselves: no password of ours ever does."""
    return identity.loa >= LoA.SUBSTANTIAL


def _superseded(enrolment: Enrolment, proved: Proved) -> bool:
    """Tell whether somebody else asked, nobody has approved, and now the person has come with an eID."""
    asked_for = enrolment.guardian is not None and enrolment.standing is not Standing.APPROVED
    return asked_for and _is_eid(proved.identity)


def _is_open(enrolment: Enrolment, proved: Proved) -> bool:
    """Tell whether it is for this person to ask: nobody has so far, or somebody else has, in their name."""
    return enrolment.standing is Standing.KNOWN or _superseded(enrolment, proved)


def _not_taken(visit: Visit) -> Form:
    return Form(page="notaken", state=b"", values={"clinic": visit.clinic.name})


def _asked_to_enrol(visit: Visit) -> Form:
    return Form(page="enrol", state=b"", values={"clinic": visit.clinic.name, "service": visit.service})


def _have(proved: Proved, account: Account | None) -> Form:
    return Form(page="have", state=b"", values={"name": proved.identity.name or (account and account.name) or ""})


def _confirmed(account: Account, proved: Proved, now: datetime) -> Account:
    """Return an account as an eID has confirmed it: what was missing is filled in, a new number replaces the old.

    That the password is theirs, too, wherever its link was read, only who typed it in this very sign-in has shown:
    stops a link that went to a stranger from opening every clinic as soon as the person uses their eID anywhere.
    """
    identity = proved.identity
    return replace(
        account.freed() if proved.claimed == proved.person else account,
        number=identity.number or account.number,
        given_name=account.given_name or identity.given_name,
        family_name=account.family_name or identity.family_name,
        birthdate=identity.born or account.birthdate,
        confirmed_at=account.confirmed_at or now,
        reset_by=None,
    )


def _renewed(before: Account, fresh: Account) -> Account:
    account = before
    for contact in fresh.contacts:
        account = account.with_contact(contact)
    if fresh.password is not None:
        account = replace(account, password=fresh.password, password_set_at=fresh.password_set_at)
    return replace(account, language=fresh.language)


def _account(visit: Visit, proved: Proved, number: NationalNumber, draft: Draft) -> Account:
    return Account(
        person=proved.person,
        number=number,
        given_name=proved.identity.given_name,
        family_name=proved.identity.family_name,
        birthdate=proved.identity.born,
        language=visit.language,
        password=draft.password,
        password_set_at=visit.now if draft.password else None,
        contacts=draft.reached.contacts,
        confirmed_at=visit.now,
        created_at=visit.now,
    )


def _enrolment(visit: Visit, proved: Proved, found: Enrolment | None, guardian: str | None) -> Enrolment:
    # A guardian's word is asked about everywhere: whom else a clinic takes is another matter (child.py).
    asks = visit.clinic.registration == "approval" or guardian is not None
    return Enrolment(
        person=proved.person,
        clinic=visit.clinic.id,
        standing=Standing.ASKED if asks else Standing.APPROVED,
        asked_at=visit.now,
        decided_at=None if asks else visit.now,
        provider=proved.identity.provider,
        guardian=guardian,
        client=visit.client.id,
        language=visit.language,
        handle=found.handle if found else new_handle(),
        entry=asked_entry(found, "patient" if guardian is None else "guardian", proved.identity, visit.now),
        told=found.told if found else {},
        settled=found.settled if found else {},
    )
