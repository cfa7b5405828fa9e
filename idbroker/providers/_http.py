"""One kept HTTP session for one upstream: bounded in time and size, never redirected, never a proxy.

What it refuses, it refuses as a `requests.RequestException`: callers know one family of errors.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import ssl
import time
from collections import deque
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import certifi
import requests
from requests.adapters import BaseAdapter
from urllib3.util.wait import wait_for_read

MIB = 1024 * 1024
_HEADERS = {"User-Agent": "idbroker", "Accept": "*/*", "Accept-Encoding": "identity"}
_POOL = 64  # as many as a worker has threads


class TooBig(requests.RequestException):
    """The answer is larger than anything this upstream has to say."""


def kept_session(
    *,
    timeout: tuple[float, float] = (3.05, 10),
    deadline: timedelta = timedelta(seconds=20),
    cap: int = MIB,
    trust: str | None = None,
    cert: tuple[str, str] | tuple[str, str, str] | None = None,
    sandbox: bool = False,
) -> requests.Session:
    """Return a session to keep for the life of the process; threads may share it.

    `timeout` is for connecting and for each read, in seconds; `deadline` is for a whole answer from
    the end of the request on; `cap` is its largest size in bytes. `trust` is a file of certificates to
    trust instead of the public ones, `cert` our certificate and key files for mutual TLS, with the
    key's passphrase if it has one. Only https, except that `sandbox` allows http on loopback. Raises
    OSError or ssl.SSLError for files that do not load.
    """
    # One TLS context for all connections: loading the public certificates takes 19 ms each time.
    context = ssl.create_default_context(cafile=trust or certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if cert is not None:
        context.load_cert_chain(*cert)
    return _KeptSession(_Bounded(timeout, deadline, cap, context), sandbox=sandbox)


class _KeptSession(requests.Session):
    """Prepares only what our calls have: no cookies, no hooks, no environment, no redirects.

    That halves what a call costs, and no cookie of one person can travel with another's request.
    """

    def __init__(self, adapter: BaseAdapter, *, sandbox: bool) -> None:
        super().__init__()
        self.trust_env = False
        self.headers = requests.structures.CaseInsensitiveDict(_HEADERS)
        self.close()
        self.adapters.clear()
        self.mount("https://", adapter)
        self._sandbox = sandbox
        self._known: dict[str, str] = {}
        if sandbox:
            self.mount("http://", adapter)

    def request(self, method: str | bytes, url: str | bytes, *_args: Any, **options: Any) -> requests.Response:
        """Send a request: `params`, `data`, `json`, `headers`, `auth` and `timeout` are known."""
        prepared = requests.PreparedRequest()
        prepared.prepare_method(method)
        prepared.url = self._prepared_url(str(url)) if options.get("params") is None else None
        if prepared.url is None:
            prepared.prepare_url(url, options.get("params"))
        prepared.prepare_headers({**self.headers, **(options.get("headers") or {})})
        prepared.prepare_body(options.get("data"), None, options.get("json"))
        if options.get("auth") is not None:
            prepared.prepare_auth(options["auth"])
        return self.send(prepared, timeout=options.get("timeout"))

    def _prepared_url(self, url: str) -> str:
        """Return an endpoint's address as requests writes it. There are a handful, called again and again."""
        known = self._known.get(url)
        if known is None:
            prepared = requests.PreparedRequest()
            prepared.prepare_url(url, None)
            known = prepared.url or ""
            if len(self._known) < _POOL:
                self._known[url] = known
        return known

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a prepared request."""
        adapter = self.get_adapter(request.url or "")
        if not (request.url or "").startswith("https://") and not is_loopback(urlsplit(request.url or "").hostname):
            raise requests.exceptions.InvalidSchema("http is for simulators on this machine")
        return adapter.send(request, timeout=options.get("timeout"))


class _Bounded(BaseAdapter):
    """Reads each answer whole, within its time and size, or not at all.

    It speaks by the standard library's client over connections of its own: hundreds of looks at orders
    each second go through here, and urllib3's way to the same octets costs more than twice as much.
    """

    def __init__(self, timeout: tuple[float, float], deadline: timedelta, cap: int, context: ssl.SSLContext) -> None:
        super().__init__()
        self._timeout, self._cap, self._context = timeout, cap, context
        self._response = partial(_Answer, deadline=deadline)
        self._idle: dict[str, deque[_InOnePiece]] = {}

    def send(self, request: requests.PreparedRequest, *_args: Any, **options: Any) -> requests.Response:
        """Send, read and put the connection back. Raises requests.RequestException and nothing else."""
        origin = "/".join((request.url or "").split("/", 3)[:3])
        idle = self._idle.setdefault(origin, deque())
        connect, read = options.get("timeout") or self._timeout
        connection = None
        try:
            connection = self._kept(idle) or self._connected(origin, connect)
            connection.sock.settimeout(read)  # a deadline may have shortened it for the last answer
            response = self._asked(connection, request)
        except BaseException as error:
            if connection is not None:
                connection.close()
            raise (_told(error, request) if connection is not None else _unconnected(error, request)) from error
        if connection.sock is not None and len(idle) < _POOL and not connection.surplus:
            idle.append(connection)
        else:
            connection.close()
        return response

    def _kept(self, idle: deque[_InOnePiece]) -> _InOnePiece | None:
        """Return a connection that is still there: one that can be read from has been closed by the other side.

        Nothing is sent twice: an order may have been made by what seemed to be lost.
        """
        while idle:
            try:
                connection = idle.pop()
            except IndexError:
                return None  # another thread took the last one
            if connection.sock is not None and not wait_for_read(connection.sock, timeout=0):
                return connection
            connection.close()
        return None

    def _connected(self, origin: str, connect: float) -> _InOnePiece:
        parts = urlsplit(origin)
        connection = (
            _Secure(parts.hostname or "", parts.port, timeout=connect, context=self._context)
            if parts.scheme == "https"
            else _InOnePiece(parts.hostname or "", parts.port, timeout=connect)
        )
        connection.response_class = self._response  # type: ignore[assignment]
        connection.connect()
        return connection

    def _asked(self, connection: _InOnePiece, request: requests.PreparedRequest) -> requests.Response:
        body = request.body.encode() if isinstance(request.body, str) else request.body
        connection.request(request.method or "GET", request.path_url, body, dict(request.headers))
        with connection.getresponse() as raw:
            content = self._content(raw)
        # Left where it is, it would be the answer to the next person's question.
        connection.surplus = isinstance(raw, _Answer) and raw.surplus()
        return _response(request, raw, content)

    def _content(self, raw: http.client.HTTPResponse) -> bytes:
        # A redirect from a back-channel endpoint leads only where an attacker wants us (SSRF).
        if 300 <= raw.status < 400:
            raise requests.TooManyRedirects("a redirect, where none is followed")
        # We ask for no other; a small answer that unpacks to a huge one is none of ours.
        if raw.headers.get("Content-Encoding", "identity") != "identity":
            raise requests.exceptions.ContentDecodingError("a packed answer, where none was asked for")
        content = raw.read(self._cap + 1)
        if len(content) > self._cap:
            raise TooBig(f"more than {self._cap} bytes")
        if raw.length:
            raise http.client.IncompleteRead(content, raw.length)
        return content

    def close(self) -> None:
        """Close the connections."""
        for idle in self._idle.values():
            while idle:
                idle.pop().close()


class _InOnePiece(http.client.HTTPConnection):
    """Sends head and body together: apart they are two TLS records and two system calls."""

    _pieces: bytes = b""
    surplus: bool = False

    def send(self, data: Any) -> None:
        self._pieces += data

    def getresponse(self) -> http.client.HTTPResponse:
        pieces, self._pieces = self._pieces, b""
        super().send(pieces)
        return super().getresponse()


class _Secure(_InOnePiece, http.client.HTTPSConnection):
    """The same, over TLS."""


def _response(request: requests.PreparedRequest, raw: http.client.HTTPResponse, content: bytes) -> requests.Response:
    response = requests.Response()
    response.status_code, response.reason, response.url = raw.status, raw.reason or "", request.url or ""
    response.headers = requests.structures.CaseInsensitiveDict(raw.headers.items())
    response.encoding = requests.utils.get_encoding_from_headers(response.headers)
    response.raw, response.request = io.BytesIO(content), request
    return response


def _unconnected(error: BaseException, request: requests.PreparedRequest) -> BaseException:
    """Return what a caller is told when nothing was sent: it may ask again, and nothing happens twice."""
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError | requests.RequestException):
        return requests.ConnectTimeout(type(error).__name__, request=request)
    return _told(error, request)


def _told(error: BaseException, request: requests.PreparedRequest) -> BaseException:
    match error:
        case requests.RequestException():
            error.request = request
            return error
        case TimeoutError():
            return requests.Timeout(type(error).__name__, request=request)
        case ssl.SSLError():
            return requests.exceptions.SSLError(str(error), request=request)
        case http.client.HTTPException() | OSError():
            return requests.ConnectionError(type(error).__name__, request=request)
        case _:
            return error


class _UntilDeadline(io.RawIOBase):
    """A socket's bytes, until the time is up.

    A read timeout alone lets a server that sends one byte every nine seconds hold a thread for ever.
    """

    def __init__(self, sock: socket.socket, deadline: timedelta) -> None:
        self._sock, self._file = sock, sock.makefile("rb", buffering=0)
        self._each = sock.gettimeout()
        self.ended = False
        self._ends = time.monotonic() + deadline.total_seconds()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.ended:
            return 0
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline of the whole answer")
        self._sock.settimeout(left if self._each is None else min(left, self._each))
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Ended(io.BufferedReader):
    """Remembers whether it was closed with octets that nobody had read."""

    surplus = False

    def close(self) -> None:
        if not self.closed:
            self.raw.ended = True  # type: ignore[attr-defined]
            self.surplus = bool(self.peek(1))
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer that knows its deadline, and whether anything came behind it."""

    def __init__(self, sock: socket.socket, *args: Any, deadline: timedelta, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp.close()
        self._sock = sock
        self.fp = self._reader = _Ended(_UntilDeadline(sock, deadline))

    def surplus(self) -> bool:
        """Tell whether octets came behind the answer."""
        pending = self._sock.pending() if isinstance(self._sock, ssl.SSLSocket) else 0
        return self._reader.surplus or pending > 0


def is_loopback(host: str | None) -> bool:
    """Tell whether a host name or address means this machine."""
    if host is None or host == "localhost":
        return host is not None
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
