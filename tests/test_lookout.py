"""Who asks the eIDs: one worker per order, at its pace, while somebody looks; and nothing it was told is lost."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis

from idbroker.clock import StoppedClock
from idbroker.transaction import Progress, Stage
from tests import servers
from tests.app_door import HOME, PHONE, Apps, Visit, open_apps, was_answered
from tests.app_eids import Eids, eventually, open_eids
from tests.conftest import NOW
from tests.door import at_once, authorize_url, form_of, words_of

SECOND = timedelta(seconds=1)
BOTH = ("sqlite", "redis")
EIDS = ("bankid", "freja")
LIFE = {"bankid": timedelta(seconds=30), "freja": timedelta(minutes=2)}


@pytest.fixture(scope="module")
def eids(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Eids]:
    """Serve the eIDs once."""
    with open_eids(tmp_path_factory.mktemp("eids"), StoppedClock(NOW)) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(eids: Eids, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apps]:
    """Open one worker once, with its store in a file."""
    with open_apps(tmp_path_factory.mktemp("one"), eids) as opened:
        yield opened


@pytest.fixture
def apps(shared: Apps) -> Iterator[Apps]:
    """Give it, healed afterwards."""
    yield shared
    shared.eids.heal()


@pytest.fixture(params=BOTH)
def pair(request: pytest.FixtureRequest, eids: Eids, tmp_path: Path) -> Iterator[Apps]:
    """Open two workers over one store, of each kind."""
    store = (
        {}
        if request.param == "sqlite"
        else {"transient": request.getfixturevalue("redis_url").removesuffix("/0") + "/8"}
    )
    with open_apps(tmp_path, eids, store=store, workers=2) as opened:
        yield opened
    eids.heal()
    if store:
        with redis.Redis.from_url(store["transient"]) as used:
            used.flushdb()


def collects(visit: Visit, reference: str = "") -> int:
    """Return how often the eID was asked about an order, the present one by default."""
    call = {"bankid": "collect", "freja": "getOneResult"}[visit.eid]
    return visit.wire.count(call, reference or visit.reference)


def watched(apps: Apps) -> list[int]:
    """Return how many orders each worker watches."""
    return [worker.lookout.watched for worker in apps.workers]


# ---- one of them asks ----------------------------------------------------------------------------


def test_one_worker_asks(pair: Apps) -> None:
    """A6: both workers are asked for news all the while; BankID is asked by one, once every two seconds at most."""
    visit = pair.visit()
    for _ in range(5):
        at_once(4, lambda: [visit.news(worker=number) for number in (0, 1)])
        pair.go(2 * SECOND)
    for _ in range(5):
        at_once(4, lambda: [visit.news(worker=number) for number in (0, 1)])
        pair.go(0.3 * SECOND)

    assert watched(pair) == [1, 0]
    assert collects(visit) == 5
    visit.scan()
    assert visit.until(worker=1, go=True)
    assert was_answered(visit.browser.press(visit.ask("wait", worker=1), do="check"))


def test_the_next_worker_goes_on(pair: Apps) -> None:
    """A worker that ends leaves its orders to whoever is asked for news next, and nothing that was approved is lost."""
    visit = pair.visit()
    pair.go(2 * SECOND)
    pair.workers[0].lookout.close()
    visit.scan()
    asked = collects(visit)
    visit.news(worker=1)
    if pair.workers[0].house.settings.store.transient.startswith("redis"):
        let_the_lock_run_out(pair)
    pair.clock.move(timedelta(seconds=31))
    visit.news(worker=1)
    assert watched(pair) == [0, 1]
    assert collects(visit) == asked

    assert visit.until(worker=1, go=True)
    assert was_answered(visit.press())


def let_the_lock_run_out(apps: Apps) -> None:
    """Do what time does to a lock in Redis, which knows no clock of ours."""
    with redis.Redis.from_url(apps.workers[0].house.settings.store.transient) as store:
        for key in store.scan_iter("idb:look:*"):
            store.delete(key)


def test_a_worker_whose_first_work_is_a_cancel(pair: Apps) -> None:
    """A worker that has only cancelled so far looks at the orders of those who come next like any other."""
    began = pair.visit()
    assert began.ask("cancel", worker=1).status_code == 303
    eventually(lambda: began.waiting() == [])
    browser = pair.browser()
    page = browser.get(f"{pair.workers[1].address}{authorize_url()}")
    visit = Visit(apps=pair, browser=browser, page=browser.press(page, provider="bankid"))
    visit.scan()

    assert watched(pair)[1] == 1
    assert visit.until(worker=1, go=True)


def test_a_worker_that_comes_back_leaves_it_alone(pair: Apps) -> None:
    """A process that slept longer than its lock lasts finds the order another's, and asks about it no more."""
    visit = pair.visit()
    pair.go(2 * SECOND)
    handle = str(pair.kept(visit.name).handle).rpartition(".")[2]
    pair.workers[1].house.transient.take(f"look:{{{visit.name}}}:{handle}")
    visit.news(worker=1)
    taken = watched(pair)
    pair.go(10 * SECOND)

    assert taken == [1, 1]
    before = collects(visit)
    for _ in range(3):
        pair.go(2 * SECOND)
    assert collects(visit) == before + 3
    assert watched(pair) == [0, 1]
    visit.scan()
    assert visit.until(go=True)


def test_many_wait_at_once(apps: Apps) -> None:
    """Thirty people wait: each is asked about once a pace, and one who is ready does not wait for the others."""
    visits = [apps.visit(browser=apps.browser(f"192.0.2.{number}")) for number in range(30)]
    apps.go(2 * SECOND)
    assert [collects(visit) for visit in visits] == [1] * 30
    visits[17].scan()
    apps.go(2 * SECOND)

    assert visits[17].news()["go"] is True
    assert watched(apps) == [29]


# ---- nothing is lost -----------------------------------------------------------------------------


def test_the_browser_sleeps(apps: Apps) -> None:
    """A phone sleeps for two minutes while its person is in the app: what was approved is there when it wakes."""
    visit = apps.visit()
    order = visit.phone.scan(visit.code())
    for _ in range(4):
        apps.go(timedelta(seconds=15))
    visit.phone.act(order.id, apps.eids.people["bjorn"], "approve")
    apps.go(2 * SECOND)
    asked = collects(visit)
    apps.go(timedelta(minutes=2))

    assert visit.news()["go"] is True
    assert (asked, collects(visit)) == (5, 5)
    assert was_answered(visit.press())


def test_the_store_goes_away_when_the_proof_comes(eids: Eids, tmp_path: Path) -> None:
    """X1: Redis stops in the moment BankID tells the result, which it tells once: written when Redis is back."""
    with running_redis(tmp_path) as (url, stop, start), open_apps(tmp_path, eids, store={"transient": url}) as apps:
        visit = apps.visit()
        reference, stopped = visit.reference, threading.Event()

        def stop_it(call: str, content: bytes) -> None:
            if call == "collect" and json.loads(content)["status"] == "complete":
                stop()
                stopped.set()

        visit.scan()
        visit.wire.act = stop_it
        apps.clock.move(2 * SECOND)
        eventually(lambda: visit.ask().status_code == 503)
        assert stopped.wait(20)
        told = collects(visit, reference)
        assert visit.ask("wait").status_code == 503
        apps.clock.move(5 * SECOND)
        start()

        visit.until_proved()
        assert collects(visit, reference) == told
        assert visit.news()["go"] is True
        assert was_answered(visit.press())
    eids.heal()


@contextlib.contextmanager
def running_redis(folder: Path) -> Iterator[tuple[str, Callable[[], None], Callable[[], None]]]:
    """Run a Redis that remembers over a restart; give its URL, and how to stop and to start it."""
    port = servers.free_port()
    with contextlib.ExitStack() as running:

        def answers(_port: int) -> bool:
            with redis.Redis(port=port) as client, contextlib.suppress(redis.ConnectionError):
                return bool(client.ping())
            return False

        def command(_port: int) -> list[str]:
            binary = servers.program("redis-server", variable="TEST_REDIS_BIN", folders=[Path("/usr/sbin")])
            if binary is None:
                servers.missing("Redis", "install redis-server, or name its program in TEST_REDIS_BIN")
            kept = ["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--dir", str(folder)]
            return [str(binary), "--bind", servers.LOOPBACK, "--port", str(port), *kept]

        def start() -> None:
            running.enter_context(servers.serving(command, answers, folder))

        start()
        yield f"redis://{servers.LOOPBACK}:{port}/0", running.close, start


def test_a_worker_ends_with_an_answer_on_its_way(eids: Eids, tmp_path: Path) -> None:
    """A worker is told to end while BankID's answer is under way: the answer is still written down, by it."""
    with open_apps(tmp_path, eids, workers=2) as apps:
        visit = apps.visit()
        visit.scan()
        arrived, go_on = threading.Event(), threading.Event()

        def hold(call: str, content: bytes) -> None:
            if call == "collect":
                arrived.set()
                assert go_on.wait(10)

        visit.wire.act = hold
        apps.clock.move(2 * SECOND)
        assert arrived.wait(10)
        ending = threading.Thread(target=apps.workers[0].lookout.close)
        ending.start()
        go_on.set()
        ending.join()
        eventually(lambda: visit.news(worker=1)["go"])
    eids.heal()


# ---- renewed, or not -----------------------------------------------------------------------------


def look_at(visit: Visit, how_long: timedelta, every: timedelta = timedelta(seconds=20)) -> set[str]:
    """Keep a page open for so long, as its script does; return what it showed."""
    shown = set()
    for _ in range(how_long // every):
        shown.add(str(visit.news()["state"]))
        visit.apps.go(every)
    return shown


@pytest.mark.parametrize("eid", EIDS)
def test_twelve_minutes_idle(apps: Apps, eid: str) -> None:
    """B1: the page was open and untouched for twelve minutes: it said nothing, and its code can be scanned."""
    visit = apps.visit(eid)
    first = visit.reference
    said = look_at(visit, timedelta(minutes=12))

    assert said == {"waiting"}
    assert visit.reference != first
    assert len(visit.waiting()) == 1
    visit.scan()
    assert visit.until(go=True)
    assert was_answered(visit.press())


@pytest.mark.parametrize("eid", EIDS)
def test_after_fifteen_minutes(apps: Apps, eid: str) -> None:
    """1.10: after a quarter of an hour the page rests and says so; a press makes a new code."""
    visit = apps.visit(eid)
    apps.go(LIFE[eid])
    apps.go(timedelta(minutes=12))
    shown = look_at(visit, timedelta(minutes=4))
    rested, calls = visit.news(), len(visit.wire.calls)
    look_at(visit, timedelta(minutes=3))

    assert rested["says"].endswith("was not opened for a while. You can go on when you are ready.")
    assert rested["go"] is False
    assert shown == {"waiting", "lapsed"}
    assert len(visit.wire.calls) == calls
    assert visit.waiting() == []
    assert visit.press("again").url == visit.page.url
    assert visit.news()["state"] == "waiting"
    visit.scan()
    assert visit.until(go=True)


@pytest.mark.parametrize("eid", EIDS)
def test_the_page_was_left(apps: Apps, eid: str) -> None:
    """B5: a minute later nothing waits at the eID, without a word from the browser, and nobody is asked any more."""
    visit = apps.visit(eid)
    for _ in range(24):
        apps.go(2.5 * SECOND)

    eventually(lambda: visit.waiting() == [])
    assert watched(apps) == [0]
    calls = len(visit.wire.calls)
    apps.go(timedelta(minutes=1))
    assert len(visit.wire.calls) == calls
    assert apps.kept(visit.name).stage is Stage.PROVING


def test_the_page_says_that_it_was_left(apps: Apps) -> None:
    """B5: with the browser's word the code of Freja's, which would last two minutes, goes in half of one."""
    visit = apps.visit("freja")
    visit.news()
    left(visit)
    for _ in range(12):
        apps.go(2.5 * SECOND)

    eventually(lambda: visit.waiting() == [])


def left(visit: Visit) -> None:
    """Say that the page was left, as its script does."""
    fields = {"_n": form_of(visit.page).hidden["_n"]}
    assert visit.browser.fetch(f"/t/{visit.name}/left", "POST", data=fields).status_code == 204


def test_a_reload_is_not_leaving(apps: Apps) -> None:
    """B5: word of leaving that comes after the same page was loaded again cancels nothing."""
    visit = apps.visit("freja")
    reference = visit.reference
    visit.ask("wait")
    left(visit)
    for _ in range(12):
        apps.go(2.5 * SECOND)
        visit.news()

    assert visit.reference == reference
    assert len(visit.waiting()) == 1


@pytest.mark.parametrize("eid", EIDS)
def test_somebody_comes_back(apps: Apps, eid: str) -> None:
    """The person comes back to the page after five minutes: its code can be scanned at once, and nothing was lost."""
    visit = apps.visit(eid)
    apps.go(LIFE[eid])
    apps.go(timedelta(minutes=5))
    kept = apps.kept(visit.name).wait
    assert kept is not None
    assert kept.progress is Progress.LAPSED
    visit.news()
    apps.go(timedelta())

    assert visit.news()["state"] == "waiting"
    visit.scan()
    assert visit.until(go=True)
    assert was_answered(visit.press())


def test_an_app_on_this_device_is_not_left(apps: Apps) -> None:
    """Who is in the app on the same phone has left the page, and is not forgotten for that."""
    visit = apps.visit("freja", apps.browser(agent=PHONE))
    order = visit.phone.follow(visit.link())
    left(visit)
    for _ in range(5):
        apps.go(timedelta(seconds=20))
    back = visit.phone.act(order.id, apps.eids.people["bjorn"], "approve", ip=HOME)
    visit.until_proved()

    assert was_answered(visit.browser.get(back or ""))


def test_pages_that_wait_are_in_plain_words(apps: Apps) -> None:
    """1.10: without script, too, the page says what it waits for, and after it has lapsed how to go on."""
    visit = apps.visit()
    first = words_of(visit.ask("wait"))
    apps.go(LIFE["bankid"])
    apps.go(timedelta(minutes=16))
    visit.news()
    last = words_of(visit.ask("wait"))

    assert "Waiting for you to open BankID." in first
    assert "BankID was not opened for a while. You can go on when you are ready." in last
    assert "Show a new code" in last
