"""When a page of a sign-in closes, as its frame is told."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TypedDict

from idbroker.transaction import Transaction
from idbroker.turns import ends_at, last_at


class Closing(TypedDict):
    """The fields of a Frame that are about time."""

    open_until: datetime | None
    left: int
    last: bool


def closing(transaction: Transaction | None, now: datetime) -> Closing:
    """Return when a page closes, in how many seconds, and whether that is for good; a page of none stays open."""
    if transaction is None:
        return Closing(open_until=None, left=0, last=False)
    ends = ends_at(transaction)
    # Rounded up: a browser that closes the page by itself must not be earlier than we are.
    return Closing(open_until=ends, left=math.ceil((ends - now).total_seconds()), last=ends == last_at(transaction))
