"""The address a request comes from, when proxies of ours stand in front."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication


class BehindProxies:
    """Takes the address from the header our own proxies write: of several, the one that the outermost of them saw.

    The header's name should have no hyphen. In the environment of an application `X-Forwarded-For` and
    `X_Forwarded_For` are one, the last of them counts, and proxies that set the first pass the second
    on: whoever sends it would choose the address that we believe. Without the header the address is
    nobody's, and not the proxy's, which would be everybody's.
    """

    def __init__(self, app: WSGIApplication, header: str, proxies: int) -> None:
        self._app, self._proxies = app, proxies
        self._key = "HTTP_" + header.upper().replace("-", "_")

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer as the application does, which is told the right address."""
        seen = [address.strip() for address in environ.get(self._key, "").split(",")]
        environ["REMOTE_ADDR"] = seen[-self._proxies] if len(seen) >= self._proxies else ""
        return self._app(environ, start_response)
