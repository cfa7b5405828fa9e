"""The document that the API serves: it is what routes and checks, and says what the house says elsewhere."""

from __future__ import annotations

import json
import re
from typing import Any, get_args

import jsonschema
import pytest

from idbroker.accounts.account import Standing
from idbroker.api import answers, enrolments, patients, shapes, webhook
from idbroker.api.operations import Operation
from idbroker.api.problems import KINDS
from idbroker.client import API_SCOPES
from idbroker.clinic import LANGUAGES
from idbroker.patients.patient import CHECKED, NO_EID, Conflict
from idbroker.webhooks import NEWS
from tests.api.api_house import BASE, Api

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def document(api: Api) -> dict[str, Any]:
    """Return the document, which anybody may read."""
    answer = api.office.browser().get(f"{BASE}/openapi.json")
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    return dict(answer.get_json())


def described(api: Api) -> dict[str, set[str]]:
    """Return the methods of every path, as described."""
    return {path: {method.upper() for method in found} for path, found in document(api)["paths"].items()}


def test_what_is_described_is_there_and_nothing_else(shared: Api) -> None:
    """OpenAPI 3.1: every method described is known at its path; every other one is 405, with what is known."""
    for path, methods in described(shared).items():
        at = path.replace("{handle}", "a" * 22)
        for method in METHODS:
            answer = shared.call(method, at, token="none")
            expected = 200 if path == "/openapi.json" else 401
            assert answer.status_code == (expected if method in methods else 405), (method, path)
            if method not in methods:
                assert set(answer.headers["Allow"].split(", ")) - {"HEAD"} == methods


def test_each_operation_wants_the_scope_that_is_described(shared: Api) -> None:
    """OAuth 2.0: each operation names one scope, which the API has; together they use all that there are."""
    found = document(shared)
    operations = [one for path in found["paths"].values() for one in path.values()]
    wanted = {scope for one in operations for each in one["security"] for scope in each["client"]}
    flows = found["components"]["securitySchemes"]["client"]["flows"]

    assert wanted == set(API_SCOPES) == set(flows["clientCredentials"]["scopes"])
    assert len({one["operationId"] for one in operations}) == len(operations)


def test_every_problem_is_described(shared: Api) -> None:
    """RFC 9457, 4: every code leads to what it means; every conflict of the engines has one."""
    assert set(document(shared)["x-problems"]) == set(KINDS)
    assert {why.value for why in Conflict} <= set(KINDS)


def test_every_reference_leads_somewhere(shared: Api) -> None:
    """RFC 6901: whatever the document refers to is in it."""
    found = document(shared)
    for name in set(re.findall(r'"\$ref": ?"#/([^"]+)"', json.dumps(found))):
        place: Any = found
        for step in name.split("/"):
            place = place[step]


def test_examples_are_as_their_schemas_say(shared: Api) -> None:
    """OpenAPI 3.1: what is given as an example would be taken."""
    found = document(shared)
    for name, schema in found["components"]["schemas"].items():
        for example in schema.get("examples", []):
            jsonschema.validate(example, {**found, "$ref": f"#/components/schemas/{name}"})


@pytest.mark.parametrize(
    "operation", [*patients.OPERATIONS, *enrolments.OPERATIONS, *webhook.OPERATIONS], ids=lambda one: str(one.name)
)
def test_bodies_are_closed(shared: Api, operation: Operation) -> None:
    """Mass assignment: every body's schema takes the members that it names, and no others."""
    if operation.takes is None:
        return
    schema = operation.takes.json_schema()
    branches = [schema["$defs"][one["$ref"].rpartition("/")[2]] for one in schema.get("oneOf", [])] or [schema]

    assert all(one["additionalProperties"] is False for one in branches)


def test_words_are_those_of_the_house() -> None:
    """One truth: countries aside, every word that the API takes or tells is one that the engines know."""
    assert set(get_args(shapes.Language)) == set(LANGUAGES)
    assert set(get_args(shapes.Checked)) == set(CHECKED)
    assert set(get_args(shapes.NoEid)) == set(NO_EID)
    assert set(get_args(shapes.News)) == set(NEWS.values())
    assert set(get_args(answers.Standing)) == {standing.value for standing in Standing}


def test_nothing_is_kept_on_the_way(shared: Api) -> None:
    """RFC 9111, 5.2.2.5: no answer, of whichever kind, may be stored."""
    seen = [
        shared.call("GET", "/openapi.json"),
        shared.call("GET", "/nowhere"),
        shared.call("GET", "/enrolments?standing=asked"),
        shared.call("POST", "/patients", {}),
        shared.call("GET", "/patients/x", token="none"),
    ]

    assert {one.headers["Cache-Control"] for one in seen} == {"no-store"}
    assert {one.headers["X-Content-Type-Options"] for one in seen} == {"nosniff"}
