"""What staff type of a patient: read into a Sheet, and shown again as it was typed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from idbroker.accounts.child import tidy
from idbroker.accounts.reaching import FIELDS, read
from idbroker.clinic import COUNTRIES, Clinic
from idbroker.messages.addresses import display
from idbroker.messages.message import Channel
from idbroker.numbers import NationalNumber, NotANumber, parse
from idbroker.patients.patient import CHECKED, NO_EID, Patient, Sheet

NAMES = ("given", "family", "birthdate", "checked", "email", "phone", "exempt", "declined", "protected", "language")
LONGEST = 100  # of what was typed, to be shown again
_ISO = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")
_NORDIC = re.compile(r"(\d{1,2})[./ -]{1,2}(\d{1,2})[./ -]{1,2}(\d{4})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What was typed, as a sheet; `values` as it stood, `errors` the key of what is wrong by field."""

    sheet: Sheet = field(repr=False)
    values: Mapping[str, str] = field(repr=False)
    errors: Mapping[str, str]


def read_sheet(fields: Mapping[str, str], clinic: Clinic, *, new: bool, aged: bool) -> Read:
    """Return what a form says; `new` asks how it was seen who it is, `aged` is who needs no birth date typed."""
    values = {name: fields.get(name, "").strip()[:LONGEST] for name in NAMES}
    typed = read({name: values[name] for name in FIELDS.values()}, clinic.country)
    given, family = tidy(values["given"]), tidy(values["family"])
    born = read_day(values["birthdate"])
    errors = {
        "given": "" if given else "s.e.given",
        "family": "" if family else "s.e.family",
        "birthdate": "" if aged or born else "s.e.born",
        "checked": "" if values["checked"] in CHECKED or not new else "s.as.e.checked",
        **typed.errors,
    }
    sheet = Sheet(
        given_name=given or None,
        family_name=family or None,
        birthdate=None if aged else born,
        language=values["language"] if values["language"] in clinic.offered_languages else None,
        checked=values["checked"] if values["checked"] in CHECKED else None,
        exempt=_exempt(values["exempt"]),
        takes_part=not values["declined"],
        protected=bool(values["protected"]),
        contacts={channel: typed.values[name] for channel, name in FIELDS.items()},
    )
    return Read(sheet=sheet, values=values, errors={name: key for name, key in errors.items() if key})


def filled(patient: Patient) -> dict[str, str]:
    """Return a form's values from a record, addresses as people write them."""
    entry, told = patient.enrolment.entry, patient.enrolment.told
    shown = entry or patient.account  # the clinic's own record, whole or not: the account may be made elsewhere
    return {
        "given": (shown and shown.given_name) or "",
        "family": (shown and shown.family_name) or "",
        "birthdate": f"{shown.birthdate}" if shown and shown.birthdate else "",
        "checked": (entry and entry.checked) or "",
        "email": told.get(Channel.EMAIL, ""),
        "phone": display(told[Channel.SMS]) if told.get(Channel.SMS) else "",
        "exempt": patient.exempt or "",
        "declined": "1" if entry is not None and not entry.takes_part else "",
        "protected": "1" if entry is not None and entry.protected else "",
        "language": patient.enrolment.language,
    }


def choices(clinic: Clinic, *, aged: bool, new: bool) -> dict[str, Any]:
    """Return what a form's fields can be; `aged` is whose number says when they were born."""
    return {"checks": CHECKED, "reasons": NO_EID, "languages": clinic.offered_languages, "aged": aged, "new": new}


def read_number(fields: Mapping[str, str], clinic: Clinic, today: date) -> NationalNumber | None:
    """Return the number as the chosen country reads it, the clinic's own first; None for none."""
    chosen = fields.get("country", "")
    try:
        return parse(fields.get("number", ""), chosen if chosen in COUNTRIES else clinic.country, now=today)
    except NotANumber:
        return None


def read_day(text: str) -> date | None:
    """Return a day as people write it: 1942-05-09, 19420509, 9.5.1942, 9/5 1942; None for none."""
    iso, nordic = _ISO.fullmatch(text.strip()), _NORDIC.fullmatch(text.strip())
    parts = iso.groups() if iso else nordic.groups()[::-1] if nordic else ("0", "0", "0")
    try:
        return date(*map(int, parts))
    except ValueError:
        return None


def _exempt(typed: str) -> str | None:
    """Return why they cannot use an eID; "" takes it back, and a reason of another list stays as it is."""
    return typed if typed in ("", *NO_EID) else None
