"""The keys a worker works with: what signs, what is published, what opens; following every rotation."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.x509 import Certificate
from joserfc.jwk import ECKey, RSAKey

from idbroker.clock import Clock
from idbroker.errors import OperatorError, StoreError
from idbroker.keymaking import KeyMaker, Made, Material, make_key, public_jwk
from idbroker.keypublic import PublishedKeys, certificate_of, no_key, public_key, published
from idbroker.keyset import (
    CERTIFICATE_NOW,
    CERTIFICATE_SOON,
    ENCRYPTION,
    FIXED,
    NEEDED,
    SAML,
    Chain,
    Key,
    KeySet,
    Record,
    Rules,
    State,
    Use,
)
from idbroker.rotation import COMPROMISED, Plan, apply_plan, plan_first, record_of
from idbroker.sealing import SealingKeys

LOOK_EVERY, TELL_EVERY = 1.0, 60.0
_log = logging.getLogger(__name__)


class Changing(Protocol):
    """The right to change the key set, while it lasts."""

    def save(self, before: KeySet, keys: tuple[Key, ...], made: tuple[Made, ...], record: Record) -> KeySet:
        """Replace `before` by `keys`, all or nothing, and add to the history.

        OperatorError (exit 5) when the key set is not `before` any more.
        """
        ...


class KeyStore(Protocol):
    """Where keys are kept. All methods raise OperatorError; `load` is cheap when nothing has changed."""

    def load(self) -> KeySet:
        """Return the newest key set; an empty one before the first start."""
        ...

    def material(self, key: Key) -> Material:
        """Return a key's secret. OperatorError (exit 4) when it does not open."""
        ...

    def changing(self, who: str, now: datetime, *, wait: bool = False) -> AbstractContextManager[Changing]:
        """Let one at a time change. Without `wait`, OperatorError (exit 5) names who does, and since when."""
        ...

    def history(self) -> tuple[Record, ...]:
        """Return every change there was, oldest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A private key to sign with: the joserfc key object, parsed once and kept."""

    kid: str
    alg: str
    key: Any = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certified:
    """A private key that signs SAML messages, with its certificate."""

    key: RSAPrivateKey = field(repr=False)
    certificate: Certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    """Everything of one version, ready to use. `without`: what was taken out of it before the next could be read."""

    keys: KeySet
    without: tuple[str, ...] = ()
    signing: Mapping[str, SigningKey]
    public: Mapping[str, Any]
    published: PublishedKeys
    saml: Certified | None
    certificates: Mapping[Use, tuple[Certificate, ...]]
    opening: Mapping[Use, tuple[tuple[str, RSAPrivateKey], ...]] = field(repr=False)
    sealing: SealingKeys = field(repr=False)
    secrets: Mapping[Use, bytes] = field(repr=False)
    materials: Mapping[str, Any] = field(repr=False)


class Keyring:
    """Our keys, for any number of threads. Looks for changes at most once a second, when it is asked something.

    Each private key is parsed once (an RSA key costs some 30 ms). While the store is broken the
    keys that were read go on serving, except those it calls compromised, and the log says so; a start
    with broken keys is refused.
    """

    def __init__(
        self,
        store: KeyStore,
        *,
        rules: Rules | None = None,
        sandbox: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._rules = rules or Rules()
        self._sandbox = sandbox
        self._monotonic = monotonic
        self._looking = threading.Lock()
        self._next_look = monotonic() + LOOK_EVERY
        self._told, self._tell_again = "", 0.0
        self._loaded = self._read(store.load(), {})

    @property
    def loaded_version(self) -> str:
        """Return the version of the key set in use."""
        return self._current().keys.version

    def signing(self, alg: str) -> SigningKey:
        """Return the key that signs tokens by an algorithm now. OperatorError when there is none."""
        try:
            return self._current().signing[alg]
        except KeyError as error:
            raise OperatorError(f"there is no {Use.OIDC_SIGN} key for {alg}", code="no_key") from error

    def client_key(self, alg: str) -> SigningKey:
        """Return our key for private_key_jwt and signed requests: those who verify them read our JWK set too."""
        return self.signing(alg)

    def saml_signing(self) -> Certified:
        """Return the key that signs SAML messages now. OperatorError when there is none."""
        certified = self._current().saml
        if certified is None:
            raise no_key(Use.SAML_SIGN)
        return certified

    def saml_certificates(self, use: Use) -> tuple[Certificate, ...]:
        """Return what our metadata holds for a SAML use: active, staged, and what may sign again after an undo."""
        found = self._current().certificates.get(use)
        if not found:
            raise no_key(use)
        return found

    def decryption(self, use: Use) -> tuple[tuple[str, RSAPrivateKey], ...]:
        """Return every key, with its kid, that opens what was encrypted to us: active, staged, retiring.

        A staged one is in our metadata, and another worker may be ahead; a retiring one is in copies of it.
        """
        found = self._current().opening.get(use)
        if not found:
            raise no_key(use)
        return found

    def verification_key(self, kid: str) -> Any | None:
        """Return a published public key (a joserfc object that knows its `kid` and `alg`), or None."""
        return self._current().public.get(kid)

    def jwks(self) -> PublishedKeys:
        """Return the key set to publish, public members only."""
        return self._current().published

    def sealing_keys(self) -> SealingKeys:
        """Return the data keys and the index key. Staged ones open already: another worker may be ahead."""
        return self._current().sealing

    def secret(self, use: Use) -> bytes:
        """Return the key of a use that has only one: `index`, `subject`."""
        return self._current().secrets[use]

    def _current(self) -> _Loaded:
        now = self._monotonic()
        if now >= self._next_look and self._looking.acquire(blocking=False):
            try:
                self._next_look = now + LOOK_EVERY
                self._look()
            finally:
                self._looking.release()
        return self._loaded

    def _look(self) -> None:
        try:
            keys = self._store.load()
            if keys.version != self._loaded.keys.version or self._loaded.without:
                self._follow(keys)
            self._told = ""
        except (OperatorError, StoreError) as error:
            self._tell(error.code)

    def _follow(self, keys: KeySet) -> None:
        try:
            self._loaded = self._read(keys, self._loaded.materials)
        except Exception:
            self._drop_compromised(keys)
            raise
        _log.info("keys.followed version=%s", keys.version)

    def _drop_compromised(self, keys: KeySet) -> None:
        """Go on without what a key set that cannot be followed calls compromised.

        A thief has that key: to sign nothing until the file is mended is the smaller harm. Data keys stay,
        for nothing that was sealed would open without them.
        """
        stolen = {key.kid for key in keys.keys if key.revoked == COMPROMISED and key.use is not Use.DATA}
        old = self._loaded.keys
        gone = [key.kid for key in old.alive() if key.kid in stolen]
        if gone:
            left = replace(old, keys=tuple(key for key in old.keys if key.kid not in stolen))
            without = (*self._loaded.without, *gone)
            self._loaded = replace(self._ready(left, self._loaded.materials), without=without)

    def _tell(self, code: str) -> None:
        without = ",".join(self._loaded.without) or "none"
        trouble = f"code={code}, going on with version={self._loaded.keys.version} without={without}"
        now = self._monotonic()
        if trouble != self._told or now >= self._tell_again:
            self._told, self._tell_again = trouble, now + TELL_EVERY
            _log.error("keys.unreadable %s", trouble)

    def _read(self, keys: KeySet, kept: Mapping[str, Any]) -> _Loaded:
        check_world(keys, sandbox=self._sandbox)
        _check_complete(keys)
        used = [key for key in keys.alive() if _used(key)]
        return self._ready(keys, {key.kid: kept[key.kid] if key.kid in kept else self._open(key) for key in used})

    def _ready(self, keys: KeySet, materials: Mapping[str, Any]) -> _Loaded:
        data = {key.number or 0: materials[key.kid] for key in keys.alive() if key.use is Use.DATA}
        newest = next(key.number or 0 for key in keys.alive() if _active(key, Use.DATA))
        secrets: dict[Use, bytes] = {key.use: materials[key.kid] for key in keys.alive() if key.use in FIXED}
        return _Loaded(
            keys=keys,
            signing={
                key.alg: SigningKey(kid=key.kid, alg=key.alg, key=materials[key.kid])
                for key in keys.alive()
                if _active(key, Use.OIDC_SIGN)
            },
            saml=_certified(keys, materials),
            certificates={use: tuple(map(certificate_of, keys.described(use))) for use in SAML},
            opening={use: tuple((key.kid, materials[key.kid]) for key in keys.opening(use)) for use in ENCRYPTION},
            public={key.kid: public_key(key) for key in keys.alive() if key.use is Use.OIDC_SIGN},
            published=published(keys, self._rules.jwks_max_age),
            sealing=SealingKeys(data=data, newest=newest, index=secrets[Use.INDEX]),
            secrets=secrets,
            materials=materials,
        )

    def _open(self, key: Key) -> Any:
        material = self._store.material(key)
        if isinstance(material, bytes):
            return material
        if {**public_jwk(material.public_key()), "kid": ""} != {**(key.public or {}), "kid": ""}:
            # Whoever can write the folder but not the index must not choose what we sign with.
            raise OperatorError(f"the file of key {key.kid} holds another key", code="wrong_key", exit_code=4)
        if key.use is not Use.OIDC_SIGN:
            return material
        return RSAKey(material, material) if isinstance(material, RSAPrivateKey) else ECKey(material, material)


def ensure_keys(
    store: KeyStore,
    clock: Clock,
    *,
    who: str = "idbroker serve",
    sandbox: bool = False,
    rules: Rules | None = None,
    make: KeyMaker = make_key,
    chains: Iterable[Chain] = NEEDED,
) -> KeySet:
    """Make the keys that a start needs and does not find, and return the key set. Of two one makes, the other waits.

    `chains` are those of every start and those that the providers of this one need besides.
    """
    needed = tuple(dict.fromkeys(chains))
    keys = store.load()
    check_world(keys, sandbox=sandbox)
    _tell_of_ends(keys, clock.now())
    if not plan_first(keys, rules or Rules(), clock.now(), needed).steps:
        return keys
    with store.changing(who, clock.now(), wait=True) as change:
        keys = store.load()
        check_world(keys, sandbox=sandbox)
        plan = plan_first(keys, rules or Rules(), clock.now(), needed)
        if not plan.steps:
            return keys
        made = _make(keys, plan, clock.now(), make, sandbox=sandbox)
        return _save(change, keys, plan, made, who, clock.now())


def carry_out(store: KeyStore, plan: Plan, who: str, now: datetime, make: KeyMaker = make_key) -> KeySet:
    """Do what a plan says. OperatorError (exit 5) when the key set has changed since, or somebody is at it."""
    with store.changing(who, now) as change:
        keys = store.load()
        if keys.version != plan.version:
            raise out_of_date(plan.id)
        return _save(change, keys, plan, _make(keys, plan, now, make, sandbox=is_sandbox(keys)), who, now)


def out_of_date(plan: str) -> OperatorError:
    """Return the error for a plan that belongs to an earlier key set."""
    return OperatorError(
        f"plan {plan} is out of date: the keys have changed since",
        hint="look again: idbroker keys plan",
        code="out_of_date",
        exit_code=5,
    )


def is_sandbox(keys: KeySet) -> bool:
    """Tell whether these are keys for simulated people."""
    return any(key.sandbox for key in keys.alive())


def check_world(keys: KeySet, *, sandbox: bool) -> None:
    """Keep sandbox keys out of production and the other way round (exit 3).

    A sandbox signs for whoever asks: with production's keys it would hand out anybody's identity.
    """
    if not sandbox and is_sandbox(keys):
        raise OperatorError(
            "these keys were made by the sandbox, and anybody may have them",
            hint="point keys.folder at another folder; new keys are made there at the first start",
            code="sandbox_keys",
            exit_code=3,
        )
    if sandbox and any(not key.sandbox for key in keys.alive()):
        raise OperatorError(
            "these are production keys: the sandbox does not sign simulated people with them",
            hint="give the sandbox a folder of its own",
            code="production_keys",
            exit_code=3,
        )


def _check_complete(keys: KeySet) -> None:
    missing = [f"{chain.use} {chain.alg}" for chain in NEEDED if keys.active(chain) is None]
    if missing:
        raise OperatorError(
            f"there is no active key for {', '.join(missing)}",
            hint="idbroker serve makes the keys of a new folder; for a damaged one restore your backup",
            code="no_key",
        )


def _tell_of_ends(keys: KeySet, now: datetime) -> None:
    for key in keys.alive():
        left = key.ends_at - now if key.ends_at is not None else CERTIFICATE_SOON
        if left < CERTIFICATE_SOON and key.state in {State.ACTIVE, State.STAGED}:
            level = logging.ERROR if left < CERTIFICATE_NOW else logging.WARNING
            _log.log(level, "keys.certificate_ends use=%s key=%s days_left=%s", key.use, key.kid, left.days)


def _make(keys: KeySet, plan: Plan, now: datetime, make: KeyMaker, *, sandbox: bool) -> tuple[Made, ...]:
    number = max((key.number or 0 for key in keys.keys), default=0)
    made: list[Made] = []
    for step in plan.steps:
        if step.kid is None:
            number += step.use is Use.DATA
            made.append(make(step, now, number if step.use is Use.DATA else None, sandbox))
    return tuple(made)


def _save(change: Changing, keys: KeySet, plan: Plan, made: tuple[Made, ...], who: str, now: datetime) -> KeySet:
    new = [one.key for one in made]
    return change.save(keys, apply_plan(keys, plan, new, now), made, record_of(plan, new, who, now))


def _used(key: Key) -> bool:
    """Tell whether a worker needs the secret: what signs now, and everything that opens.

    A key that was revoked as lost may have no secret any more, and a start must not fail for it.
    """
    return key.public is None or key.state is State.ACTIVE or key.opens


def _active(key: Key, use: Use) -> bool:
    return key.use is use and key.state is State.ACTIVE


def _certified(keys: KeySet, materials: Mapping[str, Any]) -> Certified | None:
    active = keys.active(Chain(Use.SAML_SIGN, "RS256"))
    return Certified(key=materials[active.kid], certificate=certificate_of(active)) if active is not None else None
