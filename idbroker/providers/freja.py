"""Freja eID Plus: over Freja's REST service, an order in the person's app; or over OpenID Connect, on its page.

Sources: Freja's developer documentation and official clients; Digg's list of quality-marked eIDs for the levels.
"""

from __future__ import annotations

import ssl

import requests

from idbroker.errors import ConfigError
from idbroker.providers import Means
from idbroker.providers._freja.app import FrejaApp
from idbroker.providers._freja.details import read_signers
from idbroker.providers._freja.openid import FrejaOpenId
from idbroker.providers._freja.rest import ADDRESSES, RestService
from idbroker.providers._freja.settings import Settings, advice, mistakes_of, requirement_mistakes
from idbroker.providers._oidc import OpenIdClient, Upstream

__all__ = ["FrejaApp", "FrejaOpenId", "Settings", "advice", "make", "requirement_mistakes"]


def make(name: str, settings: Settings, means: Means) -> FrejaApp | FrejaOpenId:
    """Return the provider, as `api` says. ConfigError, with every mistake, when the settings cannot work."""
    mistakes = mistakes_of(settings, sandbox=means.sandbox)
    if mistakes:
        raise _wrong(name, *mistakes)
    if settings.api == "oidc":
        return FrejaOpenId(name, settings, OpenIdClient(_upstream(settings), means))
    address = settings.address or ADDRESSES[settings.environment]
    service = RestService(address, _session(name, settings, means), settings.relying_party_id)
    signers = {
        x5t: one for file in settings.jws_certificate_files for x5t, one in read_signers(file.read_bytes()).items()
    }
    return FrejaApp(name, settings, service, signers)


def _session(name: str, settings: Settings, means: Means) -> requests.Session:
    passphrase = settings.passphrase
    certificate = (str(settings.certificate_file), str(settings.key_file), *([passphrase] if passphrase else []))
    try:
        return means.http(cert=certificate, trust=str(settings.server_root_file))
    except (OSError, ssl.SSLError) as error:
        raise _wrong(name, "certificate_file, key_file: do not belong together") from error


def _upstream(settings: Settings) -> Upstream:
    file = settings.client_secret_file
    return Upstream(
        issuer=settings.issuer_address,
        client_id=settings.client_id or "",
        client_secret=file.read_text(encoding="utf-8").strip() if file else settings.client_secret,
        auth_method=settings.auth_method,
        hosts=settings.hosts,
    )


def _wrong(name: str, *mistakes: str) -> ConfigError:
    return ConfigError([(f"providers.{name}", what) for what in mistakes])
