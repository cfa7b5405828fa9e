"""What an operator should do about the keys: soon, or now."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from idbroker.errors import OperatorError
from idbroker.keyring import KeyStore
from idbroker.keyset import CERTIFICATE_NOW, CHAINS, FIXED, NEEDED, Chain, Key, KeySet, Rules, State, Use
from idbroker.rotation import COMPROMISED, copies_of


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
    found = [*_missing(keys), *_stolen(keys), *(one for key in keys.alive() for one in _about(key, rules, now, warn))]
    return tuple(sorted(found, key=lambda one: one.level is not Level.ACT))


def unreadable(keys: KeySet, store: KeyStore) -> Iterator[Finding]:
    """Try to open every secret that is still needed."""
    for key in keys.alive():
        if key.revoked is not None and key.use is not Use.DATA:
            continue  # lost: it signs and opens no more
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
        elif begun and not _alone(keys, chain) and not keys.of(chain, State.STAGED):
            what = f"no staged key for {chain.use} {chain.alg}: after a theft there would be no successor"
            yield Finding(level=Level.WARNING, code="no_successor", message=what, hint=_rotate(chain.use))


def _stolen(keys: KeySet) -> Iterator[Finding]:
    """Find what came back before an import refused it: a compromised key under another name."""
    for key in keys.alive():
        copies = [one for one in copies_of(keys, key.public or {}) if one.revoked == COMPROMISED and one.kid != key.kid]
        if copies:
            what = f"the same private key as {copies[0].kid}, which was revoked as {COMPROMISED}"
            hint = f"idbroker keys revoke {key.kid[:8]} --reason {COMPROMISED}"
            yield Finding(level=Level.ACT, code=COMPROMISED, message=what, hint=hint, kid=key.kid)


def _alone(keys: KeySet, chain: Chain) -> bool:
    """Tell whether a chain has no staged key by its nature: it never changes, or an authority makes the next."""
    active = keys.active(chain)
    return chain.use in FIXED or (active is not None and active.imported)


def _about(key: Key, rules: Rules, now: datetime, warn: timedelta) -> Iterator[Finding]:
    if key.ends_at is not None and key.state in {State.ACTIVE, State.STAGED} and key.ends_at - now <= warn:
        ended = key.ends_at <= now
        urgent = key.ends_at - now <= CERTIFICATE_NOW
        yield Finding(
            level=Level.ACT if urgent else Level.WARNING,
            code="certificate",
            message=f"certificate {'ended' if ended else 'ends'} {key.ends_at:%Y-%m-%d}{_in(key.ends_at - now)}",
            hint=_renewal(key),
            kid=key.kid,
        )
    ends = rules.may_go(key, key.since) if key.state is State.RETIRING else None
    # Keys that sign tokens are rotated often, and go then.
    if ends is not None and ends <= now and key.use is not Use.OIDC_SIGN:
        over = f"may go since {ends:%Y-%m-%d}: nobody needs it"
        hint = f"idbroker keys retire --use {key.use}"
        yield Finding(level=Level.WARNING, code="over", message=over, hint=hint, kid=key.kid)
    # A key with a certificate is pinned by others: its end decides, not its age.
    ages = key.ends_at is None and key.use not in FIXED
    if key.state is State.ACTIVE and ages and now - key.since >= rules.rotate_after:
        age = f"active for {(now - key.since).days} days, due after {rules.rotate_after.days}"
        yield Finding(level=Level.WARNING, code="due", message=age, hint=_rotate(key.use), kid=key.kid)


def _renewal(key: Key) -> str:
    if key.imported:
        return f"idbroker keys import --use {key.use}"
    if key.state is State.STAGED:
        return f"idbroker keys revoke {key.kid[:8]} --reason test"
    return _rotate(key.use)


def _rotate(use: str) -> str:
    return f"idbroker keys rotate --use {use}"


def _in(left: timedelta) -> str:
    return f", in {left.days} days" if left > timedelta() else ""
