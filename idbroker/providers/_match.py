"""The person tells their Danish number on a page of ours, and the eID says whether it is theirs.

For services that may not be told the number: they may only have one compared. Three tries in fifteen
minutes, after which the person must show anew who they are: anybody who found an open browser, with the
eID's session in it, could guess on otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from idbroker.codec import Codec
from idbroker.errors import Refused, StoreError, Untrusted
from idbroker.identity import Identity
from idbroker.numbers import NationalNumber, NotANumber, parse
from idbroker.providers import Asked, Challenge, Form, Tally

TRIES = 3
WINDOW = timedelta(minutes=15)
_LONGEST_NUMBER = 64
_COPENHAGEN = ZoneInfo("Europe/Copenhagen")
_PREFIX = b"match:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """The person proved who they are and is now asked for their number.

    `ticket` is what the match is asked with (an access token, a name); the transaction this is kept in
    is sealed. After `until` nobody is asked any more.
    """

    identity: Identity = field(repr=False)
    ticket: str = field(repr=False)
    until: datetime


_CODEC = Codec(Matching)
Matches = Callable[[str, NationalNumber], bool]  # of a ticket and a number; raises Refused or Unreachable


def today(now: datetime) -> date:
    """Return the day it is in Denmark."""
    return now.astimezone(_COPENHAGEN).date()


def is_matching(state: bytes) -> bool:
    """Tell whether a provider's state is that of a form here."""
    return state.startswith(_PREFIX)


def form(matching: Matching, *, typed: str = "", error: str | None = None, tried: int = 0) -> Form:
    """Return the form to show, with what was typed and what is wrong with it."""
    left = {"left": str(TRIES - tried)} if tried else {}
    return Form(
        page="cpr",
        state=_PREFIX + _CODEC.pack(matching),
        values={"number": typed[:_LONGEST_NUMBER], **left},
        errors={} if error is None else {"number": error},
    )


def go_on(asked: Asked, state: bytes, typed: str | None, matches: Matches, tally: Tally) -> Challenge | Identity:
    """Return the identity with the number that was typed, or the form again. Refused after too many, or too late."""
    matching = _unpacked(state)
    if asked.now > matching.until:
        raise Refused("cpr_match_failed", "too late")
    if typed is None:  # the browser went back to the eID's answer, or only looks at the form
        return form(matching)
    try:
        number = parse(typed, "DK", now=today(asked.now))
    except NotANumber:
        return form(matching, typed=typed, error="p.e.id")
    # Counted before it is asked: of many posts at once no more than three are. By proof, not by sign-in: the eID's
    # session gives the same proof to any number of sign-ins, and only who shows anew who they are begins anew.
    identity = matching.identity
    counted = f"match {identity.provider} {identity.issuer} {identity.subject} {identity.proved_at.isoformat()}"
    tried = tally.add(counted, WINDOW)
    if tried > TRIES:
        raise Refused("cpr_match_failed", "too many tries")
    if matches(matching.ticket, number):
        tally.clear(counted)
        return replace(matching.identity, number=number)
    if tried == TRIES:
        raise Refused("cpr_match_failed", "three tries")
    return form(matching, typed=typed, error="q.e.match", tried=tried)


def _unpacked(state: bytes) -> Matching:
    try:
        return _CODEC.unpack(state.removeprefix(_PREFIX))
    except StoreError as error:
        raise Untrusted("a state that does not read") from error
