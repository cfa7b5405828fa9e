"""A hostile upstream: every row of the reject lists, told by the simulator over real HTTP."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from idbroker.clock import StoppedClock
from idbroker.errors import Cancelled, ProviderError, Refused, Unreachable, Untrusted
from idbroker.identity import LoA
from idbroker.providers import Redirect
from idbroker.sandbox.op_lies import LIES
from tests.providers.conftest import Broker
from tests.providers.upstream import Journey, journey, visit

Travel = Callable[..., Journey]

UNTRUSTED = [
    # The claims of the ID token (OpenID Connect Core, 3.1.3.7).
    "wrong_iss",
    "slash_iss",
    "missing_iss",
    "wrong_aud",
    "missing_aud",
    "foreign_aud",
    "wrong_azp",
    "foreign_azp",
    "missing_sub",
    "empty_sub",
    "sub_number",
    "missing_iat",
    "missing_exp",
    "missing_nonce",
    "wrong_nonce",
    "expired",
    "just_expired",
    "future_iat",
    "old_iat",
    "future_nbf",
    "exp_string",
    "exp_true",
    "exp_infinite",
    "exp_nan",
    "bad_at_hash",
    "number_at_hash",
    "logout_token",
    # Its header and signature (RFC 8725).
    "huge_token",
    "unknown_kid",
    "number_kid",
    "path_kid",
    "no_kid",
    "wrong_typ",
    "logout_typ",
    "crit",
    "crit_unknown",
    "empty_crit",
    "b64_false",
    "alg_none",
    "alg_none_capital",
    "empty_signature",
    "bad_signature",
    "hs256_with_public_key",
    "attacker_key",
    "embedded_jwk",
    "jku",
    "x5c",
    "duplicate_members",
    "padded",
    # The key set.
    "duplicate_kid",
    "private_jwks",
    "oct_jwks",
    "empty_jwks",
    "not_jwks",
    # Userinfo, the answer in the browser, the token answer, the description.
    "wrong_sub_userinfo",
    "missing_sub_userinfo",
    "forged_userinfo",
    "bad_birthdate",
    "wrong_state",
    "missing_state",
    "wrong_response_iss",
    "missing_response_iss",
    "missing_code",
    "empty_token",
    "token_type_mac",
    "discovery_issuer_mismatch",
    "plain_endpoints",
    "foreign_endpoints",
    # The level.
    "missing_level",
    "unknown_level",
    "two_levels",
]
UNREACHABLE = [
    "redirecting_discovery",
    "redirecting_jwks",
    "redirecting_token",
    "redirecting_userinfo",
    "huge_body",
    "not_json",
    "list_json",
]
ACCEPTED = ["aud_array", "signed_userinfo", "token_type_case", "no_expires_in", "missing_at_hash", "missing_auth_time"]


@pytest.mark.parametrize("lie", UNTRUSTED)
def test_believes_no_lie(travel: Travel, broker: Broker, lie: str) -> None:
    """An answer that is forged, replayed, for another or by another ends as Untrusted."""
    broker.lie(lie)

    with pytest.raises(Untrusted):
        travel().go()


@pytest.mark.parametrize("lie", UNREACHABLE)
def test_follows_no_redirect_and_reads_no_nonsense(travel: Travel, broker: Broker, lie: str) -> None:
    """ASVS 10.5.3: redirects, fifty megabytes and what is no JSON object end as Unreachable."""
    broker.lie(lie)

    with pytest.raises(Unreachable):
        travel().go()


@pytest.mark.parametrize("lie", ACCEPTED)
def test_accepts_what_the_standards_allow(travel: Travel, broker: Broker, lie: str) -> None:
    """An audience as a list, signed userinfo, any case of Bearer, and optional things left out are fine."""
    broker.lie(lie)

    assert travel().go().loa is LoA.SUBSTANTIAL


def test_every_lie_is_told_in_some_test() -> None:
    """A lie nobody tests would be a door nobody watches."""
    elsewhere = {"slow_drip", "lower_level", "old_auth_time", "script_in_error"}

    assert set(UNTRUSTED) | set(UNREACHABLE) | set(ACCEPTED) | elsewhere == LIES


def test_the_state_belongs_to_one_transaction(travel: Travel) -> None:
    """RFC 9700, 4.7: an answer with another transaction's `state` is refused (login CSRF)."""
    mine, other = travel(), travel()
    begun = mine.begin()
    theirs = visit(other.begin(handle="handle-2").url, "petra")

    with pytest.raises(Untrusted, match="state"):
        mine.back(begun, theirs)


def test_a_code_belongs_to_one_transaction(travel: Travel) -> None:
    """RFC 9700, 4.5: a code of another transaction under our own `state` is refused (code injection)."""
    mine, other = travel(), travel()
    begun = mine.begin()
    theirs = visit(other.begin(handle="handle-2").url, "petra")

    with pytest.raises(Untrusted, match="invalid_grant"):
        mine.back(begun, theirs | {"state": "handle-1"})


def test_an_answer_works_once(travel: Travel) -> None:
    """The same answer a second time finds its code used."""
    there = travel()
    begun = there.begin()
    reply = visit(begun.url)
    there.back(begun, reply)

    with pytest.raises(Untrusted, match="invalid_grant"):
        there.back(begun, reply)


def test_two_tabs_do_not_disturb_each_other(travel: Travel, broker: Broker) -> None:
    """Two transactions at once each end with their own person."""
    there = travel()
    first, second = there.begin(handle="one"), there.begin(handle="two")
    replies = visit(second.url, "petra"), visit(first.url, "anna")

    ends = there.back(second, replies[0], handle="two"), there.back(first, replies[1], handle="one")
    assert [getattr(end, "birthdate", None) for end in ends] == [broker.people[name].born for name in ("petra", "anna")]


def test_refuses_a_state_it_did_not_make(travel: Travel) -> None:
    """A damaged provider state is Untrusted, not a crash."""
    there = travel()
    begun = there.begin()

    for state in (b"", b"{}", b"[]", b'{"issuer": 1, "nonce": 2, "verifier": 3, "asked": "x"}'):
        with pytest.raises(Untrusted):
            there.back(replace(begun, state=state), {"state": "handle-1", "code": "c"})


def test_an_answer_of_another_issuer_is_a_mix_up(travel: Travel, broker: Broker) -> None:
    """RFC 9207, 2.4: `iss` is compared, on errors too, before anything else of the answer counts."""
    there = travel()
    begun = there.begin()

    with pytest.raises(Untrusted, match="iss"):
        there.back(begun, {"state": "handle-1", "error": "access_denied", "iss": "https://evil.test"})


def test_reflects_nothing_of_an_upstreams_error(travel: Travel, broker: Broker) -> None:
    """An error text with a script and a line break is Cancelled, and its detail is plain."""
    broker.lie("script_in_error")

    with pytest.raises(Cancelled) as stopped:
        travel().go("carl")
    assert not set("<>\r\n'\"&") & set(stopped.value.detail)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("access_denied", Cancelled),
        ("server_error", Unreachable),
        ("temporarily_unavailable", Unreachable),
        ("login_required", Refused),
        ("invalid_scope", Refused),
    ],
)
def test_maps_errors(travel: Travel, broker: Broker, error: str, expected: type[ProviderError]) -> None:
    """Every error of the upstream is one of our four, with its text in the detail only, without digits."""
    there = travel()
    begun = there.begin()
    reply = {"state": "handle-1", "iss": broker.issuer, "error": error, "error_description": "cpr 7403850101"}

    with pytest.raises(expected) as stopped:
        there.back(begun, reply)
    assert "7403" not in str(stopped.value)


def test_takes_new_keys_at_once(travel: Travel, broker: Broker) -> None:
    """Key rotation: a token signed with a key we have not seen makes us ask for the keys again."""
    there = travel()
    there.go()
    broker.op.rotate()

    assert there.go().loa is LoA.SUBSTANTIAL


def test_asks_for_keys_once_in_thirty_seconds(travel: Travel, broker: Broker, clock: StoppedClock) -> None:
    """Made-up key ids cannot have us hammer the upstream: after one question there is a pause."""
    there = travel()
    there.go()
    broker.lie("unknown_kid")
    with pytest.raises(Untrusted):
        there.go()
    broker.lie()
    broker.op.rotate()

    with pytest.raises(Untrusted):
        there.go()
    clock.move(timedelta(seconds=31))
    assert there.go().loa is LoA.SUBSTANTIAL


def test_needs_no_kid_for_a_single_key(travel: Travel, broker: Broker) -> None:
    """OpenID Connect Core, 10.1: without `kid` the only key there is is meant, a changed one too."""
    broker.op.rotate(algs=("ES256",))
    broker.lie("no_kid")
    there = travel()
    assert there.go().loa is LoA.SUBSTANTIAL

    broker.op.rotate(algs=("ES256",))
    assert there.go().loa is LoA.SUBSTANTIAL


def test_a_fresh_sign_in_is_a_fresh_one(travel: Travel, broker: Broker) -> None:
    """ASVS 6.8.4: when the person must act now, an old `auth_time`, or none, is refused."""
    assert travel().go(fresh=True).loa is LoA.SUBSTANTIAL

    for lie in ("old_auth_time", "missing_auth_time"):
        broker.lie(lie)
        with pytest.raises(Untrusted, match="auth_time"):
            travel().go(fresh=True)


def test_the_age_of_a_sign_in_is_bounded(travel: Travel, broker: Broker) -> None:
    """`max_age` bounds how old the act may be; ten hours pass for eleven, not for nine."""
    broker.lie("old_auth_time")

    assert travel().go(max_age=timedelta(hours=11)).proved_at < broker.op.clock.now() - timedelta(hours=9)
    with pytest.raises(Untrusted, match="auth_time"):
        travel().go(max_age=timedelta(hours=9))


def test_asks_for_fresh_and_for_age(travel: Travel) -> None:
    """`fresh` is asked for as prompt=login, `max_age` as seconds."""
    url = travel(pushed=False).begin(fresh=True, max_age=timedelta(minutes=5)).url

    assert "prompt=login" in url
    assert "max_age=300" in url


@pytest.mark.parametrize("fault", [{"down": True}, {"status": 429}, {"status": 500}])
def test_an_upstream_in_trouble_is_unreachable(travel: Travel, broker: Broker, fault: dict[str, object]) -> None:
    """Down, overloaded or broken: Unreachable, when the person leaves and when they come back."""
    there = travel()
    begun = there.begin()
    reply = visit(begun.url)
    broker.faults.set("mitid", fault)

    with pytest.raises(Unreachable):
        there.back(begun, reply)
    with pytest.raises(Unreachable):
        travel().begin()


def test_waits_for_a_slow_upstream_only_so_long(travel: Travel, broker: Broker) -> None:
    """An upstream slower than our patience is Unreachable."""
    there = travel(patience=0.2)
    begun = there.begin()
    reply = visit(begun.url)
    broker.faults.set("mitid", {"slow": 5})

    with pytest.raises(Unreachable, match="Timeout"):
        there.back(begun, reply)
    broker.faults.clear()


def test_a_dripping_upstream_does_not_hold_us(travel: Travel, broker: Broker) -> None:
    """Slow loris: each byte comes in time, but the whole answer has its own deadline."""
    there = travel(patience=0.4)
    begun = there.begin()
    reply = visit(begun.url)
    broker.lie("slow_drip")

    with pytest.raises(Unreachable):
        there.back(begun, reply)


def test_nobody_there_is_unreachable(clock: StoppedClock) -> None:
    """A closed port is Unreachable."""
    there = journey("http://127.0.0.1:9", clock)

    with pytest.raises(Unreachable):
        there.begin()
    there.close()


def test_a_known_description_outlives_an_outage(travel: Travel, broker: Broker, clock: StoppedClock) -> None:
    """The last good description is used while the upstream does not give a new one."""
    there = travel(pushed=False)
    there.begin()
    clock.move(timedelta(hours=2))
    broker.faults.set("mitid", {"down": True})

    assert isinstance(there.begin(), Redirect)
    broker.faults.clear()
    broker.lie("discovery_issuer_mismatch")
    clock.move(timedelta(hours=2))
    assert isinstance(there.begin(), Redirect)


def test_pushed_requests_that_are_set_must_be_offered(travel: Travel, broker: Broker) -> None:
    """With `pushed = true` nothing is ever sent in the address instead."""
    broker.op.extra_metadata = {"pushed_authorization_request_endpoint": None}

    with pytest.raises(Unreachable):
        travel(pushed=True).begin()
    assert "request_uri" not in travel().begin().url


def test_a_wrong_secret_is_ours_to_mend(broker: Broker, clock: StoppedClock) -> None:
    """invalid_client is Unreachable for the person, and says why to the operator."""
    there = journey(broker.issuer, clock, "rs256", pushed=False)
    there.provider._client.upstream = replace(there.provider._client.upstream, client_secret="wrong")
    begun = there.begin()

    with pytest.raises(Unreachable, match="invalid_client"):
        there.back(begun, visit(begun.url))
    there.close()


def test_logs_tell_no_secrets(travel: Travel, broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG too, no log line has a code, token, verifier, number or name."""
    caplog.set_level(logging.DEBUG)
    there = travel()
    begun = there.begin()
    reply = visit(begun.url)
    caplog.clear()
    identity = there.back(begun, reply)

    said = caplog.text
    anna = broker.people["anna"]
    secrets = [reply["code"], "access_token", "code_verifier", str(anna.number), anna.given_name]
    assert not [secret for secret in secrets if secret in said]
    assert str(anna.number) not in repr(identity)
    assert anna.name not in repr(identity)
