"""Keys, made once for all the engine's tests, and the clients' real store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from idbroker.client import Client, ConfiguredClients
from idbroker.clock import StoppedClock
from idbroker.keyfiles import KeyFiles
from idbroker.keyring import Keyring
from idbroker.store import Durable, open_durable
from tests.conftest import NOW
from tests.keystores import key_folder
from tests.oidc.making import Parse, asked, make_client, parse_with


@pytest.fixture(scope="session")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    """Return our own keys, as made at a first start."""
    return Keyring(KeyFiles(key_folder(tmp_path_factory.mktemp("oidc"))))


@pytest.fixture(scope="session")
def durable() -> Iterator[Durable]:
    """Give a durable store in memory."""
    store = open_durable("sqlite://", StoppedClock(NOW))
    store.migrate()
    yield store
    store.close()


@pytest.fixture(scope="session")
def keys() -> dict[str, Any]:
    """Return a client's private keys by algorithm, each with its `kid`."""
    rsa = RSAKey.generate_key(2048).as_dict(private=True)
    return {
        "RS256": RSAKey.import_key({**rsa, "kid": "rs"}),
        "PS256": RSAKey.import_key({**rsa, "kid": "ps"}),
        "ES256": ECKey.generate_key("P-256", {"kid": "es"}),
        "EdDSA": OKPKey.generate_key("Ed25519", {"kid": "ed"}),
    }


@pytest.fixture
def portal() -> Client:
    """Return the portal that asks."""
    return make_client()


@pytest.fixture
def clients(durable: Durable, portal: Client) -> ConfiguredClients:
    """Return the portal, a disabled one and another one, before the real store."""
    other = make_client(id="other", redirect_uris=("https://other.example.org/callback",))
    return ConfiguredClients([portal, other, make_client(id="closed", disabled=True)], durable.clients)


@pytest.fixture(scope="session")
def durable_clients(durable: Durable) -> Callable[[Client], ConfiguredClients]:
    """Return a function that puts one client of our choice before the real store."""
    return lambda client: ConfiguredClients([client], durable.clients)


@pytest.fixture
def parse(clients: ConfiguredClients) -> Parse:
    """Return a function that parses a good authorization request, changed as told."""
    return lambda **changes: parse_with(clients, asked(**changes))
