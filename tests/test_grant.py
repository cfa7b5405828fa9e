"""What a client may know: what was proved, what it asked for, and what it is registered for, all three."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idbroker.client import Client
from idbroker.clinic import Clinic
from idbroker.grant import LiveToken, Spelled, make_grant, proved_claims, released
from idbroker.identity import Identity, LoA
from idbroker.numbers import parse
from idbroker.request import SigninRequest
from idbroker.session import Session
from tests.conftest import NOW
from tests.oidc.making import CALLBACK, CHALLENGE, make_client
from tests.oidc.making import make_grant as some_grant

NUMBER = parse("610101-0001", "DK", now=NOW.date())
WIDE = ("openid", "profile", "national_number")
PROFILE = {"name", "given_name", "family_name", "birthdate"}
NUMBERS = {"national_number", "national_number_country"}


def person(**changes: Any) -> Identity:
    """Return a proved identity, changed as told."""
    proved: dict[str, Any] = {
        "provider": "mitid",
        "issuer": "https://mitid.example",
        "subject": "upstream-subject",
        "loa": LoA.SUBSTANTIAL,
        "proved_at": NOW,
        "number": NUMBER,
        "name": "Ada Test",
        "given_name": "Ada",
        "family_name": "Test",
        "birthdate": date(1990, 1, 31),
    }
    return Identity(**{**proved, **changes})


def request(**changes: Any) -> SigninRequest:
    """Return a request, changed as told."""
    return SigninRequest(**{"client_id": "portal", "redirect_uri": CALLBACK, "received_at": NOW, **changes})


def given_to(client: Client, **changes: Any) -> tuple[set[str], set[str]]:
    """Return the names released to userinfo and to the ID token."""
    userinfo, id_token = released(person(), client, request(**changes))
    return set(userinfo), set(id_token)


@pytest.fixture
def wide() -> Client:
    """Return a client that is registered for everything."""
    return make_client(scopes=WIDE, national_number=True)


def test_claims_by_scope(wide: Client) -> None:
    """A scope releases its claims to userinfo, none to the ID token (Core 5.4)."""
    assert given_to(wide, scopes=("openid",)) == (set(), set())
    assert given_to(wide, scopes=("openid", "profile")) == (PROFILE, set())
    assert given_to(wide, scopes=WIDE) == (PROFILE | NUMBERS, set())


def test_claims_by_name(wide: Client) -> None:
    """A claim asked for by name goes where it was asked for, and only there (Core 5.5)."""
    assert given_to(wide, claims_userinfo=("name", "made-up")) == ({"name"}, set())
    assert given_to(wide, claims_id_token=("birthdate",)) == (set(), {"birthdate"})


def test_never_beyond_the_registration() -> None:
    """Asking by name or scope for what a client is not registered for gives nothing."""
    everything = {"scopes": WIDE, "claims_userinfo": (*PROFILE, *NUMBERS), "claims_id_token": (*PROFILE, *NUMBERS)}

    assert given_to(make_client(scopes=("openid",)), **everything) == (set(), set())
    assert given_to(make_client(scopes=("openid", "profile")), **everything) == (PROFILE, PROFILE)


def test_the_number_needs_scope_and_permission() -> None:
    """The national number goes to a client by scope and permission together, not by one of them."""
    asked = {"scopes": WIDE, "claims_userinfo": (*NUMBERS,)}

    assert not given_to(make_client(scopes=WIDE, national_number=False), **asked)[0] & NUMBERS
    assert not given_to(make_client(scopes=("openid", "profile"), national_number=True), **asked)[0] & NUMBERS


names = st.lists(st.sampled_from([*PROFILE, *NUMBERS, "sub", "email", "acr"]))
scopes = st.lists(st.sampled_from([*WIDE, "offline_access", "email"])).map(tuple)


@given(scopes, st.booleans(), scopes, names, names)
def test_whatever_is_asked(
    registered: tuple[str, ...], number: bool, asked: tuple[str, ...], userinfo: list[str], id_token: list[str]
) -> None:
    """No request of any shape gets a claim that the registration does not allow."""
    client = make_client(scopes=registered, national_number=number)
    both = given_to(client, scopes=asked, claims_userinfo=tuple(userinfo), claims_id_token=tuple(id_token))
    allowed = (PROFILE if "profile" in registered else set()) | (
        NUMBERS if number and "national_number" in registered else set()
    )

    assert both[0] | both[1] <= allowed
    assert both[1] <= set(id_token)


def test_only_what_was_proved() -> None:
    """A claim that was not proved is left out, never empty; a birthdate is ISO 8601 (Core 5.1)."""
    assert proved_claims(person())["birthdate"] == "1990-01-31"
    nothing = person(number=None, name=None, given_name="", family_name=None, birthdate=None)
    assert proved_claims(nothing) == {}


def test_make_grant(wide: Client) -> None:
    """A grant has the request's and the proof's own words: when the person acted, not when we heard of it."""
    proved_at = NOW - timedelta(minutes=5)
    session = Session(
        key="k",
        person="p",
        identity=person(proved_at=proved_at, amr=("mfa",)),
        language="da",
        started_at=NOW,
        seen_at=NOW,
    )
    clinic = Clinic(id="clinea", name="Clinea", country="DK", providers=("mitid",))
    asked = request(nonce="n", code_challenge=CHALLENGE, scopes=("openid", "profile"))
    spelled = Spelled(subject="s", actor="s", acr="substantial")
    grant = make_grant(asked, wide, clinic, session, spelled=spelled, code=("f", "d"), code_expires_at=NOW)

    assert (grant.auth_time, grant.amr, grant.nonce, grant.code_challenge) == (proved_at, ("mfa",), "n", CHALLENGE)
    assert (grant.id, grant.code_digest, grant.session, grant.sid) == ("f", "d", "k", session.sid("portal"))
    assert set(grant.claims) == PROFILE
    assert not grant.code_spent


def test_sids_cannot_be_compared() -> None:
    """Two clients know one sign-on by two names."""
    session = Session(key="k", person="p", identity=person(), language="da", started_at=NOW, seen_at=NOW)

    assert session.sid("portal") != session.sid("other")
    assert session.sid("portal") != "k"


def test_tokens_of_a_grant() -> None:
    """Tokens are added, removed and forgotten when their time is up; spending a code leaves its one token."""

    def token(digest: str, minutes: int) -> LiveToken:
        return LiveToken(digest=digest, scopes=(), issued_at=NOW, expires_at=NOW + timedelta(minutes=minutes))

    grant = some_grant(make_client()).spent(token("a", 1)).with_token(token("b", 5), NOW)

    assert grant.code_spent
    assert [t.digest for t in grant.live] == ["a", "b"]
    assert [t.digest for t in grant.with_token(token("c", 5), NOW + timedelta(minutes=1)).live] == ["b", "c"]
    assert [t.digest for t in grant.without_token("a").live] == ["b"]


def test_nothing_personal_is_shown(wide: Client) -> None:
    """A log line that holds a grant holds nothing of the person."""
    userinfo, id_token = released(person(), wide, request(scopes=WIDE, claims_id_token=("name",)))
    grant = replace(some_grant(wide), claims=userinfo, id_token_claims=id_token, nonce="the-nonce")

    shown = repr(grant) + repr(person())
    assert not [
        word
        for word in ("Ada", "Test", "610101000", "6101010001", "1990", "the-nonce", "pairwise-subject")
        if word in shown
    ]
