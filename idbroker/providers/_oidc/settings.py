"""What the settings of OpenID providers upstream have in common."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

from idbroker.errors import Untrusted


def is_issuer(issuer: str, *, sandbox: bool) -> bool:
    """Tell whether it is an https address without query; in the sandbox http will do."""
    parts = urlsplit(issuer)
    bare = parts.hostname and not parts.query and not parts.fragment and parts.username is None
    return bool(bare) and (parts.scheme == "https" or (sandbox and parts.scheme == "http"))


def read_secret(secret: str | None, file: Path | None) -> str | None:
    """Return the secret, from its file where it lies in one."""
    return file.read_text(encoding="utf-8").strip() if file else secret


def origins(issuer: str, *hosts: str) -> tuple[str, ...]:
    """Return where the way to an eID leads: the broker, and the other hosts that come behind it."""
    parts = urlsplit(issuer)
    if parts.scheme == "http":
        return (f"http://{parts.netloc}",)
    return tuple(f"https://{host}" for host in dict.fromkeys((parts.netloc, *hosts)))


def birthdate(claim: str | None) -> date | None:
    """Return a date of birth as it was claimed, ISO 8601. Untrusted for what is no date."""
    try:
        return date.fromisoformat(claim) if claim else None
    except ValueError as error:
        raise Untrusted("birthdate: not a date") from error
