"""`/staff/me`: a colleague's own sign-in: password, authenticator app, passkeys, language, and its end everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from flask import Blueprint, request
from werkzeug.wrappers import Response

from idbroker.accounts.passwords import Busy, least
from idbroker.clinic import LANGUAGES
from idbroker.office.choosing import spaced
from idbroker.office.doorway import Said
from idbroker.office.guard import Guard
from idbroker.office.signing_out import WayOut
from idbroker.oidc.parameters import Parameters
from idbroker.otp import app_codes
from idbroker.otp.one_time import Locked
from idbroker.staff.entrance import StaffSession, next_epoch
from idbroker.staff.member import Member
from idbroker.staff.passkeys import LONGEST_NAME, with_passkey
from idbroker.web import qr
from idbroker.web.headers import see_other

ME = "/staff/me"
KEPT = timedelta(minutes=10)
Changing = Callable[[Member], Member | None]


@dataclass(frozen=True, slots=True)
class _Own:
    """Whose page it is, in which sign-in."""

    session: StaffSession
    member: Member


def routes(blueprint: Blueprint, guard: Guard) -> None:
    """Add the routes."""
    pages = _OwnPages(guard)

    @blueprint.get(ME)
    def me() -> Response:
        return pages.page(pages.own())

    @blueprint.post(ME)
    def changed() -> Response:
        own, fields = pages.own(), guard.sent()
        return pages.changed(own, fields)


class _OwnPages:
    """What is shown and changed there. Whoever changes a factor types the password anew (ASVS 7.5.1)."""

    def __init__(self, guard: Guard) -> None:
        self._guard, self._site = guard, guard.site
        self._entrance, self._roster = guard.desk.entrance, guard.desk.roster
        self._welcome, self._passkeys = self._roster.welcome, self._roster.welcome.passkeys
        self._way_out = WayOut(guard)

    def own(self) -> _Own:
        """Return whose page it is. SignInFirst for nobody's."""
        return _Own(*self._guard.member())

    def page(self, own: _Own) -> Response:
        """Show it, with what is to be said of the form before it."""
        member, language = own.member, self._guard.language(own.member, None)
        said = Said(**(self._site.requests.take(_said_at(own)) or {}))
        new = self._site.requests.get(_app_at(own))
        uri = app_codes.uri(new.value["secret"], member.login, self._site.host) if new else ""
        rules = self._welcome.rules(member)
        usable = self._passkeys.usable and member.password is not None
        return self._guard.bare(
            "own",
            language,
            here=None,
            member=member,
            session=own.session,
            nonce=self._guard.nonce(),
            said=said,
            least=least(rules),
            mixed=rules.mixed,
            passwords=self._entrance.settings.passwords and member.password is not None,
            new_app={"uri": uri, "secret": spaced(new.value["secret"]), "code": qr.drawing(uri)} if new else None,
            passkey=self._passkeys.asks_new(member, self._guard.bound, self._site.clock.now()) if usable else "",
        )

    def changed(self, own: _Own, fields: Parameters) -> Response:
        """Do what a form asks."""
        do = fields.get("do", "")
        if do == "language":
            return self._language(own, fields)
        if do == "end":
            self._entrance.end_all(own.member.id, self._site.clock.now())
            self._record(own, "sessions")
            return self._way_out.out()
        if do == "app-new":  # nothing is changed by it, so nothing is asked
            self._site.requests.put(_app_at(own), {"secret": app_codes.new_secret()}, KEPT)
            return see_other(f"{ME}#app")
        changes = {"password": self._password, "app": self._app, "passkey": self._passkey, "remove": self._remove}
        if do not in changes:
            return see_other(ME)
        wrong = self._current(own, fields)
        return self._say(own, error=wrong, field=f"current-{do}") if wrong else changes[do](own, fields)

    # ---- each change -----------------------------------------------------------------------------

    def _current(self, own: _Own, fields: Parameters) -> str | None:
        """Return what is wrong with the password that they have, counted as at the sign-in."""
        now, typed = self._site.clock.now(), fields.get("current", "")
        if own.member.password is None:
            return "s.in.e.organisation"
        brought = self._site.cookies.familiar(request)
        found = self._entrance.password(own.member.login, typed, request.remote_addr, now, brought)
        if isinstance(found, Member):
            return None if found.id == own.member.id else "me.e.current"
        if isinstance(found, Locked):
            return "s.in.e.closed"
        return "p.e.busy" if found.why == "busy" else "me.e.current"

    def _language(self, own: _Own, fields: Parameters) -> Response:
        wished = fields.get("language", "")
        if wished in LANGUAGES:
            self._entrance.members.change(own.member.id, lambda one: replace(one, language=wished))
        response = self._say(own, note="me.saved")
        if wished in LANGUAGES:
            self._site.cookies.keep_comforts(response, wished, self._site.cookies.comforts(request)[1] or "")
        return response

    def _password(self, own: _Own, fields: Parameters) -> Response:
        new = fields.get("password", "")
        weak = self._welcome.weakness(own.member, new)
        if weak is not None:
            return self._say(own, error=weak, field="password")
        try:
            hashed = self._welcome.hasher.hash(new)
        except Busy:
            return self._say(own, error="p.e.busy", field="password")
        return self._anew(own, lambda one: replace(one, password=hashed), "password")

    def _app(self, own: _Own, fields: Parameters) -> Response:
        """Take a new app in by its first code."""
        kept = self._site.requests.get(_app_at(own))
        step = (
            app_codes.step_of(kept.value["secret"], fields.get("code", ""), self._site.clock.now(), 0) if kept else None
        )
        if kept is None or step is None:
            return self._say(own, error="me.app.e.code", field="code")
        self._site.requests.take(_app_at(own))
        secret = kept.value["secret"]
        return self._anew(own, lambda one: replace(one, app_secret=secret, app_step=step), "app")

    def _passkey(self, own: _Own, fields: Parameters) -> Response:
        name, answer = fields.get("name", "")[:LONGEST_NAME], fields.get("credential", "")
        made = self._passkeys.made(answer, name, self._guard.bound, self._site.clock.now())
        if made is None or self._entrance.members.by_passkey(made.id) is not None:
            return self._say(own, error="s.in.e.passkey")
        done = self._change(own, lambda one: with_passkey(one, made))
        return self._say(own, error="s.in.e.passkey") if done is None else self._told(own, "passkey_added")

    def _remove(self, own: _Own, fields: Parameters) -> Response:
        """Remove a passkey, unless it is the last factor beside the password, and end what was begun with it."""
        gone = fields.get("passkey", "")

        def remove(one: Member) -> Member | None:
            left = tuple(key for key in one.passkeys if key.id.hex() != gone)
            removed = len(left) < len(one.passkeys) and (bool(left) or one.app_secret is not None)
            return replace(one, passkeys=left) if removed else None

        return self._anew(own, remove, "passkey_removed", "s.in.e.last")

    # ---- how -------------------------------------------------------------------------------------

    def _anew(self, own: _Own, change: Changing, what: str, wrong: str = "s.in.e.passkey") -> Response:
        """Change a factor, and end every other sign-in: it may have been somebody else's (ASVS 7.4.3)."""
        now = self._site.clock.now()

        def anew(one: Member) -> Member | None:
            after = change(one)
            return None if after is None else replace(after, epoch=next_epoch(one, now))

        after = self._change(own, anew)
        if after is None:
            return self._say(own, error=wrong)
        return self._told(replace(own, member=after), what, own.session.how)

    def _change(self, own: _Own, change: Changing) -> Member | None:
        """Change them, as long as this sign-in is good at that very moment; None where nothing was changed.

        The attack: who has a colleague's session and password adds a key while an administrator resets both.
        """
        done = False

        def changed(one: Member) -> Member | None:
            nonlocal done
            same = one.epoch == own.member.epoch and not one.disabled
            after = change(one) if same else None
            done = after is not None
            return after

        after = self._entrance.members.change(own.member.id, changed)
        return after if done else None

    def _told(self, own: _Own, what: str, how: str = "") -> Response:
        """Say that it is done: here, in the trail, and to their address."""
        now = self._site.clock.now()
        self._record(own, what)
        self._roster.letters.changed(own.member, now)
        if not how:
            return self._say(own, note="me.saved")
        self._entrance.leave(self._site.cookies.staff(request), now)
        session, secret = self._entrance.admit(own.member, how, now, own.session.there)
        response = self._say(replace(own, session=session), note="s.in.saved")
        self._site.cookies.keep_staff(response, secret)
        token = self._entrance.familiar.token(own.member, self._site.cookies.familiar(request), now)
        self._site.cookies.keep_familiar(request, response, token)
        return response

    def _record(self, own: _Own, what: str) -> None:
        self._entrance.record("staff.changed", own.member, self._site.clock.now(), what=what)

    def _say(self, own: _Own, **said: str) -> Response:
        self._site.requests.put(_said_at(own), said, KEPT)
        return see_other(ME)


def _said_at(own: _Own) -> str:
    return f"own.{own.session.key}"


def _app_at(own: _Own) -> str:
    return f"own-app.{own.session.key}"
