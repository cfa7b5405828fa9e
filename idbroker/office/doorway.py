"""A browser in which nobody is signed in yet: its secret, its forms, and where it may be led afterwards."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from dataclasses import field as field_of
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from flask import request
from werkzeug.wrappers import Response

from idbroker.clinic import Clinic
from idbroker.errors import OAuthError
from idbroker.office.guard import Guard
from idbroker.oidc.parameters import Parameters
from idbroker.staff.entrance import There
from idbroker.staff.member import Member
from idbroker.web.headers import see_other
from idbroker.web.steering import is_our_nonce, mint_nonce, posted_fields

SAID = timedelta(minutes=10)
HOME = "/staff"
LONGEST_PATH = 512
_OWN = re.compile(r"/staff(/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)*(\?[A-Za-z0-9_.~=&%+-]*)?", re.ASCII)
_ENTRY = ("/staff/sign-in", "/staff/sign-out", "/staff/set", "/staff/callback")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """A browser before a sign-in. `bound` is what only it knows, hashed; `nonce` goes into its forms (login CSRF)."""

    secret: str = field_of(repr=False)
    bound: str = field_of(repr=False)
    nonce: str = field_of(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a page says of the form before it: the text of what is wrong and of which field, or what is done."""

    error: str = ""
    field: str = ""
    minutes: str = ""
    note: str = ""
    login: str = field_of(default="", repr=False)


def onward(to: str) -> str:
    r"""Return where somebody may be led after a sign-in: a page of the office, else its first (open redirect).

    Not `//evil`, `/staff@evil`, `/staff\evil`, nor anything with a line's end; and no page of the sign-in itself.
    """
    if len(to) > LONGEST_PATH or not _OWN.fullmatch(to) or to.startswith(_ENTRY):
        return HOME
    return to


def clinic_in(to: str) -> str:
    """Return the clinic that a page belongs to, if it is one's."""
    parts = urlsplit(onward(to)).path.split("/")
    return parts[2] if len(parts) > 2 else ""


class Doorway:
    """What the pages before a sign-in have in common."""

    def __init__(self, guard: Guard) -> None:
        self.guard, self.site = guard, guard.site

    def stranger(self) -> Stranger:
        """Return the browser: with the secret of its cookie, or a new one."""
        return self.known(self.site.cookies.entering(request) or secrets.token_urlsafe(32))

    def known(self, secret: str) -> Stranger:
        """Return the browser that has, or is to have, this secret."""
        bound = hashlib.sha256(f"entering\n{secret}".encode()).hexdigest()
        return Stranger(secret=secret, bound=bound, nonce=mint_nonce(bound))

    def posted(self) -> tuple[Stranger, Parameters]:
        """Return who posted a form, and its fields. OAuthError for one that we did not give to this browser."""
        stranger, fields = self.stranger(), posted_fields()
        if not is_our_nonce(fields.get("_n", ""), stranger.bound):
            raise OAuthError("invalid_request", "The form is not of this browser", detail="sign-in form nonce")
        return stranger, fields

    def show(
        self, stranger: Stranger, template: str, clinic: Clinic | None = None, *, status: int = 200, **values: Any
    ) -> Response:
        """Show a page, and let the browser keep its secret."""
        language = self.guard.language(None, clinic)
        given = {"nonce": stranger.nonce, "switch": request.path, **values}
        response = self.guard.bare(template, language, clinic, status=status, **given)
        self.site.cookies.keep_entering(response, stranger.secret)
        return response

    def say(self, stranger: Stranger, path: str, **said: str) -> Response:
        """Go to a page and say something there, once."""
        self.site.requests.put(_said_at(stranger), said, SAID)
        return see_other(path)

    def said(self, stranger: Stranger) -> Said:
        """Return what is to be said."""
        return Said(**(self.site.requests.take(_said_at(stranger)) or {}))

    def arrives_from_elsewhere(self) -> bool:
        """Tell whether another site's link led here: a strict cookie comes with the next page only."""
        return request.headers.get("Sec-Fetch-Site") == "cross-site" and self.site.cookies.staff(request) is None

    def going_on(self, path: str) -> Response:
        """Show a small page that goes on by itself to a page of ours: what it asks for is asked by ourselves."""
        response = self.guard.bare("going_on", self.guard.language(None, None), onward=path, switch=request.path)
        response.headers["Refresh"] = f"0;url={path}"
        return response

    def admit(self, stranger: Stranger, member: Member, how: str, to: str, there: There | None = None) -> Response:
        """Sign somebody in, in this browser, and lead them on.

        `there` is their session at the organisation's provider. Without one, that of whoever was signed in here before
        is still to be ended, by whoever signs out: or the next one at the desk comes in by it.
        """
        now, entrance = self.site.clock.now(), self.guard.desk.entrance
        before = entrance.leave(self.site.cookies.staff(request), now)  # whoever was signed in here before
        entrance.forget(stranger.secret)
        _, secret = entrance.admit(member, how, now, there or (before.there if before is not None else None))
        response = see_other(onward(to))
        self.site.cookies.keep_staff(response, secret)
        token = entrance.familiar.token(member, self.site.cookies.familiar(request), now)
        self.site.cookies.keep_familiar(request, response, token)
        self.site.cookies.drop_entering(response)
        return response


def _said_at(stranger: Stranger) -> str:
    return f"entry.{stranger.bound}"
