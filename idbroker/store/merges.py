"""Joining two persons, in the durable store: all of it in one transaction, or nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Integer,
    LargeBinary,
    String,
    Text,
    and_,
    bindparam,
    case,
    delete,
    exists,
    insert,
    not_,
    or_,
    select,
    update,
)

from idbroker.accounts.account import Standing
from idbroker.accounts.records import AccountRow, EnrolmentRow
from idbroker.guardianship.records import USED
from idbroker.patients.merging import Change, MergeRow, PersonRows
from idbroker.person import PersonKey
from idbroker.store.database import Database
from idbroker.store.events import insert_event
from idbroker.store.schema import (
    Moment,
    account,
    consent,
    enrolment,
    event,
    finding,
    guardianship,
    link,
    merge,
    person,
    person_key,
)
from idbroker.store.sealed import data_key_of
from idbroker.store.webhooks import insert_notices
from idbroker.webhooks import MERGED

OF = bindparam("of", type_=String)
# One at a time for each person, in one order for all.
LOCK = (
    select(person.c.id)
    .where(person.c.id.in_(bindparam("both", expanding=True)))
    .order_by(person.c.id)
    .with_for_update()
)
BORN = select(person.c.created_at).where(person.c.id == OF)
KEYS = select(person_key.c.digest, person_key.c.kind, person_key.c.sealed).where(person_key.c.person_id == OF)
ACCOUNT = select(account.c.person, account.c.revision, account.c.sealed).where(account.c.person == OF)
ENROLMENTS = (
    select(*(column for column in enrolment.columns if column.name != "data_key"))
    .where(enrolment.c.person == OF)
    .order_by(enrolment.c.clinic)
)
CONSENTS = select(consent.c.id).where(consent.c.person == OF).order_by(consent.c.id)
ELSEWHERE = (
    select(event.c.id)
    .where(event.c.person == OF, event.c.clinic.is_not(None), event.c.clinic != bindparam("at", type_=Text))
    .limit(1)
)
LEAD = (
    update(person_key)
    .where(
        person_key.c.digest == bindparam("key", type_=LargeBinary),
        person_key.c.person_id.in_(bindparam("both", expanding=True)),
    )
    .values(person_id=bindparam("to", type_=String))
)
BEFORE = bindparam("before", type_=Integer)
FORGET_ACCOUNT = delete(account).where(account.c.person == OF, account.c.revision == BEFORE)
FORGET_ENROLMENT = delete(enrolment).where(
    enrolment.c.person == OF, enrolment.c.clinic == bindparam("at", type_=Text), enrolment.c.revision == BEFORE
)
FORGET_LINKS = delete(link).where(link.c.person == OF)
# No note, and kept anew when it is used again: it must stand in no note's way.
IS_USED = and_(guardianship.c.basis == USED, guardianship.c.ended_at.is_(None))  # what has ended is the clinic's no
FORGET_USED = delete(guardianship).where(or_(guardianship.c.guardian == OF, guardianship.c.ward == OF), IS_USED)
GIVE = update(consent).where(consent.c.id == bindparam("is", type_=String)).values(person=bindparam("to", type_=Text))
# Who may act for whom, by id, from one person to the other. The same guardian of the same ward holds at a clinic once,
# and nobody is their own: what would be either ends.
HAS, GETS = bindparam("has", type_=Text), bindparam("gets", type_=Text)
THIS = guardianship.c.id == bindparam("is", type_=String)
GUARDIAN = case((guardianship.c.guardian == HAS, GETS), else_=guardianship.c.guardian)
WARD = case((guardianship.c.ward == HAS, GETS), else_=guardianship.c.ward)
TIES = (
    select(guardianship.c.id)
    .where(or_(guardianship.c.guardian == OF, guardianship.c.ward == OF), not_(IS_USED))
    .order_by(guardianship.c.id)
)
TIED_ELSEWHERE = TIES.where(guardianship.c.clinic != bindparam("at", type_=Text)).limit(1)
TWIN = guardianship.alias()
END_TWIN = (
    update(guardianship)
    .where(
        THIS,
        guardianship.c.ended_at.is_(None),
        or_(
            GUARDIAN == WARD,
            exists().where(
                TWIN.c.id != guardianship.c.id,
                TWIN.c.ended_at.is_(None),
                TWIN.c.clinic == guardianship.c.clinic,
                TWIN.c.guardian == GUARDIAN,
                TWIN.c.ward == WARD,
            ),
        ),
    )
    .values(ended_at=bindparam("now", type_=Moment), ended_why="merged", check_at=None)
)
TIE = update(guardianship).where(THIS).values(guardian=GUARDIAN, ward=WARD)
FIND = select(*(column for column in merge.columns if column.name != "data_key"))
HOLDS = merge.c.undone_at.is_(None)
UNDO = (
    update(merge)
    .where(merge.c.id == bindparam("is", type_=String), HOLDS)
    .values(undone_at=bindparam("now", type_=Moment))
)


class StoredMerges:
    """`MergeRows` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def person(self, person: str) -> PersonRows | None:
        """Return a person, with all that hangs on them."""
        return self._database.reading(lambda connection: _person(connection, person))

    def elsewhere(self, person: str, clinic: str) -> bool:
        """Tell whether another clinic has this person: in its trail, or in who may act for whom."""
        return self._database.reading(lambda connection: _is_elsewhere(connection, person, clinic))

    def find(self, merge_id: str) -> MergeRow | None:
        """Return the record of one."""
        return self._one(FIND.where(merge.c.id == merge_id))

    def between(self, one: str, other: str) -> MergeRow | None:
        """Return the record of one that joined these two, and was not undone."""
        return self._one(_between(one, other))

    def write(self, change: Change) -> bool:
        """Write a change, all or none; False when somebody was faster."""
        both = sorted(rows.person for rows in change.before)
        try:
            with self._database.writing() as connection:
                connection.execute(LOCK, {"both": both}).all()
                for rows in change.before:
                    now = _person(connection, rows.person)
                    _check(now is not None and now.state == rows.state)
                    _check(not _is_elsewhere(connection, rows.person, change.only_at))
                _write(connection, change, both)
        except _Overtaken:
            return False
        return True

    def _one(self, wanted: Any) -> MergeRow | None:
        row = self._database.reading(lambda connection: connection.execute(wanted).first())
        return None if row is None else MergeRow(**{**row._mapping, "sealed": bytes(row.sealed)})


def _between(one: str, other: str) -> Any:
    both = (one, other)
    return FIND.where(merge.c.survivor.in_(both), merge.c.absorbed.in_(both), HOLDS)


class _Overtaken(Exception):
    """One of the two is not as it was."""


def _write(connection: Connection, change: Change, both: list[str]) -> None:
    if change.ends is not None and connection.execute(UNDO, {"is": change.ends, "now": change.at}).rowcount != 1:
        raise _Overtaken
    for digest, to in sorted(change.keys.items()):
        connection.execute(LEAD, {"key": digest, "both": both, "to": to})
    # All that goes first: a handle is of one enrolment at a time.
    _forget(connection, change, both)
    _add(connection, change)
    for consent_id, to in change.consents:
        connection.execute(GIVE, {"is": consent_id, "to": to})
    for tie, has, gets in change.ties:
        connection.execute(END_TWIN, {"is": tie, "has": has, "gets": gets, "now": change.at})
        connection.execute(TIE, {"is": tie, "has": has, "gets": gets})
    if change.merge is not None:
        # Whoever waited here for another who joined the same two.
        _check(connection.execute(_between(*both)).first() is None)
        connection.execute(insert(merge), _merge(change.merge))
    for one in change.events:
        insert_event(connection, one)
    insert_notices(connection, change.news, MERGED, change.at)


def _forget(connection: Connection, change: Change, both: list[str]) -> None:
    """Remove what is replaced, in the very revision that was read: who writes an enrolment does not lock the person."""
    accounts = {rows.person: rows.account.revision for rows in change.before if rows.account is not None}
    enrolments = {(rows.person, one.clinic): one.revision for rows in change.before for one in rows.enrolments}
    for of in both:
        connection.execute(FORGET_LINKS, {"of": of})
        connection.execute(FORGET_USED, {"of": of})
    for of in change.accounts:
        gone = connection.execute(FORGET_ACCOUNT, {"of": of, "before": accounts.get(of, 0)}).rowcount
        _check(gone == (of in accounts))
    for of, at in change.enrolments:
        values = {"of": of, "at": at, "before": enrolments.get((of, at), 0)}
        _check(connection.execute(FORGET_ENROLMENT, values).rowcount == ((of, at) in enrolments))


def _add(connection: Connection, change: Change) -> None:
    for row in filter(None, change.accounts.values()):
        connection.execute(insert(account), _account(row))
    for enrolled in filter(None, change.enrolments.values()):
        connection.execute(insert(enrolment), _enrolment(enrolled))
    for (of, clinic), words in change.words.items():
        for word in words:
            connection.execute(insert(finding), {"clinic": clinic, "digest": word, "person": of})


def _is_elsewhere(connection: Connection, person_id: str, clinic: str | None) -> bool:
    """Tell it. A guardian need not be in any trail.

    The attack: an administrator joins their own number with a guardian's, and acts for children at another clinic.
    """
    given = {"of": person_id, "at": clinic}
    return clinic is not None and any(connection.execute(one, given).first() for one in (ELSEWHERE, TIED_ELSEWHERE))


def _check(same: bool) -> None:
    if not same:
        raise _Overtaken


def _person(connection: Connection, person_id: str) -> PersonRows | None:
    of = {"of": person_id}
    created_at: datetime | None = connection.execute(BORN, of).scalar_one_or_none()
    if created_at is None:
        return None
    keys = connection.execute(KEYS, of).all()
    found = connection.execute(ACCOUNT, of).first()
    return PersonRows(
        person=person_id,
        created_at=created_at,
        keys=tuple(
            PersonKey(kind=kind, digest=bytes(digest), sealed=None if sealed is None else bytes(sealed))
            for digest, kind, sealed in keys
        ),
        account=None if found is None else AccountRow(person=found[0], revision=found[1], sealed=bytes(found[2])),
        enrolments=tuple(
            EnrolmentRow(**{**row._mapping, "standing": Standing(row.standing), "sealed": bytes(row.sealed)})
            for row in connection.execute(ENROLMENTS, of)
        ),
        consents=tuple(connection.execute(CONSENTS, of).scalars()),
        ties=tuple(connection.execute(TIES, of).scalars()),
    )


def _account(row: AccountRow) -> dict[str, Any]:
    return {"person": row.person, "revision": row.revision, "data_key": data_key_of(row.sealed), "sealed": row.sealed}


def _enrolment(row: EnrolmentRow) -> dict[str, Any]:
    return {
        "person": row.person,
        "clinic": row.clinic,
        "standing": row.standing.value,
        "asked_at": row.asked_at,
        "handle": row.handle,
        "revision": row.revision,
        "data_key": data_key_of(row.sealed),
        "sealed": row.sealed,
    }


def _merge(row: MergeRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "survivor": row.survivor,
        "absorbed": row.absorbed,
        "at": row.at,
        "by": row.by,
        "data_key": data_key_of(row.sealed),
        "sealed": row.sealed,
    }
