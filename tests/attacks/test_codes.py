"""A code is good once, for one client, for a minute (standards 1.5; 2.5 A4 to A6)."""

from __future__ import annotations

from datetime import timedelta

import pytest
import requests

from tests.attacks.conftest import OTHER_CALLBACK
from tests.door import SECRET, VERIFIER, Door, at_once, claims_of

OTHER = ("other", SECRET)


def assert_dead(door: Door, tokens: dict[str, str]) -> None:
    """Check that nothing which came of a sign-in is good any more."""
    assert door.userinfo(tokens["access_token"]).status_code == 401
    if "refresh_token" in tokens:
        assert_invalid_grant(door.refresh(tokens["refresh_token"]))


def assert_invalid_grant(response: requests.Response) -> None:
    """Check an answer of the token endpoint."""
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("later", [timedelta(), timedelta(seconds=1), timedelta(seconds=30), timedelta(minutes=3)])
def test_a_second_use_is_refused_and_ends_the_first(door: Door, later: timedelta) -> None:
    """A4, 1.5 codereuse: the second use is invalid_grant, and the tokens of the first are dead (RFC 6749, 4.1.2)."""
    code = door.browser().sign_in(scope="openid offline_access")["code"]
    tokens = door.redeem(code).json()
    assert door.userinfo(tokens["access_token"]).status_code == 200
    door.clock.move(later)

    assert_invalid_grant(door.redeem(code))
    assert_dead(door, tokens)


def test_of_fifty_at_once_one_succeeds(door: Door) -> None:
    """A4: one code redeemed fifty times at once gives tokens once, and the tries that lost end them (RFC 9700, 4.5)."""
    code = door.browser().sign_in(scope="openid offline_access")["code"]

    answers = at_once(50, lambda: door.redeem(code))

    good = [answer for answer in answers if answer.status_code == 200]
    assert len(good) == 1
    for answer in answers:
        if answer is not good[0]:
            assert_invalid_grant(answer)
    assert_dead(door, good[0].json())


def test_a_code_expires_after_a_minute(door: Door) -> None:
    """A4: a code is good for less than sixty seconds (FAPI 2.0, 5.3.2.1)."""
    early, late = (door.browser().sign_in()["code"] for _ in range(2))
    door.clock.move(timedelta(seconds=59))
    assert door.redeem(early).status_code == 200
    door.clock.move(timedelta(seconds=1))

    assert_invalid_grant(door.redeem(late))


def test_another_client_cannot_use_a_code(door: Door) -> None:
    """A4, A6: a code is bound to its client, and a try by another burns it (RFC 6749, 4.1.3)."""
    code = door.browser().sign_in()["code"]

    assert_invalid_grant(door.redeem(code, auth=OTHER))
    assert_invalid_grant(door.redeem(code))


def test_a_code_does_not_move_to_another_clients_callback(door: Door) -> None:
    """A6: a code of one client, injected at another's callback, gives nothing there and ends the family."""
    code = door.browser().sign_in()["code"]

    assert_invalid_grant(door.redeem(code, auth=OTHER, redirect_uri=OTHER_CALLBACK))
    assert_invalid_grant(door.redeem(code))


def test_a_stolen_code_cannot_be_injected_into_another_session(door: Door) -> None:
    """A6: a code put into a session with another verifier is refused (RFC 9700, 4.5.3.1)."""
    code = door.browser().sign_in()["code"]

    assert_invalid_grant(door.redeem(code, code_verifier="w" * 43))


@pytest.mark.parametrize(
    "verifier",
    ["w" * 43, "", "v", "v" * 42, "v" * 44, "v" * 129, "v" * 42 + "!", "v" * 42 + "\n", "v" * 42 + "é", VERIFIER + " "],
)
def test_a_wrong_verifier_burns_the_code(door: Door, verifier: str) -> None:
    """A5: short, long, odd or missing verifiers are invalid_grant, and the right one comes too late (RFC 7636, 4.6)."""
    code = door.browser().sign_in()["code"]

    assert_invalid_grant(door.redeem(code, code_verifier=verifier))
    assert_invalid_grant(door.redeem(code))


def test_the_challenge_is_no_verifier(door: Door) -> None:
    """A5: what stands in the URL does not redeem the code: the plain method does not exist here."""
    plain = "p" * 43
    code = door.browser().sign_in(code_challenge=plain)["code"]

    assert_invalid_grant(door.redeem(code, code_verifier=plain))


def test_a_verifier_without_a_challenge_is_a_downgrade(door: Door) -> None:
    """A5: where the challenge was stripped from the request the verifier gives it away (RFC 9700, 2.1.1)."""
    asked = {"client_id": "legacy", "code_challenge": "", "code_challenge_method": ""}
    stripped, without = (door.browser().sign_in(**asked)["code"] for _ in range(2))

    assert_invalid_grant(door.redeem(stripped, auth=("legacy", SECRET)))
    assert door.redeem(without, auth=("legacy", SECRET), code_verifier="").status_code == 200


@pytest.mark.parametrize("code", ["", "x", "x" * 5000, "\x7f", "a.b.c", "é", "' OR 1=1 --", "00000000"])
def test_what_is_no_code_is_refused(door: Door, code: str) -> None:
    """A4: rubbish is an OAuth error, never a fault."""
    answer = door.redeem(code)

    assert answer.status_code == 400
    assert answer.json()["error"] in ("invalid_grant", "invalid_request")


def test_one_kind_of_secret_does_not_pass_for_another(door: Door) -> None:
    """A4: a refresh or access token is no code, a code is no token: each family's secrets keep their kinds."""
    code = door.browser().sign_in(scope="openid offline_access")["code"]
    assert door.userinfo(code).status_code == 401
    assert_invalid_grant(door.refresh(code))
    tokens = door.redeem(code).json()

    for token in (tokens["access_token"], tokens["refresh_token"]):
        assert_invalid_grant(door.redeem(token))
    assert_invalid_grant(door.refresh(tokens["access_token"]))
    assert door.userinfo(tokens["refresh_token"]).status_code == 401
    assert door.userinfo(tokens["access_token"]).status_code == 200


def test_codes_are_long_and_never_alike(door: Door) -> None:
    """1.4: codes and access tokens hold at least 128 random bits."""
    browser = door.browser()
    codes = [browser.sign_in()["code"] for _ in range(20)]
    tokens = [door.redeem(code).json()["access_token"] for code in codes]

    for secrets in (codes, tokens):
        assert len(set(secrets)) == 20
        assert all(len(secret) >= 43 for secret in secrets)


def test_the_sub_is_no_client_and_no_number(door: Door) -> None:
    """A26: a `sub` is no client_id, no number, no eID's own name, and differs between sectors (RFC 9700, 4.15)."""
    browser = door.browser()
    here = claims_of(door.signed_in(browser)["id_token"])["sub"]
    code = browser.sign_in(client_id="other", redirect_uri=OTHER_CALLBACK)["code"]
    there = claims_of(door.redeem(code, auth=OTHER, redirect_uri=OTHER_CALLBACK).json()["id_token"])["sub"]

    assert here != there
    assert len(here) >= 32
    assert door.house.clients.find(here) is None
    assert door.people["anna"].number not in here
