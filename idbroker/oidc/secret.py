"""Codes and tokens that mean something only here: the family's id, a dot, 256 random bits."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field, replace

_SHAPE = re.compile(r"([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """One code or token: the text given out, and what is kept of it."""

    family: str
    text: str = field(repr=False)
    digest: str


def new_family() -> str:
    """Return 128 random bits that name a grant and all that comes of it."""
    return secrets.token_urlsafe(16)


def new_secret(family: str) -> Secret:
    """Return a fresh code or token of a family."""
    return _secret(family, f"{family}.{secrets.token_urlsafe(32)}")


def read_secret(text: str) -> Secret | None:
    """Return a presented code or token, or None when it has not our shape. Nothing is looked up."""
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        return None
    return _secret(shape[1], text)


def inside_jwt(secret: Secret) -> Secret:
    """Return the secret as known when it stands in a signed token's `jti`.

    Its digest is another: a `jti` is written to logs and shown in consoles, and whoever reads one
    there must not hold an access token (RFC 9068 does not think of `jti` as a secret).
    """
    return replace(secret, digest=hashlib.sha256(f"at+jwt\n{secret.text}".encode()).hexdigest())


def _secret(family: str, text: str) -> Secret:
    return Secret(family=family, text=text, digest=hashlib.sha256(text.encode()).hexdigest())
