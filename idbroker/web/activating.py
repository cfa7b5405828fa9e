"""The pages of a code that came in a letter: number and code, a password, and where codes go from then on."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlencode

from flask import Blueprint, request
from werkzeug.wrappers import Response

from idbroker.accounts import paper
from idbroker.accounts.posted import Moving, Posted
from idbroker.clinic import LANGUAGES
from idbroker.errors import NotFound
from idbroker.numbers import NationalNumber, NotANumber, parse
from idbroker.oidc.parameters import Parameters
from idbroker.otp.one_time import Locked
from idbroker.visit import Visit
from idbroker.web.forms import NUMBER_COUNTRIES
from idbroker.web.headers import see_other
from idbroker.web.screens import Screens
from idbroker.web.site import Site
from idbroker.web.steering import is_our_nonce, mint_nonce, posted_fields

TYPED = timedelta(minutes=10)
_LONGEST_TYPED = 64
_SPOKEN_IN = {"da": "DK", "sv": "SE", "fi": "FI"}


def activating(site: Site) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("activating", __name__)
    code, reach = _Code(site), _Reach(site)

    @routes.get("/activate")
    def page() -> Response:
        return code.page()

    @routes.post("/activate")
    def typed() -> Response:
        return code.typed(posted_fields())

    @routes.get("/activate/<name>")
    def onward(name: str) -> Response:
        return reach.page(name)

    @routes.post("/activate/<name>")
    def reached(name: str) -> Response:
        return reach.typed(name, posted_fields())

    return routes


class _Code:
    """Whose letter it is, and its code: no sign-in, no cookie, and nothing that tells who has a letter."""

    def __init__(self, site: Site) -> None:
        self._site, self._screens = site, Screens(site)
        self._posted = Posted(recovery=site.recovery, shelf=site.requests)

    def page(self) -> Response:
        """Ask for both; what was typed wrong stands there again, but the code (WCAG 3.3.7)."""
        kept = self._site.requests.get(_typed_at(request.args.get("a", "")[:32]))
        typed = {} if kept is None else dict(kept.value)
        errors = {name: typed.pop(f"e.{name}") for name in ("number", "code") if f"e.{name}" in typed}
        language = self._screens.language()
        values = {"country": self._country(language), **typed}
        action = f"/activate?{urlencode({'lang': language})}"
        return self._screens.fields("activate", values, errors, client=None, language=language, action=action, nonce="")

    def typed(self, fields: Parameters) -> Response:
        """Compare, and go on to the password; whatever is wrong is said in one sentence for all of it."""
        language = fields.get("lang", "") or request.args.get("lang", "")
        typed = {name: fields.get(name, "")[:_LONGEST_TYPED] for name in ("number", "country", "mask")}
        if typed["country"] not in NUMBER_COUNTRIES:
            typed["country"] = self._country(language)
        if "lang" in fields:
            return self._again(language, typed)
        number, code = self._number(typed), paper.typed(fields.get("code", ""))
        if number is None or code is None:
            wrong = {"e.number": "p.e.id"} if number is None else {}
            return self._again(language, {**typed, **wrong, **({"e.code": "activate.e.code"} if code is None else {})})
        found = self._posted.find(number, code, request.remote_addr, self._site.clock.now())
        if isinstance(found, Locked):
            return self._again(language, {**typed, "locked": found.until.isoformat()})
        if found is None:
            return self._again(language, {**typed, "e.code": "activate.e.wrong"})
        return see_other(f"/set/{found}{_spoken(language)}")

    def _again(self, language: str, typed: Mapping[str, str]) -> Response:
        handle = secrets.token_urlsafe(16)
        self._site.requests.put(_typed_at(handle), dict(typed), TYPED)
        spoken = {"lang": language} if language in LANGUAGES else {}
        return see_other(f"/activate?{urlencode({**spoken, 'a': handle})}")

    def _number(self, typed: Mapping[str, str]) -> NationalNumber | None:
        try:
            return parse(typed["number"], typed["country"], now=self._site.clock.now().date())
        except NotANumber:
            return None

    def _country(self, language: str) -> str:
        """Return whose numbers are asked for first: the clinics' one country, else the language's."""
        countries = sorted({clinic.country for clinic in self._site.clinics.by_id.values()} & {*NUMBER_COUNTRIES})
        spoken = _SPOKEN_IN.get(language, "")
        return spoken if len(countries) != 1 and spoken else next(iter(countries), NUMBER_COUNTRIES[0])


class _Reach:
    """Where codes go, of somebody who has just chosen a password with a letter; nobody else has this address."""

    def __init__(self, site: Site) -> None:
        self._site, self._screens = site, Screens(site)
        self._posted = Posted(recovery=site.recovery, shelf=site.requests)

    def page(self, name: str) -> Response:
        """Show the page they are at; who is reached already is done."""
        moving, visit = self._at(name)
        if moving.page is None and self._posted.is_reached(moving):
            return see_other(f"/set/done/{name}{_spoken(visit.language)}")
        if "alone" in request.args:
            return self._show("alone", name, visit, {"clinic": visit.clinic.name, "add_href": f"/activate/{name}"}, {})
        page = self._posted.show(visit, moving)
        return self._show(page.name, name, visit, page.values, page.errors)

    def typed(self, name: str, fields: Parameters) -> Response:
        """Go on."""
        moving, visit = self._at(name)
        here = f"/activate/{name}"
        if "lang" in fields and fields["lang"] in LANGUAGES:
            return see_other(f"{here}?{urlencode({'lang': fields['lang']})}")
        spoken = _spoken(visit.language)
        if not is_our_nonce(fields.get("_n", ""), name):
            return see_other(f"{here}{spoken}")
        if fields.get("do") == "none":
            return see_other(f"{here}{spoken}&alone=1")
        if self._posted.take(name, visit, moving, fields):
            return see_other(f"/set/done/{name}{spoken}")
        return see_other(f"{here}{spoken}")

    def _at(self, name: str) -> tuple[Moving, Visit]:
        moving = self._posted.moving(name[:64])
        client = None if moving is None else self._site.clients.find(moving.client)
        clinic = None if moving is None else self._site.clinics.find(moving.clinic)
        if moving is None or client is None or clinic is None:
            raise NotFound("nobody chose a password here lately")
        visit = Visit(
            transaction=f"letter.{name}",
            clinic=clinic,
            client=client,
            language=self._screens.language([moving.language], clinic.offered_languages),
            now=self._site.clock.now(),
            host=self._site.host,
            ip=request.remote_addr,
        )
        return moving, visit

    def _show(
        self, page: str, name: str, visit: Visit, values: Mapping[str, str], errors: Mapping[str, str]
    ) -> Response:
        action = "" if page == "alone" else f"/activate/{name}?{urlencode({'lang': visit.language})}"
        return self._screens.fields(
            page,
            values,
            errors,
            client=visit.client,
            language=visit.language,
            action=action,
            nonce=mint_nonce(name) if action else "",
        )


def _spoken(language: str) -> str:
    return f"?{urlencode({'lang': language})}" if language in LANGUAGES else ""


def _typed_at(handle: str) -> str:
    return f"activate.{handle}"
