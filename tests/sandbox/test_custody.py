"""Custody in the sandbox: one truth for all its registers, which scripts change while people are logged in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from idbroker.errors import Unreachable, Untrusted
from idbroker.sandbox.custody import Custodies, Custody, NoSuchPair
from idbroker.sandbox.people import cast
from idbroker.sandbox.register import LIFE, NAME
from tests.sandbox.register_house import CLINICS, NOW, TODAY, Folk, folk
from tests.sandbox.running import Browser, Sandbox
from tests.sandbox.test_portals_swedish import MOST_LOOKS, VISIT


@pytest.fixture
def village(tmp_path: Path) -> Iterator[Folk]:
    """Give the register of the cast as new."""
    with folk(tmp_path) as village:
        yield village


@pytest.fixture
def custody() -> Custodies:
    """Give the custody of the cast."""
    return Custodies(cast(TODAY))


# ---- the one truth ---------------------------------------------------------------------------------


def test_taken_away_and_given_back(custody: Custodies) -> None:
    """A care order is seen at the next question, and its end as well; nobody else's custody changes."""
    before = custody.all()

    custody.change("bjorn", "saga", {"barred": "care_order"})
    barred = custody.between("bjorn", "saga")
    assert barred is not None
    assert (barred.barred, barred.holds) == ("care_order", False)
    assert [one for one in custody.all() if one != barred] == [
        one for one in before if one.ward != "saga" or one.guardian != "bjorn"
    ]

    custody.change("bjorn", "saga", {"barred": ""})
    assert custody.all() == before


@pytest.mark.parametrize("what", ["deceased", "protected"])
def test_what_is_the_wards(custody: Custodies, what: str) -> None:
    """A death, or a protection, is the ward's own: every guardian's register has it at once."""
    custody.change("bjorn", "saga", {what: True})

    assert {getattr(one, what) for one in custody.guardians_of("saga")} == {True}
    assert len(custody.guardians_of("saga")) == 3
    assert not any(one.holds for one in custody.guardians_of("saga"))


def test_a_new_pair(custody: Custodies) -> None:
    """Two of the cast become a pair by a relation; what is the ward's own holds for it too."""
    made = custody.change("anna", "love", {"relation": "foster", "until": "2027-06-01", "powers": ["booking"]})

    assert made == Custody(
        guardian="anna", ward="love", relation="foster", until=date(2027, 6, 1), powers=("booking",), protected=True
    )
    assert made in custody.wards_of("anna")


@pytest.mark.parametrize(
    ("guardian", "ward", "wish"),
    [
        ("anna", "saga", {"barred": ""}), ("nobody", "saga", {"relation": "custody"}),
        ("anna", "nobody", {"relation": "custody"}), ("anna", "anna", {"relation": "custody"}),
    ],
)  # fmt: skip
def test_no_such_pair(custody: Custodies, guardian: str, ward: str, wish: dict[str, Any]) -> None:
    """Who is nobody of the cast, oneself, or a stranger without a relation, is no pair."""
    with pytest.raises(NoSuchPair):
        custody.change(guardian, ward, wish)


@pytest.mark.parametrize(
    "wish",
    [
        {}, {"barrred": ""}, {"barred": None}, {"barred": "moved"}, {"barred": ["care_order"]}, {"deceased": "yes"},
        {"protected": 1}, {"until": "soon"}, {"until": 20270101}, {"powers": "all"}, {"powers": [1]},
        {"relation": "uncle"}, {"relation": None},
    ],
)  # fmt: skip
def test_strange_wishes(custody: Custodies, wish: dict[str, Any]) -> None:
    """A misspelt wish changes nothing, and says what would do: a test of a change that was not made proves nothing."""
    before = custody.all()

    with pytest.raises(ValueError, match=r"is one of|is a day|is a list|are true|send what|unknown setting"):
        custody.change("bjorn", "saga", wish)
    assert custody.all() == before


# ---- the register ----------------------------------------------------------------------------------


def test_a_change_is_seen_at_once(village: Folk) -> None:
    """What a script changes, the register says at the very next question; the answer is good for twenty seconds."""
    answer = village.register.about(village.guardian("sara"), village.number("wilma"), CLINICS["SE"], NOW)
    assert [tie.barred for tie in answer.ties] == [""]
    assert answer.good_until == NOW + timedelta(seconds=LIFE)

    village.custody.change("sara", "wilma", {"barred": "withdrawn"})

    assert [tie.barred for tie in village.about("sara", "wilma")] == ["withdrawn"]


def test_strangers_are_no_pair(village: Folk) -> None:
    """Of two people who have nothing to do with one another the register says nothing at all."""
    assert village.about("sara", "saga") == ()
    assert village.wards("samir") == {}


def test_another_ward(village: Folk) -> None:
    """A register that tells of a ward nobody asked about is not listened to: there is no tie."""
    village.faults.set(NAME, {"lies": ["other_ward"]})

    assert [tie.number for tie in village.about("sara", "wilma")] == [village.number("wilma")]


@pytest.mark.parametrize(
    "lie", ["nonsense", "wrong_types", "bad_number", "doubled", "too_many", "too_large", "long_life"]
)
def test_lies(village: Folk, lie: str) -> None:
    """Each lie of the simulator is one that the product does not believe."""
    village.faults.set(NAME, {"lies": [lie]})

    with pytest.raises(Untrusted):
        village.wards("sara")


@pytest.mark.parametrize("fault", [{"down": True}, {"status": 401}, {"status": 500}])
def test_down(village: Folk, fault: dict[str, Any]) -> None:
    """A register that is down, or knows us no more, does not answer."""
    village.faults.set(NAME, fault)

    with pytest.raises(Unreachable):
        village.wards("sara")


def test_another_token(sandbox: Sandbox) -> None:
    """The register of a running sandbox answers nobody without its token."""
    where = f"{sandbox.ready['sms']}/{NAME}/guardians"
    asked = {"guardian": {"country": "SE", "number": "198706192393"}}

    for headers in ({}, {"Authorization": "Bearer x"}):
        assert requests.post(where, json=asked, headers=headers, timeout=10).status_code == 401


# ---- scripts ---------------------------------------------------------------------------------------


def test_scripts_read_it(sandbox: Sandbox) -> None:
    """Scripts read every pair, with all that the registers have of it."""
    told = sandbox.call("GET", "custody").json()

    assert {
        "guardian": "rebecka", "ward": "milo", "relation": "custody", "barred": "care_order", "powers": [],
        "until": None, "protected": False, "deceased": False,
    } in told  # fmt: skip


def test_scripts_change_it_until_a_reset(sandbox: Sandbox) -> None:
    """A change is answered with what holds now, and a reset makes it as new."""
    before = sandbox.call("GET", "custody").json()

    changed = sandbox.call("PUT", "custody/bjorn/saga", {"deceased": True})
    assert (changed.status_code, changed.json()["deceased"]) == (200, True)
    assert sandbox.call("GET", "custody").json() != before

    sandbox.call("POST", "reset")
    assert sandbox.call("GET", "custody").json() == before


@pytest.mark.parametrize(
    ("path", "wish", "status", "words"),
    [
        ("custody/bjorn/saga", {"barred": "moved"}, 400, "care_order"),
        ("custody/bjorn/saga", {}, 400, "send what is to change"),
        ("custody/bjorn/saga", {"who": 1}, 400, "unknown setting"),
        ("custody/bjorn/nobody", {"barred": ""}, 404, "GET custody"),
        ("custody/anna/saga", {"barred": ""}, 404, "relation"),
    ],
)
def test_scripts_are_told(sandbox: Sandbox, path: str, wish: dict[str, Any], status: int, words: str) -> None:
    """What cannot be is refused, with what to send instead."""
    refused = sandbox.call("PUT", path, wish)

    assert (refused.status_code, words in refused.json()["error"]) == (status, True)


# ---- in the middle of a login ----------------------------------------------------------------------


def logged_in(sandbox: Sandbox, browser: Browser, person: str) -> Browser:
    """Go to Min Hälsa by BankID, up to the question whom it is about if it comes."""
    browser.open(sandbox.portal("minhalsa", VISIT)).press(provider="bankid")
    order = next(one for one in sandbox.call("GET", "orders").json() if one["provider"] == "bankid")
    sandbox.call("POST", f"orders/{order['id']}", {"person": person, "outcome": "approve"})
    for _ in range(MOST_LOOKS):
        if not browser.page.url.startswith(sandbox.issuer) or "/wait" not in browser.page.url:
            break
        browser.press("check", do="check")
    return browser


def test_whom_it_may_be_about(sandbox: Sandbox, browser: Browser) -> None:
    """Björn is asked whether it is about him or Saga; of Alma, who died, no word is said."""
    logged_in(sandbox, browser, "bjorn")

    assert 'name="who"' in browser.page.text
    assert "Saga" in browser.text
    assert "Alma" not in browser.text


@pytest.mark.parametrize("person", ["patrik", "rebecka", "hampus", "samir"])
def test_nobody_to_act_for(sandbox: Sandbox, browser: Browser, person: str) -> None:
    """A protected child, a care order, no custody, no child at all: each goes straight in, and sees the same."""
    logged_in(sandbox, browser, person)

    assert browser.page.url == sandbox.portal("minhalsa", VISIT)


def test_changed_while_the_page_is_open(sandbox: Sandbox, browser: Browser) -> None:
    """Sara's custody is taken away while she reads the page: once the answer is stale, Wilma is not hers to choose."""
    logged_in(sandbox, browser, "sara")
    assert "Wilma" in browser.text
    sandbox.call("PUT", "custody/sara/wilma", {"barred": "withdrawn"})
    sandbox.call("PUT", "clock", {"plus": LIFE + 1})

    browser.press("who", who="0", do="chosen")

    assert browser.page.url.startswith(sandbox.issuer)
    assert "Wilma" not in browser.text
    assert "withdrawn" not in browser.page.text


def test_the_register_is_down(sandbox: Sandbox, browser: Browser) -> None:
    """While the register does not answer, nobody but oneself is offered, and the page says so."""
    sandbox.call("PUT", f"faults/{NAME}", {"down": True})

    logged_in(sandbox, browser, "bjorn")

    assert 'name="who"' in browser.page.text
    assert "Saga" not in browser.text
    assert "+46 980 31 92 10" in browser.text
