"""Joining two persons who are one, and taking them apart again: sealed, in the trail of both, told to both."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from idbroker.accounts.letters import Letters
from idbroker.accounts.own import SignOns
from idbroker.accounts.records import AccountRow, EnrolmentRow, Records
from idbroker.codec import Codec
from idbroker.errors import NotAllowed, NotFound, StoreError
from idbroker.events import Event
from idbroker.numbers import NationalNumber, parse
from idbroker.patients.combining import Plan, Side, addresses, entered_number, in_order, planned, undone
from idbroker.patients.patient import Conflict, NotDone
from idbroker.person import PersonKey, number_row
from idbroker.sealing import Sealer
from idbroker.staff.member import Actor, Role

_TRIES = 10
OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRows:
    """One person as they lie in the store."""

    person: str
    created_at: datetime
    keys: tuple[PersonKey, ...] = field(repr=False)
    account: AccountRow | None
    enrolments: tuple[EnrolmentRow, ...]
    consents: tuple[str, ...] = ()
    ties: tuple[str, ...] = ()

    @property
    def state(self) -> tuple[object, ...]:
        """Return what is the same as long as nobody has changed them."""
        enrolled = *sorted((one.clinic, one.revision) for one in self.enrolments), *self.ties
        return frozenset(key.digest for key in self.keys), self.account and self.account.revision, enrolled


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeRow:
    """The record of one: who was joined, when, by whom; sealed, what undoes it (`merge_row`)."""

    id: str
    survivor: str
    absorbed: str
    at: datetime
    by: str
    undone_at: datetime | None = None
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is written at once, if the two are still as they were `before`. `words` are what enrolments are found by.

    `consents` go to a person, by id; `ties`, who may act for whom, from the one named first to the other. `merge` is a
    new record, `ends` one that is undone by this. With `only_at` it is written only if neither is anywhere else.
    `news` are the clients that are told, each of one handle.
    """

    before: tuple[PersonRows, PersonRows]
    keys: Mapping[bytes, str]
    accounts: Mapping[str, AccountRow | None] = field(repr=False)
    enrolments: Mapping[tuple[str, str], EnrolmentRow | None] = field(repr=False)
    words: Mapping[tuple[str, str], tuple[bytes, ...]] = field(repr=False)
    consents: tuple[tuple[str, str], ...] = ()
    ties: tuple[tuple[str, str, str], ...] = ()
    merge: MergeRow | None = None
    ends: str | None = None
    events: tuple[Event, ...] = ()
    news: tuple[tuple[str, str], ...] = ()
    only_at: str | None = None
    at: datetime


class MergeRows(Protocol):
    """The durable side. Every method may raise StoreError."""

    def person(self, person: str) -> PersonRows | None:
        """Return a person, with all that hangs on them."""
        ...

    def elsewhere(self, person: str, clinic: str) -> bool:
        """Tell whether another clinic has this person: in its trail, or in who may act for whom."""
        ...

    def write(self, change: Change) -> bool:
        """Write a change, all or none; False when somebody was faster."""
        ...

    def find(self, merge: str) -> MergeRow | None:
        """Return the record of one."""
        ...

    def between(self, one: str, other: str) -> MergeRow | None:
        """Return the record of one that joined these two, and was not undone."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What it takes to undo one: both as they were, what went over by its ids, and how it was right after."""

    survivor: Side
    absorbed: Side
    consents: tuple[str, ...] = ()
    ties: tuple[str, ...] = ()
    revisions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """How it stands: the record's id, who is left, who is not; `first` when that was this very call.

    `handle` is what the actor's clinic knows the one who is left by.
    """

    id: str
    survivor: str
    absorbed: str
    at: datetime
    first: bool
    handle: str = ""


def merge_row(merge: str) -> bytes:
    """Return the row that the record of a merge is bound to."""
    return f"merge|{merge}".encode()


@dataclass(frozen=True, kw_only=True)
class Merging:
    """Joins and parts. Every method may raise StoreError; NotFound for whom or what there is not.

    `listeners` returns the clients that are told of it at a clinic.
    """

    records: Records
    rows: MergeRows
    sealer: Sealer
    letters: Letters
    sign_ons: SignOns
    end_acting: Callable[[str, str], int] = lambda _ward, _why: 0
    listeners: Callable[[str], Sequence[str]] = lambda _clinic: ()

    def join_patients(self, actor: Actor, handle: str, other: str, now: datetime) -> Merged | NotDone:
        """Join two patients of a clinic, after a change of number. NotAllowed to who is no administrator.

        ELSEWHERE unless all of it is this clinic's own: neither has been anywhere else, both have a number, and an
        eID has confirmed none but the clinic's two. NOT_ALIKE unless their numbers tell one birth date. The one who
        is left is recognised by the newer number alone (`combining`).
        """
        if not actor.may(Role.ADMINISTRATOR):
            raise NotAllowed(f"{actor.role} joins nobody")
        found = [self.records.enrolments.by_handle(actor.clinic, one) for one in (handle, other)]
        if None in found or handle == other:
            raise NotFound("no such patient at this clinic")
        mine, theirs = (one.person for one in found if one is not None)
        joined = self._joined(actor, mine, theirs, now, lambda one, two: self._not_here(actor.clinic, one, two))
        if isinstance(joined, NotDone):
            return joined
        left = self.records.enrolments.find(joined.survivor, actor.clinic)
        return replace(joined, handle=left.handle if left else "")

    def join(self, actor: Actor, person: str, other: str, now: datetime, *, anyway: bool = False) -> Merged | NotDone:
        """Join two persons, wherever they are: the operator, who has seen that they are one.

        NOT_ALIKE when their birth dates differ, unless that is said to be so (`anyway`); ELSEWHERE when they were
        joined before, and the other has been entered somewhere since.
        """
        if actor.id != OPERATOR:
            raise NotAllowed("only the operator joins persons of several clinics")

        def differ(one: Side, two: Side) -> Conflict | None:
            differing = one.said and two.said and not one.said & two.said
            return Conflict.NOT_ALIKE if differing and not anyway else None

        return self._joined(actor, person, other, now, differ)

    def split(self, actor: Actor, merge: str, now: datetime, *, anyway: bool = False) -> Merged | NotDone:
        """Take two apart, as they were. STALE when what was joined has been changed since, unless `anyway`."""
        if actor.id != OPERATOR:
            raise NotAllowed("only the operator takes persons apart")
        for _ in range(_TRIES):
            row = self.rows.find(merge)
            if row is None:
                raise NotFound("no such merge")
            if row.undone_at is not None:
                return _merged(row, first=False)
            before = Codec(Before).unpack(self.sealer.open(row.sealed, merge_row(row.id)))
            sides = self._rows(row.survivor, row.absorbed)
            if not anyway and _revisions(sides, before.revisions) != dict(before.revisions):
                if self.rows.between(row.survivor, row.absorbed) is None:
                    continue  # somebody else has just parted them
                return NotDone(why=Conflict.STALE)
            back = tuple((consent, row.absorbed) for consent in before.consents)
            plan = undone(before.survivor, before.absorbed)
            events = _events("patient.unmerged", actor, (before.survivor, before.absorbed), row.id, now)
            self._end(row.survivor, row.absorbed)
            ties = tuple((one, row.survivor, row.absorbed) for one in before.ties)
            change = self._change(sides, plan, back, now, events, ends=row.id)
            if self.rows.write(replace(change, ties=ties, news=self._news(before.survivor, before.absorbed))):
                self._told(actor, before.survivor, before.absorbed, row, now)
                return _merged(row, first=True)
        raise StoreError("too many changes at once")

    # ---- how -------------------------------------------------------------------------------------

    def _joined(
        self,
        actor: Actor,
        person: str,
        other: str,
        now: datetime,
        why_not: Callable[[Side, Side], Conflict | None],
    ) -> Merged | NotDone:
        if person == other:
            raise NotFound("one person is not two")
        for _ in range(_TRIES):
            done = self.rows.between(person, other)
            if done is not None and self.records.enrolments.of(done.absorbed):
                return NotDone(why=Conflict.ELSEWHERE)  # entered anew since: joined by nobody but who looks
            if done is not None:
                self._end(done.survivor, done.absorbed)
                return _merged(done, first=False)
            rows = self._rows(person, other)
            one, two = (self._side(each, now) for each in rows)
            conflict = why_not(one, two)
            if conflict is not None:
                return NotDone(why=conflict)
            merged = self._tried(actor, rows, in_order(one, two), now)
            if merged is not None:
                return merged
        raise StoreError("too many changes at once")

    def _tried(
        self, actor: Actor, rows: tuple[PersonRows, PersonRows], sides: tuple[Side, Side], now: datetime
    ) -> Merged | None:
        survivor, absorbed = sides
        mine, theirs = sorted(rows, key=lambda row: row.person != survivor.person)
        plan = planned(survivor, absorbed, exchanged=actor.id != OPERATOR)
        over = self._consents(mine, theirs)
        change = self._change((mine, theirs), plan, tuple((one, mine.person) for one in over), now)
        kept = Before(survivor=survivor, absorbed=absorbed, consents=over, ties=theirs.ties, revisions=_after(change))
        change = replace(change, ties=tuple((one, theirs.person, mine.person) for one in theirs.ties))
        merge = uuid.uuid4().hex
        sealed = self.sealer.seal(Codec(Before).pack(kept), merge_row(merge))
        row = MergeRow(
            id=merge,
            survivor=mine.person,
            absorbed=theirs.person,
            at=now,
            # A colleague by id, as in the trail: the name is theirs. The operator's is of the machine.
            by=actor.id if actor.clinic else f"{actor.id} {actor.name}".strip(),
            sealed=sealed,
        )
        # Before, so that nothing that either was given outlives a crash; after, for what was given meanwhile.
        self._end(mine.person, theirs.person)
        events = _events("patient.merged", actor, sides, merge, now)
        only_at = None if actor.id == OPERATOR else actor.clinic
        change = replace(change, merge=row, events=events, news=self._news(*sides), only_at=only_at)
        if not self.rows.write(change):
            return None
        self._end(mine.person, theirs.person)
        self._told(actor, survivor, absorbed, row, now)
        return _merged(row, first=True)

    def _not_here(self, clinic: str, one: Side, other: Side) -> Conflict | None:
        """Return why a clinic's administrator may not join two.

        The attack: one who joins their own number with a patient's, and signs in as them at another clinic.
        """
        sides = (one, other)
        known = {entered_number(entered) for side in sides for entered in side.enrolments}
        elsewhere = (
            any({entered.clinic for entered in side.enrolments} != {clinic} for side in sides)
            or any(self.rows.elsewhere(side.person, clinic) for side in sides)
            or not all(side.numbers for side in sides)
            or any(side.confirmed and side.confirmed not in known for side in sides)
        )
        if elsewhere:
            return Conflict.ELSEWHERE
        return None if one.proved & other.proved else Conflict.NOT_ALIKE

    def _rows(self, person: str, other: str) -> tuple[PersonRows, PersonRows]:
        mine, theirs = self.rows.person(person), self.rows.person(other)
        if mine is None or theirs is None:
            raise NotFound("no such person")
        return mine, theirs

    def _side(self, rows: PersonRows, now: datetime) -> Side:
        return Side(
            person=rows.person,
            created_at=rows.created_at,
            numbers={key.digest: self._number(key, now) for key in rows.keys if key.kind == "number" and key.sealed},
            upstreams=tuple(key.digest for key in rows.keys if key.kind != "number" or not key.sealed),
            account=None if rows.account is None else self.records.accounts.opened(rows.account),
            enrolments=tuple(map(self.records.enrolments.opened, rows.enrolments)),
        )

    def _number(self, key: PersonKey, now: datetime) -> NationalNumber:
        country, _, value = self.sealer.open(key.sealed or b"", number_row(key.digest)).decode().partition(":")
        return parse(value, country, now=now.date())

    def _consents(self, mine: PersonRows, theirs: PersonRows) -> tuple[str, ...]:
        """Return which consents go over: not those that both have given, for one of each holds."""
        held = {(one.kind, one.about) for one in self.records.consents.of(mine.person) if one.withdrawn_at is None}
        return tuple(
            one.id
            for one in self.records.consents.of(theirs.person)
            if one.withdrawn_at is not None or (one.kind, one.about) not in held
        )

    def _change(
        self,
        before: tuple[PersonRows, PersonRows],
        plan: Plan,
        consents: tuple[tuple[str, str], ...],
        now: datetime,
        events: tuple[Event, ...] = (),
        ends: str | None = None,
    ) -> Change:
        revisions = {(rows.person, one.clinic): one.revision for rows in before for one in rows.enrolments}
        highest = max([0, *(rows.account.revision for rows in before if rows.account is not None)])
        enrolments = {
            place: None if one is None else self.records.enrolments.sealed(one, revisions.get(place, 1) + 1)
            for place, one in plan.enrolments.items()
        }
        return Change(
            before=before,
            keys=plan.keys,
            accounts={
                person: None if one is None else self.records.accounts.sealed(one, highest + 1)
                for person, one in plan.accounts.items()
            },
            enrolments=enrolments,
            words={place: self.records.enrolments.words(one) for place, one in plan.enrolments.items() if one},
            consents=consents,
            ends=ends,
            events=events,
            at=now,
        )

    def _end(self, *persons: str) -> None:
        for person in persons:
            self.sign_ons.end_person(person, "merged")
            self.end_acting(person, "merged")

    def _news(self, *sides: Side) -> tuple[tuple[str, str], ...]:
        """Return who is told, each of every handle that either has at its clinic: one of two may lead nowhere now."""
        handles = [(one.clinic, one.handle) for side in sides for one in side.enrolments]
        return tuple((client, handle) for clinic, handle in handles for client in self.listeners(clinic))

    def _told(self, actor: Actor, survivor: Side, absorbed: Side, row: MergeRow, now: datetime) -> None:
        """Write to every address of both that anybody knows, in the name of a clinic that has them."""
        enrolments = (*survivor.enrolments, *absorbed.enrolments)
        first = next((one for one in enrolments if one.clinic == actor.clinic), next(iter(enrolments), None))
        if first is not None:
            self.letters.merged(first, row.survivor, addresses(survivor, absorbed), now)


def _after(change: Change) -> dict[str, int]:
    """Return the revisions of all that a change writes; nought for what is gone."""
    accounts = {f"{person}|": row.revision if row else 0 for person, row in change.accounts.items()}
    enrolments = {f"{person}|{at}": row.revision if row else 0 for (person, at), row in change.enrolments.items()}
    return accounts | enrolments


def _revisions(sides: Sequence[PersonRows], wanted: Mapping[str, int]) -> dict[str, int]:
    """Return the revisions of the same as they are now."""
    there = {f"{rows.person}|": rows.account.revision for rows in sides if rows.account is not None}
    there |= {f"{rows.person}|{one.clinic}": one.revision for rows in sides for one in rows.enrolments}
    return {name: there.get(name, 0) for name in wanted}


def _events(kind: str, actor: Actor, sides: Sequence[Side], merge: str, now: datetime) -> tuple[Event, ...]:
    """Return an event for each of the two, at each clinic that has them."""
    detail = {"by": actor.id, "role": actor.role.value, "merge": merge}
    return tuple(
        Event(at=now, kind=kind, clinic=clinic, person=side.person, detail=detail)
        for side in sides
        for clinic in {one.clinic: None for one in side.enrolments} or (None,)
    )


def _merged(row: MergeRow, *, first: bool) -> Merged:
    return Merged(id=row.id, survivor=row.survivor, absorbed=row.absorbed, at=row.undone_at or row.at, first=first)
