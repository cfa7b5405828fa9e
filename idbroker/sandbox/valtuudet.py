"""The simulated Suomi.fi e-Authorizations for people ("Hypa"): a session, a page to choose on, and its answers.

Source: DVV's service hub and its public client. The answers to bad checksums and clocks are ours: none are published.
It knows custody from the sandbox's registers as it is at each call, so that a change there is seen at the next.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, redirect, render_template, request
from werkzeug.wrappers import Response

from idbroker.clock import Clock
from idbroker.guardianship._hypa.checksum import HEADER, checksum
from idbroker.sandbox.custody import Custodies
from idbroker.sandbox.faults import Faults
from idbroker.sandbox.op_web import broken
from idbroker.sandbox.people import SimPerson
from idbroker.sandbox.valtuudet_lies import BODIES, LIES, told
from idbroker.sandbox.valtuudet_sessions import TOKEN_LIFE, HypaSession, HypaSessions
from idbroker.sandbox.valtuudet_words import WORDS

PROVIDER = "valtuudet"
CLIENT_ID = "5a4db0c5"
SKEW = timedelta(minutes=5)
_PLACES = ("/service/", "/oauth/")
_LIE_CLOCK = timedelta(minutes=10)

__all__ = ["LIES", "PROVIDER", "SimService", "SimValtuudet", "beside", "make_valtuudet", "table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimService:
    """A service that is registered there."""

    client_id: str
    api_key: str = field(repr=False)
    oauth_password: str = field(repr=False)
    rest_key: str = field(repr=False)
    redirect_uris: Collection[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimValtuudet:
    """What a sandbox needs of it: the application for the root of an origin, and the files a broker configures."""

    app: Flask
    service: SimService
    sessions: HypaSessions
    api_key_file: Path
    oauth_password_file: Path
    rest_key_file: Path


class Refusal(Exception):
    """A call is refused, with an HTTP status and one word."""

    def __init__(self, status: int, word: str) -> None:
        super().__init__(word)
        self.status, self.word = status, word


def make_valtuudet(
    people: Iterable[SimPerson],
    custody: Custodies,
    clock: Clock,
    faults: Faults,
    redirect_uris: Collection[str],
    *,
    folder: Path,
) -> SimValtuudet:
    """Return the simulator, with new keys in `folder`; mount it at the root of an origin, alone or `beside` another."""
    keys = {name: secrets.token_hex(16) for name in ("api-key", "oauth-password", "rest-key")}
    files = {name: folder / name for name in keys}
    for name, key in keys.items():
        files[name].write_text(key + "\n", "ascii")
        files[name].chmod(0o600)
    service = SimService(
        client_id=CLIENT_ID,
        api_key=keys["api-key"],
        oauth_password=keys["oauth-password"],
        rest_key=keys["rest-key"],
        redirect_uris=redirect_uris,
    )
    sessions = HypaSessions(clock)
    return SimValtuudet(
        app=_Web(people, custody, clock, faults, service, sessions).app(),
        service=service,
        sessions=sessions,
        api_key_file=files["api-key"],
        oauth_password_file=files["oauth-password"],
        rest_key_file=files["rest-key"],
    )


def table(sim: SimValtuudet, address: str) -> Mapping[str, Any]:
    """Return the table of `[registers.valtuudet]`. Its word is good for less than in life: changes are seen at once."""
    return {
        "kind": PROVIDER,
        "address": address,
        "client_id": sim.service.client_id,
        "api_key_file": str(sim.api_key_file),
        "oauth_password_file": str(sim.oauth_password_file),
        "rest_key_file": str(sim.rest_key_file),
        "life": "30 s",
    }


def beside(sim: SimValtuudet, other: WSGIApplication) -> WSGIApplication:
    """Return one application for both: they share an origin here, as two of Suomi.fi's services share a name."""

    def serve(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        app = sim.app if environ.get("PATH_INFO", "").startswith(_PLACES) else other
        return app(environ, start)

    return serve


class _Web:
    """All routes."""

    def __init__(
        self,
        people: Iterable[SimPerson],
        custody: Custodies,
        clock: Clock,
        faults: Faults,
        service: SimService,
        sessions: HypaSessions,
    ) -> None:
        self._people = [person for person in people if person.country == "FI"]
        self._custody, self._clock, self._faults = custody, clock, faults
        self._service, self._sessions = service, sessions

    def app(self) -> Flask:
        """Return the application."""
        app = Flask(__name__, static_url_path="/oauth/static")
        app.before_request(lambda: broken(self._faults, PROVIDER))
        app.after_request(self._dated)
        app.register_error_handler(Refusal, _refused)
        hypa, one = "/service/hpa", "<session>/<person>"
        routes: Mapping[str, Callable[..., Response]] = {
            f"{hypa}/user/register/<client_id>/<hetu>": self.register,
            f"{hypa}/user/unregister/<session>": self.unregister,
            f"{hypa}/api/delegate/<session>": self.delegate,
            f"{hypa}/api/authorization/{one}": self.authorization,
            f"{hypa}/api/authorizationlist/{one}": self.authorizationlist,
            "/service/rest/hpa/authorization/<client_id>/<guardian>/<ward>": self.rest,
        }
        for path, view in routes.items():
            app.add_url_rule(path, path, view)
        app.add_url_rule("/oauth/authorize", "authorize", self.authorize, methods=["GET", "POST"])
        app.add_url_rule("/oauth/token", "token", self.token, methods=["POST"])
        return app

    # ---- a session -------------------------------------------------------------------------------

    def register(self, client_id: str, hetu: str) -> Response:
        """Begin a session for somebody."""
        self._check_signed(self._service.api_key, client_id)
        session = self._sessions.begin(hetu)
        return self._say("register", {"sessionId": session.id, "userId": session.user})

    def unregister(self, session: str) -> Response:
        """End it."""
        self._check_signed(self._service.api_key)
        if "unregister_fails" in self._lies:
            raise Refusal(500, "internal")
        if not self._sessions.end(session):
            raise Refusal(404, "no_such_session")
        return self._say("unregister", {})

    def authorize(self) -> Response:
        """Ask on whose behalf; what is wrong with the request is said here, and never sent on (RFC 6749, 4.1.2.1)."""
        asked = request.args
        session = self._sessions.of_user(asked.get("user", ""))
        language = asked.get("lang", "fi") if asked.get("lang") in WORDS else "fi"
        if asked.get("redirect_uri") not in self._service.redirect_uris:
            return _page("saml_error.html", language, status=400, code="redirect_uri")
        if asked.get("client_id") != self._service.client_id or asked.get("response_type") != "code":
            return _page("saml_error.html", language, status=400, code="invalid_request")
        if session is None:
            return _page("saml_error.html", language, status=400, code="session_expired")
        if request.method == "POST":
            return self._chosen(session, asked["redirect_uri"])
        languages = {one: f"?{urlencode({**asked.to_dict(), 'lang': one})}" for one in WORDS}
        guardian = self._person(session.guardian)
        return _page(
            "valtuudet.html",
            language,
            languages=languages,
            guardian=guardian.name if guardian is not None else "",
            wards=self._offered(guardian),
        )

    def token(self) -> Response:
        """Give a token for a code, once. The parameters are in the query, as the interface has it."""
        service, asked = self._service, request.args
        given = request.authorization
        known = given is not None and given.type == "basic" and given.username == service.client_id
        if given is None or not known or not _same(given.password or "", service.oauth_password):
            raise Refusal(401, "unauthorized")
        if asked.get("grant_type") != "authorization_code":
            raise Refusal(400, "unsupported_grant_type")
        token = self._sessions.redeem(asked.get("code", ""), asked.get("redirect_uri", ""))
        if token is None or "refused_code" in self._lies:
            raise Refusal(400, "invalid_grant")
        answer = {
            "access_token": token,
            "token_type": "bearer",
            "refresh_token": secrets.token_urlsafe(24),
            "expires_in": int(TOKEN_LIFE.total_seconds()),
            "scope": "read write trust",
        }
        return self._say("token", answer)

    # ---- what was chosen -------------------------------------------------------------------------

    def delegate(self, session: str) -> Response:
        """Tell who was chosen."""
        found = self._by_token(session)
        chosen = [{"personId": hetu, "name": self._name(hetu)} for hetu in found.chosen]
        return self._say("delegate", chosen)

    def authorization(self, session: str, person: str) -> Response:
        """Tell whether the guardian may act for somebody who was chosen, for one issue if one is named."""
        found = self._about(session, person)
        return self._say("authorization", self._result(found.guardian, person, request.args.get("issues")))

    def authorizationlist(self, session: str, person: str) -> Response:
        """Tell what the guardian may do for somebody who was chosen."""
        found = self._about(session, person)
        return self._say("authorizationlist", {"roles": self._roles(found.guardian, person)})

    def rest(self, client_id: str, guardian: str, ward: str) -> Response:
        """Tell whether one may act for another, without a page and a session."""
        self._check_signed(self._service.rest_key, client_id)
        if not request.headers.get("X-userId"):
            raise Refusal(400, "no_user_id")
        return self._say("rest", self._result(guardian, ward, request.args.get("issue")))

    # ---- how -------------------------------------------------------------------------------------

    @property
    def _lies(self) -> frozenset[str]:
        return self._faults.of(PROVIDER).lies

    def _now(self) -> datetime:
        return self._clock.now() + (_LIE_CLOCK if "skewed_clock" in self._lies else timedelta())

    def _check_signed(self, key: str, client_id: str | None = None) -> None:
        """Refuse a call whose checksum is not over the path as it was sent, now, by the service in it."""
        named, _, signed = request.headers.get(HEADER, "").partition(" ")
        timestamp, _, given = signed.partition(" ")
        if named != self._service.client_id or client_id not in (None, named):
            raise Refusal(401, "client")
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?[+-]\d\d:\d\d", timestamp):
            raise Refusal(401, "timestamp")
        if abs(datetime.fromisoformat(timestamp) - self._now()) > SKEW:
            raise Refusal(401, "timestamp")
        path = request.environ.get("REQUEST_URI") or request.environ["RAW_URI"]
        if not _same(given, checksum(key, path, timestamp)):
            raise Refusal(401, "checksum")

    def _by_token(self, session: str) -> HypaSession:
        self._check_signed(self._service.api_key)
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        of_token, found = self._sessions.session_of(bearer), self._sessions.get(session)
        if of_token is None or (found is None and of_token == session) or "expired_session" in self._lies:
            raise Refusal(401, "session_expired")
        if found is None or of_token != session:
            raise Refusal(403, "another_session")
        return found

    def _about(self, session: str, person: str) -> HypaSession:
        found = self._by_token(session)
        if person not in found.chosen:
            raise Refusal(403, "not_chosen")
        return found

    def _chosen(self, session: HypaSession, redirect_uri: str) -> Response:
        guardian = self._person(session.guardian)
        person = next((one for one in self._people if one.id == request.form.get("person")), None)
        if "sends_error" in self._lies:
            return _back(redirect_uri, {"error": "server_error"})
        if "cancel" in request.form or guardian is None:
            return _back(redirect_uri, {"error": "access_denied"})
        if person is None or person.number is None or self._custody.between(guardian.id, person.id) is None:
            return _page("saml_error.html", "en", status=400, code="unknown_person")
        answer = {"code": self._sessions.choose(session, person.number, redirect_uri)}
        return _back(redirect_uri, answer | ({"error": "access_denied"} if "sends_both" in self._lies else {}))

    def _offered(self, guardian: SimPerson | None) -> list[SimPerson]:
        """Return whom somebody may act for. Who may not is not on the page, but can be posted by a script."""
        if guardian is None:
            return []
        wards = {one.ward for one in self._custody.wards_of(guardian.id)}
        return [one for one in self._people if one.id in wards and self._roles(guardian.number or "", one.number)]

    def _roles(self, guardian: str, ward: str | None) -> list[str]:
        one, other = self._person(guardian), self._person(ward or "")
        found = self._custody.between(one.id, other.id) if one is not None and other is not None else None
        if found is None or not found.holds or (found.until is not None and self._clock.now().date() >= found.until):
            return []
        # Custody is the population register's; grandparents and foster homes are not in it.
        return {"custody": ["ALL"], "mandate": [*found.powers]}.get(found.relation, [])

    def _result(self, guardian: str, ward: str, issue: str | None) -> Mapping[str, Any]:
        roles = self._roles(guardian, ward)
        allowed = "ALL" in roles or (issue in roles if issue is not None else bool(roles))
        return {"result": "ALLOWED" if allowed else "DISALLOWED", "reasons": []}

    def _person(self, hetu: str) -> SimPerson | None:
        return next((person for person in self._people if person.number == hetu), None)

    def _name(self, hetu: str) -> str:
        person = self._person(hetu)
        return person.name if person is not None else ""

    def _say(self, call: str, said: Any) -> Response:
        lies = self._lies
        if "redirecting" in lies:
            return redirect(request.url + "&again=1", 307)
        bodies = lies & BODIES.keys()
        body = BODIES[min(bodies)]() if bodies else json.dumps(told(call, said, lies), ensure_ascii=False)
        return Response(body, headers={"Cache-Control": "no-store"}, mimetype="application/json")

    def _dated(self, response: Response) -> Response:
        response.headers["Date"] = format_datetime(self._now(), usegmt=True)
        return response


def _refused(error: Refusal) -> Response:
    body = json.dumps({"error": error.word})
    return Response(body, status=error.status, headers={"Cache-Control": "no-store"}, mimetype="application/json")


def _back(redirect_uri: str, answer: Mapping[str, str]) -> Response:
    return redirect(f"{redirect_uri}?{urlencode(answer)}", 303)


def _page(template: str, language: str, *, status: int = 200, **values: Any) -> Response:
    body = render_template(template, words=WORDS[language], texts=WORDS, language=language, **values)
    response = Response(body, status, mimetype="text/html")
    # No form-action: the browser checks it against every redirect after the post, and those lead to the service.
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
