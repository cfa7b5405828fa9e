"""Who is at a page of the office, whether they may, and what is said to them between a form and the page after it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from flask import request
from werkzeug.wrappers import Response

from idbroker.clinic import LANGUAGES, Clinic
from idbroker.errors import BrokerError, NotAllowed, NotFound, OAuthError
from idbroker.office.desk import Desk
from idbroker.oidc.parameters import Parameters
from idbroker.staff.entrance import StaffSession
from idbroker.staff.member import Actor, Member, Role
from idbroker.web.headers import page_headers, see_other
from idbroker.web.site import Site
from idbroker.web.steering import is_our_nonce, mint_nonce, posted_fields
from idbroker.words import negotiate

SAID = timedelta(minutes=10)


class SignInFirst(BrokerError):
    """Nobody is signed in (any more): the page asks, and leads back to where they were."""


class NoSuchClinic(NotFound):
    """There is no such clinic for this colleague."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """A colleague at a page: who they are, at which clinic. `nonce` goes into every form."""

    session: StaffSession
    member: Member
    actor: Actor
    clinic: Clinic
    language: str
    nonce: str = field(repr=False)
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a form came to, for the page that is got next: values, and errors by field."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    errors: Mapping[str, str] = field(default_factory=dict)


class Guard:
    """Stands at every page of the office."""

    def __init__(self, site: Site, desk: Desk) -> None:
        self.site, self.desk = site, desk

    def member(self) -> tuple[StaffSession, Member]:
        """Return who is signed in. SignInFirst for nobody."""
        found = self.desk.entrance.session(self.site.cookies.staff(request), self.site.clock.now())
        if found is None:
            raise SignInFirst
        return found

    def here(self, clinic: str, least: Role = Role.CARER) -> Here:
        """Return who is at a clinic's page, and may be. SignInFirst; NoSuchClinic (a NotFound); NotAllowed.

        A clinic where they do not work is as one that is not there: nobody learns who else is a customer.
        """
        session, member = self.member()
        known, actor = self.site.clinics.find(clinic), self.desk.entrance.actor(member, clinic)
        if known is None or actor is None:
            raise NoSuchClinic("no such clinic for this colleague")
        if not actor.may(least):
            raise NotAllowed(f"{actor.role} is less than {least}")
        return Here(
            session=session,
            member=member,
            actor=actor,
            clinic=known,
            language=self.language(member, known),
            nonce=mint_nonce(self._bound()),
            now=self.site.clock.now(),
        )

    def posted(self, clinic: str, least: Role = Role.CARER) -> tuple[Here, Parameters]:
        """Return who posted a form, and its fields. BadLink-like OAuthError for one that is not of this sign-in (CSRF).

        A form with `lang` only switches the language: see `switched`.
        """
        here, fields = self.here(clinic, least), posted_fields()
        if not is_our_nonce(fields.get("_n", ""), self._bound()):
            raise OAuthError("invalid_request", "The form is not of this sign-in", detail="staff form nonce")
        return here, fields

    def nonce(self) -> str:
        """Return what goes into the forms of a page that is no clinic's."""
        return mint_nonce(self._bound())

    def sent(self) -> Parameters:
        """Return the fields of such a form. OAuthError for one that is not of this sign-in (CSRF)."""
        fields = posted_fields()
        if not is_our_nonce(fields.get("_n", ""), self._bound()):
            raise OAuthError("invalid_request", "The form is not of this sign-in", detail="staff form nonce")
        return fields

    @property
    def bound(self) -> str:
        """Return what only the browser of this sign-in has, hashed: challenges are made for it."""
        return self._bound()

    def language(self, member: Member | None, clinic: Clinic | None) -> str:
        """Return the language to speak: asked for now, used on this device, the colleague's own, the browser's."""
        offered = clinic.offered_languages if clinic else LANGUAGES
        used, _ = self.site.cookies.comforts(request)
        wished = (request.args.get("lang", "")[:8], used, member.language if member else None)
        return negotiate([one for one in wished if one], request.headers.get("Accept-Language"), offered)

    def refused(self, why: str) -> None:
        """Keep in the trail that who is signed in here was refused something; of nobody there is nothing to keep.

        `why` is `role`, `clinic`, `handle`, `stale`, `answered` (by another, or before), or a word of `Conflict`. Of a
        sign-in that is over nothing is kept.
        """
        found = self.desk.entrance.session(self.site.cookies.staff(request), self.site.clock.now())
        clinic = self.site.clinics.find((request.view_args or {}).get("clinic", ""))
        if found is not None:
            self.desk.entrance.refused(found[1], why, clinic.id if clinic else None, self.site.clock.now())

    def spoken(self) -> str:
        """Return the language of whoever is here, on a page that may be no clinic's: signed in or not."""
        found = self.desk.entrance.session(self.site.cookies.staff(request), self.site.clock.now())
        return self.language(found[1] if found is not None else None, None)

    # ---- answers ---------------------------------------------------------------------------------

    def show(self, here: Here, template: str, *, status: int = 200, **values: Any) -> Response:
        """Show a page of a clinic's office."""
        given = {"here": here, "nonce": here.nonce, "path": request.path, **values}
        return self.bare(template, here.language, here.clinic, status=status, **given)

    def bare(
        self, template: str, language: str, clinic: Clinic | None = None, *, status: int = 200, **values: Any
    ) -> Response:
        """Show a page outside a sign-in."""
        html = self.desk.looks.page(template, language, clinic, {"path": request.path, **values})
        response = Response(html, status, content_type="text/html; charset=utf-8")
        response.headers.update(page_headers(https=self.site.https))
        if request.args.get("lang", "") in LANGUAGES:
            self.site.cookies.keep_comforts(response, language, self.site.cookies.comforts(request)[1] or "")
        return response

    def say(
        self, here: Here, path: str, values: Mapping[str, str], errors: Mapping[str, str] | None = None
    ) -> Response:
        """Go to a page and say something there: after a post comes a get, so that a reload posts nothing."""
        kept = {f"v.{name}": value for name, value in values.items()}
        kept |= {f"e.{name}": key for name, key in (errors or {}).items()}
        self.site.requests.put(f"office.{here.session.key}", {"path": path, **kept}, SAID)
        return see_other(path)

    def told(self, here: Here) -> Told:
        """Return what is to be said on this page, once."""
        kept = self.site.requests.get(f"office.{here.session.key}")
        if kept is None or kept.value.get("path") != request.path:
            return Told()
        self.site.requests.take(f"office.{here.session.key}")
        return Told(values=_part(kept.value, "v."), errors=_part(kept.value, "e."))

    def sign_in_first(self) -> Response:
        """Lead to the sign-in, and back to the page afterwards."""
        onward = request.full_path.rstrip("?") if request.method == "GET" else ""
        return see_other(f"/staff/sign-in?to={quote(onward, safe='')}" if onward else "/staff/sign-in")

    def _bound(self) -> str:
        """Return what a form's nonce is made with: not the cookie's own value, which opens everything."""
        secret = self.site.cookies.staff(request) or ""
        return hashlib.sha256(f"staff\n{secret}".encode()).hexdigest()


def _part(told: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix): value for name, value in told.items() if name.startswith(prefix)}
