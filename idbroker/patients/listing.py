"""A clinic's list of patients as a file: comma- or semicolon-separated lines, in UTF-8, read one at a time.

The first line names the columns, in any order: `number`, and of the others those there are (COLUMNS). An empty field
says nothing. One line is one patient: a field in quotes may hold the separator, and no end of line, so that a lost
quote spoils its own line and not the rest of the file (RFC 4180 lets it run on).
"""

from __future__ import annotations

import csv
import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, BinaryIO

from idbroker.accounts.child import tidy
from idbroker.clinic import LANGUAGES, Clinic
from idbroker.errors import BrokerError
from idbroker.messages.addresses import NotAnAddress, email, mobile
from idbroker.messages.message import Channel
from idbroker.numbers import NationalNumber, NotANumber, parse
from idbroker.patients.patient import CHECKED, NO_EID, Sheet

COLUMNS = (
    "number",
    "given_name",
    "family_name",
    "birthdate",
    "email",
    "phone",
    "language",
    "exempt",
    "takes_part",
    "protected",
    "checked",
)
LONGEST_LINE = 10_000  # octets
LONGEST_NAME = 80
_ENDS = b"\r\n"
_BOM = "\ufeff"
_OTHER_ENCODINGS = (b"\xff\xfe", b"\xfe\xff")
_FORMULA = re.compile(r"[=+@|%-]")  # what a spreadsheet would run, once the list is exported again (CWE-1236)
# What nobody sees, as the API has it: directions that turn a name round, joiners, ends of lines, no letters at all.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_YES_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_WAYS = {"email": Channel.EMAIL, "phone": Channel.SMS}


class NotAList(BrokerError):
    """The whole file is no such list; `detail` says why, and nothing that stands in it."""

    code = "not_a_list"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """What is wrong in a line (the first is 1); `column` where one is to blame. Never what stands there."""

    line: int
    column: str | None = None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One patient of the list."""

    line: int
    number: NationalNumber = field(repr=False)
    sheet: Sheet = field(repr=False)


class _Spoiled(ValueError):
    """A field does not read; the message says why."""


class PatientList:
    """One reading of such a file, from where it stands to its end. `octets` is how many have been read."""

    def __init__(self, file: BinaryIO, clinic: Clinic, today: date) -> None:
        self._file, self._clinic, self._today = file, clinic, today
        self._hash, self._line, self.octets = hashlib.sha256(), 0, 0

    @property
    def fingerprint(self) -> str:
        """Return a word for all that was read."""
        return self._hash.hexdigest()

    def patients(self) -> Iterator[Listed | tuple[Wrong, ...]]:
        """Return each line's patient, or all that is wrong with the line. NotAList when it cannot be begun with."""
        separator, columns = self._header()
        while line := self._next():
            self._line += 1
            read = self._read(line, separator, columns)
            if read is not None:
                yield read

    def _header(self) -> tuple[str, Sequence[str]]:
        line = self._next()
        self._line = 1
        if line.startswith(_OTHER_ENCODINGS):
            raise NotAList("the file is in UTF-16: save it as UTF-8")
        try:
            text = line.decode().removeprefix(_BOM).strip()
        except UnicodeDecodeError:
            raise NotAList("the first line is not UTF-8") from None
        if len(line) > LONGEST_LINE or not text:
            raise NotAList("the first line does not name the columns")
        separator = ";" if ";" in text else ","
        columns = [name.strip().strip('"').strip().lower() for name in text.split(separator)]
        _check_columns(columns)
        return separator, columns

    def _next(self) -> bytes:
        line = self._file.readline(LONGEST_LINE + 1)
        rest = line
        while len(rest) > LONGEST_LINE and not rest.endswith(b"\n"):  # passed over, and not kept
            rest = self._file.readline(LONGEST_LINE + 1)
            self._note(rest)
        self._note(line)
        return line

    def _note(self, part: bytes) -> None:
        self._hash.update(part)
        self.octets += len(part)

    def _read(self, line: bytes, separator: str, columns: Sequence[str]) -> Listed | tuple[Wrong, ...] | None:
        try:
            fields = _fields(line, separator, len(columns))
        except _Spoiled as error:
            return (Wrong(line=self._line, why=str(error)),)
        if not fields:
            return None
        wrong: list[Wrong] = []
        told = {name: text for name, text in zip(columns, fields, strict=True) if text}
        values = {name: self._value(name, text, wrong) for name, text in told.items()}
        if "number" not in told:
            wrong.append(Wrong(line=self._line, column="number", why="is missing"))
        elif not wrong and "birthdate" in values and values["number"].birthdate not in (None, values["birthdate"]):
            wrong.append(Wrong(line=self._line, column="birthdate", why="is another than the number's"))
        return tuple(wrong) or self._listed(values)

    def _value(self, name: str, text: str, wrong: list[Wrong]) -> Any:
        try:
            return _READERS[name](text, self._clinic, self._today)
        except _Spoiled as error:
            wrong.append(Wrong(line=self._line, column=name, why=str(error)))
            return None

    def _listed(self, values: dict[str, Any]) -> Listed:
        number = values.pop("number")
        contacts = {channel: values.pop(name) for name, channel in _WAYS.items() if name in values}
        values.setdefault("birthdate", number.birthdate)
        values.setdefault("checked", "list")
        return Listed(line=self._line, number=number, sheet=Sheet(number=number, contacts=contacts, **values))


def _check_columns(columns: Sequence[str]) -> None:
    unknown = len([name for name in columns if name not in COLUMNS])
    if unknown:
        # Not by name: a file without a first line of names has a patient there.
        raise NotAList(f"the first line has {unknown} unknown column names; known are {', '.join(COLUMNS)}")
    if len(set(columns)) != len(columns):
        raise NotAList("the first line names a column twice")
    if "number" not in columns:
        raise NotAList("the first line names no column number")


def _fields(line: bytes, separator: str, wanted: int) -> list[str]:
    """Return as many fields as are wanted; none for a line with nothing in it."""
    if len(line) > LONGEST_LINE:
        raise _Spoiled(f"is longer than {LONGEST_LINE} octets")
    try:
        text = line.rstrip(_ENDS).decode()
    except UnicodeDecodeError:
        raise _Spoiled("is not UTF-8") from None
    if any(unicodedata.category(sign) == "Cc" and sign != "\t" for sign in text):
        raise _Spoiled("has control characters")
    try:
        fields = [one.strip() for one in next(csv.reader([text], delimiter=separator, strict=True), [])]
    except csv.Error:
        raise _Spoiled("has a quotation mark that is not closed, or stands inside a field") from None
    if any(fields) and len(fields) != wanted:
        raise _Spoiled(f"has {len(fields)} fields where the first line has {wanted}")
    return fields if any(fields) else []


# ---- one field ---------------------------------------------------------------------------------------


def _number(text: str, clinic: Clinic, today: date) -> NationalNumber:
    try:
        return parse(text, clinic.country, now=today)
    except NotANumber as error:
        raise _Spoiled(f"is no national number of {clinic.country} ({error.reason})") from None


def _name(text: str, _: Clinic, __: date) -> str:
    if len(unicodedata.normalize("NFC", text)) > LONGEST_NAME:
        raise _Spoiled(f"is longer than {LONGEST_NAME} signs")
    name = tidy(text)  # as a form's: nothing unseen turns a name around on a page, or makes two alike (CVE-2021-42574)
    if any(unicodedata.category(sign) in _UNSEEN for sign in name):
        raise _Spoiled("has signs that nobody sees")
    if _is_formula(name) or not any(map(str.isalpha, name)):
        raise _Spoiled("is no name")
    return name


def _birthdate(text: str, _: Clinic, today: date) -> date:
    try:
        born = date.fromisoformat(text)
    except ValueError:
        raise _Spoiled("is no date: YYYY-MM-DD") from None
    if not date(1870, 1, 1) <= born <= today:
        raise _Spoiled("is nobody's birth date")
    return born


def _is_formula(text: str) -> bool:
    """Tell whether a spreadsheet may run it: full-width signs are the same to some."""
    return _FORMULA.match(unicodedata.normalize("NFKC", text)) is not None


def _email(text: str, _: Clinic, __: date) -> str:
    if _is_formula(text):
        raise _Spoiled("takes no e-mail (formula)")
    try:
        return email(text)
    except NotAnAddress as error:
        raise _Spoiled(f"takes no e-mail ({error.reason})") from None


def _phone(text: str, clinic: Clinic, _: date) -> str:
    try:
        return mobile(text, clinic.country)
    except NotAnAddress as error:
        raise _Spoiled(f"takes no text messages ({error.reason})") from None


def _one_of(known: Sequence[str]) -> Callable[[str, Clinic, date], str]:
    def read(text: str, _: Clinic, __: date) -> str:
        if text.lower() not in known:
            raise _Spoiled(f"is none of {', '.join(known)}")
        return text.lower()

    return read


def _yes_no(text: str, _: Clinic, __: date) -> bool:
    if text.lower() not in _YES_NO:
        raise _Spoiled("is neither yes nor no")
    return _YES_NO[text.lower()]


_READERS: Mapping[str, Callable[[str, Clinic, date], Any]] = {
    "number": _number,
    "given_name": _name,
    "family_name": _name,
    "birthdate": _birthdate,
    "email": _email,
    "phone": _phone,
    "language": _one_of(LANGUAGES),
    "exempt": _one_of(NO_EID),
    "takes_part": _yes_no,
    "protected": _yes_no,
    "checked": _one_of(CHECKED),
}
