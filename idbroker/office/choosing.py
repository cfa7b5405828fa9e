"""`/staff/set/TOKEN`: a link from a message, with which a password and a second factor are chosen."""

from __future__ import annotations

from flask import Blueprint
from werkzeug.wrappers import Response

from idbroker.accounts.passwords import least
from idbroker.office.doorway import Doorway, Said, Stranger
from idbroker.office.guard import Guard
from idbroker.oidc.parameters import Parameters
from idbroker.otp import app_codes
from idbroker.staff.member import Member
from idbroker.staff.welcome import Opened
from idbroker.web import qr
from idbroker.web.headers import see_other


def routes(blueprint: Blueprint, guard: Guard) -> None:
    """Add the routes."""
    pages = _Choosing(guard)

    @blueprint.get("/staff/set/<token>")
    def link(token: str) -> Response:
        """Show the page of a link. HEAD and GET use nothing up, and show no secret: mail scanners open every link."""
        return pages.page(token)

    @blueprint.post("/staff/set/<token>")
    def chosen(token: str) -> Response:
        return pages.chosen(token, *pages.doorway.posted())


class _Choosing:
    """The two pages of a link: a password, then what is asked for beside it."""

    def __init__(self, guard: Guard) -> None:
        self._site = guard.site
        self._welcome = guard.desk.roster.welcome
        self._letters = guard.desk.roster.letters
        self.doorway = Doorway(guard)

    def page(self, token: str) -> Response:
        """Ask for what is still to be chosen, in this browser."""
        stranger, now = self.doorway.stranger(), self._site.clock.now()
        opened = self._welcome.open(token, stranger.bound, now)
        said = self.doorway.said(stranger)
        if opened is None:
            return self.doorway.show(stranger, "link_gone", status=410)
        if not opened.chosen:
            rules = self._welcome.rules(opened.member)
            return self.doorway.show(
                stranger, "first_password", said=said, member=opened.member, least=least(rules), mixed=rules.mixed
            )
        return self._factor(stranger, opened, said)

    def _factor(self, stranger: Stranger, opened: Opened, said: Said) -> Response:
        secret, passkeys = opened.invitation.app_secret, self._welcome.passkeys
        uri = app_codes.uri(secret, opened.member.login, self._site.host)
        asked = passkeys.asks_new(opened.member, stranger.bound, self._site.clock.now()) if passkeys.usable else ""
        return self.doorway.show(
            stranger, "first_factor", said=said, member=opened.member, secret=spaced(secret), uri=uri,
            code=qr.drawing(uri), passkey=asked,
        )  # fmt: skip

    def chosen(self, token: str, stranger: Stranger, fields: Parameters) -> Response:
        """Take a password, or what goes with it."""
        here, now = f"/staff/set/{token}", self._site.clock.now()
        if "password" in fields:
            wrong = self._welcome.choose(token, fields["password"], stranger.bound, now)
            return self.doorway.say(stranger, here, error=wrong, field="password") if wrong else see_other(here)
        if fields.get("credential"):
            found = self._welcome.by_passkey(token, fields["credential"], stranger.bound, now)
            return self._finished(found, stranger, here, "")
        return self._finished(
            self._welcome.by_app(token, fields.get("code", ""), stranger.bound, now), stranger, here, "code"
        )

    def _finished(self, found: Member | str, stranger: Stranger, here: str, field: str) -> Response:
        if isinstance(found, str):
            return self.doorway.say(stranger, here, error=found, field=field)
        self._letters.changed(found, self._site.clock.now())
        return self.doorway.say(stranger, "/staff/sign-in", note="s.in.set")


def spaced(secret: str) -> str:
    """Return a secret in groups of four, as people type it."""
    return " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
