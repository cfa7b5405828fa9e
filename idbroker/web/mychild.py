"""The sign-in of a child that somebody has set up, as its guardian keeps it working."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

from werkzeug.wrappers import Response

from idbroker.accounts import passwords
from idbroker.accounts.acted import who_acted
from idbroker.accounts.children import Kid, proves
from idbroker.errors import NotFound
from idbroker.oidc.parameters import Parameters
from idbroker.web.changing import CHANNELS, Changing
from idbroker.web.headers import see_other
from idbroker.web.mine import Telling
from idbroker.web.myself import Here, Myself
from idbroker.web.site import Site

_PARTS = ("", "password", *CHANNELS)
_PLACE = re.compile(r"child/[0-9a-f]{24}(/(password|email|phone))?")


def is_place(onward: str) -> bool:
    """Tell whether something is the place of such a page below My page: what came back with a sign-in may be any."""
    return _PLACE.fullmatch(onward) is not None


class MyChild:
    """Shows the pages, and does what is posted on them: after an eID's proof of the last minutes (ASVS 7.5.1)."""

    def __init__(self, site: Site) -> None:
        self._site, self._children = site, site.children
        self._myself, self._changing = Myself(site), Changing(site)

    def page(self, name: str, handle: str, what: str) -> Response:
        """Show a child's sign-in, or one part of it."""
        found = self._found(name, handle, what)
        if isinstance(found, Response):
            return found
        here, kid = found
        guardian = self._guardian(name)
        if self._children.is_barred(guardian.session, kid, here.visit, looks=True):
            return self._myself.say(guardian, "", {"refused": "kid"})
        if what in CHANNELS:
            return self._changing.page(here, what)
        return self._password(here, kid) if what else self._look(here, kid)

    def change(self, name: str, handle: str, what: str, fields: Parameters) -> Response:
        """Change a part."""
        found = self._found(name, handle, what)
        if isinstance(found, Response):
            return found
        here, kid = found
        if self._myself.is_ours(fields) and "lang" in fields:
            return self._myself.switched(here, what, fields)
        if not what or not self._myself.is_ours(fields):
            return see_other(f"{here.path}/{what}" if what else here.path)
        return self._changed(here, kid, self._guardian(name), what, fields)

    def _changed(self, here: Here, kid: Kid, guardian: Here, what: str, fields: Parameters) -> Response:
        if self._children.is_barred(guardian.session, kid, here.visit):
            still = self._children.find(guardian.session, kid.handle, here.visit)
            return self._myself.say(here if still else guardian, "", {"refused": "kid"})
        if what in CHANNELS:
            return self._changing.take(here, what, fields)
        came_to = self._children.choose(guardian.session, kid, fields.get("password", ""), here.visit)
        return self._changing.chose(here, came_to)

    # ---- who may ---------------------------------------------------------------------------------

    def _guardian(self, name: str) -> Here:
        here = self._myself.here(name)
        if here is None:
            raise NotFound("nobody is signed on")
        return here

    def _found(self, name: str, handle: str, what: str) -> tuple[Here, Kid] | Response:
        """Return the page and the child; else where the person has to go first, or My page where it is not theirs."""
        place = f"child/{handle}" + (f"/{what}" if what else "")
        if what not in _PARTS or not is_place(place):
            raise NotFound("no such page")
        here = self._myself.here(name)
        if here is None or not self._site.own.is_fresh(here.session, here.visit.now):
            return self._myself.sign_in(name, again=here is not None, onward=place)
        kid = self._children.find(here.session, handle, here.visit)
        if kid is None:
            return self._myself.say(here, "", {} if proves(here.session) else {"refused": "noeid"})
        theirs = self._children.as_child(here.session, kid)
        below, guardian = f"/child/{handle}", here.session.person
        return replace(here, session=theirs, below=below, guardian=guardian, ward=kid.name), kid

    # ---- pages -----------------------------------------------------------------------------------

    def _look(self, here: Here, kid: Kid) -> Response:
        telling = Telling(
            clients=self._site.clients,
            clinics=self._site.clinics,
            titles=str,
            language=here.visit.language,
            acted=partial(who_acted, self._site.own.records, here.session),
        )
        said = self._myself.said(here, "")
        up = {"up": f"/me/{here.clinic.id}", "clinic": here.clinic.name}
        return self._myself.show(here, "mechild", "", {**telling.kid(kid, here.clinic), **up, **said.values})

    def _password(self, here: Here, kid: Kid) -> Response:
        said, rules = self._myself.said(here, "password"), here.clinic.password
        values = {
            "name": kid.name,
            "number": kid.account.number.masked,
            "least": str(passwords.least(rules)),
            "mixed": "1" if rules.mixed else "",
        }
        return self._myself.show(here, "mechildpassword", "password", {**values, **said.values}, said.errors)
