"""The authorization request: what is accepted, and what is refused in which words."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idbroker.client import Client, ConfiguredClients
from idbroker.errors import BadLink, OAuthError
from idbroker.identity import LoA
from idbroker.oidc import authorize
from idbroker.oidc.authorize import AuthorizationResponse, Refused
from idbroker.oidc.parameters import Parameters, parse_form
from idbroker.request import SigninRequest
from tests.conftest import NOW
from tests.oidc.making import CALLBACK, CHALLENGE, ISSUER, Parse, asked, hinted, make_client, parse_with, refused


def test_a_good_request(parse: Parse) -> None:
    """A request with nothing but the necessary is accepted as it is, without a nonce too (Core 3.1.2.1)."""
    assert parse() == SigninRequest(
        client_id="portal",
        redirect_uri=CALLBACK,
        scopes=("openid",),
        state="the state",
        code_challenge=CHALLENGE,
        minimum=LoA.SUBSTANTIAL,
        received_at=NOW,
    )


def test_unknown_parameters_and_scopes_are_ignored(parse: Parse) -> None:
    """Unknown parameters are ignored, unknown scopes and those not registered left out (Core 3.1.2.1)."""
    request = parse(extra="foobar", scope="address openid email profile national_number offline_access")

    assert request == parse(scope="openid profile")


@pytest.mark.parametrize("state", ["x" * 1024, "x" * 4096, "a b+c%&=\"'<>", "ø€😀", "{}[]|\\^`~"])
def test_state_comes_back_exactly(parse: Parse, state: str) -> None:
    """State of any length up to 4096 and any character returns as it came (RFC 6749, 4.1.2)."""
    response = authorize.code_response(parse(state=state), "the code", ISSUER)

    assert parse_qs(urlsplit(response.url).query) == {"code": ["the code"], "state": [state], "iss": [ISSUER]}


@pytest.mark.parametrize("nonce", ["x" * 384, "x" * 1024, 'ø€ "\\'])
def test_nonce_is_kept_exactly(parse: Parse, nonce: str) -> None:
    """A nonce of 384 characters and more is carried unmodified (Core 3.1.2.1)."""
    assert parse(nonce=nonce).nonce == nonce


@pytest.mark.parametrize("prompt", ["none", "login", "consent", "select_account", "login consent"])
def test_prompts(parse: Parse, prompt: str) -> None:
    """Every prompt of Core 3.1.2.1 is understood, and several together."""
    assert parse(prompt=prompt).prompt == tuple(prompt.split())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("display", "popup"),
        ("display", "hologram"),
        ("ui_locales", "da sv-SE xx"),
        ("claims_locales", "se"),
        ("login_hint", "somebody@example.org"),
        ("acr_values", "1 2"),
    ],
)
def test_wishes_never_fail(parse: Parse, name: str, value: str) -> None:
    """Optional wishes cause no error, understood or not (Core 15.1)."""
    assert parse(**{name: value}).client_id == "portal"


def test_wishes_are_carried(parse: Parse) -> None:
    """What the pages and providers can use of the wishes is handed on."""
    request = parse(display="popup", ui_locales="sv da", login_hint="x", idp="freja", acr_values="high low")

    assert request.ui_locales == ("sv", "da")
    assert not {"login_hint", "display"} & {field.name for field in dataclasses.fields(request)}
    assert (request.provider_hint, request.acr_values) == ("freja", ("high", "low"))
    assert parse(idp="../etc", display="x").provider_hint is None


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("1", 1), ("10000", 10000), ("315360000", 315360000)])
def test_max_age(parse: Parse, text: str, seconds: int) -> None:
    """max_age is whole seconds, zero included (Core 3.1.2.1)."""
    assert parse(max_age=text).max_age == timedelta(seconds=seconds)


def test_default_max_age(durable_clients: Callable[[Client], ConfiguredClients]) -> None:
    """A client's default_max_age holds unless the request says otherwise (Registration 2)."""
    clients = durable_clients(make_client(default_max_age=timedelta(hours=1)))

    assert parse_with(clients, asked()).max_age == timedelta(hours=1)
    assert parse_with(clients, asked(max_age="5")).max_age == timedelta(seconds=5)


CLIENT_ERRORS = [
    ({"response_type": None}, "invalid_request"),
    ({"response_type": "token"}, "unsupported_response_type"),
    ({"response_type": "id_token token"}, "unsupported_response_type"),
    ({"response_type": "code id_token"}, "unsupported_response_type"),
    ({"response_type": "none"}, "unsupported_response_type"),
    ({"response_type": "Code"}, "unsupported_response_type"),
    ({"response_mode": "fragment"}, "invalid_request"),
    ({"response_mode": "web_message"}, "invalid_request"),
    ({"response_mode": "query.jwt"}, "invalid_request"),
    ({"scope": None}, "invalid_scope"),
    ({"scope": "profile"}, "invalid_scope"),
    ({"scope": "OpenID"}, "invalid_scope"),
    ({"request": "eyJ.eyJ."}, "request_not_supported"),
    ({"request_uri": "https://169.254.169.254/"}, "request_uri_not_supported"),
    ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "request_uri_not_supported"),
    ({"registration": "{}"}, "registration_not_supported"),
    ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
    ({"code_challenge": None}, "invalid_request"),
    ({"code_challenge_method": None}, "invalid_request"),
    ({"code_challenge_method": "plain"}, "invalid_request"),
    ({"code_challenge_method": "s256"}, "invalid_request"),
    ({"code_challenge": CHALLENGE[:-1]}, "invalid_request"),
    ({"code_challenge": CHALLENGE + "A"}, "invalid_request"),
    ({"code_challenge": CHALLENGE[:-1] + "="}, "invalid_request"),
    ({"code_challenge": CHALLENGE[:-1] + "\n"}, "invalid_request"),
    ({"state": "x" * 4097}, "invalid_request"),
    ({"nonce": "x" * 1025}, "invalid_request"),
    ({"prompt": "none login"}, "invalid_request"),
    ({"prompt": "Login"}, "invalid_request"),
    ({"prompt": "create"}, "invalid_request"),
    ({"max_age": "-1"}, "invalid_request"),
    ({"max_age": "1.5"}, "invalid_request"),
    ({"max_age": "soon"}, "invalid_request"),
    ({"max_age": "١"}, "invalid_request"),
    ({"max_age": "315360001"}, "invalid_request"),
    ({"max_age": "9" * 11}, "invalid_request"),
    ({"login_hint": "x" * 4097}, "invalid_request"),
    ({"ui_locales": "x" * 4097}, "invalid_request"),
    ({"acr_values": "x" * 4097}, "invalid_request"),
    ({"id_token_hint": "x" * 4097}, "invalid_request"),
    ({"id_token_hint": "forged"}, "invalid_request"),
    ({"claims": "no JSON"}, "invalid_request"),
]


@pytest.mark.parametrize(("changes", "code"), CLIENT_ERRORS)
def test_errors_return_with_state_and_issuer(parse: Parse, changes: dict[str, str | None], code: str) -> None:
    """The client's fault goes to the registered URI: error, state and iss, nothing else (RFC 6749, 4.1.2.1; 9207)."""
    response = refused(parse, **changes).response

    assert response.redirect_uri == CALLBACK
    assert response.mode == "query"
    assert response.parameters["error"] == code
    assert response.parameters["iss"] == ISSUER
    assert response.parameters.get("state") == (None if "state" in changes else "the state")
    assert set(response.parameters) <= {"error", "error_description", "state", "iss"}


@pytest.mark.parametrize("name", ["state", "scope", "response_type", "nonce", "code_challenge", "extra"])
def test_duplicates(clients: ConfiguredClients, name: str) -> None:
    """A parameter sent twice is invalid_request; a state sent twice is not echoed (RFC 6749, 3.1)."""
    with pytest.raises(Refused) as error:
        parse_with(clients, Parameters(dict(asked()), frozenset({name})))

    assert error.value.code == "invalid_request"
    assert error.value.response.parameters.get("state") == (None if name == "state" else "the state")


@pytest.mark.parametrize(
    ("registered", "mode", "used"),
    [
        (("query", "form_post"), "form_post", "form_post"),
        (("query",), "form_post", "query"),
        (("form_post",), None, "query"),
        ((), "form_post", "query"),
        (("query", "fragment"), "fragment", "query"),
    ],
)
def test_mode_of_an_error(
    durable_clients: Callable[[Client], ConfiguredClients], registered: tuple[str, ...], mode: str | None, used: str
) -> None:
    """An error returns by the mode asked for if that is registered, else in the query (ASVS 10.4.12)."""
    clients = durable_clients(make_client(response_modes=registered))
    with pytest.raises(Refused) as error:
        parse_with(clients, asked(response_mode=mode, scope="x"))

    assert error.value.response.mode == used


def test_mode_must_be_registered(durable_clients: Callable[[Client], ConfiguredClients]) -> None:
    """A mode that works, but not for this client, is refused; without one, `query` is meant."""
    clients = durable_clients(make_client(response_modes=("form_post",)))

    assert parse_with(clients, asked(response_mode="form_post")).response_mode == "form_post"
    with pytest.raises(Refused):
        parse_with(clients, asked())


def test_without_pkce(durable_clients: Callable[[Client], ConfiguredClients]) -> None:
    """A client registered as able to do without PKCE may; half of it is refused for it too."""
    clients = durable_clients(make_client(require_pkce=False))

    assert parse_with(clients, asked(code_challenge=None, code_challenge_method=None)).code_challenge is None
    for changes in ({"code_challenge": None}, {"code_challenge_method": None}):
        with pytest.raises(Refused):
            parse_with(clients, asked(**changes))


def test_required_nonce(durable_clients: Callable[[Client], ConfiguredClients]) -> None:
    """A client that registered for nonces cannot leave one out (ASVS 10.5.1)."""
    clients = durable_clients(make_client(require_nonce=True))

    assert parse_with(clients, asked(nonce="n")).nonce == "n"
    with pytest.raises(Refused):
        parse_with(clients, asked())


@pytest.mark.parametrize(
    ("registered", "joined"),
    [("https://p.example/cb", "https://p.example/cb?"), ("https://p.example/cb?a=1", "https://p.example/cb?a=1&")],
)
def test_query_is_kept(registered: str, joined: str) -> None:
    """The query of a registered URI is kept, ours is added (RFC 6749, 3.1.2)."""
    response = AuthorizationResponse(redirect_uri=registered, mode="query", parameters={"code": "c"})

    assert response.url == f"{joined}code=c"


def test_code_is_not_shown() -> None:
    """A log line that holds a response holds no code."""
    assert "secret-code" not in repr(
        AuthorizationResponse(redirect_uri=CALLBACK, mode="query", parameters={"code": "secret-code"})
    )


names = st.sampled_from(
    [*asked(), "nonce", "prompt", "max_age", "claims", "id_token_hint", "acr_values", "response_mode", "request", "x"]
)
values = st.one_of(
    st.sampled_from(["portal", CALLBACK, "code", "openid", CHALLENGE, "S256", "none", "login", "[", "{}"]), st.text()
)


@given(raw=st.one_of(st.binary(), st.lists(st.tuples(names, values)).map(lambda pairs: urlencode(pairs).encode())))
def test_any_request(durable_clients: Callable[[Client], ConfiguredClients], raw: bytes) -> None:
    """Whatever is sent, the answer is a request, BadLink or an OAuth error: never a fault of ours (A12)."""
    clients = durable_clients(make_client())
    good = "&".join(f"{k}={v}" for k, v in asked().items() if k in ("client_id", "redirect_uri")).encode()
    for octets in (raw, good + b"&" + raw):
        try:
            authorize.parse(parse_form(octets), clients, issuer=ISSUER, now=NOW, hinted_subject=hinted)
        except (BadLink, OAuthError):
            continue
