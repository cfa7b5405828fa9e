"""Signing in by number and password: the first of two pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.accounts.account import Account, Enrolment, Entry, Standing
from idbroker.clock import StoppedClock
from idbroker.errors import ConfigError, Refused, Unreachable, Untrusted
from idbroker.identity import LoA
from idbroker.messages.message import Channel
from idbroker.providers import Means, kind, kinds
from idbroker.providers._http import kept_session
from idbroker.providers.fallback import Settings, make
from idbroker.words import Words
from tests.accounts.desk_house import ANNA, CLINIC, EMAIL, PASSWORD, SMS, DeskHouse, desk_house
from tests.conftest import NOW
from tests.providers.fallback_person import QUARTER, WRONG, Person, provider_of, shown


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


def enrolled(somebody: Person, account: Account, clinic: str, exempt: str | None = "") -> None:
    """Let a clinic take somebody, and write down whether they can have an eID; "" writes nothing."""
    now = somebody.house.clock.now()
    entry = None if exempt == "" else Entry(exempt=exempt, entered_at=now, by="staff-7")
    wanted = Enrolment(
        person=account.person, clinic=clinic, standing=Standing.APPROVED, asked_at=now, decided_at=now, entry=entry
    )
    somebody.house.desk.enrolments.change(
        account.person, clinic, lambda before: replace(wanted, handle=before.handle if before else "")
    )


# ---- the provider --------------------------------------------------------------------------------


def test_it_is_a_kind_of_provider(clock: StoppedClock) -> None:
    """Checking a configuration makes one without a desk; only who begins without one is told so."""
    provider = make("fallback", Settings(title="Adgangskode"), Means(clock=clock, http=kept_session))

    assert "fallback" in kinds()
    assert kind("fallback").make is make
    assert (provider.title, provider.loa, provider.origins) == ("Adgangskode", LoA.LOW, ())
    with pytest.raises(ConfigError, match="title"):
        make("fallback", Settings(title=" "), Means(clock=clock, http=kept_session))


def test_without_a_desk_nobody_begins(somebody: Person, clock: StoppedClock) -> None:
    """Where nobody knows passwords the way is closed, not open."""
    bare = make("fallback", Settings(), Means(clock=clock, http=kept_session))

    with pytest.raises(Unreachable):
        bare.begin(somebody.asked())
    with pytest.raises(Unreachable):
        somebody.provider.begin(replace(somebody.asked(), clinic=None))


# ---- number and password -------------------------------------------------------------------------


def test_the_first_page_asks_in_the_clinics_country(somebody: Person) -> None:
    """Nothing is filled in but the country; every value of the page is there."""
    form = somebody.begins()

    assert (form.page, dict(form.errors)) == ("password", {})
    assert shown(form) == {"country": "DK"}
    assert set(form.values) >= {"number", "country", "left", "locked", "busy"}


@pytest.mark.parametrize(
    "number",
    ["7403850101", "740385-0101", "740385 0101", " 74 03 85 01 01 ", "740385–0101", "７４０３８５０１０１",
     "740385.0101", "740385\u00a00101", "740385\u200b0101"],
)  # fmt: skip
def test_every_spelling_of_a_number_is_taken(somebody: Person, account: Account, number: str) -> None:
    """Pages P1: spaces, hyphens, dots and full-width digits do not matter."""
    assert somebody.types(number).page == "code"


@pytest.mark.parametrize("country", ["SE", "FI", "NO"])
def test_nobody_guesses_across_markets(somebody: Person, account: Account, country: str) -> None:
    """Pages 0.3: ten digits are what the chosen country makes of them; no try is counted of what is no number."""
    for _ in range(9):
        form = somebody.types(country=country)
        assert form.errors == {"number": "p.e.id"}
        assert shown(form) == {"number": ANNA.value, "country": country}

    assert somebody.types(country="DK").page == "code"


@pytest.mark.parametrize("country", ["", "XX", "dk", "DK SE"])
def test_an_unknown_country_is_the_clinics(somebody: Person, account: Account, country: str) -> None:
    """What no page offers is not taken over from a post."""
    assert somebody.types(country=country).page == "code"


def test_the_country_choice_opens_without_a_try(somebody: Person) -> None:
    """The link "a number from another country" shows the choice, and keeps the number."""
    form = somebody.sees(do="country", number="19", password=WRONG, country="SE", mask="1")

    assert shown(form) == {"number": "19", "country": "SE", "choose": "1", "mask": "1"}
    assert form.errors == {}


@pytest.mark.parametrize(
    ("reply", "errors"),
    [
        ({"number": "", "password": ""}, {"number": "p.e.id", "password": "p.e.pw"}),
        ({"number": "740385", "password": "x"}, {"number": "p.e.id"}),
        ({"number": ANNA.value, "password": ""}, {"password": "p.e.pw"}),
        ({"number": ANNA.value}, {"password": "p.e.pw"}),
        ({"password": "x"}, {"number": "p.e.id"}),
        ({"number": "9" * 100_000, "password": "x"}, {"number": "p.e.id"}),
        ({}, {}),
        ({"code": "123456"}, {}),
    ],
)
def test_what_is_missing_is_said(somebody: Person, reply: Mapping[str, str], errors: Mapping[str, str]) -> None:
    """Each field has its own words; oversize is cut on the page; somebody who only looks is told nothing."""
    form = somebody.sees(**reply)

    assert (form.page, form.errors) == ("password", errors)
    assert len(form.values["number"]) <= 64
    assert list(form.errors) == [name for name in ("number", "password") if name in errors]


def test_a_wrong_password_keeps_the_number_only(somebody: Person, account: Account) -> None:
    """Pages 1.2: the number stays, the password is gone; from the third try on the page says how many are left."""
    forms = [somebody.types("740385-0101", WRONG) for _ in range(6)]

    assert [dict(form.errors) for form in forms[:4]] == [{"number": "p.e.wrong"}] * 4
    assert [form.values["left"] for form in forms] == ["", "", "2", "1", "", ""]
    assert [form.values["locked"] for form in forms] == ["", "", "", "", *[(NOW + QUARTER).isoformat()] * 2]
    assert {form.values["number"] for form in forms} == {"740385-0101"}
    assert WRONG not in repr([(form.values, form.state) for form in forms])


def test_a_closed_method_says_how_on(somebody: Person, account: Account, clock: StoppedClock) -> None:
    """After a hundred in a row no moment is promised: a new password opens it."""
    for _ in range(99):
        assert somebody.types(password=WRONG).errors == {"number": "p.e.wrong"}
        clock.move(timedelta(minutes=20))
    form = somebody.types(password=WRONG)

    assert form.errors == {"number": "p.e.closed"}
    assert form.values["locked"] == ""


def test_a_crowd_is_told_on_the_page(somebody: Person, account: Account) -> None:
    """Who comes when too many wait keeps the number and reads that many sign in."""
    room = somebody.house.desk.hasher._room
    while room.acquire(blocking=False):
        pass

    assert shown(somebody.types()) == {"number": ANNA.value, "country": "DK", "busy": "1"}


def test_every_word_of_the_pages_exists(somebody: Person) -> None:
    """The keys that the pages are given are keys of texts."""
    keys = ("p.e.id", "p.e.pw", "p.e.wrong", "p.e.closed", "p.e.busy", "o.e.wrong", "o.e.old", "o.e.closed")

    assert all(Words().knows(key) for key in keys)


# ---- who gets to the code ------------------------------------------------------------------------


def test_who_no_eid_has_confirmed_is_sent_to_one(somebody: Person) -> None:
    """Issue 5, 6: the first sign-in of an account that staff made is confirmed by an eID."""
    somebody.house.account(confirmed_at=None)

    with pytest.raises(Refused) as refused:
        somebody.types()

    assert refused.value.reason == "confirm_first"
    assert somebody.house.wires[Channel.SMS].taken.empty()


def test_who_cannot_have_an_eid_is_exempt(somebody: Person) -> None:
    """Unless staff said that this person cannot use one."""
    enrolled(somebody, somebody.house.account(confirmed_at=None), CLINIC.id, "illness")

    assert somebody.types().page == "code"


def test_another_clinic_exempts_nobody_here(somebody: Person) -> None:
    """One clinic's word, given by mistake, does not let an unconfirmed password in at the others."""
    account = somebody.house.account(confirmed_at=None)
    enrolled(somebody, account, "other", "illness")

    with pytest.raises(Refused, match="confirm_first"):
        somebody.types()
    enrolled(somebody, account, CLINIC.id, None)
    with pytest.raises(Refused, match="confirm_first"):
        somebody.types()


def test_who_was_exempt_before_clinics_said_so_themselves_still_is(somebody: Person) -> None:
    """An exemption on the account counts where the patient was enrolled then, until the clinic writes its own."""
    account = somebody.house.account(confirmed_at=None, exempt="no passport")
    with pytest.raises(Refused, match="confirm_first"):
        somebody.types()

    enrolled(somebody, account, CLINIC.id)

    assert somebody.types().page == "code"


def test_without_an_address_the_way_ends(somebody: Person) -> None:
    """A password alone is never enough (ASVS 6.3.3); nor does a code go to an address that nobody verified."""
    somebody.house.account(contacts=(replace(EMAIL, verified_at=None),))

    with pytest.raises(Refused) as refused:
        somebody.types()

    assert refused.value.reason == "no_contact"


def test_a_strange_state_is_not_trusted(somebody: Person) -> None:
    """What is not our own state proves nothing."""
    for state in (b"", b"{}", b"\xff", b'{"transaction":"another"}'):
        with pytest.raises(Untrusted):
            somebody.provider.resume(somebody.asked(), state, {"number": ANNA.value, "password": PASSWORD})


def test_nothing_of_the_person_is_in_a_log(somebody: Person, account: Account) -> None:
    """What is shown to an operator who prints a page is its name, not what was typed."""
    form = somebody.types()

    assert not any(text in repr(form) for text in (ANNA.value, SMS.address, account.person, PASSWORD))
