"""What the routes share: the collaborators, and how errors become answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol
from urllib.parse import urlsplit

from flask import Blueprint

from idbroker.accounts.children import Children
from idbroker.accounts.own import OwnPage
from idbroker.accounts.recovery import Recovery
from idbroker.broker import Broker
from idbroker.client import Clients
from idbroker.clinic import Clinics
from idbroker.clock import Clock
from idbroker.credentials import Credentials
from idbroker.keeping import Shelf
from idbroker.oidc.client_auth import Authenticator
from idbroker.signout import Signout
from idbroker.tokens import Tokens
from idbroker.waits import Waits
from idbroker.web.browser import Cookies
from idbroker.web.pages import Pages


class PublishedKeys(Protocol):
    """Our key set as it goes out."""

    @property
    def body(self) -> bytes:
        """The JSON document."""
        ...

    @property
    def etag(self) -> str:
        """Changes when the document does."""
        ...

    @property
    def max_age(self) -> timedelta:
        """How long a client may keep it."""
        ...


class Keys(Protocol):
    """Our keys, as far as the routes need them."""

    def jwks(self) -> PublishedKeys:
        """Return the key set."""
        ...

    def verification_key(self, kid: str) -> Any | None:
        """Return a published key, or None."""
        ...


@dataclass(frozen=True, kw_only=True)
class Site:
    """Everything a route may use. Made once, by app.py."""

    issuer: str
    clock: Clock
    broker: Broker
    waits: Waits
    tokens: Tokens
    credentials: Credentials
    signout: Signout
    recovery: Recovery
    own: OwnPage
    children: Children
    undelivered: Callable[[Mapping[str, str]], bool]
    authenticator: Authenticator
    clients: Clients
    clinics: Clinics
    keys: Keys
    requests: Shelf[dict[str, str]]
    pages: Pages
    cookies: Cookies
    metadata: Mapping[str, Any]
    ready: Callable[[], None]
    registers: frozenset[str] = frozenset()
    kinds: Mapping[str, str] = field(default_factory=dict)  # of the eIDs, by name: whose words and brand a button has
    sandbox: bool = False
    proxies: int = 0
    address_header: str = "Clientaddress"
    streams: int = 8  # of QR codes at once, in one process: each holds a thread of the server
    more: tuple[Callable[[Site], Blueprint], ...] = ()  # the offices' routes
    origins: Callable[[str], tuple[str, ...]] = field(default=lambda _: ())

    @property
    def host(self) -> str:
        """Return our host as people see it; it is never taken from a request (O14: poisoned by a header)."""
        return urlsplit(self.issuer).hostname or ""

    @property
    def https(self) -> bool:
        """Tell whether browsers reach us over https."""
        return self.issuer.startswith("https://")
