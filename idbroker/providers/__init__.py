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
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.x509 import Certificate

from idbroker.accounts.desk import Desk
from idbroker.client import Client
from idbroker.clinic import Clinic
from idbroker.clock import Clock
from idbroker.errors import OperatorError
from idbroker.form import Form as Form
from idbroker.identity import Identity, LoA
from idbroker.keyring import Certified, SigningKey
from idbroker.keyset import Use
from idbroker.patients.assisting import Assisting
from idbroker.staff.entrance import Entrance
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
    what the clinic demands of this eID, in the eID's own words; the fallback alone looks at `clinic` and `client`.
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
    clinic: Clinic | None = None
    client: Client | None = None

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
class Post:
    """The browser must post a form to the eID, which it does by itself (SAML bindings, 3.5)."""

    action: str
    fields: Mapping[str, str] = field(repr=False)
    state: bytes = field(default=b"", repr=False)


Challenge = Redirect | Post | Wait | Form


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
class Leaving:
    """Somebody signs out here, and goes on to the eID to sign out there.

    `logout` is what the provider put into `Identity.upstream_logout`; `handle` goes to the eID and comes
    back to `return_url`, as in `Asked`.
    """

    logout: str = field(repr=False)
    handle: str
    return_url: str
    language: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What an eID sent to our logout address, by the browser or straight from its server.

    `query` is as it stood in the request line (a signature is over those very octets); `fields` are a post's.
    """

    now: datetime
    url: str
    query: bytes = field(default=b"", repr=False)
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summons:
    """An eID says, and has proved, that a session of its own is over.

    `names` are as in `Identity.upstream_names`: any sign-on that has one of them and was proved no later
    than `issued` ends; names `for_good` are of that one session, and never come again. `id` counts once,
    until `until`. `state` is what `dismissed` needs for the answer.
    """

    id: str
    issued: datetime
    until: datetime
    names: tuple[str, ...] = field(repr=False)
    for_good: bool = False
    state: bytes = field(default=b"", repr=False)


@runtime_checkable
class Federated(Provider, Protocol):
    """An eID that has a session of its own: leaving here ends it there, and the other way round."""

    def leave(self, leaving: Leaving) -> Redirect | Post | None:
        """Return where the browser goes to end the eID's session; None when there is nothing to end.

        Our own session is over by then. Raises Unreachable.
        """
        ...

    def left(self, leaving: Leaving, state: bytes, message: Message) -> bool:
        """Read the eID's answer to `leave`: whether its session ended everywhere. Raises Untrusted."""
        ...

    def summoned(self, message: Message) -> Summons:
        """Read that the eID's session is over. Untrusted for what it did not say, or not to us; Unreachable."""
        ...

    def dismissed(self, summons: Summons, now: datetime, *, complete: bool) -> Redirect | Post | None:
        """Return the answer to a summons that the browser carries; None when HTTP 200 is the answer."""
        ...


@runtime_checkable
class Described(Provider, Protocol):
    """An eID that must know us by a document of ours (SAML metadata), which we publish."""

    def metadata(self, now: datetime) -> bytes:
        """Return the document, signed."""
        ...


class Secrets(Protocol):
    """Our keys towards eIDs, as they are now: every call may give others (rotation)."""

    def client_key(self, alg: str) -> SigningKey:
        """Return our key for private_key_jwt and signed requests; its public part is in our JWKS."""
        ...

    def saml_signing(self) -> Certified:
        """Return the key that signs SAML messages now."""
        ...

    def saml_certificates(self, use: Use) -> tuple[Certificate, ...]:
        """Return what our metadata holds: the active one, the staged one; for SAML_SIGN the retiring ones too."""
        ...

    def decryption(self, use: Use) -> tuple[tuple[str, RSAPrivateKey], ...]:
        """Return every key (with its kid) that opens what was encrypted to us: active, staged, retiring.

        `Use.SAML_ENC`, or `Use.OIDC_ENC` for encrypted ID tokens.
        """
        ...


class Tally(Protocol):
    """Counts across all workers and transactions: what must not be tried for ever."""

    def add(self, name: str, life: timedelta) -> int:
        """Add one and return the sum; life starts at the first."""
        ...

    def clear(self, name: str) -> None:
        """Begin at nought again."""
        ...


class NoTally:
    """Refuses to count: who cannot count must not let anybody guess."""

    def add(self, _name: str, _life: timedelta) -> int:
        """Raise OperatorError."""
        raise OperatorError("nothing is counted here", code="no_memory")

    def clear(self, name: str) -> None:
        """Forget nothing."""


class Copies(Protocol):
    """The last good copies of documents that were fetched, shared by all workers and kept over a restart."""

    def get(self, name: str) -> tuple[datetime, bytes] | None:
        """Return when it was fetched, and the document."""
        ...

    def put(self, name: str, fetched_at: datetime, document: bytes, life: timedelta) -> None:
        """Keep one."""
        ...


class NoKeys:
    """No keys at all: enough to check settings, and for eIDs that need none of ours."""

    def client_key(self, alg: str) -> SigningKey:
        """Raise OperatorError."""
        raise OperatorError(f"there is no {alg} key here", code="no_key")

    def saml_signing(self) -> Certified:
        """Raise OperatorError."""
        raise OperatorError("there is no SAML key here", code="no_key")

    def saml_certificates(self, use: Use) -> tuple[Certificate, ...]:
        """Raise OperatorError."""
        raise OperatorError(f"there is no {use} key here", code="no_key")

    def decryption(self, use: Use) -> tuple[tuple[str, RSAPrivateKey], ...]:
        """Raise OperatorError."""
        raise OperatorError(f"there is no {use} key here", code="no_key")


class NoCopies:
    """Keeps nothing."""

    def get(self, name: str) -> tuple[datetime, bytes] | None:
        """Return None."""
        return None

    def put(self, name: str, fetched_at: datetime, document: bytes, life: timedelta) -> None:
        """Forget it."""


def no_memory(_name: str, _until: datetime) -> bool:
    """Refuse to say that something is new: who cannot remember cannot tell a replay."""
    raise OperatorError("nothing is remembered here", code="no_memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a provider is given to work with.

    `http` makes one kept session for one upstream: timeouts, size cap, no redirects are in it; it takes
    `kept_session`'s options (`cert` and `trust` for mutual TLS).
    `issuer` is our own address, below which this provider's are: `callback`, `logout`, `metadata`.
    `once` is True exactly once for a name until its time, across all workers (replay).
    `desk` is who knows passwords, for the fallback; `assisting` and `entrance` are for staff who sign a patient in.
    `sandbox` allows what only simulators need: upstreams over plain http on loopback.
    """

    clock: Clock
    http: Callable[..., requests.Session]
    keys: Secrets = field(default_factory=NoKeys)
    issuer: str = "https://idbroker.invalid"
    once: Callable[[str, datetime], bool] = no_memory
    copies: Copies = field(default_factory=NoCopies)
    tally: Tally = field(default_factory=NoTally)
    desk: Desk | None = None
    assisting: Assisting | None = None
    entrance: Entrance | None = None
    sandbox: bool = False


def kinds() -> tuple[str, ...]:
    """Return the names of every kind of provider there is: the public modules of this package."""
    return tuple(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def kind(name: str) -> ModuleType:
    """Return one kind's module: only what a configuration names is loaded.

    Each has `Settings`, a frozen dataclass for its configuration table, and
    `make(name: str, settings: Settings, means: Means) -> Provider`. One that needs more than the keys
    of every start names them: `CHAINS: tuple[Chain, ...]`.
    """
    return importlib.import_module(f"{__name__}.{name}")
