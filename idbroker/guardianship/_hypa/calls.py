"""The calls of Suomi.fi e-Authorizations for people ("Hypa"), as they go over the wire.

Source: DVV's service hub, "Asiointivaltuustarkastus": session, OAuth 2.0 code, delegate, authorization list, REST.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import quote, urlencode

import requests

from idbroker.errors import Cancelled, ProviderError, Unreachable, Untrusted
from idbroker.guardianship._hypa import answers
from idbroker.guardianship._hypa.answers import Began, Principal
from idbroker.guardianship._hypa.checksum import HEADER, header

SKEW = timedelta(minutes=5)  # how far the moment of a checksum may be from the register's clock
ALLOWED = "ALLOWED"
DISALLOWED = "DISALLOWED"
REST_USER = "idbroker"
_SHORT = (3.05, 5.0)  # to end a session, when the person already waits for the next page


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypa:
    """Calls the register. All but `unregister` raise Cancelled, Unreachable or Untrusted.

    No address is ever logged, and none kept: each holds a person's number or session.
    """

    address: str
    client_id: str
    api_key: str = field(repr=False)
    oauth_password: str = field(repr=False)
    rest_key: str | None = field(default=None, repr=False)
    http: requests.Session = field(repr=False)

    def register(self, guardian: str, now: datetime) -> Began:
        """Begin a session for somebody, by their national number."""
        path = f"/service/hpa/user/register/{_part(self.client_id)}/{_part(guardian)}?{_request_id()}"
        return answers.read(answers.BEGAN, self._signed("register", path, self.api_key, now), "register")

    def page(self, user: str, return_url: str, language: str) -> str:
        """Return where somebody chooses whom they act for."""
        asked = {
            "client_id": self.client_id,
            "response_type": "code",
            "redirect_uri": return_url,
            "user": user,
            "lang": language,
        }
        return f"{self.address}/oauth/authorize?{_query(asked)}"

    def token(self, code: str, return_url: str, now: datetime) -> str:
        """Return what a code is worth. Untrusted for one that is not of this moment: used, expired, another's."""
        asked = {"code": code, "grant_type": "authorization_code", "redirect_uri": return_url}
        response = self._sent("POST", f"/oauth/token?{_query(asked)}", {}, (self.client_id, self.oauth_password))
        if response.status_code == requests.codes.bad_request:
            raise Untrusted("valtuudet token: the code is refused")
        _check(response, "token", now)
        token = answers.read(answers.TOKEN, response.content, "token")
        if token.kind.lower() != "bearer":
            raise Unreachable("valtuudet token: another kind of token")
        return token.value

    def chosen(self, session: str, token: str, now: datetime) -> tuple[Principal, ...]:
        """Return who was chosen."""
        path = f"/service/hpa/api/delegate/{_part(session)}?{_request_id()}"
        return answers.read(answers.CHOSEN, self._by_token("delegate", path, token, now), "delegate")

    def roles(self, session: str, person: str, token: str, now: datetime) -> tuple[str, ...]:
        """Return what may be done for somebody who was chosen. Untrusted for an answer about somebody else."""
        path = f"/service/hpa/api/authorizationlist/{_part(session)}/{_part(person)}?{_request_id()}"
        said = answers.read(answers.ROLES, self._by_token("authorizationlist", path, token, now), "authorizationlist")
        if said.person is not None and said.person != person:
            raise Untrusted("valtuudet authorizationlist: an answer about somebody else")
        return said.roles

    def allowed(self, guardian: str, ward: str, issue: str | None, now: datetime) -> bool:
        """Return whether somebody may act for another, without a page."""
        people = f"{_part(guardian)}/{_part(ward)}"
        more = f"&{_query({'issue': issue})}" if issue is not None else ""
        path = f"/service/rest/hpa/authorization/{_part(self.client_id)}/{people}?{_request_id()}{more}"
        body = self._signed("rest", path, self.rest_key or "", now, {"X-userId": REST_USER})
        said = answers.read(answers.RESULT, body, "rest").result
        if said not in (ALLOWED, DISALLOWED):
            raise Unreachable("valtuudet rest: it does not know now")
        return said == ALLOWED

    def unregister(self, session: str, now: datetime) -> None:
        """End a session. Raises ProviderError."""
        path = f"/service/hpa/user/unregister/{_part(session)}"
        headers = {HEADER: header(self.client_id, self.api_key, path, now)}
        _check(self._sent("GET", path, headers, timeout=_SHORT), "unregister", now)

    # ---- on the wire -----------------------------------------------------------------------------

    def _signed(self, call: str, path: str, key: str, now: datetime, more: dict[str, str] | None = None) -> bytes:
        headers = {HEADER: header(self.client_id, key, path, now), **(more or {})}
        response = self._sent("GET", path, headers)
        _check(response, call, now)
        return response.content

    def _by_token(self, call: str, path: str, token: str, now: datetime) -> bytes:
        signature = header(self.client_id, self.api_key, path, now)
        response = self._sent("GET", path, {HEADER: signature, "Authorization": f"Bearer {token}"})
        if _skewed(response, now) is None and not response.ok:
            if response.status_code == requests.codes.unauthorized:
                raise Cancelled(f"valtuudet {call}: the session there has expired")
            if response.status_code < requests.codes.server_error:
                # The token is another session's, or its session never chose this person.
                raise Untrusted(f"valtuudet {call}: refused with HTTP {response.status_code}")
        _check(response, call, now)
        return response.content

    def _sent(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        auth: tuple[str, str] | None = None,
        timeout: tuple[float, float] | None = None,
    ) -> requests.Response:
        try:
            # Of an address that is asked without `params` the session keeps the prepared form, and here it holds a
            # number: with them, even empty, nothing is kept.
            return self.http.request(
                method, self.address + path, params={}, headers=headers, auth=auth, timeout=timeout
            )
        except requests.RequestException as error:
            # Without the cause: what requests says of an address repeats it.
            raise Unreachable(f"valtuudet: no answer ({type(error).__name__})") from None


def ended(hypa: Hypa, session: str, now: datetime) -> ProviderError | None:
    """End a session if it can be ended; return why it could not."""
    try:
        hypa.unregister(session, now)
    except ProviderError as error:
        return error
    return None


def _part(text: str) -> str:
    """Return text as one part of a path: the "+" of a number of the 1800s would be read as a space by some."""
    return quote(text, safe="")


def _query(values: dict[str, str]) -> str:
    return urlencode(values, quote_via=quote, safe="")


def _request_id() -> str:
    return _query({"requestId": str(uuid.uuid4())})


def _check(response: requests.Response, call: str, now: datetime) -> None:
    """Raise Unreachable for anything but success: if the clocks are apart it says so, for that is what to mend."""
    if response.status_code in (requests.codes.ok, requests.codes.created):
        return
    skew = _skewed(response, now)
    if skew is not None:
        apart = f"our clock is {skew.total_seconds():+.0f} s from the register's, which takes 300 s at most"
        raise Unreachable(f"valtuudet {call}: HTTP {response.status_code}; {apart}")
    raise Unreachable(f"valtuudet {call}: HTTP {response.status_code}")


def _skewed(response: requests.Response, now: datetime) -> timedelta | None:
    """Return how far our clock is before the register's, if that is further than a checksum may be."""
    try:
        theirs = parsedate_to_datetime(response.headers.get("Date", ""))
        ahead = now - (theirs if theirs.tzinfo is not None else theirs.replace(tzinfo=UTC))
    except (ValueError, IndexError, OverflowError):  # what the library raises depends on what is wrong with it
        return None
    return ahead if abs(ahead) > SKEW else None
