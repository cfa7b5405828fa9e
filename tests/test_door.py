"""A portal signs a patient in with MitID, through the door: HTTP in, HTTP out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
import requests

from idbroker.clock import StoppedClock
from tests.door import Door, open_door


@pytest.fixture
def door(tmp_path: Path, clock: StoppedClock) -> Iterator[Door]:
    """Open the broker."""
    with open_door(tmp_path, clock) as opened:
        yield opened


def test_a_patient_signs_in_and_the_portal_holds_tokens_it_can_trust(door: Door) -> None:
    """The portal's tokens verify with an independent library and name the person as asked (Core 3.1)."""
    tokens = door.signed_in(scope="openid profile national_number")
    keys = jwt.PyJWKSet.from_dict(requests.get(f"{door.issuer}/jwks.json", timeout=5).json())
    header = jwt.get_unverified_header(tokens["id_token"])

    claims = jwt.decode(
        tokens["id_token"],
        keys[header["kid"]],
        algorithms=["ES256"],
        audience="portal",
        issuer=door.issuer,
        options={"verify_exp": False, "verify_iat": False},
    )
    told = requests.get(
        f"{door.issuer}/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"}, timeout=5
    ).json()

    assert (claims["nonce"], claims["acr"]) == ("n-1", "substantial")
    assert told["sub"] == claims["sub"]
    assert told["national_number"] == door.people["anna"].number
