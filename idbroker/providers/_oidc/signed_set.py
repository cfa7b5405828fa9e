"""What a signed key set must say before its keys are taken (OpenID Federation 1.0, 5.2.1.1)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from idbroker.errors import StoreError, Untrusted
from idbroker.providers import Copies
from idbroker.providers._oidc.id_token import moment
from idbroker.providers._oidc.upstream import SKEW, Upstream

# Each look writes it anew: only a year without any forgets.
_REMEMBERED = timedelta(days=365)
_log = structlog.get_logger("idbroker.oidc")

Claims = Mapping[str, Any]


class SignedSets:
    """Tells the upstream's set of now from another's, and from one that was taken back. One thread at a time.

    When the newest one was made is shared by all workers and outlives a restart, while the store answers;
    while it does not, each worker goes by what it has seen itself.
    """

    def __init__(self, upstream: Upstream, copies: Copies) -> None:
        self._upstream, self._copies = upstream, copies
        self._name = f"signed keys {upstream.issuer} {upstream.signed_jwks_uri}"
        self._newest: datetime | None = None

    def check(self, claims: Claims, now: datetime) -> None:
        """Let the claims of a set pass whose signature was verified, and remember it; else Untrusted."""
        self._check_whose(claims)
        made = _made(claims, now)
        self._newest = max(filter(None, (self._newest, self._shared())), default=None)
        # Who replays the set of last year brings back keys that were given up since, stolen ones too.
        if self._newest is not None and (made is None or made < self._newest):
            raise Untrusted("signed key set: older than one that was taken before")
        if made is not None:
            self._newest = made
            self._share(made)

    def _check_whose(self, claims: Claims) -> None:
        # The same entity signs sets of others, and for others: their keys are not for us.
        if claims.get("iss") != self._upstream.issuer or claims.get("sub") != self._upstream.issuer:
            raise Untrusted("signed key set: another issuer's")
        audience = claims.get("aud", self._upstream.client_id)
        if self._upstream.client_id not in (audience if isinstance(audience, list) else [audience]):
            raise Untrusted("signed key set: for somebody else")

    def _shared(self) -> datetime | None:
        try:
            copy = self._copies.get(self._name)
        except StoreError as error:
            _log.warning("signed_keys_memory", issuer=self._upstream.issuer, reason=error.code)
            return None
        return None if copy is None else copy[0]

    def _share(self, made: datetime) -> None:
        try:
            self._copies.put(self._name, made, b"", _REMEMBERED)  # its time is all that counts
        except StoreError as error:
            _log.warning("signed_keys_memory", issuer=self._upstream.issuer, reason=error.code)


def _made(claims: Claims, now: datetime) -> datetime | None:
    made, ends = moment(claims, "iat"), moment(claims, "exp")
    if made is None and ends is None:
        raise Untrusted("signed key set: neither iat nor exp, so it could be of any age")
    if ends is not None and ends <= now - SKEW:
        raise Untrusted("signed key set: over")
    # One of the far future, once taken, would keep every honest one out.
    if made is not None and made > now + SKEW:
        raise Untrusted("signed key set: of the future")
    return made
