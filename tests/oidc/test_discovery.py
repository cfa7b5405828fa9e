"""The metadata document: what the OpenID Foundation's configuration plan looks at, and nothing that does not work."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

import idbroker
from idbroker import registration
from idbroker.client import AUTH_METHODS
from idbroker.clinic import LANGUAGES
from idbroker.errors import OAuthError
from idbroker.grant import SCOPE_CLAIMS
from idbroker.oidc import authorize, claims_request, discovery, token
from tests.oidc.making import ISSUER, form, make_client


@pytest.fixture
def document() -> dict[str, Any]:
    """Return the document as a client reads it."""
    read: dict[str, Any] = json.loads(json.dumps(discovery.document(ISSUER)))
    return read


def test_what_clients_need(document: dict[str, Any]) -> None:
    """Issuer, endpoints and the required lists are there (Discovery 3; RFC 8414, 2)."""
    assert document["issuer"] == ISSUER
    for name in ("authorization", "token", "userinfo", "revocation", "introspection", "end_session"):
        assert document[f"{name}_endpoint"].startswith(f"{ISSUER}/")
    assert document["jwks_uri"].startswith(f"{ISSUER}/")
    assert document["response_types_supported"] == ["code"]
    assert document["subject_types_supported"] == ["pairwise"]
    assert "RS256" in document["id_token_signing_alg_values_supported"]
    assert "openid" in document["scopes_supported"]
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["authorization_response_iss_parameter_supported"] is True


def test_both_ways_of_logout_are_advertised(document: dict[str, Any]) -> None:
    """Back-channel and front-channel logout, both with a session (Back-Channel Logout 2.1, Front-Channel Logout 3)."""
    for way in ("backchannel", "frontchannel"):
        assert document[f"{way}_logout_supported"] is True
        assert document[f"{way}_logout_session_supported"] is True
    assert {"sub", "sid"} < set(document["claims_supported"])


def test_nothing_weak_is_advertised(document: dict[str, Any]) -> None:
    """Neither `none` nor HMAC as an algorithm, no implicit flow, no request objects (RFC 9700, 2.1.2)."""
    for name, values in document.items():
        if name.endswith("alg_values_supported"):
            assert not [alg for alg in values if alg == "none" or alg.startswith("HS")]
    assert {one for one in document["grant_types_supported"] if "implicit" in one or "password" in one} == set()
    assert "urn:ietf:params:oauth:grant-type:token-exchange" in document["grant_types_supported"]
    assert document["request_parameter_supported"] is False
    assert document["request_uri_parameter_supported"] is False
    assert "none" not in document["introspection_endpoint_auth_methods_supported"]


def test_lists_are_lists_of_text(document: dict[str, Any]) -> None:
    """Every list has members, each once, all of them text (RFC 8414, 3.2)."""
    for name, value in document.items():
        if name.endswith("_supported") and not isinstance(value, bool):
            assert value
            assert len(value) == len(set(value))
            assert all(isinstance(member, str) for member in value)


def test_says_what_the_engine_does(document: dict[str, Any]) -> None:
    """What is advertised is what a client can register and what is answered."""
    assert set(document["token_endpoint_auth_methods_supported"]) == set(AUTH_METHODS)
    assert tuple(document["scopes_supported"]) == registration.SCOPES
    assert tuple(document["response_modes_supported"]) == registration.RESPONSE_MODES
    assert {claim for claims in SCOPE_CLAIMS.values() for claim in claims} < set(document["claims_supported"])
    assert set(document["ui_locales_supported"]) == set(LANGUAGES)


# ---- what we say in error ------------------------------------------------------------------------


def _descriptions() -> set[str]:
    """Return every text that the engine gives an OAuth error, read from its source."""
    found = set()
    for path in Path(idbroker.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in (
                "OAuthError",
                "BearerError",
            ):
                found |= {part for argument in node.args[1:2] for part in _texts(argument)}
    return found


def _texts(node: ast.expr) -> list[str]:
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=values):
            return [text for value in values for text in _texts(value)]
        case _:
            return []


def test_descriptions_have_only_the_characters_allowed() -> None:
    """No description has a quote, a backslash, a line end or a letter beyond ASCII (RFC 6749, 5.2)."""
    descriptions = _descriptions()

    assert len(descriptions) > 40
    assert [text for text in descriptions if not re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]*", text)] == []


@pytest.mark.parametrize("evil", ['"\r\nSet-Cookie: x=1', "<script>alert(1)</script>", "\\", "å"])
def test_nothing_is_echoed(evil: str) -> None:
    """No part of a request comes back in a description."""
    errors = []
    for parse, text in (
        (claims_request.parse_claims, evil),
        (lambda text: token.parse(form({"grant_type": text}), make_client()), evil),
        (lambda text: token.parse(form({"grant_type": "authorization_code", "code": text}), make_client()), evil),
        (lambda text: authorize.check_prompt(asking(prompt=text)), evil),
        (lambda text: authorize.check_response_mode(asking(response_mode=text)), evil),
    ):
        with pytest.raises(OAuthError) as error:
            parse(text)
        errors.append(error.value.description)

    assert not [text for text in errors if evil in text]


def asking(**fields: str) -> authorize.Asking:
    """Return what the checks look at."""
    return authorize.Asking(parameters=form(fields), client=make_client(), claims=claims_request.ClaimsRequest())
