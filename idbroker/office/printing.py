"""What is printed: a letter with a code for one patient, and instructions for each way to sign in, for everybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flask import Blueprint, request
from werkzeug.wrappers import Response

from idbroker.accounts.entries import exempt_at
from idbroker.client import Client
from idbroker.clinic import LANGUAGES, Clinic
from idbroker.errors import NotFound
from idbroker.office.guard import Guard, Here
from idbroker.office.sending import lines, reason, refused
from idbroker.oidc.parameters import Parameters
from idbroker.patients.access import Letter
from idbroker.patients.assisting import PROVIDER
from idbroker.patients.patient import Patient
from idbroker.web.views import way
from idbroker.words import calendar_date

# What is done after the button was pressed: texts' keys, by eID; where we have none, the page of the eID says it.
STEPS: Mapping[str, tuple[str, ...]] = {
    "bankid": ("i.bankid.1", "i.bankid.2", "i.bankid.3"),
    "freja": ("i.freja.1", "i.bankid.2", "i.freja.3"),
    "mitid": ("i.mitid.1", "i.mitid.2"),
    "borgeradgang": ("i.mitid.1", "i.mitid.2"),
    "suomifi": ("i.suomifi.1", "i.suomifi.2"),
    "ftn": ("i.suomifi.1", "i.suomifi.2"),
    "fallback": ("i.fallback.1", "i.fallback.2", "i.fallback.3"),
}
_NEEDS = {"borgeradgang": "mitid", "ftn": "suomifi"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to sign in at a clinic: the name in the address, the words of its button, and of which kind it is."""

    name: str
    title: str
    kind: str

    @property
    def label(self) -> str:
        """Return the key of the button's text."""
        return way(self.name, self.title, self.kind).label

    @property
    def need(self) -> str:
        """Return the key of what one needs for it."""
        return f"i.{_NEEDS.get(self.kind, self.kind)}.need" if self.kind in STEPS else "i.other.need"

    @property
    def steps(self) -> tuple[str, ...]:
        """Return the keys of what one does."""
        return STEPS.get(self.kind, ("i.other.1",))


def routes(blueprint: Blueprint, guard: Guard) -> None:
    """Add the routes."""
    letters, instructions = _Letters(guard), _Instructions(guard)

    @blueprint.get("/staff/<clinic>/patients/<handle>/letter")
    def letter(clinic: str, handle: str) -> Response:
        return letters.show(guard.here(clinic), handle)

    @blueprint.post("/staff/<clinic>/patients/<handle>/letter")
    def make(clinic: str, handle: str) -> Response:
        return letters.make(*guard.posted(clinic), handle)

    @blueprint.get("/staff/<clinic>/instructions")
    def all_instructions(clinic: str) -> Response:
        return instructions.all(guard.here(clinic))

    @blueprint.get("/instructions/<clinic>/<name>")
    def one(clinic: str, name: str) -> Response:
        return instructions.one(clinic, name)


class _Letters:
    """The page of a letter: what it is for; and, once, the letter itself."""

    def __init__(self, guard: Guard) -> None:
        self._guard, self._access = guard, guard.desk.access

    def show(self, here: Here, handle: str) -> Response:
        """Show the letter that was just made, once; else what one is for, and when the last was made."""
        patient = self._guard.desk.register.look(here.actor, handle, here.now)
        told = self._guard.told(here)
        if told.values.get("code"):
            return self._letter(here, patient, told.values)
        receipts = tuple(one for one in self._access.receipts(here.actor, handle) if one.kind == "letter")
        return self._guard.show(
            here,
            "letter",
            told=told,
            patient=patient,
            services=self._access.services(here.actor),
            chosen=patient.enrolment.client or "",
            lines=lines(receipts, here),
        )

    def make(self, here: Here, fields: Parameters, handle: str) -> Response:
        """Make a code, and go to the page that shows it."""
        address = f"/staff/{here.clinic.id}/patients/{handle}/letter"
        made = self._access.letter(here.actor, handle, fields.get("service"), here.now)
        if not isinstance(made, Letter):
            return self._guard.say(here, address, refused(made, here), {"letter": reason(made)})
        said = {"code": made.code, "until": made.until.isoformat(), "service": fields.get("service", "")}
        return self._guard.say(here, address, {**said, "day": self._day(here, handle, made)})

    def _day(self, here: Here, handle: str, made: Letter) -> str:
        patient = self._guard.desk.register.look(here.actor, handle, here.now)
        return calendar_date(made.until.astimezone(here.clinic.zone).date(), _spoken(patient, here.clinic))

    def _letter(self, here: Here, patient: Patient, said: Mapping[str, str]) -> Response:
        """Show it in the patient's language; what staff are told beside it is in theirs, and is not printed."""
        language = _spoken(patient, here.clinic)
        service = _service(self._access.services(here.actor), said["service"] or patient.enrolment.client)
        enrolled, account = patient.enrolment, patient.account
        confirmed = account is not None and (
            account.confirmed_at is not None or exempt_at(account, enrolled) is not None
        )
        return self._guard.show(
            here,
            "letterpaper",
            patient=patient,
            code=said["code"],
            day=said["day"],
            spoken=language,
            service=service.called(language) if service else here.clinic.name,
            address=f"{self._guard.site.issuer}/activate",
            eid=not confirmed,
        )


class _Instructions:
    """A page for each way to sign in, to be printed: from the clinic's own pages, or by whoever has the address."""

    def __init__(self, guard: Guard) -> None:
        self._guard, self._site = guard, guard.site

    def all(self, here: Here) -> Response:
        """Show which there are."""
        services = self._guard.desk.access.services(here.actor)
        return self._guard.show(here, "instructions", ways=self._ways(here.clinic), services=services)

    def one(self, clinic: str, name: str) -> Response:
        """Show one. NotFound for a clinic or a way that is not there; nothing on it is about anybody."""
        known = self._site.clinics.find(clinic)
        found = next((one for one in self._ways(known) if one.name == name), None) if known else None
        if known is None or found is None:
            raise NotFound("no such instruction")
        language = self._guard.language(None, known)
        services = tuple(one for one in self._site.clients.all() if one.clinic == known.id and not one.disabled)
        service = _service(services, request.args.get("service", "")[:64])
        return self._guard.bare(
            "instruction",
            language,
            known,
            way=found,
            service=service.called(language) if service else known.name,
            address=service.way_back if service else self._site.issuer,
            chosen=service.id if service else "",
        )

    def _ways(self, clinic: Clinic) -> tuple[Way, ...]:
        """Return a clinic's ways to sign in, but for the one that is staff's own."""
        providers = self._site.broker.providers
        names = [name for name in clinic.providers if name in providers and name != PROVIDER]
        return tuple(
            Way(name=name, title=providers[name].title, kind=self._site.kinds.get(name, name)) for name in names
        )


def _service(services: tuple[Client, ...], wanted: str | None) -> Client | None:
    found = next((one for one in services if one.id == wanted), None)
    return found or next(iter(services), None)


def _spoken(patient: Patient, clinic: Clinic) -> str:
    """Return the patient's language, if it is one of ours."""
    wished = patient.enrolment.language
    return wished if wished in LANGUAGES else clinic.offered_languages[0]
