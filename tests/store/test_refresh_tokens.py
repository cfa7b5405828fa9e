"""What every store of refresh tokens promises (grant.RefreshTokens)."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from idbroker.clock import StoppedClock, SystemClock
from idbroker.errors import StoreError
from idbroker.grant import RefreshToken
from idbroker.store import Durable
from tests.store.rivals import PROCESSES, THREADS, fight


@pytest.fixture
def token(clock: StoppedClock) -> RefreshToken:
    """Return a token of a family and a session."""
    return RefreshToken(
        digest="digest",
        family="family",
        client_id="portal",
        session="session",
        grant=b"\x00sealed\xff",
        issued_at=clock.now(),
        expires_at=clock.now() + timedelta(days=30),
    )


def test_added_and_found(durable: Durable, token: RefreshToken) -> None:
    """A token comes back as it was added, every field."""
    without_session = dataclasses.replace(token, digest="other", session=None)
    durable.refresh_tokens.add(token)
    durable.refresh_tokens.add(without_session)

    assert durable.refresh_tokens.find("digest") == token
    assert durable.refresh_tokens.find("other") == without_session
    assert durable.refresh_tokens.find("unknown") is None


def test_used_once(durable: Durable, token: RefreshToken, clock: StoppedClock) -> None:
    """A used token stays, marked, so that using it again is noticed (RFC 9700, 4.14.2)."""
    durable.refresh_tokens.add(token)

    assert durable.refresh_tokens.use("digest", clock.now())
    assert not durable.refresh_tokens.use("digest", clock.now())
    assert durable.refresh_tokens.find("digest") == dataclasses.replace(token, used_at=clock.now())
    assert not durable.refresh_tokens.use("unknown", clock.now())


def test_one_user_of_many(durable: Durable, durable_url: str, token: RefreshToken) -> None:
    """Of 24 threads in 3 processes exactly one uses it."""
    durable.refresh_tokens.add(dataclasses.replace(token, expires_at=SystemClock().now() + timedelta(days=1)))

    answers = fight(durable_url, ("use",), "digest")["use"]

    assert sorted(answers) == ["False"] * (THREADS * (PROCESSES + 1) - 1) + ["True"]


def test_over_is_over(durable: Durable, token: RefreshToken) -> None:
    """A token cannot be used at or after its end."""
    durable.refresh_tokens.add(token)

    assert not durable.refresh_tokens.use("digest", token.expires_at)
    assert durable.refresh_tokens.use("digest", token.expires_at - timedelta(microseconds=1))


def test_revoked_by_family_or_session(durable: Durable, token: RefreshToken) -> None:
    """All of a family, or all of a session, used ones too; the others stay."""
    for digest, family, session in (
        ("1", "a", "s"),
        ("2", "a", None),
        ("3", "b", "s"),
        ("4", "b", "t"),
        ("5", "c", None),
    ):
        durable.refresh_tokens.add(dataclasses.replace(token, digest=digest, family=family, session=session))

    assert durable.refresh_tokens.revoke(family="a") == 2
    assert durable.refresh_tokens.revoke(session="s") == 1
    assert durable.refresh_tokens.revoke(session="s") == 0
    assert [digest for digest in "12345" if durable.refresh_tokens.find(digest)] == ["4", "5"]


def test_revoke_names_exactly_one(durable: Durable) -> None:
    """Nothing or both given is a mistake, not "everything"."""
    with pytest.raises(ValueError, match="a family, a session or a person"):
        durable.refresh_tokens.revoke()
    with pytest.raises(ValueError, match="a family, a session or a person"):
        durable.refresh_tokens.revoke(family="a", session="s")


def test_purged_when_over(durable: Durable, token: RefreshToken) -> None:
    """Purging removes those whose time is up, however many, and no other."""
    for number in range(1003):
        durable.refresh_tokens.add(dataclasses.replace(token, digest=f"old {number}"))
    durable.refresh_tokens.add(
        dataclasses.replace(token, digest="new", expires_at=token.expires_at + timedelta(days=1))
    )

    assert durable.refresh_tokens.purge(token.expires_at) == 1003
    assert durable.refresh_tokens.purge(token.expires_at) == 0
    assert durable.refresh_tokens.find("new") is not None


def test_errors_repeat_no_values(durable: Durable, token: RefreshToken) -> None:
    """What a database says about a statement it refused does not carry the statement's values."""
    durable.refresh_tokens.add(token)

    with pytest.raises(StoreError) as caught:
        durable.refresh_tokens.add(dataclasses.replace(token, grant=b"a-sealed-grant", session="a-session"))

    words = f"{caught.value} {caught.value.__cause__}"
    assert "a-sealed-grant" not in words
    assert "a-session" not in words
