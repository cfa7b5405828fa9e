"""`/staff/CLINIC/patients/HANDLE/merge`: a patient who is here twice, after a change of number."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint
from werkzeug.wrappers import Response

from idbroker.office.guard import Guard, Here
from idbroker.office.sheets import read_number
from idbroker.patients.patient import Conflict, NotDone
from idbroker.staff.member import Role

_WHY = {Conflict.ELSEWHERE: "s.mg.elsewhere", Conflict.NOT_ALIKE: "s.mg.differ"}


def routes(blueprint: Blueprint, guard: Guard) -> None:
    """Add the page."""
    pages = _Merging(guard)

    @blueprint.get("/staff/<clinic>/patients/<handle>/merge")
    def merge(clinic: str, handle: str) -> Response:
        return pages.page(guard.here(clinic, Role.ADMINISTRATOR), handle)

    @blueprint.post("/staff/<clinic>/patients/<handle>/merge")
    def join(clinic: str, handle: str) -> Response:
        here, fields = guard.posted(clinic, Role.ADMINISTRATOR)
        work = pages.join if fields.get("do") == "join" else pages.find
        return work(here, fields, handle)


class _Merging:
    def __init__(self, guard: Guard) -> None:
        self._guard, self._register, self._merging = guard, guard.desk.register, guard.desk.merging

    def page(self, here: Here, handle: str) -> Response:
        """Ask for the other number; or show both, and ask whether they are one."""
        told = self._guard.told(here)
        patient = self._register.look(here.actor, handle, here.now)
        other = told.values.get("other")
        return self._guard.show(
            here,
            "merge",
            patient=patient,
            both=(patient, self._register.look(here.actor, other, here.now)) if other else (),
            done=told.values.get("said") == "done",
            values=told.values,
            errors=told.errors,
        )

    def find(self, here: Here, fields: Mapping[str, str], handle: str) -> Response:
        """Find the other record by its number."""
        today = here.now.astimezone(here.clinic.zone).date()
        number = read_number(fields, here.clinic, today)
        found = None if number is None else self._register.by_number(here.actor, number, here.now)
        if found is None or found.handle == handle:
            typed = {name: fields.get(name, "")[:100] for name in ("number", "country")}
            return self._guard.say(here, _path(here, handle), typed, {"number": "s.mg.none"})
        return self._guard.say(here, _path(here, handle), {"other": found.handle})

    def join(self, here: Here, fields: Mapping[str, str], handle: str) -> Response:
        """Join the two, or say why not; then show whoever is left."""
        done = self._merging.join_patients(here.actor, handle, fields.get("other", "")[:22], here.now)
        if isinstance(done, NotDone):
            self._guard.refused(done.why.value)
            return self._guard.say(here, _path(here, handle), {}, {"number": _WHY[done.why]})
        return self._guard.say(here, _path(here, done.handle or handle), {"said": "done"})


def _path(here: Here, handle: str) -> str:
    return f"/staff/{here.clinic.id}/patients/{handle}/merge"
