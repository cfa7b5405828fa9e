"""My page by a password that one clinic's staff had sent: what was the person's before is not theirs to take away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from idbroker.accounts.account import Account, Contact
from idbroker.accounts.ways import hindrance
from idbroker.identity import LoA
from idbroker.messages.message import Channel
from idbroker.otp.one_time import Right, Sent
from idbroker.session import Session
from tests.accounts.test_own import here
from tests.fallback_door import EMAIL, MOBILE, FallbackDoor
from tests.web.me_house import address_of, kept, served_for_tests

HOUR = timedelta(hours=1)
STRANGERS, ANOTHER, SECRET = "en.fremmed@example.org", "en.anden@example.org", "A" * 32


@pytest.fixture
def door(tmp_path: Path) -> Iterator[FallbackDoor]:
    """Open the whole broker."""
    with served_for_tests(tmp_path) as opened:
        yield opened


def limited(door: FallbackDoor, **more: Any) -> Account:
    """Have Anna's e-mail address be of before, her telephone of after, one clinic's password."""
    anna, since = door.account("anna"), door.clock.now() - HOUR
    before = Contact(channel=Channel.EMAIL, address=EMAIL, verified_at=since - HOUR)
    after = Contact(channel=Channel.SMS, address=MOBILE, verified_at=since)
    changes = {
        "only_at": ("clinea",),
        "only_since": since,
        "created_at": since - 2 * HOUR,
        "contacts": (before, after),
        **more,
    }
    accounts = door.rooms.counter.records.accounts
    found = accounts.change(anna.person, lambda one: replace(one, **changes))
    assert found is not None
    return found


def test_the_persons_own_address_stays(door: FallbackDoor) -> None:
    """The attack: who reads what the clinic sent puts her own address in the place of the one that takes it back."""
    limited(door)
    own, (session, now) = door.rooms.own, here(door)

    assert own.begin_contact(session, Channel.EMAIL, STRANGERS, now) == "me.e.before"
    assert not own.remove_contact(session, Channel.EMAIL, now)
    assert address_of(door) == EMAIL
    assert own.hindrance(session, Channel.EMAIL) == "me.e.before"


def test_what_came_with_that_password_may_be_replaced(door: FallbackDoor) -> None:
    """A telephone of after: by a code that is read at the new one, and the one before is told (ASVS 6.3.7)."""
    limited(door)
    own, (session, now) = door.rooms.own, here(door)
    before = len(door.sms())
    assert isinstance(own.begin_contact(session, Channel.SMS, "+4520888888", now), Sent)
    assert address_of(door, Channel.SMS) == MOBILE, "nothing counts before its code"
    code = door.code(Channel.SMS)
    assert isinstance(own.confirm_contact(session, Channel.SMS, code, now), Right)

    assert address_of(door, Channel.SMS) == "+4520888888"
    door.deliver()
    assert len(door.sms()) > before + 1, "the code, and the news to the old number and the new"
    assert not kept(door).is_own(kept(door).contact(Channel.SMS)), "and it opens no more than the one before"


def test_the_persons_own_app_stays(door: FallbackDoor) -> None:
    """An app of before is not replaced nor removed by what one clinic's staff had sent; one of after is."""
    account = limited(door, app_secret=SECRET, app_since=door.clock.now() - 2 * HOUR)
    own, (session, now) = door.rooms.own, here(door)
    assert not own.remove_app(session, now)
    assert kept(door).app_secret == SECRET
    mfa = replace(session, identity=replace(session.identity, amr=("pwd", "otp", "mfa")))
    assert hindrance(mfa, account, None) == "me.e.before", "its own second factor is no proof: it may be the stranger's"
    assert hindrance(mfa, replace(account, app_since=now.now), None) == ""


@pytest.mark.parametrize("channel", [Channel.EMAIL, Channel.SMS, None])
def test_an_eid_may_change_all_of_it(door: FallbackDoor, channel: Channel | None) -> None:
    """Whoever shows an eID is the person; and where the password opens all, nothing is of before."""
    account = limited(door, app_secret=SECRET, app_since=door.clock.now() - 2 * HOUR)
    session, _ = here(door)
    eid: Session = replace(session, identity=replace(session.identity, loa=LoA.SUBSTANTIAL))
    assert hindrance(eid, account, channel) == ""
    assert hindrance(session, replace(account, only_at=(), only_since=None), channel) != "me.e.before"
