"""The back-channel endpoints of a simulated OpenID provider, as Flask routes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from flask import Flask, Response, jsonify, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from idbroker.sandbox.faults import Faults
from idbroker.sandbox.op import OpenIdProvider
from idbroker.sandbox.op_client import OpError

_CHUNK = b" " * 65536
_HUGE = 50 * 1024 * 1024 // len(_CHUNK)


def add_op_routes(app: Flask, op: OpenIdProvider, faults: Faults, provider: str) -> None:
    """Add discovery, keys, token, userinfo and PAR of `op`; every route of the app suffers the faults."""
    app.before_request(lambda: broken(faults, provider))
    app.register_error_handler(OpError, _told)
    app.add_url_rule("/.well-known/openid-configuration", "discovery", lambda: _say(op, _discovery, "discovery"))
    app.add_url_rule(op.paths.jwks, "jwks", lambda: _say(op, lambda _: op.jwks(), "jwks"))
    app.add_url_rule(op.paths.token, "token", lambda: _say(op, _token, "token"), methods=["POST"])
    app.add_url_rule(op.paths.userinfo, "userinfo", lambda: _say(op, _userinfo, "userinfo"), methods=["GET", "POST"])
    app.add_url_rule(op.paths.pushed, "pushed", lambda: _pushed(op), methods=["POST"])


def broken(faults: Faults, provider: str) -> AnyResponse | None:
    """Suffer the provider's faults; return the answer given instead of the true one, if any."""
    fault = faults.suffer(provider)
    if fault.answer is None:
        return None
    return Response("simulated fault\n", fault.answer, {"Retry-After": "1"}, mimetype="text/plain")


def _told(error: OpError) -> Response:
    response = jsonify({"error": error.code})
    response.status_code = error.status
    if error.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer" if error.code == "invalid_token" else "Basic"
    return response


def _say(op: OpenIdProvider, speak: Callable[[OpenIdProvider], Any], endpoint: str) -> AnyResponse:
    lies = op.lies()
    if f"redirecting_{endpoint}" in lies:
        return redirect(request.url + "?again=1", 307)
    told = speak(op)
    if endpoint != "discovery" and lies & _BODIES.keys():
        return Response(_BODIES[min(lies & _BODIES.keys())](), mimetype="application/json")
    response = Response(told, mimetype="application/jwt") if isinstance(told, str) else jsonify(told)
    response.headers["Cache-Control"] = "no-store"
    return response


def _discovery(op: OpenIdProvider) -> Any:
    document, lies = op.metadata(), op.lies()
    if "discovery_issuer_mismatch" in lies:
        document["issuer"] += "/"
    if "plain_endpoints" in lies:
        document["token_endpoint"] = "http://broker.example/connect/token"
    if "foreign_endpoints" in lies:
        document["userinfo_endpoint"] = "https://169.254.169.254/latest"
    return document


def _token(op: OpenIdProvider) -> Any:
    answer, lies = op.token(request.form, request.headers.get("Authorization")), op.lies()
    if "token_type_mac" in lies:
        answer["token_type"] = "mac"
    if "token_type_case" in lies:
        answer["token_type"] = "bEARER"
    if "no_expires_in" in lies:
        del answer["expires_in"]
    if "empty_token" in lies:
        del answer["id_token"]
    return answer


def _userinfo(op: OpenIdProvider) -> Any:
    return op.userinfo(request.headers.get("Authorization"))


def _pushed(op: OpenIdProvider) -> AnyResponse:
    response = jsonify(op.push(request.form, request.headers.get("Authorization")))
    response.status_code = 201
    return response


def _huge() -> Iterator[bytes]:
    return (_CHUNK for _ in range(_HUGE))


def _drip() -> Iterator[bytes]:
    for _ in range(100):  # ten seconds at most: each byte comes in time, the whole never does
        threading.Event().wait(0.1)
        yield b" "


_BODIES: dict[str, Callable[[], Any]] = {
    "huge_body": _huge,
    "slow_drip": _drip,
    "not_json": lambda: "<html><title>Sorry</title>",
    "list_json": lambda: "[]",
}
