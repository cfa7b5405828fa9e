"""`/staff/CLINIC/colleagues`: who works at a clinic, for its administrators."""

from __future__ import annotations

from flask import Blueprint
from werkzeug.wrappers import Response

from idbroker.clinic import LANGUAGES
from idbroker.office.guard import Guard, Here
from idbroker.oidc.parameters import Parameters
from idbroker.staff.member import Member, Role
from idbroker.staff.roster import LONGEST_NAME, Linked, Newcomer, Undone

_LONGEST = 254


def routes(blueprint: Blueprint, guard: Guard) -> None:
    """Add the routes."""
    pages = _Colleagues(guard)

    @blueprint.get("/staff/<clinic>/colleagues")
    def colleagues(clinic: str) -> Response:
        return pages.all(guard.here(clinic, Role.ADMINISTRATOR))

    @blueprint.post("/staff/<clinic>/colleagues")
    def add(clinic: str) -> Response:
        return pages.add(*guard.posted(clinic, Role.ADMINISTRATOR))

    @blueprint.get("/staff/<clinic>/colleagues/<staff>")
    def colleague(clinic: str, staff: str) -> Response:
        return pages.one(guard.here(clinic, Role.ADMINISTRATOR), staff)

    @blueprint.post("/staff/<clinic>/colleagues/<staff>")
    def change(clinic: str, staff: str) -> Response:
        here, fields = guard.posted(clinic, Role.ADMINISTRATOR)
        return pages.change(here, staff, fields)


class _Colleagues:
    """The two pages."""

    def __init__(self, guard: Guard) -> None:
        self._guard, self._roster = guard, guard.desk.roster

    def all(self, here: Here) -> Response:
        """Show everybody, and the form for one more."""
        colleagues = self._roster.colleagues(here.clinic.id)
        settings = self._roster.entrance.settings
        return self._guard.show(
            here,
            "colleagues",
            told=self._guard.told(here),
            colleagues=colleagues,
            roles=tuple(Role),
            organisation=settings.title if settings.issuer else "",
        )

    def add(self, here: Here, fields: Parameters) -> Response:
        """Add somebody, and send them a link."""
        typed = {
            name: fields.get(name, "").strip()[:_LONGEST] for name in ("login", "name", "email", "role", "subject")
        }
        role, language = typed["role"], fields.get("language", "")
        address = f"/staff/{here.clinic.id}/colleagues"
        if role not in set(Role) or not typed["email"]:
            field, key = ("role", "s.st.e.role") if typed["email"] else ("email", "s.st.e.email")
            return self._guard.say(here, address, typed, {field: key})
        issuer = self._roster.entrance.settings.issuer
        newcomer = Newcomer(
            login=typed["login"],
            name=typed["name"][: LONGEST_NAME + 1],
            email=typed["email"],
            roles={here.clinic.id: Role(role)},
            language=language if language in LANGUAGES else here.language,
            subject=f"{issuer}\n{typed['subject']}" if issuer and typed["subject"] else None,
        )
        done = self._roster.add(newcomer, here.actor, here.now)
        if isinstance(done, Undone):
            return self._guard.say(here, address, typed, {done.field or "login": done.key})
        return self._linked(here, done)

    def one(self, here: Here, staff: str) -> Response:
        """Show one, and what may be done."""
        member = self._roster.colleague(staff, here.actor)
        return self._guard.show(
            here,
            "colleague",
            told=self._guard.told(here),
            member=member,
            role=member.roles[here.clinic.id],
            roles=tuple(Role),
            mine=member.id == here.member.id,
            may_reset=self._roster.may_reset(member, here.actor),
            elsewhere=set(member.roles) != {here.clinic.id},
        )

    def change(self, here: Here, staff: str, fields: Parameters) -> Response:
        """Do what a form asks."""
        do, role = fields.get("do", ""), fields.get("role", "")
        if do == "reset":
            return self._linked_or_not(here, staff, self._roster.reset(staff, here.actor, here.now))
        if do == "end":
            return self._done(here, staff, self._roster.end(staff, here.actor, here.now), "s.st.ended")
        if do == "enable":
            return self._done(here, staff, self._roster.enable(staff, here.actor, here.now), "s.st.enabled")
        if do != "role" or role not in set(Role):
            return self._guard.say(here, _at(here, staff), {}, {"role": "s.st.e.role"})
        changed = self._roster.role(staff, here.clinic.id, Role(role), here.actor, here.now)
        return self._done(here, staff, changed, "me.saved")

    def _done(self, here: Here, staff: str, done: Member | Undone, note: str) -> Response:
        if isinstance(done, Undone):
            return self._guard.say(here, _at(here, staff), {}, {"": done.key})
        still = here.clinic.id in done.roles
        place = _at(here, staff) if still else f"/staff/{here.clinic.id}/colleagues"
        return self._guard.say(here, place, {"note": note})

    def _linked_or_not(self, here: Here, staff: str, done: Linked | Undone) -> Response:
        if isinstance(done, Undone):
            return self._guard.say(here, _at(here, staff), {}, {"": done.key})
        return self._linked(here, done)

    def _linked(self, here: Here, done: Linked) -> Response:
        by_subject = "s.st.organisation" if done.member.subject else "s.st.unsent"
        note = "s.st.linked" if done.sent else by_subject
        return self._guard.say(here, _at(here, done.member.id), {"note": note})


def _at(here: Here, staff: str) -> str:
    return f"/staff/{here.clinic.id}/colleagues/{staff}"
