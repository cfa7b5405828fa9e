"""`/staff/CLINIC/patients/HANDLE/guardians`: who may act for a patient, as the clinic has noted it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from flask import Blueprint
from werkzeug.wrappers import Response

from idbroker.clinic import Clinic
from idbroker.errors import NotFound
from idbroker.guardianship.entering import limits_over
from idbroker.guardianship.tie import MANDATE
from idbroker.office.guard import Guard, Here
from idbroker.office.sheets import read_day, read_number
from idbroker.office.trails import Trails
from idbroker.oidc.parameters import Parameters
from idbroker.patients.noting import ENDINGS, RELATIONS, Held, Said, WhyNot
from idbroker.patients.opening import opening
from idbroker.staff.member import Role

_TYPED = ("number", "country", "relation", "until")
_LONGEST = 100
_EXAMPLE = date(2027, 1, 31)
# At which field what is wrong is said.
_OF_RELATION = (WhyNot.GROWN, WhyNot.MANDATE, WhyNot.NO_POWERS, WhyNot.NOT_PLAIN, WhyNot.NOTHING)
_AT = {**dict.fromkeys(_OF_RELATION, "relation"), WhyNot.PAST: "until"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One who may act: `until` is the first day on which they may not, `birthday` that it is because of the age."""

    held: Held = field(repr=False)
    until: date | None
    birthday: bool
    by: str


def routes(blueprint: Blueprint, guard: Guard) -> None:
    """Add the page."""
    pages = _Guardians(guard)

    @blueprint.get("/staff/<clinic>/patients/<handle>/guardians")
    def guardians(clinic: str, handle: str) -> Response:
        return pages.show(guard.here(clinic), handle)

    @blueprint.post("/staff/<clinic>/patients/<handle>/guardians")
    def note_guardian(clinic: str, handle: str) -> Response:
        here, fields = guard.posted(clinic, Role.APPROVER)
        work = pages.end if fields.get("do") == "end" else pages.add
        return work(here, fields, handle)


class _Guardians:
    def __init__(self, guard: Guard) -> None:
        self._guard, self._register, self._noting = guard, guard.desk.register, guard.desk.noting
        self._trails = Trails(members=guard.desk.entrance.members, clients=guard.site.clients)

    def show(self, here: Here, handle: str) -> Response:
        """Show who may act; approvers may add and end."""
        told, patient = self._guard.told(here), self._register.look(here.actor, handle, here.now)
        services = self._guard.site.clients.all()
        opens, limits = opening(here.clinic, services), limits_over(here.clinic, services)
        return self._guard.show(
            here,
            "guardians",
            patient=patient,
            lines=[self._line(one) for one in self._noting.of(here.actor, handle, here.now)],
            opens=opens,
            example=_EXAMPLE,
            code_until=limits.code_until,
            relations=[one for one in _relations(here.clinic) if opens.by(one)],
            endings=ENDINGS,
            may=here.actor.may(Role.APPROVER) and not patient.has_died,
            said=told.values.get("said", ""),
            values=told.values,
            errors=told.errors,
        )

    def add(self, here: Here, fields: Parameters, handle: str) -> Response:
        """Note somebody; the same form again says that it was noted."""
        typed = {name: fields.get(name, "").strip()[:_LONGEST] for name in _TYPED}
        number = read_number(typed, here.clinic, here.now.astimezone(here.clinic.zone).date())
        until = read_day(typed["until"])
        errors = {
            "number": "" if number is not None else "s.e.number",
            "relation": "" if typed["relation"] in _relations(here.clinic) else "s.gd.e.rel",
            "until": "" if until is not None or not typed["until"] else "s.gd.e.until_past",
        }
        errors = {name: key for name, key in errors.items() if key}
        if number is None or errors:
            return self._guard.say(here, _path(here, handle), typed, errors)
        noted = self._noting.note(here.actor, handle, number, _said(typed, until, here.clinic), here.now)
        if isinstance(noted, WhyNot):
            wrong = {_AT.get(noted, "number"): f"s.gd.e.{noted.value}"}
            return self._guard.say(here, _path(here, handle), typed, wrong)
        return self._guard.say(here, _path(here, handle), {"said": "noted" if noted.first else "there"})

    def end(self, here: Here, fields: Parameters, handle: str) -> Response:
        """End one, for a reason; a form on one that has ended since changes nothing."""
        note, why = fields.get("note", "")[:32], fields.get("why", "")
        if why not in ENDINGS:
            return self._guard.say(here, _path(here, handle), {"note": note}, {f"why-{note}": "s.gd.e.why"})
        said = "ended"
        try:
            self._noting.end(here.actor, handle, note, why, here.now)
        except NotFound:
            self._register.look(here.actor, handle, here.now)  # of a patient who is not here there is no page
            said = "over"
        return self._guard.say(here, _path(here, handle), {"said": said})

    def _line(self, held: Held) -> Line:
        row = held.row
        days = [day for day in (row.limit_on, row.until) if day is not None]
        until = min(days, default=None)
        return Line(held=held, until=until, birthday=until == row.limit_on, by=self._trails.called(row.by))


def _relations(clinic: Clinic) -> tuple[str, ...]:
    """Return what may be chosen: a power of attorney where the clinic takes any."""
    return tuple(one for one in RELATIONS if one != MANDATE or clinic.mandates)


def _said(typed: Mapping[str, str], until: date | None, clinic: Clinic) -> Said:
    relation = typed["relation"]
    return Said(relation=relation, powers=clinic.mandates if relation == MANDATE else (), until=until)


def _path(here: Here, handle: str) -> str:
    return f"/staff/{here.clinic.id}/patients/{handle}/guardians"
