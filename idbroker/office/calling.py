"""`/staff/CLINIC/patients/HANDLE/call`: who is on the telephone.

The patient approves in their app, and staff see what came of it. Nothing else comes of it: no session, no grant, no
cookie. Without a script the page looks again by itself.
"""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint
from werkzeug.wrappers import Response

from idbroker.errors import NotFound
from idbroker.office.guard import Guard, Here, Told
from idbroker.oidc.parameters import Parameters
from idbroker.otp.one_time import Limited
from idbroker.patients.call import Call, Outcome
from idbroker.patients.patient import NotDone
from idbroker.patients.telephone import LIFE
from idbroker.web.headers import see_other

_AGAIN = "3"  # seconds
_CALLERS = ("patient", "clinic")


def routes(blueprint: Blueprint, guard: Guard) -> None:
    """Add the routes."""
    pages = _Calling(guard)

    @blueprint.get("/staff/<clinic>/patients/<handle>/call")
    def calling(clinic: str, handle: str) -> Response:
        return pages.ask(guard.here(clinic), handle)

    @blueprint.post("/staff/<clinic>/patients/<handle>/call")
    def call(clinic: str, handle: str) -> Response:
        here, fields = guard.posted(clinic)
        return pages.begin(here, handle, fields)

    @blueprint.get("/staff/<clinic>/patients/<handle>/call/<name>")
    def called(clinic: str, handle: str, name: str) -> Response:
        return pages.look(guard.here(clinic), handle, name)

    @blueprint.post("/staff/<clinic>/patients/<handle>/call/<name>")
    def end(clinic: str, handle: str, name: str) -> Response:
        here, _ = guard.posted(clinic)
        return pages.end(here, handle, name)


class _Calling:
    """The two pages."""

    def __init__(self, guard: Guard) -> None:
        self._guard, self._calls, self._register = guard, guard.desk.calls, guard.desk.register

    def ask(self, here: Here, handle: str) -> Response:
        """Show which apps may be asked, and what to say to the patient."""
        told = self._guard.told(here)
        return self._guard.show(
            here,
            "calling",
            patient=self._register.look(here.actor, handle, here.now),
            eids=self._calls.ways(here.actor, handle),
            told=told,
            until=_until(told),
            callers=_CALLERS,
            at=_at(here, handle),
        )

    def begin(self, here: Here, handle: str, fields: Parameters) -> Response:
        """Ask in the app, and lead to the page that waits."""
        eid, caller = fields.get("eid", ""), fields.get("caller", "")
        eids = self._calls.ways(here.actor, handle)
        wrong = {"eid": "s.tel.e.eid"} if eid not in eids else {}
        wrong |= {"caller": "s.tel.e.who"} if caller not in _CALLERS else {}
        # Only what the form offers is said back to it.
        typed = {name: value for name, value in (("eid", eid), ("caller", caller)) if name not in wrong}
        if wrong:
            return self._guard.say(here, f"{_at(here, handle)}/call", typed, wrong)
        begun = self._calls.begin(here.actor, handle, eid, by_clinic=caller == "clinic", now=here.now)
        if isinstance(begun, Limited):
            values = {**typed, "until": begun.until.isoformat()}
            return self._guard.say(here, f"{_at(here, handle)}/call", values, {"eid": "s.tel.e.often"})
        if isinstance(begun, NotDone):
            self._guard.refused(begun.why.value)
            return self._guard.say(here, f"{_at(here, handle)}/call", typed, {"eid": f"s.tel.e.{begun.why.value}"})
        return see_other(f"{_at(here, handle)}/call/{begun.id}")

    def look(self, here: Here, handle: str, name: str) -> Response:
        """Show how it is: until something has come of it, the page is asked for again by itself."""
        call = self._of(handle, self._calls.look(here.actor, name, here.now))
        shown = self._guard.show(
            here,
            "call",
            patient=self._register.look(here.actor, handle, here.now),
            call=call,
            state=_state(call),
            eid=self._calls.title(call.provider),
            until=call.begun_at + LIFE,
            at=_at(here, handle),
        )
        if call.waits:
            shown.headers["Refresh"] = _AGAIN
        return shown

    def end(self, here: Here, handle: str, name: str) -> Response:
        """Hang up; pressed twice, it is ended once."""
        self._of(handle, self._calls.look(here.actor, name, here.now))
        self._calls.end(here.actor, name, here.now)
        return see_other(f"{_at(here, handle)}/call/{name}")

    def _of(self, handle: str, call: Call) -> Call:
        # The page names the patient of its address: another's result must never stand under their name.
        if call.handle != handle:
            raise NotFound("a call of another patient")
        return call


def _at(here: Here, handle: str) -> str:
    return f"/staff/{here.clinic.id}/patients/{handle}"


def _state(call: Call) -> str:
    """Return the word by which the page's texts go."""
    return "ended" if call.outcome is Outcome.CANCELLED and call.reason == "ended" else call.outcome.value


def _until(told: Told) -> datetime | None:
    until = told.values.get("until")
    return None if until is None else datetime.fromisoformat(until)
