"""What people agreed to, in the durable store."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, String, Text, bindparam, insert, select, update

from idbroker.accounts.account import Agreed, Consent
from idbroker.store.database import Database
from idbroker.store.schema import Moment, person
from idbroker.store.schema import consent as table

# One at a time for each person: two that agree at once must not each find nothing to withdraw.
LOCK = select(person.c.id).where(person.c.id == bindparam("of", type_=String)).with_for_update(key_share=True)
OF_PERSON = table.c.person == bindparam("of", type_=Text)
HELD = (
    OF_PERSON,
    table.c.kind == bindparam("sort", type_=String),
    table.c.about == bindparam("subject", type_=Text),
    table.c.withdrawn_at.is_(None),
)
SUPERSEDE = update(table).where(*HELD).values(withdrawn_at=bindparam("now", type_=Moment))
ADD = insert(table)
CURRENT = select(table).where(*HELD)
ALL = select(table).where(OF_PERSON).order_by(table.c.given_at.desc(), table.c.id.desc())
WITHDRAW = (
    update(table)
    .where(table.c.id == bindparam("is", type_=String), OF_PERSON, table.c.withdrawn_at.is_(None))
    .values(withdrawn_at=bindparam("now", type_=Moment))
)


class StoredConsents:
    """`Consents` in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def give(self, consent: Consent) -> None:
        """Keep one; an earlier one of the same kind about the same is withdrawn by it, in one transaction."""
        held = {"of": consent.person, "sort": consent.kind.value, "subject": consent.about}
        values = {column.name: getattr(consent, column.name) for column in table.columns}
        values |= {"kind": consent.kind.value, "items": list(consent.items)}
        with self._database.writing() as connection:
            connection.execute(LOCK, {"of": consent.person}).all()
            connection.execute(SUPERSEDE, {**held, "now": consent.given_at})
            connection.execute(ADD, values)

    def current(self, person: str, kind: Agreed, about: str) -> Consent | None:
        """Return the one that holds."""
        held = {"of": person, "sort": kind.value, "subject": about}
        row = self._database.reading(lambda connection: connection.execute(CURRENT, held).first())
        return None if row is None else _read(row)

    def of(self, person: str) -> tuple[Consent, ...]:
        """Return all of a person, the newest first, withdrawn ones too."""
        rows = self._database.reading(lambda connection: connection.execute(ALL, {"of": person}).all())
        return tuple(map(_read, rows))

    def withdraw(self, person: str, consent_id: str, now: datetime) -> bool:
        """Withdraw one of this person's; False if there is none, or it is withdrawn."""
        with self._database.connected() as connection:
            return connection.execute(WITHDRAW, {"of": person, "is": consent_id, "now": now}).rowcount == 1


def _read(row: Row[Any]) -> Consent:
    columns = dict(row._mapping)
    # By name: `items` is a method of every mapping.
    columns |= {"kind": Agreed(columns["kind"]), "items": tuple(columns["items"])}
    return Consent(**columns)
