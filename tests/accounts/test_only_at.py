"""A password whose link one clinic's staff sent where they liked: it opens that clinic, until an eID confirms it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from idbroker.accounts.account import Account
from idbroker.clinic import Clinic
from idbroker.clock import StoppedClock
from idbroker.identity import LoA
from tests.accounts.asking_house import AUTOMATIC, ELSEWHERE, UNNEEDED, AskingHouse, asking_house


@pytest.fixture
def house(tmp_path: Path, clock: StoppedClock) -> Iterator[AskingHouse]:
    """Give the questions."""
    with asking_house(tmp_path, clock) as opened:
        yield opened


@pytest.fixture
def anna(house: AskingHouse) -> Account:
    """Give somebody whom two clinics take, and whose password one of them has had renewed."""
    account = house.account(only_at=(AUTOMATIC.id,))
    for clinic in (AUTOMATIC, ELSEWHERE):
        house.enrolled(account.person, clinic=clinic)
    return account


def kept(house: AskingHouse, account: Account) -> Account:
    """Return an account as it is now."""
    found = house.records.accounts.of(account.person)
    assert found is not None
    return found


def test_it_opens_the_one_clinic(house: AskingHouse, anna: Account) -> None:
    """At the clinic whose staff sent the link, nothing stands between the person and the service."""
    assert house.walk(house.joining, house.proved(loa=LoA.LOW)).now is None


@pytest.mark.parametrize("clinic", [ELSEWHERE, replace(UNNEEDED, id="third")], ids=["enrolled", "open to all"])
@pytest.mark.parametrize("wish", ["", "self", "child"])
def test_and_no_other(house: AskingHouse, anna: Account, clinic: Clinic, wish: str) -> None:
    """The attack: staff of one clinic take over a patient's login at another; with a sign-on from there, too."""
    walk = house.walk(house.joining, house.proved(loa=LoA.LOW, wish=wish), clinic)

    assert walk.page == "notaken"


def test_the_desk_asks_for_an_eid_there(house: AskingHouse, anna: Account) -> None:
    """Typed at another clinic, the password is right and not enough: an eID must say whose it is."""
    desk = house.desk_house.desk

    assert [desk.needs_eid(anna, clinic) for clinic in (AUTOMATIC, ELSEWHERE)] == [False, True]


def test_an_eid_with_the_password_frees_it(house: AskingHouse, anna: Account) -> None:
    """Who typed the password in this very sign-in and then shows an eID has shown whose the password is."""
    assert house.walk(house.joining, house.proved(claimed=anna.person), ELSEWHERE).now is None

    assert kept(house, anna).only_at == ()
    assert house.walk(house.joining, house.proved(loa=LoA.LOW), ELSEWHERE).now is None


def test_an_eid_alone_does_not(house: AskingHouse, anna: Account) -> None:
    """The attack: somebody else read the link, and the person's own eID, used anywhere, would free it for them."""
    assert house.walk(house.joining, house.proved(), ELSEWHERE).now is None

    assert kept(house, anna).only_at == (AUTOMATIC.id,)
    assert house.walk(house.joining, house.proved(loa=LoA.LOW), ELSEWHERE).page == "notaken"


def test_an_eid_takes_back_what_no_eid_had_confirmed(house: AskingHouse) -> None:
    """Of an account that no eID had confirmed, the password goes with it, and what was sent with it is forgotten."""
    account = house.account(only_at=(AUTOMATIC.id,), confirmed_at=None)
    house.enrolled(account.person, clinic=ELSEWHERE)

    house.walk(house.joining, house.proved(), ELSEWHERE)

    now = kept(house, account)
    assert (now.password, now.contacts, now.only_at) == (None, (), ())
