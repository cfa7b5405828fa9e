"""The browser in front of us: where it comes from, and what it says it runs on.

A user agent is a guess and decides nothing but the order of a page and the kind of a link.
"""

from __future__ import annotations

import enum
import ipaddress
import re
from dataclasses import dataclass, field

LONGEST_AGENT = 256  # BankID takes no more


class Device(enum.StrEnum):
    """Where the person has the app: on the device of the browser, or on another."""

    THIS = "this"
    OTHER = "other"


class Kind(enum.StrEnum):
    """What the browser seems to run on."""

    PHONE = "phone"
    TABLET = "tablet"
    COMPUTER = "computer"


class System(enum.StrEnum):
    """Its operating system, as far as links to apps differ by it."""

    IOS = "ios"
    ANDROID = "android"
    DESKTOP = "desktop"


class Browser(enum.StrEnum):
    """Its make, as far as ways back from apps differ by it."""

    CHROME = "chrome"
    FIREFOX = "firefox"
    EDGE = "edge"
    OPERA = "opera"
    OPERA_TOUCH = "opera touch"
    OTHER = "other"


# The first that fits: each of the later ones is also in the user agents of the earlier ones.
_BROWSERS = (
    (Browser.EDGE, re.compile(r"\b(EdgiOS|EdgA|Edg)/")),
    (Browser.OPERA_TOUCH, re.compile(r"\b(OPT|OPX)/")),
    (Browser.OPERA, re.compile(r"\b(OPiOS|OPR)/")),
    (Browser.FIREFOX, re.compile(r"\b(FxiOS|Firefox)/")),
    (Browser.CHROME, re.compile(r"\b(CriOS|Chrome)/")),
)
_IOS = re.compile(r"\((iPhone|iPad|iPod)")
_TABLET = re.compile(r"\(iPad|Android(?!.*\bMobile\b)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """One browser. `ip` is its address as we see it; `device_id` is ours for it, kept over sign-ins."""

    ip: str | None = field(default=None, repr=False)
    agent: str = field(default="", repr=False)
    device_id: str | None = field(default=None, repr=False)

    @property
    def network(self) -> str | None:
        """Return whose address it is, as far as one can tell: of IPv6 the /64 that one customer has at least."""
        if self.ip is None or ":" not in self.ip:
            return self.ip
        return str(ipaddress.IPv6Network((self.ip, 64), strict=False))

    @property
    def system(self) -> System:
        """Return the operating system. An iPad that calls itself a Mac is taken for one."""
        if _IOS.search(self.agent):
            return System.IOS
        return System.ANDROID if "Android" in self.agent else System.DESKTOP

    @property
    def kind(self) -> Kind:
        """Return what it seems to run on."""
        if _TABLET.search(self.agent):
            return Kind.TABLET
        return Kind.COMPUTER if self.system is System.DESKTOP else Kind.PHONE

    @property
    def browser(self) -> Browser:
        """Return the browser's make; Safari is among the others."""
        return next((browser for browser, pattern in _BROWSERS if pattern.search(self.agent)), Browser.OTHER)


def visitor(ip: str | None, agent: str, device_id: str | None = None) -> Visitor:
    """Return the browser of a request: its address normalised, its user agent cut to what is ever used."""
    printable = "".join(letter for letter in agent[: 2 * LONGEST_AGENT] if letter.isprintable())
    return Visitor(ip=normal_address(ip), agent=printable[:LONGEST_AGENT], device_id=device_id)


def normal_address(ip: str | None) -> str | None:
    """Return an address in its one spelling, an IPv4 address inside IPv6 as IPv4; None for anything else.

    A server that listens on `::` sees `::ffff:192.0.2.1`, which an eID would compare with 192.0.2.1
    and find another.
    """
    try:
        address = ipaddress.ip_address((ip or "").partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
