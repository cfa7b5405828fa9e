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
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import certifi
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

MIB = 1024 * 1024
_CHUNK = 65536
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
    the end of the request on; `cap` is its largest size in bytes, decompressed. `trust` is a file of
    certificates to trust instead of the public ones, `cert` our certificate and key files for mutual
    TLS, with the key's passphrase if it has one. Only https, except that `sandbox` allows http on loopback. Raises OSError or ssl.SSLError for
    files that do not load.
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

    def __init__(self, adapter: HTTPAdapter, *, sandbox: bool) -> None:
        super().__init__()
        self.trust_env = False
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


class _Bounded(HTTPAdapter):
    """Reads each answer whole, within its time and size, or not at all."""

    def __init__(self, timeout: tuple[float, float], deadline: timedelta, cap: int, context: ssl.SSLContext) -> None:
        super().__init__()
        self._timeout, self._cap = timeout, cap
        self._pools: dict[str, HTTPConnectionPool] = {}
        self.poolmanager = urllib3.PoolManager(maxsize=_POOL, ssl_context=context)
        self.poolmanager.pool_classes_by_scheme = _pools(deadline)

    def send(self, request: requests.PreparedRequest, *_args: Any, **options: Any) -> requests.Response:
        """Send, read and close. Raises requests.RequestException and nothing else."""
        connect, read = options.get("timeout") or self._timeout
        try:
            raw = self._pool(request.url or "").urlopen(
                request.method or "GET",
                request.path_url,
                body=request.body,
                headers=dict(request.headers),
                timeout=urllib3.Timeout(connect=connect, read=read),
                redirect=False,
                retries=False,
                preload_content=False,
                assert_same_host=False,
            )
            return self._read(request, raw)
        except requests.RequestException:
            raise
        except urllib3.exceptions.TimeoutError as error:
            raise requests.Timeout(type(error).__name__, request=request) from error
        except urllib3.exceptions.SSLError as error:
            raise requests.exceptions.SSLError(str(error), request=request) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise requests.ConnectionError(type(error).__name__, request=request) from error

    def _pool(self, url: str) -> HTTPConnectionPool:
        """Return the kept connections to an address's server, without taking the address apart each time."""
        origin = "/".join(url.split("/", 3)[:3])
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools.setdefault(origin, self.poolmanager.connection_from_url(origin))
        return pool

    def close(self) -> None:
        """Close the connections."""
        self._pools.clear()
        super().close()

    def _read(self, request: requests.PreparedRequest, raw: urllib3.BaseHTTPResponse) -> requests.Response:
        # A redirect from a back-channel endpoint leads only where an attacker wants us (SSRF).
        if 300 <= raw.status < 400:
            raw.close()
            raise requests.TooManyRedirects("a redirect, where none is followed", request=request)
        try:
            body = self._bounded(request, raw)
        except BaseException:
            raw.close()
            raise
        response = requests.Response()
        response.status_code, response.reason, response.url = raw.status, raw.reason or "", request.url or ""
        response.headers = requests.structures.CaseInsensitiveDict(raw.headers)
        response.encoding = requests.utils.get_encoding_from_headers(response.headers)
        response.raw, response.request = io.BytesIO(body), request
        return response

    def _bounded(self, request: requests.PreparedRequest, raw: urllib3.BaseHTTPResponse) -> bytes:
        read, body = 0, []
        while chunk := raw.read(_CHUNK, decode_content=True):
            read += len(chunk)
            if read > self._cap:
                raise TooBig(f"more than {self._cap} bytes", request=request)
            body.append(chunk)
        return b"".join(body)


class _UntilDeadline(io.RawIOBase):
    """A socket's bytes, until the time is up.

    A read timeout alone lets a server that sends one byte every nine seconds hold a thread for ever.
    """

    def __init__(self, sock: socket.socket, deadline: timedelta) -> None:
        self._sock, self._file = sock, sock.makefile("rb", buffering=0)
        self._each = sock.gettimeout()
        self._ends = time.monotonic() + deadline.total_seconds()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline of the whole answer")
        self._sock.settimeout(left if self._each is None else min(left, self._each))
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


def _pools(deadline: timedelta) -> dict[str, type[HTTPConnectionPool]]:
    class Response(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
            super().__init__(sock, *args, **options)
            self.fp.close()
            self.fp = io.BufferedReader(_UntilDeadline(sock, deadline))

    class Plain(HTTPConnection):
        response_class = Response

    class Secure(HTTPSConnection):
        response_class = Response

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def is_loopback(host: str | None) -> bool:
    """Tell whether a host name or address means this machine."""
    if host is None or host == "localhost":
        return host is not None
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
