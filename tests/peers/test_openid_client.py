"""A portal made of openid-client, a certified relying party that forgives nothing, signs people in with us."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.door import Door, open_door
from tests.peers.node import Peer, PeerFault, RunningClock, run
from tests.peers.portals import BYE, Portal, Registration, prove, public, way_back, with_key, with_secret

pytestmark = pytest.mark.peers

REGISTRATIONS = {
    "basic": with_secret(),
    "post": with_secret("client_secret_post"),
    "rs256": with_secret(alg="RS256"),
    "jwt": with_secret(access_token="jwt"),
    "signs-es256": with_key("ES256"),
    "signs-ps256": with_key("PS256"),
    "signs-rs256": with_key("RS256"),
    "public": public(),
}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """Open the broker, at the machine's own time; each test comes with a browser of its own."""
    clients = {name: registration.registered for name, registration in REGISTRATIONS.items()}
    with open_door(tmp_path_factory.mktemp("broker"), RunningClock(), clients=clients) as opened:
        yield opened


@pytest.fixture
def peer() -> Iterator[Peer]:
    """Start openid-client."""
    with run("portal.mjs") as running:
        yield running


def portal(door: Door, peer: Peer, name: str = "basic") -> Portal:
    """Have openid-client discover us as one of the registered portals."""
    registration: Registration = REGISTRATIONS[name]
    peer.does("discover", issuer=door.issuer, client_id=name, metadata=registration.metadata, auth=registration.auth)
    return Portal(door=door, peer=peer, browser=door.browser())


def test_a_strict_client_takes_our_metadata(door: Door, peer: Peer) -> None:
    """openid-client discovers us and finds the code flow with S256 and the issuer in answers (Discovery 4.3)."""
    registration = REGISTRATIONS["basic"]

    metadata = peer.does(
        "discover", issuer=door.issuer, client_id="basic", metadata=registration.metadata, auth=registration.auth
    )

    assert metadata["issuer"] == door.issuer
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    assert metadata["authorization_response_iss_parameter_supported"] is True


@pytest.mark.parametrize("name", list(REGISTRATIONS))
def test_a_strict_client_signs_a_person_in(door: Door, peer: Peer, name: str) -> None:
    """openid-client accepts state, nonce, iss, code and ID token for each way to be a client (Core 3.1, 9)."""
    tokens = portal(door, peer, name).signs_in()

    claims = tokens["claims"]
    assert (claims["iss"], claims["aud"], claims["acr"]) == (door.issuer, name, "substantial")
    assert claims["sub"]


def test_a_strict_client_takes_a_posted_answer(door: Door, peer: Peer) -> None:
    """openid-client accepts the answer that our page posts to it (Form Post Response Mode 2)."""
    at = portal(door, peer)

    back = prove(at.browser, at.asks(response_mode="form_post"))
    tokens = at.takes(back)

    assert "Location" not in back.headers
    assert tokens["claims"]["sub"]


def test_a_strict_client_reads_userinfo(door: Door, peer: Peer) -> None:
    """Userinfo names the subject of the ID token and what the scope gives of them (Core 5.3)."""
    at = portal(door, peer)
    tokens = at.signs_in(scope="openid profile national_number")

    told = peer.does("userinfo", token=tokens["access_token"], subject=tokens["claims"]["sub"])

    anna = door.people["anna"]
    assert (told["name"], told["national_number"]) == (anna.name, anna.number)


@pytest.mark.parametrize("name", ["basic", "signs-es256", "jwt"])
def test_a_strict_client_keeps_its_refresh_token(door: Door, peer: Peer, name: str) -> None:
    """A confidential client refreshes twice with one token, and both ID tokens are its person's (Core 12.2)."""
    at = portal(door, peer, name)
    tokens = at.signs_in(scope="openid offline_access", prompt="consent")

    first = peer.does("refresh", token=tokens["refresh_token"], parameters={})
    second = peer.does("refresh", token=tokens["refresh_token"], parameters={})

    assert "refresh_token" not in first
    for renewed in (first, second):
        same = ("iss", "sub", "aud", "auth_time", "sid")
        assert {claim: renewed["claims"][claim] for claim in same} == {claim: tokens["claims"][claim] for claim in same}


def test_a_strict_public_client_rotates_its_refresh_token(door: Door, peer: Peer) -> None:
    """A public client gets a new refresh token each time; an old one ends the family (RFC 9700, 4.14.2)."""
    at = portal(door, peer, "public")
    tokens = at.signs_in(scope="openid offline_access")
    renewed = peer.does("refresh", token=tokens["refresh_token"], parameters={})

    with pytest.raises(PeerFault) as replayed:
        peer.does("refresh", token=tokens["refresh_token"], parameters={})
    with pytest.raises(PeerFault) as ended:
        peer.does("refresh", token=renewed["refresh_token"], parameters={})

    assert renewed["refresh_token"] != tokens["refresh_token"]
    assert [fault.value.fault["error"] for fault in (replayed, ended)] == ["invalid_grant", "invalid_grant"]


def test_a_strict_client_looks_its_token_up_and_revokes_it(door: Door, peer: Peer) -> None:
    """Introspection describes a live token, and not one that was revoked (RFC 7662, 2.2; RFC 7009, 2)."""
    at = portal(door, peer, "signs-es256")
    tokens = at.signs_in()

    before = peer.does("introspect", token=tokens["access_token"])
    peer.does("revoke", token=tokens["access_token"])
    after = peer.does("introspect", token=tokens["access_token"])
    with pytest.raises(PeerFault) as refused:
        peer.does("userinfo", token=tokens["access_token"], subject=tokens["claims"]["sub"])

    assert (before["active"], before["client_id"], before["sub"]) == (True, "signs-es256", tokens["claims"]["sub"])
    assert after == {"active": False}
    assert refused.value.fault["status"] == 401


def test_revoking_a_refresh_token_ends_its_family(door: Door, peer: Peer) -> None:
    """After the refresh token is revoked neither it nor the access token works (RFC 7009, 2.1)."""
    at = portal(door, peer)
    tokens = at.signs_in(scope="openid offline_access")

    peer.does("revoke", token=tokens["refresh_token"])

    assert peer.does("introspect", token=tokens["access_token"]) == {"active": False}
    with pytest.raises(PeerFault) as refused:
        peer.does("refresh", token=tokens["refresh_token"], parameters={})
    assert refused.value.fault["error"] == "invalid_grant"


def test_a_strict_client_signs_its_person_out(door: Door, peer: Peer) -> None:
    """The end-session address that openid-client makes ends the session and leads back (RP-Initiated Logout 2)."""
    at = portal(door, peer)
    tokens = at.signs_in()
    asked = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": BYE, "state": "l-1"}

    back = at.browser.get(peer.does("end_session", parameters=asked))
    with pytest.raises(PeerFault) as refused:
        at.takes(at.asks(prompt="none"))

    assert back.headers["Location"] == f"{BYE}?state=l-1"
    assert refused.value.fault["error"] == "login_required"


def test_a_strict_client_signs_a_person_on_without_a_page(door: Door, peer: Peer) -> None:
    """With prompt=none a session gives a code at once, for the same person and moment (Core 3.1.2.1)."""
    at = portal(door, peer)
    first = at.signs_in()

    second = at.takes(at.asks(prompt="none"))

    same = ("sub", "auth_time", "acr")
    assert [second["claims"][claim] for claim in same] == [first["claims"][claim] for claim in same]


def test_a_strict_client_gets_a_new_proof_where_the_old_one_is_too_old(tmp_path: Path, peer: Peer) -> None:
    """With max_age past, the person acts again and openid-client reads the newer auth_time (Core 3.1.2.1)."""
    # The broker's clock begins in the past, so that openid-client's never sees the future.
    clock = RunningClock(ago=300)
    with open_door(tmp_path, clock, clients={"basic": REGISTRATIONS["basic"].registered}) as door:
        at = portal(door, peer)
        first = at.signs_in(max_age=3600)
        clock.catch_up()

        young_enough = at.takes(at.asks(max_age="3600"), max_age=3600)
        anew = at.signs_in(max_age=60)

    assert young_enough["claims"]["auth_time"] == first["claims"]["auth_time"]
    assert anew["claims"]["auth_time"] >= first["claims"]["auth_time"] + 300
    assert anew["claims"]["sub"] == first["claims"]["sub"]


def test_a_strict_client_hears_that_the_person_cancelled(door: Door, peer: Peer) -> None:
    """A person who goes back to the service reaches it as access_denied, with state and iss (RFC 9207, 2)."""
    at = portal(door, peer)
    page = prove(at.browser, at.asks(), outcome="cancel")

    with pytest.raises(PeerFault) as refused:
        at.takes(at.browser.get(way_back(page)))

    assert refused.value.fault["error"] == "access_denied"


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"prompt": "none"}, "login_required"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"request": "e30.e30."}, "request_not_supported"),
        ({"claims": '{"id_token":{"acr":{"essential":true,"value":"none"}}}'}, "unmet_authentication_requirements"),
    ],
)
def test_a_strict_client_takes_our_errors(door: Door, peer: Peer, asked: dict[str, str], error: str) -> None:
    """openid-client reads an error answer as one, with state and iss in order (Core 3.1.2.6; RFC 9207, 2)."""
    at = portal(door, peer)

    with pytest.raises(PeerFault) as refused:
        at.takes(at.asks(**asked))

    assert refused.value.fault["code"] == "OAUTH_AUTHORIZATION_RESPONSE_ERROR"
    assert refused.value.fault["error"] == error


def test_a_strict_client_that_lies_about_its_secret_is_told_so(door: Door, peer: Peer) -> None:
    """A wrong secret is 401 invalid_client, which openid-client reads by its WWW-Authenticate (RFC 6749, 5.2)."""
    at = portal(door, peer)
    back = prove(at.browser, at.asks())
    wrong = {"method": "client_secret_basic", "secret": "another"}
    peer.does("discover", issuer=door.issuer, client_id="basic", metadata=REGISTRATIONS["basic"].metadata, auth=wrong)

    with pytest.raises(PeerFault) as refused:
        at.takes(back)

    assert refused.value.fault["status"] == 401


def test_a_used_code_is_refused_and_takes_its_tokens_along(door: Door, peer: Peer) -> None:
    """A code that comes twice is invalid_grant, and what it gave is dead (RFC 9700, 4.5)."""
    at = portal(door, peer)
    back = prove(at.browser, at.asks())
    tokens = at.takes(back)

    with pytest.raises(PeerFault) as refused:
        at.takes(back)

    assert refused.value.fault["error"] == "invalid_grant"
    assert peer.does("introspect", token=tokens["access_token"]) == {"active": False}
