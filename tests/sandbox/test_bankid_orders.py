"""The life of an order of the simulated BankID."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import timedelta

import pytest

from idbroker.clock import StoppedClock
from idbroker.sandbox.bankid_orders import NoSuchOrder, Orders, Party, TooMany
from idbroker.sandbox.bankid_phone import FAILURES, STEPS
from idbroker.sandbox.bankid_request import Wish
from idbroker.sandbox.orders import Unreadable
from idbroker.sandbox.people import SimPerson
from tests.sandbox.bankid_loopback import Rp

pytest_plugins = ["tests.sandbox.bankid_fixtures"]

BACK = "https://login.test/callback/bankid?state=h"
PARTY = Party(id="ours", name="cn=Ours", display_name="Ours")


def status_of(rp: Rp, order: dict[str, str]) -> int:
    """Return how a collect is answered."""
    return rp.post("collect", {"orderRef": order["orderRef"]}).status_code


def test_goes_from_outstanding_to_complete(rp: Rp) -> None:
    """outstandingTransaction, started when it is scanned, userSign when a person has it, complete."""
    order, hints = rp.auth(), []
    hints.append(rp.hint(order))
    rp.bankid.phone.scan(rp.bankid.phone.waiting()[0].code or "")
    hints.append(rp.hint(order))
    rp.act("open")
    hints.append(rp.hint(order))
    rp.act("approve")
    hints.append(rp.hint(order))

    assert hints == ["pending/outstandingTransaction", "pending/started", "pending/userSign", "complete/None"]


@pytest.mark.parametrize("failure", FAILURES)
def test_fails_in_every_way(rp: Rp, failure: str) -> None:
    """Each failed hintCode comes by its own name, one of the future among them."""
    order = rp.auth(returnUrl=BACK)

    assert rp.act(failure) is None
    assert rp.hint(order) == f"failed/{failure}"


@pytest.mark.parametrize("step", STEPS)
def test_waits_in_every_way(rp: Rp, step: str) -> None:
    """Each pending hintCode comes by its own name, and the order can still be approved."""
    order = rp.auth()

    assert rp.act(step) is None
    assert rp.hint(order) == f"pending/{'userSign' if step == 'open' else step}"
    rp.act("approve")
    assert rp.hint(order) == "complete/None"


def test_cancelling_is_the_persons_word(rp: Rp) -> None:
    """`cancel` is userCancel; who always cancels does so when approve is pressed, too."""
    orders = [rp.auth(), rp.auth()]
    rp.act("cancel")
    rp.act("approve", "ake")

    assert [rp.hint(order) for order in orders] == ["failed/userCancel", "failed/userCancel"]


@pytest.mark.parametrize(("person", "outcome"), [("bjorn", "nothing"), ("anna", "approve"), ("marta", "approve")])
def test_knows_its_outcomes_and_people(rp: Rp, person: str, outcome: str) -> None:
    """What it cannot do, and who has no BankID, is a mistake of the caller's."""
    rp.auth()
    with pytest.raises(ValueError, match=r"."):
        rp.act(outcome, person)


def test_habits_of_other_eids_have_their_word_here(rp: Rp) -> None:
    """Somebody blocked is certificateErr in BankID's words."""
    order, bjorn = rp.auth(), rp.people["bjorn"]
    blocked = SimPerson(
        id="bjorn", given_name="B", family_name="P", country="SE", number=bjorn.number, born=bjorn.born,
        story="", eids=("bankid",), habit="blocked",
    )  # fmt: skip
    rp.bankid.phone.act(rp.id(), blocked, "approve")

    assert rp.hint(order) == "failed/certificateErr"


def test_start_fails_after_thirty_seconds(rp: Rp) -> None:
    """An order that no app opened fails with startFailed at 30 s, not before."""
    order = rp.auth()
    rp.clock.move(timedelta(seconds=29.9))
    before = rp.hint(order)
    rp.clock.move(timedelta(seconds=0.1))

    assert (before, rp.hint(order)) == ("pending/outstandingTransaction", "failed/startFailed")
    assert rp.bankid.phone.waiting() == ()


def test_expires_three_minutes_after_it_was_opened(rp: Rp) -> None:
    """An app that has the order keeps it alive past 30 s, for three minutes."""
    order = rp.auth()
    rp.act("open")
    rp.clock.move(timedelta(seconds=179))
    before = rp.hint(order)
    rp.clock.move(timedelta(seconds=1))

    assert (before, rp.hint(order)) == ("pending/userSign", "failed/expiredTransaction")


@pytest.mark.parametrize(("outcome", "kept"), [("approve", 180), ("userCancel", 300), (None, 190)])
def test_ends_are_kept_for_a_while(rp: Rp, outcome: str | None, kept: int) -> None:
    """A completed order is kept 3 min, a failed one 5; one never opened 3 min 10 s after it was placed."""
    orders = [rp.auth(), rp.auth()]
    for _ in orders if outcome else ():
        rp.act(str(outcome))
    rp.clock.move(timedelta(seconds=kept - 1))
    before = status_of(rp, orders[0])
    rp.clock.move(timedelta(seconds=1))

    assert (before, status_of(rp, orders[1])) == (200, 400)


@pytest.mark.parametrize("outcome", ["approve", "certificateErr"])
def test_an_end_is_told_once(rp: Rp, outcome: str) -> None:
    """The second collect after the end finds no order: what was told must be kept."""
    order = rp.auth()
    rp.act(outcome)

    assert [status_of(rp, order) for _ in range(2)] == [200, 400]


def test_cancel_ends_it_for_both(rp: Rp) -> None:
    """The service cancels once; then there is no order to collect, to cancel, or in anybody's app."""
    order, opened = rp.auth(), rp.id()
    answers = [rp.post("cancel", {"orderRef": order["orderRef"]}).status_code for _ in range(2)]

    assert [*answers, status_of(rp, order)] == [200, 400, 400]
    with pytest.raises(Unreadable, match="no such order"):
        rp.bankid.phone.act(opened, rp.people["bjorn"], "approve")


def test_cannot_cancel_what_has_ended(rp: Rp) -> None:
    """A completed order is not cancelled, and can still be collected."""
    order = rp.auth()
    rp.act("approve")

    assert rp.post("cancel", {"orderRef": order["orderRef"]}).status_code == 400
    assert rp.hint(order) == "complete/None"


def test_a_new_order_cancels_the_persons_former(rp: Rp) -> None:
    """The same person opens a second order: the first fails as cancelled. Another person's stays."""
    first, ids = rp.auth(), [rp.id()]
    rp.act("open")
    others = rp.auth()
    rp.act("open", "ake")
    second = rp.auth()
    rp.act("open")

    assert [rp.hint(order) for order in (first, others, second)] == [
        "failed/cancelled",
        "pending/userSign",
        "pending/userSign",
    ]
    with pytest.raises(Unreadable):
        rp.bankid.phone.act(ids[0], rp.people["bjorn"], "approve")


def test_an_order_is_one_persons(rp: Rp) -> None:
    """Nobody takes an order over that somebody has open."""
    rp.auth()
    rp.act("open")
    with pytest.raises(Unreadable, match="somebody else"):
        rp.act("approve", "ake")


def test_only_the_required_person_gets_on(rp: Rp) -> None:
    """requirement.personalNumber: anybody else's app finds no BankID to use, and the order stays started."""
    order = rp.auth(requirement={"personalNumber": rp.people["bjorn"].number}, returnUrl=BACK)
    others = rp.act("cancel", "ake"), rp.hint(order)
    own = rp.act("approve"), rp.hint(order)

    assert others == (None, "pending/started")
    assert own == (BACK, "complete/None")


@pytest.mark.parametrize(
    ("policy", "hint"),
    [("1.2.3.4.25", "complete/None"), ("1.2.3.4.*", "complete/None"), ("1.2.3.4.10", "pending/started")],
)
def test_only_the_required_kind_gets_on(rp: Rp, policy: str, hint: str) -> None:
    """requirement.certificatePolicies: a BankID of another policy cannot be used."""
    order = rp.auth(requirement={"certificatePolicies": [policy]})
    rp.act("approve")

    assert rp.hint(order) == hint


def test_memory_is_bounded(clock: StoppedClock) -> None:
    """So many orders and no more; what has ended makes room once it is too old to be told."""
    orders = Orders(clock, most=50)
    wish = Wish(ip="192.0.2.7")
    for _ in range(50):
        orders.place(PARTY, wish)
    with pytest.raises(TooMany):
        orders.place(PARTY, wish)
    clock.move(timedelta(seconds=190))

    assert orders.place(PARTY, wish).status == "pending"
    assert len(orders) <= 50


def test_forgets_what_nobody_asks_for(clock: StoppedClock) -> None:
    """Orders that nobody collects do not pile up, however few are placed."""
    orders = Orders(clock)
    for _ in range(500):
        orders.place(PARTY, Wish(ip="192.0.2.7"))
        clock.move(timedelta(seconds=10))

    assert len(orders) < 25


def test_an_end_is_told_to_one_thread(clock: StoppedClock, bankid_person: SimPerson) -> None:
    """Of many that collect at once, one is given the end."""
    orders = Orders(clock)
    order = orders.place(PARTY, Wish(ip="192.0.2.7"))
    orders.take(order.id, bankid_person)
    orders.complete(order.id, {})
    start, told = threading.Barrier(8), []

    def collect() -> None:
        start.wait(5)
        with suppress(NoSuchOrder):
            told.append(orders.collect(order.ref, PARTY).status)

    threads = [threading.Thread(target=collect) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)

    assert told == ["complete"]


@pytest.fixture
def bankid_person(rp: Rp) -> SimPerson:
    """Return somebody with BankID."""
    return rp.people["bjorn"]
