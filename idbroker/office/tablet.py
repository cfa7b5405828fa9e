"""The clinic's tablet: a code from staff, "is this you?", a sign-in for one service, and nothing left afterwards.

Nobody signs in here with anything of their own, and no cookie of staff ever lies beside a patient's sign-on: `/tablet`
is refused where a colleague is signed in, and the office where a patient is.

A screen that goes from hand to hand has one sign-on at most: a code that is taken ends whatever was there before, for
the next patient is asked on a screen that must not be the last one's. Somebody who signs in on the tablet with an eID
of their own, at a service, has an ordinary sign-on: it is theirs, not staff's, ends as such a sign-on does and leads to
no thank-you page; the next code ends it as well.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, after_this_request, request
from werkzeug.wrappers import Response

from idbroker.client import Client
from idbroker.clinic import LANGUAGES, Clinic
from idbroker.errors import NotFound
from idbroker.farewell import Farewell
from idbroker.office.guard import Guard
from idbroker.patients.assisting import IDLE, Assisting
from idbroker.patients.pairing import Given
from idbroker.session import key_of
from idbroker.web.headers import origin_of, page_headers, see_other
from idbroker.web.steering import is_our_nonce, mint_nonce, posted_fields
from idbroker.words import negotiate

_LONGEST = 32  # characters: six digits, however somebody writes them
_DONE_SHOWN = 30  # seconds


def routes(blueprint: Blueprint, guard: Guard) -> None:
    """Add the tablet's pages."""
    tablet = _Tablet(guard)
    blueprint.before_request(tablet.kept_apart)

    @blueprint.get("/tablet")
    def tablet_ask() -> Response:
        return tablet.ask()

    @blueprint.post("/tablet")
    def tablet_typed() -> Response:
        return tablet.typed(posted_fields())

    @blueprint.get("/tablet/give")
    def tablet_give() -> Response:
        return tablet.give()

    @blueprint.post("/tablet/give")
    def tablet_answered() -> Response:
        return tablet.answered(posted_fields())

    @blueprint.get("/tablet/done")
    def tablet_done() -> Response:
        return tablet.done()


class _Tablet:
    """Turns requests of the tablet into pages."""

    def __init__(self, guard: Guard) -> None:
        self._guard, self._site = guard, guard.site

    @property
    def _assisting(self) -> Assisting:
        return self._guard.desk.assisting

    # ---- apart from staff ------------------------------------------------------------------------

    def kept_apart(self) -> Response | None:
        """Refuse a tablet's page to who is signed in as staff here, and the office where a patient is."""
        if request.path in {"/tablet", "/tablet/give"}:
            return self._not_for_staff()
        return self._not_for_patients() if request.path.startswith("/staff") else None

    def _not_for_staff(self) -> Response | None:
        """Refuse: on a screen where a colleague is signed in the patient would sit before the whole office."""
        secret = self._site.cookies.staff(request)
        if secret is None:
            return None
        if self._guard.desk.entrance.session(secret, self._site.clock.now()) is not None:
            return self._page("tabletwords", key="s.tab.staff", status=403)
        after_this_request(self._without_staff)
        return None

    def _without_staff(self, response: Response) -> Response:
        self._site.cookies.drop_staff(response)
        return response

    def _not_for_patients(self) -> Response | None:
        return self._page("tabletwords", key="s.tab.patient", status=403) if self._has_patient() else None

    def _has_patient(self) -> bool:
        """Tell whether somebody is signed on here whom staff have signed in."""
        kept = self._site.broker.signon.session(self._site.cookies.session(request))
        return kept is not None and kept.value.identity.assisted is not None

    # ---- the code --------------------------------------------------------------------------------

    def ask(self) -> Response:
        """Show the field for the code; a tablet that has given one goes on from there."""
        if self._given() is not None:
            return see_other(self._path("/tablet/give"))
        _, secret = self._held()
        fresh = secret or secrets.token_urlsafe(32)
        error = {"code": "s.tab.e.code", "over": "s.tab.e.over"}.get(request.args.get("e", ""), "")
        response = self._page("tablet", nonce=mint_nonce(fresh), error=error, earlier=self._has_patient())
        if not secret:
            self._site.cookies.keep_tablet(response, fresh)
        return response

    def typed(self, fields: Mapping[str, str]) -> Response:
        """Take a code. The tablet is given a new secret for it: one that nobody can have put there before.

        Whoever was signed on here is not any more, before anybody is asked: the next patient would hold the sign-on
        of the one before, at the service, until they answer. Or it ends without a code, where staff press so.
        """
        _, secret = self._held()
        if not secret or not is_our_nonce(fields.get("_n", ""), secret):
            return see_other(self._path("/tablet"))
        if fields.get("do") == "end":
            return self._emptied(see_other(self._path("/tablet")))
        mine, code = secrets.token_urlsafe(32), fields.get("code", "")[:_LONGEST]
        given = self._assisting.claim(code, secret, self._site.clock.now(), ip=request.remote_addr, to=mine)
        if given is None:
            return see_other(self._path("/tablet", e="code"))
        response = self._emptied(see_other(self._path("/tablet/give")))
        self._site.cookies.keep_tablet(response, f"{given.pairing.id}.{mine}")
        return response

    def _emptied(self, response: Response) -> Response:
        """End whatever sign-on this browser has, staff's or its own, at the services too; return it without."""
        self._site.signout.end_here(self._site.cookies.session(request))
        self._site.cookies.drop_session(response)
        return response

    # ---- is this you? ----------------------------------------------------------------------------

    def give(self) -> Response:
        """Ask whether it is them: a name and a year, and no more. Left alone, the page goes, and so does what it asks.

        The time is kept here, not in the browser: an answer that comes later is taken by nobody.
        """
        given = self._given()
        if given is None:
            return see_other(self._path("/tablet"))
        clinic, client = self._parties(given)
        _, secret = self._held()
        response = self._page(
            "tabletgive",
            clinic=clinic,
            language=self._language(given, clinic),
            nonce=mint_nonce(secret),
            given=given,
            service=client.called(self._language(given, clinic)),
            origins=_origins(client),
        )
        response.headers["Refresh"] = f"{int(IDLE.total_seconds())}; url=/tablet"
        return response

    def answered(self, fields: Mapping[str, str]) -> Response:
        """Begin the sign-on, or end it all."""
        pairing, secret = self._held()
        if not secret or not is_our_nonce(fields.get("_n", ""), secret):
            return see_other(self._path("/tablet"))
        try:
            if fields.get("do") == "yes":
                return self._begun(pairing, secret)
            self._assisting.refuse(pairing, secret, self._site.clock.now())
        except NotFound:
            return see_other(self._path("/tablet", e="over"))
        return see_other(self._path("/tablet"))

    def _begun(self, pairing: str, secret: str) -> Response:
        """Sign the patient on, and go to where a sign-in begins at the service (OpenID Connect Core, 4).

        The sign-on's secret is made of the tablet's own, which no other browser was told: a button that is pressed
        twice leads to the same sign-on twice. A press that finds it running begins none: what has ended stays ended.
        """
        site, now = self._site, self._site.clock.now()
        own = hashlib.sha256(f"sign-on\n{secret}".encode()).hexdigest()
        ran = self._assisting.runs(pairing, now)
        identity = self._assisting.accept(pairing, secret, now, key_of(own))
        assisted = identity.assisted
        client = site.clients.find(assisted.client) if assisted is not None else None
        if client is None:
            raise NotFound("no such service any more")
        if not ran and site.broker.signon.session(own) is None:
            site.broker.signon.admit(own, identity.subject, identity, self._tongue(), site.cookies.session(request))
        if not self._assisting.runs(pairing, now):
            site.signout.end_one(identity.subject, key_of(own))  # staff have ended it in this very moment
            raise NotFound("it was ended meanwhile")
        response = see_other(_beginning(client, site.issuer))
        site.cookies.keep_session(response, own)
        return response

    # ---- afterwards ------------------------------------------------------------------------------

    def done(self) -> Response:
        """Say thank you, and have the browser forget all that it had of us (Clear Site Data, 3.1).

        Only where a sign-on of staff's has just ended in this browser: a link to here, on a page anywhere, would
        otherwise sign everybody out who follows it.
        """
        farewell = self._farewell()
        paired = "screen" not in request.args
        response = self._page("tabletdone", language=farewell.language if farewell else None, paired=paired)
        if paired:
            response.headers["Refresh"] = f"{_DONE_SHOWN}; url=/tablet"
        if farewell is not None:
            response.headers["Clear-Site-Data"] = '"cache", "cookies", "storage"'
            self._site.cookies.drop_session(response)
            self._site.cookies.drop_tablet(response)
        return response

    def _farewell(self) -> Farewell | None:
        name = self._site.cookies.farewell(request)
        try:
            found = self._site.signout.found(name).value
        except NotFound:
            return None
        return found if found.handed_back else None

    # ---- how -------------------------------------------------------------------------------------

    def _held(self) -> tuple[str, str]:
        """Return which pairing this tablet has, if any, and its secret."""
        pairing, _, secret = (self._site.cookies.tablet(request) or "").rpartition(".")
        return pairing, secret

    def _given(self) -> Given | None:
        pairing, secret = self._held()
        return self._assisting.held(pairing, secret, self._site.clock.now()) if pairing and secret else None

    def _parties(self, given: Given) -> tuple[Clinic, Client]:
        clinic = self._site.clinics.find(given.pairing.actor.clinic)
        client = self._site.clients.find(given.pairing.client)
        if clinic is None or client is None:
            raise NotFound("no such clinic or service any more")
        return clinic, client

    def _tongue(self) -> str:
        """Return the language of this tablet: nothing of it is kept in the browser."""
        return negotiate([request.args.get("lang", "")[:8]], request.headers.get("Accept-Language"), LANGUAGES)

    def _language(self, given: Given, clinic: Clinic) -> str:
        """Return the patient's language, unless another was chosen on the tablet."""
        chosen = request.args.get("lang", "")[:8]
        return negotiate([one for one in (chosen, given.language) if one], None, clinic.offered_languages)

    def _path(self, path: str, **query: str) -> str:
        chosen = request.args.get("lang", "")
        query |= {"lang": chosen} if chosen in LANGUAGES else {}
        return f"{path}?{urlencode(query)}" if query else path

    def _page(
        self,
        template: str,
        *,
        clinic: Clinic | None = None,
        language: str | None = None,
        status: int = 200,
        origins: Iterable[str] = (),
        **values: Any,
    ) -> Response:
        """Return a page that keeps nothing in the browser: no language, no comforts."""
        given = {"path": request.path, "error": "", **values}
        html = self._guard.desk.looks.page(template, language or self._tongue(), clinic, given)
        response = Response(html, status, content_type="text/html; charset=utf-8")
        response.headers.update(page_headers(tuple(origins), https=self._site.https))
        return response


def _beginning(client: Client, issuer: str) -> str:
    """Return where a sign-in begins that does not begin at the service (OpenID Connect Core, 4), else its own page."""
    uri = client.initiate_login_uri
    if uri is None:
        return client.way_back
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode({'iss': issuer})}"


def _origins(client: Client) -> tuple[str, ...]:
    """Return where the form may lead: to the service, through our own sign-in, and back to it."""
    uris = (client.initiate_login_uri or client.way_back, *client.redirect_uris)
    return tuple(dict.fromkeys(origin_of(uri) for uri in uris if not uri.startswith("/")))
