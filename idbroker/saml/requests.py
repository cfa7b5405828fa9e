"""What we ask an identity provider: a sign-in (SAML core, 3.4.1; SAML profiles, 4.1.4.1)."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime

from lxml import etree

from idbroker.saml import head, names
from idbroker.saml.names import saml, samlp


class Comparison(enum.StrEnum):
    """How the context they use must compare with those we name (SAML core, 3.3.2.2.1)."""

    EXACT = "exact"
    MINIMUM = "minimum"
    MAXIMUM = "maximum"
    BETTER = "better"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthnRequest:
    """A sign-in to ask for. Send `element()` by `bindings.redirect_url` or `bindings.post_form`.

    `destination` is their address, `acs_url` ours, where the response comes by POST. `id` is
    `head.new_id()`'s: keep it with the browser that asks, `response.Expected` wants it. `force` has the
    person act now, `passive` forbids that. None for `name_id_format` and no `contexts` leave out the
    element. `extensions` are elements of the provider's own (`vetuma_language`, `app_switch`).
    """

    id: str
    issued: datetime
    issuer: str
    destination: str
    acs_url: str
    force: bool = False
    passive: bool = False
    name_id_format: str | None = names.TRANSIENT
    allow_create: bool = True
    contexts: tuple[str, ...] = ()
    comparison: Comparison = Comparison.EXACT
    attribute_index: int | None = None
    extensions: tuple[etree._Element, ...] = field(default=(), repr=False)

    def element(self) -> etree._Element:
        """Return the message, unsigned."""
        made = head.element(
            names.AUTHN_REQUEST, self.id, issued=self.issued, issuer=self.issuer, destination=self.destination
        )
        for name, value in self._attributes():
            made.set(name, value)
        # In the schema's order: Issuer, Signature, Extensions, NameIDPolicy, RequestedAuthnContext.
        if self.extensions:
            etree.SubElement(made, samlp("Extensions")).extend(map(_copied, self.extensions))
        if self.name_id_format is not None:
            policy = {"Format": self.name_id_format, "AllowCreate": _word(said=self.allow_create)}
            etree.SubElement(made, samlp("NameIDPolicy"), policy)
        if self.contexts:
            asked = etree.SubElement(made, samlp("RequestedAuthnContext"), {"Comparison": self.comparison.value})
            for context in self.contexts:
                etree.SubElement(asked, saml("AuthnContextClassRef")).text = context
        return made

    def _attributes(self) -> list[tuple[str, str]]:
        always = [("AssertionConsumerServiceURL", self.acs_url), ("ProtocolBinding", names.POST)]
        asked = [("ForceAuthn", self.force), ("IsPassive", self.passive)]
        index = [] if self.attribute_index is None else [("AttributeConsumingServiceIndex", str(self.attribute_index))]
        return [*always, *((name, "true") for name, value in asked if value), *index]


def vetuma_language(language: str) -> etree._Element:
    """Return the extension by which suomi.fi shows its pages in a language: fi, sv or en."""
    made = etree.Element(f"{{{names.VETUMA}}}vetuma", nsmap={"vetuma": names.VETUMA})
    etree.SubElement(made, f"{{{names.VETUMA}}}LG").text = language
    return made


def app_switch(platform: str, return_url: str) -> etree._Element:
    """Return the extension by which NemLog-in leads back into an app (OIOSAML): platform Android or iOS."""
    made = etree.Element(f"{{{names.NL}}}AppSwitch", nsmap={"nl": names.NL})
    etree.SubElement(made, f"{{{names.NL}}}Platform").text = platform
    etree.SubElement(made, f"{{{names.NL}}}ReturnURL").text = return_url
    return made


def _copied(extension: etree._Element) -> etree._Element:
    # An element has one parent: the caller's would be taken away from where it stands.
    return etree.fromstring(etree.tostring(extension, with_tail=False))


def _word(*, said: bool) -> str:
    return "true" if said else "false"
