"""What can be wrong with a call, by stable code, as the caller is told (RFC 9457). Nothing that was sent is echoed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from idbroker.errors import BrokerError
from idbroker.patients.patient import Conflict

TYPES = "/api/v1/openapi.json#/x-problems/"  # each code's meaning, as the document has it


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: its HTTP status, and what it means, in one sentence that may be read by anybody."""

    status: int
    title: str


KINDS: Mapping[str, Kind] = {
    # Who calls.
    "no_token": Kind(401, "An access token is needed in the Authorization header"),
    "invalid_token": Kind(401, "The access token is not valid, or is over"),
    "invalid_request": Kind(400, "The Authorization header does not hold one Bearer token, or the token is elsewhere"),
    "insufficient_scope": Kind(403, "The access token does not have the scope that this needs"),
    "too_many_requests": Kind(429, "Too many requests: wait as long as Retry-After says"),
    # What is called.
    "not_found": Kind(404, "There is no such thing here"),
    "method_not_allowed": Kind(405, "This can be asked by the methods in Allow only"),
    "unknown_parameter": Kind(400, "The query holds a parameter that is not known here, or one twice"),
    "wrong_parameter": Kind(400, "A parameter of the query is missing, or is not one of its values"),
    "wrong_header": Kind(400, "A header that counts here stands twice, or does not read"),
    # What is sent.
    "unsupported_media_type": Kind(415, "The body must be application/json, in UTF-8"),
    "too_large": Kind(413, "The body is larger than 1 MiB"),
    "not_json": Kind(400, "The body is not one JSON object with one reading: UTF-8, no member twice, no NaN"),
    "invalid": Kind(422, "The body is not as this operation takes it: `errors` says where"),
    "no_body": Kind(400, "This operation takes no body"),
    # In which state, and how often.
    "precondition_required": Kind(428, "An If-Match header must name the state that was read"),
    "stale": Kind(412, "It has been changed since it was read: read it again"),
    "key_reused": Kind(422, "This Idempotency-Key came with another request before"),
    "in_progress": Kind(409, "The first request with this Idempotency-Key is still being worked on"),
    # Why it was not done.
    "other_name": Kind(409, "This number is in the list under another name"),
    "no_contact": Kind(409, "There is no address to send to by these channels"),
    "deceased": Kind(409, "The patient is noted as deceased"),
    "not_asked": Kind(409, "Nobody has asked for that"),
    "not_alike": Kind(409, "Who asks differs from the clinic's own record: a person must look"),
    "not_here": Kind(409, "The service is not there, or does not take that"),
    "no_number": Kind(409, "The patient has no national number here"),
    "elsewhere": Kind(409, "It would change more than this clinic's own: the operator does that"),
    "decided": Kind(409, "Somebody has answered before, and otherwise"),
    "guardian_self": Kind(409, "Nobody is their own guardian"),
    "guardian_age": Kind(409, "A guardian is 18 or older, and this is known"),
    "guardian_noted": Kind(409, "This guardian is noted already, and otherwise: end that first"),
    "guardians_full": Kind(409, "As many guardians are noted as may be: end one first"),
    "ward_age": Kind(409, "The patient is too old for that, or it is not known when they were born"),
    "until_past": Kind(409, "`until` is the first day on which it does not hold: it must be after today"),
    "mandate_not_taken": Kind(409, "The clinic does not take powers of attorney, or not these"),
    "mandate_no_powers": Kind(409, "A power of attorney must say what for"),
    "guardian_opens_nothing": Kind(409, "At no service of the clinic does that relation let anybody do anything"),
    "limited": Kind(429, "Too much was sent to this patient lately: wait as long as Retry-After says"),
    # Our side.
    "fault": Kind(500, "Something is wrong on our side; `ref` is what to tell us"),
    "unavailable": Kind(503, "We cannot do this just now: wait as long as Retry-After says"),
}


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing that is wrong in a body: where (RFC 6901), and why, by a stable code."""

    pointer: str
    code: str


class Problem(BrokerError):
    """The caller is told, as `application/problem+json`."""

    def __init__(
        self,
        code: str,
        *,
        errors: Sequence[Wrong] = (),
        headers: Mapping[str, str] | None = None,
        ref: str = "",
        detail: str = "",
    ) -> None:
        super().__init__(detail or code)
        self.code = code
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.ref = ref

    @property
    def status(self) -> int:
        """Return the HTTP status."""
        return KINDS[self.code].status

    def body(self, issuer: str) -> dict[str, object]:
        """Return the document (RFC 9457, 3)."""
        kind = KINDS[self.code]
        told: dict[str, object] = {
            "type": f"{issuer}{TYPES}{self.code}",
            "title": kind.title,
            "status": kind.status,
            "code": self.code,
        }
        if self.errors:
            told["errors"] = [{"pointer": wrong.pointer, "code": wrong.code} for wrong in self.errors]
        return told | ({"ref": self.ref} if self.ref else {})


def invalid(pointer: str, code: str) -> Problem:
    """Return the problem of one wrong member."""
    return Problem("invalid", errors=(Wrong(pointer, code),))


def conflict(why: Conflict) -> Problem:
    """Return the problem of what an engine did not do."""
    return Problem(why.value)
