"""Video visits: nobody is let in before the time, and only who is invited (004)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from idbroker.sandbox.invitations import booked
from idbroker.sandbox.people import cast
from idbroker.sandbox.portal.rooms import LET_IN, Booking, Stage
from tests.conftest import NOW

VISIT = Booking(number="1", person="aino", invited="x", opens=NOW)


@pytest.mark.parametrize(
    ("asked", "now", "stage"),
    [
        (None, NOW - timedelta(seconds=1), Stage.EARLY),
        (None, NOW, Stage.OPEN),
        (NOW, NOW, Stage.WAITING),
        (NOW, NOW + LET_IN - timedelta(seconds=1), Stage.WAITING),
        (NOW, NOW + LET_IN, Stage.INSIDE),
        (NOW, NOW - timedelta(hours=1), Stage.EARLY),
    ],
)
def test_stages(asked: datetime | None, now: datetime, stage: Stage) -> None:
    """A visit opens at its time to the second; who has asked waits until they are let in (R54)."""
    assert VISIT.stage(asked, now) is stage


def test_booked() -> None:
    """Everybody who is invited is of the cast and has a number; two visits are open at once, one is not yet."""
    now = datetime(2026, 11, 22, 9, 3, 27, tzinfo=UTC)

    visits = booked(cast(now.date()), now).all()

    assert [visit.opens <= now for visit in visits] == [True, True, False]
    assert all(visit.invited and visit.opens.second == 0 for visit in visits)
    assert len({visit.invited for visit in visits}) == len(visits)


def test_of() -> None:
    """A person sees their own visits; who has no number sees none."""
    visits = booked(cast(NOW.date()), NOW)
    first = visits.all()[0]

    assert visits.of(first.invited) == (first,)
    assert visits.of(None) == ()
    assert visits.find(first.number) == first
    assert visits.find("1") is None
