"""Attacks on sign-ins that wait for an app: the link that was sent, what pages hold, the order of another (E1-E4)."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import pytest

from idbroker.clock import StoppedClock
from idbroker.errors import StoreError
from idbroker.providers import Binding
from idbroker.sandbox.orders import Unreadable
from idbroker.web.qr import BLANK
from tests.app_door import ELSEWHERE, HOME, PHONE, Apps, Visit, open_apps, was_answered
from tests.app_eids import Eids, open_eids
from tests.conftest import NOW
from tests.door import Browser, answer_of, words_of

ATTACKER = "203.0.113.66"
EIDS = ("bankid", "freja")
NOT_HERE = "We could not see that"


@pytest.fixture(scope="module")
def eids(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Eids]:
    """Serve the eIDs once."""
    with open_eids(tmp_path_factory.mktemp("eids"), StoppedClock(NOW)) as opened:
        yield opened


@pytest.fixture(scope="module", params=list(Binding))
def binding(request: pytest.FixtureRequest) -> Binding:
    """Give each of what an operator may demand."""
    return Binding(request.param)


@pytest.fixture(scope="module")
def bound(binding: Binding, eids: Eids, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apps]:
    """Open the broker once with each binding."""
    by_freja = {"binding": binding.value, "network_info": True}
    folder = tmp_path_factory.mktemp(binding.value)
    with open_apps(folder, eids, bankid={"binding": binding.value}, freja=by_freja) as opened:
        yield opened


@pytest.fixture
def strict(bound: Apps) -> Iterator[Apps]:
    """Give the broker with one of the bindings, healed afterwards."""
    yield bound
    bound.eids.heal()


@pytest.fixture(scope="module")
def shared(eids: Eids, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apps]:
    """Open the broker once as it is without a word in the configuration."""
    with open_apps(tmp_path_factory.mktemp("apps"), eids) as opened:
        yield opened


@pytest.fixture
def apps(shared: Apps) -> Iterator[Apps]:
    """Give it, healed afterwards."""
    yield shared
    shared.eids.heal()


def attacks(visit: Visit) -> list[bool]:
    """Do all that whoever began can do with a result that is not theirs; tell of each whether it brought a code."""
    browser, name, handle = visit.browser, visit.name, secrets.token_urlsafe(16)
    callback = f"/callback/{visit.eid}"
    tried = [
        visit.press(),
        visit.press(""),
        browser.get(f"/t/{name}/choose"),
        browser.get(f"{callback}?state={name}.{handle}"),
        browser.get(f"{callback}?state={name}."),
        browser.get(f"{callback}?state={name}"),
        browser.post(callback, {"state": f"{name}.{handle}"}),
        browser.get(f"/callback/{'freja' if visit.eid == 'bankid' else 'bankid'}?state={name}.{handle}"),
        visit.ask("open"),
    ]
    return [was_answered(one) for one in tried]


# ---- E1: the link that was sent to somebody ------------------------------------------------------


@pytest.mark.parametrize("eid", EIDS)
def test_a_link_that_was_sent_signs_nobody_in(strict: Apps, eid: str) -> None:
    """E1: whoever begins and has somebody elsewhere approve gets no code by asking, pressing, guessing or waiting."""
    visit = strict.visit(eid, strict.browser(ATTACKER), do="this")
    back = visit.follow(ip=HOME)
    visit.until_proved()

    assert not any(attacks(visit))
    assert visit.news()["go"] is False
    assert back is not None
    landed = strict.browser(HOME, PHONE).get(back)
    assert (landed.status_code, "code=" in landed.text) == (400, False)
    assert "If the other one is still open, go back to it." in words_of(landed)
    strict.clock.move(timedelta(seconds=61))
    given_up = visit.press()
    assert NOT_HERE in words_of(given_up)
    assert not any(attacks(visit))
    assert strict.events(visit.name) == ["provider.failed not_this_device"]


@pytest.mark.parametrize("eid", EIDS)
def test_whoever_begins_cannot_return_by_themselves(apps: Apps, eid: str) -> None:
    """E1: BankID's way back is told to the app alone; Freja's is in its link, and so the address must agree too."""
    visit = apps.visit(eid, apps.browser(ATTACKER), do="this")
    given = visit.link() + given_to(visit)
    handle = str(apps.kept(visit.name).handle).rpartition(".")[2]
    visit.follow(ip=HOME)
    visit.until_proved()
    read = [word for word in re.findall(r"[A-Za-z0-9_-]{22}", given) if word == handle]
    returned = [visit.browser.get(f"/callback/{eid}?state={visit.name}.{word}") for word in read]

    assert not any(was_answered(one) for one in returned)


@pytest.mark.parametrize("eid", EIDS)
def test_behind_one_address(strict: Apps, binding: Binding, eid: str) -> None:
    """E1: behind one address that address is no proof: there only the bindings that want a return stop the link."""
    visit = strict.visit(eid, strict.browser(HOME), do="this")
    visit.follow(ip=HOME)
    visit.until_proved()

    assert any(attacks(visit)) is (binding is Binding.RETURN_OR_IP)


@pytest.mark.parametrize("eid", EIDS)
def test_a_code_is_no_link(apps: Apps, eid: str) -> None:
    """E1: what a QR code says, sent to somebody as a link, opens nothing in their app."""
    visit = apps.visit(eid, apps.browser(ATTACKER))
    with suppress(Unreadable):
        visit.follow(visit.code(), ip=HOME)
        visit.until_proved()

    assert not any(attacks(visit))


def test_a_code_that_moves_is_no_link(eids: Eids, tmp_path_factory: pytest.TempPathFactory) -> None:
    """E1, E2: with `dynamic_qr` the code of Freja's is no link either, and a picture of it soon opens nothing."""
    with open_apps(tmp_path_factory.mktemp("moving"), eids, freja={"dynamic_qr": True}) as apps:
        visit = apps.visit("freja", apps.browser(ATTACKER))
        picture = visit.code()
        with pytest.raises(Unreadable):
            visit.follow(picture, ip=HOME)
        apps.clock.move(timedelta(seconds=15))
        with pytest.raises(Unreadable):
            visit.phone.scan(picture)
    eids.heal()


# ---- E1: the honest person -----------------------------------------------------------------------


@pytest.mark.parametrize("eid", EIDS)
@pytest.mark.parametrize("app_at", [HOME, ELSEWHERE])
def test_the_person_who_returns_is_signed_in(strict: Apps, binding: Binding, eid: str, app_at: str) -> None:
    """E1: the app leads back to the browser that began: a code, unless the address has to be the same and is not."""
    visit = strict.visit(eid, strict.browser(HOME, PHONE))
    back = visit.follow(ip=app_at)
    visit.until_proved()
    returned = visit.browser.get(back or "")

    assert was_answered(returned) is (binding is not Binding.RETURN_AND_IP or app_at == HOME)


@pytest.mark.parametrize("eid", EIDS)
def test_the_app_leads_to_another_browser(strict: Apps, binding: Binding, eid: str) -> None:
    """B6: no code reaches that browser; the first goes on by its address alone, where that is enough."""
    visit = strict.visit(eid, strict.browser(HOME, PHONE))
    back = visit.follow(ip=HOME)
    visit.until_proved()
    other = strict.browser(HOME, PHONE).get(back or "")

    assert "If the other one is still open, go back to it." in words_of(other)
    assert not was_answered(other)
    assert visit.news()["go"] is (binding is Binding.RETURN_OR_IP)
    assert was_answered(visit.press()) is (binding is Binding.RETURN_OR_IP)


def test_an_address_has_one_spelling(apps: Apps) -> None:
    """E1: an IPv4 address that a proxy spells inside IPv6 is the same address."""
    visit = apps.visit("bankid", apps.browser(f"::ffff:{HOME}", PHONE))
    visit.follow(ip=HOME)

    assert visit.until(go=True)
    assert was_answered(visit.press())


def test_an_address_is_not_what_a_browser_says(apps: Apps) -> None:
    """E1: of the address header only what our own proxy added counts."""
    visit = apps.visit("bankid", apps.browser(f"{HOME}, {ATTACKER}", PHONE))
    visit.follow(ip=HOME)
    visit.until_proved()

    assert visit.news()["go"] is False
    assert not any(attacks(visit))


@pytest.mark.parametrize("eid", EIDS)
def test_returned_before_the_result(apps: Apps, eid: str) -> None:
    """The app is faster than our next look: the return is remembered, and the page goes on by itself."""
    visit = apps.visit(eid, apps.browser(HOME, PHONE))
    apps.eids.faults.set(eid, {"down": True})
    early = visit.browser.get(visit.follow(ip=ELSEWHERE if eid == "bankid" else HOME) or "")
    apps.eids.faults.clear()

    assert early.url == visit.page.url
    assert visit.until(go=True)
    assert was_answered(visit.press())


@pytest.mark.parametrize("eid", EIDS)
def test_returned_twice(apps: Apps, eid: str) -> None:
    """The same return again gets the same answer, and a third after the code was spent the way to the service."""
    visit = apps.visit(eid, apps.browser(HOME, PHONE))
    back = visit.follow() or ""
    visit.until_proved()
    first, second = visit.browser.get(back), visit.browser.get(back)

    assert was_answered(first)
    assert answer_of(first) == answer_of(second)
    apps.clock.move(timedelta(seconds=61))
    assert "already logged in" in words_of(visit.browser.get(back))
    assert apps.events(visit.name) == ["signin.granted"]


@pytest.mark.parametrize("eid", EIDS)
def test_a_renewed_order_has_a_way_back_of_its_own(apps: Apps, eid: str) -> None:
    """E1: the way back of an order that has lapsed leads to the page, and counts for nothing there."""
    visit = apps.visit(eid, apps.browser(HOME, PHONE))
    first = apps.kept(visit.name).handle
    for _ in range(7):
        visit.news()
        apps.go(timedelta(seconds=20))
    page = visit.browser.get(f"/callback/{eid}?state={first}")
    wait = apps.kept(visit.name).wait

    assert wait is not None
    assert (page.url, wait.returned, apps.kept(visit.name).handle == first) == (visit.page.url, False, False)
    back = visit.follow() or ""
    visit.until_proved()
    assert was_answered(visit.browser.get(back))


# ---- what pages hold -----------------------------------------------------------------------------


def given_to(visit: Visit) -> str:
    """Return all that a browser is given beside the link."""
    answers = [visit.ask(path) for path in ("wait.json", "qr", "open", "wait")]
    return visit.page.text + "".join(f"{one.headers}{one.text}" for one in answers)


SECRETS = {"bankid": ("order", "autostart", "qr_token", "qr_secret"), "freja": ("reference", "secret")}


@pytest.mark.parametrize("eid", EIDS)
def test_pages_with_a_code_hold_no_link(apps: Apps, eid: str) -> None:
    """E1: what opens the app by a link, and the secret of the code, never leave the server but as a drawing."""
    visit = apps.visit(eid)
    state = json.loads(apps.kept(visit.name).provider_state)
    held = given_to(visit)

    assert [part for part in SECRETS[eid] if state[part] in held] == []
    assert "link" not in visit.news()
    assert visit.ask("open").headers["Location"] == f"/t/{visit.name}/wait"


@pytest.mark.parametrize("eid", EIDS)
def test_pages_with_a_link_hold_no_code(apps: Apps, eid: str) -> None:
    """E1: an order for this device has no picture that somebody elsewhere could scan."""
    visit = apps.visit(eid, do="this")
    news = visit.news()

    assert visit.code() == ""
    assert not {"path", "box"} & news.keys()
    assert "<svg" not in visit.ask("qr").text
    assert b"PNG" not in visit.ask("qr.stream").content.replace(BLANK, b"")


# ---- E3: orders of others ------------------------------------------------------------------------


def strangers(apps: Apps, visit: Visit) -> list[Browser]:
    """Return browsers that are not the one: without a cookie, with another transaction's, with that one renamed."""
    other = apps.visit().browser
    renamed = apps.browser()
    values = [cookie.value or "" for cookie in other.session.cookies if cookie.name.startswith("t-")]
    renamed.session.cookies.set(f"t-{visit.name[:8]}", values[0])
    return [apps.browser(), other, renamed]


@pytest.mark.parametrize("do", ["other", "this"])
def test_only_the_browser_that_began_is_told(apps: Apps, do: str) -> None:
    """E3: without its cookie news say nothing, nothing is shown or opened, and leaving or pressing changes nothing."""
    visit = apps.visit(do=do)
    before = apps.kept(visit.name)
    for stranger in strangers(apps, visit):
        foreign = Visit(apps=apps, browser=stranger, page=visit.page)
        assert foreign.news() == {"to": "wait"}
        assert [foreign.ask(path).status_code for path in ("qr", "qr.stream", "open", "wait", "cancel")] == [400] * 5
        for path in ("left", "wait"):
            assert (
                stranger.fetch(f"/t/{visit.name}/{path}", "POST", data={"_n": "a.b", "do": "back"}).status_code == 400
            )
        assert stranger.get(f"/callback/bankid?state={before.handle}").status_code == 400

    assert apps.kept(visit.name) == before
    assert apps.workers[0].lookout.is_seen(visit.name)


def test_a_result_of_another_order_is_not_believed(apps: Apps) -> None:
    """E3, E4: somebody's signed approval, told as the answer about the attacker's order, does not verify there."""
    attacker, victim = apps.visit(browser=apps.browser(ATTACKER)), apps.visit()
    wanted, told = attacker.reference, {}

    def swap(call: str, content: bytes) -> bytes | None:
        said = json.loads(content)
        if call == "collect" and said.get("status") == "complete":
            told.update(said)
        return json.dumps({**told, "orderRef": wanted}).encode() if told and said.get("orderRef") == wanted else None

    attacker.wire.act = swap
    victim.scan()
    victim.until(go=True)
    attacker.until(to="choose")

    assert "We could not use the answer from BankID." in words_of(attacker.browser.get(attacker.page.url))
    assert apps.events(attacker.name) == ["provider.failed untrusted"]
    assert was_answered(victim.press())


@pytest.mark.parametrize("eid", EIDS)
def test_a_transaction_of_another_does_not_open(apps: Apps, eid: str) -> None:
    """E3: what lies in the store for one transaction is of no use under another's name, even to who writes there."""
    attacker, victim = apps.visit(eid, apps.browser(ATTACKER)), apps.visit(eid)
    victim.scan()
    victim.until_proved()
    store = apps.workers[0].house.transient
    stolen = store.get(f"t:{{{victim.name}}}")
    assert stolen is not None
    store.put(f"t:{{{attacker.name}}}", stolen, timedelta(minutes=5))

    assert attacker.ask().status_code == 503
    with pytest.raises(StoreError):
        apps.kept(attacker.name)
