"""The upstream's own description, checked before anything in it is used (OpenID Connect Discovery 1.0)."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import requests
from authlib.oauth2.rfc9207 import AuthorizationServerMetadata as IssuerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata

from idbroker.errors import ProviderError, Unreachable, Untrusted
from idbroker.providers._oidc.upstream import ALGORITHMS, SKEW, Upstream, ask, told

LIFE = timedelta(hours=1)
PAUSE = timedelta(seconds=30)
PATIENCE = 5.0  # seconds that a thread waits for another's question, when it cannot go on without an answer
PULSE = 2.0  # seconds that a look for whether anybody is there waits, for each step
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_OPTIONAL = {
    "userinfo_endpoint": "userinfo_endpoint",
    "pushed_endpoint": "pushed_authorization_request_endpoint",
}
_CHECKED = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "response_types_supported")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What the upstream says of itself, as far as we use it."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    pushed_endpoint: str | None = None
    end_session_endpoint: str | None = None
    algorithms: tuple[str, ...]
    says_issuer: bool = False


class Discovery:
    """Fetches the description, keeps it for an hour, and a good old one for as long as it must."""

    def __init__(self, upstream: Upstream, http: requests.Session, *, sandbox: bool) -> None:
        self._upstream, self._http, self._sandbox = upstream, http, sandbox
        self._url = upstream.issuer.rstrip("/") + "/.well-known/openid-configuration"
        self._lock = threading.Lock()
        self._kept: Metadata | None = None
        self._until: datetime | None = None

    def get(self, now: datetime) -> Metadata:
        """Return the description. Unreachable or Untrusted when there never was a good one."""
        kept = self._kept
        if kept is not None and self._fresh(now):
            return kept
        # With an old copy in hand one thread asks and the others go on: a slow upstream stops nobody.
        if not self._lock.acquire(timeout=PATIENCE if kept is None else 0):
            if kept is None:
                raise Unreachable("discovery: still being asked")
            return kept
        try:
            return self._again(now)
        finally:
            self._lock.release()

    def _fresh(self, now: datetime) -> bool:
        # Who waited for another's answer has an earlier `now` than it: no reason to ask once more.
        return self._until is not None and self._until - LIFE - SKEW <= now < self._until

    def _again(self, now: datetime) -> Metadata:
        if self._kept is not None and self._fresh(now):
            return self._kept
        try:
            self._kept, self._until = self._fetch(), now + LIFE
        except ProviderError:
            if self._kept is None:
                raise
            self._until = now + PAUSE
        return self._kept

    def look(self) -> None:
        """Ask for it and let it be: whether anybody is there. Unreachable when nobody answers soon, or it is broken."""
        response = ask(self._http, "GET", self._url, timeout=(PULSE, PULSE))
        if response.status_code >= 500:
            raise Unreachable(f"discovery: HTTP {response.status_code}")

    def _fetch(self) -> Metadata:
        return _parse(told(ask(self._http, "GET", self._url)), self._upstream, sandbox=self._sandbox)


def _parse(document: Mapping[str, Any], upstream: Upstream, *, sandbox: bool) -> Metadata:
    _check_form(document)
    # Another issuer's description here would have us take its tokens for this one's (mix-up).
    if document["issuer"] != upstream.issuer:
        raise Untrusted("discovery: another issuer")
    named = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    urls = {name: document[name] for name in named} | {ours: document.get(name) for ours, name in _OPTIONAL.items()}
    for url in filter(None, urls.values()):
        check_endpoint(url, upstream, sandbox=sandbox)
    return Metadata(
        end_session_endpoint=_end_session(document.get("end_session_endpoint"), upstream, sandbox=sandbox),
        issuer=upstream.issuer,
        algorithms=_algorithms(document.get("id_token_signing_alg_values_supported"), upstream.algorithms),
        says_issuer=document.get("authorization_response_iss_parameter_supported") is True,
        **urls,
    )


def _end_session(url: Any, upstream: Upstream, *, sandbox: bool) -> str | None:
    """Return where sessions end, if that is a place to send ID tokens to. Signing in does not need it."""
    try:
        check_endpoint(url, upstream, sandbox=sandbox)
    except Untrusted:
        return None
    return str(url)


def _check_form(document: Mapping[str, Any]) -> None:
    metadata = OpenIDProviderMetadata(document)
    try:
        for name in _CHECKED:
            getattr(metadata, f"validate_{name}")()
        IssuerMetadata(document).validate_authorization_response_iss_parameter_supported()
    except (ValueError, TypeError, AttributeError) as error:
        raise Untrusted("discovery: malformed") from error


def _algorithms(offered: Any, taken: Sequence[str]) -> tuple[str, ...]:
    usable = tuple(alg for alg in ALGORITHMS if alg in taken and isinstance(offered, list) and alg in offered)
    if not usable:
        raise Untrusted("discovery: no signature algorithm that we trust")
    return usable


def check_endpoint(url: Any, upstream: Upstream, *, sandbox: bool) -> None:
    """Let pass an https address at the issuer's own host or a listed one; else Untrusted.

    Stops a description, once tampered with, from sending our calls into our own network (SSRF) or our
    client secret to somebody else.
    """
    try:
        parts = urlsplit(url)
        host, own = parts.hostname, urlsplit(upstream.issuer).hostname
    except (ValueError, AttributeError, TypeError) as error:
        raise Untrusted("discovery: an endpoint is no address") from error
    secure = parts.scheme == "https" or (sandbox and parts.scheme == "http" and host in _LOOPBACK)
    if not secure or parts.username is not None or parts.fragment or host not in (own, *upstream.hosts):
        raise Untrusted("discovery: an endpoint elsewhere")
