"""What every store of what acts for wards promises (guardianship.delegation.Delegations)."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from idbroker.clock import StoppedClock
from idbroker.errors import StoreError
from idbroker.guardianship.delegation import Delegation
from idbroker.store import Durable, open_durable
from idbroker.store.delegations import PURGE_AT_ONCE
from tests.store.crowd import at_once, scans

MINUTE = timedelta(minutes=1)
CROWD = 24


def kept(durable: Durable, clock: StoppedClock, grant: str = "g", **changed: Any) -> Delegation:
    """Keep one, whose word is good for ten minutes and which ends in an hour."""
    now = clock.now()
    usual: dict[str, Any] = {
        "grant": grant,
        "session": "s",
        "client": "portal",
        "clinic": "clinea",
        "sid": f"sid-{grant}",
        "guardian": "anna",
        "ward": "emil",
        "register": "local",
        "check_at": now + 10 * MINUTE,
        "until": now + 60 * MINUTE,
    }
    made = Delegation(**{**usual, **changed})
    durable.delegations.add(made)
    return made


def test_as_it_was_kept(durable: Durable, clock: StoppedClock) -> None:
    """All of it comes back: by ward, at one clinic or at all, and by guardian."""
    here = kept(durable, clock, "a")
    there = kept(durable, clock, "b", clinic="another", guardian="lars")

    assert durable.delegations.of_ward("emil") == (here, there)
    assert durable.delegations.of_ward("emil", "another") == (there,)
    assert durable.delegations.of_guardian("anna") == (here,)
    assert durable.delegations.of_ward("anna") == durable.delegations.of_guardian("emil") == ()


def test_one_for_a_grant(durable: Durable, clock: StoppedClock) -> None:
    """A grant acts for one ward: a second for the same grant is a fault, and changes nothing."""
    first = kept(durable, clock)
    with pytest.raises(StoreError):
        kept(durable, clock, ward="ida")

    assert durable.delegations.of_ward("emil") == (first,)


def test_due(durable: Durable, clock: StoppedClock) -> None:
    """Those whose word is no longer good, the oldest first, so many at a time; those that have ended never."""
    late, later = kept(durable, clock, "b", check_at=clock.now() - MINUTE), kept(durable, clock, "a")
    kept(durable, clock, "over", check_at=clock.now(), until=clock.now() + 5 * MINUTE)
    now = clock.now() + 10 * MINUTE

    assert durable.delegations.due(clock.now() - 2 * MINUTE, MINUTE, 10) == ()
    assert durable.delegations.due(now, MINUTE, 1) == (late,)
    assert durable.delegations.due(now, MINUTE, 10) == (later,)
    assert durable.delegations.due(now, MINUTE, 10) == ()
    again = durable.delegations.due(now + MINUTE, MINUTE, 10)
    assert {one.grant for one in again} == {"a", "b"}, "whoever took it may have died: it comes back"


def test_due_goes_to_one_of_many(durable: Durable, clock: StoppedClock) -> None:
    """Of many workers that look at once each delegation is taken by exactly one, and all are taken."""
    made = {kept(durable, clock, f"g{number:03}").grant for number in range(40)}
    now = clock.now() + 10 * MINUTE
    taken = at_once(lambda _: durable.delegations.due(now, MINUTE, 5), CROWD)

    names = [one.grant for found in taken for one in found]
    assert len(names) == len(set(names))
    rest = durable.delegations.due(now, MINUTE, 100)
    assert {*names, *(one.grant for one in rest)} == made
    assert len(names) + len(rest) == len(made)


def test_checked(durable: Durable, clock: StoppedClock) -> None:
    """What the register has said again is good for as long as it says; of what has gone nothing is kept."""
    made = kept(durable, clock)
    good = clock.now() + 30 * MINUTE
    durable.delegations.checked("g", good)
    durable.delegations.checked("gone", good)

    assert durable.delegations.of_ward("emil") == (dataclasses.replace(made, check_at=good),)
    assert durable.delegations.due(clock.now() + 29 * MINUTE, MINUTE, 10) == ()


def test_done_once(durable: Durable, clock: StoppedClock) -> None:
    """Of many who end one exactly one is told that it was there."""
    kept(durable, clock)

    assert sum(at_once(lambda _: durable.delegations.done("g"), CROWD)) == 1
    assert durable.delegations.of_ward("emil") == ()


def test_purged(durable: Durable, clock: StoppedClock) -> None:
    """Those that have ended by themselves go, in steps, and no others."""
    now = clock.now()
    stays = kept(durable, clock, "stays")
    for number in range(PURGE_AT_ONCE // 100 + 3):
        kept(durable, clock, f"g{number}", until=now)

    assert durable.delegations.purge(now) == PURGE_AT_ONCE // 100 + 3
    assert durable.delegations.purge(now) == 0
    assert durable.delegations.of_ward("emil") == (stays,)


def test_found_by_an_index(tmp_path: Path, clock: StoppedClock) -> None:
    """No question reads the table from end to end: it is asked with every sign-in and every second."""
    durable = open_durable(f"sqlite:///{tmp_path}/broker.db", clock)
    durable.migrate()
    kept(durable, clock)
    asked, now = durable.delegations, clock.now()
    for call in (
        lambda: asked.of_ward("emil", "clinea"),
        lambda: asked.of_guardian("anna"),
        lambda: asked.due(now, MINUTE, 10),
        lambda: asked.checked("g", now),
        lambda: asked.done("g"),
        lambda: asked.purge(now),
    ):
        assert scans(durable, "delegation", call) == []
    durable.close()
