"""The staff's entrance as an engine: counted before it is compared, once, and by one of many at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as some

from idbroker.accounts.passwords import Hasher, Settings
from idbroker.clock import StoppedClock
from idbroker.otp.one_time import Locked
from idbroker.staff.entrance import Entrance, Refused, next_epoch
from idbroker.staff.logins import login_of
from idbroker.staff.member import Member
from tests.conftest import NOW
from tests.office_door import Office
from tests.staff.staff_house import HOME, staff_house
from tests.store.crowd import at_once

PASSWORD = "tre blå cykler i regn"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Give one house for all."""
    with staff_house(tmp_path_factory.mktemp("staff"), StoppedClock(NOW)) as opened:
        yield opened


@pytest.fixture
def office(shared: Office) -> Office:
    """Give it hours later than the test before, with Anna's password and app as new."""
    shared.clock.move(timedelta(hours=2))
    changed: dict[str, Any] = {
        "password": shared.house.rooms.counter.hasher.hash(PASSWORD),
        "app_secret": pyotp.random_base32(),
        "disabled": False,
    }
    entrance = shared.house.offices.entrance
    entrance.members.change(shared.member().id, lambda one: replace(one, app_step=0, **changed))
    entrance.reopen(shared.member())
    shared.house.rooms.counter.codes.recovered(shared.member().id)
    return shared


@pytest.fixture
def entrance(office: Office) -> Entrance:
    """Give the engine."""
    return office.house.offices.entrance


def code(office: Office, later: int = 0) -> str:
    """Return what Anna's app shows, some half minutes later."""
    return pyotp.TOTP(office.member().app_secret or "").at(office.clock.now() + timedelta(seconds=30 * later))


def test_of_a_crowd_with_one_code_one_comes_in(office: Office, entrance: Entrance) -> None:
    """The same code typed in many browsers at once counts in one (ASVS 6.5.1; the single-packet race)."""
    member, typed, now = office.member(), code(office), office.clock.now()
    answers = at_once(lambda _: entrance.code(member, typed, now), 12)
    assert [answer for answer in answers if answer is True] == [True]


def test_of_a_crowd_of_guesses_five_are_compared(office: Office, entrance: Entrance) -> None:
    """Of many passwords at once no more are compared than may be tried (standards 2.6 O2)."""
    now = office.clock.now()
    answers = at_once(lambda number: entrance.password("anna", f"guess {number}", f"192.0.2.{number}", now), 9)
    compared = [answer for answer in answers if isinstance(answer, Refused) and answer.why == "password"]
    assert len(compared) <= 4
    assert isinstance(entrance.password("anna", PASSWORD, HOME, now), Locked)


def test_a_code_of_a_step_before_is_not_taken(office: Office, entrance: Entrance) -> None:
    """After a newer code an older one, still in its window, is a replay (RFC 6238, 5.2)."""
    assert entrance.code(office.member(), code(office, 1), office.clock.now()) is True
    assert entrance.code(office.member(), code(office), office.clock.now()) is False


def test_who_has_no_app_has_no_code(office: Office, entrance: Entrance) -> None:
    """A colleague without an app is let in by no code at all."""
    bare = replace(office.member(), app_secret=None)
    assert entrance.code(bare, "000000", office.clock.now()) is False


def test_a_replaced_app_counts_no_more(office: Office, entrance: Entrance) -> None:
    """A code of an app that was replaced while it was being checked lets nobody in."""
    before, typed = office.member(), code(office)
    entrance.members.change(before.id, lambda one: replace(one, app_secret=pyotp.random_base32()))
    assert entrance.code(before, typed, office.clock.now()) is False


def test_an_ended_sign_in_does_not_come_back(office: Office, entrance: Entrance) -> None:
    """Of a request that is under way while another signs out, nothing is kept (resurrection)."""
    _, secret = entrance.admit(office.member(), "app", office.clock.now())
    office.clock.move(timedelta(minutes=5))
    found = entrance.session(secret, office.clock.now())
    assert found is not None
    entrance.leave(secret, office.clock.now())
    assert entrance.session(secret, office.clock.now()) is None


def test_a_member_who_was_changed_after_the_first_factor_begins_anew(office: Office, entrance: Entrance) -> None:
    """A sign-in of an earlier epoch is none, even when it is made a moment after."""
    stale, now = office.member(), office.clock.now()
    entrance.end_all(stale.id, now)
    _, secret = entrance.admit(stale, "app", now)
    assert entrance.session(secret, now) is None


def test_an_epoch_never_comes_again() -> None:
    """Two ends at one moment, or by a clock that is behind, are two epochs."""
    one = Member(id="a" * 32, login="anna", name="x", epoch=NOW, created_at=NOW)
    again = replace(one, epoch=next_epoch(one, NOW))
    assert again.epoch > one.epoch
    assert next_epoch(again, NOW - timedelta(hours=1)) > again.epoch


def test_an_old_hash_is_made_anew(office: Office, entrance: Entrance) -> None:
    """A password that was right is kept by today's parameters, and is still right."""
    earlier = Hasher(Settings(memory_kib=19456, passes=3))
    old = earlier.hash(PASSWORD)
    earlier.close()
    entrance.members.change(office.member().id, lambda one: replace(one, password=old))
    assert isinstance(entrance.password("anna", PASSWORD, HOME, office.clock.now()), Member)
    assert not entrance.hasher.needs_rehash(office.member().password or "")
    assert isinstance(entrance.password("anna", PASSWORD, HOME, office.clock.now()), Member)


def test_the_same_work_is_done_for_anybody(office: Office, entrance: Entrance) -> None:
    """A name that nobody has, a disabled colleague's and one in use each go to the hasher (timing; ASVS 6.3.8)."""
    closed = Hasher(Settings(memory_kib=19456))
    closed.close()
    asking = replace(entrance, hasher=closed)
    entrance.members.change(office.member("bo").id, lambda one: replace(one, disabled=True))
    for login in ("anna", "nobody", "bo", "nobody at all"):
        assert asking.password(login, PASSWORD, HOME, office.clock.now()) == Refused(why="busy"), login


def test_without_passwords_none_is_right(office: Office, entrance: Entrance) -> None:
    """Where the organisation's provider is the only way, the right password opens nothing."""
    closed = replace(entrance, settings=replace(entrance.settings, passwords=False))
    assert isinstance(closed.password("anna", PASSWORD, HOME, office.clock.now()), Refused)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("anna", "anna"),
        (" Anna.Berg@Clinic.Example ", "anna.berg@clinic.example"),
        ("ＡＮＮＡ", "anna"),
        ("ﬁa", "fia"),
        ("аnna", None),
        ("anna\u200b", None),
        ("an na", None),
        ("åsa", None),
        ("", None),
        ("a" * 65, None),
        ("anna\n", "anna"),
        ("an\x00na", None),
        ("../anna", None),
    ],
)
def test_user_names_that_look_alike_are_one(typed: str, kept: str | None) -> None:
    """Wide letters are brought home; letters of other alphabets, unseen signs and blanks are refused (homographs)."""
    assert login_of(typed) == kept


@given(some.text(max_size=100))
def test_a_user_name_is_its_own(text: str) -> None:
    """What is kept is kept as it is when it is typed again, and is plain."""
    kept = login_of(text)
    assert kept is None or (login_of(kept) == kept and kept.isascii() and len(kept) <= 64)
