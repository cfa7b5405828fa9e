"""The upstream's public keys, and the one place where its signatures are verified (RFC 7515, RFC 8725)."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import requests
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from idbroker.errors import ProviderError, Unreachable, Untrusted
from idbroker.providers import Copies, NoCopies
from idbroker.providers._oidc.discovery import LIFE, PATIENCE, PAUSE, Metadata
from idbroker.providers._oidc.id_token import moment
from idbroker.providers._oidc.signed_set import SignedSets
from idbroker.providers._oidc.upstream import ALGORITHMS, SKEW, Upstream, ask, json_object, told

LONGEST = timedelta(hours=24)  # how long old keys are believed that cannot be asked for again
SOON = timedelta(seconds=5)  # the pause of who has no keys at all, and so keeps people out
_LONG_AGO = datetime(1970, 1, 2, tzinfo=UTC)
_LONGEST_TOKEN = 65536
_MOST_KEYS = 50
_PRIVATE = frozenset({"d", "k", "p", "q", "dp", "dq", "qi", "oth"})
_TYPES = {"ES256": "EC", "PS256": "RSA", "RS256": "RSA"}
_READ_AS = {"EC": "ES256", "RSA": "RS256"}
_VERIFIER = jwt.PyJWS()
_log = structlog.get_logger("idbroker.oidc")
# What `typ` may say of a kind of token, in small letters; a token without it says `jwt`.
ID_TOKEN = frozenset({"jwt"})
LOGOUT_TOKEN = frozenset({"jwt", "logout+jwt"})
KEY_SET = frozenset({"jwk-set+jwt"})


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyKey:
    """One public key: `alg` is the one algorithm it is for, where its publisher says so."""

    kid: str | None
    kty: str
    alg: str | None
    key: EllipticCurvePublicKey | RSAPublicKey

    def fits(self, kid: str | None, alg: str) -> bool:
        """Tell whether a token with this header may be verified with this key."""
        return self.kty == _TYPES[alg] and self.alg in (None, alg) and kid in (None, self.kid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What we read of a token's header. Its jwk, jku, x5u and x5c are never looked at."""

    alg: str
    kid: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySet:
    """The keys in hand, and until when they are believed while no newer ones can be had."""

    keys: tuple[VerifyKey, ...]
    ends: datetime


class KeyCache:
    """Keeps the keys for an hour; a key it does not know makes it ask once, then not for 30 seconds.

    With keys in hand one thread asks and the others go on. While the upstream cannot be asked, its keys are
    believed for a day at most, and never beyond their own end.
    """

    def __init__(self, http: requests.Session, upstream: Upstream, copies: Copies | None = None) -> None:
        self._http, self._upstream = http, upstream
        self._signed = SignedSets(upstream, copies or NoCopies())
        self._lock = threading.Lock()
        self._kept: KeySet | None = None
        self._failed: ProviderError | None = None
        self._asked = self._again = self._forced = _LONG_AGO

    def verified(
        self, token: str, metadata: Metadata, now: datetime, kinds: frozenset[str] = ID_TOKEN
    ) -> dict[str, Any]:
        """Return the payload of a signed token of one of these kinds (`typ`).

        Untrusted when it does not verify; Unreachable, or Untrusted, when there are no keys to verify it with.
        """
        header = _header(token, metadata.algorithms, kinds)
        self._renew(metadata, now)
        if not self._believed(now):
            raise self._why()
        key = self._find(header, now) or self._find_again(header, metadata, now, kinds)
        try:
            return _verify(token, header, key)
        except Untrusted:
            # Without a kid, new keys look like a bad signature: ask once whether they changed.
            if header.kid is not None:
                raise
            return _verify(token, header, self._find_again(header, metadata, now, kinds))

    def _believed(self, now: datetime) -> tuple[VerifyKey, ...]:
        kept = self._kept
        return kept.keys if kept is not None and now < kept.ends + SKEW else ()

    def _why(self) -> ProviderError:
        failed = self._failed or Unreachable("key set: none that is good any more")
        return type(failed)(failed.detail)  # a new one for each thread: a raised one grows with its traceback

    def _find(self, header: Header, now: datetime) -> VerifyKey | None:
        keys = self._believed(now)
        # Several keys and no name: trying them all would let an old key vouch for a new token.
        if header.kid is None and len(keys) != 1:
            return None
        return next((key for key in keys if key.fits(header.kid, header.alg)), None)

    def _find_again(self, header: Header, metadata: Metadata, now: datetime, kinds: frozenset[str]) -> VerifyKey:
        # ID tokens come from the upstream itself and may wait to see its new keys. Logout tokens come from anybody:
        # with made-up key ids, they would hold every thread of ours behind one slow answer.
        self._look(metadata, now, 0 if kinds == LOGOUT_TOKEN else PATIENCE, forced=True)
        key = self._find(header, now)
        if key is None:
            raise Untrusted("signed with a key we cannot tell")
        return key

    def _renew(self, metadata: Metadata, now: datetime) -> None:
        if self._due(now):
            self._look(metadata, now, 0 if self._believed(now) else PATIENCE)

    def _due(self, now: datetime) -> bool:
        return not self._asked - SKEW <= now < self._again

    def _may_force(self, now: datetime) -> bool:
        # The pauses stop tokens with made-up key ids from having us hammer the upstream.
        return abs(now - self._forced) >= PAUSE and (self._failed is None or self._due(now))

    def _look(self, metadata: Metadata, now: datetime, patience: float, *, forced: bool = False) -> None:
        """Ask for the keys if it is time to, unless another thread does: then wait for it, so many seconds."""
        wanted = self._may_force if forced else self._due
        if not self._lock.acquire(timeout=patience):
            return
        try:
            # Who waited may find it done.
            if wanted(now):
                self._forced = now if forced else self._forced
                self._ask(metadata, now)
        finally:
            self._lock.release()

    def _ask(self, metadata: Metadata, now: datetime) -> None:
        kept, failed = self._kept, None
        try:
            document = self._document(metadata, now)
            # From here on it is the upstream's own word: of use or not, it takes back the keys of before.
            kept = None
            kept = self._read(document, now)
        except ProviderError as error:
            failed = type(error)(error.detail)
            _log.warning("upstream_keys", issuer=self._upstream.issuer, reason=error.detail, kept=kept is not None)
        self._kept, self._failed, self._asked = kept, failed, now
        self._again = self._next(now)

    def _next(self, now: datetime) -> datetime:
        if self._kept is None or now >= self._kept.ends + SKEW:
            return now + SOON
        return now + PAUSE if self._failed else min(now + LIFE, self._kept.ends + SKEW)

    def _document(self, metadata: Metadata, now: datetime) -> Mapping[str, Any]:
        if self._upstream.jwks is not None:
            return self._upstream.jwks
        if self._upstream.signed_jwks_uri is not None:
            return self._signed_document(self._upstream.signed_jwks_uri, now)
        return told(ask(self._http, "GET", metadata.jwks_uri))

    def _signed_document(self, uri: str, now: datetime) -> Mapping[str, Any]:
        """Return the claims of a set that the pinned keys sign (OpenID Federation 1.0, 5.2.1.1)."""
        response = ask(self._http, "GET", uri)
        if response.status_code != 200 or not response.content.isascii():
            raise Unreachable(f"signed key set: HTTP {response.status_code}")
        claims = signed_by(response.content.decode().strip(), parse_keys(self._upstream.trusted), KEY_SET)
        self._signed.check(claims, now)
        return claims

    def _read(self, document: Mapping[str, Any], now: datetime) -> KeySet:
        keys = parse_keys(document)
        if not keys:
            raise Untrusted("key set: no key that we can use")
        ends = moment(document, "exp") if self._upstream.signed_jwks_uri is not None else None
        return KeySet(keys=keys, ends=min(ends or now + LONGEST, now + LONGEST))


def signed_by(token: str, keys: Sequence[VerifyKey], kinds: frozenset[str]) -> dict[str, Any]:
    """Return the payload of a token that one of a few pinned keys signed. Untrusted when none did."""
    header = _header(token, ALGORITHMS, kinds)
    fitting = [key for key in keys if key.fits(header.kid, header.alg)]
    if len(fitting) != 1:
        raise Untrusted("signed with a key we cannot tell")
    return _verify(token, header, fitting[0])


def parse_keys(document: Mapping[str, Any]) -> tuple[VerifyKey, ...]:
    """Return the signature keys of a key set. Untrusted for a set that cannot be an honest mistake.

    A symmetric or private key in it would let anybody sign; two keys of one name, an attacker choose.
    """
    listed = document.get("keys")
    if not isinstance(listed, list) or not listed or len(listed) > _MOST_KEYS:
        raise Untrusted("key set: malformed")
    if any(not isinstance(jwk, dict) or jwk.keys() & _PRIVATE or jwk.get("kty") == "oct" for jwk in listed):
        raise Untrusted("key set: a secret key")
    keys = tuple(key for key in map(_key, listed) if key is not None)
    kids = [key.kid for key in keys if key.kid is not None]
    if len(set(kids)) != len(kids):
        raise Untrusted("key set: two keys of one name")
    return keys


def _key(jwk: dict[str, Any]) -> VerifyKey | None:
    kty, alg, kid = str(jwk.get("kty")), jwk.get("alg"), jwk.get("kid")
    if kty not in _READ_AS or jwk.get("use", "sig") != "sig" or alg not in (None, *_TYPES):
        return None
    try:
        key = jwt.PyJWK(jwk, algorithm=_READ_AS[kty]).key
    except jwt.PyJWTError:
        return None  # a key of some other use; whoever signs with it is refused for an unknown key
    strong = isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
    strong = strong or (isinstance(key, RSAPublicKey) and key.key_size >= 2048)
    return VerifyKey(kid=kid if isinstance(kid, str) else None, kty=kty, alg=alg, key=key) if strong else None


def _header(token: str, algorithms: Sequence[str], kinds: frozenset[str] = ID_TOKEN) -> Header:
    # The size is checked before anything is parsed (CVE-2025-61920 and its kin).
    if len(token) > _LONGEST_TOKEN or token.count(".") != 2:
        raise Untrusted("not a signed token")
    try:
        raw = json_object(jwt.utils.base64url_decode(token.partition(".")[0]))
    except ValueError as error:
        raise Untrusted("a header that does not read") from error
    # `crit` names rules we do not know; `b64` changes what is signed. RFC 7515, 4.1.11; RFC 7797.
    if "crit" in raw or "b64" in raw:
        raise Untrusted("a critical header")
    # Another kind of token from the same signer is not this kind (RFC 8725, 3.11).
    kind = raw.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in kinds:
        raise Untrusted("another kind of token")
    if raw.get("alg") not in algorithms or not isinstance(raw.get("kid"), str | None):
        raise Untrusted("an algorithm or key id we do not take")
    return Header(alg=raw["alg"], kid=raw.get("kid"))


def _verify(token: str, header: Header, key: VerifyKey) -> dict[str, Any]:
    try:
        signed = _VERIFIER.decode_complete(token, key.key, algorithms=[header.alg])
        return json_object(signed["payload"])
    except (jwt.PyJWTError, ValueError) as error:
        raise Untrusted("a signature that does not verify") from error
