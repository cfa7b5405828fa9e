"""What every store of clients promises (client.Clients)."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

from idbroker.client import Client
from idbroker.clock import StoppedClock
from idbroker.store import Durable, open_durable

PORTAL = Client(
    id="portal",
    name={"en": "Portal", "da": "Portalen på nettet"},
    clinic="odense",
    redirect_uris=("https://portal.example/callback",),
    secret_digests=("0" * 64,),
    jwks={"keys": [{"kty": "EC", "crv": "P-256"}]},
    access_token_life=timedelta(minutes=7),
    default_max_age=timedelta(hours=1),
)


def test_saved_and_found(durable: Durable) -> None:
    """A client comes back as it was saved, every field."""
    durable.clients.save(PORTAL)

    assert durable.clients.find("portal") == PORTAL
    assert durable.clients.find("Portal") is None


def test_all_by_id(durable: Durable) -> None:
    """All are listed, in the order of their ids whatever the database's language."""
    names = ["b", "B", "a-1", "a1", "å"]
    for name in names:
        durable.clients.save(dataclasses.replace(PORTAL, id=name))

    assert [client.id for client in durable.clients.all()] == sorted(names)


def test_replaced_at_once(durable: Durable) -> None:
    """What this process saves it finds at once, though it had remembered the old one."""
    durable.clients.save(PORTAL)
    durable.clients.find("portal")

    durable.clients.save(dataclasses.replace(PORTAL, disabled=True))

    found = durable.clients.find("portal")
    assert found is not None
    assert found.disabled
    assert len(durable.clients.all()) == 1


def test_removed_at_once(durable: Durable) -> None:
    """A removed client is gone at once; removing tells whether it was there."""
    durable.clients.save(PORTAL)
    durable.clients.find("portal")

    assert durable.clients.remove("portal")
    assert durable.clients.find("portal") is None
    assert not durable.clients.remove("portal")


def test_another_process_is_seen_within_two_seconds(durable: Durable, durable_url: str, clock: StoppedClock) -> None:
    """What another process adds is seen at once, what it changes or removes within two seconds."""
    seconds = 100.0
    here = open_durable(durable_url, clock, monotonic=lambda: seconds)
    assert here.clients.find("portal") is None
    durable.clients.save(PORTAL)
    assert here.clients.find("portal") == PORTAL
    changed = dataclasses.replace(PORTAL, disabled=True)
    durable.clients.save(changed)

    seconds += 1.9
    assert here.clients.find("portal") == PORTAL
    seconds += 0.1
    assert here.clients.find("portal") == changed
    durable.clients.remove("portal")
    seconds += 2
    assert here.clients.find("portal") is None
    here.close()
