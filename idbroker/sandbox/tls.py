"""Serves what wants mutual TLS, as upstreams do: connections are kept, handshakes hold nobody else up."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Callable
from io import BytesIO
from typing import Any
from wsgiref.types import WSGIApplication

from werkzeug.datastructures import Headers
from werkzeug.serving import BaseWSGIServer, ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.test import run_wsgi_app

LONGEST_BODY = 10_000_000  # bytes
_IDLE = 60  # seconds a connection is kept for nothing


class Kept(WSGIRequestHandler):
    """Answers one request after another on one connection, and says nothing: a log line would hold codes.

    werkzeug's own closes after each, and a new handshake for each would cost more than the answer.
    Its environment holds the client's certificate as `SSL_CLIENT_CERT` (PEM).
    """

    protocol_version = "HTTP/1.1"
    server_version = "idbroker-sandbox"
    sys_version = ""
    timeout = _IDLE
    wbufsize = -1  # head and body leave together: apart, each answer would wait 40 ms for an acknowledgement

    def run_wsgi(self) -> None:
        """Read the body first, so that nothing of it is taken for the next request."""
        length = self.headers.get("Content-Length", "0")
        chunked = "Transfer-Encoding" in self.headers
        if chunked or "Expect" in self.headers or not length.isdecimal() or int(length) > LONGEST_BODY:
            self.close_connection = True
            super().run_wsgi()
            return
        body = self.rfile.read(int(length))
        self.environ = {**self.make_environ(), "wsgi.input": BytesIO(body)}
        self._answer(self.server.app)

    def _answer(self, app: WSGIApplication) -> None:
        try:
            chunks, status, headers = run_wsgi_app(app, self.environ, buffered=True)
        except ConnectionError:
            # The simulator means to be lost in the middle.
            self.close_connection = True
            return
        self._send(status, headers, b"".join(chunks))

    def _send(self, status: str, headers: Headers, content: bytes) -> None:
        code, _, words = status.partition(" ")
        self.send_response(int(code), words)
        headers.setdefault("Content-Length", str(len(content)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's own name
        """Say nothing."""


class SecureServer(ThreadedWSGIServer):
    """Serves an application by TLS only, a thread for each connection.

    `context` is asked anew for each one, so certificates may change while it runs. A handshake is made
    in the connection's own thread: one that is never finished holds nobody else up.
    """

    def __init__(
        self,
        host: str,
        port: int,
        app: WSGIApplication,
        context: Callable[[], ssl.SSLContext],
        *,
        fd: int | None = None,
    ) -> None:
        super().__init__(host, port, app, Kept, fd=fd)
        self._context = context
        self.ssl_context = context()  # by this werkzeug knows that addresses begin with https

    def get_request(self) -> tuple[ssl.SSLSocket, Any]:
        """Accept a connection, and leave the handshake to its first read."""
        connection, address = super().get_request()
        connection.settimeout(_IDLE)
        try:
            return self._context().wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address
        except BaseException:
            connection.close()
            raise

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of somebody without a certificate, or gone in the middle; anything else is a fault of ours."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def secure(server: BaseWSGIServer, context: Callable[[], ssl.SSLContext]) -> None:
    """Let a server that listens already speak TLS only, with the certificates of the moment.

    A handshake is made in the connection's own thread: one that is never finished holds nobody else up.
    """
    accept = server.get_request

    def get_request() -> tuple[ssl.SSLSocket, Any]:
        sock, address = accept()
        return context().wrap_socket(sock, server_side=True, do_handshake_on_connect=False), address

    server.get_request = get_request  # type: ignore[method-assign]
    server.ssl_context = context()
