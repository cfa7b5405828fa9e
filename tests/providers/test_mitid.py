"""MitID through the Nets broker: what it proves, in its own wire format, over real HTTP."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from idbroker.clock import StoppedClock
from idbroker.identity import LoA
from tests.providers.conftest import Broker
from tests.providers.upstream import Journey

Travel = Callable[..., Journey]


def test_proves_who_the_person_is(travel: Travel, broker: Broker, clock: StoppedClock) -> None:
    """A person who approves is known by issuer and subject, number, name, birth date, level and moment."""
    identity = travel().go("anna")

    anna = broker.people["anna"]
    assert (identity.provider, identity.issuer, identity.loa) == ("mitid", broker.issuer, LoA.SUBSTANTIAL)
    assert identity.number is not None
    assert (identity.number.country, identity.number.value) == ("DK", anna.number)
    assert (identity.name, identity.birthdate, identity.protected) == (anna.name, date(1985, 3, 14), False)
    assert (identity.amr, identity.proved_at) == (("swk", "mfa"), clock.now())
    assert identity.upstream_id_token is not None
    assert identity.subject == travel().go("anna").subject


@pytest.mark.parametrize("client", ["public", "post", "key", "rs256"])
def test_authenticates_in_three_ways_and_reads_two_algorithms(travel: Travel, client: str) -> None:
    """OpenID Connect Core, 9: client_secret_basic, client_secret_post and private_key_jwt; ES256 and RS256."""
    assert travel(client).go().loa is LoA.SUBSTANTIAL


@pytest.mark.parametrize("pushed", [True, False, None])
def test_pushes_the_request_or_not(travel: Travel, pushed: bool | None) -> None:
    """RFC 9126: pushed when set or offered, in the address when set so."""
    journey = travel(pushed=pushed)

    assert ("request_uri=" in journey.begin().url) is (pushed is not False)
    assert journey.go().number is not None
