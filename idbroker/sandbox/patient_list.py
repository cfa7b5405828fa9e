"""A clinic's list to try the import with: invented patients of Test klinik 2, with numbers that are nobody's."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from idbroker.sandbox.sim_person import SimPerson, cpr

_COLUMNS = ("number", "given_name", "family_name", "birthdate", "email", "language", "exempt", "takes_part", "checked")
_GIVEN = ("Alma", "Bertil", "Clara", "Ditlev", "Ebba", "Frode", "Gry", "Holger")
_FAMILY = ("Prøvelund", "Testgaard", "Opdigtsen")
_FIRST_BIRTH, _APART = date(1941, 5, 17), timedelta(days=1201)
_FIRST_SERIAL = 700  # higher than any of the cast


def patient_list(people: Iterable[SimPerson]) -> str:
    """Return the list as CSV: two dozen that no clinic knows, and one of the cast who is patient nowhere yet."""
    text = io.StringIO()
    lines = csv.DictWriter(text, _COLUMNS, restval="", lineterminator="\r\n")
    lines.writeheader()
    lines.writerows(_invented())
    lines.writerows(_row(one, one.number or "") for one in people if one.id == "nikolaj")
    return text.getvalue()


def _invented() -> Iterator[dict[str, str]]:
    names = [(given, family) for family in _FAMILY for given in _GIVEN]
    for index, (given, family) in enumerate(names):
        born = _FIRST_BIRTH + index * _APART
        yield {
            "number": cpr(born, _FIRST_SERIAL + index),
            "given_name": given,
            "family_name": family,
            "birthdate": born.isoformat(),
            "email": f"{given}.{index}@example.test".lower(),
            "language": "da",
            "exempt": "age" if index == 0 else "",
            "takes_part": "yes",
            "checked": "list",
        }


def _row(person: SimPerson, number: str) -> dict[str, str]:
    return {
        "number": number,
        "given_name": person.given_name,
        "family_name": person.family_name,
        "birthdate": person.born.isoformat(),
        "checked": "list",
    }
