"""A password whose link one clinic's staff sent where they liked: it opens that clinic, until an eID confirms it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from idbroker.accounts.account import Account, Contact
from idbroker.clinic import Clinic
from idbroker.clock import StoppedClock
from idbroker.identity import LoA
from idbroker.messages.message import Channel
from tests.accounts.asking_house import AUTOMATIC, ELSEWHERE, UNNEEDED, AskingHouse, asking_house
from tests.accounts.desk_house import EMAIL, SMS
from tests.conftest import NOW

SECRET = "A" * 32


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


# ---- what was added meanwhile --------------------------------------------------------------------


def limited(house: AskingHouse, **changes: Any) -> Account:
    """Give somebody whose password was sent to a stranger an hour ago, and chosen again by the person just now."""
    since = NOW - timedelta(hours=1)
    theirs = replace(EMAIL, verified_at=NOW - timedelta(days=1))
    hers = Contact(channel=Channel.SMS, address="+4520999999", verified_at=since)
    before = {
        "only_at": (AUTOMATIC.id,),
        "only_since": since,
        "contacts": (theirs, hers),
        "created_at": NOW - timedelta(days=2),
    }
    account = house.account(**{**before, **changes})
    house.enrolled(account.person, clinic=ELSEWHERE)
    return account


def free(house: AskingHouse, account: Account) -> Account:
    """Let the person type the password and show an eID in one sign-in; return the account after it."""
    assert house.walk(house.joining, house.proved(claimed=account.person), ELSEWHERE).now is None
    return kept(house, account)


def test_a_strangers_telephone_and_app_go(house: AskingHouse) -> None:
    """The attack: what was added while one clinic alone was open is a way in, once all are open; it is told of."""
    account = limited(house, app_secret=SECRET, app_since=NOW - timedelta(minutes=30))

    now = free(house, account)

    assert (now.contacts, now.app_secret, now.only_since) == (account.contacts[:1], None, None)
    assert house.told("account.contact_changed", "account.app_removed") == [
        "account.contact_changed",
        "account.app_removed",
    ]
    assert house.letter(Channel.SMS).kind in ("contact", "app")


@pytest.mark.parametrize("since", [None, NOW - timedelta(hours=2)], ids=["not known", "before"])
def test_their_own_app_stays(house: AskingHouse, since: datetime | None) -> None:
    """An app that was there before is the person's own; so it is where nobody has kept since when."""
    assert free(house, limited(house, app_secret=SECRET, app_since=since)).app_secret == SECRET


def test_so_does_what_came_with_their_password(house: AskingHouse) -> None:
    """Who chose the password by a link, and confirms it at the first sign-in, keeps the address it was read at."""
    chosen = NOW - timedelta(hours=1)
    account = limited(house, password_set_at=chosen, confirmed_at=None)

    assert free(house, account).contacts == account.contacts


def test_and_after_another_password_of_their_own(house: AskingHouse) -> None:
    """Who changes the password with the one before takes along what was theirs, and no more."""
    chosen = NOW - timedelta(minutes=30)
    mine, hers = replace(SMS, verified_at=chosen), replace(EMAIL, verified_at=chosen - timedelta(minutes=1))
    before = limited(house, password_set_at=chosen, contacts=(hers, mine), app_secret=SECRET, app_since=chosen)

    after = replace(before.again(NOW), password_set_at=NOW).freed()

    assert [one.address for one in after.contacts] == [mine.address]
    assert after.app_secret == SECRET


def test_the_first_moment_counts(house: AskingHouse) -> None:
    """Sent again, to another clinic's patient or the same, the moment stays: nothing of between becomes theirs."""
    account = limited(house)

    for clinics in ((AUTOMATIC.id,), (AUTOMATIC.id, ELSEWHERE.id), (ELSEWHERE.id,)):
        assert account.opening(clinics, NOW).only_since == account.only_since
    assert [one.address for one in account.opening((ELSEWHERE.id,), NOW).contacts] == [EMAIL.address]
    assert account.opening((AUTOMATIC.id,), NOW).contacts == account.contacts, "the same clinic says no more"


def test_of_an_older_account_nothing_is_from_before(house: AskingHouse) -> None:
    """Where nobody kept since when one clinic alone was open, no address counts as shown before that."""
    account = limited(house, only_since=None)

    assert not any(map(account.is_own, account.contacts))
    assert account.opening((), NOW).contacts == ()
