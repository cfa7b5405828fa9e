"""eIDs: one module each, all of them two methods to the rest of the house."""

from __future__ import annotations

import enum
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any, Protocol, runtime_checkable

import requests

from idbroker.clock import Clock
from idbroker.identity import Identity, LoA
from idbroker.keyring import SigningKey
from idbroker.transaction import Progress as Progress
from idbroker.visitor import Device, Visitor


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the broker asks of a provider, for one transaction.

    `handle` goes to the eID and comes back (OpenID Connect `state`, SAML `RelayState`); the broker
    has checked the browser's binding before `resume`, the provider checks that the reply carries
    this very handle. `return_url` is this provider's own (RFC 9700, 4.4: no mix-up between two).
    `loa` is asked for; an answer at `minimum` will do (a client's acr_values are a wish, Core 3.1.2.1).
    `fresh` means the person must act now, whatever session the eID has; `max_age` allows as much.
    `visitor` is the browser that asks, `device` where the person says the app is. `requirement` is
    what the clinic demands of this eID, in the eID's own words.
    """

    transaction: str
    handle: str
    return_url: str
    loa: LoA
    language: str
    service: str
    now: datetime
    minimum: LoA | None = None
    fresh: bool = False
    max_age: timedelta | None = None
    want_number: bool = False
    visitor: Visitor = field(default_factory=Visitor)
    device: Device = Device.OTHER
    requirement: Mapping[str, Any] = field(default_factory=dict)
    number_hint: str | None = field(default=None, repr=False)

    @property
    def least(self) -> LoA:
        """Return the level below which an answer is of no use."""
        return self.loa if self.minimum is None else self.minimum


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """The person must go to the eID's own page. `state` comes back to `resume` untouched."""

    url: str = field(repr=False)
    state: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """The person must act in an app while our page waits. `says` is the key of the words for now."""

    state: bytes = field(repr=False)
    progress: Progress = Progress.WAITING
    says: str = "b.st.start"


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The person must fill in a form of ours: `page` names it, `errors` are string keys by field."""

    page: str
    state: bytes = field(repr=False)
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    errors: Mapping[str, str] = field(default_factory=dict)


Challenge = Redirect | Wait | Form


class Provider(Protocol):
    """One eID, or the fallback.

    `title` is its name, `loa` the highest level it can prove, `origins` the web origins a form post
    of ours may end up at on the way to it (they are named in that page's `form-action`). Both
    methods raise Cancelled, Refused, Unreachable or Untrusted, and nothing else. They may be called
    by several threads at once.
    """

    title: str
    loa: LoA
    origins: tuple[str, ...]

    def begin(self, asked: Asked) -> Challenge:
        """Start: return what the person must do now."""
        ...

    def resume(self, asked: Asked, state: bytes, reply: Mapping[str, str]) -> Challenge | Identity:
        """Go on with the reply: what the person must do next, or what was proved."""
        ...


class Binding(enum.StrEnum):
    """What must show that an app on this device was opened by this very browser (BankID and Freja: login by link)."""

    RETURN = "return"  # the app led back to the browser that began
    RETURN_OR_IP = "return_or_ip"  # or the app's address is the browser's
    RETURN_AND_IP = "return_and_ip"  # both

    def shown(self, *, returned: bool, browser_ip: str | None, app_ip: str | None) -> bool:
        """Tell whether it is shown. An address that is not known equals no other."""
        same = browser_ip is not None and browser_ip == app_ip
        match self:
            case Binding.RETURN:
                return returned
            case Binding.RETURN_OR_IP:
                return returned or same
            case Binding.RETURN_AND_IP:
                return returned and same


@runtime_checkable
class App(Provider, Protocol):
    """An eID in an app: `begin` makes an order there, and `resume` with an empty reply looks at it once.

    Looking returns the order as it is now (Wait), or the Identity that it proved; it raises Cancelled
    when the person said no, Refused when the eID did, and Unreachable when nothing was learnt: then
    the order may still be good, and is looked at again. `pace` is the least time between two looks.
    """

    short: str
    pace: timedelta
    binding: Binding

    def code(self, state: bytes, now: datetime) -> str | None:
        """Return what the QR code says at this moment; None while none may be shown."""
        ...

    def link(self, state: bytes, visitor: Visitor) -> str:
        """Return the address that opens the app on the visitor's own device."""
        ...

    def drop(self, state: bytes) -> None:
        """Cancel an order; one that has ended already is left alone. Raises Unreachable."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a provider is given to work with.

    `http` makes one kept session for one upstream: timeouts, size cap, no redirects are in it; it takes
    `kept_session`'s options (`cert` and `trust` for mutual TLS).
    `client_key` is our key for private_key_jwt by algorithm; its public part is in our JWKS.
    `sandbox` allows what only simulators need: upstreams over plain http on loopback.
    """

    clock: Clock
    http: Callable[..., requests.Session]
    client_key: Callable[[str], SigningKey]
    sandbox: bool = False


def kinds() -> tuple[str, ...]:
    """Return the names of every kind of provider there is: the public modules of this package."""
    return tuple(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def kind(name: str) -> ModuleType:
    """Return one kind's module: only what a configuration names is loaded.

    Each has `Settings`, a frozen dataclass for its configuration table, and
    `make(name: str, settings: Settings, means: Means) -> Provider`.
    """
    return importlib.import_module(f"{__name__}.{name}")
