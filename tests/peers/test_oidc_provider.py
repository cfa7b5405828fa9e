"""oidc-provider, a certified OpenID provider, stands in for the MitID broker behind us."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jwt
import pytest
import requests

from tests.door import Door, answer_of
from tests.peers.node import Peer
from tests.peers.portals import way_back
from tests.peers.upstream import Upstream, by_key, by_secret, not_pushed, open_before

pytestmark = pytest.mark.peers

UPSTREAMS = {
    "secret-rs256": by_secret("RS256"),
    "secret-ps256": by_secret("PS256"),
    "secret-es256": by_secret("ES256"),
    "secret-signed-userinfo": by_secret("RS256", userinfo_signed_response_alg="ES256"),
    "key-es256": by_key("ES256"),
    "key-rs256": by_key("RS256"),
    "not-pushed": not_pushed(),
}


APPROVED = {"person": "anna", "outcome": "approve"}


@pytest.fixture(scope="module")
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Door, Peer]]:
    """Open both, as the test wants them to know one another."""
    upstream: Upstream = UPSTREAMS[getattr(request, "param", "key-es256")]
    with open_before(upstream, tmp_path_factory.mktemp("broker")) as running:
        yield running


def claims_of(tokens: dict[str, Any]) -> dict[str, Any]:
    """Read an ID token, which test_openid_client proves to verify."""
    claims: dict[str, Any] = jwt.decode(tokens["id_token"], options={"verify_signature": False})
    return claims


def userinfo(door: Door, tokens: dict[str, Any]) -> dict[str, Any]:
    """Ask who an access token is about."""
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    told: dict[str, Any] = requests.get(f"{door.issuer}/userinfo", headers=bearer, timeout=10).json()
    return told


@pytest.mark.parametrize("opened", [name for name in UPSTREAMS if name != "not-pushed"], indirect=True)
def test_a_person_signs_in_through_a_certified_provider(opened: tuple[Door, Peer]) -> None:
    """We push the request, prove who we are, verify what comes back, and the portal is told (Core 3.1; RFC 9126)."""
    door, peer = opened

    tokens = door.signed_in(scope="openid profile national_number")

    claims, anna = claims_of(tokens), door.people["anna"]
    told = userinfo(door, tokens)
    assert (claims["acr"], claims["aud"], claims["nonce"]) == ("substantial", "portal", "n-1")
    assert (told["sub"], told["name"], told["national_number"]) == (claims["sub"], anna.name, anna.number)
    assert peer.does("heard") == ["pushed_authorization_request.success", "grant.success"]


@pytest.mark.parametrize("opened", ["not-pushed"], indirect=True)
def test_a_request_is_not_pushed_where_we_are_told_not_to(opened: tuple[Door, Peer]) -> None:
    """A certified provider takes the plain request too (Core 3.1.2.1)."""
    door, peer = opened

    door.signed_in()

    assert peer.does("heard") == ["grant.success"]


def test_a_person_proves_the_level_that_the_portal_wants(opened: tuple[Door, Peer]) -> None:
    """The level asked for reaches the provider, and the one it answers with the portal (Core 5.5.1.1)."""
    door, _ = opened

    tokens = door.signed_in(acr_values="high")

    assert claims_of(tokens)["acr"] == "high"


def test_a_person_acts_anew_where_the_portal_wants_that(opened: tuple[Door, Peer]) -> None:
    """prompt=login reaches a provider that has a session of its own, and asks the person again (Core 3.1.2.1)."""
    door, _ = opened
    browser = door.browser()
    first = claims_of(door.signed_in(browser))

    asked = browser.press(browser.authorize(prompt="login"), provider="mitid")
    again = claims_of(door.redeem(answer_of(browser.press(asked, **APPROVED))["code"]).json())

    assert 'name="person"' in asked.text
    assert (again["sub"], again["auth_time"] >= first["auth_time"]) == (first["sub"], True)


def test_a_person_without_a_number_has_none_told(opened: tuple[Door, Peer]) -> None:
    """A claim that the provider leaves out is left out to the portal (Core 5.3.2)."""
    door, _ = opened

    tokens = door.signed_in(person="nora", scope="openid profile national_number")

    assert "national_number" not in userinfo(door, tokens)


@pytest.mark.parametrize("outcome", ["cancel", "lower_level"])
def test_a_person_who_proves_too_little_is_not_signed_in(opened: tuple[Door, Peer], outcome: str) -> None:
    """Cancelled, or proved at a lower level than asked: the person sees why and can go back (ASVS 6.8.4)."""
    door, _ = opened
    browser = door.browser()
    page = browser.press(browser.press(browser.authorize(), provider="mitid"), person="anna", outcome=outcome)

    back = browser.get(way_back(page))

    assert answer_of(back)["error"] == "access_denied"
