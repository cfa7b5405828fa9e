"""Our keys as values: what each is for, where in its life it is, and when it came there."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple


class Use(enum.StrEnum):
    """What a key is for."""

    OIDC_SIGN = "oidc-sign"
    OIDC_ENC = "oidc-enc"
    SAML_SIGN = "saml-sign"
    SAML_ENC = "saml-enc"
    DATA = "data"
    INDEX = "index"
    SUBJECT = "subject"


class State(enum.StrEnum):
    """Where in its life a key is; later states are further down."""

    STAGED = "staged"
    ACTIVE = "active"
    RETIRING = "retiring"
    RETIRED = "retired"


class Chain(NamedTuple):
    """Keys that follow one another: one use, one algorithm, at most one active."""

    use: Use
    alg: str


CHAINS = (
    Chain(Use.OIDC_SIGN, "ES256"),
    Chain(Use.OIDC_SIGN, "RS256"),
    Chain(Use.OIDC_ENC, "RSA-OAEP"),
    Chain(Use.SAML_SIGN, "RS256"),
    Chain(Use.SAML_ENC, "RSA-OAEP-256"),
    Chain(Use.DATA, "A256GCM"),
    Chain(Use.INDEX, "HS256"),
    Chain(Use.SUBJECT, "HS256"),
)
# What every start needs. Others are made when the first provider needs them (its module's `CHAINS`).
NEEDED = tuple(chain for chain in CHAINS if chain.use not in {Use.SAML_SIGN, Use.SAML_ENC, Use.OIDC_ENC})
# Our SAML metadata holds certificates of these.
SAML = (Use.SAML_SIGN, Use.SAML_ENC)
# Others encrypt to these, whichever they have found.
ENCRYPTION = (Use.SAML_ENC, Use.OIDC_ENC)
# Every blind index and every `sub` is computed with these: a new key would lose all of them.
FIXED = frozenset({Use.INDEX, Use.SUBJECT})
# So long before a certificate ends there is something to do, and so long before it is urgent: partners that
# install metadata by hand need weeks, and an authority needs some more.
CERTIFICATE_SOON, CERTIFICATE_NOW = timedelta(days=90), timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What is known of one key without its secret.

    `kid` is the RFC 7638 thumbprint of a public key, else random. `public` is the public JWK,
    `certificate` a PEM that ends at `ends_at` (SAML), `number` the two bytes in front of what a
    data key sealed. `revoked` is the reason given. `imported` marks what an authority certified for us:
    we cannot make its successor.
    """

    kid: str
    use: Use
    alg: str
    state: State
    created_at: datetime
    published_at: datetime
    active_at: datetime | None = None
    retiring_at: datetime | None = None
    retired_at: datetime | None = None
    revoked: str | None = None
    sandbox: bool = False
    number: int | None = None
    public: Mapping[str, str] | None = None
    certificate: str | None = None
    ends_at: datetime | None = None
    imported: bool = False

    @property
    def chain(self) -> Chain:
        """Return the chain this key is a link of."""
        return Chain(self.use, self.alg)

    @property
    def alive(self) -> bool:
        """Tell whether anybody may still use it."""
        return self.state is not State.RETIRED

    @property
    def opens(self) -> bool:
        """Tell whether it opens what others encrypted to it: whichever they have found, until it is retired."""
        return self.use in ENCRYPTION and self.alive and self.revoked is None

    @property
    def since(self) -> datetime:
        """Return when it came to the state it is in."""
        match self.state:
            case State.STAGED:
                return self.published_at
            case State.ACTIVE:
                return self.active_at or self.published_at
            case State.RETIRING:
                return self.retiring_at or self.published_at
            case State.RETIRED:
                return self.retired_at or self.published_at

    def become(self, state: State, at: datetime) -> Key:
        """Return the key in another state. Going back takes the later moments away."""
        match state:
            case State.STAGED:
                return replace(self, state=state, active_at=None)
            case State.ACTIVE:
                return replace(self, state=state, active_at=self.active_at or at, retiring_at=None)
            case State.RETIRING:
                return replace(self, state=state, retiring_at=at)
            case State.RETIRED:
                return replace(self, state=state, retired_at=at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One step that was made."""

    kid: str
    use: Use
    alg: str
    was: State | None
    becomes: State


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One entry of the history: who changed what, when, why."""

    at: datetime
    who: str
    action: str
    plan: str
    reason: str = ""
    steps: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySet:
    """All keys at one moment. `version` differs whenever anything does; it is empty before the first start."""

    keys: tuple[Key, ...] = ()
    version: str = ""
    last: Record | None = field(default=None, repr=False)

    def of(self, chain: Chain, *states: State) -> tuple[Key, ...]:
        """Return a chain's keys in these states, the longest public first."""
        found = [key for key in self.keys if key.chain == chain and key.state in states]
        return tuple(sorted(found, key=lambda key: key.published_at))

    def active(self, chain: Chain) -> Key | None:
        """Return the key that signs or seals now, if there is one."""
        return next(iter(self.of(chain, State.ACTIVE)), None)

    def described(self, use: Use) -> tuple[Key, ...]:
        """Return the keys whose certificates our SAML metadata holds: the active one, then the staged ones.

        Then those that signed before: an undo lets them sign again, for partners too that fetched meanwhile.
        Nobody shall begin to encrypt to such a one.
        """
        shown = (State.ACTIVE, State.STAGED, *((State.RETIRING,) if use is Use.SAML_SIGN else ()))
        found = [key for key in self.keys if key.use is use and key.state in shown and key.revoked is None]
        return tuple(sorted(found, key=lambda key: (shown.index(key.state), key.published_at)))

    def opening(self, use: Use) -> tuple[Key, ...]:
        """Return the keys that open what was encrypted to us, the likeliest first."""
        order = (State.ACTIVE, State.STAGED, State.RETIRING)
        found = [key for key in self.keys if key.use is use and key.opens]
        return tuple(sorted(found, key=lambda key: (order.index(key.state), key.published_at)))

    def alive(self) -> tuple[Key, ...]:
        """Return the keys that are not retired."""
        return tuple(key for key in self.keys if key.alive)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How long others remember our keys, and our tokens need them.

    `jwks_cache` and `saml_cache` are the longest that others keep a key set or metadata, whatever
    we tell them (an operator may have a partner that takes weeks); `jwks_max_age` is what we tell them.
    `token_life` is the longest a token we sign lives, `transient_life` the longest a session or
    transaction does. `spread` is how long workers take to see a change, generously. `rotate_after` is
    when a key is due, `undo` how long a rotation can be taken back, `repeat` how long the same command
    again is taken for a repetition.
    """

    jwks_cache: timedelta = timedelta(hours=24)
    jwks_max_age: timedelta = timedelta(hours=1)
    saml_cache: timedelta = timedelta(hours=72)
    skew: timedelta = timedelta(minutes=10)
    token_life: timedelta = timedelta(hours=24)
    transient_life: timedelta = timedelta(hours=24)
    spread: timedelta = timedelta(minutes=1)
    rotate_after: timedelta = timedelta(days=90)
    undo: timedelta = timedelta(hours=24)
    repeat: timedelta = timedelta(minutes=1)

    def caches(self, use: Use) -> timedelta:
        """Return how long somebody may not have seen a new key of this use."""
        match use:
            case Use.OIDC_SIGN | Use.OIDC_ENC:
                return self.jwks_cache
            case Use.SAML_SIGN | Use.SAML_ENC:
                return self.saml_cache
            case Use.DATA | Use.INDEX | Use.SUBJECT:
                return self.spread

    def may_sign(self, key: Key) -> datetime:
        """Return the moment from which everybody knows a staged key."""
        slack = timedelta() if key.use is Use.DATA else self.skew
        return key.published_at + self.caches(key.use) + slack

    def may_go(self, key: Key, retiring_at: datetime) -> datetime | None:
        """Return the moment the last thing a key signed has ended; None while only a rewrap can tell."""
        match key.use:
            case Use.OIDC_SIGN:
                return retiring_at + self.token_life + self.skew
            case Use.OIDC_ENC:
                # Whoever still has our older key set encrypts to this key.
                return retiring_at + self.jwks_cache + self.skew
            case Use.SAML_SIGN | Use.SAML_ENC:
                # Whoever still has our older metadata encrypts to this key.
                return retiring_at + self.saml_cache + self.skew
            case Use.DATA | Use.INDEX | Use.SUBJECT:
                return None
