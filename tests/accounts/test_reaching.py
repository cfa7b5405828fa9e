"""Addresses: read, refused with the reason, and shown to be theirs by a code (R20, R39; experience 1.6)."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta

import pytest

from idbroker.messages.message import Channel, Delivery
from tests.accounts.asking_house import AUTOMATIC, LANDLINE, MAIL, MOBILE, OTHER_MAIL, AskingHouse, Silence, Walk
from tests.accounts.desk_house import PATIENCE
from tests.otp.house import wrong


def contact(asking: AskingHouse, clinic: object = AUTOMATIC) -> Walk:
    """Return somebody at the page that asks for addresses."""
    return asking.walk(asking.joining, asking.proved(), clinic)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("typed", "errors"),
    [
        ({}, {"email": "r.e.one"}),
        ({"email": "  ", "phone": ""}, {"email": "r.e.one"}),
        ({"email": "somebody"}, {"email": "r.e.mail"}),
        ({"phone": LANDLINE}, {"phone": "r.e.mob"}),
        ({"phone": "12"}, {"phone": "r.e.phone"}),
        ({"phone": "x" * 10_000, "email": "@" * 10_000}, {"email": "r.e.mail", "phone": "r.e.phone"}),
        ({"phone": "+12025550123"}, {"phone": "r.e.abroad"}),
        ({"email": MAIL, "phone": LANDLINE}, {"phone": "r.e.mob"}),
    ],
)
def test_no_code_goes_where_nothing_arrives(asking: AskingHouse, typed: dict[str, str], errors: dict[str, str]) -> None:
    """What is no address, a landline, or nothing at all is refused in words; what was typed stays, cut to size."""
    with Silence(asking):
        walk = contact(asking).post(**typed)

    assert (walk.page, walk.errors) == ("contact", errors)
    assert walk.values["email"] == typed.get("email", "").strip()[:100]
    assert walk.values["phone"] == typed.get("phone", "").strip()[:100]


def test_a_number_is_read_as_the_country_writes_it(asking: AskingHouse) -> None:
    """A number without a country is the clinic's country's; it is kept and shown in one spelling."""
    clinic = replace(AUTOMATIC, country="SE")
    walk = contact(asking, clinic).post(phone="070-174 06 05").code(Channel.SMS).post(do="skip")

    assert walk.values["phone"] == MOBILE


def test_a_clinic_that_sends_no_text_messages(asking: AskingHouse) -> None:
    """Where codes come by e-mail only, an e-mail address is needed, or nobody could sign in by password."""
    clinic = replace(AUTOMATIC, codes=("email",))

    assert contact(asking, clinic).post(phone=MOBILE).errors == {"email": "r.e.mail"}


def test_a_wrong_code_says_how_many_tries_are_left(asking: AskingHouse) -> None:
    """A wrong code stays on the page with the tries left; what cannot be a code spends none."""
    walk = contact(asking).post(email=MAIL)
    right = asking.desk_house.code(Channel.EMAIL)
    assert walk.post(code="12").values["left"] == ""
    assert walk.post().errors == {"code": "o.e.wrong"}

    walk.post(code=wrong(right))

    assert (walk.errors, walk.values["left"]) == ({"code": "o.e.wrong"}, "4")
    assert walk.post(code=right).page == "newpassword"


def test_too_many_wrong_codes(asking: AskingHouse) -> None:
    """After five wrong codes none counts for a quarter of an hour, not even the right one (O2)."""
    walk = contact(asking).post(email=MAIL)
    right = asking.desk_house.code(Channel.EMAIL)
    for _ in range(5):
        walk.post(code=wrong(right))

    locked = walk.values["locked"]
    assert locked
    assert walk.post(code=right).values["locked"] == locked


def test_too_many_codes_in_all(asking: AskingHouse) -> None:
    """After a hundred codes to new addresses, whichever, none is sent nor taken for weeks: no page promises a time."""
    walk = contact(asking).post(email=MAIL)
    right = asking.desk_house.code(Channel.EMAIL)
    for turn in range(100):
        asking.desk_house.tries().spend(walk.proved.person, "contact", walk.visit.now, f"{turn}@example.test")

    for reply in ({"code": right}, {"do": "again"}):
        walk.post(**reply)
        assert (walk.errors, walk.values["locked"], walk.values["limited"]) == ({"code": "o.e.closed"}, "", "")


def test_an_old_code_sends_a_new_one(asking: AskingHouse) -> None:
    """A code that came too late is answered with a new one, which works."""
    walk = contact(asking).post(email=MAIL)
    late = asking.desk_house.code(Channel.EMAIL)
    asking.desk_house.clock.move(timedelta(minutes=6))

    walk.post(code=late)

    assert (walk.errors, walk.values["again"]) == ({"code": "o.e.old"}, walk.visit.now.isoformat())
    assert walk.code(Channel.EMAIL).page == "newpassword"


def test_a_new_code_at_a_press(asking: AskingHouse) -> None:
    """A new code is sent when asked for, and the page says when; both of the newest two work."""
    walk = contact(asking).post(email=MAIL)
    first = asking.desk_house.code(Channel.EMAIL)

    walk.post(do="again")

    assert walk.values["again"] == walk.visit.now.isoformat()
    assert walk.post(code=first).page == "newpassword"


def test_no_more_codes_than_allowed(asking: AskingHouse) -> None:
    """After three codes to one address the page says from when on there are more, and the last still works (O8)."""
    walk = contact(asking).post(email=MAIL).post(do="again").post(do="again").post(do="again")

    assert walk.values["limited"]
    for _ in range(2):
        asking.letter(Channel.EMAIL)
    assert walk.code(Channel.EMAIL).page == "newpassword"


def test_another_address_instead(asking: AskingHouse) -> None:
    """Who mistyped an address goes back, finds it there, and types another; the first's code is worth nothing."""
    walk = contact(asking).post(email=MAIL)
    first = asking.desk_house.code(Channel.EMAIL)
    walk.post(do="back")
    assert (walk.page, walk.values["email"]) == ("contact", MAIL)

    walk.post(email=OTHER_MAIL)

    assert walk.post(code=first).errors == {"code": "o.e.wrong"}
    assert walk.code(Channel.EMAIL).post(do="skip").values["email"] == OTHER_MAIL


def test_no_other_channel_for_a_contact(asking: AskingHouse) -> None:
    """The code proves one address, so it goes to no other: the page offers none, and a made-up wish changes nothing."""
    walk = contact(asking).post(email=MAIL, phone=MOBILE)
    assert walk.values["others"] == ""

    with Silence(asking):
        walk.post(do="sms")

    assert (walk.page, walk.values["channel"], walk.errors) == ("code", "email", {})


def test_a_channel_that_is_down(asking: AskingHouse) -> None:
    """An address that nothing reaches just now is said to be so, and may be left out."""
    walk = contact(asking)
    del asking.desk_house.wires[Channel.SMS]
    walk.post(email=MAIL, phone=MOBILE)
    assert (walk.page, walk.errors) == ("contact", {"phone": "r.e.unsent"})

    assert walk.post(email=MAIL).values["channel"] == "email"


def test_a_code_that_was_refused(asking: AskingHouse) -> None:
    """A code that nobody took is said to have gone nowhere, at the next step on its page."""
    asking.desk_house.wires[Channel.SMS].refuses = True
    walk = contact(asking).post(phone=MOBILE)
    post, until = asking.desk_house.post, time.monotonic() + PATIENCE
    while post.delivery(walk.values["message"]) is not Delivery.FAILED:
        assert time.monotonic() < until

    assert walk.post(code="1").values["dead"] == "1"
