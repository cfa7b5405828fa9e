"""`/staff/CLINIC/patients/HANDLE/access`: send a patient a link, or a lasting password where the clinic says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

from flask import Blueprint
from werkzeug.wrappers import Response

from idbroker.messages.addresses import display
from idbroker.messages.message import Channel
from idbroker.office.guard import Guard, Here
from idbroker.oidc.parameters import Parameters
from idbroker.otp.one_time import Limited
from idbroker.patients.access import Access, Receipt
from idbroker.patients.patient import Conflict, NotDone
from idbroker.words import calendar_date, clock_time

# What is said of each; for any other reason the operator is asked.
_WHY = (Conflict.NO_CONTACT, Conflict.DECEASED, Conflict.NOT_HERE, Conflict.NO_NUMBER, Conflict.ELSEWHERE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A receipt as the page says it: a text's key and its values."""

    key: str
    values: Mapping[str, str] = field(repr=False)


def routes(blueprint: Blueprint, guard: Guard) -> None:
    """Add the routes."""
    page = _Sending(guard)

    @blueprint.get("/staff/<clinic>/patients/<handle>/access")
    def access(clinic: str, handle: str) -> Response:
        return page.show(guard.here(clinic), handle)

    @blueprint.post("/staff/<clinic>/patients/<handle>/access")
    def send(clinic: str, handle: str) -> Response:
        return page.send(*guard.posted(clinic), handle)


class _Sending:
    """The page."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    @property
    def _access(self) -> Access:
        return self._guard.desk.access

    def show(self, here: Here, handle: str) -> Response:
        """Show where something can be sent, and what was."""
        patient = self._guard.desk.register.look(here.actor, handle, here.now)
        ways = self._access.ways(here.actor, handle)
        return self._guard.show(
            here,
            "access",
            told=self._guard.told(here),
            patient=patient,
            ways={channel.value: written(channel, address) for channel, address in ways.items()},
            services=self._access.services(here.actor),
            chosen=patient.enrolment.client or "",
            lasting=here.clinic.access == "password",
            lines=lines(self._access.receipts(here.actor, handle), here),
        )

    def send(self, here: Here, fields: Parameters, handle: str) -> Response:
        """Send, and show the receipt; what was not sent is said in words."""
        address = f"/staff/{here.clinic.id}/patients/{handle}/access"
        ticked = tuple(channel for channel in (Channel.SMS, Channel.EMAIL) if channel.value in fields)
        typed = {channel.value: "1" for channel in ticked}
        if not ticked:
            return self._guard.say(here, address, {"empty": "1"}, {"sms": "s.ac.e.tick"})
        done = self._access.send(here.actor, handle, ticked, fields.get("service"), here.now, form=fields.get("_n", ""))
        match done:
            case Receipt():
                return self._guard.say(here, address, {"sent": "1"})
            case Limited() | NotDone():
                return self._guard.say(here, address, {**typed, **refused(done, here)}, {"sms": reason(done)})
            case _:
                assert_never(done)


def reason(result: Limited | NotDone) -> str:
    """Return the text that says why nothing was sent."""
    if isinstance(result, Limited):
        return "s.ac.e.limit"
    return f"s.ac.e.{result.why if result.why in _WHY else Conflict.ELSEWHERE}"


def refused(result: Limited | NotDone, here: Here) -> dict[str, str]:
    """Return what that text is filled in with."""
    if isinstance(result, Limited):
        return {"time": clock_time(result.until, here.clinic.zone, here.language)}
    return {}


def written(channel: Channel, address: str) -> str:
    """Return an address that the clinic has itself, in full, as people write it."""
    return display(address) if channel is Channel.SMS else address


def lines(receipts: tuple[Receipt, ...], here: Here) -> tuple[Line, ...]:
    """Return what was sent, to where and when, to the second (R32)."""
    return tuple(_line(receipt, here) for receipt in receipts)


def _line(receipt: Receipt, here: Here) -> Line:
    values = {
        "dest": ", ".join(written(channel, address) for channel, address in receipt.sent.items()),
        "date": _day(receipt.at, here),
        "time": receipt.at.astimezone(here.clinic.zone).strftime("%H:%M:%S"),
    }
    if receipt.until is not None:
        clock = clock_time(receipt.until, here.clinic.zone, here.language)
        values["until"] = f"{_day(receipt.until, here)} {clock}"
    if receipt.kind == "letter":
        del values["dest"]
    return Line(key=f"s.ac.r.{receipt.kind}", values=values)


def _day(moment: datetime, here: Here) -> str:
    return calendar_date(moment.astimezone(here.clinic.zone).date(), here.language)
