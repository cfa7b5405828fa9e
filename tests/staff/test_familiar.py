"""A browser's token of a colleague who has signed in with it: ours, theirs, for 90 days, and good for nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from idbroker.clock import StoppedClock
from idbroker.otp.one_time import Locked
from idbroker.staff.entrance import Refused
from idbroker.staff.familiar import LIFE, Familiar
from idbroker.staff.member import Member
from idbroker.staff.passkeys import CHECKS
from tests.conftest import NOW
from tests.office_door import Office
from tests.staff.staff_house import BOUND, HOME, staff_house, with_passkey_of

PASSWORD = "tre blå cykler i regn"


@pytest.fixture
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Give a house in which Anna has a password."""
    with staff_house(tmp_path_factory.mktemp("staff"), StoppedClock(NOW)) as opened:
        hashed = opened.house.rooms.counter.hasher.hash(PASSWORD)
        opened.house.offices.members.change(opened.member().id, lambda one: replace(one, password=hashed))
        yield opened


@pytest.fixture
def familiar(office: Office) -> Familiar:
    """Give what makes tokens."""
    return office.house.offices.entrance.familiar


def test_a_token_is_of_one_colleague_and_cannot_be_made(office: Office, familiar: Familiar) -> None:
    """Another colleague's token, a changed one and one made up say nothing."""
    token = familiar.token(office.member(), (), NOW)
    whose, at, browser, mac = token.split(".")
    assert familiar.of(office.member(), (token,), NOW) == browser
    assert familiar.of(office.member("bo"), (token,), NOW) is None
    bo = office.member("bo").id
    for forged in (f"{bo}.{at}.{browser}.{mac}", f"{whose}.{int(at) + 1}.{browser}.{mac}", "", "æ", token + "A"):
        assert familiar.browser((forged,), NOW + timedelta(hours=1)) is None, forged


def test_a_token_lasts_ninety_days_from_the_newest_sign_in(office: Office, familiar: Familiar) -> None:
    """It ends, is the same browser when it is made anew, and outlives a reset of the colleague's."""
    token = familiar.token(office.member(), (), NOW)
    office.house.offices.entrance.end_all(office.member().id, NOW)
    later = NOW + LIFE - timedelta(seconds=1)
    again = familiar.token(office.member(), (token,), later)
    assert again != token
    assert familiar.of(office.member(), (again,), NOW + LIFE) == token.split(".")[2]
    assert familiar.of(office.member(), (token,), NOW + LIFE) is None


def test_a_known_browser_has_five_tries_and_a_hundred_in_all(office: Office, familiar: Familiar) -> None:
    """Its five are its own; after a hundred wrong ones in a row it counts as any other (SP 800-63B-4, 3.2.2)."""
    entrance, clock = office.house.offices.entrance, office.clock
    token = (familiar.token(office.member(), (), NOW),)
    for number in range(100):
        found = entrance.password("anna", f"guess {number}", HOME, clock.now(), token)
        assert isinstance(found, Locked) is (number % 5 == 4)
        if number % 5 == 4:
            clock.move(timedelta(minutes=15))
    for wanted in (Locked, Member):
        for _ in range(5):
            entrance.password("anna", "wrong", "198.51.100.3", clock.now())
        assert isinstance(entrance.password("anna", PASSWORD, HOME, clock.now(), token), wanted)
        clock.move(timedelta(minutes=15))
        assert isinstance(entrance.password("anna", PASSWORD, HOME, clock.now(), token), Member)


def test_a_right_passkey_is_taken_whatever_others_answer(office: Office) -> None:
    """Thirty wrong answers from one address lock wrong answers there, and no right one (ASVS 6.1.1)."""
    _, device = with_passkey_of(office)
    passkeys = office.house.offices.roster.welcome.passkeys
    wrong = [passkeys.enter("{}", BOUND, HOME, office.clock.now()) for _ in range(32)]
    assert [isinstance(one, Refused) for one in wrong] == [True] * 30 + [False] * 2
    assert isinstance(wrong[-1], Locked)
    right = device.get(passkeys.asks(BOUND, office.clock.now()))
    assert isinstance(passkeys.enter(right, BOUND, HOME, office.clock.now()), Member)


def test_a_flood_of_answers_is_not_looked_at_but_of_known_browsers(office: Office, familiar: Familiar) -> None:
    """So many answers a minute are looked at from an address; a browser of a colleague's has a count of its own."""
    _, device = with_passkey_of(office)
    passkeys, now = office.house.offices.roster.welcome.passkeys, office.clock.now()
    for _ in range(CHECKS):
        passkeys.enter("{}", BOUND, HOME, now)
    answer = device.get(passkeys.asks(BOUND, now))
    assert isinstance(passkeys.enter(answer, BOUND, HOME, now), Locked)
    token = familiar.token(office.member("bo"), (), now)
    assert isinstance(passkeys.enter(answer, BOUND, HOME, now, (token,)), Member)
