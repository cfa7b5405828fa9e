"""My page: a person's own contacts, password, sign-ons, consents and clinics, and what happened lately."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import Blueprint, request
from werkzeug.wrappers import Response

from idbroker.accounts.recovery import Busy, NotCurrent, Weak
from idbroker.client import Client
from idbroker.clinic import LANGUAGES, Clinic, Clinics
from idbroker.errors import NotFound
from idbroker.identity import LoA
from idbroker.messages.message import Channel
from idbroker.oidc.parameters import Parameters
from idbroker.otp import app_codes
from idbroker.otp.one_time import Limited, Locked, Old, Right, Sent, Verdict, Wrong
from idbroker.session import Session
from idbroker.visit import Visit
from idbroker.web.headers import see_other
from idbroker.web.mine import Telling, handle
from idbroker.web.screens import Screens
from idbroker.web.site import Site
from idbroker.web.steering import is_our_nonce, mint_nonce, posted_fields
from idbroker.words import Words

PREFIX = "me."
_CHANNELS = {"email": Channel.EMAIL, "phone": Channel.SMS}


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


def me(site: Site) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("me", __name__)
    page = _Page(site)

    @routes.get("/me/<clinic>")
    def look(clinic: str) -> Response:
        return page.look(clinic)

    @routes.get("/me/<clinic>/back")
    def back(clinic: str) -> Response:
        return page.came_back(clinic, refused="error" in request.args)

    @routes.get("/me/<clinic>/<what>")
    def part(clinic: str, what: str) -> Response:
        return page.part(clinic, what)

    @routes.post("/me/<clinic>")
    def act(clinic: str) -> Response:
        return page.act(clinic, posted_fields())

    @routes.post("/me/<clinic>/<what>")
    def change(clinic: str, what: str) -> Response:
        return page.change(clinic, what, posted_fields())

    return routes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Here:
    """Who looks, at which clinic's page."""

    session: Session
    clinic: Clinic
    client: Client
    visit: Visit
    nonce: str

    @property
    def path(self) -> str:
        return f"/me/{self.clinic.id}"


class _Page:
    """Turns requests into looks and changes."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._screens = Screens(site)

    # ---- looking ---------------------------------------------------------------------------------

    def look(self, name: str) -> Response:
        """Show the page, or lead to the sign-in."""
        here = self._here(name)
        if here is None:
            return self._sign_in(name)
        own = self._site.own.look(here.session)
        told = Telling(
            clients=self._site.clients, clinics=self._site.clinics, titles=self._titles, language=here.visit.language
        )
        return self._show(
            here, "me", "", values=told.values(own, here.session, here.clinic), rows=told.rows(own, here.session)
        )

    def came_back(self, name: str, *, refused: bool) -> Response:
        """Go on after the sign-in; who stopped it is shown where to begin again, and is not sent round for ever."""
        clinic = self._clinic(name)
        if not refused:
            return see_other(f"/me/{clinic.id}")
        client = self._client(clinic)
        language = self._screens.language((), clinic.offered_languages)
        values = {"again": f"/me/{clinic.id}"}
        return self._screens.fields("meout", values, {}, client=client, language=language, action="", nonce="")

    def part(self, name: str, what: str) -> Response:
        """Show one thing to change; only to whom has shown lately who they are (ASVS 7.5.1)."""
        here = self._here(name)
        if here is None or not self._fresh(here):
            return self._sign_in(name, again=here is not None)
        if what in _CHANNELS:
            return self._contact(here, what, {}, {})
        if what == "app":
            return self._app(here, {})
        if what == "password":
            return self._password(here, {}, {})
        raise NotFound("no such part of the page")

    # ---- doing -----------------------------------------------------------------------------------

    def act(self, name: str, fields: Parameters) -> Response:
        """End sign-ons, withdraw consents: what only takes away needs no new proof."""
        here = self._here(name)
        if here is None or not self._ours(fields, here):
            return self._look_again(name, fields)
        do, _, which = fields.get("do", "").partition(":")
        if do in ("forget", "noapp") and not self._fresh(here):
            return self._sign_in(name, again=True)
        self._done(here, do, which)
        return see_other(here.path)

    def _done(self, here: _Here, do: str, which: str) -> None:
        own, session, now = self._site.own, here.session, here.visit.now
        match do:
            case "end":
                for other in own.look(session).sessions:
                    if handle(other) == which and other.key != session.key:
                        own.end_session(session, other.key)
            case "others":
                own.end_others(session)
            case "withdraw":
                own.withdraw(session, which, now)
            case "forget" if which in _CHANNELS:
                own.remove_contact(session, _CHANNELS[which], here.visit)
            case "noapp":
                own.remove_app(session, now)
            case _:
                pass  # a button of an older page

    def change(self, name: str, what: str, fields: Parameters) -> Response:
        """Change a contact, the authenticator app or the password."""
        here = self._here(name)
        if here is None or not self._fresh(here):
            return self._sign_in(name, again=here is not None)
        if not self._ours(fields, here) or "lang" in fields:
            return self._look_again(f"{name}/{what}", fields)
        if what in _CHANNELS:
            return self._change_contact(here, what, fields)
        if what == "app":
            right = self._site.own.confirm_app(here.session, fields.get("code", ""), here.visit.now)
            return see_other(here.path) if right else self._app(here, {"code": "o.e.wrong"})
        if what == "password":
            return self._change_password(here, fields)
        raise NotFound("no such part of the page")

    def _change_contact(self, here: _Here, what: str, fields: Parameters) -> Response:
        own, channel, path = self._site.own, _CHANNELS[what], f"{here.path}/{what}"
        if "address" in fields:
            begun = own.begin_contact(here.session, channel, fields["address"], here.visit)
            if isinstance(begun, str):
                return self._contact(here, what, {"address": fields["address"]}, {"address": begun}, anew=True)
            return see_other(path) if isinstance(begun, Sent) else self._limited(here, what, begun)
        if own.waiting(here.session, channel) is None:
            return see_other(here.path)
        if fields.get("do") == "again":
            sent = own.again(here.session, channel, here.visit)
            return see_other(path) if isinstance(sent, Sent) else self._limited(here, what, sent)
        if fields.get("do") == "back":
            return self._contact(here, what, {}, {}, anew=True)
        return self._confirmed(
            here, what, own.confirm_contact(here.session, channel, fields.get("code", ""), here.visit)
        )

    def _confirmed(self, here: _Here, what: str, verdict: Verdict) -> Response:
        match verdict:
            case Right():
                return see_other(here.path)
            case Wrong(left=left):
                return self._contact(here, what, {"left": str(left)}, {"code": "o.e.wrong"})
            case Old():
                self._site.own.again(here.session, _CHANNELS[what], here.visit)
                return self._contact(here, what, {}, {"code": "o.e.old"})
            case Locked(until=until):
                return self._contact(here, what, {"locked": until.isoformat()}, {})

    def _change_password(self, here: _Here, fields: Parameters) -> Response:
        """Set a new password with the current one; every other sign-on ends (ASVS 6.2.3, 7.4.3)."""
        current, new = fields.get("current", ""), fields.get("password", "")
        done = self._site.recovery.change(here.session.person, current, new, here.visit, but=here.session.key)
        match done:
            case Weak(key=key):
                return self._password(here, {}, {"password": key})
            case NotCurrent(left=left):
                return self._password(here, {"left": str(left)}, {"current": "me.e.current"})
            case Locked(until=until):
                return self._password(here, {"locked": until.isoformat()}, {})
            case Busy():
                return self._password(here, {"busy": "1"}, {})
            case _:
                return see_other(here.path)

    # ---- pages -----------------------------------------------------------------------------------

    def _contact(
        self, here: _Here, what: str, values: Mapping[str, str], errors: Mapping[str, str], *, anew: bool = False
    ) -> Response:
        """Show the field for an address, or for the code that went to it."""
        sent = None if anew else self._site.own.waiting(here.session, _CHANNELS[what])
        if sent is None:
            return self._show(here, "mecontact", what, values={"what": what, **values}, errors=errors)
        shared = {
            "channel": sent.channel.value,
            "shown": sent.shown,
            "until": sent.until.isoformat(),
            "message": sent.message,
            "purpose": "contact",
        }
        return self._show(here, "code", what, values={**shared, **values}, errors=errors)

    def _limited(self, here: _Here, what: str, limited: Limited) -> Response:
        return self._contact(here, what, {"limited": limited.until.isoformat()}, {})

    def _app(self, here: _Here, errors: Mapping[str, str]) -> Response:
        secret = self._site.own.begin_app(here.session)
        uri = app_codes.uri(secret, here.clinic.name, self._site.issuer)
        return self._show(here, "meapp", "app", values={"secret": secret, "uri": uri}, errors=errors)

    def _password(self, here: _Here, values: Mapping[str, str], errors: Mapping[str, str]) -> Response:
        rules = here.clinic.password
        shared = {"least": str(rules.least), "mixed": "1" if rules.mixed else ""}
        return self._show(here, "mepassword", "password", values={**shared, **values}, errors=errors)

    def _show(
        self,
        here: _Here,
        page: str,
        what: str,
        *,
        values: Mapping[str, str],
        errors: Mapping[str, str] | None = None,
        rows: Mapping[str, Sequence[Mapping[str, str]]] | None = None,
    ) -> Response:
        action = f"{here.path}/{what}" if what else here.path
        named = {"path": here.path, **values}
        return self._screens.fields(
            page, named, errors or {}, client=here.client, language=here.visit.language, action=action,
            nonce=here.nonce, rows=rows,
        )  # fmt: skip

    def _titles(self, provider: str) -> str:
        known = self._site.broker.providers.get(provider)
        return known.title if known else ""

    # ---- who looks -------------------------------------------------------------------------------

    def _here(self, name: str) -> _Here | None:
        clinic = self._clinic(name)
        client = self._client(clinic)
        secret = self._site.cookies.session(request)
        kept = self._site.broker.signon.session(secret)
        if kept is None or secret is None:
            return None
        language = self._screens.language((kept.value.language,), clinic.offered_languages)
        visit = Visit(
            transaction=kept.value.key[:22],
            clinic=clinic,
            client=client,
            language=language,
            now=self._site.clock.now(),
            host=self._site.host,
            ip=request.remote_addr,
        )
        return _Here(session=kept.value, clinic=clinic, client=client, visit=visit, nonce=mint_nonce(_bound(secret)))

    def _clinic(self, name: str) -> Clinic:
        clinic = self._site.clinics.find(name)
        if clinic is None:
            raise NotFound("no such clinic")
        return clinic

    def _client(self, clinic: Clinic) -> Client:
        client = self._site.clients.find(f"{PREFIX}{clinic.id}")
        if client is None:
            raise NotFound("no such page")
        return client

    def _fresh(self, here: _Here) -> bool:
        return self._site.own.is_fresh(here.session, here.visit.now)

    def _sign_in(self, name: str, *, again: bool = False) -> Response:
        clinic = self._clinic(name)
        client = self._client(clinic)
        wanted = {"client_id": client.id, "response_type": "code", "scope": "openid"}
        more = {"redirect_uri": client.redirect_uris[0], **({"max_age": "0"} if again else {})}
        return see_other(f"/authorize?{urlencode({**wanted, **more})}")

    def _ours(self, fields: Parameters, here: _Here) -> bool:
        """Tell whether the form was given to this browser, on this sign-on (CSRF)."""
        secret = self._site.cookies.session(request) or ""
        return is_our_nonce(fields.get("_n", ""), _bound(secret)) and bool(here.nonce)

    def _look_again(self, path: str, fields: Parameters) -> Response:
        """Show the page, in the language of the button that was pressed."""
        language = fields.get("lang", "")[:8]
        return see_other(f"/me/{path}" + (f"?{urlencode({'lang': language})}" if language else ""))


def _bound(secret: str) -> str:
    """Return what a form's nonce is made with: not the cookie's own value, which opens everything."""
    return hashlib.sha256(f"me\n{secret}".encode()).hexdigest()


def own_pages(issuer: str, clinics: Clinics, words: Words) -> tuple[Client, ...]:
    """Return My page of each clinic, as a client."""
    names = {language: words.say("me.h1", language) for language in LANGUAGES}
    return tuple(client_of(issuer, clinic, names) for clinic in clinics.by_id.values())
