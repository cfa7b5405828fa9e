"""What we ask of a gateway beside what SAML knows: a level at least, a citizen, and no attribute that is not ours."""

from __future__ import annotations

from lxml import etree

from idbroker.identity import LoA
from idbroker.providers import Asked
from idbroker.providers._oiosaml.gateways import LEVEL_4
from idbroker.providers._oiosaml.settings import Settings
from idbroker.providers._saml import Wish
from idbroker.saml import names
from idbroker.saml.national import danish_attributes
from idbroker.saml.publishing import RequestedAttribute
from idbroker.saml.requests import Comparison, app_switch
from idbroker.visitor import Kind, System

PERSON = "https://data.gov.dk/eid/Person"
_DANE = f"{PERSON}/DK"
_DANE_WITHOUT_CPR = f"{PERSON}/DK/WithoutCPR"
_PUBLIC_WORDS = ("number", "privileges")
_PLATFORMS = {System.IOS: "iOS", System.ANDROID: "Android"}


def wish(settings: Settings, asked: Asked) -> Wish:
    """Return what goes into the request. `settings` are filled."""
    return Wish(
        # Less than the least is refused there already; more would refuse people who are good enough.
        contexts=(settings.level_uri + _level_word(settings, asked.least), PERSON, *settings.contexts),
        comparison=Comparison.MINIMUM,
        name_id_format=names.PERSISTENT,
        extensions=(*_app_switch(settings, asked), *_profiles(settings)),
    )


def requested(settings: Settings) -> tuple[RequestedAttribute, ...]:
    """Return the attributes our metadata asks for: of a private service never the number, nor powers of attorney."""
    standard = danish_attributes(public=settings.public)
    known = {one.name for one in standard}
    own = [
        name
        for word, several in settings.attributes.items()
        for name in several
        if settings.public or word not in _PUBLIC_WORDS
    ]
    # Under whatever word a private service names them, these are not for it.
    closed = set() if settings.public else {one.name for one in danish_attributes(public=True)} - known
    more = [*own, *([LEVEL_4] if settings.profile == "4" else [])]
    added = [name for name in dict.fromkeys(more) if name not in known | closed]
    return (*standard, *(RequestedAttribute(name=name) for name in added))


def _level_word(settings: Settings, level: LoA) -> str:
    words = (word for word, loa in settings.levels.items() if loa == level.word)
    return next(words, level.word.capitalize())


def _app_switch(settings: Settings, asked: Asked) -> tuple[etree._Element, ...]:
    """Return how MitID's app leads back, for somebody whose browser is on the phone that has it."""
    visitor = asked.visitor
    links = {System.IOS: settings.app_switch_ios, System.ANDROID: settings.app_switch_android}
    link = links.get(visitor.system)
    if visitor.kind is not Kind.PHONE or link is None:
        return ()
    return (app_switch(_PLATFORMS[visitor.system], link),)


def _profiles(settings: Settings) -> tuple[etree._Element, ...]:
    """Return which set of attributes is meant (OIOSAML 4.0)."""
    if settings.profile != "4":
        return ()
    made = etree.Element(f"{{{names.NL}}}RequestedAttributeProfiles", nsmap={"nl": names.NL})
    profile = _DANE if settings.number_by == "attribute" else _DANE_WITHOUT_CPR
    etree.SubElement(made, f"{{{names.NL}}}Profile").text = profile
    return (made,)
