"""The eIDs that a configuration names: made, checked, and the keys that they need."""

from __future__ import annotations

from idbroker import config, providers
from idbroker.clock import SystemClock
from idbroker.errors import ConfigError
from idbroker.keyset import NEEDED, Chain
from idbroker.providers import Means, Provider
from idbroker.providers._http import kept_session


def needed_chains(settings: config.Settings) -> tuple[Chain, ...]:
    """Return the keys that this configuration needs: every start's, and what its eIDs want besides."""
    kinds = {table.kind: None for table in settings.providers.values()}
    wanted = [chain for name in kinds for chain in getattr(providers.kind(name), "CHAINS", ())]
    return tuple(dict.fromkeys((*NEEDED, *wanted)))


def check_providers(settings: config.Settings) -> None:
    """Make every provider as `open_house` would, and drop it. ConfigError for settings that cannot work."""
    clock = SystemClock()
    make_providers(settings, Means(clock=clock, http=kept_session, issuer=settings.server.issuer))


def make_providers(settings: config.Settings, means: Means) -> dict[str, Provider]:
    """Return every eID of the configuration, by name. ConfigError with all that is wrong with any."""
    made: dict[str, Provider] = {}
    mistakes: list[tuple[str, str]] = []
    for name, table in settings.providers.items():
        try:
            made[name] = providers.kind(table.kind).make(name, table.settings, means)
        except ConfigError as error:
            mistakes += error.mistakes
    if mistakes:
        raise ConfigError(mistakes)
    return made
