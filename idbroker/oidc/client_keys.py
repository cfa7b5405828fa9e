"""Clients' public keys: registered inline or fetched from their `jwks_uri`, checked before any use."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from idbroker.client import Client
from idbroker.oidc import strict_json
from idbroker.oidc.jose import KeyFinder

MOST_KEYS = 32
FRESH = timedelta(minutes=10)
COOL_DOWN = timedelta(seconds=30)
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "k", "oth"})
_KINDS: Mapping[str, tuple[type, ...]] = {
    "ES256": (ECKey,),
    "EdDSA": (OKPKey,),
    "PS256": (RSAKey,),
    "RS256": (RSAKey,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    keys: Mapping[str | None, Any] = field(repr=False)
    source: object
    fetched_at: datetime


class ClientKeys:
    """Finds a client's key by `kid`; only ever within that client's own keys.

    `fetch` gets a URL and returns the body; it must be guarded against server-side request forgery
    by whoever makes it (https, public address, no redirect, bounded in size and time) and raises
    OSError when it cannot.
    """

    def __init__(self, fetch: Callable[[str], bytes]) -> None:
        self._fetch = fetch
        self._kept: dict[str, _Kept] = {}
        self._fetching: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def finder(self, client: Client, now: datetime) -> KeyFinder:
        """Return a function from (kid, alg) to the client's key, or None."""

        def find(kid: str | None, alg: str) -> Any | None:
            key = self._keys(client, now, stale_after=FRESH).get(kid)
            if key is None and client.jwks_uri:
                # The client may have rotated. One refetch in a while: a stream of made-up kids
                # must not turn us into a load on the client's server.
                key = self._keys(client, now, stale_after=COOL_DOWN).get(kid)
            return key if isinstance(key, _KINDS[alg]) else None

        return find

    def _keys(self, client: Client, now: datetime, *, stale_after: timedelta) -> Mapping[str | None, Any]:
        kept = self._good(client, now, stale_after)
        if kept is not None:
            return kept.keys
        # One thread asks the client's server, which may be slow. Others wait only if there is
        # nothing to go on with: anonymous posts must not pile up behind it, nor all of them ask.
        lock, earlier = self._fetching[client.id], self._last(client)
        if not lock.acquire(blocking=earlier is None):
            return earlier.keys if earlier else {}
        try:
            kept = self._good(client, now, stale_after) or self._read(client, now)
        finally:
            lock.release()
        return kept.keys

    def _last(self, client: Client) -> _Kept | None:
        """Return what was read last, unless the registration names another source since."""
        kept = self._kept.get(client.id)
        return kept if kept is not None and kept.source == _source(client) else None

    def _good(self, client: Client, now: datetime, stale_after: timedelta) -> _Kept | None:
        kept = self._last(client)
        good = kept is not None and (client.jwks is not None or now - kept.fetched_at < stale_after)
        return kept if good else None

    def _read(self, client: Client, now: datetime) -> _Kept:
        try:
            keys = read_keys(client.jwks if client.jwks is not None else self._document(client))
        except (OSError, ValueError):
            # Their server is away or answers nonsense: the last good keys go on, within the rules.
            earlier = self._last(client)
            keys = earlier.keys if earlier else {}
        kept = self._kept[client.id] = _Kept(keys=keys, source=_source(client), fetched_at=now)
        return kept

    def _document(self, client: Client) -> Mapping[str, Any]:
        return strict_json.read_object(self._fetch(client.jwks_uri)) if client.jwks_uri else {}


def _source(client: Client) -> object:
    return client.jwks if client.jwks is not None else client.jwks_uri


def read_keys(document: Mapping[str, Any]) -> Mapping[str | None, Any]:
    """Return the usable keys of a JWK set by `kid`; ValueError for a set that must not be trusted at all.

    A set with symmetric or private members is a mistake that would make forging easy, and one with a
    `kid` twice is ambiguous: both are refused whole. Keys that we cannot use are passed over (RFC
    7517, 5). A single key is also found without a `kid`.
    """
    listed = document.get("keys")
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        raise ValueError("not a key set of a reasonable size")
    keys: dict[str | None, Any] = {}
    for entry in listed:
        key = _public_key(entry)
        kid = entry.get("kid")
        if kid in keys:
            raise ValueError("a kid stands twice")
        if key is not None:
            keys[kid] = key
    if len(keys) == 1:
        keys[None] = next(iter(keys.values()))
    return keys


def _public_key(entry: Any) -> Any | None:
    if not isinstance(entry, dict) or entry.get("kty") == "oct" or PRIVATE_MEMBERS & set(entry):
        raise ValueError("a symmetric, private or malformed key in a public set")
    if not isinstance(entry.get("kid"), str | None):
        raise ValueError("a kid that is no string")
    if entry.get("use", "sig") != "sig" or entry.get("kty") not in ("EC", "RSA", "OKP"):
        return None
    try:
        key = import_key(entry)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return key if _strong(key) else None


def _strong(key: Any) -> bool:
    """Tell whether it is an RSA key within bounds, or on P-256 or Ed25519.

    The number itself is measured: its text can be padded. An upper bound too: a huge modulus or
    exponent would make each verification as dear as the attacker likes.
    """
    if isinstance(key, RSAKey):
        numbers = key.public_key.public_numbers()
        return 2048 <= numbers.n.bit_length() <= 8192 and 65537 <= numbers.e < 2**32
    return key.curve_name in ("P-256", "Ed25519")
