"""Who looks at My page, on which sign-on, and what is said to them on its pages."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from urllib.parse import urlencode

from flask import request
from werkzeug.wrappers import Response

from idbroker.client import Client
from idbroker.clinic import Clinic
from idbroker.errors import NotFound
from idbroker.oidc.parameters import Parameters
from idbroker.session import Session
from idbroker.visit import Visit
from idbroker.web.headers import see_other
from idbroker.web.screens import Screens
from idbroker.web.site import Site
from idbroker.web.steering import is_our_nonce, mint_nonce

PREFIX = "me."
SAID = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """Who looks, at which clinic's page; `nonce` is bound to the sign-on, and good for nobody else's.

    `below` is which page below that, where it is about a child's sign-in; the `session` is over the child's then, for
    its `guardian`, and `ward` is what the guardian has called it.
    """

    session: Session
    clinic: Clinic
    client: Client
    visit: Visit
    nonce: str
    below: str = ""
    guardian: str | None = None
    ward: str = field(default="", repr=False)

    @property
    def path(self) -> str:
        """Return the page's address."""
        return f"/me/{self.clinic.id}{self.below}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What one form came to, for the page that is got next: values, and errors by field."""

    values: Mapping[str, str]
    errors: Mapping[str, str]


class Myself:
    """Finds out whose page it is, and shows it."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._screens = Screens(site)

    def here(self, name: str) -> Here | None:
        """Return who looks; None without a living sign-on. NotFound for a clinic there is none of."""
        clinic = self.clinic(name)
        client = self.client(clinic)
        secret = self._site.cookies.session(request)
        kept = self._site.broker.signon.session(secret)
        # A sign-in that staff made is for one service: whoever finds the tablet open changes nothing here.
        if kept is None or secret is None or kept.value.identity.assisted is not None:
            return None
        if not self._site.own.opens(kept.value, clinic.id):
            return None
        visit = Visit(
            transaction=kept.value.key[:22],
            clinic=clinic,
            client=client,
            language=self._language(kept.value, clinic),
            now=self._site.clock.now(),
            host=self._site.host,
            ip=request.remote_addr,
        )
        return Here(session=kept.value, clinic=clinic, client=client, visit=visit, nonce=mint_nonce(_bound(secret)))

    def is_ours(self, fields: Parameters) -> bool:
        """Tell whether a form was given to this browser on this very sign-on.

        Neither a page elsewhere (CSRF) nor a tab that still shows who was signed on before changes anything.
        """
        secret = self._site.cookies.session(request) or ""
        return is_our_nonce(fields.get("_n", ""), _bound(secret))

    def clinic(self, name: str) -> Clinic:
        """Return the clinic. NotFound when there is none."""
        clinic = self._site.clinics.find(name)
        if clinic is None:
            raise NotFound("no such clinic")
        return clinic

    def client(self, clinic: Clinic) -> Client:
        """Return the clinic's My page, as a client."""
        client = self._site.clients.find(f"{PREFIX}{clinic.id}")
        if client is None:
            raise NotFound("no such page")
        return client

    def sign_in(self, name: str, *, again: bool = False, onward: str = "") -> Response:
        """Lead to the sign-in as any service does; `again` asks for a new proof, `onward` is where to go then."""
        client = self.client(self.clinic(name))
        asked = {
            "client_id": client.id,
            "response_type": "code",
            "scope": "openid",
            "redirect_uri": client.redirect_uris[0],
            **({"max_age": "0"} if again else {}),
            **({"state": onward} if onward else {}),
        }
        return see_other(f"/authorize?{urlencode(asked)}")

    # ---- between a form and the page after it ----------------------------------------------------

    def say(
        self, here: Here, what: str, values: Mapping[str, str], errors: Mapping[str, str] | None = None
    ) -> Response:
        """Go to a page and say something there: after a post comes a get, so that a reload posts nothing."""
        kept = {f"v.{name}": value for name, value in values.items()}
        kept |= {f"e.{name}": key for name, key in (errors or {}).items()}
        self._site.requests.put(_said_at(here), {"what": what, **kept}, SAID)
        return see_other(f"{here.path}/{what}" if what else here.path)

    def said(self, here: Here, what: str) -> Said:
        """Return what is to be said on a page: it stays for a reload, until the person has been elsewhere."""
        kept = self._site.requests.get(_said_at(here))
        told = kept.value if kept is not None and kept.value.get("what") == what else {}
        if kept is not None and (not told or not what):
            self._site.requests.take(_said_at(here))
        return Said(values=_part(told, "v."), errors=_part(told, "e."))

    def switched(self, here: Here, what: str, fields: Parameters) -> Response:
        """Show the page in another language, with what was typed in it, but never a secret."""
        language = fields.get("lang", "")[:8]
        typed = {"address": fields["address"][:100]} if "address" in fields else {}
        response = self.say(here, what, typed)
        if language in here.clinic.offered_languages:
            _, way = self._site.cookies.comforts(request)
            self._site.cookies.keep_comforts(response, language, way or "")
        return response

    # ---- pages -----------------------------------------------------------------------------------

    def show(
        self,
        here: Here,
        page: str,
        what: str,
        values: Mapping[str, str],
        errors: Mapping[str, str] | None = None,
        rows: Mapping[str, Sequence[Mapping[str, str]]] | None = None,
    ) -> Response:
        """Show one of the pages; each is the clinic's, and posts to its own address."""
        action = f"{here.path}/{what}" if what else here.path
        language = here.visit.language
        named = replace(here.client, name={language: here.clinic.name})
        return self._screens.fields(
            page,
            {"path": here.path, "client": here.client.id, "ward": here.ward, **values},
            errors or {},
            client=named,
            language=language,
            action=action,
            nonce=here.nonce,
            rows=rows,
        )

    def out(self, name: str) -> Response:
        """Show who stopped the sign-in where to begin again, and send nobody round for ever."""
        clinic = self.clinic(name)
        client = replace(self.client(clinic), name={"en": clinic.name})
        language = self._screens.language((), clinic.offered_languages)
        values = {"path": f"/me/{clinic.id}"}
        return self._screens.fields("meout", values, {}, client=client, language=language, action="", nonce="")

    def _language(self, session: Session, clinic: Clinic) -> str:
        """Return the language chosen last on this device, else the sign-on's."""
        chosen, _ = self._site.cookies.comforts(request)
        return self._screens.language((chosen or session.language,), clinic.offered_languages)


def _part(told: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix): value for name, value in told.items() if name.startswith(prefix)}


def _said_at(here: Here) -> str:
    return f"own.{here.session.key}"


def _bound(secret: str) -> str:
    """Return what a form's nonce is made with: not the cookie's own value, which opens everything."""
    return hashlib.sha256(f"me\n{secret}".encode()).hexdigest()
