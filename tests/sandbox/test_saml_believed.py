"""Our own engine on what the simulators say: the truth is believed, every lie about a sign-in is not."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from idbroker.clock import StoppedClock
from idbroker.errors import Untrusted
from idbroker.saml import names
from idbroker.saml.response import Expected, read
from idbroker.sandbox.saml_lies import MANNERS, MEANINGS
from tests.sandbox.saml_gateway import Gateway
from tests.sandbox.saml_sp import Posted
from tests.sandbox.saml_suomifi import HETU, VERIFIED, House

LOA = frozenset({"http://ftn.ficora.fi/2017/loa2", "http://ftn.ficora.fi/2017/loa3"})
# What a reader of one response cannot see: replays want memory, handles the browser's, attributes the provider's eye.
ELSEWHERE = {"replayed", "other_relay_state", "no_relay_state", "no_number"}
ABOUT_SIGN_IN = sorted(
    lie for lie in MEANINGS if lie not in ELSEWHERE | MANNERS.keys() and not lie.startswith(("logout_", "metadata_"))
)
CIPHERS = ["aes128_gcm", "aes256_gcm", "aes128_cbc", "aes256_cbc"]


def expected(house: House | Gateway, clock: StoppedClock, **changes: Any) -> Expected:
    """Return what our engine expects of the simulator's answer."""
    usual: dict[str, Any] = {
        "entity_id": house.service.entity_id,
        "acs_url": house.service.acs,
        "idp": house.sim.entity_id,
        "certificates": (house.keys.active.certificate, house.keys.next.certificate),
        "request_id": "_request1",
        "contexts": LOA,
        "now": clock.now(),
        "keys": (house.service.opener.key,),
        "authenticated_after": clock.now(),
    }
    return Expected(**(usual | changes))


def text(answer: Posted) -> str:
    """Return a response as it stands in the form."""
    return base64.b64encode(answer.octets).decode()


@pytest.fixture
def house(clock: StoppedClock, tmp_path: Path) -> House:
    """Give suomi.fi with one service."""
    return House(clock, tmp_path)


def test_the_truth(house: House, clock: StoppedClock) -> None:
    """An honest answer of suomi.fi is read: number, context, and the name with both qualifiers."""
    found = read(text(house.sign_in()), expected(house, clock))

    assert (found.one(HETU), found.one(VERIFIED)) == ("010280-952L", "true")
    assert found.context in LOA
    assert (found.name_id.name_qualifier, found.name_id.sp_name_qualifier) == (
        house.sim.entity_id,
        house.service.entity_id,
    )
    assert found.session_index


@pytest.mark.parametrize("manner", [*CIPHERS, "next_key"])
def test_other_manners(house: House, clock: StoppedClock, manner: str) -> None:
    """So is one in another cipher or with the next key; CBC only where it is allowed."""
    house.faults.set("suomifi", {"lies": [manner]})
    answer = text(house.sign_in())

    assert read(answer, expected(house, clock, cbc=True)).one(HETU) == "010280-952L"
    if manner.endswith("cbc"):
        with pytest.raises(Untrusted):
            read(answer, expected(house, clock))


@pytest.mark.parametrize("lie", ABOUT_SIGN_IN)
def test_lies(house: House, clock: StoppedClock, lie: str) -> None:
    """No lie about a sign-in is believed."""
    house.faults.set("suomifi", {"lies": [lie]})
    answer = text(house.sign_in())

    with pytest.raises(Untrusted):
        read(answer, expected(house, clock))


@pytest.mark.parametrize("lie", ["", *ABOUT_SIGN_IN])
def test_gateway(clock: StoppedClock, tmp_path: Path, lie: str) -> None:
    """The same of the gateway, whose response is not signed and whose level stands in an attribute."""
    gateway = Gateway(clock, tmp_path)
    gateway.faults.set("borgeradgang", {"lies": [lie] if lie else []})
    answer = text(gateway.sign_in())
    loose = expected(gateway, clock, response_signed=False, contexts=None)

    # An unsigned response is how it is, and the level is for the provider to see.
    if lie in {"", "unsigned_response", "lower_context"}:
        assert read(answer, loose).name_id.format == names.PERSISTENT
        return
    with pytest.raises(Untrusted):
        read(answer, loose)
