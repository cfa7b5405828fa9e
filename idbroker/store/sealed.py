"""Sealed values in the durable store, as `keys rewrap` goes through them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, func, or_, select, update

from idbroker.store.database import Database
from idbroker.store.schema import (
    account,
    enrolment,
    evidence,
    merge,
    message,
    person_key,
    refresh_token,
    staff,
    webhook,
)

_NUMBER_OCTETS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedValue:
    """One sealed value: in which column it lies, its row's key (a value for each of its columns), the bytes."""

    column: str
    key: tuple[bytes | str, ...]
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where sealed values lie: their row's key, the bytes and, where those are long, their data key's number."""

    key: tuple[Column[Any], ...]
    sealed: Column[Any]
    number: Column[Any] | None = None

    def other(self, newest: int) -> ColumnElement[bool]:
        """Return the condition that another data key sealed it."""
        if self.number is not None:
            return or_(self.number < newest, self.number > newest)  # an index serves these, not "is not"
        number = newest.to_bytes(_NUMBER_OCTETS, "big")
        return self.sealed.is_not(None) & (func.substr(self.sealed, 1, _NUMBER_OCTETS) != number)

    def values(self, sealed: bytes) -> dict[str, object]:
        """Return what is written for a value."""
        number = {} if self.number is None else {self.number.name: data_key_of(sealed)}
        return {self.sealed.name: sealed, **number}


def _numbered(table: Table) -> _Place:
    """Return the place in a table that has a column for the number."""
    return _Place(key=tuple(table.primary_key), sealed=table.c.sealed, number=table.c.data_key)


_PLACES: Mapping[str, _Place] = {
    "person_key": _Place(key=(person_key.c.digest,), sealed=person_key.c.sealed),
    "refresh_token": _Place(key=(refresh_token.c.digest,), sealed=refresh_token.c.grant),
    **{table.name: _numbered(table) for table in (evidence, account, enrolment, message, staff, merge, webhook)},
}


class StoredSealed:
    """Every sealed value of the store. A value begins with the number of its data key (two bytes)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def not_by(self, newest: int, most: int) -> tuple[SealedValue, ...]:
        """Return up to `most` values that another data key than `newest` sealed."""
        found: list[SealedValue] = []
        for column, place in _PLACES.items():
            wanted = select(*place.key, place.sealed).where(place.other(newest)).limit(most - len(found))
            with self._database.connected() as connection:
                rows = connection.execute(wanted).all()
            found += [SealedValue(column=column, key=tuple(row[:-1]), sealed=bytes(row[-1])) for row in rows]
        return tuple(found)

    def count_not_by(self, newest: int) -> int:
        """Return how many values another data key than `newest` sealed."""
        counts = [select(func.count()).where(place.other(newest)) for place in _PLACES.values()]
        with self._database.connected() as connection:
            return sum(connection.execute(count).scalar_one() for count in counts)

    def replace(self, value: SealedValue, by: bytes) -> None:
        """Put new bytes in the place of a value, if it has not changed meanwhile."""
        place = _PLACES[value.column]
        same = (column == part for column, part in zip(place.key, value.key, strict=True))
        with self._database.writing() as connection:
            connection.execute(
                update(place.sealed.table).where(*same, place.sealed == value.sealed).values(place.values(by))
            )


def data_key_of(sealed: bytes) -> int:
    """Return the number of the data key that sealed a value."""
    return int.from_bytes(sealed[:_NUMBER_OCTETS], "big")
