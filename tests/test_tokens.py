"""Codes and tokens on real stores: one use each, and a family lives and dies together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from idbroker.client import Client, ConfiguredClients
from idbroker.clock import StoppedClock
from idbroker.errors import OAuthError
from idbroker.keyfiles import KeyFiles
from idbroker.keyring import Keyring
from idbroker.oidc.bearer import BearerError
from idbroker.oidc.secret import new_secret
from idbroker.store import Durable, TransientStore, open_durable, open_transient
from idbroker.tokens import MOST_LIVE
from tests.conftest import NOW
from tests.keystores import key_folder
from tests.oidc.making import CALLBACK, make_client
from tests.token_house import CLAIMS, SCOPES, House, at_once, invalid_grant, make_tokens, secret


@pytest.fixture(scope="session")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    """Return our own keys."""
    return Keyring(KeyFiles(key_folder(tmp_path_factory.mktemp("tokens"))))


@pytest.fixture
def transient(tmp_path: Path, clock: StoppedClock) -> Iterator[TransientStore]:
    """Give a real transient store."""
    store = open_transient(f"sqlite:///{tmp_path}/transient.db", clock)
    yield store
    store.close()


@pytest.fixture(scope="module")
def durable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Durable]:
    """Give a real durable store, one for all: every test has families of its own."""
    store = open_durable(f"sqlite:///{tmp_path_factory.mktemp('durable')}/broker.db", StoppedClock(NOW))
    store.migrate()
    yield store
    store.close()


@pytest.fixture
def portal() -> Client:
    """Return the portal: confidential, its refresh tokens kept."""
    return make_client(refresh="keep", scopes=SCOPES, national_number=True)


@pytest.fixture
def rotating() -> Client:
    """Return a public client, its refresh tokens rotated."""
    return make_client(auth_method="none", refresh="rotate", scopes=SCOPES)


@pytest.fixture
def house(transient: TransientStore, durable: Durable, keyring: Keyring, clock: StoppedClock, portal: Client) -> House:
    """Return Tokens on real stores."""
    tokens = make_tokens(transient, durable.refresh_tokens, durable, keyring, clock)
    return House(tokens=tokens, clock=clock, client=portal)


# ---- codes ---------------------------------------------------------------------------------------


def test_redeem(house: House) -> None:
    """A code gives an ID token, an access token that works, and with offline_access a refresh token."""
    answer = house.redeem(house.code())

    assert set(answer) == {"access_token", "token_type", "expires_in", "scope", "id_token", "refresh_token"}
    assert house.tokens.userinfo(answer["access_token"]) == {**CLAIMS, "sub": "pairwise-subject"}


@pytest.mark.parametrize(("policy", "scopes"), [("never", SCOPES), ("keep", ("openid",))])
def test_no_refresh_token_unasked(house: House, policy: str, scopes: tuple[str, ...]) -> None:
    """Without the registration or without offline_access there is no refresh token (Core 11)."""
    client = make_client(refresh=policy, scopes=SCOPES)

    assert "refresh_token" not in house.redeem(house.code(client, scopes=scopes), client)


@pytest.mark.parametrize("after", [0, 1, 30, 59, 61, 300])
def test_reuse_revokes(house: House, after: int) -> None:
    """A code used again, at once or much later, gives nothing and ends all that came of it (RFC 9700, 4.5; A4)."""
    code = house.code()
    first = house.redeem(code)
    renewed = house.refresh(first["refresh_token"])
    house.clock.move(timedelta(seconds=after))

    assert invalid_grant(lambda: house.redeem(code)) == "code used before"
    assert not house.is_live(first)
    assert not house.is_live(renewed)
    assert not house.can_refresh(first)
    invalid_grant(lambda: house.redeem(code))


def test_fifty_at_once(house: House) -> None:
    """Of fifty threads with one code exactly one is served, and the family is revoked at once (A4)."""
    code = house.code()
    answers = at_once(lambda _: house.redeem(code))
    served = [answer for answer in answers if not isinstance(answer, OAuthError)]

    assert len(served) == 1
    assert {answer.code for answer in answers if isinstance(answer, OAuthError)} == {"invalid_grant"}
    assert not house.is_live(served[0])
    assert not house.can_refresh(served[0])


@pytest.mark.parametrize(
    "changes",
    [
        {"verifier": "a" * 43},
        {"verifier": None},
        {"redirect_uri": CALLBACK + "/"},
        {"client": make_client(id="other", refresh="keep", scopes=SCOPES)},
    ],
)
def test_a_wrong_try_burns_the_code(house: House, changes: dict[str, Any]) -> None:
    """After one wrong try the right one fails too: somebody else holds the code (A4)."""
    code = house.code()
    invalid_grant(lambda: house.redeem(code, **changes))

    assert invalid_grant(lambda: house.redeem(code)) == "no such code"


def test_expired(house: House) -> None:
    """After sixty seconds a code gives nothing; after the grant's life it is unknown (ASVS 10.4.3)."""
    code, other = house.code(), house.code()
    house.clock.move(timedelta(seconds=60))
    assert invalid_grant(lambda: house.redeem(code)) == "code expired"

    house.clock.move(timedelta(minutes=10))
    assert invalid_grant(lambda: house.redeem(other)) == "no such code"


def test_a_guessed_code_ends_nothing(house: House) -> None:
    """Who knows a family's name but not its code can neither redeem nor revoke."""
    code = house.code()
    invalid_grant(lambda: house.redeem(new_secret(code.family)))

    assert house.is_live(house.redeem(code))


def test_a_revocation_is_recorded(house: House, durable: Durable) -> None:
    """The audit trail says that a grant was revoked, for which person and why; no code stands in it."""
    code = house.code(person="person-of-this-test")
    house.redeem(code)
    invalid_grant(lambda: house.redeem(code))
    events = [e for e in durable.events.since(NOW, kind="grant.revoked") if e.person == "person-of-this-test"]

    assert [event.detail["why"] for event in events] == ["code used before"]
    assert code.text not in repr(events)


# ---- one secret in another's place ---------------------------------------------------------------


def test_no_secret_serves_as_another(house: House) -> None:
    """Code, access token and refresh token of one family are three things, each refused as the others."""
    code = house.code()
    early = house.code()
    answer = house.redeem(code)
    access, refresh = answer["access_token"], answer["refresh_token"]

    invalid_grant(lambda: house.redeem(secret(access)))
    invalid_grant(lambda: house.redeem(secret(refresh)))
    invalid_grant(lambda: house.refresh(code.text))
    invalid_grant(lambda: house.refresh(early.text))
    invalid_grant(lambda: house.refresh(access))
    for text in (code.text, early.text, refresh, answer["id_token"]):
        with pytest.raises(BearerError):
            house.tokens.userinfo(text)
        assert house.tokens.introspect(house.client, text) == {"active": False}
        assert house.tokens.client_of(text) is None
    assert house.is_live(answer)
    assert house.is_live(house.redeem(early))


# ---- refreshing ----------------------------------------------------------------------------------


def claims_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return an ID token's claims; its signature is another test's matter."""
    claims: dict[str, Any] = jwt.decode(answer["id_token"], options={"verify_signature": False})
    return claims


def test_refresh_keeps(house: House) -> None:
    """A kept refresh token works again and again; its ID token is the first one's, newer (Core 12.2)."""
    first = house.redeem(house.code(nonce="n"))
    answers = []
    for _ in range(3):
        house.clock.move(timedelta(hours=1))
        answers.append(house.refresh(first["refresh_token"]))
        assert house.is_live(answers[-1])
        assert "refresh_token" not in answers[-1]
    before, after = claims_of(first), claims_of(answers[-1])

    assert all(before[name] == after[name] for name in ("iss", "sub", "aud", "auth_time", "acr"))
    assert after["iat"] == before["iat"] + 3 * 3600
    assert ("nonce" in before, "nonce" in after) == (True, False)


def test_rotation(house: House, rotating: Client) -> None:
    """A public client gets a new refresh token each time, none of which outlives the first's end (ASVS 10.4.8)."""
    answer = house.redeem(house.code(rotating), rotating)
    for _ in range(3):
        house.clock.move(timedelta(days=9))
        answer = house.refresh(answer["refresh_token"], rotating)
    house.clock.move(timedelta(days=3))

    assert invalid_grant(lambda: house.refresh(answer["refresh_token"], rotating))


@pytest.mark.parametrize("rounds", [1, 3])
def test_rotated_token_used_again(house: House, rotating: Client, rounds: int) -> None:
    """A rotated token that comes back was stolen, or its thief was first: both lose (RFC 9700, 4.14.2)."""
    first = answer = house.redeem(house.code(rotating), rotating)
    for _ in range(rounds):
        answer = house.refresh(answer["refresh_token"], rotating)

    assert invalid_grant(lambda: house.refresh(first["refresh_token"], rotating)) == "used before"
    assert not house.is_live(answer)
    assert invalid_grant(lambda: house.refresh(answer["refresh_token"], rotating))


def test_parallel_rotation(house: House, rotating: Client) -> None:
    """Of fifty threads with one rotating token at most one is served, and the family ends (A7)."""
    first = house.redeem(house.code(rotating), rotating)
    answers = at_once(lambda _: house.refresh(first["refresh_token"], rotating))
    served = [answer for answer in answers if not isinstance(answer, OAuthError)]

    assert len(served) <= 1
    assert {answer.code for answer in answers if isinstance(answer, OAuthError)} == {"invalid_grant"}
    assert not [answer for answer in [first, *served] if house.is_live(answer) or house.can_refresh(answer)]


def test_parallel_keep(house: House) -> None:
    """Fifty servers of one portal may refresh at once: each gets a token that works."""
    first = house.redeem(house.code())
    answers = at_once(lambda _: house.refresh(first["refresh_token"]))

    assert [answer for answer in answers if isinstance(answer, OAuthError)] == []
    assert all(house.is_live(answer) for answer in [first, *answers] if not isinstance(answer, OAuthError))


def test_a_familys_tokens_are_bounded(house: House) -> None:
    """A client that refreshes without end loses its oldest access tokens, not the store its space."""
    first = house.redeem(house.code())
    answers = [house.refresh(first["refresh_token"]) for _ in range(MOST_LIVE)]

    assert not house.is_live(first)
    assert house.is_live(answers[0])
    assert house.is_live(answers[-1])


def test_refresh_of_another_client(house: House) -> None:
    """Another client's refresh token is invalid_grant and stays good for its own (RFC 6749, 10.4)."""
    first = house.redeem(house.code())
    other = make_client(id="other", refresh="keep", scopes=SCOPES)
    invalid_grant(lambda: house.refresh(first["refresh_token"], other))

    assert house.is_live(house.refresh(first["refresh_token"]))


def test_refresh_with_fewer_scopes(house: House) -> None:
    """A narrowed token shows less; the next one may have all again (RFC 6749, 6)."""
    first = house.redeem(house.code())
    less = house.refresh(first["refresh_token"], scopes=("openid", "profile"))

    assert less["scope"] == "openid profile"
    assert house.tokens.userinfo(less["access_token"]) == {"name": "Ada", "sub": "pairwise-subject"}
    assert house.refresh(first["refresh_token"])["scope"] == " ".join(SCOPES)
    with pytest.raises(OAuthError, match="not granted"):
        house.refresh(first["refresh_token"], scopes=("openid", "address"))


def test_refresh_after_the_registration_was_cut(house: House) -> None:
    """A scope that was taken from the client is not given again by an old refresh token."""
    first = house.redeem(house.code())
    cut = make_client(refresh="keep", scopes=("openid", "profile", "offline_access"))
    answer = house.refresh(first["refresh_token"], cut)

    assert answer["scope"] == "openid profile offline_access"
    assert "national_number" not in house.tokens.userinfo(answer["access_token"])
    with pytest.raises(OAuthError, match="not granted"):
        house.refresh(first["refresh_token"], cut, scopes=("openid", "national_number"))


def test_refresh_after_the_end(house: House, portal: Client) -> None:
    """A refresh token ends with its family's life."""
    first = house.redeem(house.code())
    house.clock.move(portal.refresh_life)

    invalid_grant(lambda: house.refresh(first["refresh_token"]))


# ---- revoking and looking up ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["opaque", "jwt"])
def test_revoke_an_access_token(house: House, kind: str) -> None:
    """A revoked access token is dead at once, JWT or not; its siblings live on (RFC 7009, 2.1)."""
    client = make_client(refresh="keep", scopes=SCOPES, access_token=kind)
    first = house.redeem(house.code(client), client)
    second = house.refresh(first["refresh_token"], client)
    house.tokens.revoke(client, first["access_token"])
    house.tokens.revoke(client, first["access_token"])

    assert not house.is_live(first)
    assert house.tokens.introspect(client, first["access_token"]) == {"active": False}
    assert house.is_live(second)


def test_revoke_a_refresh_token(house: House) -> None:
    """A revoked refresh token takes its access tokens along (RFC 7009, 2.1)."""
    first = house.redeem(house.code())
    house.tokens.revoke(house.client, first["refresh_token"])

    assert not house.is_live(first)
    invalid_grant(lambda: house.refresh(first["refresh_token"]))


def test_revoke_anothers_or_nothing(house: House) -> None:
    """Another client's tokens, a code, or any text: revoking them does nothing and tells nothing (RFC 7009, 2.2)."""
    code = house.code()
    first = house.redeem(house.code())
    for text in (first["access_token"], first["refresh_token"]):
        house.tokens.revoke(make_client(id="other"), text)
    for text in (code.text, first["id_token"], "x", "a.b.c", "ä"):
        house.tokens.revoke(house.client, text)

    assert house.is_live(first)
    assert house.can_refresh(first)
    assert house.is_live(house.redeem(code))


def test_introspection(house: House) -> None:
    """A client learns about its own tokens, a resource registered for it about all, others nothing (RFC 7662, 4)."""
    text = house.redeem(house.code())["access_token"]

    assert house.tokens.introspect(house.client, text)["active"] is True
    assert house.tokens.introspect(make_client(id="records", introspect=True), text)["active"] is True
    assert house.tokens.introspect(make_client(id="other"), text) == {"active": False}
    assert house.tokens.client_of(text) == "portal"


def test_access_tokens_end(house: House, portal: Client) -> None:
    """An access token lives as long as its client's registration says."""
    answer = house.redeem(house.code())
    house.clock.move(portal.access_token_life - timedelta(milliseconds=1))
    assert house.is_live(answer)

    house.clock.move(timedelta(milliseconds=1))
    assert not house.is_live(answer)


def test_a_bare_jti_is_no_token(house: House) -> None:
    """The jti of a JWT access token, read in some log, opens nothing."""
    client = make_client(access_token="jwt")
    text = house.redeem(house.code(client), client)["access_token"]
    jti = jwt.decode(text, options={"verify_signature": False})["jti"]

    assert house.tokens.userinfo(text)
    with pytest.raises(BearerError):
        house.tokens.userinfo(jti)


def test_end_session(house: House) -> None:
    """When a sign-on ends, the refresh tokens that rest on it end, and no others."""
    mine, others = house.redeem(house.code(session="s1")), house.redeem(house.code(session="s2"))
    house.tokens.end_session("s1")

    assert not house.can_refresh(mine)
    assert house.can_refresh(others)


def test_a_disabled_clients_tokens_die_with_it(house: House, durable: Durable) -> None:
    """A client that is closed while its tokens live is told nothing more with them (ASVS 7.4.2)."""
    answer = house.redeem(house.code())
    assert house.is_live(answer)

    closed = ConfiguredClients((make_client(disabled=True),), durable.clients)
    after = replace(house, tokens=replace(house.tokens, clients=closed))

    assert not after.is_live(answer)
