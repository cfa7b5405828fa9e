"""What a client is given as itself (RFC 6749, 4.4): tokens for `/api/v1`, and for nothing else.

They lie on a shelf of their own, so that neither kind is ever taken for the other: a person's access token is not
found here, and one of these is no grant's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from idbroker.client import Client, Clients
from idbroker.clock import Clock
from idbroker.keeping import Shelf
from idbroker.oidc.secret import new_family, new_secret, read_secret
from idbroker.oidc.token import ClientRequest

LIFE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """One token, kept by its digest."""

    client: str
    scopes: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Whose token was shown, and what it is good for now: a scope taken from the client since is gone."""

    client: Client
    credential: Credential
    scopes: frozenset[str] = field(default=frozenset())


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Gives, finds and ends them. Every method may raise StoreError."""

    issuer: str
    clock: Clock
    clients: Clients
    shelf: Shelf[Credential]

    def issue(self, client: Client, request: ClientRequest) -> Mapping[str, Any]:
        """Return the answer of the token endpoint (RFC 6749, 4.4.3): no refresh token, and nothing about anybody."""
        now, secret = self.clock.now(), new_secret(new_family())
        credential = Credential(client=client.id, scopes=request.scopes, issued_at=now, expires_at=now + LIFE)
        self.shelf.put(secret.digest, credential, LIFE)
        return {
            "access_token": secret.text,
            "token_type": "Bearer",
            "expires_in": int(LIFE.total_seconds()),
            "scope": " ".join(request.scopes),
        }

    def find(self, text: str) -> Held | None:
        """Return what a token is good for; None for what is none, or is over, or whose client is disabled."""
        secret = read_secret(text)
        kept = self.shelf.get(secret.digest) if secret is not None else None
        if kept is None or kept.value.expires_at <= self.clock.now():
            return None
        client = self.clients.find(kept.value.client)
        if client is None or client.disabled:
            return None
        scopes = frozenset(kept.value.scopes) & frozenset(client.api)
        return Held(client=client, credential=kept.value, scopes=scopes)

    def introspect(self, client: Client, text: str) -> Mapping[str, Any] | None:
        """Describe a token to a client that may know (RFC 7662, 2.2); None for what is no such token.

        `aud` is our API whoever asks, so that nobody takes it for a token of a person's at a service of theirs.
        """
        held = self.find(text)
        if held is None:
            return None
        if not (client.introspect or held.client.id == client.id):
            return {"active": False}
        return {
            "active": True,
            "iss": self.issuer,
            "aud": f"{self.issuer}/api/v1",
            "sub": held.client.id,
            "client_id": held.client.id,
            "scope": " ".join(scope for scope in held.credential.scopes if scope in held.scopes),
            "token_type": "Bearer",
            "iat": int(held.credential.issued_at.timestamp()),
            "exp": int(held.credential.expires_at.timestamp()),
        }

    def revoke(self, client: Client, text: str) -> bool:
        """End one of the client's own; tell whether it is a token of this kind at all (RFC 7009, 2.1)."""
        secret = read_secret(text)
        kept = self.shelf.get(secret.digest) if secret is not None else None
        if secret is None or kept is None:
            return False
        if kept.value.client == client.id:
            self.shelf.take(secret.digest)
        return True
