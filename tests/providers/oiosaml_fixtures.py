"""Fixtures for the tests of the Danish gateways, loaded as a plugin by the modules that ask for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from idbroker.clock import StoppedClock
from idbroker.store import open_transient
from tests.providers.oiosaml_party import Danish
from tests.providers.saml_party import Idp


@pytest.fixture
def danish(tmp_path: Path, clock: StoppedClock) -> Iterator[Danish]:
    """Give a gateway, and ourselves as a service of it, with a real store for what must be remembered."""
    transient = open_transient(f"sqlite:///{tmp_path}/transient.db", clock)
    made = Danish(Idp(clock), clock, transient, folder=tmp_path)
    yield made
    made.close()
    transient.close()
