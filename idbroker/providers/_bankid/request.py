"""What an order asks: the text in the app, the binding under it, the browser, the way back (RP API 6.0, /auth)."""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from idbroker.errors import Unreachable
from idbroker.providers import Asked
from idbroker.visitor import LONGEST_AGENT, Browser, Device, System, Visitor

LONGEST_TEXT = 1125  # octets: 1,500 characters of base64
_LONGEST_NAME = 100
_LONGEST_RETURN = 512
VISIBLE_FORMAT = "simpleMarkdownV1"

# A heading and a paragraph are all of the format that BankID's own example shows. The paragraph is
# against relayed QR codes: whoever is being called up reads it in the app, where no attacker writes.
TEXTS: Mapping[str, str] = {
    "sv": "# Logga in hos {service}\n\nHar någon ringt eller skrivit och bett dig logga in? Avbryt.",
    "da": "# Log ind hos {service}\n\nHar nogen ringet eller skrevet og bedt dig logge ind? Afbryd.",
    "fi": "# Kirjaudu palveluun {service}\n\nPyysikö joku sinua soittamalla tai viestillä kirjautumaan? Keskeytä.",
    "nb": "# Logg inn hos {service}\n\nHar noen ringt eller skrevet og bedt deg logge inn? Avbryt.",
    "en": "# Log in to {service}\n\nDid somebody call or write and ask you to log in? Cancel.",
}
# What the format may take for emphasis, lists, tables, links or headings in the middle of a line.
_MARKUP = re.compile(r"[\\`*_~|<>\[\]{}#+]")
_DOMAIN = re.compile(r"[a-z0-9.-]{3,253}")
_TWELVE = re.compile(r"(?:18|19|20)\d{10}")

REQUIREMENTS: Mapping[str, str] = {
    "pin_code": "pinCode",
    "mrtd": "mrtd",
    "card_reader": "cardReader",
    "certificate_policies": "certificatePolicies",
}


def new_order(asked: Asked, texts: Mapping[str, str], policies: Sequence[str]) -> dict[str, Any]:
    """Return the body of /auth. `texts` replaces our words by language, `policies` is allowed unless asked otherwise.

    Raises Unreachable when the visitor's address is not known: BankID demands it, and one that we made
    up would blind its fraud detection.
    """
    if asked.visitor.ip is None:
        raise Unreachable("auth: the visitor's address is not known; see [server] proxies")
    returns = return_url(asked)
    parts = {
        "endUserIp": asked.visitor.ip,
        "userVisibleData": _base64(visible_text(asked, texts)),
        "userVisibleDataFormat": VISIBLE_FORMAT,
        "userNonVisibleData": _base64(_bound_to(asked)),
        "returnRisk": True,
        "returnUrl": returns,
        "web": _web(asked),
        "requirement": requirement(asked, policies),
    }
    return {name: part for name, part in parts.items() if part}


def visible_text(asked: Asked, texts: Mapping[str, str]) -> str:
    """Return what the person reads in the app before they approve."""
    language = asked.language if asked.language in TEXTS else "en"
    text = texts.get(language) or TEXTS[language]
    return text.replace("{service}", plain_name(asked.service) or _host(asked))


def plain_name(name: str) -> str:
    """Return a name that can be nothing but a name in the app.

    A client chooses its own: markup would let it write a page of its own into the app, a change of
    direction would turn its letters round, a line break would begin a paragraph of ours.
    """
    return only_words(name)[:_LONGEST_NAME]


def only_words(line: str) -> str:
    """Return a line without markup, line breaks or changes of direction."""
    seen = "".join(" " if unicodedata.category(letter)[0] in "CZ" else letter for letter in line)
    return " ".join(_MARKUP.sub(" ", seen).split())


def _bound_to(asked: Asked) -> str:
    # A hash, for the handle itself is a secret between us and one browser.
    return "idbroker:" + hashlib.sha256(asked.handle.encode()).hexdigest()


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _host(asked: Asked) -> str:
    return (urlsplit(asked.return_url).hostname or "").lower()


def _web(asked: Asked) -> dict[str, str]:
    host, device = _host(asked), asked.visitor.device_id
    members = {
        "referringDomain": host if _DOMAIN.fullmatch(host) else None,
        "userAgent": asked.visitor.agent[:LONGEST_AGENT],
        # Hashed: what tells a browser apart here is our cookie, and nobody else's to know.
        "deviceIdentifier": hashlib.sha256(device.encode()).hexdigest() if device else None,
    }
    return {name: member for name, member in members.items() if member}


def requirement(asked: Asked, policies: Sequence[str]) -> dict[str, Any]:
    """Return what an order requires, in BankID's words. A wrong personal number fails, it does not start an order."""
    wanted = {REQUIREMENTS[name]: value for name, value in asked.requirement.items() if name in REQUIREMENTS}
    if policies and not wanted.get("certificatePolicies"):
        wanted["certificatePolicies"] = list(policies)
    hint = swedish_hint(asked)
    if hint is not None:
        wanted["personalNumber"] = hint
    return {name: list(value) if isinstance(value, tuple) else value for name, value in wanted.items() if value}


def swedish_hint(asked: Asked) -> str | None:
    """Return the number that only may answer, where one was given in BankID's spelling."""
    hint = asked.number_hint
    return hint if hint is not None and _TWELVE.fullmatch(hint) else None


def return_url(asked: Asked) -> str | None:
    """Return the address that leads the app back into the very browser that began; None where there is none.

    The one-time handle in it is what shows that the order was opened where it was begun (login by a
    link sent to somebody else). That is worth more than returning to whichever app came before, so
    Android and computers, too, are given an address, and iOS, where https means Safari, the scheme of
    the visitor's own browser. Edge and Opera on iOS have none that takes an address.
    """
    if asked.device is not Device.THIS:
        return None
    address = f"{asked.return_url}?state={quote(asked.handle, safe='')}"
    led = _own_browser(asked.visitor)(address)
    return led if led and len(led) <= _LONGEST_RETURN else None


def _own_browser(visitor: Visitor) -> Callable[[str], str | None]:
    if visitor.system is not System.IOS:
        return _as_it_is
    return _IOS.get(visitor.browser, _as_it_is)


def _as_it_is(address: str) -> str | None:
    return address


def _nowhere(_address: str) -> str | None:
    return None


def _chrome(address: str) -> str | None:
    scheme, _, rest = address.partition("://")
    return f"{'googlechromes' if scheme == 'https' else 'googlechrome'}://{rest}"


def _firefox(address: str) -> str | None:
    return f"firefox://open-url?url={quote(address, safe='')}"


def _opera_touch(address: str) -> str | None:
    return f"touch-{address}"


_IOS: Mapping[Browser, Callable[[str], str | None]] = {
    Browser.CHROME: _chrome,
    Browser.FIREFOX: _firefox,
    Browser.OPERA_TOUCH: _opera_touch,
    Browser.EDGE: _nowhere,
    Browser.OPERA: _nowhere,
}
