"""Consent to what a service is told: item by item, once, and again when the list grows (experience 1.14)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from idbroker.accounts.account import Agreed
from idbroker.accounts.question import Proved, Settled, Stopped
from tests.accounts.asking_house import AskingHouse, Walk
from tests.accounts.desk_house import ANNA
from tests.oidc.making import make_client

NAMES = ("name", "given_name", "family_name", "birthdate")
NUMBER = ("national_number", "national_number_country")
CLIENT = make_client(
    consent="ask",
    purpose={"en": "your bookings", "da": "dine aftaler"},
    scopes=("openid", "profile", "national_number"),
    national_number=True,
)


def asked(asking: AskingHouse, *scopes: str, **changes: object) -> Proved:
    """Return somebody whose service asks for these scopes."""
    proved = asking.proved()
    return replace(proved, request=replace(proved.request, scopes=("openid", *scopes), **changes))  # type: ignore[arg-type]


def walk(asking: AskingHouse, *scopes: str, **changes: object) -> Walk:
    """Return somebody at the question."""
    return asking.walk(asking.releasing, asked(asking, *scopes, **changes), client=CLIENT, language="da")


def test_never_asked_of_who_never_asks(asking: AskingHouse) -> None:
    """A service that is registered without the question does not ask it."""
    assert asking.walk(asking.releasing, asked(asking, "profile")).now is None


def test_nothing_personal_nothing_asked(asking: AskingHouse) -> None:
    """A service that is told nobody's name asks nobody."""
    assert walk(asking).now is None


def test_each_item_with_its_value(asking: AskingHouse) -> None:
    """The page lists what the grant would release, with the values, the purpose and the clinic."""
    page = walk(asking, "profile", "national_number")

    assert page.page == "consent"
    assert page.values["items"].split() == [*NAMES, *NUMBER]
    assert page.values["value.national_number"] == ANNA.display
    assert (page.values["purpose"], page.values["clinic"]) == ("dine aftaler", "Clinea")


def test_yes_is_kept_and_not_asked_again(asking: AskingHouse) -> None:
    """Yes is kept with the items, in the trail too, and asked for once."""
    page = walk(asking, "profile").post()

    assert page.now == Settled()
    assert page.begin().now is None
    kept = asking.records.consents.current(page.proved.person, Agreed.RELEASE, CLIENT.id)
    assert kept is not None
    assert set(kept.items) == set(NAMES)
    (event,) = asking.desk_house.events("consent.given")
    assert event.detail == {"items": " ".join(sorted(NAMES)), "consent": kept.id}


def test_no_ends_the_sign_in(asking: AskingHouse) -> None:
    """No goes back to the service with access_denied, and keeps nothing."""
    page = walk(asking, "profile").post(do="no")

    assert page.now == Stopped(kind="consent.refused")
    assert asking.records.consents.of(page.proved.person) == ()


def test_asked_again_only_when_the_list_grows(asking: AskingHouse) -> None:
    """Less is covered by what was agreed to; more is asked, and then both are."""
    walk(asking, "profile").post()
    assert walk(asking).now is None

    grown = walk(asking, "profile", "national_number")
    assert grown.page == "consent"
    grown.post()
    assert walk(asking, "profile").now is None
    assert walk(asking, "national_number").now is None


def test_what_is_withdrawn_is_asked_again(asking: AskingHouse) -> None:
    """A consent that was withdrawn covers nothing, and what it held is not slipped into the next."""
    page = walk(asking, "profile", "national_number").post()
    (kept,) = asking.records.consents.of(page.proved.person)
    asking.records.consents.withdraw(page.proved.person, kept.id, asking.desk_house.clock.now())

    walk(asking, "profile").post()

    current = asking.records.consents.current(page.proved.person, Agreed.RELEASE, CLIENT.id)
    assert current is not None
    assert set(current.items) == set(NAMES)


def test_sent_twice_is_given_once(asking: AskingHouse) -> None:
    """Yes in two tabs is one consent, and one event."""
    first, second = walk(asking, "profile"), walk(asking, "profile")
    first.post()
    second.post()

    assert len(asking.records.consents.of(first.proved.person)) == 1
    assert asking.told("consent.given") == ["consent.given"]


def test_prompt_consent_asks_anew_and_once(asking: AskingHouse) -> None:
    """A service that sends prompt=consent has it asked again (Core 3.1.2.1), and the answer settles that request."""
    walk(asking, "profile").post()
    received = asking.desk_house.clock.now() + timedelta(seconds=5)

    anew = walk(asking, "profile", prompt=("consent",), received_at=received)

    assert anew.page == "consent"
    assert anew.post().begin().now is None


def test_nobody_agrees_to_what_was_not_shown(asking: AskingHouse) -> None:
    """Items that came to the list while the page was open are shown before they are agreed to."""
    page = asking.walk(
        asking.releasing, asked(asking, "profile", "national_number"), client=replace(CLIENT, national_number=False)
    )
    page.visit = replace(page.visit, client=CLIENT)

    assert page.post().values["items"].split() == [*NAMES, *NUMBER]
    assert asking.records.consents.of(page.proved.person) == ()
