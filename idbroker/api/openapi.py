"""The document that describes the API (OpenAPI 3.1), made of what routes and checks it: they cannot disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from idbroker.api import answers
from idbroker.api.operations import Operation
from idbroker.api.problems import KINDS

VERSION = "1.0.0"
_REF = "#/components/schemas/{model}"
_PROBLEM = "application/problem+json"
_SCOPES = {
    "patients.read": "Find and read the clinic's patients",
    "patients.write": "Enter and change patients, send them their access, and note who may act for them",
    "enrolments": "Read who asks to be taken, and answer",
    "register": "Say what registers say: deaths, custody",
    "webhooks": "Say where news goes",
}
# What any operation may answer.
_ALWAYS = ("invalid_request", "unknown_parameter", "wrong_header", "no_token", "invalid_token", "insufficient_scope",
           "too_many_requests", "fault", "unavailable")  # fmt: skip
_WITH_BODY = ("unsupported_media_type", "too_large", "not_json", "invalid")
_REPEATABLE = ("key_reused", "in_progress")
_ABOUT = """\
For a clinic's own systems. A client gets a token as itself (`grant_type=client_credentials`) with the scopes that it \
is registered for, and sees the patients of its own clinic only, by handles that nobody else has.

Whatever is wrong is told as `application/problem+json` with a stable `code`; `x-problems` lists them. A POST with an \
`Idempotency-Key` is done once: for 24 hours the same request has the same answer (`Idempotency-Replayed: true`). \
A PATCH must name the state that was read (`If-Match`). At most 600 calls a minute, 20 of them bulk; bodies have at \
most 1 MiB."""


def document(issuer: str, operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the document of an issuer's API."""
    named, schemas = _schemas(operations)
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, named)
    paths["/openapi.json"] = {"get": _own()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "idbroker: the clinic's side", "version": VERSION, "description": _ABOUT},
        "servers": [{"url": f"{issuer}/api/v1"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"client": _security(issuer)},
            "headers": {
                "ETag": {"description": "The state of the clinic's record, for If-Match", "schema": {"type": "string"}},
                "Idempotency-Replayed": {
                    "description": "The answer that the first such request had",
                    "schema": {"type": "string", "const": "true"},
                },
            },
        },
        "x-problems": {code: {"status": kind.status, "title": kind.title} for code, kind in KINDS.items()},
    }


def _schemas(operations: Sequence[Operation]) -> tuple[Mapping[Any, Any], dict[str, Any]]:
    """Return every shape's own schema, by what it is of, and all that they name."""
    taken: list[tuple[int, JsonSchemaMode, TypeAdapter[Any]]] = [
        (id(one.takes), "validation", one.takes) for one in operations if one.takes is not None
    ]
    models = {model for one in operations for model in one.answers.values() if model is not None}
    told: list[tuple[type[BaseModel], JsonSchemaMode, TypeAdapter[Any]]] = [
        (model, "serialization", TypeAdapter(model)) for model in sorted(models, key=lambda model: model.__name__)
    ]
    told.append((answers.ProblemTold, "validation", TypeAdapter(answers.ProblemTold)))
    by_key, definitions = TypeAdapter.json_schemas([*taken, *told], ref_template=_REF)
    return {key: schema for (key, _), schema in by_key.items()}, definitions.get("$defs", {})


def _operation(operation: Operation, named: Mapping[Any, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "security": [{"client": [operation.scope]}],
        "parameters": _parameters(operation),
        "responses": {str(status): _answer(operation, model, named) for status, model in operation.answers.items()},
    }
    if operation.takes is not None:
        content = {"application/json": {"schema": named[id(operation.takes)]}}
        told["requestBody"] = {"required": True, "content": content}
    told["responses"] |= _problems(operation)
    return told


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if "{handle}" in operation.path:
        found.append(_parameter("handle", "path", {"type": "string", "pattern": "^[A-Za-z0-9_-]{22}$"}, required=True))
    if "{guardian}" in operation.path:
        found.append(_parameter("guardian", "path", {"type": "string", "pattern": "^[0-9a-f]{32}$"}, required=True))
    for name, values in operation.query.items():
        found.append(_parameter(name, "query", {"type": "string", "enum": list(values)}, required=True))
    if operation.conditional:
        found.append(_parameter("If-Match", "header", {"type": "string", "pattern": '^"[0-9a-f]{24}"$'}, required=True))
    if operation.repeatable:
        shape = {"type": "string", "minLength": 1, "maxLength": 128, "format": "idempotency-key"}
        found.append(_parameter("Idempotency-Key", "header", shape, required=False))
    return found


def _parameter(name: str, where: str, schema: Mapping[str, Any], *, required: bool) -> dict[str, Any]:
    return {"name": name, "in": where, "required": required, "schema": schema}


def _answer(operation: Operation, model: type[BaseModel] | None, named: Mapping[Any, Any]) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if operation.tagged:
        headers["ETag"] = {"$ref": "#/components/headers/ETag"}
    if operation.repeatable:
        headers["Idempotency-Replayed"] = {"$ref": "#/components/headers/Idempotency-Replayed"}
    told: dict[str, Any] = {"description": "Done"}
    if headers:
        told["headers"] = headers
    if model is not None:
        told["content"] = {"application/json": {"schema": named[model]}}
    if operation.name in _LINKS:
        told["links"] = _LINKS[operation.name]
    return told


def _problems(operation: Operation) -> dict[str, Any]:
    codes = [*_ALWAYS, *operation.problems]
    codes += (
        _WITH_BODY if operation.takes is not None else [] if operation.method == "GET" else ["no_body", "too_large"]
    )
    codes += _REPEATABLE if operation.repeatable else []
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(KINDS[code].status, []).append(code)
    return {str(status): _problem(status, found) for status, found in sorted(by_status.items())}


def _problem(status: int, codes: Sequence[str]) -> dict[str, Any]:
    schema = {"allOf": [{"$ref": _REF.format(model="ProblemTold")}], "properties": {"code": {"enum": list(codes)}}}
    told: dict[str, Any] = {
        "description": "; ".join(KINDS[code].title for code in codes),
        "content": {_PROBLEM: {"schema": schema}},
    }
    names = {401: "WWW-Authenticate", 403: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}
    if status in names:
        told["headers"] = {names[status]: {"schema": {"type": "string"}}}
    return told


def _own() -> dict[str, Any]:
    return {
        "operationId": "describe",
        "summary": "Read this document",
        "security": [],
        "responses": {
            "200": {"description": "Done", "content": {"application/json": {"schema": {"type": "object"}}}},
            "400": _problem(400, ["unknown_parameter"]),
        },
    }


def _security(issuer: str) -> dict[str, Any]:
    flow = {"tokenUrl": f"{issuer}/token", "scopes": _SCOPES}
    return {
        "type": "oauth2",
        "description": "RFC 6749, 4.4; the client authenticates as registered. Tokens live 15 minutes.",
        "flows": {"clientCredentials": flow},
    }


# What is entered can be read, changed and told of by its handle.
_ENTERED = {
    name: {"operationId": name, "parameters": {"handle": "$response.body#/handle"}}
    for name in (
        "getPatient",
        "sendAccess",
        "noteDeath",
        "withdrawDeath",
        "noteCustody",
        "listGuardians",
        "noteGuardian",
    )
} | {
    "changePatient": {
        "operationId": "changePatient",
        "parameters": {"handle": "$response.body#/handle", "If-Match": "$response.header.ETag"},
    }
}
_NOTED = {
    "endGuardian": {
        "operationId": "endGuardian",
        "parameters": {"handle": "$request.path.handle", "guardian": "$response.body#/id"},
    }
}
_LINKS = {"enterPatient": _ENTERED, "noteGuardian": _NOTED}
