"""What acts for somebody, and ends early: a sign-in that staff made, from the rule over it to the tokens of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from idbroker import policy
from idbroker.clock import StoppedClock
from idbroker.identity import Assisted
from idbroker.keyfiles import KeyFiles
from idbroker.keyring import Keyring
from idbroker.oidc import jose
from idbroker.policy import Allow, Refuse
from idbroker.registration import mistakes_of
from idbroker.store import open_durable, open_transient
from tests.keystores import key_folder
from tests.oidc.making import make_client
from tests.test_policy import CLINIC, case
from tests.token_house import SCOPES, House, invalid_grant, make_tokens

HERE = Assisted(staff="a" * 32, role="carer", clinic="clinea", client="portal", pairing="p")
TAKES = {"assisted": "allowed"}
MINUTE = timedelta(minutes=1)


@pytest.fixture
def house(tmp_path: Path, clock: StoppedClock) -> Iterator[House]:
    """Give tokens as they are wired, for a client that may refresh."""
    transient = open_transient(f"sqlite:///{tmp_path}/transient.db", clock)
    durable = open_durable(f"sqlite:///{tmp_path}/broker.db", clock)
    durable.migrate()
    keyring = Keyring(KeyFiles(key_folder(tmp_path)))
    client = make_client(scopes=SCOPES, refresh="rotate", access_token="jwt")
    yield House(
        tokens=make_tokens(transient, durable.refresh_tokens, durable, keyring, clock), clock=clock, client=client
    )
    transient.close()
    durable.close()


def claims(text: str) -> dict[str, Any]:
    """Return what a JWT says, its signature looked at elsewhere."""
    return dict(jose.json_object(text.split(".")[1]))


# ---- the rule ------------------------------------------------------------------------------------


def decided(by: Assisted, **settings: Any) -> policy.Decision:
    """Return what is decided of a sign-in that staff made, at a service with these settings."""
    proved = {"provider": "assisted", "assisted": by}
    return policy.decide(case(make_client(**settings), proved=proved))


def test_at_the_one_service() -> None:
    """Staff sign a patient in to the service that they chose, where it takes such sign-ins."""
    assert decided(HERE, **TAKES) == Allow()


@pytest.mark.parametrize(
    ("assisted", "settings"),
    [
        (HERE, {}),
        (dataclasses.replace(HERE, client="another"), TAKES),
        (dataclasses.replace(HERE, clinic="another"), TAKES),
    ],
    ids=["the service takes none", "another service", "another clinic"],
)
def test_nowhere_else(assisted: Assisted, settings: dict[str, Any]) -> None:
    """A tablet left open at one form opens no other service of the patient's."""
    assert decided(assisted, **settings) == Refuse("assisted_elsewhere")


def test_on_the_screen_only_where_the_clinic_has_set_it() -> None:
    """With staff's credentials on the patient's screen, the clinic must name that way among its own."""
    on_screen = dataclasses.replace(HERE, screen=True)
    assert decided(on_screen, **TAKES) == Refuse("provider_not_accepted")

    named = dataclasses.replace(CLINIC, providers=(*CLINIC.providers, "assisted"))
    there = dataclasses.replace(
        case(make_client(**TAKES), proved={"provider": "assisted", "assisted": on_screen}), clinic=named
    )
    assert policy.decide(there) == Allow()


def test_registered_only_where_the_level_is_taken() -> None:
    """A service that asks for more than low cannot be registered for sign-ins that are low."""
    wrong = dict(mistakes_of(make_client(assisted="role")))
    assert "minimum" in wrong["assisted"]


# ---- the tokens ----------------------------------------------------------------------------------


def test_who_acts_is_in_every_token(house: House) -> None:
    """`act` is in the ID token, the access token, userinfo and introspection alike (RFC 8693, 4.1)."""
    answer = house.redeem(house.code(act={"role": "carer"}))

    seen = [
        claims(answer["id_token"]),
        claims(answer["access_token"]),
        house.tokens.userinfo(answer["access_token"]),
        house.tokens.introspect(house.client, answer["access_token"]),
    ]
    assert [one["act"] for one in seen] == [{"role": "carer"}] * 4


def test_nobody_acts(house: House) -> None:
    """Without anybody who acts there is no such claim."""
    answer = house.redeem(house.code())
    assert "act" not in json.dumps([claims(answer["id_token"]), claims(answer["access_token"])])


def test_no_token_outlives_the_end(house: House) -> None:
    """Access, ID and refresh tokens all end with what they rest on, however long they would live."""
    until = house.clock.now() + 5 * MINUTE
    answer = house.redeem(house.code(until=until))

    assert answer["expires_in"] == 300
    assert claims(answer["id_token"])["exp"] == int(until.timestamp())
    assert house.is_live(answer)
    house.clock.move(5 * MINUTE)
    assert not house.is_live(answer)
    assert invalid_grant(lambda: house.refresh(answer["refresh_token"])) in (
        "what it rests on is over",
        "unknown, another's or expired",
    )


def test_refreshed_within_the_end(house: House) -> None:
    """What a refresh gives ends at the same moment as what it came of."""
    until: datetime = house.clock.now() + 20 * MINUTE
    answer = house.redeem(house.code(until=until))
    house.clock.move(18 * MINUTE)

    assert house.refresh(answer["refresh_token"])["expires_in"] == 120


def test_a_code_does_not_outlive_it(house: House) -> None:
    """A code whose sign-in is over is refused within its own minute, too."""
    code = house.code(until=house.clock.now() + timedelta(seconds=10))
    house.clock.move(timedelta(seconds=10))

    assert invalid_grant(lambda: house.redeem(code)) == "what it rests on is over"
