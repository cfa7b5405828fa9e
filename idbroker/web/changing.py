"""Changing how one is known: an address, the authenticator app, the password."""

from __future__ import annotations

from collections.abc import Mapping

from werkzeug.wrappers import Response

from idbroker.accounts import passwords
from idbroker.accounts.choosing import Busy, Done, NotCurrent, Spent, Weak
from idbroker.accounts.own import Pending
from idbroker.errors import NotFound
from idbroker.identity import LoA
from idbroker.messages.addresses import shown
from idbroker.messages.message import Channel
from idbroker.oidc.parameters import Parameters
from idbroker.otp.one_time import Limited, Locked, Old, Right, Sent, Verdict, Wrong
from idbroker.web.headers import see_other
from idbroker.web.myself import Here, Myself
from idbroker.web.qr import drawing
from idbroker.web.site import Site

CHANNELS: Mapping[str, Channel] = {"email": Channel.EMAIL, "phone": Channel.SMS}
PARTS = (*CHANNELS, "app", "password")
_LONGEST_TYPED = 100
_CLOSED = {"code": "o.e.closed"}


class Changing:
    """The pages of each part, and what is posted on them. Whoever calls has seen to it that the proof is fresh."""

    def __init__(self, site: Site) -> None:
        self._site, self._own = site, site.own
        self._myself = Myself(site)

    def page(self, here: Here, what: str) -> Response:
        """Show a part as it is now."""
        if what in CHANNELS:
            return self._contact(here, what)
        return self._app(here) if what == "app" else self._password(here)

    def take(self, here: Here, what: str, fields: Parameters) -> Response:
        """Do what a part's form asks."""
        if what in CHANNELS:
            return self._take_contact(here, what, fields)
        return self._take_app(here, fields) if what == "app" else self._take_password(here, fields)

    # ---- an address ------------------------------------------------------------------------------

    def _contact(self, here: Here, what: str) -> Response:
        """Ask for the address, or for the code that went to it."""
        said = self._myself.said(here, what)
        pending = self._own.waiting(here.session, CHANNELS[what])
        if pending is None or "address" in said.errors:
            return self._myself.show(here, "mecontact", what, {"what": what, **said.values}, said.errors)
        return self._myself.show(here, "code", what, {**self._waiting(pending), **said.values}, said.errors)

    def _waiting(self, pending: Pending) -> dict[str, str]:
        sent = pending.sent
        return {
            "channel": pending.channel or "",
            "shown": shown(pending.channel, pending.address) if pending.channel else "",
            "until": sent.until.isoformat() if sent else "",
            "again": pending.again.isoformat() if pending.again else "",
            "message": sent.message if sent else "",
            "dead": "1" if self._own.is_dead(pending) else "",
            "purpose": "contact",
        }

    def _take_contact(self, here: Here, what: str, fields: Parameters) -> Response:
        channel, do = CHANNELS[what], fields.get("do")
        if do == "address":
            return self._begin(here, what, fields.get("address", ""))
        if do == "back":
            self._own.drop(here.session, channel)
            return see_other(f"{here.path}/{what}")
        try:
            if do == "again":
                return self._sent(here, what, self._own.again(here.session, channel, here.visit))
            code = fields.get("code", "")
            verdict = self._own.confirm_contact(here.session, channel, code, here.visit, only_of=here.guardian)
            return self._judged(here, what, verdict)
        except NotFound:
            return see_other(here.path)  # taken on already, by another press or tab

    def _begin(self, here: Here, what: str, typed: str) -> Response:
        begun = self._own.begin_contact(here.session, CHANNELS[what], typed, here.visit)
        address = {"address": typed[:_LONGEST_TYPED]}
        if isinstance(begun, str):
            return self._myself.say(here, what, address, {"address": begun})
        return self._sent(here, what, begun, address)

    def _sent(self, here: Here, what: str, sent: Sent | Limited, typed: Mapping[str, str] | None = None) -> Response:
        if isinstance(sent, Sent):
            return self._myself.say(here, what, {})
        if sent.recover:
            return self._myself.say(here, what, typed or {}, {"address" if typed else "code": "o.e.closed"})
        return self._myself.say(here, what, {**(typed or {}), "limited": sent.until.isoformat()})

    def _judged(self, here: Here, what: str, verdict: Verdict | None) -> Response:
        match verdict:
            case Right():
                return self._myself.say(here, "", {"saved": what})
            case None:
                return self._myself.say(here, what, {}, {"code": "o.e.wrong"})
            case Wrong(left=left):
                return self._myself.say(here, what, {"left": str(left)}, {"code": "o.e.wrong"})
            case Old():
                return self._renewed(here, what)
            case Locked(recover=True):
                return self._myself.say(here, what, {}, _CLOSED)
            case Locked(until=until):
                return self._myself.say(here, what, {"locked": until.isoformat()})

    def _renewed(self, here: Here, what: str) -> Response:
        """Send another code in an old one's place; no page says that it was sent when none was."""
        sent = self._own.again(here.session, CHANNELS[what], here.visit)
        if isinstance(sent, Limited):
            return self._sent(here, what, sent)
        return self._myself.say(here, what, {}, {"code": "o.e.old"})

    # ---- the authenticator app -------------------------------------------------------------------

    def _app(self, here: Here) -> Response:
        said = self._myself.said(here, "app")
        begun = self._own.begin_app(here.session, self._site.host)
        code = drawing(begun.uri)
        secret = " ".join(begun.secret[at : at + 4] for at in range(0, len(begun.secret), 4))
        values = {
            "secret": secret,
            "uri": begun.uri,
            "dots": code.path,
            "box": code.view_box,
            "replaces": "1" if begun.replaces else "",
        }
        return self._myself.show(here, "meapp", "app", values, said.errors)

    def _take_app(self, here: Here, fields: Parameters) -> Response:
        match self._own.confirm_app(here.session, fields.get("code", ""), here.visit):
            case True:
                return self._myself.say(here, "", {"saved": "app"})
            case False:
                key = self._own.hindrance(here.session, None) or "me.app.e.code"
                return self._myself.say(here, "app", {}, {"code": key})
            case _:
                return see_other(here.path)  # taken on already, by another press or tab; or its time was up

    # ---- the password ----------------------------------------------------------------------------

    def _password(self, here: Here) -> Response:
        said, rules = self._myself.said(here, "password"), here.clinic.password
        first = not self._own.has_password(here.session)
        if first and here.session.identity.loa is LoA.LOW:
            return see_other(here.path)
        values = {
            "least": str(passwords.least(rules)),
            "mixed": "1" if rules.mixed else "",
            "first": "1" if first else "",
        }
        return self._myself.show(here, "mepassword", "password", {**values, **said.values}, said.errors)

    def _take_password(self, here: Here, fields: Parameters) -> Response:
        """Set a new password with the current one; every other sign-on ends (ASVS 6.2.3, 7.4.3)."""
        return self.chose(here, self._chosen(here, fields.get("current", ""), fields.get("password", "")))

    def chose(self, here: Here, came_to: Done | Weak | NotCurrent | Locked | Busy | Spent) -> Response:
        """Say what choosing a password came to."""
        match came_to:
            case Weak(key=key):
                return self._myself.say(here, "password", {}, {"password": key})
            case NotCurrent(left=left):
                return self._myself.say(here, "password", {"left": str(left)}, {"current": "me.e.current"})
            case Locked(until=until):
                return self._myself.say(here, "password", {"locked": until.isoformat()})
            case Busy():
                return self._myself.say(here, "password", {"busy": "1"})
            case Done():
                return self._myself.say(here, "", {"saved": "password"})
            case Spent():
                return see_other(here.path)

    def _chosen(self, here: Here, current: str, new: str) -> Done | Weak | NotCurrent | Locked | Busy | Spent:
        """Change the password; or choose the first, by the eID proof that every change asks for."""
        recovery, person, key = self._site.recovery, here.session.person, here.session.key
        if here.session.identity.loa is LoA.LOW or self._own.has_password(here.session):
            return recovery.change(person, current, new, here.visit, but=key)
        return recovery.choose_first(person, new, here.visit, but=key)
