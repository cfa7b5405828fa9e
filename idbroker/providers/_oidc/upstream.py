"""One OpenID provider upstream: where it is, who we are to it, and how we hear what it says."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import requests

from idbroker.errors import Unreachable, Untrusted

SKEW = timedelta(seconds=60)
ALGORITHMS = ("ES256", "PS256", "RS256")
_LONGEST_DETAIL = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Encryption:
    """How tokens to us may be encrypted (RFC 7516): `keys` are the values of `alg`, `contents` those of `enc`."""

    keys: tuple[str, ...]
    contents: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """One OpenID provider and our registration there.

    `hosts` are hosts its endpoints may be at besides its issuer's own. `pushed` is whether requests are
    pushed (RFC 9126): None means when the upstream offers it. `assertion_alg` is for private_key_jwt and
    for signed requests (RFC 9101); of those, `repeated` parameters are said outside the signature too.
    `assertion_audience` is `issuer` or `token_endpoint`. `algorithms` are the signatures we take.
    With `encryption`, tokens that come unencrypted are refused. Its keys are at its `jwks_uri`, unless
    there is a fixed key set (`jwks`), or one that `trusted` keys sign at `signed_jwks_uri`.
    """

    issuer: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    auth_method: str = "client_secret_basic"
    assertion_alg: str = "RS256"
    assertion_audience: str = "issuer"
    pushed: bool | None = None
    hosts: tuple[str, ...] = ()
    signed_requests: bool = False
    repeated: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ALGORITHMS
    encryption: Encryption | None = None
    jwks: Mapping[str, Any] | None = field(default=None, repr=False)
    signed_jwks_uri: str | None = None
    trusted: Mapping[str, Any] = field(default_factory=dict, repr=False)


def ask(http: requests.Session, method: str, url: str, **options: Any) -> requests.Response:
    """Call the upstream. Unreachable when there is no whole answer in time."""
    try:
        return http.request(method, url, **options)
    except requests.RequestException as error:
        raise Unreachable(f"{urlsplit(url).netloc}: {type(error).__name__}") from error


def told(response: requests.Response) -> dict[str, Any]:
    """Return the JSON object of a good answer; Unreachable for anything else."""
    place = urlsplit(response.url).netloc
    if response.status_code not in (200, 201):
        raise Unreachable(f"{place}: HTTP {response.status_code}")
    try:
        return json_object(response.content)
    except ValueError as error:
        raise Unreachable(f"{place}: not a JSON object") from error


def json_object(text: bytes) -> dict[str, Any]:
    """Return a JSON object read strictly: no member twice, no NaN. ValueError for anything else.

    Two readers that disagree on which of two members counts are how a check is walked around.
    """
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member twice")
    return members


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def clean(text: object) -> str:
    """Return what an upstream wrote, fit for a log line: plain ASCII, short, no long digits.

    It is never shown: an upstream's words on our page would be an attacker's (reflected XSS). Digits
    are masked because some of them write a person's number into their errors.
    """
    plain = re.sub(r"[^A-Za-z0-9 _.:,()/-]", "?", str(text)[:_LONGEST_DETAIL])
    return re.sub(r"[0-9]{4,}", "#", plain)


def same(text: object, other: str) -> bool:
    """Tell whether something from outside is this text, in constant time."""
    return isinstance(text, str) and hmac.compare_digest(_bytes(text), _bytes(other))


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")  # JSON may carry half a character: never a crash


def words(claims: Mapping[str, Any], name: str) -> str | None:
    """Return a claim that must be text where it is there. Untrusted for anything else."""
    value = claims.get(name)
    if value is not None and (not isinstance(value, str) or not value.isprintable()):
        raise Untrusted(f"{name} is not text")
    return value
