"""Two at once on a transaction that waits: the lookout and the person, two tabs, two workers (E5)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from idbroker.clock import StoppedClock
from idbroker.errors import StoreError
from idbroker.keeping import Kept
from idbroker.lookout import Order
from idbroker.providers import Wait
from idbroker.steps import Answered
from idbroker.transaction import Progress, Stage, Transaction
from idbroker.waits import Waits
from tests.app_door import HOME, PHONE, Apps, Visit, open_apps, was_answered
from tests.app_eids import Eids, eventually, open_eids, pause
from tests.conftest import NOW
from tests.door import answer_of, at_once, form_of
from tests.taking_turns import Turns


class Interfering:
    """A real store, in which something else happens just before a transaction is replaced for the nth time."""

    def __init__(self) -> None:
        self._store: Any = None
        self._acts: list[Callable[[], object] | None] = []
        self._busy = threading.Lock()
        self._lost = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def before(self, store: Any) -> Any:
        """Take the place of a store."""
        self._store = store
        return self

    def plan(self, *acts: Callable[[], object] | None) -> None:
        """Say what is to happen before the next replacements, one after another."""
        self._acts = list(acts)

    @property
    def done(self) -> bool:
        """Tell whether all of it has happened."""
        return not self._acts

    def swap(self, key: str, old: bytes | None, new: bytes, life: timedelta) -> bool:
        """Replace, after what happens before."""
        if self._acts and key.startswith("t:") and self._busy.acquire(blocking=False):
            act = self._acts.pop(0)
            try:
                if act is not None:
                    act()
            finally:
                self._busy.release()
            if self._lost:
                self._lost = False
                self._store.swap(key, old, new, life)
                raise StoreError("the answer is lost")
        return bool(self._store.swap(key, old, new, life))

    def lose_the_answer(self) -> None:
        """Have the replacement done, and nobody told."""
        self._lost = True


@pytest.fixture(scope="module")
def eids(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Eids]:
    """Serve the eIDs once."""
    with open_eids(tmp_path_factory.mktemp("eids"), StoppedClock(NOW)) as opened:
        yield opened


@pytest.fixture(scope="module")
def between() -> Interfering:
    """Give what stands before the store."""
    return Interfering()


@pytest.fixture(scope="module")
def shared(eids: Eids, between: Interfering, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apps]:
    """Open the broker once."""
    with open_apps(tmp_path_factory.mktemp("races"), eids, watched=between.before) as opened:
        yield opened


@pytest.fixture
def apps(shared: Apps, between: Interfering) -> Iterator[Apps]:
    """Give it, healed afterwards."""
    yield shared
    between.plan()
    shared.eids.heal()


def waits_of(apps: Apps) -> Waits:
    """Return who begins and ends orders."""
    return apps.workers[0].site.waits


def loaded(visit: Visit) -> Kept[Transaction]:
    """Return a transaction as a request has it that was loaded now, and goes on later."""
    kept = visit.apps.workers[0].site.broker.transactions.get(visit.name)
    assert kept is not None
    return kept


def speak(visit: Visit, language: str = "") -> None:
    """Switch the language, to another by default."""
    kept = loaded(visit)
    other = "fi" if kept.value.language != "fi" else "sv"
    visit.apps.workers[0].site.broker.say_in(kept, language or other)


# ---- the lookout and the person ------------------------------------------------------------------


def until_opened(visit: Visit) -> None:
    """Have somebody open the order, and the lookout write that down."""
    order = visit.phone.scan(visit.code())
    visit.phone.act(order.id, visit.apps.eids.people["bjorn"], "open")
    eventually(lambda: _progress(visit) is Progress.OPENED, visit.apps.clock)


def _progress(visit: Visit) -> Progress | None:
    wait = visit.apps.kept(visit.name).wait
    return wait.progress if wait else None


@pytest.mark.parametrize("press", ["cancel", "back", "again", "lang"])
def test_a_press_is_not_lost_to_the_lookout(apps: Apps, press: str) -> None:
    """The lookout writes between a request's reading and its writing: what the person pressed counts all the same."""
    visit, site = apps.visit(), apps.workers[0].site
    kept, wait = loaded(visit), apps.kept(visit.name).wait
    assert wait is not None
    until_opened(visit)
    if press == "cancel":
        site.broker.cancel(kept)
    elif press == "back":
        site.broker.back(kept)
    elif press == "again":
        site.broker.again(kept, wait.device, "nonce", wait.visitor)
    else:
        site.broker.say_in(kept, "fi")

    now = apps.kept(visit.name)
    happened = {
        "cancel": now.stage is Stage.STOPPED,
        "back": now.stage is Stage.OPEN,
        "again": now.handle != kept.value.handle,
        "lang": now.language == "fi",
    }
    assert happened[press]


def test_switching_language_loses_no_proof(apps: Apps) -> None:
    """Somebody who presses languages all the while is signed in: what the eID tells once is written down in the end."""
    visit = apps.visit()
    visit.scan()
    tabs = [{**form_of(visit.page).hidden, "lang": language} for language in ("sv", "fi", "da", "en")]
    apps.clock.move(timedelta(seconds=3))

    def switch() -> None:
        for fields in tabs * 5:
            visit.browser.fetch(visit.page.url, "POST", data=fields)

    at_once(3, switch)

    assert visit.until(go=True)
    assert was_answered(visit.press())
    assert visit.wire.count("collect", visit.reference if apps.kept(visit.name).wait else "") >= 1


@pytest.mark.parametrize("writes", [1, 9, 10, 25])
def test_a_proof_outlasts_every_other_writer(apps: Apps, between: Interfering, writes: int) -> None:
    """However often others write in the very moment before, the proof is written, and BankID asked once for it."""
    visit = apps.visit()
    reference = visit.reference
    visit.scan()
    between.plan(*[lambda: speak(visit)] * writes)
    visit.until_proved()

    assert visit.wire.count("collect", reference) == 1
    assert between.done
    assert was_answered(visit.press())


@pytest.mark.parametrize("writes", [1, 9, 10, 25])
def test_words_outlast_every_other_writer(apps: Apps, between: Interfering, writes: int) -> None:
    """The same for what went wrong: the person reads why, and the audit trail has it once."""
    visit = apps.visit()
    visit.scan(outcome="certificateErr")
    between.plan(*[lambda: speak(visit)] * writes)
    visit.until(to="choose")

    assert between.done
    notice = apps.kept(visit.name).notice
    assert notice is not None
    assert notice.key == "b.e.cert"
    assert apps.events(visit.name) == ["provider.failed bankid_cert"]


@pytest.mark.parametrize("press", ["cancel", "back", "again"])
def test_an_order_made_in_that_moment_is_not_left(apps: Apps, press: str) -> None:
    """The lookout renews the order between a request's reading and its writing: the new one does not stay behind."""
    visit, broker = apps.visit("freja"), apps.workers[0].site.broker
    kept, wait = loaded(visit), apps.kept(visit.name).wait
    assert wait is not None
    for _ in range(6):
        visit.news()
        apps.go(timedelta(seconds=20))
    assert apps.kept(visit.name).provider_state != kept.value.provider_state
    act = {"cancel": broker.cancel, "back": broker.back}
    act[press](kept) if press in act else broker.again(kept, wait.device, "nonce", wait.visitor)
    for _ in range(6):
        apps.go(timedelta(seconds=2.5))

    eventually(lambda: len(visit.waiting()) == (press == "again"))


def test_a_store_that_drops_the_answer_of_a_renewal(apps: Apps, between: Interfering) -> None:
    """The store renewed an order and its answer was lost: the new one is watched, not cancelled, and not made twice."""
    visit = apps.visit()
    apps.go(timedelta(seconds=25))
    visit.news()
    between.plan(between.lose_the_answer)
    apps.go(timedelta(seconds=6))
    apps.go(timedelta(seconds=6))

    assert between.done
    assert visit.wire.count("auth") - visit.wire.count("cancel") >= 2
    assert [order.code for order in visit.waiting()] == [visit.code()]
    visit.scan()
    visit.until(go=True)
    assert was_answered(visit.press())


# ---- two tabs ------------------------------------------------------------------------------------


def in_another_tab(visit: Visit, url: str) -> Callable[[], None]:
    """Return what has another tab ask for an address, and waits until the broker has worked on that for a while."""

    def act() -> None:
        threading.Thread(target=visit.browser.fetch, args=(url,), daemon=True).start()
        pause(0.3)

    return act


def test_the_app_returns_while_the_page_goes_on(apps: Apps, between: Interfering) -> None:
    """On a phone the app leads to a new tab as the first one wakes and goes on by itself: it gets its code."""
    visit = apps.visit(browser=apps.browser(HOME, PHONE))
    back = visit.follow(ip=HOME) or ""
    visit.until(go=True)
    # Before what is granted is kept, that is after the proof was taken.
    between.plan(None, in_another_tab(visit, back))
    first = visit.press()

    assert between.done
    assert was_answered(first)
    assert answer_of(visit.browser.get(back)) == answer_of(first)
    assert apps.events(visit.name) == ["signin.granted"]


def test_a_switch_of_language_while_the_page_goes_on(apps: Apps, between: Interfering) -> None:
    """Another tab switches the language in the very moment: the sign-in is granted all the same."""
    visit = apps.visit()
    visit.scan()
    visit.until(go=True)
    between.plan(None, lambda: speak(visit))

    assert was_answered(visit.press())
    assert apps.events(visit.name) == ["signin.granted"]


def test_cancel_while_the_page_goes_on(apps: Apps, between: Interfering) -> None:
    """E5: Cancel in another tab in the very moment: the portal is told that, and that alone."""
    visit = apps.visit()
    visit.scan()
    visit.until(go=True)
    answers = []
    between.plan(None, lambda: answers.append(visit.ask("cancel")))
    answers.append(visit.press())

    assert [answer_of(answer).get("error") for answer in answers] == ["access_denied"] * 2
    assert apps.kept(visit.name).stage is Stage.STOPPED


def test_the_audit_trail_of_a_cancel_in_that_moment(apps: Apps, between: Interfering) -> None:
    """E5: what the portal was told is what the audit trail says: a sign-in that came too late is undone there."""
    visit = apps.visit()
    visit.scan()
    visit.until(go=True)
    between.plan(None, lambda: visit.ask("cancel"))
    visit.press()

    assert sorted(apps.events(visit.name)) == ["signin.cancelled access_denied", "signin.granted", "signin.undone"]


def test_cancel_and_going_on_in_every_order(eids: Eids, tmp_path_factory: pytest.TempPathFactory) -> None:
    """E5: whatever the order of their steps, Cancel and going on have one outcome, and no request tells another."""
    box: list[Turns] = []

    with open_apps(tmp_path_factory.mktemp("turns"), eids, watched=lambda store: Switched(store, box)) as apps:
        visit, site = apps.visit(), apps.workers[0].site
        visit.scan()
        visit.until_proved()
        transaction = apps.kept(visit.name)
        for order in product((0, 1), repeat=5):
            kept = site.broker.transactions.put(visit.name, transaction, timedelta(minutes=5))
            box[:] = [Turns(order)]
            steps = box[0].run(
                lambda kept=kept: site.broker.cancel(kept),  # type: ignore[misc]
                lambda kept=kept: site.waits.finish(kept, None),  # type: ignore[misc]
            )
            box.clear()
            outcome = apps.kept(visit.name).outcome
            assert outcome is not None
            answered = [step.response.parameters for step in steps if isinstance(step, Answered)]
            # Who comes in the middle of going on is shown the page that waits, which goes on.
            assert answered in ([outcome.parameters], [outcome.parameters] * 2), order
    eids.heal()


class Switched:
    """A real store whose calls wait for their turn, while there are turns."""

    def __init__(self, store: Any, box: list[Turns]) -> None:
        self._store, self._box = store, box

    def __getattr__(self, name: str) -> Any:
        return getattr(self._box[0].watch(self._store) if self._box else self._store, name)


# ---- two workers ---------------------------------------------------------------------------------


def test_what_another_worker_was_told_counts(apps: Apps) -> None:
    """Two workers asked at once: the one that hears "no such order" does not undo what the other was told."""
    visit, waits = apps.visit(), waits_of(apps)
    stale = loaded(visit)
    visit.scan()
    visit.until_proved()
    held_up = _order(apps, stale)
    waits.learnt(held_up, waits.look(held_up))

    assert apps.events(visit.name) == []
    assert was_answered(visit.press())


def test_a_worker_that_was_held_up_changes_nothing(apps: Apps) -> None:
    """A worker that finds an order lapsed which another has long renewed makes no further one, and hides no code."""
    visit, waits = apps.visit("freja"), waits_of(apps)
    stale = loaded(visit)
    for _ in range(7):
        visit.news()
        apps.go(timedelta(seconds=20))
    renewed = apps.kept(visit.name)
    held_up = _order(apps, stale)
    found = waits.look(held_up)
    waits.learnt(held_up, found)
    apps.go(timedelta(seconds=2.5))

    assert isinstance(found, Wait)
    assert found.progress is Progress.LAPSED
    assert apps.kept(visit.name) == renewed
    assert renewed.provider_state != stale.value.provider_state
    eventually(lambda: len(visit.waiting()) == 1)


def _order(apps: Apps, kept: Kept[Transaction]) -> Order:
    provider = kept.value.provider or ""
    app: Any = apps.workers[0].house.providers[provider]
    return Order(kept=kept, provider=provider, app=app, pace=2.0, lock="none", checked_at=0.0)
