"""`/staff/sign-out`: out here, and then at the organisation's own provider (RP-Initiated Logout 1.0).

The attack: a colleague signs out and leaves the desk, and the next one presses "log in" and is the first, for the
organisation's provider still knows the browser. So the browser goes on to it when all that is ours is over, which waits
for nothing there (decision 0018). What comes back opens nothing and leads to our sign-in alone (open redirect); it only
decides what is said, and is believed in the browser that left, with the state of that very time (forged return).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from datetime import timedelta

import structlog
from flask import Blueprint, request
from werkzeug.wrappers import Response

from idbroker.errors import ProviderError, Untrusted
from idbroker.office.doorway import Doorway, Stranger
from idbroker.office.guard import Guard
from idbroker.office.provider import Errand, Organisation
from idbroker.staff.entrance import There
from idbroker.web.headers import origin_of, page_headers, see_other

SIGN_IN, OUT, ON, DONE = "/staff/sign-in", "/staff/sign-out", "/staff/sign-out/on", "/staff/sign-out/done"
SHOWN = timedelta(minutes=1)  # the way there, with the ID token: until the browser has gone it
LIFE = timedelta(minutes=15)  # the way back: some providers ask first
_log = structlog.get_logger("idbroker.office")


def routes(blueprint: Blueprint, guard: Guard) -> None:
    """Add the routes."""
    pages = WayOut(guard)

    @blueprint.post(OUT)
    def sign_out() -> Response:
        if pages.is_leaving():  # pressed twice: the first answer has taken the cookie away already
            return see_other(ON)
        guard.sent()
        return pages.out()

    @blueprint.get(ON)
    def going() -> Response:
        return pages.on()

    @blueprint.get(DONE)
    def gone() -> Response:
        return pages.done()


class WayOut:
    """Out, there, and back."""

    def __init__(self, guard: Guard) -> None:
        self._guard, self._site, self._organisation = guard, guard.site, guard.desk.organisation
        self._doorway = Doorway(guard)

    def is_leaving(self) -> bool:
        """Tell whether this browser is on its way to the organisation's provider, and nobody is signed in."""
        stranger = self._doorway.stranger()
        return self._site.cookies.staff(request) is None and self._errand(stranger) is not None

    def out(self) -> Response:
        """End the sign-in of this browser; then go to the organisation's provider, if it knows the browser too."""
        secret = self._site.cookies.staff(request) or ""
        session = self._guard.desk.entrance.leave(secret, self._site.clock.now())
        stranger = self._doorway.known(_after(secret))
        if session is not None:
            response = self._leave(stranger, session.there)
        elif self._errand(stranger) is not None:  # of two presses at once the browser shows the second one's answer
            response = see_other(ON)
        else:
            # Not by a secret that was never a sign-in's: others could know what is made of it.
            stranger = self._doorway.stranger()
            response = self._say(stranger, "s.in.out.unsure" if secret and self._may_be_there() else "s.in.out")
        self._site.cookies.drop_staff(response)
        self._site.cookies.keep_entering(response, stranger.secret)
        return response

    def on(self) -> Response:
        """Show the page that goes on by itself. Browsers hold the form before it to its own policy (decision 0018)."""
        errand = self._errand(self._doorway.stranger())
        if errand is None:
            return see_other(SIGN_IN)
        language = self._guard.language(None, None)
        if errand.fields is None:
            response = self._guard.bare("going_on", language, onward=errand.action, switch=ON)
            response.headers["Refresh"] = f"0;url={errand.action}"
            return response
        response = self._guard.bare("posting_on", language, action=errand.action, fields=errand.fields, switch=ON)
        response.headers.update(page_headers([origin_of(errand.action)], https=self._site.https))
        return response

    def done(self) -> Response:
        """Say what has become of it, once; to a browser that nobody sent, nothing."""
        stranger = self._doorway.stranger()
        kept = self._organisation.errands.get(_back(stranger)) if self._organisation is not None else None
        if self._organisation is None or kept is None:
            return see_other(SIGN_IN)
        try:
            over = self._organisation.left(kept.value, request.query_string, self._site.clock.now())
        except Untrusted as error:
            # Nothing is used up: another site's link must not take the true way back from who is on it.
            _log.warning("organisation_sign_out", reason=error.code, detail=error.detail)
            return self._say(stranger, "s.in.out.unsure")
        for errand in (_back(stranger), _there(stranger)):
            self._organisation.errands.take(errand)
        return self._say(stranger, "s.in.out.there" if over else "s.in.out.unsure")

    # ---- how -------------------------------------------------------------------------------------

    def _may_be_there(self) -> bool:
        """Tell whether nobody knows here what the organisation's provider has in this browser, and it is to end."""
        return self._organisation is not None and self._organisation.settings.end_session != "off"

    def _leave(self, stranger: Stranger, there: There | None) -> Response:
        organisation = self._organisation
        if organisation is None or there is None or not organisation.knows(there):
            return self._say(stranger, "s.in.out")
        try:
            errand = organisation.leave(
                there, secrets.token_urlsafe(16), f"{self._site.issuer}{DONE}", self._site.clock.now()
            )
        except ProviderError as error:
            _log.warning("organisation_sign_out", reason=error.code, detail=error.detail)
            errand = None
        if errand is None:
            return self._say(stranger, "s.in.out.unsure")
        self._keep(organisation, stranger, errand)
        return see_other(ON)

    def _keep(self, organisation: Organisation, stranger: Stranger, errand: Errand) -> None:
        organisation.errands.put(_there(stranger), errand, SHOWN)
        organisation.errands.put(_back(stranger), Errand(state=errand.state), LIFE)

    def _errand(self, stranger: Stranger) -> Errand | None:
        kept = self._organisation.errands.get(_there(stranger)) if self._organisation is not None else None
        return kept.value if kept is not None else None

    def _say(self, stranger: Stranger, note: str) -> Response:
        return self._doorway.say(stranger, SIGN_IN, note=note)


def _after(secret: str) -> str:
    """Return the secret that a browser has after a sign-in: for two presses at once the same, and nobody else's."""
    return base64.urlsafe_b64encode(hashlib.sha256(f"signed out\n{secret}".encode()).digest()).decode().rstrip("=")


def _there(stranger: Stranger) -> str:
    return f"out.{stranger.bound}"


def _back(stranger: Stranger) -> str:
    return f"back.{stranger.bound}"
