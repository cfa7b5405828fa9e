"""Signing in with the organisation's own OpenID provider (OpenID Connect Core 1.0): there, back, and in.

What an attacker tries, and what stops it: an answer of their own pushed into a colleague's browser (the state is kept
for one browser, which shows it by its cookie; login CSRF), somebody else's code (PKCE, RFC 7636; nonce), another
issuer's answer (`iss`, RFC 9207; discovery), an account there with a colleague's e-mail address (nobody is found by
an address: the subject must have been written down before; ASVS 6.8.1). And who comes after them at the same desk, and
presses the same button: signing out goes there too (`signing_out`), and `prompt` or `max_age` have it ask anew.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from datetime import timedelta

import structlog
from flask import Blueprint, request
from werkzeug.wrappers import Response

from idbroker.errors import Cancelled, NotFound, ProviderError, Unreachable, Untrusted
from idbroker.identity import LoA
from idbroker.office.doorway import Doorway, Stranger, onward
from idbroker.office.guard import Guard
from idbroker.office.provider import Away, Organisation
from idbroker.providers import Asked
from idbroker.providers._oidc import Proof
from idbroker.staff.entrance import There
from idbroker.staff.member import Member
from idbroker.web.headers import see_other

CALLBACK, SIGN_IN = "/staff/callback", "/staff/sign-in"
LIFE = timedelta(minutes=15)
LONGEST_TOKEN = 16 * 1024
_log = structlog.get_logger("idbroker.office")


def routes(blueprint: Blueprint, guard: Guard) -> None:
    """Add the routes, where an organisation's provider is configured."""
    if guard.desk.organisation is None:
        return
    pages = _There(guard, guard.desk.organisation)

    @blueprint.get("/staff/sign-in/organisation")
    def organisation() -> Response:
        return pages.begin()

    @blueprint.get(CALLBACK)
    def callback() -> Response:
        return pages.back()


class _There:
    """There and back."""

    def __init__(self, guard: Guard, organisation: Organisation) -> None:
        self._guard, self._site, self._organisation = guard, guard.site, organisation
        self.doorway = Doorway(guard)

    def begin(self) -> Response:
        """Lead to the organisation's provider."""
        stranger, to = self.doorway.stranger(), onward(request.args.get("to", ""))
        handle = secrets.token_urlsafe(32)
        try:
            redirect = self._organisation.client.begin(self._asked(handle), self._parameters)
        except ProviderError as error:
            return self._failed(error, stranger)
        self._organisation.away.put(_at(handle), Away(bound=stranger.bound, state=redirect.state, to=to), LIFE)
        response = see_other(redirect.url)
        self._site.cookies.keep_entering(response, stranger.secret)
        return response

    def back(self) -> Response:
        """Take the answer, once, in the browser that was sent there."""
        stranger, handle = self.doorway.stranger(), request.args.get("state", "")
        kept = self._organisation.away.get(_at(handle))
        if kept is None or kept.value.bound != stranger.bound:
            raise NotFound("no sign-in of this browser")
        away = self._organisation.away.take(_at(handle))
        if away is None:
            raise NotFound("this answer was taken")
        try:
            proof = self._organisation.client.finish(
                self._asked(handle), away.state, dict(request.args), userinfo=False
            )
            self._check_level(proof)
        except ProviderError as error:
            return self._failed(error, stranger)
        return self._met(proof, stranger, away.to)

    def _met(self, proof: Proof, stranger: Stranger, to: str) -> Response:
        member = self._guard.desk.entrance.members.by_subject(proof.issuer, proof.subject)
        if member is None or member.disabled:
            self._record(member, "unknown" if member is None else "disabled")
            return self.doorway.say(stranger, SIGN_IN, error="s.in.e.org")
        admitted = self.doorway.admit(stranger, member, "organisation", to, _there(proof))
        # A strict cookie does not go along on a way that began at another site: the next page is asked for by ours.
        response = self.doorway.going_on(onward(to))
        for cookie in admitted.headers.getlist("Set-Cookie"):
            response.headers.add("Set-Cookie", cookie)
        return response

    def _check_level(self, proof: Proof) -> None:
        """Let pass who showed two factors there; where nothing is configured, that is the provider's to see to."""
        trusted = self._organisation.settings.trusted_acr
        if trusted and proof.id_claims.get("acr") not in trusted:
            raise Untrusted("acr: not one that means two factors")

    def _parameters(self, _pushed: bool) -> Mapping[str, str]:
        trusted = self._organisation.settings.trusted_acr
        return {"scope": "openid", **({"acr_values": " ".join(trusted)} if trusted else {})}

    def _asked(self, handle: str) -> Asked:
        settings = self._organisation.settings
        fresh = settings.prompt == "login"
        return Asked(
            transaction=handle,
            handle=handle,
            return_url=f"{self._site.issuer}{CALLBACK}",
            loa=LoA.LOW,
            language="en",
            service="",
            now=self._site.clock.now(),
            fresh=fresh,
            # With it the answer must say when they acted (Core, 3.1.2.1), which `prompt` alone does not ask for.
            max_age=timedelta() if fresh else settings.max_age,
        )

    def _failed(self, error: ProviderError, stranger: Stranger) -> Response:
        """Say that it did not work. What the provider wrote is in the log, cleaned; it is never shown (XSS)."""
        _log.warning("organisation_sign_in", reason=error.code, detail=error.detail)
        if isinstance(error, Cancelled):
            return see_other(SIGN_IN)
        self._record(None, "organisation")
        key = "s.in.e.orgdown" if isinstance(error, Unreachable) else "s.in.e.org"
        response = self.doorway.say(stranger, SIGN_IN, error=key)
        self._site.cookies.keep_entering(response, stranger.secret)
        return response

    def _record(self, member: Member | None, why: str) -> None:
        self._guard.desk.entrance.record("staff.refused", member, self._site.clock.now(), why=why)


def _there(proof: Proof) -> There | None:
    """Return what ends the session there, if it is of a length to keep with every sign-in, and to send back."""
    return There(issuer=proof.issuer, id_token=proof.id_token) if len(proof.id_token) <= LONGEST_TOKEN else None


def _at(handle: str) -> str:
    return f"away.{hashlib.sha256(handle.encode(errors='replace')).hexdigest()}"
