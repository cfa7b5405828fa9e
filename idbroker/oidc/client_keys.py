"""Clients' public keys: registered inline or fetched from their `jwks_uri`, checked before any use."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from idbroker.client import Client
from idbroker.oidc.jose import KeyFinder

MOST_KEYS = 32
FRESH = timedelta(minutes=10)
COOL_DOWN = timedelta(seconds=30)
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
        self._lock = threading.Lock()

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
        source = client.jwks if client.jwks is not None else client.jwks_uri
        with self._lock:
            kept = self._kept.get(client.id)
        if kept and kept.source == source and (client.jwks is not None or now - kept.fetched_at < stale_after):
            return kept.keys
        try:
            keys = read_keys(client.jwks if client.jwks is not None else self._document(client))
        except (OSError, ValueError):
            # Their server is away or answers nonsense: the last good keys go on, within the rules.
            keys = kept.keys if kept and kept.source == source else {}
        with self._lock:
            self._kept[client.id] = _Kept(keys=keys, source=source, fetched_at=now)
        return keys

    def _document(self, client: Client) -> Mapping[str, Any]:
        document = json.loads(self._fetch(client.jwks_uri)) if client.jwks_uri else {}
        if not isinstance(document, dict):
            raise ValueError("not a key set")
        return document


def read_keys(document: Mapping[str, Any]) -> Mapping[str | None, Any]:
    """Return the usable keys of a JWK set by `kid`; ValueError for a set that must not be trusted at all.

    A set with symmetric or private members is a mistake that would make forging easy, and one with a
    `kid` twice is ambiguous: both are refused whole. A single key is also found without a `kid`.
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
    if not isinstance(entry, dict) or entry.get("kty") == "oct" or "d" in entry or "k" in entry:
        raise ValueError("a symmetric, private or malformed key in a public set")
    if entry.get("use", "sig") != "sig" or entry.get("kty") not in ("EC", "RSA", "OKP"):
        return None
    try:
        key = import_key(entry)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise ValueError("a key that does not read") from error
    return key if _strong(entry) else None


def _strong(entry: Mapping[str, Any]) -> bool:
    # RSA below 2048 bits (342 base64url characters) and other curves than P-256 and Ed25519 are left out.
    if entry["kty"] == "RSA":
        return len(str(entry.get("n", ""))) >= 342 and entry.get("e") not in ("AQ", "Aw")
    return entry.get("crv") in ("P-256", "Ed25519")
