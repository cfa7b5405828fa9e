"""Fixtures for BankID's tests, loaded as a plugin by the modules that ask for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.providers.bankid_party import Party, bankid_party


@pytest.fixture(scope="module")
def bankid_served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Party]:
    """Serve a simulated BankID for a module, with mutual TLS."""
    with bankid_party(tmp_path_factory.mktemp("bankid")) as party:
        yield party


@pytest.fixture
def party(bankid_served: Party) -> Iterator[Party]:
    """Give ourselves as a relying party of it, without orders; nothing is wrong."""
    yield bankid_served
    bankid_served.reset()
