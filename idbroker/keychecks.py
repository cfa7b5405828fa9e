"""What an operator should do about the keys: soon, or now."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from idbroker.errors import OperatorError
from idbroker.keyring import KeyStore
from idbroker.keyset import CHAINS, FIXED, NEEDED, Key, KeySet, Rules, State


class Level(enum.StrEnum):
    """How urgent a finding is."""

    WARNING = "warning"
    ACT = "act"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to do: about one key, or about all when `kid` is None."""

    level: Level
    code: str
    message: str
    hint: str = ""
    kid: str | None = None


def findings(keys: KeySet, rules: Rules, now: datetime, warn: timedelta) -> tuple[Finding, ...]:
    """Return what the key set alone tells, the most urgent first."""
    found = [*_missing(keys), *(one for key in keys.alive() for one in _about(key, rules, now, warn))]
    return tuple(sorted(found, key=lambda one: one.level is not Level.ACT))


def unreadable(keys: KeySet, store: KeyStore) -> Iterator[Finding]:
    """Try to open every secret that is still needed."""
    for key in keys.alive():
        try:
            store.material(key)
        except OperatorError as error:
            yield Finding(level=Level.ACT, code=error.code, message=error.detail, hint=error.hint, kid=key.kid)


def _missing(keys: KeySet) -> Iterator[Finding]:
    for chain in CHAINS:
        begun = any(key.chain == chain for key in keys.keys)
        if keys.active(chain) is None and (begun or chain in NEEDED):
            what = f"no active key for {chain.use} {chain.alg}"
            yield Finding(level=Level.ACT, code="no_key", message=what, hint=f"idbroker keys rotate --use {chain.use}")
        elif begun and chain.use not in FIXED and not keys.of(chain, State.STAGED):
            what = f"no staged key for {chain.use} {chain.alg}: after a theft there would be no successor"
            yield Finding(level=Level.WARNING, code="no_successor", message=what, hint=_rotate(chain.use))


def _about(key: Key, rules: Rules, now: datetime, warn: timedelta) -> Iterator[Finding]:
    if key.ends_at is not None and key.state is State.ACTIVE and key.ends_at - now <= warn:
        ended = key.ends_at <= now
        yield Finding(
            level=Level.ACT if ended else Level.WARNING,
            code="certificate",
            message=f"certificate {'ended' if ended else 'ends'} {key.ends_at:%Y-%m-%d}{_in(key.ends_at - now)}",
            hint=_rotate(key.use),
            kid=key.kid,
        )
    # A key with a certificate is pinned by others: its end decides, not its age.
    ages = key.ends_at is None and key.use not in FIXED
    if key.state is State.ACTIVE and ages and now - key.since >= rules.rotate_after:
        age = f"active for {(now - key.since).days} days, due after {rules.rotate_after.days}"
        yield Finding(level=Level.WARNING, code="due", message=age, hint=_rotate(key.use), kid=key.kid)


def _rotate(use: str) -> str:
    return f"idbroker keys rotate --use {use}"


def _in(left: timedelta) -> str:
    return f", in {left.days} days" if left > timedelta() else ""
