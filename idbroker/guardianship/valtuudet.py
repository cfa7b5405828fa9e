"""Suomi.fi e-Authorizations (Valtuudet), for people: who may act for whom, chosen at Suomi.fi's own page ("Hypa")."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import requests

from idbroker.guardianship.tie import Elsewhere

Http = Callable[..., requests.Session]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`[registers.NAME]` of the kind `valtuudet`. The address of production is spelled in two ways: it is a setting.

    `api_key_file` holds the key of the checksum, `oauth_password_file` that of the token endpoint; `rest_key_file`,
    where there is one, that of the interface without a page. `life` is how long an answer is good.
    """

    address: str
    client_id: str
    api_key_file: str
    oauth_password_file: str
    rest_key_file: str | None = None
    issues: tuple[str, ...] = ()
    life: timedelta = timedelta(seconds=599)


def mistakes(settings: Settings) -> tuple[str, ...]:
    """Return what is wrong with the settings."""
    checks = {"address must be https (http only on localhost)": settings.address.startswith("http")}
    return tuple(what for what, good in checks.items() if not good)


def make(name: str, settings: Settings, http: Http) -> Elsewhere:
    """Return the register."""
    raise NotImplementedError
