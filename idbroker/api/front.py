"""The API's one route: which operation, whether it may be called, and how whatever comes of it is told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import structlog
from flask import Blueprint, Request, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import PathConverter
from werkzeug.wrappers import Response

from idbroker.api import enrolments, guardians, patients, webhook
from idbroker.api.gate import ORDINARY, Gate, actor
from idbroker.api.openapi import document
from idbroker.api.operations import Call, Engines, Operation, Reply
from idbroker.api.problems import Problem
from idbroker.api.replay import Repeatable, Replay, fingerprint
from idbroker.api.wire import (
    MOST_OCTETS,
    Written,
    expect_none,
    key_of,
    query,
    read_body,
    refused,
    shaped,
    state_read,
    written,
)
from idbroker.client import Client
from idbroker.errors import BrokerError, NotFound, StoreError
from idbroker.keeping import Shelf, Tallies
from idbroker.steps import new_ref
from idbroker.web.site import Site

_log = structlog.get_logger("idbroker.api")
_NAMES = {"handle": re.compile(r"[A-Za-z0-9_-]{22}"), "guardian": re.compile(r"[0-9a-f]{32}")}
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY")
_DOCUMENT = "/openapi.json"
_WAIT = {"Retry-After": "10"}


def offered(engines: Engines) -> tuple[Operation, ...]:
    """Return the operations that there are."""
    news = () if engines.webhooks is None else webhook.OPERATIONS
    return (*patients.OPERATIONS, *guardians.OPERATIONS, *enrolments.OPERATIONS, *news)


def api(engines: Engines, tallies: Tallies, repeatable: Shelf[Repeatable]) -> Callable[[Site], Blueprint]:
    """Return what makes the route."""

    def make(site: Site) -> Blueprint:
        operations = offered(engines)
        front = _Front(
            engines=engines,
            operations=operations,
            gate=Gate(credentials=site.credentials, tallies=tallies),
            replay=Replay(shelf=repeatable),
            site=site,
            document=cache(lambda: json.dumps(document(site.issuer, operations))),
        )
        routes = Blueprint("api", __name__)
        # One route for all: whatever is asked below it, by whatever method, is answered in JSON.
        routes.record_once(lambda state: state.app.url_map.converters.update(rest=_Rest))
        rule = "/api/v1/<rest:rest>"
        routes.add_url_rule(rule, "call", front.answer, methods=_METHODS, provide_automatic_options=False)
        return routes

    return make


class _Rest(PathConverter):
    """The rest of a path, of whatever it is made: a line break in it would be answered with a page."""

    regex = "[^/](?s:.*)"


@dataclass(frozen=True, kw_only=True)
class _Front:
    """Answers calls."""

    engines: Engines
    operations: tuple[Operation, ...]
    gate: Gate
    replay: Replay
    site: Site
    document: Callable[[], str]  # made when somebody first asks: every worker would make it at every start

    def answer(self, rest: str) -> Response:
        """Answer one call, whatever comes of it."""
        request.max_content_length = MOST_OCTETS + 1  # of a body whose length is not told, no more is read than this
        try:
            return self._answered(request, f"/{rest}").response()
        except Problem as problem:
            _log.info("call_refused", code=problem.code, detail=problem.detail)
            return refused(problem, self.site.issuer).response()
        except Exception as error:  # noqa: BLE001 - a program is told of a fault as of all else
            return refused(_fault(error), self.site.issuer).response()

    def _answered(self, incoming: Request, path: str) -> Written:
        method = "GET" if incoming.method == "HEAD" else incoming.method
        if path == _DOCUMENT and method == "GET":
            query(incoming, {})
            return Written(status=200, headers={"Content-Type": "application/json"}, body=self.document())
        operation, names = self._operation(method, path)
        client, now = self.gate.client(incoming, operation.scope), self.site.clock.now()
        self.gate.count(client, ORDINARY, now)
        if operation.rate != ORDINARY:
            self.gate.count(client, operation.rate, now)
        octets = _octets(incoming)
        call = self._call(incoming, operation, client, names, octets)
        key = key_of(incoming) if operation.repeatable else None
        if key is None:
            return self._worked(operation, call)
        said = fingerprint(method, path, octets)
        return self.replay.once(client, key, said, lambda: self._told(operation, call))

    def _operation(self, method: str, path: str) -> tuple[Operation, Mapping[str, str]]:
        # A path that stands as it is goes before one with a handle in its place: "bulk" is nobody's.
        there = [one for one in self.operations if one.path == path] or self.operations
        found = {one.method: (one, names) for one in there if (names := one.names_in(path)) is not None}
        methods = [*found, *(["GET"] if path == _DOCUMENT else [])]
        if not methods:
            raise Problem("not_found")
        if method not in found:
            allowed = [*methods, *(["HEAD"] if "GET" in methods else [])]
            raise Problem("method_not_allowed", headers={"Allow": ", ".join(sorted(allowed))})
        return found[method]

    def _call(
        self, incoming: Request, operation: Operation, client: Client, names: Mapping[str, str], octets: bytes
    ) -> Call:
        query(incoming, operation.query)
        mark = state_read(incoming) if operation.conditional else ""
        if operation.takes is None:
            expect_none(octets)
        body = shaped(operation.takes, read_body(incoming, octets)) if operation.takes is not None else None
        if any(_NAMES[name].fullmatch(value) is None for name, value in names.items()):
            raise Problem("not_found")  # as any that is not there: and nothing else goes to a database
        now = self.site.clock.now()
        clinic = self.engines.clinics.find(client.clinic)
        today = now.date() if clinic is None else now.astimezone(clinic.zone).date()
        return Call(
            client=client,
            actor=actor(client, operation.role),
            now=now,
            today=today,
            handle=names.get("handle", ""),
            guardian=names.get("guardian", ""),
            body=body,
            mark=mark,
        )

    def _told(self, operation: Operation, call: Call) -> Written:
        """Return what came of it, a refusal too: the same request is refused again, in the same words."""
        try:
            return self._worked(operation, call)
        except Problem as problem:
            return refused(problem, self.site.issuer)
        except NotFound:
            return refused(Problem("not_found"), self.site.issuer)

    def _worked(self, operation: Operation, call: Call) -> Written:
        reply: Reply = operation.work(self.engines, call)
        return written(reply.status, reply.body, reply.headers, lasting=reply.lasting)


def _octets(incoming: Request) -> bytes:
    try:
        octets = incoming.get_data(cache=False)
    except HTTPException as error:
        raise Problem("too_large" if error.code == 413 else "not_json") from error
    if len(octets) > MOST_OCTETS:
        raise Problem("too_large")
    return octets


def _fault(error: Exception) -> Problem:
    if isinstance(error, NotFound):
        return Problem("not_found", detail=error.detail)
    if isinstance(error, StoreError):
        _log.error("store_away", endpoint="api", detail=error.detail)
        return Problem("unavailable", headers=_WAIT)
    ref, detail = new_ref(), error.detail if isinstance(error, BrokerError) else ""
    _log.error("fault", endpoint="api", kind=type(error).__name__, detail=detail, ref=ref, exc_info=error)
    return Problem("fault", ref=ref)
