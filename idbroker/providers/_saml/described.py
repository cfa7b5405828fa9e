"""Our metadata for one identity provider, signed, made anew only when something in it has changed."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlsplit

from idbroker.keyset import Use
from idbroker.providers._saml.party import Party
from idbroker.saml import names, publishing
from idbroker.saml.metadata import Binding, Endpoint
from idbroker.saml.publishing import CIPHERS, EntityAttribute, RequestedAttribute, ServiceProvider

_CBC = (names.AES256_CBC, names.AES128_CBC)


class OurMetadata:
    """The document about us; threads may share it."""

    def __init__(
        self,
        party: Party,
        *,
        name_id: str,
        attributes: tuple[RequestedAttribute, ...],
        entity_attributes: tuple[EntityAttribute, ...] = (),
        logout_bindings: tuple[Binding, ...] = (Binding.REDIRECT, Binding.POST),
    ) -> None:
        self._party, self._name_id = party, name_id
        self._attributes, self._entity_attributes = attributes, entity_attributes
        self._logout_bindings = logout_bindings
        self._made: tuple[object, bytes] | None = None

    def get(self, now: datetime) -> bytes:
        """Return the document. OperatorError when there is no key, or something is missing."""
        settings, keys = self._party.settings, self._party.means.keys
        ours = self._ours()
        # A day's validity is not renewed at every request, or every reader would see another document.
        valid = settings.metadata_valid
        day = None if valid is None else now.replace(hour=0, minute=0, second=0, microsecond=0) + valid
        made = self._made
        if made is None or made[0] != (ours, day):
            made = ((ours, day), publishing.publish(ours, key=keys.saml_signing().key, valid_until=day))
            self._made = made
        return made[1]

    def _ours(self) -> ServiceProvider:
        party, settings = self._party, self._party.settings
        titles = settings.service_names or (settings.display.names if settings.display else {})
        return ServiceProvider(
            entity_id=party.entity_id,
            signing=party.means.keys.saml_certificates(Use.SAML_SIGN),
            encryption=party.means.keys.saml_certificates(Use.SAML_ENC),
            assertion_consumer=party.acs_url,
            logout=tuple(Endpoint(binding=binding, location=party.logout_url) for binding in self._logout_bindings),
            name_id=self._name_id,
            service_names=titles or {"en": urlsplit(party.means.issuer).hostname or "idbroker"},
            attributes=self._attributes,
            entity_attributes=self._entity_attributes,
            display=settings.display,
            organization=settings.organization,
            contacts=settings.contacts,
            ciphers=(*CIPHERS, *_CBC) if settings.cbc else CIPHERS,
        )
