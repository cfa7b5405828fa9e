"""The session that an OpenID provider upstream has of its own: ended from here, or there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from idbroker.errors import Unreachable, Untrusted
from idbroker.providers import Leaving, Message, Post, Redirect, Summons
from idbroker.providers._oidc.flow import OpenIdClient
from idbroker.providers._oidc.upstream import same, words

END_SESSION = ("post", "get", "off")
_LONGEST_ANSWER = 4096


class EndsSessions:
    """The part of a provider that is `Federated`, the same for every OpenID provider upstream.

    `how` is how the browser gets to the end of the session there (RP-Initiated Logout 1.0, 2): `post`,
    `get` or `off`. An ID token that may hold a number stays out of addresses, which end up in histories and
    logs: with `get` it is sent only where `hint_in_address` says that it holds none.
    """

    def __init__(self, client: OpenIdClient, how: str, *, hint_in_address: bool) -> None:
        self._client, self._how, self._hint_in_address = client, how, hint_in_address

    def leave(self, leaving: Leaving) -> Redirect | Post | None:
        """Return where the browser goes to end the session there; None where that cannot be asked.

        Unreachable, in two seconds at most, while nobody answers there: the browser would stand before an error page.
        """
        endpoint = self._endpoint(leaving.now) if self._how != "off" else None
        if endpoint is None:
            return None
        fields = {"post_logout_redirect_uri": leaving.return_url, "state": leaving.handle}
        hint = {"id_token_hint": leaving.logout}
        if self._how == "post":
            return Post(action=endpoint, fields={**hint, **fields})
        query = urlencode({**hint, **fields} if self._hint_in_address else fields)
        return Redirect(url=f"{endpoint}{'&' if '?' in endpoint else '?'}{query}", state=b"")

    def _endpoint(self, now: datetime) -> str | None:
        # Before the metadata, which waits longer for who does not answer.
        if not self._client.answers(now):
            raise Unreachable("logout: no answer just now")
        try:
            return self._client.metadata(now).end_session_endpoint
        except Untrusted as error:
            raise Unreachable(error.detail) from error

    def left(self, leaving: Leaving, state: bytes, message: Message) -> bool:
        """Read the way back: that it is the one of this logout. An error of theirs means that it is not over there."""
        if len(message.query) > _LONGEST_ANSWER:
            raise Untrusted("logout: an endless answer")
        answer = dict(parse_qsl(message.query.decode(errors="replace"))) | dict(message.fields)
        # Another's way back, pushed into this browser, must not make us say that all is over (RP-Initiated Logout, 3).
        if not same(answer.get("state"), leaving.handle):
            raise Untrusted("logout: another one's answer")
        return "error" not in answer

    def summoned(self, message: Message) -> Summons:
        """Read a logout token (Back-Channel Logout 1.0, 2.5): the one parameter of a post."""
        token = message.fields.get("logout_token")
        if token is None:
            raise Untrusted("logout: no token")
        return self._client.logout_token(token, message.now)

    def dismissed(self, summons: Summons, now: datetime, *, complete: bool) -> Redirect | Post | None:
        """Return None: their server waits for an HTTP status, no browser for an answer."""
        return None


def session_names(claims: Mapping[str, Any], session: str, subject: str) -> tuple[str, ...]:
    """Return what a logout token may name (Back-Channel Logout, 2.4): their session, or all of the person's.

    `session` is the broker's own claim for it. Whether its logout tokens call it so is not written down
    everywhere: the standard's own `sid` counts as well.
    """
    named = (words(claims, name) for name in (session, "sid"))
    sessions = dict.fromkeys(f"sid:{name}" for name in named if name)
    return (*sessions, f"sub:{subject}")
