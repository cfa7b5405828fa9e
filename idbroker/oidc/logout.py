"""RP-initiated logout: who asks, whether to confirm, where the browser may go afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from idbroker.client import Client, Clients
from idbroker.errors import OAuthError
from idbroker.oidc import jose
from idbroker.oidc.parameters import Parameters, refuse_duplicates

KeyById = Callable[[str], Any | None]
MOST_STATE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """An ID token of ours, perhaps expired, that says who is being logged out where."""

    client_id: str
    subject: str = field(repr=False)
    sid: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutRequest:
    """A checked request. Without a hint the person is asked: a link anywhere could log them out (ASVS 10.6.2)."""

    client: Client | None
    hint: Hint | None
    redirect_uri: str | None
    state: str | None = field(repr=False)
    ui_locales: tuple[str, ...] = ()

    @property
    def target(self) -> str | None:
        """Return where the browser goes afterwards: the registered URI with exactly `state` added."""
        if self.redirect_uri is None:
            return None
        if self.state is None:
            return self.redirect_uri
        joint = "&" if "?" in self.redirect_uri else "?"
        return f"{self.redirect_uri}{joint}{urlencode({'state': self.state})}"


def read_hint(token: str, find_key: KeyById, issuer: str) -> Hint:
    """Verify an id_token_hint; its `exp` may be past (Core 3.1.2.1; RP-Initiated Logout 2).

    Raises OAuthError invalid_request. An access token or a logout token is no hint: `typ` tells.
    """
    try:
        claims = jose.verify(
            token,
            lambda kid, alg: find_key(kid) if kid else None,
            algorithms=("ES256", "RS256"),
            types=("JWT",),
        ).claims
    except jose.BadToken as error:
        raise OAuthError("invalid_request", "The id_token_hint is not valid", detail=str(error)) from error
    audience, subject = claims.get("aud"), claims.get("sub")
    if claims.get("iss") != issuer or not isinstance(audience, str) or not isinstance(subject, str):
        raise OAuthError("invalid_request", "The id_token_hint is not valid", detail="iss, aud or sub")
    sid = claims.get("sid")
    return Hint(client_id=audience, subject=subject, sid=sid if isinstance(sid, str) else None)


def parse(parameters: Parameters, clients: Clients, *, find_key: KeyById, issuer: str) -> LogoutRequest:
    """Check a logout request. Raises OAuthError invalid_request, which is shown, never redirected.

    A post_logout_redirect_uri is followed only if it is registered, octet by octet, for the client of
    a valid hint; a bare client_id proves nothing, so that alone never redirects (RP-Initiated Logout 3).
    """
    refuse_duplicates(parameters)
    token = parameters.get("id_token_hint")
    hint = read_hint(token, find_key, issuer) if token else None
    client_id = parameters.get("client_id")
    if hint and client_id and client_id != hint.client_id:
        raise OAuthError("invalid_request", "The client_id does not go with the id_token_hint")
    named = hint.client_id if hint else client_id
    client = clients.find(named) if named else None
    redirect_uri = parameters.get("post_logout_redirect_uri")
    if redirect_uri is not None and not _may_return(redirect_uri, client, hint):
        raise OAuthError("invalid_request", "The post_logout_redirect_uri is not registered")
    state = parameters.get("state")
    if state is not None and len(state) > MOST_STATE:
        raise OAuthError("invalid_request", "The state is too long")
    return LogoutRequest(
        client=client,
        hint=hint,
        redirect_uri=redirect_uri,
        state=state,
        ui_locales=parameters.words("ui_locales")[:16],
    )


def _may_return(redirect_uri: str, client: Client | None, hint: Hint | None) -> bool:
    if hint is None or client is None or client.disabled:
        return False
    return redirect_uri in client.post_logout_redirect_uris
