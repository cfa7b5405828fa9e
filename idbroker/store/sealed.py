"""Sealed values in the durable store, as `keys rewrap` goes through them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, ColumnElement, func, select, update

from idbroker.store.database import Database
from idbroker.store.schema import person_key, refresh_token

_NUMBER_OCTETS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedValue:
    """One sealed value: in which column it lies, its row's digest, the bytes."""

    column: str
    digest: bytes | str
    sealed: bytes = field(repr=False)


_COLUMNS: Mapping[str, tuple[Column[Any], Column[Any]]] = {
    "person_key": (person_key.c.digest, person_key.c.sealed),
    "refresh_token": (refresh_token.c.digest, refresh_token.c.grant),
}


class StoredSealed:
    """Every sealed value of the store. A value begins with the number of its data key (two bytes)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def not_by(self, newest: int, most: int) -> tuple[SealedValue, ...]:
        """Return up to `most` values that another data key than `newest` sealed."""
        found: list[SealedValue] = []
        for column, (digest, sealed) in _COLUMNS.items():
            wanted = select(digest, sealed).where(_other(sealed, newest)).limit(most - len(found))
            with self._database.connected() as connection:
                rows = connection.execute(wanted).all()
            found += [SealedValue(column=column, digest=row[0], sealed=bytes(row[1])) for row in rows]
        return tuple(found)

    def count_not_by(self, newest: int) -> int:
        """Return how many values another data key than `newest` sealed."""
        counts = [select(func.count()).where(_other(sealed, newest)) for _, sealed in _COLUMNS.values()]
        with self._database.connected() as connection:
            return sum(connection.execute(count).scalar_one() for count in counts)

    def replace(self, value: SealedValue, by: bytes) -> None:
        """Put new bytes in the place of a value, if it has not changed meanwhile."""
        digest, sealed = _COLUMNS[value.column]
        change = update(sealed.table).where(digest == value.digest, sealed == value.sealed).values({sealed.name: by})
        with self._database.writing() as connection:
            connection.execute(change)


def _other(sealed: Column[Any], newest: int) -> ColumnElement[bool]:
    number = newest.to_bytes(_NUMBER_OCTETS, "big")
    return sealed.is_not(None) & (func.substr(sealed, 1, _NUMBER_OCTETS) != number)
