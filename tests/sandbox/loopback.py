"""Serve a WSGI application on this machine for the length of a test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.serving import WSGIRequestHandler, make_server


class _Quiet(WSGIRequestHandler):
    """Keeps connections, as upstreams do, and says nothing."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing."""


def _unready(_environ: WSGIEnvironment, _start: StartResponse) -> list[bytes]:
    raise RuntimeError("nothing is served yet")


@contextmanager
def serve(make: Callable[[str], WSGIApplication]) -> Iterator[str]:
    """Serve what `make` makes of its own address, on a free port; give the address."""
    server = make_server("127.0.0.1", 0, _unready, threaded=True, request_handler=_Quiet)
    address = f"http://127.0.0.1:{server.server_port}"
    server.app = make(address)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield address
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
