"""Signing in by number and password: the page for the code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pyotp
import pytest

from idbroker.accounts.account import Account
from idbroker.clock import StoppedClock
from idbroker.errors import Cancelled
from idbroker.identity import Identity, LoA
from idbroker.messages.message import Channel
from tests.accounts.desk_house import ANNA, CLINIC, PASSWORD, DeskHouse, desk_house
from tests.conftest import NOW
from tests.providers.fallback_person import QUARTER, Person, provider_of, shown


@pytest.fixture
def house(tmp_path: Path, clock: StoppedClock) -> Iterator[DeskHouse]:
    """Give a desk."""
    with desk_house(tmp_path, clock) as house:
        yield house


@pytest.fixture
def somebody(house: DeskHouse) -> Person:
    """Give somebody without an account, at the door."""
    return Person(house, provider_of(house))


@pytest.fixture
def account(house: DeskHouse) -> Account:
    """Give Anna's account."""
    return house.account(family_name="Somebody")


# ---- the code ------------------------------------------------------------------------------------


def test_the_code_page_says_where_it_went(somebody: Person, account: Account) -> None:
    """Pages 1.3: text message first; the number's last two digits, until when, and the other way."""
    form = somebody.types()

    assert form.page == "code"
    assert shown(form, "channel", "shown", "others", "purpose", "dead", "again") == {
        "channel": "sms", "shown": "56", "others": "email", "purpose": "login", "dead": "", "again": "",
    }  # fmt: skip
    assert form.values["until"] == (NOW + timedelta(minutes=5)).isoformat()
    assert form.values["message"]
    assert set(form.values) >= {"locked", "limited", "left"}


@pytest.mark.parametrize(
    ("channel", "amr"), [("sms", ("pwd", "sms", "mfa")), ("email", ("pwd", "otp")), ("app", ("pwd", "otp", "mfa"))]
)
def test_the_right_code_proves_who_it_is(somebody: Person, channel: str, amr: tuple[str, ...]) -> None:
    """RFC 8176; SP 800-63B-4, 3.1.3.1: low whatever the way, and two factors are said only where there are two."""
    secret = pyotp.random_base32()
    account = somebody.house.account(family_name="Somebody", app_secret=secret)
    somebody.types()
    somebody.sees(do=channel)
    code = pyotp.TOTP(secret).at(NOW) if channel == "app" else somebody.house.code(Channel(channel))

    assert somebody.posts(code=code) == Identity(
        provider="fallback",
        issuer="https://id.example.org/fallback",
        subject=account.person,
        loa=LoA.LOW,
        proved_at=NOW,
        amr=amr,
        number=ANNA,
        name="Anna Somebody",
        given_name="Anna",
        family_name="Somebody",
        birthdate=ANNA.birthdate,
    )


def test_an_app_needs_no_message(somebody: Person) -> None:
    """Where the clinic puts the app first nothing is sent."""
    somebody.house.account(app_secret=pyotp.random_base32())
    somebody.asks["clinic"] = replace(CLINIC, codes=("app", "sms"))

    form = somebody.types()

    assert shown(form) == {"channel": "app", "others": "sms", "purpose": "login"}
    assert somebody.house.wires[Channel.SMS].taken.empty()


@pytest.mark.parametrize("spelt", ["{0} {1}", "{0}-{1}", "#{0}{1}", "G {0}{1}", "\u00a0{0}\u00a0{1}"])
def test_a_code_is_taken_as_it_was_pasted(somebody: Person, account: Account, spelt: str) -> None:
    """Pages O1."""
    somebody.types()
    code = somebody.house.code()

    assert isinstance(somebody.posts(code=spelt.format(code[:3], code[3:])), Identity)


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "1" * 100_000, PASSWORD])
def test_what_is_no_code_costs_no_try(somebody: Person, account: Account, typed: str) -> None:
    """A half-typed code says that it is not right, and ten of them lock nobody."""
    somebody.types()
    for _ in range(10):
        form = somebody.sees(code=typed)
        assert (form.errors, form.values["left"]) == ({"code": "o.e.wrong"}, "")

    assert isinstance(somebody.posts(code=somebody.house.code()), Identity)


def test_wrong_codes_are_counted_and_lock(somebody: Person, account: Account) -> None:
    """Pages 1.3: how many tries are left, then until when there are none, even for the right one."""
    somebody.types()
    right = somebody.house.code()
    wrong = f"{(int(right) + 1) % 10**6:06d}"

    forms = [somebody.sees(code=wrong) for _ in range(5)] + [somebody.sees(code=right)]

    assert [form.values["left"] for form in forms] == ["4", "3", "2", "1", "", ""]
    assert [form.values["locked"] for form in forms] == ["", "", "", "", *[(NOW + QUARTER).isoformat()] * 2]
    assert [dict(form.errors) for form in forms] == [{"code": "o.e.wrong"}] * 4 + [{}] * 2


def test_a_new_code_is_sent_when_asked_for(somebody: Person, account: Account, clock: StoppedClock) -> None:
    """Pages O2: pressed again, the page says when; the two newest both work."""
    somebody.types()
    first = somebody.house.code()
    clock.move(timedelta(minutes=1))

    form = somebody.sees(do="again")

    assert form.values["again"] == clock.now().isoformat()
    assert form.values["channel"] == "sms"
    assert somebody.house.code() != first
    assert isinstance(somebody.posts(code=first), Identity)


def test_an_old_code_brings_a_new_one(somebody: Person, account: Account, clock: StoppedClock) -> None:
    """Pages 1.3: a code that was right not long ago is said to be old, and a new one is on its way."""
    somebody.types()
    old = somebody.house.code()
    clock.move(timedelta(minutes=6))

    form = somebody.sees(code=old)

    assert form.errors == {"code": "o.e.old"}
    assert form.values["again"] == clock.now().isoformat()
    assert isinstance(somebody.posts(code=somebody.house.code()), Identity)


def test_the_other_way_is_one_press(somebody: Person, account: Account) -> None:
    """The code by e-mail instead; and what no page offers does nothing."""
    somebody.types()
    form = somebody.sees(do="email")

    assert shown(form, "channel", "others") == {"channel": "email", "others": "sms"}
    assert "@" in form.values["shown"]
    for unknown in ("app", "fax", "task", "password"):
        assert somebody.sees(do=unknown).values["channel"] == "email"
    assert isinstance(somebody.posts(code=somebody.house.code(Channel.EMAIL)), Identity)


def test_too_many_messages_are_limited(somebody: Person, account: Account, clock: StoppedClock) -> None:
    """O9: the page says until when no more are sent, and the last one still works."""
    somebody.types()
    for _ in range(2):
        clock.move(timedelta(seconds=20))
        somebody.sees(do="again")
    clock.move(timedelta(seconds=20))
    form = somebody.sees(do="again")
    codes = [somebody.house.code() for _ in range(3)]

    assert form.values["limited"] > clock.now().isoformat()
    assert form.values["shown"] == "56"
    assert isinstance(somebody.posts(code=codes[-1]), Identity)


def test_a_dead_channel_is_said_and_the_other_first(somebody: Person, account: Account) -> None:
    """A channel that does not work is not begun with; chosen all the same, the page says so."""
    del somebody.house.wires[Channel.SMS]

    form = somebody.types()
    dead = somebody.sees(do="sms")

    assert shown(form, "channel", "others", "dead") == {"channel": "email", "others": "sms", "dead": ""}
    assert shown(dead, "channel", "others", "dead") == {"channel": "sms", "others": "email", "dead": "1"}


def test_a_refused_message_is_said(somebody: Person, account: Account) -> None:
    """The gateway refused: the next page says so, whatever was typed."""
    somebody.house.wires[Channel.SMS].refuses = True
    somebody.types()
    somebody.house.refused()

    assert somebody.sees(code="123").values["dead"] == "1"


def test_back_leads_to_the_other_ways(somebody: Person, account: Account) -> None:
    """From either page."""
    for page in ("password", "code"):
        assert somebody.begins().page == "password"
        if page == "code":
            somebody.types()
        with pytest.raises(Cancelled):
            somebody.posts(do="back")


def test_looking_again_changes_nothing(somebody: Person, account: Account) -> None:
    """An empty reply shows the page as it is."""
    first = somebody.types()

    assert somebody.sees() == first


def test_a_hundred_wrong_codes_close_the_way(somebody: Person, account: Account, clock: StoppedClock) -> None:
    """SP 800-63B-4, 3.2.2: after 100 failures in a row no code is sent or looked at, and no moment is promised."""
    tries = somebody.house.tries()
    for _ in range(100):
        tries.spend(account.person, "login", clock.now())
        clock.move(QUARTER)

    for form in (somebody.types(), somebody.sees(code="000000")):
        assert (form.page, form.errors) == ("code", {"code": "o.e.closed"})
        assert shown(form, "locked", "limited") == {"locked": "", "limited": ""}
    assert somebody.house.wires[Channel.SMS].taken.empty()


def test_the_number_tells_when_somebody_was_born(somebody: Person) -> None:
    """The attack: an account with another birth date than its number's lets a grown person in as a child, or back."""
    somebody.house.account(birthdate=date(2020, 5, 4))
    somebody.types()

    proved = somebody.posts(code=somebody.house.code())

    assert isinstance(proved, Identity)
    assert proved.birthdate == ANNA.birthdate
