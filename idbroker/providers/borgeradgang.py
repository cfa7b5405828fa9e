"""MitID by SAML: through NemLog-in itself, or through the health authority's citizen gateway.

Both speak OIOSAML 3.0.3, and NemLog-in 4.0 too; what differs between them is a table. Sources: NemLog-in's
metadata, integration tests and reference code; NSIS for the levels.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from urllib.parse import urlsplit

from idbroker.errors import BrokerError, ConfigError
from idbroker.identity import Identity, LoA
from idbroker.providers import Asked, Challenge, Leaving, Means, Message, Post, Redirect, Summons, _match
from idbroker.providers._oiosaml import CprMatch, Settings, identity_of, mistakes_in, requested, wish
from idbroker.providers._oiosaml.settings import BINDINGS
from idbroker.providers._saml import CHAINS, OurMetadata, Party, Terms
from idbroker.saml import names

__all__ = ["CHAINS", "Borgeradgang", "Settings", "make"]

# The assertion is signed inside what is encrypted, and the response should not be. The level is an attribute.
_TERMS = Terms(contexts=None, response_signed=False)


class Borgeradgang:
    """Signs citizens in through one gateway; `settings` are filled."""

    loa = LoA.HIGH

    def __init__(self, name: str, settings: Settings, means: Means) -> None:
        self.title = settings.title
        self._name, self._settings = name, settings
        self._party = Party(name, settings, means)
        self._match = CprMatch(settings, means, self._party.entity_id) if settings.number_by == "match" else None
        self._metadata = OurMetadata(
            self._party,
            name_id=names.PERSISTENT,
            attributes=requested(settings),
            logout_bindings=tuple(BINDINGS[binding] for binding in settings.logout_bindings),
        )

    @property
    def origins(self) -> tuple[str, ...]:
        """Return where the way to MitID leads: the gateway, as its metadata has it, and what lies behind it."""
        settings = self._settings
        url = urlsplit(settings.metadata_url or "")
        hosts = (*settings.table.hosts.get(settings.environment, ()), *settings.hosts)
        found = [f"{url.scheme}://{url.netloc}"] if url.netloc else self._sign_on()
        return tuple(dict.fromkeys([*found, *(f"https://{host}" for host in hosts)]))

    def begin(self, asked: Asked) -> Redirect | Post:
        """Send the person to the gateway."""
        # Who is not in the federation's single sign-on takes nobody's word but the person's, now.
        # And who may type a number shows first that they are the person whose number it is.
        typed = self._match is not None and asked.want_number
        asked = replace(asked, fresh=asked.fresh or typed or not self._settings.single_sign_on)
        return self._party.begin(asked, wish(self._settings, asked))

    def resume(self, asked: Asked, state: bytes, reply: Mapping[str, str]) -> Challenge | Identity:
        """Read the gateway's answer, or the CPR number typed on our page (field `number`)."""
        if self._match is not None and _match.is_matching(state):
            return _match.go_on(asked, state, reply.get("number"), self._match, self._party.means.tally)
        assertion = self._party.finish(asked, state, reply, _TERMS)
        identity = identity_of(self._name, self._settings, assertion, asked)
        if self._match is None or not asked.want_number:
            return identity
        until = asked.now + _match.WINDOW
        return _match.form(_match.Matching(identity=identity, ticket=assertion.name_id.value, until=until))

    def leave(self, leaving: Leaving) -> Redirect | Post | None:
        """Send the browser to end the gateway's session."""
        return self._party.leave(leaving)

    def left(self, leaving: Leaving, state: bytes, message: Message) -> bool:
        """Read the gateway's answer to that."""
        return self._party.left(state, message)

    def summoned(self, message: Message) -> Summons:
        """Read that the gateway's session is over."""
        return self._party.summoned(message)

    def dismissed(self, summons: Summons, now: datetime, *, complete: bool) -> Redirect | Post | None:
        """Answer that."""
        return self._party.dismissed(summons, now, complete=complete)

    def metadata(self, now: datetime) -> bytes:
        """Return the document about us."""
        return self._metadata.get(now)

    def _sign_on(self) -> list[str]:
        """Return the origins of a metadata file: one that is fetched may not be waited for by a page."""
        try:
            known = self._party.source.get(self._party.means.clock.now())
        except BrokerError:  # nobody can go there either, and `begin` says so
            return []
        places = (urlsplit(place) for place in known.sign_on.values())
        return [f"{place.scheme}://{place.netloc}" for place in places]


def make(name: str, settings: Settings, means: Means) -> Borgeradgang:
    """Return the provider. ConfigError, with every mistake, when the settings cannot work."""
    where = f"providers.{name}"
    mistakes = [(where, what) for what in mistakes_in(settings, means)]
    if mistakes:
        raise ConfigError(mistakes)
    try:
        return Borgeradgang(name, settings.filled(), means)
    except (ssl.SSLError, OSError, UnicodeDecodeError) as error:
        what = "service_certificate_file, service_key_file, service_root_file: do not load"
        raise ConfigError([(where, what)]) from error
