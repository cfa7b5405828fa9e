"""`/staff/sign-in`: user name and password, then a second factor; or a passkey, which is both."""

from __future__ import annotations

import secrets
from datetime import timedelta
from math import ceil
from urllib.parse import urlencode

from flask import Blueprint, request
from werkzeug.wrappers import Response

from idbroker.clinic import Clinic
from idbroker.office.doorway import Doorway, Stranger, clinic_in, onward
from idbroker.office.guard import Guard
from idbroker.oidc.parameters import Parameters
from idbroker.otp.one_time import Locked
from idbroker.staff.entrance import Refused
from idbroker.staff.logins import LONGEST
from idbroker.staff.member import Member
from idbroker.web.headers import see_other

SIGN_IN, CODE = "/staff/sign-in", "/staff/sign-in/code"


def routes(blueprint: Blueprint, guard: Guard) -> None:
    """Add the routes."""
    pages = _SigningIn(guard)

    @blueprint.get("/staff/sign-in")
    def sign_in() -> Response:
        return pages.page()

    @blueprint.post("/staff/sign-in")
    def by_password() -> Response:
        return pages.by_password(*pages.doorway.posted())

    @blueprint.get("/staff/sign-in/code")
    def second() -> Response:
        return pages.second()

    @blueprint.post("/staff/sign-in/code")
    def by_code() -> Response:
        return pages.by_code(*pages.doorway.posted())

    @blueprint.post("/staff/sign-in/passkey")
    def by_passkey() -> Response:
        return pages.by_passkey(*pages.doorway.posted())


class _SigningIn:
    """The pages of a sign-in."""

    def __init__(self, guard: Guard) -> None:
        self._guard, self._site, self._entrance = guard, guard.site, guard.desk.entrance
        self._passkeys = guard.desk.roster.welcome.passkeys
        self.doorway = Doorway(guard)

    def page(self) -> Response:
        """Ask who it is; who is signed in already goes on."""
        to = onward(request.args.get("to", ""))
        if self.doorway.arrives_from_elsewhere():
            return self.doorway.going_on(_with_to(to))
        now = self._site.clock.now()
        if self._entrance.session(self._site.cookies.staff(request), now) is not None:
            return see_other(to)
        stranger = self.doorway.stranger()
        settings, said = self._entrance.settings, self.doorway.said(stranger)
        return self.doorway.show(
            stranger,
            "sign_in",
            self._clinic(to),
            said=said,
            to=to,
            switch=_with_to(to),
            passwords=settings.passwords,
            organisation=settings.title if settings.issuer else "",
            passkey=self._passkeys.asks(stranger.bound, now) if self._passkeys.usable else "",
        )

    def by_password(self, stranger: Stranger, fields: Parameters) -> Response:
        """Take the first factor."""
        now, to = self._site.clock.now(), onward(fields.get("to", ""))
        login = fields.get("login", "")
        brought = self._site.cookies.familiar(request)
        found = self._entrance.password(login, fields.get("password", ""), request.remote_addr, now, brought)
        if isinstance(found, Member):
            if not found.app_secret and not found.passkeys:
                return self._again(stranger, to, "s.in.e.nofactor")
            # A new secret: whoever had this screen before may know the earlier one, and be half-way in too (fixation).
            fresh = secrets.token_urlsafe(32)
            self._entrance.wait(found, fresh, now, to)
            response = see_other(CODE)
            self._site.cookies.keep_entering(response, fresh)
            return response
        return self._again(stranger, to, *self._said_of(found), login=login[:LONGEST])

    def second(self) -> Response:
        """Ask for the second factor."""
        stranger, now = self.doorway.stranger(), self._site.clock.now()
        waiting = self._entrance.waiting(stranger.secret, now)
        if waiting is None:
            return self._again(stranger, "", "s.in.e.late")
        half, member = waiting
        asked = self._passkeys.asks(stranger.bound, now, member) if self._passkeys.usable and member.passkeys else ""
        return self.doorway.show(
            stranger,
            "second",
            self._clinic(half.to),
            said=self.doorway.said(stranger),
            to=half.to,
            app=member.app_secret is not None,
            passkey=asked,
        )

    def by_code(self, stranger: Stranger, fields: Parameters) -> Response:
        """Take an authenticator app's code: from the browser in which the password was right, and no other."""
        now = self._site.clock.now()
        waiting = self._entrance.waiting(stranger.secret, now)
        if waiting is None:
            return self._again(stranger, "", "s.in.e.late")
        half, member = waiting
        found = self._entrance.code(member, fields.get("code", ""), now)
        if isinstance(found, Locked):
            return self.doorway.say(stranger, CODE, **self._words(*self._said_of(found)))
        if not found:
            return self.doorway.say(stranger, CODE, error="s.in.e.code", field="code")
        return self.doorway.admit(stranger, member, "app", half.to)

    def by_passkey(self, stranger: Stranger, fields: Parameters) -> Response:
        """Take a passkey's answer, which is the whole sign-in."""
        now, to = self._site.clock.now(), onward(fields.get("to", ""))
        answer, brought = fields.get("credential", ""), self._site.cookies.familiar(request)
        found = self._passkeys.enter(answer, stranger.bound, request.remote_addr, now, brought)
        if isinstance(found, Member):
            return self.doorway.admit(stranger, found, "passkey", to)
        if isinstance(found, Refused):
            self._entrance.record("staff.refused", None, now, why=found.why)
            return self._again(stranger, to, "s.in.e.passkey")
        return self._again(stranger, to, *self._said_of(found))

    def _again(self, stranger: Stranger, to: str, error: str, minutes: str = "", **more: str) -> Response:
        response = self.doorway.say(stranger, _with_to(to), **self._words(error, minutes), **more)
        self._site.cookies.keep_entering(response, stranger.secret)
        return response

    def _words(self, error: str, minutes: str = "") -> dict[str, str]:
        return {"error": error, "minutes": minutes}

    def _said_of(self, found: Refused | Locked) -> tuple[str, str]:
        """Return what is said of a refusal: one sentence for all that was wrong, whoever it is (ASVS 6.3.8)."""
        if isinstance(found, Refused):
            return ("p.e.busy" if found.why == "busy" else "s.in.e.wrong"), ""
        if found.recover:
            return "s.in.e.closed", ""
        left = found.until - self._site.clock.now()
        return "s.in.e.locked", str(max(1, ceil(left / timedelta(minutes=1))))

    def _clinic(self, to: str) -> Clinic | None:
        named = request.args.get("clinic", "")[:LONGEST] or clinic_in(to)
        return self._site.clinics.find(named)


def _with_to(to: str) -> str:
    there = onward(to)
    return SIGN_IN if there == "/staff" else f"{SIGN_IN}?{urlencode({'to': there})}"
