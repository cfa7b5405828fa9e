"""Tokens on stores of a test's choice, as they are wired, and codes to try on them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from idbroker.client import Client, ConfiguredClients
from idbroker.clock import StoppedClock
from idbroker.errors import OAuthError
from idbroker.grant import Grant, RefreshTokens
from idbroker.keeping import SealedTransient, Shelf
from idbroker.keyring import Keyring
from idbroker.oidc.bearer import BearerError
from idbroker.oidc.secret import Secret, new_family, new_secret, read_secret
from idbroker.oidc.token import CodeRequest, RefreshRequest
from idbroker.sealing import Sealer
from idbroker.store import Durable
from idbroker.tokens import Tokens
from idbroker.transaction import Transient
from tests.oidc.making import CALLBACK, ISSUER, VERIFIER, make_client, make_grant

SCOPES = ("openid", "profile", "national_number", "offline_access")
CLAIMS = {"name": "Ada", "national_number": "6101010001"}
THREADS = 50


@dataclass(frozen=True, kw_only=True)
class House:
    """Tokens as they are wired, and codes to try."""

    tokens: Tokens
    clock: StoppedClock
    client: Client

    def code(self, client: Client | None = None, **changes: Any) -> Secret:
        """Return a fresh code, its grant kept."""
        code = new_secret(new_family())
        settings = {"scopes": SCOPES, "claims": CLAIMS, "code_expires_at": self.clock.now() + timedelta(seconds=60)}
        grant = make_grant(client or self.client, code, **{**settings, **changes})
        self.tokens.grants.put(grant.id, grant, timedelta(minutes=6))
        return code

    def redeem(self, code: Secret, client: Client | None = None, **changes: Any) -> Mapping[str, Any]:
        """Redeem a code."""
        request = CodeRequest(code=code, redirect_uri=CALLBACK, verifier=VERIFIER)
        return self.tokens.redeem(client or self.client, replace(request, **changes))

    def refresh(self, text: str, client: Client | None = None, scopes: tuple[str, ...] = ()) -> Mapping[str, Any]:
        """Use a refresh token."""
        return self.tokens.refresh(client or self.client, RefreshRequest(token=secret(text), scopes=scopes))

    def is_live(self, answer: Mapping[str, Any]) -> bool:
        """Tell whether an answer's access token still works."""
        try:
            return bool(self.tokens.userinfo(answer["access_token"]))
        except BearerError as error:
            assert (error.status, error.code) == (401, "invalid_token")  # noqa: PT017 -- a question, not a test
            return False

    def can_refresh(self, answer: Mapping[str, Any]) -> bool:
        """Tell whether an answer's refresh token is still kept; it is not used up."""
        return self.tokens.refresh_tokens.find(secret(answer["refresh_token"]).digest) is not None


def secret(text: str) -> Secret:
    """Return a code or token as read."""
    read = read_secret(text)
    assert read is not None
    return read


def make_tokens(
    transient: Transient, refresh_tokens: RefreshTokens, durable: Durable, keyring: Keyring, clock: StoppedClock
) -> Tokens:
    """Return Tokens on stores of our choice."""
    return Tokens(
        issuer=ISSUER,
        clock=clock,
        grants=Shelf(SealedTransient(transient, keyring.sealing_keys), "g", Grant),
        refresh_tokens=refresh_tokens,
        clients=ConfiguredClients((make_client(), make_client(id="other")), durable.clients),
        events=durable.events,
        keys=keyring,
        sealer=Sealer(keyring.sealing_keys),
    )


def invalid_grant(call: Callable[[], object]) -> str:
    """Check that a call is refused as invalid_grant; return the detail for the log."""
    with pytest.raises(OAuthError) as error:
        call()
    assert error.value.code == "invalid_grant"
    return error.value.detail


def at_once(call: Callable[[int], Mapping[str, Any]], times: int = THREADS) -> list[Mapping[str, Any] | OAuthError]:
    """Return what so many threads are told that call at the same time."""
    barrier = threading.Barrier(times)

    def called(number: int) -> Mapping[str, Any] | OAuthError:
        barrier.wait()
        try:
            return call(number)
        except OAuthError as error:
            return error

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(called, range(times)))
