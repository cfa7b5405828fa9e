"""`/staff/CLINIC/approvals`: who waits, how they compare with the clinic's own list, and its answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from flask import Blueprint
from werkzeug.wrappers import Response

from idbroker.accounts.account import Standing
from idbroker.identity import LoA
from idbroker.office.guard import Guard, Here
from idbroker.oidc.parameters import Parameters
from idbroker.patients.patient import Conflict, NotDone
from idbroker.patients.queue import Answered
from idbroker.staff.member import Role

_LONGEST_REASON = 500
_MOST = 50  # answered at once
_LEFT = {Conflict.NOT_ALIKE: "s.appr.alike", Conflict.DECEASED: "s.e.deceased"}


def routes(blueprint: Blueprint, guard: Guard) -> None:
    """Add the page."""
    pages = _Approvals(guard)

    @blueprint.get("/staff/<clinic>/approvals")
    def waiting(clinic: str) -> Response:
        return pages.show(guard.here(clinic, Role.APPROVER))

    @blueprint.post("/staff/<clinic>/approvals")
    def answer(clinic: str) -> Response:
        return pages.answer(*guard.posted(clinic, Role.APPROVER))


class _Approvals:
    """Fills in the page. What an answer came to is said once, on the page that follows."""

    def __init__(self, guard: Guard) -> None:
        self._guard, self._site, self._queue = guard, guard.site, guard.desk.queue
        self._register = guard.desk.register

    def show(self, here: Here) -> Response:
        """Show who waits."""
        told, waiting = self._guard.told(here), self._queue.waiting(here.actor)
        self._register.shown(here.actor, (one.patient for one in waiting), here.now)
        return self._guard.show(
            here,
            "approvals",
            waiting=waiting,
            alike=[one for one in waiting if one.alike],
            titles=self._titles(),
            iso=date.fromisoformat,
            said=_lines(told.values),
            values=told.values,
            errors=told.errors,
        )

    def answer(self, here: Here, fields: Parameters) -> Response:
        """Take an answer: of two at the same time the first counts, and the other is told whose that was."""
        handle, path = fields.get("handle", ""), f"/staff/{here.clinic.id}/approvals"
        if fields.get("do") == "many":
            many = [name.removeprefix("one.") for name in fields if name.startswith("one.")][:_MOST]
            return self._said(here, path, self._queue.approve_alike(here.actor, many, here.now))
        if fields.get("do") == "approve":
            return self._said(here, path, (self._queue.approve(here.actor, handle, here.now),))
        reason = fields.get("reason", "").strip()[:_LONGEST_REASON]
        if not reason:
            return self._guard.say(here, path, {"handle": handle}, {f"reason-{handle[:22]}": "s.e.reason"})
        return self._said(here, path, (self._queue.decline(here.actor, handle, reason, here.now),))

    def _said(self, here: Here, path: str, answers: tuple[Answered | NotDone, ...]) -> Response:
        for why in dict.fromkeys(map(_why, answers)):  # once, however many were ticked
            if why:
                self._guard.refused(why)
        lines = {f"said.{number:02}": "\n".join(_line(one)) for number, one in enumerate(answers)}
        return self._guard.say(here, path, lines)

    def _titles(self) -> dict[str, str]:
        return {name: known.title for name, known in self._site.broker.providers.items() if known.loa is not LoA.LOW}


def _why(answer: Answered | NotDone) -> str:
    """Return why an answer was not taken, for the trail; "" for one that was."""
    if isinstance(answer, NotDone):
        return answer.why.value
    return "" if answer.first else "answered"


def _line(answer: Answered | NotDone) -> tuple[str, ...]:
    """Return what an answer came to: a text's key, the patient's name, and whose it was, and when."""
    if isinstance(answer, NotDone):
        return (_LEFT.get(answer.why, "s.appr.unasked"), (answer.patient and answer.patient.name) or "–", "", "")
    approved = answer.patient.enrolment.standing is Standing.APPROVED
    key = f"s.appr.{'ok' if approved else 'no'}{'' if answer.first else '.by'}"
    return key, answer.patient.name or "–", answer.by, answer.at.isoformat()


def _lines(told: Mapping[str, str]) -> list[tuple[str, str, str, datetime | None]]:
    found = [told[name].split("\n") for name in sorted(told) if name.startswith("said.")]
    return [(key, name, by, datetime.fromisoformat(at) if at else None) for key, name, by, at in found]
