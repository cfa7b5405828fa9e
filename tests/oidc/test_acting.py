"""Who a request is about, who may ask for it, and what is exchanged: the pure parts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from idbroker.client import Client, ConfiguredClients
from idbroker.errors import OAuthError
from idbroker.grant import Grant, LiveToken
from idbroker.oidc import bearer, token
from idbroker.oidc.claims_request import parse_claims
from idbroker.oidc.secret import new_family, new_secret
from idbroker.registration import mistakes_of
from idbroker.request import SigninRequest
from idbroker.store import Durable
from tests.conftest import NOW
from tests.oidc.making import CALLBACK, VERIFIER, Parse, asked, form, make_client, make_grant, parse_with, refused

ACT: dict[str, Any] = {"act": {"sub": "guardian"}, "guardianship": {"relation": "custody", "until": 1}}
ESSENTIAL = '{"id_token":{"act":{"essential":true}}}'
SCOPES = ("openid", "profile", "acting_for")


@pytest.fixture
def parsed(durable: Durable) -> Parse:
    """Return what parses a request of a client that takes guardians, or of one that is registered as told."""

    def parse(acting: str = "asked", **changes: str | None) -> SigninRequest:
        client = make_client(acting=acting, scopes=SCOPES if acting != "never" else SCOPES[:2])
        return parse_with(ConfiguredClients((client,), durable.clients), asked(**changes))

    return parse


# ---- asking ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "about", "must"),
    [
        ({}, None, False),
        ({"acting_for": ""}, None, False),
        ({"acting_for": "ask"}, "ask", False),
        ({"acting_for": "self"}, "self", False),
        ({"acting_for": "a-sub"}, "a-sub", False),
        ({"scope": "openid acting_for"}, "ask", False),
        ({"scope": "openid acting_for", "acting_for": "self"}, "self", False),
        ({"claims": ESSENTIAL}, "ask", True),
        ({"claims": ESSENTIAL, "acting_for": "a-sub"}, "a-sub", True),
        # A portal that always sends the scope renews by a hint all the same.
        ({"scope": "openid acting_for", "prompt": "none"}, "ask", False),
        ({"scope": "openid acting_for", "prompt": "none", "id_token_hint": "hint of x"}, None, False),
        ({"scope": "openid acting_for", "id_token_hint": "hint of x"}, "ask", False),
        ({"acting_for": "ask", "prompt": "none", "id_token_hint": "hint of x"}, "ask", False),
    ],
)
def test_who_it_is_about(parsed: Parse, changes: dict[str, str], about: str | None, must: bool) -> None:
    """The parameter says it, else the scope asks; an essential `act` takes nobody for themselves (Core 5.5.1)."""
    request = parsed(**changes)
    assert (request.acting_for, request.must_act) == (about, must)


def test_a_scope_that_is_not_registered_asks_nothing(parsed: Parse) -> None:
    """A client that takes no guardians may send the scope, as any unknown one: it is left out (Core 3.1.2.1)."""
    request = parsed(acting="never", scope="openid acting_for", acting_for="self")
    assert (request.acting_for, request.scopes) == ("self", ("openid",))


@pytest.mark.parametrize(
    ("acting", "changes"),
    [
        ("never", {"acting_for": "ask"}),
        ("never", {"acting_for": "a-sub"}),
        ("never", {"claims": ESSENTIAL}),
        ("asked", {"acting_for": "self", "claims": ESSENTIAL}),
        ("required", {"acting_for": "self"}),
        ("asked", {"acting_for": "two words"}),
        ("asked", {"acting_for": "ø"}),
        ("asked", {"acting_for": "x" * 256}),
    ],
)
def test_what_is_refused(parsed: Parse, acting: str, changes: dict[str, str]) -> None:
    """Asking where none may act, for nobody and somebody at once, or out of shape is invalid_request."""
    assert refused(parsed, acting=acting, **changes).code == "invalid_request"


@pytest.mark.parametrize(
    ("text", "essential"),
    [
        (None, False),
        ('{"id_token":{"act":null}}', False),
        ('{"id_token":{"act":{"essential":false}}}', False),
        ('{"id_token":{"act":{"essential":"true"}}}', False),
        (ESSENTIAL, True),
        ('{"userinfo":{"act":{"essential":true}}}', True),
    ],
)
def test_only_true_is_essential(text: str | None, essential: bool) -> None:
    """Nothing but JSON's true makes a claim essential, in either place (Core 5.5.1)."""
    assert parse_claims(text).essential_act is essential


def test_the_scope_needs_the_registration() -> None:
    """A registration with the scope and without guardians is refused in words."""
    assert "acting" in dict(mistakes_of(make_client(scopes=SCOPES)))
    assert dict(mistakes_of(make_client(scopes=SCOPES, acting="asked"))) == {}


# ---- what a registration takes ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("acting", "own", "wards"),
    [("never", True, False), ("asked", True, True), ("always", True, True), ("required", False, True)],
)
def test_what_a_registration_takes(acting: str, own: bool, wards: bool) -> None:
    """`never` takes no ward's grant, `required` nobody's own, whenever the registration came to say so."""
    client = make_client(acting=acting)
    assert token.takes(client, make_grant(client)) is own
    assert token.takes(client, make_grant(client, **ACT)) is wards
    assert token.takes(client, make_grant(client, act={"role": "carer"})) is own


def test_a_code_is_not_redeemed_where_it_is_not_taken() -> None:
    """A ward's code is worth nothing to a client that takes no guardians any more."""
    client, code = make_client(), new_secret(new_family())
    request = token.CodeRequest(code=code, redirect_uri=CALLBACK, verifier=VERIFIER)
    grant = make_grant(client, code, **ACT)
    with pytest.raises(OAuthError) as error:
        token.check_redemption(token.Redemption(grant=grant, client=client, request=request, now=NOW))
    assert (error.value.code, error.value.description) == ("invalid_grant", "The code is not valid")


# ---- exchanging ------------------------------------------------------------------------------------


def exchange(client: Client, **changes: str) -> Any:
    """Parse an exchange, changed as told; "" leaves a field out."""
    usual = {
        "grant_type": token.EXCHANGE,
        "subject_token": "a token",
        "subject_token_type": token.ACCESS_TOKEN,
        "acting_for": "a-sub",
    }
    return token.parse(form({k: v for k, v in {**usual, **changes}.items() if v}), client)


def test_an_exchange() -> None:
    """The token, whom it is to be about, and the scopes wished are read as they came (RFC 8693, 2.1)."""
    found = exchange(make_client(acting="asked"), scope="openid profile")
    wanted = token.ExchangeRequest(subject_token="a token", acting_for="a-sub", scopes=("openid", "profile"))
    assert found == wanted
    assert "a token" not in repr(found)
    assert "a-sub" not in repr(found)


@pytest.mark.parametrize(
    ("settings", "changes", "error"),
    [
        ({}, {}, "unauthorized_client"),
        ({"acting": "asked", "auth_method": "none"}, {}, "unauthorized_client"),
        ({"acting": "asked"}, {"subject_token_type": "x"}, "invalid_request"),
        ({"acting": "asked"}, {"requested_token_type": "x"}, "invalid_request"),
        ({"acting": "asked"}, {"actor_token_type": token.ACCESS_TOKEN}, "invalid_request"),
        ({"acting": "asked"}, {"acting_for": "ask"}, "invalid_request"),
        ({"acting": "required"}, {"acting_for": "self"}, "invalid_request"),
        ({"acting": "asked"}, {"audience": "api"}, "invalid_target"),
    ],
)
def test_an_exchange_that_is_refused(settings: dict[str, Any], changes: dict[str, str], error: str) -> None:
    """Each has its own error of the right family (RFC 6749, 5.2; RFC 8693, 2.2.2)."""
    with pytest.raises(OAuthError) as caught:
        exchange(make_client(**settings), **changes)
    assert caught.value.code == error


def live(*scopes: str) -> LiveToken:
    """Return a token of these scopes."""
    return LiveToken(digest="d", scopes=scopes, issued_at=NOW, expires_at=NOW + timedelta(minutes=1))


@pytest.mark.parametrize(
    ("wished", "held", "given"),
    [
        ((), ("openid", "profile", "offline_access"), ("openid", "profile")),
        (("openid",), ("openid", "profile"), ("openid",)),
        (("openid", "offline_access"), ("openid",), ("openid",)),
        ((), ("openid", "national_number"), ("openid",)),  # taken from the client since
        (("openid", "profile"), ("openid",), None),
        (("profile",), ("openid", "profile"), None),
        ((), ("profile",), None),
    ],
)
def test_scopes_of_an_exchanged_token(
    wished: tuple[str, ...], held: tuple[str, ...], given: tuple[str, ...] | None
) -> None:
    """Never wider than the presented token, never for longer than it lives, never without openid (RFC 8693, 2.1)."""
    client = make_client(scopes=("openid", "profile", "offline_access"))
    if given is not None:
        assert token.exchangeable(wished, live(*held), client) == given
        return
    with pytest.raises(OAuthError) as error:
        token.exchangeable(wished, live(*held), client)
    assert error.value.code == "invalid_scope"


def test_who_acts_cannot_be_given_up() -> None:
    """Userinfo of a token narrowed to openid still says who acts, and by which right."""
    grant: Grant = make_grant(make_client(), scopes=("openid", "profile"), claims={"name": "Ada"}, **ACT)
    assert bearer.userinfo(grant, live("openid")) == {"sub": "pairwise-subject", **ACT}
