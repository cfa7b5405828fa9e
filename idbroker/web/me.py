"""My page: a person's own contacts, password, sign-ons, consents and clinics, and what happened lately."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from flask import Blueprint, request
from werkzeug.wrappers import Response

from idbroker.accounts.acted import who_acted
from idbroker.client import Client
from idbroker.clinic import LANGUAGES, Clinic, Clinics
from idbroker.errors import NotFound
from idbroker.identity import LoA
from idbroker.oidc.parameters import Parameters
from idbroker.web.changing import CHANNELS, PARTS, Changing
from idbroker.web.headers import see_other
from idbroker.web.mine import Telling, handle
from idbroker.web.mychild import MyChild, is_place
from idbroker.web.myself import PREFIX, Here, Myself
from idbroker.web.site import Site
from idbroker.web.steering import posted_fields
from idbroker.words import Words

# What the page's own buttons do, and which part of it to come back to; those need a fresh proof (ASVS 7.5.1, 7.5.2).
_ANCHORS = {"end": "sessions", "others": "sessions", "forget": "contacts", "noapp": "login", "withdraw": "consents"}
_FRESH = ("end", "others", "forget", "noapp")


def client_of(issuer: str, clinic: Clinic, names: Mapping[str, str]) -> Client:
    """Return My page as a client of our own: people sign in to it as to any service.

    Its code is never redeemed, by us or anybody: the page lives on the sign-on in the browser, and no key of
    this client exists.
    """
    return Client(
        id=f"{PREFIX}{clinic.id}",
        name=names,
        clinic=clinic.id,
        redirect_uris=(f"{issuer}/me/{clinic.id}/back",),
        start_url=f"{issuer}/me/{clinic.id}",
        auth_method="private_key_jwt",
        jwks={"keys": []},
        scopes=("openid",),
        require_pkce=False,
        minimum=LoA.LOW,
    )


def own_pages(issuer: str, clinics: Clinics, words: Words) -> tuple[Client, ...]:
    """Return My page of each clinic, as a client."""
    names = {language: words.say("me.h1", language) for language in LANGUAGES}
    return tuple(client_of(issuer, clinic, names) for clinic in clinics.by_id.values())


def me(site: Site) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("me", __name__)
    page, kid = _Page(site), MyChild(site)

    @routes.get("/me/<clinic>")
    def look(clinic: str) -> Response:
        return page.look(clinic)

    @routes.get("/me/<clinic>/back")
    def back(clinic: str) -> Response:
        return page.came_back(clinic, refused="error" in request.args, onward=request.args.get("state", ""))

    @routes.get("/me/<clinic>/<what>")
    def part(clinic: str, what: str) -> Response:
        return page.part(clinic, what)

    @routes.post("/me/<clinic>")
    def act(clinic: str) -> Response:
        return page.act(clinic, posted_fields())

    @routes.get("/me/<clinic>/child/<handle>", defaults={"what": ""})
    @routes.get("/me/<clinic>/child/<handle>/<what>")
    def child(clinic: str, handle: str, what: str) -> Response:
        return kid.page(clinic, handle, what)

    @routes.post("/me/<clinic>/child/<handle>", defaults={"what": ""})
    @routes.post("/me/<clinic>/child/<handle>/<what>")
    def change_child(clinic: str, handle: str, what: str) -> Response:
        return kid.change(clinic, handle, what, posted_fields())

    @routes.post("/me/<clinic>/<what>")
    def change(clinic: str, what: str) -> Response:
        return page.change(clinic, what, posted_fields())

    return routes


class _Page:
    """Turns requests into looks and changes."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._myself, self._changing = Myself(site), Changing(site)

    # ---- looking ---------------------------------------------------------------------------------

    def look(self, name: str) -> Response:
        """Show the page, or lead to the sign-in."""
        here = self._myself.here(name)
        if here is None:
            return self._myself.sign_in(name)
        own = self._site.own.look(here.session)
        telling = Telling(
            clients=self._site.clients,
            clinics=self._site.clinics,
            titles=self._title,
            language=here.visit.language,
            acted=partial(who_acted, self._site.own.records, here.session),
        )
        said = self._myself.said(here, "")
        values = {**telling.values(own, here.session, here.clinic), **said.values}
        kids = self._site.children.of(here.session, here.visit)
        rows = {**telling.rows(own, here.session), "kids": [telling.kid(kid, here.clinic) for kid in kids]}
        rows["acting"] = telling.acting(own, here.clinic, here.visit.now)
        return self._myself.show(here, "me", "", values, rows=rows)

    def came_back(self, name: str, *, refused: bool, onward: str) -> Response:
        """Go on after the sign-in to what was asked for; never to an address that somebody wrote."""
        clinic = self._myself.clinic(name)
        if refused:
            return self._myself.out(name)
        if onward in PARTS or is_place(onward):
            return see_other(f"/me/{clinic.id}/{onward}")
        return see_other(f"/me/{clinic.id}" + (f"#{onward}" if onward in _ANCHORS.values() else ""))

    def part(self, name: str, what: str) -> Response:
        """Show one thing to change; only to whom has shown lately who they are (ASVS 7.5.1)."""
        here = self._for_change(name, what)
        return self._changing.page(here, what) if isinstance(here, Here) else here

    # ---- doing -----------------------------------------------------------------------------------

    def act(self, name: str, fields: Parameters) -> Response:
        """End sign-ons, withdraw consents, forget addresses."""
        here = self._myself.here(name)
        if here is None or not self._myself.is_ours(fields):
            return see_other(f"/me/{self._myself.clinic(name).id}")
        if "lang" in fields:
            return self._myself.switched(here, "", fields)
        do, _, which = fields.get("do", "").partition(":")
        if do in _FRESH and not self._is_fresh(here):
            return self._myself.sign_in(name, again=True, onward=_ANCHORS[do])
        return self._did(here, do, which)

    def _did(self, here: Here, do: str, which: str) -> Response:
        own, session = self._site.own, here.session
        saved, done = "", True
        match do:
            case "end":
                found = [one.key for one in own.look(session).sessions if handle(one) == which]
                saved, done = "ended", any(own.end_session(session, key) for key in found if key != session.key)
            case "others":
                saved, done = "ended", own.end_others(session) > 0
            case "withdraw":
                saved, done = "consent", own.withdraw(session, which, here.visit.now)
            case "forget" if which in CHANNELS and own.has_account(session):
                if not own.remove_contact(session, CHANNELS[which], here.visit):
                    return self._myself.say(here, "", {"refused": self._why(here, which)})
                saved = which
            case "noapp" if own.has_account(session):
                if not own.remove_app(session, here.visit):
                    return self._myself.say(here, "", {"refused": self._why(here, "app")})
                saved = "app"
            case _:
                done = False  # a button of an older page
        return self._myself.say(here, "", {"saved": saved}) if done else see_other(here.path)

    def change(self, name: str, what: str, fields: Parameters) -> Response:
        """Change a contact, the authenticator app or the password."""
        here = self._for_change(name, what)
        if not isinstance(here, Here):
            return here
        if not self._myself.is_ours(fields):
            return see_other(f"{here.path}/{what}")
        if "lang" in fields:
            return self._myself.switched(here, what, fields)
        return self._changing.take(here, what, fields)

    # ---- who may ---------------------------------------------------------------------------------

    def _for_change(self, name: str, what: str) -> Here | Response:
        """Return who may change a part; else where they have to go first. NotFound for no such part."""
        if what not in PARTS:
            raise NotFound("no such part of the page")
        here = self._myself.here(name)
        if here is None or not self._is_fresh(here):
            return self._myself.sign_in(name, again=here is not None, onward=what)
        if not self._site.own.has_account(here.session):
            return see_other(here.path)
        return here

    def _is_fresh(self, here: Here) -> bool:
        return self._site.own.is_fresh(here.session, here.visit.now)

    def _why(self, here: Here, what: str) -> str:
        """Return why an address or the app stays: nothing else is left, or this sign-on proved too little."""
        key = self._site.own.hindrance(here.session, CHANNELS.get(what))
        return key.removeprefix("me.e.") or "last"

    def _title(self, provider: str) -> str:
        """Return what an eID is called; nothing for a password, which is none: each language has words for it."""
        known = self._site.broker.providers.get(provider)
        return known.title if known is not None and known.loa is not LoA.LOW else ""
