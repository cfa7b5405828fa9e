"""Where an answer may go: to a registered address, or nowhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idbroker.client import Client, ConfiguredClients
from idbroker.errors import BadLink
from idbroker.oidc import authorize
from idbroker.oidc.parameters import Parameters
from tests.oidc.making import CALLBACK, ISSUER, Parse, asked, make_client, parse_with


@pytest.mark.parametrize("client_id", [None, "nobody", "Portal", "portal ", "closed", "x" * 201, "' OR 1=1 --"])
@pytest.mark.parametrize("other", [{}, {"response_type": "token"}, {"scope": "email"}, {"prompt": "none"}])
def test_unknown_client_gets_no_redirect(parse: Parse, client_id: str | None, other: dict[str, str]) -> None:
    """An unknown, disabled or missing client: an error page, whatever else is wrong (RFC 9700, 4.11.2)."""
    with pytest.raises(BadLink):
        parse(client_id=client_id, **other)


@pytest.mark.parametrize(
    "redirect_uri",
    [
        None,
        "https://portal.example.org/",
        "https://portal.example.org/callback/",
        "https://portal.example.org/callback/more",
        "https://portal.example.org//callback",
        "https://portal.example.org/x/../callback",
        "https://portal.example.org/./callback",
        "https://portal.example.org/%2e%2e/callback",
        "https://portal.example.org/callbac%6B",
        "https://portal.example.org%2fcallback",
        "https://portal.example.org/Callback",
        "https://PORTAL.example.org/callback",
        "HTTPS://portal.example.org/callback",
        "http://portal.example.org/callback",
        "//portal.example.org/callback",
        "/callback",
        "https://portal.example.org:443/callback",
        "https://portal.example.org:8443/callback",
        "https://portal.example.org./callback",
        "https://portal.example.org.evil.example/callback",
        "https://evil.example/portal.example.org/callback",
        "https://xportal.example.org/callback",
        "https://portal.example.org@evil.example/callback",
        "https://user@portal.example.org/callback",
        "https://user:pass@portal.example.org/callback",
        "https://@portal.example.org/callback",
        "http://localhost:80@evil.example/callback",
        "https://portal.example.org\\@evil.example/callback",
        "https://evil.example\\.portal.example.org/callback",
        "https:\\\\portal.example.org\\callback",
        "https://pörtal.example.org/callback",
        "https://portal.ex\u0430mple.org/callback",
        "https://portal。example。org/callback",
        "https://portal.example.org/callback\t",
        "https://portal.example.org/call\tback",
        "https://portal.example.org/callback\r\nLocation: https://evil.example",
        "https://portal.example.org/callback\n",
        " https://portal.example.org/callback",
        "https://portal.example.org/callback ",
        "https://portal.example.org/callback#",
        "https://portal.example.org/callback#x",
        "https://portal.example.org/callback?",
        "https://portal.example.org/callback?x=1",
        "https://portal.example.org/callback;x",
        "https://portal.example.org/callback&x=1",
        "https://other.example.org/callback",
        "https://portal.example.org/goodbye",
        "javascript:alert(1)//https://portal.example.org/callback",
        "data:text/html,https://portal.example.org/callback",
        "https://portal.example.org/callback https://evil.example/",
    ],
)
@pytest.mark.parametrize("other", [{}, {"response_type": "token"}, {"scope": "x"}, {"prompt": "none login"}])
def test_unregistered_redirect_uri_gets_no_redirect(
    parse: Parse, redirect_uri: str | None, other: dict[str, str]
) -> None:
    """Only the registered URI, octet by octet; else an error page, with other errors too (RFC 9700, 2.1 and 4.11.2)."""
    with pytest.raises(BadLink):
        parse(redirect_uri=redirect_uri, **other)


@given(st.text(max_size=40), st.integers(0, len(CALLBACK)))
def test_nothing_added_to_the_redirect_uri(addition: str, place: int) -> None:
    """No text put anywhere into the registered URI makes another URI that is accepted (RFC 9700, 4.1)."""
    uri = CALLBACK[:place] + addition + CALLBACK[place:]
    client = make_client()

    if uri == CALLBACK:
        assert authorize.registered_redirect_uri(Parameters({"redirect_uri": uri}), client) == uri
    else:
        with pytest.raises(BadLink):
            authorize.registered_redirect_uri(Parameters({"redirect_uri": uri}), client)


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
def test_twice_where_to_gets_no_redirect(clients: ConfiguredClients, name: str) -> None:
    """Two client ids or redirect URIs, even equal ones: an error page (RFC 6749, 3.1)."""
    good = asked()
    with pytest.raises(BadLink):
        parse_with(clients, Parameters(dict(good), frozenset({name})))


def test_app_scheme(durable_clients: Callable[[Client], ConfiguredClients]) -> None:
    """An app's own scheme is compared and answered like any other URI (RFC 8252, 7.1)."""
    clients = durable_clients(make_client(redirect_uris=("org.example.app:/cb",), auth_method="none"))
    request = parse_with(clients, asked(redirect_uri="org.example.app:/cb"))

    assert authorize.code_response(request, "c", ISSUER).url.startswith("org.example.app:/cb?code=c&")
    for other in ("org.example.app:/CB", "org.example.app://cb", "ORG.example.app:/cb", "org.example.app2:/cb"):
        with pytest.raises(BadLink):
            parse_with(clients, asked(redirect_uri=other))
