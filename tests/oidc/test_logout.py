"""RP-initiated logout: who may send the browser on, and where (RP-Initiated Logout 1.0)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import ECKey

from idbroker.client import Client, ConfiguredClients
from idbroker.errors import OAuthError
from idbroker.keyring import Keyring
from idbroker.oidc import jose, logout, token
from idbroker.oidc.logout import Hint, LogoutRequest
from idbroker.oidc.parameters import Parameters
from tests.conftest import NOW
from tests.oidc.making import GOODBYE, ISSUER, b64, form, make_client, make_grant, signed


@pytest.fixture
def hint(keyring: Keyring, portal: Client) -> str:
    """Return an ID token of long ago."""
    grant = make_grant(portal, sid="the sid", auth_time=NOW)
    return token.id_token(
        grant, issuer=ISSUER, now=NOW - timedelta(days=9), access_token="at", signer=keyring.signing("ES256")
    )


@pytest.fixture
def ask(clients: ConfiguredClients, keyring: Keyring) -> Callable[..., LogoutRequest]:
    """Return a function that checks a logout request."""
    return lambda **fields: logout.parse(form(fields), clients, find_key=keyring.verification_key, issuer=ISSUER)


Ask = Callable[..., LogoutRequest]


def test_with_everything(ask: Ask, hint: str, portal: Client) -> None:
    """Hint, registered URI and a state of 128 characters: back there with exactly the state, though the hint is old."""
    asked = ask(id_token_hint=hint, post_logout_redirect_uri=GOODBYE, state="s&=" * 42, ui_locales="da sv")

    assert asked.client == portal
    assert asked.hint == Hint(client_id="portal", subject="pairwise-subject", sid="the sid")
    assert asked.ui_locales == ("da", "sv")
    assert asked.target is not None
    assert asked.target.startswith(f"{GOODBYE}?")
    assert parse_qs(urlsplit(asked.target).query) == {"state": ["s&=" * 42]}


def test_without_state(ask: Ask, hint: str) -> None:
    """Without a state the URI is followed as it is registered."""
    assert ask(id_token_hint=hint, post_logout_redirect_uri=GOODBYE).target == GOODBYE


@pytest.mark.parametrize(
    "fields", [{}, {"state": "x"}, {"client_id": "portal"}, {"client_id": "nobody"}, {"logout_hint": "x"}]
)
def test_without_redirect(ask: Ask, fields: dict[str, str]) -> None:
    """No parameters, or only a state or a client: the person is logged out here and sent nowhere."""
    assert ask(**fields).target is None


def test_no_redirect_uri(ask: Ask, hint: str) -> None:
    """A hint without a URI sends nobody anywhere."""
    assert ask(id_token_hint=hint, state="x").target is None


@pytest.mark.parametrize(
    "uri",
    [
        f"{GOODBYE}?foo=bar",
        f"{GOODBYE}/",
        f"{GOODBYE}#",
        f"{GOODBYE}\n",
        GOODBYE.upper(),
        GOODBYE.replace("https", "http"),
        "https://portal.example.org/callback",
        "https://portal.example.org@evil.example/goodbye",
        "https://evil.example/",
        "//evil.example",
        "javascript:alert(1)",
    ],
)
def test_unregistered_uri(ask: Ask, hint: str, uri: str) -> None:
    """A URI that is not registered octet by octet is an error page, not a redirect (A3)."""
    with pytest.raises(OAuthError, match="not registered"):
        ask(id_token_hint=hint, post_logout_redirect_uri=uri)


@pytest.mark.parametrize("fields", [{}, {"client_id": "portal"}])
def test_registered_uri_without_hint(ask: Ask, fields: dict[str, str]) -> None:
    """Without a hint nothing is followed: a client_id proves nothing (RP-Initiated Logout 3)."""
    with pytest.raises(OAuthError, match="not registered"):
        ask(post_logout_redirect_uri=GOODBYE, **fields)


def test_client_id_must_be_the_hints(ask: Ask, hint: str) -> None:
    """A client_id that differs from the hint's audience is an error (RP-Initiated Logout 2)."""
    assert ask(id_token_hint=hint, client_id="portal").client is not None
    with pytest.raises(OAuthError, match="client_id"):
        ask(id_token_hint=hint, client_id="other")


def test_another_clients_hint(ask: Ask, keyring: Keyring) -> None:
    """A hint for one client opens no other client's URIs; nor a client's that is closed by now."""
    for name in ("other", "closed", "gone"):
        grant = make_grant(make_client(id=name))
        text = token.id_token(grant, issuer=ISSUER, now=NOW, access_token="at", signer=keyring.signing("RS256"))
        with pytest.raises(OAuthError, match="not registered"):
            ask(id_token_hint=text, post_logout_redirect_uri="https://portal.example.org/callback")
        if name != "other":
            with pytest.raises(OAuthError, match="not registered"):
                ask(id_token_hint=text, post_logout_redirect_uri=GOODBYE)


def test_forged_hints(ask: Ask, hint: str, keyring: Keyring) -> None:
    """A hint with alg none, a stranger's signature, another type or issuer is an error page (A22)."""
    claims: dict[str, Any] = {"iss": ISSUER, "aud": "portal", "sub": "s"}
    ours, stranger = keyring.signing("ES256"), ECKey.generate_key("P-256", {"kid": "x"})
    unsigned, body = b64('{"alg":"none"}'), hint.split(".")[1]
    for text in (
        f"{unsigned}.{body}.",
        f"{unsigned}.{body}.AA",
        hint[:-4] + "AAAA",
        signed(claims, stranger, "ES256"),
        signed(claims, stranger, "ES256", kid=ours.kid),
        signed(claims, ours.key, "ES256", kid=None),
        jose.sign(claims, ours, typ="at+jwt"),
        jose.sign(claims, ours, typ="logout+jwt"),
        jose.sign({**claims, "iss": "https://evil.example"}, ours),
        jose.sign({**claims, "aud": ["portal"]}, ours),
        jose.sign({**claims, "sub": 1}, ours),
        jose.sign({"iss": ISSUER, "aud": "portal"}, ours),
        "x",
        "x" * 30_000,
    ):
        with pytest.raises(OAuthError) as error:
            ask(id_token_hint=text, post_logout_redirect_uri=GOODBYE)
        assert (error.value.code, error.value.description) == ("invalid_request", "The id_token_hint is not valid")


def test_bounds(ask: Ask, hint: str, clients: ConfiguredClients, keyring: Keyring) -> None:
    """A state of more than 4096 characters, or anything sent twice, is an error."""
    assert ask(id_token_hint=hint, post_logout_redirect_uri=GOODBYE, state="x" * 4096).target is not None
    with pytest.raises(OAuthError, match="too long"):
        ask(state="x" * 4097)
    with pytest.raises(OAuthError, match="more than once"):
        logout.parse(Parameters({}, frozenset({"state"})), clients, find_key=keyring.verification_key, issuer=ISSUER)


def test_a_registered_query_is_kept() -> None:
    """The state is added to the query that is registered."""
    asked = LogoutRequest(client=None, hint=None, redirect_uri=f"{GOODBYE}?a=1", state="x")

    assert asked.target == f"{GOODBYE}?a=1&state=x"
