"""Patients: entered, found, changed, sent their access; deaths and custody."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import structlog
from pydantic import TypeAdapter

from idbroker.api import answers, shapes
from idbroker.api.gate import HEAVY
from idbroker.api.operations import Call, Engines, Operation, Reply
from idbroker.api.problems import Problem, conflict, invalid
from idbroker.api.wire import shaped
from idbroker.errors import BrokerError, StoreError
from idbroker.messages.message import Channel
from idbroker.numbers import NationalNumber, NotANumber, parse
from idbroker.otp.one_time import Limited
from idbroker.patients.patient import NotDone, Patient, Sheet
from idbroker.steps import new_ref

_log = structlog.get_logger("idbroker.api")
NEW_PATIENT: TypeAdapter[shapes.NewPatient] = TypeAdapter(shapes.NewPatient)
SEARCH: TypeAdapter[shapes.ByNumber | shapes.ByName] = TypeAdapter(shapes.Search)


# ---- entered -------------------------------------------------------------------------------------


def enter(engines: Engines, call: Call) -> Reply:
    """Put a patient into the list, or bring them up to date."""
    done = _entered(engines, call, call.body)
    return Reply(status=201 if _is_new(done, call) else 200, body=answers.kept(done), headers=_at(done))


def enter_many(engines: Engines, call: Call) -> Reply:
    """Do the same with many: each by itself."""
    results = [_one(engines, call, index, said) for index, said in enumerate(call.body.patients)]
    return Reply(body=answers.Results(results=results), lasting=all(one.status < 500 for one in results))


def _one(engines: Engines, call: Call, index: int, said: object) -> answers.One:
    try:
        done = _entered(engines, call, shaped(NEW_PATIENT, said))
    except Problem as problem:
        return answers.failed(index, problem)
    except StoreError:
        return answers.failed(index, Problem("unavailable"))
    except Exception as error:  # noqa: BLE001 - nothing of one item hinders another
        detail = error.detail if isinstance(error, BrokerError) else ""
        _log.error(
            "fault", endpoint="api.many", kind=type(error).__name__, detail=detail, ref=new_ref(), exc_info=error
        )
        return answers.failed(index, Problem("fault"))
    status = 201 if _is_new(done, call) else 200
    told = answers.kept(done)
    return answers.One(index=index, status=status, handle=told.handle, standing=told.standing, code=None, errors=[])


def _entered(engines: Engines, call: Call, said: shapes.NewPatient) -> Patient:
    birthdate = said.said("birthdate")
    if birthdate is not None and birthdate > call.today:
        raise invalid("/birthdate", "future")
    number = number_of(said.number, call.today)
    if birthdate is not None and number.birthdate not in (None, birthdate):
        raise invalid("/birthdate", "not_the_numbers")  # as a list is refused: a grown patient would be a child
    sheet = Sheet(
        number=number,
        given_name=said.said("given_name"),
        family_name=said.family_name,
        birthdate=birthdate,
        language=said.said("language"),
        checked=said.said("checked"),
        exempt=_taken_back(said, "exempt"),
        takes_part=said.said("takes_part"),
        protected=said.said("protected"),
        contacts=_contacts(said.said("contacts")),
    )
    return _done(engines.register.enter(call.actor, sheet, call.now))


def _is_new(patient: Patient, call: Call) -> bool:
    entry = patient.enrolment.entry
    return entry is not None and entry.entered_at == call.now


def number_of(said: shapes.Number, today: date, pointer: str = "/number/value") -> NationalNumber:
    """Return a number that was sent. Raises Problem that says where it is, and why it is none."""
    try:
        return parse(said.value, said.country, now=today)
    except NotANumber as error:
        raise invalid(pointer, f"number_{error.reason}") from None


def _taken_back(said: shapes.Shape, name: str) -> str | None:
    """Return a value, "" where it was said to be null, None where nothing was said."""
    if name not in said.model_fields_set:
        return None
    return getattr(said, name) or ""


def _contacts(said: shapes.Contacts | None) -> Mapping[Channel, str]:
    if said is None:
        return {}
    return {Channel(name): _taken_back(said, name) or "" for name in said.model_fields_set}


def _done(result: Patient | NotDone) -> Patient:
    if isinstance(result, NotDone):
        raise conflict(result.why)
    return result


def _at(patient: Patient) -> dict[str, str]:
    return {"ETag": answers.etag(patient), "Location": f"/api/v1/patients/{patient.handle}"}


def _state(patient: Patient) -> dict[str, str]:
    return {"ETag": answers.etag(patient)}


# ---- found ---------------------------------------------------------------------------------------


def search(engines: Engines, call: Call) -> Reply:
    """Find patients of this clinic."""
    said = call.body
    if isinstance(said, shapes.ByNumber):
        one = engines.register.by_number(call.actor, number_of(said.number, call.today), call.now)
        found: tuple[Patient, ...] = () if one is None else (one,)
    else:
        found = engines.register.by_name(call.actor, said.name, said.birthdate, call.now)
    return Reply(body=answers.Found(patients=[answers.patient(one) for one in found]))


def look(engines: Engines, call: Call) -> Reply:
    """Return one patient."""
    found = engines.register.look(call.actor, call.handle, call.now)
    return Reply(body=answers.patient(found), headers=_state(found))


# ---- changed -------------------------------------------------------------------------------------


def change(engines: Engines, call: Call) -> Reply:
    """Change what the clinic has, if it is still as it was read."""
    said = call.body
    sheet = Sheet(
        given_name=said.said("given_name"),
        family_name=said.said("family_name"),
        language=said.said("language"),
        exempt=_taken_back(said, "exempt"),
        takes_part=said.said("takes_part"),
        protected=said.said("protected"),
        contacts=_contacts(said.said("contacts")),
    )
    done = _done(engines.register.change(call.actor, call.handle, sheet, call.mark, call.now))
    return Reply(body=answers.kept(done), headers=_state(done))


def died(engines: Engines, call: Call) -> Reply:
    """Note a death: what runs ends at once."""
    done = engines.register.died(call.actor, call.handle, _past(call), call.now)
    return Reply(body=answers.kept(done), headers=_state(done))


def lives(engines: Engines, call: Call) -> Reply:
    """Take a death back that was noted by mistake."""
    done = engines.register.lives(call.actor, call.handle, call.now)
    return Reply(body=answers.kept(done), headers=_state(done))


def custody(engines: Engines, call: Call) -> Reply:
    """Note that custody has changed: whom this clinic took for a guardian is so no more, the one named or all."""
    said = call.body.said("guardian")
    guardian = None if said is None else number_of(said, call.today, "/guardian/value")
    filed = engines.filing.custody(call.actor, call.handle, _past(call), call.now, guardian)
    body = answers.CustodyKept(handle=filed.patient.handle, ended=filed.ended)
    return Reply(body=body, headers=_state(filed.patient))


def _past(call: Call) -> date:
    on: date = call.body.on
    if on > call.today:
        raise invalid("/on", "future")
    return on


def send(engines: Engines, call: Call) -> Reply:
    """Send a patient their access."""
    channels, service = [Channel(name) for name in call.body.channels], call.body.said("service")
    if service is not None and not _is_ours(engines, call, service):
        raise Problem("not_here")
    result = engines.access.send(call.actor, call.handle, channels, service, call.now)
    if isinstance(result, Limited):
        wait = max(1, int((result.until - call.now).total_seconds()) + 1)
        raise Problem("limited", headers={"Retry-After": str(wait)})
    if isinstance(result, NotDone):
        raise conflict(result.why)
    return Reply(body=answers.sent(result))


def _is_ours(engines: Engines, call: Call, service: str) -> bool:
    # Only what can be an id is looked up: no store takes any text as a key.
    found = engines.clients.find(service) if service.isascii() and service.isprintable() else None
    ours = found is not None and found.clinic == call.client.clinic and not found.disabled
    return ours and found is not None and bool(found.redirect_uris)  # a system of the clinic's is no service


_PATIENT = "/patients/{handle}"
OPERATIONS = (
    Operation(
        name="enterPatient",
        tagged=True,
        method="POST",
        path="/patients",
        scope="patients.write",
        summary="Put a patient into the list, or bring them up to date",
        work=enter,
        takes=NEW_PATIENT,
        answers={200: answers.Kept, 201: answers.Kept},
        problems=("other_name", "no_number", "deceased", "elsewhere"),
        repeatable=True,
    ),
    Operation(
        name="enterPatients",
        method="POST",
        path="/patients/bulk",
        scope="patients.write",
        summary="Put up to 1000 patients into the list: each is judged by itself, and has a result of its own",
        work=enter_many,
        takes=TypeAdapter(shapes.Many),
        answers={200: answers.Results},
        repeatable=True,
        rate=HEAVY,
    ),
    Operation(
        name="findPatients",
        method="POST",
        path="/patients/search",
        scope="patients.read",
        summary="Find patients by number, or by name and birth date; by POST, so that no number is in an address",
        work=search,
        takes=SEARCH,
        answers={200: answers.Found},
    ),
    Operation(
        name="getPatient",
        tagged=True,
        method="GET",
        path=_PATIENT,
        scope="patients.read",
        summary="Read one patient; the patient can see that it was",
        work=look,
        answers={200: answers.PatientTold},
        problems=("not_found",),
    ),
    Operation(
        name="changePatient",
        tagged=True,
        method="PATCH",
        path=_PATIENT,
        scope="patients.write",
        summary="Change what the clinic has of a patient, if it is still as it was read",
        work=change,
        takes=TypeAdapter(shapes.Change),
        answers={200: answers.Kept},
        problems=("not_found", "stale", "precondition_required", "wrong_header", "deceased", "other_name", "elsewhere"),
        conditional=True,
    ),
    Operation(
        name="sendAccess",
        method="POST",
        path=f"{_PATIENT}/access",
        scope="patients.write",
        summary="Send a patient their access, to the addresses that the clinic has",
        work=send,
        takes=TypeAdapter(shapes.Sending),
        answers={200: answers.Sent},
        problems=("not_found", "no_contact", "deceased", "no_number", "not_here", "elsewhere", "limited"),
        repeatable=True,
    ),
    Operation(
        name="noteDeath",
        tagged=True,
        method="POST",
        path=f"{_PATIENT}/death",
        scope="register",
        summary="Note that a patient has died: nobody signs in as them here any more",
        work=died,
        takes=TypeAdapter(shapes.Death),
        answers={200: answers.Kept},
        problems=("not_found",),
        repeatable=True,
    ),
    Operation(
        name="withdrawDeath",
        tagged=True,
        method="DELETE",
        path=f"{_PATIENT}/death",
        scope="register",
        summary="Take a death back that was noted by mistake",
        work=lives,
        answers={200: answers.Kept},
        problems=("not_found",),
    ),
    Operation(
        name="noteCustody",
        tagged=True,
        method="POST",
        path=f"{_PATIENT}/custody",
        scope="register",
        summary="Note that custody of a child has changed: a guardian, or all, may do nothing here any more, at once",
        work=custody,
        takes=TypeAdapter(shapes.Custody),
        answers={200: answers.CustodyKept},
        problems=("not_found",),
        repeatable=True,
    ),
)
