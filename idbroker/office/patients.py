"""`/staff/CLINIC`: finding a patient; the patient's page, and changing what the clinic has of them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import date, timedelta

from flask import Blueprint, request
from werkzeug.wrappers import Response

from idbroker.identity import LoA
from idbroker.messages.addresses import display
from idbroker.messages.message import Channel
from idbroker.office.guard import Guard, Here
from idbroker.office.sheets import choices, filled, read_day, read_number, read_sheet
from idbroker.office.trails import Trails, why_of
from idbroker.patients.comparing import masked
from idbroker.patients.patient import CHECKED, Conflict, NotDone, Patient, TooManyLooks
from idbroker.staff.member import Role
from idbroker.web.headers import see_other

KEPT = timedelta(minutes=30)  # what a search has found, for a reload and the way back
_SEARCHED = ("number", "country", "name", "birthdate")
_LONGEST = 100
_LABELS = {Channel.EMAIL: "r.mail", Channel.SMS: "r.mob"}


def routes(blueprint: Blueprint, guard: Guard) -> None:
    """Add the pages."""
    pages = _Patients(guard)
    path = "/staff/<clinic>/patients/<handle>"

    @blueprint.get("/staff/<clinic>")
    def search(clinic: str) -> Response:
        return pages.search(guard.here(clinic))

    @blueprint.post("/staff/<clinic>")
    def find(clinic: str) -> Response:
        here, fields = guard.posted(clinic)
        return pages.find(here, {name: fields.get(name, "").strip()[:_LONGEST] for name in _SEARCHED})

    @blueprint.get(path)
    def patient(clinic: str, handle: str) -> Response:
        return pages.page(guard.here(clinic), handle)

    @blueprint.get(f"{path}/edit")
    def edit(clinic: str, handle: str) -> Response:
        return pages.edit(guard.here(clinic), handle)

    @blueprint.post(f"{path}/edit")
    def save(clinic: str, handle: str) -> Response:
        return pages.save(*guard.posted(clinic), handle)

    @blueprint.get(f"{path}/death")
    def death(clinic: str, handle: str) -> Response:
        return pages.death(guard.here(clinic, Role.ADMINISTRATOR), handle)

    @blueprint.post(f"{path}/death")
    def note_death(clinic: str, handle: str) -> Response:
        return pages.note_death(*guard.posted(clinic, Role.ADMINISTRATOR), handle)


class _Patients:
    """Fills in the pages."""

    def __init__(self, guard: Guard) -> None:
        self._guard, self._site, self._register = guard, guard.site, guard.desk.register
        self._trails = Trails(members=guard.desk.entrance.members, clients=guard.site.clients)

    # ---- finding ---------------------------------------------------------------------------------

    def search(self, here: Here) -> Response:
        """Show the search, or what it has found."""
        found = request.args.get("found", "")[:22]
        kept = self._site.requests.get(f"found.{here.session.key}.{found}") if len(found) == 22 else None
        if kept is not None:
            patients = self._register.again(here.actor, kept.value["handles"].split())
            typed = bool(kept.value["number"])
            return self._guard.show(here, "found", patients=patients, found=found, typed=typed, titles=self._titles())
        told = self._guard.told(here)
        return self._guard.show(here, "search", values=told.values, errors=told.errors)

    def find(self, here: Here, fields: Mapping[str, str]) -> Response:
        """Look for a number, or for a name and a birth date. Neither is ever part of an address."""
        path = f"/staff/{here.clinic.id}"
        try:
            found, errors = self._found(here, fields)
        except TooManyLooks:
            return self._guard.say(here, path, fields, {"number": "s.e.many"})
        if errors:
            return self._guard.say(here, path, fields, errors)
        name = secrets.token_urlsafe(16)
        kept = {**fields, "handles": " ".join(one.handle for one in found)}
        self._site.requests.put(f"found.{here.session.key}.{name}", kept, KEPT)
        return see_other(f"{path}?found={name}")

    def _found(self, here: Here, fields: Mapping[str, str]) -> tuple[tuple[Patient, ...], dict[str, str]]:
        if fields["number"] or not (fields["name"] or fields["birthdate"]):
            number = read_number(fields, here.clinic, self._today(here))
            if number is None:
                return (), {"number": "s.e.number"}
            one = self._register.by_number(here.actor, number, here.now)
            return (() if one is None else (one,)), {}
        born = read_day(fields["birthdate"])
        if born is None or not fields["name"]:
            return (), {
                **({} if fields["name"] else {"name": "s.e.name"}),
                **({} if born else {"birthdate": "s.e.born"}),
            }
        return self._register.by_name(here.actor, fields["name"], born, here.now), {}

    # ---- one patient -----------------------------------------------------------------------------

    def page(self, here: Here, handle: str) -> Response:
        """Show a patient."""
        patient = self._register.look(here.actor, handle, here.now)
        entry = patient.enrolment.entry
        return self._guard.show(
            here,
            "patient",
            patient=patient,
            entry=entry,
            by=self._trails.called(entry.by) if entry else "",
            said=self._guard.told(here).values,
            contacts=_contacts(patient),
            titles=self._titles(),
            links=self._links(here, patient),
            rows=self._trails.rows(self._register.trail(patient, 50)),
            checks=CHECKED,
            why_of=why_of,
        )

    def _links(self, here: Here, patient: Patient) -> dict[str, str]:
        """Return what can be done with this patient now, with the texts' keys: the row of links."""
        if patient.has_died:
            return {"death": "s.do.life"} if here.actor.may(Role.ADMINISTRATOR) else {}
        helped = self._guard.desk.assisting.services(here.clinic.id)
        guarded = self._guard.desk.noting.applies(here.actor, patient.handle, here.now)
        ways = self._guard.desk.calls.ways(here.actor, patient.handle) if patient.number else {}
        return {
            "edit": "s.edit",
            **({"access": "s.do.access", "letter": "s.do.letter"} if patient.number else {}),
            **({"help": "s.as"} if helped else {}),
            **({"call": "s.do.call"} if ways else {}),
            **({"guardians": "s.gd"} if guarded else {}),
            **({"merge": "s.do.merge", "death": "s.do.death"} if here.actor.may(Role.ADMINISTRATOR) else {}),
        }

    # ---- changing --------------------------------------------------------------------------------

    def edit(self, here: Here, handle: str) -> Response:
        """Show the form: as it is now, or as it was typed when something was wrong with it."""
        patient, told = self._register.look(here.actor, handle, here.now), self._guard.told(here)
        now = filled(patient)
        return self._guard.show(
            here,
            "edit",
            patient=patient,
            values={**now, **told.values},
            now=now if told.values else {},
            errors=told.errors,
            said=told.values,
            **choices(here.clinic, aged=_is_aged(patient), new=False),
        )

    def save(self, here: Here, fields: Mapping[str, str], handle: str) -> Response:
        """Change what the clinic has; a form on an earlier state comes back, with what was typed."""
        patient = self._register.again(here.actor, (handle,))
        aged = not patient or _is_aged(patient[0])
        path = f"/staff/{here.clinic.id}/patients/{handle}"
        read = read_sheet(fields, here.clinic, new=False, aged=aged)
        if read.errors:
            return self._guard.say(here, f"{path}/edit", read.values, read.errors)
        done = self._register.change(here.actor, handle, read.sheet, fields.get("mark", "-"), here.now)
        if isinstance(done, NotDone):
            self._guard.refused(done.why.value)
            return self._guard.say(here, f"{path}/edit", {**read.values, **self._why(done)})
        told = patient and any(done.enrolment.told.get(one) != old for one, old in patient[0].enrolment.told.items())
        return self._guard.say(here, path, {"said": "told" if told else "changed"})

    def _why(self, done: NotDone) -> dict[str, str]:
        by = {"by": self._trails.called(done.by), "at": done.at.isoformat()} if done.at and done.by else {}
        return {"why": done.why.value, **(by if done.why is Conflict.STALE else {})}

    # ---- deaths ----------------------------------------------------------------------------------

    def death(self, here: Here, handle: str) -> Response:
        """Ask for the day, or whether the note is taken back."""
        told = self._guard.told(here)
        patient = self._register.look(here.actor, handle, here.now)
        return self._guard.show(here, "death", patient=patient, values=told.values, errors=told.errors)

    def note_death(self, here: Here, fields: Mapping[str, str], handle: str) -> Response:
        """Note a death, or take it back."""
        path = f"/staff/{here.clinic.id}/patients/{handle}"
        if fields.get("do") == "lives":
            self._register.lives(here.actor, handle, here.now)
            return self._guard.say(here, path, {"said": "lives"})
        typed = fields.get("on", "")[:_LONGEST]
        on, born = read_day(typed), self._register.look(here.actor, handle, here.now).birthdate
        if on is None or on > self._today(here) or (born is not None and on < born):
            return self._guard.say(here, f"{path}/death", {"on": typed}, {"on": "s.e.death"})
        self._register.died(here.actor, handle, on, here.now)
        return self._guard.say(here, path, {"said": "died"})

    # ---- how -------------------------------------------------------------------------------------

    def _titles(self) -> dict[str, str]:
        """Return what eIDs are called; a password is none."""
        return {name: known.title for name, known in self._site.broker.providers.items() if known.loa is not LoA.LOW}

    def _today(self, here: Here) -> date:
        return here.now.astimezone(here.clinic.zone).date()


def _is_aged(patient: Patient) -> bool:
    return patient.number is not None and patient.number.birthdate is not None


def _contacts(patient: Patient) -> list[dict[str, str]]:
    """Return the addresses: the clinic's, whether the patient has confirmed them, and the patient's own if others."""
    return [_contact(patient, channel, label) for channel, label in _LABELS.items()]


def _contact(patient: Patient, channel: Channel, label: str) -> dict[str, str]:
    told, account = patient.enrolment.told.get(channel, ""), patient.account
    own = next((one.address for one in account.reachable if one.channel is channel), "") if account else ""
    same = bool(told) and told.casefold() == own.casefold()
    whole = patient.confirmed.get(channel, "") if own and not same else ""
    return {
        "label": label,
        "told": display(told) if told and channel is Channel.SMS else told,
        "state": ("s.conf" if same else "s.unconf") if told else "",
        "own": masked(channel, own) if own and not same and patient.came and not whole else "",
        "confirmed": display(whole) if whole and channel is Channel.SMS else whole,
    }
