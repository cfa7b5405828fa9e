"""The colleague's own screen while they help a patient to sign in: a code for the tablet, how it is, and its end."""

from __future__ import annotations

from flask import Blueprint, request
from werkzeug.wrappers import Response

from idbroker.errors import NotFound
from idbroker.office.guard import Guard, Here
from idbroker.patients.assisting import REASONS
from idbroker.patients.pairing import Begun, Pairing
from idbroker.patients.patient import CHECKED, Conflict
from idbroker.web.headers import page_headers, see_other

_LOOKED_AGAIN = 3  # seconds
_NEEDED = {"service": "s.as.e.service", "checked": "s.as.e.checked", "reason": "s.as.e.reason"}
_CONFLICTS = {
    Conflict.DECEASED: "s.as.e.deceased",
    Conflict.NO_NUMBER: "s.as.e.no_number",
    Conflict.ELSEWHERE: "s.as.e.elsewhere",
}
_OVER = ("ended", "refused")


def routes(blueprint: Blueprint, guard: Guard) -> None:
    """Add the pages."""
    helping = _Helping(guard)
    path = "/staff/<clinic>/patients/<handle>/help"

    @blueprint.get(path)
    def help_ask(clinic: str, handle: str) -> Response:
        return helping.ask(guard.here(clinic), handle)

    @blueprint.post(path)
    def help_begin(clinic: str, handle: str) -> Response:
        here, fields = guard.posted(clinic)
        return helping.begin(here, handle, {name: fields.get(name, "")[:64] for name in _NEEDED})

    @blueprint.get(f"{path}/<pairing>")
    def help_show(clinic: str, handle: str, pairing: str) -> Response:
        return helping.show(guard.here(clinic), handle, pairing)

    @blueprint.get(f"{path}/<pairing>/state")
    def help_state(clinic: str, handle: str, pairing: str) -> Response:
        return helping.state(guard.here(clinic), handle, pairing)

    @blueprint.post(f"{path}/<pairing>")
    def help_end(clinic: str, handle: str, pairing: str) -> Response:
        here, _ = guard.posted(clinic)
        return helping.end(here, handle, pairing)


class _Helping:
    """Fills in the pages."""

    def __init__(self, guard: Guard) -> None:
        self._guard, self._assisting = guard, guard.desk.assisting

    def ask(self, here: Here, handle: str) -> Response:
        """Ask for which service, how it was seen who it is, and why. That a patient is looked at is in their trail."""
        patient = self._guard.desk.register.look(here.actor, handle, here.now)
        services = self._assisting.services(here.clinic.id)
        told = self._guard.told(here)
        return self._guard.show(
            here,
            "help",
            name=patient.name or "",
            handle=handle,
            untold=not self._assisting.may_be_told(patient),
            services={one.id: one.called(here.language) for one in services},
            ways=CHECKED,
            reasons=REASONS,
            values=told.values,
            errors=told.errors,
        )

    def begin(self, here: Here, handle: str, fields: dict[str, str]) -> Response:
        """Make a code, or say what is wrong."""
        missing = {name: key for name, key in _NEEDED.items() if not self._is_one(here, name, fields[name])}
        if missing:
            return self._guard.say(here, request.path, fields, missing)
        begun = self._assisting.begin(
            here.actor,
            handle,
            fields["service"],
            fields["checked"],
            fields["reason"],
            here.now,
            ip=request.remote_addr,
        )
        if isinstance(begun, Begun):
            # Never in an address: those lie in histories and logs.
            return self._guard.say(here, f"{request.path}/{begun.pairing.id}", {"code": begun.code})
        self._guard.refused(begun.why.value)
        return self._guard.say(here, request.path, fields, {"service": _CONFLICTS.get(begun.why, "s.as.e.not_here")})

    def show(self, here: Here, handle: str, pairing: str) -> Response:
        """Show the code, once, with how it is beside it: in a frame, which looks again by itself."""
        one = self._found(here, handle, pairing)
        response = self._guard.show(
            here,
            "helped",
            pairing=one,
            over=one.state in _OVER,
            handle=handle,
            code=self._guard.told(here).values.get("code", ""),
            address=f"{self._guard.site.issuer}/tablet",
        )
        response.headers.update(page_headers(https=self._guard.site.https, frames=True))
        return response

    def state(self, here: Here, handle: str, pairing: str) -> Response:
        """Say how it is, in a small document of its own: the page around it, with its button, stays as it is."""
        one = self._found(here, handle, pairing)
        response = self._guard.show(here, "helpstate", pairing=one)
        response.headers.update(page_headers(https=self._guard.site.https, framed=True))
        if one.state not in _OVER:
            response.headers["Refresh"] = str(_LOOKED_AGAIN)
        return response

    def end(self, here: Here, handle: str, pairing: str) -> Response:
        """End it."""
        self._found(here, handle, pairing)
        self._assisting.end(here.actor, pairing, here.now)
        return see_other(request.path)

    def _found(self, here: Here, handle: str, pairing: str) -> Pairing:
        one = self._assisting.look(here.actor, pairing, here.now)
        if one.handle != handle:
            raise NotFound("a pairing of another patient")
        return one

    def _is_one(self, here: Here, name: str, value: str) -> bool:
        offered = {"checked": CHECKED, "reason": REASONS}
        services = tuple(one.id for one in self._assisting.services(here.clinic.id))
        return value in offered.get(name, services)
