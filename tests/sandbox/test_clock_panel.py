"""The clock panel says what the coming midnights change for the cast, and goes there."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from idbroker.clinic import Clinic
from idbroker.sandbox.custody import Custodies
from idbroker.sandbox.midnight import Calendar, Midnight
from idbroker.sandbox.people import cast
from tests.sandbox.running import Browser, Sandbox

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
COPENHAGEN, HELSINKI = ZoneInfo("Europe/Copenhagen"), ZoneInfo("Europe/Helsinki")


def calendar(custody: Custodies | None = None, ages: dict[str, int] | None = None) -> Calendar:
    """Return the calendar of a cast of that day, at clinics with their countries' ages or others."""
    people = cast(NOW.date())
    clinics = tuple(
        Clinic(id=country.lower(), name=country, country=country, providers=(), ages=ages or {})
        for country in ("DK", "SE", "FI")
    )
    return Calendar(people=people, custody=custody or Custodies(people), clinics=clinics)


def words(midnight: Midnight) -> dict[str, str]:
    """Return what a midnight changes, by name."""
    return {change.name: change.words for change in midnight.changes}


def test_the_next_midnight() -> None:
    """At the next midnight Mie turns 15: her password ends, and MitID opens to her; in Finland nothing changes."""
    north, finland = calendar().next(NOW)

    assert words(north) == {
        "Mie Midnatsen": "turns 15: the password made for them works no more; MitID is open to them"
    }
    assert words(finland) == {}
    assert (north.day, finland.day) == (date(2026, 11, 23), date(2026, 11, 23))


def test_the_last_midnight() -> None:
    """What the last midnight changed stands there too: Taimi is 12, and both her parents act for her no more."""
    (finland,) = calendar().last(NOW)

    assert words(finland) == {
        "Taimi Kaksostesti": "turns 12: suomi.fi is open to them; Leena and Heikki act for them no more"
    }


def test_moments_are_local() -> None:
    """The buttons lead to a minute before, and a second past, local midnight: an hour earlier in Finland."""
    north, finland = calendar().next(NOW)

    assert north.before.astimezone(COPENHAGEN).isoformat() == "2026-11-22T23:59:00+01:00"
    assert finland.after.astimezone(HELSINKI).isoformat() == "2026-11-23T00:00:01+02:00"
    assert north.after - finland.after == timedelta(hours=1)


def test_an_hour_apart() -> None:
    """Between the two midnights it is tomorrow in Finland already, and still today in Denmark."""
    north, finland = calendar().next(datetime(2026, 11, 22, 22, 30, tzinfo=UTC))

    assert (north.day, finland.day) == (date(2026, 11, 23), date(2026, 11, 24))


def test_later_midnights() -> None:
    """Those after that come in order, each of them changes something, and a leap day's birthday is on 1 March."""
    later = calendar().later(NOW, 3)

    assert [one.day for one in later] == sorted(one.day for one in later)
    assert all(any(change.words for change in one.changes) for one in later)
    assert {"Stina Skottdagsson": "turns 13: Anders acts for them no more"} in [words(one) for one in later]
    assert date(2029, 3, 1) in [one.day for one in later]


def test_custody_counts() -> None:
    """Whoever may not act any more is not said to lose it; a register's own last day is said."""
    custody = Custodies(cast(NOW.date()))
    custody.change("anders", "stina", {"barred": "withdrawn"})
    custody.change("sara", "wilma", {"until": "2026-11-23"})

    north = calendar(custody).next(NOW)[0]
    assert words(north)["Sara Växlingsson"] == "acts for Wilma no more, says the register"
    assert all("Stina Skottdagsson" not in words(one) for one in calendar(custody).later(NOW, 9))


def test_the_clinics_own_ages() -> None:
    """A clinic with other ages has other midnights: the panel counts by those."""
    north, _ = calendar(ages={"code_until": 16, "eid_from": 16}).next(NOW)

    assert words(north) == {"Mie Midnatsen": ""}


# ---- the page --------------------------------------------------------------------------------------


def _at(browser: Browser, label: str) -> str:
    """Return the moment that a button leads to."""
    before = browser.page.text.partition(f">{label}<")[0]
    return before.rpartition('name="at" value="')[2].partition('"')[0]


def test_past_midnight(sandbox: Sandbox, browser: Browser) -> None:
    """The panel says what midnight will change; one press goes there, and it says what midnight has changed."""
    browser.open(f"{sandbox.issuer}/sandbox/clock")
    assert "Mie Midnatsen turns 15" in browser.text.partition("At the next midnight")[2]

    browser.press("past midnight", at=_at(browser, "Denmark and Sweden: past midnight"))

    assert browser.page.status_code == 200
    assert "00:00:" in browser.text
    assert "Mie Midnatsen turns 15" in browser.text.partition("At the next midnight")[0]


def test_a_minute_before(sandbox: Sandbox, browser: Browser) -> None:
    """One press goes to a minute before midnight, where nothing has changed yet."""
    browser.open(f"{sandbox.issuer}/sandbox/clock")

    browser.press("a minute before", at=_at(browser, "Denmark and Sweden: a minute before"))

    assert "23:59:" in browser.text
    assert "Mie Midnatsen turns 15" in browser.text.partition("At the next midnight")[2]


@pytest.mark.parametrize("at", ["", "midnight", "2026-11-22T23:59:00", "9999-12-31T23:59:59Z"])
def test_no_moment(sandbox: Sandbox, browser: Browser, at: str) -> None:
    """What is no moment with a zone, or far away, moves nothing and is told."""
    browser.open(f"{sandbox.issuer}/sandbox/clock")

    browser.press("past midnight", at=at)

    assert browser.page.status_code == 400
    assert "That is no moment" in browser.text


def test_families(sandbox: Sandbox, browser: Browser) -> None:
    """The switch on Families takes custody away and gives it back, in what scripts read as well."""
    browser.open(f"{sandbox.issuer}/sandbox/families")
    sandbox.touched.append("families")

    for barred in ("withdrawn", ""):
        browser.press("Sara, Wilma", barred=barred)
        told = {(one["guardian"], one["ward"]): one["barred"] for one in sandbox.call("GET", "custody").json()}
        assert told["sara", "wilma"] == barred
        assert ("Give custody: Sara, Wilma" in browser.page.text) is bool(barred)


def test_people(sandbox: Sandbox, browser: Browser) -> None:
    """People says of everybody whose guardian they are, and whose not."""
    browser.open(f"{sandbox.issuer}/sandbox/people")

    for line in (
        "Guardian of Saga (grandparent)", "Guardian of Saga · Guardian of Alma (died)",
        "No guardian of Tuva · No guardian of Ture", "Guardian of Love (protected)",
    ):  # fmt: skip
        assert line in browser.text, line
