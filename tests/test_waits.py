"""An order in an app and the transaction that waits for it: one order, one outcome, nothing lost between writers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
import requests

from idbroker.clock import StoppedClock
from idbroker.keeping import Kept
from idbroker.providers import Progress
from idbroker.sandbox.orders import Unreadable
from idbroker.transaction import Transaction
from idbroker.visitor import visitor
from idbroker.waits import Waits
from tests.app_door import COMPUTER, ELSEWHERE, PHONE, Apps, Visit, open_apps, was_answered
from tests.app_eids import Eids, eventually, open_eids
from tests.conftest import NOW
from tests.door import answer_of, at_once, form_of, words_of

EIDS = ("bankid", "freja")


@pytest.fixture(scope="module")
def eids(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Eids]:
    """Serve the eIDs once."""
    with open_eids(tmp_path_factory.mktemp("eids"), StoppedClock(NOW)) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(eids: Eids, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apps]:
    """Open the broker once."""
    with open_apps(tmp_path_factory.mktemp("waits"), eids) as opened:
        yield opened


@pytest.fixture
def apps(shared: Apps) -> Iterator[Apps]:
    """Give it, healed afterwards."""
    yield shared
    shared.eids.heal()


def waits_of(apps: Apps) -> Waits:
    """Return who begins and ends orders."""
    return apps.workers[0].site.waits


def loaded(visit: Visit) -> Kept[Transaction]:
    """Return a transaction as a request has it that was loaded now, and goes on later."""
    kept = visit.apps.workers[0].site.broker.transactions.get(visit.name)
    assert kept is not None
    return kept


def until_one(visit: Visit) -> None:
    """Wait until a single order waits at all eIDs together, and see that it is the one on the page."""
    phones = visit.apps.eids.phones.values()
    eventually(lambda: len([order for phone in phones for order in phone.waiting()]) == 1)


# ---- one order -----------------------------------------------------------------------------------

Act = Callable[[Visit], object]
WAYS: Mapping[str, tuple[Act, int]] = {
    "the same button again": (lambda v: v.press("again"), 1),
    "another device": (lambda v: v.press("this"), 1),
    "there and back": (lambda v: (v.press("this"), v.press("other")), 1),
    "another eID": (lambda v: v.browser.press(v.press("back"), provider="freja"), 1),
    "another eID in another tab": (lambda v: v.browser.press(v.ask("choose"), provider="freja"), 1),
    "the same eID in another tab": (lambda v: v.browser.press(v.ask("choose"), provider="bankid"), 1),
    "back to the choice": (lambda v: v.press("back"), 0),
    "cancel": (lambda v: v.ask("cancel"), 0),
}


@pytest.mark.parametrize("way", WAYS)
def test_one_order_per_transaction(apps: Apps, way: str) -> None:
    """Whatever the person presses, no order is left behind that would keep their app from the next one."""
    visit = apps.visit()
    act, left = WAYS[way]
    act(visit)

    phones = apps.eids.phones.values()
    eventually(lambda: len([order for phone in phones for order in phone.waiting()]) == left)


def test_a_double_click_makes_one_order(apps: Apps) -> None:
    """Ten times the same press at once: one order is kept, the others are cancelled, all lead to the one page."""
    browser = apps.browser()
    choice = browser.authorize()
    fields = {**form_of(choice).hidden, "provider": "bankid"}

    answers = at_once(10, lambda: browser.fetch(choice.url, "POST", data=fields))

    visit = Visit(apps=apps, browser=browser, page=browser.get(answers[0].headers["Location"]))
    assert {answer.headers["Location"] for answer in answers} == {f"/t/{visit.name}/wait"}
    until_one(visit)
    visit.scan()
    assert visit.until(go=True)


def test_an_order_is_not_left_when_the_next_fails(apps: Apps) -> None:
    """The person goes on to an eID that is down: nobody waits for the first order any more, so it is cancelled."""
    visit = apps.visit()
    apps.eids.faults.set("freja", {"down": True})
    page = visit.browser.press(visit.browser.get(f"/t/{visit.name}/choose"), provider="freja")

    assert "Freja eID Plus is not answering right now." in words_of(page)
    eventually(lambda: not visit.waiting(), patience=1)


def test_too_many_orders_from_one_address(apps: Apps) -> None:
    """A flood would have BankID shut out every patient of ours: whoever asks too often waits; others do not."""
    waits, minute = waits_of(apps), timedelta(minutes=1)
    for _ in range(waits.most_orders):
        waits.transient.count("orders:203.0.113.7", minute)
    flood = apps.visit(browser=apps.browser("203.0.113.7"))

    assert flood.page.url.endswith("/choose")
    assert "There have been many tries from here in a short time." in words_of(flood.page)
    assert flood.waiting() == []
    assert apps.visit(browser=apps.browser("203.0.113.8")).news()["state"] == "waiting"
    apps.clock.move(minute)
    assert flood.browser.press(flood.page, provider="bankid").url.endswith("/wait")


def test_one_customers_addresses_count_together(apps: Apps) -> None:
    """Whoever has one IPv6 address has four thousand million times as many again: they count as one."""
    waits = waits_of(apps)
    for number in range(waits.most_orders):
        waits.pace_orders(visitor(f"2001:db8:7:7:{number:x}::1", ""))

    assert apps.visit(browser=apps.browser("2001:db8:7:7:ffff::1")).page.url.endswith("/choose")
    assert apps.visit(browser=apps.browser("2001:db8:7:8::1")).page.url.endswith("/wait")


def _progress(visit: Visit) -> Progress | None:
    wait = visit.apps.kept(visit.name).wait
    return wait.progress if wait else None


# ---- going on ------------------------------------------------------------------------------------


def proved(visit: Visit) -> Transaction:
    """Have somebody approve, and return the transaction with its proof."""
    visit.scan()
    visit.until_proved()
    return visit.apps.kept(visit.name)


@pytest.mark.parametrize("first", ["cancel", "check"])
def test_the_audit_trail_says_what_happened(apps: Apps, first: str) -> None:
    """E5: a request that came too late leaves no entry of what it did not do: Cancel twice, Cancel after going on."""
    visit, broker = apps.visit(), apps.workers[0].site.broker
    proved(visit)
    late = loaded(visit)
    answer = visit.ask("cancel") if first == "cancel" else visit.press()
    broker.cancel(late)

    assert (
        apps.events(visit.name)
        == {
            "cancel": ["signin.cancelled access_denied"],
            "check": ["signin.granted"],
        }[first]
    )
    assert ("code" in answer_of(answer)) is (first == "check")


def test_the_button_pressed_at_once(apps: Apps) -> None:
    """B2: "I have approved" right after approving: the press waits a little for the next look, and goes on."""
    visit = apps.visit()
    visit.scan()
    answers = [visit.press() for _ in range(3)]

    assert was_answered(answers[-1])


def test_the_button_pressed_too_early(apps: Apps) -> None:
    """B2: pressed while nobody has approved, it leads back to the page, and the same page goes on afterwards."""
    visit = apps.visit()
    again = visit.press()
    visit.scan()

    assert again.url == visit.page.url
    assert visit.until(go=True)
    assert was_answered(visit.press())


def test_a_request_that_died_keeps_no_proof(apps: Apps) -> None:
    """A request took the proof and died with its process: twenty seconds later the person's next press goes on."""
    visit = apps.visit()
    proved(visit)
    moves = waits_of(apps).moves
    assert moves.claimed(loaded(visit), f"proof:{apps.clock.now().timestamp() // 20:.0f}")
    apps.clock.move(timedelta(seconds=20))

    assert was_answered(visit.press())


@pytest.mark.parametrize("eid", EIDS)
def test_back_after_it_was_finished(apps: Apps, eid: str) -> None:
    """G14: the back button, a second tab and a stale return lead to words, and to no second sign-in."""
    visit = apps.visit(eid, apps.browser(agent=PHONE))
    second = visit.browser.get(visit.page.url)
    back = visit.follow() or ""
    visit.until_proved()
    assert was_answered(visit.browser.get(back))
    apps.clock.move(timedelta(seconds=61))

    for page in (visit.browser.get(visit.page.url), visit.browser.press(second, do="again"), visit.browser.get(back)):
        assert "You are already logged in" in words_of(page)
    assert visit.news() == {"to": "choose"}
    assert apps.events(visit.name) == ["signin.granted"]
    assert visit.waiting() == []


def test_a_new_order_forgets_what_was_said_of_the_last(apps: Apps) -> None:
    """An approval of an order that the person has left for another device signs nobody in."""
    visit = apps.visit()
    order = visit.phone.scan(visit.code())
    visit.press("this")
    with suppress(Unreadable):
        visit.phone.act(order.id, apps.eids.people["bjorn"], "approve", ip=ELSEWHERE)
    apps.clock.move(timedelta(seconds=3))

    assert visit.news()["device"] == "this"
    assert visit.news()["go"] is False


# ---- at once -------------------------------------------------------------------------------------


def told(answers: list[Any]) -> set[str]:
    """Return the different answers that the portal was given."""
    locations = {answer.headers.get("Location", "") for answer in answers}
    return {location for location in locations if location.startswith("https://portal.test")}


@pytest.mark.parametrize("eid", EIDS)
def test_twenty_go_on_at_once(apps: Apps, eid: str) -> None:
    """E5: of twenty presses at once one signs in: one code, one entry in the audit trail, one piece of evidence."""
    visit = apps.visit(eid)
    visit.scan()
    visit.until(go=True)
    evidence = apps.workers[0].house.durable.evidence
    before = len(evidence.since(apps.clock.now() - timedelta(seconds=1), apps.clock.now(), limit=99))

    answers = at_once(20, visit.press)

    assert len(told(answers)) == 1
    assert apps.events(visit.name) == ["signin.granted"]
    assert len(evidence.since(apps.clock.now() - timedelta(seconds=1), apps.clock.now(), limit=99)) == before + 1


@pytest.mark.parametrize("eid", EIDS)
def test_cancel_before_the_approval(apps: Apps, eid: str) -> None:
    """E5: after Cancel nothing that the app does signs anybody in: the portal hears access_denied, again and again."""
    visit = apps.visit(eid)
    order = visit.phone.scan(visit.code())
    answers = [visit.ask("cancel")]
    with suppress(Unreadable):
        visit.phone.act(order.id, apps.eids.people["bjorn"], "approve")
    apps.clock.move(timedelta(seconds=20))
    answers += [visit.ask("cancel"), visit.press()]

    assert answer_of(answers[0])["error"] == "access_denied"
    assert len(told(answers)) == 1
    assert apps.events(visit.name) == ["signin.cancelled access_denied"]


@pytest.mark.parametrize("eid", EIDS)
def test_cancel_and_going_on_at_once(apps: Apps, eid: str) -> None:
    """E5: Cancel and going on at the same moment, in two tabs: the portal is told one of the two, and never both."""
    visit = apps.visit(eid)
    visit.scan()
    visit.until(go=True)
    tabs = iter([("wait", {**form_of(visit.page).hidden, "do": "check"}), ("cancel", None)] * 4)

    def act() -> requests.Response:
        path, fields = next(tabs)
        return visit.browser.fetch(f"/t/{visit.name}/{path}", "POST" if fields else "GET", data=fields)

    answers = at_once(8, act)

    assert len(told([*answers, visit.press()])) == 1


# ---- the way into the app ------------------------------------------------------------------------

PROGRAMS = {"bankid": "bankid:///", "freja": "frejaeid://bindUserToTransaction"}


@pytest.mark.parametrize("eid", EIDS)
def test_a_link_reaches_the_app_as_it_is(eids: Eids, tmp_path_factory: pytest.TempPathFactory, eid: str) -> None:
    """1.10: without script the browser is led to the very address that the eID documents for its app."""
    freja = {"app_link": PROGRAMS["freja"]}
    with open_apps(tmp_path_factory.mktemp("links"), eids, freja=freja) as apps:
        visit = apps.visit(eid, apps.browser(agent=COMPUTER), do="this")
        led = visit.ask("open").headers["Location"]
    eids.heal()

    assert led.startswith(PROGRAMS[eid])


def test_a_link_that_lapsed_is_renewed(apps: Apps) -> None:
    """The person comes back to their phone after a minute: the link on the page, as it was, opens a new order."""
    visit = apps.visit(browser=apps.browser(agent=PHONE))
    first = visit.link()
    apps.go(timedelta(seconds=30))
    apps.go(timedelta(seconds=60))
    assert _progress(visit) is Progress.LAPSED
    led = visit.ask("open").headers["Location"]

    assert led.startswith("http://127.0.0.1:1/bankid?autostarttoken=")
    assert led != first
    assert visit.follow(led)
    visit.until(go=True)
    assert was_answered(visit.press())
