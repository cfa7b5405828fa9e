"""Who may act for a patient, as the clinic's own program notes it."""

from __future__ import annotations

from pydantic import TypeAdapter

from idbroker.api import answers, shapes
from idbroker.api.operations import Call, Engines, Operation, Reply
from idbroker.api.patients import number_of
from idbroker.api.problems import Problem
from idbroker.patients.noting import WITHDRAWN, Said, WhyNot


def listed(engines: Engines, call: Call) -> Reply:
    """Return who may act for a patient; that somebody looked is in the patient's trail."""
    engines.register.look(call.actor, call.handle, call.now)
    found = engines.noting.of(call.actor, call.handle, call.now)
    return Reply(body=answers.Guardians(guardians=[answers.guardian(one) for one in found]))


def note(engines: Engines, call: Call) -> Reply:
    """Note that somebody may."""
    sent = call.body
    number = number_of(sent.number, call.today)
    said = Said(relation=sent.relation, powers=tuple(sent.said("powers") or ()), until=sent.said("until"))
    noted = engines.noting.note(call.actor, call.handle, number, said, call.now)
    if isinstance(noted, WhyNot):
        raise Problem(noted.value)
    row = noted.row
    body = answers.GuardianKept(id=row.id, until=row.until, limit_on=row.limit_on)
    return Reply(status=201 if noted.first else 200, body=body)


def end(engines: Engines, call: Call) -> Reply:
    """End it; what runs ends at once."""
    engines.noting.end(call.actor, call.handle, call.guardian, WITHDRAWN, call.now)
    return Reply(status=204)


_PATH = "/patients/{handle}/guardians"
OPERATIONS = (
    Operation(
        name="listGuardians",
        method="GET",
        path=_PATH,
        scope="patients.read",
        summary="Read who may act for a patient, by this clinic's own notes; the patient can see that it was read",
        work=listed,
        answers={200: answers.Guardians},
        problems=("not_found",),
    ),
    Operation(
        name="noteGuardian",
        method="POST",
        path=_PATH,
        scope="patients.write",
        summary="Note that somebody may act for a patient; they sign in with an eID of their own",
        work=note,
        takes=TypeAdapter(shapes.NewGuardian),
        answers={200: answers.GuardianKept, 201: answers.GuardianKept},
        problems=(
            "not_found",
            "guardian_self",
            "guardian_age",
            "guardian_noted",
            "guardians_full",
            "ward_age",
            "until_past",
            "mandate_not_taken",
            "mandate_no_powers",
            "guardian_opens_nothing",
            "deceased",
        ),
        repeatable=True,
    ),
    Operation(
        name="endGuardian",
        method="DELETE",
        path=f"{_PATH}/{{guardian}}",
        scope="patients.write",
        summary="Note that somebody may not act for a patient any more: what runs ends at once",
        work=end,
        answers={204: None},
        problems=("not_found",),
    ),
)
