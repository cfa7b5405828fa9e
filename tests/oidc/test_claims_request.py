"""The claims parameter and the hint: what is asked for one by one, at which level, for whom."""

from __future__ import annotations

import json

import pytest

from idbroker.identity import LoA
from tests.oidc.making import Parse, refused

BAD_CLAIMS = [
    "[]",
    "1",
    "null",
    '"x"',
    "{",
    '{"id_token": []}',
    '{"userinfo": "name"}',
    '{"id_token": {"acr": "high"}}',
    '{"id_token": {"acr": {"values": "high"}}}',
    '{"id_token": {"acr": {"values": [1]}}}',
    '{"id_token": {"sub": {"value": 7}}}',
    '{"id_token": {}, "id_token": {"acr": {"essential": true, "values": ["low"]}}}',
    '{"id_token": {"sub": {"value": "\\ud800"}}}',
    '{"id_token": {"acr": {"values": ["\\udfff"]}}}',
    '{"userinfo": {"\\ud800": null}}',
    '{"id_token": {"x": NaN}}',
    '{"a":' * 2000 + "1" + "}" * 2000,
    "[" * 8000,
    json.dumps({"userinfo": {f"c{n}": None for n in range(65)}}),
    json.dumps({"userinfo": {"x" * 8192: None}}),
]


@pytest.mark.parametrize("claims", BAD_CLAIMS)
def test_malformed_claims(parse: Parse, claims: str) -> None:
    """Malformed, ambiguous, deep or huge `claims` are invalid_request, never a fault of ours (Core 5.5)."""
    assert refused(parse, claims=claims).code == "invalid_request"


def test_claims(parse: Parse) -> None:
    """Claims are asked for one by one, in either place; essential ones too (Core 5.5)."""
    request = parse(claims='{"userinfo": {"name": {"essential": true}, "x": null}, "id_token": {"birthdate": null}}')

    assert request.claims_userinfo == ("name", "x")
    assert request.claims_id_token == ("birthdate",)
    assert parse(claims='{"userinfo": null}').claims_userinfo == ()


@pytest.mark.parametrize(
    ("acr", "minimum"),
    [
        ('{"essential": true, "values": ["high"]}', LoA.HIGH),
        ('{"essential": true, "value": "high"}', LoA.HIGH),
        ('{"essential": true, "values": ["high", "substantial"]}', LoA.SUBSTANTIAL),
        ('{"essential": true, "values": ["low"]}', LoA.SUBSTANTIAL),
        ('{"essential": true, "values": ["low", "nonsense", "high"]}', LoA.SUBSTANTIAL),
        ('{"essential": true}', LoA.SUBSTANTIAL),
        ('{"essential": "yes", "values": ["high"]}', LoA.SUBSTANTIAL),
        ('{"values": ["high"]}', LoA.SUBSTANTIAL),
        ("null", LoA.SUBSTANTIAL),
    ],
)
def test_essential_acr_only_raises_the_minimum(parse: Parse, acr: str, minimum: LoA) -> None:
    """An essential acr can raise the client's registered minimum, never lower it (Core 5.5.1.1)."""
    assert parse(claims=f'{{"id_token": {{"acr": {acr}}}}}').minimum is minimum


def test_essential_acr_unknown(parse: Parse) -> None:
    """An essential acr of which we know no value is unmet at once (Core 5.5.1.1)."""
    error = refused(parse, claims='{"id_token": {"acr": {"essential": true, "values": ["1", "2"]}}}')

    assert error.code == "unmet_authentication_requirements"


def test_acr_of_claims_goes_before_acr_values(parse: Parse) -> None:
    """Values of the claims parameter count before acr_values, which is only a wish (Core 5.5.1.1)."""
    request = parse(acr_values="low", claims='{"id_token": {"acr": {"values": ["high"]}}}')

    assert request.acr_values == ("high",)
    assert not request.essential_acr


def test_required_subject(parse: Parse) -> None:
    """Who must sign in is named by a verified hint or by `sub` (Core 3.1.2.1, 5.5.1)."""
    claims = '{"id_token": {"sub": {"value": "ada"}}}'

    assert parse(id_token_hint="hint of ada").required_subject == "ada"
    assert parse(claims=claims).required_subject == "ada"
    assert parse(claims=claims, id_token_hint="hint of ada").required_subject == "ada"


@pytest.mark.parametrize("hint", ["hint of bo", "forged"])
def test_hint_is_verified_beside_a_named_subject(parse: Parse, hint: str) -> None:
    """A `sub` in the claims does not smuggle a forged or contradicting hint past us (Core 3.1.2.1)."""
    assert (
        refused(parse, claims='{"id_token": {"sub": {"value": "ada"}}}', id_token_hint=hint).code == "invalid_request"
    )
