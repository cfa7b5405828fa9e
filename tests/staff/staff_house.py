"""The staff's engines over a real SQLite store, with colleagues to let in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from idbroker.clock import StoppedClock
from idbroker.staff.member import Member
from tests.office_door import ISSUER, Office, open_office
from tests.staff.authenticator import Authenticator

BOUND = "a browser's own"
HOME = "192.0.2.10"


@contextmanager
def staff_house(folder: Path, clock: StoppedClock) -> Iterator[Office]:
    """Open it."""
    with open_office(folder, clock) as office:
        yield office


def with_passkey_of(office: Office, name: str = "anna") -> tuple[Member, Authenticator]:
    """Give a colleague a passkey; return both."""
    member, passkeys = office.member(name), office.house.offices.roster.welcome.passkeys
    device = Authenticator(origin=ISSUER)
    made = passkeys.made(
        device.create(passkeys.asks_new(member, BOUND, office.clock.now())), "Key", BOUND, office.clock.now()
    )
    assert made is not None
    after = office.house.offices.members.change(member.id, lambda one: replace(one, passkeys=(*one.passkeys, made)))
    assert after is not None
    return after, device
