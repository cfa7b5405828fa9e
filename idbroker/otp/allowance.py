"""How many codes may be sent: to one address, for one person, from one browser, to one range of numbers, in all."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import phonenumbers
from phonenumbers import NumberParseException

from idbroker.messages.message import Channel
from idbroker.otp.one_time import Limited, Locked, Spot
from idbroker.otp.settings import DAY, HOUR, QUARTER, Settings
from idbroker.otp.throttle import Limit, Throttle
from idbroker.visit import Visit

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RANGE = 3  # digits after the country code: in the Nordics that is one operator's, which is who earns by pumping


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One of the limits, for this name, and how long it is closed when it is spent."""

    name: str
    limit: Limit
    pause: timedelta


class Allowance:
    """Says whether one more code may be sent (standards 2.6 O8: pumping of paid numbers; O9: flooding a victim).

    A quarter of an hour runs from its first code, and the last closes for a quarter of an hour; hours and days
    are the clock's (UTC), so that what is spent comes back at a moment that can be named.
    """

    def __init__(self, *, throttle: Throttle, settings: Settings) -> None:
        self._throttle = throttle
        self._settings = settings

    def takes(self, channel: Channel, to: str) -> bool:
        """Tell whether codes go to such an address at all."""
        return channel is Channel.EMAIL or (channel is Channel.SMS and _calling_code(to) in self._settings.countries)

    def closed(self, spot: Spot, visit: Visit) -> Limited | None:
        """Return until when nothing more is sent, or None. Spends nothing: a refusal must not cost a victim's share.

        May raise StoreError.
        """
        if not self.takes(spot.channel, spot.to):
            return Limited(until=visit.now + DAY)
        locks = [self._throttle.locked(share.name, visit.now) for share in self._shares(spot, visit)]
        untils = [lock.until for lock in locks if lock is not None]
        return Limited(until=max(untils)) if untils else None

    def spend(self, spot: Spot, visit: Visit) -> Limited | None:
        """Count one code against every limit; return Limited if one of them was spent meanwhile.

        May raise StoreError.
        """
        for share in self._shares(spot, visit):
            left = self._throttle.spend(share.name, share.limit, pause=share.pause, now=visit.now)
            if isinstance(left, Locked):
                return Limited(until=left.until)
        return None

    def _shares(self, spot: Spot, visit: Visit) -> Iterator[Share]:
        """Give the stranger's own limits first: what stops there has cost the victim nothing."""
        limits, now = self._settings, visit.now
        if visit.ip is not None:
            yield _by_clock(f"browser|{_network(visit.ip)}", limits.browser_hour, HOUR, now)
        yield _from_first(f"person|{spot.person}", limits.person_quarter)
        yield _by_clock(f"person|{spot.person}", limits.person_day, DAY, now)
        yield _from_first(f"address|{spot.to}", limits.address_quarter)
        yield _by_clock(f"address|{spot.to}", limits.address_day, DAY, now)
        if spot.channel is Channel.SMS:
            yield _by_clock(f"prefix|{_prefix(spot.to)}", limits.prefix_hour, HOUR, now)
        yield _by_clock("all", limits.day, DAY, now)


def _from_first(name: str, most: int) -> Share:
    return Share(name=f"send|quarter|{name}", limit=Limit(most=most, per=QUARTER), pause=QUARTER)


def _by_clock(name: str, most: int, per: timedelta, now: datetime) -> Share:
    begun = now - (now - _EPOCH) % per
    window = f"send|{per.total_seconds():.0f}|{begun.astimezone(UTC):%Y-%m-%dT%H}|{name}"
    return Share(name=window, limit=Limit(most=most, per=per), pause=begun + per - now)


def _network(ip: str) -> str:
    """Return whose address it is: of IPv6 the /64, which one customer has at least, to turn about in."""
    return str(ipaddress.IPv6Network((ip, 64), strict=False)) if ":" in ip else ip


def _calling_code(number: str) -> str | None:
    """Return the country code of a number in E.164; None when it is nobody's."""
    try:
        return str(phonenumbers.parse(number, None).country_code)
    except NumberParseException:
        return None


def _prefix(number: str) -> str:
    return number[: len(f"+{_calling_code(number)}") + _RANGE]
