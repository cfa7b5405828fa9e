"""Who asked to be taken, and the clinic's answer."""

from __future__ import annotations

from pydantic import TypeAdapter

from idbroker.accounts.account import Standing
from idbroker.api import answers, shapes
from idbroker.api.operations import Call, Engines, Operation, Reply
from idbroker.api.problems import Problem, conflict
from idbroker.patients.patient import NotDone
from idbroker.patients.queue import Answered


def waiting(engines: Engines, call: Call) -> Reply:
    """Return who waits."""
    found = engines.queue.waiting(call.actor)
    return Reply(body=answers.Waiting(enrolments=[answers.asking(one) for one in found]))


def approve(engines: Engines, call: Call) -> Reply:
    """Take somebody."""
    return _decided(engines.queue.approve(call.actor, call.handle, call.now), Standing.APPROVED)


def decline(engines: Engines, call: Call) -> Reply:
    """Take them not."""
    result = engines.queue.decline(call.actor, call.handle, call.body.reason, call.now)
    return _decided(result, Standing.DECLINED)


def _decided(result: Answered | NotDone, wanted: Standing) -> Reply:
    if isinstance(result, NotDone):
        raise conflict(result.why)
    standing = result.patient.enrolment.standing
    if standing is not wanted:
        raise Problem("decided")  # a program that reads only the status must not take it for its own answer
    told = {"standing": standing.value, "handle": result.patient.handle, "first": result.first, "at": result.at}
    return Reply(body=answers.Decision.model_validate(told), headers={"ETag": answers.etag(result.patient)})


OPERATIONS = (
    Operation(
        name="listEnrolments",
        method="GET",
        path="/enrolments",
        scope="enrolments",
        summary="Read who waits for the clinic's answer, oldest first, and how they differ from its own record",
        work=waiting,
        query={"standing": ("asked",)},
        answers={200: answers.Waiting},
        problems=("wrong_parameter",),
    ),
    Operation(
        name="approveEnrolment",
        tagged=True,
        method="POST",
        path="/enrolments/{handle}/approve",
        scope="enrolments",
        summary="Take somebody, and tell them",
        work=approve,
        answers={200: answers.Decision},
        problems=("not_found", "not_asked", "decided", "deceased", "elsewhere"),
        repeatable=True,
    ),
    Operation(
        name="declineEnrolment",
        tagged=True,
        method="POST",
        path="/enrolments/{handle}/decline",
        scope="enrolments",
        summary="Take somebody not, and tell them whom to ask",
        work=decline,
        takes=TypeAdapter(shapes.Declining),
        answers={200: answers.Decision},
        problems=("not_found", "not_asked", "decided", "deceased", "elsewhere"),
        repeatable=True,
    ),
)
