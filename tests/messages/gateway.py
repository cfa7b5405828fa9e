"""An SMS gateway on this machine, which takes what is sent, or answers whatever a test wants."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from flask import Flask, Request, Response, request

from tests.sandbox.loopback import serve


@dataclass
class Heard:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    form: dict[str, str]
    body: bytes
    user: tuple[str | None, str | None]


@dataclass
class Gateway:
    """What came, and what is answered."""

    url: str = ""
    status: int = 200
    body: str = "{}"
    headers: dict[str, str] = field(default_factory=dict)
    slow: threading.Event | None = None
    heard: list[Heard] = field(default_factory=list)

    def take(self, path: str) -> Response:
        """Take one request."""
        self.heard.append(_heard(path, request))
        if self.slow is not None:
            self.slow.wait(20)
        return Response(self.body, self.status, self.headers, mimetype="application/json")


def _heard(path: str, came: Request) -> Heard:
    login = came.authorization
    body = came.get_data()  # before the form, which would use it up
    user = (login.username, login.password) if login else (None, None)
    return Heard("/" + path, dict(came.headers), dict(came.form), body, user)


@contextmanager
def gateway() -> Iterator[Gateway]:
    """Serve one."""
    opened = Gateway()
    app = Flask(__name__)
    app.add_url_rule("/<path:path>", view_func=opened.take, methods=["GET", "POST"])
    with serve(lambda _: app) as url:
        opened.url = url
        yield opened
        if opened.slow is not None:
            opened.slow.set()
