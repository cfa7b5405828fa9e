"""`[codes]`: how long a one-time code lives, how often one may guess, how many are sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

QUARTER = timedelta(minutes=15)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

SHORTEST_LIFE = timedelta(minutes=1)
LONGEST_LIFE = timedelta(minutes=10)  # SP 800-63B-4, 3.1.3.2; ASVS 6.5.5
MOST_TRIES = 10
LONGEST_PAUSE = DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`[codes]`: `life` of a code; after `tries` wrong ones for one purpose, a `pause` for that person.

    The rest caps what is sent, so that nobody is flooded and no operator of paid numbers is fed: to one
    `address` and for one `person` in a quarter of an hour and in a day, from one `browser` address and to one
    `prefix` (country code and the next three digits) in an hour, and by the whole broker in a `day`. Text
    messages go to `countries` only, by calling code (ITU-T E.164).
    """

    life: timedelta = timedelta(minutes=5)
    tries: int = 5
    pause: timedelta = QUARTER
    address_quarter: int = 3
    address_day: int = 10
    person_quarter: int = 5
    person_day: int = 20
    browser_hour: int = 20
    prefix_hour: int = 60
    day: int = 5000
    countries: tuple[str, ...] = ("45", "46", "47", "358")


def mistakes(settings: Settings) -> list[str]:
    """Return what is wrong with the settings, in words for the operator; nothing when all is well."""
    return [*_times(settings), *_counts(settings), *_countries(settings)]


def _times(settings: Settings) -> Iterator[str]:
    if not SHORTEST_LIFE <= settings.life <= LONGEST_LIFE:
        yield "life must be 1 to 10 minutes: longer leaves time to guess (SP 800-63B-4, 3.1.3.2)"
    if not 1 <= settings.tries <= MOST_TRIES:
        yield f"tries must be 1 to {MOST_TRIES}"
    if not timedelta(minutes=1) <= settings.pause <= LONGEST_PAUSE:
        yield "pause must be 1 minute to 1 day"


def _counts(settings: Settings) -> Iterator[str]:
    shares = ("address_quarter", "address_day", "person_quarter", "person_day", "browser_hour", "prefix_hour", "day")
    for name in shares:
        if getattr(settings, name) < 1:
            yield f"{name} must be at least 1: a limit of 0 lets nobody in, and there is no way to switch it off"
    for whose in ("address", "person"):
        if getattr(settings, f"{whose}_quarter") > getattr(settings, f"{whose}_day"):
            yield f"{whose}_quarter is more than {whose}_day"


def _countries(settings: Settings) -> Iterator[str]:
    for code in settings.countries:
        if not (code.isascii() and code.isdigit() and len(code) <= 3 and not code.startswith("0")):
            yield f"countries: {code!r} is not a calling code such as 45, without + or zeros before it"
