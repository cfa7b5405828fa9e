"""Asking at addresses that others named (a client's `jwks_uri`, its logout address), without being sent astray."""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlencode, urlsplit

import certifi

MOST_OCTETS = 256 * 1024
_HEADERS = {"User-Agent": "idbroker", "Connection": "close"}
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_GIVEN_OUT = ipaddress.IPv6Network("2000::/3")
# What Python counts as public and nobody outside is at: protocols' own (RFC 6890; a cloud's metadata
# at .192), relays of 6to4 (RFC 7526), Azure's inner server, examples (RFC 9637).
_NOBODYS: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = tuple(
    ipaddress.ip_network(each) for each in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "3fff::/20")
)
_LOOKUPS_AT_ONCE = 32
Resolve = Callable[[str, int], tuple[str, ...]]


def resolve(host: str, port: int) -> tuple[str, ...]:
    """Return the addresses of a host."""
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


def is_public(address: str) -> bool:
    """Tell whether an address is on the open internet: not ours, not loopback, not a cloud's metadata."""
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address) and (inner := _inside(found)) is not None:
        found = inner  # a gateway would take it to an address of ours that the IPv6 one hides
    if found.version == 6 and found not in _GIVEN_OUT:
        return False  # others' prefixes hide one of ours too: 64:ff9b:1::/48 (RFC 8215), ::/96, ::ffff:0:0:0/96
    return found.is_global and not found.is_multicast and not any(found in network for network in _NOBODYS)


def _inside(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 one stands for (RFC 4291, 2.5.5.2; RFC 3056; RFC 6052)."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def leads_inside(host: str) -> bool:
    """Tell whether a host is not public by its very name: localhost, or an address, however it is written."""
    plain = host.lower().rstrip(".")
    if plain == "localhost" or plain.endswith(".localhost"):
        return True
    with suppress(ValueError):
        return not is_public(plain)
    with suppress(OSError):
        return not is_public(socket.inet_ntoa(socket.inet_aton(plain)))  # as the system reads 127.1, 0 and 2130706433
    return False


def is_loopback(address: str) -> bool:
    """Tell whether an address is this machine's own."""
    return ipaddress.ip_address(address).is_loopback


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An address, taken apart and looked up: what is connected to is one of `addresses`, nothing else."""

    secure: bool
    host: str
    port: int
    path: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """One request to a public https address; OSError for everything else.

    Stops server-side request forgery: the name is resolved once, every address must be public, and
    the connection goes to that very address (no second look-up to rebind), with the certificate
    checked for the name; no redirect is followed; time and size are bounded (standards J17). `trust` is
    a file of certificates to trust instead of the public ones. `lookup_seconds` is for the name, and
    lets a lost question be asked again (after 5 s); `whole_seconds` for all the rest: neither a name
    server that is slow nor a server that drips its answer holds a thread for longer.
    """

    resolve: Resolve = resolve
    public: Callable[[str], bool] = is_public
    trust: str | None = None
    lookup_seconds: float = 6.0
    connect_seconds: float = 3.0
    whole_seconds: float = 5.0

    @cached_property
    def _context(self) -> ssl.SSLContext:
        """Made once: loading the public certificates takes 19 ms."""
        context = ssl.create_default_context(cafile=self.trust or certifi.where())
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    def _found(self, url: str) -> Target:
        """Return where an address leads. OSError when it is no place to ask at."""
        try:
            parts = urlsplit(url)
            plain = parts.hostname and parts.username is None and self._may(parts.scheme)
            port = parts.port or {"http": 80}.get(parts.scheme, 443)
            addresses = self._looked_up(parts.hostname, port) if plain and parts.hostname else None
        except ValueError as error:
            raise OSError("not a plain https address") from error
        if addresses is None:
            raise OSError("not a plain https address")
        if not addresses or not all(self._welcome(parts.scheme, address) for address in addresses):
            raise OSError("not a public address")
        return Target(
            secure=parts.scheme == "https",
            host=parts.hostname or "",
            port=port,
            path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
            addresses=addresses,
        )

    @cached_property
    def _lookups(self) -> threading.BoundedSemaphore:
        return threading.BoundedSemaphore(_LOOKUPS_AT_ONCE)

    def _looked_up(self, host: str, port: int) -> tuple[str, ...]:
        """Look a name up in time. OSError when nobody answers, or too many look-ups that were left still run."""
        answer: Future[tuple[str, ...]] = Future()

        def look() -> None:
            try:
                answer.set_result(self.resolve(host, port))
            except BaseException as error:  # noqa: BLE001 - raised where it is waited for
                answer.set_exception(error)
            finally:
                self._lookups.release()

        if not self._lookups.acquire(blocking=False):
            raise OSError("too many names are being looked up")
        # The system's look-up cannot be stopped, only left alone in a thread of its own.
        try:
            threading.Thread(target=look, name="lookup", daemon=True).start()
        except RuntimeError as error:
            self._lookups.release()
            raise OSError("no thread to look the name up in") from error
        try:
            return answer.result(self.lookup_seconds)
        except TimeoutError as error:
            raise OSError("the name was not looked up in time") from error

    def _may(self, scheme: str) -> bool:
        return scheme == "https"

    def _welcome(self, scheme: str, address: str) -> bool:
        return self.public(address)

    @contextmanager
    def _asked(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """Ask, and lend the answer: its head is read, its body is not."""
        target = self._found(url)
        ends = time.monotonic() + self.whole_seconds
        try:
            with self._connected(target, ends) as plain, self._secured(plain, target) as opened:
                connection = self._client(target)
                connection.sock = opened
                connection.request(method, target.path, body, {**_HEADERS, **headers})
                with _Answer(opened, method, ends) as answer:
                    answer.begin()
                    yield answer
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise OSError("could not be reached") from error

    def _client(self, target: Target) -> http.client.HTTPConnection:
        """Return what writes the request, with the right Host; it never connects."""
        if target.secure:
            return http.client.HTTPSConnection(target.host, target.port, context=self._context)
        return http.client.HTTPConnection(target.host, target.port)

    def _connected(self, target: Target, ends: float) -> socket.socket:
        """Connect to the first of the addresses that answers: each was looked at."""
        for address in target.addresses[:-1]:
            try:
                return self._connected_to(address, target.port, ends)
            except OSError:
                continue
        return self._connected_to(target.addresses[-1], target.port, ends)

    def _connected_to(self, address: str, port: int, ends: float) -> socket.socket:
        opened = socket.create_connection((address, port), min(self.connect_seconds, _left(ends)))
        opened.settimeout(_left(ends))
        return opened

    def _secured(self, opened: socket.socket, target: Target) -> socket.socket:
        return self._context.wrap_socket(opened, server_hostname=target.host) if target.secure else opened


class GuardedFetch(Guarded):
    """Gets one https document, as Guarded does."""

    def __call__(self, url: str) -> bytes:
        """Return the body."""
        with self._asked("GET", url, {"Accept": "application/json"}) as answer:
            body = answer.read(MOST_OCTETS + 1) if answer.status == 200 else b""
            status = answer.status
        if status != 200 or len(body) > MOST_OCTETS:
            raise OSError("not a document of a reasonable size")
        return body


@dataclass(frozen=True, kw_only=True)
class GuardedPost(Guarded):
    """Posts one form, or what else there is, as Guarded does; the answer's body is left unread.

    `sandbox` lets loopback through, by http too: the demo portals are on this machine. Never in
    production, where a client could make us knock at our own inner doors.
    """

    sandbox: bool = False

    def __call__(self, url: str, form: Mapping[str, str]) -> int:
        """Return the status. OSError when there was no answer."""
        return self.send(url, urlencode(form).encode(), {"Content-Type": "application/x-www-form-urlencoded"})

    def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Post octets with headers; return the status. OSError when there was no answer."""
        with self._asked("POST", url, {"Accept": "*/*", **headers}, body) as answer:
            return answer.status

    def _may(self, scheme: str) -> bool:
        return scheme == "https" or (self.sandbox and scheme == "http")

    def _welcome(self, scheme: str, address: str) -> bool:
        if self.sandbox and is_loopback(address):
            return True
        return scheme == "https" and self.public(address)


def _left(ends: float) -> float:
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline of the whole answer")
    return left


class _Answer(http.client.HTTPResponse):
    """An answer that comes in time or not at all."""

    def __init__(self, opened: socket.socket, method: str, ends: float) -> None:
        super().__init__(opened, method=method)
        self.fp.close()
        self.fp = io.BufferedReader(_UntilDeadline(opened, ends))


class _UntilDeadline(io.RawIOBase):
    """A socket's octets, until the time is up: a timeout for each read alone lets a server drip for ever."""

    def __init__(self, opened: socket.socket, ends: float) -> None:
        self._opened, self._ends = opened, ends

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._opened.settimeout(_left(self._ends))
        return self._opened.recv_into(buffer)
