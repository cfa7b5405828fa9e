"""`/staff/CLINIC/patients/new`: a number, what is known of the patient, a page to check it, and then it is written."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from flask import Blueprint, request
from werkzeug.wrappers import Response

from idbroker.numbers import NationalNumber
from idbroker.office.guard import Guard, Here
from idbroker.office.sheets import NAMES, Read, choices, read_number, read_sheet
from idbroker.oidc.parameters import Parameters
from idbroker.patients.patient import Conflict, NotDone, TooManyLooks
from idbroker.web.headers import see_other

KEPT = timedelta(minutes=30)  # what has been typed, until it is written


def routes(blueprint: Blueprint, guard: Guard) -> None:
    """Add the pages."""
    pages = _Entering(guard)
    path = "/staff/<clinic>/patients/new"

    @blueprint.get(path)
    def ask(clinic: str) -> Response:
        return pages.ask(guard.here(clinic))

    @blueprint.post(path)
    def number(clinic: str) -> Response:
        return pages.number(*guard.posted(clinic))

    @blueprint.get(f"{path}/<draft>")
    def fill(clinic: str, draft: str) -> Response:
        return pages.fill(guard.here(clinic), draft)

    @blueprint.post(f"{path}/<draft>")
    def filled(clinic: str, draft: str) -> Response:
        return pages.filled(*guard.posted(clinic), draft)

    @blueprint.get(f"{path}/<draft>/check")
    def check(clinic: str, draft: str) -> Response:
        return pages.check(guard.here(clinic), draft)

    @blueprint.post(f"{path}/<draft>/check")
    def enter(clinic: str, draft: str) -> Response:
        here, _ = guard.posted(clinic)
        return pages.enter(here, draft)


class _Entering:
    """Three pages, and a draft between them that lies with us: nothing personal is in an address."""

    def __init__(self, guard: Guard) -> None:
        self._guard, self._site, self._register = guard, guard.site, guard.desk.register

    # ---- the number ------------------------------------------------------------------------------

    def ask(self, here: Here) -> Response:
        """Ask for the number; from a search that found nobody it is there already."""
        told, name = self._guard.told(here), request.args.get("found", "")[:22]
        kept = self._site.requests.get(f"found.{here.session.key}.{name}") if len(name) == 22 else None
        values = told.values or (kept.value if kept is not None else {})
        return self._guard.show(here, "entering", values=values, errors=told.errors)

    def number(self, here: Here, fields: Parameters) -> Response:
        """Take the number: who is in the list already is shown, and not entered twice."""
        path = f"/staff/{here.clinic.id}/patients"
        typed = {name: fields.get(name, "").strip()[:100] for name in ("number", "country")}
        number = read_number(typed, here.clinic, here.now.astimezone(here.clinic.zone).date())
        if number is None:
            return self._guard.say(here, f"{path}/new", typed, {"number": "s.e.number"})
        try:
            there = self._register.by_number(here.actor, number, here.now)
        except TooManyLooks:
            return self._guard.say(here, f"{path}/new", typed, {"number": "s.e.many"})
        if there is not None:
            return self._guard.say(here, f"{path}/{there.handle}", {"said": "already"})
        draft = secrets.token_urlsafe(16)
        self._put(here, draft, typed)
        return see_other(f"{path}/new/{draft}")

    # ---- the rest --------------------------------------------------------------------------------

    def fill(self, here: Here, draft: str) -> Response:
        """Ask for the rest; what was typed is there again, after a look at the check page too."""
        kept = self._draft(here, draft)
        number = self._number(here, kept)
        if number is None:
            return self._lost(here, kept)
        told = self._guard.told(here)
        values = {**dict.fromkeys(NAMES, ""), "language": here.clinic.offered_languages[0], **kept}
        return self._guard.show(
            here,
            "entry_sheet",
            number=number,
            values=values,
            errors=told.errors,
            **choices(here.clinic, aged=number.birthdate is not None, new=True),
        )

    def filled(self, here: Here, fields: Parameters, draft: str) -> Response:
        """Take the rest, and lead to the check page once it is right."""
        kept = self._draft(here, draft)
        read = self._read(here, kept, fields)
        if read is None:
            return self._lost(here, kept)
        self._put(here, draft, {**kept, **read.values})
        path = f"/staff/{here.clinic.id}/patients/new/{draft}"
        return self._guard.say(here, path, {}, read.errors) if read.errors else see_other(f"{path}/check")

    # ---- checked, and written --------------------------------------------------------------------

    def check(self, here: Here, draft: str) -> Response:
        """Show all of it, before anything is written."""
        kept = self._draft(here, draft)
        read, number = self._read(here, kept, kept), self._number(here, kept)
        if read is None or number is None:
            return self._lost(here, kept)
        if read.errors:
            return see_other(f"/staff/{here.clinic.id}/patients/new/{draft}")
        told = self._guard.told(here)
        return self._guard.show(
            here, "entry_check", number=number, sheet=read.sheet, draft=draft, values=read.values, said=told.values
        )

    def enter(self, here: Here, draft: str) -> Response:
        """Write it, once; or say why not, with what was typed still there."""
        kept, path = self._draft(here, draft), f"/staff/{here.clinic.id}/patients"
        read = self._read(here, kept, kept)
        if read is None or read.errors:
            return self._lost(here, kept)
        sheet = replace(read.sheet, number=self._number(here, kept))
        done = self._register.enter(here.actor, sheet, here.now)
        if isinstance(done, NotDone):
            return self._refused(here, f"{path}/new/{draft}/check", done)
        self._put(here, draft, {"handle": done.handle})  # pressed again, it leads to the same place
        return self._guard.say(here, f"{path}/{done.handle}", {"said": "entered"})

    def _refused(self, here: Here, path: str, done: NotDone) -> Response:
        self._guard.refused(done.why.value)
        patient = done.patient
        known = {"known": patient.name or "", "handle": patient.handle} if patient is not None else {}
        why = done.why if done.why in (Conflict.OTHER_NAME, Conflict.DECEASED) else Conflict.DECEASED
        return self._guard.say(here, path, {"why": why.value, **known})

    # ---- drafts ----------------------------------------------------------------------------------

    def _draft(self, here: Here, draft: str) -> Mapping[str, str]:
        kept = self._site.requests.get(self._name(here, draft)) if len(draft) == 22 else None
        return {} if kept is None else kept.value

    def _put(self, here: Here, draft: str, values: Mapping[str, str]) -> None:
        self._site.requests.put(self._name(here, draft), dict(values), KEPT)

    def _name(self, here: Here, draft: str) -> str:
        """Return where a draft lies: another colleague's, or another clinic's, is not there."""
        return f"draft.{here.session.key}.{here.clinic.id[:8]}.{draft}"

    def _number(self, here: Here, kept: Mapping[str, str]) -> NationalNumber | None:
        return read_number(kept, here.clinic, here.now.astimezone(here.clinic.zone).date())

    def _read(self, here: Here, kept: Mapping[str, str], fields: Mapping[str, str]) -> Read | None:
        number = self._number(here, kept)
        aged = number is not None and number.birthdate is not None
        return None if number is None else read_sheet(fields, here.clinic, new=True, aged=aged)

    def _lost(self, here: Here, kept: Mapping[str, str]) -> Response:
        path = f"/staff/{here.clinic.id}/patients"
        if kept.get("handle"):
            return see_other(f"{path}/{kept['handle']}")
        return self._guard.say(here, f"{path}/new", {}, {"number": "s.e.draft"})
