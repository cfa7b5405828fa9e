"""Refresh tokens: whose, how often, how long (standards 2.5 A7)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from idbroker.clock import StoppedClock
from tests.attacks.conftest import NOW
from tests.attacks.test_codes import OTHER, assert_invalid_grant
from tests.door import CLIENT, SECRET, Browser, Door, at_once, claims_of, open_door

OFFLINE = "openid profile offline_access"


def public_tokens(door: Door, browser: Browser | None = None) -> dict[str, Any]:
    """Sign in at the client without a secret."""
    code = (browser or door.browser()).sign_in(client_id="public", scope=OFFLINE)["code"]
    answer = door.redeem(code, auth=None, client_id="public")
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


def test_a_refreshed_id_token_tells_of_the_same_sign_in(door: Door) -> None:
    """1.5 refresh-token: same iss, sub, aud and auth_time, newer iat, no nonce; never cached (Core 12.2)."""
    first = door.signed_in(scope=OFFLINE)
    door.clock.move(timedelta(seconds=90))
    answer = door.refresh(first["refresh_token"])
    before, after = claims_of(first["id_token"]), claims_of(answer.json()["id_token"])

    assert (answer.status_code, answer.headers["Cache-Control"], answer.json()["token_type"]) == (
        200,
        "no-store",
        "Bearer",
    )
    assert {k: before[k] for k in ("iss", "sub", "aud", "auth_time", "acr", "sid")} == {
        k: after[k] for k in ("iss", "sub", "aud", "auth_time", "acr", "sid")
    }
    assert after["iat"] == before["iat"] + 90
    assert "nonce" not in after


def test_another_client_cannot_refresh(door: Door) -> None:
    """A7, 1.5 refresh-token: a refresh token is bound to its client, and a thief's try does its owner no harm."""
    tokens = door.signed_in(scope=OFFLINE)

    assert_invalid_grant(door.refresh(tokens["refresh_token"], auth=OTHER))
    assert door.refresh(tokens["refresh_token"]).status_code == 200


def test_a_client_without_refresh_tokens_gets_none(door: Door) -> None:
    """A7: without the scope offline_access there is no refresh token."""
    assert "refresh_token" not in door.signed_in(scope="openid profile")


def test_a_confidential_clients_token_stays(door: Door) -> None:
    """A7, 1.11: a client that proves who it is keeps its refresh token: no answer can be lost (FAPI 2.0, 5.3.2.1)."""
    tokens = door.signed_in(scope=OFFLINE)
    again = [door.refresh(tokens["refresh_token"]) for _ in range(3)]

    assert [answer.status_code for answer in again] == [200] * 3
    assert all("refresh_token" not in answer.json() for answer in again)


def test_a_public_clients_token_rotates(door: Door) -> None:
    """A7: each use gives a new token and ends the old (RFC 9700, 4.14.2)."""
    first = public_tokens(door)
    second = door.refresh(first["refresh_token"], auth=None, client_id="public").json()
    third = door.refresh(second["refresh_token"], auth=None, client_id="public")

    assert third.status_code == 200
    assert len({first["refresh_token"], second["refresh_token"], third.json()["refresh_token"]}) == 3


def test_a_rotated_token_used_again_ends_the_family(door: Door) -> None:
    """A7: thief or owner came second, nobody can tell: all tokens of the family die (RFC 9700, 4.14.2)."""
    first = public_tokens(door)
    second = door.refresh(first["refresh_token"], auth=None, client_id="public").json()

    assert_invalid_grant(door.refresh(first["refresh_token"], auth=None, client_id="public"))
    assert_invalid_grant(door.refresh(second["refresh_token"], auth=None, client_id="public"))
    assert [door.userinfo(tokens["access_token"]).status_code for tokens in (first, second)] == [401, 401]


def test_of_parallel_refreshes_at_most_one_succeeds(door: Door) -> None:
    """A7: twenty uses at once of a token that rotates: at most one gets tokens, and those do not outlive the alarm."""
    first = public_tokens(door)
    answers = at_once(20, lambda: door.refresh(first["refresh_token"], auth=None, client_id="public"))

    good = [answer.json() for answer in answers if answer.status_code == 200]
    assert len(good) <= 1
    for tokens in good:
        assert door.userinfo(tokens["access_token"]).status_code == 401
        assert_invalid_grant(door.refresh(tokens["refresh_token"], auth=None, client_id="public"))


def test_parallel_refreshes_of_a_kept_token_all_succeed(door: Door) -> None:
    """A7: two workers of a portal may refresh at the same moment: both get a token that works."""
    tokens = door.signed_in(scope=OFFLINE)
    answers = at_once(8, lambda: door.refresh(tokens["refresh_token"]))

    assert [answer.status_code for answer in answers] == [200] * 8
    assert {door.userinfo(answer.json()["access_token"]).status_code for answer in answers} == {200}


def test_scopes_may_shrink_and_never_grow(door: Door) -> None:
    """A7: a refresh may ask for less, never for more than was granted (RFC 6749, 6)."""
    tokens = door.signed_in(scope="openid offline_access")
    more = door.refresh(tokens["refresh_token"], scope="openid profile national_number")
    wide = door.signed_in(scope=OFFLINE)
    less = door.refresh(wide["refresh_token"], scope="openid").json()

    assert (more.status_code, more.json()["error"]) == (400, "invalid_scope")
    assert set(door.userinfo(less["access_token"]).json()) == {"sub"}
    assert "name" in door.userinfo(wide["access_token"]).json()


def test_logout_ends_refresh_tokens(door: Door) -> None:
    """A7: after the person has signed out no token renews itself."""
    browser = door.browser()
    kept, public = door.signed_in(browser, scope=OFFLINE), public_tokens(door, browser)
    assert browser.fetch(f"/logout?id_token_hint={kept['id_token']}").status_code == 200

    assert_invalid_grant(door.refresh(kept["refresh_token"]))
    assert_invalid_grant(door.refresh(public["refresh_token"], auth=None, client_id="public"))


@pytest.mark.parametrize("prompt", ["", "login"])
def test_logout_ends_every_sign_in_of_the_session(door: Door, prompt: str) -> None:
    """A7: a second sign-in at the same portal, with or without a new proof, does not save the tokens of the first."""
    browser = door.browser()
    first = door.signed_in(browser, scope=OFFLINE)
    second = door.signed_in(browser, scope=OFFLINE, prompt=prompt)
    assert "logget ud" in browser.fetch(f"/logout?id_token_hint={second['id_token']}").text

    for tokens in (first, second):
        assert door.userinfo(tokens["access_token"]).status_code == 401
        assert_invalid_grant(door.refresh(tokens["refresh_token"]))


def test_revocation_ends_the_family(door: Door) -> None:
    """A7: a revoked refresh token takes its access tokens along; a stranger's try changes nothing (RFC 7009, 2.1)."""
    tokens = door.signed_in(scope=OFFLINE)
    stranger = door.post("/revoke", {"token": tokens["refresh_token"]}, auth=OTHER)
    assert (stranger.status_code, door.refresh(tokens["refresh_token"]).status_code) == (200, 200)
    assert (
        door.post("/revoke", {"token": tokens["refresh_token"], "token_type_hint": "access_token"}).status_code == 200
    )

    assert_invalid_grant(door.refresh(tokens["refresh_token"]))
    assert door.userinfo(tokens["access_token"]).status_code == 401


def test_a_refresh_token_ends(door: Door) -> None:
    """A7: however often it is used, a family has an absolute end (ASVS 10.4.8)."""
    kept, public = door.signed_in(scope=OFFLINE), public_tokens(door)
    door.clock.move(timedelta(days=20))
    newer = door.refresh(public["refresh_token"], auth=None, client_id="public").json()
    assert door.refresh(kept["refresh_token"]).status_code == 200
    door.clock.move(timedelta(days=10))

    assert_invalid_grant(door.refresh(kept["refresh_token"]))
    assert_invalid_grant(door.refresh(newer["refresh_token"], auth=None, client_id="public"))


def test_a_restart_changes_nothing(tmp_path: Path) -> None:
    """A7: after a restart a good token is good, a spent one is spent, a revoked one is revoked."""
    clock = StoppedClock(NOW)
    public = {**CLIENT, "auth_method": "none", "secret_digests": [], "refresh": "rotate", "national_number": False}
    public["scopes"] = ["openid", "profile", "offline_access"]
    with open_door(tmp_path, clock, clients={"public": public}) as door:
        kept, ended, spent = door.signed_in(scope=OFFLINE), door.signed_in(scope=OFFLINE), public_tokens(door)
        door.post("/revoke", {"token": ended["refresh_token"]})
        door.refresh(spent["refresh_token"], auth=None, client_id="public")
    clock.move(timedelta(minutes=1))
    with open_door(tmp_path, clock, clients={"public": public}) as door:
        assert door.refresh(kept["refresh_token"], auth=("portal", SECRET)).status_code == 200
        assert_invalid_grant(door.refresh(ended["refresh_token"]))
        assert_invalid_grant(door.refresh(spent["refresh_token"], auth=None, client_id="public"))
