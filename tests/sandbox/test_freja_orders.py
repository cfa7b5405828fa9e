"""What becomes of a transaction of the simulated Freja, by whom and when."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from idbroker.clock import StoppedClock
from idbroker.sandbox.freja_asked import Wish
from idbroker.sandbox.freja_orders import MOST, OUTCOMES, Transactions
from idbroker.sandbox.orders import Unreadable
from idbroker.sandbox.people import cast
from tests.sandbox.freja_rp import USUAL, Rp, by_number, wish

pytest_plugins = ["tests.sandbox.freja_fixtures"]


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        ("approve", "APPROVED"),
        ("cancel", "CANCELED"),
        ("REJECTED", "REJECTED"),
        ("EXPIRED", "EXPIRED"),
        ("open", "DELIVERED_TO_MOBILE"),
        ("somethingNew", "SOMETHING_NEW"),
    ],
)
def test_outcomes(rp: Rp, outcome: str, status: str) -> None:
    """Each outcome gives its status; only an approval tells anything else."""
    begun = rp.start()

    rp.act(outcome)

    told = rp.look(begun)
    assert told["status"] == status
    assert ("details" in told) == ("requestedAttributes" in told) == (outcome == "approve")
    assert bool(rp.freja.phone.waiting()) == (outcome == "open")


def test_what_the_phone_offers() -> None:
    """The outcomes are approve, cancel, then failures by their names on the wire."""
    assert OUTCOMES == ("approve", "cancel", "REJECTED", "EXPIRED", "open", "somethingNew")


def test_nonsense_is_refused(rp: Rp) -> None:
    """Unknown outcomes and people without Freja are mistakes of the caller's; the order stays as it was."""
    begun = rp.start()

    with pytest.raises(ValueError, match="approve, cancel"):
        rp.act("agree")
    with pytest.raises(ValueError, match="anna has no Freja"):
        rp.act("approve", "anna")
    with pytest.raises(Unreadable, match="no such"):
        rp.freja.phone.act("nobody", rp.people["bjorn"], "approve")
    assert rp.status(begun) == "STARTED"


def test_a_habit_wins_over_approve(rp: Rp) -> None:
    """Whoever always cancels does so when told to approve, and does what else they are told."""
    begun = rp.start()
    rp.act("open", "ake")
    assert rp.status(begun) == "DELIVERED_TO_MOBILE"

    rp.act("approve", "ake")

    assert rp.status(begun) == "CANCELED"


def test_lasts_two_minutes(rp: Rp) -> None:
    """A transaction expires after two minutes, opened or not, and can then be neither opened nor cancelled."""
    begun, opened = rp.start(), rp.start()
    rp.act("open")
    order = rp.newest
    rp.clock.move(timedelta(minutes=2, microseconds=-1))
    assert [rp.status(begun), rp.status(opened)] == ["STARTED", "DELIVERED_TO_MOBILE"]

    rp.clock.move(timedelta(microseconds=1))

    assert rp.freja.phone.waiting() == ()
    assert [rp.status(begun), rp.status(opened)] == ["EXPIRED", "EXPIRED"]
    with pytest.raises(Unreadable, match="ended"):
        rp.freja.phone.act(order.id, rp.people["bjorn"], "approve")
    assert rp.code("cancel", begun) == (422, 1100)


def test_results_are_kept_ten_minutes(rp: Rp) -> None:
    """A result can be read again and again, the same each time, for ten minutes from the start."""
    begun = rp.start()
    rp.clock.move(timedelta(seconds=119))
    rp.act("approve")
    first = rp.look(begun)
    rp.clock.move(timedelta(minutes=8))
    assert rp.look(begun) == first

    rp.clock.move(timedelta(seconds=1))

    assert rp.code("getOneResult", {"authRef": begun["authRef"]}) == (422, 1100)


def test_a_service_can_cancel(rp: Rp) -> None:
    """An open transaction can be cancelled once; a person can then do nothing with it."""
    begun = rp.start()
    order = rp.newest

    answer = rp.call("cancel", {"authRef": begun["authRef"]})

    assert (answer.status_code, answer.get_json()) == (200, {})
    assert rp.status(begun) == "RP_CANCELED"
    assert rp.code("cancel", {"authRef": begun["authRef"]}) == (422, 1100)
    with pytest.raises(Unreadable):
        rp.freja.phone.act(order.id, rp.people["bjorn"], "approve")


def test_an_approval_cannot_be_cancelled(rp: Rp) -> None:
    """E5: what was approved stays approved."""
    begun = rp.start()
    rp.act("approve")

    assert rp.code("cancel", {"authRef": begun["authRef"]}) == (422, 1100)
    assert rp.status(begun) == "APPROVED"


def test_two_at_once_are_both_rejected(rp: Rp) -> None:
    """A person who opens a second transaction loses both, whichever services they are of; the next one goes well."""
    first = rp.start()
    rp.act("open")
    other = rp.other()
    second = other.start()

    other.act("approve")

    assert (rp.status(first), other.status(second)) == ("REJECTED", "REJECTED")
    assert rp.approved()["status"] == "APPROVED"


def test_transactions_of_two_people_do_not_meet(rp: Rp) -> None:
    """What one person has open is nothing to another; and another cannot take it over."""
    first = rp.start()
    rp.act("open")
    order = rp.newest
    second = rp.start()
    rp.act("approve", "samir")

    with pytest.raises(Unreadable, match="somebody else"):
        rp.freja.phone.act(order.id, rp.people["samir"], "approve")
    rp.freja.phone.act(order.id, rp.people["bjorn"], "approve")
    assert (rp.status(first), rp.status(second)) == ("APPROVED", "APPROVED")


def test_a_rejected_person_cannot_be_named_for_a_while(rp: Rp) -> None:
    """After two at once, a start for that person by number is 2000 for two minutes; for nobody else."""
    bjorn, samir = (rp.people[name].number for name in ("bjorn", "samir"))
    first, second = rp.start(by_number("SE", bjorn)), rp.start(by_number("SE", bjorn))

    assert (rp.status(first), rp.status(second)) == ("REJECTED", "REJECTED")
    assert rp.code("initAuthentication", by_number("SE", bjorn)) == (422, 2000)
    assert rp.call("initAuthentication", by_number("SE", samir)).status_code == 200
    rp.clock.move(timedelta(minutes=2))
    assert rp.call("initAuthentication", by_number("SE", bjorn)).status_code == 200


def test_a_named_person_has_it_in_the_app(rp: Rp) -> None:
    """A start by number lands in the app of that person, who alone can approve it."""
    begun = rp.start(by_number("FI", rp.people["eero"].number, level="EXTENDED"))

    assert (rp.newest.person, rp.newest.status, rp.newest.code) == ("eero", "DELIVERED_TO_MOBILE", None)
    with pytest.raises(Unreadable):
        rp.act("approve", "bjorn")
    rp.act("approve", "eero")
    assert rp.opened(rp.look(begun)["details"])["userInfoType"] == "SSN"


@pytest.mark.parametrize(
    ("kind", "user"),
    [("EMAIL", "bjorn@people.example"), ("PHONE", "+46701740605"), ("UPI", "1234-567890-1234")],
)
def test_other_ways_to_name_somebody_are_taken(rp: Rp, kind: str, user: str) -> None:
    """Starts by address, telephone and Freja's own number are accepted, and expire: nobody here has these."""
    begun = rp.start({"userInfoType": kind, "userInfo": user})

    assert rp.newest.code is None
    rp.clock.move(timedelta(minutes=2))
    assert rp.status(begun) == "EXPIRED"


@pytest.mark.parametrize(
    ("person", "level", "status"),
    [
        ("bjorn", "PLUS", "APPROVED"),
        ("samir", "PLUS", "APPROVED"),
        ("elin", "PLUS", "REJECTED"),
        ("elin", "EXTENDED", "APPROVED"),
        ("eero", "PLUS", "REJECTED"),
        ("dagny", "PLUS", "REJECTED"),
        ("dagny", "EXTENDED", "APPROVED"),
    ],
)
def test_nobody_approves_above_their_level(rp: Rp, person: str, level: str, status: str) -> None:
    """Somebody below minRegistrationLevel cannot approve, whatever they press."""
    assert rp.approved(person, wish(*USUAL, level=level))["status"] == status


@pytest.mark.parametrize(
    ("person", "told"),
    [
        ("bjorn", ("PLUS", "LOA3", "SE")),
        ("samir", ("PLUS", "LOA3", "SE")),
        ("elin", ("EXTENDED", "LOA2", "SE")),
        ("eero", ("EXTENDED", "LOA2", "FI")),
        ("dagny", ("EXTENDED", "LOA3_NR", None)),
    ],
)
def test_tells_who_somebody_is(rp: Rp, person: str, told: tuple[str, str, str | None]) -> None:
    """The level told is the person's own, not the one asked for; the number's country is with it, if there is one."""
    answer = rp.approved(person, wish(*USUAL, level="EXTENDED"))["requestedAttributes"]

    who = rp.people[person]
    assert (answer["registrationLevel"], answer["loaLevel"], answer.get("ssn", {}).get("country")) == told
    assert answer.get("ssn", {}).get("ssn") == who.number
    assert answer["basicUserInfo"] == {"name": who.given_name, "surname": who.family_name}
    assert answer["dateOfBirth"] == who.born.isoformat()


def test_tells_what_was_asked_for_and_no_more(rp: Rp) -> None:
    """Attributes come by their own names, each only when asked for; what nobody has is left out."""
    asked = ("AGE", "DOCUMENT", "EMAIL_ADDRESS", "ALL_EMAIL_ADDRESSES", "NETWORK_INFO", "PHOTO", "ADDRESSES")
    told = rp.approved(sent=wish(*asked, "UNIQUE_PERSONAL_IDENTIFIER"), ip="198.51.100.9")["requestedAttributes"]

    assert set(told) == {
        "age", "document", "emailAddress", "allEmailAddresses", "networkInfo", "uniquePersonalIdentifier"
    }  # fmt: skip
    assert (told["age"], told["networkInfo"]) == (39, {"publicIp": "198.51.100.9"})
    assert set(told["document"]) == {"type", "country", "serialNumber", "expirationDate"}
    assert "requestedAttributes" not in rp.approved(sent=wish())


def _sign(payload: Any) -> str:
    return str(len(payload))


def _transactions(clock: StoppedClock) -> Transactions:
    return Transactions(cast(clock.now().date()), clock, _sign)


def test_memory_is_bounded(clock: StoppedClock) -> None:
    """However many are started, the oldest make room; those of ten minutes ago are gone."""
    transactions = _transactions(clock)
    asked = Wish(user_info_type="INFERRED", user_info="N/A")
    for _ in range(MOST + 10):
        transactions.start("party", asked)

    assert len(transactions.recent("party")) <= MOST
    clock.move(timedelta(minutes=10))
    transactions.start("party", asked)
    assert len(transactions.recent("party")) == 1


def test_one_of_many_hands_approves(clock: StoppedClock) -> None:
    """E5: of many who act on one order at the same moment exactly one ends it; the others are told it has ended."""
    transactions = _transactions(clock)
    begun = transactions.start("party", Wish(user_info_type="INFERRED", user_info="N/A"))
    bjorn = next(person for person in cast(clock.now().date()) if person.id == "bjorn")
    barrier, ended = threading.Barrier(8), []

    def act(outcome: str) -> None:
        barrier.wait()
        try:
            ended.append(transactions.act(begun.id, bjorn, outcome, "127.0.0.1").status)
        except Unreadable:
            ended.append("too late")

    hands = [threading.Thread(target=act, args=(outcome,)) for outcome in ("approve", "cancel") * 4]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()

    assert ended.count("too late") == 7
    assert transactions.read("party", begun.auth_ref).status in ("APPROVED", "CANCELED")
