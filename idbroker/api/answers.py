"""What the API answers: each document's shape, and how it is made of our own values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from idbroker.api.problems import Problem
from idbroker.messages.message import Channel
from idbroker.patients import queue
from idbroker.patients.access import Receipt
from idbroker.patients.noting import Held
from idbroker.patients.patient import Patient

Standing = Literal["known", "asked", "approved", "declined"]
_HANDLE = "What this clinic, and nobody else, knows the patient by"


class Answer(BaseModel):
    """A document that we send: every member is always there."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NumberTold(Answer):
    """A national number: Danish 10 digits, Swedish 12, Finnish 11 characters."""

    country: Literal["DK", "SE", "FI"]
    kind: Literal["cpr", "personnummer", "samordningsnummer", "hetu"]
    value: str


class ConfirmedTold(Answer):
    """Where the patient has shown that they are reached, told to a clinic where they have come themselves."""

    email: str | None
    sms: str | None


class ContactsTold(Answer):
    """Where messages go, as the clinic has it; and, beside that, what the patient has confirmed."""

    email: str | None
    sms: str | None
    confirmed: ConfirmedTold = Field(
        description="Null where nothing is confirmed, or the patient has not been here by an eID or password of theirs"
    )


class PatientTold(Answer):
    """A patient, as this clinic knows them."""

    handle: str = Field(description=_HANDLE)
    standing: Standing
    number: NumberTold | None
    given_name: str | None
    family_name: str | None
    birthdate: date | None
    language: str
    checked: str | None
    exempt: str | None
    takes_part: bool
    protected: bool = Field(description="Name and address are protected: nobody acts for this patient here")
    deceased_on: date | None
    contacts: ContactsTold
    has_guardian: bool = Field(description="A guardian's claim to this child was made here, and stands")
    etag: str = Field(description="For If-Match, to change what was read")


class Kept(Answer):
    """What was entered or changed, and how it stands: who waits for an answer, or was declined, still does or is."""

    handle: str = Field(description=_HANDLE)
    standing: Standing


class Found(Answer):
    """Who was found, of this clinic's patients."""

    patients: list[PatientTold]


class WrongTold(Answer):
    """One thing that is wrong: where (a JSON pointer, RFC 6901), and why."""

    pointer: str
    code: str


class ProblemTold(BaseModel):
    """What is wrong (RFC 9457). `code` is stable; `title` is for people, and may be put in other words."""

    model_config = ConfigDict(frozen=True)

    type: str
    title: str
    status: int
    code: str
    errors: list[WrongTold] | None = Field(default=None)
    ref: str | None = Field(default=None)


class One(Answer):
    """What came of one of many: its place in the list, and its own status, as if it had been sent alone."""

    index: int
    status: int
    handle: str | None
    standing: Standing | None
    code: str | None = Field(description="Of the problem, where there is one")
    errors: list[WrongTold] = Field(description="Pointers are into the item")


class Results(Answer):
    """What came of many, in their order."""

    results: list[One]


class Sent(Answer):
    """What was sent. Addresses are told as a page may show them."""

    kind: Literal["link", "password"]
    email: str | None
    sms: str | None
    at: datetime
    until: datetime | None


class CustodyKept(Answer):
    """The change is in the patient's trail; `ended` tells that something a guardian might do here ended with it."""

    handle: str = Field(description=_HANDLE)
    ended: bool


class GuardianKept(Answer):
    """What was noted. It holds until the earlier of the two days, where there are any."""

    id: str = Field(description="For the end of it")
    until: date | None
    limit_on: date | None = Field(description="The birthday from which nobody acts for the patient because of its age")


class GuardianTold(GuardianKept):
    """Somebody who may act for a patient, as this clinic has noted it; the name, where this clinic knows it."""

    relation: str
    basis: str
    powers: list[str]
    name: str | None
    number: NumberTold | None
    recorded_at: datetime


class Guardians(Answer):
    """Who may act for a patient by this clinic's own notes, the oldest first."""

    guardians: list[GuardianTold]


class Differing(Answer):
    """One thing that differs from the clinic's own record; both as a page may show them."""

    what: str
    theirs: str
    ours: str


class AskingTold(Answer):
    """Somebody who waits for the clinic's answer. `differences` is null where there is nothing to compare with."""

    patient: PatientTold
    asked_at: datetime
    provider: str | None
    guardian: str | None = Field(description="The name of who asks for a child")
    differences: list[Differing] | None
    alike: bool


class Waiting(Answer):
    """Who waits, oldest first."""

    enrolments: list[AskingTold]


class Decision(Answer):
    """How it stands; `first` when that was this very answer."""

    handle: str = Field(description=_HANDLE)
    standing: Standing
    first: bool
    at: datetime


class WebhookTold(Answer):
    """Where news goes, and which."""

    url: str
    kinds: list[str]


class WebhookMade(WebhookTold):
    """Where news goes, and what it is signed with: shown once."""

    secret: str


def patient(one: Patient) -> PatientTold:
    """Return a patient as a document."""
    enrolment, entry, number = one.enrolment, one.enrolment.entry, one.number
    shown = entry or one.account  # the clinic's own record, whole or not: the account may be made elsewhere
    return PatientTold.model_validate(
        {
            "handle": one.handle,
            "standing": enrolment.standing.value,
            "number": number and {"country": number.country, "kind": number.kind, "value": number.value},
            "given_name": (shown and shown.given_name) or None,
            "family_name": (shown and shown.family_name) or None,
            "birthdate": shown and shown.birthdate,
            "language": enrolment.language,
            "checked": entry and entry.checked,
            "exempt": entry and entry.exempt,
            "takes_part": entry is None or entry.takes_part,
            "protected": entry is not None and entry.protected,
            "deceased_on": entry and entry.deceased_on,
            "contacts": {**_addresses(enrolment.told), "confirmed": _addresses(one.confirmed)},
            "has_guardian": enrolment.guardian is not None,
            "etag": etag(one),
        }
    )


def _addresses(known: Mapping[Channel, str]) -> dict[str, str | None]:
    return {"email": known.get(Channel.EMAIL), "sms": known.get(Channel.SMS)}


def guardian(one: Held) -> GuardianTold:
    """Return a guardian as a document."""
    row, number = one.row, one.number
    return GuardianTold.model_validate(
        {
            "id": row.id,
            "relation": row.relation,
            "basis": row.basis,
            "powers": list(row.powers),
            "until": row.until,
            "limit_on": row.limit_on,
            "name": one.name,
            "number": number and {"country": number.country, "kind": number.kind, "value": number.value},
            "recorded_at": row.recorded_at,
        }
    )


def etag(one: Patient) -> str:
    """Return the strong entity tag of the clinic's record (RFC 9110, 8.8.3)."""
    return f'"{one.mark}"'


def asking(one: queue.Asking) -> AskingTold:
    """Return somebody who waits as a document."""
    differences = one.differences
    return AskingTold(
        patient=patient(one.patient),
        asked_at=one.patient.enrolment.asked_at,
        provider=one.patient.enrolment.provider,
        guardian=None if one.guardian is None else one.guardian.name,
        differences=None
        if differences is None
        else [Differing(what=each.what, theirs=each.theirs, ours=each.ours) for each in differences],
        alike=one.alike,
    )


def sent(receipt: Receipt) -> Sent:
    """Return a receipt as a document."""
    return Sent.model_validate(
        {
            "kind": receipt.kind,
            "email": receipt.sent.get(Channel.EMAIL),
            "sms": receipt.sent.get(Channel.SMS),
            "at": receipt.at,
            "until": receipt.until,
        }
    )


def failed(index: int, problem: Problem) -> One:
    """Return what came of one of many that was not done."""
    wrong = [WrongTold(pointer=each.pointer, code=each.code) for each in problem.errors]
    return One(index=index, status=problem.status, handle=None, standing=None, code=problem.code, errors=wrong)


def kept(one: Patient) -> Kept:
    """Return what is told of a patient to who may write, and not read."""
    return Kept.model_validate({"handle": one.handle, "standing": one.enrolment.standing.value})
