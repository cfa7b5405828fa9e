"""Registering a child: by somebody who has shown who they are, and whom a register or the clinic takes for a guardian.

What a guardian says is a claim. It is told to the clinic, changes nothing that is there already, and opens nothing
until this very guardian is approved: by the clinic, or, where the clinic takes people at once, by a register's word.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from idbroker.accounts.account import Account, Enrolment, Standing
from idbroker.accounts.claimed import CHECKED, child_account, child_enrolment, guardian_account
from idbroker.accounts.entries import has_died, is_own
from idbroker.accounts.families import Approves, Ending, Families, Kinship, KnownChild, NoFamilies, Word
from idbroker.accounts.question import Proved, Settled, Stopped
from idbroker.accounts.reaching import reached
from idbroker.accounts.records import Records
from idbroker.accounts.registering import Draft, Registering, Ward
from idbroker.accounts.vouching import vouched
from idbroker.ages import MAJORITY, age_on, comes_of_age, day_of
from idbroker.clinic import COUNTRIES
from idbroker.codec import Codec
from idbroker.events import Event, Events
from idbroker.form import Form
from idbroker.identity import LoA
from idbroker.numbers import NationalNumber, NotANumber, parse
from idbroker.visit import Visit

_LONGEST_NAME = 80
_LONGEST_NUMBER = 64
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


BY_REGISTER = "register"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    """The children that the page offers, in its order."""

    children: tuple[KnownChild, ...] = ()


_codec = Codec(_Listed)


@dataclass(frozen=True, kw_only=True)
class Child:
    """The question of who came to register a child. It has no end but the way back to the service.

    `families` is what registers know; `approving` answers for a clinic that takes people at once.
    """

    records: Records
    events: Events
    registering: Registering
    families: Families = field(default_factory=NoFamilies)
    approving: Approves | None = None
    ending: Ending | None = None
    name = "child"

    def begin(self, visit: Visit, proved: Proved) -> Form | None:
        """Return the page that asks who the child is: one that a register knows as theirs, or another."""
        if proved.wish != "child":
            return None
        if not visit.clinic.takes_registrations or not _may_ask(visit, proved):
            return Form(page="notaken", state=b"", values={"clinic": visit.clinic.name})
        known = self.families.children(proved.person, proved.identity, visit)
        listed = tuple(child for child in known if not _mistake_of(visit, proved, child.number))
        return _child_page(visit, _Listed(children=listed), {})

    def resume(self, visit: Visit, proved: Proved, form: Form, reply: Mapping[str, str]) -> Form | Settled | Stopped:
        """Go on with what was filled in."""
        if form.page in ("waiting", "notaken", "childdone"):
            return form
        if not visit.clinic.takes_registrations:
            return Form(page="notaken", state=b"", values={"clinic": visit.clinic.name})
        if form.page == "child":
            return self._told_who(visit, proved, _listed(form), reply)
        result = self.registering.resume(visit, proved, form, reply)
        if isinstance(result, Form):
            return result
        mistake = _mistake_of(visit, proved, result.ward.number) if result.ward else "p.e.id"
        if result.ward is None or mistake:
            return _child_page(visit, _Listed(), {}, {"number": mistake})  # midnight passed: they have come of age
        return self._ask_clinic(visit, proved, result, result.ward)

    def _told_who(self, visit: Visit, proved: Proved, listed: _Listed, reply: Mapping[str, str]) -> Form:
        if reply.get("do") not in (None, "", "typed"):
            return _child_page(visit, listed, reply)  # another country's number: the same page, with what was typed
        if listed.children and reply.get("do") != "typed" and not (_typed(reply) and not reply.get("who")):
            return self._chosen(visit, proved, listed, reply)
        names = {field: tidy(reply.get(field, "")) for field in ("given", "family")}
        errors = {field: f"r.e.{field}" for field, text in names.items() if not text}
        number = _read(visit, reply)
        mistake = "p.e.id" if number is None else _mistake_of(visit, proved, number)
        if number is None or mistake or errors:
            return _child_page(visit, listed, reply, {**({"number": mistake} if mistake else {}), **errors})
        return self._contacts(
            visit, proved, Ward(number=number, given_name=names["given"], family_name=names["family"])
        )

    def _chosen(self, visit: Visit, proved: Proved, listed: _Listed, reply: Mapping[str, str]) -> Form:
        """Go on with a child of the list. What the register says is asked again before anything is written."""
        who = reply.get("who", "")
        index = int(who) if who.isascii() and who.isdecimal() and len(who) <= 2 else -1
        if not 0 <= index < len(listed.children):
            return _child_page(visit, listed, reply, {"who": "r.e.who"})
        child = listed.children[index]
        mistake = _mistake_of(visit, proved, child.number)
        if mistake:
            return _child_page(visit, listed, reply, {"who": mistake})
        ward = Ward(number=child.number, given_name=tidy(child.given_name), family_name=tidy(child.family_name))
        return self._contacts(visit, proved, ward)

    def _contacts(self, visit: Visit, proved: Proved, ward: Ward) -> Form:
        mine = self.records.accounts.of(proved.person)
        return self.registering.begin(visit, Draft(reached=reached(mine.contacts if mine else ()), ward=ward))

    # ---- the claim -------------------------------------------------------------------------------

    def _ask_clinic(self, visit: Visit, proved: Proved, draft: Draft, ward: Ward) -> Form:
        """Ask the clinic, unless the child is known there: the page is the same, and tells nobody who is.

        Nor who is barred: the clinic is asked nothing then, and the reason is in the trail. Only where a register
        has said that this is their child does the page say more.
        """
        kinship = self.families.about(proved.person, proved.identity, ward.number, visit)
        person = self.records.accounts.person(ward.number, visit.now)
        self._keep_guardian(visit, proved, draft)
        self.registering.agreeing.accept(visit, proved)
        if kinship.word is Word.BARRED:
            self._refused(visit, proved, person, kinship)
            return waiting(visit, visit.now, "child")
        kept = self._claimed(visit, proved, ward, person, kinship)
        theirs = kept is not None and kept.guardian == proved.person and kept.standing is not Standing.DECLINED
        if theirs and self._keep_child(child_account(visit, proved, draft, ward, person), kinship):
            self._record(visit, "account.made", proved, person)
        if kinship.vouched and kept is not None and visit.clinic.registration == "automatic":
            return self._taken(visit, proved, ward, kept)
        return waiting(visit, visit.now, "child")

    def _claimed(self, visit: Visit, proved: Proved, ward: Ward, person: str, kinship: Kinship) -> Enrolment | None:
        """Put the claim to the clinic where it may be put; return how the child stands there then."""
        account = self.records.accounts.of(person)
        at_once = kinship.vouched and visit.clinic.registration == "automatic"
        unused = at_once and (account is None or not account.in_use)
        wanted: Enrolment | None = None

        def ask(before: Enrolment | None) -> Enrolment | None:
            nonlocal wanted
            fresh = child_enrolment(visit, proved, ward, person, vouched=kinship.vouched)
            wanted = _claim(before, fresh, vouched=kinship.vouched, unused=unused)
            return wanted

        kept = self.records.enrolments.change(person, visit.clinic.id, ask)
        asked = wanted is not None and kept is wanted
        self._record(visit, "enrolment.asked" if asked else "enrolment.known", proved, person)
        if not asked:
            # As much work as for one who is barred: by the time of the answer nobody tells who is hidden from them.
            self._record(visit, "enrolment.known", proved, proved.person, {"ward": person})
        return kept

    def _taken(self, visit: Visit, proved: Proved, ward: Ward, kept: Enrolment) -> Form:
        """Approve a guardian for whom a register has spoken, at a clinic that takes people at once."""
        mine, born = kept.guardian == proved.person, ward.number.birthdate
        if mine and born is not None and kept.standing is not Standing.DECLINED:
            # Noted first: the clinic's own note that comes with an approval would say that staff have seen it.
            self.families.note(proved.person, kept.person, born, visit)
        if mine and kept.standing is Standing.ASKED and self.approving is not None:
            self.approving.approve(kept.person, visit.clinic.id, BY_REGISTER, visit.now)
        now = self.records.enrolments.find(kept.person, visit.clinic.id)
        if now is None or now.standing is not Standing.APPROVED:
            return waiting(visit, visit.now, "child")
        account = self.records.accounts.of(kept.person)
        login = "" if account is None or account.guardian != proved.person else "yes" if account.password else "no"
        values = {"clinic": visit.clinic.name, "name": ward.name, "age": str(visit.limits.grown_up), "login": login}
        return Form(page="childdone", state=b"", values=values)

    def _refused(self, visit: Visit, proved: Proved, ward: str, kinship: Kinship) -> None:
        """Tell the trail of both that a register said no; the detail of each names the other.

        By a kind that My page does not tell: there, too, it would be more than a stranger learns. And whom the clinic
        had approved before, it has no more: the attack is the sign-in that they set up, which would go on.
        """
        self.records.accounts.of(ward)  # as for a claim, which does as much
        reason, before = kinship.reason, self.records.enrolments.find(ward, visit.clinic.id)
        if self.ending is not None and before is not None and before.guardian == proved.person and kinship.is_over:
            self.ending(before, proved.person, reason, visit.now)
        self._record(visit, "enrolment.refused", proved, ward, {"reason": reason})
        self._record(visit, "enrolment.refused", proved, proved.person, {"reason": reason, "ward": ward})

    def _keep_child(self, fresh: Account, kinship: Kinship) -> bool:
        """Make the child's account, unless there is one that is anybody's: that is not touched.

        What somebody else has put in, whom no clinic has approved, stands in nobody's way whom a register knows.
        """
        if self.records.accounts.add(fresh):
            return True
        enrolments = self.records.enrolments.of(fresh.person)
        ended = False

        def make(there: Account) -> Account | None:
            nonlocal ended
            ended = kinship.vouched and there.guardian != fresh.guardian and not vouched(there, enrolments)
            return fresh if ended or _is_nobodys(there) else None

        kept = self.records.accounts.change(fresh.person, make)
        if ended:
            # A link or a code that lies in the other's mailbox would open what is the guardian's now.
            self.records.links.end_all(fresh.person)
            self.registering.reaching.codes.revoke(fresh.person)
        return kept is fresh

    def _keep_guardian(self, visit: Visit, proved: Proved, draft: Draft) -> None:
        """Keep where the guardian is reached, for the clinic's answer; what they gave before stays."""
        number, contacts = proved.identity.number, draft.reached.contacts
        if number is not None and self.records.accounts.add(guardian_account(visit, proved, number, contacts)):
            return
        self.records.accounts.change(
            proved.person, lambda before: None if before.reachable else replace(before, contacts=contacts)
        )

    def _record(
        self, visit: Visit, kind: str, proved: Proved, person: str, detail: Mapping[str, str] | None = None
    ) -> None:
        self.events.record(
            Event(
                at=visit.now,
                kind=kind,
                transaction=visit.transaction,
                client=visit.client.id,
                clinic=visit.clinic.id,
                provider=proved.identity.provider,
                person=person,
                detail={**({} if person == proved.person else {"guardian": proved.person}), **(detail or {})},
            )
        )


# ---- what a claim is worth -----------------------------------------------------------------------


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


def _claim(
    before: Enrolment | None, wanted: Enrolment, *, vouched: bool = False, unused: bool = False
) -> Enrolment | None:
    """Return what a claim makes of the enrolment that is there; None where that stays.

    What is asked or approved stays: a stranger's claim must neither end what the child has nor take it over. But
    that the clinic declined a stranger is no answer to somebody else: or whoever claims first, and falsely, keeps
    the parents out for good. What it declined to the child itself, or to this very guardian, stays declined.
    For whom a register has `vouched` a stranger's claim makes room that nobody has answered yet; and the clinic's own
    approval of a child that nobody speaks for, where nobody has its account in use (`unused`).
    """
    if before is None:
        return wanted
    if vouched and before.standing is Standing.ASKED and before.guardian not in (None, wanted.guardian):
        return None if before.entry is not None and before.entry.checked == CHECKED else _onto(before, wanted)
    if unused and before.standing is Standing.APPROVED and before.guardian is None and not has_died(before):
        return _onto(before, wanted)
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
    born = proved.identity.born
    grown = born is not None and _of_age(visit, born, max(MAJORITY, visit.limits.grown_up))
    return proved.identity.loa >= LoA.SUBSTANTIAL and grown


def _of_age(visit: Visit, born: date, age: int) -> bool:
    return visit.now.astimezone(visit.clinic.zone).date() >= comes_of_age(born, age)


def _mistake_of(visit: Visit, proved: Proved, number: NationalNumber) -> str:
    if number == proved.identity.number:
        return "r.e.own"
    born = number.birthdate
    if born is None:
        return "r.e.born"  # nobody is taken for a child whose age cannot be seen
    return "r.e.age" if _of_age(visit, born, visit.limits.grown_up) else ""


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


def _listed(form: Form) -> _Listed:
    return _codec.unpack(form.state) if form.state else _Listed()


def _typed(reply: Mapping[str, str]) -> bool:
    return any(reply.get(name, "").strip() for name in ("number", "given", "family"))


def _child_page(
    visit: Visit, listed: _Listed, reply: Mapping[str, str], errors: Mapping[str, str] | None = None
) -> Form:
    country, day = reply.get("country", ""), day_of(visit.now, visit.clinic.zone)
    values = {
        "number": reply.get("number", "")[:_LONGEST_NUMBER],
        "country": country if country in COUNTRIES else visit.clinic.country,
        "age": str(visit.limits.grown_up),
        "name": tidy(reply.get("given", "")),
        "family": tidy(reply.get("family", "")),
        "mask": "1" if reply.get("mask") else "",
    }
    if listed.children:
        values |= {"count": str(len(listed.children)), "who": reply.get("who", "")[:2]}
        values |= {f"name.{n}": child.name for n, child in enumerate(listed.children)}
        values |= {f"age.{n}": str(age_on(child.birthdate, day)) for n, child in enumerate(listed.children)}
    return Form(page="child", state=_codec.pack(listed), values=values, errors=errors or {})
