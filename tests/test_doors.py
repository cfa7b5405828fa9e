"""The way in that a person took: registered with the service, named in the request, shown and kept (R64)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from idbroker.client import ConfiguredClients
from idbroker.clock import StoppedClock
from idbroker.request import SigninRequest
from idbroker.store import open_durable
from tests.conftest import NOW
from tests.door import CLIENT, Door, open_door, words_of
from tests.oidc.making import asked, form, make_client, parse_with

PER = {"da": "Egen registrering", "en": "My own registration"}
DOORED = {**CLIENT, "doors": {"per": PER, "contacts": {"en": "My care contacts"}}}


@pytest.fixture
def doored(tmp_path: Path, clock: StoppedClock) -> Iterator[Door]:
    """Give a broker with a service that has two doors."""
    with open_door(tmp_path, clock, clients={"doored": DOORED}) as door:
        yield door


def parsed(door: str) -> SigninRequest:
    """Return the request of a service that has one door, by this one."""
    with closing(open_durable("sqlite:///:memory:", StoppedClock(NOW))) as durable:
        clients = ConfiguredClients([make_client(doors={"per": PER})], durable.clients)
        return parse_with(clients, form({**asked(), "door": door}))


@pytest.mark.parametrize(("named", "kept"), [("per", "per"), ("PER", None), ("other", None), ("<b>", None), ("", None)])
def test_only_registered_doors(named: str, kept: str | None) -> None:
    """A door that is not registered is as none: the person gets in, and no page shows what a link made up."""
    assert parsed(named).door == kept


@pytest.mark.parametrize(
    ("language", "named", "called"),
    [
        ("da", "per", "Egen registrering"), ("en", "per", "My own registration"), ("sv", "per", "My own registration"),
        ("da", "contacts", "My care contacts"), ("da", "else", "Portalen"), ("da", "", "Portalen"),
    ],
)  # fmt: skip
def test_pages_name_the_door(doored: Door, language: str, named: str, called: str) -> None:
    """The login page names the door in the person's language, as the service has registered it."""
    page = doored.browser(language).authorize(client_id="doored", door=named)

    assert called in words_of(page)
    assert "else" not in words_of(page)


@pytest.mark.parametrize(("named", "kept"), [("per", {"door": "per"}), ("else", {})])
def test_the_trail_has_the_door(doored: Door, named: str, kept: dict[str, str]) -> None:
    """A sign-in, and one more by the sign-on that is there, are kept with the door that was taken."""
    browser = doored.browser()
    browser.sign_in(client_id="doored", door=named)
    browser.authorize(client_id="doored", door=named)

    events = doored.house.durable.events.since(doored.clock.now() - timedelta(seconds=1))
    doors = {event.kind: {k: v for k, v in event.detail.items() if k == "door"} for event in events}
    assert doors["signin.granted"] == doors["signin.session"] == kept
