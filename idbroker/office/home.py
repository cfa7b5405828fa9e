"""`/staff`: the clinics that a colleague works at."""

from __future__ import annotations

from flask import Blueprint
from werkzeug.wrappers import Response

from idbroker.office.guard import Guard
from idbroker.web.headers import see_other


def routes(blueprint: Blueprint, guard: Guard) -> None:
    """Add the route."""

    @blueprint.get("/staff")
    def home() -> Response:
        """Lead to the one clinic, or let them choose."""
        _, member = guard.member()
        known = [found for clinic in member.roles if (found := guard.site.clinics.find(clinic)) is not None]
        if len(known) == 1:
            return see_other(f"/staff/{known[0].id}")
        clinics = sorted(known, key=lambda one: one.name.casefold())
        language = guard.language(member, None)
        roles = {one.id: member.roles[one.id] for one in clinics}
        return guard.bare("home", language, member=member, clinics=clinics, roles=roles, nonce=guard.nonce())
