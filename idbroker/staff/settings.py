"""`[staff]`: how staff sign in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

END_SESSION = ("post", "get", "off")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How long a colleague's sign-in lasts, and the organisation's own OpenID provider, where there is one.

    `passwords` allows user name, password and authenticator app or passkey; without it the organisation's provider
    is the only way. `client_secret_file` is its secret for us. `trusted_acr` are the values of `acr` that mean two
    factors there; none means that it always asks for two. `end_session` is how a sign-out here gets to the end of its
    own session: `post`, `get`, or `off`, where the organisation wants that to stay. `prompt` is `login` for an
    organisation that lets nobody in by that session; `max_age` is how old a sign-in there may be.
    """

    idle: timedelta = timedelta(minutes=15)
    absolute: timedelta = timedelta(hours=8)
    passwords: bool = True
    issuer: str | None = None
    client_id: str | None = None
    client_secret_file: str | None = None
    title: str = "Organisation"
    trusted_acr: tuple[str, ...] = ()
    end_session: str = "post"
    prompt: str | None = None
    max_age: timedelta | None = None


def mistakes(settings: Settings) -> list[str]:
    """Return what is wrong with them."""
    asked = (settings.prompt, settings.max_age)
    told = (settings.issuer, settings.client_id, settings.client_secret_file)
    checks = {
        "idle must be above 0 and at most absolute, absolute at most 12 hours": timedelta()
        < settings.idle
        <= settings.absolute
        <= timedelta(hours=12),
        "issuer, client_id and client_secret_file go together": all(told) or not any(told),
        "issuer must be https (http only on localhost)": settings.issuer is None or _is_safe(settings.issuer),
        f"end_session is one of {', '.join(END_SESSION)}": settings.end_session in END_SESSION,
        "prompt is login, or left out": settings.prompt in (None, "login"),
        "max_age must not be below 0": settings.max_age is None or settings.max_age >= timedelta(),
        "prompt and max_age are for an issuer": settings.issuer is not None
        or not any(one is not None for one in asked),
        "nobody could sign in: set passwords = true, or an issuer": settings.passwords or settings.issuer is not None,
    }
    return [what for what, good in checks.items() if not good]


def _is_safe(issuer: str) -> bool:
    parts = urlsplit(issuer)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1"))
