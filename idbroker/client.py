"""Who may ask: the registered portals."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol
from urllib.parse import urlsplit

from idbroker.identity import LoA

API_SCOPES = ("patients.read", "patients.write", "enrolments", "register", "webhooks")
AUTH_METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A registered portal ("service" on the pages). Safe is the default; what is laxer is named.

    `name` is by language with `en` as the fallback. `secret_digests` are SHA-256 in hexadecimal,
    several at once while a secret is being changed. `sector` groups clients that may know a person
    by the same `sub`; without it the host of the first redirect URI is the sector (Core 8.1).
    `consent` asks the person before anything is released, once for what is asked for (`ask`), or never;
    `purpose` says by language what it is for. `doors` are the ways in that one service has, by name and then by
    language: a request says which (`door`), and the pages name it. `assisted` lets staff sign patients in here
    (`allowed`), and tells the service the staff member's role (`role`). `initiate_login_uri` is where a sign-in
    begins that does not begin at the service (Core 4). `api` are the scopes of `/api/v1` that it may have as itself.
    `acting` is whether a guardian may sign in here for a ward: `never`; where the request asks (`asked`); every
    guardian chooses (`always`); nobody but a guardian (`required`). `ages` are those that differ from the clinic's.
    """

    id: str
    name: Mapping[str, str]
    clinic: str
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...] = ()
    backchannel_logout_uri: str | None = None
    backchannel_logout_session_required: bool = False
    frontchannel_logout_uri: str | None = None
    frontchannel_logout_session_required: bool = False
    start_url: str | None = None
    auth_method: str = "client_secret_basic"
    secret_digests: tuple[str, ...] = field(default=(), repr=False)
    jwks: Mapping[str, Any] | None = None
    jwks_uri: str | None = None
    scopes: tuple[str, ...] = ("openid", "profile")
    response_modes: tuple[str, ...] = ("query", "form_post")
    id_token_alg: str = "ES256"
    access_token: str = "opaque"
    access_token_life: timedelta = timedelta(minutes=15)
    audience: str | None = None
    refresh: str = "never"
    refresh_life: timedelta = timedelta(days=30)
    require_pkce: bool = True
    require_nonce: bool = False
    minimum: LoA = LoA.SUBSTANTIAL
    providers: tuple[str, ...] = ()
    national_number: bool = False
    sector: str | None = None
    default_max_age: timedelta | None = None
    origins: tuple[str, ...] = ()
    introspect: bool = False
    initiate_login_uri: str | None = None
    doors: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    assisted: str = "never"
    acting: str = "never"
    ages: Mapping[str, int] = field(default_factory=dict)
    api: tuple[str, ...] = ()
    consent: str = "never"
    purpose: Mapping[str, str] = field(default_factory=dict)
    disabled: bool = False

    def called(self, language: str, door: str | None = None) -> str:
        """Return the service's name in a language, else in English, else any; or one of its doors' name."""
        name = self.doors.get(door or "") or self.name
        return name.get(language) or name.get("en") or next(iter(name.values()), self.id)

    @property
    def subject_sector(self) -> str:
        """Return the sector of the pairwise `sub` (OpenID Connect Core 8.1)."""
        first = next(iter(self.redirect_uris), "")
        return self.sector or urlsplit(first).hostname or self.id

    @property
    def way_back(self) -> str:
        """Return where a person finds the service again: its start page, else its own origin."""
        parts = urlsplit(next(iter(self.redirect_uris), ""))
        return self.start_url or (f"{parts.scheme}://{parts.netloc}/" if parts.netloc else "/help")

    def has_secret(self, secret: str) -> bool:
        """Tell whether this is one of the client's secrets; constant time per secret kept.

        Secrets are 256 random bits of our own making: one SHA-256 is enough, a slow hash would only
        let strangers burn our CPU.
        """
        digest = secret_digest(secret)
        return any([hmac.compare_digest(digest, kept) for kept in self.secret_digests])  # noqa: C419 - all of them, always


def secret_digest(secret: str) -> str:
    """Return what is kept of a client secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Clients(Protocol):
    """Where clients are kept."""

    def find(self, client_id: str) -> Client | None:
        """Return the client, or None. A disabled client is returned; the caller refuses it."""
        ...

    def all(self) -> tuple[Client, ...]:
        """Return every client, by id."""
        ...

    def save(self, client: Client) -> None:
        """Add the client or replace the one with its id."""
        ...

    def remove(self, client_id: str) -> bool:
        """Remove it; tell whether it was there."""
        ...


class ConfiguredClients:
    """The clients of the configuration file, before those of a store behind it.

    `own` are pages of ours that people sign in to: found like any client, and nobody's to list or change.
    """

    def __init__(self, configured: Iterable[Client], behind: Clients, own: Iterable[Client] = ()) -> None:
        self._own = {client.id: client for client in own}
        self._configured = {client.id: client for client in configured}
        self._behind = behind

    def find(self, client_id: str) -> Client | None:
        """Return the client, or None."""
        return self._own.get(client_id) or self._configured.get(client_id) or self._behind.find(client_id)

    def all(self) -> tuple[Client, ...]:
        """Return every client, by id."""
        stored = {client.id: client for client in self._behind.all()}
        return tuple(sorted({**stored, **self._configured}.values(), key=lambda client: client.id))

    def save(self, client: Client) -> None:
        """Add to the store behind; the configuration file is the operator's to edit."""
        self._behind.save(client)

    def remove(self, client_id: str) -> bool:
        """Remove from the store behind."""
        return self._behind.remove(client_id)
