"""What was there when a person began to wait, and is there no more."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from idbroker.clock import StoppedClock
from tests.app_door import Apps, open_apps
from tests.app_eids import open_eids
from tests.conftest import NOW
from tests.door import words_of


@pytest.fixture
def apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apps]:
    """Open a broker of its own: these tests take things from it."""
    with (
        open_eids(tmp_path_factory.mktemp("eids"), StoppedClock(NOW)) as eids,
        open_apps(tmp_path_factory.mktemp("one"), eids) as opened,
    ):
        yield opened


def test_an_eid_that_was_taken_out_of_the_configuration(apps: Apps) -> None:
    """A page that waits for an app we no longer have leads to the choice, by script and without, and is no fault."""
    visit = apps.visit()
    apps.workers[0].house.providers.pop("bankid")  # type: ignore[attr-defined]

    assert visit.news() == {"to": "wait"}
    page = visit.browser.get(f"/t/{visit.name}/wait")
    assert (page.status_code, page.url.rpartition("/")[2]) == (200, "choose")
    assert "Freja" in words_of(page)


def test_few_requests_wait_for_news(apps: Apps) -> None:
    """Whoever presses again and again does not hold every thread: beyond a few, a press is answered at once."""
    visit, site = apps.visit(), apps.workers[0].site
    patient: threading.BoundedSemaphore = site.waits.patient
    held = 0
    while patient.acquire(blocking=False):
        held += 1
    before = apps.clock.now()
    visit.press()
    for _ in range(held):
        patient.release()

    assert held == 8
    assert apps.clock.now() == before
