"""Logging out while the eID is down, or says what cannot be believed: our part ends, and words say how to be safe."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.journeys.moves import Visitor
from tests.journeys.neighbours import Neighbours
from tests.journeys.test_logout import EIDS, Eid, is_over, is_told, log_in, say_yes_at_the_eid
from tests.sandbox.running import Sandbox

pytestmark = pytest.mark.browser


@pytest.fixture
def broken(sandbox: Sandbox) -> Iterator[Sandbox]:
    """Give the sandbox, and heal afterwards what was broken in it."""
    yield sandbox
    for eid in ("suomifi", "borgeradgang"):
        assert sandbox.call("PUT", f"faults/{eid}", {}).status_code == 200


@EIDS
@pytest.mark.parametrize("lie", ["logout_partial", "logout_unknown_key"])
def test_not_confirmed(broken: Sandbox, visitor: Visitor, eid: Eid, lie: str) -> None:
    """An answer that does not say that all is over leads to our page: it says so, how to be safe, and leads on."""
    page = visitor.page
    log_in(broken, visitor, eid)
    broken.call("PUT", f"faults/{eid.name}", {"lies": [lie]})
    page.locator("form[action$='/logout'] button").click()
    say_yes_at_the_eid(visitor, eid)
    unsure = visitor.arrive(f"main p:has(b:text-is('{eid.title}'))")

    expect(unsure).to_have_text(eid.unsure)
    page.locator("main a.btn").click()
    expect(page).to_have_url(f"{broken.portal(eid.portal, 'goodbye')}?{page.url.partition('?')[2]}")


@EIDS
def test_down(broken: Sandbox, street: Neighbours, visitor: Visitor, eid: Eid) -> None:
    """An eID that is down holds nothing of ours up; once it is back, asking for a logout ends its session too."""
    page, told, framed = visitor.page, street.told[eid.name], street.framed[eid.name]
    log_in(broken, visitor, eid, told, framed)
    broken.call("PUT", f"faults/{eid.name}", {"down": True})
    page.goto(f"{broken.issuer}/logout")
    page.locator("button[name=confirm][value=yes]").click()
    visitor.arrive("body:has-text('simulated fault')")
    is_told(page, told.door)
    is_told(page, framed.door)
    # 503 is what the eID says, in the console too.
    visitor.said[:] = [what for what in visitor.said if "503" not in what]

    broken.call("PUT", f"faults/{eid.name}", {})
    page.goto(f"{broken.issuer}/logout")
    say_yes_at_the_eid(visitor, eid)
    visitor.arrive(f"main p:has-text('{eid.title}')")
    is_over(broken, visitor, eid, told)
